//! Where the rows of a batch come from on WRITE.

use super::Rows;
use crate::avro::{Hole, Out, Walker};
use crate::error::Fault;
use crate::lane::{Lane, SealedSizes};

/// Gives bodies one after the other, with holes where values are to be sealed.
pub trait Source {
    /// A group of rows begins with this one. The values of the group before are not asked for any more.
    fn begin(&mut self, first: usize);

    /// Whether there is such a row, and not a tombstone.
    fn has(&self, row: usize) -> bool;

    /// Writes the body of a row that is there to `out`, and appends its holes to `holes`: how many tagged
    /// values it let pass, or None where the row is left out after all.
    ///
    /// `place` is the row's position in its group. Where the row is left out, and on a fault, what was
    /// written and appended is dropped.
    fn put<O: Out>(
        &mut self,
        row: usize,
        place: u32,
        out: &mut O,
        holes: &mut Vec<Hole>,
    ) -> Result<Option<u64>, Fault>;

    /// The value that a hole of this group waits for.
    fn value(&self, hole: &Hole) -> &[u8];
}

/// Bodies that were written already: walked, and copied but for their tagged values.
pub(super) struct Bodies<'a, R: ?Sized> {
    lane: &'a Lane,
    rows: &'a R,
    walker: Walker,
    first: usize,
}

impl<'a, R: Rows + ?Sized> Bodies<'a, R> {
    pub(super) fn new(lane: &'a Lane, rows: &'a R) -> Self {
        Self { lane, rows, walker: Walker::default(), first: 0 }
    }
}

impl<R: Rows + ?Sized> Source for Bodies<'_, R> {
    fn begin(&mut self, first: usize) {
        self.first = first;
    }

    #[inline]
    fn has(&self, row: usize) -> bool {
        self.rows.row(row).is_some()
    }

    #[inline]
    fn put<O: Out>(
        &mut self,
        row: usize,
        place: u32,
        out: &mut O,
        holes: &mut Vec<Hole>,
    ) -> Result<Option<u64>, Fault> {
        let body = self.rows.row(row).unwrap_or_default();
        let (plan, sizes) = (&self.lane.plan, SealedSizes(self.lane));
        let walked = self.walker.walk(&plan.passes[0], &plan.leaves, &sizes, (place, body), out, |hole| {
            holes.push(hole);
            Ok(())
        })?;
        Ok(Some(walked.passed))
    }

    #[inline]
    fn value(&self, hole: &Hole) -> &[u8] {
        let body = self.rows.row(self.first + hole.row as usize).unwrap_or_default();
        &body[hole.value..hole.value + hole.value_len]
    }
}
