//! Random schemas and data: out of the frames comes what went in, and nothing untagged changes.

use apache_avro::reader::datum::GenericDatumReader;
use csfle_core::avro::Mode;
use proptest::prelude::*;

use crate::kit::lanes::{ALGORITHMS, Setup, open, open_packed, seal, seal_packed, some};
use crate::kit::plans::{EXACT, READ, WRITE, plan, walk};
use crate::kit::random::{Choices, Datum, Node, cases, root};

fn data(node: &Node, seed: u64, count: usize) -> Vec<Datum> {
    let mut choices = Choices(seed | 1);
    (0..count).map(|_| choices.datum(node, false)).collect()
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn a_walk_changes_tagged_values_and_nothing_else(node in root(), seed in any::<u64>()) {
        let json = node.json(&mut 0);
        for options in [WRITE, READ, EXACT] {
            let plan = plan(&json, options);
            for datum in data(&node, seed, 4) {
                let seen = walk(&plan, &datum.body.0).unwrap();
                prop_assert_eq!(seen.holes.len(), datum.tagged);
                prop_assert_eq!(&seen.out, &datum.walked.0);
            }
        }
    }

    #[test]
    fn no_cut_or_changed_byte_makes_a_walk_panic(node in root(), seed in any::<u64>(), changed in any::<u8>()) {
        let json = node.json(&mut 0);
        for options in [WRITE, EXACT] {
            let plan = plan(&json, options);
            for datum in data(&node, seed, 2) {
                for at in 0..datum.body.0.len().min(60) {
                    let _ = walk(&plan, &datum.body.0[..at]);
                    let mut body = datum.body.0.clone();
                    body[at] = changed;
                    let _ = walk(&plan, &body);
                }
            }
        }
    }

    #[test]
    fn what_is_encrypted_is_decrypted(
        node in root(),
        seed in any::<u64>(),
        algorithm in prop::sample::select(&ALGORITHMS[..]),
        prefixed in any::<bool>(),
        payload in any::<bool>(),
        exact in any::<bool>(),
    ) {
        let mut setup = Setup::new(&node.json(&mut 0), algorithm, prefixed);
        setup.exact = exact;
        if payload {
            setup = setup.payload(algorithm, !prefixed);
        }
        let data = data(&node, seed, 40);
        let bodies: Vec<Vec<u8>> = data.iter().map(|datum| datum.body.0.clone()).collect();
        let expected: Vec<Vec<u8>> = data.iter().map(|datum| datum.back.0.clone()).collect();
        let sealed = seal(&setup.write(), &some(&bodies), 1);
        let values = data.iter().map(|datum| datum.tagged as u64).sum::<u64>();
        let payloads = if payload { 40 } else { 0 };
        prop_assert_eq!(sealed.counts.sealed, values + payloads);
        let frames = sealed.all();
        let packed = seal_packed(&setup.write(), &some(&bodies), 1).all();
        let lengths = |rows: &[Vec<u8>]| rows.iter().map(Vec::len).collect::<Vec<_>>();
        prop_assert_eq!(lengths(&frames), lengths(&packed));
        prop_assert_eq!(&open(&setup.read(), &some(&packed)[..], 1).all(), &expected);
        let opened = open_packed(&setup.read(), &some(&frames)[..], 1);
        prop_assert_eq!(opened.counts.opened, values + payloads);
        prop_assert_eq!(opened.all(), expected);
    }

    #[test]
    fn another_decoder_reads_the_same_before_and_after(node in root(), seed in any::<u64>()) {
        let json = node.json(&mut 0);
        let theirs = apache_avro::Schema::parse_str(&json).unwrap();
        let reader = GenericDatumReader::builder(&theirs).build().unwrap();
        for datum in data(&node, seed, 3) {
            let decode = |bytes: &[u8]| {
                let mut rest = bytes;
                let value = reader.read_value(&mut rest).unwrap();
                assert!(rest.is_empty(), "all of it was read");
                value
            };
            prop_assert_eq!(decode(&datum.body.0), decode(&datum.back.0));
        }
    }
}

#[test]
fn the_random_schemas_are_worth_it() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut tagged = 0;
    for seed in 0..100 {
        let node = root().new_tree(&mut runner).unwrap().current();
        assert_eq!(plan(&node.json(&mut 0), WRITE).mode, Mode::Write);
        tagged += data(&node, seed, 1)[0].tagged;
    }
    assert!(tagged > 50, "{tagged} tagged values in 100 data");
}
