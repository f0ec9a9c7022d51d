//! `kapsule replay`

use std::path::PathBuf;

use kapsule_abi::ErrorCode;
use kapsule_engine::ReplayOptions;
use kapsule_format::transcript::Transcript;
use serde_json::json;

use crate::cli::Context;
use crate::closure::PackageArgs;
use crate::error::{Done, Failure};
use crate::execute::{self, Engine, Replayed};
use crate::files::{self, INPUT_BYTES_MAX};
use crate::interrupt;
use crate::opening::{self, Asked, Files, TrustArgs};
use crate::receipts;
use crate::text::grouped;

const EXAMPLES: &str = "\
Examples:
  kapsule replay hello.mod hello.transcript
  kapsule replay hello.mod hello.transcript --engine jit --input name.txt
  kapsule replay hello.mod hello.transcript --json
  kapsule replay hello.cap --engine wasmi

A receipt holds the package, the input and the recorded answers, so nothing else is named with it,
unless its package was left out: that is taken from --dep or the package directory.
The checkpoints and the execution hash are compared too.";

/// Greatest transcript in bytes: twice what a run may record, for the framing.
const TRANSCRIPT_BYTES_MAX: u64 = 2 * kapsule_engine::TRANSCRIPT_BYTES_DEFAULT;

/// Runs a package again from the transcript of a run and compares everything
///
/// No host is asked: what the host answered comes from the transcript, everything else is computed
/// again and compared (each hostcall, fuel, outcome, state hash, output).
/// The first difference is reported as E410.
/// Without `--input` the recorded reads of the input are believed.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Package that was run, or a receipt of the run, `-` for stdin
    package: PathBuf,
    /// Transcript of the run, `-` for stdin; none beside a receipt
    transcript: Option<PathBuf>,
    /// Engine; any may replay the run of another
    #[arg(long, value_name = "ENGINE", default_value = "auto")]
    engine: Engine,
    /// Input of the run, to compare what was read of it
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    #[command(flatten)]
    trust: TrustArgs,
    #[command(flatten)]
    packages: PackageArgs,
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    files::check_one_stdin(&[
        Some(&args.package),
        args.transcript.as_deref(),
        args.input.as_deref(),
        args.trust.identities.passphrase.file(),
    ])?;
    let ui = &context.ui;
    let files = Files::read(&args.package)?;
    let name = files.name();
    if receipts::is_receipt(files.bytes()) {
        return repeat(context, args, &files);
    }
    let Some(transcript) = &args.transcript else {
        let hint = "name the transcript of the run too, or a receipt alone";
        return Err(Failure::usage("a package cannot be replayed without a transcript", hint));
    };
    let transcript = read(transcript)?;
    // A transcript asks for its package by hash, whatever versions there are by now.
    let hash = opening::decode(&files).ok().map(|package| package.capsule_hash());
    let asked = Asked {
        hash: hash.filter(|hash| *hash == transcript.header.capsule_hash),
        ..Asked::default()
    };
    let verifier = args.trust.verifier()?;
    let opened = verifier.open(&files, asked)?;
    verifier.remember(ui);
    let input = match &args.input {
        Some(path) => Some(files::read(path, "input", INPUT_BYTES_MAX)?),
        None => None,
    };
    let loaded = execute::load(&name, &opened.package, &opened.module)?;
    if let Some(caution) = opened.caution(&name) {
        ui.warn(&caution);
    }
    interrupt::watch()?;
    let backend = args.engine.backend(transcript.end.fuel_used);
    let progress = ui.begin(&format!("replaying {name} on {backend}"));
    let input = input.as_deref();
    let known = ReplayOptions { input, ..ReplayOptions::default() };
    let replay = || loaded.replay(&transcript, args.engine, known);
    let replayed = interrupt::during(ui, replay)?;
    progress.end(&format!("replayed in {} ms", replayed.elapsed.as_millis()));
    report(context, &name, &transcript, &replayed)
}

