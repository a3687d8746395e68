//! Where a row does not fit its schema: a path for an error, found without quoting a value.

use csfle_core::schema::{Schema, Type, TypeId};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyByteArray, PyBytes, PyFloat, PyInt, PyMapping, PySequence, PyString, PyTuple};

/// Path of the first value that does not fit, in the order of the wire; None where all fit, as far
/// as types tell: values of logical types are left to the encoder.
pub fn first_misfit(schema: &Schema, row: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
    find(schema, row, schema.root(), String::new())
}

fn find(schema: &Schema, value: &Bound<'_, PyAny>, id: TypeId, path: String) -> PyResult<Option<String>> {
    match schema.get(id) {
        Type::Record(record) => {
            let Ok(mapping) = value.cast::<PyMapping>() else {
                return Ok(Some(path));
            };
            for field in &record.fields {
                let dot = if path.is_empty() { "" } else { "." };
                let path = format!("{path}{dot}{}", field.name);
                let found = match mapping.get_item(&field.name) {
                    Ok(value) => find(schema, &value, field.ty, path)?,
                    Err(_) if field.default.is_some() => None,
                    Err(_) => find(schema, value.py().None().bind(value.py()), field.ty, path)?,
                };
                if found.is_some() {
                    return Ok(found);
                }
            }
            Ok(None)
        }
        Type::Array(items) => {
            if value.is_instance_of::<PyString>() || value.cast::<PySequence>().is_err() {
                return Ok(Some(path));
            }
            first(schema, value.try_iter()?.map(|item| Ok((item?, *items))), &format!("{path}[]"))
        }
        Type::Map(values) => {
            if value.cast::<PyMapping>().is_err() {
                return Ok(Some(path));
            }
            let inside = value.call_method0("values")?;
            first(schema, inside.try_iter()?.map(|item| Ok((item?, *values))), &format!("{path}{{}}"))
        }
        Type::Union(branches) => {
            let hinted = value.cast::<PyTuple>().ok().filter(|pair| pair.len() == 2);
            let value = hinted.map_or(Ok(value.clone()), |pair| pair.get_item(1))?;
            // With one branch that can hold anything, the misfit is inside it.
            let mut inside = None;
            for branch in branches {
                match find(schema, &value, *branch, path.clone())? {
                    None => return Ok(None),
                    Some(found) if found != path => inside = Some(found),
                    Some(_) => {}
                }
            }
            Ok(inside.or(Some(path)))
        }
        ty => Ok((!leaf_fits(schema, ty, id, value)).then_some(path)),
    }
}

fn first<'py>(
    schema: &Schema,
    items: impl Iterator<Item = PyResult<(Bound<'py, PyAny>, TypeId)>>,
    path: &str,
) -> PyResult<Option<String>> {
    for item in items {
        let (value, id) = item?;
        let found = find(schema, &value, id, path.to_owned())?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

fn leaf_fits(schema: &Schema, ty: &Type, id: TypeId, value: &Bound<'_, PyAny>) -> bool {
    if schema.is_logical(id) {
        return !value.is_none();
    }
    let is_int = value.is_instance_of::<PyInt>() && !value.is_instance_of::<PyBool>();
    let is_bytes = value.is_instance_of::<PyBytes>() || value.is_instance_of::<PyByteArray>();
    match ty {
        Type::Null => value.is_none(),
        Type::Boolean => value.is_instance_of::<PyBool>(),
        Type::Int => is_int && value.extract::<i32>().is_ok(),
        Type::Long => is_int && value.extract::<i64>().is_ok(),
        Type::Float | Type::Double => is_int || value.is_instance_of::<PyFloat>(),
        Type::Bytes => is_bytes,
        Type::Fixed(fixed) => is_bytes && value.len().is_ok_and(|len| len == fixed.size),
        Type::Enum(symbols) => {
            value.extract::<String>().is_ok_and(|symbol| symbols.symbols.contains(&symbol))
        }
        _ => value.cast::<PyString>().is_ok_and(|text| text.to_str().is_ok()),
    }
}
