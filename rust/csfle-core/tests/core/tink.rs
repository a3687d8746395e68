//! The proto around a DEK: what is read, what is refused, and the bytes that are written.

use csfle_core::crypto::{Algorithm, Cipher, Nonces, Provider, Slot, generate_key_proto};
use csfle_core::error::KeyError;

use crate::kit::lanes::{ALGORITHMS, proto};

fn load(algorithm: Algorithm, proto: &[u8]) -> Result<Cipher, KeyError> {
    Cipher::new(algorithm, proto, 1, Provider::Auto)
}

fn refusal(algorithm: Algorithm, proto: &[u8]) -> KeyError {
    load(algorithm, proto).expect_err("the proto is refused")
}

/// Whether both protos hold the same key: what one seals the other opens.
fn same_key(algorithm: Algorithm, one: &[u8], other: &[u8]) -> bool {
    let slot = Slot { start: 0, text: 4 };
    let mut buffer = vec![0; 4 + algorithm.overhead()];
    load(algorithm, one).unwrap().seal(&mut buffer, &[slot], &mut Nonces::for_chunk(1).unwrap()).unwrap();
    let mut opened = Vec::new();
    load(algorithm, other).unwrap().open(&mut buffer, &[slot], &mut opened);
    opened == [true]
}

fn key(algorithm: Algorithm, seed: u8) -> Vec<u8> {
    vec![seed; algorithm.key_len()]
}

const VERSION_0: [u8; 2] = [0x08, 0x00];

#[test]
fn the_plain_proto_of_each_algorithm_is_read() {
    for algorithm in ALGORITHMS {
        assert!(load(algorithm, &proto(algorithm, &key(algorithm, 1))).is_ok());
    }
}

#[test]
fn fields_stand_in_any_order_and_version_0_may_be_written_out() {
    for algorithm in ALGORITHMS {
        let plain = proto(algorithm, &key(algorithm, 1));
        for other in [[&VERSION_0[..], &plain].concat(), [&plain, &VERSION_0[..]].concat()] {
            assert!(same_key(algorithm, &plain, &other));
        }
    }
}

#[test]
fn the_last_of_a_repeated_field_wins() {
    for algorithm in ALGORITHMS {
        let (first, last) = (proto(algorithm, &key(algorithm, 1)), proto(algorithm, &key(algorithm, 2)));
        let both = [&first[..], &last].concat();
        assert!(same_key(algorithm, &last, &both));
        assert!(!same_key(algorithm, &first, &both));
        let versions = [&[0x08, 0x01][..], &first, &VERSION_0].concat();
        assert!(same_key(algorithm, &first, &versions), "version 1, then version 0");
        let wrong_then_right = [&proto(algorithm, &[9; 5])[..], &first].concat();
        assert!(same_key(algorithm, &first, &wrong_then_right), "only the last one's length counts");
    }
}

#[test]
fn any_other_version_is_refused() {
    for algorithm in ALGORITHMS {
        let plain = proto(algorithm, &key(algorithm, 1));
        for version in [&[0x08, 0x01][..], &[0x08, 0x80, 0x01]] {
            assert_eq!(refusal(algorithm, &[&plain[..], version].concat()), KeyError::NotAKeyProto);
        }
    }
}

#[test]
fn a_key_of_another_length_is_refused_as_such() {
    for algorithm in ALGORITHMS {
        for length in [0, 1, 15, 16, 17, 24, 31, 32, 33, 48, 63, 64, 65, 127] {
            if length != algorithm.key_len() {
                assert_eq!(refusal(algorithm, &proto(algorithm, &vec![1; length])), KeyError::WrongLength);
            }
        }
    }
}

#[test]
fn the_proto_of_one_algorithm_is_none_of_another() {
    let gcm = proto(Algorithm::Aes256Gcm, &[1; 32]);
    let siv = proto(Algorithm::Aes256Siv, &[1; 64]);
    assert_eq!(refusal(Algorithm::Aes256Siv, &gcm), KeyError::NotAKeyProto);
    assert_eq!(refusal(Algorithm::Aes256Gcm, &siv), KeyError::NotAKeyProto);
    assert_eq!(refusal(Algorithm::Aes128Gcm, &gcm), KeyError::WrongLength);
}

#[test]
fn foreign_fields_naked_keys_and_nothing_at_all_are_refused() {
    for algorithm in ALGORITHMS {
        let plain = proto(algorithm, &key(algorithm, 1));
        let foreign: [&[u8]; 5] =
            [&[0x22, 0x01, 0x00], &[0x18, 0x00], &[0x0d, 0, 0, 0, 0], &[0x00], &[0x0a, 0x01, 0x00]];
        for field in foreign {
            assert_eq!(refusal(algorithm, &[&plain[..], field].concat()), KeyError::NotAKeyProto);
            assert_eq!(refusal(algorithm, &[field, &plain[..]].concat()), KeyError::NotAKeyProto);
        }
        assert_eq!(refusal(algorithm, &key(algorithm, 1)), KeyError::NotAKeyProto);
        assert_eq!(refusal(algorithm, &[]), KeyError::NotAKeyProto);
        assert_eq!(refusal(algorithm, &VERSION_0), KeyError::NotAKeyProto);
    }
}

#[test]
fn a_proto_cut_short_anywhere_is_refused() {
    for algorithm in ALGORITHMS {
        let plain = [&VERSION_0[..], &proto(algorithm, &key(algorithm, 1))].concat();
        for end in 0..plain.len() {
            assert_eq!(refusal(algorithm, &plain[..end]), KeyError::NotAKeyProto, "{end} bytes");
        }
    }
}

#[test]
fn hostile_lengths_and_varints_are_refused() {
    for algorithm in ALGORITHMS {
        let tag = proto(algorithm, &[])[0];
        let hostile = [
            vec![tag, 0x7f],
            vec![tag, 0x80],
            [&[tag][..], &[0xff; 9], &[0x01]].concat(),
            [&[tag][..], &[0xff; 10], &[0x01]].concat(),
            [&[tag][..], &[0x80; 30]].concat(),
            vec![0x80; 64],
            vec![0x08, 0x80],
        ];
        for bytes in hostile {
            assert_eq!(refusal(algorithm, &bytes), KeyError::NotAKeyProto, "{bytes:02x?}");
        }
    }
}

#[test]
fn a_fresh_proto_has_exactly_the_bytes_that_every_client_writes() {
    let heads = [[0x1a, 0x10], [0x1a, 0x20], [0x12, 0x40]];
    for (algorithm, head) in ALGORITHMS.into_iter().zip(heads) {
        let fresh = generate_key_proto(algorithm).unwrap();
        assert_eq!(fresh[..2], head);
        assert_eq!(fresh.len(), 2 + algorithm.key_len());
        assert_ne!(fresh, generate_key_proto(algorithm).unwrap(), "each one is new");
        assert!(load(algorithm, &fresh).is_ok());
    }
}

#[test]
fn the_causes_have_stable_codes_and_say_nothing_of_the_bytes() {
    let causes = [
        (KeyError::UnknownAlgorithm, "unknown_algorithm"),
        (KeyError::UnknownProvider, "unknown_provider"),
        (KeyError::NotAKeyProto, "bad_key_proto"),
        (KeyError::WrongLength, "wrong_key_length"),
        (KeyError::NoRandom, "random_unavailable"),
    ];
    for (error, code) in causes {
        assert_eq!(error.code(), code);
        assert!(!error.to_string().contains("0x"));
    }
}
