//! Bodies to frames.

use std::sync::Arc;

use csfle_core::batch::{Encryption, Rows};
use csfle_core::lane::WriteLane;
use pyo3::prelude::*;

use crate::batch::{BatchResult, Pool, detached, framed_list, list_result, one_result, packed_result};
use crate::cipher::Cipher;
use crate::errors::misuse;
use crate::input::Held;
use crate::plan::Plan;

/// Below this much input, bodies that no rule touches are framed while other Python threads wait: most of
/// that is making objects, for which they would wait anyway.
const FRAMED_BYTES: usize = 1 << 20;

/// A snapshot that seals: a WRITE plan, the cipher of each of its rules, and what stands in front
/// of each body.
#[pyclass(frozen, module = "csfle_fast._core")]
pub struct Writer(WriteLane);

#[pymethods]
impl Writer {
    #[new]
    #[allow(clippy::needless_pass_by_value)] // pyo3 hands over owned values
    fn new(plan: &Plan, ciphers: Vec<Bound<'_, Cipher>>, frame: Vec<u8>) -> PyResult<Self> {
        let lane = plan.lane.clone();
        let ciphers: Vec<_> = ciphers.iter().map(|cipher| cipher.get().0.clone()).collect();
        let fit = ciphers.len() == lane.layers.len()
            && ciphers.iter().zip(&lane.layers).all(|(cipher, layer)| cipher.algorithm() == layer.algorithm);
        if !lane.writes() || !fit {
            return Err(misuse(
                "the ciphers of a writer are one for each rule of a WRITE plan, of its algorithm",
            ));
        }
        Ok(Self(WriteLane { lane, ciphers: ciphers.into_iter().collect::<Vec<Arc<_>>>(), frame }))
    }

    /// Encrypts a batch of bodies.
    #[pyo3(signature = (batch, pool, threads = 1, packed = false))]
    fn encrypt<'py>(
        &self,
        py: Python<'py>,
        batch: &Bound<'py, PyAny>,
        pool: &Pool,
        threads: usize,
        packed: bool,
    ) -> PyResult<BatchResult<'py>> {
        let held = Held::new(batch, None)?;
        let rows = held.rows()?;
        let work = Encryption { write: &self.0, rows: &rows, pool: &pool.0, threads };
        if packed {
            let sizes = detached(py, &rows, || work.sizes());
            let fill = |buffer: &mut [u8]| detached(py, &rows, || work.to_buffer(buffer, &sizes));
            return packed_result(py, sizes.iter().sum(), fill, &[]);
        }
        if self.0.lane.copies() && rows.bytes() < FRAMED_BYTES {
            return framed_list(py, &rows, &self.0.frame);
        }
        if rows.len() == 1 {
            // Made in the object that is given out, without an arena in between.
            let size = detached(py, &rows, || work.size(0));
            let place = |place: &mut [u8]| detached(py, &rows, || work.to_place(place));
            return one_result(py, &rows, size, place, &[]);
        }
        let chunks = detached(py, &rows, || work.to_arenas());
        list_result(py, &rows, chunks, &[])
    }
}
