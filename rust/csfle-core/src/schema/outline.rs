//! A schema for people: every field with its path from the root.

use super::{FieldId, FieldTags, Schema, Type, TypeId};

/// Fields that an outline holds at most: a schema that uses its types in a widening DAG has more
/// paths than anybody can read.
const MOST_FIELDS: usize = 10_000;

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
}

impl Schema {
    /// Every field, in the order of the wire. A record inside itself is entered once.
    pub fn outline(&self, tags: &FieldTags) -> Vec<OutlineField> {
        let mut fields = Vec::new();
        // What is still to visit, with the records around it; the last is next.
        let mut open = vec![(self.root(), String::new(), Vec::<TypeId>::new())];
        while let Some((id, path, around)) = open.pop() {
            match self.get(id) {
                Type::Array(items) => open.push((*items, format!("{path}[]"), around)),
                Type::Map(values) => open.push((*values, format!("{path}{{}}"), around)),
                Type::Union(branches) => {
                    open.extend(branches.iter().rev().map(|branch| (*branch, path.clone(), around.clone())));
                }
                Type::Record(record) if !around.contains(&id) => {
                    let inside = [&around[..], &[id]].concat();
                    let dot = if path.is_empty() { "" } else { "." };
                    let places = (0u32..).zip(&record.fields);
                    let places: Vec<_> =
                        places.map(|(i, field)| (i, field, format!("{path}{dot}{}", field.name))).collect();
                    for (index, field, path) in &places {
                        if fields.len() == MOST_FIELDS {
                            return fields;
                        }
                        fields.push(OutlineField {
                            path: path.clone(),
                            field: (id, *index),
                            ty: self.in_words(field.ty),
                            tags: tags.get(&(id, *index)).into_iter().flatten().cloned().collect(),
                            holds_record: self.holds_record(field.ty),
                        });
                    }
                    open.extend(
                        places.into_iter().rev().map(|(_, field, path)| (field.ty, path, inside.clone())),
                    );
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

    fn holds_record(&self, id: TypeId) -> bool {
        match self.get(id) {
            Type::Record(_) => true,
            Type::Array(inner) | Type::Map(inner) => self.holds_record(*inner),
            Type::Union(branches) => branches.iter().any(|branch| self.holds_record(*branch)),
            _ => false,
        }
    }
}
