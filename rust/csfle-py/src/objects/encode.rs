//! Rows to bodies, for rows made of a closed set of exact classes.
//!
//! Any other row is left to fastavro as a whole, and so is one that does not fit. Of the classes in
//! the set none runs code of the caller's, with one exception: to look a name up in a dict may call the
//! `__eq__` of an odd key. Nothing here relies on a row that stays as it is: every value is held while
//! it is looked at, and a list or a map is copied before it is walked through.

use csfle_core::avro::Out;
use csfle_core::avro::limits::{NESTING, RECORD_DEPTH};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

use super::choice::{Union, index};
use super::depth::MOST_VISITS;
use super::fitting::Fitting;
use super::logical::{Logical, Unit};
use super::program::{Node, NodeId, Program, ROOT, Record};
use super::slow::Slow;

/// Writes the body of a row. On an error the caller has to drop what was written.
pub fn encode<O: Out>(program: &Program, row: &Bound<'_, PyAny>, out: &mut O) -> Result<(), Slow> {
    if program.raw {
        let bytes = row.cast_exact::<PyBytes>()?.as_bytes();
        return ensure(out.put(bytes));
    }
    Encoder { program, out, depth: 0, records: 0, visits: MOST_VISITS, fitting: Fitting::new(program) }
        .value(ROOT, row)
}

struct Encoder<'a, O> {
    program: &'a Program,
    out: &'a mut O,
    /// Records, arrays and maps around, and records alone.
    depth: u32,
    records: u32,
    /// Values that may still be visited: a row that uses its parts again and again may be endless.
    visits: u64,
    fitting: Fitting<'a>,
}

impl<'a, O: Out> Encoder<'a, O> {
    fn value(&mut self, node: NodeId, value: &Bound<'_, PyAny>) -> Result<(), Slow> {
        let program = self.program;
        match &program.nodes[node] {
            Node::Text => self.sized(value.cast_exact::<PyString>()?.to_str()?.as_bytes()),
            Node::Union(union) => self.union(union, value),
            Node::Null => ensure(value.is_none()),
            Node::Boolean => ensure(self.out.put(&[u8::from(value.cast_exact::<PyBool>()?.is_true())])),
            Node::Int => self.int(value),
            Node::Long => self.long(long(value)?),
            #[allow(clippy::cast_possible_truncation)] // what a float is
            Node::Float => ensure(self.out.put(&(double(value)? as f32).to_le_bytes())),
            Node::Double => ensure(self.out.put(&double(value)?.to_le_bytes())),
            Node::Bytes => self.sized(value.cast_exact::<PyBytes>()?.as_bytes()),
            Node::Fixed(size) => self.fixed(value.cast_exact::<PyBytes>()?.as_bytes(), *size),
            Node::Enum(symbols) => {
                let symbol = value.cast_exact::<PyString>()?.to_str()?;
                self.long(*symbols.by_name.get(symbol).ok_or(Slow::Row)?)
            }
            Node::Record(record) => self.record(record, value.cast_exact()?),
            Node::Array { items, .. } => self.array(*items, value.cast_exact()?),
            Node::Map(values) => self.map(*values, value.cast_exact()?),
            Node::Logical(logical) => self.logical(*logical, value),
            Node::Foreign => Err(Slow::Row),
        }
    }

    fn union(&mut self, union: &'a Union, value: &Bound<'_, PyAny>) -> Result<(), Slow> {
        if let Ok(pair) = value.cast_exact::<PyTuple>() {
            let (branch, value) = union.named(pair)?;
            self.long(index(branch))?;
            return self.value(union.branches[branch], &value);
        }
        let choice = self.fitting.choose(union, value, self.depth)?;
        self.long(choice.index)?;
        self.value(choice.node, value)
    }

    fn record(&mut self, record: &Record, dict: &Bound<'_, PyDict>) -> Result<(), Slow> {
        let py = dict.py();
        self.records += 1;
        self.enter(record.fields.len())?;
        let mut found = 0;
        for field in &record.fields {
            if let Some(value) = dict.get_item(&field.name)? {
                found += 1;
                self.value(field.node, &value)?;
            } else {
                self.value(field.node, field.absent.as_ref().ok_or(Slow::Row)?.bind(py))?;
            }
        }
        // Other keys are ignored, but for the one that names the branch of a union.
        if dict.len() != found && dict.contains(intern!(py, "-type"))? {
            return Err(Slow::Row);
        }
        self.depth -= 1;
        self.records -= 1;
        Ok(())
    }

    fn array(&mut self, items: NodeId, list: &Bound<'_, PyList>) -> Result<(), Slow> {
        let own = list.to_tuple();
        self.enter(own.len())?;
        if !own.is_empty() {
            self.count(own.len())?;
            for item in own.iter_borrowed() {
                self.value(items, &item)?;
            }
        }
        self.depth -= 1;
        self.long(0)
    }

