//! From packages to what proofs are about: programs, keys, and the texts that name both.

use std::time::{Duration, Instant};

use kapsule_abi::{ErrorCode, Limit, Outcome, PAGE_BYTES, Rule, Trap};
use kapsule_format::hash::{self, encode_hex};
use kapsule_format::package::Package;
use kapsule_format::policy::Policy;
use kapsule_format::transcript::Entries;
use kapsule_lower::words::{self, Event, Record};
use kapsule_lower::{LowerError, Lowered, Options, lower};
use kapsule_proof::{Key, Known, ParamSet, ProvenRun, RunStatement, VerifyError};
use kapsule_prover::prove::{self, Job, ProveError, STEPS_MAX};
use serde_json::{Value, json};

use crate::error::Failure;
use crate::interrupt;
use crate::text::grouped;
use crate::ui::Ui;

/// Lowers the module of a package for the granted memory.
pub(crate) fn lowered(name: &str, module: &[u8], memory_bytes: u64) -> Result<Lowered, Failure> {
    let pages = memory_bytes / u64::from(PAGE_BYTES);
    let pages = u32::try_from(pages).unwrap_or(u32::MAX);
    lower(module, &Options::new(pages)).map_err(|error| not_lowered(name, &error))
}

fn not_lowered(name: &str, error: &LowerError) -> Failure {
    let message = format!("no run of {name} can be proven");
    let hint = match error {
        LowerError::Unprovable { .. } => {
            "run it without a proof and keep the transcript, which `kapsule replay` checks"
        }
        LowerError::Module(_) => "build the module again for wasm32v1-none",
        LowerError::Fault(_) => "report this as a bug, with the package",
    };
    match error.code() {
        Some(code) => Failure::new(code, message, hint),
        None => Failure::internal(message, hint),
    }
    .cause(error)
}

/// Derives the key of a program.
pub(crate) fn key(name: &str, lowered: &Lowered, params: ParamSet) -> Result<Key, Failure> {
    Key::derive(&lowered.program, params).ok_or_else(|| {
        let message = format!("no run of {name} can be proven");
        Failure::new(ErrorCode::LimitExceeded, message, "make the module smaller")
            .cause("provable: no (too-large): its tables do not fit the argument")
    })
}

/// A key with the time that deriving it took.
pub(crate) struct TimedKey {
    /// The key.
    pub(crate) key: Key,
    pace: Duration,
}

/// Derives the key of a program, with a line about it for people.
pub(crate) fn timed_key(
    ui: &Ui,
    name: &str,
    lowered: &Lowered,
    params: Params,
) -> Result<TimedKey, Failure> {
    let progress = ui.begin("deriving the key of the program");
    let start = Instant::now();
    let key = key(name, lowered, params.0)?;
    let pace = start.elapsed();
    progress.end(&format!("program of {} instructions", grouped(key.program.code.len() as u64)));
    interrupt::check()?;
    Ok(TimedKey { key, pace })
}

/// Returns the words of recorded hostcalls, or `None` for records that no run makes.
pub(crate) fn events(entries: &Entries, outcome: Outcome) -> Option<Vec<Event>> {
    let records = entries.iter().map(|entry| Record {
        hostcall: entry.hostcall,
        status: entry.status,
        request: entry.request,
        response: entry.response,
    });
    let completed = match outcome {
        Outcome::Completed(code) => Some(code),
        _ => None,
    };
    words::of_run(records, completed)
}

/// As [`events`], for records that were just made or verified.
pub(crate) fn recorded(entries: &Entries, outcome: Outcome) -> Result<Vec<Event>, Failure> {
    events(entries, outcome).ok_or_else(|| {
        Failure::internal("a record of the run has no words", "report this as a bug")
    })
}

/// Returns the words that the host gave.
pub(crate) fn answers(events: &[Event]) -> Vec<u64> {
    let input = events.iter().filter(|event| event.tag == kapsule_lower::isa::TAG_IN);
    input.map(|event| event.word).collect()
}

/// A proof that was made, and what making it took.
pub(crate) struct Proven {
    pub(crate) run: ProvenRun,
    pub(crate) outcome: Outcome,
    pub(crate) steps: usize,
    pub(crate) rows: u64,
    pub(crate) tables: usize,
    pub(crate) trace: Duration,
    pub(crate) prove: Duration,
    pub(crate) verify: Duration,
}

