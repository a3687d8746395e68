//! Rows that fail: empty, told apart, and without harm to the others.

use std::sync::Arc;

use csfle_core::crypto::Algorithm::{Aes128Gcm, Aes256Gcm, Aes256Siv};
use csfle_core::error::Code;

use crate::kit::bodies::body;
use crate::kit::lanes::{ALGORITHMS, Results, Setup, cipher, open, open_packed, seal, seal_packed, some};
use crate::kit::plans::record_of;

fn setup() -> Setup {
    Setup::new(&record_of(&[("a", "int"), ("t1", "string"), ("t2", "bytes")]), Aes256Gcm, true)
}

fn good(row: usize) -> Vec<u8> {
    body().long(row.try_into().unwrap()).text("x".repeat(row % 60)).text(vec![1; row % 30]).0
}

/// A frame whose second value was changed: the first is already open when it fails.
fn damaged(setup: &Setup, row: usize) -> Vec<u8> {
    let mut frame = setup.seal(&[good(row)]).remove(0);
    *frame.last_mut().unwrap() ^= 1;
    frame
}

fn check(results: &Results, rows: usize, failed: &[usize], expected: impl Fn(usize) -> Vec<u8>) {
    assert_eq!(results.rows.len(), rows);
    for (row, bytes) in results.rows.iter().enumerate() {
        let expected = if failed.contains(&row) { vec![] } else { expected(row) };
        assert_eq!(*bytes, expected, "row {row}");
    }
    assert_eq!(results.faults.iter().map(|(row, _)| *row).collect::<Vec<_>>(), failed, "in order, each once");
}

/// Which of 70 rows fail: every single one, neighbours, the ends of groups of 32, all of one, all.
fn patterns() -> Vec<Vec<usize>> {
    let mut patterns: Vec<Vec<usize>> = (0..70).map(|row| vec![row]).collect();
    patterns.extend([
        vec![],
        vec![0, 1],
        vec![30, 31],
        vec![31, 32],
        vec![31, 32, 33],
        vec![0, 31, 32, 63, 64, 69],
        (0..70).step_by(2).collect(),
        (32..64).collect(),
        (0..70).collect(),
    ]);
    patterns
}

#[test]
fn values_that_do_not_open_empty_their_row_wherever_it_stands() {
    let setup = setup();
    let (table, frames) = (setup.read(), setup.seal(&(0..70).map(good).collect::<Vec<_>>()));
    for failed in patterns() {
        let mut frames = frames.clone();
        for row in &failed {
            frames[*row] = damaged(&setup, *row);
        }
        for results in [open(&table, &some(&frames)[..], 1), open_packed(&table, &some(&frames)[..], 1)] {
            check(&results, 70, &failed, good);
            for (_, fault) in &results.faults {
                assert_eq!((fault.code, fault.path.as_deref()), (Code::AuthenticationFailed, Some("t2")));
                assert!(fault.offset.is_some());
            }
        }
    }
}

#[test]
fn bodies_that_cannot_be_walked_empty_their_row_wherever_it_stands() {
    let setup = setup();
    let bad = |row: usize| body().long(row.try_into().unwrap()).text("x").long(-4).0;
    for failed in patterns() {
        let mut bodies: Vec<_> = (0..70).map(good).collect();
        for row in &failed {
            bodies[*row] = bad(*row);
        }
        for results in
            [seal(&setup.write(), &some(&bodies), 1), seal_packed(&setup.write(), &some(&bodies), 1)]
        {
            assert_eq!(
                results.codes(),
                failed.iter().map(|row| (*row, "negative_length")).collect::<Vec<_>>()
            );
            let sealed = results.rows.iter().enumerate().filter(|(row, _)| !failed.contains(row));
            let frames: Vec<_> = sealed.clone().map(|(_, frame)| frame.clone()).collect();
            let expected: Vec<_> = sealed.map(|(row, _)| good(row)).collect();
            assert_eq!(setup.open(&frames), expected);
            assert!(failed.iter().all(|row| results.rows[*row].is_empty()));
        }
    }
}

