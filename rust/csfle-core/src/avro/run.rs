//! What a walk reads from and writes to.

use super::cursor::Cursor;
use super::out::Out;
use super::plan::{Leaf, LeafId, LeafKind, Program};
use super::walk::{Hole, HoleSizes, Walked};
use crate::error::Code;

/// One pass over one body, as far as it has come.
pub(super) struct Run<'a, S, O> {
    pub(super) program: &'a Program,
    pub(super) leaves: &'a [Leaf],
    pub(super) sizes: &'a S,
    pub(super) row: u32,
    pub(super) cursor: Cursor<'a>,
    /// Everything of the body before this is in the output.
    pub(super) copied: usize,
    pub(super) out: &'a mut O,
    pub(super) walked: Walked,
}

impl<S: HoleSizes, O: Out> Run<'_, S, O> {
    #[inline(always)]
    #[allow(clippy::inline_always)] // one of three calls around each value
    pub(super) fn hole(&mut self, leaf_id: LeafId) -> Result<Hole, Code> {
        let leaf = &self.leaves[leaf_id as usize];
        let before = self.cursor.position();
        let value = self.cursor.length_delimited()?;
        if O::KEEPS && self.program.checks_text && leaf.kind == LeafKind::Text {
            check_utf8(value)?;
        }
        let len = self.sizes.hole_size(leaf_id, value)?;
        if len > leaf.most {
            return Err(Code::DecimalTooLarge);
        }
        let pending = &self.cursor.since(self.copied)[..before - self.copied];
        let at = self.out.hole(pending, len).ok_or(Code::Internal)?;
        self.copied = self.cursor.position();
        let value_len = value.len();
        Ok(Hole { leaf: leaf_id, row: self.row, value: self.copied - value_len, value_len, at, len })
    }

    /// Copies the body up to `end`, from where copying stopped.
    #[inline]
    pub(super) fn copy_to(&mut self, end: usize) -> Result<(), Code> {
        let pending = self.cursor.since(self.copied);
        let pending = &pending[..end - self.copied];
        if self.out.put(pending) { Ok(()) } else { Err(Code::Internal) }
    }

    #[inline]
    pub(super) fn put_long(&mut self, value: i64) -> Result<(), Code> {
        if self.out.put_long(value) { Ok(()) } else { Err(Code::Internal) }
    }

    #[inline]
    pub(super) fn flush(&mut self) -> Result<(), Code> {
        self.copy_to(self.cursor.position())
    }
}

#[inline]
pub(super) fn check_utf8(text: &[u8]) -> Result<(), Code> {
    if text.is_ascii() || std::str::from_utf8(text).is_ok() { Ok(()) } else { Err(Code::InvalidUtf8) }
}
