//! One DEK version, made ready once and kept.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Algorithm, Budget, Need, Nonces, Prepared, Provider, Reserved, Seals, Slot, tink};
use crate::error::{Code, KeyError};

/// A prepared DEK version. Gives no way to read the key back.
pub struct Cipher {
    algorithm: Algorithm,
    version: i32,
    prepared: Prepared,
    seals: Arc<Seals>,
    budget: Budget,
    exhausted: AtomicBool,
    passed: AtomicBool,
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
        Ok(Self::of(algorithm, version, provider.prepare(algorithm, key)?))
    }

    /// The same of a key that is ready. Public so that tests can have one by a provider that this
    /// machine would not take.
    pub fn of(algorithm: Algorithm, version: i32, prepared: Prepared) -> Self {
        Self {
            algorithm,
            version,
            prepared,
            seals: Arc::default(),
            budget: Budget::Unlimited,
            exhausted: AtomicBool::new(false),
            passed: AtomicBool::new(false),
        }
    }

    /// The same, counting in `seals`, which others may share, under a budget: a DEK version's count
    /// has to outlive the times that its key was dropped and fetched again.
    #[must_use]
    pub fn counting_in(self, seals: Arc<Seals>, budget: Budget) -> Self {
        Self { seals, budget, ..self }
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
        self.prepared.provider
    }

    /// Whether that is not who was asked for: this machine cannot run it, or it failed its check.
    pub fn fell_back(&self) -> bool {
        self.prepared.fell_back
    }

    /// What was sealed so far; reserved before, so never too low. One with every cipher of the key.
    pub fn seals(&self) -> &Arc<Seals> {
        &self.seals
    }

    /// How many values its key may seal, where that is strict.
    pub fn strict_budget(&self) -> Option<u64> {
        match self.budget {
            Budget::Strict(most) => Some(most),
            Budget::Told(_) | Budget::Unlimited => None,
        }
    }

    /// Whether its strict budget had no room for something that was to be sealed.
    pub fn is_exhausted(&self) -> bool {
        self.exhausted.load(Ordering::Relaxed)
    }

    /// Whether its budget was passed since this was last asked.
    pub fn take_passed(&self) -> bool {
        self.passed.swap(false, Ordering::Relaxed)
    }

    /// Reserves what is about to be sealed: whole, or not at all.
    pub fn reserve(&self, need: Need) -> Reserved {
        let reserved = self.seals.reserve(need, self.budget);
        match reserved {
            Reserved::Passed => self.passed.store(true, Ordering::Relaxed),
            Reserved::Refused => self.exhausted.store(true, Ordering::Relaxed),
            Reserved::Granted | Reserved::TooLarge => {}
        }
        reserved
    }

    /// Gives back what was reserved and will not be sealed.
    pub fn release(&self, need: Need) {
        self.seals.release(need);
    }

    /// Seals every slot of `buffer` in place; they have been reserved.
    pub fn seal(&self, buffer: &mut [u8], slots: &[Slot], nonces: &mut Nonces) -> Result<(), Code> {
        self.prepared.sealer.seal(buffer, slots, nonces)
    }

    /// Opens every slot of `buffer` in place; `opened` tells of each whether it did.
    pub fn open(&self, buffer: &mut [u8], slots: &[Slot], opened: &mut Vec<bool>) {
        opened.clear();
        opened.resize(slots.len(), false);
        self.prepared.sealer.open(buffer, slots, opened);
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cipher({}, version {})", self.algorithm.name(), self.version)
    }
}
