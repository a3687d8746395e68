//! Prepared DEK versions, opaque to Python.

use std::sync::Arc;

use csfle_core::crypto::{self, Algorithm, Budget, Provider};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::key_error;

/// How much one DEK version has sealed, whatever became of the ciphers that sealed it.
#[pyclass(frozen, module = "csfle_fast._core")]
#[derive(Default)]
pub struct Seals(Arc<crypto::Seals>);

#[pymethods]
impl Seals {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// Values.
    #[getter]
    fn values(&self) -> u64 {
        self.0.values()
    }

    /// Bytes of text in them.
    #[getter]
    fn bytes(&self) -> u64 {
        self.0.bytes()
    }
}

/// One prepared DEK version. There is no way to read the key back.
#[pyclass(frozen, module = "csfle_fast._core")]
pub struct Cipher(pub Arc<crypto::Cipher>);

#[pymethods]
impl Cipher {
    #[new]
    #[pyo3(signature = (algorithm, key_proto, *, version = 1, provider = "auto", seals = None, max_seals = None, strict = false))]
    fn new(
        algorithm: &str,
        key_proto: &[u8],
        version: i32,
        provider: &str,
        seals: Option<&Seals>,
        max_seals: Option<u64>,
        strict: bool,
    ) -> PyResult<Self> {
        let algorithm = Algorithm::parse(algorithm).map_err(key_error)?;
        let provider = Provider::parse(provider).map_err(key_error)?;
        let cipher = crypto::Cipher::new(algorithm, key_proto, version, provider).map_err(key_error)?;
        let budget = match max_seals {
            None => Budget::Unlimited,
            Some(most) if strict => Budget::Strict(most),
            Some(most) => Budget::Told(most),
        };
        let seals = seals.map(|seals| seals.0.clone()).unwrap_or_default();
        let cipher = cipher.counting_in(seals, budget);
        Ok(Self(Arc::new(cipher)))
    }

    /// Its DEK algorithm.
    #[getter]
    fn algorithm(&self) -> &'static str {
        self.0.algorithm().name()
    }

    /// Its version in the DEK registry.
    #[getter]
    fn version(&self) -> i32 {
        self.0.version()
    }

    /// Who does the work.
    #[getter]
    fn provider(&self) -> &'static str {
        self.0.provider()
    }

    /// Whether that is not who was asked for.
    #[getter]
    fn fell_back(&self) -> bool {
        self.0.fell_back()
    }

    /// Values sealed so far, as its `Seals` counts them.
    #[getter]
    fn sealed(&self) -> u64 {
        self.0.seals().values()
    }

    /// Bytes of text in them.
    #[getter]
    fn sealed_bytes(&self) -> u64 {
        self.0.seals().bytes()
    }

    /// Whether its strict budget had no room for something that was to be sealed.
    #[getter]
    fn exhausted(&self) -> bool {
        self.0.is_exhausted()
    }

    /// Whether its budget was passed since this was last asked.
    fn take_passed(&self) -> bool {
        self.0.take_passed()
    }

    fn __repr__(&self) -> String {
        format!("{:?}", self.0)
    }

    #[allow(clippy::unused_self)] // a method by Python's rules
    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err("a DEK cannot be pickled or copied"))
    }
}

/// A fresh DEK from the operating system's random numbers, as the Tink key proto to be wrapped.
#[pyfunction]
pub fn generate_key<'py>(py: Python<'py>, algorithm: &str) -> PyResult<Bound<'py, PyBytes>> {
    let proto = Algorithm::parse(algorithm).and_then(crypto::generate_key_proto).map_err(key_error)?;
    Ok(PyBytes::new(py, &proto))
}