/// One way to spoil a body, and its code.
type Spoiled = (&'static str, Box<dyn Fn(usize) -> Vec<u8>>);

#[test]
fn a_fault_has_the_same_code_in_a_list_and_in_one_buffer_even_alone_and_at_the_end() {
    let setup =
        Setup::new(&record_of(&[("a", "boolean"), ("t1", "string"), ("t2", "string")]), Aes256Gcm, false);
    let whole = || body().raw([1]).text("some text").text("some more");
    let spoiled: [Spoiled; 5] = [
        ("truncated", Box::new(move |cut| whole().0[..cut].to_vec())),
        ("bad_boolean", Box::new(move |_| body().raw([7]).0)),
        ("invalid_utf8", Box::new(move |_| body().raw([1]).text("fine").text([0xff]).0)),
        ("trailing_bytes", Box::new(move |more| whole().raw(vec![0; more + 1]).0)),
        ("negative_length", Box::new(move |_| body().raw([0]).text("fine").long(-1).0)),
    ];
    for (code, spoil) in spoiled {
        for cut in 0..whole().0.len() {
            for good_before in [0, 1, 40] {
                let bodies = [vec![whole().0; good_before], vec![spoil(cut)]].concat();
                let list = seal(&setup.write(), &some(&bodies), 1);
                let packed = seal_packed(&setup.write(), &some(&bodies), 1);
                assert_eq!(list.codes(), [(good_before, code)]);
                assert_eq!(packed.faults, list.faults, "{code}, {good_before} good rows before");
            }
        }
    }
}

#[test]
fn the_same_holds_for_reading() {
    let setup = Setup::new(&record_of(&[("t1", "string"), ("t2", "string")]), Aes256Gcm, true);
    let whole = body().text("some text").text("some more").0;
    let frame = setup.seal(std::slice::from_ref(&whole)).remove(0);
    for at in 0..frame.len() {
        let mut changed = frame.clone();
        changed[at] ^= 0x21;
        for bad in [changed, frame[..at].to_vec()] {
            for good_before in [0, 33] {
                let frames = [vec![frame.clone(); good_before], vec![bad.clone()]].concat();
                let list = open(&setup.read(), &some(&frames)[..], 1);
                let packed = open_packed(&setup.read(), &some(&frames)[..], 1);
                assert_eq!(packed.faults, list.faults, "byte {at}");
                assert_eq!(packed.rows, list.rows);
                assert!(list.rows[good_before].is_empty());
            }
        }
    }
}

#[test]
fn failures_at_the_borders_of_chunks_move_nothing_of_other_threads() {
    let setup = setup();
    let (rows, failed) = (1_000, [0, 249, 250, 499, 500, 501, 750, 999]);
    let mut frames = setup.seal(&(0..rows).map(good).collect::<Vec<_>>());
    for row in &failed {
        frames[*row] = damaged(&setup, *row);
    }
    for threads in [1, 2, 4] {
        check(&open(&setup.read(), &some(&frames)[..], threads), rows, &failed, good);
        check(&open_packed(&setup.read(), &some(&frames)[..], threads), rows, &failed, good);
    }
}

#[test]
fn a_row_that_fails_in_any_step_of_several_fails_once() {
    let json = r#"{"type":"record","name":"R","fields":[
        {"name":"two","type":"bytes","confluent:tags":["PII","B"]},{"name":"one","type":"bytes","confluent:tags":["PII"]}]}"#;
    let setup = Setup::new(json, Aes256Gcm, false).rule(&["B"], Aes256Siv, false).payload(Aes128Gcm, false);
    let other_keys = |which: usize| {
        let mut write = setup.write();
        write.ciphers[which] = cipher(setup.layers()[which].algorithm, 99, 1);
        write
    };
    let row = |n: usize| body().text(vec![1; n]).text(vec![2; n]).0;
    let bodies: Vec<_> = (0..40).map(row).collect();
    for (which, path) in [(0, Some("one")), (1, Some("two")), (2, None)] {
        let mut frames = setup.seal(&bodies);
        frames[35] = seal(&other_keys(which), &[Some(&bodies[35])], 1).all().remove(0);
        frames[3] = frames[35].clone();
        for results in
            [open(&setup.read(), &some(&frames)[..], 1), open_packed(&setup.read(), &some(&frames)[..], 1)]
        {
            check(&results, 40, &[3, 35], row);
            assert!(results.faults.iter().all(|(_, fault)| fault.code == Code::AuthenticationFailed));
            assert!(
                results.faults.iter().all(|(_, fault)| fault.path.as_deref() == path),
                "rule {which}: {results:?}"
            );
        }
    }
}

