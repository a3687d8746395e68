//! A schema for people: every field with its path from the root.

use super::{FieldId, FieldTags, Schema, Type, TypeId};

/// Fields that an outline holds at most: a schema that uses its types in a widening DAG has more
/// paths than anybody can read.
const MOST_FIELDS: usize = 10_000;

/// Bytes that its paths come to at most, for a schema of long names.
const MOST_PATH_BYTES: usize = 16 << 20;

/// One field at one place in the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutlineField {
    /// Path from the root: `a.b[].c`, `m{}.c`.
    pub path: String,
    /// Which field it is.
    pub field: FieldId,
    /// Its type in words: `string`, `null | array<string>`, `x.Row`.
    pub ty: String,
    /// Its effective tags.
    pub tags: Vec<String>,
    /// Whether a record is its type, or inside it.
    pub holds_record: bool,
    /// Whether a string or bytes is its type, or inside it without a record between.
    pub sealable: bool,
    /// Whether it is a plain primitive, which the tags of a record around it may reach.
    pub plain: bool,
    /// Position of the field whose record it is in; None in the root's.
    pub around: Option<usize>,
}

impl Schema {
    /// Every field, in the order of the wire. A record inside itself is entered once.
    pub fn outline(&self, tags: &FieldTags) -> Vec<OutlineField> {
        let mut fields = Vec::new();
        let mut path_bytes = 0;
        // What is still to visit, with the records around it; the last is next.
        let mut open = vec![(self.root(), String::new(), Vec::<TypeId>::new(), None)];
        while let Some((id, path, around, field_around)) = open.pop() {
            match self.get(id) {
                Type::Array(items) => open.push((*items, format!("{path}[]"), around, field_around)),
                Type::Map(values) => open.push((*values, format!("{path}{{}}"), around, field_around)),
                Type::Union(branches) => {
                    open.extend(
                        branches
                            .iter()
                            .rev()
                            .map(|branch| (*branch, path.clone(), around.clone(), field_around)),
                    );
                }
                Type::Record(record) if !around.contains(&id) => {
                    let inside = [&around[..], &[id]].concat();
                    let dot = if path.is_empty() { "" } else { "." };
                    let mut places = Vec::new();
                    for (index, field) in (0u32..).zip(&record.fields) {
                        path_bytes += path.len() + 1 + field.name.len();
                        if path_bytes > MOST_PATH_BYTES {
                            return fields;
                        }
                        places.push((index, field, format!("{path}{dot}{}", field.name)));
                    }
                    for (index, field, path) in &places {
                        if fields.len() == MOST_FIELDS {
                            return fields;
                        }
                        fields.push(OutlineField {
                            path: path.clone(),
                            field: (id, *index),
                            ty: self.in_words(field.ty),
                            tags: tags.get(&(id, *index)).into_iter().flatten().cloned().collect(),
                            holds_record: self.holds(field.ty, |ty| matches!(ty, Type::Record(_))),
                            sealable: self.holds(field.ty, |ty| matches!(ty, Type::String | Type::Bytes)),
                            plain: self.get(field.ty).is_plain_primitive(),
                            around: field_around,
                        });
                    }
                    let first = fields.len() - places.len();
                    open.extend(places.into_iter().enumerate().rev().map(|(place, (_, field, path))| {
                        (field.ty, path, inside.clone(), Some(first + place))
                    }));
                }
                _ => {}
            }
        }
        fields
    }

    fn in_words(&self, id: TypeId) -> String {
        match self.get(id) {
            Type::Array(items) => format!("array<{}>", self.in_words(*items)),
            Type::Map(values) => format!("map<{}>", self.in_words(*values)),
            Type::Union(branches) => {
                branches.iter().map(|branch| self.in_words(*branch)).collect::<Vec<_>>().join(" | ")
            }
            ty => ty.name().unwrap_or(ty.kind()).to_owned(),
        }
    }

    /// Whether a type is such a one, or holds it in an array, map or union.
    fn holds(&self, id: TypeId, is: fn(&Type) -> bool) -> bool {
        match self.get(id) {
            Type::Array(inner) | Type::Map(inner) => self.holds(*inner, is),
            Type::Union(branches) => branches.iter().any(|branch| self.holds(*branch, is)),
            ty => is(ty),
        }
    }
}
