//! `kapsule convert`

mod agent;
mod capsules;
mod compose;
mod ledger;
mod sms;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::cli::Context;
use crate::convert::rows::{self, Rank, Trust};
use crate::convert::{Name, Setting, TABLE_BYTES_MAX, hn, otc};
use crate::error::{Done, Failure};
use crate::files::{self, INPUT_BYTES_MAX};
use crate::text::grouped;

const OTC_EXAMPLES: &str = "\
Examples:
  kapsule convert otc ratings.csv --viewer ada -o trust.input
  kapsule convert otc ratings.csv --viewer ada --set damping_ppm=800000 -o trust.input

Parameters: damping_ppm, share_cap_ppm, node_credit, block_share_ppm.";
const HN_EXAMPLES: &str = "\
Examples:
  kapsule convert hn posts.csv -o rank.input
  kapsule convert hn posts.csv --trust trust.output --set rows_max=50 -o rank.input

Parameters: half_life_ms, promoted_half_life_ms, point_weight_ppm, comment_weight_ppm,
vote_weight_ppm, trust_floor_ppm, author_factor_ppm, domain_factor_ppm, flagged_factor_ppm,
rows_max, promoted_trust_min_ppm.";
const SCORES_EXAMPLES: &str = "\
Examples:
  kapsule convert scores trust.output
  kapsule convert scores trust.output --top 3 -o scores.csv";
const FEED_EXAMPLES: &str = "\
Examples:
  kapsule convert feed rank.output
  kapsule convert feed rank.output --posts posts.csv --top 3";

/// Converts tables to inputs of the standard packages, and their outputs back to tables
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Otc(OtcArgs),
    Hn(HnArgs),
    Scores(ScoresArgs),
    Feed(FeedArgs),
    Ledger(ledger::LedgerArgs),
    Balances(ledger::BalancesArgs),
    Sms(sms::SmsArgs),
    Verdicts(sms::VerdictsArgs),
    Agent(agent::AgentArgs),
    Plan(agent::PlanArgs),
    Compose(compose::ComposeArgs),
    Capsules(capsules::CapsulesArgs),
}

/// Converts ratings in the form of the Bitcoin OTC data set to the input of the trust package
///
/// Columns: source, target, rating (1 to 10 trust, -10 to -1 a block), time in seconds since 1970;
/// a header line is skipped.
/// Names of plain digits become numbers, others text.
#[derive(Debug, clap::Args)]
#[command(after_help = OTC_EXAMPLES)]
pub(crate) struct OtcArgs {
    /// Table to convert, `-` for stdin
    table: PathBuf,
    /// Whose trust is computed
    #[arg(long, value_name = "NAME")]
    viewer: Name,
    /// Parameter of the module as NAME=VALUE; may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE")]
    settings: Vec<Setting>,
    /// File to write, `-` for stdout
    #[arg(long, short, value_name = "FILE", default_value = "-")]
    output: PathBuf,
}

/// Converts posts in the form of the Hacker News data set to the input of the rank package
///
/// The first line names the columns id, title, url, num_points, num_comments, author, created_at
/// (month/day/year hour:minute, UTC) and, if wanted, flags and votes (words with spaces between).
/// The time of the ranking is that of the newest post unless `--now` says otherwise.
#[derive(Debug, clap::Args)]
#[command(after_help = HN_EXAMPLES)]
pub(crate) struct HnArgs {
    /// Table to convert, `-` for stdin
    table: PathBuf,
    /// Output of the trust package; without it every author has full weight
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// Time of the ranking in ms since 1970
    #[arg(long, value_name = "MS")]
    now: Option<u64>,
    /// Parameter of the module as NAME=VALUE; may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE")]
    settings: Vec<Setting>,
    /// File to write, `-` for stdout
    #[arg(long, short, value_name = "FILE", default_value = "-")]
    output: PathBuf,
}

/// Converts the output of the trust package to a table
///
/// Columns: place, name, score in 10^-9, flow in millionths, blocked.
#[derive(Debug, clap::Args)]
#[command(after_help = SCORES_EXAMPLES)]
pub(crate) struct ScoresArgs {
    /// Output of the trust package, `-` for stdin
    file: PathBuf,
    /// Write only the first rows
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    /// File to write, `-` for stdout
    #[arg(long, short, value_name = "FILE", default_value = "-")]
    output: PathBuf,
}

/// Converts the output of the rank package to a table
///
/// Columns: place, post, score in millionths, factor of the author in millionths, and with
/// `--posts` author and title.
#[derive(Debug, clap::Args)]
#[command(after_help = FEED_EXAMPLES)]
pub(crate) struct FeedArgs {
    /// Output of the rank package, `-` for stdin
    file: PathBuf,
    /// Table that the posts came from, for author and title
    #[arg(long, value_name = "FILE")]
    posts: Option<PathBuf>,
    /// Write only the first rows
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    /// File to write, `-` for stdout
    #[arg(long, short, value_name = "FILE", default_value = "-")]
    output: PathBuf,
}

pub(super) fn run(context: &Context, command: &Command) -> Done {
    if let Command::Capsules(args) = command {
        return capsules::run(context, args);
    }
    let (bytes, records) = convert(context, command)?;
    let output = output(command);
    files::write(&context.ui, output, &bytes)?;
    if context.ui.json() {
        context.ui.object(&report(output, &bytes, records))?;
    }
    Ok(0)
}

