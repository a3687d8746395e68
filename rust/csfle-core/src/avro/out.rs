//! Where a walk writes: a growing arena, a place of a set size, or nowhere (to measure).

use super::varint::{MAX_BYTES, long_len, short_length, write_long};
use crate::copy::copy;

/// Takes the bytes of rows, in order.
pub trait Out {
    /// Whether what is written is kept. Where it is not, values are only measured, not looked at.
    const KEEPS: bool = true;

    /// Bytes so far.
    fn len(&self) -> usize;

    /// Whether nothing was written.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends. False where there is no room, which a walk reports as [`Code::Internal`].
    ///
    /// [`Code::Internal`]: crate::error::Code::Internal
    fn put(&mut self, bytes: &[u8]) -> bool;

    /// Appends `before`, the Avro length `size`, and a hole of that many bytes; tells where the hole
    /// starts. None where there is no room.
    fn hole(&mut self, before: &[u8], size: usize) -> Option<usize>;

    /// Appends `size` bytes that are to be written later. False where there is no room.
    fn gap(&mut self, size: usize) -> bool;

    /// Appends a long. False where there is no room.
    #[inline]
    fn put_long(&mut self, value: i64) -> bool {
        let mut bytes = [0; MAX_BYTES];
        let taken = write_long(value, &mut bytes);
        self.put(&bytes[..taken])
    }

    /// Appends the Avro length of `bytes`, and them. False where there is no room.
    #[inline]
    fn put_sized(&mut self, bytes: &[u8]) -> bool {
        let Some(at) = self.hole(&[], bytes.len()) else {
            return false;
        };
        if Self::KEEPS {
            copy(&mut self.bytes()[at..], bytes);
        }
        true
    }

    /// Drops everything from `length` on.
    fn truncate(&mut self, length: usize);

    /// All bytes so far.
    fn bytes(&mut self) -> &mut [u8];
}

/// A buffer that grows. It is zeroed as a whole, which costs less than zeroing hole by hole.
#[derive(Default)]
pub struct Arena {
    buffer: Vec<u8>,
    len: usize,
}

impl Arena {
    /// Empty, with room for so many bytes.
    pub fn with_room(bytes: usize) -> Self {
        Self { buffer: vec![0; bytes], len: 0 }
    }

    /// What was written.
    pub fn as_slice(&self) -> &[u8] {
        &self.buffer[..self.len]
    }

    /// Bytes that it holds without growing.
    pub fn room(&self) -> usize {
        self.buffer.len()
    }

    /// Its first `end` bytes, whether still counted as written or not.
    pub(crate) fn used_up_to(&mut self, end: usize) -> &mut [u8] {
        &mut self.buffer[..end]
    }

    /// Makes room for `more` bytes behind what is written.
    #[inline]
    fn ensure(&mut self, more: usize) {
        if self.buffer.len() - self.len < more {
            self.grow(more);
        }
    }

    #[cold]
    fn grow(&mut self, more: usize) {
        let double = self.buffer.len() * 2;
        self.buffer.resize(double.max(self.len + more), 0);
    }
}

impl Out for Arena {
    #[inline]
    fn len(&self) -> usize {
        self.len
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) -> bool {
        self.ensure(bytes.len());
        put(&mut self.buffer, &mut self.len, bytes)
    }

    #[inline(always)]
    #[allow(clippy::inline_always)] // one of three calls around each value
    fn hole(&mut self, before: &[u8], size: usize) -> Option<usize> {
        self.ensure(before.len() + MAX_BYTES + size);
        hole(&mut self.buffer, &mut self.len, before, size)
    }

    fn gap(&mut self, size: usize) -> bool {
        self.ensure(size);
        self.len += size;
        true
    }

    fn truncate(&mut self, length: usize) {
        self.len = self.len.min(length);
    }

    #[inline]
    fn bytes(&mut self) -> &mut [u8] {
        &mut self.buffer[..self.len]
    }
}

/// A place of a set size inside a larger buffer.
pub struct Fixed<'a> {
    place: &'a mut [u8],
    len: usize,
}

impl<'a> Fixed<'a> {
    /// All of `place`, empty.
    pub fn new(place: &'a mut [u8]) -> Self {
        Self { place, len: 0 }
    }
}

impl Out for Fixed<'_> {
    #[inline]
    fn len(&self) -> usize {
        self.len
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) -> bool {
        put(self.place, &mut self.len, bytes)
    }

    #[inline(always)]
    #[allow(clippy::inline_always)] // one of three calls around each value
    fn hole(&mut self, before: &[u8], size: usize) -> Option<usize> {
        hole(self.place, &mut self.len, before, size)
    }

    fn gap(&mut self, size: usize) -> bool {
        let fits = self.place.len() - self.len >= size;
        if fits {
            self.len += size;
        }
        fits
    }

    fn truncate(&mut self, length: usize) {
        self.len = self.len.min(length);
    }

    #[inline]
    fn bytes(&mut self) -> &mut [u8] {
        &mut self.place[..self.len]
    }
}

#[inline(always)]
#[allow(clippy::inline_always)] // the hot loop is around it, and it is small once it is there
fn put(place: &mut [u8], len: &mut usize, bytes: &[u8]) -> bool {
    let end = *len + bytes.len();
    let Some(free) = place.get_mut(*len..end) else {
        return false;
    };
    copy(free, bytes);
    *len = end;
    true
}

#[inline(always)]
#[allow(clippy::inline_always)] // as above
fn hole(place: &mut [u8], len: &mut usize, before: &[u8], size: usize) -> Option<usize> {
    let (length, taken) = short_length(size);
    if taken == 0 {
        return long_hole(place, len, before, size);
    }
    let end = *len + before.len() + taken + size;
    let (front, behind) = place.get_mut(*len..end)?.split_at_mut(before.len());
    copy(front, before);
    // What stands behind the length is the hole, so that mostly the whole word may be written.
    match behind.first_chunk_mut() {
        Some(word) => *word = length.to_le_bytes(),
        None => behind[..taken].copy_from_slice(&length.to_le_bytes()[..taken]),
    }
    *len = end;
    Some(end - size)
}

#[cold]
fn long_hole(place: &mut [u8], len: &mut usize, before: &[u8], size: usize) -> Option<usize> {
    let mut length = [0; MAX_BYTES];
    let taken = write_long(i64::try_from(size).ok()?, &mut length);
    let end = *len + before.len() + taken + size;
    let (front, behind) = place.get_mut(*len..end)?.split_at_mut(before.len());
    front.copy_from_slice(before);
    behind[..taken].copy_from_slice(&length[..taken]);
    *len = end;
    Some(end - size)
}

/// Counts, and keeps nothing.
#[derive(Debug, Default)]
pub struct Measure(usize);

impl Out for Measure {
    const KEEPS: bool = false;

    #[inline]
    fn len(&self) -> usize {
        self.0
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) -> bool {
        self.0 += bytes.len();
        true
    }

    #[inline(always)]
    #[allow(clippy::inline_always)] // one of three calls around each value
    fn hole(&mut self, before: &[u8], size: usize) -> Option<usize> {
        self.0 += before.len() + long_len(i64::try_from(size).ok()?) + size;
        Some(self.0 - size)
    }

    fn gap(&mut self, size: usize) -> bool {
        self.0 += size;
        true
    }

    fn truncate(&mut self, length: usize) {
        self.0 = self.0.min(length);
    }

    fn bytes(&mut self) -> &mut [u8] {
        &mut []
    }
}
