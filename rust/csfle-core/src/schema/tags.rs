//! Tags: inline ones and those that patterns of the metadata give, per field.

use std::collections::{BTreeSet, HashMap};

use regex::Regex;

use super::{FieldId, Schema};
use crate::error::SchemaError;

/// The tags of each field that has any.
pub type FieldTags = HashMap<FieldId, BTreeSet<String>>;

/// A `metadata.tags` key: a wildcard over `record full name . field name`.
///
/// `?` is one character and `*` any number, both short of a dot; `**` crosses dots, and `**.*` is
/// `**`. Brackets keep the meaning that regular expressions give them, and a backslash stands for
/// itself with the character behind it taken as it is: every Confluent client does the same.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

impl Pattern {
    /// Compiles a pattern.
    pub fn new(pattern: &str) -> Result<Self, SchemaError> {
        let regex = format!("^(?s:{})$", to_regex(pattern));
        Regex::new(&regex).map(Self).map_err(|_| {
            SchemaError::of(
                "bad_tag_pattern",
                format!("the tag pattern {pattern:?} of the metadata is no valid pattern"),
            )
        })
    }

    /// Whether the whole name matches.
    pub fn matches(&self, full_name: &str) -> bool {
        self.0.is_match(full_name)
    }
}

fn to_regex(pattern: &str) -> String {
    let source: Vec<char> = pattern.replace("**.*", "**").chars().collect();
    let mut regex = String::new();
    let mut at = 0;
    while let Some(&c) = source.get(at) {
        at += 1;
        match c {
            '*' if source.get(at) == Some(&'*') => {
                regex.push_str(".*");
                at += 1;
            }
            '*' => regex.push_str("[^.]*"),
            '?' => regex.push_str("[^.]"),
            '.' | '+' | '{' | '}' | '(' | ')' | '|' | '^' | '$' => {
                regex.push('\\');
                regex.push(c);
            }
            '\\' => {
                regex.push_str("\\\\");
                if at + 1 < source.len() {
                    regex.push(source[at]);
                    at += 1;
                }
            }
            _ => regex.push(c),
        }
    }
    regex
}

/// The patterns of one metadata object.
#[derive(Debug, Clone, Default)]
pub struct Patterns(Vec<(Pattern, Vec<String>)>);

impl Patterns {
    /// Compiles `{pattern: tags}`.
    pub fn new<'a>(tags: impl IntoIterator<Item = (&'a str, Vec<String>)>) -> Result<Self, SchemaError> {
        let compiled = tags.into_iter().map(|(pattern, tags)| Ok((Pattern::new(pattern)?, tags)));
        compiled.collect::<Result<_, _>>().map(Self)
    }
}

impl Schema {
    /// The effective tags: inline ones and those of every pattern that matches, together.
    pub fn tags(&self, patterns: &Patterns) -> FieldTags {
        let mut tagged = FieldTags::new();
        for (id, record) in self.records() {
            for (index, field) in (0u32..).zip(&record.fields) {
                let mut tags: BTreeSet<String> = field.tags.iter().cloned().collect();
                let name = format!("{}.{}", record.name, field.name);
                for (_, more) in patterns.0.iter().filter(|(pattern, _)| pattern.matches(&name)) {
                    tags.extend(more.iter().cloned());
                }
                if !tags.is_empty() {
                    tagged.insert((id, index), tags);
                }
            }
        }
        tagged
    }
}
