//! The outline: every field with its path, for people.

use csfle_core::schema::Patterns;

use crate::kit::plans::{field, record, record_of, schema};

fn outline(json: &str) -> Vec<(String, String, Vec<String>, bool)> {
    let table = schema(json);
    let fields = table.outline(&table.tags(&Patterns::default()));
    fields.into_iter().map(|field| (field.path, field.ty, field.tags, field.holds_record)).collect()
}

fn paths(json: &str) -> Vec<String> {
    outline(json).into_iter().map(|(path, ..)| path).collect()
}

#[test]
fn fields_come_in_the_order_of_the_wire_with_paths_through_all_that_holds_them() {
    let inner = format!(r#"{{"type":"record","name":"I","fields":[{}]}}"#, field("s", "string"));
    let json = record_of(&[
        ("a", &format!(r#"{{"type":"array","items":{inner}}}"#)),
        ("m", r#"{"type":"map","values":{"type":"array","items":"I"}}"#),
        ("u", r#"["null","I"]"#),
        ("t", "string"),
    ]);
    assert_eq!(paths(&json), ["a", "m", "u", "t", "a[].s", "m{}[].s", "u.s"]);
    let all = outline(&json);
    assert_eq!(all[0], ("a".into(), "array<x.I>".into(), vec![], true));
    assert_eq!(all[1].1, "map<array<x.I>>");
    assert_eq!(all[2].1, "null | x.I");
    assert_eq!(all[3], ("t".into(), "string".into(), vec!["PII".into()], false));
}

#[test]
fn a_record_inside_itself_is_entered_once() {
    assert_eq!(paths(&record_of(&[("n", r#"["null","R"]"#), ("v", "int")])), ["n", "v"]);
}

#[test]
fn other_roots_have_their_records_outlined_too() {
    let inner = record(&field("s", "string"));
    assert_eq!(paths(&format!(r#"{{"type":"array","items":{inner}}}"#)), ["[].s"]);
    assert_eq!(paths("\"string\""), Vec::<String>::new());
}

#[test]
fn an_outline_that_nobody_can_read_is_cut_off() {
    // Each record holds the next one four times: 4^20 paths.
    let widening = (0..20).fold(r#"{"type":"record","name":"L","fields":[]}"#.to_owned(), |inner, level| {
        let more = |name: &str| {
            format!(
                r#",{{"name":"{name}","type":"{}"}}"#,
                if level == 0 { "L".into() } else { format!("R{}", level - 1) }
            )
        };
        let more: String = ["b", "c", "d"].iter().map(|name| more(name)).collect();
        format!(r#"{{"type":"record","name":"R{level}","fields":[{{"name":"a","type":{inner}}}{more}]}}"#)
    });
    assert_eq!(outline(&widening).len(), 10_000);
}
