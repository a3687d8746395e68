//! The three messages that every Confluent client's own tests hold: read here, and the
//! deterministic one made again byte for byte.

use std::collections::HashMap;
use std::sync::Arc;

use csfle_core::avro::{Mode, compile};
use csfle_core::crypto::{Algorithm, Cipher, Provider};
use csfle_core::framing::SchemaRef;
use csfle_core::lane::{DekVersions, Lane, ReadLane, WriteLane};
use csfle_core::value::Layer;

use crate::kit::bodies::body;
use crate::kit::hex;
use crate::kit::lanes::{Results, open, seal, table};
use crate::kit::plans::{READ, WRITE, hits, schema, tags};

const SCHEMA: &str = r#"{"type":"record","name":"f1Schema","fields":[
    {"name":"f1","type":"string","confluent:tags":["PII"]}]}"#;

struct Vector {
    layer: Layer,
    proto: &'static str,
    message: &'static str,
}

const GCM: Vector = Vector {
    layer: Layer { algorithm: Algorithm::Aes256Gcm, prefixed: false },
    proto: "1a2041e5234c24a6a4f85b1d8237e99a12df8722f0c21837556acd0ec7adde5869cf",
    message: "0000000001687a67792f6a464e4d562f6546696c6148724d796542676461567a725230756447656f74573863412f4a616c37756b\
              722b4d2f797a",
};
const SIV: Vector = Vector {
    layer: Layer { algorithm: Algorithm::Aes256Siv, prefixed: false },
    proto: "12409b971301e8ef5f0d9ce82e8cb28ef8fb14fa74944f4e5a958f598389958e1e392b76c3e213b4a726c8437e3f0ee4a137bde3f4\
            b8990e07aa8a050c8e7115498f",
    message: "0000000001484436597478726c426e6b545757394e3656626b3349496e6a57483831786d5968336b3464",
};
const ROTATED: Vector = Vector {
    layer: Layer { algorithm: Algorithm::Aes256Gcm, prefixed: true },
    proto: "1a2008d571545a5c3517771440b4a8fe1fd2283b4a2272e12e867c9b6761ee0e9666",
    message: "000000000178414141414141473448493662316e585058714c79473863494933354e4851736571715543642b49654c65465641654e\
              705353336678506e4a3332413d",
};

fn lane(vector: &Vector, mode: Mode) -> Arc<Lane> {
    let schema = schema(SCHEMA);
    let options = if mode == Mode::Write { WRITE } else { READ };
    let plan = compile(&schema, &hits(&schema, &[tags(&["PII"])]), options).unwrap();
    Arc::new(Lane::new(plan, vec![vector.layer], 0))
}

fn cipher(vector: &Vector) -> Arc<Cipher> {
    Arc::new(Cipher::new(vector.layer.algorithm, &hex(vector.proto), 1, Provider::Auto).unwrap())
}

fn read(vector: &Vector, message: &[u8]) -> Results {
    let deks = DekVersions { loaded: HashMap::from([(1, cipher(vector))]), ..DekVersions::default() };
    let lane = ReadLane { lane: lane(vector, Mode::Read), deks: vec![deks] };
    open(&table([(1, lane)]), &[Some(message)][..], 1)
}

fn write(vector: &Vector) -> Vec<u8> {
    let frame = SchemaRef::Id(1).to_bytes();
    let write = WriteLane { lane: lane(vector, Mode::Write), ciphers: vec![cipher(vector)], frame };
    let whole = body().text("hello world").0;
    seal(&write, &[Some(&whole)], 1).all().remove(0)
}

#[test]
fn all_three_upstream_messages_are_read() {
    for vector in [GCM, SIV, ROTATED] {
        assert_eq!(read(&vector, &hex(vector.message)).all(), [body().text("hello world").0]);
    }
}

#[test]
fn the_deterministic_upstream_message_is_made_again_byte_for_byte() {
    assert_eq!(write(&SIV), hex(SIV.message));
}

#[test]
fn ours_have_the_length_and_the_prefix_of_the_upstream_ones() {
    for vector in [GCM, ROTATED] {
        let ours = write(&vector);
        assert_eq!(ours.len(), hex(vector.message).len());
        assert_eq!(ours[..6], hex(vector.message)[..6]);
        assert_eq!(read(&vector, &ours).all(), [body().text("hello world").0]);
    }
    let rotated = write(&ROTATED);
    assert!(rotated[6..].starts_with(b"AAAAAA"), "DEK version 1 within the base64 ...");
    assert!((b'E'..=b'H').contains(&rotated[12]), "... and two bits of the nonce behind it");
}
