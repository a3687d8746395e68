//! What a Python object may be taken for.

use csfle_core::schema::{Schema, Type, TypeId};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyMapping, PySequence, PyString};

/// Whether an encoder takes the object for a record or a map.
pub fn is_mapping(object: &Bound<'_, PyAny>) -> bool {
    object.is_instance_of::<PyDict>() || object.cast::<PyMapping>().is_ok()
}

/// Whether an encoder takes the object for an array.
pub fn is_sequence(object: &Bound<'_, PyAny>) -> bool {
    !object.is_none() && !object.is_instance_of::<PyString>() && object.cast::<PySequence>().is_ok()
}

/// Whether the object fits a type without parts, as far as types tell: any object may fit a logical
/// type, which is left to the encoder. Nothing fits a type with parts here.
pub fn leaf_fits(schema: &Schema, ty: &Type, id: TypeId, object: &Bound<'_, PyAny>) -> bool {
    if schema.is_logical(id) {
        return !object.is_none();
    }
    let is_int = object.is_instance_of::<PyInt>() && !object.is_instance_of::<PyBool>();
    let is_bytes = object.is_instance_of::<PyBytes>() || object.is_instance_of::<PyByteArray>();
    match ty {
        Type::Null => object.is_none(),
        Type::Boolean => object.is_instance_of::<PyBool>(),
        Type::Int => is_int && object.extract::<i32>().is_ok(),
        Type::Long => is_int && object.extract::<i64>().is_ok(),
        Type::Float | Type::Double => is_int || object.is_instance_of::<PyFloat>(),
        Type::Bytes => is_bytes,
        Type::Fixed(fixed) => is_bytes && object.len().is_ok_and(|len| len == fixed.size),
        Type::Enum(symbols) => {
            object.extract::<String>().is_ok_and(|symbol| symbols.symbols.contains(&symbol))
        }
        Type::String => object.cast::<PyString>().is_ok_and(|text| text.to_str().is_ok()),
        Type::Array(_) | Type::Map(_) | Type::Union(_) | Type::Record(_) => false,
    }
}
