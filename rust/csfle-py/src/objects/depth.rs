//! Whether a row may be handed to an encoder that recurses on the C stack and tries union branches.
//!
//! Such an encoder follows the object: one that holds itself, or a long chain, ends the process, and
//! a union of records that look alike is tried again for every union inside it. Only rows of a
//! recursive schema can go that far. What an encoder will do is worked out here once for each
//! object and type, however often it would be done.

use std::collections::HashMap;

use csfle_core::avro::limits::{NESTING, RECORD_DEPTH};
use csfle_core::schema::{Field, FieldId, Schema, Type, TypeId};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::leaf::{is_mapping, is_sequence, leaf_fits};
use super::program::default_of;

/// Values that an encoder may visit for one row, each time it is tried counted.
pub const MOST_VISITS: u64 = 1 << 23;

/// An object seen as a type. Its address stands for it, since every object seen is held.
type Seen = (usize, TypeId);

/// What an encoder meets from an object down.
#[derive(Clone, Copy)]
struct Effort {
    /// Records inside each other.
    depth: u32,
    /// Records, arrays and maps inside each other.
    nesting: u32,
    /// Whether the object fits the type.
    fits: bool,
    /// Visits to find out whether it fits.
    to_check: u64,
    /// Visits to write it.
    to_write: u64,
}

impl Effort {
    fn leaf(fits: bool) -> Self {
        Self { depth: 0, nesting: 0, fits, to_check: 1, to_write: 1 }
    }

    /// A container whose parts are all checked, in order, up to one that does not fit.
    fn all(parts: &[Self], record: u32) -> Self {
        let checked = parts.iter().position(|part| !part.fits).map_or(parts.len(), |index| index + 1);
        Self {
            depth: record + deepest(parts),
            nesting: 1 + most_nested(parts),
            fits: checked == parts.len() && parts.last().is_none_or(|part| part.fits),
            to_check: sum(parts[..checked].iter().map(|part| part.to_check)),
            to_write: sum(parts.iter().map(|part| part.to_write)),
        }
    }

    /// A union: the first branch that fits ends a check, and all are tried before one is written.
    fn any(branches: &[Self]) -> Self {
        let fitting = branches.iter().position(|branch| branch.fits);
        let checked = fitting.map_or(branches.len(), |index| index + 1);
        let written = branches.iter().filter(|branch| branch.fits).map(|branch| branch.to_write).max();
        Self {
            depth: deepest(branches),
            nesting: most_nested(branches),
            fits: fitting.is_some(),
            to_check: sum(branches[..checked].iter().map(|branch| branch.to_check)),
            to_write: sum(branches.iter().map(|branch| branch.to_check).chain(written)),
        }
    }
}

fn deepest(parts: &[Effort]) -> u32 {
    parts.iter().map(|part| part.depth).max().unwrap_or(0)
}

fn most_nested(parts: &[Effort]) -> u32 {
    parts.iter().map(|part| part.nesting).max().unwrap_or(0)
}

fn sum(visits: impl Iterator<Item = u64>) -> u64 {
    visits.fold(1, u64::saturating_add)
}

/// A part of an object: known at once, or to be looked into.
enum Part<'py> {
    Known(Effort),
    Open(Bound<'py, PyAny>, TypeId),
}

enum Step<'py> {
    /// An object to look into; how many records are around it, and with arrays and maps.
    Enter(Bound<'py, PyAny>, TypeId, [u32; 2]),
    Leave(Seen, Vec<Result<Effort, Seen>>),
}

