//! The storage of a package: its root, and the file in which a host keeps it.
//!
//! # Spec
//! `spec/storage.md`; vectors in `spec/vectors/storage/`.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

use crate::cbor::{self, Fields, Items, Value};
use crate::klog::{Reader, Record, Writer};
use crate::limits::{STORAGE_KEY_BYTES_MAX, STORAGE_KEYS_MAX, STORAGE_VALUE_BYTES_MAX};
use crate::package::PackageId;
use crate::{DecodeError, Digest, tree};

/// Format name of a storage file.
pub const FORMAT: &str = "kapsule/storage/1";

/// Keys and values of one package, in ascending order of the keys.
pub type Pairs = BTreeMap<Vec<u8>, Vec<u8>>;

/// Returns the KCBOR `storage-pair` of a key and its value, which is a leaf of the root.
#[must_use]
pub fn pair(key: &[u8], value: &[u8]) -> Vec<u8> {
    cbor::encode(&to_value(key, value))
}

fn to_value(key: &[u8], value: &[u8]) -> Value {
    Value::Array(vec![Value::Bytes(key.to_vec()), Value::Bytes(value.to_vec())])
}

/// Returns the storage root; hashes every value, about 1 ms per MiB.
#[must_use]
pub fn root(pairs: &Pairs) -> Digest {
    tree::root(pairs.iter().map(|(key, value)| pair(key, value)))
}

/// The storage of one package.
///
/// The root in the file finds damage; nothing in the file is authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// `capsule_hash` of the package.
    pub package: PackageId,
    /// Its keys and values.
    pub pairs: Pairs,
}

impl Storage {
    /// Decodes a storage file.
    ///
    /// # Errors
    /// E001 or E005 for another format; E002, E003, E004, E006, E008 or E009 for the form of a
    /// record; E008 for keys that do not ascend; E015 for a missing header, or another count or
    /// root than the header says.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut records = Reader::new(bytes);
        let Some(first) = records.next() else {
            let detail = "the file ends without a storage header";
            return Err(DecodeError::at(ErrorCode::CountedRootMismatch, 0, detail));
        };
        let mut fields = Fields::new(first?.value, "storage-header")?;
        fields.format_name(FORMAT)?;
        let package = PackageId::new(fields.required(1)?);
        let count = fields.uint(2, 0..=STORAGE_KEYS_MAX)?;
        let stated: Digest = fields.required(3)?;
        fields.finish()?;
        let mut pairs = Pairs::new();
        for record in records {
            let record = record?;
            let offset = record.offset;
            let (key, value) = read_pair(record)?;
            let above = pairs.last_key_value().is_none_or(|(last, _)| *last < key);
            if guard!("format.storage.order", !above) {
                let detail = "a key is not greater than the one before";
                return Err(DecodeError {
                    offset: Some(offset),
                    ..DecodeError::new(ErrorCode::SchemaViolation, detail)
                });
            }
            pairs.insert(key, value);
        }
        let found = pairs.len() as u64;
        if guard!("format.storage.count", found != count) {
            let detail = format!("the file has {found} pairs, its header says {count}");
            return Err(DecodeError::new(ErrorCode::CountedRootMismatch, detail));
        }
        let found = root(&pairs);
        if guard!("format.storage.root", found != stated) {
            let detail = format!("the pairs have the root {found}, the header says {stated}");
            return Err(DecodeError::new(ErrorCode::CountedRootMismatch, detail));
        }
        Ok(Self { package, pairs })
    }

    /// Encodes the file, of which each storage has exactly one.
    ///
    /// # Errors
    /// E004 for a pair of more than 2^24 bytes, which no run leaves.
    pub fn encode(&self) -> Result<Vec<u8>, DecodeError> {
        let mut writer = Writer::new();
        writer.push(&Value::Map(vec![
            (0, FORMAT.into()),
            (1, (*self.package.digest()).into()),
            (2, (self.pairs.len() as u64).into()),
            (3, root(&self.pairs).into()),
        ]))?;
        for (key, value) in &self.pairs {
            writer.push(&to_value(key, value))?;
        }
        Ok(writer.into_bytes())
    }
}

fn read_pair(record: Record<'_>) -> Result<(Vec<u8>, Vec<u8>), DecodeError> {
    let offset = record.offset;
    let read = || {
        let mut items = Items::new(record.value, "storage-pair", 2..=2)?;
        let (key, value): (Vec<u8>, Vec<u8>) = (items.required()?, items.required()?);
        items.finish()?;
        let (keys, values) = (STORAGE_KEY_BYTES_MAX, STORAGE_VALUE_BYTES_MAX);
        if guard!("format.storage.key_length", !(1..=keys).contains(&key.len())) {
            let detail = format!("a key has {} bytes, allowed are 1 to {keys}", key.len());
            return Err(DecodeError::new(ErrorCode::LimitExceeded, detail));
        }
        if guard!("format.storage.value_length", value.len() > values) {
            let detail = format!("a value has {} bytes, allowed are {values}", value.len());
            return Err(DecodeError::new(ErrorCode::LimitExceeded, detail));
        }
        Ok((key, value))
    };
    read().map_err(|error| DecodeError { offset: error.offset.or(Some(offset)), ..error })
}
