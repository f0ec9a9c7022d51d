//! From a run to a proof.

use core::fmt;

use kapsule_lower::LProgram;
use kapsule_lower::isa::PC_CODE;
use kapsule_proof::argument::{Shape, encode};
use kapsule_proof::field::F;
use kapsule_proof::machine::{Table, Trace};
use kapsule_proof::publics::{Start, values};
use kapsule_proof::{
    Expected, Key, PROOF_MAX, Preamble, ProofFile, ProvenOutcome, RunStatement, Scheme,
    SegmentProof, SegmentPublic, Transcript, VERSION, config, heights_fit, seed,
};
use p3_matrix::Matrix;

use crate::argument::{Fixed, argue};
use crate::exec::{Bounds, End, ExecError, Execution, Machine, Recorded};
use crate::trace::{Log, assemble};

/// Greatest number of steps that one segment proves.
pub const STEPS_MAX: u64 = 1 << 20;

/// What is to be proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job<'a> {
    /// Hash of the module as packages name it.
    pub module_hash: [u8; 32],
    /// Digest of the effective policy.
    pub policy_digest: [u8; 32],
    /// What else the proof is bound to.
    pub binding: [u8; 32],
    /// Name of the entry.
    pub entry: &'a str,
    /// Granted fuel.
    pub fuel_limit: u64,
    /// The words that the host gives, in order.
    pub words: &'a [u64],
    /// The first four of them are salt.
    pub salt_present: bool,
}

impl<'a> Job<'a> {
    /// Returns what a verifier expects who wants just this run, whatever words it exchanged.
    #[must_use]
    pub const fn expected(&self) -> Expected<'a> {
        Expected {
            module_hash: self.module_hash,
            policy_digest: self.policy_digest,
            binding: self.binding,
            entry: self.entry,
            transcript: None,
            allow_test_params: false,
        }
    }
}

/// Why there is no proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProveError {
    /// The program has no such entry.
    Entry(String),
    /// The run did not end.
    Exec(ExecError),
    /// The run is longer than one segment can prove.
    TooLong(&'static str),
    /// The argument could not be made.
    Argument(String),
}

impl fmt::Display for ProveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entry(name) => write!(f, "the program has no entry `{name}`"),
            Self::Exec(error) => error.fmt(f),
            Self::TooLong(limit) => {
                write!(f, "the run is too long for one segment: limit `{limit}`")
            }
            Self::Argument(error) => f.write_str(error),
        }
    }
}

impl std::error::Error for ProveError {}

/// A run with everything that a proof of it needs.
#[derive(Clone, Debug)]
pub struct Witness {
    /// The claim.
    pub statement: RunStatement,
    /// Its tables, those with no rows left out.
    pub tables: Vec<(Table, Trace)>,
    /// The public values.
    pub publics: Vec<F>,
    /// How the run went.
    pub execution: Execution,
    /// Number of steps.
    pub steps: usize,
}

impl Witness {
    /// Returns the number of rows of all tables together.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|(_, trace)| trace.height() as u64).sum()
    }
}

/// A program whose runs can be put into tables, which takes no key.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The program.
    pub program: &'a LProgram,
    /// Every table that exists, for this program.
    pub tables: &'a [Table; Table::COUNT],
    /// Digest of the program.
    pub program_digest: [u8; 32],
    /// Number of the parameter set that the statement names.
    pub param_set: u16,
}

impl<'a> From<&'a Key> for Subject<'a> {
    fn from(key: &'a Key) -> Self {
        let (program_digest, param_set) = (key.program_digest, key.params.number);
        Self { program: &key.program, tables: key.tables(), program_digest, param_set }
    }
}

