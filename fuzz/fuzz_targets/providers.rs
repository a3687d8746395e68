#![no_main]

use csfle_core::crypto::{Algorithm, Many, Nonces, Provider, Sealer, Slot};
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;

const HEAD: usize = 12;
const TAG: usize = 16;

/// What comes of opening: which values did, and the whole buffer.
fn opened(sealer: &dyn Sealer, buffer: &[u8], slots: &[Slot]) -> (Vec<bool>, Vec<u8>) {
    let (mut buffer, mut opened) = (buffer.to_vec(), vec![false; slots.len()]);
    sealer.open(&mut buffer, slots, &mut opened);
    (opened, buffer)
}

fn run(bytes: &[u8]) -> Result<()> {
    let mut input = Unstructured::new(bytes);
    let algorithm = if input.arbitrary()? { Algorithm::Aes128Gcm } else { Algorithm::Aes256Gcm };
    let mut key = vec![0; algorithm.key_len()];
    input.fill_buffer(&mut key)?;
    let ring = Provider::Ring.prepare(algorithm, &key).expect("the key has its length").sealer;
    let many = Many::new(algorithm, &key, ring.clone()).expect("the key has its length");
    let (ring, many): (&dyn Sealer, &dyn Sealer) = (&*ring, &many);

    // Values in odd places, with foreign ground between them, given in the other order or not.
    let (mut buffer, mut slots) = (Vec::new(), Vec::new());
    for _ in 0..input.int_in_range(0..=80)? {
        buffer.resize(buffer.len() + input.int_in_range(0..=3)?, 0xEE);
        let most = if input.ratio(1, 8)? { 1_100 } else { 140 };
        let text = input.int_in_range(0..=most)?;
        slots.push(Slot { start: buffer.len(), text });
        buffer.resize(buffer.len() + HEAD + text + TAG, 0);
        input.fill_buffer(&mut buffer[slots[slots.len() - 1].start..])?;
    }
    if input.arbitrary()? {
        slots.reverse();
    }

    // As they came: nothing opens, and both say so in the same way.
    let wild = opened(many, &buffer, &slots);
    assert_eq!(wild, opened(ring, &buffer, &slots), "values that nobody sealed");
    assert!(!wild.0.contains(&true));

    for (sealer, other) in [(many, ring), (ring, many)] {
        let mut sealed = buffer.clone();
        let mut nonces = Nonces::for_chunk(slots.len()).expect("there are random numbers");
        sealer.seal(&mut sealed, &slots, &mut nonces).expect("there are random numbers");
        let (all, texts) = opened(other, &sealed, &slots);
        assert!(!all.contains(&false), "each opens what the other sealed");
        assert_eq!(opened(sealer, &sealed, &slots), (all, texts.clone()));
        for slot in &slots {
            let text = slot.start + HEAD..slot.start + HEAD + slot.text;
            assert_eq!(texts[text.clone()], buffer[text], "as it was before");
        }
        // A changed byte within a value fails that value alone, by both alike.
        let Some(last) = slots.len().checked_sub(1) else { return Ok(()) };
        let index = input.int_in_range(0..=last)?;
        let at = input.int_in_range(0..=HEAD + slots[index].text + TAG - 1)?;
        sealed[slots[index].start + at] ^= input.int_in_range(1..=255)?;
        let forged = opened(many, &sealed, &slots);
        assert_eq!(forged, opened(ring, &sealed, &slots), "a value that was changed");
        assert!(forged.0.iter().enumerate().all(|(at, opened)| *opened == (at != index)));
    }
    Ok(())
}

fuzz_target!(|bytes: &[u8]| {
    let _ = run(bytes);
});
