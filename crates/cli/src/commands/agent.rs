//! `kapsule agent`

use std::path::PathBuf;

use kapsule_engine::{Act, Proposal};
use kapsule_format::capsule::{CapsuleId, ChannelId, kind};
use kapsule_store::ProposalRow;
use serde_json::json;

use super::feed;
use super::post::{self, Words};
use crate::capsules::AuthorArgs;
use crate::channels::Channels;
use crate::cli::Context;
use crate::dispatch::{Rule, Scope, Target};
use crate::error::{Done, Failure};
use crate::text::{Align, facts, plain, table};
use crate::views::agent::{self, decide, find};
use crate::views::{Desk, Input, TIME_MAX, ViewArgs, run_within};
use crate::{bodies, files, opening, proposals};

const ABOUT: &str = "\
The package that `kapsule dispatch set agent` chose is told what came into the store since it last
ran, with what it remembers, and proposes acts for its goals. It never acts itself: what it proposes
waits for `kapsule agent approve`, unless the rule allows such acts (--allow there).";
const LIST_EXAMPLES: &str = "\
Examples:
  kapsule agent
  kapsule agent list
  kapsule agent list --all --json";
const SHOW_EXAMPLES: &str = "\
Examples:
  kapsule agent show 1
  kapsule agent show 1 --json";
const APPROVE_EXAMPLES: &str = "\
Examples:
  kapsule agent approve 1
  kapsule agent approve 2 --key alice --channel news -o welcome.kapsule";
const REFUSE_EXAMPLES: &str = "\
Examples:
  kapsule agent refuse 1
  kapsule agent refuse 2 --json";

/// Runs the agent over what is new, and shows what it proposes
///
/// Without a subcommand, as with `list`.
#[derive(Debug, clap::Args)]
#[command(after_help = ABOUT, args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    list: ListArgs,
}

/// What to do with proposals.
#[derive(Debug, clap::Subcommand)]
enum Command {
    List(Box<ListArgs>),
    Show(ShowArgs),
    Approve(Box<ApproveArgs>),
    Refuse(RefuseArgs),
}

/// Runs the agent over what is new, and lists the proposals that wait
#[derive(Debug, clap::Args)]
#[command(after_help = LIST_EXAMPLES)]
struct ListArgs {
    /// List also those that were decided about
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    view: ViewArgs,
}

/// Shows a proposal in full
#[derive(Debug, clap::Args)]
#[command(after_help = SHOW_EXAMPLES)]
struct ShowArgs {
    /// Number in the list
    number: u64,
}

/// Carries a proposal out
///
/// A capsule is written to a file, signed by you, as `kapsule post` writes it; a package of the
/// package directory is run, with no grants but those that you name; a notice is printed.
#[derive(Debug, clap::Args)]
#[command(after_help = APPROVE_EXAMPLES)]
struct ApproveArgs {
    /// Number in the list
    number: u64,
    /// Channel to publish in, where the proposal names none: its name, its id, or the start of it
    #[arg(long, value_name = "CHANNEL")]
    channel: Option<String>,
    #[command(flatten)]
    author: AuthorArgs,
    /// File for the capsule, or for the output of the run; `-` for stdout
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Grant for the run, such as `time`; may be repeated
    #[arg(long = "grant", value_name = "NAME", value_parser = crate::grants::decode_grant)]
    grants: Vec<kapsule_abi::Grant>,
}

/// Drops a proposal
#[derive(Debug, clap::Args)]
#[command(after_help = REFUSE_EXAMPLES)]
struct RefuseArgs {
    /// Number in the list
    number: u64,
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    match &args.command {
        None => list(context, &args.list),
        Some(Command::List(args)) => list(context, args),
        Some(Command::Show(args)) => show(context, args),
        Some(Command::Approve(args)) => approve(context, args),
        Some(Command::Refuse(args)) => refuse(context, args),
    }
}

fn list(context: &Context, args: &ListArgs) -> Done {
    let ui = &context.ui;
    let mut desk = Desk::open(context, &args.view)?;
    let agent = agent::see(&mut desk)?;
    let allowed = desk.rule(kind::AGENT)?.allow;
    for number in &agent.proposed {
        let row = find(&desk, *number)?;
        let proposal = proposals::decode(&row)?;
        if allowed.iter().any(|act| act == proposal.act.name()) {
            carry_out(context, &mut desk, &row, &proposal, None)?;
            decide(&mut desk, &row, "allowed")?;
        }
    }
    let rows = desk.store.view().proposals(!args.all)?;
    let mut lines = vec![["#", "act", "cost", "about", ""].map(String::from).to_vec()];
    for row in &rows {
        let proposal = proposals::decode(row)?;
        if ui.json() {
            ui.object(&proposals::to_json(row, &proposal))?;
        }
        lines.push(vec![
            row.number.to_string(),
            proposal.act.name().to_owned(),
            proposal.cost.to_string(),
            proposals::about(&proposal.act),
            row.decision.clone().unwrap_or_else(|| "waits".to_owned()),
        ]);
    }
    if ui.json() {
        ui.object(&json!({
            "schema": "kapsule/agent/1",
            "goals": agent.plan.goals.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "proposed": agent.proposed,
            "cached": agent.seen.cached,
            "view": feed::to_json(&agent.seen),
        }))?;
        return Ok(0);
    }
    let goals = agent.plan.goals.iter().map(|goal| ("goal", plain(&goal.to_string())));
    ui.text(&facts(&goals.collect::<Vec<_>>()))?;
    if lines.len() > 1 {
        let (right, left) = (Align::Right, Align::Left);
        ui.text(&format!("\n{}", table(&[right, left, right, left, left], &lines)))?;
    } else {
        ui.say("no proposal waits");
    }
    ui.say(if agent.seen.cached { "nothing came, and nothing ran" } else { "the agent ran" });
    Ok(0)
}

