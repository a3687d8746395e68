//! Batches as Python hands them in: a list of bytes, or one buffer and offsets.

use csfle_core::batch::Rows;
use pyo3::buffer::{Element, PyBuffer};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};

use crate::errors::batch_error;
use crate::objects::Bodies;

/// Values of the schema id header, one for each row.
type HeaderValues<'py> = Option<Vec<Option<Bound<'py, PyBytes>>>>;

/// The objects of a batch, held for the whole call.
pub struct Held<'py> {
    rows: HeldRows<'py>,
    headers: HeaderValues<'py>,
}

enum HeldRows<'py> {
    /// A list's items. The tuple is ours alone, whatever becomes of the list.
    Items(Bound<'py, PyTuple>),
    /// A buffer that nobody can write to, and checked offsets.
    Frozen(Bound<'py, PyBytes>, Vec<i64>),
    /// A copy of any other buffer.
    Copied(Vec<u8>, Vec<i64>),
    /// Bodies that were made of rows.
    Encoded(Bound<'py, Bodies>),
}

impl<'py> Held<'py> {
    /// Takes `list[bytes | None]`, `(buffer, int64 offsets)` or [`Bodies`], and headers for each row.
    pub fn new(batch: &Bound<'py, PyAny>, headers: Option<(&Bound<'py, PyAny>, &str)>) -> PyResult<Self> {
        let rows = match batch.cast::<PyList>() {
            Ok(list) => HeldRows::Items(list.to_tuple()),
            Err(_) => match batch.cast::<Bodies>() {
                Ok(bodies) => HeldRows::Encoded(bodies.clone()),
                Err(_) => Self::packed(batch)?,
            },
        };
        let count = match &rows {
            HeldRows::Items(items) => items.len(),
            HeldRows::Frozen(_, offsets) | HeldRows::Copied(_, offsets) => offsets.len() - 1,
            HeldRows::Encoded(bodies) => bodies.get().size().0,
        };
        Ok(Self { rows, headers: header_values(headers, count)? })
    }

    fn packed(batch: &Bound<'py, PyAny>) -> PyResult<HeldRows<'py>> {
        let (buffer, offsets): (Bound<'py, PyAny>, Bound<'py, PyAny>) = batch.extract().map_err(|_| {
            PyTypeError::new_err("a batch is a list of bytes or a pair (buffer, int64 offsets)")
        })?;
        let offsets = flat::<i64>(&offsets, "offsets are a one-dimensional buffer of int64")?;
        if let Ok(bytes) = buffer.cast::<PyBytes>() {
            let offsets = checked(offsets, bytes.as_bytes().len())?;
            return Ok(HeldRows::Frozen(bytes.clone(), offsets));
        }
        let buffer = flat::<u8>(&buffer, "the buffer of a batch is a one-dimensional buffer of bytes")?;
        let offsets = checked(offsets, buffer.len())?;
        Ok(HeldRows::Copied(buffer, offsets))
    }

    /// The rows, borrowed: what may be looked at while other Python threads run.
    pub fn rows(&self) -> PyResult<Borrowed<'_>> {
        let rows = match &self.rows {
            HeldRows::Items(items) => {
                let items = items.iter_borrowed().enumerate().map(|(index, item)| item_bytes(item, index));
                RowBytes::Items(items.collect::<PyResult<_>>()?)
            }
            HeldRows::Frozen(buffer, offsets) => RowBytes::Packed(buffer.as_bytes(), offsets),
            HeldRows::Copied(buffer, offsets) => RowBytes::Packed(buffer, offsets),
            HeldRows::Encoded(bodies) => {
                let (bytes, offsets) = bodies.get().parts();
                RowBytes::Packed(bytes, offsets)
            }
        };
        let headers = self.headers.as_ref();
        let headers =
            headers.map(|values| values.iter().map(|value| Some(value.as_ref()?.as_bytes())).collect());
        Ok(Borrowed { rows, headers })
    }
}

/// A copy of a buffer's elements: what others may write to is not looked at while they may run.
fn flat<T: Element>(object: &Bound<'_, PyAny>, wanted: &'static str) -> PyResult<Vec<T>> {
    let buffer = PyBuffer::<T>::get(object).ok().filter(|buffer| buffer.dimensions() == 1);
    buffer.ok_or_else(|| PyTypeError::new_err(wanted))?.to_vec(object.py())
}

fn item_bytes<'a>(item: pyo3::Borrowed<'a, '_, PyAny>, index: usize) -> PyResult<Option<&'a [u8]>> {
    if item.is_none() {
        return Ok(None);
    }
    item.extract::<&'a [u8]>().map(Some).map_err(|_| {
        let found = item.get_type().name().map_or_else(|_| "object".into(), |name| name.to_string());
        PyTypeError::new_err(format!("row {index} is {found}, not bytes or None"))
    })
}

