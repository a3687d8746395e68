//! What a walk or an encoder writes to.

use csfle_core::avro::{Arena, Fixed, Measure, Out};

use crate::kit::bodies::body;

const LENGTHS: [usize; 9] = [0, 1, 63, 64, 8_191, 8_192, 0xf_ffff, 0x10_0000, 0x10_0001];
const LONGS: [i64; 7] = [0, -1, 63, -65, 1 << 40, i64::MIN, i64::MAX];

#[test]
fn longs_and_values_with_their_length_are_avro_wherever_they_are_written() {
    let mut wanted = body();
    for long in LONGS {
        wanted = wanted.long(long);
    }
    for length in LENGTHS {
        wanted = wanted.text(vec![b'x'; length]);
    }
    let wanted = wanted.0;
    let mut place = vec![0xEE; wanted.len()];
    let (mut arena, mut fixed, mut measure) = (Arena::default(), Fixed::new(&mut place), Measure::default());
    for long in LONGS {
        assert!(arena.put_long(long) && fixed.put_long(long) && measure.put_long(long));
    }
    for length in LENGTHS {
        let value = vec![b'x'; length];
        assert!(arena.put_sized(&value) && fixed.put_sized(&value) && measure.put_sized(&value));
    }
    assert!(arena.as_slice() == wanted && fixed.bytes() == wanted);
    assert_eq!((fixed.len(), measure.len()), (wanted.len(), wanted.len()));
}

#[test]
fn a_place_of_a_set_size_takes_no_more() {
    let mut place = [0; 4];
    let mut fixed = Fixed::new(&mut place);
    assert!(!fixed.put_sized(b"1234"));
    assert!(fixed.put_sized(b"123"));
    assert!(!fixed.put_long(0));
    assert_eq!(fixed.bytes(), b"\x06123");
}
