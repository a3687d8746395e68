//! Whether a value fits its type, as fastavro validates the branches of a union: true, false, or not to
//! be told from here, in which case the row is left to it.

use csfle_core::avro::limits::NESTING;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};

use super::choice::{Choice, Class, Fit, Union, fit};
use super::logical::{Logical, Unit};
use super::program::{Node, NodeId, Program, Record};
use super::slow::Slow;

/// Values looked at for the choices of one row before the row is left to the guard, which can tell at
/// once whether it would ever end: branches that look alike are tried again for every union in them.
const MOST_VISITS: u64 = 1 << 20;

/// Looks at values, as deep as a row may go.
pub struct Fitting<'a> {
    program: &'a Program,
    /// Records, arrays and maps around.
    depth: u32,
    /// Values that may still be visited.
    visits: u64,
}

impl<'a> Fitting<'a> {
    pub fn new(program: &'a Program) -> Self {
        Self { program, depth: 0, visits: MOST_VISITS }
    }

    /// The branch that a value takes, with so many records, arrays and maps around it.
    #[inline]
    pub fn choose(
        &mut self,
        union: &'a Union,
        value: &Bound<'_, PyAny>,
        around: u32,
    ) -> Result<&'a Choice, Slow> {
        match union.choices(value, self.program.classes)? {
            [only] => Ok(only), // whether it fits comes out when it is written
            several => {
                self.depth = around; // both are on one stack
                self.best(several, value)
            }
        }
    }

    /// The first that fits, but of records the one with the most of the value's keys.
    fn best(&mut self, choices: &'a [Choice], value: &Bound<'_, PyAny>) -> Result<&'a Choice, Slow> {
        let mut best = None;
        for choice in choices {
            if !self.fits(choice.node, value)? {
                continue;
            }
            let Node::Record(record) = &self.program.nodes[choice.node] else {
                return Ok(choice);
            };
            let shared = shared_keys(record, value.cast_exact()?)?;
            if best.is_none_or(|(most, _)| shared > most) {
                best = Some((shared, choice));
            }
        }
        best.map(|(_, choice)| choice).ok_or(Slow::Row)
    }

    fn fits(&mut self, node: NodeId, value: &Bound<'_, PyAny>) -> Result<bool, Slow> {
        let program = self.program;
        let node = &program.nodes[node];
        if let Node::Union(union) = node {
            return self.fits_union(union, value);
        }
        let class = Class::of(value, program.classes).ok_or(Slow::Row)?;
        match (fit(node, class), node) {
            (Fit::Never, _) => Ok(false),
            (Fit::Always, _) => Ok(true),
            (Fit::Unknown, _) => Err(Slow::Row),
            (Fit::Checked, Node::Record(record)) => self.fits_record(record, value.cast_exact()?),
            (Fit::Checked, Node::Array { items, .. }) => self.fits_array(*items, value.cast_exact()?),
            (Fit::Checked, Node::Map(values)) => self.fits_map(*values, value.cast_exact()?),
            (Fit::Checked, leaf) => leaf_fits(leaf, value),
        }
    }

    fn fits_union(&mut self, union: &Union, value: &Bound<'_, PyAny>) -> Result<bool, Slow> {
        if let Ok(pair) = value.cast_exact::<PyTuple>() {
            let (branch, value) = union.named(pair)?;
            return self.fits(union.branches[branch], &value);
        }
        for choice in union.choices(value, self.program.classes)? {
            if self.fits(choice.node, value)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn fits_record(&mut self, record: &Record, dict: &Bound<'_, PyDict>) -> Result<bool, Slow> {
        let py = dict.py();
        if dict.contains(intern!(py, "-type"))? {
            return Err(Slow::Row);
        }
        self.enter(record.fields.len())?;
        for field in &record.fields {
            let value = match (dict.get_item(&field.name)?, &field.absent) {
                (Some(value), _) => value,
                (None, Some(absent)) => absent.bind(py).clone(),
                (None, None) => py.None().into_bound(py),
            };
            if !self.fits(field.node, &value)? {
                self.depth -= 1;
                return Ok(false);
            }
        }
        self.depth -= 1;
        Ok(true)
    }

    fn fits_array(&mut self, items: NodeId, list: &Bound<'_, PyList>) -> Result<bool, Slow> {
        self.enter(list.len())?;
        for item in list.iter() {
            if !self.fits(items, &item)? {
                self.depth -= 1;
                return Ok(false);
            }
        }
        self.depth -= 1;
        Ok(true)
    }

    fn fits_map(&mut self, values: NodeId, dict: &Bound<'_, PyDict>) -> Result<bool, Slow> {
        let own = dict.copy()?;
        self.enter(own.len())?;
        for (key, value) in own.iter() {
            if !key.is_exact_instance_of::<PyString>() {
                return Err(Slow::Row);
            }
            if !self.fits(values, &value)? {
                self.depth -= 1;
                return Ok(false);
            }
        }
        self.depth -= 1;
        Ok(true)
    }

    /// Goes into a record, an array or a map of so many values.
    fn enter(&mut self, values: usize) -> Result<(), Slow> {
        self.depth += 1;
        let left = self.visits.checked_sub(values as u64).filter(|_| self.depth <= NESTING);
        self.visits = left.ok_or(Slow::Row)?;
        Ok(())
    }
}

fn leaf_fits(leaf: &Node, value: &Bound<'_, PyAny>) -> Result<bool, Slow> {
    Ok(match leaf {
        Node::Int | Node::Logical(Logical::Date | Logical::Time(Unit::Millis)) => {
            value.extract::<i32>().is_ok()
        }
        Node::Fixed(size) | Node::Logical(Logical::Decimal { size: Some(size), .. }) => value.len()? == *size,
        Node::Enum(symbols) => {
            let symbol = value.cast::<PyString>()?.to_str();
            symbol.is_ok_and(|symbol| symbols.by_name.contains_key(symbol))
        }
        _ => value.extract::<i64>().is_ok(),
    })
}

fn shared_keys(record: &Record, dict: &Bound<'_, PyDict>) -> Result<usize, Slow> {
    let mut shared = 0;
    for field in &record.fields {
        shared += usize::from(dict.contains(&field.name)?);
    }
    Ok(shared)
}
