//! The schema table: the registry's JSON as named types with tags, every name resolved.
//!
//! The rules are Java's (Avro 1.12, default validation off, as Confluent's client parses
//! registered schemas): what Java reads is read, what Java refuses is refused.

mod codec;
mod names;
mod outline;
mod parse;
mod resolve;
mod select;
mod shape;
mod tags;

pub use outline::OutlineField;
pub use resolve::Resolution;
pub use select::{Hits, Inheritance, Latest, select};
pub use tags::{FieldTags, Pattern, Patterns};

use crate::error::SchemaError;

/// Index of a type in its [`Schema`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeId(u32);

/// A field of a record, by the record's id and the field's position.
pub type FieldId = (TypeId, u32);

/// One type. Named types stand once in the table, wherever they are used.
#[derive(Debug)]
pub enum Type {
    /// No bytes.
    Null,
    /// One byte, 0 or 1.
    Boolean,
    /// Zig-zag varint, 32 bits.
    Int,
    /// Zig-zag varint, 64 bits.
    Long,
    /// Four bytes.
    Float,
    /// Eight bytes.
    Double,
    /// Length and bytes.
    Bytes,
    /// Length and UTF-8.
    String,
    /// Blocks of items.
    Array(TypeId),
    /// Blocks of key and value.
    Map(TypeId),
    /// Branch index and value.
    Union(Vec<TypeId>),
    /// A set number of bytes.
    Fixed(Fixed),
    /// Symbol index.
    Enum(Enum),
    /// Fields one after the other.
    Record(Record),
}

/// A named type of a set size.
#[derive(Debug)]
pub struct Fixed {
    /// Full name.
    pub name: String,
    /// Bytes.
    pub size: usize,
    /// Full names of old.
    pub aliases: Vec<String>,
}

/// A named type of symbols.
#[derive(Debug)]
pub struct Enum {
    /// Full name.
    pub name: String,
    /// Symbols by index.
    pub symbols: Vec<String>,
    /// Full names of old.
    pub aliases: Vec<String>,
    /// The symbol that a reader takes for one it does not know.
    pub default: Option<String>,
}

/// A named type of fields (`record` or `error`).
#[derive(Debug)]
pub struct Record {
    /// Full name.
    pub name: String,
    /// Full names of old.
    pub aliases: Vec<String>,
    /// Fields in the order of the wire.
    pub fields: Vec<Field>,
}

/// One field of a record.
#[derive(Debug)]
pub struct Field {
    /// Name within the record.
    pub name: String,
    /// Names of old.
    pub aliases: Vec<String>,
    /// Its type.
    pub ty: TypeId,
    /// Inline `confluent:tags`, as written.
    pub tags: Vec<String>,
    /// Its default as JSON, not validated.
    pub default: Option<serde_json::Value>,
}

/// A parsed schema with its references.
#[derive(Debug)]
pub struct Schema {
    types: Vec<Type>,
    /// Logical-type attributes of the type with the same index; only the dict codec reads them.
    logical: Vec<Option<serde_json::Map<String, serde_json::Value>>>,
    root: TypeId,
    recursive: bool,
    takes_bytes: Vec<bool>,
    holds_decimal: Vec<bool>,
}

impl Schema {
    /// Parses `schema` after `references`, whose named types it may use (dependencies first).
    pub fn parse(schema: &str, references: &[&str]) -> Result<Self, SchemaError> {
        parse::parse(schema, references)
    }

    /// The root type.
    pub fn root(&self) -> TypeId {
        self.root
    }

    /// The type behind an id of this schema.
    pub fn get(&self, id: TypeId) -> &Type {
        &self.types[id.0 as usize]
    }

    /// Whether some record contains itself.
    pub fn recursive(&self) -> bool {
        self.recursive
    }

    /// Whether every value of a type takes at least one byte.
    pub fn takes_bytes(&self, id: TypeId) -> bool {
        self.takes_bytes[id.0 as usize]
    }

