#![no_main]

use csfle_fuzz::{both, decrypt, encrypt, schema};
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;

fn run(bytes: &[u8]) -> Result<()> {
    let mut input = Unstructured::new(bytes);
    let schema = schema(&mut input)?;
    let Some(both) = both(&schema, &mut input)? else { return Ok(()) };
    let body = input.take_rest();
    // A tombstone in front of it, and a row behind it that is mostly at fault.
    let (frames, faults) = encrypt(&both.write, &[None, Some(body), Some(&body[..body.len() / 2])]);
    assert!(faults.iter().all(|(row, _)| frames[*row].is_empty()));
    if faults.iter().any(|(row, _)| *row == 1) {
        return Ok(());
    }
    let (bodies, faults) = decrypt(&both.read, &[None, Some(&frames[1])]);
    assert!(faults.is_empty(), "what was sealed opens: {faults:?}");
    let (again, faults) = encrypt(&both.write, &[None, Some(&bodies[1])]);
    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!(again[1], frames[1]);
    Ok(())
}

fuzz_target!(|bytes: &[u8]| {
    let _ = run(bytes);
});
