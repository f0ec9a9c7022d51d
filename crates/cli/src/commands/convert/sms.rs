//! `kapsule convert sms` and `kapsule convert verdicts`

use std::path::PathBuf;

use super::Table;
use crate::cli::Context;
use crate::convert::TABLE_BYTES_MAX;
use crate::convert::sms::{self, Measured, Part, Verdict};
use crate::error::Failure;
use crate::files::{self, INPUT_BYTES_MAX};
use crate::text::grouped;

const SMS_EXAMPLES: &str = "\
Examples:
  kapsule convert sms messages.tsv --rules rules.toml -o blocklist.input
  kapsule convert sms messages.tsv --rules rules.toml --part second -o blocklist.input";
const VERDICTS_EXAMPLES: &str = "\
Examples:
  kapsule convert verdicts blocklist.output
  kapsule convert verdicts blocklist.output --messages messages.tsv -o verdicts.csv";

/// Converts labelled messages to the input of the blocklist package
///
/// The table has a header, and in each line `ham` or `spam`, a tab and a message, as the SMS Spam
/// Collection has them. The labels stay behind: the module does not see them.
#[derive(Debug, clap::Args)]
#[command(after_help = SMS_EXAMPLES)]
pub(crate) struct SmsArgs {
    /// Table to convert, `-` for stdin
    table: PathBuf,
    /// Rule file, in the form of `examples/data/sms-rules.toml`
    #[arg(long, value_name = "FILE")]
    rules: PathBuf,
    /// Take only one half: rules are fitted to the first and measured on the second
    #[arg(long, value_name = "HALF")]
    part: Option<Part>,
    /// File to write, `-` for stdout
    #[arg(long, short, value_name = "FILE", default_value = "-")]
    pub(super) output: PathBuf,
}

/// Converts the output of the blocklist package to a table
///
/// Columns: place, item, action (show, warn or hide), labels as NAME=SCORE in millionths.
/// With `--messages` precision and recall are printed as well.
#[derive(Debug, clap::Args)]
#[command(after_help = VERDICTS_EXAMPLES)]
pub(crate) struct VerdictsArgs {
    /// Output of the blocklist package, `-` for stdin
    file: PathBuf,
    /// Table that the items came from, with their labels
    #[arg(long, value_name = "FILE")]
    messages: Option<PathBuf>,
    /// File to write, `-` for stdout
    #[arg(long, short, value_name = "FILE", default_value = "-")]
    pub(super) output: PathBuf,
}

pub(super) fn convert(context: &Context, args: &SmsArgs) -> Result<(Vec<u8>, u64), Failure> {
    let table = files::read(&args.table, "table", TABLE_BYTES_MAX)?;
    let rules = files::read(&args.rules, "rule file", TABLE_BYTES_MAX)?;
    let progress = context.ui.begin(&format!("converting {}", files::name(&args.table)));
    let converted = sms::convert(&table, &rules, args.part)?;
    progress.end(&format!("converted {} messages", grouped(converted.records)));
    Ok((converted.bytes, converted.records))
}

pub(super) fn verdicts(context: &Context, args: &VerdictsArgs) -> Result<(Vec<u8>, u64), Failure> {
    let bytes = files::read(&args.file, "blocklist output", INPUT_BYTES_MAX)?;
    let verdicts = Verdict::decode(&bytes)?;
    if let Some(path) = &args.messages {
        let table = files::read(path, "table", TABLE_BYTES_MAX)?;
        for line in Measured::of(&verdicts, &table)?.lines() {
            context.ui.begin("measuring").end(&line);
        }
    }
    let mut table = Table::new(&["place", "item", "action", "labels"])?;
    for verdict in &verdicts {
        let label = |(label, score): &(String, u64)| format!("{label}={score}");
        let labels: Vec<String> = verdict.reasons.iter().map(label).collect();
        table.row(&[verdict.id.to_string(), verdict.word().to_owned(), labels.join(" ")])?;
    }
    table.finish()
}
