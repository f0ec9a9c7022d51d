//! Taking capsules into the store of the home: what a command needs for it, and what it tells.

use std::collections::BTreeMap;

use kapsule_abi::ErrorCode;
use kapsule_format::Digest;
use kapsule_format::capsule::Capsule;
use kapsule_format::encrypt::Identities;
use kapsule_format::key::IdentityId;
use kapsule_store::{CHECKPOINT_EVERY, Store, StoreError, Trusted};
use serde_json::{Value, json};

use crate::channels::Channels;
use crate::cli::Context;
use crate::closure::{PackageArgs, Sources};
use crate::dispatch::Dispatch;
use crate::error::Failure;
use crate::grants::GrantArgs;
use crate::ingest::{self, Fate, File, Ingest, Keys, Logics, Looked, Told, Wanted, may_change};
use crate::opening::{self, TrustArgs, Verifier};
use crate::text::{facts, grouped};
use crate::ui::Ui;
use crate::views::trust::{self, ViewerArgs};

/// Files of the quarantine that are looked at together; chosen, as their sizes are not known.
const PORTION_WAITING: usize = 4_096;

/// Files that are named in words; `--json` names all.
const NAMED: u64 = 10;

/// How capsules are opened and processed.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct IntakeArgs {
    #[command(flatten)]
    trust: TrustArgs,
    #[command(flatten)]
    packages: PackageArgs,
    #[command(flatten)]
    grants: GrantArgs,
    #[command(flatten)]
    viewer: ViewerArgs,
}

/// What [`Intake`] works with, besides the store.
pub(crate) struct Needs<'a> {
    held: Identities,
    sources: Sources,
    verifier: Verifier<'a>,
    grants: &'a GrantArgs,
    dispatch: Dispatch,
    viewer: Option<IdentityId>,
}

impl IntakeArgs {
    /// Reads keys, trust and rules.
    pub(crate) fn needs(&self, context: &Context) -> Result<Needs<'_>, Failure> {
        let mut held = self.trust.identities.read()?.open;
        for channel in Channels::of(&context.home()?).list()? {
            held.extend(channel.identities()?);
        }
        Ok(Needs {
            held,
            sources: self.packages.sources(context)?,
            verifier: self.trust.verifier()?,
            grants: &self.grants,
            dispatch: Dispatch::of(&context.home()?)?,
            viewer: self.viewer.find(context)?,
        })
    }
}

/// What takes portions of files in, and counts what became of them.
pub(crate) struct Intake<'a> {
    ui: &'a Ui,
    /// Where capsules go.
    pub(crate) store: &'a mut Store,
    needs: &'a Needs<'a>,
    summary: Summary,
}

impl<'a> Intake<'a> {
    /// Starts.
    pub(crate) fn new(ui: &'a Ui, store: &'a mut Store, needs: &'a Needs<'a>) -> Self {
        Self { ui, store, needs, summary: Summary::default() }
    }

