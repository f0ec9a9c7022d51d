//! `kapsule log`

mod show;
mod stats;
pub(super) mod verify;

use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use kapsule_format::Digest;
use kapsule_format::key::{Suite, Uses};
use kapsule_format::klog;
use kapsule_format::log::{Entry, EntryKind, LogProof, VerifierKey};
use kapsule_store::StoreError;
use serde_json::json;

use crate::cli::Context;
use crate::error::{Done, Failure};
use crate::keystore::{self, KeyName};
use crate::passphrase::PassphraseArgs;
use crate::text::{facts, grouped};
use crate::{files, opening, storing};

/// Shows, verifies and proves the audit log of the store
///
/// Every acceptance, refusal, decryption and run is an entry; each links to the one before, and a
/// Merkle tree stands over all of them.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Show(show::Args),
    Verify(verify::Args),
    Key(KeyArgs),
    Checkpoint(CheckpointArgs),
    Prove(ProveArgs),
    Export(ExportArgs),
    Stats(stats::Args),
}

const KEY_EXAMPLES: &str = "\
Examples:
  kapsule log key audit";

/// Makes a key that signs checkpoints and nothing else
#[derive(Debug, clap::Args)]
#[command(after_help = KEY_EXAMPLES)]
pub(crate) struct KeyArgs {
    /// Name of the key
    name: KeyName,
}

const CHECKPOINT_EXAMPLES: &str = "\
Examples:
  kapsule log checkpoint --key log
  kapsule log checkpoint --key log -o checkpoint.txt";

