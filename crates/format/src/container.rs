//! Containers: a POSIX ustar archive of one exact byte form, which GNU tar makes again.
//!
//! The first entry is the index and fixes the kind; the others follow in one order.
//! An entry is a name and bytes; there is no mode, owner, time, link, directory or compression.
//!
//! # Spec
//! `spec/container.md`; vectors in `spec/vectors/container/`.

mod header;

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

use crate::cbor::{FromValue, Items, Value};
use crate::hash::sha256;
use crate::{DecodeError, Digest, limits};

pub use header::BLOCK_BYTES;

/// Prefix of the entries that hold envelopes.
pub const SIGNATURES: &str = "sig/";

/// Prefix of the entries that are named by their SHA-256.
pub const BLOBS: &str = "blobs/sha256/";

/// Name of the encrypted payload, which stands after the envelopes.
const PAYLOAD: &str = "payload.age";

crate::manifest::names! {
    /// What a container is, with the name of its index.
    Kind {
        /// Signed metadata and an encrypted payload.
        Capsule = "meta.cbor",
        /// A signed claim about one run.
        Receipt = "claim.cbor",
        /// What an audit of a receipt needs.
        Bundle = "bundle.cbor",
        /// Receipts of a benchmark.
        Pack = "pack.cbor",
        /// The capsules of a channel.
        Snapshot = "snapshot.cbor",
    }
}

/// One entry, as it lies in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Name.
    pub name: &'a str,
    /// Content.
    pub bytes: &'a [u8],
}

/// A container whose form was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container<'a> {
    kind: Kind,
    entries: Vec<Entry<'a>>,
}

impl<'a> Container<'a> {
    /// Takes a container apart; entries stay where they are.
    ///
    /// Takes time linear in the length of `bytes`, and memory for one name and slice per entry.
    ///
    /// # Errors
    /// E001 for another first name, E002 for a file that stops early, E003 for bytes after the
    /// end, E004 for a limit, E020 for a header, E021 for a name, E022 for the order, E023 for
    /// padding or end blocks.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut entries: Vec<Entry<'a>> = Vec::new();
        let mut position = 0;
        while let Some((entry, end)) = header::read(bytes, position)? {
            check_entry(&entry, entries.len()).map_err(|error| at(error, position))?;
            if let Some(last) = entries.last()
                && guard!("format.container.order", rank(last.name) >= rank(entry.name))
            {
                let detail = format!("entry {} stands after {}", entry.name, last.name);
                return Err(DecodeError::at(ErrorCode::ContainerOrder, position, detail));
            }
            entries.push(entry);
            position = end;
        }
        let first = entries.first().and_then(|entry| Kind::from_name(entry.name));
        let Some(kind) = first else {
            let detail = "the first entry is not the index of a kind of container";
            return Err(DecodeError::at(ErrorCode::UnknownFormat, 0, detail));
        };
        check_prefixes(&entries)?;
        Ok(Self { kind, entries })
    }

    /// Returns what the container is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns the entries in the order of the file, the index first.
    #[must_use]
    pub fn entries(&self) -> &[Entry<'a>] {
        &self.entries
    }

    /// Returns the bytes of the index.
    #[must_use]
    pub fn index(&self) -> &'a [u8] {
        self.entries.first().map_or(&[], |entry| entry.bytes)
    }

    /// Returns the bytes of an entry.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.entries.iter().find(|entry| entry.name == name).map(|entry| entry.bytes)
    }

    /// Returns the entries whose names start with `prefix`, in order.
    pub fn below<'c>(&'c self, prefix: &'c str) -> impl Iterator<Item = Entry<'a>> + 'c {
        self.entries.iter().copied().filter(move |entry| entry.name.starts_with(prefix))
    }
}

/// Tells whether the first bytes of a file are those of a container of this kind.
#[must_use]
pub fn is_kind(bytes: &[u8], kind: Kind) -> bool {
    let name = kind.name().as_bytes();
    bytes.get(..=name.len()).is_some_and(|start| start.strip_prefix(name) == Some(&[0]))
}

/// Writes a container, whose entries may come in any order.
#[derive(Clone, Debug)]
pub struct Writer {
    entries: Vec<(String, Vec<u8>)>,
}

impl Writer {
    /// Starts with the index.
    #[must_use]
    pub fn new(kind: Kind, index: Vec<u8>) -> Self {
        Self { entries: vec![(kind.name().to_string(), index)] }
    }

    /// Adds an entry.
    pub fn push(&mut self, name: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.entries.push((name.into(), bytes.into()));
    }

