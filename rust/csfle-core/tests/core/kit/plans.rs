//! Plans, and walks that leave holes of an easily told size.

use std::collections::BTreeSet;

use csfle_core::avro::{
    Arena, Hole, HoleSizes, LeafId, Measure, Mode, Out, Plan, PlanOptions, Walked, Walker, compile,
};
use csfle_core::error::{Code, Fault};
use csfle_core::schema::{Hits, Inheritance, Patterns, Schema, select};

/// WRITE, own tags, and no more than the tagged fields looked at.
pub const WRITE: PlanOptions = PlanOptions { mode: Mode::Write, exact: false, inheritance: Inheritance::Own };

/// The same for READ.
pub const READ: PlanOptions = PlanOptions { mode: Mode::Read, ..WRITE };

/// WRITE that checks the datum to its end.
pub const EXACT: PlanOptions = PlanOptions { exact: true, ..WRITE };

/// Bytes that [`Grown`] adds to a value.
pub const GROWTH: usize = 3;

/// A schema that must parse.
pub fn schema(json: &str) -> Schema {
    Schema::parse(json, &[]).unwrap_or_else(|error| panic!("{error}: {json}"))
}

/// A record `x.R` of these fields.
pub fn record(fields: &str) -> String {
    format!(r#"{{"type":"record","name":"R","namespace":"x","fields":[{fields}]}}"#)
}

/// A field; one that is tagged `PII` where `name` starts with `t`.
pub fn field(name: &str, ty: &str) -> String {
    let ty = if ty.starts_with(['{', '[']) { ty.to_owned() } else { format!("{ty:?}") };
    let tags = if name.starts_with('t') { r#","confluent:tags":["PII"]"# } else { "" };
    format!(r#"{{"name":"{name}","type":{ty}{tags}}}"#)
}

/// A record `x.R` of these fields by name and type, the ones that start with `t` tagged `PII`.
pub fn record_of(fields: &[(&str, &str)]) -> String {
    record(&fields.iter().map(|(name, ty)| field(name, ty)).collect::<Vec<_>>().join(","))
}

/// The tags of a rule.
pub fn tags(tags: &[&str]) -> BTreeSet<String> {
    tags.iter().map(|tag| (*tag).to_owned()).collect()
}

/// Which rules hit which fields, by the schema's own tags.
pub fn hits(schema: &Schema, rules: &[BTreeSet<String>]) -> Hits {
    select(schema, &Patterns::default(), rules, None)
}

/// The plan of a schema under one rule for `PII`.
pub fn plan(json: &str, options: PlanOptions) -> Plan {
    let schema = schema(json);
    compile(&schema, &hits(&schema, &[tags(&["PII"])]), options).unwrap()
}

/// Every result is [`GROWTH`] bytes longer than its value.
pub struct Grown;

impl HoleSizes for Grown {
    fn hole_size(&self, _: LeafId, value: &[u8]) -> Result<usize, Code> {
        Ok(value.len() + GROWTH)
    }
}

/// What a walk gave.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    /// The output, its holes filled with `#`.
    pub out: Vec<u8>,
    /// The holes.
    pub holes: Vec<Hole>,
    /// What was seen besides.
    pub walked: Walked,
}

/// Walks one body through the first pass.
pub fn walk(plan: &Plan, body: &[u8]) -> Result<Seen, Fault> {
    walk_with(&mut Walker::default(), plan, body)
}

/// The same with a walker that has walked before.
pub fn walk_with(walker: &mut Walker, plan: &Plan, body: &[u8]) -> Result<Seen, Fault> {
    let (mut out, mut holes) = (Arena::default(), Vec::new());
    let found = |hole| {
        holes.push(hole);
        Ok(())
    };
    let seen = walker.walk(&plan.passes[0], &plan.leaves, &Grown, (0, body), &mut out, found)?;
    let mut out = out.as_slice().to_vec();
    for hole in &holes {
        assert_eq!(hole.len, hole.value_len + GROWTH);
        out[hole.at..hole.at + hole.len].fill(b'#');
    }
    Ok(Seen { out, holes, walked: seen })
}

/// How long the output is, told without making it.
pub fn measure(plan: &Plan, body: &[u8]) -> usize {
    let mut out = Measure::default();
    let walk = Walker::default().walk(&plan.passes[0], &plan.leaves, &Grown, (0, body), &mut out, |_| Ok(()));
    walk.unwrap();
    out.len()
}

/// The texts of the tagged values that a walk found.
pub fn found<'a>(seen: &Seen, body: &'a [u8]) -> Vec<&'a [u8]> {
    seen.holes.iter().map(|hole| &body[hole.value..hole.value + hole.value_len]).collect()
}

/// What a tagged value of this many bytes looks like in the output of [`walk`].
pub fn filled(value_len: usize) -> Vec<u8> {
    vec![b'#'; value_len + GROWTH]
}

/// Code, path and offset of the fault that a walk ends with.
pub fn fault(plan: &Plan, body: &[u8]) -> (Code, Option<String>, Option<usize>) {
    let fault = walk(plan, body).expect_err("the body is at fault");
    (fault.code, fault.path.map(String::from), fault.offset)
}
