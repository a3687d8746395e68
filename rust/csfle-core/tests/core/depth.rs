//! Recursion: 512 records deep is walked, deeper is refused, and nothing recurses on our stack.

use csfle_core::avro::{Plan, PlanOptions};
use csfle_core::error::Code;
use csfle_core::schema::Schema;

use crate::kit::bodies::{Body, body};
use crate::kit::plans::{
    EXACT, READ, WRITE, fault, field, filled, found, hits, plan, record, record_of, tags, walk,
};

/// A list: a tagged value and the next one.
fn list() -> String {
    record_of(&[("t", "string"), ("next", r#"["null","R"]"#)])
}

fn list_of(records: usize) -> Vec<u8> {
    let first = (1..records).fold(body(), |whole, _| whole.text("v").long(1));
    first.text("v").long(0).0
}

#[test]
fn every_level_of_a_recursive_record_is_walked() {
    for options in [WRITE, READ, EXACT] {
        let whole = list_of(3);
        let seen = walk(&plan(&list(), options), &whole).unwrap();
        assert_eq!(found(&seen, &whole), [b"v", b"v", b"v"]);
        let hole = || filled(1);
        assert_eq!(seen.out, body().text(hole()).long(1).text(hole()).long(1).text(hole()).long(0).0);
    }
}

#[test]
fn five_hundred_and_twelve_records_deep_is_walked_and_one_more_is_not() {
    for options in [WRITE, READ, EXACT] {
        let plan = plan(&list(), options);
        assert_eq!(walk(&plan, &list_of(512)).unwrap().holes.len(), 512);
        for records in [513, 10_000, 100_000] {
            assert_eq!(fault(&plan, &list_of(records)).0, Code::TooDeep);
        }
    }
}

#[test]
fn the_path_of_a_fault_far_inside_says_the_whole_way() {
    let plan = plan(&list(), WRITE);
    let bad = body().text("v").long(1).text("v").long(1).text([0xff]).0;
    assert_eq!(fault(&plan, &bad), (Code::InvalidUtf8, Some("next.next.t".into()), Some(8)));
}

/// The way around leads over another record, in an array and a map.
fn around() -> String {
    let other = format!(
        r#"{{"type":"record","name":"S","fields":[{},{}]}}"#,
        field("t", "string"),
        field("back", r#"{"type":"map","values":"R"}"#)
    );
    record_of(&[("list", &format!(r#"{{"type":"array","items":{other}}}"#)), ("n", "int")])
}

fn around_of(records: usize) -> Body {
    if records == 1 {
        return body().long(0).long(7);
    }
    let inner = around_of(records - 2);
    body().long(1).text("v").long(1).text("k").raw(inner.0).long(0).long(0).long(7)
}

#[test]
fn two_steps_of_recursion_count_two_records() {
    let plan = plan(&around(), EXACT);
    assert_eq!(walk(&plan, &around_of(511).0).unwrap().holes.len(), 255);
    assert_eq!(fault(&plan, &around_of(513).0).0, Code::TooDeep);
    assert_eq!(fault(&plan, &around_of(2_001).0).0, Code::TooDeep);
    let bad = body().long(1).text("v").long(1).text("k").long(1).text([0xff]).0;
    assert_eq!(fault(&plan, &bad).1.as_deref(), Some("list[].back{}.list[].t"));
}

#[test]
fn a_record_inside_the_deepest_one_counts_too() {
    let inner = format!(r#"{{"type":"record","name":"I","fields":[{}]}}"#, field("t", "string"));
    let json = record_of(&[("i", &inner), ("next", r#"["null","R"]"#)]);
    for options in [WRITE, READ, EXACT] {
        let plan = plan(&json, options);
        assert_eq!(walk(&plan, &list_of(511)).unwrap().holes.len(), 511);
        let (code, path, _) = fault(&plan, &list_of(512));
        assert_eq!(code, Code::TooDeep);
        assert!(path.unwrap().ends_with(".next.i"));
    }
}

#[test]
fn sized_blocks_around_deep_records_are_all_written_anew() {
    let plan = plan(&around(), WRITE);
    let inner = body().long(0).long(7);
    let s = body().text("v").sized_block(1, &body().text("k").raw(&inner.0)).long(0);
    let whole = body().sized_block(1, &s).long(0).long(7).0;
    let expected = body()
        .long(1)
        .text(filled(1))
        .sized_block(1, &body().text("k").raw(&inner.0))
        .long(0)
        .long(0)
        .long(7);
    assert_eq!(walk(&plan, &whole).unwrap().out, expected.0);
}

/// Records in a chain of types, none of them recursive: `levels` deep, a tagged string at the end.
fn chain(levels: usize) -> Plan {
    let last = format!(r#"{{"type":"record","name":"R0","fields":[{}]}}"#, field("t", "string"));
    let mut references = vec![last];
    for level in 1..levels {
        let below = level - 1;
        references.push(format!(
            r#"{{"type":"record","name":"R{level}","fields":[{{"name":"f","type":"R{below}"}}]}}"#
        ));
    }
    let root = references.pop().unwrap();
    let references: Vec<&str> = references.iter().map(String::as_str).collect();
    let schema = Schema::parse(&root, &references).unwrap();
    let options = PlanOptions { exact: true, ..WRITE };
    csfle_core::avro::compile(&schema, &hits(&schema, &[tags(&["PII"])]), options).unwrap()
}

#[test]
fn a_deep_schema_counts_like_deep_data() {
    for levels in [1, 63, 64, 65, 128, 129, 511, 512] {
        let seen = walk(&chain(levels), &body().text("x").0).unwrap();
        assert_eq!(seen.out, body().text(filled(1)).0, "{levels}");
    }
    for levels in [513, 1_000] {
        assert_eq!(fault(&chain(levels), &body().text("x").0).0, Code::TooDeep, "{levels}");
    }
}

#[test]
fn a_record_that_holds_itself_with_nothing_between_has_no_datum() {
    let json = record(r#"{"name":"self","type":"R"},{"name":"t","type":"string","confluent:tags":["PII"]}"#);
    for options in [WRITE, EXACT, READ] {
        let plan = plan(&json, options);
        for whole in [vec![], vec![0; 10_000]] {
            assert_eq!(fault(&plan, &whole).0, Code::TooDeep);
        }
    }
    let list = format!(r#"{{"type":"array","items":{json}}}"#);
    assert_eq!(fault(&plan(&list, WRITE), &body().long(5).raw([0; 9]).0).0, Code::TooDeep);
}

#[test]
fn arrays_nested_as_deep_as_a_schema_may_be_are_walked() {
    let levels = 200;
    let json = format!("{}\"string\"{}", r#"{"type":"array","items":"#.repeat(levels), "}".repeat(levels));
    let plan = plan(&record_of(&[("t", &json)]), WRITE);
    let open = (0..levels).fold(body(), |whole, _| whole.long(1)).text("x");
    let whole = (0..levels).fold(open, |whole, _| whole.long(0)).0;
    assert_eq!(walk(&plan, &whole).unwrap().holes.len(), 1);
}

/// Records that hold themselves in so many arrays.
fn in_arrays(arrays: usize) -> String {
    let open = r#"{"type":"array","items":"#.repeat(arrays);
    record_of(&[("t", "string"), ("next", &format!("{open}\"R\"{}", "}".repeat(arrays)))])
}

fn in_arrays_of(arrays: usize, records: usize) -> Vec<u8> {
    let mut whole = body().text("v").long(0);
    for _ in 1..records {
        let open = (0..arrays).fold(body().text("v"), |whole, _| whole.long(1));
        whole = (0..arrays).fold(open.raw(whole.0), |whole, _| whole.long(0));
    }
    whole.0
}

#[test]
fn arrays_and_maps_count_beside_records() {
    for options in [WRITE, READ, EXACT] {
        let one = plan(&in_arrays(1), options);
        assert_eq!(walk(&one, &in_arrays_of(1, 512)).unwrap().holes.len(), 512);
        assert_eq!(fault(&one, &in_arrays_of(1, 513)).0, Code::TooDeep);
        let three = plan(&in_arrays(3), options);
        // A record and its arrays are four; the innermost record opens one more array to find it empty.
        assert_eq!(walk(&three, &in_arrays_of(3, 256)).unwrap().holes.len(), 256);
        assert_eq!(fault(&three, &in_arrays_of(3, 257)).0, Code::TooDeep);
        assert_eq!(fault(&three, &in_arrays_of(3, 500)).0, Code::TooDeep);
    }
}

#[test]
fn what_stands_side_by_side_is_not_nested() {
    let plan = plan(
        &record_of(&[
            ("list", r#"{"type":"array","items":{"type":"map","values":"string"}}"#),
            ("t", "string"),
        ]),
        WRITE,
    );
    let maps = (0..3_000).fold(body().long(3_000), |whole, _| whole.long(0)).long(0);
    assert_eq!(walk(&plan, &maps.text("x").0).unwrap().holes.len(), 1);
}
