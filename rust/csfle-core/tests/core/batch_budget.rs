//! Budgets in batches: what is sealed fits the budget exactly, and the rows it has no room for say so.

use std::sync::Arc;

use csfle_core::crypto::Algorithm::{Aes128Gcm, Aes256Gcm};
use csfle_core::crypto::{Algorithm, Budget, Cipher, Provider, Seals};
use csfle_core::lane::WriteLane;

use crate::kit::bodies::body;
use crate::kit::lanes::{Results, Setup, open, proto, seal, seal_packed, some};
use crate::kit::plans::record_of;

/// `of` with its first cipher under `budget`.
fn budgeted(setup: &Setup, rule: usize, budget: Budget) -> (WriteLane, Arc<Seals>) {
    let mut write = setup.write();
    let seals = Arc::new(Seals::default());
    let old = &write.ciphers[rule];
    let seed = u8::try_from(rule + 1).unwrap();
    let key = proto(old.algorithm(), &vec![seed; old.algorithm().key_len()]);
    let cipher = Cipher::new(old.algorithm(), &key, old.version(), Provider::Auto).unwrap();
    write.ciphers[rule] = Arc::new(cipher.counting_in(seals.clone(), budget));
    (write, seals)
}

fn two_fields(algorithm: Algorithm) -> Setup {
    Setup::new(&record_of(&[("a", "int"), ("t1", "string"), ("t2", "bytes")]), algorithm, true)
}

fn row(number: usize) -> Vec<u8> {
    body().long(number.try_into().unwrap()).text("x".repeat(number % 60)).text(vec![1; number % 30]).0
}

/// Every row that is there opens to what it was; those that are not say `code`. How many are there.
fn check(setup: &Setup, bodies: &[Vec<u8>], results: &Results, code: &str) -> usize {
    let kept: Vec<usize> = (0..bodies.len()).filter(|row| !results.rows[*row].is_empty()).collect();
    let frames: Vec<_> = kept.iter().map(|row| results.rows[*row].clone()).collect();
    let opened = open(&setup.read(), &some(&frames)[..], 1).all();
    for (row, body) in kept.iter().zip(opened) {
        assert_eq!(body, bodies[*row], "row {row}");
    }
    let lost = (0..bodies.len()).filter(|row| !kept.contains(row)).map(|row| (row, code)).collect::<Vec<_>>();
    assert_eq!(results.codes(), lost);
    kept.len()
}

#[test]
fn a_strict_budget_is_used_up_and_never_overrun_in_every_form() {
    let setup = two_fields(Aes256Gcm);
    let bodies: Vec<_> = (0..400).map(row).collect();
    for most in [2, 3, 62, 64, 65, 100, 500, 799, 800, 801] {
        for threads in [1, 3] {
            for packed in [false, true] {
                let (write, seals) = budgeted(&setup, 0, Budget::Strict(most));
                let run = if packed { seal_packed } else { seal };
                let results = run(&write, &some(&bodies), threads);
                let kept = check(&setup, &bodies, &results, "dek_exhausted") as u64;
                assert_eq!(seals.values(), 2 * kept);
                // A thread that gives back may make another's row wait that would have fitted.
                let full = (most / 2).min(400);
                assert!(if threads == 1 { kept == full } else { kept <= full && kept > 0 }, "{most}: {kept}");
                assert_eq!(results.counts.sealed, 2 * kept);
                assert_eq!(results.counts.exhausted > 0, kept < 400);
                assert_eq!(write.ciphers[0].is_exhausted(), kept < 400);
            }
        }
    }
}

#[test]
fn a_row_that_no_budget_can_pay_says_so_and_costs_nothing() {
    let setup = two_fields(Aes256Gcm);
    let bodies: Vec<_> = (0..40).map(row).collect();
    let (write, seals) = budgeted(&setup, 0, Budget::Strict(1));
    let results = seal(&write, &some(&bodies), 1);
    assert_eq!(check(&setup, &bodies, &results, "row_over_budget"), 0);
    assert_eq!(seals.values(), 0);
    assert!(!write.ciphers[0].is_exhausted(), "another key would not help");
}

#[test]
fn faults_of_the_walk_and_of_the_budget_stand_in_row_order() {
    let setup = two_fields(Aes256Gcm);
    let (write, _) = budgeted(&setup, 0, Budget::Strict(4));
    let bodies = [row(1), vec![0x80], row(2), row(3), vec![], row(4)];
    let codes = seal(&write, &some(&bodies), 1).codes();
    let expected = [(1, "truncated"), (3, "dek_exhausted"), (4, "truncated"), (5, "dek_exhausted")];
    assert_eq!(codes, expected);
}

