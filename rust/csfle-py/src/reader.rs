//! Frames to bodies.

use std::collections::HashMap;
use std::sync::Arc;

use csfle_core::batch::{Decryption, Rows};
use csfle_core::error::Fault;
use csfle_core::framing::SchemaRef;
use csfle_core::lane::{DekVersions, ReadLane as CoreLane, ReadTable};
use pyo3::prelude::*;

use crate::batch::{BatchResult, Pool, detached, list_result, one_result, packed_result};
use crate::cipher::Cipher;
use crate::errors::misuse;
use crate::input::Held;
use crate::plan::Plan;

/// `(prepared versions, {version: position in the refusals}, newest version known or None)`.
type Deks<'py> = (Vec<Bound<'py, Cipher>>, HashMap<i32, u32>, Option<i32>);

/// What opening the frames of one writer schema needs: a READ plan and the DEK versions of each rule.
#[pyclass(frozen, module = "csfle_fast._core")]
pub struct ReadLane(Arc<CoreLane>);

#[pymethods]
impl ReadLane {
    #[new]
    #[allow(clippy::needless_pass_by_value)] // pyo3 hands over owned values
    fn new(plan: &Plan, deks: Vec<Deks<'_>>) -> PyResult<Self> {
        let lane = plan.lane.clone();
        if lane.writes() || deks.len() != lane.layers.len() {
            return Err(misuse("a read lane has DEK versions for each rule of a READ plan"));
        }
        let mut all = Vec::with_capacity(deks.len());
        for ((ciphers, refused, latest), layer) in deks.into_iter().zip(&lane.layers) {
            let loaded: HashMap<_, _> =
                ciphers.iter().map(|cipher| (cipher.get().0.version(), cipher.get().0.clone())).collect();
            if loaded.values().any(|cipher| cipher.algorithm() != layer.algorithm) {
                return Err(misuse("a DEK has another algorithm than its rule"));
            }
            let refused = refused.into_iter().map(|(version, refusal)| (version, Fault::refused(refusal)));
            all.push(DekVersions { loaded, refused: refused.collect(), latest });
        }
        Ok(Self(Arc::new(CoreLane { lane, deks: all })))
    }
}

/// A snapshot that opens: lanes by schema id and GUID.
#[pyclass(frozen, module = "csfle_fast._core")]
pub struct Reader {
    table: ReadTable,
    refusals: Vec<(String, String)>,
}

#[pymethods]
impl Reader {
    #[new]
    #[allow(clippy::needless_pass_by_value)] // pyo3 hands over owned values
    fn new(
        lanes: Vec<Bound<'_, ReadLane>>,
        ids: HashMap<i32, u32>,
        guids: HashMap<[u8; 16], u32>,
        refused_ids: HashMap<i32, u32>,
        refused_guids: HashMap<[u8; 16], u32>,
        refusals: Vec<(String, String)>,
    ) -> PyResult<Self> {
        if ids.values().chain(guids.values()).any(|lane| *lane as usize >= lanes.len()) {
            return Err(misuse("a schema points to a lane that is not there"));
        }
        let found = ids.into_iter().map(|(id, lane)| (SchemaRef::Id(id), Ok(lane)));
        let found = found.chain(guids.into_iter().map(|(guid, lane)| (SchemaRef::Guid(guid), Ok(lane))));
        let refused = refused_ids.into_iter().map(|(id, refusal)| (SchemaRef::Id(id), refusal));
        let refused =
            refused.chain(refused_guids.into_iter().map(|(guid, refusal)| (SchemaRef::Guid(guid), refusal)));
        let schemas =
            found.chain(refused.map(|(name, refusal)| (name, Err(Fault::refused(refusal))))).collect();
        let lanes = lanes.iter().map(|lane| lane.get().0.clone()).collect();
        Ok(Self { table: ReadTable { lanes, schemas }, refusals })
    }

    /// Decrypts a batch of frames. `misses` is how many misses may be reported instead of failing
    /// their rows; where some are reported, the values are not to be used.
    #[pyo3(signature = (batch, pool, threads = 1, packed = false, headers = None, header_name = "__value_schema_id", misses = 0))]
    #[allow(clippy::too_many_arguments)] // one call a batch: the interface is flat on purpose
    fn decrypt<'py>(
        &self,
        py: Python<'py>,
        batch: &Bound<'py, PyAny>,
        pool: &Pool,
        threads: usize,
        packed: bool,
        headers: Option<&Bound<'py, PyAny>>,
        header_name: &str,
        misses: usize,
    ) -> PyResult<BatchResult<'py>> {
        let held = Held::new(batch, headers.map(|headers| (headers, header_name)))?;
        let rows = held.rows()?;
        let work = Decryption { table: &self.table, rows: &rows, misses, pool: &pool.0, threads };
        if packed {
            let sizes = detached(py, &rows, || work.sizes());
            let fill = |buffer: &mut [u8]| detached(py, &rows, || work.to_buffer(buffer, &sizes));
            return packed_result(py, sizes.iter().sum(), fill, &self.refusals);
        }
        if rows.len() == 1 {
            let place = |place: &mut [u8]| detached(py, &rows, || work.to_place(place));
            let size = detached(py, &rows, || work.size(0));
            return one_result(py, &rows, size, place, &self.refusals);
        }
        let chunks = detached(py, &rows, || work.to_arenas());
        list_result(py, &rows, chunks, &self.refusals)
    }
}