/// Whether `row` nests records too deep, holds itself, or would keep an encoder busy beyond measure.
pub fn too_deep(schema: &Schema, row: &Bound<'_, PyAny>) -> PyResult<bool> {
    // None while an object is being looked into: met again then, it holds itself.
    let mut efforts: HashMap<Seen, Option<Effort>> = HashMap::new();
    let mut held = Vec::new();
    let mut defaults = Defaults::default();
    let mut steps = vec![Step::Enter(row.clone(), schema.root(), [0, 0])];
    while let Some(step) = steps.pop() {
        match step {
            Step::Enter(object, id, around) => {
                let seen = key(&object, id);
                match efforts.get(&seen) {
                    Some(Some(_)) => continue,
                    Some(None) => return Ok(true),
                    None => {}
                }
                let [records, all] = around;
                let [record, one] = match schema.get(id) {
                    Type::Record(_) => [1, 1],
                    Type::Array(_) | Type::Map(_) => [0, 1],
                    _ => [0, 0],
                };
                let around = [records + record, all + one];
                // Objects that make what they hold only when asked never come round to themselves.
                if is_too_deep(around) || held.len() as u64 > MOST_VISITS {
                    return Ok(true);
                }
                efforts.insert(seen, None);
                let mut inner = Vec::new();
                let mut open = Vec::new();
                for part in parts(schema, &object, id, &mut defaults)? {
                    match part {
                        Part::Known(effort) => inner.push(Ok(effort)),
                        Part::Open(object, id) => {
                            inner.push(Err(key(&object, id)));
                            open.push(Step::Enter(object, id, around));
                        }
                    }
                }
                held.push(object);
                steps.push(Step::Leave(seen, inner));
                steps.extend(open);
            }
            Step::Leave(seen, inner) => {
                let known = |part| match part {
                    Ok(effort) => effort,
                    Err(seen) => efforts.get(&seen).copied().flatten().unwrap_or(Effort::leaf(false)),
                };
                let inner: Vec<Effort> = inner.into_iter().map(known).collect();
                let effort = match schema.get(seen.1) {
                    Type::Union(_) => Effort::any(&inner),
                    ty => Effort::all(&inner, u32::from(matches!(ty, Type::Record(_)))),
                };
                if is_too_deep([effort.depth, effort.nesting]) || effort.to_write > MOST_VISITS {
                    return Ok(true);
                }
                efforts.insert(seen, Some(effort));
            }
        }
    }
    Ok(false)
}

fn is_too_deep([records, all]: [u32; 2]) -> bool {
    records > RECORD_DEPTH || all > NESTING
}

/// The defaults that were met, each as one object: a default that holds itself is met again.
#[derive(Default)]
struct Defaults<'py>(HashMap<FieldId, Bound<'py, PyAny>>);

impl<'py> Defaults<'py> {
    fn of(&mut self, py: Python<'py>, id: FieldId, field: &Field) -> PyResult<Option<Bound<'py, PyAny>>> {
        if !self.0.contains_key(&id)
            && let Some(default) = default_of(py, field)?
        {
            self.0.insert(id, default);
        }
        Ok(self.0.get(&id).cloned())
    }
}

fn key(object: &Bound<'_, PyAny>, id: TypeId) -> Seen {
    (object.as_ptr().addr(), id)
}

/// The parts of an object as an encoder takes it for a type. To an encoder any mapping is a record
/// or a map, and any sequence an array.
fn parts<'py>(
    schema: &Schema,
    object: &Bound<'py, PyAny>,
    id: TypeId,
    defaults: &mut Defaults<'py>,
) -> PyResult<Vec<Part<'py>>> {
    let part = |object: Bound<'py, PyAny>, id: TypeId| match schema.get(id) {
        Type::Record(_) | Type::Map(_) if is_mapping(&object) => Part::Open(object, id),
        Type::Array(_) if is_sequence(&object) => Part::Open(object, id),
        Type::Union(_) => Part::Open(object, id),
        ty => Part::Known(Effort::leaf(leaf_fits(schema, ty, id, &object))),
    };
    let mut inside = Vec::new();
    match schema.get(id) {
        Type::Record(record) if is_mapping(object) => {
            for (index, field) in (0u32..).zip(&record.fields) {
                let mut default = || defaults.of(object.py(), (id, index), field);
                let value = match object.cast_exact::<PyDict>() {
                    Ok(dict) => {
                        dict.get_item(&field.name)?.map_or_else(&mut default, |value| Ok(Some(value)))?
                    }
                    Err(_) => Some(object.call_method1("get", (&field.name, default()?))?),
                };
                inside.push(match value {
                    Some(value) => part(value, field.ty),
                    None => Part::Known(Effort::leaf(false)),
                });
            }
        }
        Type::Map(values) if is_mapping(object) => {
            for value in object.call_method0("values")?.try_iter()? {
                inside.push(part(value?, *values));
            }
        }
        Type::Array(items) if is_sequence(object) => {
            for item in object.try_iter()? {
                inside.push(part(item?, *items));
            }
        }
        Type::Union(branches) => {
            let hinted = object.cast::<PyTuple>().ok().filter(|pair| pair.len() == 2);
            let value = hinted.map_or(Ok(object.clone()), |pair| pair.get_item(1))?;
            inside.extend(branches.iter().map(|branch| part(value.clone(), *branch)));
        }
        ty => inside.push(Part::Known(Effort::leaf(leaf_fits(schema, ty, id, object)))),
    }
    Ok(inside)
}
