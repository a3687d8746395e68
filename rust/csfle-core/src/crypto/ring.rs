//! AES-GCM by ring, one value after the other.

use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, Tag, UnboundKey};
use zeroize::Zeroize;

use super::nonces::{NONCE, Nonces};
use super::{Algorithm, Sealer, Slot};
use crate::error::{Code, KeyError};

/// Bytes of a tag.
pub(super) const TAG: usize = 16;

/// A key with its schedule. `LessSafe` because the nonces are ours: see [`Nonces`].
pub(super) struct Gcm(LessSafeKey);

impl Gcm {
    pub(super) fn new(algorithm: Algorithm, key: &[u8]) -> Result<Self, KeyError> {
        let cipher = if algorithm == Algorithm::Aes128Gcm { &AES_128_GCM } else { &AES_256_GCM };
        UnboundKey::new(cipher, key).map(|key| Self(LessSafeKey::new(key))).map_err(|_| KeyError::WrongLength)
    }
}

impl Sealer for Gcm {
    fn seal(&self, buffer: &mut [u8], slots: &[Slot], nonces: &mut Nonces) -> Result<(), Code> {
        for slot in slots {
            let nonce = nonces.draw()?;
            let value = &mut buffer[slot.start..slot.start + NONCE + slot.text + TAG];
            let (head, rest) = value.split_at_mut(NONCE);
            let (text, tail) = rest.split_at_mut(slot.text);
            head.copy_from_slice(&nonce);
            let nonce = Nonce::assume_unique_for_key(nonce);
            // ring refuses texts of 2^36 bytes and more, which no buffer holds.
            let tag =
                self.0.seal_in_place_separate_tag(nonce, Aad::empty(), text).map_err(|_| Code::Internal)?;
            tail.copy_from_slice(tag.as_ref());
        }
        Ok(())
    }

    fn open(&self, buffer: &mut [u8], slots: &[Slot], opened: &mut [bool]) {
        for (slot, opened) in slots.iter().zip(opened) {
            let value = &mut buffer[slot.start..slot.start + NONCE + slot.text + TAG];
            let (head, rest) = value.split_at_mut(NONCE);
            let (text, tail) = rest.split_at_mut(slot.text);
            *opened = match (Nonce::try_assume_unique_for_key(head), Tag::try_from(&*tail)) {
                (Ok(nonce), Ok(tag)) => {
                    self.0.open_in_place_separate_tag(nonce, Aad::empty(), tag, text, 0..).is_ok()
                }
                _ => false,
            };
            if !*opened {
                text.zeroize();
            }
        }
    }
}
