//! From the registry's JSON to the table.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::{Enum, Field, Fixed, Record, Schema, Type, TypeId};
use super::{names, shape};
use crate::avro::limits;
use crate::error::SchemaError;

/// JSON nested deeper than this is parsed on a thread with [`DEEP_STACK`], since the JSON parser
/// and ours recurse; everyday schemas stay far below.
const SHALLOW_JSON: usize = 48;

/// Stack for the deepest schema that the limits allow, with room to spare in a debug build.
const DEEP_STACK: usize = 64 << 20;

/// Attributes of a type that the dict codec needs.
const LOGICAL: [&str; 3] = ["logicalType", "precision", "scale"];

pub(super) fn parse(schema: &str, references: &[&str]) -> Result<Schema, SchemaError> {
    let mut deepest = 0;
    for text in references.iter().chain([&schema]) {
        deepest = deepest.max(json_depth(text)?);
    }
    if deepest <= SHALLOW_JSON {
        return parse_here(schema, references);
    }
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .stack_size(DEEP_STACK)
            .spawn_scoped(scope, || parse_here(schema, references))
            .map_err(|_| {
                SchemaError::of("no_thread", "no thread could be started to parse a deeply nested schema")
            })?
            .join()
            .unwrap_or_else(|_| Err(SchemaError::invalid("the schema could not be parsed")))
    })
}

fn parse_here(schema: &str, references: &[&str]) -> Result<Schema, SchemaError> {
    let documents =
        references.iter().chain([&schema]).map(|text| read_json(text)).collect::<Result<Vec<_>, _>>()?;
    let mut parser = Parser::default();
    let mut root = TypeId(0);
    for document in &documents {
        root = parser.value(document, None, 0)?; // the last is the schema itself
    }
    let recursive = shape::contains_itself(&parser.types);
    let takes_bytes = shape::takes_bytes(&parser.types);
    let Parser { types, logical, .. } = parser;
    let mut schema = Schema { types, logical, root, recursive, takes_bytes, holds_decimal: Vec::new() };
    let decimal = |index: usize| u32::try_from(index).is_ok_and(|id| schema.decimal(TypeId(id)).is_some());
    schema.holds_decimal = shape::reach(&schema.types, decimal);
    Ok(schema)
}

/// Nesting of brackets outside strings: what the JSON parser would recurse.
fn json_depth(text: &str) -> Result<usize, SchemaError> {
    if text.len() > limits::SCHEMA_BYTES {
        return Err(SchemaError::of("schema_too_large", "the schema text is larger than 16 MiB"));
    }
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    if deepest > limits::JSON_DEPTH { Err(too_deep()) } else { Ok(deepest) }
}

fn too_deep() -> SchemaError {
    SchemaError::of(
        "schema_too_deep",
        format!("the schema is nested more than {} levels deep", limits::SCHEMA_DEPTH),
    )
}

fn read_json(text: &str) -> Result<Value, SchemaError> {
    let mut reader = serde_json::Deserializer::from_str(text);
    reader.disable_recursion_limit(); // json_depth has counted
    let parsed =
        serde::de::Deserialize::deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    parsed.map_err(|error: serde_json::Error| {
        let line = text.lines().nth(error.line().saturating_sub(1)).unwrap_or_default().as_bytes();
        let at = error.column().saturating_sub(1);
        if line[at.min(line.len())..].starts_with(b"/") {
            SchemaError::of(
                "schema_comment",
                "the schema text holds a comment, which JSON does not know: register it without",
            )
        } else {
            SchemaError::invalid(format!(
                "the schema is not JSON (line {}, column {})",
                error.line(),
                error.column()
            ))
        }
    })
}

#[derive(Default)]
struct Parser<'j> {
    types: Vec<Type>,
    logical: Vec<Option<Map<String, Value>>>,
    /// Full name to its type and the JSON that defined it (to tell an equal redefinition).
    named: HashMap<String, (TypeId, &'j Value)>,
}

impl<'j> Parser<'j> {
    fn add(&mut self, ty: Type, json: Option<&Map<String, Value>>) -> Result<TypeId, SchemaError> {
        let id = u32::try_from(self.types.len()).map_err(|_| too_deep())?;
        let logical: Map<String, Value> = json
            .into_iter()
            .flat_map(|json| {
                LOGICAL.iter().filter_map(|key| Some(((*key).to_owned(), json.get(*key)?.clone())))
            })
            .collect();
        self.types.push(ty);
        self.logical.push((!logical.is_empty()).then_some(logical));
        Ok(TypeId(id))
    }

