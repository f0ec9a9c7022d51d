//! One file per verb.

mod accept;
mod agent;
mod analyze;
mod audit;
mod batch;
mod build;
mod channel;
mod completions;
mod config;
mod convert;
mod da;
mod demo;
mod dispatch;
mod doctor;
mod explain;
mod feed;
mod fork;
mod ingest;
mod inspect;
mod key;
mod key_trust;
mod ledger;
mod limits;
mod log;
mod man;
mod manifest;
mod new;
mod pack;
mod package;
mod policy;
mod post;
mod protect;
mod prove;
mod prune;
mod receipt;
mod recipient;
mod relay_filter;
mod replay;
mod run;
mod sign;
mod snapshot;
mod trust;
mod verify;
mod verify_proof;

pub(crate) use run::summary as run_summary;
pub(crate) use verify::{checks as check_lines, report_text};

use crate::cli::Context;
use crate::error::Done;

/// The verbs, in the order of a first use.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Demo(demo::Args),
    #[command(subcommand)]
    Key(key::Command),
    New(new::Args),
    Build(build::Args),
    Pack(pack::Args),
    Sign(sign::Args),
    #[command(subcommand)]
    Package(package::Command),
    Accept(accept::Args),
    Verify(verify::Args),
    Explain(explain::Args),
    Inspect(inspect::Args),
    Run(Box<run::Args>),
    Replay(replay::Args),
    Audit(Box<audit::Args>),
    Prove(Box<prove::Args>),
    VerifyProof(Box<verify_proof::Args>),
    #[command(subcommand)]
    Receipt(receipt::Command),
    #[command(subcommand)]
    Da(da::Command),
    #[command(subcommand)]
    Channel(channel::Command),
    Post(Box<post::Args>),
    RelayFilter(relay_filter::Args),
    #[command(subcommand)]
    Manifest(manifest::Command),
    #[command(subcommand)]
    Policy(policy::Command),
    #[command(subcommand)]
    Convert(convert::Command),
    Analyze(Box<analyze::Args>),
    Ingest(Box<ingest::Args>),
    #[command(subcommand)]
    Dispatch(dispatch::Command),
    Feed(Box<feed::Args>),
    Trust(Box<trust::Args>),
    Ledger(Box<ledger::Args>),
    Agent(Box<agent::Args>),
    #[command(subcommand)]
    Snapshot(snapshot::Command),
    #[command(subcommand)]
    Fork(fork::Command),
    Prune(prune::Args),
    #[command(subcommand)]
    Log(log::Command),
    Doctor(doctor::Args),
    Limits(limits::Args),
    Config(config::Args),
    Completions(completions::Args),
    Man(man::Args),
}

/// Runs one verb.
pub(crate) fn run(context: &Context, command: Command) -> Done {
    match command {
        Command::Demo(args) => demo::run(context, &args),
        Command::Key(command) => key::run(context, &command),
        Command::New(args) => new::run(context, &args),
        Command::Build(args) => build::run(context, &args),
        Command::Pack(args) => pack::run(context, &args),
        Command::Package(command) => package::run(context, &command),
        Command::Sign(args) => sign::run(context, &args),
        Command::Accept(args) => accept::run(context, &args),
        Command::Verify(args) => verify::run(context, &args),
        Command::Explain(args) => explain::run(context, &args),
        Command::Inspect(args) => inspect::run(context, &args),
        Command::Run(args) => run::run(context, &args),
        Command::Replay(args) => replay::run(context, &args),
        Command::Audit(args) => audit::run(context, &args),
        Command::Prove(args) => prove::run(context, &args),
        Command::VerifyProof(args) => verify_proof::run(context, &args),
        Command::Receipt(command) => receipt::run(context, &command),
        Command::Da(command) => da::run(context, &command),
        Command::Channel(command) => channel::run(context, &command),
        Command::Post(args) => post::run(context, &args),
        Command::RelayFilter(args) => relay_filter::run(context, &args),
        Command::Manifest(command) => manifest::run(context, &command),
        Command::Policy(command) => policy::run(context, &command),
        Command::Convert(command) => convert::run(context, &command),
        Command::Analyze(args) => analyze::run(context, &args),
        Command::Ingest(args) => ingest::run(context, &args),
        Command::Dispatch(command) => dispatch::run(context, &command),
        Command::Feed(args) => feed::run(context, &args),
        Command::Trust(args) => trust::run(context, &args),
        Command::Ledger(args) => ledger::run(context, &args),
        Command::Agent(args) => agent::run(context, &args),
        Command::Snapshot(command) => snapshot::run(context, &command),
        Command::Fork(command) => fork::run(context, &command),
        Command::Prune(args) => prune::run(context, &args),
        Command::Log(command) => log::run(context, &command),
        Command::Doctor(args) => doctor::run(context, &args),
        Command::Limits(args) => limits::run(context, &args),
        Command::Config(args) => config::run(context, &args),
        Command::Completions(args) => completions::run(context, &args),
        Command::Man(args) => man::run(context, &args),
    }
}
