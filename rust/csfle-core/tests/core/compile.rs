//! Plans: what they hold, when they are copies, and how large they may grow.

use csfle_core::avro::{LeafKind, Mode, Plan, compile};
use csfle_core::error::Code;
use csfle_core::schema::Schema;

use crate::kit::bodies::body;
use crate::kit::plans::{
    EXACT, READ, WRITE, fault, field, filled, found, hits, plan, record, record_of, schema, tags, walk,
};

#[test]
fn a_plan_without_tagged_fields_copies_every_body_unseen() {
    let untagged = record_of(&[("a", "string"), ("n", r#"["null","R"]"#)]);
    for json in [&untagged, "\"string\"", "\"bytes\"", "\"int\"", r#"["null","string"]"#] {
        for options in [WRITE, READ] {
            let plan = plan(json, options);
            assert!(plan.passes.len() == 1 && plan.passes[0].is_copy(), "{json}");
            for whole in [&[][..], &[0x80; 30], b"anything"] {
                assert_eq!(walk(&plan, whole).unwrap().out, whole);
            }
        }
    }
    assert!(!plan(&untagged, EXACT).passes[0].is_copy(), "unless it is checked");
}

#[test]
fn the_body_of_a_root_bytes_schema_is_raw_even_where_it_is_checked() {
    for options in [WRITE, READ, EXACT] {
        assert_eq!(walk(&plan("\"bytes\"", options), b"\xff raw").unwrap().out, b"\xff raw");
    }
}

#[test]
fn a_leaf_outside_any_record_is_never_touched() {
    for json in ["\"string\"", r#"{"type":"array","items":"string"}"#, r#"{"type":"map","values":"string"}"#]
    {
        let schema = schema(json);
        let everything = hits(&schema, &[tags(&[])]);
        assert!(compile(&schema, &everything, WRITE).unwrap().leaves.is_empty(), "{json}");
    }
}

#[test]
fn every_root_type_that_holds_a_tagged_record_is_walked() {
    let inner = record(&field("t", "string"));
    let roots = [
        (inner.clone(), body(), body()),
        (format!(r#"["null",{inner}]"#), body().long(1), body()),
        (format!(r#"{{"type":"array","items":{inner}}}"#), body().long(1), body().long(0)),
        (format!(r#"{{"type":"map","values":{inner}}}"#), body().long(1).text("k"), body().long(0)),
    ];
    for (json, front, back) in roots {
        for options in [WRITE, READ, EXACT] {
            let whole = front.clone().text("x").raw(&back.0).0;
            let seen = walk(&plan(&json, options), &whole).unwrap();
            assert_eq!(found(&seen, &whole), [b"x"], "{json}");
            assert_eq!(seen.out, front.clone().text(filled(1)).raw(&back.0).0);
        }
    }
}

#[test]
fn leaves_say_field_kind_and_rules() {
    let schema = schema(&record_of(&[("a", "int"), ("t1", "bytes"), ("t2", r#"["null","string"]"#)]));
    let plan = compile(&schema, &hits(&schema, &[tags(&["X"]), tags(&["PII"])]), WRITE).unwrap();
    let leaves: Vec<_> = plan
        .leaves
        .iter()
        .map(|leaf| (schema.full_name(leaf.field), leaf.kind, leaf.rules.to_vec()))
        .collect();
    let expected =
        [("x.R.t1".to_owned(), LeafKind::Bytes, vec![1]), ("x.R.t2".to_owned(), LeafKind::Text, vec![1])];
    assert_eq!(leaves, expected);
    assert_eq!(plan.mode, Mode::Write);
}

#[test]
fn a_named_type_that_is_used_again_is_walked_there_too() {
    let inner = format!(r#"{{"type":"record","name":"I","fields":[{}]}}"#, field("t", "string"));
    let json = record_of(&[("a", &inner), ("b", "I"), ("c", r#"{"type":"array","items":"I"}"#)]);
    let whole = body().text("one").text("two").long(1).text("three").long(0).0;
    let seen = walk(&plan(&json, WRITE), &whole).unwrap();
    assert_eq!(found(&seen, &whole), [&b"one"[..], b"two", b"three"]);
}

#[test]
fn types_from_references_are_walked() {
    let inner = format!(r#"{{"type":"record","name":"y.I","fields":[{}]}}"#, field("t", "string"));
    let schema = Schema::parse(&record_of(&[("a", r#"["null","y.I"]"#)]), &[&inner]).unwrap();
    let plan = compile(&schema, &hits(&schema, &[tags(&["PII"])]), WRITE).unwrap();
    assert_eq!(walk(&plan, &body().long(1).text("x").0).unwrap().holes.len(), 1);
}

#[test]
fn write_has_one_pass_and_read_one_for_each_rule_of_the_most_often_hit_field() {
    let json = r#"{"type":"record","name":"R","fields":[
        {"name":"a","type":"string","confluent:tags":["A"]},
        {"name":"ab","type":"string","confluent:tags":["A","B"]},
        {"name":"abc","type":"string","confluent:tags":["A","B","C"]}]}"#;
    let schema = schema(json);
    let hits = hits(&schema, &[tags(&["A"]), tags(&["B"]), tags(&["C"])]);
    let write = compile(&schema, &hits, WRITE).unwrap();
    assert_eq!(write.passes.len(), 1);
    let read = compile(&schema, &hits, READ).unwrap();
    assert_eq!(read.passes.len(), 3);
    let rule_of = |leaf: usize, pass| Plan::rule_of_pass(&read.leaves[leaf], pass);
    assert_eq!((rule_of(2, 0), rule_of(2, 1), rule_of(2, 2)), (2, 1, 0), "the last one sealed comes first");
    assert_eq!((rule_of(1, 0), rule_of(1, 1), rule_of(0, 0)), (1, 0, 0));
}

#[test]
fn a_schema_that_uses_its_types_in_a_widening_way_gives_a_plan_of_bounded_size() {
    // Each record holds the next one four times: written out, 4^30 fields.
    let mut references = vec![record(&field("t", "string"))];
    for level in 1..30 {
        let below = if level == 1 { "x.R".to_owned() } else { format!("L{}", level - 1) };
        let fields: Vec<String> =
            ["a", "b", "c", "d"].iter().map(|name| field(name, &format!(r#"["null","{below}"]"#))).collect();
        references.push(format!(r#"{{"type":"record","name":"L{level}","fields":[{}]}}"#, fields.join(",")));
    }
    let root = references.pop().unwrap();
    let references: Vec<&str> = references.iter().map(String::as_str).collect();
    let schema = Schema::parse(&root, &references).unwrap();
    let plan = compile(&schema, &hits(&schema, &[tags(&["PII"])]), WRITE).unwrap();
    let down = (0..29).fold(body(), |whole, _| whole.long(1)).text("x");
    let whole = (0..87).fold(down, |whole, _| whole.long(0)).0;
    assert_eq!(found(&walk(&plan, &whole).unwrap(), &whole), [b"x"]);
    assert!(fault(&plan, &whole[..whole.len() - 1]).1.is_some());
}

#[test]
fn twenty_thousand_fields_and_as_many_symbols_are_compiled() {
    let fields: Vec<String> =
        (0..20_000).map(|n| field(&format!("f{n}"), "string")).chain([field("t", "string")]).collect();
    let json = record(&fields.join(","));
    let whole = vec![0; 20_001];
    assert_eq!(walk(&plan(&json, WRITE), &whole).unwrap().holes.len(), 1);
    let symbols: Vec<String> = (0..20_000).map(|n| format!("\"S{n}\"")).collect();
    let json = record_of(&[
        ("e", &format!(r#"{{"type":"enum","name":"E","symbols":[{}]}}"#, symbols.join(","))),
        ("t", "string"),
    ]);
    assert!(walk(&plan(&json, WRITE), &body().long(19_999).text("x").0).is_ok());
}

/// A record of so many strings, the last one tagged with all of these.
fn wide(fields: usize, tags: &[String]) -> String {
    let plain = (1..fields).map(|n| field(&format!("f{n}"), "string"));
    let last = format!(r#"{{"name":"last","type":"string","confluent:tags":{tags:?}}}"#);
    record(&plain.chain([last]).collect::<Vec<_>>().join(","))
}

#[test]
fn the_steps_of_all_passes_together_are_bounded() {
    // One pass of 20,000 steps for each of 100 rules is 2 million; of 300 rules it is 6.
    let names: Vec<String> = (0..300).map(|n| format!("T{n}")).collect();
    let schema = schema(&wide(20_000, &names));
    let rules: Vec<_> = names.iter().map(|name| tags(&[name])).collect();
    let compiled = |count: usize, options| compile(&schema, &hits(&schema, &rules[..count]), options);
    assert_eq!(compiled(100, READ).unwrap().passes.len(), 100);
    assert_eq!(compiled(300, READ).map(|_| ()).unwrap_err().code, "plan_too_large");
    assert_eq!(compiled(300, WRITE).unwrap().passes.len(), 1, "WRITE seals all of them in one");
}

#[test]
fn as_many_rules_as_there_may_be_are_compiled() {
    let schema = schema(&record(&field("t", "string")));
    let others = vec![tags(&["OTHER"]); 65_534];
    let rules = [&others[..], &[tags(&["PII"])]].concat();
    let plan = compile(&schema, &hits(&schema, &rules), WRITE).unwrap();
    assert_eq!(*plan.leaves[0].rules, [65_534]);
}

#[test]
fn a_long_name_around_many_fields_is_kept_once() {
    // 20,000 paths of 100 KB would be 2 GB.
    let long = "n".repeat(100_000);
    let inner: Vec<String> = (0..20_000).map(|n| field(&format!("t{n}"), "string")).collect();
    let inner = format!(r#"{{"type":"record","name":"I","fields":[{}]}}"#, inner.join(","));
    let list = format!(r#"{{"type":"array","items":{inner}}}"#);
    for (ty, front, between) in [(&inner, body(), "."), (&list, body().long(1), "[].")] {
        for options in [WRITE, READ, EXACT] {
            let plan = plan(&record_of(&[(&long, ty)]), options);
            assert_eq!(plan.leaves.len(), 20_000);
            for last in [0, 9, 19_999] {
                let whole = (0..last).fold(front.clone(), |whole, _| whole.text("")).long(-1).0;
                let (code, path, offset) = fault(&plan, &whole);
                assert_eq!((code, offset), (Code::NegativeLength, Some(whole.len())));
                assert!(path == Some(format!("{long}{between}t{last}")), "the path of field {last}");
            }
        }
    }
}

#[test]
fn places_tell_how_often_each_rule_seals_in_a_row_where_nothing_repeats() {
    let inner =
        r#"{"type":"record","name":"I","fields":[{"name":"s","type":"string","confluent:tags":["A","B"]}]}"#;
    let json = record_of(&[("one", inner), ("two", "I"), ("list", r#"{"type":"array","items":"I"}"#)]);
    let schema = schema(&json);
    let rules = [tags(&["A"]), tags(&["NONE"]), tags(&["B"])];
    for options in [WRITE, READ, EXACT] {
        let plan = compile(&schema, &hits(&schema, &rules), options).unwrap();
        assert_eq!(plan.places(3), [3, 0, 3]);
    }
    assert_eq!(plan(&record(&field("a", "string")), WRITE).places(2), [0, 0]);
}
