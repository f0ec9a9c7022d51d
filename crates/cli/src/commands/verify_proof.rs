//! `kapsule verify-proof`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use kapsule_abi::{Outcome, guard};
use kapsule_engine::recomputed;
use kapsule_format::hash;
use kapsule_format::policy::Policy;
use kapsule_proof::{
    Expected, Known, ParamSet, ProvenRun, RUN_MAX, RunStatement, Shown, VerifyError,
};
use serde_json::{Value, json};

use crate::cli::Context;
use crate::error::{Done, Failure};
use crate::execute;
use crate::files::{self, INPUT_BYTES_MAX};
use crate::grants::GrantArgs;
use crate::opening::{Asked, Files, Opened, TrustArgs};
use crate::proving::{self, Binding, Elements};
use crate::text::facts;

const EXAMPLES: &str = "\
Examples:
  kapsule verify-proof hello.mod hello.kproof
  kapsule verify-proof hello.mod hello.kproof --input name.txt --outcome completed
  kapsule verify-proof hello.mod hello.kproof --json

Nothing is run: the module is lowered again, and the key of the program is derived from that.
Answers are computed where they follow from what was asked, or were compared with something that was
given here, and witnessed where only the prover's host vouches for them.";

/// What `--policy` means here; a run has another use for it.
const POLICY_HELP: &str = "Policy file (`kapsule/policy/1`) of the host that ran; without it and \
                           --grant any policy is accepted that allows no more than the package \
                           asks for";

/// Checks a proof that a package ran as stated, without running it
///
/// What the proof says is printed; what is given here besides (input, output, fuel, outcome,
/// transcript, entry, policy, binding) has to be what the proof says, and each has an error code of
/// its own.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, mut_arg("policy", |arg| arg.help(POLICY_HELP)))]
pub(crate) struct Args {
    /// Package that was run, `-` for stdin
    package: PathBuf,
    /// Proof of the run, `-` for stdin
    proof: PathBuf,
    /// Input that the run must have read
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Output that the run must have written
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Entry that must have been run
    #[arg(long, value_name = "NAME")]
    entry: Option<String>,
    /// Fuel that must have been granted
    #[arg(long, value_name = "N")]
    fuel: Option<u64>,
    /// Fuel that must have been used
    #[arg(long, value_name = "N")]
    fuel_used: Option<u64>,
    /// How the run must have ended, such as `completed`, `completed(3)` or `limit(fuel)`
    #[arg(long, value_name = "OUTCOME", value_parser = proving::decode_outcome)]
    outcome: Option<Outcome>,
    /// Transcript digest that the run must have, 64 hex digits
    #[arg(long, value_name = "HEX", value_parser = proving::decode_digest)]
    transcript: Option<Elements>,
    /// What the proof must be bound to, 64 hex digits
    #[arg(long, value_name = "HEX", value_parser = proving::decode_binding)]
    binding: Option<Binding>,
    #[command(flatten)]
    grants: GrantArgs,
    #[command(flatten)]
    trust: TrustArgs,
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    files::check_one_stdin(&[
        Some(&args.package),
        Some(&args.proof),
        args.input.as_deref(),
        args.output.as_deref(),
        args.trust.identities.passphrase.file(),
    ])?;
    let ui = &context.ui;
    let files = Files::read(&args.package)?;
    let name = files.name();
    let (proof, run) = read(&args.proof)?;
    let verifier = args.trust.verifier()?;
    let opened = verifier.open(&files, Asked::default())?;
    verifier.remember(ui);
    if let Some(caution) = opened.caution(&name) {
        ui.warn(&caution);
    }
    let refused = |error: &VerifyError| proving::refused(&proof, &name, error);
    // What is about another package is said to be that, whatever else may be wrong with it.
    if run.statement().module_hash != proving::module_hash(&opened.package) {
        return Err(refused(&VerifyError::Module));
    }
    let params = params(run.statement()).map_err(|error| refused(&error))?;
    let policy = policy(args, &opened, &run).map_err(|error| match error {
        Refusal::Proof(error) => refused(&error),
        Refusal::Failure(failure) => *failure,
    })?;
    let listed = opened.package.manifest().exec.has_entry(&run.statement().entry);
    if !listed {
        return Err(refused(&VerifyError::Entry(run.statement().entry.clone())));
    }
    let start = Instant::now();
    let lowered = proving::lowered(&name, &opened.module, policy.limits.memory_bytes)?;
    let key = proving::key(&name, &lowered, params)?;
    let derived = start.elapsed();

    let statement = run.statement();
    let expected = Expected {
        module_hash: proving::module_hash(&opened.package),
        policy_digest: proving::policy_digest(&policy),
        binding: args.binding.map_or(statement.binding, |binding| binding.0),
        entry: args.entry.as_deref().unwrap_or(&statement.entry),
        transcript: None,
        allow_test_params: false,
    };
    let read = |path: &Option<PathBuf>, what| {
        path.as_deref().map(|path| files::read(path, what, INPUT_BYTES_MAX)).transpose()
    };
    let (input, output) = (read(&args.input, "input")?, read(&args.output, "output")?);
    let known = Known {
        input: input.as_deref(),
        output: output.as_deref(),
        fuel_limit: args.fuel,
        fuel_used: args.fuel_used,
        outcome: args.outcome,
        transcript: args.transcript.map(|digest| digest.0),
    };
    let start = Instant::now();
    let shown = run.check(&key, &expected, &known).map_err(|error| refused(&error))?;
    let times = [derived.as_millis(), start.elapsed().as_millis()];
    let sources = Sources::of(&shown, args.input.is_some()).map_err(|error| refused(&error))?;
    let subject = Subject { name: &name, opened: &opened, run: &run, params };
    report(context, &subject, (&shown, &sources), times)
}

