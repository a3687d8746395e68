//! Values of all sizes, and the room that is set aside for their rows.

use std::collections::HashMap;

use csfle_core::avro::{Arena, Out};
use csfle_core::batch::Encryption;
use csfle_core::crypto::Algorithm::{Aes128Gcm, Aes256Gcm};
use csfle_core::lane::DekVersions;
use csfle_core::parallel::Pool;

use crate::kit::bodies::body;
use crate::kit::lanes::{ALGORITHMS, ID, Setup, cipher, open, open_packed, seal, seal_packed, some, table};
use crate::kit::plans::{field, record, record_of};

const KIB: usize = 1 << 10;

/// Sizes of the values of one row, around what is worked on at once: 48 KiB.
const ROWS: [[usize; 3]; 9] = [
    [47 * KIB, 40 * KIB, 0],
    [40 * KIB, 0, 47 * KIB],
    [0, 47 * KIB, 40 * KIB],
    [1 << 20, 0, 0],
    [0, 1 << 20, 5],
    [48 * KIB, 48 * KIB, 48 * KIB],
    [48 * KIB - 28, 1, 48 * KIB - 29],
    [48 * KIB - 33, 48 * KIB + 1, 0],
    [1, 1, 1],
];

fn three() -> String {
    record_of(&[("t1", "string"), ("t2", "bytes"), ("t3", "string")])
}

fn row(sizes: &[usize; 3]) -> Vec<u8> {
    let [one, two, three] = *sizes;
    body().text("x".repeat(one)).text(vec![0xF5; two]).text("é".repeat(three / 2)).0
}

fn round_trip(setup: &Setup, bodies: &[Vec<u8>]) {
    let (write, read) = (setup.write(), setup.read());
    let frames = seal(&write, &some(bodies), 1).all();
    let packed = seal_packed(&write, &some(bodies), 1).all();
    // Compared without printing megabytes where they differ.
    assert!(open(&read, &some(&packed)[..], 1).all() == bodies);
    assert!(open_packed(&read, &some(&frames)[..], 1).all() == bodies);
}

#[test]
fn values_around_the_size_that_is_worked_on_at_once_go_through() {
    let bodies: Vec<_> = ROWS.iter().map(row).collect();
    for algorithm in ALGORITHMS {
        for prefixed in [false, true] {
            let setup = || Setup::new(&three(), algorithm, prefixed);
            for body in &bodies {
                round_trip(&setup(), std::slice::from_ref(body));
            }
            round_trip(&setup(), &bodies);
            round_trip(&setup().payload(algorithm, true), &bodies);
            let twice = three().replace(r#"["PII"]"#, r#"["PII","B"]"#);
            round_trip(&Setup::new(&twice, algorithm, prefixed).rule(&["B"], Aes256Gcm, true), &bodies);
        }
    }
}

#[test]
fn large_values_of_several_versions_take_turns() {
    let json = record_of(&[("t1", "bytes"), ("t2", "bytes")]);
    let setup = Setup::new(&json, Aes128Gcm, true);
    let ciphers = [1u8, 2].map(|version| (i32::from(version), cipher(Aes128Gcm, version, version.into())));
    let frame = |row: usize, body: &[u8]| {
        let mut write = setup.write();
        write.ciphers = vec![ciphers[row % 2].1.clone()];
        seal(&write, &[Some(body)], 1).all().remove(0)
    };
    let sizes = [47 * KIB, 40 * KIB, 1, 100 * KIB, 47 * KIB, 0, 24 * KIB, 24 * KIB];
    let bodies: Vec<_> = sizes.windows(2).map(|s| body().text(vec![1; s[0]]).text(vec![2; s[1]]).0).collect();
    let frames: Vec<_> = bodies.iter().enumerate().map(|(row, body)| frame(row, body)).collect();
    let mut lane = setup.read_lane();
    lane.deks = vec![DekVersions { loaded: HashMap::from(ciphers.clone()), ..DekVersions::default() }];
    let read = table([(ID, lane)]);
    assert!(open(&read, &some(&frames)[..], 1).all() == bodies);
    assert!(open_packed(&read, &some(&frames)[..], 1).all() == bodies);
}

#[test]
fn a_large_value_that_fails_leaves_those_around_it_right() {
    let setup = Setup::new(&record_of(&[("t", "bytes")]), Aes256Gcm, false);
    let sizes = [47 * KIB, 40 * KIB, 1 << 20, 7, 47 * KIB];
    let bodies: Vec<_> = sizes.iter().map(|size| body().text(vec![9; *size]).0).collect();
    let frames = setup.seal(&bodies);
    for failed in 0..sizes.len() {
        let mut frames = frames.clone();
        *frames[failed].last_mut().unwrap() ^= 1;
        let results = open(&setup.read(), &some(&frames)[..], 1);
        assert_eq!(results.codes(), [(failed, "authentication_failed")]);
        for (row, bytes) in results.rows.iter().enumerate() {
            assert!(if row == failed { bytes.is_empty() } else { *bytes == bodies[row] }, "row {row}");
        }
    }
}

/// Bytes of the frames of a batch, and those that were set aside for them.
fn written_and_room(setup: &Setup, bodies: &[Vec<u8>], threads: usize) -> (usize, usize) {
    let pool = Pool::default();
    let rows = some(bodies);
    let batch = Encryption { write: &setup.write(), rows: &rows[..], pool: &pool, threads };
    let arenas = batch.to_arenas();
    assert!(arenas.iter().all(|(_, outcome)| outcome.faults.is_empty()));
    (arenas.iter().map(|(arena, _)| arena.len()).sum(), arenas.iter().map(|(arena, _)| arena.room()).sum())
}

#[test]
fn the_room_that_is_set_aside_is_in_proportion_to_the_bytes_however_many_leaves_a_schema_has() {
    // What a row may hold says nothing of what it does hold: one byte, or 200 nulls, or 200 values.
    let leaves: Vec<String> = (0..200).map(|n| field(&format!("t{n}"), r#"["null","string"]"#)).collect();
    let optional = format!(r#"["null",{}]"#, record(&leaves.join(",")));
    let nulls = (0..200).fold(body().long(1), |body, _| body.long(0)).0;
    let values = (0..200).fold(body().long(1), |body, _| body.long(1).text("x")).0;
    for algorithm in ALGORITHMS {
        let setup = Setup::new(&optional, algorithm, true);
        for body in [&[0][..], &nulls, &values] {
            for threads in [1, 2] {
                let (written, room) = written_and_room(&setup, &vec![body.to_vec(); 1_000], threads);
                assert!(room <= 4 * written, "{room} bytes for {written}, {algorithm:?}");
            }
        }
    }
}

#[test]
fn an_arena_has_the_room_that_it_was_given_and_grows_where_that_was_too_little() {
    let mut arena = Arena::with_room(10);
    assert_eq!((arena.room(), arena.as_slice()), (10, &[][..]));
    assert!(arena.put(b"0123456789"));
    assert_eq!(arena.room(), 10);
    assert!(arena.put(b"a"));
    assert!(arena.room() >= 11);
    assert_eq!(arena.as_slice(), b"0123456789a");
}
