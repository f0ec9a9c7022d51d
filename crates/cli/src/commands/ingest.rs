//! `kapsule ingest`

mod watch;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use kapsule_abi::ErrorCode;
use kapsule_format::limits::CAPSULE_BYTES_MAX;
use kapsule_format::log::LogName;
use kapsule_store::{CHECKPOINT_EVERY, Store};
use serde_json::{Value, json};

use crate::batch;
use crate::channels::Channels;
use crate::cli::Context;
use crate::closure::PackageArgs;
use crate::dispatch::Dispatch;
use crate::error::{Done, Failure};
use crate::files;
use crate::grants::GrantArgs;
use crate::ingest::{self, Fate, File, Ingest, Told, Wanted, may_change};
use crate::interrupt;
use crate::opening::{self, TrustArgs};
use crate::storing::{self, decode_name};
use crate::text::{facts, grouped};
use crate::ui::Ui;

/// Files that are looked at together.
///
/// Chosen: some hundred megabytes at the size of most capsules.
const PORTION: usize = 65_536;

/// Files that are named in words; `--json` names all.
const NAMED: u64 = 10;

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
    trust: TrustArgs,
    #[command(flatten)]
    packages: PackageArgs,
    #[command(flatten)]
    grants: GrantArgs,
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
    let verifier = args.trust.verifier()?;
    let sources = args.packages.sources(context)?;
    let dispatch = Dispatch::of(&context.home()?)?;
    let mut held = args.trust.identities.read()?;
    for channel in Channels::of(&context.home()?).list()? {
        held.open.extend(channel.identities()?);
    }
    let mut store = storing::open_or_create(context, origin)?;
    interrupt::watch()?;
    let progress =
        ui.begin_counted(&format!("taking in {} files", paths.len()), paths.len() as u64);
    let mut summary = Summary::default();
    let mut portions: Vec<Vec<PathBuf>> = paths.chunks(PORTION).map(<[_]>::to_vec).collect();
    portions.push(Vec::new());
    for portion in portions {
        let last = portion.is_empty();
        let files = if last { waiting(&store)? } else { read(&portion)? };
        let mut wanted = Wanted::default();
        files.iter().for_each(|file| wanted.note(&dispatch, &file.bytes));
        let packages = wanted.open(&sources, &verifier);
        packages.ready(&args.grants, &dispatch, files.len() as u64, |logics| {
            let keys = ingest::keys(&store, &held.open)?;
            let now_ms = opening::now_ms();
            let mut ingest = Ingest { store: &mut store, keys, logics, now_ms };
            ingest.take(files, |told| {
                if !last {
                    progress.advance();
                }
                summary.add(ui, told, last)
            })
        })?;
    }
    verifier.remember(ui);
    progress.end("every file was looked at");
    summary.print(ui, &store)?;
    summary.failure.map_or(Ok(0), Err)
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

fn read(paths: &[PathBuf]) -> Result<Vec<File>, Failure> {
    let mut read = Vec::with_capacity(paths.len());
    for path in paths {
        // A file above the limit is refused with its first bytes, as one that is too large.
        let bytes = match fs::metadata(path).map(|meta| meta.len()) {
            Ok(length) if length > CAPSULE_BYTES_MAX => {
                return Err(Failure::new(
                    ErrorCode::LimitExceeded,
                    format!("{} is too large for a capsule", path.display()),
                    "print the limits with `kapsule limits`, and move the file away",
                )
                .cause(format!("{length} bytes exceed the limit of {CAPSULE_BYTES_MAX} bytes")));
            }
            _ => files::read(path, "capsule", CAPSULE_BYTES_MAX)?,
        };
        read.push(File { name: path.display().to_string(), bytes });
    }
    Ok(read)
}

/// Returns the files in quarantine that an earlier call could not judge.
fn waiting(store: &Store) -> Result<Vec<File>, Failure> {
    let view = store.view();
    let mut files = Vec::new();
    for row in view.quarantine()?.into_iter().filter(|row| may_change(&row.code)) {
        let bytes = view.quarantined_file(&row.sha256)?;
        files.push(File { name: format!("quarantine/{}", row.sha256), bytes });
    }
    Ok(files)
}

