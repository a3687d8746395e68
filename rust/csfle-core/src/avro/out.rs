//! Where a walk writes: a growing arena, a place of a set size, or nowhere (to measure).

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

    /// Appends `before` and a hole of `length` bytes, and tells where the hole starts. None where
    /// there is no room.
    fn hole(&mut self, before: [&[u8]; 2], length: usize) -> Option<usize>;

    /// Drops everything from `length` on.
    fn truncate(&mut self, length: usize);

    /// All bytes so far.
    fn bytes(&mut self) -> &mut [u8];
}

impl Out for Vec<u8> {
    #[inline]
    fn len(&self) -> usize {
        self.len()
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) -> bool {
        self.extend_from_slice(bytes);
        true
    }

    #[inline]
    fn hole(&mut self, before: [&[u8]; 2], length: usize) -> Option<usize> {
        self.reserve(before[0].len() + before[1].len() + length);
        before.iter().for_each(|bytes| self.extend_from_slice(bytes));
        let start = self.len();
        self.resize(start + length, 0);
        Some(start)
    }

    fn truncate(&mut self, length: usize) {
        Vec::truncate(self, length);
    }

    #[inline]
    fn bytes(&mut self) -> &mut [u8] {
        self
    }
}

/// A place of a set size inside a larger buffer.
#[derive(Debug)]
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
        let Some(free) = self.place.get_mut(self.len..self.len + bytes.len()) else {
            return false;
        };
        free.copy_from_slice(bytes);
        self.len += bytes.len();
        true
    }

    #[inline]
    fn hole(&mut self, before: [&[u8]; 2], length: usize) -> Option<usize> {
        let (first, second) = (before[0].len(), before[1].len());
        let free = self.place.get_mut(self.len..)?.get_mut(..first + second + length)?;
        copy(free.get_mut(..first)?, before[0]);
        copy(free.get_mut(first..first + second)?, before[1]);
        let start = self.len + first + second;
        self.len = start + length;
        Some(start)
    }

    fn truncate(&mut self, length: usize) {
        self.len = self.len.min(length);
    }

    #[inline]
    fn bytes(&mut self) -> &mut [u8] {
        &mut self.place[..self.len]
    }
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

    #[inline]
    fn hole(&mut self, before: [&[u8]; 2], length: usize) -> Option<usize> {
        self.0 += before[0].len() + before[1].len();
        let start = self.0;
        self.0 += length;
        Some(start)
    }

    fn truncate(&mut self, length: usize) {
        self.0 = self.0.min(length);
    }

    fn bytes(&mut self) -> &mut [u8] {
        &mut []
    }
}
