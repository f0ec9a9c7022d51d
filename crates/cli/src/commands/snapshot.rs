//! `kapsule snapshot`

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use kapsule_abi::ErrorCode;
use kapsule_format::capsule::{Capsule, CapsuleId, ChannelId};
use kapsule_format::hash::sha256;
use kapsule_format::limits::CONTAINER_BYTES_MAX;
use kapsule_format::log::{Checkpoint, Entry, EntryKind, SignedCheckpoint};
use kapsule_format::snapshot::{self, Node, Snapshot, plan};
use kapsule_format::trust::Trust;
use kapsule_store::{CapsuleFile, Store, StoreError};
use serde_json::json;

use crate::batch;
use crate::channels::Channels;
use crate::cli::Context;
use crate::error::{Done, Failure};
use crate::files;
use crate::ingest::File;
use crate::intake::{Intake, IntakeArgs, Needs};
use crate::interrupt;
use crate::opening::Verifier;
use crate::text::grouped;
use crate::ui::Ui;
use crate::{opening, storing};

/// End of the name of a snapshot.
pub(super) const ENDING: &str = "ksnap";

/// Exchanges capsules with other stores, through files
///
/// A snapshot holds capsules of one channel, and names them and their heads in an index that its
/// id covers.
/// What a snapshot brings is judged capsule by capsule, as if each had come alone.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Export(ExportArgs),
    Import(ImportArgs),
    Sync(SyncArgs),
    Heads(HeadsArgs),
}

const EXPORT_EXAMPLES: &str = "\
Examples:
  kapsule snapshot export parts
  kapsule snapshot export parts --json
  kapsule snapshot export parts --checkpoint";

/// Writes the capsules of the store into snapshots
///
/// A channel that one snapshot cannot hold is divided, parents before their children; the same
/// capsules give the same snapshots, named by their ids.
#[derive(Debug, clap::Args)]
#[command(after_help = EXPORT_EXAMPLES)]
pub(crate) struct ExportArgs {
    /// Directory for the snapshots, made if it is absent
    directory: PathBuf,
    /// Channel, as its name here or the start of its id; without it every one of the store
    #[arg(long, value_name = "CHANNEL")]
    channel: Option<String>,
    /// Capsule that the other side has, with all before it, as `kapsule snapshot heads` prints it;
    /// may be repeated
    #[arg(long, value_name = "ID", value_parser = decode_id)]
    have: Vec<CapsuleId>,
    #[command(flatten)]
    witness: WitnessArgs,
}

/// Whether the log goes along.
#[derive(Clone, Copy, Debug, clap::Args)]
struct WitnessArgs {
    /// Attach the last checkpoint of the log, so that whoever has the snapshot can tell later
    /// whether the log was cut or rewritten; it tells the name of the log and its size
    #[arg(long)]
    checkpoint: bool,
}

impl WitnessArgs {
    fn note(self, store: &Store) -> Result<Option<SignedCheckpoint>, Failure> {
        let note = store.last_checkpoint()?;
        match (self.checkpoint, note) {
            (false, _) => Ok(None),
            (true, Some(note)) => Ok(Some(note)),
            (true, None) => {
                let hint = "sign one with `kapsule log checkpoint --key NAME`";
                Err(Failure::usage("the log has no checkpoint", hint))
            }
        }
    }
}

const IMPORT_EXAMPLES: &str = "\
Examples:
  kapsule snapshot import parts
  kapsule snapshot import parts --json";

/// Takes snapshots into the store
#[derive(Debug, clap::Args)]
#[command(after_help = IMPORT_EXAMPLES)]
pub(crate) struct ImportArgs {
    /// Snapshot, or a directory whose `.ksnap` files are taken
    path: PathBuf,
    #[command(flatten)]
    intake: IntakeArgs,
}

const SYNC_EXAMPLES: &str = "\
Examples:
  kapsule snapshot sync parts
  kapsule snapshot sync parts --json";

