//! Wycheproof and RFC 5297: the primitives do what their specifications say.

use csfle_core::crypto::{Algorithm, Cipher, Nonces, Provider, Slot};
use serde_json::Value;

use crate::kit::lanes::proto;
use crate::kit::providers::ciphers_of;
use crate::kit::{hex, vectors};

/// One vector: a key, and a sealed value as CSFLE lays it out.
struct Case {
    id: u64,
    key: Vec<u8>,
    sealed: Vec<u8>,
    text: Vec<u8>,
    has_associated_data: bool,
    valid: bool,
}

fn cases(
    file: &str,
    fits: impl Fn(&Value) -> bool,
    sealed: impl Fn(&dyn Fn(&str) -> Vec<u8>) -> Vec<u8>,
) -> Vec<Case> {
    let file = vectors(&format!("wycheproof/{file}"));
    let groups = file["testGroups"].as_array().unwrap().iter().filter(|group| fits(group));
    let tests = groups.flat_map(|group| group["tests"].as_array().unwrap());
    let case = |test: &Value| {
        let bytes = |name: &str| hex(test[name].as_str().unwrap());
        Case {
            id: test["tcId"].as_u64().unwrap(),
            key: bytes("key"),
            sealed: sealed(&bytes),
            text: bytes("msg"),
            has_associated_data: !bytes("aad").is_empty(),
            valid: match test["result"].as_str().unwrap() {
                "valid" => true,
                "invalid" => false,
                other => panic!("no such result: {other}"),
            },
        }
    };
    tests.map(case).collect()
}

/// Opens a sealed value: its text, or None and what was left where the text stood.
fn open(cipher: &Cipher, sealed: &[u8]) -> Result<Vec<u8>, Vec<u8>> {
    let layout = cipher.algorithm().layout();
    let text = sealed.len() - cipher.algorithm().overhead();
    let mut buffer = sealed.to_vec();
    let mut opened = Vec::new();
    cipher.open(&mut buffer, &[Slot { start: 0, text }], &mut opened);
    let left = buffer[layout.head..layout.head + text].to_vec();
    if opened == [true] { Ok(left) } else { Err(left) }
}

/// How many cases there were, and how many of them opened, by every provider. A case with associated
/// data must not open: ours is always empty.
fn check(algorithm: Algorithm, cases: &[Case]) -> (usize, usize) {
    let mut opened = 0;
    for case in cases {
        let opens = case.valid && !case.has_associated_data;
        opened += usize::from(opens);
        for cipher in ciphers_of(algorithm, &case.key, 1) {
            let (id, by) = (case.id, cipher.provider());
            match open(&cipher, &case.sealed) {
                Ok(text) => assert!(opens && text == case.text, "case {id} by {by}"),
                Err(left) => assert!(!opens && left.iter().all(|byte| *byte == 0), "case {id} by {by}"),
            }
        }
    }
    (cases.len(), opened)
}

fn gcm_cases(key_bits: u64) -> Vec<Case> {
    let fits = move |group: &Value| {
        group["keySize"] == key_bits && group["ivSize"] == 96u64 && group["tagSize"] == 128u64
    };
    cases("aes_gcm_test.json", fits, |bytes| [bytes("iv"), bytes("ct"), bytes("tag")].concat())
}

fn siv_cases() -> Vec<Case> {
    cases("aes_siv_cmac_test.json", |group| group["keySize"] == 512u64, |bytes| bytes("ct"))
}

#[test]
fn all_280_wycheproof_cases_are_opened_or_refused_as_they_say() {
    let (aes128, aes128_opened) = check(Algorithm::Aes128Gcm, &gcm_cases(128));
    let (aes256, aes256_opened) = check(Algorithm::Aes256Gcm, &gcm_cases(256));
    let (siv, siv_opened) = check(Algorithm::Aes256Siv, &siv_cases());
    assert_eq!((aes128 + aes256, siv, aes128 + aes256 + siv), (133, 147, 280));
    // The valid ones without associated data, counted in the files.
    let valid =
        |cases: Vec<Case>| cases.iter().filter(|case| case.valid && !case.has_associated_data).count();
    let expected = (valid(gcm_cases(128)), valid(gcm_cases(256)), valid(siv_cases()));
    assert_eq!((aes128_opened, aes256_opened, siv_opened), expected);
    assert!(expected.0 > 20 && expected.1 > 20 && expected.2 > 5, "{expected:?}");
}

#[test]
fn every_valid_wycheproof_siv_case_is_reproduced_byte_for_byte() {
    let cases = siv_cases();
    let valid: Vec<&Case> = cases.iter().filter(|case| case.valid && !case.has_associated_data).collect();
    assert!(!valid.is_empty());
    for case in valid {
        let algorithm = Algorithm::Aes256Siv;
        let cipher = Cipher::new(algorithm, &proto(algorithm, &case.key), 1, Provider::Auto).unwrap();
        let mut buffer = vec![0; 16 + case.text.len()];
        buffer[16..].copy_from_slice(&case.text);
        let slot = Slot { start: 0, text: case.text.len() };
        cipher.seal(&mut buffer, &[slot], &mut Nonces::for_chunk(0).unwrap()).unwrap();
        assert_eq!(buffer, case.sealed, "case {}", case.id);
    }
}

/// Appendix A has 256-bit keys and other associated data than one empty string, so its two vectors
/// cannot go through a CSFLE cipher. They say that the crate below it makes S2V and CTR right; that
/// we call it with the right key and one empty string, Wycheproof and the upstream frames say.
#[test]
fn rfc_5297_appendix_a_holds_for_the_crate_below() {
    use aes_siv::KeyInit;
    use aes_siv::siv::Aes128Siv;

    let vectors = [
        (
            "fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
            vec!["101112131415161718191a1b1c1d1e1f2021222324252627"],
            "112233445566778899aabbccddee",
            "85632d07c6e8f37f950acd320a2ecc9340c02b9690c4dc04daef7f6afe5c",
        ),
        (
            "7f7e7d7c7b7a79787776757473727170404142434445464748494a4b4c4d4e4f",
            vec![
                "00112233445566778899aabbccddeeffdeaddadadeaddadaffeeddccbbaa99887766554433221100",
                "102030405060708090a0",
                "09f911029d74e35bd84156c5635688c0",
            ],
            "7468697320697320736f6d6520706c61696e7465787420746f20656e6372797074207573696e67205349562d414553",
            "7bdb6e3b432667eb06f4d14bff2fbd0fcb900f2fddbe404326601965c889bf17dba77ceb094fa663b7a3f748ba8af829\
             ea64ad544a272e9c485b62a3fd5c0d",
        ),
    ];
    for (key, associated_data, text, sealed) in vectors {
        let mut cipher = Aes128Siv::new_from_slice(&hex(key)).unwrap();
        let associated_data: Vec<Vec<u8>> = associated_data.into_iter().map(hex).collect();
        let mut bytes = hex(text);
        let iv = cipher.encrypt_inout_detached(&associated_data, bytes.as_mut_slice().into()).unwrap();
        assert_eq!([&iv[..], &bytes].concat(), hex(sealed));
    }
}
