//! Where a row does not fit its schema: a path for an error, found without quoting a value.

use std::cell::Cell;

use csfle_core::schema::{Schema, Type, TypeId};
use pyo3::prelude::*;
use pyo3::types::{PyMapping, PyTuple};

use super::leaf::{is_mapping, is_sequence, leaf_fits};

/// Path of the first value that does not fit, in the order of the wire; None where all fit, as far
/// as types tell: values of logical types are left to the encoder.
pub fn first_misfit(schema: &Schema, row: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
    let search = Search { schema, left: Cell::new(MOST_VISITS) };
    search.find(row, schema.root(), String::new())
}

/// Values looked at before the search gives up: unions inside unions are tried again and again.
const MOST_VISITS: u32 = 100_000;

struct Search<'a> {
    schema: &'a Schema,
    left: Cell<u32>,
}

impl Search<'_> {
    fn find(&self, value: &Bound<'_, PyAny>, id: TypeId, path: String) -> PyResult<Option<String>> {
        let Some(left) = self.left.get().checked_sub(1) else {
            return Ok(None);
        };
        self.left.set(left);
        match self.schema.get(id) {
            Type::Record(record) => {
                let Ok(mapping) = value.cast::<PyMapping>() else {
                    return Ok(Some(path));
                };
                for field in &record.fields {
                    let dot = if path.is_empty() { "" } else { "." };
                    let path = format!("{path}{dot}{}", field.name);
                    let found = match mapping.get_item(&field.name) {
                        Ok(value) => self.find(&value, field.ty, path)?,
                        Err(_) if field.default.is_some() => None,
                        Err(_) => self.find(value.py().None().bind(value.py()), field.ty, path)?,
                    };
                    if found.is_some() {
                        return Ok(found);
                    }
                }
                Ok(None)
            }
            Type::Array(items) => {
                if !is_sequence(value) {
                    return Ok(Some(path));
                }
                self.first(value.try_iter()?.map(|item| Ok((item?, *items))), &format!("{path}[]"))
            }
            Type::Map(values) => {
                if !is_mapping(value) {
                    return Ok(Some(path));
                }
                let inside = value.call_method0("values")?;
                self.first(inside.try_iter()?.map(|item| Ok((item?, *values))), &format!("{path}{{}}"))
            }
            Type::Union(branches) => {
                let hinted = value.cast::<PyTuple>().ok().filter(|pair| pair.len() == 2);
                let value = hinted.map_or(Ok(value.clone()), |pair| pair.get_item(1))?;
                // With one branch that can hold anything, the misfit is inside it.
                let mut inside = None;
                for branch in branches {
                    match self.find(&value, *branch, path.clone())? {
                        None => return Ok(None),
                        Some(found) if found != path => inside = Some(found),
                        Some(_) => {}
                    }
                }
                Ok(inside.or(Some(path)))
            }
            ty => Ok((!leaf_fits(self.schema, ty, id, value)).then_some(path)),
        }
    }

    fn first<'py>(
        &self,
        items: impl Iterator<Item = PyResult<(Bound<'py, PyAny>, TypeId)>>,
        path: &str,
    ) -> PyResult<Option<String>> {
        for item in items {
            let (value, id) = item?;
            let found = self.find(&value, id, path.to_owned())?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }
}
