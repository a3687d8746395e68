//! `csfle_fast._core`: what Python sees of the core. The only crate that knows pyo3.

mod batch;
mod cipher;
mod errors;
mod input;
mod objects;
mod plan;
mod reader;
mod schema;
mod tally;
mod writer;

use csfle_core::crypto::Provider;
use pyo3::exceptions::PyRuntimeWarning;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// The compiled core of `csfle_fast`.
#[pymodule(gil_used = false)]
mod _core {
    #[pymodule_export]
    use super::batch::Pool;
    #[pymodule_export]
    use super::build_info;
    #[pymodule_export]
    use super::cipher::{Cipher, Seals, generate_key};
    #[pymodule_export]
    use super::errors::row_codes;
    #[pymodule_export]
    use super::objects::{Bodies, RowCodec, decode_rows};
    #[pymodule_export]
    use super::plan::Plan;
    #[pymodule_export]
    use super::reader::{ReadLane, Reader};
    #[pymodule_export]
    use super::schema::Schema;
    #[pymodule_export]
    use super::tally::Tally;
    #[pymodule_export]
    use super::writer::Writer;

    #[pymodule_init]
    fn init(module: &super::Bound<'_, super::PyModule>) -> super::PyResult<()> {
        use super::PyModuleMethods;

        module.add("MISSES_PER_BATCH", csfle_core::avro::limits::MISSES_PER_BATCH)?;
        super::warn_unoptimised(module.py())
    }
}

/// How this build was made: version, profile, target, and who does the cryptography on this machine.
#[pyfunction]
fn build_info(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let info = PyDict::new(py);
    info.set_item("version", env!("CARGO_PKG_VERSION"))?;
    info.set_item("profile", if cfg!(debug_assertions) { "debug" } else { "release" })?;
    info.set_item("target", format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS))?;
    let providers: &[&str] = if Provider::has_many() { &["many", "ring"] } else { &["ring"] };
    info.set_item("aes_gcm", providers)?;
    info.set_item("aes_siv", ["aes-siv"])?;
    info.set_item("default_provider", providers[0])?;
    Ok(info)
}

fn warn_unoptimised(py: Python<'_>) -> PyResult<()> {
    if cfg!(debug_assertions) {
        let category = py.get_type::<PyRuntimeWarning>();
        PyErr::warn(
            py,
            &category,
            c"csfle_fast was built without optimisation: every figure is meaningless",
            1,
        )?;
    }
    Ok(())
}
