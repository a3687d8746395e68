//! Frames: which writer schema a body was written with, in front of it or in a record header.

use crate::error::Code;

/// Magic byte in front of a schema id.
const MAGIC_ID: u8 = 0;
/// Magic byte in front of a GUID.
const MAGIC_GUID: u8 = 1;

/// How a frame names its writer schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SchemaRef {
    /// By the registry's id.
    Id(i32),
    /// By the GUID of its content, in RFC 4122 byte order.
    Guid([u8; 16]),
}

impl SchemaRef {
    /// Reads the name in front of a payload: the name, and where the body starts.
    #[inline]
    pub fn from_payload(payload: &[u8]) -> Result<(Self, usize), Code> {
        match payload.split_first() {
            Some((&MAGIC_ID, rest)) => {
                // A registry counts ids up from 1; a negative one names nothing anywhere.
                let id = rest.first_chunk().map(|id| i32::from_be_bytes(*id)).filter(|id| *id >= 0);
                id.map(|id| (Self::Id(id), 5))
            }
            Some((&MAGIC_GUID, rest)) => rest.first_chunk().map(|guid| (Self::Guid(*guid), 17)),
            _ => None,
        }
        .ok_or(Code::NotAFrame)
    }

    /// Reads the value of a `__key_schema_id` or `__value_schema_id` header.
    pub fn from_header(value: &[u8]) -> Result<Self, Code> {
        match Self::from_payload(value) {
            Ok((name, end)) if end == value.len() => Ok(name),
            _ => Err(Code::BadSchemaHeader),
        }
    }

    /// The bytes that name the schema, in front of a payload or in a header.
    pub fn to_bytes(self) -> Vec<u8> {
        match self {
            Self::Id(id) => [&[MAGIC_ID], &id.to_be_bytes()[..]].concat(),
            Self::Guid(guid) => [&[MAGIC_GUID], &guid[..]].concat(),
        }
    }
}
