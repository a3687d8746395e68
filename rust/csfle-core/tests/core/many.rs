//! GCM over many short values: as ring does it, whatever the values, their order and their places.

use std::sync::Arc;

use csfle_core::crypto::{Algorithm, Many, Nonces, Sealer, Slot};
use csfle_core::error::KeyError;

use crate::kit::gcm::{Batch, Oracles};
use crate::kit::lanes::ALGORITHMS;
use crate::kit::providers::{GCM, many};
use crate::kit::random::Choices;

#[test]
fn slots_may_stand_anywhere_and_in_any_order() {
    let mut choices = Choices(0x5107);
    for algorithm in GCM {
        for count in 1..60 {
            let lengths: Vec<usize> = (0..count).map(|_| choices.index(300)).collect();
            let mut batch = Batch::new(&lengths, &mut choices);
            for index in (1..count).rev() {
                batch.swap(index, choices.index(index + 1));
            }
            batch.check(&Oracles::new(algorithm, &mut choices));
        }
    }
}

#[test]
fn every_bit_of_nonce_text_and_tag_counts() {
    let mut choices = Choices(0xB17);
    for algorithm in GCM {
        for text in [0, 1, 15, 16, 17, 48, 49, 128] {
            let oracles = Oracles::new(algorithm, &mut choices);
            let mut batch = Batch::new(&[24, text, 24], &mut choices);
            batch.seal(&oracles.many);
            for bit in 0..8 * (12 + text + 16) {
                batch.check_forged(&oracles.many, &[(1, bit)]);
            }
        }
    }
}

#[test]
fn forged_values_are_told_from_good_ones_wherever_they_stand() {
    let mut choices = Choices(0xF0);
    for algorithm in GCM {
        let oracles = Oracles::new(algorithm, &mut choices);
        for count in [1, 2, 7, 8, 21, 22, 64, 65, 200] {
            let lengths: Vec<usize> = (0..count).map(|_| choices.index(160)).collect();
            let mut batch = Batch::new(&lengths, &mut choices);
            batch.seal(&oracles.many);
            for _ in 0..20 {
                let all: Vec<_> = (0..count).map(|at| (at, choices.index(8 * (28 + lengths[at])))).collect();
                batch.check_forged(&oracles.many, &all);
                let forged: Vec<_> = all.iter().copied().filter(|_| choices.index(3) == 0).collect();
                batch.check_forged(&oracles.many, &forged);
            }
        }
    }
}

#[test]
fn no_slot_is_no_work() {
    for algorithm in GCM {
        let many = many(algorithm, &vec![1; algorithm.key_len()]);
        let mut buffer = [7; 40];
        many.seal(&mut buffer, &[], &mut Nonces::for_chunk(0).unwrap()).unwrap();
        many.open(&mut buffer, &[], &mut []);
        assert_eq!(buffer, [7; 40]);
    }
}

#[test]
fn one_sealer_serves_many_threads_at_once() {
    let oracles = Oracles::new(Algorithm::Aes256Gcm, &mut Choices(0x7));
    std::thread::scope(|scope| {
        for seed in 1..5 {
            let oracles = &oracles;
            scope.spawn(move || {
                let mut choices = Choices(seed);
                for _ in 0..50 {
                    let lengths: Vec<usize> = (0..40).map(|_| choices.index(140)).collect();
                    Batch::new(&lengths, &mut choices).check(oracles);
                }
            });
        }
    });
}

#[test]
fn a_key_must_have_the_length_of_its_algorithm_and_the_algorithm_be_gcm() {
    let long: Arc<dyn Sealer> = Arc::new(many(Algorithm::Aes128Gcm, &[1; 16]));
    for algorithm in ALGORITHMS {
        for length in 0..=65 {
            let expected = match algorithm {
                Algorithm::Aes256Siv => Some(KeyError::UnknownAlgorithm),
                _ if length != algorithm.key_len() => Some(KeyError::WrongLength),
                _ => None,
            };
            let made = Many::new(algorithm, &vec![1; length], long.clone());
            assert_eq!(made.err(), expected, "{algorithm:?}, {length}");
        }
    }
}

/// A slot that does not lie within the buffer is a fault of the caller's, and stops it.
#[test]
#[should_panic(expected = "range end index")]
fn a_slot_beyond_the_buffer_is_never_read() {
    let many = many(Algorithm::Aes128Gcm, &[1; 16]);
    many.open(&mut [0; 40], &[Slot { start: 0, text: 13 }], &mut [false]);
}
