//! The walk: runs a pass over one body, copies what is untagged, and leaves holes.

use super::cursor::Cursor;
use super::limits;
use super::out::{Measure, Out};
use super::plan::{Leaf, LeafId, Op, Program, position};
use super::run::{Run, check_utf8};
use crate::error::{Code, Fault};

/// Says how long the result of a value will be, without making it.
pub trait HoleSizes {
    /// Bytes that the result of `value` at a leaf takes.
    fn hole_size(&self, leaf: LeafId, value: &[u8]) -> Result<usize, Code>;
}

/// A place in the output that waits for the result of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hole {
    /// Which leaf it belongs to.
    pub leaf: LeafId,
    /// Row within the group that is walked together.
    pub row: u32,
    /// Where the value starts in the row's body.
    pub value: usize,
    /// Bytes of the value.
    pub value_len: usize,
    /// Where the hole starts in the output.
    pub at: usize,
    /// Bytes of the hole.
    pub len: usize,
}

/// What a walk saw besides holes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Walked {
    /// Tagged values that were handed on as they are.
    pub passed: u64,
}

enum Frame {
    Block { item: u32, left: u64, size_end: Option<usize>, header: Option<Header> },
    Call { back: u32, depth: u32 },
}

/// The header of a block with a negative count, not yet written: rewritten with a positive count
/// if a hole turns up inside, else copied with the rest.
#[derive(Clone, Copy)]
struct Header {
    start: usize,
    end: usize,
    count: u64,
}

/// Runs passes. Keeps its stack between rows, so that a row costs no allocation.
#[derive(Default)]
pub struct Walker {
    stack: Vec<Frame>,
    /// Records around, and arrays and maps.
    depth: u32,
    blocks: u32,
    headers: usize,
    zero_items: u64,
}

impl Walker {
    /// Walks one body: writes it to `out` with holes, and hands each hole to `found`, which may end
    /// the walk.
    ///
    /// On a fault, what was already written of the row is left for the caller to drop.
    pub fn walk<S: HoleSizes, O: Out>(
        &mut self,
        program: &Program,
        leaves: &[Leaf],
        sizes: &S,
        (row, body): (u32, &[u8]),
        out: &mut O,
        found: impl FnMut(Hole) -> Result<(), Code>,
    ) -> Result<Walked, Fault> {
        self.stack.clear();
        self.depth = 0;
        self.blocks = 0;
        self.headers = 0;
        self.zero_items =
            limits::ZERO_ITEMS.saturating_add(limits::ZERO_ITEMS_PER_BYTE.saturating_mul(body.len() as u64));
        let mut run = Run {
            program,
            leaves,
            sizes,
            row,
            cursor: Cursor::new(body),
            copied: 0,
            out,
            walked: Walked::default(),
        };
        let mut pc = 0;
        match self.run(&mut run, &mut pc, found) {
            Ok(()) => Ok(run.walked),
            Err(code) => {
                let offset = run.cursor.position();
                Err(Fault { path: self.path(program, pc), offset: Some(offset), ..Fault::of(code) })
            }
        }
    }

    /// The path of the hole whose value starts at `value` in `body`: walks again up to there.
    pub fn locate<S: HoleSizes>(
        &mut self,
        program: &Program,
        leaves: &[Leaf],
        sizes: &S,
        body: &[u8],
        value: usize,
    ) -> Option<Box<str>> {
        let at_value = |hole: Hole| if hole.value == value { Err(Code::Internal) } else { Ok(()) };
        let outcome = self.walk(program, leaves, sizes, (0, body), &mut Measure::default(), at_value);
        outcome.err().and_then(|fault| fault.path)
    }

    /// Path of the op at `pc`: those of the calls that led to it, then its own.
    fn path(&self, program: &Program, pc: usize) -> Option<Box<str>> {
        let calls = self.stack.iter().filter_map(|frame| match frame {
            Frame::Call { back, .. } => Some(*back as usize - 1),
            Frame::Block { .. } => None,
        });
        let mut path = String::new();
        for pc in calls.chain([pc]) {
            program.path_tree.write(program.paths[pc], &mut path);
        }
        (!path.is_empty()).then(|| path.into_boxed_str())
    }

