//! A group: some dozen rows that are walked one after the other and filled together.

use crate::avro::{Hole, Out};

/// Rows of a group: enough to fill many values at once, few enough to stay in the cache.
pub(super) const ROWS: usize = 32;

/// A row of the group, as far as it has come.
#[derive(Debug, Clone, Copy)]
pub(super) struct GroupRow {
    /// Position in the batch.
    pub(super) index: usize,
    /// Its place in the output.
    pub(super) start: usize,
    pub(super) end: usize,
    /// Tagged values that were let pass, on WRITE.
    pub(super) passed: u64,
    /// There is no row.
    pub(super) empty: bool,
    /// Failed, or waiting for what was missed: to be taken out.
    pub(super) dropped: bool,
}

impl GroupRow {
    /// Whether there is something to go out.
    pub(super) fn is_in(&self) -> bool {
        !self.empty && !self.dropped
    }
}

/// The rows and holes of a group.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) rows: Vec<GroupRow>,
    pub(super) holes: Vec<Hole>,
}

impl Group {
    /// Empty, with room for so many rows and for so many holes, as far as that is a usual number.
    pub(super) fn with_room(rows: usize, holes: usize) -> Self {
        Self { rows: Vec::with_capacity(rows), holes: Vec::with_capacity(holes.min(8 * ROWS)) }
    }

    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.holes.clear();
    }

    /// Takes dropped rows out of the output: theirs is wiped, and the rows behind them move up.
    pub(super) fn close_up<O: Out>(&mut self, out: &mut O) {
        if !self.rows.iter().any(|row| row.dropped) {
            return;
        }
        let old_end = out.len();
        let Some(mut end) = self.rows.first().map(|row| row.start) else {
            return;
        };
        for row in &mut self.rows {
            let kept = if row.dropped { row.start..row.start } else { row.start..row.end };
            let start = end;
            end += kept.len();
            out.bytes().copy_within(kept, start);
            (row.start, row.end) = (start, end);
        }
        out.bytes()[end..old_end].fill(0);
        out.truncate(end);
    }
}
