//! `kapsule convert capsules`

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::cli::Context;
use crate::convert::TABLE_BYTES_MAX;
use crate::convert::capsules::{self, Form};
use crate::error::{Done, Failure};
use crate::text::grouped;
use crate::{batch, files};

const EXAMPLES: &str = "\
Examples:
  kapsule convert capsules hn posts.csv -o posts
  kapsule convert capsules otc ratings.csv -o ratings
  kapsule convert capsules sms messages.tsv -o messages --jobs 1

Then: kapsule channel join posts/000000-keyring.kapsule --name posts";

/// Converts a table of real data to signed, encrypted capsules of a new public channel
///
/// `hn` makes a post of each line, `otc` a trust capsule of each author's ratings within 30 days,
/// `sms` a comment of each message.
/// The people in the tables have no keys: each gets one that anybody can derive from the name, and
/// every capsule has the flag `test:converted`, so such a signature says nothing about a person.
/// The channel is public and has a fresh key, so the bytes differ from call to call.
/// Files are numbered in order of their times, the keyring first.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CapsulesArgs {
    /// Form of the table
    form: Form,
    /// Table to convert, `-` for stdin
    table: PathBuf,
    /// Directory to write to, which is created
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
    /// Number of threads, by default one for each core
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
}

impl CapsulesArgs {
    /// Returns the directory to write to.
    pub(super) fn directory(&self) -> &Path {
        &self.output
    }
}

pub(super) fn run(context: &Context, args: &CapsulesArgs) -> Done {
    let table = files::read(&args.table, "table", TABLE_BYTES_MAX)?;
    batch::prepare(&args.output)?;
    let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let jobs = args.jobs.map_or_else(cores, NonZeroUsize::get);
    let progress = context.ui.begin(&format!("converting {}", files::name(&args.table)));
    let mut bytes = 0_u64;
    let made = capsules::convert(&table, args.form, jobs, |place, kind, file| {
        bytes += file.len() as u64;
        files::write_new(&args.output.join(format!("{place:06}-{kind}.kapsule")), file)
    })?;
    if crate::interrupt::requested() {
        return Err(Failure::interrupted("remove the directory and start again"));
    }
    let (records, count) = (grouped(made.records), grouped(made.capsules));
    let authors = grouped(made.authors);
    progress.end(&format!("{records} records are {count} capsules by {authors} derived keys"));
    if context.ui.json() {
        context.ui.object(&json!({
            "schema": "kapsule/cli-convert-capsules/1",
            "channel": made.channel.to_string(),
            "records": made.records.to_string(),
            "capsules": made.capsules.to_string(),
            "authors": made.authors.to_string(),
            "bytes": bytes.to_string(),
        }))?;
    } else {
        context.ui.text(&format!("{}\n", made.channel))?;
    }
    Ok(0)
}
