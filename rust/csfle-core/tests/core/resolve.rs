//! Which field of a reader schema a writer's field resolves to: seen by the tags that it takes over.

use csfle_core::schema::{Patterns, Resolution, Schema};

use crate::kit::plans::schema;

/// The writer's fields that take over `PII` from the reader's.
fn taken(writer: &Schema, reader: &Schema) -> Vec<String> {
    let tags = Resolution::new(writer, reader).tags(&reader.tags(&Patterns::default()));
    let mut names: Vec<String> = tags.into_keys().map(|field| writer.full_name(field)).collect();
    names.sort();
    names
}

fn record(name: &str, more: &str, fields: &str) -> String {
    format!(r#"{{"type":"record","name":"{name}"{more},"fields":[{fields}]}}"#)
}

/// A field; with `tagged`, one with a tag.
fn field(name: &str, ty: &str, more: &str) -> String {
    format!(r#"{{"name":"{name}","type":{ty}{more}}}"#)
}

const TAG: &str = r#","confluent:tags":["PII"]"#;

fn names(writer: &str, reader: &str) -> Vec<String> {
    taken(&schema(writer), &schema(reader))
}

#[test]
fn fields_resolve_by_name_whatever_their_order() {
    let writer = record("R", "", &[field("a", "\"string\"", ""), field("b", "\"string\"", "")].join(","));
    let reader = record(
        "R",
        "",
        &[field("c", "\"string\"", TAG), field("b", "\"string\"", TAG), field("a", "\"int\"", "")].join(","),
    );
    assert_eq!(names(&writer, &reader), ["R.b"]);
}

#[test]
fn the_readers_aliases_name_the_writers_fields() {
    let writer = record("R", "", &field("old", "\"string\"", ""));
    let reader = record("R", "", &field("new", "\"string\"", &format!(r#"{TAG},"aliases":["older","old"]"#)));
    assert_eq!(names(&writer, &reader), ["R.old"]);
    // The writer's own aliases have no say.
    let writer = record("R", "", &field("a", "\"string\"", r#","aliases":["b"]"#));
    assert_eq!(names(&writer, &record("R", "", &field("b", "\"string\"", TAG))), Vec::<String>::new());
}

#[test]
fn a_field_takes_its_own_name_before_another_fields_alias() {
    let writer = record("R", "", &field("a", "\"string\"", ""));
    let fields =
        [field("b", "\"string\"", &format!(r#"{TAG},"aliases":["a"]"#)), field("a", "\"string\"", "")];
    assert_eq!(names(&writer, &record("R", "", &fields.join(","))), Vec::<String>::new());
}

#[test]
fn root_records_resolve_whatever_their_names_and_those_in_unions_by_name_then_alias() {
    let field_a = |more| field("a", "\"string\"", more);
    assert_eq!(names(&record("x.Old", "", &field_a("")), &record("y.New", "", &field_a(TAG))), ["x.Old.a"]);
    let writer = format!("[{},{}]", record("x.A", "", &field_a("")), record("x.B", "", &field_a("")));
    let reader = format!("[{},{}]", record("x.B", "", &field_a(TAG)), record("x.A", "", &field_a("")));
    assert_eq!(names(&writer, &reader), ["x.B.a"]);
    let renamed = format!(
        "[{},{}]",
        record("x.C", r#","aliases":["B"]"#, &field_a(TAG)),
        record("x.A", "", &field_a(""))
    );
    assert_eq!(names(&writer, &renamed), ["x.B.a"]);
    let moved = format!("[{},{}]", record("y.A", "", &field_a(TAG)), record("y.B", "", &field_a("")));
    assert_eq!(names(&writer, &moved), ["x.A.a"], "the same simple name in another namespace");
}

#[test]
fn unions_on_either_side_resolve_by_branch() {
    let inner = |more| record("I", "", &field("s", "\"string\"", more));
    let writer = record("R", "", &field("i", &format!(r#"["null",{}]"#, inner("")), ""));
    let bare = record("R", "", &field("i", &inner(TAG), ""));
    let wider = record("R", "", &field("i", &format!(r#"["null","string",{}]"#, inner(TAG)), ""));
    assert_eq!(names(&writer, &bare), ["I.s"]);
    assert_eq!(names(&writer, &wider), ["I.s"]);
    assert_eq!(names(&bare.replace(TAG, ""), &wider), ["I.s"]);
}

#[test]
fn records_inside_arrays_and_maps_are_followed_and_other_kinds_are_not() {
    let inner = |more| record("I", "", &field("s", "\"string\"", more));
    let of = |kind: &str, items: &str, inner: &str| {
        record("R", "", &field("f", &format!(r#"{{"type":"{kind}","{items}":{inner}}}"#), ""))
    };
    assert_eq!(names(&of("array", "items", &inner("")), &of("array", "items", &inner(TAG))), ["I.s"]);
    assert_eq!(names(&of("map", "values", &inner("")), &of("map", "values", &inner(TAG))), ["I.s"]);
    assert_eq!(
        names(&of("map", "values", &inner("")), &of("array", "items", &inner(TAG))),
        Vec::<String>::new()
    );
}

#[test]
fn recursion_ends_and_every_place_of_a_type_counts() {
    let node = |more| {
        record("N", "", &[field("v", "\"string\"", more), field("n", r#"["null","N"]"#, "")].join(","))
    };
    assert_eq!(names(&node(""), &node(TAG)), ["N.v"]);
    // One writer type that the reader has split in two: the tags of both count.
    let inner = record("I", "", &field("s", "\"string\"", ""));
    let writer = record("R", "", &[field("a", &inner, ""), field("b", "\"I\"", "")].join(","));
    let reader = record(
        "R",
        "",
        &[
            field("a", &record("A", "", &field("s", "\"string\"", "")), ""),
            field("b", &record("B", "", &field("s", "\"string\"", TAG)), ""),
        ]
        .join(","),
    );
    assert_eq!(names(&writer, &reader), ["I.s"]);
}

#[test]
fn twenty_thousand_fields_resolve_to_as_many_in_another_order_and_by_aliases() {
    let fields = |of: &dyn Fn(usize) -> String| (0..20_000).map(of).collect::<Vec<_>>().join(",");
    let writer = record("R", "", &fields(&|n| field(&format!("f{n}"), "\"string\"", "")));
    let turned = record("R", "", &fields(&|n| field(&format!("f{}", 19_999 - n), "\"string\"", TAG)));
    let renamed = fields(&|n| field(&format!("g{n}"), "\"string\"", &format!(r#"{TAG},"aliases":["f{n}"]"#)));
    for reader in [turned, record("R", "", &renamed)] {
        assert_eq!(names(&writer, &reader).len(), 20_000);
    }
}

#[test]
fn a_field_that_changed_its_type_still_takes_the_tag_of_its_name() {
    for (from, to) in
        [("\"string\"", "\"bytes\""), ("\"bytes\"", "\"string\""), ("\"string\"", r#"["null","bytes"]"#)]
    {
        let writer = record("R", "", &field("a", from, ""));
        assert_eq!(names(&writer, &record("R", "", &field("a", to, TAG))), ["R.a"]);
    }
}
