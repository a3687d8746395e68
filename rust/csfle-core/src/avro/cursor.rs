//! A bounds-checked position in one body.

use super::varint;
use crate::error::Code;

/// Reads forward through a body. Every step is checked; nothing is trusted.
#[derive(Clone, Copy)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// At the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes read so far.
    #[inline]
    pub fn position(&self) -> usize {
        self.at
    }

    /// Bytes left.
    #[inline]
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// The bytes from `start` up to here.
    #[inline]
    pub fn since(&self, start: usize) -> &'a [u8] {
        &self.bytes[start..self.at]
    }

    /// Goes to the end.
    #[inline]
    pub fn skip_all(&mut self) {
        self.at = self.bytes.len();
    }

    /// Takes `count` bytes.
    #[inline]
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Code> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len()).ok_or(Code::Truncated)?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    /// Takes a long.
    #[inline]
    pub fn long(&mut self) -> Result<i64, Code> {
        let (value, taken) = varint::read_long(&self.bytes[self.at..])?;
        self.at += taken;
        Ok(value)
    }

    /// Takes an int.
    #[inline]
    pub fn int(&mut self) -> Result<i32, Code> {
        i32::try_from(self.long()?).map_err(|_| Code::IntOutOfRange)
    }

    /// Takes a length and as many bytes.
    #[inline]
    pub fn length_delimited(&mut self) -> Result<&'a [u8], Code> {
        let length = self.long()?;
        if length < 0 {
            return Err(Code::NegativeLength);
        }
        self.take(usize::try_from(length).map_err(|_| Code::Truncated)?)
    }

    /// Takes an index below `count`.
    #[inline]
    pub fn index(&mut self, count: u32, out_of_range: Code) -> Result<u32, Code> {
        let index = self.long()?;
        u32::try_from(index).ok().filter(|index| *index < count).ok_or(out_of_range)
    }
}
