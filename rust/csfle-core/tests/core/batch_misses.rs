//! What a batch lacks: told once each, never more than may be asked for.

use csfle_core::crypto::Algorithm::{Aes128Gcm, Aes256Gcm};
use csfle_core::error::{Code, Fault};
use csfle_core::framing::SchemaRef;
use csfle_core::lane::{Miss, ReadTable};

use crate::kit::bodies::body;
use crate::kit::lanes::{ID, Setup, cipher, open, open_packed, open_with, seal, some, table};
use crate::kit::plans::record_of;

fn setup() -> Setup {
    Setup::new(&record_of(&[("t1", "string"), ("t2", "string")]), Aes256Gcm, true)
}

fn whole() -> Vec<u8> {
    body().text("one").text("two").0
}

/// A frame under a DEK version.
fn frame_of(setup: &Setup, version: i32) -> Vec<u8> {
    let mut write = setup.write();
    for (cipher_of_rule, layer) in write.ciphers.iter_mut().zip(setup.layers()) {
        *cipher_of_rule = cipher(layer.algorithm, 50, version);
    }
    seal(&write, &[Some(&whole())], 1).all().remove(0)
}

fn dek(rule: u16, version: i32) -> Miss {
    Miss::Dek { lane: 0, rule, version }
}

#[test]
fn unknown_schemas_are_told_once_each_and_their_rows_are_no_faults() {
    let setup = setup();
    let frame = setup.seal(&[whole()]).remove(0);
    let unknown = |id: i32| [&SchemaRef::Id(id).to_bytes()[..], &frame[5..]].concat();
    let guid = [&[1u8; 17][..], &frame[5..]].concat();
    let frames = [unknown(8), frame.clone(), unknown(9), unknown(8), guid, frame.clone()];
    for results in
        [open(&setup.read(), &some(&frames)[..], 1), open_packed(&setup.read(), &some(&frames)[..], 1)]
    {
        assert_eq!(results.faults, []);
        let misses = [SchemaRef::Id(8), SchemaRef::Id(9), SchemaRef::Guid([1; 16])].map(Miss::Schema);
        assert_eq!(results.misses, misses);
        let lengths: Vec<_> = results.rows.iter().map(Vec::len).collect();
        assert_eq!(lengths, [0, 8, 0, 0, 0, 8]);
    }
}

#[test]
fn versions_that_are_not_loaded_are_told_once_each_however_many_rows_and_values() {
    let setup = setup();
    let good = setup.seal(&[whole()]).remove(0);
    let frames = [frame_of(&setup, 4), good.clone(), frame_of(&setup, 5), frame_of(&setup, 4), good];
    for results in
        [open(&setup.read(), &some(&frames)[..], 1), open_packed(&setup.read(), &some(&frames)[..], 1)]
    {
        assert_eq!(results.faults, []);
        assert_eq!(results.misses, [dek(0, 4), dek(0, 5)]);
        assert_eq!(results.rows, [vec![], whole(), vec![], vec![], whole()]);
    }
}

#[test]
fn a_payload_misses_its_version_too() {
    let setup = setup().payload(Aes128Gcm, true);
    let results = open(&setup.read(), &some(&[frame_of(&setup, 9)])[..], 1);
    assert_eq!((results.faults.len(), results.misses), (0, vec![dek(1, 9)]));
}

#[test]
fn once_it_is_loaded_the_same_frames_open() {
    let setup = setup();
    let mut lane = setup.read_lane();
    let frames = [frame_of(&setup, 4)];
    assert_eq!(open(&setup.read(), &some(&frames)[..], 1).misses, [dek(0, 4)]);
    lane.deks[0].loaded.insert(4, cipher(Aes256Gcm, 50, 4));
    assert_eq!(open(&table([(ID, lane)]), &some(&frames)[..], 1).all(), [whole()]);
}

fn with_latest(latest: Option<i32>, refused: &[i32]) -> ReadTable {
    let mut lane = setup().read_lane();
    lane.deks[0].latest = latest;
    lane.deks[0].refused = refused.iter().map(|version| (*version, Fault::refused(7))).collect();
    table([(ID, lane)])
}

#[test]
fn versions_that_cannot_exist_are_refused_without_asking() {
    let setup = setup();
    let result = |table: &ReadTable, version| {
        let results = open(table, &some(&[frame_of(&setup, version)])[..], 1);
        (results.faults.first().map(|(_, fault)| fault.code), results.misses.len())
    };
    let table = with_latest(Some(5), &[4]);
    for version in [0, -1, i32::MIN, 7, 8, i32::MAX] {
        assert_eq!(result(&table, version), (Some(Code::UnknownDekVersion), 0), "{version}");
    }
    assert_eq!(result(&table, 6), (None, 1), "the one after the latest may have come since");
    assert_eq!(result(&table, 2), (None, 1));
    assert_eq!(result(&table, 4), (Some(Code::Refused), 0));
    assert_eq!(result(&with_latest(None, &[]), i32::MAX), (None, 1), "before the first refresh nobody knows");
    assert_eq!(result(&with_latest(Some(i32::MAX), &[]), i32::MAX), (None, 1));
}

