//! Strict readers and writers for the Kapsule formats: bytes to values and back, hashing, signing.
//!
//! Every reader accepts exactly one byte form per value, checks each length before it allocates,
//! and reports a stable code with the byte offset.
//! Every writer produces that one form.
//!
//! # Examples
//! ```
//! use kapsule_format::{cbor, hash, json};
//!
//! let value = json::decode(br#"{"name":"empty","size":8}"#)?;
//! assert_eq!(json::encode(&value), br#"{"name":"empty","size":8}"#);
//!
//! // White space is another byte form of the same value, hence refused.
//! let refused = json::decode(br#"{"name": "empty"}"#).unwrap_err();
//! assert_eq!((refused.code.number(), refused.offset), (7, Some(8)));
//!
//! let item = cbor::encode(&cbor::Value::Array(vec![1_u64.into(), "a".into()]));
//! assert_eq!(item, [0x82, 0x01, 0x61, 0x61]);
//! assert_eq!(hash::sha256(b"").to_string().len(), 64);
//! # Ok::<(), kapsule_format::DecodeError>(())
//! ```
//!
//! # Map
//! | Layer | Modules |
//! |---|---|
//! | every reader's error and limits | [`error`], [`limits`] |
//! | digests, trees, random blocks | [`hash`], [`tree`], [`random`] |
//! | encodings | [`cbor`], [`json`], [`klog`], [`container`] |
//! | keys, what they sign, who may read | [`key`], [`envelope`], [`stanza`], `encrypt` |
//! | documents | [`manifest`], [`policy`], [`package`], [`transcript`], [`receipt`], [`capsule`] |
//! | the audit log | [`log`] |
//! | the verifier's own documents | [`trust`], [`acceptance`], [`known`], [`receipt_policy`] |
//! | verdicts on a package or a receipt | [`verify`] |
//!
//! # Invariants
//! - `encode(decode(x)) == x` for every accepted `x`, so an artefact has one digest.
//! - No file, clock, random number or environment: keys, time and randomness are arguments; the
//!   feature `encrypt`, which needs `std`, is the one exception and draws random numbers.
//! - Secret bytes are wiped when dropped and are never printed.
#![no_std]
#![deny(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    clippy::alloc_instead_of_core,
    clippy::float_arithmetic
)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod error;
pub mod limits;

pub mod hash;
pub mod random;
pub mod tree;

pub mod cbor;
pub mod closure;
pub mod container;
pub mod json;
pub mod klog;

#[cfg(feature = "encrypt")]
pub mod encrypt;
pub mod envelope;
pub mod key;

pub mod acceptance;
#[cfg(feature = "authoring")]
pub mod authoring;
pub mod capsule;
pub mod known;
pub mod log;
pub mod manifest;
pub mod package;
pub mod policy;
pub mod receipt;
pub mod receipt_policy;
pub mod snapshot;
pub mod stanza;
pub mod storage;
mod text;
pub mod transcript;
pub mod trust;
pub mod verify;

pub use error::DecodeError;
pub use hash::Digest;