/// What became of all files.
#[derive(Default)]
struct Summary {
    counts: BTreeMap<&'static str, u64>,
    named: u64,
    failure: Option<Failure>,
}

impl Summary {
    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// Counts one file; of those of earlier calls that still wait nothing is said.
    fn add(&mut self, ui: &Ui, told: Told, again: bool) -> Result<(), Failure> {
        if again && matches!(told.fate, Fate::Waiting(..)) {
            return Ok(());
        }
        let (word, code, detail) = match &told.fate {
            Fate::Accepted { .. } => ("accepted", None, None),
            Fate::Held => ("held already", None, None),
            Fate::Refused(code, detail) => ("refused", Some(*code), Some(detail.clone())),
            Fate::Waiting(code, detail) => ("waiting", Some(*code), Some(detail.clone())),
        };
        self.count(word);
        let (mut opened, mut logic) = (Value::Null, Value::Null);
        if let Fate::Accepted { fork, unread, logic: ran } = &told.fate {
            if *fork {
                self.count("of them forks");
            }
            if let Some(code) = unread {
                self.count("of them unreadable");
                opened = code.to_string().into();
            }
            if let Some(ran) = ran {
                self.count(if ran.is_ok() { "of them processed" } else { "of them not processed" });
                logic = match ran {
                    Ok(outcome) => outcome.clone().into(),
                    Err(why) => why.clone().into(),
                };
            }
        }
        if let (Some(code), Some(detail)) = (code, &detail) {
            if self.named < NAMED {
                self.named += 1;
                ui.say(&format!("{word} {}: {code}: {detail}", told.name));
            }
            if word == "refused" && self.failure.is_none() {
                self.failure = Some(refused(&told, code, detail));
            }
        }
        if ui.json() {
            ui.object(&json!({
                "schema": "kapsule/ingest-file/1",
                "file": told.name,
                "sha256": told.sha256.to_string(),
                "capsule": told.id.map(|id| id.to_string()),
                "fate": word,
                "error_code": code.map(|code| code.to_string()),
                "detail": detail,
                "unread": opened,
                "logic": logic,
            }))?;
        }
        Ok(())
    }

    fn print(&self, ui: &Ui, store: &Store) -> Result<(), Failure> {
        let head = store.head()?;
        if ui.json() {
            let counts = self
                .counts
                .iter()
                .map(|(name, count)| ((*name).to_owned(), Value::from(count.to_string())));
            ui.object(&json!({
                "schema": "kapsule/ingest/1",
                "files": Value::Object(counts.collect()),
                "entries": head.size.to_string(),
                "root": head.root.to_string(),
            }))?;
        } else {
            let order = [
                "accepted",
                "of them processed",
                "of them not processed",
                "of them unreadable",
                "of them forks",
                "held already",
                "waiting",
                "refused",
            ];
            let count = |name: &'static str| self.counts.get(name).map(|n| (name, grouped(*n)));
            let mut told: Vec<(&str, String)> = order.into_iter().filter_map(count).collect();
            told.push(("log entries", grouped(head.size)));
            ui.text(&facts(&told))?;
        }
        if store.checkpoint_is_due()? {
            ui.say(&format!(
                "{CHECKPOINT_EVERY} or more entries have no checkpoint; `kapsule log checkpoint \
                 --key NAME` signs one"
            ));
        }
        Ok(())
    }
}

fn refused(told: &Told, code: ErrorCode, detail: &str) -> Failure {
    let hint = match code {
        ErrorCode::AuthorNotAllowed | ErrorCode::KeyringAuthority => {
            "the owners of the channel decide who may write"
        }
        ErrorCode::Expired => "its author no longer wants it to be read",
        _ => "the file is damaged or forged; get it again from another place",
    };
    Failure::new(code, format!("{} is refused", told.name), hint).cause(detail)
}