fn show(context: &Context, args: &ShowArgs) -> Done {
    let view = ViewArgs::default();
    let desk = Desk::open(context, &view)?;
    let row = find(&desk, args.number)?;
    let proposal = proposals::decode(&row)?;
    if context.ui.json() {
        context.ui.object(&proposals::to_json(&row, &proposal))?;
        return Ok(0);
    }
    let mut told = vec![
        ("proposal", row.number.to_string()),
        ("act", proposal.act.name().to_owned()),
        ("cost", proposal.cost.to_string()),
        ("decision", row.decision.clone().unwrap_or_else(|| "waits".to_owned())),
        ("log entry of the run", row.run.to_string()),
    ];
    match &proposal.act {
        Act::Publish { kind, channel, parents, flags, body } => {
            told.push(("kind", plain(kind)));
            let channel = channel.map_or_else(|| "not named".to_owned(), |id| id.to_string());
            told.push(("channel", channel));
            told.extend(parents.iter().map(|parent| ("parent", parent.to_string())));
            told.push(("flags", plain(&flags.join(", "))));
            told.push(("body", plain(&String::from_utf8_lossy(body))));
        }
        Act::Run { package, entry, input } => {
            told.push(("package", package.to_string()));
            told.push(("entry", plain(entry)));
            told.push(("input bytes", input.len().to_string()));
        }
        Act::Notify { text } => told.push(("text", plain(text))),
    }
    context.ui.text(&facts(&told))?;
    Ok(0)
}

fn approve(context: &Context, args: &ApproveArgs) -> Done {
    let view = ViewArgs::default();
    let mut desk = Desk::open(context, &view)?;
    let row = waiting(&desk, args.number)?;
    let proposal = proposals::decode(&row)?;
    carry_out(context, &mut desk, &row, &proposal, Some(args))?;
    decide(&mut desk, &row, "approved")?;
    told(context, args.number, "approved")
}

fn refuse(context: &Context, args: &RefuseArgs) -> Done {
    let view = ViewArgs::default();
    let mut desk = Desk::open(context, &view)?;
    let row = waiting(&desk, args.number)?;
    decide(&mut desk, &row, "refused")?;
    told(context, args.number, "refused")
}

fn told(context: &Context, number: u64, decision: &str) -> Done {
    if context.ui.json() {
        context.ui.object(&json!({
            "schema": "kapsule/cli-decision/1",
            "number": number,
            "decision": decision,
        }))?;
    } else {
        context.ui.say(&format!("proposal {number} is {decision}"));
    }
    Ok(0)
}

/// Finds a proposal that nobody decided about.
fn waiting(desk: &Desk<'_>, number: u64) -> Result<ProposalRow, Failure> {
    let row = find(desk, number)?;
    match &row.decision {
        None => Ok(row),
        Some(decision) => {
            let message = format!("proposal {number} was decided about: {decision}");
            Err(Failure::usage(message, "see what waits with `kapsule agent list`"))
        }
    }
}

/// Does what was proposed; without `args` only what needs none.
fn carry_out(
    context: &Context,
    desk: &mut Desk<'_>,
    row: &ProposalRow,
    proposal: &Proposal,
    args: Option<&ApproveArgs>,
) -> Result<(), Failure> {
    let output = args.and_then(|args| args.output.as_deref());
    match &proposal.act {
        Act::Notify { text } if context.ui.json() => context.ui.object(&json!({
            "schema": "kapsule/notice/1",
            "number": row.number,
            "text": text,
        })),
        Act::Notify { text } => context.ui.text(&format!("{}\n", plain(text))),
        Act::Run { package, entry, input } => {
            let target = Target { package: *package, entry: entry.clone() };
            let grants = args.map(|args| args.grants.clone()).unwrap_or_default();
            let scope = Scope::Capsule;
            let rule = Rule { target, scope, grants, budget: 0, allow: Vec::new() };
            let input =
                Input { now_ms: opening::now_ms(), bytes: input.clone(), until_ms: TIME_MAX };
            let made = desk.open_any(&rule, |session| run_within(session, entry, &input, 0))?;
            if let Some(path) = output {
                files::write(&context.ui, path, &made.output)?;
            }
            context.ui.say(&format!("{} of {package}: {}", plain(entry), made.outcome));
            Ok(())
        }
        Act::Publish { kind, channel, parents, flags, body } => {
            let (Some(args), Some(output)) = (args, output) else {
                let hint = "name a file with -o";
                return Err(Failure::usage("the capsule needs a file", hint));
            };
            files::check_writable(output)?;
            let channels = Channels::of(&desk.home);
            let named = channel.map(|id| ChannelId::of_genesis(CapsuleId::new(id)).to_string());
            let channel = channels.find(named.as_deref().or(args.channel.as_deref()))?;
            let parents: Vec<CapsuleId> = parents.iter().copied().map(CapsuleId::new).collect();
            let time_ms = opening::now_ms();
            let body = bodies::read(kind, body, parents.first().copied(), time_ms)?;
            let (flags, parents) = (flags.clone(), parents.as_slice());
            let words = Words { kind, body, flags, parents, time_ms, expiry_ms: None, logic: None };
            let said = post::say(context, &channel, args.author.load(context)?, words)?;
            files::write(&context.ui, output, &said.file)?;
            post::print(context, &channel, &said, output)
        }
    }
}
