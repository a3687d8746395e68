//! The check that a key passes before it is used by code that is not a library's own GCM.

use super::nonces::{NONCE, Nonces};
use super::ring::TAG;
use super::{Sealer, Slot};

/// Bytes of the texts that are sealed: none, around whole blocks, common lengths, the longest that are
/// worked on together. With their tags they take 73 blocks of key stream, so they make one whole group
/// and a small one.
const TEXTS: [usize; 16] = [0, 1, 15, 16, 17, 24, 32, 33, 47, 48, 49, 64, 100, 127, 128, 128];

/// Whether two sealers of one key open each other's values, and ours refuses forged ones and wipes them.
///
/// A key is put to it each time it is made ready, since this is where a fault of a processor, of a
/// compiler or of our own would show. The texts are known to all, and what is sealed is seen by nobody
/// and dropped, so it does not count towards a key's budget. Without random numbers it fails.
pub fn agree(ours: &dyn Sealer, trusted: &dyn Sealer) -> bool {
    let plain = Values::plain();
    let (Some(by_ours), Some(mut by_trusted)) = (plain.sealed_by(ours), plain.sealed_by(trusted)) else {
        return false;
    };
    let texts = Some(plain.texts());
    if by_ours.opened_by(trusted, true) != texts || by_trusted.opened_by(ours, true) != texts {
        return false;
    }
    by_trusted.forge();
    by_trusted.opened_by(ours, false).is_some_and(|wiped| wiped.iter().all(|byte| *byte == 0))
}

/// Values one behind the other in a buffer.
#[derive(Clone)]
struct Values {
    buffer: Vec<u8>,
    slots: Vec<Slot>,
}

impl Values {
    fn plain() -> Self {
        let mut start = 0;
        let slots = TEXTS.map(|text| {
            let slot = Slot { start, text };
            start += NONCE + text + TAG;
            slot
        });
        // Any bytes that differ.
        let buffer = (0..start).map(|at| at.to_le_bytes()[0]).collect();
        Self { buffer, slots: slots.to_vec() }
    }

    fn sealed_by(&self, sealer: &dyn Sealer) -> Option<Self> {
        let mut values = self.clone();
        let mut nonces = Nonces::for_chunk(values.slots.len()).ok()?;
        sealer.seal(&mut values.buffer, &values.slots, &mut nonces).ok()?;
        Some(values)
    }

    /// What stands in the places of the texts once a sealer was asked to open all, or None where not
    /// every value opened or, where none is to, one did.
    fn opened_by(&self, sealer: &dyn Sealer, all: bool) -> Option<Vec<u8>> {
        let (mut buffer, mut opened) = (self.buffer.clone(), vec![false; self.slots.len()]);
        sealer.open(&mut buffer, &self.slots, &mut opened);
        let as_it_should = opened.iter().all(|opened| *opened == all);
        as_it_should.then(|| Self { buffer, slots: self.slots.clone() }.texts())
    }

    fn texts(&self) -> Vec<u8> {
        let texts = self.slots.iter().map(|slot| &self.buffer[slot.start + NONCE..][..slot.text]);
        texts.collect::<Vec<_>>().concat()
    }

    /// Changes one bit of every tag, in a different byte of each.
    fn forge(&mut self) {
        for (byte, slot) in self.slots.iter().enumerate() {
            self.buffer[slot.start + NONCE + slot.text + byte % TAG] ^= 1;
        }
    }
}
