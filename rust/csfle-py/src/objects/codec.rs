//! What Python calls for a batch of rows, or of bodies.

use std::collections::HashSet;

use csfle_core::avro::{Arena, Out};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};

use super::decode::decode;
use super::encode::encode;
use super::program::Program;
use super::slow::Slow;
use crate::schema::Schema;

/// A schema compiled for rows.
#[pyclass(frozen, module = "csfle_fast._core")]
pub struct RowCodec(Program);

/// Bodies one after the other, their int64 offsets as bytes, the row of each body where some rows have
/// none, and how many rows are None.
type Bodies<'py> = (Bound<'py, PyBytes>, Bound<'py, PyBytes>, Option<Vec<usize>>, usize);

/// A body is likely to be about so long. The arena grows where it is not.
const LIKELY_BYTES: usize = 64;

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
        Program::compile(py, &schema.0, &left, &foreign).map(Self)
    }

    /// Bodies of rows. For a row that is not for us `slow(index, row)` gives its body, or None.
    fn encode<'py>(&self, rows: &Bound<'py, PyTuple>, slow: &Bound<'py, PyAny>) -> PyResult<Bodies<'py>> {
        let py = rows.py();
        let mut arena = Arena::with_room(rows.len() * LIKELY_BYTES);
        let mut offsets = 0i64.to_ne_bytes().to_vec();
        let mut kept = Vec::with_capacity(rows.len());
        let mut tombstones = 0;
        for (index, row) in rows.iter_borrowed().enumerate() {
            if row.is_none() {
                tombstones += 1;
                continue;
            }
            let start = arena.len();
            if let Err(reason) = encode(&self.0, &row, &mut arena) {
                arena.truncate(start);
                reason.interrupt(py)?;
                let Some(body) = slow.call1((index, row))?.extract::<Option<Bound<'_, PyBytes>>>()? else {
                    continue;
                };
                arena.put(body.as_bytes());
            }
            #[allow(clippy::cast_possible_wrap)] // the arena is in memory
            offsets.extend((arena.len() as i64).to_ne_bytes());
            kept.push(index);
        }
        let kept = (kept.len() != rows.len()).then_some(kept);
        Ok((PyBytes::new(py, arena.as_slice()), PyBytes::new(py, &offsets), kept, tombstones))
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
            (Ok(body), Ok(codec)) => decode(py, &codec.get().0, body.as_bytes()),
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
