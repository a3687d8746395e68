//! A lane: the plan of one writer schema, the layers of its rules, and their ciphers.

use std::collections::HashMap;
use std::sync::Arc;

use crate::avro::{HoleSizes, LeafId, LeafKind, Mode, Plan, Program};
use crate::crypto::{Algorithm, Cipher};
use crate::error::{Code, Fault};
use crate::framing::SchemaRef;
use crate::value::{self, Layer};

/// A compiled plan with how each of its rules writes values.
#[derive(Debug)]
pub struct Lane {
    /// The plan of the body.
    pub plan: Plan,
    /// The layer of each rule, field rules and payload rules alike.
    pub layers: Vec<Layer>,
    /// The rules around the whole body, in the order of sealing.
    pub payload: Vec<u16>,
    /// What sizes need to know of each leaf.
    leaves: Vec<LeafSize>,
}

#[derive(Debug, Clone, Copy)]
struct LeafSize {
    kind: LeafKind,
    /// Bytes that the only rule's layer adds.
    added: usize,
    /// Whether there are more rules.
    nested: bool,
    /// The rule that seals first.
    rule: u16,
}

impl Lane {
    /// Joins a plan with the layers of its rules; the last `payload` of them are around the body.
    pub fn new(plan: Plan, layers: Vec<Layer>, payload: usize) -> Self {
        let rules = layers.len();
        #[allow(clippy::cast_possible_truncation)] // rules are counted in 16 bits
        let payload = (rules.saturating_sub(payload) as u16)..(rules as u16);
        let leaves = plan.leaves.iter().map(|leaf| LeafSize {
            kind: leaf.kind,
            added: layers[leaf.rules[0] as usize].added(),
            nested: leaf.rules.len() > 1,
            rule: leaf.rules[0],
        });
        let leaves = leaves.collect();
        Self { plan, layers, payload: payload.collect(), leaves }
    }

    /// The layer of a rule.
    #[inline]
    pub fn layer(&self, rule: u16) -> Layer {
        self.layers[rule as usize]
    }

    /// Whether a leaf is under this rule and no other.
    #[inline]
    pub(crate) fn is_under_only(&self, leaf: LeafId, rule: u16) -> bool {
        let leaf = self.leaves[leaf as usize];
        leaf.rule == rule && !leaf.nested
    }

    /// Whether this lane seals.
    pub fn writes(&self) -> bool {
        self.plan.mode == Mode::Write
    }

    /// Nonces that a row takes where each leaf stands once.
    pub(crate) fn nonces(&self) -> usize {
        let rules = self.plan.leaves.iter().flat_map(|leaf| leaf.rules.iter()).chain(&self.payload);
        rules.filter(|rule| self.layer(**rule).algorithm != Algorithm::Aes256Siv).count()
    }

    /// Whether bodies are handed on as they are.
    pub fn copies(&self) -> bool {
        self.payload.is_empty() && self.plan.passes.iter().all(Program::is_copy)
    }

    /// Bytes in front of the body and behind it that the payload rules add.
    pub(crate) fn payload_room(&self) -> (usize, usize) {
        self.payload.iter().fold((0, 0), |(front, back), rule| {
            let layer = self.layer(*rule);
            let layout = layer.algorithm.layout();
            (front + layer.prefix_len() + layout.head, back + layout.tail)
        })
    }

    /// Whether a body goes through more than one step on READ, with plaintext in between.
    pub(crate) fn staged(&self) -> bool {
        !self.payload.is_empty() || self.plan.passes.len() > 1
    }
}

/// Sizes on WRITE: the layers of all rules that hit a leaf, one around the other.
pub(crate) struct SealedSizes<'a>(pub(crate) &'a Lane);

impl HoleSizes for SealedSizes<'_> {
    #[inline(always)]
    #[allow(clippy::inline_always)] // one of three calls around each value
    fn hole_size(&self, leaf: LeafId, value: &[u8]) -> Result<usize, Code> {
        let size = self.0.leaves[leaf as usize];
        if !size.nested {
            return Ok(value::sealed_len(size.kind, value.len() + size.added));
        }
        let rules = self.0.plan.leaves[leaf as usize].rules.iter();
        Ok(rules.fold(value.len(), |len, rule| self.0.layer(*rule).sealed_len(size.kind, len)))
    }
}

/// Sizes in one pass of a READ plan.
pub(crate) struct OpenedSizes<'a> {
    pub(crate) lane: &'a Lane,
    pub(crate) pass: usize,
}

impl HoleSizes for OpenedSizes<'_> {
    #[inline(always)]
    #[allow(clippy::inline_always)] // one of three calls around each value
    fn hole_size(&self, leaf: LeafId, value: &[u8]) -> Result<usize, Code> {
        let size = self.lane.leaves[leaf as usize];
        let added = if size.nested {
            self.lane.layer(Plan::rule_of_pass(&self.lane.plan.leaves[leaf as usize], self.pass)).added()
        } else {
            size.added
        };
        value::opened_len(size.kind, added, value)
    }
}

/// All that sealing needs: one snapshot for a whole batch.
#[derive(Debug)]
pub struct WriteLane {
    /// A lane of mode WRITE.
    pub lane: Arc<Lane>,
    /// The cipher of each rule.
    pub ciphers: Vec<Arc<Cipher>>,
    /// What stands in front of each body: the frame's name of the schema, or nothing.
    pub frame: Vec<u8>,
}

/// The DEK versions of one rule that a reader has, and those that it knows not to exist.
#[derive(Debug, Default)]
pub struct DekVersions {
    /// Prepared versions.
    pub loaded: HashMap<i32, Arc<Cipher>>,
    /// Versions that cannot be had, and why.
    pub refused: HashMap<i32, Fault>,
    /// The newest version that the registry named, once it was asked. A version below 1 or above
    /// the one after it is refused without asking.
    pub latest: Option<i32>,
}

impl DekVersions {
    /// The cipher of a version: None where the registry has to be asked.
    #[inline]
    pub(crate) fn get(&self, version: i32) -> Result<Option<&Arc<Cipher>>, Fault> {
        match self.loaded.get(&version) {
            Some(cipher) => Ok(Some(cipher)),
            None => self.missing(version).map_or(Ok(None), Err),
        }
    }

    #[cold]
    fn missing(&self, version: i32) -> Option<Fault> {
        let beyond = self.latest.is_some_and(|latest| version > latest.saturating_add(1));
        if version < 1 || beyond {
            return Some(Fault::of(Code::UnknownDekVersion)); // the number may be four bytes of plaintext
        }
        self.refused.get(&version).cloned()
    }
}

/// All that opening the frames of one writer schema needs.
#[derive(Debug)]
pub struct ReadLane {
    /// A lane of mode READ.
    pub lane: Arc<Lane>,
    /// The DEK versions of each rule.
    pub deks: Vec<DekVersions>,
}

/// All that opening a batch needs: one snapshot for the whole batch.
#[derive(Debug, Default)]
pub struct ReadTable {
    /// The lanes.
    pub lanes: Vec<Arc<ReadLane>>,
    /// Which lane a writer schema has, or why it has none.
    pub schemas: HashMap<SchemaRef, Result<u32, Fault>>,
}

/// Something that a batch needs and its snapshot lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Miss {
    /// A writer schema.
    Schema(SchemaRef),
    /// A DEK version of a rule of a lane.
    Dek {
        /// Position of the lane in the table.
        lane: u32,
        /// The rule.
        rule: u16,
        /// The version.
        version: i32,
    },
}
