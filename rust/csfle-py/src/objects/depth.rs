//! Whether a row nests records deeper than any encoder behind us may be driven.
//!
//! Encoders recurse on the C stack and follow the object, so an object that holds itself, or a
//! long chain, ends the process. Only rows of a recursive schema can be that deep.

use std::collections::HashMap;

use csfle_core::avro::limits::RECORD_DEPTH;
use csfle_core::schema::{Schema, Type, TypeId};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyMapping, PySequence, PyString, PyTuple};

/// How many containers one row may come to when shared ones are written out each time they are
/// used, times its depth: a few dozen objects that hold each other twice would be 2^dozens, and an
/// encoder that chooses union branches by looking visits each container once a level.
const MOST_WORK: u64 = 1 << 24;

/// An object seen as a type. Its address stands for it, since every object seen is held.
type Seen = (usize, TypeId);

#[derive(Clone, Copy)]
struct Size {
    /// Records from here down.
    depth: u32,
    /// Containers from here down, shared ones counted each time.
    values: u64,
}

enum Step<'py> {
    /// An object to look into, and how many records are around it.
    Enter(Bound<'py, PyAny>, TypeId, u32),
    Leave(Seen, Vec<Seen>, u32),
}

/// Whether `row` nests records too deep, holds itself, or grows beyond all measure when written.
pub fn too_deep(schema: &Schema, row: &Bound<'_, PyAny>) -> PyResult<bool> {
    // None while an object is being looked into: met again then, it holds itself.
    let mut sizes: HashMap<Seen, Option<Size>> = HashMap::new();
    let mut held = Vec::new();
    let mut steps = vec![Step::Enter(row.clone(), schema.root(), 0)];
    while let Some(step) = steps.pop() {
        match step {
            Step::Enter(object, id, around) => {
                let seen = key(&object, id);
                match sizes.get(&seen) {
                    Some(Some(_)) => continue,
                    Some(None) => return Ok(true),
                    None => {}
                }
                let record = u32::from(matches!(schema.get(id), Type::Record(_)));
                // Objects that make what they hold only when asked never come round to themselves.
                if around + record > RECORD_DEPTH || held.len() as u64 > MOST_WORK {
                    return Ok(true);
                }
                sizes.insert(seen, None);
                let children = children(schema, &object, id)?;
                held.push(object);
                let keys = children.iter().map(|(object, id)| key(object, *id)).collect();
                steps.push(Step::Leave(seen, keys, record));
                steps.extend(
                    children.into_iter().map(|(object, id)| Step::Enter(object, id, around + record)),
                );
            }
            Step::Leave(seen, children, record) => {
                let below = children.iter().filter_map(|child| sizes.get(child).copied().flatten());
                let size = below.fold(Size { depth: 0, values: 1 }, |size, child| Size {
                    depth: size.depth.max(child.depth),
                    values: size.values.saturating_add(child.values),
                });
                let size = Size { depth: size.depth + record, ..size };
                if size.depth > RECORD_DEPTH || size.values.saturating_mul(u64::from(size.depth)) > MOST_WORK
                {
                    return Ok(true);
                }
                sizes.insert(seen, Some(size));
            }
        }
    }
    Ok(false)
}

fn key(object: &Bound<'_, PyAny>, id: TypeId) -> Seen {
    (object.as_ptr().addr(), id)
}

/// The containers directly inside an object, as the types that an encoder may take them for. Any
/// mapping is a record or map to an encoder, and any sequence an array.
fn children<'py>(
    schema: &Schema,
    object: &Bound<'py, PyAny>,
    id: TypeId,
) -> PyResult<Vec<(Bound<'py, PyAny>, TypeId)>> {
    let mut inside = Vec::new();
    let mut add = |object: Bound<'py, PyAny>, id: TypeId| {
        if is_container(&object) {
            inside.push((object, id));
        }
    };
    match schema.get(id) {
        Type::Record(record) if is_mapping(object) => {
            for field in &record.fields {
                let value = match object.cast_exact::<PyDict>() {
                    Ok(dict) => dict.get_item(&field.name)?,
                    Err(_) => Some(object.call_method1("get", (&field.name,))?),
                };
                if let Some(value) = value {
                    add(value, field.ty);
                }
            }
        }
        Type::Map(values) if is_mapping(object) => {
            for value in object.call_method0("values")?.try_iter()? {
                add(value?, *values);
            }
        }
        Type::Array(items) if !is_mapping(object) => {
            for item in object.try_iter()? {
                add(item?, *items);
            }
        }
        Type::Union(branches) => {
            let hinted = object.cast::<PyTuple>().ok().filter(|pair| pair.len() == 2);
            let value = hinted.map_or(Ok(object.clone()), |pair| pair.get_item(1))?;
            for branch in branches {
                add(value.clone(), *branch);
            }
        }
        _ => {}
    }
    Ok(inside)
}

fn is_mapping(object: &Bound<'_, PyAny>) -> bool {
    object.is_instance_of::<PyDict>() || object.cast::<PyMapping>().is_ok()
}

fn is_container(object: &Bound<'_, PyAny>) -> bool {
    if object.is_none() || object.is_instance_of::<PyString>() || object.is_instance_of::<PyBytes>() {
        return false;
    }
    object.is_instance_of::<PyList>() || is_mapping(object) || object.cast::<PySequence>().is_ok()
}
