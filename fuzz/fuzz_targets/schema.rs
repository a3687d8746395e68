#![no_main]

use csfle_core::avro::Mode;
use csfle_core::schema::{Inheritance, Patterns, Resolution, Schema};
use csfle_fuzz::plan;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(schema) = Schema::parse(text, &[]) else { return };
    let written = schema.codec_json().expect("without references it is as deep as it was");
    let again = Schema::parse(&written, &[]).expect("what is written back is read");
    assert_eq!(again.codec_json().as_ref(), Ok(&written));
    let tags = schema.tags(&Patterns::default());
    schema.outline(&tags);
    Resolution::new(&schema, &again).tags(&tags);
    for mode in [Mode::Write, Mode::Read] {
        for inheritance in [Inheritance::Own, Inheritance::Java] {
            plan(&schema, mode, true, inheritance);
            plan(&schema, mode, false, inheritance);
        }
    }
});
