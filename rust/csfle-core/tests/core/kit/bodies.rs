//! Avro bodies by hand.

use csfle_core::avro::write_long;

/// A body under construction.
#[derive(Clone, Debug, Default)]
pub struct Body(pub Vec<u8>);

/// An empty body.
pub fn body() -> Body {
    Body::default()
}

impl Body {
    /// A long, an int, a length, a count, an index.
    pub fn long(mut self, value: i64) -> Self {
        let mut bytes = [0; 10];
        let taken = write_long(value, &mut bytes);
        self.0.extend_from_slice(&bytes[..taken]);
        self
    }

    /// A string or bytes, with its length.
    pub fn text(self, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref();
        self.long(value.len().try_into().unwrap()).raw(value)
    }

    /// Bytes as they are.
    pub fn raw(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.extend_from_slice(bytes.as_ref());
        self
    }

    /// A block with a negative count, and its size in front of its items.
    pub fn sized_block(self, count: i64, items: &Body) -> Self {
        self.long(-count).long(items.0.len().try_into().unwrap()).raw(&items.0)
    }
}
