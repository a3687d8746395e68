//! Nonces for AES-GCM: random, 96 bits.
//!
//! One generator serves one chunk of work and dies with it. It is seeded from the operating system
//! when it is made, and is never cloned, split, jumped or kept, so that neither a thread nor a fork
//! nor a restored snapshot of the machine can bring the same nonce twice.

use aes::cipher::{KeyIvInit, StreamCipher};
use zeroize::Zeroizing;

use crate::error::Code;

/// Bytes of a nonce.
pub const NONCE: usize = 12;

/// Up to this many nonces are taken straight from the operating system: a seed costs as much.
const DIRECT: usize = 5;

/// Bytes of key stream made at once.
const BUFFER: usize = 768;

type KeyStream = ctr::Ctr128BE<aes::Aes256>;

/// A source of nonces for one chunk of work.
pub struct Nonces {
    /// None where `buffer` holds nonces from the operating system itself.
    stream: Option<KeyStream>,
    /// Nonces to come, from `used` on.
    buffer: Zeroizing<Vec<u8>>,
    used: usize,
}

impl Nonces {
    /// For a chunk that needs about `expected` nonces. It gives more when asked.
    pub fn for_chunk(expected: usize) -> Result<Self, Code> {
        let direct = if expected <= DIRECT { expected * NONCE } else { 0 };
        let mut buffer = Zeroizing::new(vec![0; direct]);
        if direct > 0 {
            getrandom::fill(&mut buffer).map_err(|_| Code::RandomUnavailable)?;
        }
        Ok(Self { stream: None, buffer, used: 0 })
    }

    /// The next nonce.
    #[inline]
    pub fn draw(&mut self) -> Result<[u8; NONCE], Code> {
        if self.used == self.buffer.len() {
            self.refill()?;
        }
        let mut nonce = [0; NONCE];
        nonce.copy_from_slice(&self.buffer[self.used..self.used + NONCE]);
        self.used += NONCE;
        Ok(nonce)
    }

    #[cold]
    fn refill(&mut self) -> Result<(), Code> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let mut seed = Zeroizing::new([0u8; 48]);
                getrandom::fill(&mut *seed).map_err(|_| Code::RandomUnavailable)?;
                let (key, iv) = seed.split_at(32);
                none.insert(KeyStream::new_from_slices(key, iv).map_err(|_| Code::RandomUnavailable)?)
            }
        };
        self.buffer.clear();
        self.buffer.resize(BUFFER, 0);
        stream.try_apply_keystream(&mut self.buffer).map_err(|_| Code::RandomUnavailable)?;
        self.used = 0;
        Ok(())
    }
}
