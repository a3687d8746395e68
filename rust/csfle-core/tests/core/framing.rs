//! Frames: both magic bytes, in a payload and in a header, and everything that is neither.

use csfle_core::error::Code;
use csfle_core::framing::SchemaRef;

const GUID: [u8; 16] =
    [0xe8, 0x12, 0x5d, 0x72, 0xf9, 0x4c, 0x6f, 0x8c, 0x77, 0xa2, 9, 0xf6, 0xd4, 0x71, 0x54, 0x7a];

#[test]
fn a_schema_id_is_four_bytes_big_endian_behind_a_zero() {
    let frame = [0, 0, 0, 1, 2, 0xAA];
    assert_eq!(SchemaRef::from_payload(&frame), Ok((SchemaRef::Id(258), 5)));
    assert_eq!(SchemaRef::Id(258).to_bytes(), frame[..5]);
}

#[test]
fn a_guid_is_sixteen_bytes_in_its_written_order_behind_a_one() {
    let frame = [&[1][..], &GUID, &[0xAA]].concat();
    assert_eq!(SchemaRef::from_payload(&frame), Ok((SchemaRef::Guid(GUID), 17)));
    assert_eq!(SchemaRef::Guid(GUID).to_bytes(), frame[..17]);
}

#[test]
fn every_id_and_a_body_of_no_bytes_are_read_back() {
    for id in [0, 1, 258, i32::MAX] {
        let bytes = SchemaRef::Id(id).to_bytes();
        assert_eq!(SchemaRef::from_payload(&bytes), Ok((SchemaRef::Id(id), bytes.len())));
        assert_eq!(SchemaRef::from_header(&bytes), Ok(SchemaRef::Id(id)));
    }
    assert_eq!(SchemaRef::from_header(&SchemaRef::Guid(GUID).to_bytes()), Ok(SchemaRef::Guid(GUID)));
}

#[test]
fn a_negative_id_is_none() {
    for id in [-1, -2, i32::MIN] {
        let bytes = SchemaRef::Id(id).to_bytes();
        assert_eq!(SchemaRef::from_payload(&bytes), Err(Code::NotAFrame), "{id}");
        assert_eq!(SchemaRef::from_payload(&[&bytes[..], b"body"].concat()), Err(Code::NotAFrame), "{id}");
        assert_eq!(SchemaRef::from_header(&bytes), Err(Code::BadSchemaHeader), "{id}");
    }
}

#[test]
fn other_magic_bytes_are_no_frames() {
    for magic in 2..=255 {
        let bytes = [&[magic][..], &[0; 40]].concat();
        assert_eq!(SchemaRef::from_payload(&bytes), Err(Code::NotAFrame));
        assert_eq!(SchemaRef::from_header(&bytes[..17]), Err(Code::BadSchemaHeader));
    }
}

#[test]
fn a_frame_that_ends_within_its_schema_is_none() {
    for full in [SchemaRef::Id(7).to_bytes(), SchemaRef::Guid(GUID).to_bytes()] {
        for end in 0..full.len() {
            assert_eq!(SchemaRef::from_payload(&full[..end]), Err(Code::NotAFrame));
            assert_eq!(SchemaRef::from_header(&full[..end]), Err(Code::BadSchemaHeader));
        }
    }
}

#[test]
fn a_header_holds_the_schema_and_nothing_behind_it() {
    for full in [SchemaRef::Id(7).to_bytes(), SchemaRef::Guid(GUID).to_bytes()] {
        assert_eq!(SchemaRef::from_header(&[&full[..], &[0]].concat()), Err(Code::BadSchemaHeader));
    }
}
