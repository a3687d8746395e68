//! One trait over many values, so that a provider can group them; and who provides.

use std::sync::Arc;

use super::agreement::agree;
use super::many::Many;
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
    /// Short values many at once, longer ones by ring. Needs a processor with instructions for AES.
    Many,
}

/// A key made ready, and by whom.
pub struct Prepared {
    /// What seals and opens.
    pub sealer: Arc<dyn Sealer>,
    /// The name of the code behind it.
    pub provider: &'static str,
    /// Whether it stands in for what was asked for and could not be had, or failed its check.
    pub fell_back: bool,
}

impl Provider {
    /// By the name that the setting uses.
    pub fn parse(name: &str) -> Result<Self, KeyError> {
        match name {
            "auto" => Ok(Self::Auto),
            "ring" => Ok(Self::Ring),
            "many" => Ok(Self::Many),
            _ => Err(KeyError::UnknownProvider),
        }
    }

    /// Makes a key ready.
    pub fn prepare(self, algorithm: Algorithm, key: &[u8]) -> Result<Prepared, KeyError> {
        if algorithm == Algorithm::Aes256Siv {
            return Ok(Prepared::of(Arc::new(siv::Siv::new(key)?), "aes-siv"));
        }
        let ring: Arc<dyn Sealer> = Arc::new(ring::Gcm::new(algorithm, key)?);
        // Without its instructions AES is slow, and ring then does what can be done.
        match (self, aes::hardware_accelerated()) {
            (Self::Ring, _) | (Self::Auto, false) => Ok(Prepared::of(ring, "ring")),
            (Self::Many, false) => Ok(Prepared { fell_back: true, ..Prepared::of(ring, "ring") }),
            (Self::Auto | Self::Many, true) => {
                Ok(Prepared::checked(Arc::new(Many::new(algorithm, key, ring.clone())?), ring))
            }
        }
    }

    /// Whether `Auto` takes [`Many`] here, if a key passes its check.
    pub fn has_many() -> bool {
        aes::hardware_accelerated()
    }
}

impl Prepared {
    fn of(sealer: Arc<dyn Sealer>, provider: &'static str) -> Self {
        Self { sealer, provider, fell_back: false }
    }

    /// `many` where it agrees with ring about their key, else ring. Public so that a test can hand in
    /// one that does not.
    pub fn checked(many: Arc<dyn Sealer>, ring: Arc<dyn Sealer>) -> Self {
        if agree(&*many, &*ring) {
            Self::of(many, "many")
        } else {
            Self { fell_back: true, ..Self::of(ring, "ring") }
        }
    }
}