/// Runs the lowered program on the recorded words, proves that, and verifies the proof against
/// everything that is known of the run.
pub(crate) fn prove(
    ui: &Ui,
    name: &str,
    TimedKey { key, pace }: &TimedKey,
    job: &Job<'_>,
    (policy, events): (Vec<u8>, Vec<Event>),
    known: &Known<'_>,
) -> Result<Proven, Failure> {
    let start = Instant::now();
    let progress = ui.begin("filling the tables");
    let witness = prove::witness(key, job).map_err(|error| not_proven(name, &error))?;
    let (rows, tables) = (witness.rows(), witness.tables.len());
    let steps = grouped(witness.steps as u64);
    progress.end(&format!("{steps} steps are {} rows in {tables} tables", grouped(rows)));
    let trace = start.elapsed();
    interrupt::check()?;

    let start = Instant::now();
    let what = format!("proving {} rows", grouped(rows));
    let progress = ui.begin_timed(&what, estimate(*pace, rows));
    let proof = prove::prove(key, &witness).map_err(|error| not_proven(name, &error))?;
    let prove = start.elapsed();
    progress.end(&format!("proven in {:.1} s", prove.as_secs_f64()));
    interrupt::check()?;

    let run = ProvenRun { policy, events, proof };
    let start = Instant::now();
    let shown = run.check(key, &job.expected(), known).map_err(|error| {
        let hint = "the run is another one than the claim or the engine says; repeat it with \
                    `kapsule replay`";
        let message = format!("the proof of {name} shows another run");
        Failure::new(error.code(), message, hint).cause(error)
    })?;
    let (outcome, verify) = (shown.outcome, start.elapsed());
    Ok(Proven { run, outcome, steps: witness.steps, rows, tables, trace, prove, verify })
}

/// Returns about how long proving takes where deriving the key took `pace`.
///
/// Measured: a row of a proof takes about 18 times as long as one of the 2^18 fixed rows.
fn estimate(pace: Duration, rows: u64) -> Duration {
    let micros = pace.as_micros().saturating_mul(18 * u128::from(rows)) >> 18;
    Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}

/// Returns the failure of a run that has no proof.
fn not_proven(name: &str, error: &ProveError) -> Failure {
    let message = format!("this run of {name} cannot be proven");
    match error {
        ProveError::TooLong(_) => {
            let hint = "keep its transcript with `kapsule run --transcript`, which `kapsule \
                        replay` checks, or prove a run on less input";
            Failure::new(ErrorCode::ProofRunTooLong, message, hint)
                .cause(format!("too long for stage 1, at most {} steps", grouped(STEPS_MAX)))
        }
        _ => Failure::internal(message, "report this as a bug, with the package and the input"),
    }
    .cause(error)
}

/// A parameter set that proves something.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Params(pub(crate) ParamSet);

/// Reads the name of a parameter set.
pub(crate) fn decode_params(name: &str) -> Result<Params, String> {
    let sets = || ParamSet::ALL.into_iter().filter(|set| set.proven_bits > 0);
    sets().find(|set| set.name == name).map(Params).ok_or_else(|| {
        let names: Vec<&str> = sets().map(|set| set.name).collect();
        format!("parameter sets are {}", names.join(", "))
    })
}

/// Returns the hash by which a package names its module.
pub(crate) fn module_hash(package: &Package) -> [u8; 32] {
    *package.manifest().exec.hash.as_bytes()
}

/// Returns the digest of an effective policy.
pub(crate) fn policy_digest(policy: &Policy) -> [u8; 32] {
    *hash::sha256(&policy.encode()).as_bytes()
}

/// Returns the failure of a proof that is not accepted.
pub(crate) fn refused(proof: &str, name: &str, error: &VerifyError) -> Failure {
    let code = error.code();
    let hint = match code {
        ErrorCode::ProofProgramMismatch => {
            "name the package that was run; `kapsule inspect` prints its hashes"
        }
        ErrorCode::ProofPolicyMismatch => "ask for a proof of a run under the policy that you mean",
        ErrorCode::ProofEntryMismatch => "leave --entry out to see which entry was run",
        ErrorCode::ProofBindingMismatch => "leave --binding out to see what the proof is bound to",
        ErrorCode::ProofFuelMismatch => "leave --fuel and --fuel-used out to see the fuel",
        ErrorCode::ProofOutcomeMismatch => "leave --outcome out to see how the run ended",
        ErrorCode::ProofTranscriptMismatch => "leave --transcript out to see the digest",
        ErrorCode::ProofInputMismatch => "name the input of this run, or leave --input out",
        ErrorCode::ProofOutputMismatch => "name the output of this run, or leave --output out",
        ErrorCode::DevProofRefused => "ask for a proof under kp100-fast or kp100-small",
        ErrorCode::ProofSystemUnsupported => "use a version of this command that knows the proof",
        _ => "get the proof again, or do not believe who gave it to you",
    };
    Failure::new(code, format!("{proof} does not prove this run of {name}"), hint).cause(error)
}

