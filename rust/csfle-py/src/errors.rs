//! From the core's typed errors to the Python classes of `csfle_fast.errors`.

use csfle_core::error::{Code, Fault, KeyError, SchemaError};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

mod python {
    pyo3::import_exception!(csfle_fast.errors, BatchError);
    pyo3::import_exception!(csfle_fast.errors, KeyServiceError);
    pyo3::import_exception!(csfle_fast.errors, SchemaError);
}

pub fn schema_error(error: SchemaError) -> PyErr {
    python::SchemaError::new_err((error.code, error.message))
}

pub fn key_error(error: KeyError) -> PyErr {
    python::KeyServiceError::new_err((error.code(), error.to_string()))
}

pub fn batch_error(code: &'static str, message: impl Into<String>) -> PyErr {
    python::BatchError::new_err((code, message.into()))
}

/// A plan that is used the wrong way round, or with ciphers that do not fit it: a bug of the caller.
pub fn misuse(message: &'static str) -> PyErr {
    PyRuntimeError::new_err(message)
}

/// `(row, field path, code, message, byte offset)`, from which Python makes a `RowError`.
pub type RowFault = (usize, Option<String>, String, String, Option<usize>);

/// A fault as Python takes it; `refusals` are the `(code, message)` pairs that Python handed in.
pub fn row_fault((row, fault): (usize, Fault), refusals: &[(String, String)]) -> RowFault {
    let refusal = fault.refusal.and_then(|index| refusals.get(index as usize)).cloned();
    let (code, message) = refusal.unwrap_or_else(|| (fault.code.name().to_owned(), fault.to_string()));
    (row, fault.path.map(String::from), code, message, fault.offset)
}

/// Every code that a row may fail with in the core, with its sentence.
#[pyfunction]
pub fn row_codes() -> Vec<(&'static str, &'static str)> {
    Code::ALL.iter().map(|code| (code.name(), code.message())).collect()
}
