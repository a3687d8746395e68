//! A key made ready by each code that there is for its algorithm, whatever this machine would take.

use std::sync::Arc;

use csfle_core::crypto::{Algorithm, Cipher, Many, Prepared, Provider};

use super::lanes::{ALGORITHMS, proto};

/// The algorithms that have more than one provider.
pub const GCM: [Algorithm; 2] = [Algorithm::Aes128Gcm, Algorithm::Aes256Gcm];

/// `many` without a check and on any machine.
pub fn many(algorithm: Algorithm, key: &[u8]) -> Many {
    let ring = Provider::Ring.prepare(algorithm, key).unwrap().sealer;
    Many::new(algorithm, key, ring).unwrap()
}

/// A cipher by each provider, with this key and version.
pub fn ciphers_of(algorithm: Algorithm, key: &[u8], version: i32) -> Vec<Cipher> {
    let ring = Cipher::new(algorithm, &proto(algorithm, key), version, Provider::Ring).unwrap();
    if algorithm == Algorithm::Aes256Siv {
        return vec![ring]; // it has one implementation, whatever is asked for
    }
    let many = Prepared { sealer: Arc::new(many(algorithm, key)), provider: "many", fell_back: false };
    vec![ring, Cipher::of(algorithm, version, many)]
}

/// A cipher by each provider of each algorithm, with a key that is `seed` all over.
pub fn ciphers(seed: u8) -> Vec<Cipher> {
    let of = |algorithm: Algorithm| ciphers_of(algorithm, &vec![seed; algorithm.key_len()], 1);
    ALGORITHMS.into_iter().flat_map(of).collect()
}
