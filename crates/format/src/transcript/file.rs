//! The transcript file: header, entries and end as KLOG records.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, Outcome, guard};

use super::{
    ENTRIES_MAX, EXCHANGE_BYTES_MAX, End, Entries, Entry, FORMAT, HEADER_KEYS_MAX, Header,
    StateHash, Transcript,
};
use crate::cbor::{Fields, Value};
use crate::klog::{Reader, Record, Writer};
use crate::package::{CoreHash, PackageId};
use crate::policy::Policy;
use crate::{DecodeError, Digest};

/// Keys of a run header before its extensions.
const HEADER_KEYS: usize = 11;

impl Transcript {
    /// Decodes a transcript file.
    ///
    /// # Errors
    /// E001 or E005 for another format; E002, E003, E004, E006, E008 or E009 for the form of a
    /// record; E015 for records in another order or a missing first or last one; E017 for more
    /// fuel used than granted.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::read(bytes, ENTRIES_MAX)
    }

    fn read(bytes: &[u8], entries_max: usize) -> Result<Self, DecodeError> {
        let mut records = Vec::new();
        for record in Reader::new(bytes) {
            if guard!("format.transcript.entries", records.len() >= entries_max + 2) {
                let detail = format!("the file has more than {entries_max} entries");
                return Err(DecodeError::new(ErrorCode::LimitExceeded, detail));
            }
            records.push(record?);
        }
        Self::from_records(records, bytes.len())
    }

    fn from_records(records: Vec<Record<'_>>, end: usize) -> Result<Self, DecodeError> {
        let missing = |what: &str| {
            let detail = format!("the file ends without a {what}");
            DecodeError::at(ErrorCode::CountedRootMismatch, end, detail)
        };
        let entries = records.len().saturating_sub(2);
        let mut records = records.into_iter();
        let first = records.next().ok_or_else(|| missing("run header"))?;
        check_kind(&first, Kind::Header)?;
        let header = Header::from_value(first.value).map_err(|e| at(e, first.offset))?;
        let mut decoded = Entries::default();
        for (record, seq) in records.by_ref().take(entries).zip(0..) {
            check_kind(&record, Kind::Entry)?;
            push_entry(&mut decoded, record.value, seq).map_err(|e| at(e, record.offset))?;
        }
        let last = records.next().ok_or_else(|| missing("run end"))?;
        check_kind(&last, Kind::End)?;
        let end = End::from_value(last.value).map_err(|e| at(e, last.offset))?;
        if guard!("format.transcript.fuel", end.fuel_used > header.fuel) {
            let detail = format!("fuel used is {}, granted are {}", end.fuel_used, header.fuel);
            return Err(at(DecodeError::new(ErrorCode::FactsConflict, detail), last.offset));
        }
        Ok(Self { header, entries: decoded, end })
    }

    /// Encodes the file, of which each transcript has exactly one.
    ///
    /// # Errors
    /// E004 for a record of more than 2^24 bytes.
    pub fn encode(&self) -> Result<Vec<u8>, DecodeError> {
        let mut writer = Writer::new();
        writer.push(&self.header.to_value())?;
        for (entry, seq) in self.entries.iter().zip(0..) {
            writer.push(&entry.to_value(seq))?;
        }
        writer.push(&self.end.to_value())?;
        Ok(writer.into_bytes())
    }
}

/// The three records of a file, told apart by the type of key 0.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Header,
    Entry,
    End,
}

/// Refuses a record that belongs to another place; one of no kind is left to its decoder.
fn check_kind(record: &Record<'_>, expected: Kind) -> Result<(), DecodeError> {
    let Value::Map(entries) = &record.value else {
        return Ok(());
    };
    let found = match entries.first() {
        Some((0, Value::Text(_))) => Kind::Header,
        Some((0, Value::Uint(_))) => Kind::Entry,
        Some((0, Value::Array(_))) => Kind::End,
        _ => return Ok(()),
    };
    if guard!("format.transcript.order", found != expected) {
        let name = |kind| match kind {
            Kind::Header => "run header",
            Kind::Entry => "transcript entry",
            Kind::End => "run end",
        };
        let detail = format!("found a {}, expected a {}", name(found), name(expected));
        return Err(at(DecodeError::new(ErrorCode::CountedRootMismatch, detail), record.offset));
    }
    Ok(())
}

/// Blames the record at `offset`, unless the error knows better.
fn at(error: DecodeError, offset: u64) -> DecodeError {
    DecodeError { offset: error.offset.or(Some(offset)), ..error }
}

