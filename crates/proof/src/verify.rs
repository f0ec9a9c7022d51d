//! Judging a proof.
//!
//! # Spec
//! `spec/proof.md` section 5.

use alloc::vec;
use alloc::vec::Vec;

use kapsule_abi::guard;
use kapsule_lower::isa::{DENIED_COUNT, ISA, PC_CODE, PC_COMPLETED, PC_DENIED, PC_OUT_OF_FUEL};
use kapsule_lower::isa::{PC_TRAP, TRAP_MAX};
use p3_batch_stark::verify_batch;

use crate::argument::{Shape, decode};
use crate::config::{config, seed};
use crate::error::VerifyError;
use crate::field::{F, PRIME};
use crate::file::{ProofFile, SegmentProof};
use crate::key::Key;
use crate::machine::{Kind, Table};
use crate::publics::{Start, values};
use crate::statement::{ProvenOutcome, RunStatement, SegmentPublic, VERSION};
use crate::transcript::{Preamble, Transcript, TranscriptEnd};

/// What a verifier knows from elsewhere and holds the statement against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected<'a> {
    /// Hash of the module that the key was derived from.
    pub module_hash: [u8; 32],
    /// Digest of the effective policy.
    pub policy_digest: [u8; 32],
    /// What the proof must be bound to.
    pub binding: [u8; 32],
    /// Name of the entry.
    pub entry: &'a str,
    /// The digest of the words, if the verifier holds them.
    pub transcript: Option<TranscriptEnd>,
    /// Whether the test parameters, which prove nothing, are accepted.
    pub allow_test_params: bool,
}

/// Base-2 logarithm of the greatest height of a table.
const LOG_HEIGHT_MAX: u8 = 21;
/// Base-2 logarithm of the smallest height.
const LOG_HEIGHT_MIN: u8 = 6;
/// Greatest height of `ABSORB`, so that the number of events stays small.
const LOG_ABSORB_MAX: u8 = 20;
/// Times stay below this.
const TIME_END: u64 = 1 << 28;
/// Static fuel stays below this.
const FUEL_STATIC_END: u64 = 1 << 30;
/// Greatest number of bus messages, which the budget of the argument assumes.
const MESSAGES_MAX: u64 = 1 << 27;
/// Number of transcript events stays below this.
const EVENTS_END: u32 = 1 << 24;

/// Judges a proof against a key and what the verifier expects.
///
/// Takes some tens of milliseconds and as much memory as a few times the proof.
///
/// # Errors
/// [`VerifyError`] names the first rule that is broken; only `Ok` means that the statement holds.
///
/// # Determinism
/// Depends on the arguments alone.
pub fn verify(key: &Key, file: &ProofFile, expected: &Expected<'_>) -> Result<(), VerifyError> {
    let statement = &file.statement;
    identity(key, statement, expected)?;
    let [end] = &statement.segments[..] else {
        return Err(VerifyError::Segments { found: statement.segments.len() });
    };
    public_ranges(end)?;
    outcome(statement.outcome, end)?;
    fuel(statement, end)?;
    let start = start(key, statement)?;
    transcript(statement, end, expected)?;
    let numbers = tables(&file.segment)?;
    heights(key, &file.segment, &numbers)?;
    argument(key, file, &numbers, values(&start, end, &key.program_digest))
}

/// Is it about this version, module, program, policy, entry and binding?
fn identity(
    key: &Key,
    statement: &RunStatement,
    expected: &Expected<'_>,
) -> Result<(), VerifyError> {
    if guard!("proof.verify.version", statement.version != VERSION) {
        return Err(VerifyError::Version { found: statement.version });
    }
    if guard!("proof.verify.isa", statement.isa != ISA) {
        return Err(VerifyError::Isa { found: statement.isa, known: ISA });
    }
    let test = key.params.proven_bits == 0 && !expected.allow_test_params;
    let other = statement.param_set != key.params.number;
    if guard!("proof.verify.params", other) || guard!("proof.verify.test-params", test) {
        return Err(VerifyError::ParamSet(statement.param_set));
    }
    if guard!("proof.verify.module", statement.module_hash != expected.module_hash) {
        return Err(VerifyError::Module);
    }
    if guard!("proof.verify.program", statement.program_digest != key.program_digest) {
        return Err(VerifyError::Program);
    }
    if guard!("proof.verify.policy", statement.policy_digest != expected.policy_digest) {
        return Err(VerifyError::Policy);
    }
    if guard!("proof.verify.binding", statement.binding != expected.binding) {
        return Err(VerifyError::Binding);
    }
    if guard!("proof.verify.entry", statement.entry != expected.entry) {
        return Err(VerifyError::Entry(statement.entry.clone()));
    }
    Ok(())
}