    #[inline]
    #[allow(clippy::too_many_lines)] // one arm an op: splitting it would hide the loop
    fn run<S: HoleSizes, O: Out>(
        &mut self,
        run: &mut Run<'_, S, O>,
        pc_out: &mut usize,
        mut found: impl FnMut(Hole) -> Result<(), Code>,
    ) -> Result<(), Code> {
        let ops = run.program.ops.as_slice();
        let mut pc = 0usize;
        // The position is handed out only on a fault, so that it can live in a register.
        macro_rules! step {
            ($outcome:expr) => {
                match $outcome {
                    Ok(value) => value,
                    Err(code) => {
                        *pc_out = pc;
                        return Err(code);
                    }
                }
            };
        }
        loop {
            match ops[pc] {
                Op::Text => {
                    let text = step!(run.cursor.length_delimited());
                    step!(check_utf8(text));
                }
                Op::ShortBytes(most) => {
                    let bytes = step!(run.cursor.length_delimited());
                    step!(if bytes.len() > most as usize { Err(Code::DecimalTooLarge) } else { Ok(()) });
                }
                Op::Bytes => {
                    step!(run.cursor.length_delimited());
                }
                Op::Hole(leaf) => {
                    if self.headers > 0 {
                        step!(self.write_headers(run));
                    }
                    let hole = step!(run.hole(leaf));
                    step!(found(hole));
                }
                Op::Long => {
                    step!(run.cursor.long());
                }
                Op::Int => {
                    step!(run.cursor.int());
                }
                Op::Fixed(count) => {
                    step!(run.cursor.take(count as usize));
                }
                Op::Boolean => {
                    let byte = step!(run.cursor.take(1))[0];
                    step!(if byte > 1 { Err(Code::BadBoolean) } else { Ok(()) });
                }
                Op::Enum(count) => {
                    step!(run.cursor.index(count, Code::EnumIndex));
                }
                Op::Union { table, count } => {
                    let branch = step!(run.cursor.index(count, Code::UnionIndex));
                    pc = run.program.jumps[(table + branch) as usize] as usize;
                    continue;
                }
                Op::Either { first, second } => {
                    let branch = step!(run.cursor.index(2, Code::UnionIndex));
                    pc = if branch == 0 { first } else { second } as usize;
                    continue;
                }
                Op::Strings(count) => {
                    let passed = run.cursor.pass_short_strings(count);
                    if passed > 0 {
                        pc += passed as usize;
                        continue;
                    }
                    step!(run.cursor.length_delimited());
                }
                Op::OptionalStrings { count, null_first } => {
                    let passed = run.cursor.pass_optional_strings(count, if null_first { 0 } else { 2 });
                    if passed > 0 {
                        pc += 2 * passed as usize;
                        continue;
                    }
                    let branch = step!(run.cursor.index(2, Code::UnionIndex));
                    pc += if (branch == 0) == null_first { 2 } else { 1 };
                    continue;
                }
                Op::Jump(to) => {
                    pc = to as usize;
                    continue;
                }
                Op::Blocks { end, takes_bytes } => {
                    self.blocks += 1;
                    step!(self.check_depth(self.depth));
                    self.stack.push(Frame::Block {
                        item: position(pc + 1),
                        left: 0,
                        size_end: None,
                        header: None,
                    });
                    if !step!(self.next_block(run, takes_bytes)) {
                        pc = end as usize;
                        continue;
                    }
                }
                Op::Next => {
                    if let Some(item) = step!(self.next_item(run, ops)) {
                        pc = item;
                        continue;
                    }
                }
                Op::Call { procedure, levels } => {
                    let depth = self.depth + levels;
                    step!(self.check_depth(depth));
                    self.stack.push(Frame::Call { back: position(pc + 1), depth: self.depth });
                    self.depth = depth;
                    pc = procedure as usize;
                    continue;
                }
                Op::Return => {
                    let Some(Frame::Call { back, depth }) = self.stack.pop() else {
                        return Err(Code::Internal);
                    };
                    self.depth = depth;
                    pc = back as usize;
                    continue;
                }
                Op::Deeper(levels) => {
                    step!(self.check_depth(self.depth + levels));
                }
                Op::Pass => run.walked.passed += 1,
                Op::Refuse => step!(Err(Code::UnsupportedType)),
                Op::End => {
                    step!(if run.cursor.remaining() > 0 { Err(Code::TrailingBytes) } else { Ok(()) });
                    step!(run.flush());
                    return Ok(());
                }
                Op::Stop => {
                    run.cursor.skip_all();
                    step!(run.flush());
                    return Ok(());
                }
            }
            pc += 1;
        }
    }

