//! `kapsule run`

use std::path::{Path, PathBuf};

use kapsule_engine::{Host, Nested, Run};
use kapsule_format::hash;
use kapsule_format::receipt::ReceiptId;
use kapsule_format::transcript::{Transcript, root};
use serde_json::{Value, json};

use super::batch::{self, BatchArgs};
use crate::cli::Context;
use crate::closure::Library;
use crate::error::{Done, Failure};
use crate::execute::{self, Engine, Ran};
use crate::files;
use crate::receipts::{self, IssueArgs, Issuer};
use crate::session::{Session, SessionArgs};
use crate::surroundings;
use crate::text::{grouped, plain};
use crate::ui::Ui;

const EXAMPLES: &str = "\
Examples:
  kapsule run hello.mod
  kapsule run hello.mod --input name.txt --output greeting.txt --transcript hello.transcript
  echo Ada | kapsule run hello.mod --input - --engine jit --fuel 1000000
  kapsule run clock.mod --grant time --now 1767225600000 --json
  kapsule run caller.mod --dep callee.mod --grant compose --transcript caller.transcript
  kapsule run hello.mod --trust trust.json --policy policy.json
  kapsule run hello.mod --storage state --net localhost:8080
  kapsule run hello.mod --input name.txt --receipt hello.cap --key alice
  kapsule run hello.mod --receipt hello.cap --key alice --receipt-policy nightly.json --no-package
  kapsule run hello.mod --input name.txt --receipt secret.cap --key alice --encrypt-to bob.agepub
  kapsule run hello.mod --batch names --output-dir greetings --jobs 2

Verification comes first: a package with a wrong hash, form or signature never runs.
With a trust file, named or configured, the signer has to be trusted; without one the package runs
with a warning, and `--require policy-enforced` refuses it.

What a package needs is taken from --dep and from the package directory, verified by the same rules,
and may be called with --grant compose. Runs inside a run have transcripts of their own, beside the
one that --transcript names, with .0, .1 and so on at the end.

What a run changes in its storage and in files is kept after it completed with 0, and only then;
each needs its grant, and files also their paths in the policy. A replay needs none of them.

A receipt is a signed claim about the run, with package, input, output and recorded answers in it;
`kapsule verify`, `kapsule replay` and `kapsule receipt diff` read it. What --encrypt-to and --salt
hide, `docs/receipts.md` says.

A batch runs the package once for each file of the directory, in any order and on all cores; the
report is in order of the names. An input that fails does not stop the others, and has no output.
The exit code is 0 if every run completed with 0, else that of the first input that failed.
A batch does not resume: --output-dir and --transcript-dir have to be empty or absent.";

/// Runs a package once
///
/// A run is a function of package, entry, input, policy, grants, fuel, seed and time; the engine
/// and the machine change nothing but how long it takes.
/// The output is written only if the entry returned 0; a run that ended otherwise exits 14, and its
/// transcript is still written.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    session: SessionArgs,
    /// File for the output, `-` for stdout; without it stdout
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Engine; the result is the same on each
    #[arg(long, value_name = "ENGINE", default_value = "auto")]
    engine: Engine,
    /// File for the transcript, from which `kapsule replay` repeats the run
    #[arg(long, value_name = "FILE")]
    transcript: Option<PathBuf>,
    #[command(flatten)]
    batch: BatchArgs,
    #[command(flatten)]
    issue: IssueArgs,
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    check(context, args)?;
    args.session.open(context, args.engine, |mut session| {
        if let Some(directory) = &args.batch.directory {
            surroundings::check_batch(session.loaded, &session.effective.policy)?;
            return batch::run(context, &args.batch, directory, &session);
        }
        let seed = args.session.seed.map(|seed| seed.0);
        let issuer = args.issue.issuer(context, &args.session.trust, seed)?;
        if let Some(issuer) = &issuer {
            session.request.seed = issuer.moment.nonce;
            session.request.states = true;
        }
        let mut host = session.host()?;
        let ran = session.run(&context.ui, &mut host, summary)?;
        finish(
            context,
            args,
            &Subject { session: &session, issuer: issuer.as_ref() },
            &ran,
            &mut host,
        )
    })
}