#[test]
fn a_version_that_does_not_exist_is_told_without_its_number() {
    // The four bytes may be plaintext behind a zero.
    let results = open(&with_latest(Some(5), &[]), &some(&[frame_of(&setup(), 42_424_242)])[..], 1);
    let fault = &results.faults[0].1;
    assert_eq!((fault.code, fault.path.as_deref()), (Code::UnknownDekVersion, Some("t1")));
    assert_eq!(fault.detail, None);
    assert!(!format!("{fault} {fault:?}").contains("42424242"));
}

/// A frame whose two values are under these DEK versions.
fn frame_of_two(setup: &Setup, versions: [i32; 2]) -> Vec<u8> {
    let [first, second] = versions.map(|version| frame_of(setup, version));
    let value =
        |frame: &[u8], which: usize| frame[5..].chunks(frame[5..].len() / 2).nth(which).unwrap().to_vec();
    [&first[..5], &value(&first, 0), &value(&second, 1)].concat()
}

#[test]
fn all_that_one_row_lacks_is_told_at_once() {
    let setup = setup();
    let (both, good) = (frame_of_two(&setup, [4, 5]), setup.seal(&[whole()]).remove(0));
    for frames in [vec![both.clone()], vec![good.clone(), both.clone(), both.clone(), good]] {
        for results in
            [open(&setup.read(), &some(&frames)[..], 1), open_packed(&setup.read(), &some(&frames)[..], 1)]
        {
            assert_eq!((results.faults, results.misses), (vec![], vec![dek(0, 4), dek(0, 5)]));
        }
    }
}

#[test]
fn what_one_row_lacks_beyond_the_room_for_misses_is_neither_told_nor_a_fault_of_it() {
    let setup = setup();
    let frames = [[4, 5], [5, 4], [4, 6]].map(|versions| frame_of_two(&setup, versions));
    let results = open_with(&setup.read(), &some(&frames)[..], 1, 1);
    assert_eq!(results.misses, [dek(0, 4)]);
    assert_eq!(results.codes(), [(1, "too_many_misses")], "the first and the last wait for the one told");
    assert!(results.rows.iter().all(Vec::is_empty));
    let none = open_with(&setup.read(), &some(&frames)[..], 1, 0);
    assert_eq!(none.codes(), [0, 1, 2].map(|row| (row, "too_many_misses")), "each row fails once");
}

#[test]
fn a_row_that_fails_and_lacks_something_too_ends_once_whichever_comes_first() {
    let setup = setup();
    let mut fails_first = frame_of_two(&setup, [3, 4]);
    let at = 5 + (fails_first.len() - 5) / 2 - 10;
    fails_first[at] = if fails_first[at] == b'A' { b'B' } else { b'A' };
    let mut lacks_first = frame_of_two(&setup, [4, 3]);
    let at = lacks_first.len() - 10;
    lacks_first[at] = if lacks_first[at] == b'A' { b'B' } else { b'A' };
    for (frame, faults) in [(fails_first, 1), (lacks_first, 0)] {
        let results = open(&setup.read(), &some(&[frame])[..], 1);
        assert_eq!(results.faults.len(), faults, "{results:?}");
        assert_eq!((results.misses, &results.rows[0]), (vec![dek(0, 4)], &vec![]));
    }
}

#[test]
fn more_than_64_misses_of_one_batch_fail_the_rest() {
    let setup = setup();
    let known = setup.seal(&[whole()]).remove(0);
    let unknown = |id: i32| SchemaRef::Id(1_000 + id).to_bytes();
    let frames: Vec<_> = (0..100).map(unknown).chain([known, unknown(3), unknown(99)]).collect();
    let results = open(&setup.read(), &some(&frames)[..], 1);
    assert_eq!(results.misses.len(), 64);
    assert_eq!(results.rows[100], whole(), "what is known is opened all the same");
    let expected: Vec<_> = (64..100).chain([102]).map(|row| (row, "too_many_misses")).collect();
    assert_eq!(results.codes(), expected, "a miss that was told before is none too many");
}

#[test]
fn a_batch_without_room_for_misses_fails_whatever_is_missing() {
    let setup = setup();
    let frames = [frame_of(&setup, 4), setup.seal(&[whole()]).remove(0), SchemaRef::Id(8).to_bytes()];
    let results = open_with(&setup.read(), &some(&frames)[..], 1, 0);
    assert_eq!(results.codes(), [(0, "too_many_misses"), (2, "too_many_misses")]);
    assert_eq!((results.misses, &results.rows[1]), (vec![], &whole()));
}

#[test]
fn rows_that_miss_are_taken_out_of_every_group_and_chunk() {
    let setup = setup();
    let (good, missing) = (setup.seal(&[whole()]).remove(0), frame_of(&setup, 4));
    for threads in [1, 2] {
        let row = |row: usize| if row.is_multiple_of(7) { missing.clone() } else { good.clone() };
        let frames: Vec<_> = (0..2_000).map(row).collect();
        let results = open(&setup.read(), &some(&frames)[..], threads);
        for (row, bytes) in results.rows.iter().enumerate() {
            assert_eq!(*bytes, if row.is_multiple_of(7) { vec![] } else { whole() }, "row {row}");
        }
        assert_eq!(results.faults, []);
        // Each chunk tells its own, and how many there are is for the pool to say.
        assert!((1..=threads).contains(&results.misses.len()));
        assert!(results.misses.iter().all(|miss| *miss == dek(0, 4)));
    }
}
