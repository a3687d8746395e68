//! AES-GCM over many short values at once, composed of `RustCrypto`'s `aes` and `polyval`.
//!
//! A GCM library takes one value at a time, and with short values most of its time goes into what
//! every call costs. Here the counter blocks of many values are encrypted by one call to `aes`, which
//! is what its widest code is made for. No primitive is ours: AES, the products of GHASH and the
//! comparison of tags are those crates'. Ours is how they are put together, by NIST SP 800-38D with
//! a nonce of 96 bits and no associated data:
//!
//! ```text
//! J0 = nonce | 1                                   H = AES(0)
//! C  = text xor AES(J0 + 1) | AES(J0 + 2) | ...    the last block of the stream cut to the text
//! T  = AES(J0) xor GHASH_H(C, padded with zeros to whole blocks | bits of associated data | bits of C)
//! ```
//!
//! In a buffer the tag's 16 bytes stand behind each text, so the last block of a text, however short,
//! can be read and written whole.

use std::slice;
use std::sync::Arc;

use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use aes::{Aes128Enc, Aes256Enc};
use polyval::hazmat::FieldElement;
use polyval::universal_hash::{Reset, UhfBackend, UniversalHash};
use polyval::{ParBlocks, Polyval};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, optimization_barrier};

use super::nonces::{NONCE, Nonces};
use super::ring::TAG;
use super::{Algorithm, Sealer, Slot};
use crate::error::{Code, KeyError};

const BLOCK: usize = 16;

/// Bytes of the longest text that is worth it: ring, one by one, is faster with longer ones.
const LONGEST: usize = 128;

/// Blocks of key stream made by one call: as many as the widest code in `aes` takes at once.
const GROUP: usize = 64;

/// From more blocks than these on, a whole group costs `aes` less than the single blocks that it makes
/// of whatever its widest code leaves over.
const FEW: usize = 16;

type Block = [u8; BLOCK];

/// A key made ready for many short values; longer ones, and one alone, go to another sealer of it.
///
/// [`Provider`](super::Provider) gives it out only on processors with instructions for AES, and once it
/// was found to agree with ring. It is public so that tests can drive it on any machine.
pub struct Many {
    aes: Aes,
    ghash: Ghash,
    long: Arc<dyn Sealer>,
}

impl Many {
    /// Makes a key ready, whatever the processor. `long` has the same key.
    pub fn new(algorithm: Algorithm, key: &[u8], long: Arc<dyn Sealer>) -> Result<Self, KeyError> {
        let aes = Aes::new(algorithm, key)?;
        let mut zeros = [[0; BLOCK]];
        aes.encrypt(&mut zeros);
        let ghash = Ghash::new(&zeros[0]);
        zeros.as_flattened_mut().zeroize();
        Ok(Self { aes, ghash, long })
    }
}

impl Sealer for Many {
    fn seal(&self, buffer: &mut [u8], slots: &[Slot], nonces: &mut Nonces) -> Result<(), Code> {
        if !worth_it(slots) {
            return self.long.seal(buffer, slots, nonces);
        }
        for slot in slots {
            if is_short(slot) {
                buffer[slot.start..slot.start + NONCE].copy_from_slice(&nonces.draw()?);
            } else {
                self.long.seal(buffer, slice::from_ref(slot), nonces)?;
            }
        }
        let (mut stream, mut ghash) = (KeyStream::new(), self.ghash.clone());
        for group in groups(slots) {
            stream.make(&self.aes, buffer, &slots[group.clone()]);
            let mut ahead = &stream.blocks[..];
            for slot in slots[group].iter().filter(|slot| is_short(slot)) {
                let (mask, pads) = next_value(&mut ahead, slot);
                let sealed = text_and_tag(buffer, slot);
                crypt(sealed, slot.text, pads);
                let tag = ghash.digest(sealed, slot.text) ^ u128::from_be_bytes(*mask);
                sealed[slot.text..].copy_from_slice(&tag.to_be_bytes());
            }
        }
        Ok(())
    }

