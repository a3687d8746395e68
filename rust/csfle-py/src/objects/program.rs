//! A schema compiled for rows: what stands at each place, with names and defaults as Python objects.

use std::collections::{HashMap, HashSet};

use csfle_core::schema::{self, Schema, Type, TypeId};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::choice::Union;
use super::logical::{Classes, Logical};

/// Index of a node in its program.
pub type NodeId = usize;

/// What one place of a row may hold.
pub enum Node {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    Text,
    Fixed(usize),
    Enum(Symbols),
    Array {
        items: NodeId,
        takes_bytes: bool,
    },
    Map(NodeId),
    Union(Union),
    Record(Record),
    /// Values with a Python class of their own.
    Logical(Logical),
    /// Left to fastavro, with the row that it is met in.
    Foreign,
}

/// The symbols of an enum.
pub struct Symbols {
    pub by_name: HashMap<String, i64>,
    pub names: Vec<Py<PyString>>,
}

/// A record.
pub struct Record {
    pub fields: Vec<Field>,
    /// A dict with every field in its place. To copy it and overwrite its values costs less than to let
    /// a dict grow, once there are more fields than a small dict has room for.
    pub template: Option<Py<PyDict>>,
}

/// A field of a record.
pub struct Field {
    pub name: Py<PyString>,
    pub node: NodeId,
    /// What is written where a row lacks the field; None where a row must not.
    pub absent: Option<Py<PyAny>>,
}

/// Most fields that a new dict has room for.
const SMALL_DICT: usize = 5;

/// A compiled schema.
pub struct Program {
    pub nodes: Vec<Node>,
    /// The root is `bytes`, whose body is the raw bytes.
    pub raw: bool,
    pub classes: &'static Classes,
}

/// The root's place in every program.
pub const ROOT: NodeId = 0;

impl Program {
    /// Compiles a schema. The fields `left` (full names) may hold ciphertext: the logical types of
    /// their strings and bytes do not count. Logical types that are `foreign` (`long-timestamp-millis`,
    /// ...) are left to fastavro.
    pub fn compile(
        py: Python<'_>,
        schema: &Schema,
        left: &HashSet<String>,
        foreign: &HashSet<String>,
    ) -> PyResult<Self> {
        let spaced = schema.records().any(|(_, record)| record.name.contains('.'));
        let (ids, places) = (HashMap::new(), Vec::new());
        let mut compiler = Compiler { py, schema, left, foreign, spaced, ids, places };
        compiler.id(schema.root(), false);
        let mut nodes = Vec::new();
        while let Some((id, left)) = compiler.places.get(nodes.len()) {
            nodes.push(compiler.node(*id, *left)?);
        }
        for at in 0..nodes.len() {
            if let Node::Union(union) = &nodes[at] {
                nodes[at] = Node::Union(union.chosen(&nodes));
            }
        }
        let raw = matches!(schema.get(schema.root()), Type::Bytes);
        Ok(Self { nodes, raw, classes: Classes::get(py)? })
    }
}

struct Compiler<'a, 'py> {
    py: Python<'py>,
    schema: &'a Schema,
    left: &'a HashSet<String>,
    foreign: &'a HashSet<String>,
    /// Whether some record's name has a namespace.
    spaced: bool,
    /// The node of each type, inside and outside of the fields that are left.
    ids: HashMap<(TypeId, bool), NodeId>,
    /// What each node is of. Those without a node yet are still to be compiled.
    places: Vec<(TypeId, bool)>,
}

impl Compiler<'_, '_> {
    fn id(&mut self, id: TypeId, left: bool) -> NodeId {
        let places = &mut self.places;
        *self.ids.entry((id, left)).or_insert_with(|| {
            places.push((id, left));
            places.len() - 1
        })
    }

