//! Unions: which branches are sealed, which pass, and which are an error.

use csfle_core::error::Code;

use crate::kit::bodies::body;
use crate::kit::plans::{EXACT, READ, WRITE, fault, filled, plan, record_of, walk};

fn tagged(ty: &str) -> String {
    record_of(&[("t", ty)])
}

#[test]
fn a_tagged_value_that_is_neither_string_nor_bytes_is_refused_on_write_by_name() {
    let enumeration = r#"{"type":"enum","name":"E","symbols":["A"]}"#;
    let fixed = r#"{"type":"fixed","name":"F","size":2}"#;
    for ty in ["boolean", "int", "long", "float", "double", enumeration, fixed] {
        let json = tagged(ty);
        for options in [WRITE, EXACT] {
            let (code, path, _) = fault(&plan(&json, options), &[0; 8]);
            assert_eq!((code, path.as_deref()), (Code::UnsupportedType, Some("t")), "{ty}");
        }
    }
}

#[test]
fn on_read_it_is_left_untouched() {
    let plan = plan(&record_of(&[("t1", "int"), ("t2", r#"["null","long"]"#), ("t3", "string")]), READ);
    let whole = body().long(5).long(1).long(6).text("x").0;
    let seen = walk(&plan, &whole).unwrap();
    assert_eq!(seen.out, body().long(5).long(1).long(6).text(filled(1)).0);
    assert_eq!(seen.walked.passed, 0);
}

#[test]
fn null_in_place_of_such_a_value_is_no_error() {
    let plan = plan(&tagged(r#"["null","int"]"#), WRITE);
    assert!(walk(&plan, &body().long(0).0).is_ok());
    assert_eq!(fault(&plan, &body().long(1).long(3).0).0, Code::UnsupportedType);
    assert!(walk(&crate::kit::plans::plan(&tagged("null"), WRITE), &[]).is_ok());
}

#[test]
fn the_other_branches_of_a_union_of_several_pass_and_are_counted() {
    for union in [r#"["null","string","int"]"#, r#"["int","string"]"#, r#"["int","long"]"#] {
        let at = |branch: &str| union.trim_matches(['[', ']']).split(',').position(|b| b == branch).unwrap();
        let plan = plan(&tagged(union), WRITE);
        let whole = body().long(at("\"int\"").try_into().unwrap()).long(3).0;
        let seen = walk(&plan, &whole).unwrap();
        assert_eq!((seen.out, seen.walked.passed), (whole, 1), "{union}");
    }
    let plan = plan(&tagged(r#"["null","string","int"]"#), WRITE);
    let seen = walk(&plan, &body().long(1).text("x").0).unwrap();
    assert_eq!((seen.out, seen.walked.passed), (body().long(1).text(filled(1)).0, 0));
    assert_eq!(walk(&plan, &body().long(0).0).unwrap().walked.passed, 0, "null is not counted");
}

#[test]
fn what_passes_is_still_checked() {
    let plan = plan(&tagged(r#"["string","int","boolean"]"#), WRITE);
    assert_eq!(fault(&plan, &body().long(1).long(1 << 40).0).0, Code::IntOutOfRange);
    assert_eq!(fault(&plan, &body().long(2).raw([7]).0).0, Code::BadBoolean);
}

#[test]
fn only_a_union_that_is_the_fields_own_type_lets_pass() {
    for (json, whole) in [
        (tagged(r#"{"type":"array","items":["string","int"]}"#), body().long(1).long(1).long(3).long(0)),
        (
            tagged(r#"{"type":"map","values":["string","int"]}"#),
            body().long(1).text("k").long(1).long(3).long(0),
        ),
        (tagged(r#"["string",{"type":"array","items":"int"}]"#), body().long(1).long(1).long(3).long(0)),
    ] {
        assert_eq!(fault(&plan(&json, WRITE), &whole.0).0, Code::UnsupportedType, "{json}");
    }
}

#[test]
fn both_string_and_bytes_branches_are_sealed_each_as_its_kind() {
    let plan = plan(&tagged(r#"["bytes","string"]"#), WRITE);
    assert_eq!(plan.leaves.len(), 2);
    assert!(walk(&plan, &body().long(0).text([0xff]).0).is_ok());
    assert_eq!(fault(&plan, &body().long(1).text([0xff]).0).0, Code::InvalidUtf8);
}

#[test]
fn a_union_of_more_branches_than_one_index_byte_counts_is_walked() {
    // 200 branches: the index takes two bytes from the 64th on.
    let fixed = |n: usize| format!(r#"{{"type":"fixed","name":"F{n}","size":{n}}}"#);
    let branches: Vec<String> = (0..199).map(fixed).chain(["\"string\"".to_owned()]).collect();
    let json = record_of(&[("t", &format!("[{}]", branches.join(","))), ("a", "int")]);
    let plan = plan(&json, EXACT);
    for n in [0usize, 63, 64, 198] {
        let whole = body().long(n.try_into().unwrap()).raw(vec![9; n]).long(5).0;
        assert_eq!(walk(&plan, &whole).unwrap().out, whole);
    }
    let seen = walk(&plan, &body().long(199).text("x").long(5).0).unwrap();
    assert_eq!(seen.out, body().long(199).text(filled(1)).long(5).0);
    assert_eq!(fault(&plan, &body().long(200).0).0, Code::UnionIndex);
}

#[test]
fn every_branch_leads_to_what_stands_behind_the_union() {
    let inner = r#"{"type":"record","name":"I","fields":[{"name":"s","type":"string"}]}"#;
    let union = format!(r#"["null","int",{inner},{{"type":"array","items":"int"}},"string"]"#);
    let json = record_of(&[("u", &union), ("t", "string")]);
    let values = [
        body().long(0),
        body().long(1).long(9),
        body().long(2).text("s"),
        body().long(3).long(0),
        body().long(4).text("x"),
    ];
    for value in values {
        for options in [WRITE, EXACT, READ] {
            let seen = walk(&plan(&json, options), &value.clone().text("v").0).unwrap();
            assert_eq!(seen.out, value.clone().text(filled(1)).0);
        }
    }
}

#[test]
fn a_union_at_the_end_ends_the_datum_in_every_branch() {
    let inner = r#"{"type":"record","name":"I","fields":[
        {"name":"t","type":"string","confluent:tags":["PII"]},{"name":"rest","type":"int"}]}"#;
    let plan = plan(&record_of(&[("u", &format!(r#"["null","string",{inner}]"#))]), WRITE);
    // An active branch with an untagged tail hands that on; so does a branch with nothing tagged.
    assert!(walk(&plan, &body().long(2).text("x").long(5).0).is_ok());
    assert!(walk(&plan, &body().long(1).text("plain").0).is_ok());
    // Null has no tail to hand on.
    assert!(walk(&plan, &body().long(0).0).is_ok());
    assert_eq!(fault(&plan, &body().long(0).raw([1]).0).0, Code::TrailingBytes);
    assert_eq!(fault(&plan, &body().long(3).0).0, Code::UnionIndex);
}