    fn open(&self, buffer: &mut [u8], slots: &[Slot], opened: &mut [bool]) {
        if !worth_it(slots) {
            return self.long.open(buffer, slots, opened);
        }
        for (slot, opened) in slots.iter().zip(&mut *opened).filter(|(slot, _)| !is_short(slot)) {
            self.long.open(buffer, slice::from_ref(slot), slice::from_mut(opened));
        }
        let (mut stream, mut ghash) = (KeyStream::new(), self.ghash.clone());
        for group in groups(slots) {
            stream.make(&self.aes, buffer, &slots[group.clone()]);
            let mut ahead = &stream.blocks[..];
            let flags = slots[group.clone()].iter().zip(&mut opened[group]);
            for (slot, opened) in flags.filter(|(slot, _)| is_short(slot)) {
                let (mask, pads) = next_value(&mut ahead, slot);
                let sealed = text_and_tag(buffer, slot);
                let tag = ghash.digest(sealed, slot.text) ^ u128::from_be_bytes(*mask);
                let mut found = [0; TAG];
                found.copy_from_slice(&sealed[slot.text..]);
                *opened = tag.ct_eq(&u128::from_be_bytes(found)).into();
                // Nothing is decrypted before its tag is found right.
                if *opened {
                    crypt(sealed, slot.text, pads);
                } else {
                    sealed[..slot.text].zeroize();
                }
            }
        }
    }
}

fn is_short(slot: &Slot) -> bool {
    slot.text <= LONGEST
}

/// Whether there is more to share the cost of a call than a single value, and any that is short.
fn worth_it(slots: &[Slot]) -> bool {
    slots.len() > 1 && slots.iter().any(is_short)
}

/// Blocks of key stream that a value of this provider takes: one for its tag, and those of its text.
fn stream_blocks(slot: &Slot) -> usize {
    if is_short(slot) { 1 + slot.text.div_ceil(BLOCK) } else { 0 }
}

/// Cuts slots, by position, into runs whose key streams fit into one group.
fn groups(slots: &[Slot]) -> impl Iterator<Item = std::ops::Range<usize>> {
    const { assert!(LONGEST.div_ceil(BLOCK) < GROUP, "every value fits, with the block of its tag") }
    let mut start = 0;
    std::iter::from_fn(move || {
        let mut blocks = 0;
        let fits = |slot: &&Slot| {
            blocks += stream_blocks(slot);
            blocks <= GROUP
        };
        let group = start..start + slots[start..].iter().take_while(fits).count();
        start = group.end;
        (!group.is_empty()).then_some(group)
    })
}

/// What stands behind a value's nonce.
fn text_and_tag<'a>(buffer: &'a mut [u8], slot: &Slot) -> &'a mut [u8] {
    let start = slot.start + NONCE;
    &mut buffer[start..start + slot.text + TAG]
}

/// Takes a value's own blocks off a key stream: the one that masks its tag, and those for its text.
fn next_value<'a>(ahead: &mut &'a [Block], slot: &Slot) -> (&'a Block, &'a [Block]) {
    let (own, behind) = ahead.split_at(stream_blocks(slot));
    *ahead = behind;
    (&own[0], &own[1..])
}

/// Encrypts or decrypts: the text xor the key stream. The tag behind it stays as it is.
fn crypt(text_and_tag: &mut [u8], text: usize, pads: &[Block]) {
    let (blocks, _) = text_and_tag.as_chunks_mut();
    let (whole, rest) = (text / BLOCK, text % BLOCK);
    for (block, pad) in blocks[..whole].iter_mut().zip(pads) {
        *block = xor(*block, *pad);
    }
    if rest > 0 {
        blocks[whole] = xor(blocks[whole], first_bytes(pads[whole], rest));
    }
}

fn xor(one: Block, other: Block) -> Block {
    (u128::from_ne_bytes(one) ^ u128::from_ne_bytes(other)).to_ne_bytes()
}

/// The first so many bytes of a block, fewer than all, and zeros behind them.
fn first_bytes(block: Block, bytes: usize) -> Block {
    (u128::from_le_bytes(block) & ((1 << (8 * bytes)) - 1)).to_le_bytes()
}

/// The two schedules. `Enc`, because GCM decrypts by encrypting too.
enum Aes {
    Aes128(Aes128Enc),
    Aes256(Aes256Enc),
}

impl Aes {
    fn new(algorithm: Algorithm, key: &[u8]) -> Result<Self, KeyError> {
        match algorithm {
            Algorithm::Aes128Gcm => Aes128Enc::new_from_slice(key).map(Self::Aes128),
            Algorithm::Aes256Gcm => Aes256Enc::new_from_slice(key).map(Self::Aes256),
            Algorithm::Aes256Siv => return Err(KeyError::UnknownAlgorithm),
        }
        .map_err(|_| KeyError::WrongLength)
    }

