//! Batches as Python hands them in: a list of bytes, or one buffer and offsets.

use csfle_core::batch::Rows;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};

use crate::errors::batch_error;

/// The objects of a batch, held for the whole call.
pub enum Held<'py> {
    /// A list's items, and the values of their schema id headers.
    List { rows: Vec<Option<Bound<'py, PyBytes>>>, headers: Option<Vec<Option<Bound<'py, PyBytes>>>> },
    /// A buffer that nobody can write to, and checked offsets.
    Frozen {
        buffer: Bound<'py, PyBytes>,
        offsets: Vec<usize>,
        headers: Option<Vec<Option<Bound<'py, PyBytes>>>>,
    },
    /// A copy of any other buffer.
    Copied { buffer: Vec<u8>, offsets: Vec<usize>, headers: Option<Vec<Option<Bound<'py, PyBytes>>>> },
}

impl<'py> Held<'py> {
    /// Takes `list[bytes | None]` or `(buffer, int64 offsets)`, and headers for each row.
    pub fn new(batch: &Bound<'py, PyAny>, headers: Option<(&Bound<'py, PyAny>, &str)>) -> PyResult<Self> {
        if let Ok(list) = batch.cast::<PyList>() {
            let rows = list
                .iter()
                .enumerate()
                .map(|(index, item)| item_bytes(item, index))
                .collect::<PyResult<Vec<_>>>()?;
            let headers = header_values(headers, rows.len())?;
            return Ok(Self::List { rows, headers });
        }
        let (buffer, offsets): (Bound<'py, PyAny>, Bound<'py, PyAny>) = batch.extract().map_err(|_| {
            PyTypeError::new_err("a batch is a list of bytes or a pair (buffer, int64 offsets)")
        })?;
        let offsets = PyBuffer::<i64>::get(&offsets)
            .map_err(|_| PyTypeError::new_err("offsets are a contiguous buffer of int64"))?
            .to_vec(batch.py())?;
        if let Ok(buffer) = buffer.cast_into::<PyBytes>() {
            let offsets = checked(&offsets, buffer.as_bytes().len())?;
            let headers = header_values(headers, offsets.len() - 1)?;
            return Ok(Self::Frozen { buffer, offsets, headers });
        }
        let (buffer, _): (Bound<'py, PyAny>, Bound<'py, PyAny>) = batch.extract()?;
        let buffer = PyBuffer::<u8>::get(&buffer)
            .map_err(|_| PyTypeError::new_err("the buffer of a batch is a contiguous buffer of bytes"))?
            .to_vec(batch.py())?;
        let offsets = checked(&offsets, buffer.len())?;
        let headers = header_values(headers, offsets.len() - 1)?;
        Ok(Self::Copied { buffer, offsets, headers })
    }

    /// The rows, borrowed: what may be looked at while other Python threads run.
    pub fn rows(&self) -> Borrowed<'_> {
        match self {
            Self::List { rows, headers } => {
                Borrowed { rows: RowBytes::Items(slices(rows)), headers: headers.as_deref().map(slices) }
            }
            Self::Frozen { buffer, offsets, headers } => Borrowed {
                rows: RowBytes::Packed(buffer.as_bytes(), offsets),
                headers: headers.as_deref().map(slices),
            },
            Self::Copied { buffer, offsets, headers } => {
                Borrowed { rows: RowBytes::Packed(buffer, offsets), headers: headers.as_deref().map(slices) }
            }
        }
    }
}

fn slices<'a>(held: &'a [Option<Bound<'_, PyBytes>>]) -> Vec<Option<&'a [u8]>> {
    held.iter().map(|item| item.as_ref().map(pyo3::types::PyBytesMethods::as_bytes)).collect()
}

fn item_bytes(item: Bound<'_, PyAny>, index: usize) -> PyResult<Option<Bound<'_, PyBytes>>> {
    if item.is_none() {
        return Ok(None);
    }
    item.cast_into::<PyBytes>().map(Some).map_err(|error| {
        let found =
            error.into_inner().get_type().name().map_or_else(|_| "object".into(), |name| name.to_string());
        PyTypeError::new_err(format!("row {index} is {found}, not bytes or None"))
    })
}

/// Offsets as positions: at least one, rising, inside the buffer.
fn checked(offsets: &[i64], len: usize) -> PyResult<Vec<usize>> {
    let positions: Option<Vec<usize>> = offsets.iter().map(|offset| usize::try_from(*offset).ok()).collect();
    positions
        .filter(|positions| positions.is_sorted() && positions.last().is_some_and(|last| *last <= len))
        .ok_or_else(|| batch_error("bad_offsets", "the offsets are empty, fall, or point outside the buffer"))
}

/// The values of the schema id header: the last of that name in each row's headers.
fn header_values<'py>(
    headers: Option<(&Bound<'py, PyAny>, &str)>,
    rows: usize,
) -> PyResult<Option<Vec<Option<Bound<'py, PyBytes>>>>> {
    let Some((headers, name)) = headers else {
        return Ok(None);
    };
    let list = headers
        .cast::<PyList>()
        .map_err(|_| PyTypeError::new_err("headers are a list, one list of headers a row"))?;
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
    Packed(&'a [u8], &'a [usize]),
}

impl Borrowed<'_> {
    /// Bytes of all rows.
    pub fn bytes(&self) -> usize {
        match &self.rows {
            RowBytes::Items(items) => items.iter().flatten().map(|row| row.len()).sum(),
            RowBytes::Packed(_, offsets) => offsets[offsets.len() - 1] - offsets[0],
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
            RowBytes::Packed(buffer, offsets) => Some(&buffer[offsets[index]..offsets[index + 1]]),
        }
    }

    fn header(&self, index: usize) -> Option<&[u8]> {
        self.headers.as_ref().and_then(|headers| headers[index])
    }
}
