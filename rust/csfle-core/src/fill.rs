//! Fill: seals or opens the values of many rows into their holes, all values of one key together.

use std::sync::Arc;

use zeroize::Zeroize;

use crate::avro::{Hole, LeafKind, Plan};
use crate::copy::copy;
use crate::crypto::{Cipher, Nonces, Slot};
use crate::error::{Code, Fault};
use crate::lane::{DekVersions, Lane, WriteLane};
use crate::value::{self, Layer};

/// Plaintext and ciphertext in work at once, in one thread; a single larger value stands alone.
const SCRATCH: usize = 48 << 10;

/// Room to begin with: enough for the values of one row as most are.
const FIRST: usize = 1 << 10;

/// Values in work. Wiped when it is dropped, as far as it was used.
#[derive(Default)]
pub(crate) struct Scratch {
    buffer: Vec<u8>,
    used: usize,
    most: usize,
    slots: Vec<Slot>,
    /// For each slot, its hole by position.
    holes: Vec<usize>,
    /// For each slot, whether it opened.
    opened: Vec<bool>,
}

impl Scratch {
    /// Makes room for `len` bytes more: where they start.
    #[inline]
    fn place(&mut self, len: usize) -> usize {
        let start = self.used;
        self.used += len;
        if self.buffer.len() < self.used {
            self.grow(start);
        }
        start
    }

    /// Growing moves the buffer, and the old one must not keep plaintext.
    #[cold]
    fn grow(&mut self, filled: usize) {
        let mut grown = vec![0; self.used.max(2 * self.buffer.len()).max(FIRST)];
        grown[..filled].copy_from_slice(&self.buffer[..filled]);
        self.buffer.zeroize();
        self.buffer = grown;
    }

    fn push(&mut self, slot: Slot, hole: usize) {
        self.slots.push(slot);
        self.holes.push(hole);
    }

    /// Whether `len` bytes more would be too many beside what is in it.
    fn full(&self, len: usize) -> bool {
        self.used > 0 && self.used + len > SCRATCH
    }

    fn clear(&mut self) {
        self.most = self.most.max(self.used);
        self.used = 0;
        self.slots.clear();
        self.holes.clear();
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let most = self.most.max(self.used);
        self.buffer[..most].zeroize();
    }
}

/// The bytes of a text within its slot's place.
fn text_range(layer: Layer, slot: Slot) -> std::ops::Range<usize> {
    let start = slot.start + layer.algorithm.layout().head;
    start..start + slot.text
}

/// Seals every hole of a group of rows, and counts the seals. `value(hole)` is what it waits for.
pub(crate) fn seal<'a>(
    write: &WriteLane,
    holes: &[Hole],
    value: impl Fn(&Hole) -> &'a [u8],
    out: &mut [u8],
    scratch: &mut Scratch,
    nonces: &mut Nonces,
) -> Result<u64, Code> {
    let lane = &*write.lane;
    scratch.clear(); // whatever an earlier group left when it failed
    for (rule, (layer, cipher)) in (0..=u16::MAX).zip(lane.layers.iter().zip(&write.ciphers)) {
        let added = layer.added();
        let before = added - layer.algorithm.layout().tail;
        for (index, hole) in holes.iter().enumerate() {
            if !lane.is_under_only(hole.leaf, rule) {
                continue;
            }
            let text = value(hole);
            if scratch.full(text.len() + added) {
                seal_scratch(lane, *layer, cipher, holes, out, scratch, nonces)?;
            }
            let start = scratch.place(text.len() + added);
            if layer.prefixed {
                scratch.buffer[start..start + value::PREFIX]
                    .copy_from_slice(&value::prefix(cipher.version()));
            }
            copy(&mut scratch.buffer[start + before..start + before + text.len()], text);
            scratch.push(Slot { start: start + layer.prefix_len(), text: text.len() }, index);
        }
        seal_scratch(lane, *layer, cipher, holes, out, scratch, nonces)?;
    }
    let mut seals = holes.len();
    for hole in holes {
        let leaf = &lane.plan.leaves[hole.leaf as usize];
        if leaf.rules.len() > 1 {
            seals += leaf.rules.len() - 1;
            let text = value(hole);
            seal_nested(
                write,
                (leaf.kind, &leaf.rules),
                text,
                &mut out[hole.at..hole.at + hole.len],
                scratch,
                nonces,
            )?;
        }
    }
    Ok(seals as u64)
}

fn seal_scratch(
    lane: &Lane,
    layer: Layer,
    cipher: &Cipher,
    holes: &[Hole],
    out: &mut [u8],
    scratch: &mut Scratch,
    nonces: &mut Nonces,
) -> Result<(), Code> {
    if scratch.slots.is_empty() {
        return Ok(());
    }
    cipher.seal(&mut scratch.buffer, &scratch.slots, nonces)?;
    for (slot, index) in scratch.slots.iter().zip(&scratch.holes) {
        let hole = &holes[*index];
        let start = slot.start - layer.prefix_len();
        let sealed = &scratch.buffer[start..start + slot.text + layer.added()];
        let into = &mut out[hole.at..hole.at + hole.len];
        match lane.plan.leaves[hole.leaf as usize].kind {
            LeafKind::Text => value::encode_base64(sealed, into),
            LeafKind::Bytes => into.copy_from_slice(sealed),
        }
    }
    scratch.clear();
    Ok(())
}

