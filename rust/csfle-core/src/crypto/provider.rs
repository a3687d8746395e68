//! One trait over many values, so that a provider can group them.

use super::nonces::Nonces;
use super::{Algorithm, ring, siv};
use crate::error::{Code, KeyError};

/// Where the text stands within a sealed value: `head | text | tail`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Bytes before the text: nonce, or synthetic IV.
    pub head: usize,
    /// Bytes behind it: tag.
    pub tail: usize,
}

/// One value within a buffer, laid out by the algorithm's [`Layout`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// Where its head starts.
    pub start: usize,
    /// Bytes of its text.
    pub text: usize,
}

/// A key made ready. Values are sealed and opened in place, with empty associated data.
pub trait Sealer: Send + Sync {
    /// Seals every slot: draws what is random, fills head and tail, turns the text into ciphertext.
    fn seal(&self, buffer: &mut [u8], slots: &[Slot], nonces: &mut Nonces) -> Result<(), Code>;

    /// Opens every slot, and sets `opened` of each that does; the text of the others is wiped. All
    /// of `opened` is false before, so that what is forgotten counts as failed.
    fn open(&self, buffer: &mut [u8], slots: &[Slot], opened: &mut [bool]);
}

/// Who does AES-GCM. AES-SIV has one implementation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Provider {
    /// The best that this machine has.
    #[default]
    Auto,
    /// ring.
    Ring,
}

impl Provider {
    /// By the name that the setting uses.
    pub fn parse(name: &str) -> Result<Self, KeyError> {
        match name {
            "auto" => Ok(Self::Auto),
            "ring" => Ok(Self::Ring),
            _ => Err(KeyError::UnknownProvider),
        }
    }

    /// Makes a key ready; gives the name of the code that will use it too.
    pub(super) fn prepare(
        self,
        algorithm: Algorithm,
        key: &[u8],
    ) -> Result<(Box<dyn Sealer>, &'static str), KeyError> {
        match (algorithm, self) {
            (Algorithm::Aes128Gcm | Algorithm::Aes256Gcm, Self::Auto | Self::Ring) => {
                Ok((Box::new(ring::Gcm::new(algorithm, key)?), "ring"))
            }
            (Algorithm::Aes256Siv, _) => Ok((Box::new(siv::Siv::new(key)?), "aes-siv")),
        }
    }
}
