//! A changed ciphertext is an error, whichever byte and however it was changed, and never a value.

use csfle_core::crypto::Algorithm::Aes256Gcm;
use csfle_core::error::Code;

use crate::kit::bodies::body;
use crate::kit::lanes::{ALGORITHMS, Results, Setup, open, some};
use crate::kit::plans::record_of;

const TEXT: &str = "a value of 24 characters";

fn setups() -> Vec<Setup> {
    let mut setups = Vec::new();
    for algorithm in ALGORITHMS {
        for prefixed in [false, true] {
            for ty in ["string", "bytes"] {
                setups.push(Setup::new(&record_of(&[("t", ty)]), algorithm, prefixed));
            }
            let untagged = record_of(&[("a", "string")]);
            setups.push(Setup::new(&untagged, algorithm, prefixed).payload(algorithm, prefixed));
        }
    }
    setups
}

/// What a changed frame may give: a fault with a code, or a miss of the version that it now names.
fn refused(results: &Results, setup: &Setup) -> bool {
    let misses = setup.layers().iter().any(|layer| layer.prefixed) && results.misses.len() == 1;
    results.rows[0].is_empty() && (results.faults.len() == 1) != misses
}

#[test]
fn every_flipped_bit_behind_the_frame_is_refused() {
    for setup in setups() {
        let table = setup.read();
        let frame = setup.seal(&[body().text(TEXT).0]).remove(0);
        for at in 5..frame.len() {
            for bit in 0..8 {
                let mut changed = frame.clone();
                changed[at] ^= 1 << bit;
                let results = open(&table, &some(&[changed])[..], 1);
                assert!(refused(&results, &setup), "byte {at}, bit {bit}: {results:?}");
            }
        }
    }
}

#[test]
fn a_frame_cut_anywhere_is_refused() {
    for setup in setups() {
        let table = setup.read();
        let frame = setup.seal(&[body().text(TEXT).0]).remove(0);
        for end in 0..frame.len() {
            let results = open(&table, &some(&[frame[..end].to_vec()])[..], 1);
            assert!(refused(&results, &setup), "{end} bytes: {results:?}");
        }
    }
}

#[test]
fn values_swapped_between_fields_of_one_key_open_but_between_keys_do_not() {
    // GCM with empty associated data does not bind a value to its field: the protocol is so.
    let json = record_of(&[("t1", "bytes"), ("t2", "bytes")]);
    let setup = Setup::new(&json, Aes256Gcm, false);
    let frame = setup.seal(&[body().text("first").text("other").0]).remove(0);
    let (head, values) = frame.split_at(5);
    let (first, second) = values.split_at(values.len() / 2);
    let swapped = [head, second, first].concat();
    assert_eq!(setup.open(&[swapped]), [body().text("other").text("first").0]);

    let json = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"bytes","confluent:tags":["PII"]},
        {"name":"b","type":"bytes","confluent:tags":["B"]}]}"#;
    let two = Setup::new(json, Aes256Gcm, false).rule(&["B"], Aes256Gcm, false);
    let frame = two.seal(&[body().text("first").text("other").0]).remove(0);
    let (head, values) = frame.split_at(5);
    let (first, second) = values.split_at(values.len() / 2);
    let results = open(&two.read(), &some(&[[head, second, first].concat()])[..], 1);
    assert_eq!(results.faults[0].1.code, Code::AuthenticationFailed);
}

#[test]
fn plaintext_and_tampering_have_different_codes() {
    for setup in setups().into_iter().filter(|setup| setup.payload_rules.is_empty()) {
        let plain = [&[0, 0, 0, 0, 7][..], &body().text("plain").0].concat();
        let results = open(&setup.read(), &some(&[plain])[..], 1);
        assert_eq!(results.codes(), [(0, "not_ciphertext")]);
        let mut tampered = setup.seal(&[body().text(TEXT).0]).remove(0);
        let at = tampered.len() - 10;
        tampered[at] = if tampered[at] == b'A' { b'B' } else { b'A' };
        assert_eq!(open(&setup.read(), &some(&[tampered])[..], 1).codes(), [(0, "authentication_failed")]);
    }
}

#[test]
fn plaintext_of_any_script_and_any_bytes_is_told_as_such() {
    for setup in setups().into_iter().filter(|setup| setup.payload_rules.is_empty()) {
        let is_text = setup.write().lane.plan.leaves[0].kind == csfle_core::avro::LeafKind::Text;
        let long = "größer als jeder Zusatz: ✓✓✓✓✓✓✓✓✓✓✓✓✓✓✓✓✓✓✓✓✓✓✓✓✓✓✓✓✓✓✓✓✓✓✓✓✓✓✓✓";
        let latin = [0xe9; 200]; // no UTF-8
        for value in ["é".as_bytes(), long.as_bytes(), &latin, &latin[..199]] {
            let plain = [&[0, 0, 0, 0, 7][..], &body().text(value).0].concat();
            let results = open(&setup.read(), &some(&[plain])[..], 1);
            if is_text {
                assert_eq!(results.codes(), [(0, "not_ciphertext")], "{} bytes", value.len());
                assert_eq!(results.faults[0].1.path.as_deref(), Some("t"));
            } else {
                assert!(refused(&results, &setup), "{} bytes: {results:?}", value.len());
            }
        }
    }
}

#[test]
fn no_fault_shows_the_value_it_is_about() {
    for setup in setups() {
        let secret = "SECRET-PLAINTEXT";
        let plain = [&[0, 0, 0, 0, 7][..], &body().text(secret).0].concat();
        let mut tampered = setup.seal(&[body().text(secret).0]).remove(0);
        *tampered.last_mut().unwrap() ^= 1;
        for frame in [plain, tampered] {
            for (_, fault) in open(&setup.read(), &some(&[frame])[..], 1).faults {
                assert!(!format!("{fault} {fault:?}").contains("SECRET"));
            }
        }
    }
}
