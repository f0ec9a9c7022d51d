//! `kapsule log verify`

use std::path::{Path, PathBuf};

use kapsule_abi::ErrorCode;
use kapsule_format::klog;
use kapsule_format::limits::{NOTE_BYTES_MAX, RECORD_BYTES_MAX};
use kapsule_format::log::{Chain, LogName, SignedCheckpoint, VerifierKey};
use kapsule_store::{Damage, Store, StoreError};
use serde_json::{Value, json};

use crate::cli::Context;
use crate::error::{Done, Failure};
use crate::files::{self, INPUT_BYTES_MAX};
use crate::storing::decode_name;
use crate::text::{facts, grouped};

const EXAMPLES: &str = "\
Examples:
  kapsule log verify
  kapsule log verify --checkpoint checkpoint.txt --vkey log.vkey
  kapsule log verify --file audit.klog --origin example.org/log";

/// Recomputes the whole log: chain, tree, head, checkpoints
///
/// With a checkpoint that was saved before, a log that was cut or rewritten since is found out;
/// without one, a copy of an older disk cannot be.
/// Exits with the code of the first damage.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Checkpoint that was saved before
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Verifier key of the log, or a file that holds it; without it no signature is checked
    #[arg(long, value_name = "VKEY")]
    vkey: Option<String>,
    /// Entries that `kapsule log export` wrote, instead of the store
    #[arg(long, value_name = "FILE", requires = "origin")]
    file: Option<PathBuf>,
    /// Name of the log whose entries are in the file
    #[arg(long, value_name = "NAME", requires = "file", value_parser = decode_name)]
    origin: Option<LogName>,
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    let vkey = args.vkey.as_deref().map(read_vkey).transpose()?;
    let saved = args.checkpoint.as_deref().map(read_note).transpose()?;
    if let (Some(note), Some(vkey)) = (&saved, &vkey) {
        note.verify(vkey).map_err(|error| refused(StoreError::from(error)))?;
    }
    let Found { size, root, mut damage, pruned } = match (&args.file, &args.origin) {
        (Some(path), Some(origin)) => file(path, origin, saved.as_ref())?,
        _ => store(context, vkey.as_ref(), saved.as_ref())?,
    };
    let mut told = vec![
        ("entries", grouped(size)),
        ("root", root),
        ("checkpoint", words(saved.is_some(), "compared", "none was given")),
        ("signatures", words(vkey.is_some(), "verified", "not looked at, no --vkey was given")),
    ];
    if pruned > 0 {
        told.push(("pruned", format!("{} capsules have no body any more", grouped(pruned))));
    }
    if context.ui.json() {
        context.ui.object(&json!({
            "schema": "kapsule/log-verify/1",
            "pruned": pruned.to_string(),
            "entries": size.to_string(),
            "root": told[1].1,
            "checkpoint": saved.is_some(),
            "signatures": vkey.is_some(),
            "damage": damage.iter().map(to_json).collect::<Vec<Value>>(),
        }))?;
    } else {
        context.ui.text(&facts(&told))?;
    }
    if damage.is_empty() {
        context.ui.say("the log is whole");
        return Ok(0);
    }
    let first = damage.remove(0);
    let failure = damaged(&first);
    Err(damage.iter().fold(failure, |failure, damage| failure.cause(line(damage))))
}

fn words(done: bool, yes: &str, no: &str) -> String {
    if done { yes.to_owned() } else { no.to_owned() }
}

/// What a check found.
struct Found {
    size: u64,
    root: String,
    damage: Vec<Damage>,
    /// Capsules of the store without body, whose entries are whole.
    pruned: u64,
}

fn store(
    context: &Context,
    vkey: Option<&VerifierKey>,
    saved: Option<&SignedCheckpoint>,
) -> Result<Found, Failure> {
    let store = Store::open_damaged(&context.home()?.data())?;
    let progress = context.ui.begin("verifying the log");
    let mut damage = store.check_log(vkey)?;
    progress.end("every entry was looked at");
    if let Some(note) = saved
        && let Err(error) = store.check_checkpoint(&note.checkpoint)
    {
        let code = error.code();
        damage.push(Damage { place: kapsule_store::Place::Log, code, detail: error.to_string() });
    }
    let head = store.head()?;
    let pruned = store.view().pruned_count(None)?;
    Ok(Found { size: head.size, root: head.root.to_string(), damage, pruned })
}

fn file(path: &Path, origin: &LogName, saved: Option<&SignedCheckpoint>) -> Result<Found, Failure> {
    let bytes = files::read(path, "log", INPUT_BYTES_MAX.max(RECORD_BYTES_MAX as u64))?;
    let mut chain = Chain::new(origin.clone());
    let mut reached = saved.is_none_or(|note| note.checkpoint.size == 0);
    for record in klog::Reader::new(&bytes) {
        let pushed = record.and_then(|record| chain.push(record.bytes));
        pushed.map_err(|error| {
            let detail = format!("record {}", chain.size());
            refused(StoreError::from(error.within(&detail)))
        })?;
        if let Some(note) = saved.filter(|note| note.checkpoint.size == chain.size()) {
            chain.check_reaches(&note.checkpoint).map_err(|error| refused(error.into()))?;
            reached = true;
        }
    }
    if let Some(note) = saved.filter(|_| !reached) {
        chain.check_reaches(&note.checkpoint).map_err(|error| refused(error.into()))?;
    }
    let (size, root) = (chain.size(), chain.root().to_string());
    Ok(Found { size, root, damage: Vec::new(), pruned: 0 })
}

fn refused(error: StoreError) -> Failure {
    let hint = "the log was changed, or the checkpoint is of another one; keep both as evidence";
    Failure::new(error.code(), "the log is not what it was", hint).cause(error)
}

pub(crate) fn damaged(damage: &Damage) -> Failure {
    let hint = match damage.code {
        ErrorCode::LogTruncated | ErrorCode::LogFork => {
            "keep the file as evidence, and restore a copy that has the entries"
        }
        _ => "keep the file as evidence, and restore a copy of the store",
    };
    Failure::new(damage.code, damage.detail.clone(), hint)
}

pub(crate) fn line(damage: &Damage) -> String {
    format!("{}: {}", damage.code, damage.detail)
}

pub(crate) fn to_json(damage: &Damage) -> Value {
    json!({
        "place": format!("{:?}", damage.place).to_lowercase(),
        "code": damage.code.to_string(),
        "detail": damage.detail,
    })
}

pub(crate) fn read_vkey(text: &str) -> Result<VerifierKey, Failure> {
    let path = PathBuf::from(text);
    let text = match path.exists() {
        true => {
            let bytes = files::read(&path, "verifier key", NOTE_BYTES_MAX as u64)?;
            String::from_utf8_lossy(&bytes).trim().to_owned()
        }
        false => text.to_owned(),
    };
    text.parse().map_err(|error| {
        let hint = "`kapsule log checkpoint` prints the verifier key of the log";
        Failure::decode("this is not a verifier key", &error, hint)
    })
}

pub(super) fn read_note(path: &Path) -> Result<SignedCheckpoint, Failure> {
    let bytes = files::read(path, "checkpoint", NOTE_BYTES_MAX as u64)?;
    SignedCheckpoint::decode(&bytes).map_err(|error| {
        let hint = "name a file that `kapsule log checkpoint -o` wrote";
        Failure::decode(format!("{} is not a checkpoint", path.display()), &error, hint)
    })
}