/// Returns the file that a conversion writes.
fn output(command: &Command) -> &Path {
    match command {
        Command::Otc(args) => &args.output,
        Command::Hn(args) => &args.output,
        Command::Scores(args) => &args.output,
        Command::Feed(args) => &args.output,
        Command::Ledger(args) => &args.output,
        Command::Balances(args) => &args.output,
        Command::Sms(args) => &args.output,
        Command::Verdicts(args) => &args.output,
        Command::Agent(args) => &args.output,
        Command::Plan(args) => &args.output,
        Command::Compose(args) => &args.output,
        Command::Capsules(args) => args.directory(),
    }
}

/// Returns the converted bytes and the number of records.
fn convert(context: &Context, command: &Command) -> Result<(Vec<u8>, u64), Failure> {
    let output = output(command);
    files::check_writable(output)?;
    if context.ui.json() && files::is_dash(output) {
        let hint = "name a file with -o";
        return Err(Failure::usage("--json and `-o -` both need stdout", hint));
    }
    match command {
        Command::Otc(args) => otc(context, args),
        Command::Hn(args) => hn(context, args),
        Command::Scores(args) => scores(args),
        Command::Feed(args) => feed(args),
        Command::Ledger(args) => ledger::convert(context, args),
        Command::Balances(args) => ledger::balances(context, args),
        Command::Sms(args) => sms::convert(context, args),
        Command::Verdicts(args) => sms::verdicts(context, args),
        Command::Agent(args) => agent::convert(context, args),
        Command::Plan(args) => agent::plan(context, args),
        Command::Compose(args) => compose::convert(context, args),
        // Many files, which `run` has written already.
        Command::Capsules(_) => Ok((Vec::new(), 0)),
    }
}

fn report(output: &Path, bytes: &[u8], records: u64) -> Value {
    json!({
        "schema": "kapsule/cli-convert/1",
        "file": output.display().to_string(),
        "records": records.to_string(),
        "bytes": bytes.len().to_string(),
        "sha256": kapsule_format::hash::sha256(bytes).to_string(),
    })
}

fn otc(context: &Context, args: &OtcArgs) -> Result<(Vec<u8>, u64), Failure> {
    let table = files::read(&args.table, "table", TABLE_BYTES_MAX)?;
    let progress = context.ui.begin(&format!("converting {}", files::name(&args.table)));
    let converted = otc::convert(&table, &args.viewer, &args.settings)?;
    progress.end(&format!("converted {} statements", grouped(converted.records)));
    Ok((converted.bytes, converted.records))
}

fn hn(context: &Context, args: &HnArgs) -> Result<(Vec<u8>, u64), Failure> {
    let table = files::read(&args.table, "table", TABLE_BYTES_MAX)?;
    let trust = match &args.trust {
        Some(path) => {
            let bytes = files::read(path, "trust output", INPUT_BYTES_MAX)?;
            Some(rows::trust_value(&bytes)?)
        }
        None => None,
    };
    let options = hn::Options { now_ms: args.now, trust, settings: &args.settings };
    let progress = context.ui.begin(&format!("converting {}", files::name(&args.table)));
    let converted = hn::convert(&table, &options)?;
    progress.end(&format!("converted {} posts", grouped(converted.records)));
    Ok((converted.bytes, converted.records))
}

fn scores(args: &ScoresArgs) -> Result<(Vec<u8>, u64), Failure> {
    let trust = Trust::decode(&files::read(&args.file, "trust output", INPUT_BYTES_MAX)?)?;
    let mut table = Table::new(&["place", "name", "score_ppb", "flow_ppm", "blocked"])?;
    for row in trust.rows.iter().take(args.top.unwrap_or(usize::MAX)) {
        table.row(&[
            row.name.to_string(),
            row.score.to_string(),
            row.flow.to_string(),
            row.blocked.to_string(),
        ])?;
    }
    table.finish()
}

fn feed(args: &FeedArgs) -> Result<(Vec<u8>, u64), Failure> {
    let rank = Rank::decode(&files::read(&args.file, "rank output", INPUT_BYTES_MAX)?)?;
    let titles = match &args.posts {
        Some(path) => Some(hn::titles(&files::read(path, "table", TABLE_BYTES_MAX)?)?),
        None => None,
    };
    let mut head = vec!["place", "post", "score_ppm", "author_ppm"];
    if titles.is_some() {
        head.extend(["author", "title"]);
    }
    let mut table = Table::new(&head)?;
    for row in rank.trending.iter().take(args.top.unwrap_or(usize::MAX)) {
        let mut cells = vec![row.id.to_string(), row.score.to_string(), row.author_ppm.to_string()];
        if let Some(titles) = &titles {
            let (title, author) = titles.get(&row.id).ok_or_else(|| {
                let hint = "name the table that was ranked";
                let code = kapsule_abi::ErrorCode::FactsConflict;
                Failure::new(code, format!("post {} is not in the table", row.id), hint)
            })?;
            cells.extend([author.to_string(), title.clone()]);
        }
        table.row(&cells)?;
    }
    table.finish()
}

/// A table being written.
struct Table {
    writer: csv::Writer<Vec<u8>>,
    rows: u64,
}

impl Table {
    fn new(head: &[&str]) -> Result<Self, Failure> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(head).map_err(unwritten)?;
        Ok(Self { writer, rows: 0 })
    }

    /// Writes a row after its place.
    fn row(&mut self, cells: &[String]) -> Result<(), Failure> {
        self.rows += 1;
        let place = self.rows.to_string();
        let record = std::iter::once(place.as_str()).chain(cells.iter().map(String::as_str));
        self.writer.write_record(record).map_err(unwritten)
    }

    fn finish(self) -> Result<(Vec<u8>, u64), Failure> {
        Ok((self.writer.into_inner().map_err(unwritten)?, self.rows))
    }
}

fn unwritten(error: impl ToString) -> Failure {
    Failure::internal("the table cannot be written", "report this as a bug").cause(error)
}