/// Seals one value under several rules, the first innermost.
fn seal_nested(
    write: &WriteLane,
    (kind, rules): (LeafKind, &[u16]),
    text: &[u8],
    into: &mut [u8],
    scratch: &mut Scratch,
    nonces: &mut Nonces,
) -> Result<(), Code> {
    let mut inner = text.to_vec();
    for rule in rules {
        let (layer, cipher) = (write.lane.layer(*rule), &write.ciphers[*rule as usize]);
        let start = scratch.place(inner.len() + layer.added());
        let slot = Slot { start: start + layer.prefix_len(), text: inner.len() };
        let prefix = &value::prefix(cipher.version())[..layer.prefix_len()];
        scratch.buffer[start..slot.start].copy_from_slice(prefix);
        scratch.buffer[text_range(layer, slot)].copy_from_slice(&inner);
        inner.zeroize();
        cipher.seal(&mut scratch.buffer, &[slot], nonces)?;
        let sealed = &scratch.buffer[start..scratch.used];
        inner = match kind {
            LeafKind::Bytes => sealed.to_vec(),
            LeafKind::Text => {
                let mut text = vec![0; layer.sealed_len(kind, slot.text)];
                value::encode_base64(sealed, &mut text);
                text
            }
        };
        scratch.clear();
    }
    into.copy_from_slice(&inner);
    Ok(())
}

/// What became of a value that could not be opened.
pub(crate) enum Unopened {
    /// Its row fails.
    Fault(Fault),
    /// The snapshot lacks this DEK version of this rule.
    Miss { rule: u16, version: i32 },
}

/// Opens every hole of a group of rows in one pass. Values that do not open are reported with
/// their hole; theirs stays empty.
pub(crate) fn open<'a>(
    (lane, deks): (&Lane, &[DekVersions]),
    pass: usize,
    holes: &[Hole],
    body: impl Fn(u32) -> &'a [u8],
    out: &mut [u8],
    scratch: &mut Scratch,
    unopened: &mut dyn FnMut(&Hole, Unopened),
) {
    for (rule, (layer, versions)) in (0..=u16::MAX).zip(lane.layers.iter().zip(deks)) {
        let mut current: Option<&Arc<Cipher>> = None;
        for (index, hole) in holes.iter().enumerate() {
            let leaf = &lane.plan.leaves[hole.leaf as usize];
            if Plan::rule_of_pass(leaf, pass) != rule {
                continue;
            }
            let sealed = &body(hole.row)[hole.value..hole.value + hole.value_len];
            if let Some(cipher) = current.filter(|_| scratch.full(hole.len + layer.added())) {
                open_scratch(lane, *layer, cipher, holes, out, scratch, unopened);
                current = None;
            }
            let before = scratch.place(hole.len + layer.added());
            let slot = Slot { start: before + layer.prefix_len(), text: hole.len };
            let place = &mut scratch.buffer[before..scratch.used];
            let cipher = match leaf.kind {
                LeafKind::Text => value::decode_base64(sealed, place),
                LeafKind::Bytes => {
                    place.copy_from_slice(sealed);
                    Ok(())
                }
            };
            let cipher = cipher
                .and_then(|()| if layer.prefixed { value::read_prefix(place) } else { Ok(1) })
                .map_err(Fault::of)
                .and_then(|version| Ok((version, versions.get(version)?)));
            let cipher = match cipher {
                Ok((_, Some(cipher))) => cipher,
                other => {
                    scratch.used = before;
                    let why = match other {
                        Err(fault) => Unopened::Fault(fault),
                        Ok((version, _)) => Unopened::Miss { rule, version },
                    };
                    unopened(hole, why);
                    continue;
                }
            };
            if let Some(other) = current.filter(|other| !Arc::ptr_eq(other, cipher)) {
                // The value just placed is not under the key of those before it.
                let used = scratch.used;
                open_scratch(lane, *layer, other, holes, out, scratch, unopened);
                scratch.buffer.copy_within(before..used, 0);
                scratch.used = used - before;
                scratch.push(Slot { start: layer.prefix_len(), text: slot.text }, index);
            } else {
                scratch.push(slot, index);
            }
            current = Some(cipher);
        }
        if let Some(cipher) = current {
            open_scratch(lane, *layer, cipher, holes, out, scratch, unopened);
        }
        scratch.clear();
    }
}

fn open_scratch(
    lane: &Lane,
    layer: Layer,
    cipher: &Cipher,
    holes: &[Hole],
    out: &mut [u8],
    scratch: &mut Scratch,
    unopened: &mut dyn FnMut(&Hole, Unopened),
) {
    let Scratch { buffer, slots, opened, .. } = scratch;
    cipher.open(buffer, slots, opened);
    for ((slot, index), opened) in scratch.slots.iter().zip(&scratch.holes).zip(&scratch.opened) {
        let hole = &holes[*index];
        if !opened {
            unopened(hole, Unopened::Fault(Fault::of(Code::AuthenticationFailed)));
            continue;
        }
        let text = &scratch.buffer[text_range(layer, *slot)];
        let is_text = lane.plan.leaves[hole.leaf as usize].kind == LeafKind::Text;
        if is_text && !text.is_ascii() && std::str::from_utf8(text).is_err() {
            unopened(hole, Unopened::Fault(Fault::of(Code::InvalidUtf8)));
            continue;
        }
        copy(&mut out[hole.at..hole.at + hole.len], text);
    }
    scratch.clear();
}
