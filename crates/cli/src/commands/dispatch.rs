//! `kapsule dispatch`

use std::path::PathBuf;

use kapsule_abi::{ErrorCode, Grant, guard};
use kapsule_format::capsule::kind;
use serde_json::json;

use crate::cli::Context;
use crate::convert::{TABLE_BYTES_MAX, agent, ledger, sms};
use crate::dispatch::{self, ALLOWED, Dispatch, Rule, Scope, Target};
use crate::error::{Done, Failure};
use crate::files;
use crate::grants::decode_grant;
use crate::opening::{self, Files};
use crate::paths::Home;
use crate::shelf::Shelf;
use crate::text::{Align, plain, table};
use crate::views::STANDARD;

const SET_EXAMPLES: &str = "\
Examples:
  kapsule dispatch set post rank.mod
  kapsule dispatch set trust trust.mod --grant trust.graph
  kapsule dispatch set comment blocklist.mod --settings rules.toml
  kapsule dispatch set ledger transfer.mod --settings opening.csv
  kapsule dispatch set agent agent-logic.mod --settings agent.toml --grant agent.propose --budget 9
  kapsule dispatch set note hello.mod

The package is copied to the package directory and named by its hash, so another file with its name
changes nothing. Whenever it is used it is verified as for `kapsule run`, by the trust file and the
acceptance file of the home.

A package with scope `all` is given all capsules of the store together, when `kapsule feed`,
`trust`, `ledger` or `agent` asks; that is what the standard modules take. One with scope `capsule`
is run by `kapsule ingest` for each capsule of the kind.";
const LIST_EXAMPLES: &str = "\
Examples:
  kapsule dispatch list
  kapsule dispatch list --json";
const REMOVE_EXAMPLES: &str = "\
Examples:
  kapsule dispatch remove post";

/// Chooses the packages that process capsules
///
/// No package runs unless it is chosen here, or a capsule names it itself.
/// The choice stands in `dispatch.json` of the configuration directory.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Set(SetArgs),
    List(ListArgs),
    Remove(RemoveArgs),
}

/// Chooses the package for a kind of capsule
#[derive(Debug, clap::Args)]
#[command(after_help = SET_EXAMPLES)]
pub(crate) struct SetArgs {
    /// Kind: post, comment, trust, agent, ledger, or another name
    kind: String,
    /// Package file
    package: PathBuf,
    /// Entry to call, by default the one of its manifest
    #[arg(long, value_name = "NAME")]
    entry: Option<String>,
    /// When it runs; by default `all` for the standard module of the kind, else `capsule`
    #[arg(long, value_name = "SCOPE")]
    scope: Option<Scope>,
    /// Settings that it is given: rules for comment, an agent for agent (TOML), or what accounts
    /// first hold for ledger (CSV, in millionths)
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Grant that it has, such as `trust.graph`; may be repeated
    #[arg(long = "grant", value_name = "NAME", value_parser = decode_grant)]
    grants: Vec<Grant>,
    /// What its proposals may cost together while they wait for approval
    #[arg(long, value_name = "N", default_value_t = 0)]
    budget: u64,
    /// Act of a proposal that needs no approval: notify or run; may be repeated
    #[arg(long, value_name = "ACT", value_parser = ALLOWED)]
    allow: Vec<String>,
}

/// Lists the chosen packages
#[derive(Debug, clap::Args)]
#[command(after_help = LIST_EXAMPLES)]
pub(crate) struct ListArgs {}

/// Lets no chosen package process a kind any more
///
/// The package stays in the package directory, and its settings are removed.
#[derive(Debug, clap::Args)]
#[command(after_help = REMOVE_EXAMPLES)]
pub(crate) struct RemoveArgs {
    /// Kind
    kind: String,
}

pub(super) fn run(context: &Context, command: &Command) -> Done {
    match command {
        Command::Set(args) => set(context, args),
        Command::List(_) => list(context),
        Command::Remove(args) => remove(context, args),
    }
}

fn set(context: &Context, args: &SetArgs) -> Done {
    let (home, ui) = (context.home()?, &context.ui);
    let plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    let good = !args.kind.is_empty() && args.kind.bytes().all(plain) && !args.kind.starts_with('.');
    if guard!("cli.dispatch.kind", !good) {
        return Err(Failure::usage(
            format!("{:?} is no kind", args.kind),
            "name one such as `post`",
        ));
    }
    let files = Files::read(&args.package)?;
    let package = opening::decode(&files)?;
    let (exec, policy) = (&package.manifest().exec, package.policy());
    let entry = args.entry.clone().unwrap_or_else(|| exec.entry.clone());
    if !exec.has_entry(&entry) {
        let message = format!("{} has no entry {entry:?}", files.name());
        let hint = "`kapsule inspect` lists the entries of a package";
        return Err(Failure::new(ErrorCode::EntryNotFound, message, hint));
    }
    if !policy.kinds.is_empty() && !policy.kinds.contains(&args.kind) {
        let message = format!("{} does not process {}", files.name(), args.kind);
        let hint = format!("it is for {}", policy.kinds.join(", "));
        return Err(Failure::new(ErrorCode::HostcallDenied, message, hint));
    }
    let name = package.manifest().name.as_str();
    let standard = STANDARD.contains(&(args.kind.as_str(), name));
    let scope = args.scope.unwrap_or(if standard { Scope::All } else { Scope::Capsule });
    let settings = settings(args, scope)?;
    check_proposals(args, &policy.hostcalls)?;
    let (kept, _) = Shelf::new(home.packages()).add(ui, &files)?;
    match settings {
        Some(bytes) => {
            dispatch::write_config(ui, &dispatch::settings_file(&home, &args.kind), &bytes)?;
        }
        None => remove_settings(&home, &args.kind)?,
    }
    let mut dispatch = Dispatch::of(&home)?;
    let target = Target { package: kept.capsule_hash(), entry };
    let (grants, allow) = (args.grants.clone(), args.allow.clone());
    let rule = Rule { target, scope, grants, budget: args.budget, allow };
    dispatch.set(&args.kind, rule.clone());
    dispatch.keep(ui, &home)?;
    if ui.json() {
        ui.object(&to_json(&args.kind, &rule))?;
    } else {
        let when = match scope {
            Scope::All => "when a view of the store is asked for",
            Scope::Capsule => "for each capsule that is taken in",
        };
        ui.say(&format!("{name} processes {} {when}", args.kind));
    }
    Ok(0)
}

