//! Batches that go through: every algorithm, form and nesting, out of which comes what went in.

use std::collections::HashMap;
use std::sync::Arc;

use csfle_core::batch::{Counts, Rows};
use csfle_core::crypto::Algorithm::{Aes128Gcm, Aes256Gcm, Aes256Siv};
use csfle_core::framing::SchemaRef;
use csfle_core::lane::{DekVersions, ReadLane};

use crate::kit::bodies::body;
use crate::kit::lanes::{
    ALGORITHMS, ID, Results, Setup, cipher, open, open_packed, seal, seal_packed, some, table,
};
use crate::kit::plans::record_of;

const FRAME: [u8; 5] = [0, 0, 0, 0, 7];

fn mixed() -> String {
    record_of(&[
        ("a", "int"),
        ("t1", "string"),
        ("b", "string"),
        ("t2", r#"["null","bytes"]"#),
        ("t3", r#"{"type":"array","items":"string"}"#),
        ("c", "string"),
    ])
}

fn mixed_body(row: usize) -> Vec<u8> {
    let text = "é".repeat(row % 50);
    let front = body().long(row.try_into().unwrap()).text(&text).text("untagged");
    let middle = if row.is_multiple_of(3) { front.long(0) } else { front.long(1).text(vec![0xFF; row % 40]) };
    middle.long(2).text("").text(&text).long(0).text("the end").0
}

fn mixed_bodies(rows: usize) -> Vec<Vec<u8>> {
    (0..rows).map(mixed_body).collect()
}

/// All four ways from bodies to frames and back give the same.
fn round_trip(setup: &Setup, bodies: &[Vec<u8>], threads: usize) {
    let (write, read) = (setup.write(), setup.read());
    let (list, packed) = (seal(&write, &some(bodies), threads), seal_packed(&write, &some(bodies), threads));
    assert_eq!(list.counts, packed.counts);
    let (list, packed) = (list.all(), packed.all());
    let lengths = |rows: &[Vec<u8>]| rows.iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(lengths(&list), lengths(&packed));
    assert!(list.iter().all(|frame| frame.starts_with(&FRAME)));
    assert_eq!(open(&read, &some(&packed)[..], threads).all(), bodies);
    assert_eq!(open_packed(&read, &some(&list)[..], threads).all(), bodies);
}

#[test]
fn every_algorithm_with_and_without_a_version_prefix() {
    for algorithm in ALGORITHMS {
        for prefixed in [false, true] {
            for rows in [0, 1, 2, 31, 32, 33, 64, 100] {
                round_trip(&Setup::new(&mixed(), algorithm, prefixed), &mixed_bodies(rows), 1);
            }
        }
    }
}

#[test]
fn the_ciphertext_shows_nothing_of_the_text_and_untagged_bytes_stay() {
    for algorithm in ALGORITHMS {
        let setup = Setup::new(&mixed(), algorithm, false);
        let secret = "a secret of some length";
        let whole = body().long(1).text(secret).text("untagged").long(1).text(secret).long(0).text("end").0;
        let frame = seal(&setup.write(), &[Some(&whole)], 1).all().remove(0);
        let shows = |text: &str| frame.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(!shows(secret) && shows("untagged") && shows("end"));
    }
}

#[test]
fn siv_gives_equal_frames_for_equal_rows_and_gcm_never_does() {
    for algorithm in ALGORITHMS {
        let setup = Setup::new(&mixed(), algorithm, true);
        let bodies = vec![mixed_body(7); 40];
        let frames: std::collections::HashSet<_> = setup.seal(&bodies).into_iter().collect();
        assert_eq!(frames.len(), if algorithm == Aes256Siv { 1 } else { 40 });
    }
}

#[test]
fn threads_change_nothing_but_the_time() {
    for rows in [250, 999, 2_000] {
        let setup = Setup::new(&mixed(), Aes256Siv, true);
        let bodies = mixed_bodies(rows);
        let frames: Vec<_> =
            [1, 2, 4, 7].map(|threads| seal(&setup.write(), &some(&bodies), threads).all()).into();
        assert!(frames.windows(2).all(|pair| pair[0] == pair[1]), "deterministic ones are the same bytes");
        for threads in [1, 2, 4] {
            round_trip(&setup, &bodies, threads);
            round_trip(&Setup::new(&mixed(), Aes128Gcm, false), &bodies, threads);
        }
    }
}

#[test]
fn two_and_three_rules_on_one_field_are_sealed_in_order_and_opened_in_reverse() {
    let json = r#"{"type":"record","name":"R","fields":[
        {"name":"one","type":"string","confluent:tags":["A"]},
        {"name":"two","type":"string","confluent:tags":["A","B"]},
        {"name":"rest","type":"int"},
        {"name":"three","type":"bytes","confluent:tags":["C","B","A"]},
        {"name":"map","type":{"type":"map","values":"string"},"confluent:tags":["B","C"]}]}"#;
    let rules = |mut setup: Setup| {
        setup.field_rules.clear();
        setup.rule(&["A"], Aes256Gcm, false).rule(&["B"], Aes256Siv, true).rule(&["C"], Aes128Gcm, true)
    };
    let setup = rules(Setup::new(json, Aes256Gcm, false));
    let row = |n: usize| {
        let text = "x".repeat(n);
        body().text(&text).text(&text).long(9).text(&text).long(1).text("k").text(&text).long(0).0
    };
    let bodies: Vec<_> = (0..70).map(row).collect();
    for threads in [1, 2] {
        round_trip(&setup, &bodies, threads);
    }
    round_trip(&rules(Setup::new(json, Aes256Gcm, false)).exact(), &bodies, 1);
    // What the outer rule sealed is what the inner one made: a string in base64 within base64.
    let frame = setup.seal(&bodies[4..5]).remove(0);
    let layers = setup.layers();
    let kind = csfle_core::avro::LeafKind::Text;
    let two = layers[1].sealed_len(kind, layers[0].sealed_len(kind, 4));
    let length = body().long(two.try_into().unwrap()).0;
    let at = 5 + 1 + layers[0].sealed_len(kind, 4);
    assert_eq!(frame[at..at + length.len()], length);
}

