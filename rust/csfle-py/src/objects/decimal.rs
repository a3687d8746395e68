//! Decimals of a row that have more digits than their precision allows.
//!
//! Encoders make the unscaled number before they look at its size, and `Decimal("1E+30000000")` has
//! thirty million digits.

use std::cell::Cell;

use csfle_core::schema::{Schema, Type, TypeId};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyTuple, PyType};

use super::leaf::{is_mapping, is_sequence};

/// Values looked at before a row is refused as if it held an oversized one: unions inside unions
/// are tried again and again.
const MOST_VISITS: u32 = 1 << 23;

/// Path of the first oversized decimal, None where there is none.
pub fn oversized_decimal(schema: &Schema, row: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
    static DECIMAL: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let decimal = DECIMAL.import(row.py(), "decimal", "Decimal")?;
    Search { schema, decimal, left: Cell::new(MOST_VISITS) }.find(row, schema.root(), String::new())
}

struct Search<'a, 'py> {
    schema: &'a Schema,
    decimal: &'a Bound<'py, PyType>,
    left: Cell<u32>,
}

impl<'py> Search<'_, 'py> {
    fn find(&self, value: &Bound<'py, PyAny>, id: TypeId, path: String) -> PyResult<Option<String>> {
        if !self.schema.holds_decimal(id) {
            return Ok(None);
        }
        let Some(left) = self.left.get().checked_sub(1) else {
            return Ok(Some(path));
        };
        self.left.set(left);
        match self.schema.get(id) {
            Type::Record(record) if is_mapping(value) => {
                for field in record.fields.iter().filter(|field| self.schema.holds_decimal(field.ty)) {
                    let dot = if path.is_empty() { "" } else { "." };
                    let inside = value.call_method1("get", (&field.name,))?;
                    let found = self.find(&inside, field.ty, format!("{path}{dot}{}", field.name))?;
                    if found.is_some() {
                        return Ok(found);
                    }
                }
                Ok(None)
            }
            Type::Map(values) if is_mapping(value) => {
                self.first(&value.call_method0("values")?, *values, &format!("{path}{{}}"))
            }
            Type::Array(items) if is_sequence(value) => self.first(value, *items, &format!("{path}[]")),
            Type::Union(branches) => {
                let hinted = value.cast::<PyTuple>().ok().filter(|pair| pair.len() == 2);
                let value = hinted.map_or(Ok(value.clone()), |pair| pair.get_item(1))?;
                for branch in branches {
                    let found = self.find(&value, *branch, path.clone())?;
                    if found.is_some() {
                        return Ok(found);
                    }
                }
                Ok(None)
            }
            _ => Ok(self.oversized(value, id)?.then_some(path)),
        }
    }

    fn first(&self, values: &Bound<'py, PyAny>, id: TypeId, path: &str) -> PyResult<Option<String>> {
        for value in values.try_iter()? {
            let found = self.find(&value?, id, path.to_owned())?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Told by the exponent of the first digit, which a decimal knows without counting.
    fn oversized(&self, value: &Bound<'py, PyAny>, id: TypeId) -> PyResult<bool> {
        let Some((precision, scale)) = self.schema.decimal(id) else {
            return Ok(false);
        };
        if !value.is_instance(self.decimal)? {
            return Ok(false);
        }
        let first_digit: i64 = value.call_method0("adjusted")?.extract()?;
        let digits = first_digit.saturating_add(1).saturating_add_unsigned(scale);
        Ok(digits > 0 && digits.unsigned_abs() > precision)
    }
}