    /// Returns whom the verifier trusts.
    pub(crate) const fn verifier(&self) -> &Verifier<'_> {
        &self.needs.verifier
    }

    /// Takes files in, and calls `advance` for each.
    pub(crate) fn take(
        &mut self,
        files: &[File],
        advance: &mut impl FnMut(),
    ) -> Result<(), Failure> {
        self.take_files(files, advance, false)
    }

    /// Takes files in; `again` says that an earlier call has told of them.
    fn take_files(
        &mut self,
        files: &[File],
        advance: &mut impl FnMut(),
        again: bool,
    ) -> Result<(), Failure> {
        let Self { ui, store, needs, summary } = self;
        let Needs { held, sources, verifier, grants, dispatch, viewer } = needs;
        let looked = ingest::look(store, files)?;
        let mut wanted = Wanted::default();
        looked.iter().filter_map(Looked::capsule).for_each(|one| wanted.note(dispatch, one));
        let packages = wanted.open(sources, verifier);
        packages.ready(grants, dispatch, files.len() as u64, |logics| {
            let keys = ingest::keys(store, held)?;
            let trusted = trusted(store, &keys, logics, *viewer)?;
            let mut ingest = Ingest { store, keys, logics, trusted, now_ms: opening::now_ms() };
            ingest.take(looked, |told| {
                advance();
                summary.add(ui, told, again)
            })
        })
    }

    /// Judges again what waits in quarantine, as long as that makes something wait no more.
    pub(crate) fn take_waiting(&mut self) -> Result<(), Failure> {
        let mut before = usize::MAX;
        loop {
            let waiting = waiting(self.store)?;
            if waiting.is_empty() || waiting.len() == before {
                return Ok(());
            }
            before = waiting.len();
            for portion in waiting.chunks(PORTION_WAITING) {
                let file = |sha256: &Digest| {
                    let bytes = self.store.view().quarantined_file(sha256)?;
                    Ok(File { name: format!("quarantine/{sha256}"), bytes })
                };
                let files: Vec<File> =
                    portion.iter().map(file).collect::<Result<_, StoreError>>()?;
                self.take_files(&files, &mut || (), true)?;
            }
        }
    }

    /// Tells how many files had which fate; returns the first refusal, which makes the exit code.
    pub(crate) fn end(self) -> Result<Option<Failure>, Failure> {
        self.needs.verifier.remember(self.ui);
        self.summary.print(self.ui, self.store)?;
        Ok(self.summary.failure)
    }
}

/// Reads what packages may ask about trust, where any does.
fn trusted(
    store: &Store,
    keys: &Keys<'_>,
    logics: &Logics<'_>,
    viewer: Option<IdentityId>,
) -> Result<Trusted, Failure> {
    let mut trusted = Trusted::default();
    if logics.asks_statements() {
        trusted.statements = ingest::statements(store, keys)?;
    }
    if let (true, Some(viewer)) = (logics.asks_scores(), viewer) {
        trusted.scores = trust::last_scores(store, viewer)?;
    }
    Ok(trusted)
}

/// Returns the files in quarantine that an earlier call could not judge, keyrings first, then by
/// their claimed time; one file is in memory at a time.
fn waiting(store: &Store) -> Result<Vec<Digest>, StoreError> {
    let view = store.view();
    let mut files = Vec::new();
    for row in view.quarantine()?.into_iter().filter(|row| may_change(&row.code)) {
        let bytes = view.quarantined_file(&row.sha256)?;
        let capsule = Capsule::decode(&bytes)?;
        let meta = capsule.meta();
        files.push(((meta.keyring.is_none(), meta.time_ms, meta.seq), row.sha256));
    }
    files.sort_unstable();
    Ok(files.into_iter().map(|(_, sha256)| sha256).collect())
}

/// What became of all files.
#[derive(Default)]
struct Summary {
    counts: BTreeMap<&'static str, u64>,
    named: u64,
    /// Whether a keyring is missing.
    lacks_keyring: bool,
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
            Fate::Accepted { restored: true, .. } => ("restored", None, None),
            Fate::Accepted { .. } => ("accepted", None, None),
            Fate::Held => ("held already", None, None),
            Fate::Refused(code, detail) => ("refused", Some(*code), Some(detail.clone())),
            Fate::Waiting(code, detail) => ("waiting", Some(*code), Some(detail.clone())),
        };
        self.count(word);
        self.lacks_keyring |= matches!(told.fate, Fate::Waiting(ErrorCode::NotLookedAt, _));
        let (mut opened, mut logic) = (Value::Null, Value::Null);
        if let Fate::Accepted { fork, unread, logic: ran, .. } = &told.fate {
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
                "restored",
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
        if self.lacks_keyring {
            ui.say(
                "a keyring is missing: somebody of the channel writes it with `kapsule channel \
                 share NAME -o DIR`, and `kapsule ingest DIR` takes it",
            );
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
