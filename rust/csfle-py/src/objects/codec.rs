//! What Python calls for a batch of rows, or of bodies.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use csfle_core::avro::Out;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};

use super::bodies::Bodies;
use super::decode::decode;
use super::encode::encode;
use super::program::Program;
use super::slow::Slow;
use crate::schema::Schema;

/// A schema compiled for rows.
#[pyclass(frozen, module = "csfle_fast._core")]
pub struct RowCodec {
    program: Program,
    /// Bytes that a body is likely to take: a little more than the last batch's took on average.
    likely_bytes: AtomicUsize,
}

/// Bodies, the row of each where some rows have none, and how many rows are None.
type Encoded = (Bodies, Option<Vec<usize>>, usize);

/// A body is likely to be about so long, before any was seen. The arena grows where it is not.
const LIKELY_BYTES: usize = 64;

/// No body is expected to be longer, whatever was seen.
const MOST_LIKELY_BYTES: usize = 4096;

#[pymethods]
impl RowCodec {
    #[new]
    #[allow(clippy::needless_pass_by_value)] // pyo3 hands over owned values
    fn new(
        py: Python<'_>,
        schema: &Schema,
        left: HashSet<String>,
        foreign: HashSet<String>,
    ) -> PyResult<Self> {
        let program = Program::compile(py, &schema.0, &left, &foreign)?;
        Ok(Self { program, likely_bytes: AtomicUsize::new(LIKELY_BYTES) })
    }

    /// Bodies of rows. For a row that is not for us `slow(index, row)` gives its body, or None.
    fn encode(&self, rows: &Bound<'_, PyTuple>, slow: &Bound<'_, PyAny>) -> PyResult<Encoded> {
        let py = rows.py();
        let mut bodies = Bodies::with_room(rows.len(), self.likely_bytes.load(Relaxed));
        let mut kept = Vec::with_capacity(rows.len());
        let mut tombstones = 0;
        for (index, row) in rows.iter_borrowed().enumerate() {
            if row.is_none() {
                tombstones += 1;
                continue;
            }
            let arena = bodies.arena();
            let start = arena.len();
            if let Err(reason) = encode(&self.program, &row, arena) {
                arena.truncate(start);
                reason.interrupt(py)?;
                let Some(body) = slow.call1((index, row))?.extract::<Option<Bound<'_, PyBytes>>>()? else {
                    continue;
                };
                arena.put(body.as_bytes());
            }
            bodies.end_of_body();
            kept.push(index);
        }
        if let (count @ 1.., bytes) = bodies.size() {
            let likely = bytes / count;
            self.likely_bytes.store((likely + likely / 8 + 8).min(MOST_LIKELY_BYTES), Relaxed);
        }
        let kept = (kept.len() != rows.len()).then_some(kept);
        Ok((bodies, kept, tombstones))
    }
}

/// Rows of bodies, each by its own codec; a body that is None is a row that is None. For a body that is
/// not for us, or has no codec, `slow(index)` gives the row.
///
/// A body is looked at as a slice from here on: where it lies does not matter.
#[pyfunction]
pub fn decode_rows<'py>(
    bodies: &Bound<'py, PyTuple>,
    codecs: &Bound<'py, PyTuple>,
    slow: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyList>> {
    let py = bodies.py();
    if bodies.len() != codecs.len() {
        return Err(PyRuntimeError::new_err("as many codecs as bodies are needed"));
    }
    let mut rows = Vec::with_capacity(bodies.len());
    for (index, (body, codec)) in bodies.iter_borrowed().zip(codecs.iter_borrowed()).enumerate() {
        let row = match (body.cast_exact::<PyBytes>(), codec.cast_exact::<RowCodec>()) {
            _ if body.is_none() => Ok(py.None().into_bound(py)),
            (Ok(body), Ok(codec)) => decode(py, &codec.get().program, body.as_bytes()),
            _ => Err(Slow::Row),
        };
        rows.push(match row {
            Ok(row) => row,
            Err(reason) => {
                reason.interrupt(py)?;
                slow.call1((index,))?
            }
        });
    }
    PyList::new(py, rows)
}
