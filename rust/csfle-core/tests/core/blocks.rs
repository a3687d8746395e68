//! Arrays and maps: every form of block, and every lie that a header can tell.

use csfle_core::error::Code;

use crate::kit::bodies::{Body, body};
use crate::kit::plans::{EXACT, READ, WRITE, fault, filled, found, plan, record_of, walk, walk_with};

const STRINGS: &str = r#"{"type":"array","items":"string"}"#;
const INTS: &str = r#"{"type":"array","items":"int"}"#;

fn tagged_strings() -> String {
    record_of(&[("t", STRINGS)])
}

/// An untagged array in front of a tagged string.
fn untagged(items: &str) -> String {
    record_of(&[("a", &format!(r#"{{"type":"array","items":{items}}}"#)), ("t", "string")])
}

#[test]
fn items_of_a_tagged_array_and_values_of_a_tagged_map_become_holes_and_keys_do_not() {
    let json = record_of(&[("t1", STRINGS), ("t2", r#"{"type":"map","values":"bytes"}"#)]);
    let whole = body().long(2).text("a").text("bc").long(0).long(1).text("key").text("value").long(0).0;
    for options in [WRITE, READ, EXACT] {
        let seen = walk(&plan(&json, options), &whole).unwrap();
        assert_eq!(found(&seen, &whole), [&b"a"[..], b"bc", b"value"]);
        let expected =
            body().long(2).text(filled(1)).text(filled(2)).long(0).long(1).text("key").text(filled(5));
        assert_eq!(seen.out, expected.long(0).0);
    }
}

#[test]
fn empty_arrays_and_several_blocks_stay_as_they_are() {
    let plan = plan(&tagged_strings(), WRITE);
    assert_eq!(walk(&plan, &[0]).unwrap().out, [0]);
    let seen = walk(&plan, &body().long(1).text("a").long(2).text("b").text("c").long(0).0).unwrap();
    let hole = || filled(1);
    assert_eq!(seen.out, body().long(1).text(hole()).long(2).text(hole()).text(hole()).long(0).0);
}

#[test]
fn a_sized_block_with_a_hole_is_written_anew_with_a_positive_count_and_no_size() {
    let items = body().text("a").text("bc");
    let seen = walk(&plan(&tagged_strings(), WRITE), &body().sized_block(2, &items).long(0).0).unwrap();
    assert_eq!(seen.out, body().long(2).text(filled(1)).text(filled(2)).long(0).0);
}

#[test]
fn a_sized_block_without_a_hole_is_copied_as_it_is() {
    let block = body().sized_block(2, &body().long(5).long(6)).sized_block(1, &body().long(7)).long(0);
    let seen = walk(&plan(&untagged("\"int\""), WRITE), &block.clone().text("x").0).unwrap();
    assert_eq!(seen.out, block.text(filled(1)).0);
    // Tagged, but every item is null: no hole, so it is left alone too.
    let nulls = record_of(&[("t", r#"{"type":"array","items":["null","string"]}"#)]);
    let whole = body().sized_block(2, &body().long(0).long(0)).long(0).0;
    assert_eq!(walk(&plan(&nulls, WRITE), &whole).unwrap().out, whole);
}

#[test]
fn of_several_blocks_only_those_with_holes_are_written_anew() {
    let json = record_of(&[("t", r#"{"type":"array","items":["null","string"]}"#)]);
    let without = body().sized_block(1, &body().long(0));
    let whole = without
        .clone()
        .sized_block(2, &body().long(0).long(1).text("a"))
        .raw(&without.0)
        .long(1)
        .long(1)
        .text("b")
        .long(0);
    let expected = without.clone().long(2).long(0).long(1).text(filled(1)).raw(&without.0).long(1).long(1);
    assert_eq!(walk(&plan(&json, WRITE), &whole.0).unwrap().out, expected.text(filled(1)).long(0).0);
}

#[test]
fn blocks_around_a_hole_are_written_anew_from_the_outermost_in() {
    let json =
        record_of(&[("t", r#"{"type":"array","items":{"type":"map","values":"string"}}"#), ("n", "int")]);
    let inner = body().sized_block(1, &body().text("k").text("v")).long(0);
    let empty = body().long(0);
    let whole = body().sized_block(2, &Body([&empty.0[..], &inner.0].concat())).long(0).long(9).0;
    let seen = walk(&plan(&json, WRITE), &whole).unwrap();
    let expected = body().long(2).long(0).long(1).text("k").text(filled(1)).long(0).long(0).long(9);
    assert_eq!(seen.out, expected.0);
}

#[test]
fn an_inner_block_without_a_hole_is_copied_inside_an_outer_one_with_one() {
    let inner = r#"{"type":"record","name":"I","fields":[
        {"name":"n","type":{"type":"array","items":"int"}},
        {"name":"t","type":"string","confluent:tags":["PII"]}]}"#;
    let json = record_of(&[("list", &format!(r#"{{"type":"array","items":{inner}}}"#))]);
    let numbers = body().sized_block(2, &body().long(5).long(6)).long(0);
    let whole = body().sized_block(1, &numbers.clone().text("x")).long(0).0;
    let seen = walk(&plan(&json, WRITE), &whole).unwrap();
    assert_eq!(seen.out, body().long(1).raw(&numbers.0).text(filled(1)).long(0).0);
}

#[test]
fn a_declared_size_that_disagrees_with_the_items_is_a_fault() {
    for (json, item) in [(tagged_strings(), body().text("ab")), (untagged("\"string\""), body().text("ab"))] {
        for options in [WRITE, EXACT] {
            let plan = plan(&json, options);
            for size in [0, 2, 4] {
                let whole = body().long(-1).long(size).raw(&item.0).long(0).text("x").0;
                assert_eq!(fault(&plan, &whole).0, Code::BlockSize, "size {size}");
            }
            let negative = body().long(-1).long(-3).raw(&item.0).long(0).0;
            assert_eq!(fault(&plan, &negative).0, Code::NegativeLength);
            let beyond = body().long(-1).long(1_000).raw(&item.0).long(0).0;
            assert_eq!(fault(&plan, &beyond).0, Code::Truncated);
        }
    }
}

#[test]
fn a_count_that_no_body_could_hold_is_a_fault_at_once() {
    for json in
        [tagged_strings(), untagged("\"string\""), record_of(&[("t", r#"{"type":"map","values":"string"}"#)])]
    {
        let plan = plan(&json, WRITE);
        for count in [1 << 62, i64::MAX, 1_000, 4] {
            let (code, path, offset) = fault(&plan, &body().long(count).raw([0; 3]).0);
            assert_eq!(code, Code::TooManyItems, "{count}");
            assert!(path.is_some() && offset.is_some());
            let sized = body().long(-count).long(3).raw([0; 3]).0;
            assert_eq!(fault(&plan, &sized).0, Code::TooManyItems, "-{count}");
        }
        assert_eq!(fault(&plan, &body().long(i64::MIN).long(3).raw([0; 3]).0).0, Code::BlockCount);
    }
}

/// Types whose values take no bytes.
const EMPTY: [&str; 4] = [
    "\"null\"",
    r#"{"type":"fixed","name":"Z","size":0}"#,
    r#"{"type":"record","name":"Z","fields":[]}"#,
    r#"{"type":"record","name":"Z","fields":[{"name":"n","type":"null"}]}"#,
];

#[test]
fn items_of_no_bytes_are_walked_up_to_a_limit_over_the_whole_row() {
    for items in EMPTY {
        let plan = plan(&untagged(items), WRITE);
        // 65,536, and 16 for each byte of the body.
        let whole = |count: i64| body().long(count).long(0).text("x").0;
        let most = 65_536 + 16 * i64::try_from(whole(65_536).len()).unwrap();
        assert!(walk(&plan, &whole(most)).is_ok(), "{items}");
        assert_eq!(fault(&plan, &whole(most + 1)).0, Code::TooManyItems, "{items}");
        for count in [1 << 20, 1 << 62, i64::MAX] {
            assert_eq!(fault(&plan, &whole(count)).0, Code::TooManyItems, "{items}");
            let sized = body().long(-count).long(0).long(0).text("x").0;
            assert_eq!(fault(&plan, &sized).0, Code::TooManyItems, "{items}");
        }
    }
}

#[test]
fn many_blocks_of_no_bytes_share_that_limit() {
    let plan = plan(&untagged("\"null\""), WRITE);
    let blocks = (0..10).fold(body(), |whole, _| whole.long(10_000)).long(0).text("x");
    assert_eq!(fault(&plan, &blocks.0).0, Code::TooManyItems);
    let nested = plan_of_nested_nulls();
    let rows = (0..7).fold(body().long(7), |whole, _| whole.long(10_000).long(0)).long(0).text("x");
    assert_eq!(fault(&nested, &rows.0).0, Code::TooManyItems);
}

fn plan_of_nested_nulls() -> csfle_core::avro::Plan {
    plan(&untagged(r#"{"type":"array","items":"null"}"#), WRITE)
}

#[test]
fn the_limit_starts_anew_with_every_row() {
    let plan = plan(&untagged("\"null\""), WRITE);
    let whole = body().long(65_536).long(0).text("x").0;
    let mut walker = csfle_core::avro::Walker::default();
    for _ in 0..5 {
        assert!(walk_with(&mut walker, &plan, &whole).is_ok());
    }
}

#[test]
fn maps_of_null_take_their_keys_bytes_and_so_need_no_other_limit() {
    let json = record_of(&[("m", r#"{"type":"map","values":"null"}"#), ("t", "string")]);
    let plan = plan(&json, WRITE);
    assert!(walk(&plan, &body().long(2).text("a").text("b").long(0).text("x").0).is_ok());
    assert_eq!(fault(&plan, &body().long(100).text("a").long(0).text("x").0).0, Code::TooManyItems);
}

#[test]
fn a_schema_that_doubles_records_of_no_bytes_costs_no_more_than_its_limit() {
    // Each record holds the next one twice: 2^40 records, and not a byte among them.
    let mut json = r#"{"type":"record","name":"L0","fields":[]}"#.to_owned();
    for level in 1..=40 {
        let below = level - 1;
        json = format!(
            r#"{{"type":"record","name":"L{level}","fields":[
                {{"name":"a","type":{json}}},{{"name":"b","type":"L{below}"}}]}}"#
        );
    }
    let whole = body().text("x").0;
    let json = record_of(&[("l", &json), ("t", "string")]);
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let walked = walk(&plan(&json, WRITE), &whole);
        sender.send(walked.map(|_| ()).map_err(|fault| fault.code))
    });
    // Not a matter of speed: without its limit this takes years.
    let walked = receiver.recv_timeout(std::time::Duration::from_secs(20)).expect("it ends");
    assert!(matches!(walked, Ok(()) | Err(Code::TooManyItems)), "{walked:?}");
}

#[test]
fn an_array_ends_with_a_zero_and_nothing_less() {
    let plan = plan(&record_of(&[("t", STRINGS), ("b", INTS)]), EXACT);
    assert_eq!(fault(&plan, &body().long(1).text("a").0).0, Code::Truncated);
    assert_eq!(fault(&plan, &body().long(1).text("a").long(0).long(1).long(5).0).0, Code::Truncated);
    assert!(walk(&plan, &body().long(1).text("a").long(0).long(1).long(5).long(0).0).is_ok());
}