/// Signs the log as it stands, as a C2SP checkpoint
///
/// The checkpoint is kept in the store and printed; whoever holds it can tell later that the log
/// was cut or rewritten.
/// Nothing is signed that is inconsistent with the checkpoint before.
#[derive(Debug, clap::Args)]
#[command(after_help = CHECKPOINT_EXAMPLES)]
pub(crate) struct CheckpointArgs {
    /// Key of the log, made by `kapsule log key`
    #[arg(long, value_name = "NAME")]
    key: KeyName,
    /// File for the checkpoint; without it stdout
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

const PROVE_EXAMPLES: &str = "\
Examples:
  kapsule log prove --index 0 --key log -o opened.tlog-proof
  kapsule log prove --index 0 --key log --json
  kapsule log prove --since checkpoint.txt --key log";

/// Proves that an entry stands in the log, or that the log only grew, as C2SP has it
///
/// A checkpoint of the log as it stands is signed with it.
/// An entry is proved by a `tlog-proof`; growth since a checkpoint by what a `tlog-witness` is
/// sent: the old size, the hashes of the consistency proof, and the new checkpoint.
#[derive(Debug, clap::Args)]
#[command(after_help = PROVE_EXAMPLES)]
pub(crate) struct ProveArgs {
    /// Index of the entry
    #[arg(long, value_name = "N", required_unless_present_any = ["subject", "since"])]
    index: Option<u64>,
    /// Digest of which the entry tells: the last one that does is proved
    #[arg(long, value_name = "HEX", conflicts_with = "index", value_parser = decode_digest)]
    subject: Option<Digest>,
    /// File with an earlier checkpoint of this log
    #[arg(long, value_name = "FILE", conflicts_with_all = ["index", "subject"])]
    since: Option<PathBuf>,
    /// Key of the log, made by `kapsule log key`
    #[arg(long, value_name = "NAME")]
    key: KeyName,
    /// File for the proof; without it stdout
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

const EXPORT_EXAMPLES: &str = "\
Examples:
  kapsule log export -o audit.klog
  kapsule log verify --file audit.klog --origin example.org/log";

/// Writes every entry to a file that `kapsule log verify --file` checks anywhere
#[derive(Debug, clap::Args)]
#[command(after_help = EXPORT_EXAMPLES)]
pub(crate) struct ExportArgs {
    /// File for the entries, `-` for stdout
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

pub(crate) fn decode_digest(text: &str) -> Result<Digest, String> {
    text.parse().map_err(|error: kapsule_format::DecodeError| error.to_string())
}

pub(super) fn run(context: &Context, command: &Command) -> Done {
    match command {
        Command::Show(args) => show::run(context, args),
        Command::Verify(args) => verify::run(context, args),
        Command::Key(args) => key(context, args),
        Command::Checkpoint(args) => checkpoint(context, args),
        Command::Prove(args) => prove(context, args),
        Command::Export(args) => export(context, args),
        Command::Stats(args) => stats::run(context, args),
    }
}

fn key(context: &Context, args: &KeyArgs) -> Done {
    let mut file = keystore::generate(Suite::Ed25519, opening::now_ms())?;
    file.uses = Uses::Log;
    let seen = context.keys()?.create(&args.name, vec![file], None)?;
    let mut told = vec![("key", seen.identity.keys()[0].to_string())];
    // The store may not be there yet, and then the key has no log to be the verifier key of.
    if let Ok(store) = storing::open(context) {
        let origin = store.origin()?;
        if let Ok(vkey) = VerifierKey::of_log(origin, &seen.identity.keys()[0]) {
            told.push(("verifier key", vkey.to_string()));
        }
    }
    if context.ui.json() {
        let vkey = told.get(1).map(|(_, vkey)| vkey);
        context.ui.object(&json!({
            "schema": "kapsule/log-key/1",
            "key": told[0].1,
            "vkey": vkey,
        }))?;
    } else {
        context.ui.text(&facts(&told))?;
    }
    Ok(0)
}

fn checkpoint(context: &Context, args: &CheckpointArgs) -> Done {
    let ui = &context.ui;
    let mut store = storing::open(context)?;
    let secret = storing::log_key(context, &args.key, &args.passphrase)?;
    let note = store.checkpoint(&secret)?;
    let vkey = vkey(&note.checkpoint.origin, &secret)?;
    if let Some(path) = &args.output {
        files::write(ui, path, note.encode().as_bytes())?;
    }
    if ui.json() {
        ui.object(&json!({
            "schema": "kapsule/checkpoint/1",
            "origin": note.checkpoint.origin.as_str(),
            "size": note.checkpoint.size.to_string(),
            "root": note.checkpoint.root.to_string(),
            "note": note.encode(),
            "vkey": vkey.to_string(),
        }))?;
    } else if args.output.is_none() {
        ui.text(&note.encode())?;
    }
    ui.say(&format!("verifier key {vkey}"));
    Ok(0)
}

fn vkey(
    origin: &kapsule_format::log::LogName,
    secret: &kapsule_format::key::SecretKey,
) -> Result<VerifierKey, Failure> {
    VerifierKey::of_log(origin.clone(), secret.public()).map_err(|error| {
        let hint = "make a key for the log with `kapsule log key NAME`";
        Failure::decode("the key cannot be that of a log", &error, hint)
    })
}

fn prove(context: &Context, args: &ProveArgs) -> Done {
    if let Some(since) = &args.since {
        return prove_growth(context, args, since);
    }
    let ui = &context.ui;
    let mut store = storing::open(context)?;
    let index = match (args.index, &args.subject) {
        (Some(index), _) => index,
        (None, Some(subject)) => store.find_subject(subject)?.ok_or_else(|| {
            let message = format!("no entry of the log tells of {subject}");
            Failure::usage(message, "see what the log tells of with `kapsule log show --json`")
        })?,
        (None, None) => return Err(Failure::usage("no entry is named", "name one with --index")),
    };
    let size = store.head()?.size;
    if index >= size {
        let message = format!("there is no entry {index}, the log has {size}");
        return Err(Failure::usage(message, "see the last entries with `kapsule log show`"));
    }
    let secret = storing::log_key(context, &args.key, &args.passphrase)?;
    let note = store.checkpoint(&secret)?;
    let proof: LogProof = store.prove(index, note)?;
    let text = proof.encode();
    if let Some(path) = &args.output {
        files::write(ui, path, text.as_bytes())?;
    }
    if ui.json() {
        let vkey = vkey(&proof.note.checkpoint.origin, &secret)?;
        ui.object(&json!({
            "schema": "kapsule/log-proof/1",
            "index": index.to_string(),
            "proof": text,
            "vkey": vkey.to_string(),
        }))?;
    } else if args.output.is_none() {
        ui.text(&text)?;
    }
    Ok(0)
}

/// Proves that the log begins with what an earlier checkpoint saw.
fn prove_growth(context: &Context, args: &ProveArgs, since: &Path) -> Done {
    let ui = &context.ui;
    let mut store = storing::open(context)?;
    let old = verify::read_note(since)?.checkpoint;
    store.check_checkpoint(&old)?;
    let secret = storing::log_key(context, &args.key, &args.passphrase)?;
    let note = store.checkpoint(&secret)?;
    let hashes: Vec<String> =
        store.consistency(&old)?.iter().map(|hash| BASE64.encode(hash.as_ref())).collect();
    let lines: String = hashes.iter().map(|hash| format!("{hash}\n")).collect();
    let text = format!("old {}\n{lines}\n{}", old.size, note.encode());
    if let Some(path) = &args.output {
        files::write(ui, path, text.as_bytes())?;
    }
    if ui.json() {
        ui.object(&json!({
            "schema": "kapsule/log-growth/1",
            "old": old.size.to_string(),
            "size": note.checkpoint.size.to_string(),
            "proof": text,
            "vkey": vkey(&note.checkpoint.origin, &secret)?.to_string(),
        }))?;
    } else if args.output.is_none() {
        ui.text(&text)?;
    }
    Ok(0)
}

fn export(context: &Context, args: &ExportArgs) -> Done {
    files::check_writable(&args.output)?;
    let store = storing::open(context)?;
    let mut writer = klog::Writer::new();
    let mut count = 0;
    store.entries::<Failure>(0, |index, bytes| {
        let push = kapsule_format::cbor::decode(bytes).and_then(|value| writer.push(&value));
        count = index + 1;
        push.map_err(|error| Failure::from(StoreError::from(error)))
    })?;
    files::write(&context.ui, &args.output, &writer.into_bytes())?;
    context.ui.say(&format!("{} entries of {}", grouped(count), store.origin()?));
    Ok(0)
}

/// An entry with what the lists of `show` and `stats` say of it.
pub(super) fn decode(bytes: &[u8]) -> Result<Entry, Failure> {
    Entry::decode(bytes).map_err(|error| Failure::from(StoreError::from(error)))
}

/// Returns the kinds by name, for arguments.
pub(super) fn decode_kind(name: &str) -> Result<EntryKind, String> {
    EntryKind::from_name(name).map_err(|_| {
        let names: Vec<&str> = EntryKind::ALL.iter().map(|kind| kind.name()).collect();
        format!("types are {}", names.join(", "))
    })
}
