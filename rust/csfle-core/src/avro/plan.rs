//! A plan: what the walk does with each byte of a body, decided once.

use super::path::{PathId, Paths};
use crate::schema::{FieldId, Inheritance};

/// Which way a plan goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Values are sealed.
    Write,
    /// Values are opened.
    Read,
}

/// How to compile.
#[derive(Debug, Clone, Copy)]
pub struct PlanOptions {
    /// Which way.
    pub mode: Mode,
    /// Check the datum to its end, strings too, where otherwise the walk ends behind the last
    /// tagged field and hands on the rest unseen.
    pub exact: bool,
    /// Whether tags of a record-valued field reach inside.
    pub inheritance: Inheritance,
}

/// What stands in a hole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeafKind {
    /// A string: base64 around the ciphertext.
    Text,
    /// Bytes: the ciphertext as it is.
    Bytes,
}

/// A place in the schema whose values are sealed or opened.
#[derive(Debug)]
pub struct Leaf {
    /// String or bytes.
    pub kind: LeafKind,
    /// The rules that hit it, in the order of sealing.
    pub rules: Box<[u16]>,
    /// The field it belongs to.
    pub field: FieldId,
    /// Most bytes of a value that is opened.
    pub most: usize,
}

/// Index of a leaf in its plan.
pub type LeafId = u32;

/// One step of the walk. The plan is a flat list of these, run with an explicit stack; a plain
/// `u32` is a position in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    /// A set number of bytes.
    Fixed(u32),
    /// `boolean`.
    Boolean,
    /// `int`.
    Int,
    /// `long`.
    Long,
    /// Index below a number of symbols.
    Enum(u32),
    /// Length and bytes.
    Bytes,
    /// Length and bytes, so many at most: a decimal that will become a number.
    ShortBytes(u32),
    /// Length and UTF-8.
    Text,
    /// A value to seal or open.
    Hole(LeafId),
    /// A tagged value of a type that cannot be sealed.
    Refuse,
    /// A tagged value that is handed on as it is: counted, then walked by the next op.
    Pass,
    /// A record inlined below a called one, this many levels down: only its depth is checked.
    Deeper(u32),
    /// Branch index; the positions of `count` branches stand in the jump table from `table` on.
    Union { table: u32, count: u32 },
    /// Index of one of two branches, and where they stand.
    Either { first: u32, second: u32 },
    /// So many [`Op::Bytes`], of which this is the first.
    Strings(u32),
    /// So many times an [`Op::Either`] of null and a string and the string's [`Op::Bytes`].
    OptionalStrings { count: u32, null_first: bool },
    /// Goes on elsewhere.
    Jump(u32),
    /// Blocks of items. The item's ops follow, up to a [`Op::Next`]; `end` is behind it.
    Blocks { end: u32, takes_bytes: bool },
    /// Ends an item.
    Next,
    /// Calls a record type's procedure, `levels` records further down.
    Call { procedure: u32, levels: u32 },
    /// Ends a procedure.
    Return,
    /// The datum ends here.
    End,
    /// Nothing tagged comes any more: the rest is handed on unseen.
    Stop,
}

/// One pass over a body.
#[derive(Debug)]
pub struct Program {
    pub(super) ops: Vec<Op>,
    /// For each op, its path from the root or from the procedure it is part of.
    pub(super) paths: Vec<PathId>,
    pub(super) jumps: Vec<u32>,
    pub(super) path_tree: Paths,
    /// Whether tagged strings are checked as UTF-8 before anything else: on WRITE. On READ they are
    /// base64, or something that says so.
    pub(super) checks_text: bool,
}

impl Program {
    /// Whether this pass hands every body on unseen.
    pub fn is_copy(&self) -> bool {
        self.ops == [Op::Stop]
    }
}

/// All there is to know about (schema, rules, mode) once it is compiled.
#[derive(Debug)]
pub struct Plan {
    /// The leaves, by [`LeafId`].
    pub leaves: Vec<Leaf>,
    /// The passes, in the order they run: one on WRITE; on READ one for each rule that the most
    /// often hit field is under, the rule that sealed last first.
    pub passes: Vec<Program>,
    /// Which way it goes.
    pub mode: Mode,
}

impl Plan {
    /// At how many places of a body each of `rules` rules seals or opens, where nothing repeats.
    pub fn places(&self, rules: usize) -> Vec<usize> {
        let mut places = vec![0; rules];
        for op in self.passes.first().into_iter().flat_map(|pass| &pass.ops) {
            if let Op::Hole(leaf) = op {
                self.leaves[*leaf as usize].rules.iter().for_each(|rule| places[*rule as usize] += 1);
            }
        }
        places
    }

    /// The rule that pass `pass` of a READ plan opens at `leaf`.
    #[inline]
    pub fn rule_of_pass(leaf: &Leaf, pass: usize) -> u16 {
        leaf.rules[leaf.rules.len() - 1 - pass]
    }
}

/// A position in a plan, or a number that its schema bounds to 31 bits.
#[inline]
#[allow(clippy::cast_possible_truncation)] // a plan has fewer ops than limits::PLAN_OPS
pub(super) fn position(at: usize) -> u32 {
    at as u32
}
