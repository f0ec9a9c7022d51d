//! `kapsule prove`

use std::path::{Path, PathBuf};

use kapsule_abi::Outcome;
use kapsule_format::hash::encode_hex;
use kapsule_format::transcript::Entries;
use kapsule_proof::{Known, ParamSet};
use kapsule_prover::prove::Job;
use serde_json::json;

use super::run_summary;
use crate::cli::Context;
use crate::error::{Done, Failure};
use crate::execute::Engine;
use crate::files;
use crate::proving::{self, Binding, Params, Proven};
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
    #[arg(long, value_name = "NAME", default_value = "kp100-fast")]
    #[arg(value_parser = proving::decode_params)]
    params: Params,
    /// What else the proof is bound to, 64 hex digits; zeros by default
    #[arg(long, value_name = "HEX", value_parser = proving::decode_binding)]
    binding: Option<Binding>,
    /// File for the proof; by default the name of the package with `.kproof`
    #[arg(long, short = 'o', value_name = "FILE")]
    proof: Option<PathBuf>,
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

fn prove_run(context: &Context, args: &Args, path: &Path, session: &Session<'_>) -> Done {
    let ui = &context.ui;
    // What cannot be proven is not run either.
    let policy = &session.effective.policy;
    let lowered =
        proving::lowered(session.name, &session.opened.module, policy.limits.memory_bytes)?;
    let mut host = session.host()?;
    let ran = session.run(ui, &mut host, run_summary)?;
    let entries = ran.run.transcript.as_ref().map(|transcript| &transcript.entries);
    let none = Entries::default();
    let events = proving::recorded(entries.unwrap_or(&none), ran.run.outcome)?;
    let key = proving::timed_key(ui, session.name, &lowered, args.params)?;
    let words = proving::answers(&events);
    let job = Job {
        module_hash: proving::module_hash(&session.opened.package),
        policy_digest: proving::policy_digest(policy),
        binding: args.binding.map_or([0; 32], |binding| binding.0),
        entry: &ran.entry,
        fuel_limit: ran.fuel_granted,
        words: &words,
        salt_present: false,
    };
    let known = Known {
        output: Some(&ran.run.output),
        fuel_limit: Some(ran.fuel_granted),
        fuel_used: Some(ran.run.usage.fuel),
        outcome: Some(ran.run.outcome),
        ..Known::default()
    };
    let of_run = (policy.encode(), events);
    let made = proving::prove(ui, session.name, &key, &job, of_run, &known)?;
    let bytes = made.run.encode();
    files::write(ui, path, &bytes)?;
    if let Some(output) = &args.output
        && made.outcome == Outcome::Completed(0)
    {
        files::write(ui, output, &ran.run.output)?;
    }
    report(ui, session, &made, &args.params.0, bytes.len())
}

fn report(
    ui: &Ui,
    session: &Session<'_>,
    made: &Proven,
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
