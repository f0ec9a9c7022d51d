//! `soak differential|lower|trace|fuzz|transfer|receipts`: the long runs of the comparisons that CI
//! makes in small.
//!
//! Examples:
//! ```text
//! cargo run --release -p kapsule-testkit --bin soak -- differential --modules 100000 --seed 1
//! cargo run --release -p kapsule-testkit --bin soak -- fuzz --modules 1000000 --seed 7
//! ```

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use kapsule_engine::Backend;
use kapsule_testkit::differential::{Disagreement, Report, Tally};
use kapsule_testkit::fuzz::TARGETS;
use kapsule_testkit::ledger::BATCH as TRANSACTIONS;
use kapsule_testkit::mutate::mutate;
use kapsule_testkit::receipts::{
    Composed, Enforced, Judged, STORIES, mutations, refused, run_all, sample,
};
use kapsule_testkit::{Random, Sample, differential, ledger, lowered, traced};

const USAGE: &str =
    "usage: soak differential|lower|trace|fuzz|transfer|receipts|module [--modules N] \
    [--seed S] [--report FILE.md] [--commit HASH]
  --modules N   generated modules, mutations of each fuzz target or receipt, or transactions
                (default 100000)
  --seed S      first seed (default 1); a whole run follows from it
  --report FILE write a summary in Markdown; for `module`, the module of the seed
  --commit HASH commit that the summary names";

/// Inputs in one batch of mutations; progress is shown after each.
const BATCH: u64 = 10_000;

/// What to do.
struct Settings {
    modules: u64,
    seed: u64,
    report: Option<PathBuf>,
    commit: String,
}

impl Settings {
    fn read(args: &[String]) -> Result<Self, String> {
        let mut settings =
            Self { modules: 100_000, seed: 1, report: None, commit: "not given".into() };
        for pair in args.chunks(2) {
            let [name, value] = pair else { return Err(format!("{} needs a value", pair[0])) };
            let number = || value.parse().map_err(|_| format!("{name}: {value:?} is no number"));
            match name.as_str() {
                "--modules" => settings.modules = number()?,
                "--seed" => settings.seed = number()?,
                "--report" => settings.report = Some(value.into()),
                "--commit" => settings.commit = value.clone(),
                _ => return Err(format!("unknown option {name}")),
            }
        }
        Ok(settings)
    }
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let run = match args.first().map(String::as_str) {
        Some("differential") => soak_differential,
        Some("lower") => soak_lower,
        Some("trace") => soak_trace,
        Some("fuzz") => soak_fuzz,
        Some("transfer") => soak_transfer,
        Some("receipts") => soak_receipts,
        Some("module") => write_module,
        Some("--help") => {
            say(USAGE);
            return ExitCode::SUCCESS;
        }
        _ => {
            say(USAGE);
            return ExitCode::from(2);
        }
    };
    match Settings::read(&args[1..]).and_then(|settings| run(&settings)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("error: {error}\n{USAGE}"));
            ExitCode::from(2)
        }
    }
}

/// Compares the backends; returns whether they agree on every module.
fn soak_differential(settings: &Settings) -> Result<bool, String> {
    soak_modules(settings, differential::check, "Backends against each other")
}

/// Compares lowered programs with an engine; returns whether they agree on every module.
fn soak_lower(settings: &Settings) -> Result<bool, String> {
    soak_modules(settings, lowered::check, "Lowered programs against an engine")
}

/// Puts runs into the tables of the circuit; returns whether all of them hold.
fn soak_trace(settings: &Settings) -> Result<bool, String> {
    soak_modules(settings, traced::check, "Generated modules in the tables of the circuit")
}

fn soak_modules(
    settings: &Settings,
    check: fn(u64) -> Result<Report, Disagreement>,
    title: &str,
) -> Result<bool, String> {
    let seeds = settings.seed..settings.seed.saturating_add(settings.modules);
    let began = Instant::now();
    let write = |tally: &Tally| {
        let mut rows = tally.rows();
        rows.push(("elapsed seconds".into(), began.elapsed().as_secs()));
        let mut notes: Vec<String> = tally.disagreements.iter().map(ToString::to_string).collect();
        if tally.seeds < settings.modules {
            notes.push(format!("{} of {} modules so far", tally.seeds, settings.modules));
        }
        report(settings, title, &rows, &notes)
    };
    // A run that is stopped leaves what it came to.
    let progress = |tally: &Tally| {
        let (count, elapsed) = (tally.seeds, began.elapsed().as_secs());
        say(&format!("{count} of {} modules, {elapsed} s", settings.modules));
        write(tally).unwrap_or_else(|error| say(&error));
    };
    let tally = differential::run_all_with(check, seeds, &progress);
    say(&format!("{tally}"));
    write(&tally)?;
    Ok(tally.disagreements.is_empty())
}