#[test]
fn what_one_rule_refuses_takes_nothing_from_the_budget_of_another() {
    let json = r#"{"type":"record","name":"R","fields":[
        {"name":"a","type":"string","confluent:tags":["PII"]},
        {"name":"b","type":"string","confluent:tags":["PII","KEY"]}]}"#;
    let setup = Setup::new(json, Aes128Gcm, true).rule(&["KEY"], Aes256Gcm, true).payload(Aes256Gcm, true);
    let bodies: Vec<_> = (0..70).map(|n| body().text("x".repeat(n)).text("y".repeat(n)).0).collect();
    for (rule, of_row) in [(0, 2), (1, 1), (2, 1)] {
        let (write, seals) = budgeted(&setup, rule, Budget::Strict(40));
        let results = seal(&write, &some(&bodies), 1);
        let kept = check(&setup, &bodies, &results, "dek_exhausted") as u64;
        assert_eq!((kept, seals.values()), (40 / of_row, 40));
        let others: Vec<_> = write.ciphers.iter().map(|cipher| cipher.seals().values()).collect();
        assert_eq!(others, [2 * kept, kept, kept]);
    }
}

#[test]
fn a_budget_that_is_told_of_seals_every_row() {
    let setup = two_fields(Aes256Gcm);
    let bodies: Vec<_> = (0..100).map(row).collect();
    let (write, seals) = budgeted(&setup, 0, Budget::Told(150));
    let first = seal(&write, &some(&bodies), 1);
    assert_eq!(check(&setup, &bodies, &first, ""), 100);
    assert_eq!((first.counts.exhausted, seals.values()), (1, 200));
    assert_eq!(seal(&write, &some(&bodies), 1).counts.exhausted, 0, "told once");
    let cipher = &write.ciphers[0];
    assert_eq!([cipher.take_passed(), cipher.take_passed(), cipher.is_exhausted()], [true, false, false]);
}

#[test]
fn bytes_are_those_of_the_texts_layer_by_layer() {
    let json = r#"{"type":"record","name":"R","fields":[
        {"name":"b","type":"bytes","confluent:tags":["PII","KEY"]}]}"#;
    let setup = Setup::new(json, Aes256Gcm, false).rule(&["KEY"], Aes256Gcm, true).payload(Aes256Gcm, false);
    let write = setup.write();
    seal(&write, &some(&[body().text(vec![1; 100]).0]), 1).all();
    let bytes: Vec<_> = write.ciphers.iter().map(|cipher| cipher.seals().bytes()).collect();
    let inner = 100 + 28;
    let outer = inner + 5 + 28;
    assert_eq!(bytes, [100, inner, outer + 2], "the body holds the outer layer and a length of two bytes");
}

#[test]
fn tombstones_take_nothing() {
    let setup = two_fields(Aes256Gcm).payload(Aes256Gcm, false);
    let (write, seals) = budgeted(&setup, 1, Budget::Strict(1));
    let body = row(1);
    let results = seal(&write, &[None, Some(&body[..]), None], 1);
    assert_eq!((results.codes(), seals.values()), (vec![], 1));
}

/// `of` with one count for all its ciphers, as rules with one DEK have it, each under its budget.
fn counted_together(setup: &Setup, budgets: &[Budget]) -> (WriteLane, Arc<Seals>) {
    let mut write = setup.write();
    let seals = Arc::new(Seals::default());
    for (rule, budget) in budgets.iter().enumerate() {
        let (with_own, _) = budgeted(setup, rule, *budget);
        let own = Arc::into_inner(with_own.ciphers.into_iter().nth(rule).unwrap()).unwrap();
        write.ciphers[rule] = Arc::new(own.counting_in(seals.clone(), *budget));
    }
    (write, seals)
}

#[test]
fn a_row_whose_rules_share_a_key_needs_their_seals_together() {
    let setup = two_fields(Aes256Gcm).payload(Aes256Gcm, true);
    let bodies: Vec<_> = (0..40).map(row).collect();
    for (most, rows, code) in [(2, 0, "row_over_budget"), (3, 1, "dek_exhausted"), (59, 19, "dek_exhausted")]
    {
        let (write, seals) = counted_together(&setup, &[Budget::Strict(most); 2]);
        let results = seal(&write, &some(&bodies), 1);
        assert_eq!(check(&setup, &bodies, &results, code), rows);
        assert_eq!(seals.values(), 3 * rows as u64);
        assert_eq!(write.ciphers.iter().any(|cipher| cipher.is_exhausted()), code == "dek_exhausted");
    }
    // A rule that is only told of its budget makes no row too large: another key helps the strict one.
    let (write, _) = counted_together(&setup, &[Budget::Strict(2), Budget::Told(2)]);
    assert_eq!(check(&setup, &bodies, &seal(&write, &some(&bodies), 1), "dek_exhausted"), 1);
}

#[test]
fn values_that_were_let_pass_count_with_the_rows_that_were_sealed() {
    let json = r#"{"type":"record","name":"R","fields":[
        {"name":"s","type":"string","confluent:tags":["PII"]},
        {"name":"u","type":["string","long"],"confluent:tags":["PII"]}]}"#;
    let setup = Setup::new(json, Aes256Gcm, true);
    let bodies: Vec<_> = (0..40).map(|n| body().text("x").long(1).long(n).0).collect();
    let (write, _) = budgeted(&setup, 0, Budget::Strict(7));
    let results = seal(&write, &some(&bodies), 1);
    assert_eq!((results.counts.sealed, results.counts.passed), (7, 7));
}
