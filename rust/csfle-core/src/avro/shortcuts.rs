//! Shortcuts: what stands in records over and over, done in one step of the walk.
//!
//! A shortcut takes the place of the first op of what it stands for, and the others stay behind it. So no
//! position moves, jumps into the midst still fit, and a shortcut can step aside at any item that is out of
//! the ordinary (a long string, a fault): the walk then goes on at that item's own op, which knows its path.

use super::plan::{Op, position};

/// Fewest strings in a row that are worth a shortcut.
const WORTH: usize = 2;

/// Puts shortcuts into the ops of a program.
pub(super) fn take(ops: &mut [Op], jumps: &[u32]) {
    for op in &mut *ops {
        if let Op::Union { table, count: 2 } = *op {
            let first = jumps[table as usize];
            *op = Op::Either { first, second: jumps[table as usize + 1] };
        }
    }
    let mut at = 0;
    while at < ops.len() {
        let strings = ops[at..].iter().take_while(|op| matches!(op, Op::Bytes)).count();
        let optional = optional_strings(ops, at);
        if strings >= WORTH {
            ops[at] = Op::Strings(position(strings));
        } else if optional >= WORTH
            && let Op::Either { first, .. } = ops[at]
        {
            // The branch of null goes on behind the string.
            ops[at] =
                Op::OptionalStrings { count: position(optional), null_first: first == position(at + 2) };
        }
        at += strings.max(2 * optional).max(1);
    }
}

/// How many `[null, string]` or `[string, null]` follow each other, all the one or all the other.
fn optional_strings(ops: &[Op], start: usize) -> usize {
    let null_first = |at: usize| match ops[at..] {
        [Op::Either { first, second }, Op::Bytes, ..] => {
            let (string, behind) = (position(at + 1), position(at + 2));
            match (first, second) {
                (f, s) if (f, s) == (behind, string) => Some(true),
                (f, s) if (f, s) == (string, behind) => Some(false),
                _ => None,
            }
        }
        _ => None,
    };
    let Some(wanted) = null_first(start) else { return 0 };
    let pairs = (start..ops.len()).step_by(2);
    pairs.take_while(|at| null_first(*at) == Some(wanted)).count()
}
