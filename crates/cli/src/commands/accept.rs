//! `kapsule accept`

use std::collections::BTreeSet;
use std::path::PathBuf;

use kapsule_format::acceptance::Acceptance;
use kapsule_format::hash::sha256;
use kapsule_format::key::Suite;
use kapsule_format::verify::Level;
use serde_json::json;

use super::key::decode_suite;
use crate::cli::Context;
use crate::error::{Done, Failure};
use crate::opening::decode_level;
use crate::roots::TrustFile;
use crate::{files, receipts};

const EXAMPLES: &str = "\
Examples:
  kapsule accept --pin trust.json
  kapsule accept --level policy-enforced --demand proof --min-signers 2 -o strict.json
  kapsule accept --receipt-policy nightly.json --pin-acl acl.json -o receipts.json
  kapsule accept --level proof-only --suite ed25519 --suite mldsa44 -o -";

/// Writes an acceptance file: what you demand before a package is accepted
///
/// The file (`kapsule/accept/1`) is what `verify --accept` and `run --accept` take; put it at
/// `accept.json` of the configuration directory to have it used always.
/// With --pin only that trust file is used, and successors that its root keys signed.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Level that the verdict must reach
    #[arg(
        long,
        value_name = "LEVEL",
        value_parser = decode_level,
        default_value_t = Level::PolicyEnforced
    )]
    level: Level,
    /// Name of a check that must pass whatever the level is; may be repeated
    #[arg(long = "demand", value_name = "CHECK")]
    demanded: Vec<String>,
    /// Trust file to pin
    #[arg(long, value_name = "FILE")]
    pin: Option<PathBuf>,
    /// Access list to pin
    #[arg(long, value_name = "FILE")]
    pin_acl: Option<PathBuf>,
    /// Receipt policy that receipts may submit to; may be repeated, by default any
    #[arg(long = "receipt-policy", value_name = "FILE")]
    policies: Vec<PathBuf>,
    /// How many distinct trusted identities must have signed; 1 by default
    #[arg(long, value_name = "N")]
    min_signers: Option<u64>,
    /// Suite that may sign; may be repeated, by default all
    #[arg(long = "suite", value_name = "SUITE", value_parser = decode_suite)]
    suites: Vec<Suite>,
    /// How far clocks may be off, in ms; 0 by default
    #[arg(long, value_name = "MS")]
    max_skew_ms: Option<u64>,
    /// File to write, `-` for stdout
    #[arg(long, short, value_name = "FILE", default_value = "accept.json")]
    output: PathBuf,
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    files::check_result(&context.ui, &args.output)?;
    let mut acceptance = Acceptance::of(args.level);
    acceptance.require = some_sorted(&args.demanded);
    acceptance.suites = some_sorted(&args.suites);
    acceptance.min_signers = args.min_signers;
    acceptance.max_skew_ms = args.max_skew_ms;
    if let Some(path) = &args.pin {
        let file = TrustFile::read(path)?;
        file.trust()?;
        acceptance.trust = Some(sha256(&file.bytes));
    }
    if let Some(path) = &args.pin_acl {
        acceptance.acl = Some(sha256(&receipts::read_acl(path)?.0));
    }
    let policies = args.policies.iter().map(|path| Ok(receipts::read_policy(path)?.sha256()));
    acceptance.policies = some_sorted(&policies.collect::<Result<Vec<_>, Failure>>()?);
    let bytes = acceptance.encode();
    // The reader has the rules for the names of checks.
    Acceptance::decode(&bytes).map_err(|error| {
        let hint = "the names of checks are those that `kapsule verify` prints";
        Failure::decode("no acceptance file can say this", &error, hint)
    })?;
    files::write(&context.ui, &args.output, &bytes)?;
    let file = args.output.display().to_string();
    if context.ui.json() {
        context.ui.object(&json!({
            "schema": "kapsule/cli-accept/1",
            "file": file,
            "level": acceptance.level.name(),
            "trust": acceptance.trust.map(|pin| pin.to_string()),
        }))?;
    } else {
        let pin = acceptance.trust.map(|pin| format!(", pinned trust file {pin}"));
        context.ui.say(&format!("wrote {file}{}", pin.unwrap_or_default()));
    }
    Ok(0)
}

fn some_sorted<T: Clone + Ord>(list: &[T]) -> Option<Vec<T>> {
    let sorted: BTreeSet<T> = list.iter().cloned().collect();
    (!sorted.is_empty()).then(|| sorted.into_iter().collect())
}
