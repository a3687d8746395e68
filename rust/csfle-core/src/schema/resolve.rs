//! Which field of a reader schema each field of a writer schema resolves to (Avro resolution).

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{FieldId, FieldTags, Schema, Type, TypeId};

/// Writer fields to the reader fields they resolve to. A record type may be used in several
/// places and so resolve to several.
#[derive(Debug, Default)]
pub struct Resolution(HashMap<FieldId, HashSet<FieldId>>);

impl Resolution {
    /// Resolves `writer` by `reader`. Parts that do not resolve are left out.
    pub fn new(writer: &Schema, reader: &Schema) -> Self {
        let mut resolution = Self::default();
        let mut seen = HashSet::new();
        let mut open = vec![(writer.root(), reader.root())];
        while let Some(pair) = open.pop() {
            if seen.insert(pair) {
                resolution.step(writer, reader, pair, &mut open);
            }
        }
        resolution
    }

    fn step(
        &mut self,
        writer: &Schema,
        reader: &Schema,
        (from, to): (TypeId, TypeId),
        open: &mut Vec<(TypeId, TypeId)>,
    ) {
        match (writer.get(from), reader.get(to)) {
            (Type::Union(branches), _) => open.extend(branches.iter().map(|branch| (*branch, to))),
            (_, Type::Union(branches)) => {
                open.extend(branch(writer.get(from), reader, branches).map(|branch| (from, branch)));
            }
            (Type::Array(w), Type::Array(r)) | (Type::Map(w), Type::Map(r)) => open.push((*w, *r)),
            (Type::Record(w), Type::Record(r)) => {
                let fields = || (0u32..).zip(&r.fields);
                let aliases = fields().flat_map(|(index, field)| {
                    field.aliases.iter().map(move |alias| (alias.as_str(), (index, field.ty)))
                });
                // A field's own name goes before another's alias.
                let names = fields().map(|(index, field)| (field.name.as_str(), (index, field.ty)));
                let by_name: HashMap<_, _> = aliases.chain(names).collect();
                for (w_index, w_field) in (0u32..).zip(&w.fields) {
                    if let Some((r_index, r_type)) = by_name.get(w_field.name.as_str()) {
                        self.0.entry((from, w_index)).or_default().insert((to, *r_index));
                        open.push((w_field.ty, *r_type));
                    }
                }
            }
            _ => {}
        }
    }

    /// The tags that the writer's fields take over from the reader's.
    pub fn tags(&self, reader_tags: &FieldTags) -> FieldTags {
        let mut tags = FieldTags::new();
        for (field, targets) in &self.0 {
            let taken: BTreeSet<String> =
                targets.iter().filter_map(|target| reader_tags.get(target)).flatten().cloned().collect();
            if !taken.is_empty() {
                tags.insert(*field, taken);
            }
        }
        tags
    }
}

/// The branch of a reader's union that a writer's type resolves to: the same full name, then an
/// alias, then the same simple name, then the same kind; string and bytes promote to each other.
fn branch(ty: &Type, reader: &Schema, branches: &[TypeId]) -> Option<TypeId> {
    let simple = |name: &str| name.rsplit_once('.').map_or(name.to_owned(), |(_, simple)| simple.to_owned());
    let same_kind = || branches.iter().copied().filter(|id| reader.get(*id).kind() == ty.kind());
    let Some(name) = ty.name() else {
        let promoted = |id: &TypeId| {
            matches!((ty, reader.get(*id)), (Type::String, Type::Bytes) | (Type::Bytes, Type::String))
        };
        return same_kind().next().or_else(|| branches.iter().copied().find(promoted));
    };
    same_kind()
        .find(|id| reader.get(*id).name() == Some(name))
        .or_else(|| same_kind().find(|id| reader.get(*id).aliases().iter().any(|alias| alias == name)))
        .or_else(|| same_kind().find(|id| reader.get(*id).name().map(simple) == Some(simple(name))))
        .or_else(|| same_kind().next())
}
