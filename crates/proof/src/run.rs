//! A proof with the words of its run: what a `.kproof` file holds.
//!
//! # Spec
//! `spec/proof.md` section 9.

use alloc::vec::Vec;

use kapsule_abi::{BUFFER_BYTES_MAX, Limit, Outcome, Rule, Trap, guard};
use kapsule_lower::isa::{TAG_IN, TAG_OUT};
use kapsule_lower::words::{Call, Calls, Event};

use crate::codec::{Reader, Writer};
use crate::error::{DecodeError, VerifyError};
use crate::file::{PROOF_MAX, ProofFile};
use crate::key::Key;
use crate::statement::{ProvenOutcome, RunStatement};
use crate::transcript::{Preamble, Transcript, TranscriptEnd};
use crate::verify::{Expected, verify};

/// First bytes of a file: a mark and the version of the form.
const MARK: &[u8; 8] = b"KRUN\x01\0\0\0";
/// Greatest length of a policy in bytes, as `spec/policy.md` has it.
const POLICY_MAX: usize = 1 << 16;
/// Greatest number of words: two for each row of the highest `ABSORB`.
pub const EVENTS_MAX: usize = 1 << 21;
/// Bytes of an event: its tag and its word.
const EVENT_BYTES: usize = 9;
/// Greatest length of a file in bytes; what is beside words and argument is far below 2^17.
pub const RUN_MAX: usize = EVENTS_MAX * EVENT_BYTES + PROOF_MAX + (1 << 17);

/// Number of the hostcall `input_len`.
const INPUT_LEN: u16 = 1;
/// Number of the hostcall `input_read`.
const INPUT_READ: u16 = 2;
/// Number of the hostcall `output_write`.
const OUTPUT_WRITE: u16 = 3;

/// A proof with everything that a verifier needs besides the package.
///
/// Nothing in it is believed: the policy is compared with its digest in the statement, the words
/// with the transcript, and the statement is what is proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenRun {
    /// The effective policy in the form of its file.
    pub policy: Vec<u8>,
    /// Every word that entered or left the run, in order.
    pub events: Vec<Event>,
    /// Statement and proof.
    pub proof: ProofFile,
}

/// What a verifier holds of a run and wants compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known<'a> {
    /// The input.
    pub input: Option<&'a [u8]>,
    /// The output.
    pub output: Option<&'a [u8]>,
    /// Granted fuel.
    pub fuel_limit: Option<u64>,
    /// Fuel used.
    pub fuel_used: Option<u64>,
    /// How the run ended.
    pub outcome: Option<Outcome>,
    /// The transcript digest.
    pub transcript: Option<[u32; 8]>,
}

/// What a verified proof shows of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// How it ended.
    pub outcome: Outcome,
    /// Its hostcalls with their answers, in order.
    pub calls: Vec<Call>,
    /// What it wrote; only a run that completed with 0 gives it the meaning of a result.
    pub output: Vec<u8>,
}

impl ProvenRun {
    /// Returns the canonical encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.raw(MARK);
        out.bytes(&self.policy);
        out.length(self.events.len());
        for event in &self.events {
            out.u8(event.tag);
            out.u64(event.word);
        }
        out.raw(&self.proof.encode());
        out.finish()
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`DecodeError`] unless the bytes are the encoding of one.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        if guard!("proof.run.mark", input.take(MARK.len())? != MARK) {
            return Err(DecodeError::Mark);
        }
        let length = input.count("policy", POLICY_MAX)?;
        let policy = input.take(length)?.into();
        let count = input.count("events", EVENTS_MAX)?;
        // There are as many bytes as that before anything is allocated.
        let events = input.take(count * EVENT_BYTES)?;
        let events: Result<Vec<Event>, DecodeError> =
            events.as_chunks::<EVENT_BYTES>().0.iter().map(event).collect();
        Ok(Self { policy, events: events?, proof: ProofFile::decode(input.rest())? })
    }

    /// Returns the statement.
    #[must_use]
    pub const fn statement(&self) -> &RunStatement {
        &self.proof.statement
    }

    /// Returns the transcript digest of the words, or `None` if the program has no such entry.
    #[must_use]
    pub fn transcript(&self, key: &Key) -> Option<TranscriptEnd> {
        let statement = &self.proof.statement;
        let entry = key.entry(&statement.entry)?;
        let (policy, limit) = (statement.policy_digest, statement.fuel_limit);
        let salted = statement.salt_present;
        let preamble = Preamble::of(&key.program, entry, policy, limit, salted);
        Some(Transcript::new(&preamble).of(&self.events))
    }

    /// Verifies the proof, takes the words apart and compares what is known.
    ///
    /// The transcript of `expected` is not looked at: it is computed from the words.
    /// That the policy has the digest of `expected` is for the caller to see to.
    ///
    /// # Errors
    /// As [`verify`], and [`VerifyError`] of the first known thing that differs.
    ///
    /// # Determinism
    /// Depends on the arguments alone.
    pub fn check(
        &self,
        key: &Key,
        expected: &Expected<'_>,
        known: &Known<'_>,
    ) -> Result<Shown, VerifyError> {
        // Without the entry there is no digest, and `verify` says why.
        let expected = Expected { transcript: self.transcript(key), ..expected.clone() };
        verify(key, &self.proof, &expected)?;
        let shown = self.shown()?;
        shown.compare(&self.proof.statement, known)?;
        Ok(shown)
    }

    /// Takes the words apart.
    fn shown(&self) -> Result<Shown, VerifyError> {
        let statement = &self.proof.statement;
        let salt = if statement.salt_present { 4 } else { 0 };
        let completed = statement.outcome == ProvenOutcome::Completed;
        let read = self.events.get(salt..).and_then(|events| Calls::read(events, completed));
        let Some(Calls { calls, completed }) = read else { return Err(VerifyError::Words) };
        let outcome = outcome(statement.outcome, completed).ok_or(VerifyError::Outcome)?;
        let written = calls.iter().filter(|call| is(call, OUTPUT_WRITE) && call.status == 0);
        let output = written.flat_map(Call::passed).copied().collect();
        Ok(Shown { outcome, calls, output })
    }
}

