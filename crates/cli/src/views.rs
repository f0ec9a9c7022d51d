//! What packages make of the capsules of a store together: computed when somebody looks, and kept.
//!
//! A kept output is shown again as long as nothing that it depends on has changed: the package and
//! what it is given besides capsules (`basis`), the capsules of the kinds that it reads, and the
//! time up to which its input stays the same.
//!
//! # Spec
//! `spec/store.md`, section "Views".

pub(crate) mod agent;
pub(crate) mod feed;
mod filter;
pub(crate) mod ledger;
pub(crate) mod trust;

use std::collections::BTreeMap;
use std::path::PathBuf;

use kapsule_abi::{ErrorCode, guard};
use kapsule_engine::{MemoryHost, Proposal};
use kapsule_format::Digest;
use kapsule_format::capsule::{ChannelId, kind};
use kapsule_format::cbor::{self, Value};
use kapsule_format::encrypt::Identities;
use kapsule_format::hash::sha256;
use kapsule_format::log::{Entry, EntryKind};
use kapsule_store::{CapsuleRow, Store, StoreError, ViewRow};

use crate::channels::{Channels, PREFIX_DIGITS_MIN};
use crate::cli::Context;
use crate::closure::PackageArgs;
use crate::dispatch::{self, Dispatch, Rule};
use crate::error::Failure;
use crate::execute::{self, Engine, Ran, Request};
use crate::gather::Item;
use crate::grants::GrantArgs;
use crate::opening::{self, TrustArgs};
use crate::paths::Home;
use crate::session::{Session, SessionArgs};
use crate::text::grouped;
use crate::{files, ingest, interrupt, proposals, storing, surroundings};

/// How a view is computed; shared by the commands that show one.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct ViewArgs {
    /// Time of the view in ms since 1970, by default now: what is claimed to be later, or has
    /// expired by then, is left out
    #[arg(long, value_name = "MS")]
    pub(crate) now: Option<u64>,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    #[command(flatten)]
    pub(crate) packages: PackageArgs,
    #[command(flatten)]
    pub(crate) grants: GrantArgs,
}

/// The store of a home with everything that views need.
pub(crate) struct Desk<'a> {
    /// What the command was given besides its own arguments.
    pub(crate) context: &'a Context,
    args: &'a ViewArgs,
    /// The home.
    pub(crate) home: Home,
    /// Its store.
    pub(crate) store: Store,
    /// Which packages are used.
    pub(crate) dispatch: Dispatch,
    /// Time of the view.
    pub(crate) now_ms: u64,
    identities: Identities,
}

/// Which view is asked for.
pub(crate) struct Asked<'a> {
    /// Kind whose rule names the package.
    pub(crate) kind: &'a str,
    /// Name of the view.
    pub(crate) name: &'a str,
    /// The only channel that is looked at.
    pub(crate) channel: Option<ChannelId>,
    /// Kinds of capsules that are looked at in that channel, or in all.
    pub(crate) reads: &'a [&'a str],
    /// Kinds that are looked at in all channels, whichever is asked for.
    pub(crate) reads_anywhere: &'a [&'a str],
    /// Whose eyes these are, where that matters.
    pub(crate) viewer: Option<Digest>,
    /// What else the input is made of: outputs of other views, settings.
    pub(crate) parts: Vec<Digest>,
}

/// An input, and how long it stays the same.
pub(crate) struct Input {
    /// Time that the package is told.
    pub(crate) now_ms: u64,
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
    /// First later time at which it would be another one without any new capsule.
    pub(crate) until_ms: u64,
}

/// What a run left.
pub(crate) struct Made {
    /// Printed outcome.
    pub(crate) outcome: String,
    /// Fuel that it used.
    pub(crate) fuel: u64,
    /// What it wrote.
    pub(crate) output: Vec<u8>,
    /// What it proposed.
    pub(crate) proposals: Vec<Proposal>,
}

impl Made {
    /// Takes what a run left that ended well.
    pub(crate) fn of(session: &Session<'_>, ran: Ran) -> Result<Self, Failure> {
        if let Some(failure) = execute::outcome_failure(session.name, &ran) {
            return Err(failure);
        }
        Ok(Self {
            outcome: ran.run.outcome.to_string(),
            fuel: ran.run.usage.fuel,
            output: ran.run.output,
            proposals: ran.run.effects.proposals,
        })
    }
}

/// A view, whoever computed it.
pub(crate) struct Seen {
    /// What is kept of it.
    pub(crate) row: ViewRow,
    /// Whether it was kept from before, so that nothing ran.
    pub(crate) cached: bool,
    /// Numbers of what its run proposed.
    pub(crate) proposed: Vec<u64>,
}

impl Seen {
    const fn kept(row: ViewRow) -> Self {
        Self { row, cached: true, proposed: Vec::new() }
    }
}

