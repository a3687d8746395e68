//! Confluent client-side field level encryption on Avro bytes.
//!
//! [`schema`] turns the registry's JSON into a table, [`avro`] compiles plans and walks bodies,
//! [`crypto`] seals and opens values, and [`batch`] joins them over many rows. [`avro`] and
//! [`crypto`] know nothing of each other.

pub mod avro;
pub mod batch;
mod copy;
pub mod crypto;
pub mod error;
mod fill;
pub mod framing;
pub mod lane;
pub mod parallel;
pub mod schema;
pub mod value;