/// Repeats the run of a receipt.
fn repeat(context: &Context, args: &Args, files: &Files) -> Done {
    if args.transcript.is_some() || args.input.is_some() {
        let hint = "name the receipt alone";
        return Err(Failure::usage("a receipt holds its transcript and its input", hint));
    }
    let (ui, name) = (&context.ui, files.name());
    let verifier = args.trust.verifier()?;
    let progress = ui.begin(&format!("repeating the run of {name}"));
    let repeated =
        receipts::repeat(ui, &verifier, files, args.engine, &args.packages.sources(context)?)?;
    progress.end(&format!("repeated in {} ms", repeated.elapsed.as_millis()));
    let end = &repeated.transcript.end;
    if ui.json() {
        ui.object(&json!({
            "schema": "kapsule/cli-replay-receipt/1",
            "identical": repeated.difference.is_none(),
            "backend": repeated.backend.name(),
            "exec_hash": repeated.claimed.to_string(),
            "outcome": end.outcome.to_string(),
            "fuel_used": end.fuel_used.to_string(),
            "entries": repeated.transcript.entries.len().to_string(),
            "runs_inside": repeated.runs_inside.to_string(),
            "state_hash": end.state_hash.to_string(),
            "difference": repeated.difference,
            "elapsed_ms": repeated.elapsed.as_millis().to_string(),
        }))?;
    }
    if let Some(difference) = repeated.difference {
        let message = format!("the run of {name} did not happen as claimed");
        let hint = "do not believe who issued it; the receipt is evidence";
        return Err(Failure::new(ErrorCode::ReplayDiverged, message, hint).cause(difference));
    }
    if !ui.json() {
        ui.text(&format!(
            "identical on {}: outcome {}, fuel {}, {} transcript entries{}, both checkpoints, \
             execution hash {}\n",
            repeated.backend,
            end.outcome,
            grouped(end.fuel_used),
            grouped(repeated.transcript.entries.len() as u64),
            inside(repeated.runs_inside),
            repeated.claimed,
        ))?;
    }
    Ok(0)
}

/// Says how many runs there were inside the run, if there were any.
fn inside(runs: u64) -> String {
    match runs {
        0 => String::new(),
        1 => ", 1 run inside the run".to_owned(),
        runs => format!(", {} runs inside the run", grouped(runs)),
    }
}

/// Reads a transcript file.
fn read(path: &std::path::Path) -> Result<Transcript, Failure> {
    let bytes = files::read(path, "transcript", TRANSCRIPT_BYTES_MAX)?;
    Transcript::decode(&bytes).map_err(|error| {
        let hint = "write one with `kapsule run PACKAGE --transcript FILE`";
        Failure::decode(format!("{} is not a transcript", files::name(path)), &error, hint)
    })
}

fn report(context: &Context, name: &str, transcript: &Transcript, replayed: &Replayed) -> Done {
    let difference = replayed.replay.difference.as_ref();
    if context.ui.json() {
        context.ui.object(&json!({
            "schema": "kapsule/cli-replay/1",
            "identical": difference.is_none(),
            "backend": replayed.backend.name(),
            "outcome": transcript.end.outcome.to_string(),
            "fuel_used": transcript.end.fuel_used.to_string(),
            "entries": transcript.entries.len().to_string(),
            "state_hash": transcript.end.state_hash.to_string(),
            "output_bytes": transcript.end.output_bytes.to_string(),
            "difference": difference.map(|difference| json!({
                "run": difference.run,
                "entry": difference.entry.map(|entry| entry.to_string()),
                "field": difference.field.name(),
                "recorded": difference.recorded,
                "found": difference.found,
            })),
            "elapsed_ms": replayed.elapsed.as_millis().to_string(),
        }))?;
    }
    if let Some(difference) = difference {
        let message = format!("the transcript is not what {name} does");
        let hint = "get the transcript again, or do not believe who gave it to you";
        return Err(Failure::new(difference.code(), message, hint).cause(difference));
    }
    if !context.ui.json() {
        context.ui.text(&format!(
            "identical on {}: outcome {}, fuel {}, {} transcript entries, state hash, output of {} \
             bytes\n",
            replayed.backend,
            transcript.end.outcome,
            grouped(transcript.end.fuel_used),
            grouped(transcript.entries.len() as u64),
            grouped(transcript.end.output_bytes),
        ))?;
    }
    Ok(0)
}
