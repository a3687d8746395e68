//! The schema table: Java's verdicts and names, references, and limits on what is hostile.

use std::collections::BTreeSet;

use csfle_core::error::SchemaError;
use csfle_core::schema::{Schema, Type};
use serde_json::Value;

use crate::kit::plans::{record, schema};
use crate::kit::vectors;

fn refusal(json: &str) -> SchemaError {
    Schema::parse(json, &[]).expect_err("the schema is refused")
}

/// Full names of the fields that have tags of their own.
fn tagged(schema: &Schema) -> BTreeSet<String> {
    let fields =
        schema.records().flat_map(|(_, record)| record.fields.iter().map(move |field| (record, field)));
    let tagged = fields.filter(|(_, field)| !field.tags.is_empty());
    tagged.map(|(record, field)| format!("{}.{}", record.name, field.name)).collect()
}

#[test]
fn all_77_schemas_have_the_verdict_and_the_names_of_java() {
    let all = vectors("avro_schemas.json");
    let all = all.as_array().unwrap();
    assert_eq!(all.len(), 77);
    let mut comments = 0;
    for case in all {
        let title = case["title"].as_str().unwrap();
        let parsed = Schema::parse(case["schema"].as_str().unwrap(), &[]);
        match (case["java"].as_str().unwrap(), parsed) {
            // The one difference: JSON has no comments, and the refusal says so by name.
            ("ok", Err(error)) if error.code == "schema_comment" => {
                assert!(title.contains("comment"), "{title}");
                comments += 1;
            }
            ("ok", parsed) => {
                let names =
                    case["tagged"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned());
                assert_eq!(tagged(&parsed.unwrap()), names.collect(), "{title}");
            }
            (_, parsed) => assert_eq!(parsed.map(|_| ()).expect_err(title).code, "invalid_schema", "{title}"),
        }
    }
    assert_eq!(comments, 1);
}

#[test]
fn references_give_names_to_those_behind_them() {
    let inner = r#"{"type":"record","name":"I","namespace":"y","fields":[
        {"name":"s","type":"string","confluent:tags":["PII"]}]}"#;
    let middle = r#"{"type":"record","name":"M","namespace":"x","fields":[{"name":"i","type":"y.I"}]}"#;
    let outer = record(r#"{"name":"m","type":"M"},{"name":"i","type":{"type":"array","items":"y.I"}}"#);
    let table = Schema::parse(&outer, &[inner, middle]).unwrap();
    assert_eq!(table.name(), Some("x.R"));
    assert_eq!(tagged(&table), BTreeSet::from(["y.I.s".to_owned()]));
    assert_eq!(table.records().count(), 3, "each named type stands once");
    let missing = Schema::parse(&outer, &[inner]).expect_err("M is nowhere");
    assert_eq!(missing.code, "undefined_name");
    assert!(missing.message.contains("\"M\""), "{}", missing.message);
    assert_eq!(Schema::parse(&outer, &[middle, inner]).expect_err("the wrong order").code, "undefined_name");
}

