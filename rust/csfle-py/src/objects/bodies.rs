//! Bodies that were made of rows, on their way into frames.

use csfle_core::avro::{Arena, Out};
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyIterator, PyTuple};

/// Most bytes of an arena before anything is in it.
const MOST_ROOM: usize = 4 << 20;

/// Bodies one after the other in an arena of their own: no copy of them is made to hand them on.
#[pyclass(frozen, sequence, module = "csfle_fast._core")]
pub struct Bodies {
    arena: Arena,
    /// Where each starts, and where the last ends: one more than there are.
    offsets: Vec<i64>,
}

impl Bodies {
    /// None yet, with room for so many of so many bytes; for more than [`MOST_ROOM`] only when they come.
    pub fn with_room(bodies: usize, bytes_of_each: usize) -> Self {
        let mut offsets = Vec::with_capacity(bodies + 1);
        offsets.push(0);
        Self { arena: Arena::with_room(bodies.saturating_mul(bytes_of_each).min(MOST_ROOM)), offsets }
    }

    /// Where the next one is written.
    pub fn arena(&mut self) -> &mut Arena {
        &mut self.arena
    }

    /// What was written since the last one is one.
    pub fn end_of_body(&mut self) {
        self.offsets.push(i64::try_from(self.arena.len()).unwrap_or(i64::MAX));
    }

    /// How many, and bytes of all.
    pub fn size(&self) -> (usize, usize) {
        (self.offsets.len() - 1, self.arena.len())
    }

    /// All bytes, and where the bodies stand in them.
    pub fn parts(&self) -> (&[u8], &[i64]) {
        (self.arena.as_slice(), &self.offsets)
    }
}

#[pymethods]
impl Bodies {
    fn __len__(&self) -> usize {
        self.size().0
    }

    fn __getitem__<'py>(&self, py: Python<'py>, index: usize) -> PyResult<Bound<'py, PyBytes>> {
        self.body(py, index).ok_or_else(|| PyIndexError::new_err("no such body"))
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        PyTuple::new(py, (0..self.size().0).filter_map(|index| self.body(py, index)).collect::<Vec<_>>())?
            .try_iter()
    }
}

impl Bodies {
    fn body<'py>(&self, py: Python<'py>, index: usize) -> Option<Bound<'py, PyBytes>> {
        let [start, end] = self.offsets.get(index..)?.first_chunk()?;
        let place = usize::try_from(*start).ok()?..usize::try_from(*end).ok()?;
        self.arena.as_slice().get(place).map(|body| PyBytes::new(py, body))
    }
}
