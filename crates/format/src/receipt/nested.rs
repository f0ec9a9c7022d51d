//! Runs inside the run: their exec bodies and hostcalls, as an audit bundle holds them.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kapsule_abi::hostcall::{CALL, CALL_HEADER_BYTES};
use kapsule_abi::{ErrorCode, Outcome, guard};

use super::exec::{ExecBody, ExecHash};
use crate::cbor::FromValue;
use crate::hash::{salt, salt_commitment};
use crate::klog::{Reader, Writer};
use crate::limits::{NESTING_MAX, RECORDED_RUNS_MAX, TRANSCRIPT_ENTRIES_MAX};
use crate::transcript::{
    Entries, Entry, input_commitment, output_commitment, push_entry, root, write_entry,
};
use crate::{DecodeError, Digest};

/// Status word of a hostcall that was answered.
const ANSWERED: u64 = 0;
/// Integer arguments of `call`, which precede its buffers in a request, 8 bytes each.
const ARGUMENTS: usize = 7;

/// A run that another run started by `call`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nested<'a> {
    /// What ran, what it was given, and how it ended.
    pub exec: ExecBody,
    /// Its hostcalls with their answers.
    pub entries: Cow<'a, Entries>,
    /// Runs that it started, in the order of the calls.
    pub nested: Vec<Nested<'a>>,
}

impl Nested<'_> {
    /// Returns how many runs these are, with those inside.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.nested.iter().map(Self::count).sum::<u64>().saturating_add(1)
    }
}

/// Returns the salt seed of run number `index` inside a run with this one.
#[must_use]
pub fn nested_seed(seed: &[u8; 32], index: usize) -> [u8; 32] {
    salt(seed, "nested", index as u64)
}

/// Returns the execution hashes of runs inside a run, as its exec body lists them.
pub(super) fn hashes(nested: &[Nested<'_>]) -> Vec<ExecHash> {
    nested.iter().map(|one| one.exec.hash()).collect()
}

/// Writes the runs inside a run, each before those inside it.
///
/// # Errors
/// E004 for more than 65,536 of them, and for a record of more than 2^24 bytes.
pub fn write_nested(nested: &[Nested<'_>]) -> Result<Vec<u8>, DecodeError> {
    let mut budget = Budget::new();
    let mut writer = Writer::new();
    write_all(nested, &mut writer, &mut budget, 1)?;
    Ok(writer.into_bytes())
}

fn write_all(
    nested: &[Nested<'_>],
    writer: &mut Writer,
    budget: &mut Budget,
    depth: u64,
) -> Result<(), DecodeError> {
    for one in nested {
        budget.take(depth, one.entries.len() as u64)?;
        writer.push(&one.exec.to_cbor())?;
        for (entry, seq) in one.entries.iter().zip(0..) {
            write_entry(writer, entry, seq)?;
        }
        write_all(&one.nested, writer, budget, depth + 1)?;
    }
    Ok(())
}

/// Reads the runs inside the run of `exec`, with the salt seed that the bundle gives.
///
/// # Errors
/// As [`Reader`]; E004 for too many runs, entries or levels; E008 or E009 for a record; E015 for
/// runs that are not those that `exec` lists, or whose entries do not lead to their roots.
pub(super) fn read_nested(
    bytes: &[u8],
    exec: &ExecBody,
    seed: Option<&[u8; 32]>,
) -> Result<Vec<Nested<'static>>, DecodeError> {
    let mut reader = Runs { reader: Reader::new(bytes), budget: Budget::new() };
    let nested = reader.inside(exec, seed, 1)?;
    let more = reader.reader.next().transpose()?.is_some();
    if guard!("format.receipt.nested_more", more) {
        return Err(counted("there are more records than runs inside the run"));
    }
    Ok(nested)
}

struct Runs<'a> {
    reader: Reader<'a>,
    budget: Budget,
}

impl Runs<'_> {
    fn inside(
        &mut self,
        exec: &ExecBody,
        seed: Option<&[u8; 32]>,
        depth: u64,
    ) -> Result<Vec<Nested<'static>>, DecodeError> {
        let mut nested = Vec::new();
        for (index, hash) in exec.nested.iter().enumerate() {
            let seed = seed.map(|seed| nested_seed(seed, index));
            nested.push(self.one(hash, seed.as_ref(), depth)?);
        }
        Ok(nested)
    }

    fn one(
        &mut self,
        hash: &ExecHash,
        seed: Option<&[u8; 32]>,
        depth: u64,
    ) -> Result<Nested<'static>, DecodeError> {
        let exec = ExecBody::from_value(self.record()?)?;
        if guard!("format.receipt.nested_hash", exec.hash() != *hash) {
            return Err(counted(&format!("a run inside the run is not the listed {hash}")));
        }
        self.budget.take(depth, exec.transcript.count)?;
        let mut entries = Entries::default();
        for seq in 0..exec.transcript.count {
            push_entry(&mut entries, self.record()?, seq)?;
        }
        if guard!("format.receipt.nested_root", root(&entries, seed) != exec.transcript.root) {
            return Err(counted("the entries of a run inside the run lead to another root"));
        }
        let committed = seed.map(salt_commitment);
        if guard!("format.receipt.nested_salt", committed != exec.salt_commitment) {
            let detail = "a run inside the run has another salt than the run gives it";
            return Err(DecodeError::new(ErrorCode::CommitmentMismatch, detail));
        }
        let nested = self.inside(&exec, seed, depth + 1)?;
        Ok(Nested { exec, entries: Cow::Owned(entries), nested })
    }

    fn record(&mut self) -> Result<crate::cbor::Value, DecodeError> {
        match self.reader.next() {
            Some(record) => Ok(record?.value),
            None => Err(counted("a run inside the run is not recorded, or not to its end")),
        }
    }
}

