//! A row's outcome is its own: the same alone and among others, whatever became of those.

use std::collections::HashSet;

use csfle_core::batch::Counts;
use csfle_core::crypto::Algorithm::{self, Aes256Gcm, Aes256Siv};
use csfle_core::error::Fault;
use csfle_core::framing::SchemaRef;
use csfle_core::lane::{Miss, ReadTable, WriteLane};
use proptest::prelude::*;

use crate::kit::bodies::body;
use crate::kit::lanes::{
    ALGORITHMS, ID, Results, Setup, cipher, open, open_packed, seal, seal_packed, some, table,
};
use crate::kit::plans::{record_of, schema};
use crate::kit::random::{Choices, Node, cases, root};

/// Every way to read values of this type: one rule or two on it, a payload rule around, or all.
fn setups(json: &str, algorithm: Algorithm, prefixed: bool) -> Vec<Setup> {
    let twice = json.replace(r#"["PII"]"#, r#"["PII","B"]"#);
    let one = |json: &str| Setup::new(json, algorithm, prefixed);
    vec![
        one(json),
        one(json).exact(),
        one(json).payload(algorithm, !prefixed),
        one(&twice).rule(&["B"], Aes256Gcm, !prefixed),
        one(&twice).rule(&["B"], algorithm, prefixed).payload(Aes256Siv, true),
    ]
}

/// Frames around these bytes as a body, whatever they are, and within the payload rules.
fn raw_frame(setup: &Setup, bytes: &[u8]) -> Vec<u8> {
    let raw = Setup {
        schema: schema("\"bytes\""),
        field_rules: setup.field_rules.clone(),
        payload_rules: setup.payload_rules.clone(),
        exact: false,
    };
    raw.seal(&[bytes.to_vec()]).remove(0)
}

/// A writer whose innermost values are under another key, of this DEK version.
fn other_writer(setup: &Setup, version: Option<i32>) -> WriteLane {
    let mut write = setup.write();
    let version = version.unwrap_or(write.ciphers[0].version());
    write.ciphers[0] = cipher(setup.layers()[0].algorithm, 99, version);
    write
}

fn sealed_by(write: &WriteLane, body: &[u8]) -> Vec<u8> {
    seal(write, &[Some(body)], 1).all().remove(0)
}

fn both_forms(table: &ReadTable, frames: &[Vec<u8>]) -> [Results; 2] {
    [open(table, &some(frames)[..], 1), open_packed(table, &some(frames)[..], 1)]
}

#[test]
fn a_forged_empty_value_at_the_end_of_a_row_fails_whatever_the_next_row_is() {
    for ty in ["string", "bytes"] {
        let json = record_of(&[("a", "int"), ("t", ty)]);
        for algorithm in ALGORITHMS {
            for setup in setups(&json, algorithm, true).into_iter().chain(setups(&json, algorithm, false)) {
                let empty = body().long(1).text("").0;
                let forged = sealed_by(&other_writer(&setup, None), &empty);
                let (good, fails) = (setup.seal(&[empty]).remove(0), raw_frame(&setup, &[2, 0x80]));
                for before in [0, 1, 30, 31, 32] {
                    for next in [&fails, &good, &fails[..3].to_vec()] {
                        let frames =
                            [vec![good.clone(); before], vec![forged.clone(), next.clone()]].concat();
                        for results in both_forms(&setup.read(), &frames) {
                            assert!(results.rows[before].is_empty());
                            let fault = results.codes()[0];
                            assert_eq!(fault, (before, "authentication_failed"), "{algorithm:?}, {ty}");
                            assert_eq!(results.faults[0].1.path.as_deref(), Some("t"));
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn an_empty_value_of_an_unknown_version_at_the_end_of_a_row_is_missed_whatever_the_next_row_is() {
    for ty in ["string", "bytes"] {
        for algorithm in ALGORITHMS {
            let setup = Setup::new(&record_of(&[("t", ty)]), algorithm, true);
            let unknown = sealed_by(&other_writer(&setup, Some(4)), &body().text("").0);
            for results in both_forms(&setup.read(), &[unknown, raw_frame(&setup, &[1])]) {
                assert_eq!(results.misses, [Miss::Dek { lane: 0, rule: 0, version: 4 }]);
                assert_eq!(results.codes(), [(1, "negative_length")]);
            }
        }
    }
}

#[test]
fn values_of_a_row_are_sealed_whatever_the_next_row_is() {
    for ty in ["string", "bytes"] {
        let json = record_of(&[("a", "int"), ("t", ty)]);
        for algorithm in ALGORITHMS {
            for setup in setups(&json, algorithm, false) {
                let (empty, fails) = (body().long(1).text("").0, vec![2, 0x80]);
                for before in [0, 1, 31] {
                    let bodies = [vec![empty.clone(); before + 1], vec![fails.clone(); 2]].concat();
                    let write = setup.write();
                    for results in [seal(&write, &some(&bodies), 1), seal_packed(&write, &some(&bodies), 1)] {
                        assert_eq!(results.codes(), [(before + 1, "truncated"), (before + 2, "truncated")]);
                        assert_eq!(setup.open(&results.rows[..=before]), bodies[..=before]);
                    }
                }
            }
        }
    }
}

/// What came of one row.
type Own = (Vec<u8>, Option<Fault>);

/// What came of each row of a batch, of all misses, and the counts.
fn each(results: &Results) -> (Vec<Own>, HashSet<Miss>, Counts) {
    let of = |row: usize| results.faults.iter().find(|(failed, _)| *failed == row).map(|(_, f)| f.clone());
    let rows = results.rows.iter().enumerate().map(|(row, bytes)| (bytes.clone(), of(row)));
    assert!(results.faults.is_sorted_by(|(a, _), (b, _)| a < b), "in order, each once");
    (rows.collect(), results.misses.iter().copied().collect(), results.counts)
}

/// The same of each row alone.
fn each_alone(
    rows: &[Option<&[u8]>],
    run: impl Fn(&[Option<&[u8]>]) -> Results,
) -> (Vec<Own>, HashSet<Miss>, Counts) {
    let (mut owns, mut misses, mut counts) = (Vec::new(), HashSet::new(), Counts::default());
    for row in rows {
        let (mut own, own_misses, own_counts) = each(&run(std::slice::from_ref(row)));
        owns.append(&mut own);
        misses.extend(own_misses);
        counts += own_counts;
    }
    (owns, misses, counts)
}

/// Changes bytes in one of some ways; half of them stay.
fn damaged(choices: &mut Choices, mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    let at = choices.index(bytes.len().max(1));
    match choices.index(12) {
        0 => bytes.truncate(at),
        1 | 2 if !bytes.is_empty() => bytes[at] ^= 1 << choices.index(8),
        3 => bytes.extend([0; 3]),
        4 => bytes.clear(),
        5 => return None,
        _ => {}
    }
    Some(bytes)
}

/// A frame of a body that was sealed, and changed, in one of some ways.
fn hostile(choices: &mut Choices, setup: &Setup, body: &[u8]) -> Option<Vec<u8>> {
    let write = match choices.index(8) {
        0 => other_writer(setup, None),
        1 => other_writer(setup, Some(4)),
        2 => other_writer(setup, Some(9)),
        3 => return Some(raw_frame(setup, &damaged(choices, body.to_vec()).unwrap_or_default())),
        _ => setup.write(),
    };
    let frame = sealed_by(&write, body);
    damaged(choices, frame)
}

fn bodies(choices: &mut Choices, node: &Node, rows: usize) -> Vec<Vec<u8>> {
    (0..rows).map(|_| choices.datum(node, false).body.0).collect()
}

proptest! {
    #![proptest_config(cases(120))]

    #[test]
    fn a_row_is_decrypted_as_it_is_alone(
        node in root(),
        seed in any::<u64>(),
        algorithm in prop::sample::select(&ALGORITHMS[..]),
        prefixed in any::<bool>(),
        which in 0..5usize,
        rows in 1..70usize,
    ) {
        let setup = setups(&node.json(&mut 0), algorithm, prefixed).remove(which);
        let mut choices = Choices(seed | 1);
        let bodies = bodies(&mut choices, &node, rows);
        let mut frames: Vec<Option<Vec<u8>>> =
            bodies.iter().map(|body| hostile(&mut choices, &setup, body)).collect();
        // Some go by a second schema, which is the same under other rules.
        let other = Setup::new(&node.json(&mut 0), Aes256Siv, true);
        for frame in frames.iter_mut().flatten().filter(|frame| frame.len() > 5) {
            if choices.index(6) == 0 {
                frame[..5].copy_from_slice(&SchemaRef::Id(8).to_bytes());
            }
        }
        let mut lanes = [(ID, setup.read_lane()), (8, other.read_lane())];
        lanes.iter_mut().flat_map(|(_, lane)| &mut lane.deks).for_each(|deks| deks.latest = Some(5));
        let table = table(lanes);
        let frames: Vec<Option<&[u8]>> = frames.iter().map(Option::as_deref).collect();
        let alone = each_alone(&frames, |row| open(&table, row, 1));
        prop_assume!(alone.1.len() <= 64);
        prop_assert_eq!(&each(&open(&table, &frames[..], 1)), &alone);
        prop_assert_eq!(&each(&open_packed(&table, &frames[..], 1)), &alone);
    }

    #[test]
    fn a_row_is_encrypted_as_it_is_alone(
        node in root(),
        seed in any::<u64>(),
        algorithm in prop::sample::select(&ALGORITHMS[..]),
        prefixed in any::<bool>(),
        which in 0..5usize,
        rows in 1..70usize,
    ) {
        let setup = setups(&node.json(&mut 0), algorithm, prefixed).remove(which);
        let mut choices = Choices(seed | 1);
        let bodies: Vec<_> =
            bodies(&mut choices, &node, rows).into_iter().map(|body| damaged(&mut choices, body)).collect();
        let bodies: Vec<Option<&[u8]>> = bodies.iter().map(Option::as_deref).collect();
        let (write, table) = (setup.write(), setup.read());
        // Nonces differ, so what the frames open to stands for them.
        let opened = |sealed: &Results| {
            let frames: Vec<_> = sealed.rows.iter().map(|frame| Some(&frame[..]).filter(|f| !f.is_empty())).collect();
            let lengths: Vec<usize> = sealed.rows.iter().map(Vec::len).collect();
            let opened = open(&table, &frames[..], 1);
            (lengths, each(&opened), each(sealed).0.into_iter().map(|(_, fault)| fault).collect::<Vec<_>>())
        };
        let alone: Vec<_> = bodies.iter().map(|body| opened(&seal(&write, &[*body], 1))).collect();
        for sealed in [seal(&write, &bodies, 1), seal_packed(&write, &bodies, 1)] {
            let (lengths, (opened, misses, _), faults) = opened(&sealed);
            prop_assert!(misses.is_empty());
            for (row, (length, (own, _, _), fault)) in alone.iter().enumerate() {
                prop_assert_eq!((&lengths[row..=row], &opened[row..=row], &faults[row..=row]), (&length[..], &own[..], &fault[..]));
            }
        }
    }
}
