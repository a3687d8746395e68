//! Batches of values for AES-GCM, and the two libraries that say what must come of them.

use aes_gcm::aead::{Aead, KeyInit};
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use csfle_core::crypto::{Algorithm, Many, Nonces, Sealer, Slot};
use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use super::providers::many;
use super::random::Choices;

const NONCE: usize = 12;
const TAG: usize = 16;

/// One random key in ours and in two libraries' hands.
pub struct Oracles {
    pub many: Many,
    ring: LessSafeKey,
    rust_crypto: RustCrypto,
}

enum RustCrypto {
    Aes128(Box<Aes128Gcm>),
    Aes256(Box<Aes256Gcm>),
}

impl Oracles {
    pub fn new(algorithm: Algorithm, choices: &mut Choices) -> Self {
        let key: Vec<u8> = (0..algorithm.key_len()).map(|_| choices.byte()).collect();
        let (unbound, rust_crypto) = match algorithm {
            Algorithm::Aes128Gcm => {
                (&AES_128_GCM, RustCrypto::Aes128(Aes128Gcm::new_from_slice(&key).unwrap().into()))
            }
            _ => (&AES_256_GCM, RustCrypto::Aes256(Aes256Gcm::new_from_slice(&key).unwrap().into())),
        };
        let ring = LessSafeKey::new(UnboundKey::new(unbound, &key).unwrap());
        Self { many: many(algorithm, &key), ring, rust_crypto }
    }

    fn by_ring(&self, nonce: [u8; NONCE], text: &[u8]) -> Vec<u8> {
        let mut sealed = text.to_vec();
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.ring.seal_in_place_append_tag(nonce, Aad::empty(), &mut sealed).unwrap();
        sealed
    }

    fn by_rust_crypto(&self, nonce: [u8; NONCE], text: &[u8]) -> Vec<u8> {
        match &self.rust_crypto {
            RustCrypto::Aes128(key) => key.encrypt(&nonce.into(), text),
            RustCrypto::Aes256(key) => key.encrypt(&nonce.into(), text),
        }
        .unwrap()
    }
}

/// Values in a buffer, with foreign ground between them.
pub struct Batch {
    buffer: Vec<u8>,
    slots: Vec<Slot>,
    texts: Vec<Vec<u8>>,
}

impl Batch {
    /// Random texts of these lengths.
    pub fn new(lengths: &[usize], choices: &mut Choices) -> Self {
        let texts: Vec<Vec<u8>> =
            lengths.iter().map(|length| (0..*length).map(|_| choices.byte()).collect()).collect();
        let mut buffer = Vec::new();
        let mut slots = Vec::new();
        for text in &texts {
            buffer.extend((0..choices.index(4)).map(|_| 0xEE));
            slots.push(Slot { start: buffer.len(), text: text.len() });
            buffer.extend([0xAA; NONCE]);
            buffer.extend(text);
            buffer.extend([0xAA; TAG]);
        }
        buffer.push(0xEE);
        Self { buffer, slots, texts }
    }

    /// Gives two values in the other order; they stay where they stand.
    pub fn swap(&mut self, one: usize, other: usize) {
        self.slots.swap(one, other);
        self.texts.swap(one, other);
    }

    /// Seals all.
    pub fn seal(&mut self, sealer: &dyn Sealer) {
        let mut nonces = Nonces::for_chunk(self.slots.len()).unwrap();
        sealer.seal(&mut self.buffer, &self.slots, &mut nonces).unwrap();
    }

    /// Seals all with ours, compares with what both libraries make of the same nonces, opens all again,
    /// and once more with every third one forged.
    pub fn check(&mut self, oracles: &Oracles) {
        self.seal(&oracles.many);
        for (slot, text) in self.slots.iter().zip(&self.texts) {
            let (nonce, sealed) = self.buffer[slot.start..][..NONCE + text.len() + TAG].split_at(NONCE);
            let nonce = nonce.try_into().unwrap();
            assert_eq!(sealed, oracles.by_ring(nonce, text), "ring, {} bytes", text.len());
            assert_eq!(sealed, oracles.by_rust_crypto(nonce, text), "aes-gcm, {} bytes", text.len());
        }
        self.check_forged(&oracles.many, &[]);
        let third = (0..self.slots.len()).step_by(3);
        let forged: Vec<_> =
            third.map(|at| (at, at * 37 % (8 * (NONCE + self.texts[at].len() + TAG)))).collect();
        self.check_forged(&oracles.many, &forged);
    }

    /// Opens all but for bits that are turned round before, given as value and bit of it: the values
    /// that have one are refused and wiped, the others are their texts, and nothing else is touched.
    pub fn check_forged(&self, sealer: &dyn Sealer, bits: &[(usize, usize)]) {
        let mut buffer = self.buffer.clone();
        for (at, bit) in bits {
            buffer[self.slots[*at].start + bit / 8] ^= 1 << (bit % 8);
        }
        let mut expected = buffer.clone();
        let mut opened = vec![false; self.slots.len()];
        sealer.open(&mut buffer, &self.slots, &mut opened);
        for (index, (slot, text)) in self.slots.iter().zip(&self.texts).enumerate() {
            let good = bits.iter().all(|(at, _)| *at != index);
            assert_eq!(opened[index], good, "value {index} of {}, {} bytes", self.slots.len(), text.len());
            let place = &mut expected[slot.start + NONCE..][..text.len()];
            if good { place.copy_from_slice(text) } else { place.fill(0) }
        }
        assert_eq!(buffer, expected, "texts, and what stands around them");
    }
}