impl Header {
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        if let Value::Map(entries) = &value {
            let found = entries.len();
            if guard!("format.transcript.header_keys", found > HEADER_KEYS_MAX) {
                let detail = format!("run-header has {found} keys, allowed {HEADER_KEYS_MAX}");
                return Err(DecodeError::new(ErrorCode::SchemaViolation, detail));
            }
        }
        let mut fields = Fields::new(value, "run-header")?;
        fields.format_name(FORMAT)?;
        let header = Self {
            capsule_hash: PackageId::new(fields.required(1)?),
            core_hash: CoreHash::new(fields.required(2)?),
            abi: text(&mut fields, 3)?,
            profile: text(&mut fields, 4)?,
            metering: text(&mut fields, 5)?,
            entry: fields.required(6)?,
            fuel: fields.required(7)?,
            memory_bytes: fields.required(8)?,
            policy: effective_policy(&mut fields)?,
            seed: fields.required(10)?,
            extensions: fields.finish_ext()?,
        };
        header.check_grant()?;
        Ok(header)
    }

    /// Checks that granted fuel and memory are at most the limits of the effective policy.
    fn check_grant(&self) -> Result<(), DecodeError> {
        let limits = self.policy.limits;
        let over = |what: &str, granted, limit| {
            let detail = format!("granted {what} is {granted}, the effective policy gives {limit}");
            Err(DecodeError::new(ErrorCode::FactsConflict, detail))
        };
        if guard!("format.transcript.granted_fuel", self.fuel > limits.fuel) {
            return over("fuel", self.fuel, limits.fuel);
        }
        if guard!("format.transcript.granted_memory", self.memory_bytes > limits.memory_bytes) {
            return over("memory", self.memory_bytes, limits.memory_bytes);
        }
        Ok(())
    }

    fn to_value(&self) -> Value {
        let mut entries: Vec<(u64, Value)> = Vec::with_capacity(HEADER_KEYS);
        entries.push((0, FORMAT.into()));
        entries.push((1, (*self.capsule_hash.digest()).into()));
        entries.push((2, (*self.core_hash.digest()).into()));
        entries.push((3, (*self.abi).into()));
        entries.push((4, (*self.profile).into()));
        entries.push((5, (*self.metering).into()));
        entries.push((6, self.entry.as_str().into()));
        entries.push((7, self.fuel.into()));
        entries.push((8, self.memory_bytes.into()));
        entries.push((9, self.policy.encode().into()));
        entries.push((10, self.seed.to_vec().into()));
        entries.extend(self.extensions.iter().cloned());
        Value::Map(entries)
    }
}

fn text(fields: &mut Fields, key: u64) -> Result<Cow<'static, str>, DecodeError> {
    fields.required::<String>(key).map(Cow::Owned)
}

fn effective_policy(fields: &mut Fields) -> Result<Policy, DecodeError> {
    let bytes: Vec<u8> = fields.required(9)?;
    // Offsets inside the policy would be taken for offsets in the file.
    let inner = |error: DecodeError| DecodeError { offset: None, ..error };
    Policy::decode(&bytes).map_err(|error| inner(error).within("key 9 of run-header"))
}

/// Reads the entries of a transcript alone, as an audit bundle holds them.
///
/// # Errors
/// As [`Transcript::decode`] for an entry.
pub fn read_entries(bytes: &[u8]) -> Result<Entries, DecodeError> {
    let mut entries = Entries::default();
    for (record, seq) in Reader::new(bytes).zip(0..) {
        let Record { offset, value, .. } = record?;
        push_entry(&mut entries, value, seq).map_err(|error| at(error, offset))?;
    }
    Ok(entries)
}

/// Writes the entries of a transcript alone.
///
/// # Errors
/// E004 for a record of more than 2^24 bytes.
pub fn write_entries(entries: &Entries) -> Result<Vec<u8>, DecodeError> {
    let mut writer = Writer::new();
    for (entry, seq) in entries.iter().zip(0..) {
        writer.push(&entry.to_value(seq))?;
    }
    Ok(writer.into_bytes())
}

/// Writes one entry as a record.
pub(crate) fn write_entry(
    writer: &mut Writer,
    entry: Entry<'_>,
    seq: u64,
) -> Result<(), DecodeError> {
    writer.push(&entry.to_value(seq))
}

