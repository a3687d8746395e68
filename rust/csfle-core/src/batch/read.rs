//! READ: frames to bodies.

use std::ops::Range;

use super::group::{Group, GroupRow, ROWS};
use super::stage::Stage;
use super::{Outcome, Rows};
use crate::avro::limits::MISSES_PER_BATCH;
use crate::avro::{Hole, Measure, Out, Walker};
use crate::crypto::Slot;
use crate::error::{Code, Fault};
use crate::fill::{self, Scratch, Unopened};
use crate::framing::SchemaRef;
use crate::lane::{DekVersions, Miss, OpenedSizes, ReadLane, ReadTable};
use crate::value;

/// Plaintext between the stages of a group, in one thread; a single larger row stands alone.
const STAGED: usize = 24 << 10;

/// At most the bytes of a row's body: exact where one pass does it all, to the end of the row.
pub fn decrypted_size<R: Rows + ?Sized>(
    table: &ReadTable,
    walker: &mut Walker,
    rows: &R,
    index: usize,
) -> usize {
    let Some(payload) = rows.row(index) else {
        return 0;
    };
    let found =
        named(payload, rows.header(index)).and_then(|(name, start)| Ok((lane_of(table, name)?, start)));
    let Ok((lane, start)) = found else {
        return 0;
    };
    let lane = &*table.lanes[lane as usize].lane;
    if lane.staged() {
        return payload.len() - start; // opening never makes a body longer
    }
    let mut measure = Measure::default();
    let sizes = OpenedSizes { lane, pass: 0 };
    let body = (0, &payload[start..]);
    let _ = walker.walk(&lane.plan.passes[0], &lane.plan.leaves, &sizes, body, &mut measure, |_| Ok(()));
    measure.len()
}

enum Lost {
    Fault(Fault),
    Miss(Miss),
}

/// The name of a row's writer schema, and where its body starts.
#[inline]
fn named(payload: &[u8], header: Option<&[u8]>) -> Result<(SchemaRef, usize), Lost> {
    let found = match header {
        Some(value) => SchemaRef::from_header(value).map(|name| (name, 0)),
        None => SchemaRef::from_payload(payload),
    };
    found.map_err(|code| Lost::Fault(Fault::of(code)))
}

fn lane_of(table: &ReadTable, name: SchemaRef) -> Result<u32, Lost> {
    match table.schemas.get(&name) {
        Some(Ok(lane)) => Ok(*lane),
        Some(Err(fault)) => Err(Lost::Fault(fault.clone())),
        None => Err(Lost::Miss(Miss::Schema(name))),
    }
}

/// Decrypts the frames at `range` into `out`. `misses` is how many misses may still be reported;
/// rows that miss more fail.
pub fn decrypt<R: Rows + ?Sized, O: Out>(
    table: &ReadTable,
    rows: &R,
    range: Range<usize>,
    misses: usize,
    out: &mut O,
) -> Outcome {
    let mut outcome =
        Outcome { rows: range.clone(), ends: Vec::with_capacity(range.len()), ..Outcome::default() };
    let mut chunk = Chunk {
        table,
        walker: Walker::default(),
        scratch: Scratch::default(),
        stages: <[Stage; 2]>::default(),
        misses: misses.min(MISSES_PER_BATCH),
        group: Group::default(),
        sources: Vec::with_capacity(ROWS),
        last: None,
    };
    let mut next = range.start;
    while next < range.end {
        next = chunk.group(rows, next..range.end, out, &mut outcome);
    }
    outcome.faults.sort_by_key(|(row, _)| *row); // within a group, values fail after rows do
    outcome
}

struct Chunk<'a> {
    table: &'a ReadTable,
    walker: Walker,
    scratch: Scratch,
    stages: [Stage; 2],
    misses: usize,
    group: Group,
    /// Where the bytes of each row of the group stand that the next step reads: in the row itself,
    /// or in a stage. None where there are none.
    sources: Vec<Option<Range<usize>>>,
    /// The writer schema met last, and its lane.
    last: Option<(SchemaRef, u32)>,
}

