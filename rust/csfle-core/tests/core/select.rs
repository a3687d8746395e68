//! Which rules hit which fields, by own tags and by those of the latest version.

use std::collections::BTreeSet;

use csfle_core::schema::{Hits, Latest, Patterns, Schema, select};

use crate::kit::plans::{schema, tags};

/// A record `R` of strings with tags.
fn strings(fields: &[(&str, &[&str])]) -> Schema {
    let fields: Vec<String> = fields
        .iter()
        .map(|(name, tags)| format!(r#"{{"name":"{name}","type":"string","confluent:tags":{tags:?}}}"#))
        .collect();
    schema(&format!(r#"{{"type":"record","name":"R","fields":[{}]}}"#, fields.join(",")))
}

fn named(schema: &Schema, hits: &Hits) -> Vec<(String, Vec<u16>)> {
    let mut named: Vec<_> =
        hits.iter().map(|(field, rules)| (schema.full_name(*field), rules.clone())).collect();
    named.sort();
    named
}

fn own(schema: &Schema, rules: &[BTreeSet<String>]) -> Vec<(String, Vec<u16>)> {
    named(schema, &select(schema, &Patterns::default(), rules, None))
}

fn expect(fields: &[(&str, &[u16])]) -> Vec<(String, Vec<u16>)> {
    fields.iter().map(|(name, rules)| (format!("R.{name}"), rules.to_vec())).collect()
}

#[test]
fn a_rule_hits_the_fields_that_share_a_tag_with_it() {
    let table = strings(&[("a", &["A"]), ("b", &["B", "C"]), ("c", &["D"])]);
    assert_eq!(own(&table, &[tags(&["A", "B"])]), expect(&[("a", &[0]), ("b", &[0])]));
    assert_eq!(own(&table, &[]), []);
    assert_eq!(own(&table, &[tags(&["a"])]), [], "tags are case-sensitive");
}

#[test]
fn a_rule_without_tags_hits_every_field() {
    let table = strings(&[("a", &["A"]), ("b", &[])]);
    assert_eq!(own(&table, &[tags(&[])]), expect(&[("a", &[0]), ("b", &[0])]));
}

#[test]
fn several_rules_on_one_field_stand_in_their_own_order() {
    let table = strings(&[("a", &["A", "B"]), ("b", &["B"])]);
    let rules = [tags(&["B"]), tags(&["X"]), tags(&["A"])];
    assert_eq!(own(&table, &rules), expect(&[("a", &[0, 2]), ("b", &[0])]));
}

#[test]
fn patterns_of_the_metadata_select_too() {
    let table = strings(&[("a", &[]), ("b", &[])]);
    let patterns = Patterns::new([("R.b", vec!["A".to_owned()])]).unwrap();
    let hits = select(&table, &patterns, &[tags(&["A"])], None);
    assert_eq!(named(&table, &hits), expect(&[("b", &[0])]));
}

#[test]
fn write_of_an_older_version_takes_its_own_tags_and_those_of_the_latest() {
    let older = strings(&[("a", &["A"]), ("b", &[]), ("c", &[])]);
    let latest = strings(&[("b", &["A"]), ("a", &[]), ("d", &["A"])]);
    let patterns = Patterns::new([("R.c", vec!["A".to_owned()])]).unwrap();
    let latest = Latest { schema: &latest, patterns: &patterns, rules: None };
    let hits = select(&older, &Patterns::default(), &[tags(&["A"])], Some(&latest));
    // `c` is not among the latest's fields, so a pattern that names it there says nothing.
    assert_eq!(named(&older, &hits), expect(&[("a", &[0]), ("b", &[0])]));
}

#[test]
fn read_by_the_latest_version_lets_it_decide_whether_and_the_writers_own_rule_how() {
    let writer = strings(&[("a", &["A"]), ("b", &["A"]), ("c", &[]), ("d", &["X"])]);
    let latest = strings(&[("a", &["A"]), ("b", &[]), ("c", &["A"]), ("d", &["A"])]);
    let rules = [tags(&["A"])];
    let latest_rules = [tags(&["A"])];
    let latest = Latest { schema: &latest, patterns: &Patterns::default(), rules: Some(&latest_rules) };
    let hits = select(&writer, &Patterns::default(), &rules, Some(&latest));
    let expected: &[(&str, &[u16])] = &[
        ("a", &[0]), // both: opened as it was sealed
        // b: the latest no longer asks for it
        ("c", &[1]), // only the latest: by its rule
        ("d", &[1]), // its own tags are under no rule of its own
    ];
    assert_eq!(named(&writer, &hits), expect(expected));
}

#[test]
fn read_by_the_latest_version_follows_a_renamed_field() {
    let writer = strings(&[("old", &["A"])]);
    let latest = schema(
        r#"{"type":"record","name":"R","fields":[
            {"name":"new","type":"string","aliases":["old"],"confluent:tags":["B"]}]}"#,
    );
    let latest_rules = [tags(&["B"])];
    let latest = Latest { schema: &latest, patterns: &Patterns::default(), rules: Some(&latest_rules) };
    let hits = select(&writer, &Patterns::default(), &[], Some(&latest));
    assert_eq!(named(&writer, &hits), expect(&[("old", &[0])]));
    let hits = select(&writer, &Patterns::default(), &[tags(&["A"])], Some(&latest));
    assert_eq!(named(&writer, &hits), expect(&[("old", &[0])]), "its own rule stands first");
}

#[test]
fn read_by_the_latest_version_without_rules_opens_nothing() {
    let writer = strings(&[("a", &["A"])]);
    let latest = Latest { schema: &writer, patterns: &Patterns::default(), rules: Some(&[]) };
    assert_eq!(named(&writer, &select(&writer, &Patterns::default(), &[tags(&["A"])], Some(&latest))), []);
}
