//! The check of a key: whoever lies about one value of many does not pass.

use csfle_core::crypto::{Many, Nonces, Provider, Sealer, Slot, agree};
use csfle_core::error::Code;

use crate::kit::providers::{GCM, many};

/// Values that the check has in one call.
const VALUES: usize = 16;

/// What a sealer does wrong, with the value at this position of a call.
#[derive(Clone, Copy, Debug)]
enum Lie {
    None,
    SealsAnother,
    Fails,
    RefusesGood,
    OpensAnother,
    OpensForged,
    LeavesForged,
}

struct Liar(Many, Lie, usize);

impl Sealer for Liar {
    fn seal(&self, buffer: &mut [u8], slots: &[Slot], nonces: &mut Nonces) -> Result<(), Code> {
        assert_eq!(slots.len(), VALUES);
        self.0.seal(buffer, slots, nonces)?;
        let slot = slots[self.2];
        match self.1 {
            Lie::Fails => return Err(Code::Internal),
            Lie::SealsAnother => buffer[slot.start + 12 + slot.text / 2] ^= 1,
            _ => {}
        }
        Ok(())
    }

    fn open(&self, buffer: &mut [u8], slots: &[Slot], opened: &mut [bool]) {
        self.0.open(buffer, slots, opened);
        let (slot, opened) = (slots[self.2], &mut opened[self.2]);
        match self.1 {
            Lie::RefusesGood => *opened = false,
            Lie::OpensAnother if *opened => buffer[slot.start + 12] ^= 1,
            Lie::OpensForged => *opened = true,
            Lie::LeavesForged if !*opened => buffer[slot.start + 12] = 1,
            _ => {}
        }
    }
}

#[test]
fn only_who_does_everything_right_passes() {
    for algorithm in GCM {
        let key = vec![3; algorithm.key_len()];
        let ring = Provider::Ring.prepare(algorithm, &key).unwrap().sealer;
        let passes = |lie, at| agree(&Liar(many(algorithm, &key), lie, at), &*ring);
        for at in 0..VALUES {
            assert!(passes(Lie::None, at));
            for lie in [Lie::SealsAnother, Lie::Fails, Lie::RefusesGood, Lie::OpensForged] {
                assert!(!passes(lie, at), "{lie:?}, value {at}");
            }
        }
        for at in 1..VALUES {
            // The first one is empty: there is no text to be wrong about.
            for lie in [Lie::OpensAnother, Lie::LeavesForged] {
                assert!(!passes(lie, at), "{lie:?}, value {at}");
            }
        }
    }
}

#[test]
fn another_key_does_not_pass() {
    for algorithm in GCM {
        let ring = Provider::Ring.prepare(algorithm, &vec![3; algorithm.key_len()]).unwrap().sealer;
        assert!(!agree(&many(algorithm, &vec![4; algorithm.key_len()]), &*ring));
    }
}
