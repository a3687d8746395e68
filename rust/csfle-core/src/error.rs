//! What can go wrong, as typed data: one code per cause, with a place to point at.
//!
//! No variant and no message carries a value or key material.

use std::borrow::Cow;
use std::fmt;

/// Declares [`Code`] with the stable name and the sentence of each cause in one place.
macro_rules! codes {
    ($($variant:ident $name:literal $message:literal)*) => {
        /// Why one row failed. The name is stable: programs branch on it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $(#[doc = $message] $variant,)*
        }

        impl Code {
            /// Every code, for documentation and tests.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// The stable `snake_case` name.
            pub const fn name(self) -> &'static str {
                match self { $(Code::$variant => $name,)* }
            }

            /// One sentence for people.
            pub const fn message(self) -> &'static str {
                match self { $(Code::$variant => $message,)* }
            }
        }
    };
}

codes! {
    NotAFrame "not_a_frame" "the bytes are not a frame: no magic byte with a schema id or GUID behind it"
    BadSchemaHeader "bad_schema_header" "the schema id header does not hold a schema id or GUID"
    TooManyMisses "too_many_misses" "the batch asks for more unknown schemas or DEK versions than one batch may"
    Truncated "truncated" "the datum ends before its schema does"
    TrailingBytes "trailing_bytes" "bytes stand behind the end of the datum"
    VarintTooLong "varint_too_long" "a variable-length integer has more than 64 bits or ten bytes"
    IntOutOfRange "int_out_of_range" "an int has more than 32 bits"
    DecimalTooLarge "decimal_too_large" "a decimal has more digits than any that is in use, and would keep its reader busy"
    BadBoolean "bad_boolean" "a boolean is neither 0 nor 1"
    NegativeLength "negative_length" "a length is negative"
    UnionIndex "union_index_out_of_range" "a union index names no branch"
    EnumIndex "enum_index_out_of_range" "an enum index names no symbol"
    BlockCount "bad_block_count" "a block count cannot be a number of items"
    BlockSize "block_size_mismatch" "a block's declared size disagrees with its items"
    TooManyItems "too_many_items" "an array or map claims more items than its bytes can hold"
    TooDeep "too_deep" "records are nested more than 512 deep, or more than 1,024 with arrays and maps"
    InvalidUtf8 "invalid_utf8" "a string is not valid UTF-8"
    UnsupportedType "unsupported_type" "the tagged field holds a value that is neither string nor bytes"
    NotCiphertext "not_ciphertext" "the value is not ciphertext: plaintext, or cut short"
    InvalidBase64 "invalid_base64" "the value is not strict base64 (standard alphabet, padded, nothing behind it)"
    BadVersionPrefix "bad_version_prefix" "the value does not start with the DEK version prefix that its rule asks for"
    UnknownDekVersion "unknown_dek_version" "the value names a DEK version that does not exist"
    AuthenticationFailed "authentication_failed" "the value does not open: it was changed, or sealed with another key"
    DekExhausted "dek_exhausted" "the DEK has sealed as many values as dek.max.seals lets it"
    RowOverBudget "row_over_budget" "the row alone holds more values than dek.max.seals lets one DEK seal"
    RandomUnavailable "random_unavailable" "the operating system gave no random numbers"
    Refused "refused" "the schema or DEK of the row could not be had"
    Internal "internal" "two passes over the same row disagreed; the row was dropped"
}

/// Why and where one row failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The cause.
    pub code: Code,
    /// Path of the field from the root of the datum, where the fault is at a field.
    pub path: Option<Box<str>>,
    /// Byte offset in the body where walking stopped.
    pub offset: Option<usize>,
    /// What is known beyond the code (a version number, a rule name); never a value.
    pub detail: Option<Cow<'static, str>>,
    /// With [`Code::Refused`], which refusal of the caller's list it is.
    pub refusal: Option<u32>,
}

impl Fault {
    /// A fault that is not at a field.
    pub fn of(code: Code) -> Self {
        Self { code, path: None, offset: None, detail: None, refusal: None }
    }

    /// The caller's refusal number `refusal`.
    pub fn refused(refusal: u32) -> Self {
        Self { refusal: Some(refusal), ..Self::of(Code::Refused) }
    }

    /// The same fault with a detail behind its sentence.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code.message())?;
        if let Some(detail) = &self.detail {
            write!(f, " ({detail})")?;
        }
        if let Some(offset) = self.offset {
            write!(f, ", at byte {offset} of the body")?;
        }
        Ok(())
    }
}

/// Why a schema cannot be used. `code` is stable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SchemaError {
    /// Stable name of the cause.
    pub code: &'static str,
    /// One sentence that names the offending part of the schema.
    pub message: String,
}

impl SchemaError {
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self { code: "invalid_schema", message: message.into() }
    }

    pub(crate) fn of(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// Why bytes are not a usable DEK. Says nothing about their content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The name is none of the three DEK algorithms.
    #[error("the DEK algorithm is none of AES128_GCM, AES256_GCM, AES256_SIV")]
    UnknownAlgorithm,
    /// The provider's name is unknown.
    #[error("the crypto provider is none of auto, ring, many")]
    UnknownProvider,
    /// The unwrapped bytes are not a Tink key proto of the algorithm.
    #[error("the unwrapped DEK is not a Tink key proto of its algorithm")]
    NotAKeyProto,
    /// The key inside has another length than the algorithm's.
    #[error("the unwrapped DEK has the wrong length for its algorithm")]
    WrongLength,
    /// The operating system gave no random numbers.
    #[error("the operating system gave no random numbers")]
    NoRandom,
}

impl KeyError {
    /// Stable name of the cause.
    pub const fn code(self) -> &'static str {
        match self {
            KeyError::UnknownAlgorithm => "unknown_algorithm",
            KeyError::UnknownProvider => "unknown_provider",
            KeyError::NotAKeyProto => "bad_key_proto",
            KeyError::WrongLength => "wrong_key_length",
            KeyError::NoRandom => "random_unavailable",
        }
    }
}