/// Brings the store and a directory of snapshots to the same capsules
///
/// Takes in what the directory has, and then writes what it lacks; stores that use one directory in
/// turn, such as a disk that is carried around, come to hold the same.
#[derive(Debug, clap::Args)]
#[command(after_help = SYNC_EXAMPLES)]
pub(crate) struct SyncArgs {
    /// Directory of snapshots, made if it is absent
    directory: PathBuf,
    #[command(flatten)]
    witness: WitnessArgs,
    #[command(flatten)]
    intake: IntakeArgs,
}

const HEADS_EXAMPLES: &str = "\
Examples:
  kapsule snapshot heads
  kapsule snapshot heads --json";

/// Prints the capsules that no other one follows, from which somebody else knows what is lacking
#[derive(Debug, clap::Args)]
#[command(after_help = HEADS_EXAMPLES)]
pub(crate) struct HeadsArgs {
    /// Channel, as its name here or the start of its id; without it every one of the store
    #[arg(long, value_name = "CHANNEL")]
    channel: Option<String>,
}

fn decode_id(text: &str) -> Result<CapsuleId, String> {
    text.parse().map_err(|error: kapsule_format::DecodeError| error.to_string())
}

pub(super) fn run(context: &Context, command: &Command) -> Done {
    match command {
        Command::Export(args) => export(context, args),
        Command::Import(args) => import(context, args),
        Command::Sync(args) => sync(context, args),
        Command::Heads(args) => heads(context, args),
    }
}

fn export(context: &Context, args: &ExportArgs) -> Done {
    let store = storing::open(context)?;
    let channels = channels(context, &store, args.channel.as_deref())?;
    if channels.is_empty() {
        let hint = "take some in with `kapsule ingest` or `kapsule snapshot import`";
        return Err(Failure::usage("the store has no capsules", hint));
    }
    let note = args.witness.note(&store)?;
    make(&args.directory)?;
    let mut lacked = 0;
    for channel in channels {
        let nodes = store.view().lacked(&channel, &args.have)?;
        write(context, &store, (&channel, &nodes), note.as_ref(), &args.directory)?;
        lacked += nodes.len();
    }
    if lacked == 0 {
        context.ui.say("the other side has every capsule; no snapshot was written");
    }
    Ok(0)
}

fn import(context: &Context, args: &ImportArgs) -> Done {
    let paths = match args.path.is_dir() {
        true => snapshots(&args.path)?,
        false => vec![args.path.clone()],
    };
    let mut store = storing::open_or_create(context, None)?;
    let (_, refused) = take(context, &mut store, &args.intake.needs(context)?, &paths, true)?;
    refused.map_or(Ok(0), Err)
}

fn sync(context: &Context, args: &SyncArgs) -> Done {
    make(&args.directory)?;
    let paths = snapshots(&args.directory)?;
    let mut store = storing::open_or_create(context, None)?;
    let (there, refused) = take(context, &mut store, &args.intake.needs(context)?, &paths, false)?;
    let note = args.witness.note(&store)?;
    for channel in store.view().channels()? {
        let mut lacked = store.view().nodes(&channel)?;
        lacked.retain(|node| !there.contains(&node.id));
        write(context, &store, (&channel, &lacked), note.as_ref(), &args.directory)?;
    }
    refused.map_or(Ok(0), Err)
}

fn heads(context: &Context, args: &HeadsArgs) -> Done {
    let ui = &context.ui;
    let store = storing::open(context)?;
    for channel in channels(context, &store, args.channel.as_deref())? {
        let heads = store.view().heads(&channel)?;
        if ui.json() {
            ui.object(&json!({
                "schema": "kapsule/snapshot-heads/1",
                "channel": channel.to_string(),
                "heads": heads.iter().map(ToString::to_string).collect::<Vec<_>>(),
            }))?;
        } else {
            heads.iter().try_for_each(|head| ui.text(&format!("{head}\n")))?;
        }
    }
    Ok(0)
}

