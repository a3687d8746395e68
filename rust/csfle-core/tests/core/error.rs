//! Codes are stable, distinct and documented; faults say where, never what.

use std::collections::HashSet;

use csfle_core::error::{Code, Fault};

#[test]
fn every_code_has_a_distinct_name_and_sentence() {
    let names: HashSet<_> = Code::ALL.iter().map(|code| code.name()).collect();
    let sentences: HashSet<_> = Code::ALL.iter().map(|code| code.message()).collect();
    assert_eq!((names.len(), sentences.len()), (Code::ALL.len(), Code::ALL.len()));
    for name in names {
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit()), "{name}");
    }
}

#[test]
fn a_fault_reads_as_its_sentence_its_detail_and_its_offset() {
    let plain = Fault::of(Code::Truncated);
    assert_eq!(plain.to_string(), Code::Truncated.message());
    let full = Fault { offset: Some(9), ..Fault::of(Code::UnknownDekVersion).with_detail("version 12") };
    assert_eq!(
        full.to_string(),
        "the value names a DEK version that does not exist (version 12), at byte 9 of the body"
    );
}

#[test]
fn a_refusal_keeps_the_number_that_its_caller_gave() {
    let fault = Fault::refused(5);
    assert_eq!((fault.code, fault.refusal), (Code::Refused, Some(5)));
}
