//! The layout of one encrypted value.
//!
//! `ciphertext = [00 | DEK version, int32 big endian] head text tail`; bytes carry it as it is,
//! strings as standard, padded base64.

use base64_simd::{Out, STANDARD};

use crate::avro::LeafKind;
use crate::crypto::Algorithm;
use crate::error::Code;

/// Bytes of the DEK version prefix.
pub const PREFIX: usize = 5;

/// How one rule writes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layer {
    /// Its DEK algorithm.
    pub algorithm: Algorithm,
    /// Whether the DEK version stands in front: rotation is on.
    pub prefixed: bool,
}

impl Layer {
    /// Bytes of the prefix.
    #[inline]
    pub fn prefix_len(self) -> usize {
        if self.prefixed { PREFIX } else { 0 }
    }

    /// Bytes that this layer adds to a text.
    #[inline]
    pub fn added(self) -> usize {
        self.prefix_len() + self.algorithm.overhead()
    }

    /// Bytes of the sealed form of a value of `len` bytes.
    #[inline]
    pub fn sealed_len(self, kind: LeafKind, len: usize) -> usize {
        sealed_len(kind, len + self.added())
    }

    /// Bytes of what is inside a sealed value, by its length alone.
    pub fn opened_len(self, kind: LeafKind, value: &[u8]) -> Result<usize, Code> {
        opened_len(kind, self.added(), value)
    }
}

/// Bytes that a value carries for a ciphertext of `len` bytes.
#[inline]
pub(crate) fn sealed_len(kind: LeafKind, len: usize) -> usize {
    match kind {
        LeafKind::Bytes => len,
        LeafKind::Text => STANDARD.encoded_length(len),
    }
}

/// Bytes of what is inside a value under a layer that adds `added`.
#[inline]
pub(crate) fn opened_len(kind: LeafKind, added: usize, value: &[u8]) -> Result<usize, Code> {
    let ciphertext = match kind {
        LeafKind::Bytes => value.len(),
        LeafKind::Text => decoded_len(value, added)?,
    };
    ciphertext.checked_sub(added).ok_or(Code::NotCiphertext)
}

/// Bytes behind padded base64, by its length and padding.
#[inline]
fn decoded_len(text: &[u8], least: usize) -> Result<usize, Code> {
    let padding = match text {
        [.., b'=', b'='] => 2,
        [.., b'='] => 1,
        _ => 0,
    };
    let decoded = (text.len() / 4 * 3).saturating_sub(padding);
    if !text.len().is_multiple_of(4) || decoded < least { Err(not_base64(text, least)) } else { Ok(decoded) }
}

/// Tells plaintext from ciphertext whose base64 was damaged or loosely written: plaintext is too
/// short to be ciphertext, or holds characters that no form of base64 has.
#[cold]
fn not_base64(text: &[u8], least: usize) -> Code {
    let foreign = |byte: &u8| !(byte.is_ascii_alphanumeric() || b"+/-_=\r\n".contains(byte));
    if text.len() * 3 / 4 < least || text.iter().any(foreign) {
        Code::NotCiphertext
    } else {
        Code::InvalidBase64
    }
}

/// Decodes strict base64 to exactly fill `into`.
#[inline]
pub(crate) fn decode_base64(text: &[u8], into: &mut [u8]) -> Result<(), Code> {
    match STANDARD.decode(text, Out::from_slice(into)) {
        Ok(decoded) if decoded.len() == STANDARD.decoded_length(text).unwrap_or(usize::MAX) => Ok(()),
        _ => Err(not_base64(text, 0)),
    }
}

/// Encodes `ciphertext` to exactly fill `into`.
#[inline]
pub(crate) fn encode_base64(ciphertext: &[u8], into: &mut [u8]) {
    let _ = STANDARD.encode(ciphertext, Out::from_slice(into));
}

/// The prefix of a DEK version.
#[inline]
pub(crate) fn prefix(version: i32) -> [u8; PREFIX] {
    let mut prefix = [0; PREFIX];
    prefix[1..].copy_from_slice(&version.to_be_bytes());
    prefix
}

/// Reads the DEK version in front of a ciphertext.
#[inline]
pub(crate) fn read_prefix(ciphertext: &[u8]) -> Result<i32, Code> {
    match ciphertext {
        [0, a, b, c, d, ..] => Ok(i32::from_be_bytes([*a, *b, *c, *d])),
        _ => Err(Code::BadVersionPrefix),
    }
}
