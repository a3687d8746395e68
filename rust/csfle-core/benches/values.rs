//! Values alone: what sealing and opening one takes by each provider, in batches as `fill` has them.
//! Prints one JSON document: nanoseconds a value, best round of each, in turns.
//! Before any clock runs, each provider opens what the other sealed.

#![allow(clippy::unwrap_used)] // a bench that cannot go on should stop where it stands

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use csfle_core::crypto::{Algorithm, Many, Nonces, Provider, Sealer, Slot, agree};
use serde_json::{Value, json};

const LENGTHS: [usize; 8] = [16, 24, 32, 64, 96, 128, 192, 256];
/// Values in a call: one, one record's, and a group of records'.
const SIZES: [u32; 3] = [1, 5, 160];
/// Values in a round.
const ROUND: u32 = 8_000;
const ROUNDS: usize = 40;

/// Nanoseconds a value.
fn best(size: u32, mut call: impl FnMut()) -> f64 {
    let start = Instant::now();
    (0..ROUND / size).for_each(|_| call());
    start.elapsed().as_secs_f64() * 1e9 / f64::from(ROUND / size * size)
}

fn measure(sealer: &dyn Sealer, buffer: &mut [u8], slots: &[Slot], size: u32) -> (f64, f64) {
    let mut nonces = Nonces::for_chunk(usize::MAX).unwrap();
    let seal = best(size, || sealer.seal(black_box(buffer), slots, &mut nonces).unwrap());
    let (frozen, mut opened) = (buffer.to_vec(), vec![false; slots.len()]);
    let open = best(size, || {
        buffer.copy_from_slice(&frozen);
        sealer.open(black_box(buffer), slots, &mut opened);
    });
    assert!(!opened.contains(&false));
    (seal, open)
}

fn compare(algorithm: Algorithm, text: usize, size: u32) -> Value {
    let key = vec![7; algorithm.key_len()];
    let ring = Provider::Ring.prepare(algorithm, &key).unwrap().sealer;
    let many: Arc<dyn Sealer> = Arc::new(Many::new(algorithm, &key, ring.clone()).unwrap());
    assert!(agree(&*many, &*ring));
    let stride = text + algorithm.overhead();
    let slots: Vec<Slot> = (0..size as usize).map(|at| Slot { start: at * stride, text }).collect();
    let mut buffer = vec![7; slots.len() * stride];
    let mut times = [[f64::MAX; 2]; 2];
    for _ in 0..ROUNDS {
        for (best, sealer) in times.iter_mut().zip([&ring, &many]) {
            let (seal, open) = measure(&**sealer, &mut buffer, &slots, size);
            *best = [best[0].min(seal), best[1].min(open)];
        }
    }
    let [[ring_seal, ring_open], [many_seal, many_open]] = times;
    json!({"algorithm": algorithm.name(), "bytes": text, "values": size,
        "ring_seal_ns": ring_seal, "many_seal_ns": many_seal,
        "ring_open_ns": ring_open, "many_open_ns": many_open})
}

#[allow(clippy::print_stdout)] // the document is the result
fn main() {
    let algorithms = [Algorithm::Aes128Gcm, Algorithm::Aes256Gcm];
    let each = algorithms.into_iter().flat_map(|algorithm| {
        SIZES.into_iter().flat_map(move |size| LENGTHS.map(|text| compare(algorithm, text, size)))
    });
    println!("{}", json!({"results": each.collect::<Vec<_>>()}));
}