#[test]
fn payload_rules_go_around_the_body_alone_and_together_with_field_rules() {
    for field_algorithm in ALGORITHMS {
        for payload in ALGORITHMS {
            for prefixed in [false, true] {
                let one = Setup::new(&mixed(), field_algorithm, !prefixed).payload(payload, prefixed);
                round_trip(&one, &mixed_bodies(70), 1);
                let two = one.payload(field_algorithm, !prefixed);
                round_trip(&two, &mixed_bodies(70), 1);
            }
        }
    }
    let mut only = Setup::new(&mixed(), Aes256Gcm, false).payload(Aes256Gcm, true);
    only.field_rules[0].0 = std::collections::BTreeSet::from(["no such tag".to_owned()]);
    round_trip(&only, &mixed_bodies(70), 2);
    let frame = only.seal(&mixed_bodies(1)).remove(0);
    assert_eq!(frame.len(), 5 + 5 + 28 + mixed_body(0).len());
    assert_eq!(frame[5..10], [0, 0, 0, 0, 3], "the frame, the DEK version, then the ciphertext");
}

#[test]
fn payload_and_two_rules_on_one_field_take_all_steps() {
    let json = r#"{"type":"record","name":"R","fields":[{"name":"two","type":"string","confluent:tags":["PII","B"]},
        {"name":"one","type":"string","confluent:tags":["PII"]},{"name":"rest","type":"string"}]}"#;
    let setup = Setup::new(json, Aes256Gcm, true)
        .rule(&["B"], Aes128Gcm, false)
        .payload(Aes256Siv, false)
        .payload(Aes256Gcm, true);
    let bodies: Vec<_> =
        (0..100).map(|n| body().text("x".repeat(n)).text("y").text("z".repeat(n)).0).collect();
    for threads in [1, 2] {
        round_trip(&setup, &bodies, threads);
    }
}

