//! Variable-length integers and the cursor that reads them.

use csfle_core::avro::{Cursor, write_long};
use csfle_core::error::Code;
use proptest::prelude::*;

use crate::kit::bodies::body;
use crate::kit::random::cases;

#[test]
fn the_examples_of_the_avro_specification_hold() {
    let examples: [(i64, &[u8]); 7] =
        [(0, &[0]), (-1, &[1]), (1, &[2]), (-2, &[3]), (2, &[4]), (-64, &[0x7f]), (64, &[0x80, 0x01])];
    for (value, bytes) in examples {
        let mut buffer = [0; 10];
        let taken = write_long(value, &mut buffer);
        assert_eq!(&buffer[..taken], bytes);
        assert_eq!(Cursor::new(bytes).long(), Ok(value));
    }
}

proptest! {
    #![proptest_config(cases(1_000))]

    #[test]
    fn every_long_is_read_back(value in any::<i64>(), shift in 0..64u32) {
        let value = value >> shift;
        let bytes = body().long(value).raw([0xAA]).0;
        let mut cursor = Cursor::new(&bytes);
        prop_assert_eq!(cursor.long(), Ok(value));
        prop_assert_eq!(cursor.remaining(), 1);
    }
}

#[test]
fn the_widest_longs_take_ten_bytes() {
    for value in [i64::MIN, i64::MAX] {
        let bytes = body().long(value).0;
        assert_eq!(bytes.len(), 10);
        assert_eq!(Cursor::new(&bytes).long(), Ok(value));
    }
}

#[test]
fn zeros_at_the_high_end_change_nothing_within_ten_bytes() {
    assert_eq!(Cursor::new(&[0x82, 0x80, 0x80, 0x00]).long(), Ok(1));
    assert_eq!(Cursor::new(&[0x82, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00]).long(), Ok(1));
}

#[test]
fn more_than_ten_bytes_or_64_bits_are_too_long() {
    let eleven = [&[0x80; 10][..], &[0]].concat();
    assert_eq!(Cursor::new(&eleven).long(), Err(Code::VarintTooLong));
    assert_eq!(Cursor::new(&[0xff; 10]).long(), Err(Code::VarintTooLong));
    for tenth in [2, 3, 0x7f, 0x80, 0x81] {
        let bytes = [&[0xff; 9][..], &[tenth]].concat();
        assert_eq!(Cursor::new(&bytes).long(), Err(Code::VarintTooLong), "tenth byte {tenth:#x}");
    }
}

#[test]
fn a_varint_cut_short_is_truncated_and_moves_nothing() {
    for length in 0..10 {
        let bytes = vec![0x80; length];
        let mut cursor = Cursor::new(&bytes);
        assert_eq!(cursor.long(), Err(Code::Truncated));
        assert_eq!(cursor.position(), 0);
    }
}

#[test]
fn an_int_has_32_bits() {
    for value in [i64::from(i32::MIN), i64::from(i32::MAX)] {
        assert_eq!(Cursor::new(&body().long(value).0).int().map(i64::from), Ok(value));
    }
    for value in [i64::from(i32::MIN) - 1, i64::from(i32::MAX) + 1, i64::MIN, i64::MAX] {
        assert_eq!(Cursor::new(&body().long(value).0).int(), Err(Code::IntOutOfRange));
    }
}

#[test]
fn an_index_is_below_its_count() {
    let index = |value: i64, count| Cursor::new(&body().long(value).0).index(count, Code::EnumIndex);
    assert_eq!(index(0, 1), Ok(0));
    assert_eq!(index(2, 3), Ok(2));
    for (value, count) in [(3, 3), (0, 0), (-1, 3), (i64::MIN, 3), (i64::MAX, 3), (1 << 32, 3)] {
        assert_eq!(index(value, count), Err(Code::EnumIndex));
    }
}

#[test]
fn a_length_is_neither_negative_nor_beyond_the_end() {
    let read = |bytes: &[u8]| Cursor::new(bytes).length_delimited().map(<[u8]>::to_vec);
    assert_eq!(read(&body().text("abc").0), Ok(b"abc".to_vec()));
    assert_eq!(read(&body().text("").0), Ok(vec![]));
    for length in [-1, i64::MIN] {
        assert_eq!(read(&body().long(length).raw("abc").0), Err(Code::NegativeLength));
    }
    for length in [4, 1 << 31, 1 << 40, i64::MAX] {
        assert_eq!(read(&body().long(length).raw("abc").0), Err(Code::Truncated));
    }
}

#[test]
fn taking_more_than_is_left_is_truncated_however_much() {
    let bytes = [1, 2, 3];
    let mut cursor = Cursor::new(&bytes);
    assert_eq!(cursor.take(2), Ok(&bytes[..2]));
    for count in [2, usize::MAX, usize::MAX - 1] {
        assert_eq!(cursor.take(count), Err(Code::Truncated));
    }
    assert_eq!(cursor.since(0), &bytes[..2]);
    cursor.skip_all();
    assert_eq!((cursor.position(), cursor.remaining()), (3, 0));
}