/// What may still be written or read.
struct Budget {
    runs: u64,
    entries: u64,
}

impl Budget {
    const fn new() -> Self {
        Self { runs: RECORDED_RUNS_MAX, entries: TRANSCRIPT_ENTRIES_MAX }
    }

    fn take(&mut self, depth: u64, entries: u64) -> Result<(), DecodeError> {
        let exceeds = |what: &str, allowed: u64| {
            let detail = format!("the runs inside the run have more than {allowed} {what}");
            Err(DecodeError::new(ErrorCode::LimitExceeded, detail))
        };
        if guard!("format.receipt.nested_depth", depth > NESTING_MAX) {
            return exceeds("levels", NESTING_MAX);
        }
        if guard!("format.receipt.nested_runs", self.runs == 0) {
            return exceeds("members", RECORDED_RUNS_MAX);
        }
        if guard!("format.receipt.nested_entries", entries > self.entries) {
            return exceeds("hostcalls", TRANSCRIPT_ENTRIES_MAX);
        }
        self.runs = self.runs.saturating_sub(1);
        self.entries = self.entries.saturating_sub(entries);
        Ok(())
    }
}

fn answered(entries: &Entries) -> impl Iterator<Item = (usize, Entry<'_>)> {
    let is_answered =
        |entry: &Entry<'_>| entry.hostcall == u64::from(CALL) && entry.status == ANSWERED;
    entries.iter().enumerate().filter(move |(_, entry)| is_answered(entry))
}

/// Compares the number of answered calls with that of the runs that a claim lists.
///
/// # Errors
/// E017 for another number.
pub(crate) fn check_call_count(exec: &ExecBody, entries: &Entries) -> Result<(), DecodeError> {
    let (calls, listed) = (answered(entries).count(), exec.nested.len());
    if guard!("format.receipt.call_count", calls != listed) {
        let detail = format!("{calls} calls were answered, and {listed} runs are listed");
        return Err(conflict(&detail));
    }
    Ok(())
}