#[test]
fn values_larger_than_any_scratch_go_through() {
    for algorithm in ALGORITHMS {
        let sizes = [10, 200_000, 0, 47_000, 49_152, 49_153, 1_500_000, 5];
        let row = |n: usize| {
            body().long(1).text("x".repeat(n)).text("").long(1).text(vec![0; n]).long(0).text("").0
        };
        let bodies: Vec<_> = sizes.into_iter().map(row).collect();
        round_trip(&Setup::new(&mixed(), algorithm, true), &bodies, 1);
        round_trip(&Setup::new(&mixed(), algorithm, true).payload(algorithm, false), &bodies, 1);
    }
}

#[test]
fn an_untagged_schema_only_gets_frames() {
    for json in [record_of(&[("a", "string")]), "\"bytes\"".to_owned(), "\"string\"".to_owned()] {
        let setup = Setup::new(&json, Aes256Gcm, false);
        let bodies: Vec<_> = (0..100).map(|n| body().text("x".repeat(n)).0).collect();
        round_trip(&setup, &bodies, 1);
        let sealed = seal(&setup.write(), &some(&bodies), 1);
        assert_eq!(sealed.counts, Counts::default());
        assert_eq!(sealed.rows[9], [&FRAME[..], &bodies[9]].concat());
    }
}

#[test]
fn an_empty_body_of_a_root_bytes_schema_is_a_row() {
    let setup = Setup::new("\"bytes\"", Aes256Gcm, false).payload(Aes256Gcm, false);
    round_trip(&setup, &[vec![], b"raw".to_vec()], 1);
    assert_eq!(setup.seal(&[vec![]])[0].len(), 5 + 28);
}

#[test]
fn tombstones_come_out_empty_and_cost_nothing() {
    let setup = Setup::new(&mixed(), Aes256Gcm, false).payload(Aes256Gcm, true);
    let whole = mixed_body(5);
    let rows = [None, Some(&whole[..]), None, None, Some(&whole[..]), None];
    let sealed = seal(&setup.write(), &rows, 1);
    assert_eq!(
        seal_packed(&setup.write(), &rows, 1).rows.iter().map(Vec::is_empty).collect::<Vec<_>>(),
        [true, false, true, true, false, true]
    );
    let frames = sealed.all();
    assert!([0, 2, 3, 5].iter().all(|row| frames[*row].is_empty()));
    let frames: Vec<Option<&[u8]>> =
        frames.iter().map(|frame| Some(&frame[..]).filter(|frame| !frame.is_empty())).collect();
    let opened = open(&setup.read(), &frames[..], 1).all();
    assert_eq!(opened.iter().map(Vec::len).sum::<usize>(), 2 * whole.len());
    assert_eq!(seal(&setup.write(), &[None; 70], 1).all(), vec![Vec::<u8>::new(); 70]);
}

/// Frames in which a header names the schema.
struct Headers<'a>(Vec<(&'a [u8], Option<&'a [u8]>)>);

impl Rows for Headers<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn row(&self, index: usize) -> Option<&[u8]> {
        Some(self.0[index].0)
    }

    fn header(&self, index: usize) -> Option<&[u8]> {
        self.0[index].1
    }
}

#[test]
fn a_header_names_the_schema_in_place_of_the_payload_row_by_row() {
    let setup = Setup::new(&mixed(), Aes256Gcm, false);
    let mut write = setup.write();
    let framed = seal(&write, &[Some(&mixed_body(3))], 1).all().remove(0);
    write.frame.clear();
    let bare = seal(&write, &[Some(&mixed_body(4))], 1).all().remove(0);
    let guid = [1; 17];
    let id = SchemaRef::Id(ID).to_bytes();
    let mut table = setup.read();
    table.schemas.insert(SchemaRef::from_header(&guid).unwrap(), Ok(0));
    let rows =
        Headers(vec![(&bare, Some(&guid)), (&framed, None), (&bare, Some(&id)), (&bare, Some(&[0, 1]))]);
    let opened = open(&table, &rows, 1);
    assert_eq!(opened.rows, [mixed_body(4), mixed_body(3), mixed_body(4), vec![]]);
    assert_eq!(opened.codes(), [(3, "bad_schema_header")]);
}

