#![no_main]

use csfle_core::avro::{Arena, HoleSizes, LeafId, Measure, Mode, Out, Plan, Walker};
use csfle_core::error::{Code, Fault};
use csfle_core::schema::Inheritance;
use csfle_fuzz::{plan, schema};
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;

struct Grown;

impl HoleSizes for Grown {
    fn hole_size(&self, _: LeafId, value: &[u8]) -> std::result::Result<usize, Code> {
        Ok(value.len() + 3)
    }
}

fn walk(plan: &Plan, body: &[u8]) -> Vec<std::result::Result<Vec<u8>, Fault>> {
    let pass = |program| {
        let (mut walker, mut out, mut measure) = (Walker::default(), Arena::default(), Measure::default());
        let mut holes = Vec::new();
        let found = |hole| {
            holes.push(hole);
            Ok(())
        };
        let seen = walker.walk(program, &plan.leaves, &Grown, (0, body), &mut out, found);
        let measured = walker.walk(program, &plan.leaves, &Grown, (0, body), &mut measure, |_| Ok(()));
        seen.map(|_| {
            assert!(measured.is_ok() && measure.len() == out.len(), "what is measured is what is written");
            let mut end = 0;
            for hole in &holes {
                assert!(end <= hole.at, "holes rise and do not overlap");
                end = hole.at + hole.len;
                assert_eq!(hole.len, hole.value_len + 3);
                assert!(hole.value + hole.value_len <= body.len());
                let path = walker.locate(program, &plan.leaves, &Grown, body, hole.value);
                assert!(path.is_some(), "every hole has a path");
            }
            assert!(end <= out.len());
            out.as_slice().to_vec()
        })
    };
    plan.passes.iter().map(pass).collect()
}

fn run(bytes: &[u8]) -> Result<()> {
    let mut input = Unstructured::new(bytes);
    let schema = schema(&mut input)?;
    let inheritance = if input.arbitrary()? { Inheritance::Java } else { Inheritance::Own };
    let body = input.take_rest();
    for mode in [Mode::Write, Mode::Read] {
        let (Some(lax), Some(exact)) =
            (plan(&schema, mode, false, inheritance), plan(&schema, mode, true, inheritance))
        else {
            continue;
        };
        for (lax, exact) in walk(&lax, body).into_iter().zip(walk(&exact, body)) {
            if let Ok(exact) = exact {
                assert_eq!(lax.as_ref(), Ok(&exact), "what is checked to the end is right without too");
            }
        }
    }
    Ok(())
}

fuzz_target!(|bytes: &[u8]| {
    let _ = run(bytes);
});
