//! WRITE: bodies to frames.

use std::ops::Range;

use super::budget::Reservation;
use super::group::{Group, GroupRow, ROWS};
use super::{Outcome, Rows};
use crate::avro::{Hole, Measure, Out, Walker};
use crate::crypto::{Nonces, Slot};
use crate::error::{Code, Fault};
use crate::fill::{self, Scratch};
use crate::lane::{SealedSizes, WriteLane};
use crate::value;

/// At most the bytes of the frame of one body: exact where it can be walked to its end, and else
/// what [`encrypt`] writes before it meets the fault and takes the row out again.
pub fn encrypted_size(write: &WriteLane, walker: &mut Walker, body: &[u8]) -> usize {
    let lane = &*write.lane;
    if lane.copies() {
        return write.frame.len() + body.len();
    }
    let (front, back) = lane.payload_room();
    let mut measure = Measure::default();
    let _ = walker.walk(
        &lane.plan.passes[0],
        &lane.plan.leaves,
        &SealedSizes(lane),
        (0, body),
        &mut measure,
        |_| Ok(()),
    );
    write.frame.len() + front + measure.len() + back
}

/// Bytes that the frames of so many rows with so many bytes are likely to take: enough where each
/// leaf stands once in a row, and no promise. In proportion to the bytes, whatever the schema says.
pub fn likely_size(write: &WriteLane, rows: usize, bytes: usize) -> usize {
    let lane = &*write.lane;
    let (front, back) = lane.payload_room();
    let added = lane.plan.leaves.iter().map(|leaf| lane.layer(leaf.rules[0]).added() * 4 / 3 + 4);
    let values = rows.saturating_mul(added.sum::<usize>()).min(bytes.saturating_mul(2));
    bytes * 4 / 3 + values + rows * (write.frame.len() + front + back)
}

/// Encrypts the bodies at `range` into `out`.
pub fn encrypt<R: Rows + ?Sized, O: Out>(
    write: &WriteLane,
    rows: &R,
    range: Range<usize>,
    out: &mut O,
) -> Outcome {
    if write.lane.copies() {
        return frame_only(write, rows, range, out);
    }
    let mut outcome = outcome_of(&range);
    let expected = range.len().saturating_mul(write.lane.nonces());
    let nonces = match Nonces::for_chunk(expected) {
        Ok(nonces) => nonces,
        Err(code) => {
            outcome.ends.resize(range.len(), 0);
            outcome.faults = range.map(|row| (row, Fault::of(code))).collect();
            return outcome;
        }
    };
    let (walker, scratch, reservation) = (Walker::default(), Scratch::default(), Reservation::default());
    let mut chunk = Chunk { write, rows, walker, scratch, nonces, reservation };
    let rows_of_group = range.len().min(ROWS);
    let mut group = Group::with_room(rows_of_group, rows_of_group * write.lane.plan.leaves.len());
    for start in range.clone().step_by(ROWS) {
        chunk.group(start..range.end.min(start + ROWS), out, &mut group, &mut outcome);
    }
    outcome
}

fn outcome_of(rows: &Range<usize>) -> Outcome {
    Outcome { rows: rows.clone(), ends: Vec::with_capacity(rows.len()), ..Outcome::default() }
}

/// Puts frames around bodies that no rule touches.
fn frame_only<R: Rows + ?Sized, O: Out>(
    write: &WriteLane,
    rows: &R,
    range: Range<usize>,
    out: &mut O,
) -> Outcome {
    let mut outcome = outcome_of(&range);
    for index in range {
        if let Some(body) = rows.row(index) {
            let start = out.len();
            if !(out.put(&write.frame) && out.put(body)) {
                out.truncate(start);
                outcome.faults.push((index, Fault::of(Code::Internal)));
            }
        }
        outcome.ends.push(out.len());
    }
    outcome
}

struct Chunk<'a, R: ?Sized> {
    write: &'a WriteLane,
    rows: &'a R,
    walker: Walker,
    scratch: Scratch,
    nonces: Nonces,
    reservation: Reservation,
}

