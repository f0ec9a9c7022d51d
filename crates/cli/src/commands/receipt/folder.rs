//! `kapsule receipt list` and `kapsule receipt stats`

use std::path::PathBuf;

use kapsule_format::verify::ReceiptOptions;

use crate::cli::Context;
use crate::error::{Done, Failure};
use crate::opening::TrustArgs;
use crate::receipts::{PolicyArgs, folder};
use crate::storing;

const LIST_EXAMPLES: &str = "\
Examples:
  kapsule receipt list receipts
  kapsule receipt list receipts --csv > receipts.csv
  kapsule receipt list receipts --json
  kapsule receipt list";
const STATS_EXAMPLES: &str = "\
Examples:
  kapsule receipt stats receipts
  kapsule receipt stats receipts --json
  kapsule receipt stats";

/// Verifies every receipt of a folder, or of the store, and lists them
///
/// Each `.cap` file is a row with verdict, level, ids, outcome and fuel; a file that cannot be read
/// is a row that says so.
/// No nonce is compared; a policy under which a receipt was issued is enforced as by
/// `kapsule verify`.
/// The exit code is 0 whatever the verdicts are.
#[derive(Debug, clap::Args)]
#[command(after_help = LIST_EXAMPLES)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    folder: FolderArgs,
    /// Print CSV with a head line, ids in full
    #[arg(long, conflicts_with = "json")]
    csv: bool,
}

/// Counts what the receipts of a folder, or of the store, come to
///
/// Verdicts, levels, outcomes, packages and issuers are counted; so is the fuel.
/// Receipts of one requester (or issuer) and nonce are listed, since a job is paid once, and so are
/// receipts that claim two results of one job with the same answers: one of them is false.
#[derive(Debug, clap::Args)]
#[command(after_help = STATS_EXAMPLES)]
pub(crate) struct StatsArgs {
    #[command(flatten)]
    folder: FolderArgs,
}

/// Which receipts, and how they are verified.
#[derive(Debug, clap::Args)]
struct FolderArgs {
    /// Directory with receipts; without one those that `kapsule receipt keep` put into the store
    directory: Option<PathBuf>,
    #[command(flatten)]
    trust: TrustArgs,
    #[command(flatten)]
    policies: PolicyArgs,
}

impl FolderArgs {
    fn read(&self, context: &Context) -> Result<Vec<folder::Row>, Failure> {
        let verifier = self.trust.verifier()?;
        let mut asked = ReceiptOptions::default();
        self.policies.apply(context, &verifier, &mut asked)?;
        match &self.directory {
            Some(directory) => folder::read(directory, &verifier, &asked),
            None => folder::of_store(&storing::open(context)?, &verifier, &asked),
        }
    }
}

pub(super) fn list(context: &Context, args: &ListArgs) -> Done {
    let (ui, rows) = (&context.ui, args.folder.read(context)?);
    if rows.is_empty() {
        ui.say("no receipts are there; `kapsule receipt keep FILE` puts one into the store");
    }
    if ui.json() {
        rows.iter().try_for_each(|row| ui.object(&row.to_json()))?;
    } else if args.csv {
        ui.data(&folder::to_csv(&rows)?)?;
    } else {
        ui.text(&folder::to_table(&rows))?;
    }
    Ok(0)
}

pub(super) fn stats(context: &Context, args: &StatsArgs) -> Done {
    let (ui, rows) = (&context.ui, args.folder.read(context)?);
    let stats = folder::Totals::of(&rows);
    match ui.json() {
        true => ui.object(&stats.to_json(rows.len()))?,
        false => ui.text(&stats.to_text(rows.len()))?,
    }
    Ok(0)
}
