//! `kapsule receipt`

mod exchange;
mod folder;
mod keep;
mod log;
mod prove;
mod split;

use std::path::PathBuf;

use crate::cli::Context;
use crate::error::Done;
use crate::{files, receipts};

/// Compares, lists and exchanges receipts, and attaches proofs to them
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Diff(DiffArgs),
    List(folder::ListArgs),
    Stats(folder::StatsArgs),
    Export(exchange::ExportArgs),
    Import(exchange::ImportArgs),
    Split(split::Args),
    Keep(keep::Args),
    Log(log::Args),
    Prove(Box<prove::Args>),
}

const EXAMPLES: &str = "\
Examples:
  kapsule receipt diff mine.cap theirs.cap
  kapsule receipt diff mine.cap theirs.cap --json";

/// Shows every field in which two receipts differ, and what the difference means
///
/// Two receipts of one job have the same execution hash, whoever ran it and wherever; times, run
/// and nonce may differ.
/// The same job with the same answers and another execution hash is a contradiction, and under one
/// issuer and nonce it is evidence against the issuer.
/// No signature is verified here: `kapsule verify` does that.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DiffArgs {
    /// First receipt, `-` for stdin
    left: PathBuf,
    /// Second receipt, `-` for stdin
    right: PathBuf,
}

pub(super) fn run(context: &Context, command: &Command) -> Done {
    match command {
        Command::Diff(args) => diff(context, args),
        Command::List(args) => folder::list(context, args),
        Command::Stats(args) => folder::stats(context, args),
        Command::Export(args) => exchange::export(context, args),
        Command::Import(args) => exchange::import(context, args),
        Command::Split(args) => split::run(context, args),
        Command::Keep(args) => keep::run(context, args),
        Command::Log(args) => log::run(context, args),
        Command::Prove(args) => prove::run(context, args),
    }
}

fn diff(context: &Context, args: &DiffArgs) -> Done {
    files::check_one_stdin(&[Some(&args.left), Some(&args.right)])?;
    let (left, right) = (receipts::read(&args.left)?, receipts::read(&args.right)?);
    let (left, right) = (receipts::decode(&left)?, receipts::decode(&right)?);
    receipts::diff(&context.ui, left.claim(), right.claim())?;
    Ok(0)
}
