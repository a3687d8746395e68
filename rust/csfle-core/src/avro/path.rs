//! Field paths, as a tree that the ops point into: their texts are made only for an error.

use std::collections::HashMap;
use std::sync::Arc;

use crate::schema::FieldId;

/// A node of the tree.
pub(super) type PathId = u32;

/// The root of a datum, or of a procedure.
pub(super) const ROOT: PathId = 0;

/// A step from a node to one below it.
#[derive(Debug, Clone)]
enum Step {
    Field(Arc<str>),
    Items,
    Values,
}

/// The paths of a program.
#[derive(Debug, Default)]
pub(super) struct Paths(Vec<(PathId, Step)>);

impl Paths {
    /// Appends the text of the path to a node behind what is there already.
    pub(super) fn write(&self, mut id: PathId, text: &mut String) {
        let mut steps = Vec::new();
        while let Some((parent, step)) = (id as usize).checked_sub(1).and_then(|index| self.0.get(index)) {
            steps.push(step);
            id = *parent;
        }
        for step in steps.into_iter().rev() {
            match step {
                Step::Field(name) => {
                    if !text.is_empty() {
                        text.push('.');
                    }
                    text.push_str(name);
                }
                Step::Items => text.push_str("[]"),
                Step::Values => text.push_str("{}"),
            }
        }
    }
}

/// The paths of a program that is being compiled. A field's name is kept once.
#[derive(Default)]
pub(super) struct PathTree {
    pub(super) paths: Paths,
    names: HashMap<FieldId, Arc<str>>,
}

impl PathTree {
    /// Below `parent`, a field.
    pub(super) fn field(&mut self, parent: PathId, field: FieldId, name: &str) -> PathId {
        let name = self.names.entry(field).or_insert_with(|| name.into()).clone();
        self.add(parent, Step::Field(name))
    }

    /// Below `parent`, the items of an array.
    pub(super) fn items(&mut self, parent: PathId) -> PathId {
        self.add(parent, Step::Items)
    }

    /// Below `parent`, the values of a map.
    pub(super) fn values(&mut self, parent: PathId) -> PathId {
        self.add(parent, Step::Values)
    }

    fn add(&mut self, parent: PathId, step: Step) -> PathId {
        self.paths.0.push((parent, step));
        super::plan::position(self.paths.0.len()) // one more than the index: 0 is the root
    }
}
