//! `kapsule analyze`

use std::path::PathBuf;

use clap::ValueEnum;
use kapsule_engine::MemoryHost;
use kapsule_format::cbor::{self, Value};
use kapsule_format::encrypt::Identities;
use kapsule_format::hash::Digest;
use kapsule_format::key::IdentityId;
use serde_json::json;

use super::batch::Jobs;
use crate::analysis::{self, Row, Summary};
use crate::channels::Channels;
use crate::cli::Context;
use crate::closure::PackageArgs;
use crate::convert::{rows, sms};
use crate::error::{Done, Failure};
use crate::execute::{self, Engine, Ran, Request};
use crate::files::{self, INPUT_BYTES_MAX};
use crate::gather::{self, Item};
use crate::grants::GrantArgs;
use crate::judging::Question;
use crate::opening::TrustArgs;
use crate::reading::{self, Keys, Reading};
use crate::session::{Session, SessionArgs};
use crate::text::{Align, cut, facts, grouped, plain, table};
use crate::ui::Ui;
use crate::{batch, interrupt};

/// Rows that are printed; `--csv` and `--json` have all.
const ROWS_SHOWN: usize = 10;
/// Refused files that are named.
const NAMED_REFUSALS: usize = 10;

const EXAMPLES: &str = "\
Examples:
  kapsule analyze capsules --module rank.mod
  kapsule analyze capsules --module rank.mod --csv scores.csv --svg charts
  kapsule analyze capsules --module blocklist.mod --rules rules.toml --json
  kapsule analyze capsules --module hello.mod --form capsule

The directory is read as it is; nothing is stored, and no store is needed. Capsules are verified and
opened with the keys of this home and of its channels, and with keyrings among the files.

The form says how the module is given the capsules. `rank`, `blocklist` and `trust` are the inputs
of the standard modules, which then run once over all of them; `capsule` runs the module once for
each, on [id, author, time_ms, kind, flags, body] in CBOR, and takes an output that is a CBOR
integer as the score. Without --form the name of the package decides. `trust` needs
--grant trust.graph and a --viewer, `blocklist` needs --rules.

The exit code is 0 if the module completed; files that are refused are named and counted.";

/// Runs a module over a directory of capsules and counts what it says
///
/// Prints the capsules by kind, the module's verdicts, and the distribution of its scores; writes
/// every row as CSV and charts as SVG where asked to.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Directory with `.kapsule` files
    directory: PathBuf,
    /// Package to run
    #[arg(long, value_name = "FILE")]
    module: PathBuf,
    /// How the module is given the capsules
    #[arg(long, value_name = "FORM")]
    form: Option<Form>,
    /// Time of the analysis in ms since 1970; by default the latest that a capsule claims
    #[arg(long, value_name = "MS")]
    now: Option<u64>,
    /// Whose view `trust` takes: an identity id
    #[arg(long, value_name = "ID", value_parser = decode_viewer)]
    viewer: Option<IdentityId>,
    /// Rule file for `blocklist`, in the form of `examples/data/sms-rules.toml`
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// Output of the trust package, for `rank`
    #[arg(long, value_name = "FILE")]
    scores: Option<PathBuf>,
    /// File for every row: subject, label, score
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Directory for the charts `scores.svg` and `activity.svg`
    #[arg(long, value_name = "DIR")]
    svg: Option<PathBuf>,
    /// Engine; the result is the same on each
    #[arg(long, value_name = "ENGINE", default_value = "auto")]
    engine: Engine,
    /// Capsules that are opened, and modules that run, at the same time; by default one for each
    /// core
    #[arg(long, value_name = "N")]
    jobs: Option<Jobs>,
    #[command(flatten)]
    grants: GrantArgs,
    #[command(flatten)]
    trust: TrustArgs,
    #[command(flatten)]
    packages: PackageArgs,
}

/// How a module is given capsules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// All posts at once, as `rank` takes them
    Rank,
    /// All posts and comments at once, as `blocklist` takes them
    Blocklist,
    /// All trust statements at once, as `trust` takes them
    Trust,
    /// One capsule in each run
    Capsule,
}

fn decode_viewer(text: &str) -> Result<IdentityId, String> {
    text.parse::<Digest>().map(IdentityId::new).map_err(|error| error.to_string())
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    args.csv.iter().try_for_each(|path| files::check_writable(path))?;
    let jobs = Jobs::number(args.jobs);
    let reading = read(context, args, jobs)?;
    warn(&context.ui, &reading);
    let session = SessionArgs::of_module(&args.module, &args.grants, &args.trust, &args.packages);
    let (form, rows) = session.open(context, args.engine, |session| {
        let form = args.form.unwrap_or_else(|| Form::of(&session));
        let rows = match form {
            Form::Capsule => each(context, args, &session, &reading.items, jobs)?,
            whole => at_once(&context.ui, args, whole, &session, &reading.items)?,
        };
        Ok((form, rows))
    })?;
    finish(context, args, form, &reading, &rows)
}