    fn value(&mut self, json: &'j Value, space: Option<&str>, depth: usize) -> Result<TypeId, SchemaError> {
        if depth > limits::SCHEMA_DEPTH {
            return Err(too_deep());
        }
        match json {
            Value::String(name) => self.by_name(name, space, None),
            Value::Array(branches) => self.union(branches, space, depth),
            Value::Object(object) => self.object(json, object, space, depth),
            _ => Err(SchemaError::invalid("a type is neither a name, a union nor an object")),
        }
    }

    fn by_name(
        &mut self,
        name: &str,
        space: Option<&str>,
        json: Option<&Map<String, Value>>,
    ) -> Result<TypeId, SchemaError> {
        if let Some(primitive) = primitive(name) {
            return self.add(primitive, json);
        }
        let (namespace, simple) = names::split(name, None, space);
        let found = self.named.get(&names::full(namespace, simple));
        // A name without a dot that the enclosing namespace does not know may have none.
        let found = found.or_else(|| self.named.get(name));
        found.map(|(id, _)| *id).ok_or_else(|| {
            SchemaError::of("undefined_name", format!("the schema uses the undefined name {name:?}"))
        })
    }

    fn union(
        &mut self,
        branches: &'j [Value],
        space: Option<&str>,
        depth: usize,
    ) -> Result<TypeId, SchemaError> {
        let mut seen = HashSet::new();
        let mut ids = Vec::with_capacity(branches.len());
        for branch in branches {
            let id = self.value(branch, space, depth + 1)?;
            let ty = &self.types[id.0 as usize];
            if matches!(ty, Type::Union(_)) {
                return Err(SchemaError::invalid("a union stands directly inside a union"));
            }
            let name = ty.name().unwrap_or(ty.kind()).to_owned();
            if !seen.insert(name.clone()) {
                return Err(SchemaError::invalid(format!("a union holds {name:?} twice")));
            }
            ids.push(id);
        }
        self.add(Type::Union(ids), None)
    }

    fn object(
        &mut self,
        json: &'j Value,
        object: &'j Map<String, Value>,
        space: Option<&str>,
        depth: usize,
    ) -> Result<TypeId, SchemaError> {
        let Some(kind) = object.get("type").and_then(Value::as_str) else {
            return Err(SchemaError::invalid("a type object has no \"type\" that is a name"));
        };
        match kind {
            "array" => {
                let items =
                    object.get("items").ok_or_else(|| SchemaError::invalid("an array has no items"))?;
                let items = self.value(items, space, depth + 1)?;
                self.add(Type::Array(items), None)
            }
            "map" => {
                let values =
                    object.get("values").ok_or_else(|| SchemaError::invalid("a map has no values"))?;
                let values = self.value(values, space, depth + 1)?;
                self.add(Type::Map(values), None)
            }
            "record" | "error" | "enum" | "fixed" => self.named(kind, json, object, space, depth),
            name => self.by_name(name, space, Some(object)),
        }
    }

    fn named(
        &mut self,
        kind: &str,
        json: &'j Value,
        object: &'j Map<String, Value>,
        space: Option<&str>,
        depth: usize,
    ) -> Result<TypeId, SchemaError> {
        let Some(name) = object.get("name").and_then(Value::as_str) else {
            return Err(SchemaError::invalid(format!("a type of kind {kind} has no name")));
        };
        let (namespace, simple) = names::split(name, object.get("namespace").and_then(Value::as_str), space);
        names::check(simple, "type")?;
        names::check_namespace(namespace)?;
        let full = names::full(namespace, simple);
        if primitive(&full).is_some() {
            return Err(SchemaError::invalid(format!("a type is named {full:?}, like a primitive")));
        }
        if let Some((id, before)) = self.named.get(&full) {
            if *before == json {
                return Ok(*id);
            }
            return Err(SchemaError::invalid(format!("the name {full:?} is defined twice, differently")));
        }
        let aliases = aliases(object)?.into_iter().map(|alias| {
            let (space, simple) = names::split(alias, None, namespace);
            names::full(space, simple)
        });
        let aliases = aliases.collect();
        let ty = match kind {
            "enum" => Type::Enum(enumeration(object, full.clone(), aliases)?),
            "fixed" => Type::Fixed(fixed(object, full.clone(), aliases)?),
            // The record is in the table before its fields, which may name it.
            _ => Type::Record(Record { name: full.clone(), aliases, fields: Vec::new() }),
        };
        let is_record = matches!(ty, Type::Record(_));
        let id = self.add(ty, Some(object))?;
        self.named.insert(full.clone(), (id, json));
        if is_record {
            let parsed = self.fields(object, &full, namespace, depth)?;
            if let Type::Record(record) = &mut self.types[id.0 as usize] {
                record.fields = parsed;
            }
        }
        Ok(id)
    }

