//! The table written back as JSON for an Avro library: full names, references in place.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::{Schema, Type, TypeId};
use crate::avro::limits;
use crate::error::SchemaError;

pub(super) fn codec_json(schema: &Schema) -> Result<String, SchemaError> {
    let mut writer = Writer { schema, written: HashSet::new(), depth: 0, deepest: 0 };
    let json = writer.value(schema.root, "");
    // A long chain of references becomes one deep text where each type is written at its first use.
    if writer.deepest > DEEPEST {
        return Err(SchemaError::of("schema_too_deep", "the schema with its references is nested too deep"));
    }
    Ok(json.to_string())
}

/// Types inside each other in what is written: the root, and as many as the parser goes down.
const DEEPEST: usize = limits::SCHEMA_DEPTH + 1;

struct Writer<'a> {
    schema: &'a Schema,
    written: HashSet<TypeId>,
    depth: usize,
    deepest: usize,
}

impl Writer<'_> {
    /// `space` is the namespace that an Avro library would give a name without a dot here.
    fn value(&mut self, id: TypeId, space: &str) -> Value {
        let ty = self.schema.get(id);
        let name = ty.name().map(|name| apart(name, space));
        if let Some(name) = &name
            && !self.written.insert(id)
        {
            return json!(name);
        }
        self.depth += 1;
        self.deepest = self.deepest.max(self.depth);
        let json =
            if self.depth > DEEPEST { Value::Null } else { self.definition(id, name.as_deref(), space) };
        self.depth -= 1;
        json
    }

    fn definition(&mut self, id: TypeId, name: Option<&str>, space: &str) -> Value {
        let ty = self.schema.get(id);
        let mut object = Map::new();
        match ty {
            Type::Array(items) => {
                object.insert("items".into(), self.value(*items, space));
            }
            Type::Map(values) => {
                object.insert("values".into(), self.value(*values, space));
            }
            Type::Union(branches) => {
                return branches.iter().map(|branch| self.value(*branch, space)).collect();
            }
            Type::Fixed(fixed) => {
                object.insert("size".into(), json!(fixed.size));
            }
            Type::Enum(symbols) => {
                object.insert("symbols".into(), json!(symbols.symbols));
                if let Some(default) = &symbols.default {
                    object.insert("default".into(), json!(default));
                }
            }
            Type::Record(record) => {
                let space = record.name.rsplit_once('.').map_or("", |(space, _)| space);
                let fields = record.fields.iter().map(|field| {
                    let mut json = Map::new();
                    json.insert("name".into(), json!(field.name));
                    json.insert("type".into(), self.value(field.ty, space));
                    if let Some(default) = &field.default {
                        json.insert("default".into(), default.clone());
                    }
                    if !field.aliases.is_empty() {
                        json.insert("aliases".into(), json!(field.aliases));
                    }
                    Value::Object(json)
                });
                let fields = fields.collect();
                object.insert("fields".into(), fields);
            }
            _ => {}
        }
        if let Some(name) = name {
            object.insert("name".into(), json!(name));
            if !ty.aliases().is_empty() {
                let space = name.rsplit_once('.').map_or("", |(space, _)| space);
                let aliases: Vec<String> = ty.aliases().iter().map(|alias| apart(alias, space)).collect();
                object.insert("aliases".into(), json!(aliases));
            }
        }
        if let Some(logical) =
            self.schema.logical[id.0 as usize].as_ref().filter(|logical| makes_sense(ty, logical))
        {
            object.extend(logical.clone());
        }
        if object.is_empty() {
            return json!(ty.kind());
        }
        object.insert("type".into(), json!(ty.kind()));
        Value::Object(object)
    }
}

/// A full name where an Avro library would put names without a dot into `space`: a name without a
/// namespace gets a dot in front to stay out of it.
fn apart(name: &str, space: &str) -> String {
    if name.contains('.') || space.is_empty() { name.to_owned() } else { format!(".{name}") }
}

/// Whether a logical type keeps Avro's rules. One that does not is ignored, as Java ignores it;
/// other libraries refuse the schema. A decimal of a size that no reader should turn into a number
/// stays the bytes that it is.
pub(super) fn makes_sense(ty: &Type, logical: &Map<String, Value>) -> bool {
    if logical.get("logicalType").and_then(Value::as_str) != Some("decimal") {
        return logical.get("logicalType").is_some_and(Value::is_string);
    }
    let too_large = matches!(ty, Type::Fixed(fixed) if fixed.size > limits::DECIMAL_BYTES);
    decimal(logical).is_some() && !too_large
}

/// Precision and scale of a valid decimal.
pub(super) fn decimal(logical: &Map<String, Value>) -> Option<(u64, u64)> {
    logical.get("logicalType").and_then(Value::as_str).filter(|name| *name == "decimal")?;
    let precision = logical.get("precision").and_then(Value::as_u64).filter(|precision| *precision > 0)?;
    let scale = logical.get("scale").map_or(Some(0), Value::as_u64).filter(|scale| *scale <= precision)?;
    Some((precision, scale))
}
