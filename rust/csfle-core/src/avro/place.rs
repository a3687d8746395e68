//! Where in a schema the compiler stands, and the leaves it has met.

use std::collections::HashMap;

use super::path::PathId;
use super::plan::{Leaf, LeafId, LeafKind, position};
use crate::schema::FieldId;

/// The leaves of a plan, each once.
#[derive(Default)]
pub(super) struct Leaves {
    pub(super) list: Vec<Leaf>,
    ids: HashMap<(FieldId, bool, Vec<u16>, usize), LeafId>,
}

impl Leaves {
    /// The id of a leaf, old or new.
    pub(super) fn id(&mut self, field: FieldId, kind: LeafKind, rules: &[u16], most: usize) -> LeafId {
        let list = &mut self.list;
        *self.ids.entry((field, kind == LeafKind::Text, rules.to_vec(), most)).or_insert_with(|| {
            list.push(Leaf { kind, rules: rules.into(), field, most });
            position(list.len() - 1)
        })
    }
}

/// Where the compiler stands.
#[derive(Clone, Default)]
pub(super) struct Place {
    /// The innermost field, and the rules that hit its leaves.
    pub(super) field: Option<FieldId>,
    pub(super) rules: Vec<u16>,
    /// Path from the root or the procedure.
    pub(super) path: PathId,
    /// Records entered below the procedure's own.
    pub(super) levels: u32,
    /// Types entered below the procedure.
    pub(super) nesting: u32,
    /// Whether this is the field's own type, not an item or branch of it.
    pub(super) direct: bool,
    /// Whether this is a branch of a field's union of several types.
    pub(super) of_several: bool,
}

impl Place {
    /// The place of something inside that is neither a field nor a branch of a field's union.
    pub(super) fn inside(&self, path: PathId) -> Self {
        Self { path, nesting: self.nesting + 1, direct: false, of_several: false, ..self.clone() }
    }
}