    fn map(&mut self, values: NodeId, dict: &Bound<'_, PyDict>) -> Result<(), Slow> {
        let own = dict.copy()?;
        self.enter(own.len())?;
        if !own.is_empty() {
            self.count(own.len())?;
            for (key, value) in own.iter() {
                self.sized(key.cast_exact::<PyString>()?.to_str()?.as_bytes())?;
                self.value(values, &value)?;
            }
        }
        self.depth -= 1;
        self.long(0)
    }

    fn logical(&mut self, logical: Logical, value: &Bound<'_, PyAny>) -> Result<(), Slow> {
        let classes = self.program.classes;
        match logical {
            Logical::Date | Logical::Time(Unit::Millis) if value.is_exact_instance_of::<PyInt>() => {
                self.int(value)
            }
            Logical::Time(_) | Logical::Timestamp { .. } if value.is_exact_instance_of::<PyInt>() => {
                self.long(long(value)?)
            }
            Logical::Date => self.long(classes.days(value)?),
            Logical::Time(unit) => self.long(classes.units_of_day(value, unit)?),
            Logical::Timestamp { unit, local } => self.long(classes.units_since_1970(value, unit, local)?),
            Logical::Uuid => match value.cast_exact::<PyString>() {
                Ok(text) => self.sized(text.to_str()?.as_bytes()),
                Err(_) => self.sized(classes.uuid_text(value)?.as_bytes()),
            },
            Logical::Decimal { digits, scale, size } => match (value.cast_exact::<PyBytes>(), size) {
                (Ok(bytes), None) => self.sized(bytes.as_bytes()),
                (Ok(bytes), Some(size)) => self.fixed(bytes.as_bytes(), size),
                (Err(_), size) => {
                    let (number, negative) = classes.unscaled(value, digits, scale)?;
                    self.decimal(number, negative, size)
                }
            },
        }
    }

    /// A decimal's number in big-endian bytes: as many as it takes with a sign, or all of a fixed.
    fn decimal(&mut self, number: u128, negative: bool, size: Option<usize>) -> Result<(), Slow> {
        let signed = i128::try_from(number).map_err(|_| Slow::Row)?;
        let bytes = if negative { -signed } else { signed }.to_be_bytes();
        let bits = u128::BITS - number.leading_zeros();
        let needed = bits as usize / 8 + 1;
        let start = bytes.len() - needed;
        let Some(size) = size else {
            return self.sized(&bytes[start..]);
        };
        // fastavro writes a zero with a sign as something else.
        if needed > size || (negative && number == 0) {
            return Err(Slow::Row);
        }
        let sign = if negative { 0xff } else { 0 };
        for _ in needed..size {
            ensure(self.out.put(&[sign]))?;
        }
        ensure(self.out.put(&bytes[start..]))
    }

    /// Goes into a record, an array or a map of so many values.
    fn enter(&mut self, values: usize) -> Result<(), Slow> {
        self.depth += 1;
        let fits = self.depth <= NESTING && self.records <= RECORD_DEPTH;
        let left = self.visits.checked_sub(values as u64).filter(|_| fits);
        self.visits = left.ok_or(Slow::Row)?;
        Ok(())
    }

    fn int(&mut self, value: &Bound<'_, PyAny>) -> Result<(), Slow> {
        self.long(i64::from(value.cast_exact::<PyInt>()?.extract::<i32>()?))
    }

    #[inline]
    fn long(&mut self, value: i64) -> Result<(), Slow> {
        ensure(self.out.put_long(value))
    }

    fn count(&mut self, items: usize) -> Result<(), Slow> {
        self.long(i64::try_from(items).map_err(|_| Slow::Row)?)
    }

    #[inline]
    fn sized(&mut self, bytes: &[u8]) -> Result<(), Slow> {
        ensure(self.out.put_sized(bytes))
    }

    fn fixed(&mut self, bytes: &[u8], size: usize) -> Result<(), Slow> {
        ensure(bytes.len() == size && self.out.put(bytes))
    }
}

fn ensure(holds: bool) -> Result<(), Slow> {
    if holds { Ok(()) } else { Err(Slow::Row) }
}

fn long(value: &Bound<'_, PyAny>) -> Result<i64, Slow> {
    Ok(value.cast_exact::<PyInt>()?.extract()?)
}

fn double(value: &Bound<'_, PyAny>) -> Result<f64, Slow> {
    match value.cast_exact::<PyFloat>() {
        Ok(float) => Ok(float.value()),
        #[allow(clippy::cast_precision_loss)] // to the nearest, as Python does it
        Err(_) => Ok(long(value)? as f64),
    }
}