/// Refuses arguments that cannot be meant, before anything is read or written.
fn check(context: &Context, args: &Args) -> Result<(), Failure> {
    args.batch.check()?;
    for path in [&args.output, &args.transcript, &args.issue.receipt].into_iter().flatten() {
        files::check_writable(path)?;
    }
    let session = &args.session;
    let passphrase = session.trust.identities.passphrase.file();
    files::check_one_stdin(&[Some(&session.package), session.input.as_deref(), passphrase])?;
    let dash = |path: &Option<PathBuf>| path.as_deref().is_some_and(files::is_dash);
    let named = [&args.output, &args.transcript, &args.issue.receipt];
    let to_stdout = [context.ui.json()].into_iter().chain(named.map(dash));
    if to_stdout.filter(|taken| *taken).count() > 1 {
        let hint = "give all but one of them a file";
        let message = "--json, output, transcript and receipt cannot share stdout";
        return Err(Failure::usage(message, hint));
    }
    Ok(())
}

/// What was run.
struct Subject<'a> {
    session: &'a Session<'a>,
    issuer: Option<&'a Issuer>,
}

fn finish(
    context: &Context,
    args: &Args,
    subject: &Subject<'_>,
    ran: &Ran,
    host: &mut dyn Host,
) -> Done {
    let ui = &context.ui;
    let session = subject.session;
    let failure = execute::outcome_failure(session.name, ran);
    print_logs(ui, "module", &ran.run);
    print_nested(ui, session.library, &ran.run);
    if let Some(path) = &args.transcript {
        write_transcripts(ui, path, &ran.run)?;
    }
    let receipt = write_receipt(ui, args, subject, &ran.run)?;
    if failure.is_none() {
        surroundings::apply(host, session.name, &ran.run.effects)?;
        surroundings::lines(&ran.run.effects).iter().for_each(|line| ui.say(line));
        match &args.output {
            Some(path) => files::write(ui, path, &ran.run.output)?,
            None if !ui.json() => print_output(ui, &ran.run.output)?,
            None => {}
        }
    }
    if ui.json() {
        let mut object = to_json(session, ran);
        if failure.is_none() {
            object["effects"] = surroundings::to_json(&ran.run.effects);
        }
        if failure.is_none() && args.output.is_none() {
            object["output_hex"] = hash::encode_hex(&ran.run.output).into();
        }
        object["receipt_id"] = receipt.map(|id| id.to_string()).into();
        ui.object(&object)?;
    }
    failure.map_or(Ok(0), Err)
}

/// Writes the receipt of the run, if one is asked for; returns its id.
fn write_receipt(
    ui: &Ui,
    args: &Args,
    subject: &Subject<'_>,
    run: &Run,
) -> Result<Option<ReceiptId>, Failure> {
    let (Some(issuer), Some(path)) = (subject.issuer, &args.issue.receipt) else {
        return Ok(None);
    };
    let Session { opened, library, request, .. } = subject.session;
    let about = receipts::Subject {
        package: &opened.package,
        library: Some(library),
        input: request.input,
        run,
    };
    let (claim, bytes) = issuer.issue(&about)?;
    files::write(ui, path, &bytes)?;
    let id = claim.id();
    ui.say(&format!("receipt {id} of {} bytes", grouped(bytes.len() as u64)));
    Ok(Some(id))
}

/// Prints the output, unless it is binary and stdout is a terminal.
fn print_output(ui: &Ui, output: &[u8]) -> Result<(), Failure> {
    let text = std::str::from_utf8(output);
    let harmless = text.is_ok_and(|text| {
        text.chars().all(|character| matches!(character, '\n' | '\t') || !character.is_control())
    });
    if ui.stdout_is_terminal() && !harmless {
        ui.warn(&format!(
            "the output of {} bytes is binary and not printed; use --output FILE",
            output.len()
        ));
        return Ok(());
    }
    ui.data(output)
}

/// Writes the transcript, and beside it those of the runs inside the run.
fn write_transcripts(ui: &Ui, path: &Path, run: &Run) -> Result<(), Failure> {
    let transcripts = execute::transcript_files(run)?;
    if files::is_dash(path) {
        let own = transcripts.iter().filter(|(end, _)| end.is_empty());
        return own.into_iter().try_for_each(|(_, bytes)| files::write(ui, path, bytes));
    }
    for (end, bytes) in transcripts {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        files::write(ui, Path::new(&name), &bytes)?;
    }
    Ok(())
}

/// Prints how the runs inside a run ended, and what their modules say.
fn print_nested(ui: &Ui, library: &Library<'_>, run: &Run) {
    for nested in &run.nested {
        let title = plain(&library.title(&nested.package));
        let fuel = grouped(nested.run.usage.fuel);
        ui.say(&format!("called {title}: {}, fuel {fuel}", nested.run.outcome));
        print_logs(ui, &title, &nested.run);
        print_nested(ui, library, &nested.run);
    }
}

