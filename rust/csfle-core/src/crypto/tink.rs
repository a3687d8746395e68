//! The form in which a DEK is wrapped: a bare, serialised Tink key proto.
//!
//! `AesGcmKey { uint32 version = 1; bytes key_value = 3 }` and
//! `AesSivKey { uint32 version = 1; bytes key_value = 2 }`, neither a keyset nor prefixed.

use zeroize::Zeroizing;

use super::Algorithm;
use crate::error::KeyError;

const VERSION: u64 = 1;
const WIRE_VARINT: u64 = 0;
const WIRE_BYTES: u64 = 2;

fn key_field(algorithm: Algorithm) -> u64 {
    match algorithm {
        Algorithm::Aes128Gcm | Algorithm::Aes256Gcm => 3,
        Algorithm::Aes256Siv => 2,
    }
}

/// Takes the key out of a proto: fields in any order, the last of a repeated one wins, version
/// absent or 0, nothing else, and exactly the key length of the algorithm.
pub(super) fn parse(algorithm: Algorithm, proto: &[u8]) -> Result<&[u8], KeyError> {
    let mut rest = proto;
    let mut version = 0;
    let mut key = None;
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        match (tag >> 3, tag & 7) {
            (VERSION, WIRE_VARINT) => version = varint(&mut rest)?,
            (field, WIRE_BYTES) if field == key_field(algorithm) => {
                let length = usize::try_from(varint(&mut rest)?).map_err(|_| KeyError::NotAKeyProto)?;
                if length > rest.len() {
                    return Err(KeyError::NotAKeyProto);
                }
                let (value, behind) = rest.split_at(length);
                key = Some(value);
                rest = behind;
            }
            _ => return Err(KeyError::NotAKeyProto),
        }
    }
    let key = key.filter(|_| version == 0).ok_or(KeyError::NotAKeyProto)?;
    if key.len() == algorithm.key_len() { Ok(key) } else { Err(KeyError::WrongLength) }
}

fn varint(rest: &mut &[u8]) -> Result<u64, KeyError> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, behind) = rest.split_first().ok_or(KeyError::NotAKeyProto)?;
        *rest = behind;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(KeyError::NotAKeyProto)
}

/// A fresh key from the operating system, as the proto that a KMS wraps.
pub fn generate_key_proto(algorithm: Algorithm) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let length = algorithm.key_len();
    let mut proto = Zeroizing::new(vec![0; 2 + length]);
    proto[0] = u8::try_from(key_field(algorithm) << 3 | WIRE_BYTES).map_err(|_| KeyError::NotAKeyProto)?;
    proto[1] = u8::try_from(length).map_err(|_| KeyError::NotAKeyProto)?; // one varint byte: below 128
    getrandom::fill(&mut proto[2..]).map_err(|_| KeyError::NoRandom)?;
    Ok(proto)
}
