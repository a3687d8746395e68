//! The schema written back for an Avro library: it must say the same again.

use csfle_core::schema::Schema;
use serde_json::{Value, json};

use crate::kit::plans::{record, schema};
use crate::kit::vectors;

/// Every type of the table with all that it says, in the order of first use.
fn described(table: &Schema) -> Value {
    serde_json::from_str(&table.codec_json().unwrap()).unwrap()
}

fn codec(json: &str) -> Value {
    described(&schema(json))
}

#[test]
fn every_schema_that_java_reads_is_written_back_so_that_it_says_the_same_again() {
    let all = vectors("avro_schemas.json");
    let mut read = 0;
    for case in all.as_array().unwrap() {
        let Ok(table) = Schema::parse(case["schema"].as_str().unwrap(), &[]) else { continue };
        let again = Schema::parse(&table.codec_json().unwrap(), &[])
            .unwrap_or_else(|error| panic!("{}: {error}", case["title"]));
        assert_eq!(again.codec_json(), table.codec_json(), "{}", case["title"]);
        assert_eq!(again.recursive(), table.recursive());
        let names =
            |table: &Schema| table.records().map(|(_, record)| record.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&again).len(), names(&table).len(), "{}", case["title"]);
        assert_eq!((again.kind(), again.name()), (table.kind(), table.name()));
        read += 1;
    }
    assert!(read > 50, "{read}");
}

#[test]
fn aliases_are_the_same_after_writing_and_reading_again() {
    for alias in ["G", "c.H", ".I"] {
        let table = schema(&format!(r#"{{"type":"fixed","name":"a.F","size":1,"aliases":["{alias}"]}}"#));
        let again = schema(&table.codec_json().unwrap());
        assert_eq!(again.get(again.root()).aliases(), table.get(table.root()).aliases(), "{alias}");
    }
}

#[test]
fn references_are_written_out_where_they_are_first_used() {
    let inner = r#"{"type":"record","name":"y.I","fields":[{"name":"s","type":"string"}]}"#;
    let outer = record(r#"{"name":"a","type":"y.I"},{"name":"b","type":["null","y.I"]}"#);
    let table = Schema::parse(&outer, &[inner]).unwrap();
    let fields = described(&table)["fields"].clone();
    assert_eq!(fields[0]["type"]["name"], "y.I");
    assert_eq!(fields[0]["type"]["fields"][0]["type"], "string");
    assert_eq!(fields[1]["type"], json!(["null", "y.I"]));
    assert!(Schema::parse(&table.codec_json().unwrap(), &[]).is_ok(), "it needs no references any more");
}

#[test]
fn a_name_without_namespace_stays_out_of_the_one_around_it() {
    let json = record(
        r#"{"name":"a","type":{"type":"fixed","name":"F","namespace":"","size":2}},{"name":"b","type":"F"}"#,
    );
    let fields = codec(&json)["fields"].clone();
    assert_eq!((&fields[0]["type"]["name"], &fields[1]["type"]), (&json!(".F"), &json!(".F")));
    assert_eq!(schema(&schema(&json).codec_json().unwrap()).records().next().unwrap().1.name, "x.R");
}

#[test]
fn logical_types_are_kept_where_they_make_sense() {
    let of = |logical: &str| codec(&format!(r#"{{"type":"bytes",{logical}}}"#));
    assert_eq!(
        of(r#""logicalType":"decimal","precision":4,"scale":2"#),
        json!({"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2})
    );
    assert_eq!(of(r#""logicalType":"decimal","precision":4"#)["precision"], 4);
    for senseless in [
        r#""logicalType":"decimal","precision":2,"scale":5"#,
        r#""logicalType":"decimal","precision":0"#,
        r#""logicalType":"decimal","precision":2,"scale":-1"#,
        r#""logicalType":"decimal""#,
        r#""logicalType":7"#,
        r#""scale":2"#,
    ] {
        assert_eq!(of(senseless), "bytes", "{senseless}");
    }
    assert_eq!(codec(r#"{"type":"string","logicalType":"uuid"}"#)["logicalType"], "uuid");
}

#[test]
fn defaults_aliases_and_symbols_are_kept_and_tags_and_docs_are_not() {
    let json = record(
        r#"{"name":"a","type":{"type":"enum","name":"E","symbols":["A","B"],"default":"B","doc":"d"},
            "default":"A","aliases":["old"],"confluent:tags":["PII"],"doc":"d"}"#,
    );
    let field = &codec(&json)["fields"][0];
    let expected = json!({
        "name": "a", "default": "A", "aliases": ["old"],
        "type": {"type": "enum", "name": "x.E", "symbols": ["A", "B"], "default": "B"},
    });
    assert_eq!(field, &expected);
}

#[test]
fn a_schema_as_deep_as_one_may_be_is_written_back() {
    let levels = 256;
    let json = format!("{}\"string\"{}", r#"{"type":"array","items":"#.repeat(levels), "}".repeat(levels));
    let written = schema(&json).codec_json().unwrap();
    assert_eq!(schema(&written).codec_json().unwrap(), written);
}

#[test]
fn a_chain_of_references_that_would_be_written_back_too_deep_is_refused() {
    let chain = |records: usize| {
        let record = |level: usize| {
            let below = if level == 0 { "\"int\"".into() } else { format!("\"R{}\"", level - 1) };
            format!(r#"{{"type":"record","name":"R{level}","fields":[{{"name":"f","type":{below}}}]}}"#)
        };
        let references = format!("[{}]", (0..records).map(record).collect::<Vec<_>>().join(","));
        let root = record(records);
        Schema::parse(&root, &[&references]).unwrap().codec_json()
    };
    assert!(chain(200).is_ok());
    for records in [300, 30_000] {
        assert_eq!(chain(records).expect_err("each would stand inside the next").code, "schema_too_deep");
    }
}
