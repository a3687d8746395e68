//! How many rules may stand one around the other.

use crate::schema::{Hits, Inheritance, Schema, Type};

/// The most rules that any one leaf may be under; at least one, so that there is a pass.
pub(super) fn reachable_layers(schema: &Schema, hits: &Hits, inheritance: Inheritance) -> usize {
    let most = hits.values().map(Vec::len).max().unwrap_or(1);
    if inheritance == Inheritance::Own || most == 0 {
        return most.max(1);
    }
    // Tags that reach into a record add the rules of the enclosing field to those of the inner one.
    let enclosing = hits.iter().filter(|((record, field), _)| match schema.get(*record) {
        Type::Record(r) => !schema.get(r.fields[*field as usize].ty).is_plain_primitive(),
        _ => false,
    });
    most + enclosing.map(|(_, rules)| rules.len()).max().unwrap_or(0)
}
