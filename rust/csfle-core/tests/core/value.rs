//! One encrypted value: its lengths, and base64 without any laxness.

use csfle_core::avro::LeafKind::{Bytes, Text};
use csfle_core::crypto::Algorithm;
use csfle_core::error::Code;
use csfle_core::value::Layer;

use crate::kit::bodies::body;
use crate::kit::lanes::{ALGORITHMS, ID, Setup, open, some};
use crate::kit::plans::record_of;

fn layers() -> Vec<Layer> {
    let all = ALGORITHMS
        .into_iter()
        .flat_map(|algorithm| [false, true].map(|prefixed| Layer { algorithm, prefixed }));
    all.collect()
}

#[test]
fn a_sealed_value_has_the_length_that_every_client_makes() {
    for layer in layers() {
        let added = if layer.algorithm == Algorithm::Aes256Siv { 16 } else { 28 }
            + if layer.prefixed { 5 } else { 0 };
        for length in 0..200 {
            assert_eq!(layer.sealed_len(Bytes, length), length + added);
            assert_eq!(layer.sealed_len(Text, length), (length + added).div_ceil(3) * 4);
        }
    }
    let gcm = Layer { algorithm: Algorithm::Aes256Gcm, prefixed: false };
    let siv = Layer { algorithm: Algorithm::Aes256Siv, prefixed: false };
    assert_eq!((gcm.sealed_len(Text, 0), siv.sealed_len(Text, 0)), (40, 24), "the empty string");
}

#[test]
fn the_length_inside_is_told_by_length_and_padding_alone() {
    for layer in layers() {
        for length in 0..200 {
            assert_eq!(layer.opened_len(Bytes, &vec![0; layer.sealed_len(Bytes, length)]), Ok(length));
            let padding = (3 - (length + layer.added()) % 3) % 3;
            let mut text = vec![b'A'; layer.sealed_len(Text, length)];
            let end = text.len();
            text[end - padding..].fill(b'=');
            assert_eq!(layer.opened_len(Text, &text), Ok(length));
        }
    }
}

#[test]
fn what_is_too_short_to_be_ciphertext_is_told_so() {
    for layer in layers() {
        for length in 0..layer.added() {
            assert_eq!(layer.opened_len(Bytes, &vec![0; length]), Err(Code::NotCiphertext));
            let text = vec![b'A'; length * 4 / 3 / 4 * 4];
            assert_eq!(layer.opened_len(Text, &text), Err(Code::NotCiphertext));
        }
    }
}

/// The code that a text in place of a sealed string gives.
fn code_of(text: &[u8], setup: &Setup) -> &'static str {
    let frame = body().raw([0]).raw(ID.to_be_bytes()).text(text).0;
    let results = open(&setup.read(), &some(&[frame])[..], 1);
    assert!(results.rows[0].is_empty());
    assert_eq!(results.faults[0].1.path.as_deref(), Some("t"));
    results.codes()[0].1
}

/// A sealed string of 24 bytes.
fn sealed(setup: &Setup) -> Vec<u8> {
    let frame = setup.seal(&[body().text("x".repeat(24)).0]).remove(0);
    let length = setup.layers()[0].sealed_len(Text, 24);
    frame[frame.len() - length..].to_vec()
}

fn setups() -> [Setup; 4] {
    let json = record_of(&[("t", "string")]);
    [(1, false), (1, true), (2, false), (2, true)]
        .map(|(algorithm, prefixed)| Setup::new(&json, ALGORITHMS[algorithm], prefixed))
}

#[test]
fn plaintext_is_told_from_damaged_ciphertext() {
    for setup in setups() {
        for plaintext in ["", "a", "Alice", "alice@example.org, who lives in Wonderland, and knows it well"] {
            assert_eq!(code_of(plaintext.as_bytes(), &setup), "not_ciphertext", "{plaintext:?}");
        }
        let long_name = "Ada Lovelace of London, Augusta Ada King, Countess of Lovelace ..";
        assert_eq!(code_of(long_name.as_bytes(), &setup), "not_ciphertext");
        for umlauts in ["größe ".repeat(12), "é".repeat(40)] {
            assert_eq!(code_of(umlauts.as_bytes(), &setup), "not_ciphertext");
        }
    }
}