/// Reads the settings and checks that the package will understand them.
fn settings(args: &SetArgs, scope: Scope) -> Result<Option<Vec<u8>>, Failure> {
    let read = |path: &PathBuf| files::read(path, "settings", TABLE_BYTES_MAX);
    let bytes = args.settings.as_ref().map(read).transpose()?;
    match (args.kind.as_str(), scope, &bytes) {
        (kind::COMMENT, Scope::All, Some(bytes)) => drop(sms::rules_value(bytes)?),
        (kind::AGENT, Scope::All, Some(bytes)) => agent::File::read(bytes)?.check()?,
        (kind::LEDGER, Scope::All, bytes) => drop(ledger::opening(bytes.as_deref())?),
        (kind::COMMENT | kind::AGENT, Scope::All, None) => {
            let hint = "name a file with --settings, such as examples/data/sms-rules.toml or \
                        examples/06-agent/agent.toml";
            return Err(Failure::usage(
                format!("the package for {} has settings", args.kind),
                hint,
            ));
        }
        (_, _, Some(_)) => {
            let hint = "leave out --settings; packages for comment, agent and ledger have some";
            let message = format!("the package for {} is given no settings", args.kind);
            return Err(Failure::usage(message, hint));
        }
        (_, _, None) => {}
    }
    Ok(bytes)
}

/// Refuses a package that proposes and has no budget for it, or the other way round.
fn check_proposals(args: &SetArgs, hostcalls: &[String]) -> Result<(), Failure> {
    let calls: Vec<&str> = Grant::AgentPropose.hostcalls().map(|call| call.name).collect();
    let proposes = hostcalls.iter().any(|call| calls.contains(&call.as_str()));
    if proposes && args.budget == 0 {
        let hint = "say with --budget what its proposals may cost, such as --budget 100";
        return Err(Failure::usage("the package proposes acts and has no budget", hint));
    }
    if !proposes && (args.budget > 0 || !args.allow.is_empty()) {
        let hint = "leave out --budget and --allow";
        return Err(Failure::usage("the package proposes nothing", hint));
    }
    Ok(())
}

fn list(context: &Context) -> Done {
    let (ui, dispatch) = (&context.ui, Dispatch::of(&context.home()?)?);
    let shelf = Shelf::new(context.home()?.packages());
    let mut rows =
        vec![["kind", "scope", "package", "capsule_hash", "grants"].map(String::from).to_vec()];
    for (kind, rule) in dispatch.rules() {
        if ui.json() {
            ui.object(&to_json(kind, rule))?;
        }
        let name = match shelf.get(&rule.target.package)? {
            Some(files) => opening::decode(&files)?.manifest().name.clone(),
            None => "not here".to_owned(),
        };
        let grants: Vec<&str> = rule.grants.iter().map(|grant| grant.name()).collect();
        let hash = rule.target.package.to_string();
        let scope = rule.scope.name().to_owned();
        rows.push(vec![plain(kind), scope, plain(&name), hash[..16].to_owned(), grants.join(", ")]);
    }
    if rows.len() == 1 {
        ui.say(
            "no package processes anything; choose one with `kapsule dispatch set KIND PACKAGE`",
        );
    } else if !ui.json() {
        ui.text(&table(&[Align::Left; 5], &rows))?;
    }
    Ok(0)
}

fn remove(context: &Context, args: &RemoveArgs) -> Done {
    let home = context.home()?;
    let mut dispatch = Dispatch::of(&home)?;
    if !dispatch.remove(&args.kind) {
        let hint = "see the rules with `kapsule dispatch list`";
        return Err(Failure::usage(format!("no package is chosen for {:?}", args.kind), hint));
    }
    dispatch.keep(&context.ui, &home)?;
    remove_settings(&home, &args.kind)?;
    if context.ui.json() {
        let object =
            json!({ "schema": "kapsule/cli-dispatch/1", "kind": args.kind, "removed": true });
        context.ui.object(&object)?;
    } else {
        context.ui.say(&format!("no package is chosen for {} any more", plain(&args.kind)));
    }
    Ok(0)
}

/// Removes the settings of an earlier rule.
fn remove_settings(home: &Home, kind: &str) -> Result<(), Failure> {
    let path = dispatch::settings_file(home, kind);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            let message = format!("cannot remove {}", path.display());
            let hint = "check the permissions of its directory";
            Err(Failure::usage(message, hint).cause(error))
        }
        _ => Ok(()),
    }
}

fn to_json(kind: &str, rule: &Rule) -> serde_json::Value {
    json!({
        "schema": "kapsule/cli-dispatch/1",
        "kind": kind,
        "package": rule.target.package.to_string(),
        "entry": rule.target.entry,
        "scope": rule.scope.name(),
        "grants": rule.grants.iter().map(|grant| grant.name()).collect::<Vec<_>>(),
        "budget": rule.budget.to_string(),
        "allow": rule.allow,
    })
}
