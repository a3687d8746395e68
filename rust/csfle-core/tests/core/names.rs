//! What a name is, and what it resolves to.

use csfle_core::schema::{Schema, Type};

use crate::kit::plans::schema;

fn refused(json: &str) -> String {
    Schema::parse(json, &[]).expect_err("the name is refused").message
}

fn fixed(name: &str, more: &str) -> String {
    format!(r#"{{"type":"fixed","size":1,"name":"{name}"{more}}}"#)
}

fn full_name(name: &str, more: &str) -> String {
    schema(&fixed(name, more)).name().unwrap().to_owned()
}

#[test]
fn a_full_name_comes_from_the_name_or_its_namespace() {
    assert_eq!(full_name("F", ""), "F");
    assert_eq!(full_name("F", r#","namespace":"a.b""#), "a.b.F");
    assert_eq!(full_name("c.F", r#","namespace":"a.b""#), "c.F", "a dotted name has its own");
    assert_eq!(full_name("F", r#","namespace":"""#), "F");
    assert_eq!(full_name(".F", r#","namespace":"a""#), "F", "a leading dot is no namespace");
    assert_eq!(full_name("F", r#","namespace":7"#), "F", "only text is a namespace");
}

#[test]
fn letters_of_any_script_digits_and_underscores_are_names() {
    for name in ["_", "a1", "größe", "名前", "_0", "A_b"] {
        assert_eq!(full_name(name, ""), name);
    }
    for name in ["", "1a", "a-b", "a b", "a$", "-", "é!"] {
        assert!(!refused(&fixed(name, "")).is_empty());
    }
    for namespace in ["a-b", "a..b", "1a", "a.", ".a"] {
        assert!(!refused(&fixed("F", &format!(r#","namespace":"{namespace}""#))).is_empty());
    }
}

/// A record `a.b.R` with an inner record, whose field names a type by `name`.
fn used(first: &str, name: &str) -> Result<String, String> {
    let json = format!(
        r#"{{"type":"record","name":"a.b.R","fields":[{{"name":"f","type":{first}}},{{"name":"g","type":"{name}"}}]}}"#
    );
    let table = Schema::parse(&json, &[]).map_err(|error| error.code.to_owned())?;
    let Type::Record(record) = table.get(table.root()) else { panic!("a record") };
    let ty = table.get(record.fields[1].ty);
    Ok(ty.name().unwrap_or(ty.kind()).to_owned())
}

#[test]
fn a_name_without_a_dot_is_sought_in_the_enclosing_namespace_and_then_in_none() {
    assert_eq!(used(&fixed("F", ""), "F"), Ok("a.b.F".into()));
    assert_eq!(used(&fixed("F", r#","namespace":"""#), "F"), Ok("F".into()));
    assert_eq!(used(&fixed("F", ""), "a.b.F"), Ok("a.b.F".into()));
    assert_eq!(used(&fixed("c.F", ""), "F"), Err("undefined_name".into()));
    assert_eq!(used(&fixed("c.F", ""), "c.F"), Ok("c.F".into()));
    assert_eq!(used(&fixed("F", ""), ".F"), Err("undefined_name".into()));
    assert_eq!(used(&fixed("F", ""), "R"), Ok("a.b.R".into()), "and the record itself");
}

#[test]
fn a_type_whose_full_name_is_a_primitives_is_refused() {
    for name in ["null", "boolean", "int", "long", "float", "double", "bytes", "string"] {
        for json in [
            fixed(name, ""),
            fixed(&format!(".{name}"), ""),
            fixed(name, r#","namespace":"""#),
            format!(r#"{{"type":"enum","name":"{name}","symbols":["A"]}}"#),
            format!(r#"{{"type":"record","name":"{name}","fields":[]}}"#),
        ] {
            assert!(refused(&json).contains("primitive"), "{json}");
        }
        assert_eq!(
            full_name(name, r#","namespace":"a""#),
            format!("a.{name}"),
            "elsewhere it is another name"
        );
    }
    assert_eq!(full_name("String", ""), "String");
    assert_eq!(full_name("record", ""), "record", "what names a kind is no primitive");
}

#[test]
fn primitives_come_before_named_types() {
    assert_eq!(used(&fixed("string", ""), "string"), Ok("string".into()));
    assert_eq!(used(&fixed("string", ""), "a.b.string"), Ok("a.b.string".into()));
}

#[test]
fn aliases_are_full_names_in_the_namespace_of_their_type() {
    let table = schema(&fixed("a.F", r#","aliases":["G","c.H",".I"]"#));
    assert_eq!(table.get(table.root()).aliases(), ["a.G", "c.H", "I"]);
    for aliases in ["null", "\"G\"", "[1]"] {
        assert_eq!(
            refused(&fixed("F", &format!(r#","aliases":{aliases}"#))),
            "aliases are not an array of strings"
        );
    }
}

#[test]
fn field_and_symbol_names_are_checked_too() {
    let of_field =
        |name: &str| format!(r#"{{"type":"record","name":"R","fields":[{{"name":"{name}","type":"int"}}]}}"#);
    let of_symbol = |name: &str| format!(r#"{{"type":"enum","name":"E","symbols":["{name}"]}}"#);
    for name in ["", "1", "a.b", "a-b"] {
        assert!(refused(&of_field(name)).starts_with("field"), "{name}");
        assert!(refused(&of_symbol(name)).starts_with("symbol"), "{name}");
    }
}
