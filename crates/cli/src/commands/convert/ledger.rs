//! `kapsule convert ledger` and `kapsule convert balances`

use std::path::PathBuf;

use super::Table;
use crate::cli::Context;
use crate::convert::TABLE_BYTES_MAX;
use crate::convert::ledger::{self, Ledger};
use crate::error::Failure;
use crate::files::{self, INPUT_BYTES_MAX};
use crate::text::grouped;

const LEDGER_EXAMPLES: &str = "\
Examples:
  kapsule convert ledger journal.csv --opening opening.csv -o transfer.input";
const BALANCES_EXAMPLES: &str = "\
Examples:
  kapsule convert balances transfer.output";

/// Converts a journal to the input of the transfer package
///
/// Columns of the journal: transaction (a number; they are applied in its order), authors
/// (NAME:NONCE with spaces between, on any line of the transaction), account, asset, and either
/// debit or credit.
/// Columns of the opening balances: account, nonce, asset, balance.
#[derive(Debug, clap::Args)]
#[command(after_help = LEDGER_EXAMPLES)]
pub(crate) struct LedgerArgs {
    /// Journal to convert, `-` for stdin
    table: PathBuf,
    /// Opening balances; without it every account is empty
    #[arg(long, value_name = "FILE")]
    opening: Option<PathBuf>,
    /// File to write, `-` for stdout
    #[arg(long, short, value_name = "FILE", default_value = "-")]
    pub(super) output: PathBuf,
}

/// Converts the output of the transfer package to a table, and counts the verdicts
///
/// Columns: place, account, nonce, asset, balance; an account without balances has one row with
/// neither.
#[derive(Debug, clap::Args)]
#[command(after_help = BALANCES_EXAMPLES)]
pub(crate) struct BalancesArgs {
    /// Output of the transfer package, `-` for stdin
    file: PathBuf,
    /// File to write, `-` for stdout
    #[arg(long, short, value_name = "FILE", default_value = "-")]
    pub(super) output: PathBuf,
}

pub(super) fn convert(context: &Context, args: &LedgerArgs) -> Result<(Vec<u8>, u64), Failure> {
    let read = |path: &PathBuf| files::read(path, "table", TABLE_BYTES_MAX);
    let opening = args.opening.as_ref().map(read).transpose()?;
    let journal = read(&args.table)?;
    let progress = context.ui.begin(&format!("converting {}", files::name(&args.table)));
    let converted = ledger::convert(opening.as_deref(), &journal)?;
    progress.end(&format!("converted {} transactions", grouped(converted.records)));
    Ok((converted.bytes, converted.records))
}

pub(super) fn balances(context: &Context, args: &BalancesArgs) -> Result<(Vec<u8>, u64), Failure> {
    let bytes = files::read(&args.file, "transfer output", INPUT_BYTES_MAX)?;
    let progress = context.ui.begin(&format!("reading {}", files::name(&args.file)));
    let ledger = Ledger::decode(&bytes)?;
    progress.end(&ledger.summary());
    let mut table = Table::new(&["place", "account", "nonce", "asset", "balance"])?;
    for account in &ledger.accounts {
        let start = [account.name.to_string(), account.nonce.to_string()];
        if account.balances.is_empty() {
            table.row(&[start.as_slice(), &[String::new(), String::new()]].concat())?;
        }
        for (asset, balance) in &account.balances {
            table.row(&[start.as_slice(), &[asset.to_string(), balance.to_string()]].concat())?;
        }
    }
    table.finish()
}
