//! `kapsule run`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kapsule_engine::{Host, MemoryHost, Nested, Run};
use kapsule_format::hash;
use kapsule_format::receipt::ReceiptId;
use kapsule_format::transcript::{Transcript, root};
use serde_json::{Value, json};

use super::batch::{self, BatchArgs};
use crate::cli::Context;
use crate::closure::{self, Found, Library, PackageArgs};
use crate::codecache::CodeCache;
use crate::convert::rows::Trust;
use crate::error::{Done, Failure};
use crate::execute::{self, Engine, Loaded, Ran, Request};
use crate::files::{self, INPUT_BYTES_MAX};
use crate::grants::{Effective, GrantArgs};
use crate::interrupt;
use crate::opening::{self, Asked, Files, Opened, TrustArgs};
use crate::receipts::{self, IssueArgs, Issuer};
use crate::surroundings::{self, SurroundingArgs};
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
`kapsule verify`, `kapsule replay` and `kapsule receipt diff` read it.

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
    /// Package to run, `-` for stdin
    package: PathBuf,
    /// Entry to call; by default the one of the manifest
    #[arg(long, value_name = "NAME")]
    entry: Option<String>,
    /// Input file, `-` for stdin; without it the input is empty
    #[arg(long, value_name = "FILE", conflicts_with = "batch")]
    input: Option<PathBuf>,
    /// File for the output, `-` for stdout; without it stdout
    #[arg(long, value_name = "FILE", conflicts_with = "batch")]
    output: Option<PathBuf>,
    #[command(flatten)]
    grants: GrantArgs,
    /// Fuel to grant; by default all that the policy allows
    #[arg(long, value_name = "N")]
    fuel: Option<u64>,
    /// Engine; the result is the same on each
    #[arg(long, value_name = "ENGINE", default_value = "auto")]
    engine: Engine,
    /// File for the transcript, from which `kapsule replay` repeats the run
    #[arg(long, value_name = "FILE", conflicts_with = "batch")]
    transcript: Option<PathBuf>,
    /// Seed of the hostcall `random`, 64 hex digits; zeros by default
    #[arg(long, value_name = "HEX", value_parser = decode_seed)]
    seed: Option<Seed>,
    /// Time that the hostcall `now` gives, in ms since 1970; by default that of the start
    #[arg(long, value_name = "MS")]
    now: Option<u64>,
    /// Output of the trust package, from which `get_trust_score` is answered for people who are
    /// named by their identity id
    #[arg(long, value_name = "FILE")]
    trust_scores: Option<PathBuf>,
    #[command(flatten)]
    trust: TrustArgs,
    #[command(flatten)]
    packages: PackageArgs,
    #[command(flatten)]
    surroundings: SurroundingArgs,
    #[command(flatten)]
    batch: BatchArgs,
    #[command(flatten)]
    issue: IssueArgs,
}

/// Seed of the hostcall `random`.
#[derive(Clone, Copy, Debug)]
struct Seed([u8; 32]);