impl<R: Rows + ?Sized> Chunk<'_, R> {
    fn group<O: Out>(&mut self, range: Range<usize>, out: &mut O, group: &mut Group, outcome: &mut Outcome) {
        group.clear();
        let first = range.start;
        for index in range {
            let start = out.len();
            let holes_before = group.holes.len();
            let body = self.rows.row(index);
            let empty = body.is_none();
            let mut row = GroupRow { index, start, end: start, passed: 0, empty, dropped: false };
            if let Some(body) = body {
                match self.row(index - first, body, out, group) {
                    Ok(passed) => row.passed = passed,
                    Err(fault) => {
                        out.truncate(start);
                        group.holes.truncate(holes_before);
                        row.dropped = true;
                        outcome.faults.push((index, fault));
                    }
                }
                row.end = out.len();
            }
            group.rows.push(row);
        }
        let walked = outcome.faults.len();
        outcome.counts.exhausted += self.reservation.take(self.write, group, |index, code| {
            outcome.faults.push((index, Fault::of(code)));
        });
        if outcome.faults.len() > walked {
            outcome.faults.sort_by_key(|(index, _)| *index); // those of the walk came first
        }
        let Self { write, rows, scratch, nonces, .. } = self;
        let value = |hole: &Hole| {
            let body = rows.row(first + hole.row as usize).unwrap_or_default();
            &body[hole.value..hole.value + hole.value_len]
        };
        let filled = fill::seal(write, &group.holes, value, out.bytes(), scratch, nonces);
        let sealed = filled.and_then(|values| Ok(values + self.payloads(out, group)?));
        match sealed {
            Ok(seals) => outcome.counts.sealed += seals,
            Err(code) => {
                // Nothing of the group may leave with a hole open.
                outcome.faults.retain(|(index, _)| *index < first);
                for row in &mut group.rows {
                    row.dropped = true;
                    if !row.empty {
                        outcome.faults.push((row.index, Fault::of(code)));
                    }
                }
            }
        }
        outcome.counts.passed +=
            group.rows.iter().filter(|row| row.is_in()).map(|row| row.passed).sum::<u64>();
        group.close_up(out);
        outcome.ends.extend(group.rows.iter().map(|row| row.end));
    }

    /// Writes one row with its holes and with room for its payload layers: how many tagged values it
    /// let pass.
    fn row<O: Out>(
        &mut self,
        place: usize,
        body: &[u8],
        out: &mut O,
        group: &mut Group,
    ) -> Result<u64, Fault> {
        let lane = &*self.write.lane;
        let (front, back) = lane.payload_room();
        let room = |fits: bool| if fits { Ok(()) } else { Err(Fault::of(Code::Internal)) };
        room(out.put(&self.write.frame) && out.gap(front))?;
        #[allow(clippy::cast_possible_truncation)] // below ROWS
        let row = (place as u32, body);
        let (sizes, holes) = (SealedSizes(lane), &mut group.holes);
        let walked = self.walker.walk(&lane.plan.passes[0], &lane.plan.leaves, &sizes, row, out, |hole| {
            holes.push(hole);
            Ok(())
        })?;
        room(out.gap(back))?;
        Ok(walked.passed)
    }

    /// Seals the bodies of the group in place, the first payload rule innermost.
    fn payloads<O: Out>(&mut self, out: &mut O, group: &Group) -> Result<u64, Code> {
        let lane = &*self.write.lane;
        let (front, back) = lane.payload_room();
        let mut sealed = 0;
        let mut inside = (front, back);
        for rule in &lane.payload {
            let (layer, cipher) = (lane.layer(*rule), &self.write.ciphers[*rule as usize]);
            let layout = layer.algorithm.layout();
            inside = (inside.0 - layout.head - layer.prefix_len(), inside.1 - layout.tail);
            for row in group.rows.iter().filter(|row| row.is_in()) {
                let start = row.start + self.write.frame.len() + inside.0;
                let text = row.end - inside.1 - start - layer.added();
                let prefix = value::prefix(cipher.version());
                out.bytes()[start..start + layer.prefix_len()].copy_from_slice(&prefix[..layer.prefix_len()]);
                let slot = Slot { start: start + layer.prefix_len(), text };
                cipher.seal(out.bytes(), &[slot], &mut self.nonces)?;
                sealed += 1;
            }
        }
        Ok(sealed)
    }
}