impl Shown {
    /// Compares what the caller knows.
    fn compare(&self, statement: &RunStatement, known: &Known<'_>) -> Result<(), VerifyError> {
        let fuel = [
            ("the granted fuel", statement.fuel_limit, known.fuel_limit),
            ("the used fuel", statement.fuel_used, known.fuel_used),
        ];
        for (what, found, expected) in fuel {
            if let Some(expected) = expected
                && guard!("proof.run.fuel", found != expected)
            {
                return Err(VerifyError::OtherFuel { what, found, expected });
            }
        }
        if let Some(expected) = known.outcome
            && guard!("proof.run.outcome", self.outcome != expected)
        {
            return Err(VerifyError::Ended { found: self.outcome, expected });
        }
        let other = known.transcript.is_some_and(|digest| digest != statement.transcript);
        if guard!("proof.run.transcript", other) {
            return Err(VerifyError::Transcript);
        }
        if let Some(input) = known.input {
            let other = self.calls.iter().position(|call| !reads(call, input));
            if guard!("proof.run.input", other.is_some()) {
                return Err(VerifyError::Input { call: other.unwrap_or_default() });
            }
        }
        let expected = known.output.unwrap_or(&self.output);
        if guard!("proof.run.output", self.output != expected) {
            return Err(VerifyError::Output { found: self.output.len(), expected: expected.len() });
        }
        Ok(())
    }
}

/// Reads one event.
fn event(bytes: &[u8; EVENT_BYTES]) -> Result<Event, DecodeError> {
    let [tag, word @ ..] = *bytes;
    if guard!("proof.run.tag", tag != TAG_IN && tag != TAG_OUT) {
        return Err(DecodeError::Range { field: "tag", found: u64::from(tag) });
    }
    Ok(Event { tag, word: u64::from_le_bytes(word) })
}

fn is(call: &Call, number: u16) -> bool {
    call.hostcall.number == number
}

/// Tells whether an answer about the input is one that this input gives.
fn reads(call: &Call, input: &[u8]) -> bool {
    if call.status != 0 {
        // The run ended at a limit; nobody refuses these two.
        return call.status > 1 || !(is(call, INPUT_LEN) || is(call, INPUT_READ));
    }
    if is(call, INPUT_LEN) {
        return call.result() == input.len() as u64;
    }
    if is(call, INPUT_READ) {
        let start = usize::try_from(call.arg(0)).unwrap_or(usize::MAX).min(input.len());
        let length = call.arg(2).min(u64::from(BUFFER_BYTES_MAX)) as usize;
        let end = start.saturating_add(length).min(input.len());
        let bytes = &input[start..end];
        return call.written() == bytes && call.result() == bytes.len() as u64;
    }
    true
}

/// Returns the outcome that a statement and the last word stand for.
fn outcome(proven: ProvenOutcome, completed: Option<u32>) -> Option<Outcome> {
    match proven {
        ProvenOutcome::Completed => completed.map(Outcome::Completed),
        ProvenOutcome::Trap(code) => {
            Trap::ALL.into_iter().find(|trap| *trap as u8 == code).map(Outcome::Trapped)
        }
        ProvenOutcome::OutOfFuel => Some(Outcome::LimitReached(Limit::Fuel)),
        // Limit 0, fuel, is no answer of a host, and its number is that of the policy.
        ProvenOutcome::Denied(0) => Some(Outcome::Denied(Rule::Policy)),
        ProvenOutcome::Denied(5) => Some(Outcome::Denied(Rule::Argument)),
        ProvenOutcome::Denied(number) => {
            Limit::ALL.into_iter().find(|limit| *limit as u8 == number).map(Outcome::LimitReached)
        }
    }
}
