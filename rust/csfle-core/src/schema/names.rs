//! Names of types and fields: Java's rules for what a name is and what it resolves to.

use crate::error::SchemaError;

/// Splits a type's `name` and `namespace` attributes into namespace and simple name.
///
/// A dotted name carries its own namespace; otherwise `namespace` holds, else the enclosing one.
/// The empty namespace means none.
pub(super) fn split<'a>(
    name: &'a str,
    namespace: Option<&'a str>,
    enclosing: Option<&'a str>,
) -> (Option<&'a str>, &'a str) {
    match name.rsplit_once('.') {
        Some((space, simple)) => (Some(space).filter(|s| !s.is_empty()), simple),
        None => (namespace.or(enclosing).filter(|s| !s.is_empty()), name),
    }
}

/// Joins namespace and simple name.
pub(super) fn full(namespace: Option<&str>, simple: &str) -> String {
    match namespace {
        Some(space) => format!("{space}.{simple}"),
        None => simple.to_owned(),
    }
}

/// Checks a simple name: a letter or `_`, then letters, digits or `_`, in any script.
pub(super) fn check(name: &str, what: &str) -> Result<(), SchemaError> {
    let mut chars = name.chars();
    match chars.next() {
        None => return Err(SchemaError::invalid(format!("{what} has an empty name"))),
        Some(c) if !(c.is_alphabetic() || c == '_') => {
            return Err(SchemaError::invalid(format!(
                "{what} {name:?} starts with a character that no name may start with"
            )));
        }
        Some(_) => {}
    }
    if chars.all(|c| c.is_alphanumeric() || c == '_') {
        Ok(())
    } else {
        Err(SchemaError::invalid(format!("{what} {name:?} holds a character that no name may hold")))
    }
}

/// Checks every part of a namespace.
pub(super) fn check_namespace(namespace: Option<&str>) -> Result<(), SchemaError> {
    namespace.map_or(Ok(()), |space| space.split('.').try_for_each(|part| check(part, "namespace part")))
}
