//! RJSON: canonical JSON with objects, arrays, text, booleans and integers 0 to 2^53-1.
//!
//! A value has exactly one byte form, so a digest over the bytes is a digest over the value.
//!
//! # Spec
//! `spec/encoding.md`, section "RJSON"; vectors in `spec/vectors/rjson/`.

mod decode;
mod encode;
mod fields;

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

pub use decode::decode;
pub use encode::encode;
pub use fields::{Fields, FromValue};
pub(crate) use fields::{check_range, check_schema};

use crate::Digest;

/// Greatest integer, the last one that every JSON reader holds exactly.
pub const UINT_MAX: u64 = (1 << 53) - 1;

/// One RJSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Members by name.
    Object(BTreeMap<String, Value>),
    /// Elements in order.
    Array(Vec<Value>),
    /// Text.
    Text(String),
    /// `true` or `false`.
    Bool(bool),
    /// Integer 0 to [`UINT_MAX`].
    Uint(u64),
}

impl Value {
    /// Builds an object from its members, in any order.
    pub fn object<N: Into<String>>(members: impl IntoIterator<Item = (N, Self)>) -> Self {
        Self::Object(members.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }

    /// Builds an array from its elements.
    pub fn array<T: Into<Self>>(elements: impl IntoIterator<Item = T>) -> Self {
        Self::Array(elements.into_iter().map(Into::into).collect())
    }

    /// Names the type, for error texts.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Object(_) => "an object",
            Self::Array(_) => "an array",
            Self::Text(_) => "text",
            Self::Bool(_) => "a boolean",
            Self::Uint(_) => "an integer",
        }
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

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Uint(number)
    }
}

impl From<Vec<Value>> for Value {
    fn from(elements: Vec<Value>) -> Self {
        Self::Array(elements)
    }
}

impl From<BTreeMap<String, Value>> for Value {
    fn from(members: BTreeMap<String, Value>) -> Self {
        Self::Object(members)
    }
}

impl From<Digest> for Value {
    /// Writes the digest as bare hex.
    fn from(digest: Digest) -> Self {
        Self::Text(digest.to_string())
    }
}

/// Tells whether `name` may name a member: `[A-Za-z_][A-Za-z0-9_]{0,63}`.
#[must_use]
pub fn is_member_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    let head = bytes.first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_');
    let tail = bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    head && tail && bytes.len() <= 64
}

#[cfg(test)]
mod tests;
