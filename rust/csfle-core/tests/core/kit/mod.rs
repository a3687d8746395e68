//! What the tests share: schemas, bodies, plans, keys and batches in few words.

pub mod bodies;
pub mod gcm;
pub mod lanes;
pub mod plans;
pub mod providers;
pub mod random;

use std::path::PathBuf;

use serde_json::Value;

/// A file of the vectors that all tests of the project share.
pub fn vectors(name: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Bytes from hexadecimal digits.
pub fn hex(digits: &str) -> Vec<u8> {
    assert!(digits.len().is_multiple_of(2), "an odd number of digits");
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}
