//! Batches: a schema, its rules and their keys, and what comes of rows.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use csfle_core::avro::{Arena, Mode, PlanOptions, compile};
use csfle_core::batch::{Counts, Decryption, Encryption, Outcome, Rows};
use csfle_core::crypto::{Algorithm, Cipher, Provider};
use csfle_core::error::Fault;
use csfle_core::framing::SchemaRef;
use csfle_core::lane::{DekVersions, Lane, Miss, ReadLane, ReadTable, WriteLane};
use csfle_core::parallel::Pool;
use csfle_core::schema::{Inheritance, Schema};
use csfle_core::value::Layer;

use super::plans::{hits, schema, tags};

/// The schema id of every lane here.
pub const ID: i32 = 7;

/// The algorithms.
pub const ALGORITHMS: [Algorithm; 3] = [Algorithm::Aes128Gcm, Algorithm::Aes256Gcm, Algorithm::Aes256Siv];

/// A Tink key proto as a KMS unwraps it.
pub fn proto(algorithm: Algorithm, key: &[u8]) -> Vec<u8> {
    let field = if algorithm == Algorithm::Aes256Siv { 0x12 } else { 0x1a };
    [&[field, u8::try_from(key.len()).unwrap()], key].concat()
}

/// A cipher whose key is `seed` all over.
pub fn cipher(algorithm: Algorithm, seed: u8, version: i32) -> Arc<Cipher> {
    let key = vec![seed; algorithm.key_len()];
    Arc::new(Cipher::new(algorithm, &proto(algorithm, &key), version, Provider::Auto).unwrap())
}

/// A schema with its rules; each has a key of its own, and DEK version 1 or, prefixed, 3.
pub struct Setup {
    pub schema: Schema,
    pub field_rules: Vec<(BTreeSet<String>, Layer)>,
    pub payload_rules: Vec<Layer>,
    pub exact: bool,
}

impl Setup {
    /// A schema under one rule for `PII`.
    pub fn new(json: &str, algorithm: Algorithm, prefixed: bool) -> Self {
        let field_rules = vec![(tags(&["PII"]), Layer { algorithm, prefixed })];
        Self { schema: schema(json), field_rules, payload_rules: Vec::new(), exact: false }
    }

    /// One rule more, behind the others.
    pub fn rule(mut self, of: &[&str], algorithm: Algorithm, prefixed: bool) -> Self {
        self.field_rules.push((tags(of), Layer { algorithm, prefixed }));
        self
    }

    /// One payload rule more, around the others.
    pub fn payload(mut self, algorithm: Algorithm, prefixed: bool) -> Self {
        self.payload_rules.push(Layer { algorithm, prefixed });
        self
    }

    /// The datum is checked to its end.
    pub fn exact(self) -> Self {
        Self { exact: true, ..self }
    }

    pub fn layers(&self) -> Vec<Layer> {
        self.field_rules.iter().map(|(_, layer)| *layer).chain(self.payload_rules.iter().copied()).collect()
    }

    fn lane(&self, mode: Mode) -> Arc<Lane> {
        let rules: Vec<_> = self.field_rules.iter().map(|(tags, _)| tags.clone()).collect();
        let options = PlanOptions { mode, exact: self.exact, inheritance: Inheritance::Own };
        let plan = compile(&self.schema, &hits(&self.schema, &rules), options).unwrap();
        Arc::new(Lane::new(plan, self.layers(), self.payload_rules.len()))
    }

    fn version(layer: Layer) -> i32 {
        if layer.prefixed { 3 } else { 1 }
    }

    fn ciphers(&self) -> Vec<Arc<Cipher>> {
        let layers = self.layers();
        let ciphers = (1u8..).zip(&layers);
        ciphers.map(|(seed, layer)| cipher(layer.algorithm, seed, Self::version(*layer))).collect()
    }

    pub fn write(&self) -> WriteLane {
        let frame = SchemaRef::Id(ID).to_bytes();
        WriteLane { lane: self.lane(Mode::Write), ciphers: self.ciphers(), frame }
    }

    pub fn read_lane(&self) -> ReadLane {
        let deks = self.ciphers().into_iter().map(|cipher| DekVersions {
            loaded: HashMap::from([(cipher.version(), cipher)]),
            ..DekVersions::default()
        });
        ReadLane { lane: self.lane(Mode::Read), deks: deks.collect() }
    }

    pub fn read(&self) -> ReadTable {
        table([(ID, self.read_lane())])
    }

    /// Seals bodies that must seal.
    pub fn seal(&self, bodies: &[Vec<u8>]) -> Vec<Vec<u8>> {
        seal(&self.write(), &some(bodies), 1).all()
    }

    /// Opens frames that must open.
    pub fn open(&self, frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
        open(&self.read(), &some(frames)[..], 1).all()
    }
}

