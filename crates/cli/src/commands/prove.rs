//! `kapsule prove`

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use kapsule_abi::{ErrorCode, Outcome};
use kapsule_format::hash::encode_hex;
use kapsule_lower::words::{self, Event, Record};
use kapsule_proof::{Key, Known, ParamSet, ProvenRun};
use kapsule_prover::prove::{Job, ProveError, STEPS_MAX, prove, witness};
use serde_json::json;

use super::run_summary;
use crate::cli::Context;
use crate::error::{Done, Failure};
use crate::execute::{Engine, Ran};
use crate::files;
use crate::interrupt;
use crate::proving::{self, Binding};
use crate::session::{Session, SessionArgs};
use crate::text::{facts, grouped};
use crate::ui::Ui;

const EXAMPLES: &str = "\
Examples:
  kapsule prove hello.mod --input name.txt -o hello.kproof
  kapsule prove hello.mod --input name.txt --output greeting.txt --params kp100-small
  kapsule prove clock.mod --grant time --now 1767225600000 --json

The run is that of `kapsule run` with the same arguments, except that nothing it changes outside of
itself is kept. A run that ends in a trap, at a limit or denied is proven as well, and the exit code
is 0 if there is a proof.
A run of more than 1,048,576 steps of the lowered program is too long; keep its transcript instead,
with `kapsule run --transcript`.
Proofs are not private: they show every word that entered or left the run, and more of it.";

/// Runs a package once and proves how it ended
///
/// The proof shows that the module of this package, given these fuel and policy, ended as stated
/// and exchanged exactly the recorded words with its host; `kapsule verify-proof` checks it without
/// running anything.
/// What the host answered, such as the time, is recorded and not proven.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    session: SessionArgs,
    /// File for the output of the run, if it completes with 0; without it none is written
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Parameters of the proof: the faster or the smaller one, both with 100 bits that are proven
    #[arg(long, value_name = "NAME", default_value = "kp100-fast", value_parser = decode_params)]
    params: Params,
    /// What else the proof is bound to, 64 hex digits; zeros by default
    #[arg(long, value_name = "HEX", value_parser = proving::decode_binding)]
    binding: Option<Binding>,
    /// File for the proof; by default the name of the package with `.kproof`
    #[arg(long, short = 'o', value_name = "FILE")]
    proof: Option<PathBuf>,
}

/// A parameter set that proves something.
#[derive(Clone, Copy, Debug)]
struct Params(ParamSet);

fn decode_params(name: &str) -> Result<Params, String> {
    let sets = || ParamSet::ALL.into_iter().filter(|set| set.proven_bits > 0);
    sets().find(|set| set.name == name).map(Params).ok_or_else(|| {
        let names: Vec<&str> = sets().map(|set| set.name).collect();
        format!("parameter sets are {}", names.join(", "))
    })
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    let path = target(args)?;
    for path in args.output.iter().chain([&path]) {
        files::check_writable(path)?;
    }
    let session = &args.session;
    let passphrase = session.trust.identities.passphrase.file();
    files::check_one_stdin(&[Some(&session.package), session.input.as_deref(), passphrase])?;
    let dashes = args.output.iter().chain([&path]).filter(|path| files::is_dash(path));
    if dashes.count() + usize::from(context.ui.json()) > 1 {
        let hint = "give all but one of them a file";
        return Err(Failure::usage("--json, output and proof cannot share stdout", hint));
    }
    session.open(context, Engine::Auto, |session| prove_run(context, args, &path, &session))
}

/// Returns where the proof goes.
fn target(args: &Args) -> Result<PathBuf, Failure> {
    if let Some(path) = &args.proof {
        return Ok(path.clone());
    }
    if files::is_dash(&args.session.package) {
        let hint = "name a file for it with -o";
        return Err(Failure::usage("a package from stdin has no name for its proof", hint));
    }
    let name = args.session.package.file_name().unwrap_or_default();
    Ok(Path::new(name).with_extension("kproof"))
}

/// A proof that was made, and what making it took.
struct Made {
    run: ProvenRun,
    outcome: Outcome,
    steps: usize,
    rows: u64,
    tables: usize,
    trace: Duration,
    prove: Duration,
    verify: Duration,
}

fn prove_run(context: &Context, args: &Args, path: &Path, session: &Session<'_>) -> Done {
    let ui = &context.ui;
    // What cannot be proven is not run either.
    let policy = &session.effective.policy;
    let lowered = proving::lowered(session.name, &session.opened.module, policy)?;
    let mut host = session.host()?;
    let ran = session.run(ui, &mut host, run_summary)?;
    let events = events(&ran)?;
    let progress = ui.begin("deriving the key of the program");
    let start = Instant::now();
    let key = proving::key(session.name, &lowered, args.params.0)?;
    let pace = start.elapsed();
    progress.end(&format!("program of {} instructions", grouped(key.program.code.len() as u64)));
    interrupt::check()?;
    let binding = args.binding.map_or([0; 32], |binding| binding.0);
    let made = make(ui, session, &ran, (&key, pace), (events, binding))?;
    let bytes = made.run.encode();
    files::write(ui, path, &bytes)?;
    if let Some(output) = &args.output
        && made.outcome == Outcome::Completed(0)
    {
        files::write(ui, output, &ran.run.output)?;
    }
    report(ui, session, &made, &args.params.0, bytes.len())
}