    fn fields(
        &mut self,
        object: &'j Map<String, Value>,
        record: &str,
        space: Option<&str>,
        depth: usize,
    ) -> Result<Vec<Field>, SchemaError> {
        let Some(list) = object.get("fields").and_then(Value::as_array) else {
            return Err(SchemaError::invalid(format!("record {record:?} has no fields array")));
        };
        let mut seen = HashSet::new();
        let mut fields = Vec::with_capacity(list.len());
        for json in list {
            let field = self.field(json, record, space, depth)?;
            if !seen.insert(field.name.clone()) {
                return Err(SchemaError::invalid(format!(
                    "record {record:?} has the field {:?} twice",
                    field.name
                )));
            }
            fields.push(field);
        }
        Ok(fields)
    }

    fn field(
        &mut self,
        json: &'j Value,
        record: &str,
        space: Option<&str>,
        depth: usize,
    ) -> Result<Field, SchemaError> {
        let object = json
            .as_object()
            .ok_or_else(|| SchemaError::invalid(format!("a field of {record:?} is no object")))?;
        let Some(name) = object.get("name").and_then(Value::as_str) else {
            return Err(SchemaError::invalid(format!("a field of {record:?} has no name")));
        };
        names::check(name, "field")?;
        let ty = object
            .get("type")
            .ok_or_else(|| SchemaError::invalid(format!("field {record}.{name} has no type")))?;
        if let Some(order) = object.get("order").and_then(Value::as_str)
            && !["ascending", "descending", "ignore"].contains(&order.to_lowercase().as_str())
        {
            return Err(SchemaError::invalid(format!("field {record}.{name} has an unknown order")));
        }
        Ok(Field {
            name: name.to_owned(),
            aliases: aliases(object)?.into_iter().map(str::to_owned).collect(),
            ty: self.value(ty, space, depth + 1)?,
            tags: inline_tags(object),
            default: object.get("default").cloned(),
        })
    }
}

fn primitive(name: &str) -> Option<Type> {
    Some(match name {
        "null" => Type::Null,
        "boolean" => Type::Boolean,
        "int" => Type::Int,
        "long" => Type::Long,
        "float" => Type::Float,
        "double" => Type::Double,
        "bytes" => Type::Bytes,
        "string" => Type::String,
        _ => return None,
    })
}

/// `confluent:tags` of a field: only a JSON array counts.
fn inline_tags(field: &Map<String, Value>) -> Vec<String> {
    let list = field.get("confluent:tags").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn aliases(object: &Map<String, Value>) -> Result<Vec<&str>, SchemaError> {
    let Some(json) = object.get("aliases") else {
        return Ok(Vec::new());
    };
    let list = json.as_array().and_then(|list| list.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
    list.ok_or_else(|| SchemaError::invalid("aliases are not an array of strings"))
}

fn enumeration(object: &Map<String, Value>, name: String, aliases: Vec<String>) -> Result<Enum, SchemaError> {
    let list = object.get("symbols").and_then(Value::as_array);
    let Some(symbols) =
        list.and_then(|list| list.iter().map(|s| s.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>())
    else {
        return Err(SchemaError::invalid(format!("enum {name:?} has no array of symbols")));
    };
    let mut seen = HashSet::new();
    for symbol in &symbols {
        names::check(symbol, "symbol")?;
        if !seen.insert(symbol.as_str()) {
            return Err(SchemaError::invalid(format!("enum {name:?} has the symbol {symbol:?} twice")));
        }
    }
    let default = object.get("default").and_then(Value::as_str).map(str::to_owned);
    if default.as_ref().is_some_and(|default| !symbols.contains(default)) {
        return Err(SchemaError::invalid(format!("the default of enum {name:?} is none of its symbols")));
    }
    Ok(Enum { name, symbols, aliases, default })
}

fn fixed(object: &Map<String, Value>, name: String, aliases: Vec<String>) -> Result<Fixed, SchemaError> {
    let size = object.get("size").and_then(Value::as_u64).and_then(|size| usize::try_from(size).ok());
    match size.filter(|size| i32::try_from(*size).is_ok()) {
        Some(size) => Ok(Fixed { name, size, aliases }),
        None => Err(SchemaError::invalid(format!("fixed {name:?} has no size that is a number of bytes"))),
    }
}
