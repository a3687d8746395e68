//! Nonces: never twice, whoever draws.

use std::collections::HashSet;

use csfle_core::crypto::Nonces;

fn draw(expected: usize, count: usize) -> Vec<[u8; 12]> {
    let mut nonces = Nonces::for_chunk(expected).unwrap();
    (0..count).map(|_| nonces.draw().unwrap()).collect()
}

fn assert_distinct(drawn: &[[u8; 12]]) {
    assert_eq!(drawn.iter().collect::<HashSet<_>>().len(), drawn.len());
}

#[test]
fn a_million_nonces_of_many_chunks_and_threads_are_distinct() {
    let drawn: Vec<[u8; 12]> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| (0..250).flat_map(|_| draw(1_000, 1_000)).collect::<Vec<_>>()))
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(drawn.len(), 1_000_000);
    assert_distinct(&drawn);
}

#[test]
fn chunks_of_a_few_values_never_repeat_each_other() {
    for expected in 0..=6 {
        assert_distinct(&(0..2_000).flat_map(|_| draw(expected, expected.max(1))).collect::<Vec<_>>());
    }
}

#[test]
fn more_may_be_drawn_than_was_expected() {
    for expected in [0, 1, 5, 6, 63, 64, 65] {
        assert_distinct(&draw(expected, 1_000));
    }
}

#[test]
fn no_nonce_is_left_at_zero() {
    for expected in [0, 1, 5, 6, 100] {
        assert!(draw(expected, 200).iter().all(|nonce| *nonce != [0; 12]));
    }
}