/// Compares the answered calls of a run with the runs inside it, and so on inside these.
///
/// # Errors
/// E017 for a call whose package, entry, input, fuel, outcome or output is another one than that of
/// the run that it started.
pub(crate) fn check_calls(
    exec: &ExecBody,
    entries: &Entries,
    nested: &[Nested<'_>],
    seed: Option<&[u8; 32]>,
) -> Result<(), DecodeError> {
    let calls: Vec<(usize, Entry<'_>)> = answered(entries).collect();
    for (index, ((seq, entry), one)) in calls.into_iter().zip(nested).enumerate() {
        let seed = seed.map(|seed| nested_seed(seed, index));
        let wrong = |what: &str| {
            conflict(&format!(
                "the call of entry {seq} and the run that it started differ in {what}"
            ))
        };
        let call = Call::read(&entry).ok_or_else(|| wrong("form"))?;
        if let Some(what) = call.differs(&one.exec, seed.as_ref()) {
            return Err(wrong(what));
        }
        if guard!("format.receipt.call_rules", one.exec.trace_spec != exec.trace_spec) {
            return Err(wrong("trace spec"));
        }
        check_call_count(&one.exec, &one.entries)?;
        check_calls(&one.exec, &one.entries, &one.nested, seed.as_ref())?;
    }
    Ok(())
}

/// Returns the input that a `call` hands over, if the entry has the form of one.
#[must_use]
pub fn call_input<'a>(entry: &Entry<'a>) -> Option<&'a [u8]> {
    let (arguments, buffers) = entry.request.split_at_checked(8 * ARGUMENTS)?;
    let length = |index: usize| usize::try_from(word(arguments.get(8 * index..)?)?).ok();
    let (_, input) = buffers.split_at_checked(length(2)?.checked_add(32)?)?;
    Some(input).filter(|input| length(4) == Some(input.len()))
}

/// An answered call.
struct Call<'a> {
    package: &'a [u8],
    entry: &'a [u8],
    input: &'a [u8],
    length: u64,
    fuel: u64,
    outcome: Outcome,
    /// What the guest was given of the output: all of it, or nothing for want of room.
    output: &'a [u8],
}

impl<'a> Call<'a> {
    /// Takes the entry of a call apart, in the form of `spec/transcript.md`.
    fn read(entry: &Entry<'a>) -> Option<Self> {
        let input = call_input(entry)?;
        let named = entry.request.get(8 * ARGUMENTS..entry.request.len() - input.len())?;
        let (package, name) = named.split_at_checked(32)?;
        let (result, written) = (word(entry.response)?, entry.response.get(16..)?);
        let (header, output) = written.split_at_checked(CALL_HEADER_BYTES)?;
        let half = |at: usize| {
            let bytes = header.get(at..at + 4)?.try_into().ok()?;
            Some(u64::from(u32::from_le_bytes(bytes)))
        };
        Some(Self {
            package,
            entry: name,
            input,
            length: result.checked_sub(CALL_HEADER_BYTES as u64)?,
            fuel: word(header)?,
            outcome: Outcome::from_parts(half(8)?, half(12)?)?,
            output,
        })
    }

    /// Returns in what the run that the call started differs from what the call says.
    fn differs(&self, exec: &ExecBody, seed: Option<&[u8; 32]>) -> Option<&'static str> {
        if guard!("format.receipt.call_package", self.package != exec.capsule_hash.as_bytes()) {
            return Some("package");
        }
        // Only the package tells the name of its default entry.
        let named = self.entry.is_empty() || self.entry == exec.entry.as_bytes();
        if guard!("format.receipt.call_entry", !named) {
            return Some("entry");
        }
        let input = (input_commitment(seed, self.input), self.input.len() as u64);
        if guard!("format.receipt.call_input", input != (exec.input.digest, exec.input.size)) {
            return Some("input");
        }
        if guard!("format.receipt.call_fuel", self.fuel < exec.fuel_used) {
            return Some("fuel");
        }
        if guard!("format.receipt.call_outcome", self.outcome != exec.outcome) {
            return Some("outcome");
        }
        if guard!("format.receipt.call_length", self.length != exec.output.size) {
            return Some("length of the output");
        }
        let whole = self.output.len() as u64 == self.length;
        let output: Digest = output_commitment(seed, self.output);
        if guard!("format.receipt.call_output", whole && output != exec.output.digest) {
            return Some("output");
        }
        None
    }
}

fn word(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.first_chunk::<8>()?))
}

fn counted(detail: &str) -> DecodeError {
    DecodeError::new(ErrorCode::CountedRootMismatch, String::from(detail))
}

fn conflict(detail: &str) -> DecodeError {
    DecodeError::new(ErrorCode::FactsConflict, detail.to_string())
}
