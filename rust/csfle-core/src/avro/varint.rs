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