/// Makes the input of a view for a time.
pub(crate) type Maker = Box<dyn Fn(u64) -> Result<Input, Failure>>;

/// Capsules that were opened.
#[derive(Default)]
pub(crate) struct Opened {
    /// What they say, in the order of the rows that were asked for.
    pub(crate) items: Vec<Item>,
    /// How many no key here opens.
    pub(crate) closed: u64,
}

impl<'a> Desk<'a> {
    /// Opens the store of the home, with every key of it.
    pub(crate) fn open(context: &'a Context, args: &'a ViewArgs) -> Result<Self, Failure> {
        let home = context.home()?;
        let mut identities = args.trust.identities.read()?.open;
        for channel in Channels::of(&home).list()? {
            identities.extend(channel.identities()?);
        }
        let store = storing::open(context)?;
        let dispatch = Dispatch::of(&home)?;
        let now_ms = args.now.unwrap_or_else(opening::now_ms);
        Ok(Self { context, args, home, store, dispatch, now_ms, identities })
    }

    /// Returns the rule for all capsules of a kind together, or says how to make one.
    pub(crate) fn rule(&self, kind: &str) -> Result<Rule, Failure> {
        let rule = self.dispatch.of_all(kind).cloned();
        rule.ok_or_else(|| no_rule(kind))
    }

    /// Returns the settings that the package of a kind is given, or says how to give them.
    pub(crate) fn settings(&self, kind: &str) -> Result<Vec<u8>, Failure> {
        dispatch::settings(&self.home, kind)?.ok_or_else(|| {
            let hint = format!("`kapsule dispatch set {kind} PACKAGE --settings FILE` gives them");
            Failure::usage(format!("the package for {kind} has no settings"), hint)
        })
    }

    /// Finds a channel of the home or of the store by its name, its id, or the start of its id.
    pub(crate) fn channel(&self, named: &str) -> Result<ChannelId, Failure> {
        let failure = match Channels::of(&self.home).find(Some(named)) {
            Ok(channel) => return Ok(channel.id),
            Err(failure) => failure,
        };
        let mut held = self.store.view().channels()?;
        held.retain(|id| named.len() >= PREFIX_DIGITS_MIN && id.to_string().starts_with(named));
        match held.as_slice() {
            [id] => Ok(*id),
            _ => Err(failure),
        }
    }

    /// Opens capsules on all cores.
    pub(crate) fn items(&self, rows: &[CapsuleRow]) -> Result<Opened, Failure> {
        let keys = ingest::keys(&self.store, &self.identities)?;
        let what = format!("opening {} capsules", grouped(rows.len() as u64));
        // A page of them takes no time that a person notices.
        let ui = &self.context.ui;
        let progress = (rows.len() > ingest::OPENED_TOGETHER)
            .then(|| ui.begin_counted(&what, rows.len() as u64));
        let mut opened = Opened::default();
        ingest::open_rows(&self.store, &keys, rows, |item| {
            match item {
                Some(item) => opened.items.push(item),
                None => opened.closed += 1,
            }
            progress.iter().for_each(crate::ui::Progress::advance);
        })?;
        if let Some(progress) = progress {
            progress.end(&format!("{} opened", grouped(opened.items.len() as u64)));
        }
        Ok(opened)
    }