/// Numbers that become field elements must be below p, and some must be smaller.
fn public_ranges(end: &SegmentPublic) -> Result<(), VerifyError> {
    let words = [("pc_out", end.pc_out), ("fp_out", end.fp_out), ("pages_out", end.pages_out)];
    for (name, value) in words {
        if guard!("proof.verify.element", value >= PRIME) {
            return Err(VerifyError::Public(name));
        }
    }
    if guard!("proof.verify.time", u64::from(end.ts_out) >= TIME_END) {
        return Err(VerifyError::Public("ts_out"));
    }
    if guard!("proof.verify.fuel-static", u64::from(end.fuel_static) >= FUEL_STATIC_END) {
        return Err(VerifyError::Public("fuel_static"));
    }
    if guard!("proof.verify.events", end.tx_events >= EVENTS_END) {
        return Err(VerifyError::Public("tx_events"));
    }
    Ok(())
}

/// Does the final program counter show the outcome?
fn outcome(claimed: ProvenOutcome, end: &SegmentPublic) -> Result<(), VerifyError> {
    let traps = PC_TRAP..PC_TRAP + TRAP_MAX + 1;
    let denials = PC_DENIED..PC_DENIED + DENIED_COUNT;
    let shown = match (end.oof_cost, end.dyn_n, end.pc_out) {
        (Some(1..), None, PC_CODE..) | (None, Some(_), PC_OUT_OF_FUEL) => {
            Some(ProvenOutcome::OutOfFuel)
        }
        (None, None, PC_COMPLETED) => Some(ProvenOutcome::Completed),
        (None, None, pc) if traps.contains(&pc) => code(pc - PC_TRAP).map(ProvenOutcome::Trap),
        (None, None, pc) if denials.contains(&pc) => {
            code(pc - PC_DENIED).map(ProvenOutcome::Denied)
        }
        _ => None,
    };
    if guard!("proof.verify.outcome", shown != Some(claimed)) {
        return Err(VerifyError::Outcome);
    }
    Ok(())
}

fn code(code: u32) -> Option<u8> {
    u8::try_from(code).ok()
}

/// Do the fuel numbers follow from the run?
fn fuel(statement: &RunStatement, end: &SegmentPublic) -> Result<(), VerifyError> {
    let before = u128::from(end.fuel_static) + u128::from(end.fuel_dyn);
    let limit = u128::from(statement.fuel_limit);
    let next = match (end.oof_cost, end.dyn_n) {
        (Some(cost), _) => Some(u128::from(cost)),
        (_, Some(units)) => Some(u128::from(units.div_ceil(8))),
        _ => None,
    };
    let used = if next.is_some() { limit } else { before };
    let wrong = before > limit
        || next.is_some_and(|next| limit >= before + next)
        || u128::from(statement.fuel_used) != used;
    if guard!("proof.verify.fuel", wrong) {
        return Err(VerifyError::Fuel);
    }
    Ok(())
}

/// Returns the state that the run must have started from.
fn start(key: &Key, statement: &RunStatement) -> Result<Start, VerifyError> {
    let entry = key.entry(&statement.entry);
    let entry = entry.ok_or_else(|| VerifyError::Entry(statement.entry.clone()))?;
    let (policy, limit) = (statement.policy_digest, statement.fuel_limit);
    let preamble = Preamble::of(&key.program, entry, policy, limit, statement.salt_present);
    let pc = if statement.salt_present { entry.salted_pc } else { entry.pc };
    Ok(Start::new(&key.program, pc, Transcript::new(&preamble).state()))
}