/// Reads and opens the directory with every key of this home and of its channels.
fn read(context: &Context, args: &Args, jobs: usize) -> Result<Reading, Failure> {
    let held = args.trust.identities.read()?;
    let unlocked = args.trust.identities.unlock(&held)?;
    let mut epochs = Identities::default();

    if let Ok(home) = context.home() {
        for channel in Channels::of(&home).list()? {
            epochs.extend(channel.identities()?);
        }
    }

    let keys = [Some(&epochs), Some(&held.open), unlocked].into_iter().flatten().collect();
    reading::directory(&context.ui, &args.directory, Keys::new(keys), jobs)
}

fn warn(ui: &Ui, reading: &Reading) {
    for (name, error) in reading.refused.iter().take(NAMED_REFUSALS) {
        ui.warn(&format!("{} is refused: {error}", plain(name)));
    }
    let more = reading.refused.len().saturating_sub(NAMED_REFUSALS);
    if more > 0 {
        ui.warn(&format!("{more} more files are refused; --json names all"));
    }
    if reading.closed > 0 {
        let closed = grouped(reading.closed);
        ui.warn(&format!("no key here opens {closed} capsules; they are not analysed"));
    }
}

impl Form {
    /// The form that a standard module takes, or one run for each capsule.
    fn of(session: &Session<'_>) -> Self {
        let name = &session.opened.package.manifest().name;
        Self::from_str(name, false).unwrap_or(Self::Capsule)
    }

    /// Returns the input for all capsules at once.
    fn input(self, args: &Args, items: &[Item], now_ms: u64) -> Result<Value, Failure> {
        Ok(match self {
            Self::Rank => {
                let scores = args.scores.as_deref();
                let scores = scores.map(|path| {
                    rows::trust_value(&files::read(path, "trust output", INPUT_BYTES_MAX)?)
                });
                gather::rank_input(items, now_ms, scores.transpose()?, usize::MAX)
            }
            Self::Blocklist => {
                let path = args.rules.as_deref().ok_or_else(|| {
                    let hint = "name a rule file with --rules";
                    Failure::usage("blocklist needs rules", hint)
                })?;
                let rules = files::read(path, "rule file", INPUT_BYTES_MAX)?;
                gather::blocklist_input(items, now_ms, sms::rules_value(&rules)?)
            }
            Self::Trust => {
                let viewer = args.viewer.ok_or_else(|| {
                    let hint = "name an identity id with --viewer; `kapsule key list` shows yours";
                    Failure::usage("trust needs a viewer", hint)
                })?;
                gather::trust_input(items, viewer, now_ms)
            }
            Self::Capsule => {
                return Err(Failure::internal(
                    "one input for all capsules was asked for where each has its own",
                    "report it",
                ));
            }
        })
    }

    /// Reads an output for all capsules at once.
    fn rows(self, output: &[u8]) -> Result<Vec<Row>, Failure> {
        match self {
            Self::Rank => analysis::rank_rows(output),
            Self::Blocklist => analysis::blocklist_rows(output),
            Self::Trust => analysis::trust_rows(output),
            Self::Capsule => Ok(Vec::new()),
        }
    }
}

/// Runs the module once over everything, a filter over parts where one run cannot take all.
fn at_once(
    ui: &Ui,
    args: &Args,
    form: Form,
    session: &Session<'_>,
    items: &[Item],
) -> Result<Vec<Row>, Failure> {
    let latest = items.iter().map(|item| item.time_ms).max().unwrap_or(0);
    let now_ms = args.now.unwrap_or(latest);
    let input = form.input(args, items, now_ms)?;
    if form == Form::Blocklist {
        let entry = &session.opened.package.manifest().exec.entry;
        return form.rows(&Question::of(now_ms, input).ask(ui, session, entry)?.output);
    }
    let input = cbor::encode(&input);
    let request = Request { input: &input, ..session.request };
    let progress = ui.begin(&format!("running {}", session.name));
    let mut host = session.host()?;
    let ran = interrupt::during(ui, || session.loaded.run(&request, &mut host))?;
    interrupt::check()?;
    progress.end(&super::run_summary(&ran));
    match execute::outcome_failure(session.name, &ran) {
        Some(failure) => Err(failure),
        None => form.rows(&ran.run.output),
    }
}

