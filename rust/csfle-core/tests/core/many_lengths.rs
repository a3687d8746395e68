//! Every length up to 1,100 bytes and every batch of up to 200 values: the same bytes as ring and as
//! `RustCrypto`'s aes-gcm, both ways, and forged values refused.

use crate::kit::gcm::{Batch, Oracles};
use crate::kit::providers::GCM;
use crate::kit::random::Choices;

const LONGEST: usize = 1_100;
const LARGEST: usize = 200;

/// Nothing but a tag; a part of a block; as much as one step of the hash takes; and the longest that are
/// worked on together.
const EDGES: [usize; 4] = [0, 24, 48, 128];

#[test]
fn every_length_and_every_size_of_a_batch() {
    let mut choices = Choices(0x1E46);
    for algorithm in GCM {
        let oracles = Oracles::new(algorithm, &mut choices);
        let (mut any, mut short) = ((0..=LONGEST).cycle(), (0..=130).cycle());
        let mut lengths_seen = std::collections::HashSet::new();
        for size in 1..=LARGEST {
            // Every second value is short, so that groups of many values are met beside long ones.
            let length = |at| if at % 2 == 0 { any.next() } else { short.next() };
            let lengths: Vec<usize> = (0..size).filter_map(length).collect();
            lengths_seen.extend(lengths.iter().copied());
            assert_eq!(lengths.len(), size);
            Batch::new(&lengths, &mut choices).check(&oracles);
        }
        assert!((0..=LONGEST).all(|length| lengths_seen.contains(&length)));
    }
}

#[test]
fn every_size_of_a_batch_of_one_length() {
    let mut choices = Choices(0xED6E);
    for algorithm in GCM {
        let oracles = Oracles::new(algorithm, &mut choices);
        for length in EDGES {
            for size in 1..=LARGEST {
                Batch::new(&vec![length; size], &mut choices).check(&oracles);
            }
        }
    }
}

#[test]
fn every_length_in_batches_of_a_few() {
    let mut choices = Choices(0xFE3);
    for algorithm in GCM {
        let oracles = Oracles::new(algorithm, &mut choices);
        for length in 0..=LONGEST {
            for size in [1, 2, 7] {
                Batch::new(&vec![length; size], &mut choices).check(&oracles);
            }
        }
    }
}

/// All of it, 44 million values: CONTRIBUTING.md has the command.
#[test]
#[ignore = "44 million values: two minutes with optimisation, and hours without; the tests above take each length and each size"]
fn every_length_in_every_size_of_a_batch() {
    let mut choices = Choices(0xA11);
    for algorithm in GCM {
        let oracles = Oracles::new(algorithm, &mut choices);
        for length in 0..=LONGEST {
            for size in 1..=LARGEST {
                Batch::new(&vec![length; size], &mut choices).check(&oracles);
            }
        }
    }
}