    /// Returns a view: the kept one if it still holds, else a new one, which is kept.
    ///
    /// `input` opens capsules and returns what makes the input for a time; `run` runs the package.
    pub(crate) fn see(
        &mut self,
        asked: &Asked<'_>,
        input: impl FnOnce(&Self) -> Result<Maker, Failure>,
        run: impl FnOnce(&Self, &Session<'_>, &Rule, &Input) -> Result<Made, Failure>,
    ) -> Result<Seen, Failure> {
        let rule = self.rule(asked.kind)?;
        let basis = self.basis(asked, &rule)?;
        let last = self.store.view().last_number()?;
        let kept = self.kept(asked, &basis)?.filter(|row| row.holds_at(self.now_ms));
        if let Some(row) = &kept
            && !self.came_since(asked, row)?
        {
            return Ok(Seen::kept(row.clone()));
        }
        let make = input(self)?;
        // Capsules came, which may be none that the input shows.
        if let Some(row) = kept {
            let again = make(row.now_ms)?;
            if sha256(&again.bytes) == row.input && self.now_ms < again.until_ms {
                return Ok(Seen::kept(row));
            }
        }
        let input = make(self.now_ms)?;
        self.compute(asked, &rule, last, &input, run)
    }

    /// Returns what was kept of a view, if it was made on this basis.
    fn kept(&self, asked: &Asked<'_>, basis: &Digest) -> Result<Option<ViewRow>, Failure> {
        let row = self.store.view().computed(asked.name, &asked.scope())?;
        Ok(row.filter(|row| row.basis == *basis))
    }

    /// Tells whether a capsule came that may change a view; a keyring may open what was closed.
    fn came_since(&self, asked: &Asked<'_>, row: &ViewRow) -> Result<bool, Failure> {
        let view = self.store.view();
        let anywhere = [asked.reads_anywhere, &[kind::KEYRING]].concat();
        Ok(view.came_since(row.last, asked.channel.as_ref(), asked.reads)?
            || view.came_since(row.last, None, &anywhere)?)
    }

    /// Runs the package of a rule and keeps what it made, with what it proposed.
    pub(crate) fn compute(
        &mut self,
        asked: &Asked<'_>,
        rule: &Rule,
        last: u64,
        input: &Input,
        run: impl FnOnce(&Self, &Session<'_>, &Rule, &Input) -> Result<Made, Failure>,
    ) -> Result<Seen, Failure> {
        let made = self.open_for(asked.kind, rule, |session| run(self, session, rule, input))?;
        let row = ViewRow {
            name: asked.name.to_owned(),
            scope: asked.scope(),
            basis: self.basis(asked, rule)?,
            package: rule.target.package,
            entry_point: rule.target.entry.clone(),
            input: sha256(&input.bytes),
            last,
            now_ms: input.now_ms,
            until_ms: input.until_ms,
            outcome: made.outcome,
            fuel: made.fuel,
            output: sha256(&made.output),
        };
        let bodies: Vec<Vec<u8>> = made.proposals.iter().map(proposals::encode).collect();
        let time_ms = opening::now_ms();
        let proposed = self.store.write::<_, Failure>(|write| {
            let mut entry = told(&row, time_ms);
            if !bodies.is_empty() {
                entry = entry.subject("proposals", kapsule_store::proposals_digest(&bodies));
            }
            let index = write.append(entry)?;
            write.put_view(&row, &made.output, index)?;
            let put = bodies.iter().map(|body| write.put_proposal(body, index));
            Ok(put.collect::<Result<Vec<u64>, StoreError>>()?)
        })?;
        Ok(Seen { row, cached: false, proposed })
    }

    /// Returns the output of a view.
    pub(crate) fn output(&self, seen: &Seen) -> Result<Vec<u8>, Failure> {
        Ok(self.store.view().output(&seen.row)?)
    }

    /// Verifies and loads the package of a rule for all capsules of a kind.
    fn open_for<T>(
        &self,
        kind: &str,
        rule: &Rule,
        then: impl FnOnce(&Session<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.open_any(rule, |session| {
            check_kind(kind, session)?;
            then(session)
        })
    }

    /// Verifies and loads the package of a rule.
    pub(crate) fn open_any<T>(
        &self,
        rule: &Rule,
        then: impl FnOnce(&Session<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let id = rule.target.package;
        let files = self.args.packages.sources(self.context)?.get(&id)?.ok_or_else(|| {
            let hint = "keep it with `kapsule package add FILE`, or choose another one with \
                        `kapsule dispatch set`";
            Failure::new(ErrorCode::DependencyAbsent, format!("the package {id} is not here"), hint)
        })?;
        let (grants, args) = (rule.granted(&self.args.grants), self.args);
        let path = PathBuf::from(files.name());
        let session = SessionArgs::of_module(&path, &grants, &args.trust, &args.packages);
        session.open_files(self.context, &files, Some(id), Engine::Auto, |session| {
            surroundings::check_view(session.loaded, &session.effective.policy)?;
            then(&session)
        })
    }

    /// Returns a digest of all that an output depends on besides capsules and time.
    pub(crate) fn basis(&self, asked: &Asked<'_>, rule: &Rule) -> Result<Digest, Failure> {
        let mut grants = rule.granted(&self.args.grants).grants;
        grants.sort_unstable_by_key(|grant| grant.name());
        let policy = self.args.grants.policy.as_ref();
        let policy = policy.map(|path| files::read(path, "policy", 1 << 20)).transpose()?;
        let recipients = self.identities.recipients().map(|one| one.to_string());
        let recipients: std::collections::BTreeSet<String> = recipients.collect();
        let texts = |list: Vec<&str>| Value::array(list);
        let parts = asked.parts.iter().map(|part| Value::from(part.as_bytes().to_vec()));
        let basis = Value::Array(vec![
            rule.target.package.digest().as_bytes().to_vec().into(),
            rule.target.entry.as_str().into(),
            rule.budget.into(),
            texts(grants.iter().map(|grant| grant.name()).collect()),
            policy.unwrap_or_default().into(),
            texts(recipients.iter().map(String::as_str).collect()),
            Value::Array(parts.collect()),
            // A body that was dropped or came back changes what is read, though no capsule came.
            Value::array(self.store.view().pruned_mark()?),
        ]);
        Ok(sha256(&cbor::encode(&basis)))
    }
}

impl Asked<'_> {
    /// Returns a digest of which capsules are looked at, and with whose eyes.
    pub(crate) fn scope(&self) -> Digest {
        let bytes = |digest: Option<Digest>| -> Value {
            digest.map_or_else(Vec::new, |digest| digest.as_bytes().to_vec()).into()
        };
        let channel = self.channel.map(|channel| *channel.digest());
        sha256(&cbor::encode(&Value::Array(vec![bytes(channel), bytes(self.viewer)])))
    }
}

/// Returns the log entry of a view.
fn told(row: &ViewRow, time_ms: u64) -> Entry {
    Entry::new(EntryKind::RunFinished, time_ms)
        .subject("basis", row.basis)
        .subject("input", row.input)
        .subject("output", row.output)
        .subject("package", *row.package.digest())
        .subject("scope", row.scope)
        .datum("entry", row.entry_point.clone())
        .datum("fuel", row.fuel.to_string())
        .datum("last", row.last.to_string())
        .datum("now", row.now_ms.to_string())
        .datum("outcome", row.outcome.clone())
        .datum("until", row.until_ms.to_string())
        .datum("view", row.name.clone())
}

/// Runs a package once on an input.
pub(crate) fn once(
    _desk: &Desk<'_>,
    session: &Session<'_>,
    rule: &Rule,
    input: &Input,
) -> Result<Made, Failure> {
    run_within(session, &rule.target.entry, input, 0)
}

/// Runs a package once, with a budget for what it proposes.
pub(crate) fn run_within(
    session: &Session<'_>,
    entry: &str,
    input: &Input,
    budget: u64,
) -> Result<Made, Failure> {
    interrupt::watch()?;
    let request = Request { entry: Some(entry), input: &input.bytes, ..session.request };
    let mut host = MemoryHost { now_ms: input.now_ms, budget, ..session.memory.clone() };
    let ran = session.loaded.run(&request, &mut host)?;
    interrupt::check()?;
    Made::of(session, ran)
}

/// Refuses a package that says that it is for other kinds.
pub(crate) fn check_kind(kind: &str, session: &Session<'_>) -> Result<(), Failure> {
    let kinds = &session.effective.policy.kinds;
    if guard!("cli.views.kind", !kinds.is_empty() && !kinds.iter().any(|own| own == kind)) {
        let message = format!("{} does not process {kind}", session.name);
        let hint = format!("it is for {}; name another one", kinds.join(", "));
        return Err(Failure::new(ErrorCode::HostcallDenied, message, hint));
    }
    Ok(())
}

/// Says how to choose a package for a kind.
fn no_rule(kind: &str) -> Failure {
    let module = STANDARD.iter().find(|(own, _)| *own == kind).map_or("a package", |(_, one)| one);
    let set = format!("`kapsule dispatch set {kind} {module}.mod`");
    let hint = format!("choose one, such as the standard module {module}: {set}");
    Failure::usage(format!("no package processes all capsules of kind {kind} together"), hint)
}

/// The standard modules that read all capsules of a kind together.
pub(crate) const STANDARD: [(&str, &str); 5] = [
    (kind::POST, "rank"),
    (kind::COMMENT, "blocklist"),
    (kind::TRUST, "trust"),
    (kind::AGENT, "agent-logic"),
    (kind::LEDGER, "transfer"),
];

/// The least of these times that is later than `now_ms`, else the end of time.
pub(crate) fn next_change(now_ms: u64, times: impl IntoIterator<Item = u64>) -> u64 {
    times.into_iter().filter(|time| *time > now_ms).min().unwrap_or(TIME_MAX)
}

/// The last time that a number of KCBOR holds.
pub(crate) const TIME_MAX: u64 = (1 << 53) - 1;

/// Returns the items that there are at a time: claimed by then, and not expired.
pub(crate) fn at(items: &[Item], now_ms: u64) -> Vec<Item> {
    let there = |item: &&Item| {
        item.time_ms <= now_ms && item.expiry_ms.is_none_or(|expiry| now_ms <= expiry)
    };
    items.iter().filter(there).cloned().collect()
}

/// Returns the times at which what [`at`] returns changes.
pub(crate) fn changes(items: &[Item]) -> impl Iterator<Item = u64> {
    items.iter().flat_map(|item| [Some(item.time_ms), item.expiry_ms.map(|ms| ms + 1)]).flatten()
}

/// Names people of the home by their identity id.
pub(crate) fn names(context: &Context) -> Result<BTreeMap<Digest, String>, Failure> {
    let keys = context.keys()?;
    let mut names = BTreeMap::new();
    for name in keys.names()? {
        if let Ok(seen) = keys.look(&name) {
            names.insert(*seen.identity.id().digest(), name.as_str().to_owned());
        }
    }
    Ok(names)
}
