//! The three DEK algorithms of CSFLE.

use crate::error::KeyError;

/// A DEK algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// AES-128 in Galois/Counter Mode, random nonce.
    Aes128Gcm,
    /// AES-256 in Galois/Counter Mode, random nonce.
    Aes256Gcm,
    /// AES-SIV (RFC 5297) with a 512-bit key: deterministic.
    Aes256Siv,
}

impl Algorithm {
    /// By the name that rules and the DEK registry use.
    pub fn parse(name: &str) -> Result<Self, KeyError> {
        match name {
            "AES128_GCM" => Ok(Self::Aes128Gcm),
            "AES256_GCM" => Ok(Self::Aes256Gcm),
            "AES256_SIV" => Ok(Self::Aes256Siv),
            _ => Err(KeyError::UnknownAlgorithm),
        }
    }

    /// The name that rules and the DEK registry use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aes128Gcm => "AES128_GCM",
            Self::Aes256Gcm => "AES256_GCM",
            Self::Aes256Siv => "AES256_SIV",
        }
    }

    /// Bytes of a DEK.
    pub const fn key_len(self) -> usize {
        match self {
            Self::Aes128Gcm => 16,
            Self::Aes256Gcm => 32,
            Self::Aes256Siv => 64,
        }
    }

    /// Bytes that sealing adds: nonce and tag, or the synthetic IV.
    pub const fn overhead(self) -> usize {
        let layout = self.layout();
        layout.head + layout.tail
    }

    /// Where the text stands within a sealed value.
    pub const fn layout(self) -> super::Layout {
        match self {
            Self::Aes128Gcm | Self::Aes256Gcm => super::Layout { head: 12, tail: 16 },
            Self::Aes256Siv => super::Layout { head: 16, tail: 0 },
        }
    }
}