/// Finds the channels that are meant among those of the store.
pub(super) fn channels(
    context: &Context,
    store: &Store,
    named: Option<&str>,
) -> Result<Vec<ChannelId>, Failure> {
    let mut held = store.view().channels()?;
    let Some(named) = named else { return Ok(held) };
    let known = Channels::of(&context.home()?).list()?;
    let own: Vec<ChannelId> =
        known.iter().filter(|channel| channel.name == named).map(|channel| channel.id).collect();
    let is_meant = |id: &ChannelId| {
        own.contains(id) || (named.len() >= 8 && id.to_string().starts_with(named))
    };
    held.retain(is_meant);
    match held.len() {
        1 => Ok(held),
        found => {
            let message = format!("{named:?} names {found} channels of the store");
            let hint = "name it as `kapsule channel list` shows it, or by eight or more digits of \
                        its id";
            Err(Failure::new(ErrorCode::KeyNotFound, message, hint))
        }
    }
}

pub(super) fn make(directory: &Path) -> Result<(), Failure> {
    fs::create_dir_all(directory).map_err(|error| {
        let hint = "name a directory that can be made or written to";
        Failure::usage(format!("cannot use {}", directory.display()), hint).cause(error)
    })
}

/// Lists the snapshots of a directory.
fn snapshots(directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    let inputs = batch::inputs(directory)?.into_iter().map(|input| input.path);
    Ok(inputs.filter(|path| path.extension().is_some_and(|end| end == ENDING)).collect())
}

/// Writes capsules into as many snapshots as it takes.
fn write(
    context: &Context,
    store: &Store,
    (channel, nodes): (&ChannelId, &[Node]),
    note: Option<&SignedCheckpoint>,
    directory: &Path,
) -> Result<(), Failure> {
    let ui = &context.ui;
    for part in plan(nodes) {
        let view = store.view();
        let capsules: Vec<Vec<u8>> =
            part.iter().map(|id| view.file(id)).collect::<Result<_, _>>()?;
        let bytes =
            snapshot::write(*channel, capsules.iter().map(Vec::as_slice), []).and_then(|bytes| {
                let (id, noted) = {
                    let found = Snapshot::decode(&bytes)?;
                    (found.id(), note.map(|note| found.with_checkpoint(note)).transpose()?)
                };
                Ok((id, noted.unwrap_or(bytes)))
            });
        let (id, bytes) = bytes.map_err(StoreError::from)?;
        let bare = |file: &Vec<u8>| Ok(Capsule::decode(file)?.payload().is_none());
        let bare = capsules.iter().map(bare).collect::<Result<Vec<bool>, StoreError>>()?;
        let bare = bare.into_iter().filter(|bare| *bare).count() as u64;
        let path = directory.join(format!("{id}.{ENDING}"));
        files::write_new(&path, &bytes)?;
        if ui.json() {
            ui.object(&json!({
                "schema": "kapsule/snapshot-part/1",
                "file": path.display().to_string(),
                "snapshot": id.to_string(),
                "channel": channel.to_string(),
                "capsules": part.len().to_string(),
                "without_body": bare.to_string(),
            }))?;
        } else {
            let (count, path) = (grouped(part.len() as u64), path.display());
            let bare = match bare {
                0 => String::new(),
                bare => format!(", {} of them without their bodies", grouped(bare)),
            };
            ui.text(&format!("wrote {count} capsules to {path}{bare}\n"))?;
        }
    }
    Ok(())
}

/// Takes snapshots in; returns the capsules that they hold, and the first refusal.
///
/// A snapshot that cannot be read is told of and left out, since the others do not depend on it.
fn take(
    context: &Context,
    store: &mut Store,
    needs: &Needs<'_>,
    paths: &[PathBuf],
    restore: bool,
) -> Result<(BTreeSet<CapsuleId>, Option<Failure>), Failure> {
    let ui = &context.ui;
    interrupt::watch()?;
    let about = match paths.len() {
        1 => "taking in 1 snapshot".to_owned(),
        count => format!("taking in {count} snapshots"),
    };
    let progress = ui.begin_counted(&about, paths.len() as u64);
    let (mut there, mut refused) = (BTreeSet::new(), None);
    let mut intake = Intake::new(ui, store, needs);
    for path in paths {
        match read(path).and_then(|bytes| bring(ui, &mut intake, path, &bytes, restore)) {
            Ok(ids) => there.extend(ids),
            Err(failure) if failure == interrupt::failure() => return Err(failure),
            Err(failure) => {
                ui.say(&format!("refused {}: {failure}", path.display()));
                refused.get_or_insert(failure);
            }
        }
        progress.advance();
    }
    intake.take_waiting()?;
    progress.end("every snapshot was looked at");
    let other = intake.end()?;
    Ok((there, refused.or(other)))
}

