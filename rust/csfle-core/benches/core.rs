//! The core on packed bodies, and beside it the bare loop: draw a nonce, seal with ring (or aes-siv)
//! and encode the same values, without any Avro. Prints one JSON document: nanoseconds a message,
//! best round of each, in turns; `measure_ns` is the part of the core that only measures, `open_ns` the
//! way back, and those that begin with `ring_` are the same with all values sealed and opened by ring.
//! Before any clock runs, one batch is sealed, opened again and compared.
//!
//! A workload's name as argument runs that one alone. `--count WORKLOAD PROVIDER SEALS OPENS` has no
//! clock: it seals and opens the workload's batch so many times, for a tool that counts instructions.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a bench that cannot go on should stop where it stands

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use aes_siv::KeyInit;
use aes_siv::siv::Aes256Siv;
use base64_simd::STANDARD;
use csfle_core::avro::{Arena, LeafKind, Mode, PlanOptions, compile, write_long};
use csfle_core::batch::{Decryption, Encryption, Outcome, Rows};
use csfle_core::crypto::{Algorithm, Cipher, Nonces, Provider, generate_key_proto};
use csfle_core::framing::SchemaRef;
use csfle_core::lane::{DekVersions, Lane, ReadLane, ReadTable, WriteLane};
use csfle_core::parallel::Pool;
use csfle_core::schema::{Inheritance, Patterns, Schema, select};
use csfle_core::value::Layer;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use serde_json::{Value, json};

const ROWS: usize = 1_000;
/// The same, to divide by.
const ROWS_F64: f64 = 1_000.0;
const ROUNDS: usize = 200;

struct Workload {
    name: &'static str,
    schema: Value,
    algorithm: Algorithm,
    bodies: Vec<Vec<u8>>,
    /// Values that are sealed in one message, and bytes of each.
    values: (usize, usize),
}

fn field(name: &str, tagged: bool, nullable: bool) -> Value {
    let mut field = json!({"name": name, "type": "string"});
    if nullable {
        field["type"] = json!(["null", "string"]);
    }
    if tagged {
        field["confluent:tags"] = json!(["PII"]);
    }
    field
}

fn put_text(body: &mut Vec<u8>, seed: usize, len: usize, nullable: bool) {
    if nullable {
        body.push(2); // the branch of the string
    }
    let mut buffer = [0; 10];
    let taken = write_long(i64::try_from(len).unwrap(), &mut buffer);
    body.extend_from_slice(&buffer[..taken]);
    body.extend((0..len).map(|i| b'a' + u8::try_from((seed * 7 + i * 3) % 26).unwrap()));
}

fn strings(name: &'static str, tagged: usize, nullable: bool, algorithm: Algorithm) -> Workload {
    let fields: Vec<Value> = (0..10).map(|i| field(&format!("f{i}"), i < tagged, nullable)).collect();
    let bodies = (0..ROWS).map(|row| {
        let mut body = Vec::new();
        (0..10).for_each(|f| put_text(&mut body, row + f, 24, nullable));
        body
    });
    Workload {
        name,
        schema: json!({"type": "record", "name": "Row", "namespace": "bench", "fields": fields}),
        algorithm,
        bodies: bodies.collect(),
        values: (tagged, 24),
    }
}

fn debezium() -> Workload {
    let fields: Vec<Value> = (0..10).map(|i| field(&format!("c{i}"), i == 2 || i == 5, true)).collect();
    let value = json!({"type": "record", "name": "Value", "fields": fields});
    let schema = json!({"type": "record", "name": "Envelope", "namespace": "bench.cdc", "fields": [
        {"name": "before", "type": ["null", value]}, {"name": "after", "type": ["null", "Value"]},
        {"name": "op", "type": "string"}]});
    let bodies = (0..ROWS).map(|row| {
        let mut body = Vec::new();
        for side in 0..2 {
            body.push(2); // the branch of the record
            (0..10).for_each(|f| put_text(&mut body, row + side + f, 10, true));
        }
        put_text(&mut body, 0, 1, false);
        body
    });
    Workload {
        name: "debezium",
        schema,
        algorithm: Algorithm::Aes256Gcm,
        bodies: bodies.collect(),
        values: (4, 10),
    }
}

/// Bodies in one buffer.
struct PackedRows {
    buffer: Vec<u8>,
    offsets: Vec<usize>,
}

impl PackedRows {
    fn new(bodies: &[Vec<u8>]) -> Self {
        let mut offsets = vec![0];
        for body in bodies {
            offsets.push(offsets[offsets.len() - 1] + body.len());
        }
        Self { buffer: bodies.concat(), offsets }
    }

