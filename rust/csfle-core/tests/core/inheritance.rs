//! Tags of a record-valued field: all clients but Java keep them out of the record.

use csfle_core::avro::{PlanOptions, compile};
use csfle_core::error::Code;
use csfle_core::schema::Inheritance;

use crate::kit::bodies::{Body, body};
use crate::kit::plans::{READ, WRITE, fault, field, found, hits, record_of, schema, tags, walk};

const JAVA: PlanOptions = PlanOptions { inheritance: Inheritance::Java, ..WRITE };

fn compiled(json: &str, options: PlanOptions) -> csfle_core::avro::Plan {
    let schema = schema(json);
    compile(&schema, &hits(&schema, &[tags(&["PII"])]), options).unwrap()
}

/// The record that was measured with Java's own class: field `ta` is tagged, nothing inside is.
fn measured(outer: &str) -> String {
    let fields = [
        field("s", "string"),
        field("n", r#"["null","string"]"#),
        field("b", "bytes"),
        field("arr", r#"{"type":"array","items":"string"}"#),
        field("m", r#"{"type":"map","values":"string"}"#),
        field("u", r#"["null","int","string"]"#),
    ];
    let inner = format!(r#"{{"type":"record","name":"I","fields":[{}]}}"#, fields.join(","));
    record_of(&[("ta", &outer.replace('I', &inner)), ("end", "int")])
}

fn inner_body() -> Body {
    let array = body().long(1).text("arr").long(0);
    let map = body().long(1).text("k").text("m").long(0);
    body().text("s").long(1).text("n").text("b").raw(array.0).raw(map.0).long(2).text("u")
}

#[test]
fn java_seals_the_plain_strings_and_bytes_of_a_tagged_record_and_nothing_else_of_it() {
    let cases = [
        ("I", inner_body()),
        (r#"["null",I]"#, body().long(1).raw(inner_body().0)),
        (r#"{"type":"array","items":I}"#, body().long(1).raw(inner_body().0).long(0)),
        (r#"{"type":"map","values":I}"#, body().long(1).text("key").raw(inner_body().0).long(0)),
    ];
    for (outer, whole) in cases {
        let whole = whole.long(3).0;
        for options in [JAVA, PlanOptions { inheritance: Inheritance::Java, ..READ }] {
            let seen = walk(&compiled(&measured(outer), options), &whole).unwrap();
            assert_eq!(found(&seen, &whole), [b"s", b"b"], "{outer}");
        }
        let seen = walk(&compiled(&measured(outer), WRITE), &whole).unwrap();
        assert_eq!(found(&seen, &whole), Vec::<&[u8]>::new(), "{outer}: everywhere else");
    }
}

#[test]
fn java_fails_on_a_plain_number_of_a_tagged_record() {
    let inner = format!(r#"{{"type":"record","name":"I","fields":[{}]}}"#, field("n", "int"));
    let json = record_of(&[("ta", &inner)]);
    let (code, path, _) = fault(&compiled(&json, JAVA), &body().long(3).0);
    assert_eq!((code, path.as_deref()), (Code::UnsupportedType, Some("ta.n")));
    assert!(walk(&compiled(&json, WRITE), &body().long(3).0).is_ok());
}

#[test]
fn in_java_too_it_stops_at_an_untagged_record_in_between() {
    let deepest = format!(r#"{{"type":"record","name":"D","fields":[{}]}}"#, field("s", "string"));
    let inner = format!(
        r#"{{"type":"record","name":"I","fields":[{},{}]}}"#,
        field("d", &deepest),
        field("s", "string")
    );
    let whole = body().text("deep").text("near").0;
    let seen = walk(&compiled(&record_of(&[("ta", &inner)]), JAVA), &whole).unwrap();
    assert_eq!(found(&seen, &whole), [b"near"]);
}

#[test]
fn in_java_the_first_value_of_a_recursion_is_clear_and_the_deeper_ones_are_sealed() {
    let json = record_of(&[("v", "string"), ("tnext", r#"["null","R"]"#)]);
    let whole = body().text("one").long(1).text("two").long(1).text("three").long(0).0;
    let seen = walk(&compiled(&json, JAVA), &whole).unwrap();
    assert_eq!(found(&seen, &whole), [&b"two"[..], b"three"]);
    assert_eq!(walk(&compiled(&json, WRITE), &whole).unwrap().holes, []);
}

#[test]
fn one_record_type_is_sealed_by_the_field_that_holds_it() {
    let inner = format!(r#"{{"type":"record","name":"I","fields":[{}]}}"#, field("s", "string"));
    let json = record_of(&[("a", &inner), ("tb", "I"), ("c", "I")]);
    let whole = body().text("a").text("b").text("c").0;
    let seen = walk(&compiled(&json, JAVA), &whole).unwrap();
    assert_eq!(found(&seen, &whole), [b"b"]);
}

#[test]
fn own_and_inherited_rules_add_up_in_rule_order() {
    let schema = schema(
        r#"{"type":"record","name":"R","fields":[{"name":"o","confluent:tags":["A"],"type":
            {"type":"record","name":"I","fields":[{"name":"s","type":"string","confluent:tags":["B"]}]}}]}"#,
    );
    let hits = hits(&schema, &[tags(&["A"]), tags(&["B"])]);
    for options in [JAVA, PlanOptions { inheritance: Inheritance::Java, ..READ }] {
        let plan = compile(&schema, &hits, options).unwrap();
        let rules: Vec<_> = plan.leaves.iter().map(|leaf| leaf.rules.to_vec()).collect();
        assert_eq!(rules, [vec![0, 1]]);
    }
    let read = compile(&schema, &hits, PlanOptions { inheritance: Inheritance::Java, ..READ }).unwrap();
    assert_eq!(read.passes.len(), 2);
    let own = compile(&schema, &hits, READ).unwrap();
    assert_eq!((own.leaves[0].rules.to_vec(), own.passes.len()), (vec![1], 1));
}
