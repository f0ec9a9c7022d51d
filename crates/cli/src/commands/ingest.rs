//! `kapsule ingest`

mod watch;

use std::fs;
use std::path::{Path, PathBuf};

use kapsule_format::limits::CAPSULE_BYTES_MAX;
use kapsule_format::log::LogName;

use crate::batch;
use crate::cli::Context;
use crate::error::{Done, Failure};
use crate::files;
use crate::ingest::{self, File};
use crate::intake::{Intake, IntakeArgs};
use crate::interrupt;
use crate::storing::{self, decode_name};

/// Files that are looked at together, as many as are in memory at one time.
///
/// Chosen: some ten megabytes at the size of most capsules, and many times a group.
const PORTION: usize = 16_384;

/// Bytes of files that are looked at together; a portion ends with the file that reaches it.
const PORTION_BYTES: u64 = 1 << 28;

const EXAMPLES: &str = "\
Examples:
  kapsule ingest post.kapsule
  kapsule ingest capsules --json
  kapsule ingest capsules --grant capsule.metadata --trust trust.json

Every file is accepted, held already, refused, or waits for a keyring or an ancestor; what is not
accepted is kept in quarantine by its hash, and what waits is looked at again by the next call.
Each decision is an entry of the audit log, written with it in one transaction, so a call that was
interrupted is simply repeated.

A capsule is processed by the package that `kapsule dispatch set` chose for each one of its kind,
else by the one that it names itself; the package is verified as for `kapsule run`.
What only keys show, a payload that does not open or logic that does not run, is reported beside and
never decides whether a capsule is accepted.

With --watch the call goes on until Ctrl-C, which is how it ends well.

The exit code is 0 if nothing was refused, else that of the first refusal.";

/// Takes capsules into the store: verifies, opens, processes and keeps them
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Capsule file, or a directory whose `.kapsule` files are taken
    path: PathBuf,
    /// Go on taking what comes into the directory, until Ctrl-C; a file that is being written is
    /// taken when it is whole
    #[arg(long)]
    watch: bool,
    /// Name of the log, for the first call alone; by default a random one
    #[arg(long, value_name = "NAME", value_parser = decode_name)]
    origin: Option<LogName>,
    #[command(flatten)]
    intake: IntakeArgs,
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    match args.watch {
        true => watch::run(context, args),
        false => take(context, args, args.origin.as_ref(), paths(args)?),
    }
}

/// Takes these files in; a new store's log has this name.
fn take(context: &Context, args: &Args, origin: Option<&LogName>, paths: Vec<PathBuf>) -> Done {
    let ui = &context.ui;
    let needs = args.intake.needs(context)?;
    let mut store = storing::open_or_create(context, origin)?;
    interrupt::watch()?;
    let about = match paths.len() {
        1 => "taking in 1 file".to_owned(),
        count => format!("taking in {count} files"),
    };
    let progress = ui.begin_counted(&about, paths.len() as u64);
    let mut intake = Intake::new(ui, &mut store, &needs);
    let mut rest = paths.as_slice();
    while !rest.is_empty() {
        let (portion, after) = rest.split_at(portion(rest));
        intake.take(&read(portion)?, &mut || progress.advance())?;
        rest = after;
    }
    intake.take_waiting()?;
    progress.end("every file was looked at");
    intake.end()?.map_or(Ok(0), Err)
}

/// Lists the files.
fn paths(args: &Args) -> Result<Vec<PathBuf>, Failure> {
    if !args.path.is_dir() {
        return Ok(vec![args.path.clone()]);
    }
    let inputs = batch::inputs(&args.path)?.into_iter().map(|input| input.path);
    let own = |path: &PathBuf| path.extension().is_some_and(|end| end == "kapsule");
    Ok(inputs.filter(own).collect())
}

/// Returns how many of the first files are one portion; a file that is not there counts nothing.
fn portion(paths: &[PathBuf]) -> usize {
    let mut bytes = 0;
    let within = |path: &&PathBuf| {
        let fits = bytes < PORTION_BYTES;
        bytes += fs::metadata(path).map_or(0, |meta| meta.len());
        fits
    };
    paths.iter().take(PORTION).take_while(within).count()
}

/// Reads files on all cores.
fn read(paths: &[PathBuf]) -> Result<Vec<File>, Failure> {
    let mut read = Vec::with_capacity(paths.len());
    batch::in_order(
        paths.len(),
        ingest::jobs(),
        |index| read_one(&paths[index]),
        |_, file| {
            read.push(file?);
            Ok::<(), Failure>(())
        },
    )?;
    if read.len() < paths.len() {
        return Err(interrupt::failure());
    }
    Ok(read)
}

fn read_one(path: &Path) -> Result<File, Failure> {
    let bytes = files::read(path, "capsule", CAPSULE_BYTES_MAX)?;
    Ok(File { name: path.display().to_string(), bytes })
}
