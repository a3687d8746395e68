#![no_main]

use csfle_fuzz::{both, decrypt, encrypt, schema};
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;

fn run(bytes: &[u8]) -> Result<()> {
    let mut input = Unstructured::new(bytes);
    let schema = schema(&mut input)?;
    let Some(both) = both(&schema, &mut input)? else { return Ok(()) };
    let (at, change): (u16, u8) = (input.arbitrary()?, input.arbitrary()?);
    let body = input.take_rest();
    let framed = [&[0, 0, 0, 0, 1], body].concat();
    let (frames, _) = encrypt(&both.write, &[Some(body)]);
    let mut changed = frames[0].clone();
    if let Some(byte) = changed.get_mut(usize::from(at)) {
        *byte ^= change;
    }
    let rows =
        [Some(body), Some(&framed[..]), Some(&changed), Some(&frames[0]), Some(&changed), Some(&framed)];
    let (bodies, faults) = decrypt(&both.read, &rows);
    assert!(faults.iter().all(|(row, _)| bodies[*row].is_empty()));
    for (row, frame) in rows.iter().enumerate() {
        let (alone, fault) = decrypt(&both.read, &[*frame]);
        let among = faults.iter().find(|(failed, _)| *failed == row).map(|(_, fault)| fault);
        assert_eq!((&alone[0], fault.first().map(|(_, fault)| fault)), (&bodies[row], among), "a row's own");
    }
    let sealed_whole = !both.write.lane.payload.is_empty();
    if sealed_whole && changed != frames[0] && usize::from(at) >= 5 {
        assert!(bodies[2].is_empty(), "a changed payload gives no value");
    }
    Ok(())
}

fuzz_target!(|bytes: &[u8]| {
    let _ = run(bytes);
});
