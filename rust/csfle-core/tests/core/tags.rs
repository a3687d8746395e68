//! Tags: inline ones, and the wildcards of the metadata exactly as every Confluent client reads them.

use std::collections::BTreeSet;

use csfle_core::schema::{Pattern, Patterns, Schema};

use crate::kit::plans::{field, record, record_of, schema, tags};

/// Pattern, full name, and whether confluent-kafka 2.16's own matcher says that they match.
const TABLE: &[(&str, &str, bool)] = &[
    ("eve*", "eve", true),
    ("a*.bob.e*", "alice.bob.eve", true),
    ("a*", "alice.bob.eve", false),
    ("a**", "alice.bob.eve", true),
    ("alice.bob*", "alice.bob.eve", false),
    ("alice.bob**", "alice.bob.eve", true),
    ("", "", true),
    ("", "a", false),
    ("**", "", true),
    ("**", "a.b", true),
    ("*", "a", true),
    ("*", "a.b", false),
    ("*", "", true),
    ("?", "a", true),
    ("?", ".", false),
    ("?", "", false),
    ("??", "ab", true),
    ("a?c", "a.c", false),
    ("a?c", "abc", true),
    ("**.*", "a", true),
    ("**.*", "a.b.c", true),
    ("x.**.*", "x.R.a", true),
    ("x.**.*", "x.", true),
    ("**.ssn", "x.R.ssn", true),
    ("**.ssn", "ssn", false),
    ("**.ssn", "x.R.ssnx", false),
    ("x.R.a", "x.R.a", true),
    ("x.R.a", "xxR.a", false),
    ("x.R.a", "x.R.A", false),
    ("[ab]", "a", true),
    ("[ab]", "[ab]", false),
    ("x.[RS].a", "x.S.a", true),
    ("x.[^R].a", "x.S.a", false),
    ("x.[^R].a", "x.R.a", true),
    ("a{2}", "a{2}", true),
    ("a{2}", "aa", false),
    ("a+", "aa", false),
    ("a+", "a+", true),
    ("(a|b)", "a", false),
    ("(a|b)", "(a|b)", true),
    ("a$", "a$", true),
    ("^a", "^a", true),
    ("a|b", "a", false),
    (r"a\.b", "a.b", false),
    (r"a\.b", r"a\xb", true),
    (r"a\.b", r"a\.b", true),
    (r"a\", r"a\", true),
    (r"\*", r"\*", true),
    (r"\*", "*", false),
    (r"a\b", r"a\b", true),
    (r"\\", r"\\", true),
    (r"\\", r"\", false),
    (r"a\bc", r"a\bc", true),
    ("gr*e", "größe", true),
    ("gr?ße", "größe", true),
    ("***", "a.b", true),
    ("****", "a.b", true),
    ("***", "a", true),
    ("*?", "a", true),
    ("*?", "", false),
    ("x.R.*.*", "x.R.a", false),
];

#[test]
fn wildcards_match_what_they_match_in_every_client() {
    for (pattern, name, matches) in TABLE {
        assert_eq!(Pattern::new(pattern).unwrap().matches(name), *matches, "{pattern:?} against {name:?}");
    }
}

#[test]
fn a_pattern_that_is_no_expression_is_refused_by_name() {
    for pattern in ["[", "x.[z-a].b", "a[", "[]"] {
        let error = Pattern::new(pattern).expect_err(pattern);
        assert_eq!(error.code, "bad_tag_pattern");
        assert!(error.message.contains(&format!("{pattern:?}")));
        assert!(Patterns::new([("fine", vec![]), (pattern, vec![])]).is_err());
    }
}

#[test]
fn a_hostile_pattern_is_refused_or_matches_in_linear_time() {
    let stars = "*a".repeat(20_000);
    if let Ok(pattern) = Pattern::new(&stars) {
        assert!(!pattern.matches(&"a".repeat(1_000)));
    }
    let crossing = "**a".repeat(200);
    assert!(!Pattern::new(&crossing).unwrap().matches(&format!("{}b", "a".repeat(10_000))));
}

fn of(schema: &Schema, patterns: &[(&str, &[&str])]) -> Vec<(String, BTreeSet<String>)> {
    let patterns =
        patterns.iter().map(|(pattern, tags)| (*pattern, tags.iter().map(|tag| (*tag).to_owned()).collect()));
    let tags = schema.tags(&Patterns::new(patterns).unwrap());
    let mut tags: Vec<_> = tags.into_iter().map(|(field, tags)| (schema.full_name(field), tags)).collect();
    tags.sort();
    tags
}

#[test]
fn inline_tags_and_those_of_every_matching_pattern_add_up() {
    let table = schema(&record(
        r#"{"name":"a","type":"string","confluent:tags":["A","B"]},{"name":"b","type":"string"},{"name":"c","type":"string"}"#,
    ));
    assert_eq!(of(&table, &[]), [("x.R.a".to_owned(), tags(&["A", "B"]))]);
    let patterns: [(&str, &[&str]); 3] = [("x.R.*", &["C"]), ("**.a", &["B", "D"]), ("y.**", &["E"])];
    assert_eq!(
        of(&table, &patterns),
        [
            ("x.R.a".to_owned(), tags(&["A", "B", "C", "D"])),
            ("x.R.b".to_owned(), tags(&["C"])),
            ("x.R.c".to_owned(), tags(&["C"])),
        ]
    );
}

#[test]
fn the_name_is_that_of_the_record_that_holds_the_field_and_no_path() {
    let inner =
        format!(r#"{{"type":"record","name":"I","namespace":"y","fields":[{}]}}"#, field("s", "string"));
    let table = schema(&record_of(&[("outer", &inner)]));
    let hit = |pattern: &str| of(&table, &[(pattern, &["A"])]);
    assert_eq!(hit("y.I.s"), [("y.I.s".to_owned(), tags(&["A"]))]);
    assert_eq!(hit("x.R.outer.s"), []);
    assert_eq!(hit("x.R.outer"), [("x.R.outer".to_owned(), tags(&["A"]))]);
}

#[test]
fn tags_count_only_as_a_list_on_the_field_itself() {
    let table = schema(&record(
        r#"{"name":"text","type":"string","confluent:tags":"A"},
           {"name":"on_type","type":{"type":"string","confluent:tags":["A"]}},
           {"name":"on_branch","type":["null",{"type":"string","confluent:tags":["A"]}]},
           {"name":"mixed","type":"string","confluent:tags":[1,"A",null]},
           {"name":"none","type":"string","confluent:tags":[]}"#,
    ));
    assert_eq!(of(&table, &[]), [("x.R.mixed".to_owned(), tags(&["A"]))]);
}
