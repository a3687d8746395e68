//! What the targets share: schemas made of the input's bytes, and batches over them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use csfle_core::avro::{Mode, Plan, PlanOptions, compile};
use csfle_core::batch::{Decryption, Encryption};
use csfle_core::crypto::{Algorithm, Cipher, Provider};
use csfle_core::error::Fault;
use csfle_core::framing::SchemaRef;
use csfle_core::lane::{DekVersions, Lane, ReadLane, ReadTable, WriteLane};
use csfle_core::parallel::Pool;
use csfle_core::schema::{Inheritance, Patterns, Schema, select};
use csfle_core::value::Layer;
use libfuzzer_sys::arbitrary::{Result, Unstructured};

/// The JSON of a schema: all kinds of types, tags, recursion, and types used again.
pub fn schema(input: &mut Unstructured<'_>) -> Result<Schema> {
    let mut names = 0;
    let json = ty(input, &mut names, 0)?;
    // Everything made is valid, but for a union that holds one kind twice.
    Schema::parse(&json, &[]).map_err(|_| libfuzzer_sys::arbitrary::Error::IncorrectFormat)
}

fn name(names: &mut usize) -> String {
    *names += 1;
    format!("N{}", *names - 1)
}

fn ty(input: &mut Unstructured<'_>, names: &mut usize, depth: usize) -> Result<String> {
    let kinds = if depth > 6 { 11 } else { 16 };
    Ok(match input.int_in_range(0..=kinds)? {
        0..=2 => "\"string\"".into(),
        3 => "\"bytes\"".into(),
        4 => "\"null\"".into(),
        5 => "\"boolean\"".into(),
        6 => "\"int\"".into(),
        7 => "\"long\"".into(),
        8 => "\"double\"".into(),
        9 => format!(r#"{{"type":"fixed","name":"{}","size":{}}}"#, name(names), input.int_in_range(0..=9)?),
        10 => format!(r#"{{"type":"enum","name":"{}","symbols":["A","B"]}}"#, name(names)),
        11 if *names > 0 => format!("\"N{}\"", input.int_in_range(0..=*names - 1)?),
        11 => "\"float\"".into(),
        12 => format!(r#"{{"type":"array","items":{}}}"#, ty(input, names, depth + 1)?),
        13 => format!(r#"{{"type":"map","values":{}}}"#, ty(input, names, depth + 1)?),
        14 => {
            let branches = input.int_in_range(0..=3)?;
            let branches = (0..branches).map(|_| ty(input, names, depth + 1)).collect::<Result<Vec<_>>>()?;
            format!("[{}]", branches.join(","))
        }
        _ => {
            let name = name(names);
            let mut fields = Vec::new();
            for index in 0..input.int_in_range(0..=4)? {
                let tags = ["", r#","confluent:tags":["A"]"#, r#","confluent:tags":["A","B"]"#];
                let tags = tags[input.int_in_range(0..=2)?];
                fields
                    .push(format!(r#"{{"name":"f{index}","type":{}{tags}}}"#, ty(input, names, depth + 1)?));
            }
            format!(r#"{{"type":"record","name":"{name}","fields":[{}]}}"#, fields.join(","))
        }
    })
}

/// The plan of a schema under the rules `A` and `B`.
pub fn plan(schema: &Schema, mode: Mode, exact: bool, inheritance: Inheritance) -> Option<Plan> {
    let rules = ["A", "B"].map(|tag| BTreeSet::from([tag.to_owned()]));
    let hits = select(schema, &Patterns::default(), &rules, None);
    compile(schema, &hits, PlanOptions { mode, exact, inheritance }).ok()
}

/// Both ways of one schema.
pub struct Both {
    /// WRITE.
    pub write: WriteLane,
    /// READ, of schema id 1.
    pub read: ReadTable,
}

/// Lanes under SIV, so that frames can be compared; with and without prefixes and payload rules.
pub fn both(schema: &Schema, input: &mut Unstructured<'_>) -> Result<Option<Both>> {
    let algorithm = Algorithm::Aes256Siv;
    let (exact, payload) = (input.arbitrary()?, input.int_in_range(0..=2)?);
    let mut layers = Vec::new();
    for _ in 0..2 + payload {
        layers.push(Layer { algorithm, prefixed: input.arbitrary()? });
    }
    let lane = |mode| {
        let plan = plan(schema, mode, exact, Inheritance::Own)?;
        Some(Arc::new(Lane::new(plan, layers.clone(), payload)))
    };
    let (Some(write), Some(read)) = (lane(Mode::Write), lane(Mode::Read)) else {
        return Ok(None);
    };
    let proto = [&[0x12, 0x40][..], &[7; 64]].concat();
    let cipher = Arc::new(Cipher::new(algorithm, &proto, 1, Provider::Auto).expect("the proto is good"));
    let versions = || DekVersions { loaded: HashMap::from([(1, cipher.clone())]), ..DekVersions::default() };
    let read = ReadLane { lane: read, deks: layers.iter().map(|_| versions()).collect() };
    Ok(Some(Both {
        write: WriteLane {
            lane: write,
            ciphers: layers.iter().map(|_| cipher.clone()).collect(),
            frame: SchemaRef::Id(1).to_bytes(),
        },
        read: ReadTable { lanes: vec![Arc::new(read)], schemas: HashMap::from([(SchemaRef::Id(1), Ok(0))]) },
    }))
}

/// Rows of a result, and the faults among them.
pub type Rows = (Vec<Vec<u8>>, Vec<(usize, Fault)>);

fn cut(bytes: &[u8], ends: &[usize]) -> Vec<Vec<u8>> {
    [&[0], ends].concat().windows(2).map(|at| bytes[at[0]..at[1]].to_vec()).collect()
}

/// Encrypts as a list, and checks that one buffer gives the same.
pub fn encrypt(write: &WriteLane, rows: &[Option<&[u8]>]) -> Rows {
    let pool = Pool::default();
    let batch = Encryption { write, rows, pool: &pool, threads: 1 };
    let (arena, outcome) = batch.to_arenas().remove(0);
    let list = cut(arena.as_slice(), &outcome.ends);
    let sizes = batch.sizes();
    let mut buffer = vec![0xAA; sizes.iter().sum()];
    let packed = batch.to_buffer(&mut buffer, &sizes);
    compare(&list, &buffer, &packed.offsets);
    (list, outcome.faults)
}

/// Decrypts as a list, and checks that one buffer gives the same.
pub fn decrypt(table: &ReadTable, rows: &[Option<&[u8]>]) -> Rows {
    let pool = Pool::default();
    let batch = Decryption { table, rows, misses: 64, pool: &pool, threads: 1 };
    let (arena, outcome) = batch.to_arenas().remove(0);
    let list = cut(arena.as_slice(), &outcome.ends);
    let sizes = batch.sizes();
    let mut buffer = vec![0xAA; sizes.iter().sum()];
    let packed = batch.to_buffer(&mut buffer, &sizes);
    compare(&list, &buffer, &packed.offsets);
    (list, outcome.faults)
}

fn compare(list: &[Vec<u8>], buffer: &[u8], offsets: &[i64]) {
    let at: Vec<usize> =
        offsets.iter().map(|at| usize::try_from(*at).expect("no offset is negative")).collect();
    let packed: Vec<_> = at.windows(2).map(|at| buffer[at[0]..at[1]].to_vec()).collect();
    assert_eq!(packed, list, "one buffer and a list");
}
