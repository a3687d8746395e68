//! What debug output shows: never a value, a row or a key.

use std::fmt::Debug;
use std::marker::PhantomData;

use csfle_core::avro::{Arena, Cursor, Fixed, Walker};
use csfle_core::batch::{Decryption, Encryption};
use csfle_core::crypto::Algorithm::Aes256Gcm;
use csfle_core::crypto::{Cipher, Nonces, Provider};
use csfle_core::error::{Code, Fault};
use csfle_core::parallel::Pool;

use crate::kit::bodies::body;
use crate::kit::lanes::{Setup, cipher, proto, some};
use crate::kit::plans::record_of;

/// Whether a type has debug output: the constant of its own is taken before that of the trait.
struct Shows<T: ?Sized>(PhantomData<T>);

trait ShowsNothing {
    const DEBUG: bool = false;
}

impl<T: ?Sized> ShowsNothing for Shows<T> {}

impl<T: ?Sized + Debug> Shows<T> {
    const DEBUG: bool = true;
}

#[test]
fn what_holds_the_bytes_of_rows_or_random_ones_has_no_debug_output() {
    let with = [
        ("Cursor", <Shows<Cursor<'_>>>::DEBUG),
        ("Arena", <Shows<Arena>>::DEBUG),
        ("Fixed", <Shows<Fixed<'_>>>::DEBUG),
        ("Walker", <Shows<Walker>>::DEBUG),
        ("Nonces", <Shows<Nonces>>::DEBUG),
        ("Encryption", <Shows<Encryption<'_, [Option<&[u8]>]>>>::DEBUG),
        ("Decryption", <Shows<Decryption<'_, [Option<&[u8]>]>>>::DEBUG),
    ];
    for (name, with) in with {
        assert!(!with, "{name}");
    }
    let told = <Shows<Fault>>::DEBUG && <Shows<Cipher>>::DEBUG;
    assert!(told, "the question itself tells one from the other");
}

/// Bytes as text and as debug output gives them.
fn shows(output: &str, secret: &[u8]) -> bool {
    let numbers = secret.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
    let hex = secret.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    let output = output.replace('\n', " ");
    output.contains(&*String::from_utf8_lossy(secret))
        || output.contains(&numbers)
        || output.to_lowercase().contains(&hex)
}

#[test]
fn a_cipher_a_lane_and_a_table_show_nothing_of_a_key() {
    let key = [0xC5; 32];
    let mut setup = Setup::new(&record_of(&[("t", "string")]), Aes256Gcm, true);
    setup.exact = true;
    let cipher =
        std::sync::Arc::new(Cipher::new(Aes256Gcm, &proto(Aes256Gcm, &key), 3, Provider::Auto).unwrap());
    let (mut write, mut read) = (setup.write(), setup.read_lane());
    write.ciphers = vec![cipher.clone()];
    read.deks[0].loaded.insert(3, cipher.clone());
    let table = crate::kit::lanes::table([(7, read)]);
    for output in [format!("{cipher:?}"), format!("{write:?}"), format!("{table:?}"), format!("{table:#?}")] {
        assert!(output.contains("Cipher(AES256_GCM, version 3)"), "{output}");
        assert!(!shows(&output, &key[..4]), "{output}");
    }
}

#[test]
fn what_comes_of_a_batch_shows_rows_as_little_as_its_faults_do() {
    let secret = "SECRET-PLAINTEXT";
    let setup = Setup::new(&record_of(&[("t", "string"), ("u", "int")]), Aes256Gcm, true);
    let plain = body().text(secret).long(1).0;
    let other_version = {
        let mut write = setup.write();
        write.ciphers = vec![cipher(Aes256Gcm, 1, 9)];
        crate::kit::lanes::seal(&write, &[Some(&plain)], 1).all().remove(0)
    };
    let good = setup.seal(std::slice::from_ref(&plain)).remove(0);
    let mut forged = good.clone();
    forged[30] ^= 1;
    let unsealed = [&good[..5], &plain[..]].concat();
    let frames = [good, forged, unsealed.clone(), unsealed[..12].to_vec(), plain.clone(), other_version];
    let pool = Pool::default();
    let (write, table) = (setup.write(), setup.read());
    let (rows, bodies) = (some(&frames), [Some(&plain[..]), Some(&plain[..9])]);
    let read = Decryption { table: &table, rows: &rows[..], misses: 64, pool: &pool, threads: 1 };
    let written = Encryption { write: &write, rows: &bodies[..], pool: &pool, threads: 1 };
    let mut outputs: Vec<String> = Vec::new();
    for (_, outcome) in read.to_arenas().into_iter().chain(written.to_arenas()) {
        outputs.push(format!("{outcome:?} {:?}", outcome.faults));
    }
    let sizes = read.sizes();
    outputs.push(format!("{:?}", read.to_buffer(&mut vec![0; sizes.iter().sum()], &sizes)));
    for output in outputs {
        assert!(output.contains("Fault"), "some rows failed: {output}");
        assert!(!shows(&output, &secret.as_bytes()[..4]), "{output}");
    }
}

#[test]
fn codes_and_faults_show_their_name_and_place_alone() {
    assert_eq!(format!("{:?}", Code::InvalidBase64), "InvalidBase64");
    let fault = Fault { path: Some("a.b".into()), offset: Some(4), ..Fault::of(Code::Truncated) };
    let output =
        "Fault { code: Truncated, path: Some(\"a.b\"), offset: Some(4), detail: None, refusal: None }";
    assert_eq!(format!("{fault:?}"), output);
}
