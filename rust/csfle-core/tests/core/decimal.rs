//! Decimals: bounded where bodies are made into rows, and bytes like others everywhere else.

use csfle_core::avro::{Plan, PlanOptions, compile};
use csfle_core::crypto::Algorithm::{Aes256Gcm, Aes256Siv};
use csfle_core::error::Code;

use crate::kit::bodies::body;
use crate::kit::lanes::{Setup, open, some};
use crate::kit::plans::{EXACT, READ, WRITE, fault, hits, plan, record_of, schema, tags, walk};

const DECIMAL: &str = r#"{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}"#;

/// READ of bodies that will be made into rows.
const ROWS: PlanOptions = PlanOptions { exact: true, ..READ };

fn untagged(ty: &str, options: PlanOptions) -> Plan {
    plan(&record_of(&[("d", ty), ("t", "string")]), options)
}

#[test]
fn an_untagged_decimal_is_bounded_where_rows_are_read_and_nowhere_else() {
    let of = |size: usize| body().text(vec![7; size]).text("x").0;
    assert!(walk(&untagged(DECIMAL, ROWS), &of(1_024)).is_ok());
    let (code, path, _) = fault(&untagged(DECIMAL, ROWS), &of(1_025));
    assert_eq!((code, path.as_deref()), (Code::DecimalTooLarge, Some("d")));
    for options in [READ, WRITE, EXACT] {
        assert!(walk(&untagged(DECIMAL, options), &of(100_000)).is_ok());
    }
}

#[test]
fn bytes_and_what_is_no_valid_decimal_are_not_bounded() {
    let others = [
        "bytes",
        r#"{"type":"bytes","logicalType":"decimal"}"#,
        r#"{"type":"bytes","logicalType":"decimal","precision":0}"#,
        r#"{"type":"bytes","logicalType":"decimal","precision":2,"scale":3}"#,
        r#"{"type":"bytes","logicalType":"other","precision":2}"#,
    ];
    for ty in others {
        assert!(walk(&untagged(ty, ROWS), &body().text(vec![7; 5_000]).text("x").0).is_ok(), "{ty}");
    }
}

#[test]
fn a_string_is_no_decimal_whatever_its_logical_type() {
    let ty = r#"{"type":"string","logicalType":"decimal","precision":9,"scale":2}"#;
    assert!(walk(&untagged(ty, ROWS), &body().text("x".repeat(5_000)).text("x").0).is_ok());
    assert!(!schema(&record_of(&[("d", ty)])).holds_decimal(schema(&record_of(&[("d", ty)])).root()));
}

#[test]
fn a_sealed_decimal_is_bounded_by_what_it_opens_to() {
    let json = record_of(&[("t", DECIMAL), ("a", "int")]);
    let of = |size: usize| body().text(vec![7; size]).long(1).0;
    for setup in [Setup::new(&json, Aes256Gcm, true), Setup::new(&json, Aes256Siv, false)] {
        let frames = setup.seal(&[of(1_024), of(1_025), of(0)]);
        assert_eq!(setup.open(&frames).len(), 3);
        let results = open(&setup.exact().read(), &some(&frames)[..], 1);
        assert_eq!(results.codes(), [(1, "decimal_too_large")]);
        assert_eq!(results.faults[0].1.path.as_deref(), Some("t"));
        assert_eq!(results.rows, [of(1_024), vec![], of(0)]);
    }
}

#[test]
fn under_two_rules_it_is_bounded_by_what_the_inner_one_opens_to() {
    let json = record_of(&[("t", DECIMAL)]).replace(r#"["PII"]"#, r#"["PII","B"]"#);
    let setup = Setup::new(&json, Aes256Gcm, true).rule(&["B"], Aes256Siv, false).exact();
    let of = |size: usize| body().text(vec![7; size]).0;
    let frames = setup.seal(&[of(1_024), of(1_025)]);
    let results = open(&setup.read(), &some(&frames)[..], 1);
    assert_eq!(results.codes(), [(1, "decimal_too_large")]);
}

#[test]
fn of_a_field_that_holds_decimals_and_other_bytes_each_has_its_own_bound() {
    // Both are bytes of one field under the same rules.
    let list = r#"{"type":"array","items":"bytes"}"#;
    let value = vec![7; 2_000];
    for (union, decimal, bytes) in
        [(format!("[{DECIMAL},{list}]"), 0, 1), (format!("[{list},{DECIMAL}]"), 1, 0)]
    {
        let schema = schema(&record_of(&[("t", &union)]));
        let plan = compile(&schema, &hits(&schema, &[tags(&["PII"])]), ROWS).unwrap();
        let too_large = body().long(decimal).text(&value).0;
        assert_eq!(fault(&plan, &too_large).0, Code::DecimalTooLarge, "{union}");
        assert!(walk(&plan, &body().long(bytes).long(1).text(&value).long(0).0).is_ok(), "{union}");
    }
}

#[test]
fn a_schema_tells_what_holds_decimals() {
    let holds = |json: &str| {
        let table = schema(json);
        table.holds_decimal(table.root())
    };
    let fixed = r#"{"type":"fixed","name":"F","size":4,"logicalType":"decimal","precision":4}"#;
    for ty in [DECIMAL, fixed] {
        assert!(holds(ty));
        assert!(holds(&record_of(&[("a", "int"), ("d", &format!(r#"["null",{ty}]"#))])));
        assert!(holds(&record_of(&[
            ("m", &format!(r#"{{"type":"map","values":{ty}}}"#)),
            ("n", r#"["null","R"]"#)
        ])));
    }
    assert!(!holds(&record_of(&[("a", "bytes"), ("n", r#"["null","R"]"#)])));
    let table = schema(DECIMAL);
    assert_eq!(table.decimal(table.root()), Some((9, 2)));
    assert_eq!(schema("\"bytes\"").decimal(schema("\"bytes\"").root()), None);
}

#[test]
fn a_fixed_decimal_beyond_the_bound_is_written_back_as_the_bytes_that_it_is() {
    let of = |size: usize| {
        format!(r#"{{"type":"fixed","name":"F","size":{size},"logicalType":"decimal","precision":4}}"#)
    };
    let written = |size: usize| schema(&of(size)).codec_json().unwrap();
    assert!(written(1_024).contains("decimal"));
    assert!(!written(1_025).contains("decimal"));
}