impl Chunk<'_> {
    /// Takes rows of one lane from the front of `range`, as many as make a group; gives where the
    /// next group starts.
    fn group<R: Rows + ?Sized, O: Out>(
        &mut self,
        rows: &R,
        range: Range<usize>,
        out: &mut O,
        outcome: &mut Outcome,
    ) -> usize {
        self.group.clear();
        self.sources.clear();
        let first = range.start;
        let mut lane: Option<u32> = None;
        let mut bytes = 0;
        for index in range.take(ROWS) {
            let mut row =
                GroupRow { index, start: out.len(), end: out.len(), passed: 0, empty: false, dropped: false };
            let mut found = None;
            let mut source = None;
            if let Some(payload) = rows.row(index) {
                match self.find(payload, rows.header(index)) {
                    Ok((this, body)) => {
                        bytes += payload.len() - body;
                        let too_much = bytes > STAGED && self.table.lanes[this as usize].lane.staged();
                        if lane.is_some_and(|lane| lane != this || too_much) {
                            break;
                        }
                        (lane, found, source) = (Some(this), Some(this), Some(body..payload.len()));
                    }
                    Err(lost) => {
                        row.dropped = true;
                        lose(self.misses, index, lost, outcome);
                    }
                }
            }
            outcome.lanes.push(found);
            self.group.rows.push(row);
            self.sources.push(source);
        }
        if let Some(lane) = lane {
            self.open(lane, rows, first, out, outcome);
        }
        outcome.ends.extend(self.group.rows.iter().map(|row| row.end));
        first + self.group.rows.len()
    }

    /// The lane of a row, and where its body starts. Neighbours mostly have the same writer schema.
    #[inline]
    fn find(&mut self, payload: &[u8], header: Option<&[u8]>) -> Result<(u32, usize), Lost> {
        let (name, start) = named(payload, header)?;
        if let Some((_, lane)) = self.last.filter(|(last, _)| *last == name) {
            return Ok((lane, start));
        }
        let lane = lane_of(self.table, name)?;
        self.last = Some((name, lane));
        Ok((lane, start))
    }

    /// Takes the group through all steps of its lane: payload rules from the outermost in, then
    /// the passes over the body.
    fn open<R: Rows + ?Sized, O: Out>(
        &mut self,
        lane_index: u32,
        rows: &R,
        first: usize,
        out: &mut O,
        outcome: &mut Outcome,
    ) {
        let read = &*self.table.lanes[lane_index as usize];
        let passes = read.lane.plan.passes.len();
        let mut staged = false;
        if !read.lane.payload.is_empty() {
            self.open_payloads((lane_index, read), rows, outcome);
            staged = true;
        }
        let (walker, scratch, group) = (&mut self.walker, &mut self.scratch, &mut self.group);
        let mut step = Step { read, lane_index, misses: self.misses, walker, scratch, group };
        for pass in 0..passes {
            let [from, to] = &mut self.stages;
            let sources = self.sources.clone();
            let source = |row: usize| -> Option<&[u8]> {
                let range = sources[row].clone()?;
                if staged {
                    Some(&from.arena.as_slice()[range])
                } else {
                    rows.row(first + row).map(|payload| &payload[range])
                }
            };
            if pass + 1 == passes {
                step.pass(pass, &source, out, outcome);
                continue;
            }
            to.restart(sources.iter().flatten().map(Range::len).sum());
            step.pass(pass, &source, &mut to.arena, outcome);
            for (source, row) in self.sources.iter_mut().zip(&step.group.rows) {
                *source = source.take().filter(|_| !row.dropped).map(|_| row.start..row.end);
            }
            self.stages.swap(0, 1);
            staged = true;
        }
        self.group.close_up(out);
    }

    /// Copies the bodies to the first stage and opens the payload rules there, in place.
    fn open_payloads<R: Rows + ?Sized>(
        &mut self,
        (lane_index, read): (u32, &ReadLane),
        rows: &R,
        outcome: &mut Outcome,
    ) {
        let stage = &mut self.stages[0];
        stage.restart(self.sources.iter().flatten().map(Range::len).sum());
        for (source, row) in self.sources.iter_mut().zip(&mut self.group.rows) {
            let Some((range, payload)) = source.take().zip(rows.row(row.index)) else {
                continue;
            };
            let start = stage.arena.len();
            stage.arena.put(&payload[range]);
            match open_payload((lane_index, read), stage.arena.bytes(), start) {
                Ok(inner) => {
                    outcome.counts.opened += read.lane.payload.len() as u64;
                    *source = Some(inner);
                }
                Err(lost) => {
                    row.dropped = true;
                    lose(self.misses, row.index, lost, outcome);
                }
            }
        }
    }
}