/// Runs the module once for each capsule.
fn each(
    context: &Context,
    args: &Args,
    session: &Session<'_>,
    items: &[Item],
    jobs: usize,
) -> Result<Vec<Row>, Failure> {
    let request = &session.request;
    let fuel = request.policy.limits.fuel;
    let ready = session.loaded.compile(args.engine, fuel.saturating_mul(items.len() as u64))?;
    let what = format!("running {} over {} capsules", session.name, items.len());
    let progress = context.ui.begin_counted(&what, items.len() as u64);
    let work = |index: usize| -> Result<Row, Failure> {
        let item = &items[index];
        let input = gather::capsule_input(item).map_err(|error| {
            let hint = "report it; the capsule was decoded from these bytes";
            Failure::decode(format!("the body of {} has no form", item.id), &error, hint)
        })?;
        let request = Request { input: &input, ..*request };
        let host =
            || MemoryHost { now_ms: args.now.unwrap_or(item.time_ms), ..session.memory.clone() };
        Ok(row(item, &ready.run(&request, host)?))
    };
    let mut rows = Vec::new();
    batch::in_order(items.len(), jobs, work, |_, row| {
        progress.advance();
        rows.push(row?);
        Ok::<(), Failure>(())
    })?;
    interrupt::check()?;
    progress.end(&format!("{} runs", grouped(rows.len() as u64)));
    Ok(rows)
}

fn row(item: &Item, ran: &Ran) -> Row {
    let score = match cbor::decode(&ran.run.output) {
        Ok(Value::Uint(score)) => Some(score),
        _ => None,
    };
    Row { subject: item.id.to_string(), label: ran.run.outcome.to_string(), score }
}

/// Writes what was asked for, and prints the counts.
fn finish(context: &Context, args: &Args, form: Form, reading: &Reading, rows: &[Row]) -> Done {
    let ui = &context.ui;
    let summary = Summary::of(&reading.items, rows);
    if let Some(path) = &args.csv {
        files::write(ui, path, &csv(rows)?)?;
    }
    if let Some(directory) = &args.svg {
        batch::prepare(directory)?;
        for (name, chart) in summary.charts()? {
            files::write(ui, &directory.join(name), chart.as_bytes())?;
        }
    }
    if ui.json() {
        let mut object = summary.to_json();
        let refused = reading.refused.iter().map(|(name, error)| {
            json!({ "file": name, "code": error.code.to_string(), "reason": error.to_string() })
        });
        let row = |row: &Row| {
            let score = row.score.map(|score| score.to_string());
            json!({ "subject": row.subject, "label": row.label, "score": score })
        };
        object["schema"] = "kapsule/cli-analyze/1".into();
        object["refused"] = refused.collect();
        object["closed"] = reading.closed.into();
        object["repeated"] = reading.repeated.into();
        object["rows"] = rows.iter().map(row).collect();
        ui.object(&object)?;
    } else {
        ui.text(&words(form, reading, rows, &summary))?;
    }
    Ok(0)
}

fn csv(rows: &[Row]) -> Result<Vec<u8>, Failure> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let written = writer.write_record(["subject", "label", "score"]).and_then(|()| {
        rows.iter().try_for_each(|row| {
            let score = row.score.map(|score| score.to_string()).unwrap_or_default();
            writer.write_record([&row.subject, &row.label, &score])
        })
    });
    let refused = |error: String| Failure::internal("the table cannot be written", error);
    written.map_err(|error| refused(error.to_string()))?;
    writer.into_inner().map_err(|error| refused(error.to_string()))
}

fn words(form: Form, reading: &Reading, rows: &[Row], summary: &Summary) -> String {
    let counted = |counts: &std::collections::BTreeMap<String, u64>| {
        let parts =
            counts.iter().map(|(name, count)| format!("{} {}", grouped(*count), plain(name)));
        parts.collect::<Vec<_>>().join(", ")
    };
    let mut lines = vec![
        ("capsules", counted(&summary.kinds)),
        ("authors", grouped(summary.authors)),
        ("refused", grouped(reading.refused.len() as u64)),
        ("not opened", grouped(reading.closed)),
    ];
    if let Some((first, last)) = &summary.days {
        lines.push(("days", format!("{first} to {last}")));
    }
    lines.push(("verdicts", counted(&summary.labels)));
    if let Some([least, first, median, third, greatest]) = summary.quartiles {
        let five = [least, first, median, third, greatest].map(grouped).join(", ");
        lines.push(("scores", format!("{five} (least, quartiles, greatest)")));
    }
    let mut text = facts(&lines);
    let mut best: Vec<&Row> = rows.iter().filter(|row| row.score.is_some()).collect();
    if form != Form::Rank {
        // What `rank` says is in order already.
        best.sort_by(|one, other| {
            other.score.cmp(&one.score).then(one.subject.cmp(&other.subject))
        });
    }
    if !best.is_empty() {
        let mut shown = vec![["subject", "label", "score"].map(String::from).to_vec()];
        shown.extend(best.iter().take(ROWS_SHOWN).map(|row| {
            let score = row.score.map(grouped).unwrap_or_default();
            vec![cut(&row.subject, 64), plain(&row.label), score]
        }));
        text.push('\n');
        text.push_str(&table(&[Align::Left, Align::Left, Align::Right], &shown));
    }
    text
}
