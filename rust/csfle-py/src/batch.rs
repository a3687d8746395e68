//! What a call on a batch gives back.

use csfle_core::avro::Arena;
use csfle_core::avro::limits::MISSES_PER_BATCH;
use csfle_core::batch::{Counts, Outcome, Packed, Rows};
use csfle_core::framing::SchemaRef;
use csfle_core::lane::Miss;
use csfle_core::parallel;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::errors::{RowFault, misuse, row_fault};
use crate::input::Borrowed;

/// Below this much input, letting other Python threads run costs more than it gives.
const DETACH_BYTES: usize = 2_048;

/// What a row counts as beside its bytes: it may hold items that take none.
const DETACH_ROW: usize = 128;

/// Threads for batches. A forked child needs its own.
#[pyclass(frozen, module = "csfle_fast._core")]
#[derive(Default)]
pub struct Pool(pub parallel::Pool);

#[pymethods]
impl Pool {
    #[new]
    fn new() -> Self {
        Self::default()
    }
}

/// Runs `work` on `rows` without the GIL if there is enough of it.
pub fn detached<T: Send>(py: Python<'_>, rows: &Borrowed<'_>, work: impl Send + FnOnce() -> T) -> T {
    let size = rows.bytes() + rows.len() * DETACH_ROW;
    if size < DETACH_BYTES { work() } else { py.detach(work) }
}

/// A miss as Python takes it: `("id", id)`, `("guid", bytes)` or `("dek", lane, rule, version)`.
#[derive(IntoPyObject)]
pub enum PyMiss<'py> {
    Id(&'static str, i32),
    Guid(&'static str, Bound<'py, PyBytes>),
    Dek(&'static str, u32, u16, i32),
}

/// What was done: `(sealed, opened, passed, tombstones, exhausted)`.
type Done = (u64, u64, u64, usize, u64);

/// `(values, faults, misses, lanes, done)`.
pub type BatchResult<'py> = (Bound<'py, PyAny>, Vec<RowFault>, Vec<PyMiss<'py>>, Vec<Option<u32>>, Done);

/// Chunks of a list result as a list of bytes; None where a row failed or is a tombstone.
pub fn list_result<'py>(
    py: Python<'py>,
    rows: &Borrowed<'_>,
    chunks: Vec<(Arena, Outcome)>,
    refusals: &[(String, String)],
) -> PyResult<BatchResult<'py>> {
    // With something missing the batch is run again as a whole: no value is looked at.
    let incomplete = chunks.iter().any(|(_, outcome)| !outcome.misses.is_empty());
    let values = chunks.iter().flat_map(|(arena, outcome)| {
        let mut failed = outcome.faults.iter().map(|(row, _)| *row).peekable();
        let mut start = 0;
        outcome.rows.clone().zip(&outcome.ends).map(move |(row, end)| {
            let bytes = &arena.as_slice()[start..*end];
            start = *end;
            let lost = failed.next_if_eq(&row).is_some() || incomplete || rows.row(row).is_none();
            (!lost).then(|| PyBytes::new(py, bytes))
        })
    });
    let list = PyList::new(py, Exact { values, left: rows.len() })?;
    Ok(result(
        py,
        list.into_any(),
        rows.tombstones(),
        chunks.into_iter().map(|(_, outcome)| outcome).collect(),
        refusals,
    ))
}

/// Bodies that no rule touches, each behind `frame`: made in the objects that are given out.
pub fn framed_list<'py>(py: Python<'py>, rows: &Borrowed<'_>, frame: &[u8]) -> PyResult<BatchResult<'py>> {
    let framed = |body: &[u8]| {
        PyBytes::new_with(py, frame.len() + body.len(), |place| {
            let (front, behind) = place.split_at_mut(frame.len());
            front.copy_from_slice(frame);
            behind.copy_from_slice(body);
            Ok(())
        })
    };
    let values = (0..rows.len()).map(|row| rows.row(row).map(framed).transpose());
    let values = PyList::new(py, values.collect::<PyResult<Vec<_>>>()?)?;
    Ok(result(py, values.into_any(), rows.tombstones(), Vec::new(), &[]))
}