    /// The rows of a batch that one thread wrote without a fault.
    fn of(arenas: &[(Arena, Outcome)]) -> Self {
        let [(arena, outcome)] = arenas else { panic!("one thread writes one arena") };
        assert!(outcome.faults.is_empty(), "{:?}", outcome.faults[0]);
        Self { buffer: arena.as_slice().to_vec(), offsets: [&[0], &outcome.ends[..]].concat() }
    }
}

impl Rows for PackedRows {
    fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    fn row(&self, index: usize) -> Option<&[u8]> {
        Some(&self.buffer[self.offsets[index]..self.offsets[index + 1]])
    }
}

/// Seals and encodes as many values of the same size, with nothing around.
struct Bare {
    key: Key,
    values: (usize, usize),
    out: Vec<u8>,
}

enum Key {
    Gcm(Box<LessSafeKey>),
    Siv(Vec<u8>),
}

impl Bare {
    fn run(&mut self) {
        let (count, len) = (ROWS * self.values.0, self.values.1);
        let text = black_box(vec![b'x'; len]);
        let mut value = vec![0; len + 28];
        match &self.key {
            Key::Gcm(key) => {
                let mut nonces = Nonces::for_chunk(count).unwrap();
                for into in self.out.chunks_exact_mut(STANDARD.encoded_length(len + 28)) {
                    let nonce = nonces.draw().unwrap();
                    value[..12].copy_from_slice(&nonce);
                    value[12..12 + len].copy_from_slice(&text);
                    let nonce = Nonce::assume_unique_for_key(nonce);
                    let tag = key
                        .seal_in_place_separate_tag(nonce, Aad::empty(), &mut value[12..12 + len])
                        .unwrap();
                    value[12 + len..].copy_from_slice(tag.as_ref());
                    let _ = STANDARD.encode(&value, base64_simd::Out::from_slice(into));
                }
            }
            Key::Siv(key) => {
                let mut cipher = Aes256Siv::new(key.as_slice().try_into().unwrap());
                for into in self.out.chunks_exact_mut(STANDARD.encoded_length(len + 16)) {
                    let text: &mut [u8] = &mut value[16..16 + len];
                    let iv = cipher.encrypt_inout_detached([&b""[..]], text.into()).unwrap();
                    value[..16].copy_from_slice(&iv);
                    let _ = STANDARD.encode(&value[..16 + len], base64_simd::Out::from_slice(into));
                }
            }
        }
        black_box(&self.out);
    }
}

/// Both ways with one provider.
struct Ways {
    write: WriteLane,
    read: ReadTable,
    frames: PackedRows,
    write_ns: f64,
    read_ns: f64,
}

impl Ways {
    /// Seals and opens the batch once: the time of a result that is wrong means nothing.
    fn checked(cipher: Cipher, [write, read]: [Lane; 2], rows: &PackedRows, values: usize) -> Self {
        let cipher = Arc::new(cipher);
        let loaded = HashMap::from([(1, cipher.clone())]);
        let deks = vec![DekVersions { loaded, ..DekVersions::default() }];
        let frame = SchemaRef::Id(1).to_bytes();
        let mut ways = Self {
            write: WriteLane { lane: Arc::new(write), ciphers: vec![cipher], frame },
            read: ReadTable {
                lanes: vec![Arc::new(ReadLane { lane: Arc::new(read), deks })],
                schemas: HashMap::from([(SchemaRef::Id(1), Ok(0))]),
            },
            frames: PackedRows { buffer: Vec::new(), offsets: vec![0] },
            write_ns: f64::MAX,
            read_ns: f64::MAX,
        };
        let pool = Pool::default();
        let sealed = Encryption { write: &ways.write, rows, pool: &pool, threads: 1 }.to_arenas();
        assert_eq!(sealed[0].1.counts.sealed, u64::try_from(values).unwrap(), "values that were sealed");
        ways.frames = PackedRows::of(&sealed);
        let bodies = PackedRows::of(&ways.reading(&pool).to_arenas());
        assert!(bodies.offsets == rows.offsets && bodies.buffer == rows.buffer, "the bodies come back");
        ways
    }

    fn reading<'a>(&'a self, pool: &'a Pool) -> Decryption<'a, PackedRows> {
        Decryption { table: &self.read, rows: &self.frames, misses: 0, pool, threads: 1 }
    }

    fn run(&mut self, rows: &PackedRows, pool: &Pool) {
        let ns = best(|| {
            assert!(faultless(&Encryption { write: &self.write, rows, pool, threads: 1 }.to_arenas()));
        });
        self.write_ns = self.write_ns.min(ns);
        let ns = best(|| {
            black_box(self.reading(pool).to_arenas());
        });
        self.read_ns = self.read_ns.min(ns);
    }
}

