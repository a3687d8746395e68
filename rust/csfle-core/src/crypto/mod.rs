//! DEKs and what they do: seal and open many values at once. Knows no Avro.
//!
//! No primitive is ours: AES-GCM is ring's, AES-SIV `RustCrypto`'s.

mod algorithm;
mod cipher;
mod nonces;
mod provider;
mod ring;
mod seals;
mod siv;
mod tink;

pub use algorithm::Algorithm;
pub use cipher::Cipher;
pub use nonces::Nonces;
pub use provider::{Layout, Provider, Sealer, Slot};
pub use seals::{Budget, Need, Reserved, Seals};
pub use tink::generate_key_proto;