    fn encrypt(&self, blocks: &mut [Block]) {
        let blocks = Array::cast_slice_from_core_mut(blocks);
        match self {
            Self::Aes128(aes) => aes.encrypt_blocks(blocks),
            Self::Aes256(aes) => aes.encrypt_blocks(blocks),
        }
    }
}

/// The key stream of one group of values. Made once a call and wiped at its end, as far as it was used.
struct KeyStream {
    blocks: [Block; GROUP],
    used: usize,
}

impl KeyStream {
    fn new() -> Self {
        Self { blocks: [[0; BLOCK]; GROUP], used: 0 }
    }

    /// For each short value of a group, the block that masks its tag and those for its text.
    fn make(&mut self, aes: &Aes, buffer: &[u8], group: &[Slot]) {
        let mut needed = 0;
        for slot in group {
            let mut counter = [0; BLOCK];
            counter[..NONCE].copy_from_slice(&buffer[slot.start..slot.start + NONCE]);
            let nonce = u128::from_be_bytes(counter);
            let own = &mut self.blocks[needed..needed + stream_blocks(slot)];
            // The counter's 32 bits never carry: a value has a few blocks, and counts from 1.
            for (count, block) in (1..).zip(&mut *own) {
                *block = (nonce | count).to_be_bytes();
            }
            needed += own.len();
        }
        // Beyond what is needed stand zeros, which become the hash key, or an older stream: it is
        // all wiped in the end.
        let made = if needed > FEW { GROUP } else { needed };
        self.used = self.used.max(made);
        aes.encrypt(&mut self.blocks[..made]);
    }
}

impl Drop for KeyStream {
    fn drop(&mut self) {
        self.blocks[..self.used].as_flattened_mut().zeroize();
    }
}

/// GHASH under one key, by way of POLYVAL, which is the same with the bytes of each block reversed
/// and its key times x (RFC 8452, appendix A).
///
/// The key is kept in a form made for it. A call works on a copy of its own.
#[derive(Clone)]
struct Ghash(Polyval);

impl Ghash {
    fn new(key: &Block) -> Self {
        let mut key = polyval::Key::from(FieldElement::from(*key).reverse().mulx());
        let ghash = Self(Polyval::new(&key));
        key.as_mut_slice().zeroize();
        ghash
    }

    /// The hash of a ciphertext and its length, as a big-endian number. What stands behind the
    /// ciphertext in its last block is not looked at.
    ///
    /// `polyval` is fastest with four blocks at a time. Zeros before the first block leave the hash as
    /// it is, so the first four are filled up from the front, and the length ends the last four: a
    /// value of up to 48 bytes is a single step.
    fn digest(&mut self, text_and_tag: &[u8], text: usize) -> u128 {
        let (blocks, _) = text_and_tag.as_chunks();
        let (whole, rest) = (text / BLOCK, text % BLOCK);
        let mut four = ParBlocks::default();
        let mut next = 3 - text.div_ceil(BLOCK) % 4;
        self.0.reset();
        for block in &blocks[..whole] {
            four[next] = reversed(*block);
            next += 1;
            if next == 4 {
                self.0.proc_par_blocks(&four);
                next = 0;
            }
        }
        if rest > 0 {
            four[next] = reversed(first_bytes(blocks[whole], rest)); // the last one comes third
        }
        // Two numbers of 64 bits: no bits of associated data, and those of the text.
        four[3] = reversed((8 * text as u128).to_be_bytes());
        self.0.proc_par_blocks(&four);
        // Only its few bytes of state are read of the copy; the compiler makes none of the rest.
        u128::from_le_bytes(self.0.clone().finalize().into())
    }
}

/// `polyval` can wipe itself, but then it also wipes the copy that reading a hash takes, with every
/// value. Overwriting it where it ends costs once a call.
impl Drop for Ghash {
    fn drop(&mut self) {
        self.0 = Polyval::new(&polyval::Key::default());
        optimization_barrier(&self.0);
    }
}

fn reversed(block: Block) -> polyval::Block {
    u128::from_le_bytes(block).to_be_bytes().into()
}
