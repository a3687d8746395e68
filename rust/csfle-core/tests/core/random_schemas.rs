//! Random names, namespaces and references: where Apache's Rust parser takes the schema too, it
//! finds the same fields in the same records. (The empty namespace is left out: Apache's Rust parser
//! takes it for none given; `names.rs` and Java's verdicts in `schema.rs` have it.)

use std::collections::BTreeSet;

use apache_avro::Schema as Theirs;
use csfle_core::schema::{Schema, Type};
use proptest::prelude::*;

use crate::kit::random::cases;

fn simple() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["A", "B", "C", "Inner", "_x"]).prop_map(str::to_owned)
}

fn name_attributes() -> impl Strategy<Value = String> {
    (simple(), prop::sample::select(vec!["", r#","namespace":"p""#, r#","namespace":"p.q""#]), any::<bool>())
        .prop_map(|(name, namespace, dotted)| {
            if dotted { format!(r#""name":"r.{name}""#) } else { format!(r#""name":"{name}"{namespace}"#) }
        })
}

fn ty() -> impl Strategy<Value = String> {
    let reference = (simple(), prop::sample::select(vec!["", "p.", "p.q.", "r."]))
        .prop_map(|(name, namespace)| format!(r#""{namespace}{name}""#));
    let leaf = prop_oneof![
        4 => prop::sample::select(vec![r#""string""#, r#""bytes""#, r#""int""#, r#"["null","string"]"#]).prop_map(str::to_owned),
        2 => reference,
        1 => name_attributes().prop_map(|name| format!(r#"{{"type":"fixed",{name},"size":2}}"#)),
        1 => name_attributes().prop_map(|name| format!(r#"{{"type":"enum",{name},"symbols":["X"]}}"#)),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|ty| format!(r#"{{"type":"array","items":{ty}}}"#)),
            inner.clone().prop_map(|ty| format!(r#"{{"type":"map","values":{ty}}}"#)),
            inner.clone().prop_map(|ty| format!(r#"["null",{ty}]"#)),
            (name_attributes(), prop::collection::vec(inner, 0..4)).prop_map(|(name, types)| {
                let field = |(index, ty): (usize, String)| format!(r#"{{"name":"f{index}","type":{ty}}}"#);
                let fields: Vec<String> = types.into_iter().enumerate().map(field).collect();
                format!(r#"{{"type":"record",{name},"fields":[{}]}}"#, fields.join(","))
            }),
        ]
    })
}

/// Full names of all fields with the kind of their types, by Apache's parser.
fn theirs(schema: &Theirs, space: Option<&str>, found: &mut BTreeSet<String>) {
    match schema {
        Theirs::Record(record) => {
            let full = record.name.fullname(space);
            for field in &record.fields {
                found.insert(format!("{full}.{}", field.name));
                theirs(&field.schema, full.rsplit_once('.').map(|(space, _)| space), found);
            }
        }
        Theirs::Array(array) => theirs(&array.items, space, found),
        Theirs::Map(map) => theirs(&map.types, space, found),
        Theirs::Union(union) => union.variants().iter().for_each(|branch| theirs(branch, space, found)),
        _ => {}
    }
}

/// The same by our table, of the types that the root reaches.
fn ours(schema: &Schema) -> BTreeSet<String> {
    let fields =
        schema.records().flat_map(|(_, record)| record.fields.iter().map(move |field| (record, field)));
    fields.map(|(record, field)| format!("{}.{}", record.name, field.name)).collect()
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn both_parsers_find_the_same_fields(json in ty()) {
        let (Ok(table), Ok(parsed)) = (Schema::parse(&json, &[]), Theirs::parse_str(&json)) else {
            return Ok(());
        };
        let mut expected = BTreeSet::new();
        theirs(&parsed, None, &mut expected);
        prop_assert_eq!(ours(&table), expected, "{}", json);
    }

    #[test]
    fn what_is_written_back_is_read_again_as_the_same(json in ty()) {
        let Ok(table) = Schema::parse(&json, &[]) else { return Ok(()) };
        let again = Schema::parse(&table.codec_json().unwrap(), &[]).unwrap();
        prop_assert_eq!(again.codec_json(), table.codec_json());
        prop_assert_eq!(ours(&again), ours(&table));
        prop_assert_eq!(again.name(), table.name());
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "[\\[\\]{}\":,a-z0-9 /\\\\]{0,80}") {
        let _ = Schema::parse(&text, &[]);
    }
}

#[test]
fn enough_random_schemas_are_read_by_both() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let both = (0..500).filter(|_| {
        let json = ty().new_tree(&mut runner).unwrap().current();
        let table = Schema::parse(&json, &[]);
        table.is_ok_and(|table| !matches!(table.get(table.root()), Type::String))
            && Theirs::parse_str(&json).is_ok()
    });
    let both = both.count();
    assert!(both > 100, "{both} of 500");
}
