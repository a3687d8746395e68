//! Whether a row nests records deeper than any encoder behind us may be driven.
//!
//! Encoders recurse on the C stack and follow the object, so an object that holds itself, or a
//! long chain, ends the process. Only rows of a recursive schema can be that deep.

use std::collections::HashMap;

use csfle_core::avro::limits::RECORD_DEPTH;
use csfle_core::schema::{Schema, Type, TypeId};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

/// How many containers one row may come to when shared ones are written out each time they are
/// used, times its depth: a few dozen objects that hold each other twice would be 2^dozens, and an
/// encoder that chooses union branches by looking visits each container once a level.
const MOST_WORK: u64 = 1 << 24;

/// An object seen as a type; its address stands for it while the row is held.
type Seen = (usize, TypeId);

#[derive(Clone, Copy)]
struct Size {
    /// Records from here down.
    depth: u32,
    /// Values from here down, shared ones counted each time.
    values: u64,
}

enum Step<'py> {
    Enter(Bound<'py, PyAny>, TypeId),
    Leave(Seen, Vec<Seen>, u32),
}

/// Whether `row` nests records too deep, holds itself, or grows beyond all measure when written.
pub fn too_deep(schema: &Schema, row: &Bound<'_, PyAny>) -> PyResult<bool> {
    // None while an object is being looked into: met again then, it holds itself.
    let mut sizes: HashMap<Seen, Option<Size>> = HashMap::new();
    let mut steps = vec![Step::Enter(row.clone(), schema.root())];
    while let Some(step) = steps.pop() {
        match step {
            Step::Enter(object, id) => {
                let seen = key(&object, id);
                match sizes.get(&seen) {
                    Some(Some(_)) => continue,
                    Some(None) => return Ok(true),
                    None => {}
                }
                sizes.insert(seen, None);
                let children = children(schema, &object, id)?;
                let record = u32::from(matches!(schema.get(id), Type::Record(_)));
                let keys = children.iter().map(|(object, id)| key(object, *id)).collect();
                steps.push(Step::Leave(seen, keys, record));
                steps.extend(children.into_iter().map(|(object, id)| Step::Enter(object, id)));
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

/// The containers directly inside an object, as the types that an encoder may take them for.
fn children<'py>(
    schema: &Schema,
    object: &Bound<'py, PyAny>,
    id: TypeId,
) -> PyResult<Vec<(Bound<'py, PyAny>, TypeId)>> {
    let mut inside = Vec::new();
    let mut add = |object: Bound<'py, PyAny>, id: TypeId| {
        if object.is_instance_of::<PyDict>()
            || object.is_instance_of::<PyList>()
            || object.is_instance_of::<PyTuple>()
        {
            inside.push((object, id));
        }
    };
    match schema.get(id) {
        Type::Record(record) => {
            if let Ok(dict) = object.cast::<PyDict>() {
                for field in &record.fields {
                    if let Some(value) = dict.get_item(&field.name)? {
                        add(value, field.ty);
                    }
                }
            }
        }
        Type::Map(values) => {
            if let Ok(dict) = object.cast::<PyDict>() {
                dict.values().iter().for_each(|value| add(value, *values));
            }
        }
        Type::Array(items) if (object.is_instance_of::<PyList>() || object.is_instance_of::<PyTuple>()) => {
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
