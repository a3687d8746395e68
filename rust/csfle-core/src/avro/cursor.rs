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

    /// Goes past so many strings as long as they are short, and tells how many it passed.
    #[inline]
    pub(super) fn pass_short_strings(&mut self, most: u32) -> u32 {
        for passed in 0..most {
            if !self.pass_short_string() {
                return passed;
            }
        }
        most
    }

    /// As [`Self::pass_short_strings`], with an index of two branches in front of each, of which the one
    /// whose byte is `null` has nothing behind it.
    #[inline]
    pub(super) fn pass_optional_strings(&mut self, most: u32, null: u8) -> u32 {
        for passed in 0..most {
            let start = self.at;
            let Some(branch) = self.bytes.get(start).filter(|branch| **branch & !2 == 0) else {
                return passed;
            };
            self.at += 1;
            if *branch != null && !self.pass_short_string() {
                self.at = start;
                return passed;
            }
        }
        most
    }

    /// Goes past a string whose length takes one byte, if there is one.
    #[inline(always)]
    #[allow(clippy::inline_always)] // the whole of two tight loops
    fn pass_short_string(&mut self) -> bool {
        let Some(length) = self.bytes.get(self.at).filter(|length| **length & 0x81 == 0) else {
            return false;
        };
        let end = self.at + 1 + usize::from(*length >> 1);
        let inside = end <= self.bytes.len();
        if inside {
            self.at = end;
        }
        inside
    }

    /// Takes an index below `count`.
    #[inline]
    pub fn index(&mut self, count: u32, out_of_range: Code) -> Result<u32, Code> {
        let index = self.long()?;
        u32::try_from(index).ok().filter(|index| *index < count).ok_or(out_of_range)
    }
}