/// Is the digest of the segment the one of the statement, and of the words that are held?
fn transcript(
    statement: &RunStatement,
    end: &SegmentPublic,
    expected: &Expected<'_>,
) -> Result<(), VerifyError> {
    let other = end.tx_out != statement.transcript
        || u64::from(end.tx_events) != statement.transcript_words;
    if guard!("proof.verify.transcript", other) {
        return Err(VerifyError::Transcript);
    }
    let held = expected.transcript.is_some_and(|held| {
        held.digest != statement.transcript || held.events != statement.transcript_words
    });
    if guard!("proof.verify.words", held) {
        return Err(VerifyError::Transcript);
    }
    Ok(())
}

/// Returns the numbers of the tables, of which those that every proof needs must be present.
fn tables(segment: &SegmentProof) -> Result<Vec<usize>, VerifyError> {
    let numbers = segment.numbers().ok_or(VerifyError::Tables)?;
    // Fixed tables and the frame of the run are the first seven.
    let frame = (0..Table::FIXED + 2).all(|number| numbers.contains(&number));
    if guard!("proof.verify.tables", !frame) {
        return Err(VerifyError::Tables);
    }
    Ok(numbers)
}

/// Are the heights within the limits that keep times, fuel and messages from wrapping?
fn heights(key: &Key, segment: &SegmentProof, numbers: &[usize]) -> Result<(), VerifyError> {
    let heights = &segment.log_heights;
    let outside = |height: &u8| !(LOG_HEIGHT_MIN..=LOG_HEIGHT_MAX).contains(height);
    if guard!("proof.verify.height", heights.iter().any(outside)) {
        return Err(VerifyError::Heights("table"));
    }
    if guard!("proof.verify.fixed-height", !heights.starts_with(key.fixed_heights())) {
        return Err(VerifyError::Heights("fixed"));
    }
    heights_fit(key, numbers, heights).map_err(VerifyError::Heights)
}

/// Checks the limits on the sums of heights, each given as its base-2 logarithm.
///
/// The prover asks the same question before it starts.
///
/// # Errors
/// The name of the limit.
pub fn heights_fit(key: &Key, numbers: &[usize], log_heights: &[u8]) -> Result<(), &'static str> {
    let (mut fuel, mut messages) = (0u64, 0u64);
    for (number, log_height) in numbers.iter().zip(log_heights) {
        let height = 1u64 << log_height.min(&32);
        messages += height * key.messages(*number) as u64;
        match key.tables()[*number].kind() {
            Kind::Execution { .. } => fuel += height * COST_MAX,
            Kind::Transcript if guard!("proof.verify.absorb", *log_height > LOG_ABSORB_MAX) => {
                return Err("transcript");
            }
            _ => {}
        }
    }
    if guard!("proof.verify.fuel-sum", fuel >= FUEL_STATIC_END) {
        return Err("fuel");
    }
    // No choice of the tables of today comes near; wider ones may.
    if messages > MESSAGES_MAX {
        return Err("messages");
    }
    Ok(())
}

/// Greatest cost of an instruction.
const COST_MAX: u64 = 255;
/// Greatest time that a step takes.
const DELTA_MAX: u64 = 4;
// The limit on fuel bounds the number of steps, and with it the time.
const _: () = assert!(FUEL_STATIC_END / COST_MAX * DELTA_MAX + 2 < TIME_END);

/// Does the argument hold?
fn argument(
    key: &Key,
    file: &ProofFile,
    numbers: &[usize],
    publics: Vec<F>,
) -> Result<(), VerifyError> {
    let segment = &file.segment;
    let proof = decode(Shape::new(key, numbers, &segment.log_heights), &segment.argument)?;
    let seed = seed(
        &key.digest,
        &file.statement.digest(),
        segment.present,
        &segment.log_heights,
        &key.params,
    );
    let tables: Vec<Table> = numbers.iter().map(|number| key.tables()[*number].clone()).collect();
    let mut all = vec![Vec::new(); numbers.len()];
    if let Some(own) = tables.iter().position(|table| matches!(table, Table::Connector)) {
        all[own] = publics;
    }
    let held =
        verify_batch(&config(&key.params, &seed), &tables, &proof, &all, &key.common(numbers));
    if guard!("proof.verify.argument", held.is_err()) {
        return Err(VerifyError::Argument);
    }
    Ok(())
}
