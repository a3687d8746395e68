//! A call leaves no key stream on the stack. The tests read their own memory through Linux's /proc.
//!
//! Without optimisation `aes` itself leaves copies of what it works on in groups of blocks, so these calls
//! are of a few blocks; `tests/test_wiped.py` looks for whole groups in the module as it is shipped.
#![cfg(target_os = "linux")]

use std::fs::File;
use std::hint::black_box;
use std::io::{Read, Seek, SeekFrom};

use aes::Aes256Enc;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use csfle_core::crypto::{Algorithm, Nonces, Provider, Sealer, Slot};

use crate::kit::providers::many;

const KEY: [u8; 32] = [0x5A; 32];
/// Two values with two blocks of key stream, with that for the tag three: `aes` makes so few one by one.
const TEXT: usize = 32;
const SLOTS: [Slot; 2] = [Slot { start: 0, text: TEXT }, Slot { start: TEXT + 28, text: TEXT }];

/// Runs something deep down in the stack, so that what is called afterwards does not stand on it.
#[inline(never)]
fn far_below(levels: usize, run: &mut dyn FnMut()) {
    let room = black_box([0u8; 4096]);
    if levels == 0 {
        run();
    } else {
        far_below(levels - 1, run);
    }
    black_box(&room);
}

/// A copy of the memory that a place lies in, as the kernel has it: here, the whole stack of the thread.
fn memory_around(place: usize) -> Vec<u8> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let ranges = maps.lines().map(|line| {
        let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let number = |digits| usize::from_str_radix(digits, 16).unwrap();
        number(start)..number(end)
    });
    let range = ranges.into_iter().find(|range| range.contains(&place)).unwrap();
    let mut copy = vec![0; range.len()];
    let mut memory = File::open("/proc/self/mem").unwrap();
    memory.seek(SeekFrom::Start(range.start as u64)).unwrap();
    memory.read_exact(&mut copy).unwrap();
    copy
}

fn holds(memory: &[u8], secret: &[u8]) -> bool {
    memory.windows(secret.len()).any(|window| window == secret)
}

/// The stack of a thread after something ran far below in it.
fn stack_after(mut run: impl FnMut() + Send) -> Vec<u8> {
    let on_a_thread = || {
        let here = 0u8;
        far_below(16, &mut run);
        memory_around(std::ptr::from_ref(black_box(&here)).addr())
    };
    std::thread::scope(|scope| scope.spawn(on_a_thread).join().unwrap())
}

/// The key stream that such a text is sealed with. It takes both blocks, because a single one may have
/// been in a register that the compiler put away.
fn pads(nonce: &[u8]) -> Vec<u8> {
    let aes = Aes256Enc::new(&KEY.into());
    let pad = |count: u32| {
        let mut block = aes::Block::default();
        block[..12].copy_from_slice(nonce);
        block[12..].copy_from_slice(&count.to_be_bytes());
        aes.encrypt_block(&mut block);
        block
    };
    [pad(2), pad(3)].concat()
}

#[test]
fn a_secret_that_is_left_on_the_stack_is_found() {
    let secret = *b"this test would be blind without";
    let stack = stack_after(|| {
        black_box(secret);
    });
    assert!(holds(&stack, &secret));
}

#[test]
fn sealing_and_opening_leave_no_key_stream_there() {
    if !Provider::has_many() {
        return; // no key is given to `Many` then; and AES without instructions leaves copies of its own
    }
    let many = many(Algorithm::Aes256Gcm, &KEY);
    let (mut buffer, mut opened) = ([7; 2 * (TEXT + 28)], [false; 2]);
    let sealing = stack_after(|| {
        many.seal(&mut buffer, &SLOTS, &mut Nonces::for_chunk(2).unwrap()).unwrap();
    });
    let used = SLOTS.map(|slot| {
        let (nonce, sealed) = buffer[slot.start..].split_at(12);
        let pads = pads(nonce);
        assert!(sealed.iter().zip(&pads).all(|(sealed, pad)| sealed ^ pad == 7), "it was in use");
        pads
    });
    let opening = stack_after(|| many.open(&mut buffer, &SLOTS, &mut opened));
    assert_eq!(opened, [true; 2]);
    for pads in used {
        assert!(!holds(&sealing, &pads), "after sealing");
        assert!(!holds(&opening, &pads), "after opening");
    }
}
