//! KCBOR: deterministic CBOR restricted to unsigned integers, bytes, text, arrays, maps, booleans.
//!
//! A value has exactly one byte form; map keys are unsigned integers in ascending order.
//!
//! # Spec
//! `spec/encoding.md`, section "KCBOR"; vectors in `spec/vectors/kcbor/`.

mod decode;
mod encode;
mod fields;

use alloc::string::String;
use alloc::vec::Vec;

pub use decode::decode;
pub use encode::{encode, try_encode};
pub use fields::{Fields, FromValue, Items};
pub(crate) use fields::{ascending, bounded};

use crate::Digest;

/// Greatest integer, the last one that every JSON reader holds exactly.
pub const UINT_MAX: u64 = (1 << 53) - 1;

/// First key that an `ext` map leaves to extensions; keys below are critical.
pub const EXTENSION_KEY_MIN: u64 = 64;

/// Last key that an `ext` map leaves to extensions.
pub const EXTENSION_KEY_MAX: u64 = 65_535;

/// One KCBOR item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Integer 0 to [`UINT_MAX`].
    Uint(u64),
    /// Byte string.
    Bytes(Vec<u8>),
    /// Text without control characters, except the line feed.
    Text(String),
    /// Elements in order.
    Array(Vec<Value>),
    /// Entries in strictly ascending order of their keys.
    Map(Vec<(u64, Value)>),
    /// `true` or `false`.
    Bool(bool),
}

impl Value {
    /// Builds an array from its elements.
    pub fn array<T: Into<Self>>(elements: impl IntoIterator<Item = T>) -> Self {
        Self::Array(elements.into_iter().map(Into::into).collect())
    }

    /// Names the type, for error texts.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Uint(_) => "an integer",
            Self::Bytes(_) => "a byte string",
            Self::Text(_) => "text",
            Self::Array(_) => "an array",
            Self::Map(_) => "a map",
            Self::Bool(_) => "a boolean",
        }
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Uint(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<Digest> for Value {
    fn from(digest: Digest) -> Self {
        Self::Bytes(digest.as_bytes().to_vec())
    }
}

impl From<Vec<Value>> for Value {
    fn from(elements: Vec<Value>) -> Self {
        Self::Array(elements)
    }
}

impl From<Vec<(u64, Value)>> for Value {
    fn from(entries: Vec<(u64, Value)>) -> Self {
        Self::Map(entries)
    }
}

#[cfg(test)]
mod tests;
