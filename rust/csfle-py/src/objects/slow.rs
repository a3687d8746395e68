//! Why a row does not go the fast way.

use csfle_core::error::Code;
use pyo3::CastError;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;

/// The row, or the body, is for fastavro.
#[derive(Debug)]
pub enum Slow {
    /// It holds something that the fast way does not take.
    Row,
    /// Python raised, for which the same goes, if it was no interrupt.
    Raised(Box<PyErr>),
}

impl Slow {
    /// What must not be taken for a matter of the row: an interrupt, an exit.
    pub fn interrupt(self, py: Python<'_>) -> PyResult<()> {
        match self {
            Self::Raised(error) if !error.is_instance_of::<PyException>(py) => Err(*error),
            _ => Ok(()),
        }
    }
}

impl From<PyErr> for Slow {
    #[cold]
    fn from(error: PyErr) -> Self {
        Self::Raised(Box::new(error))
    }
}

impl From<CastError<'_, '_>> for Slow {
    fn from(_: CastError<'_, '_>) -> Self {
        Self::Row
    }
}

impl From<Code> for Slow {
    fn from(_: Code) -> Self {
        Self::Row
    }
}