/// Returns the words of a run.
fn events(ran: &Ran) -> Result<Vec<Event>, Failure> {
    let transcript = ran.run.transcript.as_ref();
    let records = transcript.into_iter().flat_map(|transcript| transcript.entries.iter());
    let records = records.map(|entry| Record {
        hostcall: entry.hostcall,
        status: entry.status,
        request: entry.request,
        response: entry.response,
    });
    let completed = match ran.run.outcome {
        Outcome::Completed(code) => Some(code),
        _ => None,
    };
    words::of_run(records, completed).ok_or_else(|| {
        Failure::internal("a record of the run has no words", "report this as a bug")
    })
}

/// Runs the lowered program on the recorded words, proves that, and verifies the proof.
fn make(
    ui: &Ui,
    session: &Session<'_>,
    ran: &Ran,
    (key, pace): (&Key, Duration),
    (events, binding): (Vec<Event>, [u8; 32]),
) -> Result<Made, Failure> {
    let policy = &session.effective.policy;
    let input = events.iter().filter(|event| event.tag == kapsule_lower::isa::TAG_IN);
    let input: Vec<u64> = input.map(|event| event.word).collect();
    let job = Job {
        module_hash: proving::module_hash(&session.opened.package),
        policy_digest: proving::policy_digest(policy),
        binding,
        entry: &ran.entry,
        fuel_limit: ran.fuel_granted,
        words: &input,
        salt_present: false,
    };
    let start = Instant::now();
    let progress = ui.begin("filling the tables");
    let witness = witness(key, &job).map_err(|error| not_proven(session.name, &error))?;
    let (rows, tables) = (witness.rows(), witness.tables.len());
    let steps = grouped(witness.steps as u64);
    progress.end(&format!("{steps} steps are {} rows in {tables} tables", grouped(rows)));
    let trace = start.elapsed();
    interrupt::check()?;

    let start = Instant::now();
    let what = format!("proving {} rows", grouped(rows));
    let progress = ui.begin_timed(&what, estimate(pace, rows));
    let proof = prove(key, &witness).map_err(|error| not_proven(session.name, &error))?;
    let prove = start.elapsed();
    progress.end(&format!("proven in {:.1} s", prove.as_secs_f64()));
    interrupt::check()?;

    let run = ProvenRun { policy: policy.encode(), events, proof };
    let start = Instant::now();
    let outcome = verify(&run, key, &job, ran).map_err(|error| {
        let hint = "report this as a bug, with the package and the input";
        Failure::internal(format!("the proof of {} does not verify", session.name), hint)
            .cause(error)
    })?;
    let verify = start.elapsed();
    Ok(Made { run, outcome, steps: witness.steps, rows, tables, trace, prove, verify })
}

/// Returns about how long proving takes where deriving the key took `pace`.
///
/// Measured: a row of a proof takes about 18 times as long as one of the 2^18 fixed rows.
fn estimate(pace: Duration, rows: u64) -> Duration {
    let micros = pace.as_micros().saturating_mul(18 * u128::from(rows)) >> 18;
    Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}

/// Verifies a proof that was just made, against everything that the run reported.
fn verify(
    run: &ProvenRun,
    key: &Key,
    job: &Job<'_>,
    ran: &Ran,
) -> Result<Outcome, kapsule_proof::VerifyError> {
    let known = Known {
        output: Some(&ran.run.output),
        fuel_limit: Some(ran.fuel_granted),
        fuel_used: Some(ran.run.usage.fuel),
        outcome: Some(ran.run.outcome),
        ..Known::default()
    };
    run.check(key, &job.expected(), &known).map(|shown| shown.outcome)
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

fn report(
    ui: &Ui,
    session: &Session<'_>,
    made: &Made,
    params: &ParamSet,
    file_bytes: usize,
) -> Done {
    let statement = made.run.statement();
    let argument = made.run.proof.segment.argument.len();
    if ui.json() {
        let mut object = proving::statement_json(statement, made.outcome);
        object["schema"] = "kapsule/cli-prove/1".into();
        object["capsule_hash"] = session.opened.package.capsule_hash().to_string().into();
        object["params"] = params.name.into();
        object["proven_bits"] = params.proven_bits.into();
        object["steps"] = made.steps.to_string().into();
        object["rows"] = made.rows.to_string().into();
        object["tables"] = made.tables.into();
        object["file_bytes"] = file_bytes.to_string().into();
        object["argument_bytes"] = argument.to_string().into();
        object["elapsed_ms"] = json!({
            "tables": made.trace.as_millis().to_string(),
            "prove": made.prove.as_millis().to_string(),
            "verify": made.verify.as_millis().to_string(),
        });
        ui.object(&object)?;
        return Ok(0);
    }
    let mut rows = vec![
        ("parameters", format!("{}, {} bits proven", params.name, params.proven_bits)),
        ("program", encode_hex(&statement.program_digest)),
    ];
    rows.extend(proving::statement_facts(statement, made.outcome));
    rows.push(("proof", format!("{} bytes", grouped(file_bytes as u64))));
    rows.push(("verified", format!("in {} ms", made.verify.as_millis())));
    for line in facts(&rows).lines() {
        ui.say(line);
    }
    Ok(0)
}