/// Runs every fuzz body over its corpus and mutations; a body that breaks ends the program.
fn soak_fuzz(settings: &Settings) -> Result<bool, String> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let began = Instant::now();
    let mut rows = Vec::new();
    for (target, body) in TARGETS {
        let inputs = read_all(&corpus.join(target))?;
        let mut random = Random::new(settings.seed);
        let mut accepted = 0;
        for number in 0..settings.modules {
            let input = &inputs[random.index(inputs.len())];
            let other = &inputs[random.index(inputs.len())];
            let bytes = mutate(input, other, &mut random);
            let ran = std::panic::catch_unwind(|| body(&bytes));
            match ran {
                Ok(was_accepted) => accepted += u64::from(was_accepted),
                Err(_) => return Err(format!("{target} breaks on {}", hex(&bytes))),
            }
            if (number + 1).is_multiple_of(BATCH) {
                say(&format!("{target}: {} of {}", number + 1, settings.modules));
            }
        }
        rows.push((format!("{target}: accepted mutations"), accepted));
    }
    rows.push(("mutations of each target".into(), settings.modules));
    rows.push(("elapsed seconds".into(), began.elapsed().as_secs()));
    report(settings, "Fuzz bodies over mutations of the corpus", &rows, &[])?;
    Ok(true)
}

/// Sends transactions through the module `transfer` and compares each batch with a model.
fn soak_transfer(settings: &Settings) -> Result<bool, String> {
    let began = Instant::now();
    let progress = |count: u64| {
        if count.is_multiple_of(10 * TRANSACTIONS) {
            say(&format!("{count} of {} transactions", settings.modules));
        }
    };
    let counts = ledger::soak(settings.seed, settings.modules, &progress)?;
    let words = ledger::VERDICTS.iter().map(|verdict| format!("transactions {verdict}"));
    let mut rows: Vec<(String, u64)> = words.zip(counts.verdicts).collect();
    rows.push(("batches on the JIT".into(), counts.batches));
    rows.push(("batches on the interpreter as well, and replayed".into(), counts.batches_on_both));
    rows.push(("fuel".into(), counts.fuel));
    rows.push(("disagreements with the model".into(), 0));
    rows.push(("elapsed seconds".into(), began.elapsed().as_secs()));
    for (what, count) in &rows {
        say(&format!("{what}: {count}"));
    }
    report(settings, "The module transfer against a model", &rows, &[])?;
    Ok(true)
}

/// Writes the module of a seed, to look at what was reported.
fn write_module(settings: &Settings) -> Result<bool, String> {
    let sample = Sample::generate(settings.seed).ok_or("the seed makes no module")?;
    let path = settings.report.as_ref().ok_or("module needs --report FILE.wasm")?;
    std::fs::write(path, sample.wasm).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(true)
}

fn read_all(directory: &Path) -> Result<Vec<Vec<u8>>, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", directory.display());
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.sort();
    let files: Result<Vec<Vec<u8>>, _> = paths.iter().map(std::fs::read).collect();
    files.map_err(failed)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Forges every sample receipt; returns whether every forgery is refused.
fn soak_receipts(settings: &Settings) -> Result<bool, String> {
    let began = Instant::now();
    let samples: Vec<Vec<u8>> =
        STORIES.iter().map(|story| sample(story, Backend::Wasmi).bytes).collect();
    let (enforced, other) = (Enforced::new(Backend::Wasmi, 1), Enforced::new(Backend::Wasmi, 2));
    let refuses = |bytes: &[u8]| enforced.refuses(bytes);
    let mut judged: Vec<(&str, Judged<'_>, &[u8])> = Vec::new();
    for (index, (story, original)) in STORIES.iter().zip(&samples).enumerate() {
        judged.push((story.name, (original, &refused), &samples[(index + 1) % samples.len()]));
    }
    judged.push(("under-policy", (&enforced.bytes, &refuses), &other.bytes));
    let composed = [false, true].map(|salted| Composed::new(Backend::Wasmi, salted, None).bytes);
    for (name, index) in [("composed", 0), ("composed-salted", 1)] {
        judged.push((name, (&composed[index], &refused), &composed[1 - index]));
    }
    let (mut rows, mut notes) = (Vec::new(), Vec::new());
    for (name, judged, other) in judged {
        for (kind, outcome) in [
            ("systematic", mutations(judged, other, 1)),
            ("random", run_all(judged, other, settings.modules, settings.seed)),
        ] {
            say(&format!("{name}: {} {kind} mutations", outcome.tried));
            rows.push((format!("{name}: {kind} mutations"), outcome.tried));
            rows.push((format!("{name}: {kind} mutations without effect"), outcome.same));
            let accepted = outcome.accepted.len() as u64;
            rows.push((format!("{name}: {kind} mutations accepted"), accepted));
            notes.extend(outcome.accepted.into_iter().map(|(what, _)| format!("{name}: {what}")));
        }
    }
    rows.push(("elapsed seconds".into(), began.elapsed().as_secs()));
    notes.iter().for_each(|note| say(&format!("accepted: {note}")));
    report(settings, "Forged receipts", &rows, &notes)?;
    Ok(notes.is_empty())
}

fn report(
    settings: &Settings,
    title: &str,
    rows: &[(String, u64)],
    notes: &[String],
) -> Result<(), String> {
    let Some(path) = &settings.report else { return Ok(()) };
    let mut text = format!(
        "# {title}\n\nCommit: {}.\nFirst seed: {}.\nModules, mutations or transactions: {}.\n\n\
         | What | Count |\n|---|---:|\n",
        settings.commit, settings.seed, settings.modules
    );
    for (name, value) in rows {
        let _ = writeln!(text, "| {name} | {value} |");
    }
    for note in notes {
        let _ = write!(text, "\n- {note}\n");
    }
    std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

/// Prints a line for people.
fn say(text: &str) {
    // Progress is no result: a closed pipe must not end a run of hours.
    let _ = writeln!(std::io::stderr(), "{text}");
}
