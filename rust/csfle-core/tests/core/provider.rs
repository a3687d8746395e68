//! Who does the work, and what happens where it cannot be who was asked for.

use std::sync::Arc;

use csfle_core::crypto::{Algorithm, Cipher, Nonces, Prepared, Provider, Sealer, Slot};
use csfle_core::error::{Code, KeyError};

use crate::kit::lanes::{ALGORITHMS, proto};
use crate::kit::providers::GCM;

/// The one that `auto` takes here, and who stands in for `many` where there is no hardware for AES.
fn best() -> &'static str {
    if aes::hardware_accelerated() { "many" } else { "ring" }
}

fn cipher(algorithm: Algorithm, provider: Provider) -> Cipher {
    Cipher::new(algorithm, &proto(algorithm, &vec![1; algorithm.key_len()]), 1, provider).unwrap()
}

#[test]
fn providers_go_by_the_names_of_settings() {
    assert_eq!(Provider::parse("auto"), Ok(Provider::Auto));
    assert_eq!(Provider::parse("ring"), Ok(Provider::Ring));
    assert_eq!(Provider::parse("many"), Ok(Provider::Many));
    for name in ["", "Many", "openssl"] {
        assert_eq!(Provider::parse(name), Err(KeyError::UnknownProvider));
    }
    assert_eq!(Provider::default(), Provider::Auto);
    assert_eq!(Provider::has_many(), best() == "many");
}

#[test]
fn a_cipher_says_who_does_the_work_and_whether_that_is_who_was_asked_for() {
    let told = |cipher: &Cipher| (cipher.provider(), cipher.fell_back());
    for algorithm in GCM {
        assert_eq!(told(&cipher(algorithm, Provider::Ring)), ("ring", false));
        assert_eq!(told(&cipher(algorithm, Provider::Auto)), (best(), false));
        assert_eq!(told(&cipher(algorithm, Provider::Many)), (best(), best() == "ring"));
    }
    for provider in [Provider::Auto, Provider::Ring, Provider::Many] {
        assert_eq!(told(&cipher(Algorithm::Aes256Siv, provider)), ("aes-siv", false));
    }
}

/// Seals as ring does, but for one bit.
struct Faulty(Arc<dyn Sealer>);

impl Sealer for Faulty {
    fn seal(&self, buffer: &mut [u8], slots: &[Slot], nonces: &mut Nonces) -> Result<(), Code> {
        self.0.seal(buffer, slots, nonces)?;
        buffer[slots[0].start + 12] ^= 1;
        Ok(())
    }

    fn open(&self, buffer: &mut [u8], slots: &[Slot], opened: &mut [bool]) {
        self.0.open(buffer, slots, opened);
    }
}

#[test]
fn a_key_that_fails_its_check_is_worked_with_by_ring_and_says_so() {
    for algorithm in GCM {
        let ring = || Provider::Ring.prepare(algorithm, &vec![7; algorithm.key_len()]).unwrap().sealer;
        let good = Cipher::of(algorithm, 1, Prepared::checked(ring(), ring()));
        assert_eq!((good.provider(), good.fell_back()), ("many", false));
        let cipher = Cipher::of(algorithm, 1, Prepared::checked(Arc::new(Faulty(ring())), ring()));
        assert_eq!((cipher.provider(), cipher.fell_back()), ("ring", true));

        // And it is ring, not the one that failed.
        let (mut buffer, mut opened) = (vec![5; 12 + 3 + 16], Vec::new());
        let slot = Slot { start: 0, text: 3 };
        cipher.seal(&mut buffer, &[slot], &mut Nonces::for_chunk(1).unwrap()).unwrap();
        cipher.open(&mut buffer, &[slot], &mut opened);
        assert_eq!((opened, &buffer[12..15]), (vec![true], &[5; 3][..]));
    }
}

#[test]
fn a_key_of_the_wrong_length_is_refused_by_every_provider() {
    for provider in [Provider::Auto, Provider::Ring, Provider::Many] {
        for algorithm in ALGORITHMS {
            for length in (0..=65).filter(|length| *length != algorithm.key_len()) {
                let refused = provider.prepare(algorithm, &vec![1; length]);
                assert_eq!(refused.err(), Some(KeyError::WrongLength), "{algorithm:?}, {length}");
            }
        }
    }
}
