//! What an Engine has done to rows: counters that many threads add to without a lock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use pyo3::prelude::*;
use pyo3::types::PyDict;

/// The counters of batches, by the names in `csfle_fast.metrics`.
#[pyclass(frozen, module = "csfle_fast._core")]
#[derive(Default)]
pub struct Tally {
    batches: AtomicU64,
    rows_encrypted: AtomicU64,
    rows_decrypted: AtomicU64,
    rows_failed: AtomicU64,
    tombstones: AtomicU64,
    values_sealed: AtomicU64,
    values_opened: AtomicU64,
    values_passed: AtomicU64,
    misses: AtomicU64,
    rows_by_fast_codec: AtomicU64,
    rows_by_fastavro: AtomicU64,
}

#[pymethods]
impl Tally {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// A batch of so many rows was encrypted.
    fn encrypted(&self, rows: u64, failed: u64, tombstones: u64, sealed: u64, passed: u64) {
        self.batch(failed, tombstones);
        add(&self.rows_encrypted, rows.saturating_sub(failed + tombstones));
        add(&self.values_sealed, sealed);
        add(&self.values_passed, passed);
    }

    /// A batch of so many frames was decrypted.
    fn decrypted(&self, rows: u64, failed: u64, tombstones: u64, opened: u64, misses: u64) {
        self.batch(failed, tombstones);
        add(&self.rows_decrypted, rows.saturating_sub(failed + tombstones));
        add(&self.values_opened, opened);
        add(&self.misses, misses);
    }

    /// So many rows were made into bodies or made of bodies, so many of them by fastavro.
    fn coded(&self, rows: u64, by_fastavro: u64) {
        add(&self.rows_by_fast_codec, rows.saturating_sub(by_fastavro));
        add(&self.rows_by_fastavro, by_fastavro);
    }

    /// All counters; each at its own moment.
    fn read<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counts = PyDict::new(py);
        for (name, count) in [
            ("batches", &self.batches),
            ("rows_encrypted", &self.rows_encrypted),
            ("rows_decrypted", &self.rows_decrypted),
            ("rows_failed", &self.rows_failed),
            ("tombstones", &self.tombstones),
            ("values_sealed", &self.values_sealed),
            ("values_opened", &self.values_opened),
            ("values_passed", &self.values_passed),
            ("misses", &self.misses),
            ("rows_by_fast_codec", &self.rows_by_fast_codec),
            ("rows_by_fastavro", &self.rows_by_fastavro),
        ] {
            counts.set_item(name, count.load(Relaxed))?;
        }
        Ok(counts)
    }
}

impl Tally {
    fn batch(&self, failed: u64, tombstones: u64) {
        add(&self.batches, 1);
        add(&self.rows_failed, failed);
        add(&self.tombstones, tombstones);
    }
}

fn add(counter: &AtomicU64, count: u64) {
    if count > 0 {
        counter.fetch_add(count, Relaxed);
    }
}