/// Reads a proof file and returns its name for messages too.
fn read(path: &Path) -> Result<(String, ProvenRun), Failure> {
    let name = files::name(path);
    let bytes = files::read(path, "proof", RUN_MAX as u64)?;
    let run = ProvenRun::decode(&bytes).map_err(|error| {
        let hint = "make one with `kapsule prove PACKAGE`";
        Failure::new(error.code(), format!("{name} is not a proof of a run"), hint).cause(error)
    })?;
    Ok((name, run))
}

/// Returns the parameter set of a statement, if it proves anything.
fn params(statement: &RunStatement) -> Result<ParamSet, VerifyError> {
    let set = ParamSet::from_number(statement.param_set).filter(|set| set.proven_bits > 0);
    set.ok_or(VerifyError::ParamSet(statement.param_set))
}

/// Why a policy is not accepted.
enum Refusal {
    Proof(VerifyError),
    Failure(Box<Failure>),
}

/// Returns the policy of the run, which must be the one that was asked for or narrower than that
/// of the package.
fn policy(args: &Args, opened: &Opened, run: &ProvenRun) -> Result<Policy, Refusal> {
    let other = || Refusal::Proof(VerifyError::Policy);
    let policy = Policy::decode(&run.policy).map_err(|_| other())?;
    // The digest is compared with that of the statement when the proof is verified.
    let given = args.grants.policy.is_some() || !args.grants.grants.is_empty();
    if given {
        let effective = args.grants.effective(opened.package.policy());
        let effective = effective.map_err(|failure| Refusal::Failure(Box::new(failure)))?;
        return if effective.policy == policy { Ok(policy) } else { Err(other()) };
    }
    match execute::is_wider(&policy, opened.package.policy()) {
        true => Err(other()),
        false => Ok(policy),
    }
}

/// What was verified.
struct Subject<'a> {
    name: &'a str,
    opened: &'a Opened,
    run: &'a ProvenRun,
    params: ParamSet,
}

/// Where the answers of the host come from, as (kind of answer, number of answers).
#[derive(Default)]
struct Sources {
    computed: BTreeMap<&'static str, u64>,
    witnessed: BTreeMap<&'static str, u64>,
}

impl Sources {
    /// Sorts the answers of a run, and computes those again that follow from the question alone.
    ///
    /// # Errors
    /// If one of these is another.
    fn of(shown: &Shown, input: bool) -> Result<Self, VerifyError> {
        let mut sources = Self::default();
        for call in &shown.calls {
            let again = recomputed(call.hostcall, call.status, &call.request, &call.response);
            if guard!("cli.proof.recomputed", again == Some(false)) {
                return Err(VerifyError::Words);
            }
            let computed = match call.hostcall.number {
                1 | 2 => input,
                // Nothing is answered to what the guest says.
                3 | 4 => call.status == 0 && call.result() == 0,
                _ => again == Some(true),
            };
            let kind = if computed { &mut sources.computed } else { &mut sources.witnessed };
            *kind.entry(call.hostcall.name).or_default() += 1;
        }
        Ok(sources)
    }

    fn text(kind: &BTreeMap<&'static str, u64>) -> String {
        let names: Vec<String> =
            kind.iter().map(|(name, count)| format!("{name} ({count})")).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    }

    fn json(kind: &BTreeMap<&'static str, u64>) -> Value {
        let count = |count: &u64| Value::from(count.to_string());
        kind.iter().map(|(name, number)| ((*name).to_owned(), count(number))).collect()
    }
}

fn report(
    context: &Context,
    subject: &Subject<'_>,
    (shown, sources): (&Shown, &Sources),
    [derived, verified]: [u128; 2],
) -> Done {
    let ui = &context.ui;
    let statement = subject.run.statement();
    let output = hash::sha256(&shown.output);
    if ui.json() {
        let mut object = proving::statement_json(statement, shown.outcome);
        object["schema"] = "kapsule/cli-verify-proof/1".into();
        object["capsule_hash"] = subject.opened.package.capsule_hash().to_string().into();
        object["level"] = subject.opened.report.level.name().into();
        object["params"] = subject.params.name.into();
        object["proven_bits"] = subject.params.proven_bits.into();
        object["program"] = "recomputed".into();
        object["private"] = false.into();
        object["computed"] = Sources::json(&sources.computed);
        object["witnessed"] = Sources::json(&sources.witnessed);
        object["output_bytes"] = shown.output.len().to_string().into();
        object["output_sha256"] = output.to_string().into();
        object["elapsed_ms"] =
            json!({ "key": derived.to_string(), "verify": verified.to_string() });
        ui.object(&object)?;
        return Ok(0);
    }
    let mut rows = vec![
        ("proof", format!("holds for {}", subject.name)),
        ("program", "recomputed".to_owned()),
        (
            "parameters",
            format!("{}, {} bits proven", subject.params.name, subject.params.proven_bits),
        ),
    ];
    rows.extend(proving::statement_facts(statement, shown.outcome));
    rows.push(("output", format!("{} bytes, {output}", shown.output.len())));
    rows.push(("computed", Sources::text(&sources.computed)));
    rows.push(("witnessed", Sources::text(&sources.witnessed)));
    rows.push(("private", "no".to_owned()));
    rows.push(("time", format!("key {derived} ms, proof {verified} ms")));
    ui.text(&facts(&rows))?;
    Ok(0)
}