fn print_logs(ui: &Ui, who: &str, run: &Run) {
    for line in run.logs.iter() {
        let text = plain(&String::from_utf8_lossy(line.bytes));
        match line.level {
            0 | 1 => ui.warn(&format!("{who} says ({}): {text}", level_name(line.level))),
            level => ui.say(&format!("{who} says ({}): {text}", level_name(level))),
        }
    }
}

const fn level_name(level: u8) -> &'static str {
    match level {
        0 => "error",
        1 => "warn",
        2 => "info",
        3 => "debug",
        _ => "trace",
    }
}

/// Says in one line how a run ended and what it consumed.
pub(crate) fn summary(ran: &Ran) -> String {
    let usage = &ran.run.usage;
    format!(
        "{} on {} in {} ms: fuel {} of {}, memory {} KiB, hostcalls {}, output {} bytes",
        ran.run.outcome,
        ran.backend,
        ran.elapsed.as_millis(),
        grouped(usage.fuel),
        grouped(ran.fuel_granted),
        grouped(usage.memory_bytes_peak / 1_024),
        grouped(usage.hostcalls.values().sum()),
        grouped(ran.run.output.len() as u64),
    )
}

/// Returns what a run reports, as data.
pub(crate) fn run_json(ran: &Ran) -> Value {
    let usage = &ran.run.usage;
    let calls = usage.hostcalls.iter().map(|(number, count)| {
        let call = kapsule_abi::hostcall::HOSTCALLS.iter().find(|call| call.number == *number);
        (call.map_or("unknown", |call| call.name).to_owned(), count.to_string().into())
    });
    let log = |line: kapsule_engine::LogLine<'_>| {
        let text = String::from_utf8_lossy(line.bytes);
        json!({ "level": level_name(line.level), "text": text })
    };
    let transcript = ran.run.transcript.as_ref();
    let storage_root = transcript.and_then(|made| made.end.storage_root);
    let storage_root = storage_root.map(|root| root.to_string());
    json!({
        "backend": ran.backend.name(),
        "entry": ran.entry,
        "outcome": ran.run.outcome.to_string(),
        "outcome_class": ran.run.outcome.class(),
        "outcome_detail": ran.run.outcome.detail(),
        "fuel_used": usage.fuel.to_string(),
        "fuel_granted": ran.fuel_granted.to_string(),
        "memory_bytes_peak": usage.memory_bytes_peak.to_string(),
        "bytes_in": usage.bytes_in.to_string(),
        "bytes_out": usage.bytes_out.to_string(),
        "hostcalls": calls.collect::<serde_json::Map<String, Value>>(),
        "logs": ran.run.logs.iter().map(log).collect::<Vec<_>>(),
        "output_bytes": ran.run.output.len().to_string(),
        "output_sha256": hash::sha256(&ran.run.output).to_string(),
        "storage_bytes_delta": usage.storage_bytes_delta.map(|delta| delta.to_string()),
        "storage_root": storage_root,
        "state_hash": ran.run.state_hash.map(|hash| hash.to_string()),
        "transcript_root": transcript.map(transcript_root),
        "elapsed_ms": ran.elapsed.as_millis().to_string(),
    })
}

fn transcript_root(transcript: &Transcript) -> String {
    root(&transcript.entries, None).to_string()
}

/// Returns the runs inside a run as data.
fn nested_json(library: &Library<'_>, run: &Run) -> Vec<Value> {
    let one = |nested: &Nested| {
        json!({
            "call": nested.call.to_string(),
            "capsule_hash": nested.package.to_string(),
            "title": library.title(&nested.package),
            "outcome": nested.run.outcome.to_string(),
            "fuel_used": nested.run.usage.fuel.to_string(),
            "fuel_granted": nested.fuel_granted.to_string(),
            "output_bytes": nested.run.output.len().to_string(),
            "transcript_root": nested.run.transcript.as_ref().map(transcript_root),
            "nested": nested_json(library, &nested.run),
        })
    };
    run.nested.iter().map(one).collect()
}

fn to_json(session: &Session<'_>, ran: &Ran) -> Value {
    let Session { opened, effective, library, .. } = session;
    let mut object = run_json(ran);
    object["nested"] = nested_json(library, &ran.run).into();
    let facts = &opened.report.facts;
    object["schema"] = "kapsule/cli-run/1".into();
    object["name"] = opened.package.manifest().name.as_str().into();
    object["version"] = opened.package.manifest().version.as_str().into();
    object["capsule_hash"] = opened.package.capsule_hash().to_string().into();
    object["level"] = opened.report.level.name().into();
    object["author"] = facts.author.as_ref().map(ToString::to_string).into();
    object["policy_hash"] = effective.policy.hash().to_string().into();
    object
}
