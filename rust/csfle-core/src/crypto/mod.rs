//! DEKs and what they do: seal and open many values at once. Knows no Avro.
//!
//! No primitive is ours: AES-GCM is ring's, AES-SIV `RustCrypto`'s, as are AES and GHASH below the one
//! composition that is: GCM over many short values, in `many.rs`.

mod agreement;
mod algorithm;
mod cipher;
mod many;
mod nonces;
mod provider;
mod ring;
mod seals;
mod siv;
mod tink;

pub use agreement::agree;
pub use algorithm::Algorithm;
pub use cipher::Cipher;
pub use many::Many;
pub use nonces::Nonces;
pub use provider::{Layout, Prepared, Provider, Sealer, Slot};
pub use seals::{Budget, Need, Reserved, Seals};
pub use tink::generate_key_proto;