/// Offsets that rows may be cut by: at least one, none negative, rising, inside the buffer.
fn checked(offsets: Vec<i64>, len: usize) -> PyResult<Vec<i64>> {
    let inside = offsets.first().is_some_and(|first| *first >= 0)
        && offsets.is_sorted()
        && offsets.last().is_some_and(|last| position(*last) <= len);
    if inside {
        return Ok(offsets);
    }
    Err(batch_error("bad_offsets", "the offsets are empty, fall, or point outside the buffer"))
}

/// A checked offset as a position.
#[inline]
fn position(offset: i64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

/// The values of the schema id header: the last of that name in each row's headers.
fn header_values<'py>(
    headers: Option<(&Bound<'py, PyAny>, &str)>,
    rows: usize,
) -> PyResult<HeaderValues<'py>> {
    let Some((headers, name)) = headers else {
        return Ok(None);
    };
    let list = headers
        .cast::<PyList>()
        .map_err(|_| PyTypeError::new_err("headers are a list, one list of headers a row"))?
        .to_tuple(); // comparing names may run code that changes the list
    if list.len() != rows {
        return Err(batch_error(
            "bad_headers",
            format!("there are {rows} rows but headers for {}", list.len()),
        ));
    }
    list.iter().map(|headers| header_value(&headers, name)).collect::<PyResult<Vec<_>>>().map(Some)
}

fn header_value<'py>(headers: &Bound<'py, PyAny>, name: &str) -> PyResult<Option<Bound<'py, PyBytes>>> {
    if headers.is_none() {
        return Ok(None);
    }
    let mut found = None;
    let pairs = match headers.cast::<PyDict>() {
        Ok(dict) => dict.items().into_any(),
        Err(_) => headers.clone(),
    };
    for pair in pairs.try_iter()? {
        let pair = pair?
            .cast_into::<PyTuple>()
            .map_err(|_| PyTypeError::new_err("a header is a pair (name, value)"))?;
        if pair.get_item(0)?.eq(name)? {
            found = Some(pair.get_item(1)?);
        }
    }
    // A header without a value, or with one that is not bytes, names no schema.
    Ok(found.map(|value| {
        value.cast_into::<PyBytes>().unwrap_or_else(|error| PyBytes::new(error.into_inner().py(), b""))
    }))
}

/// Rows that may cross to other threads.
pub struct Borrowed<'a> {
    rows: RowBytes<'a>,
    headers: Option<Vec<Option<&'a [u8]>>>,
}

enum RowBytes<'a> {
    Items(Vec<Option<&'a [u8]>>),
    Packed(&'a [u8], &'a [i64]),
}

impl Borrowed<'_> {
    /// Rows that are None.
    pub fn tombstones(&self) -> usize {
        match &self.rows {
            RowBytes::Items(items) => items.iter().filter(|row| row.is_none()).count(),
            RowBytes::Packed(..) => 0,
        }
    }

    /// Bytes of all rows.
    pub fn bytes(&self) -> usize {
        match &self.rows {
            RowBytes::Items(items) => items.iter().flatten().map(|row| row.len()).sum(),
            RowBytes::Packed(_, offsets) => position(offsets[offsets.len() - 1]) - position(offsets[0]),
        }
    }
}

impl Rows for Borrowed<'_> {
    fn len(&self) -> usize {
        match &self.rows {
            RowBytes::Items(items) => items.len(),
            RowBytes::Packed(_, offsets) => offsets.len() - 1,
        }
    }

    fn row(&self, index: usize) -> Option<&[u8]> {
        match &self.rows {
            RowBytes::Items(items) => items[index],
            RowBytes::Packed(buffer, offsets) => {
                Some(&buffer[position(offsets[index])..position(offsets[index + 1])])
            }
        }
    }

    fn header(&self, index: usize) -> Option<&[u8]> {
        self.headers.as_ref().and_then(|headers| headers[index])
    }
}
