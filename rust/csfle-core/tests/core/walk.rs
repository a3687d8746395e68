//! The walk over every type: untagged bytes copied, tagged ones left out, hostile ones named.

use csfle_core::avro::{Hole, Plan, PlanOptions};
use csfle_core::error::Code;

use crate::kit::bodies::{Body, body};
use crate::kit::plans::{
    EXACT, READ, WRITE, fault, filled, found, measure, plan, record_of, walk, walk_with,
};

/// Every type once, with tagged fields between and behind them.
fn rich() -> String {
    record_of(&[
        ("nul", "null"),
        ("boolean", "boolean"),
        ("int", "int"),
        ("t1", "string"),
        ("long", "long"),
        ("float", "float"),
        ("double", "double"),
        ("bytes", "bytes"),
        ("t2", "bytes"),
        ("string", "string"),
        ("fixed", r#"{"type":"fixed","name":"F","size":3}"#),
        ("e", r#"{"type":"enum","name":"E","symbols":["A","B"]}"#),
        ("array", r#"{"type":"array","items":"int"}"#),
        ("map", r#"{"type":"map","values":"string"}"#),
        ("union", r#"["null","int"]"#),
        ("inner", r#"{"type":"record","name":"I","fields":[{"name":"s","type":"string"}]}"#),
        ("t3", r#"["null","string"]"#),
    ])
}

/// A datum of [`rich`], in parts: untagged, tagged, and so on.
fn rich_parts() -> [Body; 6] {
    [
        body().raw([1]).long(-7),
        body().text("first"),
        body().long(1 << 40).raw([0; 4]).raw([0; 8]).text([0xff, 0xfe]),
        body().text([0xff; 20]),
        body()
            .text("plain")
            .raw("abc")
            .long(1)
            .long(2)
            .long(5)
            .long(6)
            .long(0)
            .long(1)
            .text("key")
            .text("value")
            .long(0)
            .long(1)
            .long(9)
            .text("inside")
            .long(1),
        body().text("third"),
    ]
}

fn rich_body() -> Vec<u8> {
    rich_parts().map(|part| part.0).concat()
}

fn both(json: &str) -> [Plan; 2] {
    [plan(json, WRITE), plan(json, EXACT)]
}

#[test]
fn untagged_bytes_are_copied_and_tagged_values_become_holes_with_their_new_length() {
    let [a, _, b, _, c, _] = rich_parts().map(|part| part.0);
    let hole = |length| body().text(filled(length)).0;
    let expected = [a, hole(5), b, hole(20), c, hole(5)].concat();
    for plan in both(&rich()).into_iter().chain([plan(&rich(), READ)]) {
        let body = rich_body();
        let seen = walk(&plan, &body).unwrap();
        assert_eq!(seen.out, expected);
        assert_eq!(found(&seen, &body), [&b"first"[..], &[0xff; 20], b"third"]);
    }
}

#[test]
fn a_hole_says_where_its_value_stood_and_where_its_result_goes() {
    let plan = plan(&record_of(&[("a", "int"), ("t", "string")]), WRITE);
    let seen = walk(&plan, &body().long(100).text("abc").0).unwrap();
    assert_eq!(seen.holes, [Hole { leaf: 0, row: 0, value: 3, value_len: 3, at: 3, len: 6 }]);
    assert_eq!(seen.out, body().long(100).text("######").0);
}

#[test]
fn an_empty_value_has_a_hole_and_a_null_has_none() {
    let plan = plan(&record_of(&[("t1", "string"), ("t2", r#"["null","bytes"]"#), ("t3", "bytes")]), WRITE);
    let seen = walk(&plan, &body().text("").long(0).text("").0).unwrap();
    assert_eq!(seen.holes.len(), 2);
    assert_eq!(seen.out, body().text("###").long(0).text("###").0);
}

#[test]
fn a_length_whose_varint_grows_moves_what_is_behind_it() {
    let plan = plan(&record_of(&[("t", "string"), ("a", "int"), ("t2", "string")]), WRITE);
    let seen = walk(&plan, &body().text("x".repeat(62)).long(5).text("y").0).unwrap();
    assert_eq!(seen.out, body().text(filled(62)).long(5).text(filled(1)).0);
}

#[test]
fn lengths_on_both_sides_of_every_varint_border_are_written_and_measured_alike() {
    let plan = plan(&record_of(&[("a", "int"), ("t", "bytes"), ("b", "int")]), WRITE);
    for border in [1 << 6, 1 << 13, 1 << 20, 1 << 22] {
        for length in border - 6..border + 3 {
            let whole = body().long(5).text(vec![1; length]).long(6).0;
            let seen = walk(&plan, &whole).unwrap();
            assert_eq!(seen.out, body().long(5).text(filled(length)).long(6).0, "{length}");
            assert_eq!(measure(&plan, &whole), seen.out.len());
        }
    }
}

#[test]
fn untagged_runs_of_every_length_are_copied() {
    let plan = plan(&record_of(&[("a", "bytes"), ("t", "string"), ("b", "bytes")]), WRITE);
    for length in (0..200).chain([1_000, 70_000]) {
        let run: Vec<u8> = (0..length).map(|n| u8::try_from(n % 251).unwrap()).collect();
        let whole = body().text(&run).text("x").text(&run).0;
        assert_eq!(walk(&plan, &whole).unwrap().out, body().text(&run).text(filled(1)).text(&run).0);
    }
}

#[test]
fn cut_short_at_any_byte_it_is_truncated_and_names_a_place_within() {
    let full = rich_body();
    for plan in both(&rich()) {
        for end in 0..full.len() {
            let (code, _, offset) = fault(&plan, &full[..end]);
            // An array or map whose items can no longer fit is found out before its first item.
            assert!(matches!(code, Code::Truncated | Code::TooManyItems), "{end}: {code:?}");
            assert!(offset.unwrap() <= end);
        }
    }
}

#[test]
fn any_single_changed_byte_gives_a_walk_or_a_fault_but_never_more() {
    let full = rich_body();
    for plan in both(&rich()) {
        for at in 0..full.len() {
            for changed in [0, 1, 0x7f, 0x80, 0xff] {
                let mut body = full.clone();
                body[at] = changed;
                if let Ok(seen) = walk(&plan, &body) {
                    assert!(seen.out.len() <= body.len() + 3 * 3 + 3);
                }
            }
        }
    }
}

#[test]
fn bytes_behind_the_datum_are_a_fault_where_nothing_untagged_ends_it() {
    for plan in both(&rich()) {
        let full = rich_body();
        let (code, _, offset) = fault(&plan, &[&full[..], &[0]].concat());
        assert_eq!((code, offset), (Code::TrailingBytes, Some(full.len())));
    }
}

#[test]
fn an_untagged_tail_is_handed_on_unseen_unless_the_datum_is_checked_to_its_end() {
    let json = record_of(&[("t", "string"), ("rest", "int")]);
    let [lax, exact] = both(&json);
    for tail in [&[][..], &[2], &[2, 0, 0], &[0x80; 20]] {
        let whole = body().text("x").raw(tail).0;
        assert_eq!(walk(&lax, &whole).unwrap().out, body().text("####").raw(tail).0);
        assert_eq!(walk(&exact, &whole).is_ok(), tail == [2]);
    }
    assert_eq!(fault(&exact, &body().text("x").0), (Code::Truncated, Some("rest".into()), Some(2)));
    assert_eq!(fault(&exact, &body().text("x").raw([2, 0]).0).0, Code::TrailingBytes);
}

#[test]
fn untagged_nulls_behind_the_last_tagged_field_leave_the_end_exact() {
    let [lax, _] = both(&record_of(&[("t", "string"), ("a", "null"), ("b", "null")]));
    assert!(walk(&lax, &body().text("x").0).is_ok());
    assert_eq!(fault(&lax, &body().text("x").raw([0]).0).0, Code::TrailingBytes);
}

#[test]
fn each_bad_value_has_its_code_its_path_and_its_offset() {
    let one = |ty: &str| record_of(&[("a", "int"), ("b", ty), ("t", "string")]);
    let fixed = r#"{"type":"fixed","name":"F","size":3}"#;
    let symbols = r#"{"type":"enum","name":"E","symbols":["A","B"]}"#;
    let cases: &[(&str, Body, Code)] = &[
        ("boolean", body().raw([2]), Code::BadBoolean),
        ("boolean", body().raw([0xff]), Code::BadBoolean),
        ("int", body().long(1 << 31), Code::IntOutOfRange),
        ("int", body().long(-(1 << 31) - 1), Code::IntOutOfRange),
        ("int", body().raw([0x80; 11]), Code::VarintTooLong),
        ("long", body().raw([0xff; 10]), Code::VarintTooLong),
        ("float", body().raw([0; 1]), Code::Truncated),
        ("double", body().raw([0; 5]), Code::Truncated),
        (fixed, body().raw([0; 1]), Code::Truncated),
        (symbols, body().long(2), Code::EnumIndex),
        (symbols, body().long(-1), Code::EnumIndex),
        (symbols, body().long(i64::MIN), Code::EnumIndex),
        ("bytes", body().long(-1), Code::NegativeLength),
        ("string", body().long(i64::MIN), Code::NegativeLength),
        ("string", body().long(i64::MAX), Code::Truncated),
        (r#"["null","int"]"#, body().long(2), Code::UnionIndex),
        (r#"["null","int"]"#, body().long(-1), Code::UnionIndex),
        (r#"["null","int"]"#, body().long(1 << 40), Code::UnionIndex),
        ("[]", body().long(0), Code::UnionIndex),
    ];
    for (ty, value, code) in cases {
        for plan in both(&one(ty)) {
            let (found, path, offset) = fault(&plan, &body().long(4).raw(&value.0).0);
            assert_eq!((found, path.as_deref()), (*code, Some("b")), "{ty}");
            assert!(offset.unwrap() >= 1, "{ty}");
        }
    }
}

#[test]
fn on_write_a_tagged_string_is_checked_as_utf8_and_tagged_bytes_are_not() {
    let json = record_of(&[("t1", "bytes"), ("t2", "string")]);
    for plan in both(&json) {
        assert!(walk(&plan, &body().text([0xff, 0xfe]).text("größe").0).is_ok());
        let (code, path, _) = fault(&plan, &body().text("x").text([0xc3, 0x28]).0);
        assert_eq!((code, path.as_deref()), (Code::InvalidUtf8, Some("t2")));
    }
}

#[test]
fn on_read_a_tagged_string_is_not_checked_since_base64_says_more_of_it() {
    let json = record_of(&[("t1", "bytes"), ("t2", "string")]);
    for plan in [plan(&json, READ), plan(&json, PlanOptions { exact: true, ..READ })] {
        for bad in [&[0xc3, 0x28][..], &[0xff]] {
            assert_eq!(walk(&plan, &body().text("x").text(bad).0).unwrap().holes.len(), 2);
        }
    }
}

#[test]
fn untagged_strings_are_checked_as_utf8_only_where_the_datum_is_checked_to_its_end() {
    let json = record_of(&[("a", "string"), ("m", r#"{"type":"map","values":"int"}"#), ("t", "string")]);
    let [lax, exact] = both(&json);
    let bad_text = body().text([0xff]).long(0).text("x").0;
    let bad_key = body().text("a").long(1).text([0xff]).long(1).long(0).text("x").0;
    for bad in [&bad_text, &bad_key] {
        assert!(walk(&lax, bad).is_ok());
        assert_eq!(fault(&exact, bad).0, Code::InvalidUtf8);
    }
    assert_eq!(fault(&exact, &bad_key).1.as_deref(), Some("m{}"));
}

#[test]
fn paths_lead_through_records_arrays_maps_and_unions() {
    let inner = r#"{"type":"record","name":"I","fields":[
        {"name":"flag","type":"boolean"},{"name":"t","type":"string","confluent:tags":["PII"]}]}"#;
    let json = record_of(&[(
        "list",
        &format!(r#"{{"type":"array","items":["null",{{"type":"map","values":{inner}}}]}}"#),
    )]);
    let bad = body().long(1).long(1).long(1).text("key").raw([9]).0;
    assert_eq!(fault(&plan(&json, WRITE), &bad).1.as_deref(), Some("list[]{}.flag"));
    let root = format!(r#"{{"type":"array","items":{inner}}}"#);
    assert_eq!(fault(&plan(&root, WRITE), &body().long(1).raw([9]).0).1.as_deref(), Some("[].flag"));
}

#[test]
fn a_walker_that_met_a_fault_walks_the_next_body_afresh() {
    let plan = plan(&rich(), WRITE);
    let (good, mut walker) = (rich_body(), csfle_core::avro::Walker::default());
    let mut run = |body: &[u8]| walk_with(&mut walker, &plan, body);
    let fresh = run(&good).unwrap();
    for end in 0..good.len() {
        assert!(run(&good[..end]).is_err());
        assert_eq!(run(&good).unwrap(), fresh);
    }
}
