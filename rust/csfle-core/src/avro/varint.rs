//! Avro's zig-zag variable-length integers.

use crate::error::Code;

/// Most bytes that a 64-bit varint takes.
pub(super) const MAX_BYTES: usize = 10;

/// Reads a long at the start of `bytes`: value and bytes taken.
#[inline]
pub(super) fn read_long(bytes: &[u8]) -> Result<(i64, usize), Code> {
    match bytes.first() {
        Some(&byte) if byte < 0x80 => Ok((unzigzag(u64::from(byte)), 1)),
        Some(_) => read_long_slow(bytes),
        None => Err(Code::Truncated),
    }
}

#[cold]
fn read_long_slow(bytes: &[u8]) -> Result<(i64, usize), Code> {
    let mut value = 0u64;
    for (index, &byte) in bytes.iter().take(MAX_BYTES).enumerate() {
        let bits = u64::from(byte & 0x7f);
        if index == MAX_BYTES - 1 && byte > 1 {
            return Err(Code::VarintTooLong);
        }
        value |= bits << (7 * index);
        if byte < 0x80 {
            return Ok((unzigzag(value), index + 1));
        }
    }
    Err(if bytes.len() < MAX_BYTES { Code::Truncated } else { Code::VarintTooLong })
}

#[inline]
#[allow(clippy::cast_possible_wrap)] // zig-zag is defined on the bits
fn unzigzag(value: u64) -> i64 {
    ((value >> 1) as i64) ^ -((value & 1) as i64)
}

/// Writes a long to the start of `buffer`: bytes taken.
#[inline]
#[allow(clippy::cast_sign_loss, clippy::cast_possible_truncation)] // zig-zag is defined on the bits, and so is the low byte
pub fn write_long(value: i64, buffer: &mut [u8; MAX_BYTES]) -> usize {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    let mut at = 0;
    while rest >= 0x80 {
        buffer[at] = (rest as u8) | 0x80;
        rest >>= 7;
        at += 1;
    }
    buffer[at] = rest as u8;
    at + 1
}

/// A length below a mebibyte as its bytes in a word, lowest first, and how many they are; 0 of them
/// for a longer one. A word goes to memory in one store, where single bytes would be read back.
#[inline]
pub(super) fn short_length(length: usize) -> (u32, usize) {
    let bits = length as u64;
    match length {
        0..0x40 => (low(bits << 1), 1),
        0x40..0x2000 => (low((bits << 1) & 0x7f | 0x80 | (bits >> 6) << 8), 2),
        0x2000..0x10_0000 => {
            (low((bits << 1) & 0x7f | 0x80 | ((bits >> 6) & 0x7f | 0x80) << 8 | (bits >> 13) << 16), 3)
        }
        _ => (0, 0),
    }
}

#[inline]
#[allow(clippy::cast_possible_truncation)] // at most three bytes are set
fn low(word: u64) -> u32 {
    word as u32
}

/// Bytes that a long takes.
#[inline]
#[allow(clippy::cast_sign_loss)] // zig-zag is defined on the bits
pub(super) fn long_len(value: i64) -> usize {
    let bits = u64::BITS - (((value << 1) ^ (value >> 63)) as u64 | 1).leading_zeros();
    bits.div_ceil(7) as usize
}
