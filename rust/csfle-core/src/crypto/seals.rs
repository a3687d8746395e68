//! How much one DEK version has sealed, and how much it may.
//!
//! AES-GCM with random nonces is safe for a bounded number of values under one key. What is about to be
//! sealed is therefore reserved first, so that a budget holds exactly, whoever else seals at the same time.

use std::sync::atomic::{AtomicU64, Ordering};

/// What some sealing takes: so many values with so many bytes of text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Need {
    /// Values.
    pub values: u64,
    /// Bytes of text.
    pub bytes: u64,
}

impl Need {
    /// One value more, with so many bytes.
    pub fn add(&mut self, bytes: usize) {
        self.values += 1;
        self.bytes += bytes as u64;
    }
}

/// How many values one DEK version may seal here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget {
    /// No bound.
    Unlimited,
    /// This many; that it is passed is told once, and more is sealed.
    Told(u64),
    /// This many and no more.
    Strict(u64),
}

/// What became of a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reserved {
    /// It is made.
    Granted,
    /// It is made, and with it the budget is passed for the first time.
    Passed,
    /// Nothing was reserved: it would have passed the budget.
    Refused,
    /// Nothing was reserved, and never will be: it is more than the whole budget.
    TooLarge,
}

/// Counts of one DEK version, whatever becomes of the ciphers that seal with it.
#[derive(Debug, Default)]
pub struct Seals {
    values: AtomicU64,
    bytes: AtomicU64,
}

impl Seals {
    /// Values reserved so far, so never fewer than were sealed.
    pub fn values(&self) -> u64 {
        self.values.load(Ordering::Relaxed)
    }

    /// Bytes of text in them.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Reserves `need` under `budget`, whole or not at all.
    pub fn reserve(&self, need: Need, budget: Budget) -> Reserved {
        let reserved = match budget {
            Budget::Unlimited => {
                self.values.fetch_add(need.values, Ordering::Relaxed);
                Reserved::Granted
            }
            Budget::Told(most) => {
                let before = self.values.fetch_add(need.values, Ordering::Relaxed);
                let passed = before <= most && before.saturating_add(need.values) > most;
                if passed { Reserved::Passed } else { Reserved::Granted }
            }
            Budget::Strict(most) if need.values > most => return Reserved::TooLarge,
            Budget::Strict(most) => {
                let within = |before: u64| before.checked_add(need.values).filter(|after| *after <= most);
                if self.values.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within).is_err() {
                    return Reserved::Refused;
                }
                Reserved::Granted
            }
        };
        self.bytes.fetch_add(need.bytes, Ordering::Relaxed);
        reserved
    }

    /// Gives back what was reserved and not used.
    pub fn release(&self, need: Need) {
        self.values.fetch_sub(need.values, Ordering::Relaxed);
        self.bytes.fetch_sub(need.bytes, Ordering::Relaxed);
    }
}