/// Tells what the log of whoever made a snapshot said of itself, and whether the trust file vouches
/// for it; one that a listed key did not sign is refused with its snapshot.
fn tell_checkpoint(
    ui: &Ui,
    verifier: &Verifier<'_>,
    path: &Path,
    note: &SignedCheckpoint,
) -> Result<(), Failure> {
    let Checkpoint { origin, size, root } = &note.checkpoint;
    let listed = |trust: &&Trust| trust.logs.iter().any(|log| log.origin == origin.as_str());
    let checked = match verifier.trust_in_force().map(|trust| trust.filter(listed)) {
        Ok(Some(trust)) => trust.check_checkpoint(note).map(Some).map_err(|error| {
            let message = format!("the checkpoint in {} is not that of its log", path.display());
            Failure::decode(message, &error, "get the snapshot again from whoever made it")
        })?,
        Ok(None) => None,
        Err(error) => {
            ui.say(&format!("no log is trusted: {}: {}", error.code, error.detail));
            None
        }
    };
    if ui.json() {
        return ui.object(&json!({
            "schema": "kapsule/snapshot-checkpoint/1",
            "file": path.display().to_string(),
            "origin": origin.as_str(),
            "size": size.to_string(),
            "root": root.to_string(),
            "verified": checked.is_some(),
            "cosigners": checked,
            "note": note.encode(),
        }));
    }
    let verdict = match checked {
        Some(0) => "signed by the log".to_owned(),
        Some(cosigners) => format!("signed by the log and {cosigners} cosigners"),
        None => "not verified, no trust file lists the log".to_owned(),
    };
    let (size, path) = (grouped(*size), path.display());
    ui.text(&format!("{path}: log {origin}, {size} entries: {verdict}\n"))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    files::read(path, "snapshot", CONTAINER_BYTES_MAX)
}

/// Takes one snapshot in, unless every capsule of it is held; returns its capsules.
fn bring(
    ui: &Ui,
    intake: &mut Intake<'_>,
    path: &Path,
    bytes: &[u8],
    restore: bool,
) -> Result<Vec<CapsuleId>, Failure> {
    let found = Snapshot::decode(bytes).map_err(|error| {
        let message = format!("{} is not a snapshot", path.display());
        Failure::decode(message, &error, "get it again from whoever made it")
    })?;
    if let Some(note) = found.checkpoint() {
        tell_checkpoint(ui, intake.verifier(), path, note)?;
    }
    let mut new = Vec::new();
    for (id, file) in found.capsules() {
        let view = intake.store.view();
        // A body that was pruned comes back only where somebody asks for this very file.
        let lacked = || view.lacks_body(&CapsuleFile::decode(file)?);
        if view.held(id)?.is_none() || (restore && lacked()?) {
            let name = format!("{}/{id}", path.display());
            new.push(File { name, bytes: file.to_vec() });
        }
    }
    if !new.is_empty() {
        let mut entry = Entry::new(EntryKind::SnapshotImported, opening::now_ms())
            .subject("channel", *found.index().channel.digest())
            .subject("snapshot", *found.id().digest())
            .datum("capsules", found.capsules().len().to_string());
        if let Some(SignedCheckpoint { checkpoint, .. }) = found.checkpoint() {
            entry = entry
                .subject("checkpoint", sha256(checkpoint.text().as_bytes()))
                .datum("log", checkpoint.origin.as_str())
                .datum("log_size", checkpoint.size.to_string());
        }
        intake.store.write(|write| write.append(entry).map(drop))?;
        intake.take(&new, &mut || ())?;
    }
    Ok(found.capsules().keys().copied().collect())
}