/// Adds the entry that a record holds.
pub(crate) fn push_entry(
    entries: &mut Entries,
    value: Value,
    position: u64,
) -> Result<(), DecodeError> {
    let mut fields = Fields::new(value, "transcript-entry")?;
    let seq: u64 = fields.required(0)?;
    if guard!("format.transcript.seq", seq != position) {
        let detail = format!("transcript entry {position} has the sequence number {seq}");
        return Err(DecodeError::new(ErrorCode::CountedRootMismatch, detail));
    }
    let (hostcall, fuel, status) = (fields.required(1)?, fields.required(2)?, fields.required(3)?);
    let (request, response) = (exchange(&mut fields, 4)?, exchange(&mut fields, 5)?);
    fields.finish()?;
    entries.push(&Entry { hostcall, fuel, status, request: &request, response: &response });
    Ok(())
}

impl Entry<'_> {
    fn to_value(self, seq: u64) -> Value {
        Value::Map(vec![
            (0, seq.into()),
            (1, self.hostcall.into()),
            (2, self.fuel.into()),
            (3, self.status.into()),
            (4, self.request.to_vec().into()),
            (5, self.response.to_vec().into()),
        ])
    }
}

fn exchange(fields: &mut Fields, key: u64) -> Result<Vec<u8>, DecodeError> {
    let bytes: Vec<u8> = fields.required(key)?;
    if guard!("format.transcript.exchange", bytes.len() > EXCHANGE_BYTES_MAX) {
        let found = bytes.len();
        let detail = format!("key {key} has {found} bytes, allowed are {EXCHANGE_BYTES_MAX}");
        return Err(DecodeError::new(ErrorCode::LimitExceeded, detail));
    }
    Ok(bytes)
}

impl End {
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let mut fields = Fields::new(value, "run-end")?;
        let mut items = fields.items(0, "outcome", 2..=2)?;
        let (class, detail) = (items.required()?, items.required()?);
        items.finish()?;
        let outcome = Outcome::from_parts(class, detail).ok_or_else(|| {
            let detail = format!("outcome [{class}, {detail}] is not in the table");
            DecodeError::new(ErrorCode::SchemaViolation, detail)
        })?;
        let fuel_used = fields.required(1)?;
        let state_hash = StateHash::new(fields.required(2)?);
        let mut output = fields.items(3, "sized", 2..=2)?;
        let (digest, output_bytes) = (output.required()?, output.required()?);
        output.finish()?;
        let storage_root: Option<Digest> = fields.optional(4)?;
        let empty = storage_root == Some(super::empty_storage_root());
        if guard!("format.transcript.storage_empty", empty) {
            let detail = "key 4 of run-end is the root of an empty storage, which is left out";
            return Err(DecodeError::new(ErrorCode::SchemaViolation, detail));
        }
        let extensions = fields.finish_ext()?;
        Ok(Self {
            outcome,
            fuel_used,
            state_hash,
            output: digest,
            output_bytes,
            storage_root,
            extensions,
        })
    }

    fn to_value(&self) -> Value {
        let outcome = [u64::from(self.outcome.class()), u64::from(self.outcome.detail())];
        let output: Vec<Value> = vec![self.output.into(), self.output_bytes.into()];
        let mut entries: Vec<(u64, Value)> = vec![
            (0, Value::array(outcome)),
            (1, self.fuel_used.into()),
            (2, (*self.state_hash.digest()).into()),
            (3, output.into()),
        ];
        entries.extend(self.storage_root.map(|root| (4, root.into())));
        entries.extend(self.extensions.iter().cloned());
        Value::Map(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_entries_is_limited() {
        let zero = Digest::new([0; 32]);
        let entry = Entry { hostcall: 1, fuel: 0, status: 0, request: &[], response: &[] };
        let file = |count: usize| {
            let header = Header {
                capsule_hash: PackageId::new(zero),
                core_hash: CoreHash::new(zero),
                abi: "kapsule_v1".into(),
                profile: "integer-1".into(),
                metering: "fuel-1 stack-1 meter-1".into(),
                entry: "run".into(),
                fuel: 0,
                memory_bytes: 0,
                policy: Policy::default(),
                seed: [0; 32],
                extensions: vec![],
            };
            let end = End {
                outcome: Outcome::Completed(0),
                fuel_used: 0,
                state_hash: StateHash::new(zero),
                output: zero,
                output_bytes: 0,
                storage_root: None,
                extensions: vec![],
            };
            let entries = core::iter::repeat_n(entry, count).collect();
            Transcript { header, entries, end }.encode().unwrap()
        };
        assert_eq!(Transcript::read(&file(3), 3).unwrap().entries.len(), 3);
        let error = Transcript::read(&file(4), 3).unwrap_err();
        assert_eq!(error.code, ErrorCode::LimitExceeded);
    }
}