#[test]
fn the_inner_of_two_rules_fails_with_the_path_of_its_field() {
    let json = r#"{"type":"record","name":"R","fields":[{"name":"two","type":"string","confluent:tags":["PII","B"]}]}"#;
    let setup = Setup::new(json, Aes256Gcm, false).rule(&["B"], Aes256Siv, false);
    let mut write = setup.write();
    write.ciphers[0] = cipher(Aes256Gcm, 99, 1);
    let frame = seal(&write, &[Some(&body().text("x").0)], 1).all();
    let results = open(&setup.read(), &some(&frame)[..], 1);
    assert_eq!(results.codes(), [(0, "authentication_failed")]);
    assert_eq!(results.faults[0].1.path.as_deref(), Some("two"));
}

#[test]
fn sealed_text_that_is_no_utf8_is_told_and_dropped() {
    // Sealed as bytes of the same layout, read as a string: what another writer may have done.
    let (bytes, text) = (record_of(&[("t", "bytes")]), record_of(&[("t", "string")]));
    for algorithm in ALGORITHMS {
        let sealed =
            Setup::new(&bytes, algorithm, false).seal(&[body().text([0xff, 0xfe, 0xfd]).0]).remove(0);
        let encoded = base64_simd::STANDARD.encode_to_string(&sealed[6..]);
        let frame = [&sealed[..5], &body().text(encoded).0].concat();
        let results = open(&Setup::new(&text, algorithm, false).read(), &some(&[frame])[..], 1);
        assert_eq!(results.codes(), [(0, "invalid_utf8")]);
        assert!(results.rows[0].is_empty());
    }
}

#[test]
fn what_is_no_frame_or_of_a_refused_schema_fails_alone() {
    let setup = setup();
    let mut table = setup.read();
    let refused = csfle_core::framing::SchemaRef::Id(66);
    table.schemas.insert(refused, Err(csfle_core::error::Fault::refused(4)));
    let frame = setup.seal(&[good(1)]).remove(0);
    let frames = [vec![], vec![0], vec![9, 0, 0, 0, 7, 1], frame.clone(), refused.to_bytes(), frame];
    for results in [open(&table, &some(&frames)[..], 1), open_packed(&table, &some(&frames)[..], 1)] {
        let codes = [(0, "not_a_frame"), (1, "not_a_frame"), (2, "not_a_frame"), (4, "refused")];
        assert_eq!(results.codes(), codes);
        assert_eq!(results.faults[3].1.refusal, Some(4));
        assert_eq!((&results.rows[3], &results.rows[5]), (&good(1), &good(1)));
    }
}

#[test]
fn seals_are_counted_for_what_was_sealed_and_rows_that_failed_before_cost_none() {
    let setup = setup();
    let write = setup.write();
    let bodies = [good(1), vec![0x80], good(2)];
    assert_eq!(seal(&write, &some(&bodies), 1).counts.sealed, 4);
    assert_eq!(write.ciphers[0].seals().values(), 4);
    assert_eq!(Arc::strong_count(&write.ciphers[0]), 1, "nothing keeps the key beyond its batch");
}