    fn node(&mut self, id: TypeId, left: bool) -> PyResult<Node> {
        let ty = self.schema.get(id);
        if !(left && matches!(ty, Type::String | Type::Bytes))
            && let Some(node) = self.logical(id, ty)
        {
            return Ok(node);
        }
        Ok(match ty {
            Type::Null => Node::Null,
            Type::Boolean => Node::Boolean,
            Type::Int => Node::Int,
            Type::Long => Node::Long,
            Type::Float => Node::Float,
            Type::Double => Node::Double,
            Type::Bytes => Node::Bytes,
            Type::String => Node::Text,
            Type::Fixed(fixed) => Node::Fixed(fixed.size),
            Type::Enum(symbols) => Node::Enum(self.symbols(&symbols.symbols)),
            Type::Array(items) => {
                Node::Array { items: self.id(*items, left), takes_bytes: self.schema.takes_bytes(*items) }
            }
            Type::Map(values) => Node::Map(self.id(*values, left)),
            Type::Union(branches) => {
                let nodes = branches.iter().map(|branch| self.id(*branch, left)).collect();
                Node::Union(Union::unchosen(nodes, self.names(branches)))
            }
            Type::Record(record) => Node::Record(self.record(id, record)?),
        })
    }

    fn logical(&self, id: TypeId, ty: &Type) -> Option<Node> {
        let name = self.schema.logical_name(id)?;
        if self.foreign.contains(&format!("{}-{name}", ty.kind())) {
            return Some(Node::Foreign);
        }
        if name != "decimal" {
            return Logical::named(ty, name).map(Node::Logical);
        }
        let size = if let Type::Fixed(fixed) = ty { Some(fixed.size) } else { None };
        let (precision, scale) = self.schema.decimal(id)?;
        Some(Logical::decimal(precision, scale, size).map_or(Node::Foreign, Node::Logical))
    }

    /// The branches that are records by their names, where those are sure to be what fastavro calls
    /// them: it writes a name without a namespace in another way below a name with one.
    fn names(&self, branches: &[TypeId]) -> HashMap<String, usize> {
        let named = branches.iter().enumerate().filter_map(|(at, branch)| match self.schema.get(*branch) {
            Type::Record(record) if record.name.contains('.') || !self.spaced => {
                Some((record.name.clone(), at))
            }
            _ => None,
        });
        named.collect()
    }

    fn symbols(&self, symbols: &[String]) -> Symbols {
        Symbols {
            by_name: symbols.iter().cloned().zip(0..).collect(),
            names: symbols.iter().map(|symbol| PyString::intern(self.py, symbol).unbind()).collect(),
        }
    }

    fn record(&mut self, id: TypeId, record: &schema::Record) -> PyResult<Record> {
        let mut fields = Vec::new();
        for (index, field) in (0u32..).zip(&record.fields) {
            let left = self.left.contains(&self.schema.full_name((id, index)));
            fields.push(Field {
                name: PyString::intern(self.py, &field.name).unbind(),
                node: self.id(field.ty, left),
                absent: self.absent(field)?,
            });
        }
        let template = if fields.len() > SMALL_DICT { Some(self.template(&fields)?) } else { None };
        Ok(Record { fields, template })
    }

    fn template(&self, fields: &[Field]) -> PyResult<Py<PyDict>> {
        let dict = PyDict::new(self.py);
        for field in fields {
            dict.set_item(&field.name, self.py.None())?;
        }
        Ok(dict.unbind())
    }

    /// What is written for a field that a row lacks.
    fn absent(&self, field: &schema::Field) -> PyResult<Option<Py<PyAny>>> {
        if let Some(default) = default_of(self.py, field)? {
            return Ok(Some(default.unbind()));
        }
        let null =
            |id: TypeId| matches!(self.schema.get(id), Type::Null) && self.schema.logical_name(id).is_none();
        let nullable = match self.schema.get(field.ty) {
            Type::Union(branches) => branches.iter().any(|branch| null(*branch)),
            _ => null(field.ty),
        };
        Ok(nullable.then(|| self.py.None()))
    }
}

/// A field's default as Python's JSON module reads it, which is how fastavro meets it.
pub fn default_of<'py>(py: Python<'py>, field: &schema::Field) -> PyResult<Option<Bound<'py, PyAny>>> {
    let Some(default) = &field.default else {
        return Ok(None);
    };
    let json = py.import(intern!(py, "json"))?;
    json.call_method1(intern!(py, "loads"), (default.to_string(),)).map(Some)
}