/// Opens the payload rules of the body from `start` to the end of `bytes`, the outermost first;
/// gives where the body inside them stands.
fn open_payload(
    (lane_index, read): (u32, &ReadLane),
    bytes: &mut [u8],
    start: usize,
) -> Result<Range<usize>, Lost> {
    let mut range = start..bytes.len();
    for rule in read.lane.payload.iter().rev() {
        let layer = read.lane.layer(*rule);
        let layout = layer.algorithm.layout();
        let fault = |code| Lost::Fault(Fault::of(code));
        let text = range.len().checked_sub(layer.added()).ok_or_else(|| fault(Code::NotCiphertext))?;
        let prefix = if layer.prefixed { value::read_prefix(&bytes[range.clone()]) } else { Ok(1) };
        let version = prefix.map_err(fault)?;
        let cipher = read.deks[*rule as usize].get(version).map_err(Lost::Fault)?;
        let cipher = cipher.ok_or(Lost::Miss(Miss::Dek { lane: lane_index, rule: *rule, version }))?;
        let slot = Slot { start: range.start + layer.prefix_len(), text };
        let mut opened = Vec::new();
        cipher.open(bytes, &[slot], &mut opened);
        if opened != [true] {
            return Err(fault(Code::AuthenticationFailed));
        }
        let start = slot.start + layout.head;
        range = start..start + text;
    }
    Ok(range)
}

fn lose(room: usize, index: usize, lost: Lost, outcome: &mut Outcome) {
    match lost {
        Lost::Fault(fault) => outcome.faults.push((index, fault)),
        Lost::Miss(miss) if outcome.misses.contains(&miss) => {}
        Lost::Miss(miss) if outcome.misses.len() < room => outcome.misses.push(miss),
        Lost::Miss(_) => outcome.faults.push((index, Fault::of(Code::TooManyMisses))),
    }
}

/// What one pass over a group works with.
struct Step<'a> {
    read: &'a ReadLane,
    lane_index: u32,
    misses: usize,
    walker: &'a mut Walker,
    scratch: &'a mut Scratch,
    group: &'a mut Group,
}

impl Step<'_> {
    /// Walks and fills the rows that have a source, into `out`.
    fn pass<'s, O: Out>(
        &mut self,
        pass: usize,
        source: &dyn Fn(usize) -> Option<&'s [u8]>,
        out: &mut O,
        outcome: &mut Outcome,
    ) {
        let lane = &*self.read.lane;
        let plan = &lane.plan;
        let sizes = OpenedSizes { lane, pass };
        let group = &mut *self.group;
        group.holes.clear();
        for (position, row) in group.rows.iter_mut().enumerate() {
            row.start = out.len();
            let holes_before = group.holes.len();
            if let Some(body) = source(position).filter(|_| !row.dropped) {
                #[allow(clippy::cast_possible_truncation)] // below ROWS
                let body = (position as u32, body);
                let holes = &mut group.holes;
                let walked = self.walker.walk(&plan.passes[pass], &plan.leaves, &sizes, body, out, |hole| {
                    holes.push(hole);
                    Ok(())
                });
                if let Err(fault) = walked {
                    out.truncate(row.start);
                    group.holes.truncate(holes_before);
                    row.dropped = true;
                    outcome.faults.push((row.index, fault));
                }
            }
            row.end = out.len();
        }
        let mut unopened: Vec<(Hole, Unopened)> = Vec::new();
        let body = |row: u32| source(row as usize).unwrap_or_default();
        let deks: (_, &[DekVersions]) = (lane, &self.read.deks);
        fill::open(deks, pass, &group.holes, body, out.bytes(), self.scratch, &mut |hole, why| {
            unopened.push((*hole, why));
        });
        outcome.counts.opened += (group.holes.len() - unopened.len()) as u64;
        unopened.sort_by_key(|(hole, _)| hole.at);
        for (hole, why) in unopened {
            let row = &mut group.rows[hole.row as usize];
            let first = !std::mem::replace(&mut row.dropped, true);
            let lost = match why {
                Unopened::Miss { rule, version } => {
                    Lost::Miss(Miss::Dek { lane: self.lane_index, rule, version })
                }
                Unopened::Fault(_) if !first => continue, // the first value that fails names the row's fault
                Unopened::Fault(fault) => {
                    let body = body(hole.row);
                    let path = self.walker.locate(&plan.passes[pass], &plan.leaves, &sizes, body, hole.value);
                    Lost::Fault(Fault { path, offset: Some(hole.value), ..fault })
                }
            };
            if !first && outcome.misses.len() >= self.misses {
                continue; // it has failed, or was reported, already
            }
            lose(self.misses, row.index, lost, outcome);
        }
    }
}
