//! Which rules hit which fields.

use std::collections::{BTreeSet, HashMap};

use super::resolve::Resolution;
use super::{FieldId, FieldTags, Patterns, Schema};

/// Whether the tags of a record-valued field reach into the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Inheritance {
    /// They do not: all clients but Java.
    #[default]
    Own,
    /// They reach its fields of plain primitive type: Java since late 2024.
    Java,
}

/// The rules that hit each field, by position in the rule list, in rule-set order.
pub type Hits = HashMap<FieldId, Vec<u16>>;

/// The subject's latest version, where it has a say beside the writer's.
#[derive(Debug)]
pub struct Latest<'a> {
    /// Its schema.
    pub schema: &'a Schema,
    /// Its metadata's patterns.
    pub patterns: &'a Patterns,
    /// On READ, the tags of its rules, which follow the writer's own in the rule list. None on
    /// WRITE, where one list of rules meets the tags of both.
    pub rules: Option<&'a [BTreeSet<String>]>,
}

/// Selects rules by tags. `rules` holds the tags of each rule; a rule without tags hits every field.
///
/// Without `latest`, a field has its own tags. With the latest schema alone (WRITE of an older
/// version), a field has its own tags and those of the latest fields that it resolves to. With the
/// latest rules too (READ), the latest tags and rules decide whether a field is hit, and the
/// field's own rules, where it has any, decide by which.
pub fn select(
    schema: &Schema,
    patterns: &Patterns,
    rules: &[BTreeSet<String>],
    latest: Option<&Latest<'_>>,
) -> Hits {
    let mut own = schema.tags(patterns);
    let Some(latest) = latest else {
        return hits(schema, &own, rules, 0);
    };
    let taken = Resolution::new(schema, latest.schema).tags(&latest.schema.tags(latest.patterns));
    let Some(latest_rules) = latest.rules else {
        for (field, tags) in taken {
            own.entry(field).or_default().extend(tags);
        }
        return hits(schema, &own, rules, 0);
    };
    let by_own = hits(schema, &own, rules, 0);
    let mut by_latest = hits(schema, &taken, latest_rules, rules.len());
    for (field, rules) in &mut by_latest {
        if let Some(own) = by_own.get(field) {
            rules.clone_from(own);
        }
    }
    by_latest
}

fn hits(schema: &Schema, tags: &FieldTags, rules: &[BTreeSet<String>], first: usize) -> Hits {
    let none = BTreeSet::new();
    let mut all = Hits::new();
    for (record, fields) in schema.records().map(|(id, record)| (id, record.fields.len())) {
        for field in (0u32..).take(fields) {
            let tags = tags.get(&(record, field)).unwrap_or(&none);
            let hit = |(_, rule): &(u16, &BTreeSet<String>)| rule.is_empty() || !rule.is_disjoint(tags);
            let first = u16::try_from(first).unwrap_or(u16::MAX);
            let hit: Vec<u16> = (first..=u16::MAX).zip(rules).filter(hit).map(|(index, _)| index).collect();
            if !hit.is_empty() {
                all.insert((record, field), hit);
            }
        }
    }
    all
}
