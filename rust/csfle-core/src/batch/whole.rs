//! Whole batches, in chunks over threads.

use std::ops::Range;

use super::pack::{Packed, pack};
use super::{Outcome, Rows, read, write};
use crate::avro::{Arena, Fixed, Walker};
use crate::lane::{ReadTable, WriteLane};
use crate::parallel::{Pool, chunks};

/// Estimated nanoseconds that a row costs, whatever its size.
const ROW_COST: usize = 30;

/// Estimated nanoseconds that sealing or opening one value costs.
const VALUE_COST: usize = 100;

/// A batch that is to be encrypted.
#[derive(Clone, Copy)]
pub struct Encryption<'a, R: ?Sized> {
    /// The snapshot that it works with.
    pub write: &'a WriteLane,
    /// The bodies.
    pub rows: &'a R,
    /// Where threads come from.
    pub pool: &'a Pool,
    /// How many may work at once.
    pub threads: usize,
}

/// A batch that is to be decrypted.
#[derive(Clone, Copy)]
pub struct Decryption<'a, R: ?Sized> {
    /// The snapshot that it works with.
    pub table: &'a ReadTable,
    /// The frames.
    pub rows: &'a R,
    /// How many misses may be reported.
    pub misses: usize,
    /// Where threads come from.
    pub pool: &'a Pool,
    /// How many may work at once.
    pub threads: usize,
}

impl<R: Rows + ?Sized> Encryption<'_, R> {
    fn chunks(&self) -> Vec<Range<usize>> {
        let lane = &self.write.lane;
        let values = lane.plan.leaves.len() + lane.payload.len();
        chunks(self.rows.len(), self.rows.len() * (ROW_COST + values * VALUE_COST), self.threads)
    }

    /// The frames, one arena a chunk.
    pub fn to_arenas(&self) -> Vec<(Arena, Outcome)> {
        let chunks = self.chunks();
        self.pool.run(chunks, |chunk| {
            let bytes = chunk.clone().filter_map(|row| self.rows.row(row)).map(<[u8]>::len).sum();
            let mut arena = Arena::with_room(write::likely_size(self.write, chunk.len(), bytes));
            let outcome = write::encrypt(self.write, self.rows, chunk, &mut arena);
            (arena, outcome)
        })
    }

    /// At most the bytes of the frame of one row.
    pub fn size(&self, row: usize) -> usize {
        let mut walker = Walker::default();
        self.rows.row(row).map_or(0, |body| write::encrypted_size(self.write, &mut walker, body))
    }

    /// The frames in a place that has room for them, in this thread.
    pub fn to_place(&self, place: &mut [u8]) -> Outcome {
        write::encrypt(self.write, self.rows, 0..self.rows.len(), &mut Fixed::new(place))
    }

    /// Bytes of each frame.
    pub fn sizes(&self) -> Vec<usize> {
        let chunks = self.chunks();
        let sizes = self.pool.run(chunks, |chunk| {
            let mut walker = Walker::default();
            let size = |row| {
                self.rows.row(row).map_or(0, |body| write::encrypted_size(self.write, &mut walker, body))
            };
            chunk.map(size).collect::<Vec<_>>()
        });
        joined(sizes)
    }

    /// The frames in one buffer that has room for [`Self::sizes`].
    pub fn to_buffer(&self, buffer: &mut [u8], sizes: &[usize]) -> Packed {
        pack(self.pool, buffer, sizes, &self.chunks(), |chunk, place| {
            write::encrypt(self.write, self.rows, chunk, place)
        })
    }
}

impl<R: Rows + ?Sized> Decryption<'_, R> {
    fn chunks(&self) -> Vec<Range<usize>> {
        // Which lane a row has is known only once it is looked at: the costliest speaks for all.
        let values =
            self.table.lanes.iter().map(|read| read.lane.plan.leaves.len() + read.lane.payload.len()).max();
        let cost = ROW_COST + values.unwrap_or(0) * VALUE_COST;
        chunks(self.rows.len(), self.rows.len() * cost, self.threads)
    }

    /// The bodies, one arena a chunk.
    pub fn to_arenas(&self) -> Vec<(Arena, Outcome)> {
        let chunks = self.chunks();
        self.pool.run(chunks, |chunk| {
            // Opening never makes a row longer.
            let most = chunk.clone().filter_map(|row| self.rows.row(row)).map(<[u8]>::len).sum();
            let mut arena = Arena::with_room(most);
            let outcome = read::decrypt(self.table, self.rows, chunk, self.misses, &mut arena);
            (arena, outcome)
        })
    }

    /// At most the bytes of the body of one row.
    pub fn size(&self, row: usize) -> usize {
        read::decrypted_size(self.table, &mut Walker::default(), self.rows, row)
    }

    /// The bodies in a place that has room for them, in this thread.
    pub fn to_place(&self, place: &mut [u8]) -> Outcome {
        read::decrypt(self.table, self.rows, 0..self.rows.len(), self.misses, &mut Fixed::new(place))
    }

    /// At most the bytes of each body.
    pub fn sizes(&self) -> Vec<usize> {
        let chunks = self.chunks();
        let sizes = self.pool.run(chunks, |chunk| {
            let mut walker = Walker::default();
            chunk.map(|row| read::decrypted_size(self.table, &mut walker, self.rows, row)).collect::<Vec<_>>()
        });
        joined(sizes)
    }

    /// The bodies in one buffer that has room for [`Self::sizes`].
    pub fn to_buffer(&self, buffer: &mut [u8], sizes: &[usize]) -> Packed {
        pack(self.pool, buffer, sizes, &self.chunks(), |chunk, place| {
            read::decrypt(self.table, self.rows, chunk, self.misses, place)
        })
    }
}

/// The sizes of all chunks; those of a single chunk are not copied.
fn joined(mut sizes: Vec<Vec<usize>>) -> Vec<usize> {
    match sizes.len() {
        1 => sizes.swap_remove(0),
        _ => sizes.concat(),
    }
}