#[test]
fn lanes_of_different_schemas_take_turns_within_a_batch() {
    let setups = [
        Setup::new(&mixed(), Aes256Gcm, false),
        Setup::new(&record_of(&[("t", "bytes")]), Aes256Siv, true).payload(Aes128Gcm, false),
        Setup::new("\"bytes\"", Aes128Gcm, false),
    ];
    let [a, b, c] = &setups;
    let table = table([(1, a.read_lane()), (2, b.read_lane()), (3, c.read_lane())]);
    for turn in [1, 2, 5, 32, 33] {
        let row = |row: usize| {
            let which = row / turn % 3;
            let body = [mixed_body(row), body().text(vec![9; row]).0, vec![1; row]][which].clone();
            (which, body)
        };
        let rows: Vec<_> = (0..300).map(row).collect();
        let frame = |(which, body): &(usize, Vec<u8>)| {
            let mut write = setups[*which].write();
            write.frame = SchemaRef::Id(i32::try_from(*which).unwrap() + 1).to_bytes();
            seal(&write, &[Some(body)], 1).all().remove(0)
        };
        let frames: Vec<_> = rows.iter().map(frame).collect();
        let bodies: Vec<_> = rows.into_iter().map(|(_, body)| body).collect();
        for threads in [1, 2] {
            assert_eq!(open(&table, &some(&frames)[..], threads).all(), bodies);
            assert_eq!(open_packed(&table, &some(&frames)[..], threads).all(), bodies);
        }
    }
}

#[test]
fn versions_of_one_dek_take_turns_within_a_batch() {
    for algorithm in ALGORITHMS {
        let setup = Setup::new(&mixed(), algorithm, true);
        let sealed_with = |version: i32, body: &[u8]| -> Results {
            let mut write = setup.write();
            write.ciphers = vec![cipher(algorithm, u8::try_from(version).unwrap(), version)];
            seal(&write, &[Some(body)], 1)
        };
        let bodies = mixed_bodies(150);
        for turn in [1, 3, 40] {
            let version = |row: usize| i32::try_from(row / turn % 4).unwrap() + 1;
            let frames: Vec<_> =
                (0..150).map(|row| sealed_with(version(row), &bodies[row]).all().remove(0)).collect();
            let ciphers =
                [1u8, 2, 3, 4].map(|version| (version.into(), cipher(algorithm, version, version.into())));
            let deks = DekVersions { loaded: HashMap::from(ciphers), ..DekVersions::default() };
            let lane = ReadLane { lane: Arc::clone(&setup.read_lane().lane), deks: vec![deks] };
            assert_eq!(open(&table([(ID, lane)]), &some(&frames)[..], 1).all(), bodies);
        }
    }
}

#[test]
fn counts_say_what_was_sealed_opened_and_let_pass() {
    let json = record_of(&[("t1", "string"), ("t2", r#"["int","string"]"#), ("t3", r#"["null","string"]"#)]);
    let setup = Setup::new(&json, Aes256Gcm, false).payload(Aes256Gcm, false);
    let bodies =
        [body().text("x").long(0).long(5).long(0).0, body().text("x").long(1).text("y").long(1).text("z").0];
    let sealed = seal(&setup.write(), &some(&bodies), 1);
    assert_eq!(sealed.counts, Counts { sealed: 1 + 3 + 2, opened: 0, passed: 1, exhausted: 0 });
    let opened = open(&setup.read(), &some(&sealed.all())[..], 1);
    assert_eq!(opened.counts, Counts { sealed: 0, opened: 1 + 3 + 2, passed: 0, exhausted: 0 });
}

#[test]
fn a_value_under_two_rules_counts_twice_both_ways_and_against_both_keys() {
    let json = r#"{"type":"record","name":"R","fields":[
        {"name":"two","type":"string","confluent:tags":["PII","B"]},
        {"name":"one","type":"string","confluent:tags":["PII"]}]}"#;
    let setup = Setup::new(json, Aes256Gcm, false).rule(&["B"], Aes128Gcm, false);
    let write = setup.write();
    let sealed = seal(&write, &[Some(&body().text("x").text("y").0)], 1);
    assert_eq!(sealed.counts.sealed, 3);
    assert_eq!([write.ciphers[0].seals().values(), write.ciphers[1].seals().values()], [2, 1]);
    assert_eq!(open(&setup.read(), &some(&sealed.all())[..], 1).counts.opened, 3);
}
