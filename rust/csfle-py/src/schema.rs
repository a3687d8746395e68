//! The schema table as Python sees it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use csfle_core::schema::{OutlineField, Patterns, Schema as Table};
use pyo3::prelude::*;

use crate::errors::schema_error;
use crate::objects;

/// Tag patterns of a schema's metadata, as Python hands them in.
pub type MetadataTags = HashMap<String, Vec<String>>;

/// Path, full name, type in words, tags; whether it holds a record, something to seal, is a plain
/// primitive; position of the field around.
type OutlineRow = (String, String, String, Vec<String>, bool, bool, bool, Option<usize>);

pub fn patterns(tags: Option<MetadataTags>) -> PyResult<Patterns> {
    let tags = tags.unwrap_or_default();
    Patterns::new(tags.iter().map(|(pattern, tags)| (pattern.as_str(), tags.clone()))).map_err(schema_error)
}

/// A schema with every name resolved by Java's rules.
#[pyclass(frozen, module = "csfle_fast._core")]
pub struct Schema(pub Arc<Table>);

#[pymethods]
impl Schema {
    #[new]
    #[pyo3(signature = (schema, references = Vec::new()))]
    #[allow(clippy::needless_pass_by_value)] // pyo3 hands over owned values
    fn new(py: Python<'_>, schema: &str, references: Vec<String>) -> PyResult<Self> {
        let parsed =
            py.detach(|| Table::parse(schema, &references.iter().map(String::as_str).collect::<Vec<_>>()));
        parsed.map(|table| Self(Arc::new(table))).map_err(schema_error)
    }

    /// Full name of the root type, None where it has none.
    #[getter]
    fn name(&self) -> Option<&str> {
        self.0.name()
    }

    /// Kind of the root type, in Avro's own word.
    #[getter]
    fn kind(&self) -> &'static str {
        self.0.kind()
    }

    /// Whether some record may contain itself.
    #[getter]
    fn recursive(&self) -> bool {
        self.0.recursive()
    }

    /// `{full name of field: sorted tags}` for every field with tags, inline or by pattern.
    #[pyo3(signature = (metadata_tags = None))]
    fn tagged_fields(&self, metadata_tags: Option<MetadataTags>) -> PyResult<BTreeMap<String, Vec<String>>> {
        let tags = self.0.tags(&patterns(metadata_tags)?);
        Ok(tags
            .into_iter()
            .map(|(field, tags)| (self.0.full_name(field), tags.into_iter().collect()))
            .collect())
    }

    /// Every field as `(path, full name, type in words, sorted tags, holds a record, holds something
    /// to seal, is a plain primitive, position of the field around or None)`, in the order of the
    /// wire; a record inside itself is entered once.
    #[pyo3(signature = (metadata_tags = None))]
    fn outline(&self, py: Python<'_>, metadata_tags: Option<MetadataTags>) -> PyResult<Vec<OutlineRow>> {
        let patterns = patterns(metadata_tags)?;
        let outline = py.detach(|| self.0.outline(&self.0.tags(&patterns)));
        let row = |field: OutlineField| {
            let name = self.0.full_name(field.field);
            let OutlineField { path, ty, tags, holds_record, sealable, plain, around, .. } = field;
            (path, name, ty, tags, holds_record, sealable, plain, around)
        };
        Ok(outline.into_iter().map(row).collect())
    }

    /// The same schema as one JSON text with full names and references written out.
    fn codec_schema(&self) -> PyResult<String> {
        self.0.codec_json().map_err(schema_error)
    }

    /// Whether a row would drive an encoder too deep: it nests records beyond the limit, holds
    /// itself, or grows beyond measure when its shared parts are written out.
    fn too_deep(&self, row: &Bound<'_, PyAny>) -> PyResult<bool> {
        objects::too_deep(&self.0, row)
    }

    /// Whether a value of it may be, or hold, a decimal.
    #[getter]
    fn holds_decimal(&self) -> bool {
        self.0.holds_decimal(self.0.root())
    }

    /// Path of the first decimal of a row that has more digits than its precision allows, or None.
    fn oversized_decimal(&self, row: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
        objects::oversized_decimal(&self.0, row)
    }

    /// Path of the first value of a row that does not fit, None where types tell of none.
    fn first_misfit(&self, row: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
        objects::first_misfit(&self.0, row)
    }

    fn __repr__(&self) -> String {
        format!("Schema({} {})", self.0.kind(), self.0.name().unwrap_or("without a name"))
    }
}
