//! Batches: walk and fill over many rows, with one outcome per row.

mod budget;
mod group;
mod pack;
mod read;
mod stage;
mod whole;
mod write;

use std::ops::Range;

pub use pack::Packed;
pub use whole::{Decryption, Encryption};

use crate::error::Fault;
use crate::lane::Miss;

/// The rows of a batch, by position.
pub trait Rows: Sync {
    /// How many.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A row's bytes; None for a tombstone.
    fn row(&self, index: usize) -> Option<&[u8]>;

    /// The value of the row's schema id header, where it has one.
    fn header(&self, _index: usize) -> Option<&[u8]> {
        None
    }
}

impl Rows for [Option<&[u8]>] {
    fn len(&self) -> usize {
        <[_]>::len(self)
    }

    fn row(&self, index: usize) -> Option<&[u8]> {
        self[index]
    }
}

/// What happened to the rows of a chunk, without their bytes.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The rows of the batch that the chunk is.
    pub rows: Range<usize>,
    /// Where each row ends in the chunk's output. Failed rows and tombstones are empty.
    pub ends: Vec<usize>,
    /// Rows that failed, by position in the batch, in order.
    pub faults: Vec<(usize, Fault)>,
    /// What was missing, each thing once. Rows that missed something are empty and not among the
    /// faults: run the batch again with what was missing, or with no room for misses.
    pub misses: Vec<Miss>,
    /// The lane of each row on READ, where one was found.
    pub lanes: Vec<Option<u32>>,
    /// What was done.
    pub counts: Counts,
}

/// Counters of one chunk or batch.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Field values and payloads sealed.
    pub sealed: u64,
    /// Field values and payloads opened.
    pub opened: u64,
    /// Tagged values of another type that a union let pass.
    pub passed: u64,
    /// Times that a DEK's budget was passed, or had no room for what was to be sealed.
    pub exhausted: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.sealed += other.sealed;
        self.opened += other.opened;
        self.passed += other.passed;
        self.exhausted += other.exhausted;
    }
}
