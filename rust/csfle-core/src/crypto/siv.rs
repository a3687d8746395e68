//! AES-SIV (RFC 5297) by `RustCrypto`'s aes-siv, with one empty associated-data string as in Tink.

use aes_siv::siv::Aes256Siv;
use aes_siv::{KeyInit, Tag};
use zeroize::{Zeroize, Zeroizing};

use super::nonces::Nonces;
use super::{Sealer, Slot};
use crate::error::{Code, KeyError};

const KEY: usize = 64;
const IV: usize = 16;

/// Exactly one component, the empty string: neither none nor two.
const ASSOCIATED_DATA: [&[u8]; 1] = [b""];

/// A key. The cipher itself keeps state while it works, so each call makes its own from the key.
pub(super) struct Siv(Box<Zeroizing<[u8; KEY]>>);

impl Siv {
    pub(super) fn new(key: &[u8]) -> Result<Self, KeyError> {
        if key.len() != KEY {
            return Err(KeyError::WrongLength);
        }
        // Copied once, to where it stays: a move would leave a copy behind that nothing wipes.
        let mut own = Box::new(Zeroizing::new([0; KEY]));
        own.copy_from_slice(key);
        Ok(Self(own))
    }

    fn cipher(&self) -> Aes256Siv {
        Aes256Siv::new((&**self.0).into())
    }
}

impl Sealer for Siv {
    fn seal(&self, buffer: &mut [u8], slots: &[Slot], _: &mut Nonces) -> Result<(), Code> {
        let mut cipher = self.cipher();
        for slot in slots {
            let (head, text) = buffer[slot.start..slot.start + IV + slot.text].split_at_mut(IV);
            let iv =
                cipher.encrypt_inout_detached(ASSOCIATED_DATA, text.into()).map_err(|_| Code::Internal)?;
            head.copy_from_slice(&iv);
        }
        Ok(())
    }

    fn open(&self, buffer: &mut [u8], slots: &[Slot], opened: &mut [bool]) {
        let mut cipher = self.cipher();
        for (slot, opened) in slots.iter().zip(opened) {
            let (head, text) = buffer[slot.start..slot.start + IV + slot.text].split_at_mut(IV);
            let mut iv = Tag::default();
            iv.copy_from_slice(head);
            *opened = cipher.decrypt_inout_detached(ASSOCIATED_DATA, (&mut *text).into(), &iv).is_ok();
            if !*opened {
                text.zeroize();
            }
        }
    }
}
