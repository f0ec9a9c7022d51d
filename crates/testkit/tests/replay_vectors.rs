//! Group `replay` of the vectors: transcripts with `call`, each with the module that it is of.
//!
//! A file has an array `run` of tables: `name` is empty for the outermost run and `i` or `i.j` for
//! a nested one, as `kapsule run --transcript` names the files; `module` and `transcript` are hex.
//! The hashes in the header are those of the packages that the modules came from.
//! `expect` lists the runs with their entries and outcomes, or the first difference.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use kapsule_abi::Outcome;
use kapsule_engine::{Backend, ReplayOptions, compile, replay};
use kapsule_format::transcript::{Entry, Transcript, output_commitment};
use kapsule_meter::{MeteredModule, Options, Profile, meter};

/// Number of the hostcall `call`.
const CALL: u64 = 23;
/// Fuel for each page of memory that a callee starts with.
const FUEL_PER_PAGE: u64 = 8_192;
/// Integers of a request of `call`, 8 bytes each; the id of the package follows.
const ARGUMENTS_BYTES: usize = 7 * 8;
/// Result and length of what was written, which precede it in a response.
const RESULT_BYTES: usize = 16;

/// One run of a case.
struct Recorded {
    name: String,
    module: MeteredModule,
    transcript: Transcript,
}

impl Recorded {
    fn read(table: &toml::Table) -> Self {
        let text = |key: &str| table[key].as_str().expect("a text");
        let wasm = hex(text("module"));
        let transcript = Transcript::decode(&hex(text("transcript"))).expect("a transcript");
        let module = meter(&wasm, &Options::new(Profile::Integer1)).expect("a module");
        Self { name: text("name").into(), module, transcript }
    }

    /// Returns where a replay differs, if it does, on both backends.
    fn replay(&self) -> Option<String> {
        let found = Backend::ALL.iter().map(|backend| {
            let compiled = compile(&self.module, *backend).expect("a metered module");
            let replayed = replay(&compiled, &self.transcript, ReplayOptions::default());
            replayed.expect("a replay needs no host").difference
        });
        let found: Vec<_> = found.collect();
        assert!(found.iter().all(|other| *other == found[0]), "{found:?}");
        let difference = found[0].as_ref()?;
        let place = difference.entry.map_or("end".into(), |entry| format!("entry {entry}"));
        Some(format!("{}: {place}, {}", self.name, difference.field.name()))
    }

    /// Returns the answered calls with their places.
    fn calls(&self) -> Vec<(u64, Entry<'_>)> {
        let entries = (0..).zip(&self.transcript.entries);
        entries.filter(|(_, entry)| entry.hostcall == CALL && entry.status == 0).collect()
    }

    /// Returns what a call and the nested run that belongs to it do not agree on.
    fn compare(entry: Entry<'_>, nested: &Self) -> Option<&'static str> {
        let (header, end) = (&nested.transcript.header, &nested.transcript.end);
        let package = entry.request.get(ARGUMENTS_BYTES..).and_then(|rest| rest.get(..32));
        if package != Some(header.capsule_hash.as_bytes().as_slice()) {
            return Some("package");
        }
        let written = &entry.response[RESULT_BYTES..];
        let (told, output) = written.split_at(16);
        let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte));
        let pages = nested.module.memory().map_or(0, |memory| memory.pages_min);
        if number(&told[..8]) != u64::from(pages) * FUEL_PER_PAGE + end.fuel_used {
            return Some("fuel");
        }
        let outcome = Outcome::from_parts(number(&told[8..12]), number(&told[12..]));
        if outcome != Some(end.outcome) {
            return Some("outcome");
        }
        let size = number(&entry.response[..8]) - 16;
        let fits = output.len() as u64 == size;
        let same =
            size == end.output_bytes && (!fits || output_commitment(None, output) == end.output);
        (!same).then_some("output")
    }
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// Replays every run by itself and compares each call with its nested run.
fn judge(runs: &[Recorded]) -> Result<String, String> {
    for run in runs {
        run.replay().map_or(Ok(()), Err)?;
    }
    for run in runs {
        let prefix = if run.name.is_empty() { String::new() } else { format!("{}.", run.name) };
        let inside = |other: &&Recorded| {
            let index = other.name.strip_prefix(&prefix).unwrap_or_default();
            !index.is_empty() && !index.contains('.')
        };
        let nested: Vec<&Recorded> = runs.iter().filter(inside).collect();
        let calls = run.calls();
        if nested.len() != calls.len() {
            let (calls, nested) = (calls.len(), nested.len());
            return Err(format!("{}: {calls} answered calls, {nested} nested runs", run.name));
        }
        for ((place, entry), nested) in calls.into_iter().zip(nested) {
            if let Some(what) = Recorded::compare(entry, nested) {
                return Err(format!("{}: entry {place}, {what}", run.name));
            }
        }
    }
    let mut said = format!("{} runs", runs.len());
    for Recorded { name, transcript, .. } in runs {
        let (count, outcome) = (transcript.entries.len(), transcript.end.outcome);
        write!(said, "; {name}: {count} entries, {outcome}").unwrap();
    }
    Ok(said)
}

fn files(verdict: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/vectors/replay");
    let entries = std::fs::read_dir(directory.join(verdict)).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn transcripts_with_calls_replay_as_their_vectors_say() {
    let mut wrong = Vec::new();
    for verdict in ["accept", "reject"] {
        let paths = files(verdict);
        assert!(paths.len() >= 5, "{verdict}: {} files", paths.len());
        for path in paths {
            let table: toml::Table = std::fs::read_to_string(&path).unwrap().parse().unwrap();
            let runs = table["run"].as_array().unwrap();
            let runs: Vec<Recorded> =
                runs.iter().map(|run| Recorded::read(run.as_table().unwrap())).collect();
            let found = judge(&runs)
                .unwrap_or_else(|difference| format!("E410_REPLAY_DIVERGED in run {difference}"));
            let expect = table["expect"].as_str().unwrap();
            if found != expect || expect.starts_with("E410") != (verdict == "reject") {
                wrong.push(format!("{}: expected {expect:?}, found {found:?}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
