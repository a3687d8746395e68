//! Compiled plans.

use std::collections::BTreeSet;
use std::sync::Arc;

use csfle_core::avro::{LeafKind, Mode, PlanOptions, compile};
use csfle_core::crypto::Algorithm;
use csfle_core::lane::Lane;
use csfle_core::schema::{Inheritance, Latest, Patterns, Schema as Table, select};
use csfle_core::value::Layer;
use pyo3::prelude::*;

use crate::errors::{key_error, misuse, schema_error};
use crate::schema::{MetadataTags, Schema, patterns};

/// Tags of a rule, its DEK algorithm, and whether its values carry the DEK version.
type FieldRule = (BTreeSet<String>, String, bool);

/// The latest version beside the writer's: schema, metadata tags, and how many of the field rules,
/// at the end of the list, are its own (None: the rules meet the tags of both).
type LatestVersion<'py> = (Bound<'py, Schema>, Option<MetadataTags>, Option<usize>);

/// What to do with each byte of a body of one writer schema, compiled once.
#[pyclass(frozen, module = "csfle_fast._core")]
pub struct Plan {
    pub lane: Arc<Lane>,
    schema: Arc<Table>,
}

#[pymethods]
impl Plan {
    #[new]
    #[pyo3(signature = (schema, mode, field_rules, payload_rules = Vec::new(), *, metadata_tags = None, latest = None,
                        inheritance = "own", exact = false))]
    #[allow(clippy::too_many_arguments, clippy::needless_pass_by_value)] // the constructor is the interface
    fn new(
        py: Python<'_>,
        schema: &Schema,
        mode: &str,
        field_rules: Vec<FieldRule>,
        payload_rules: Vec<(String, bool)>,
        metadata_tags: Option<MetadataTags>,
        latest: Option<LatestVersion<'_>>,
        inheritance: &str,
        exact: bool,
    ) -> PyResult<Self> {
        let mode = match mode {
            "WRITE" => Mode::Write,
            "READ" => Mode::Read,
            _ => return Err(misuse("the mode of a plan is WRITE or READ")),
        };
        let inheritance = match inheritance {
            "own" => Inheritance::Own,
            "java" => Inheritance::Java,
            _ => return Err(misuse("tag inheritance is own or java")),
        };
        if field_rules.len() + payload_rules.len() > usize::from(u16::MAX) {
            return Err(misuse("a plan has at most 65,535 rules"));
        }
        let mut layers = Vec::new();
        let rules = field_rules.iter().map(|(_, algorithm, prefixed)| (algorithm, prefixed));
        for (algorithm, prefixed) in
            rules.chain(payload_rules.iter().map(|(algorithm, prefixed)| (algorithm, prefixed)))
        {
            let algorithm = Algorithm::parse(algorithm).map_err(key_error)?;
            layers.push(Layer { algorithm, prefixed: *prefixed });
        }
        let tags: Vec<BTreeSet<String>> = field_rules.iter().map(|(tags, ..)| tags.clone()).collect();
        let own_patterns = patterns(metadata_tags)?;
        let latest = latest
            .map(|(latest, tags, rules)| PyResult::Ok((latest.get().0.clone(), patterns(tags)?, rules)));
        let latest: Option<(Arc<Table>, Patterns, Option<usize>)> = latest.transpose()?;
        let table = schema.0.clone();
        let plan = py.detach(|| {
            let hits = match &latest {
                None => select(&table, &own_patterns, &tags, None),
                Some((latest, patterns, rules)) => {
                    let own_rules = tags.len() - rules.unwrap_or(0).min(tags.len());
                    let (own_tags, latest_tags) = tags.split_at(own_rules);
                    let latest = Latest { schema: latest, patterns, rules: rules.map(|_| latest_tags) };
                    select(&table, &own_patterns, own_tags, Some(&latest))
                }
            };
            compile(&table, &hits, PlanOptions { mode, exact, inheritance })
        });
        let plan = plan.map_err(schema_error)?;
        Ok(Self { lane: Arc::new(Lane::new(plan, layers, payload_rules.len())), schema: schema.0.clone() })
    }

    /// At how many places of a body each rule seals or opens, where nothing repeats.
    #[getter]
    fn places(&self) -> Vec<usize> {
        let mut places = self.lane.plan.places(self.lane.layers.len());
        self.lane.payload.iter().for_each(|rule| places[*rule as usize] += 1);
        places
    }

    /// Where values are sealed or opened: `(full name of the field, type, rules in WRITE order)`.
    #[getter]
    fn leaves(&self) -> Vec<(String, &'static str, Vec<u16>)> {
        let kind = |kind| if kind == LeafKind::Text { "string" } else { "bytes" };
        let leaves = self.lane.plan.leaves.iter();
        leaves.map(|leaf| (self.schema.full_name(leaf.field), kind(leaf.kind), leaf.rules.to_vec())).collect()
    }
}