/// Returns a transcript digest as text: each element as 4 bytes, little-endian.
pub(crate) fn digest_text(digest: &[u32; 8]) -> String {
    let bytes: Vec<u8> = digest.iter().flat_map(|element| element.to_le_bytes()).collect();
    encode_hex(&bytes)
}

/// Reads a transcript digest of the command line.
pub(crate) fn decode_digest(text: &str) -> Result<Elements, String> {
    let bytes: [u8; 32] = hash::decode_hex(text).map_err(|error| error.to_string())?;
    let words = bytes.as_chunks::<4>().0;
    let mut elements = [0; 8];
    for (element, word) in elements.iter_mut().zip(words) {
        *element = u32::from_le_bytes(*word);
    }
    Ok(Elements(elements))
}

/// A transcript digest of the command line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Elements(pub(crate) [u32; 8]);

/// What a proof is bound to, as the command line names it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Binding(pub(crate) [u8; 32]);

/// Reads a binding of the command line.
pub(crate) fn decode_binding(text: &str) -> Result<Binding, String> {
    hash::decode_hex(text).map(Binding).map_err(|error| error.to_string())
}

/// Reads an outcome in the form that reports print; `completed` is that with 0.
pub(crate) fn decode_outcome(text: &str) -> Result<Outcome, String> {
    let code = text.strip_prefix("completed(").and_then(|rest| rest.strip_suffix(')'));
    if let Some(code) = code.or_else(|| (text == "completed").then_some("0")) {
        return code.parse().map(Outcome::Completed).map_err(|error| format!("{error}"));
    }
    let traps = Trap::ALL.into_iter().map(Outcome::Trapped);
    let limits = Limit::ALL.into_iter().map(Outcome::LimitReached);
    let denials = [Rule::Policy, Rule::Argument].into_iter().map(Outcome::Denied);
    traps.chain(limits).chain(denials).find(|outcome| outcome.to_string() == text).ok_or_else(
        || "outcomes are such as completed(0), trapped(unreachable), limit(fuel)".to_owned(),
    )
}

/// Returns a statement as data.
pub(crate) fn statement_json(statement: &RunStatement, outcome: Outcome) -> Value {
    json!({
        "version": statement.version.to_string(),
        "isa": statement.isa.to_string(),
        "module_hash": encode_hex(&statement.module_hash),
        "program_digest": encode_hex(&statement.program_digest),
        "policy_hash": encode_hex(&statement.policy_digest),
        "binding": encode_hex(&statement.binding),
        "entry": statement.entry,
        "salt_present": statement.salt_present,
        "transcript": digest_text(&statement.transcript),
        "transcript_words": statement.transcript_words.to_string(),
        "outcome": outcome.to_string(),
        "outcome_class": outcome.class(),
        "outcome_detail": outcome.detail(),
        "fuel_limit": statement.fuel_limit.to_string(),
        "fuel_used": statement.fuel_used.to_string(),
        "statement_digest": encode_hex(&statement.digest()),
    })
}

/// Returns the facts of a statement for people.
pub(crate) fn statement_facts(
    statement: &RunStatement,
    outcome: Outcome,
) -> Vec<(&'static str, String)> {
    use crate::text::plain;
    let fuel = [statement.fuel_used, statement.fuel_limit].map(grouped);
    vec![
        ("entry", plain(&statement.entry)),
        ("outcome", outcome.to_string()),
        ("fuel", format!("{} of {}", fuel[0], fuel[1])),
        ("policy", encode_hex(&statement.policy_digest)),
        ("binding", encode_hex(&statement.binding)),
        ("transcript", digest_text(&statement.transcript)),
        ("words", grouped(statement.transcript_words)),
    ]
}
