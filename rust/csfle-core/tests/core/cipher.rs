//! Ciphers: many values in place, a second implementation beside, and nothing of the key shown.

use aes_gcm::aead::{Aead, KeyInit};
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use csfle_core::crypto::{Algorithm, Cipher, Nonces, Provider, Slot};
use csfle_core::error::KeyError;
use proptest::prelude::*;

use crate::kit::lanes::{ALGORITHMS, cipher, proto};
use crate::kit::providers::{ciphers, ciphers_of};
use crate::kit::random::cases;

/// Texts laid out one behind the other with a byte of foreign ground between them.
fn lay_out(algorithm: Algorithm, texts: &[Vec<u8>]) -> (Vec<u8>, Vec<Slot>) {
    let layout = algorithm.layout();
    let mut buffer = vec![0xEE];
    let mut slots = Vec::new();
    for text in texts {
        slots.push(Slot { start: buffer.len(), text: text.len() });
        buffer.extend(vec![0; layout.head]);
        buffer.extend(text);
        buffer.extend(vec![0; layout.tail]);
        buffer.push(0xEE);
    }
    (buffer, slots)
}

fn sealed_of(algorithm: Algorithm, buffer: &[u8], slot: Slot) -> Vec<u8> {
    buffer[slot.start..slot.start + slot.text + algorithm.overhead()].to_vec()
}

fn text_of(algorithm: Algorithm, buffer: &[u8], slot: Slot) -> Vec<u8> {
    let start = slot.start + algorithm.layout().head;
    buffer[start..start + slot.text].to_vec()
}

/// Opens every slot: which of them did.
fn opened(cipher: &Cipher, buffer: &mut [u8], slots: &[Slot]) -> Vec<bool> {
    let mut opened = Vec::new();
    cipher.open(buffer, slots, &mut opened);
    opened
}

fn texts(lengths: &[usize]) -> Vec<Vec<u8>> {
    (1u8..).zip(lengths).map(|(seed, length)| vec![seed; *length]).collect()
}

fn oracle_opens(algorithm: Algorithm, key: &[u8], sealed: &[u8]) -> Vec<u8> {
    let nonce = sealed[..12].try_into().unwrap();
    let opened = match algorithm {
        Algorithm::Aes128Gcm => Aes128Gcm::new_from_slice(key).unwrap().decrypt(&nonce, &sealed[12..]),
        _ => Aes256Gcm::new_from_slice(key).unwrap().decrypt(&nonce, &sealed[12..]),
    };
    opened.unwrap()
}

fn oracle_seals(algorithm: Algorithm, key: &[u8], nonce: [u8; 12], text: &[u8]) -> Vec<u8> {
    let sealed = match algorithm {
        Algorithm::Aes128Gcm => Aes128Gcm::new_from_slice(key).unwrap().encrypt(&nonce.into(), text),
        _ => Aes256Gcm::new_from_slice(key).unwrap().encrypt(&nonce.into(), text),
    };
    [&nonce[..], &sealed.unwrap()].concat()
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn a_second_implementation_of_gcm_agrees_both_ways(
        small in any::<bool>(),
        key in any::<[u8; 32]>(),
        nonce in any::<[u8; 12]>(),
        values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..600), 1..12),
    ) {
        let algorithm = if small { Algorithm::Aes128Gcm } else { Algorithm::Aes256Gcm };
        let key = &key[..algorithm.key_len()];
        for cipher in ciphers_of(algorithm, key, 1) {
            let (mut buffer, slots) = lay_out(algorithm, &values);
            cipher.seal(&mut buffer, &slots, &mut Nonces::for_chunk(values.len()).unwrap()).unwrap();
            for (slot, value) in slots.iter().zip(&values) {
                prop_assert_eq!(&oracle_opens(algorithm, key, &sealed_of(algorithm, &buffer, *slot)), value);
            }
            let mut theirs = oracle_seals(algorithm, key, nonce, &values[0]);
            let slot = Slot { start: 0, text: values[0].len() };
            prop_assert_eq!(opened(&cipher, &mut theirs, &[slot]), [true]);
            prop_assert_eq!(&text_of(algorithm, &theirs, slot), &values[0]);
        }
    }
}

#[test]
fn many_values_are_sealed_and_opened_in_place_and_nothing_between_them_is_touched() {
    for cipher in ciphers(9) {
        let algorithm = cipher.algorithm();
        let lengths: Vec<usize> = (0..70).chain([255, 256, 1_000, 70_000]).collect();
        let values = texts(&lengths);
        let (mut buffer, slots) = lay_out(algorithm, &values);
        cipher.seal(&mut buffer, &slots, &mut Nonces::for_chunk(slots.len()).unwrap()).unwrap();
        for (slot, value) in slots.iter().zip(&values) {
            assert_eq!(buffer[slot.start - 1], 0xEE);
            // From four bytes on, chance no longer explains ciphertext that equals its text.
            assert!(value.len() < 4 || text_of(algorithm, &buffer, *slot) != *value, "{algorithm:?}");
        }
        assert_eq!(opened(&cipher, &mut buffer, &slots), vec![true; slots.len()], "{algorithm:?}");
        for (slot, value) in slots.iter().zip(&values) {
            assert_eq!(text_of(algorithm, &buffer, *slot), *value);
            assert_eq!(buffer[slot.start + slot.text + algorithm.overhead()], 0xEE);
        }
    }
}

