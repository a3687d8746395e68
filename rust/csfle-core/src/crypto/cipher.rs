//! One DEK version, made ready once and kept.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Algorithm, Nonces, Provider, Sealer, Slot, tink};
use crate::error::{Code, KeyError};

/// A prepared DEK version. Gives no way to read the key back.
pub struct Cipher {
    algorithm: Algorithm,
    version: i32,
    provider: &'static str,
    sealer: Box<dyn Sealer>,
    sealed: Arc<AtomicU64>,
}

impl Cipher {
    /// Makes the DEK in `key_proto` (a Tink key proto) ready.
    pub fn new(
        algorithm: Algorithm,
        key_proto: &[u8],
        version: i32,
        provider: Provider,
    ) -> Result<Self, KeyError> {
        let key = tink::parse(algorithm, key_proto)?;
        let (sealer, provider) = provider.prepare(algorithm, key)?;
        Ok(Self { algorithm, version, provider, sealer, sealed: Arc::default() })
    }

    /// The same, counting its seals in `seals`, which others may share: a DEK version's count has to
    /// outlive the times that its key was dropped and fetched again.
    #[must_use]
    pub fn counting_in(self, seals: Arc<AtomicU64>) -> Self {
        Self { sealed: seals, ..self }
    }

    /// Its algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Its version in the DEK registry.
    pub fn version(&self) -> i32 {
        self.version
    }

    /// Who does the work.
    pub fn provider(&self) -> &'static str {
        self.provider
    }

    /// Values sealed so far. Counted before they are sealed, so never too low.
    pub fn sealed(&self) -> u64 {
        self.sealed.load(Ordering::Relaxed)
    }

    /// Seals every slot of `buffer` in place.
    pub fn seal(&self, buffer: &mut [u8], slots: &[Slot], nonces: &mut Nonces) -> Result<(), Code> {
        self.sealed.fetch_add(slots.len() as u64, Ordering::Relaxed);
        self.sealer.seal(buffer, slots, nonces)
    }

    /// Opens every slot of `buffer` in place; `opened` tells of each whether it did.
    pub fn open(&self, buffer: &mut [u8], slots: &[Slot], opened: &mut Vec<bool>) {
        opened.clear();
        opened.resize(slots.len(), false);
        self.sealer.open(buffer, slots, opened);
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cipher({}, version {})", self.algorithm.name(), self.version)
    }
}