/// Read lanes by schema id.
pub fn table<const N: usize>(lanes: [(i32, ReadLane); N]) -> ReadTable {
    let schemas = (0u32..).zip(&lanes).map(|(lane, (id, _))| (SchemaRef::Id(*id), Ok(lane))).collect();
    ReadTable { lanes: lanes.into_iter().map(|(_, lane)| Arc::new(lane)).collect(), schemas }
}

/// Rows that are all there.
pub fn some(rows: &[Vec<u8>]) -> Vec<Option<&[u8]>> {
    rows.iter().map(|row| Some(&row[..])).collect()
}

/// What came of a batch, whatever its chunks and its form.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Results {
    /// Each row's bytes; empty where it failed, missed or is a tombstone.
    pub rows: Vec<Vec<u8>>,
    pub faults: Vec<(usize, Fault)>,
    pub misses: Vec<Miss>,
    pub counts: Counts,
}

impl Results {
    fn add(&mut self, outcome: &Outcome) {
        self.faults.extend(outcome.faults.iter().cloned());
        self.misses.extend(&outcome.misses);
        self.counts += outcome.counts;
    }

    /// Rows of a batch in which nothing failed.
    pub fn all(self) -> Vec<Vec<u8>> {
        assert_eq!(self.faults, []);
        assert_eq!(self.misses, []);
        self.rows
    }

    /// Codes of the faults with their rows.
    pub fn codes(&self) -> Vec<(usize, &'static str)> {
        self.faults.iter().map(|(row, fault)| (*row, fault.code.name())).collect()
    }
}

fn from_arenas(arenas: &[(Arena, Outcome)]) -> Results {
    let mut results = Results::default();
    for (arena, outcome) in arenas {
        let arena = arena.as_slice();
        assert_eq!(outcome.ends.len(), outcome.rows.len(), "one end a row");
        assert_eq!(outcome.ends.last().copied().unwrap_or(0), arena.len(), "nothing behind the last row");
        let starts = [0].into_iter().chain(outcome.ends.iter().copied());
        results.rows.extend(starts.zip(&outcome.ends).map(|(start, end)| arena[start..*end].to_vec()));
        results.add(outcome);
    }
    results
}

fn from_packed(sizes: &[usize], run: impl FnOnce(&mut [u8]) -> csfle_core::batch::Packed) -> Results {
    // What a caller's buffer held before must not shine through.
    let mut buffer = vec![0xAA; sizes.iter().sum()];
    let packed = run(&mut buffer);
    let mut results = Results::default();
    let offsets: Vec<usize> = packed.offsets.iter().map(|at| usize::try_from(*at).unwrap()).collect();
    assert_eq!(offsets.len(), sizes.len() + 1);
    assert_eq!(offsets[0], 0);
    results.rows.extend(offsets.windows(2).map(|at| buffer[at[0]..at[1]].to_vec()));
    assert!(buffer[offsets[sizes.len()]..].iter().all(|byte| *byte == 0), "what stood behind is wiped");
    packed.outcomes.iter().for_each(|outcome| results.add(outcome));
    results
}

/// Encrypts a batch as a list.
pub fn seal(write: &WriteLane, rows: &[Option<&[u8]>], threads: usize) -> Results {
    let pool = Pool::default();
    from_arenas(&Encryption { write, rows, pool: &pool, threads }.to_arenas())
}

/// Encrypts a batch into one buffer.
pub fn seal_packed(write: &WriteLane, rows: &[Option<&[u8]>], threads: usize) -> Results {
    let pool = Pool::default();
    let batch = Encryption { write, rows, pool: &pool, threads };
    let sizes = batch.sizes();
    from_packed(&sizes, |buffer| batch.to_buffer(buffer, &sizes))
}

/// Decrypts a batch as a list, with room for the most misses.
pub fn open<R: Rows + ?Sized>(table: &ReadTable, rows: &R, threads: usize) -> Results {
    open_with(table, rows, threads, usize::MAX)
}

/// Decrypts a batch as a list, with room for so many misses.
pub fn open_with<R: Rows + ?Sized>(table: &ReadTable, rows: &R, threads: usize, misses: usize) -> Results {
    let pool = Pool::default();
    from_arenas(&Decryption { table, rows, misses, pool: &pool, threads }.to_arenas())
}

/// Decrypts a batch into one buffer.
pub fn open_packed<R: Rows + ?Sized>(table: &ReadTable, rows: &R, threads: usize) -> Results {
    let pool = Pool::default();
    let batch = Decryption { table, rows, misses: usize::MAX, pool: &pool, threads };
    let sizes = batch.sizes();
    from_packed(&sizes, |buffer| batch.to_buffer(buffer, &sizes))
}