    /// Kind of the root, in Avro's own word.
    pub fn kind(&self) -> &'static str {
        self.get(self.root).kind()
    }

    /// Full name of the root, where it has one.
    pub fn name(&self) -> Option<&str> {
        self.get(self.root).name()
    }

    /// Whether a type carries a logical type, valid or not.
    pub fn is_logical(&self, id: TypeId) -> bool {
        self.logical[id.0 as usize].is_some()
    }

    /// Name of the logical type that values of a type are made of, None where it has none or one that
    /// breaks Avro's rules, which counts for nothing.
    pub fn logical_name(&self, id: TypeId) -> Option<&str> {
        let logical = self.logical[id.0 as usize].as_ref()?;
        let name = logical.get("logicalType").and_then(serde_json::Value::as_str);
        name.filter(|_| codec::makes_sense(self.get(id), logical))
    }

    /// Precision and scale of a decimal, which is bytes or fixed.
    pub fn decimal(&self, id: TypeId) -> Option<(u64, u64)> {
        let logical = self.logical[id.0 as usize].as_ref()?;
        let number = matches!(self.types[id.0 as usize], Type::Bytes | Type::Fixed(_));
        if number { codec::decimal(logical) } else { None }
    }

    /// Whether a type is a decimal or may hold one.
    pub fn holds_decimal(&self, id: TypeId) -> bool {
        self.holds_decimal[id.0 as usize]
    }

    /// Every record of the table with its id.
    pub fn records(&self) -> impl Iterator<Item = (TypeId, &Record)> {
        (0u32..).map(TypeId).zip(&self.types).filter_map(|(id, ty)| match ty {
            Type::Record(record) => Some((id, record)),
            _ => None,
        })
    }

    /// `record full name . field name` of a field.
    pub fn full_name(&self, (record, field): FieldId) -> String {
        match self.get(record) {
            Type::Record(r) => format!("{}.{}", r.name, r.fields[field as usize].name),
            _ => String::new(),
        }
    }

    /// The schema as one JSON text: full names everywhere, references written out where they are
    /// first used. What an Avro library needs to know, no more.
    pub fn codec_json(&self) -> Result<String, SchemaError> {
        codec::codec_json(self)
    }
}

impl Type {
    /// Avro's word for the kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Type::Null => "null",
            Type::Boolean => "boolean",
            Type::Int => "int",
            Type::Long => "long",
            Type::Float => "float",
            Type::Double => "double",
            Type::Bytes => "bytes",
            Type::String => "string",
            Type::Array(_) => "array",
            Type::Map(_) => "map",
            Type::Union(_) => "union",
            Type::Fixed(_) => "fixed",
            Type::Enum(_) => "enum",
            Type::Record(_) => "record",
        }
    }

    /// Whether it is one of the eight kinds that have no name and nothing inside.
    pub fn is_plain_primitive(&self) -> bool {
        self.name().is_none() && !matches!(self, Type::Array(_) | Type::Map(_) | Type::Union(_))
    }

    /// Full name of a named type.
    pub fn name(&self) -> Option<&str> {
        match self {
            Type::Fixed(t) => Some(&t.name),
            Type::Enum(t) => Some(&t.name),
            Type::Record(t) => Some(&t.name),
            _ => None,
        }
    }

    /// Aliases of a named type.
    pub fn aliases(&self) -> &[String] {
        match self {
            Type::Fixed(t) => &t.aliases,
            Type::Enum(t) => &t.aliases,
            Type::Record(t) => &t.aliases,
            _ => &[],
        }
    }

    /// The types directly inside.
    fn children(&self) -> Vec<TypeId> {
        match self {
            Type::Array(t) | Type::Map(t) => vec![*t],
            Type::Union(branches) => branches.clone(),
            Type::Record(r) => r.fields.iter().map(|f| f.ty).collect(),
            _ => Vec::new(),
        }
    }
}
