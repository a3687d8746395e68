//! Which branch of a union a value takes: fastavro asks one branch after the other whether the value
//! fits, and so does this. What the classes of values decide is decided once.

use std::collections::HashMap;

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

use super::logical::{Classes, Logical};
use super::program::{Node, NodeId};
use super::slow::Slow;

/// The exact class of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    None,
    Bool,
    Int,
    Float,
    Str,
    Bytes,
    List,
    Dict,
    Date,
    Time,
    Datetime,
    Decimal,
    Uuid,
}

const CLASSES: [Class; 13] = [
    Class::None,
    Class::Bool,
    Class::Int,
    Class::Float,
    Class::Str,
    Class::Bytes,
    Class::List,
    Class::Dict,
    Class::Date,
    Class::Time,
    Class::Datetime,
    Class::Decimal,
    Class::Uuid,
];

impl Class {
    #[inline]
    pub fn of(value: &Bound<'_, PyAny>, classes: &Classes) -> Option<Self> {
        Some(if value.is_exact_instance_of::<PyString>() {
            Self::Str
        } else if value.is_none() {
            Self::None
        } else if value.is_exact_instance_of::<PyInt>() {
            Self::Int
        } else if value.is_exact_instance_of::<PyDict>() {
            Self::Dict
        } else if value.is_exact_instance_of::<PyFloat>() {
            Self::Float
        } else if value.is_exact_instance_of::<PyList>() {
            Self::List
        } else if value.is_exact_instance_of::<PyBool>() {
            Self::Bool
        } else if value.is_exact_instance_of::<PyBytes>() {
            Self::Bytes
        } else {
            return classes.of(value);
        })
    }
}

/// Whether a value of some class fits a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    Never,
    Always,
    /// The value tells.
    Checked,
    /// Only fastavro can tell.
    Unknown,
}

/// A branch that values of some class may take.
pub struct Choice {
    /// Its index on the wire.
    pub index: i64,
    pub node: NodeId,
}

/// A union with what each class of values may choose.
pub struct Union {
    pub branches: Box<[NodeId]>,
    /// Branches that are records, by full name.
    names: HashMap<String, usize>,
    /// By class: branches in the order they are tried, up to one that always fits.
    choices: [Box<[Choice]>; CLASSES.len()],
}

impl Union {
    /// A union whose branches are not known yet: a value has nothing to choose.
    pub fn unchosen(branches: Box<[NodeId]>, names: HashMap<String, usize>) -> Self {
        Self { branches, names, choices: Default::default() }
    }

    /// Fills in the choices once the branches are known.
    pub fn chosen(&self, nodes: &[Node]) -> Self {
        let choices = CLASSES.map(|class| choices(class, &self.branches, nodes));
        Self { branches: self.branches.clone(), names: self.names.clone(), choices }
    }

    /// The branches that a value may take, in the order they are tried.
    #[inline]
    pub fn choices(&self, value: &Bound<'_, PyAny>, classes: &Classes) -> Result<&[Choice], Slow> {
        Ok(&self.choices[Class::of(value, classes).ok_or(Slow::Row)? as usize])
    }

    /// The record that a pair `(full name, value)` names, and the value.
    pub fn named<'py>(&self, pair: &Bound<'py, PyTuple>) -> Result<(usize, Bound<'py, PyAny>), Slow> {
        let (name, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = pair.extract()?;
        let branch = self.names.get(name.cast_exact::<PyString>()?.to_str()?).ok_or(Slow::Row)?;
        Ok((*branch, value))
    }
}

fn choices(class: Class, branches: &[NodeId], nodes: &[Node]) -> Box<[Choice]> {
    let mut choices = Vec::new();
    // Where a float would do, a double behind it is taken instead; one before it has been taken already.
    let double = branches.iter().position(|branch| matches!(nodes[*branch], Node::Double));
    for (at, branch) in branches.iter().enumerate() {
        let fit = fit(&nodes[*branch], class);
        let float = matches!(nodes[*branch], Node::Float);
        let at = double.filter(|_| float).unwrap_or(at);
        if fit != Fit::Never {
            choices.push(Choice { index: index(at), node: branches[at] });
        }
        if fit == Fit::Always {
            break;
        }
    }
    choices.into()
}

/// The index of a branch on the wire.
#[allow(clippy::cast_possible_wrap)] // a union is a list in memory
pub fn index(branch: usize) -> i64 {
    branch as i64
}

/// What a node says of a class. fastavro takes any sequence for an array, `bytes` too.
pub fn fit(node: &Node, class: Class) -> Fit {
    match (node, class) {
        (Node::Logical(logical), class) => logical_fit(*logical, class),
        (Node::Null, Class::None)
        | (Node::Boolean, Class::Bool)
        | (Node::Float | Node::Double, Class::Int | Class::Float)
        | (Node::Bytes, Class::Bytes)
        | (Node::Text, Class::Str) => Fit::Always,
        (Node::Int | Node::Long, Class::Int)
        | (Node::Enum(_), Class::Str)
        | (Node::Fixed(_), Class::Bytes)
        | (Node::Array { .. }, Class::List)
        | (Node::Map(_) | Node::Record(_), Class::Dict) => Fit::Checked,
        (Node::Array { .. }, Class::Bytes) | (Node::Foreign, _) => Fit::Unknown,
        _ => Fit::Never,
    }
}

/// The same for a logical type, whose converter comes first: one may read a date from a text, and one
/// ends the search with an exception where a decimal has too many digits.
fn logical_fit(logical: Logical, class: Class) -> Fit {
    match (logical, class) {
        (Logical::Date, Class::Date)
        | (Logical::Time(_), Class::Time)
        | (Logical::Timestamp { .. }, Class::Datetime)
        | (Logical::Uuid, Class::Uuid | Class::Str)
        | (Logical::Decimal { size: None, .. }, Class::Bytes) => Fit::Always,
        (Logical::Date | Logical::Time(_) | Logical::Timestamp { .. }, Class::Int)
        | (Logical::Decimal { size: Some(_), .. }, Class::Bytes) => Fit::Checked,
        (Logical::Date, Class::Str | Class::Datetime) | (Logical::Decimal { .. }, Class::Decimal) => {
            Fit::Unknown
        }
        _ => Fit::Never,
    }
}
