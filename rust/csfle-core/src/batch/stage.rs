//! Plaintext between two steps of a group.

use zeroize::Zeroize;

use crate::avro::{Arena, Out};

/// An arena that is wiped when it is dropped, as far as it was used.
#[derive(Default)]
pub(super) struct Stage {
    pub(super) arena: Arena,
    most: usize,
}

impl Stage {
    /// Empties it for the next group, and makes room for `bytes` before plaintext moves in, so that
    /// growing never leaves a copy behind.
    pub(super) fn restart(&mut self, bytes: usize) {
        self.most = self.most.max(self.arena.len());
        self.arena.truncate(0);
        if self.arena.room() < bytes {
            self.wipe();
            self.arena = Arena::with_room(bytes);
        }
    }

    fn wipe(&mut self) {
        self.arena.used_up_to(self.most).zeroize();
        self.most = 0;
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.most = self.most.max(self.arena.len());
        self.wipe();
    }
}
