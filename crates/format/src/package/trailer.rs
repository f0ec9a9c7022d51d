//! The signature trailer after the body.

use alloc::format;
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

use crate::DecodeError;
use crate::key::{KeyId, Suite};
use crate::limits::TRAILER_ENTRIES_MAX;
use crate::manifest::names;
use crate::text::is_ascending;

/// First four bytes of a trailer.
const MAGIC: [u8; 4] = *b"SIGB";
/// Version of the trailer.
const VERSION: u8 = 1;
/// Bytes before the first entry.
const HEADER_BYTES: usize = 10;
/// Bytes of an entry before its signature.
const ENTRY_BYTES: usize = 36;

names! {
    /// What a signature of a trailer is over.
    Scope {
        /// The author's statement, which binds `core_hash`; scope 1.
        Author = "author",
        /// The publisher's statement, which binds `capsule_hash`; scope 2.
        Publisher = "publisher",
    }
}

impl Scope {
    /// Returns the number in the trailer.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Author => 1,
            Self::Publisher => 2,
        }
    }
}

/// One entry of a trailer; it stands in ascending order of scope, suite and key id.
///
/// The signed statement is derived from the body and not carried.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signature {
    /// Which statement is signed.
    pub scope: Scope,
    /// Suite of the key.
    pub suite: Suite,
    /// Look-up hint for the key; not authenticated.
    pub keyid: KeyId,
    /// Signature over the PAE of the statement.
    pub signature: Vec<u8>,
}

/// Appends the trailer, or nothing where there is no signature.
pub(super) fn encode(signatures: &[Signature], out: &mut Vec<u8>) {
    if signatures.is_empty() {
        return;
    }
    let entries: usize = signatures.iter().map(|entry| ENTRY_BYTES + entry.signature.len()).sum();
    out.extend_from_slice(&MAGIC);
    out.push(VERSION);
    // At most 16 entries, each with a signature of a few thousand bytes.
    out.push(signatures.len() as u8);
    out.extend_from_slice(&((HEADER_BYTES + entries) as u32).to_be_bytes());
    for entry in signatures {
        out.push(entry.scope.number());
        out.push(entry.suite.number());
        out.extend_from_slice(entry.keyid.as_bytes());
        out.extend_from_slice(&(entry.signature.len() as u16).to_be_bytes());
        out.extend_from_slice(&entry.signature);
    }
}

/// Checks that what follows the body, if anything, starts a trailer (step 1).
pub(super) fn check_start(bytes: &[u8], base: usize) -> Result<(), DecodeError> {
    let magic = bytes.get(..MAGIC.len()).unwrap_or(bytes);
    if guard!("format.trailer.magic", !MAGIC.starts_with(magic)) {
        return Err(DecodeError::at(
            ErrorCode::TrailingBytes,
            base,
            "bytes after the sections are not a trailer, which starts with 53 49 47 42",
        ));
    }
    Ok(())
}

/// Checks the ten bytes before the entries and that the file ends where they say.
fn check_header(bytes: &[u8], base: usize) -> Result<(), DecodeError> {
    let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else {
        return Err(DecodeError::at(
            ErrorCode::Truncated,
            base + bytes.len(),
            format!("the trailer has {} bytes, needed are at least {HEADER_BYTES}", bytes.len()),
        ));
    };
    if guard!("format.trailer.version", header[4] != VERSION) {
        return Err(DecodeError::at(
            ErrorCode::VersionUnsupported,
            base + 4,
            format!("trailer version is {}, supported is {VERSION}", header[4]),
        ));
    }
    let count = usize::from(header[5]);
    if guard!("format.trailer.count", !(1..=TRAILER_ENTRIES_MAX).contains(&count)) {
        return Err(DecodeError::at(
            ErrorCode::LimitExceeded,
            base + 5,
            format!("the trailer has {count} entries, allowed are 1 to {TRAILER_ENTRIES_MAX}"),
        ));
    }
    let total = u64::from(u32::from_be_bytes([header[6], header[7], header[8], header[9]]));
    let found = bytes.len() as u64;
    if guard!("format.trailer.total_short", total > found) {
        return Err(DecodeError::at(
            ErrorCode::Truncated,
            base + 6,
            format!("the trailer says {total} bytes, the file has {found}"),
        ));
    }
    if guard!("format.trailer.total_long", total < found) {
        return Err(DecodeError::at(
            ErrorCode::TrailingBytes,
            base + 6,
            format!("the trailer says {total} bytes, the file has {found}"),
        ));
    }
    Ok(())
}

/// Decodes the trailer, which starts at byte `base` of the file and ends with it.
pub(super) fn decode(bytes: &[u8], base: usize) -> Result<Vec<Signature>, DecodeError> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    check_header(bytes, base)?;
    let count = usize::from(bytes[5]);
    let mut offset = HEADER_BYTES;
    let mut signatures = Vec::with_capacity(count);
    for _ in 0..count {
        let (signature, next) = entry(bytes, offset, base)?;
        signatures.push(signature);
        offset = next;
    }
    if guard!("format.trailer.surplus", offset != bytes.len()) {
        return Err(DecodeError::at(
            ErrorCode::TrailingBytes,
            base + offset,
            format!("{} bytes follow the last trailer entry", bytes.len() - offset),
        ));
    }
    let keys = signatures.iter().map(|entry| (entry.scope, entry.suite, entry.keyid));
    if guard!("format.trailer.order", !is_ascending(keys)) {
        return Err(DecodeError::at(
            ErrorCode::TrailerOrder,
            base + HEADER_BYTES,
            "trailer entries are not strictly ascending by scope, suite and key id",
        ));
    }
    Ok(signatures)
}

/// Decodes the entry at `offset` and returns where the next one starts.
fn entry(bytes: &[u8], offset: usize, base: usize) -> Result<(Signature, usize), DecodeError> {
    let cut = || {
        DecodeError::at(
            ErrorCode::Truncated,
            base + bytes.len(),
            format!("the trailer entry at byte {} is cut", base + offset),
        )
    };
    let Some(head) = bytes.get(offset..).and_then(|rest| rest.first_chunk::<ENTRY_BYTES>()) else {
        return Err(cut());
    };
    let Some(scope) = Scope::ALL.iter().copied().find(|scope| scope.number() == head[0]) else {
        return Err(DecodeError::at(
            ErrorCode::SchemaViolation,
            base + offset,
            format!("signature scope is {}, allowed are 1 and 2", head[0]),
        ));
    };
    let suite = Suite::from_number(head[1].into())
        .map_err(|error| DecodeError { offset: Some((base + offset + 1) as u64), ..error })?;
    let mut keyid = [0; 32];
    keyid.copy_from_slice(&head[2..34]);
    let length = usize::from(u16::from_be_bytes([head[34], head[35]]));
    let start = offset + ENTRY_BYTES;
    let signature = bytes.get(start..start + length).ok_or_else(cut)?.to_vec();
    suite
        .check_signature_form(&signature)
        .map_err(|error| DecodeError { offset: Some((base + start) as u64), ..error })?;
    let keyid = KeyId::new(keyid.into());
    Ok((Signature { scope, suite, keyid, signature }, start + length))
}
