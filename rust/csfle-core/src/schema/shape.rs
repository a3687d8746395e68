//! What the shape of the table says of its types. Iterative throughout: a table may be a long chain.

use super::{Type, TypeId};

/// Whether any type can be reached from itself.
pub(super) fn contains_itself(types: &[Type]) -> bool {
    const NEW: u8 = 0;
    const OPEN: u8 = 1;
    const DONE: u8 = 2;
    let mut state = vec![NEW; types.len()];
    for start in 0..types.len() {
        if state[start] != NEW {
            continue;
        }
        state[start] = OPEN;
        let mut stack = vec![(start, types[start].children())];
        while let Some((at, children)) = stack.last_mut() {
            match children.pop() {
                None => {
                    state[*at] = DONE;
                    stack.pop();
                }
                Some(TypeId(child)) => match state[child as usize] {
                    OPEN => return true,
                    NEW => {
                        state[child as usize] = OPEN;
                        stack.push((child as usize, types[child as usize].children()));
                    }
                    _ => {}
                },
            }
        }
    }
    false
}

/// For each type, whether its every value takes at least one byte. A record that holds itself with
/// nothing in between has no value, and is counted among them.
pub(super) fn takes_bytes(types: &[Type]) -> Vec<bool> {
    let mut takes = vec![true; types.len()];
    let mut holders: Vec<Vec<usize>> = vec![Vec::new(); types.len()];
    let mut filled: Vec<usize> = vec![0; types.len()];
    let mut empty = Vec::new();
    for (index, ty) in types.iter().enumerate() {
        match ty {
            Type::Record(record) => {
                filled[index] = record.fields.len();
                record.fields.iter().for_each(|field| holders[field.ty.0 as usize].push(index));
                if record.fields.is_empty() {
                    empty.push(index);
                }
            }
            Type::Null => empty.push(index),
            Type::Fixed(fixed) if fixed.size == 0 => empty.push(index),
            _ => {}
        }
    }
    while let Some(index) = empty.pop() {
        takes[index] = false;
        for holder in std::mem::take(&mut holders[index]) {
            filled[holder] -= 1;
            if filled[holder] == 0 {
                empty.push(holder);
            }
        }
    }
    takes
}

/// For each type, whether it is or may hold one of those that `is` names.
pub(super) fn reach(types: &[Type], is: impl Fn(usize) -> bool) -> Vec<bool> {
    let mut reaches = vec![false; types.len()];
    let mut holders: Vec<Vec<usize>> = vec![Vec::new(); types.len()];
    for (index, ty) in types.iter().enumerate() {
        ty.children().into_iter().for_each(|TypeId(child)| holders[child as usize].push(index));
    }
    let mut open: Vec<usize> = (0..types.len()).filter(|index| is(*index)).collect();
    while let Some(index) = open.pop() {
        if !std::mem::replace(&mut reaches[index], true) {
            open.extend(std::mem::take(&mut holders[index]));
        }
    }
    reaches
}
