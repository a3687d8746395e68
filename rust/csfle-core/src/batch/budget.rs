//! What a group is about to seal, reserved before any of it is sealed.

use std::sync::Arc;

use super::group::{Group, GroupRow};
use crate::avro::Hole;
use crate::crypto::{Need, Reserved};
use crate::error::Code;
use crate::lane::WriteLane;

/// The needs of one group, one for each rule; kept between groups.
#[derive(Default)]
pub(super) struct Reservation {
    needs: Vec<Need>,
}

impl Reservation {
    /// Reserves for the rows of a group that are in. Rows that a budget has no room for are dropped
    /// and named to `refused`, with the reason. Gives how many budgets were passed or refused more.
    pub(super) fn take(
        &mut self,
        write: &WriteLane,
        group: &mut Group,
        mut refused: impl FnMut(usize, Code),
    ) -> u64 {
        self.restart(write);
        self.holes(write, &group.holes);
        if !write.lane.payload.is_empty() {
            for row in group.rows.iter().filter(|row| row.is_in()) {
                self.payload(write, row);
            }
        }
        let mut told = 0;
        if self.reserve(write, &mut told) {
            return told;
        }
        // Not for all of them: row by row, so that what is left of a budget is used.
        let Group { rows, holes } = group;
        let mut of_row = holes.chunk_by(|one, other| one.row == other.row).peekable();
        for (position, row) in rows.iter_mut().enumerate() {
            self.restart(write);
            let holes = of_row.next_if(|holes| holes[0].row as usize == position);
            self.holes(write, holes.unwrap_or_default());
            if row.is_in() {
                self.payload(write, row);
            }
            let code = if self.never_fits(write) {
                Code::RowOverBudget
            } else if self.reserve(write, &mut told) {
                continue;
            } else {
                Code::DekExhausted
            };
            row.dropped = true;
            refused(row.index, code);
        }
        holes.retain(|hole| !rows[hole.row as usize].dropped);
        told
    }

    fn restart(&mut self, write: &WriteLane) {
        self.needs.clear();
        self.needs.resize(write.ciphers.len(), Need::default());
    }

    fn holes(&mut self, write: &WriteLane, holes: &[Hole]) {
        if let [only] = &mut self.needs[..] {
            // One rule, so it hits every hole, and none twice.
            only.values += holes.len() as u64;
            only.bytes += holes.iter().map(|hole| hole.value_len as u64).sum::<u64>();
            return;
        }
        for hole in holes {
            let leaf = &write.lane.plan.leaves[hole.leaf as usize];
            let mut len = hole.value_len;
            for rule in &leaf.rules {
                self.needs[*rule as usize].add(len);
                len = write.lane.layer(*rule).sealed_len(leaf.kind, len);
            }
        }
    }

    fn payload(&mut self, write: &WriteLane, row: &GroupRow) {
        let lane = &*write.lane;
        let (front, back) = lane.payload_room();
        let mut len = (row.end - row.start).saturating_sub(write.frame.len() + front + back);
        for rule in &lane.payload {
            self.needs[*rule as usize].add(len);
            len += lane.layer(*rule).added();
        }
    }

    /// Whether no key could pay for it all, however fresh: rules may share one.
    fn never_fits(&self, write: &WriteLane) -> bool {
        let ciphers = &write.ciphers;
        ciphers.iter().filter(|cipher| cipher.strict_budget().is_some()).any(|cipher| {
            let sharing = ciphers.iter().zip(&self.needs).filter(|(other, _)| {
                other.strict_budget().is_some() && Arc::ptr_eq(other.seals(), cipher.seals())
            });
            let needed: u64 = sharing.map(|(_, need)| need.values).sum();
            cipher.strict_budget().is_some_and(|most| needed > most)
        })
    }

    /// Reserves all needs, or none of them.
    fn reserve(&self, write: &WriteLane, told: &mut u64) -> bool {
        for (rule, (cipher, need)) in write.ciphers.iter().zip(&self.needs).enumerate() {
            if need.values == 0 {
                continue;
            }
            let reserved = cipher.reserve(*need);
            *told += u64::from(reserved != Reserved::Granted);
            if matches!(reserved, Reserved::Refused | Reserved::TooLarge) {
                for (earlier, taken) in write.ciphers.iter().zip(&self.needs).take(rule) {
                    earlier.release(*taken);
                }
                return false;
            }
        }
        true
    }
}