/// The result of a list of one row. `fill` writes it into a place of `size` bytes, which may turn out
/// too large.
pub fn one_result<'py>(
    py: Python<'py>,
    rows: &Borrowed<'_>,
    size: usize,
    fill: impl FnOnce(&mut [u8]) -> Outcome,
    refusals: &[(String, String)],
) -> PyResult<BatchResult<'py>> {
    let end = |outcome: &Outcome| outcome.ends.last().copied().unwrap_or(0);
    let (bytes, outcome) = written(py, size, fill, end)?;
    let lost = !outcome.faults.is_empty() || !outcome.misses.is_empty() || rows.row(0).is_none();
    let values = PyList::new(py, [(!lost).then_some(bytes)])?;
    Ok(result(py, values.into_any(), rows.tombstones(), vec![outcome], refusals))
}

/// An iterator whose length is known although its parts' is not added up: a list is made at its
/// final size.
struct Exact<I> {
    values: I,
    left: usize,
}

impl<I: Iterator> Iterator for Exact<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        self.left = self.left.saturating_sub(1);
        self.values.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<I: Iterator> ExactSizeIterator for Exact<I> {}

/// A packed result as `(bytes, bytes of int64 offsets)`. `fill` writes it into a buffer of `size`
/// bytes, which may turn out too large.
pub fn packed_result<'py>(
    py: Python<'py>,
    size: usize,
    fill: impl FnOnce(&mut [u8]) -> Packed,
    refusals: &[(String, String)],
) -> PyResult<BatchResult<'py>> {
    let end = |packed: &Packed| packed.offsets.last().and_then(|end| usize::try_from(*end).ok()).unwrap_or(0);
    let (buffer, Packed { offsets, outcomes }) = written(py, size, fill, end)?;
    let offsets = PyBytes::new_with(py, offsets.len() * size_of::<i64>(), |bytes| {
        for (place, offset) in bytes.chunks_exact_mut(size_of::<i64>()).zip(&offsets) {
            place.copy_from_slice(&offset.to_ne_bytes());
        }
        Ok(())
    })?;
    let pair = (buffer, offsets).into_pyobject(py)?.into_any();
    Ok(result(py, pair, 0, outcomes, refusals))
}

/// Bytes that `fill` writes into a place of `size`, cut where what it gives says that they end.
fn written<T>(
    py: Python<'_>,
    size: usize,
    fill: impl FnOnce(&mut [u8]) -> T,
    end: impl FnOnce(&T) -> usize,
) -> PyResult<(Bound<'_, PyBytes>, T)> {
    let mut given = None;
    let bytes = PyBytes::new_with(py, size, |place| {
        given = Some(fill(place));
        Ok(())
    })?;
    let given = given.ok_or_else(|| misuse("nothing was written"))?;
    let used = end(&given);
    Ok((if used < size { PyBytes::new(py, &bytes.as_bytes()[..used]) } else { bytes }, given))
}

fn result<'py>(
    py: Python<'py>,
    values: Bound<'py, PyAny>,
    tombstones: usize,
    outcomes: Vec<Outcome>,
    refusals: &[(String, String)],
) -> BatchResult<'py> {
    let (mut faults, mut misses, mut lanes, mut counts) =
        (Vec::new(), Vec::new(), Vec::new(), Counts::default());
    for outcome in outcomes {
        faults.extend(outcome.faults.into_iter().map(|fault| row_fault(fault, refusals)));
        misses.extend(outcome.misses);
        lanes.extend(outcome.lanes);
        counts += outcome.counts;
    }
    if !misses.is_empty() {
        let mut seen = std::collections::HashSet::new();
        misses.retain(|miss| seen.insert(*miss)); // chunks may have missed the same
        misses.truncate(MISSES_PER_BATCH); // each chunk keeps to it, and all together do
    }
    let misses = misses.into_iter().map(|miss| match miss {
        Miss::Schema(SchemaRef::Id(id)) => PyMiss::Id("id", id),
        Miss::Schema(SchemaRef::Guid(guid)) => PyMiss::Guid("guid", PyBytes::new(py, &guid)),
        Miss::Dek { lane, rule, version } => PyMiss::Dek("dek", lane, rule, version),
    });
    let done = (counts.sealed, counts.opened, counts.passed, tombstones, counts.exhausted);
    (values, faults, misses.collect(), lanes, done)
}
