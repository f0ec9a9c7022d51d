//! `kapsule fork`

use std::path::PathBuf;

use kapsule_format::capsule::fork::Fork;
use kapsule_format::limits::CONTAINER_BYTES_MAX;
use kapsule_format::snapshot::Snapshot;
use kapsule_store::StoreError;
use serde_json::{Value, json};

use super::snapshot::{ENDING, make};
use crate::cli::Context;
use crate::error::{Done, Failure};
use crate::files;
use crate::storing;
use crate::text::facts;

/// Shows who said two things in one place, and proves it to others
///
/// An author who signs two capsules of one channel with one number has forked; both are kept.
/// Evidence of it is one file that needs no store, no key and no network to be verified.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    List(ListArgs),
    Export(ExportArgs),
    Verify(VerifyArgs),
}

const LIST_EXAMPLES: &str = "\
Examples:
  kapsule fork list
  kapsule fork list --json";

/// Lists the forks in the store
#[derive(Debug, clap::Args)]
#[command(after_help = LIST_EXAMPLES)]
pub(crate) struct ListArgs {}

const EXPORT_EXAMPLES: &str = "\
Examples:
  kapsule fork export forks
  kapsule fork export forks --bodies --json";

/// Writes the evidence of every fork in the store, one file for each
///
/// A file holds the headers of all sides: what they say stays closed, that they are two does not.
#[derive(Debug, clap::Args)]
#[command(after_help = EXPORT_EXAMPLES)]
pub(crate) struct ExportArgs {
    /// Directory for the files, made if it is absent
    directory: PathBuf,
    /// Put the encrypted payloads in too, for those who hold the keys
    #[arg(long)]
    bodies: bool,
}

const VERIFY_EXAMPLES: &str = "\
Examples:
  kapsule fork verify fork.ksnap
  kapsule fork verify fork.ksnap --json";

/// Verifies evidence of a fork, and says who forked
///
/// Needs nothing but the file. The exit code is 0 only if one author signed every side.
#[derive(Debug, clap::Args)]
#[command(after_help = VERIFY_EXAMPLES)]
pub(crate) struct VerifyArgs {
    /// File that `kapsule fork export` wrote
    file: PathBuf,
}

pub(super) fn run(context: &Context, command: &Command) -> Done {
    match command {
        Command::List(_) => list(context),
        Command::Export(args) => export(context, args),
        Command::Verify(args) => verify(context, args),
    }
}

fn list(context: &Context) -> Done {
    let forks = storing::open(context)?.view().forks()?;
    for fork in &forks {
        tell(context, fork, None)?;
    }
    if forks.is_empty() {
        context.ui.say("nobody forked, as far as this store knows");
    }
    Ok(0)
}

fn export(context: &Context, args: &ExportArgs) -> Done {
    let store = storing::open(context)?;
    let forks = store.view().forks()?;
    make(&args.directory)?;
    for fork in &forks {
        let files = fork.sides.iter().map(|id| store.view().file(id));
        let files = files.collect::<Result<Vec<_>, StoreError>>()?;
        let evidence = Fork::write(fork.channel, files.iter().map(Vec::as_slice), args.bodies);
        let evidence = evidence.map_err(StoreError::from)?;
        let id = Snapshot::decode(&evidence).map_err(StoreError::from)?.id();
        let path = args.directory.join(format!("{id}.{ENDING}"));
        files::write_new(&path, &evidence)?;
        tell(context, fork, Some(path.display().to_string()))?;
    }
    if forks.is_empty() {
        context.ui.say("nobody forked, as far as this store knows; nothing was written");
    }
    Ok(0)
}

fn verify(context: &Context, args: &VerifyArgs) -> Done {
    let bytes = files::read(&args.file, "evidence", CONTAINER_BYTES_MAX)?;
    let fork = Fork::verify(&bytes).map_err(|error| {
        let message = format!("{} is no evidence of a fork", args.file.display());
        Failure::decode(message, &error, "nobody is accused by it; ask whoever sent it")
    })?;
    tell(context, &fork, Some(args.file.display().to_string()))?;
    context.ui.say("one author signed every side");
    Ok(0)
}

fn tell(context: &Context, fork: &Fork, file: Option<String>) -> Result<(), Failure> {
    let sides: Vec<String> = fork.sides.iter().map(ToString::to_string).collect();
    if context.ui.json() {
        return context.ui.object(&json!({
            "schema": "kapsule/fork/1",
            "channel": fork.channel.to_string(),
            "author": fork.author.to_string(),
            "seq": fork.seq.to_string(),
            "sides": sides,
            "file": file.map_or(Value::Null, Value::from),
        }));
    }
    let mut told = vec![
        ("author", fork.author.to_string()),
        ("channel", fork.channel.to_string()),
        ("number", fork.seq.to_string()),
    ];
    told.extend(sides.into_iter().map(|side| ("side", side)));
    told.extend(file.map(|file| ("file", file)));
    context.ui.text(&facts(&told))
}