fn best(mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64() * 1e9 / ROWS_F64
}

fn layer(workload: &Workload) -> Layer {
    Layer { algorithm: workload.algorithm, prefixed: false }
}

/// Both ways of a workload under a key, checked.
fn ways(workload: &Workload, proto: &[u8], provider: Provider, rows: &PackedRows) -> Ways {
    let schema = Schema::parse(&workload.schema.to_string(), &[]).unwrap();
    let rules = [["PII".to_owned()].into()];
    let hits = select(&schema, &Patterns::default(), &rules, None);
    let lane = |mode| {
        let options = PlanOptions { mode, exact: false, inheritance: Inheritance::Own };
        Lane::new(compile(&schema, &hits, options).unwrap(), vec![layer(workload)], 0)
    };
    let cipher = Cipher::new(workload.algorithm, proto, 1, provider).unwrap();
    Ways::checked(cipher, [Mode::Write, Mode::Read].map(lane), rows, ROWS * workload.values.0)
}

fn measure(workload: &Workload) -> Value {
    let proto = generate_key_proto(workload.algorithm).unwrap();
    let rows = PackedRows::new(&workload.bodies);
    let pool = Pool::default();
    let (count, len) = workload.values;
    let mut providers =
        [Provider::Auto, Provider::Ring].map(|provider| ways(workload, &proto, provider, &rows));
    let key = &proto[2..];
    let key = match workload.algorithm {
        Algorithm::Aes256Siv => Key::Siv(key.to_vec()),
        _ => Key::Gcm(Box::new(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).unwrap()))),
    };
    let size = layer(workload).sealed_len(LeafKind::Text, len);
    let mut bare = Bare { key, values: workload.values, out: vec![0; ROWS * count * size] };
    let (mut bare_ns, mut measure_ns) = (f64::MAX, f64::MAX);
    for _ in 0..ROUNDS {
        measure_ns = measure_ns.min(best(|| {
            let work = Encryption { write: &providers[0].write, rows: &rows, pool: &pool, threads: 1 };
            black_box(work.sizes());
        }));
        for ways in &mut providers {
            ways.run(&rows, &pool);
        }
        bare_ns = bare_ns.min(best(|| bare.run()));
    }
    let bare_ns = if count > 0 { json!(bare_ns) } else { Value::Null };
    let [auto, ring] = providers;
    json!({"workload": workload.name, "core_ns": auto.write_ns, "bare_ns": bare_ns, "measure_ns": measure_ns,
        "open_ns": auto.read_ns, "ring_core_ns": ring.write_ns, "ring_open_ns": ring.read_ns})
}

/// Seals and opens the batch so many times.
fn run_counted(workload: &Workload, provider: Provider, seals: usize, opens: usize) {
    let proto = generate_key_proto(workload.algorithm).unwrap();
    let rows = PackedRows::new(&workload.bodies);
    let pool = Pool::default();
    let ways = ways(workload, &proto, provider, &rows);
    for _ in 0..seals {
        let sealing = Encryption { write: &ways.write, rows: &rows, pool: &pool, threads: 1 };
        assert!(faultless(&sealing.to_arenas()));
    }
    for _ in 0..opens {
        assert!(faultless(&ways.reading(&pool).to_arenas()));
    }
}

/// Whether every row of a run succeeded; the compiler may not leave the run out.
fn faultless(arenas: &[(Arena, Outcome)]) -> bool {
    black_box(arenas).iter().all(|(_, outcome)| outcome.faults.is_empty())
}

#[allow(clippy::print_stdout)] // the document is the result
fn main() {
    let workloads = [
        strings("strings_10x5_gcm", 5, false, Algorithm::Aes256Gcm),
        strings("strings_10x1_gcm", 1, false, Algorithm::Aes256Gcm),
        strings("nullable_10x5_gcm", 5, true, Algorithm::Aes256Gcm),
        debezium(),
        strings("strings_10x5_siv", 5, false, Algorithm::Aes256Siv),
        strings("strings_10x0", 0, false, Algorithm::Aes256Gcm),
    ];
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [mode, name, provider, seals, opens] = &arguments[..]
        && mode == "--count"
    {
        let workload = workloads.iter().find(|workload| workload.name == name).expect("a workload's name");
        let provider = Provider::parse(provider).expect("a provider's name");
        return run_counted(workload, provider, seals.parse().unwrap(), opens.parse().unwrap());
    }
    let only = arguments.first().filter(|name| !name.starts_with("--")); // cargo bench adds --bench
    let chosen = workloads.iter().filter(|workload| only.is_none_or(|name| name == workload.name));
    println!("{}", json!({"results": chosen.map(measure).collect::<Vec<_>>()}));
}
