//! Bodies to rows, as fastavro gives them. A body that is not quite as it should be is left to it.

use csfle_core::avro::Cursor;
use csfle_core::avro::limits::{NESTING, ZERO_ITEMS, ZERO_ITEMS_PER_BYTE};
use csfle_core::error::Code;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString};

use super::logical::Logical;
use super::program::{Node, NodeId, Program, ROOT, Record};
use super::slow::Slow;

/// The row of a body.
pub fn decode<'py>(py: Python<'py>, program: &Program, body: &[u8]) -> Result<Bound<'py, PyAny>, Slow> {
    if program.raw {
        return Ok(PyBytes::new(py, body).into_any());
    }
    let zero_items = ZERO_ITEMS.saturating_add(ZERO_ITEMS_PER_BYTE.saturating_mul(body.len() as u64));
    let mut decoder = Decoder { py, program, cursor: Cursor::new(body), depth: 0, zero_items };
    let row = decoder.value(ROOT)?;
    if decoder.cursor.remaining() == 0 { Ok(row) } else { Err(Slow::Row) }
}

struct Decoder<'a, 'py> {
    py: Python<'py>,
    program: &'a Program,
    cursor: Cursor<'a>,
    /// Records, arrays and maps around.
    depth: u32,
    /// Items without a byte that the row may still hold.
    zero_items: u64,
}

impl<'py> Decoder<'_, 'py> {
    fn value(&mut self, node: NodeId) -> Result<Bound<'py, PyAny>, Slow> {
        let (py, program) = (self.py, self.program);
        Ok(match &program.nodes[node] {
            Node::Text => self.text()?.into_any(),
            Node::Union(union) => {
                let branch = self.index(union.branches.len(), Code::UnionIndex)?;
                self.value(union.branches[branch])?
            }
            Node::Null => py.None().into_bound(py),
            Node::Boolean => match self.cursor.take(1)? {
                [byte @ (0 | 1)] => PyBool::new(py, *byte == 1).to_owned().into_any(),
                _ => return Err(Slow::Row),
            },
            Node::Int => PyInt::new(py, self.cursor.int()?).into_any(),
            Node::Long => PyInt::new(py, self.cursor.long()?).into_any(),
            Node::Float => PyFloat::new(py, f32::from_le_bytes(self.array()?).into()).into_any(),
            Node::Double => PyFloat::new(py, f64::from_le_bytes(self.array()?)).into_any(),
            Node::Bytes => PyBytes::new(py, self.cursor.length_delimited()?).into_any(),
            Node::Fixed(size) => PyBytes::new(py, self.cursor.take(*size)?).into_any(),
            Node::Enum(symbols) => {
                let symbol = self.index(symbols.names.len(), Code::EnumIndex)?;
                symbols.names[symbol].bind(py).clone().into_any()
            }
            Node::Record(record) => self.record(record)?.into_any(),
            Node::Array { items, takes_bytes } => self.list(*items, *takes_bytes)?.into_any(),
            Node::Map(values) => self.map(*values)?.into_any(),
            Node::Logical(logical) => self.logical(*logical)?,
            Node::Foreign => return Err(Slow::Row),
        })
    }

    fn record(&mut self, record: &Record) -> Result<Bound<'py, PyDict>, Slow> {
        self.enter()?;
        let dict = match &record.template {
            Some(template) => template.bind(self.py).copy()?,
            None => PyDict::new(self.py),
        };
        for field in &record.fields {
            dict.set_item(&field.name, self.value(field.node)?)?;
        }
        self.depth -= 1;
        Ok(dict)
    }

    fn list(&mut self, items: NodeId, takes_bytes: bool) -> Result<Bound<'py, PyList>, Slow> {
        self.enter()?;
        let list = PyList::empty(self.py);
        loop {
            let count = self.block(takes_bytes)?;
            if count == 0 {
                break;
            }
            for _ in 0..count {
                list.append(self.value(items)?)?;
            }
        }
        self.depth -= 1;
        Ok(list)
    }

    fn map(&mut self, values: NodeId) -> Result<Bound<'py, PyDict>, Slow> {
        self.enter()?;
        let dict = PyDict::new(self.py);
        loop {
            let count = self.block(true)?;
            if count == 0 {
                break;
            }
            for _ in 0..count {
                let key = self.text()?;
                dict.set_item(key, self.value(values)?)?;
            }
        }
        self.depth -= 1;
        Ok(dict)
    }

    /// Items of the next block, 0 behind the last one. A size in bytes is read and not relied on.
    fn block(&mut self, takes_bytes: bool) -> Result<u64, Slow> {
        let count = self.cursor.long()?;
        if count < 0 {
            self.cursor.long()?;
        }
        let items = count.unsigned_abs();
        if !takes_bytes {
            self.zero_items = self.zero_items.checked_sub(items).ok_or(Slow::Row)?;
        } else if items > self.cursor.remaining() as u64 {
            return Err(Slow::Row);
        }
        Ok(items)
    }

    fn logical(&mut self, logical: Logical) -> Result<Bound<'py, PyAny>, Slow> {
        let (py, classes) = (self.py, self.program.classes);
        match logical {
            Logical::Date => classes.date(py, self.cursor.long()?),
            Logical::Time(unit) => classes.time(py, self.cursor.long()?, unit),
            Logical::Timestamp { unit, local } => classes.datetime(py, self.cursor.long()?, unit, local),
            Logical::Uuid => classes.uuid(py, self.cursor.length_delimited()?),
            Logical::Decimal { digits, scale, size } => {
                let bytes = match size {
                    Some(size) => self.cursor.take(size)?,
                    None => self.cursor.length_delimited()?,
                };
                classes.decimal(py, bytes, digits, scale)
            }
        }
    }

    /// Goes into a record, an array or a map.
    fn enter(&mut self) -> Result<(), Slow> {
        self.depth += 1;
        if self.depth > NESTING { Err(Slow::Row) } else { Ok(()) }
    }

    #[inline]
    fn text(&mut self) -> Result<Bound<'py, PyString>, Slow> {
        Ok(PyString::from_bytes(self.py, self.cursor.length_delimited()?)?)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Slow> {
        self.cursor.take(N)?.try_into().map_err(|_| Slow::Row)
    }

    fn index(&mut self, count: usize, out_of_range: Code) -> Result<usize, Slow> {
        let count = u32::try_from(count).map_err(|_| Slow::Row)?;
        Ok(self.cursor.index(count, out_of_range)? as usize)
    }
}