    /// Returns the file.
    ///
    /// # Errors
    /// E004, E021 or E022 for entries that no container holds.
    pub fn finish(mut self) -> Result<Vec<u8>, DecodeError> {
        self.entries.sort_by(|left, right| rank(&left.0).cmp(&rank(&right.0)));
        let mut file = Vec::new();
        for (index, (name, bytes)) in self.entries.iter().enumerate() {
            check_entry(&Entry { name, bytes }, index)?;
            header::write(&mut file, name, bytes);
        }
        file.resize(file.len() + 2 * BLOCK_BYTES, 0);
        // The reader is the one place that knows the rules.
        Container::decode(&file)?;
        Ok(file)
    }
}

/// An entry that an index names, with its size and digest.
///
/// Authenticated where the index is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryRef {
    /// Name.
    pub name: String,
    /// Length in bytes.
    pub size: u64,
    /// SHA-256.
    pub sha256: Digest,
}

impl EntryRef {
    /// Names an entry by its content.
    #[must_use]
    pub fn of(name: &str, bytes: &[u8]) -> Self {
        Self { name: name.to_string(), size: bytes.len() as u64, sha256: sha256(bytes) }
    }

    /// Checks that the entry is the one that was named.
    ///
    /// # Errors
    /// E013 for another size or digest.
    pub fn check(&self, bytes: &[u8]) -> Result<(), DecodeError> {
        if guard!("format.container.bound", *self != Self::of(&self.name, bytes)) {
            let Self { name, size, sha256 } = self;
            let detail =
                format!("entry {name} is not the one of {size} bytes and SHA-256 {sha256}");
            return Err(DecodeError::new(ErrorCode::EntryDigestMismatch, detail));
        }
        Ok(())
    }

    pub(crate) fn to_cbor(&self) -> Value {
        Value::Array(vec![self.name.as_str().into(), self.size.into(), self.sha256.into()])
    }
}

impl FromValue for EntryRef {
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let mut items = Items::new(value, "entryref", 3..=3)?;
        let found =
            Self { name: items.required()?, size: items.required()?, sha256: items.required()? };
        items.finish()?;
        Ok(found)
    }
}

/// Tells whether `name` may name an entry: `part(/part)*` of at most 99 bytes.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let plain = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9');
    let part = |part: &str| {
        part.as_bytes().first().is_some_and(plain)
            && part.bytes().all(|byte| plain(&byte) || matches!(byte, b'.' | b'_' | b'-'))
    };
    name.len() <= limits::CONTAINER_NAME_BYTES_MAX && name.split('/').all(part)
}

/// Checks what an entry may be at this place.
fn check_entry(entry: &Entry<'_>, index: usize) -> Result<(), DecodeError> {
    let (name, length) = (entry.name, entry.bytes.len());
    if guard!("format.container.entries", index >= limits::CONTAINER_ENTRIES_MAX) {
        let max = limits::CONTAINER_ENTRIES_MAX;
        let detail = format!("the container has more than {max} entries");
        return Err(DecodeError::new(ErrorCode::LimitExceeded, detail));
    }
    if guard!("format.container.name", !is_name(name)) {
        let detail = "entry name does not match part(/part)* of [a-z0-9][a-z0-9._-]*";
        return Err(DecodeError::new(ErrorCode::ContainerName, detail));
    }
    if guard!("format.container.index_bytes", index == 0 && length > limits::INDEX_BYTES_MAX) {
        let max = limits::INDEX_BYTES_MAX;
        let detail = format!("index of {length} bytes exceeds the limit of {max} bytes");
        return Err(DecodeError::new(ErrorCode::LimitExceeded, detail));
    }
    Ok(())
}

/// Refuses a name that continues another one, since no file system holds both.
fn check_prefixes(entries: &[Entry<'_>]) -> Result<(), DecodeError> {
    let names: BTreeSet<&str> = entries.iter().map(|entry| entry.name).collect();
    let outer = |name: &str| {
        let ends = name.match_indices('/').map(|(end, _)| end);
        ends.into_iter().any(|end| names.contains(&name[..end]))
    };
    match entries.iter().find(|entry| outer(entry.name)) {
        Some(entry) if guard!("format.container.prefix", true) => {
            let detail = format!("a part of the name {} is the name of another entry", entry.name);
            Err(DecodeError::new(ErrorCode::ContainerOrder, detail))
        }
        _ => Ok(()),
    }
}

/// Returns what entries are sorted by: the group, then the name.
///
/// All names of indexes are one place, so that no two of them ascend.
fn rank(name: &str) -> (u8, &str) {
    let group = match name {
        _ if Kind::from_name(name).is_some() => return (0, ""),
        _ if name.starts_with(SIGNATURES) => 1,
        PAYLOAD => 2,
        _ => 3,
    };
    (group, name)
}

fn at(error: DecodeError, position: usize) -> DecodeError {
    DecodeError { offset: Some(position as u64), ..error }
}

#[cfg(test)]
mod tests;
