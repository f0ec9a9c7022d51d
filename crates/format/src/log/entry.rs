//! One entry of the log.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

use crate::cbor::{self, Fields, FromValue, Items, Value};
use crate::hash::{self, Tag};
use crate::limits::LOG_ENTRY_BYTES_MAX;
use crate::text::{is_ascending, is_made_of, shown};
use crate::{DecodeError, Digest};

/// Greatest number of subjects of one entry.
const SUBJECTS_MAX: u64 = 16;

/// Greatest number of data and of blinded fields of one entry.
const DATA_MAX: u64 = 64;

/// Declares the kinds once, so that variants and names cannot drift apart.
macro_rules! kinds {
    ($($variant:ident = $name:literal,)*) => {
        /// What an entry records; the list is closed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EntryKind {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl EntryKind {
            /// Every kind, in the order of `spec/log.md`.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Returns the name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

kinds! {
    LogOpen = "log.open",
    LogKey = "log.key",
    LogClose = "log.close",
    PackageVerified = "package.verified",
    PackageRefused = "package.refused",
    CapsuleAccepted = "capsule.accepted",
    CapsuleRefused = "capsule.refused",
    CapsuleDecrypted = "capsule.decrypted",
    RunStarted = "run.started",
    RunFinished = "run.finished",
    HostcallDenied = "hostcall.denied",
    PolicyViolation = "policy.violation",
    ReceiptIssued = "receipt.issued",
    ReceiptVerified = "receipt.verified",
    ReceiptRefused = "receipt.refused",
    TrustChanged = "trust.changed",
    KeyCreated = "key.created",
    KeyUsed = "key.used",
    KeyRevoked = "key.revoked",
    AuditGranted = "audit.granted",
    AuditServed = "audit.served",
    SnapshotImported = "snapshot.imported",
    ProposalDecided = "proposal.decided",
    StorageChanged = "storage.changed",
    CapsulePruned = "capsule.pruned",
    CapsuleRestored = "capsule.restored",
}

impl EntryKind {
    /// Returns the kind with this name.
    ///
    /// # Errors
    /// E008 for a name outside the list.
    pub fn from_name(name: &str) -> Result<Self, DecodeError> {
        let kind = Self::ALL.iter().copied().find(|kind| kind.name() == name);
        kind.ok_or_else(|| {
            let detail = format!("found the entry type `{}`, which is not one", shown(name));
            DecodeError::new(ErrorCode::SchemaViolation, detail)
        })
    }
}

/// One entry; every field is covered by the entry hash and the Merkle tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Place in the log, from 0.
    pub index: u64,
    /// Entry hash of the one before, or the genesis of the log.
    pub prev: Digest,
    /// Claimed time, in milliseconds since 1970; proves nothing.
    pub time_ms: u64,
    /// Epoch of the key of the log.
    pub key_epoch: u64,
    /// What happened.
    pub kind: EntryKind,
    /// Whom it concerns: digests by name, ascending.
    pub subjects: Vec<(String, Digest)>,
    /// Facts in the open, by name, ascending.
    pub data: Vec<(String, String)>,
    /// Blinded personal values, by name, ascending; an empty list is another entry than none.
    pub blinded: Option<Vec<(String, Digest)>>,
    /// Why something was refused: the printed form of an error code.
    pub error: Option<String>,
    /// Entries of the map with keys from 64.
    pub extensions: Vec<(u64, Value)>,
}

impl Entry {
    /// Starts an entry that says no more than what happened and when.
    ///
    /// Index, link and key epoch are those of an entry at the start; [`super::Chain::link`] sets
    /// them.
    #[must_use]
    pub const fn new(kind: EntryKind, time_ms: u64) -> Self {
        Self {
            index: 0,
            prev: Digest::new([0; Digest::BYTES]),
            time_ms,
            key_epoch: 0,
            kind,
            subjects: Vec::new(),
            data: Vec::new(),
            blinded: None,
            error: None,
            extensions: Vec::new(),
        }
    }

    /// Adds a subject, in its place.
    #[must_use]
    pub fn subject(mut self, name: &str, digest: Digest) -> Self {
        insert(&mut self.subjects, name, digest);
        self
    }

    /// Adds a fact, in its place.
    #[must_use]
    pub fn datum(mut self, name: &str, value: impl Into<String>) -> Self {
        insert(&mut self.data, name, value.into());
        self
    }

    /// Adds the commitment to a personal value, in its place.
    #[must_use]
    pub fn blinded(mut self, name: &str, commitment: Digest) -> Self {
        insert(self.blinded.get_or_insert_default(), name, commitment);
        self
    }

    /// Says why something was refused.
    #[must_use]
    pub fn refused(mut self, code: ErrorCode) -> Self {
        self.error = Some(format!("{code}"));
        self
    }

    /// Returns the digest of a subject.
    #[must_use]
    pub fn find_subject(&self, name: &str) -> Option<&Digest> {
        self.subjects.iter().find(|(found, _)| found == name).map(|(_, digest)| digest)
    }

    /// Returns the value of a fact.
    #[must_use]
    pub fn find_datum(&self, name: &str) -> Option<&str> {
        self.data.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Decodes an entry.
    ///
    /// # Errors
    /// E004 above 16,384 bytes, E005 for another version, E002, E003 or E006 for the encoding,
    /// E008 or E009 for the schema.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        check_length(bytes.len())?;
        let mut fields = Fields::new(cbor::decode(bytes)?, "log-entry")?;
        fields.version(1)?;
        let entry = Self {
            index: fields.required(1)?,
            prev: fields.required(2)?,
            time_ms: fields.required(3)?,
            key_epoch: fields.required(4)?,
            kind: EntryKind::from_name(&fields.required::<String>(5)?)?,
            subjects: named(&mut fields, 6, SUBJECTS_MAX)?,
            data: named(&mut fields, 7, DATA_MAX)?,
            blinded: fields
                .optional::<Value>(8)?
                .map(|list| read_named(list, DATA_MAX))
                .transpose()?,
            error: fields.optional(9)?,
            extensions: fields.finish_ext()?,
        };
        entry.check()?;
        Ok(entry)
    }

    /// Encodes the entry.
    ///
    /// # Errors
    /// E004, E006 or E008 if a field is not one that [`Entry::decode`] accepts.
    ///
    /// # Panics
    /// If extensions are not in ascending order of their keys.
    pub fn encode(&self) -> Result<Vec<u8>, DecodeError> {
        for (found, max) in [
            (self.subjects.len(), SUBJECTS_MAX),
            (self.data.len(), DATA_MAX),
            (self.blinded.iter().flatten().count(), DATA_MAX),
        ] {
            check_count(found, max)?;
        }
        self.check()?;
        let mut map = vec![
            (0, 1_u64.into()),
            (1, self.index.into()),
            (2, self.prev.into()),
            (3, self.time_ms.into()),
            (4, self.key_epoch.into()),
            (5, self.kind.name().into()),
            (6, to_list(&self.subjects)),
            (7, to_list(&self.data)),
        ];
        map.extend(self.blinded.iter().map(|list| (8, to_list(list))));
        map.extend(self.error.iter().map(|code| (9, code.as_str().into())));
        map.extend(self.extensions.iter().cloned());
        let bytes = cbor::try_encode(&Value::Map(map))?;
        check_length(bytes.len())?;
        Ok(bytes)
    }

    fn check(&self) -> Result<(), DecodeError> {
        let refuse = |detail: &str| Err(DecodeError::new(ErrorCode::SchemaViolation, detail));
        let sorted = is_ascending(self.subjects.iter().map(|(name, _)| name))
            && is_ascending(self.data.iter().map(|(name, _)| name))
            && is_ascending(self.blinded.iter().flatten().map(|(name, _)| name));
        if guard!("format.log.entry_order", !sorted) {
            return refuse("a list of a log-entry is not in strictly ascending order of its names");
        }
        let form = self.error.as_ref().is_none_or(|code| is_code(code));
        if guard!("format.log.entry_error", !form) {
            return refuse("key 9 of log-entry is not `E<3 digits>_<NAME>`");
        }
        Ok(())
    }
}

/// Returns the commitment to a personal value, whose salt and value are kept apart so that they
/// can be erased.
#[must_use]
pub fn blind(salt: &[u8; 32], name: &str, value: &[u8]) -> Digest {
    hash::tagged(Tag::LogBlind, &[salt, name.as_bytes(), value])
}

/// Returns the entry hash, to which the next entry links.
pub(super) fn entry_hash(bytes: &[u8]) -> Digest {
    hash::tagged(Tag::LogEntry, &[bytes])
}

fn check_length(found: usize) -> Result<(), DecodeError> {
    if guard!("format.log.entry_length", found > LOG_ENTRY_BYTES_MAX) {
        let max = LOG_ENTRY_BYTES_MAX;
        let detail = format!("log-entry of {found} bytes exceeds the limit of {max} bytes");
        return Err(DecodeError::new(ErrorCode::LimitExceeded, detail));
    }
    Ok(())
}

fn check_count(found: usize, max: u64) -> Result<(), DecodeError> {
    if guard!("format.log.entry_count", found as u64 > max) {
        let detail = format!("a list of a log-entry has {found} items, allowed are {max}");
        return Err(DecodeError::new(ErrorCode::SchemaViolation, detail));
    }
    Ok(())
}

/// Tells whether text has the form of a printed error code; later versions may add codes.
fn is_code(text: &str) -> bool {
    let Some((number, name)) = text.split_once('_') else {
        return false;
    };
    let digits = number.strip_prefix('E').unwrap_or_default();
    digits.len() == 3
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && is_made_of(name, 64, |byte| byte.is_ascii_uppercase() || byte == b'_')
}

fn insert<T>(list: &mut Vec<(String, T)>, name: &str, value: T) {
    let place = list.partition_point(|(found, _)| found.as_str() < name);
    list.insert(place, (name.into(), value));
}

fn to_list<T: Clone + Into<Value>>(list: &[(String, T)]) -> Value {
    let pair =
        |(name, value): &(String, T)| Value::array([name.as_str().into(), value.clone().into()]);
    Value::array(list.iter().map(pair))
}

fn named<T: FromValue>(
    fields: &mut Fields,
    key: u64,
    max: u64,
) -> Result<Vec<(String, T)>, DecodeError> {
    read_named(fields.required(key)?, max)
}

fn read_named<T: FromValue>(list: Value, max: u64) -> Result<Vec<(String, T)>, DecodeError> {
    let elements = Vec::<Value>::from_value(list)?;
    check_count(elements.len(), max)?;
    let read = |element| {
        let mut items = Items::new(element, "named value", 2..=2)?;
        let pair = (items.required()?, items.required()?);
        items.finish()?;
        Ok(pair)
    };
    elements.into_iter().map(read).collect()
}
