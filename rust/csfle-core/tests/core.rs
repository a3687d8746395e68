//! The tests of the core, as one binary: one file for each concept.

// clippy.toml allows these in `#[test]` functions; what those call together is test code too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "core/agreement.rs"]
mod agreement;
#[path = "core/batch.rs"]
mod batch;
#[path = "core/batch_budget.rs"]
mod batch_budget;
#[path = "core/batch_company.rs"]
mod batch_company;
#[path = "core/batch_failures.rs"]
mod batch_failures;
#[path = "core/batch_misses.rs"]
mod batch_misses;
#[path = "core/batch_random.rs"]
mod batch_random;
#[path = "core/batch_sizes.rs"]
mod batch_sizes;
#[path = "core/batch_tampering.rs"]
mod batch_tampering;
#[path = "core/blocks.rs"]
mod blocks;
#[path = "core/cipher.rs"]
mod cipher;
#[path = "core/codec.rs"]
mod codec;
#[path = "core/compile.rs"]
mod compile;
#[path = "core/decimal.rs"]
mod decimal;
#[path = "core/depth.rs"]
mod depth;
#[path = "core/error.rs"]
mod error;
#[path = "core/framing.rs"]
mod framing;
#[path = "core/inheritance.rs"]
mod inheritance;
#[path = "core/kit/mod.rs"]
mod kit;
#[path = "core/many.rs"]
mod many;
#[path = "core/many_lengths.rs"]
mod many_lengths;
#[path = "core/many_wiped.rs"]
mod many_wiped;
#[path = "core/names.rs"]
mod names;
#[path = "core/nonces.rs"]
mod nonces;
#[path = "core/out.rs"]
mod out;
#[path = "core/outline.rs"]
mod outline;
#[path = "core/parallel.rs"]
mod parallel;
#[path = "core/provider.rs"]
mod provider;
#[path = "core/random_schemas.rs"]
mod random_schemas;
#[path = "core/resolve.rs"]
mod resolve;
#[path = "core/schema.rs"]
mod schema;
#[path = "core/seals.rs"]
mod seals;
#[path = "core/secrets.rs"]
mod secrets;
#[path = "core/select.rs"]
mod select;
#[path = "core/shortcuts.rs"]
mod shortcuts;
#[path = "core/tags.rs"]
mod tags;
#[path = "core/tink.rs"]
mod tink;
#[path = "core/unions.rs"]
mod unions;
#[path = "core/upstream.rs"]
mod upstream;
#[path = "core/value.rs"]
mod value;
#[path = "core/varint.rs"]
mod varint;
#[path = "core/vectors.rs"]
mod vectors;
#[path = "core/walk.rs"]
mod walk;