#[test]
fn a_reference_that_is_defined_again_must_be_the_same() {
    let inner = r#"{"type":"fixed","name":"F","namespace":"","size":4}"#;
    let same = record(&format!(r#"{{"name":"a","type":"F"}},{{"name":"b","type":{inner}}}"#));
    assert!(Schema::parse(&same, &[inner, inner]).is_ok());
    let other = same.replace("\"size\":4", "\"size\":5");
    let error = Schema::parse(&other, &[inner]).expect_err("two sizes");
    assert!(error.message.contains("\"F\""), "{}", error.message);
}

fn arrays(levels: usize) -> String {
    format!("{}\"string\"{}", r#"{"type":"array","items":"#.repeat(levels), "}".repeat(levels))
}

/// Records inside each other: each takes two levels of schema, its own and its field's type.
fn records(levels: usize) -> String {
    (0..levels).rev().fold("\"string\"".to_owned(), |inner, level| {
        format!(r#"{{"type":"record","name":"R{level}","fields":[{{"name":"f","type":{inner}}}]}}"#)
    })
}

#[test]
fn a_schema_is_at_most_256_levels_deep() {
    assert!(Schema::parse(&arrays(256), &[]).is_ok());
    assert_eq!(refusal(&arrays(257)).code, "schema_too_deep");
    assert!(Schema::parse(&records(250), &[]).is_ok());
    assert_eq!(refusal(&records(257)).code, "schema_too_deep");
    // References are counted on their own, and so are the types that they add.
    assert!(Schema::parse(&arrays(256), &[&records(250)]).is_ok());
}

#[test]
fn a_json_bomb_is_refused_before_any_parser_recurses() {
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}"), (r#"{"type":"#, "}")] {
        let bomb = format!("{}1{}", open.repeat(1_000_000), close.repeat(1_000_000));
        assert_eq!(refusal(&bomb).code, "schema_too_deep");
        assert_eq!(refusal(&open.repeat(1_000_000)).code, "schema_too_deep");
    }
    let in_attribute = record(r#"{"name":"a","type":"string"}"#).replacen(
        '{',
        &format!(r#"{{"doc":{}{},"#, "[".repeat(2_000), "]".repeat(2_000)),
        1,
    );
    assert_eq!(refusal(&in_attribute).code, "schema_too_deep");
}

#[test]
fn brackets_in_strings_do_not_count() {
    let doc = "[{".repeat(5_000) + r#"\"["#;
    let json = record(r#"{"name":"a","type":"string"}"#).replacen('{', &format!(r#"{{"doc":"{doc}","#), 1);
    assert!(Schema::parse(&json, &[]).is_ok());
}

#[test]
fn a_schema_text_has_at_most_16_mib() {
    let padded = |bytes: usize| format!("{}\"string\"", " ".repeat(bytes - 8));
    assert!(Schema::parse(&padded(16 << 20), &[]).is_ok());
    assert_eq!(refusal(&padded((16 << 20) + 1)).code, "schema_too_large");
    assert_eq!(Schema::parse("\"int\"", &[&padded((16 << 20) + 1)]).unwrap_err().code, "schema_too_large");
}

#[test]
fn what_is_no_json_or_no_schema_is_refused_with_its_place_or_name() {
    assert_eq!(refusal("{\n  \"type\": nope}").message, "the schema is not JSON (line 2, column 12)");
    for json in [
        "",
        " ",
        "1",
        "true",
        "null",
        "{}",
        "{\"type\":1}",
        "[\"int\",2]",
        "\"int\" \"int\"",
        "{\"type\":null}",
    ] {
        assert_eq!(refusal(json).code, "invalid_schema", "{json}");
    }
    assert_eq!(refusal("\"nowhere.T\"").code, "undefined_name");
    for comment in
        ["// one\n\"int\"", "/* two */ \"int\"", "\"int\" // behind", "{\"type\": /* in */ \"int\"}"]
    {
        assert_eq!(refusal(comment).code, "schema_comment", "{comment}");
    }
    let fields = [
        (r"1", "a field of \"x.R\" is no object"),
        (r#"{"type":"int"}"#, "a field of \"x.R\" has no name"),
        (r#"{"name":"a"}"#, "field x.R.a has no type"),
        (r#"{"name":"a","type":"int","order":"up"}"#, "field x.R.a has an unknown order"),
        (r#"{"name":"a","type":["int","int"]}"#, "a union holds \"int\" twice"),
        (r#"{"name":"a","type":{"type":"array"}}"#, "an array has no items"),
        (r#"{"name":"a","type":{"type":"map"}}"#, "a map has no values"),
        (
            r#"{"name":"a","type":"int"},{"name":"a","type":"long"}"#,
            "record \"x.R\" has the field \"a\" twice",
        ),
    ];
    for (field, message) in fields {
        assert_eq!(refusal(&record(field)).message, message);
    }
}

#[test]
fn sizes_of_fixed_are_numbers_of_bytes() {
    let fixed = |size: &str| format!(r#"{{"type":"fixed","name":"F","size":{size}}}"#);
    for size in ["0", "16", "2147483647"] {
        let table = schema(&fixed(size));
        assert!(matches!(table.get(table.root()), Type::Fixed(fixed) if fixed.size.to_string() == size));
    }
    for size in ["-1", "2147483648", "1.5", "null", "\"4\"", "18446744073709551616"] {
        assert_eq!(refusal(&fixed(size)).code, "invalid_schema", "{size}");
    }
}

#[test]
fn recursion_is_seen_however_far_around() {
    let recursive = |json: &str| schema(json).recursive();
    assert!(!recursive("\"string\""));
    assert!(recursive(&record(r#"{"name":"n","type":["null","R"]}"#)));
    assert!(recursive(&record(
        r#"{"name":"n","type":{"type":"map","values":{"type":"array","items":"R"}}}"#
    )));
    let twice = r#"{"name":"a","type":{"type":"record","name":"I","fields":[]}},{"name":"b","type":"I"}"#;
    assert!(!recursive(&record(twice)), "used twice is not recursive");
    let around =
        r#"{"name":"a","type":{"type":"record","name":"S","fields":[{"name":"r","type":["null","R"]}]}}"#;
    assert!(recursive(&record(around)));
}

#[test]
fn the_root_says_its_kind_and_name() {
    let kinds = ["null", "boolean", "int", "long", "float", "double", "bytes", "string"];
    for kind in kinds {
        assert_eq!((schema(&format!("{kind:?}")).kind(), schema(&format!("{kind:?}")).name()), (kind, None));
    }
    let named = [
        (r#"{"type":"enum","name":"E","namespace":"x","symbols":["A"]}"#, "enum", "x.E"),
        (r#"{"type":"fixed","name":"x.F","size":1}"#, "fixed", "x.F"),
        (r#"{"type":"error","name":"R","fields":[]}"#, "record", "R"),
    ];
    for (json, kind, name) in named {
        assert_eq!((schema(json).kind(), schema(json).name()), (kind, Some(name)));
    }
    assert_eq!(schema(r#"["null","int"]"#).kind(), "union");
    assert_eq!(schema(r#"{"type":"map","values":"int"}"#).kind(), "map");
}

#[test]
fn defaults_are_kept_and_not_judged() {
    let table = schema(&record(r#"{"name":"a","type":"int","default":"x"},{"name":"b","type":"int"}"#));
    let Type::Record(record) = table.get(table.root()) else { panic!("a record") };
    assert_eq!(record.fields[0].default, Some(Value::from("x")));
    assert_eq!(record.fields[1].default, None);
}

#[test]
fn a_logical_type_has_a_name_where_it_keeps_the_rules() {
    let name = |json: &str| {
        let table = schema(json);
        table.logical_name(table.root()).map(str::to_owned)
    };
    assert_eq!(
        name(r#"{"type":"long","logicalType":"timestamp-millis"}"#).as_deref(),
        Some("timestamp-millis")
    );
    assert_eq!(name(r#"{"type":"long","logicalType":"my own"}"#).as_deref(), Some("my own"));
    assert_eq!(name(r#"{"type":"bytes","logicalType":"decimal","precision":4}"#).as_deref(), Some("decimal"));
    assert_eq!(name(r#"{"type":"bytes","logicalType":"decimal"}"#), None);
    assert_eq!(name(r#"{"type":"bytes","logicalType":"decimal","precision":2,"scale":3}"#), None);
    assert_eq!(name(r#"{"type":"long","logicalType":7}"#), None);
    assert_eq!(name(r#""long""#), None);
    for (size, decimal) in [(1_024, Some("decimal")), (1_025, None)] {
        let json =
            format!(r#"{{"type":"fixed","name":"F","size":{size},"logicalType":"decimal","precision":4}}"#);
        assert_eq!(name(&json).as_deref(), decimal);
    }
}