#[test]
fn loose_base64_is_refused_and_never_handed_on() {
    for setup in setups() {
        let good = sealed(&setup);
        let text = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut text = good.clone();
            change(&mut text);
            code_of(&text, &setup)
        };
        let refused = |code: &str| ["invalid_base64", "not_ciphertext"].contains(&code);
        assert_eq!(text(&|text| text.push(b'\n')), "invalid_base64", "a line feed behind it");
        assert_eq!(text(&|text| text.extend(b"\r\n\r\n")), "invalid_base64");
        assert_eq!(text(&|text| text[20] = b'\n'), "invalid_base64", "a line feed inside");
        assert_eq!(text(&|text| text[20] = b'-'), "invalid_base64", "the URL-safe alphabet");
        assert_eq!(text(&|text| text[20] = b'_'), "invalid_base64");
        assert_eq!(text(&|text| text[20] = b'='), "invalid_base64", "padding inside");
        assert_eq!(text(&|text| text.extend(b"AAA")), "invalid_base64", "no multiple of four");
        assert!(refused(text(&|text| text[20] = b' ')), "a blank");
        assert!(refused(text(&|text| text[20] = 0)), "a zero byte");
        assert!(refused(text(&|text| text.truncate(text.len() - 1))));
        assert!(refused(text(&|text| text.truncate(text.len() - 2))));
    }
}

/// With 24 bytes, GCM without a version prefix ends in two characters and two padding ones.
#[test]
fn padding_and_the_bits_before_it_are_strict() {
    let json = record_of(&[("t", "string")]);
    let setup = Setup::new(&json, Algorithm::Aes256Gcm, false);
    let good = sealed(&setup);
    assert!(good.ends_with(b"=="), "24 + 28 bytes leave one over");
    let text = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut text = good.clone();
        change(&mut text);
        code_of(&text, &setup)
    };
    assert_eq!(text(&|text| text.truncate(text.len() - 2)), "invalid_base64", "no padding");
    assert_eq!(text(&|text| text.truncate(text.len() - 1)), "invalid_base64", "half of it");
    assert_eq!(text(&|text| text.extend(b"AAAA")), "invalid_base64", "text behind the padding");
    assert_eq!(text(&|text| text.extend(b"====")), "invalid_base64");
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let at = good.len() - 3;
    let bits = alphabet.iter().position(|c| *c == good[at]).unwrap();
    assert_eq!(bits % 16, 0, "the low bits of the last character are none");
    for more in 1..16 {
        assert_eq!(text(&|text| text[at] = alphabet[bits + more]), "invalid_base64", "bits that say nothing");
    }
}

#[test]
fn every_other_character_of_the_alphabet_is_ciphertext_that_does_not_open() {
    for setup in setups() {
        let good = sealed(&setup);
        for at in 8..good.len() - 4 {
            let mut text = good.clone();
            text[at] = if text[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(code_of(&text, &setup), "authentication_failed", "character {at}");
        }
    }
}

#[test]
fn a_version_prefix_is_checked_and_its_version_must_exist() {
    let json = record_of(&[("t", "bytes")]);
    let setup = Setup::new(&json, Algorithm::Aes256Gcm, true);
    let frame = setup.seal(&[body().text("value").0]).remove(0);
    let at = 5 + 1; // behind the frame's schema id and one byte of length
    assert_eq!(frame[at..at + 5], [0, 0, 0, 0, 3]);
    let open = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut frame = frame.clone();
        change(&mut frame);
        let results = open(&setup.read(), &some(&[frame])[..], 1);
        (results.codes(), results.misses.len())
    };
    assert_eq!(open(&|frame| frame[at] = 1), (vec![(0, "bad_version_prefix")], 0));
    for version in [0, -1, i32::MIN] {
        let (codes, misses) = open(&|frame| frame[at + 1..at + 5].copy_from_slice(&version.to_be_bytes()));
        assert_eq!((codes, misses), (vec![(0, "unknown_dek_version")], 0), "{version} is never asked for");
    }
    let (codes, misses) = open(&|frame| frame[at + 4] = 4);
    assert_eq!((codes, misses), (vec![], 1), "version 4 is missing, not wrong");
}

#[test]
fn a_prefix_that_only_one_side_has_is_an_error_and_never_a_value() {
    for algorithm in ALGORITHMS {
        for ty in ["string", "bytes"] {
            let json = record_of(&[("t", ty)]);
            let bodies = [body().text("a value of some length").0];
            let (plain, prefixed) = (Setup::new(&json, algorithm, false), Setup::new(&json, algorithm, true));
            let results = open(&plain.read(), &some(&prefixed.seal(&bodies))[..], 1);
            assert_eq!(results.codes(), [(0, "authentication_failed")]);
            let results = open(&prefixed.read(), &some(&plain.seal(&bodies))[..], 1);
            assert!(results.rows[0].is_empty(), "{algorithm:?}");
            assert!(results.misses.len() + results.faults.len() == 1);
        }
    }
}