/// Runs a job and fills the tables, without any cryptography but the transcript digest.
///
/// # Errors
/// Any [`ProveError`] but `Argument`.
pub fn witness<'a>(subject: impl Into<Subject<'a>>, job: &Job<'_>) -> Result<Witness, ProveError> {
    let subject = subject.into();
    let Subject { program, tables, program_digest, param_set } = subject;
    let entry = program.entries.get(job.entry).copied();
    let entry = entry.ok_or_else(|| ProveError::Entry(job.entry.into()))?;
    let pc = if job.salt_present { entry.salted_pc } else { entry.pc };
    let mut machine = Machine::new(program).map_err(ProveError::Exec)?;
    let mut words = Recorded::new(job.words.iter().copied());
    let mut log = Log::default();
    let bounds = Bounds { fuel: job.fuel_limit, steps: STEPS_MAX };
    let execution = match machine.run(pc, bounds, &mut words, &mut log) {
        Err(ExecError::Steps) => return Err(ProveError::TooLong("steps")),
        other => other.map_err(ProveError::Exec)?,
    };

    let (policy, limit) = (job.policy_digest, job.fuel_limit);
    let transcript = Preamble::of(program, entry, policy, limit, job.salt_present);
    let transcript = Transcript::new(&transcript);
    let start = Start::new(program, pc, transcript.state());
    let transcript = transcript.of(words.events());
    let end = segment(program, &execution, transcript)?;
    let publics = values(&start, &end, &program_digest);
    let tables = assemble(program, tables, &log, (&start, &end, &publics));
    let statement = RunStatement {
        version: VERSION,
        isa: program.isa,
        param_set,
        module_hash: job.module_hash,
        program_digest,
        policy_digest: job.policy_digest,
        binding: job.binding,
        entry: job.entry.into(),
        salt_present: job.salt_present,
        transcript: transcript.digest,
        transcript_words: transcript.events,
        outcome: outcome(execution.end),
        fuel_limit: job.fuel_limit,
        fuel_used: execution.fuel_used,
        segments: vec![end],
    };
    Ok(Witness { statement, tables, publics, execution, steps: log.steps() })
}

/// Returns what the end of the run exposes.
fn segment(
    program: &LProgram,
    execution: &Execution,
    transcript: kapsule_proof::TranscriptEnd,
) -> Result<SegmentPublic, ProveError> {
    let static_fuel = u32::try_from(execution.fuel_static);
    let events = u32::try_from(transcript.events);
    let (Ok(fuel_static), Ok(tx_events)) = (static_fuel, events) else {
        return Err(ProveError::TooLong("fuel"));
    };
    let short = match execution.end {
        End::OutOfFuel => program.code.get((execution.pc - PC_CODE) as usize),
        _ => None,
    };
    let dyn_n = match execution.end {
        End::OutOfFuelCharge(units) => Some(units),
        _ => None,
    };
    Ok(SegmentPublic {
        pc_out: execution.pc,
        fp_out: execution.fp,
        pages_out: execution.pages,
        ts_out: execution.ts,
        fuel_static,
        fuel_dyn: execution.fuel_dyn,
        oof_cost: short.map(|instr| instr.cost),
        dyn_n,
        tx_pad: transcript.padded,
        tx_events,
        tx_out: transcript.digest,
    })
}

const fn outcome(end: End) -> ProvenOutcome {
    match end {
        End::Completed => ProvenOutcome::Completed,
        End::Trap(trap) => ProvenOutcome::Trap(trap as u8),
        End::Denied(code) => ProvenOutcome::Denied(code),
        End::OutOfFuel | End::OutOfFuelCharge(_) => ProvenOutcome::OutOfFuel,
    }
}

/// Proves a witness.
///
/// Takes seconds to minutes and up to some gigabytes of memory.
///
/// # Errors
/// [`ProveError::TooLong`] if the tables are higher than a verifier accepts, and
/// [`ProveError::Argument`] if the argument fails, which is a mistake in this crate.
pub fn prove(key: &Key, witness: &Witness) -> Result<ProofFile, ProveError> {
    let numbers: Vec<usize> = witness.tables.iter().map(|(table, _)| table.number()).collect();
    let heights: Vec<usize> =
        witness.tables.iter().map(|(_, trace)| trace.height().ilog2() as usize).collect();
    let log_heights: Vec<u8> = heights.iter().map(|height| *height as u8).collect();
    heights_fit(key, &numbers, &log_heights).map_err(ProveError::TooLong)?;
    let present = numbers.iter().fold(0, |bits, number| bits | 1u64 << number);
    let statement = witness.statement.digest();
    let seed = seed(&key.digest, &statement, present, &log_heights, &key.params);
    let config: Scheme = config(&key.params, &seed);

    let common = key.common(&numbers);
    let fixed = Fixed { common: &common, committed: key.committed() };
    let proof =
        argue(&config, &witness.tables, &witness.publics, &fixed).map_err(ProveError::Argument)?;
    let argument = encode(Shape::new(key, &numbers, &log_heights), proof);
    let failed = || ProveError::Argument("the argument opens other rows".into());
    let argument = argument.ok_or_else(failed)?;
    if argument.len() > PROOF_MAX {
        return Err(ProveError::TooLong("proof"));
    }
    let segment = SegmentProof { present, log_heights, argument };
    Ok(ProofFile { statement: witness.statement.clone(), segment })
}