#[test]
fn a_changed_byte_anywhere_fails_that_value_alone_and_wipes_its_text() {
    for cipher in ciphers(3) {
        let algorithm = cipher.algorithm();
        let values = texts(&[5, 24, 0]);
        let (mut buffer, slots) = lay_out(algorithm, &values);
        cipher.seal(&mut buffer, &slots, &mut Nonces::for_chunk(3).unwrap()).unwrap();
        for (index, slot) in slots.iter().enumerate() {
            for at in slot.start..slot.start + slot.text + algorithm.overhead() {
                let mut changed = buffer.clone();
                changed[at] ^= 0x40;
                let opened = opened(&cipher, &mut changed, &slots);
                assert_eq!(opened, [0, 1, 2].map(|other| other != index), "{algorithm:?}, byte {at}");
                assert!(text_of(algorithm, &changed, *slot).iter().all(|byte| *byte == 0));
                for (other, value) in slots.iter().zip(&values).filter(|(other, _)| *other != slot) {
                    assert_eq!(text_of(algorithm, &changed, *other), *value);
                }
            }
        }
    }
}

#[test]
fn another_key_opens_nothing() {
    for (one, another) in ciphers(1).iter().zip(&ciphers(2)) {
        let (mut buffer, slots) = lay_out(one.algorithm(), &texts(&[8, 8]));
        one.seal(&mut buffer, &slots, &mut Nonces::for_chunk(2).unwrap()).unwrap();
        assert_eq!(opened(another, &mut buffer, &slots), [false, false]);
    }
}

#[test]
fn what_the_flags_held_before_opens_nothing() {
    for (one, another) in ciphers(1).iter().zip(&ciphers(2)) {
        let algorithm = one.algorithm();
        let (mut buffer, slots) = lay_out(algorithm, &texts(&[8, 0, 8]));
        one.seal(&mut buffer, &slots, &mut Nonces::for_chunk(3).unwrap()).unwrap();
        for before in [0, 1, 3, 100] {
            let mut flags = vec![true; before];
            another.open(&mut buffer.clone(), &slots, &mut flags);
            assert_eq!(flags, [false; 3], "{algorithm:?}: one flag a slot, whatever was there");
            let mut flags = vec![true; before];
            another.open(&mut buffer.clone(), &[], &mut flags);
            assert_eq!(flags, [false; 0], "{algorithm:?}: no slot, no flag");
        }
    }
}

#[test]
fn each_flag_is_of_the_slot_at_its_position_in_whatever_order_slots_are_given() {
    for cipher in ciphers(1) {
        let algorithm = cipher.algorithm();
        let (mut buffer, mut slots) = lay_out(algorithm, &texts(&[5, 0, 9, 5]));
        cipher.seal(&mut buffer, &slots, &mut Nonces::for_chunk(4).unwrap()).unwrap();
        buffer[slots[0].start] ^= 1;
        buffer[slots[1].start] ^= 1;
        slots.reverse();
        assert_eq!(opened(&cipher, &mut buffer, &slots), [true, true, false, false], "{algorithm:?}");
    }
}

#[test]
fn only_siv_gives_equal_ciphertext_for_equal_text() {
    for cipher in ciphers(1) {
        let algorithm = cipher.algorithm();
        let (mut buffer, slots) = lay_out(algorithm, &[vec![7; 16], vec![7; 16]]);
        cipher.seal(&mut buffer, &slots, &mut Nonces::for_chunk(2).unwrap()).unwrap();
        let equal = sealed_of(algorithm, &buffer, slots[0]) == sealed_of(algorithm, &buffer, slots[1]);
        assert_eq!(equal, algorithm == Algorithm::Aes256Siv);
    }
}

#[test]
fn a_cipher_says_what_it_is() {
    for algorithm in ALGORITHMS {
        let cipher = cipher(algorithm, 1, 42);
        assert_eq!((cipher.algorithm(), cipher.version()), (algorithm, 42));
    }
}

#[test]
fn debug_shows_algorithm_and_version_and_nothing_of_the_key() {
    let key = [0xC5; 32];
    let algorithm = Algorithm::Aes256Gcm;
    let cipher = Cipher::new(algorithm, &proto(algorithm, &key), 3, Provider::Auto).unwrap();
    assert_eq!(format!("{cipher:?}"), "Cipher(AES256_GCM, version 3)");
}

#[test]
fn algorithms_go_by_the_names_of_rules() {
    for algorithm in ALGORITHMS {
        assert_eq!(Algorithm::parse(algorithm.name()), Ok(algorithm));
    }
    for name in ["", "aes256_gcm", "AES256_GCM ", "AES256_CBC"] {
        assert_eq!(Algorithm::parse(name), Err(KeyError::UnknownAlgorithm));
    }
}
