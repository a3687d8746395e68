#![no_main]

use csfle_core::framing::SchemaRef;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok((name, body)) = SchemaRef::from_payload(bytes) {
        assert_eq!(name.to_bytes(), bytes[..body]);
        assert_eq!(SchemaRef::from_header(bytes).is_ok(), body == bytes.len());
    } else {
        assert!(SchemaRef::from_header(bytes).is_err());
    }
});
