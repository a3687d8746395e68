//! Every bound on work, depth and memory that input from outside can reach, with its reason.
//!
//! Passing one is a typed error, never a panic, a loop or an allocation.

/// Records nested in one datum. Real data stays below a dozen.
pub const RECORD_DEPTH: u32 = 512;

/// Records, arrays and maps nested in one datum: as many records as there may be, each with an array
/// around. What makes rows of bodies and bodies of rows recurses on the C stack: for so many levels the
/// compiled codec takes up to 1 MiB of it and fastavro up to 4, where threads mostly have 8.
pub const NESTING: u32 = 1_024;

/// Nesting of a schema: what Java's parser handles in practice, and far beyond real schemas.
pub const SCHEMA_DEPTH: usize = 256;

/// Nesting of a schema's JSON text, checked before the JSON parser recurses. One level of schema
/// takes at most four of JSON (record, fields, field, type).
pub const JSON_DEPTH: usize = 4 * SCHEMA_DEPTH;

/// A schema text. The largest registered schemas are a few hundred KiB.
pub const SCHEMA_BYTES: usize = 16 << 20;

/// Bytes of a decimal's unscaled value, some 2,400 digits, where rows are made of bodies: the work of
/// turning it into a number grows with the square of its length.
pub const DECIMAL_BYTES: usize = 1_024;

/// Items that take no bytes (an array of null or of empty records) cost work but no input: a row
/// may hold this many, and [`ZERO_ITEMS_PER_BYTE`] more for each byte of its body.
pub const ZERO_ITEMS: u64 = 65_536;

/// See [`ZERO_ITEMS`].
pub const ZERO_ITEMS_PER_BYTE: u64 = 16;

/// Ops that record types written out in place may add up to; beyond it a record type becomes a
/// procedure that is called. Bounds the plan of a schema that uses types in a widening DAG.
pub const INLINE_OPS: usize = 8_192;

/// Ops of a whole plan. Reached only by schemas made to reach it.
pub const PLAN_OPS: usize = 4 << 20;

/// Distinct misses that one pass over a batch reports; the rest of the rows that miss fail.
/// A batch of hostile frames must not turn into a storm of registry requests.
pub const MISSES_PER_BATCH: usize = 64;