    /// Whether so many records may be around, with the arrays and maps that are.
    #[inline]
    fn check_depth(&self, records: u32) -> Result<(), Code> {
        let fits = records <= limits::RECORD_DEPTH && records + self.blocks <= limits::NESTING;
        if fits { Ok(()) } else { Err(Code::TooDeep) }
    }

    /// Reads a block header into the frame on top. False at the end of the blocks, frame gone.
    fn next_block<S: HoleSizes, O: Out>(
        &mut self,
        run: &mut Run<'_, S, O>,
        takes_bytes: bool,
    ) -> Result<bool, Code> {
        let start = run.cursor.position();
        let count = run.cursor.long()?;
        if count == 0 {
            self.stack.pop();
            self.blocks -= 1;
            return Ok(false);
        }
        let items = count.unsigned_abs();
        if count == i64::MIN {
            return Err(Code::BlockCount);
        }
        let mut end = None;
        let mut pending = None;
        if count < 0 {
            let size = run.cursor.long()?;
            let size = usize::try_from(size).map_err(|_| Code::NegativeLength)?;
            let body = run.cursor.position();
            if size > run.cursor.remaining() {
                return Err(Code::Truncated);
            }
            end = Some(body + size);
            pending = Some(Header { start, end: body, count: items });
            self.headers += 1;
        }
        if takes_bytes {
            if items > run.cursor.remaining() as u64 {
                return Err(Code::TooManyItems);
            }
        } else {
            self.zero_items = self.zero_items.checked_sub(items).ok_or(Code::TooManyItems)?;
        }
        if let Some(Frame::Block { left, size_end, header, .. }) = self.stack.last_mut() {
            (*left, *size_end, *header) = (items, end, pending);
        }
        Ok(true)
    }

    /// Ends an item: the position of the next one, or None behind the last block.
    #[inline]
    fn next_item<S: HoleSizes, O: Out>(
        &mut self,
        run: &mut Run<'_, S, O>,
        ops: &[Op],
    ) -> Result<Option<usize>, Code> {
        let Some(Frame::Block { item, left, size_end, header }) = self.stack.last_mut() else {
            return Err(Code::Internal);
        };
        let item = *item as usize;
        *left -= 1;
        if *left > 0 {
            return Ok(Some(item));
        }
        if size_end.is_some_and(|end| end != run.cursor.position()) {
            return Err(Code::BlockSize);
        }
        if header.take().is_some() {
            self.headers -= 1;
        }
        let takes_bytes = matches!(ops[item - 1], Op::Blocks { takes_bytes: true, .. });
        Ok(self.next_block(run, takes_bytes)?.then_some(item))
    }

    /// Writes the headers of all open blocks that wait for it, outermost first.
    #[cold]
    fn write_headers<S: HoleSizes, O: Out>(&mut self, run: &mut Run<'_, S, O>) -> Result<(), Code> {
        for frame in &mut self.stack {
            if let Frame::Block { header, .. } = frame
                && let Some(header) = header.take()
            {
                run.copy_to(header.start)?;
                run.put_long(i64::try_from(header.count).map_err(|_| Code::BlockCount)?)?;
                run.copied = header.end;
                self.headers -= 1;
            }
        }
        Ok(())
    }
}