fn decode_seed(text: &str) -> Result<Seed, String> {
    hash::decode_hex(text).map(Seed).map_err(|error| error.to_string())
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    check(context, args)?;
    let ui = &context.ui;
    let files = Files::read(&args.package)?;
    let name = files.name();
    let verifier = args.trust.verifier()?;
    let sources = args.packages.sources(context)?;
    // A file that is no package is refused with everything that verification says of it.
    let package = opening::decode(&files)
        .or_else(|failure| verifier.open(&files, Asked::default()).and(Err(failure)))?;
    let closure = sources.closure(&package, &verifier);
    let asked = Asked { closure: Some(closure::finding(&closure)), ..Asked::default() };
    let opened = verifier.open(&files, asked)?;
    verifier.remember(ui);
    let closure = closure.map_err(|error| closure::failure(&name, &package, *error))?;
    let effective = args.grants.effective(opened.package.policy())?;
    let library = Library::new(&closure)?;
    // Code of an encrypted module is not left on the disk in the clear.
    let open = opened.package.manifest().exec.encrypted.is_none();
    let used = open && args.engine != Engine::Wasmi;
    let cache = context.home().ok().filter(|_| used).and_then(|home| CodeCache::open(&home));
    let module = opened.module.as_slice().into();
    let loaded = execute::load_with(&name, &opened.package, module, cache)?.with_callees(&library);
    let input = match &args.input {
        Some(path) => files::read(path, "input", INPUT_BYTES_MAX)?,
        None => Vec::new(),
    };
    if let Some(caution) = opened.caution(&name) {
        ui.warn(&caution);
    }
    closure.members.values().filter_map(Found::caution).for_each(|caution| ui.warn(&caution));
    let scores = match &args.trust_scores {
        Some(path) => Trust::decode(&files::read(path, "trust output", INPUT_BYTES_MAX)?)?.scores(),
        None => BTreeMap::new(),
    };
    let seed = args.seed.map(|seed| seed.0);
    let issuer = args.issue.issuer(context, &args.trust, seed)?;
    let now_ms = now(ui, args, &loaded);
    let memory = MemoryHost { now_ms, scores, ..MemoryHost::default() };
    let request = Request {
        entry: args.entry.as_deref(),
        input: &input,
        policy: &effective.policy,
        fuel: args.fuel,
        seed: issuer.as_ref().map(|issuer| issuer.moment.nonce).or(seed).unwrap_or_default(),
        engine: args.engine,
        states: issuer.is_some(),
    };
    interrupt::watch()?;
    if let Some(directory) = &args.batch.directory {
        surroundings::check_batch(&loaded, &effective.policy)?;
        return batch::run(context, &args.batch, directory, &loaded, &request, &memory);
    }
    let mut host = args.surroundings.host(memory, &loaded, &effective.policy)?;
    let progress = ui.begin(&match args.engine {
        // Which engine it will be is known when the run ends.
        Engine::Auto => format!("running {name}"),
        engine => format!("running {name} on {}", engine.backend(0)),
    });
    let ran = loaded.run(&request, &mut host)?;
    interrupt::check()?;
    progress.end(&summary(&ran));
    let subject = Subject {
        name: &name,
        opened: &opened,
        effective: &effective,
        library: &library,
        input: &input,
        issuer: issuer.as_ref(),
    };
    finish(context, args, &subject, &ran, &mut host)
}

/// Refuses arguments that cannot be meant, before anything is read or written.
fn check(context: &Context, args: &Args) -> Result<(), Failure> {
    args.batch.check()?;
    for path in [&args.output, &args.transcript, &args.issue.receipt].into_iter().flatten() {
        files::check_writable(path)?;
    }
    let passphrase = args.trust.identities.passphrase.file();
    files::check_one_stdin(&[Some(&args.package), args.input.as_deref(), passphrase])?;
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

/// Returns the time that the guest is told, and says so where the caller left it open.
fn now(ui: &Ui, args: &Args, loaded: &Loaded<'_>) -> u64 {
    args.now.unwrap_or_else(|| {
        let now = opening::now_ms();
        if loaded.imports.iter().any(|call| call.name == "now") {
            ui.say(&format!("the run is told the time {now} ms; repeat it with --now {now}"));
        }
        now
    })
}

/// What was run.
struct Subject<'a> {
    name: &'a str,
    opened: &'a Opened,
    effective: &'a Effective,
    library: &'a Library<'a>,
    input: &'a [u8],
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
    let failure = execute::outcome_failure(subject.name, ran);
    print_logs(ui, "module", &ran.run);
    print_nested(ui, subject.library, &ran.run);
    if let Some(path) = &args.transcript {
        write_transcripts(ui, path, &ran.run)?;
    }
    let receipt = write_receipt(ui, args, subject, &ran.run)?;
    if failure.is_none() {
        surroundings::apply(host, subject.name, &ran.run.effects)?;
        surroundings::lines(&ran.run.effects).iter().for_each(|line| ui.say(line));
        match &args.output {
            Some(path) => files::write(ui, path, &ran.run.output)?,
            None if !ui.json() => print_output(ui, &ran.run.output)?,
            None => {}
        }
    }
    if ui.json() {
        let mut object = to_json(subject, ran);
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
    let Issuer { signer, moment } = issuer;
    let package = &subject.opened.package;
    let (claim, bytes) = receipts::issue(signer, moment, package, subject.input, run)?;
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
    for line in &run.logs {
        let text = plain(&String::from_utf8_lossy(&line.bytes));
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
    let log = |line: &kapsule_engine::LogLine| {
        let text = String::from_utf8_lossy(&line.bytes);
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

fn to_json(subject: &Subject<'_>, ran: &Ran) -> Value {
    let Subject { opened, effective, library, .. } = subject;
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
