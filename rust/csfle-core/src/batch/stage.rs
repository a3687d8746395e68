//! Plaintext between two steps of a group.

use zeroize::Zeroize;

/// A buffer that is wiped when it is dropped, as far as it was used.
#[derive(Default)]
pub(super) struct Stage {
    pub(super) bytes: Vec<u8>,
    most: usize,
}

impl Stage {
    /// Empties it for the next group.
    pub(super) fn clear(&mut self) {
        self.most = self.most.max(self.bytes.len());
        self.bytes.clear();
    }

    /// Makes room before plaintext moves in, so that growing never leaves a copy behind.
    pub(super) fn reserve(&mut self, bytes: usize) {
        if self.bytes.capacity() < bytes {
            self.wipe();
            self.bytes = Vec::with_capacity(bytes);
        }
    }

    fn wipe(&mut self) {
        self.clear();
        self.bytes.resize(self.most, 0);
        self.bytes.zeroize();
        self.most = 0;
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.wipe();
    }
}
