//! `kapsule demo`

use std::path::PathBuf;

use serde_json::json;

use super::check_lines;
use super::run::{run_json, summary};
use crate::cli::Context;
use crate::convert::Name;
use crate::demo::{self, DemoHome, Receipted, Story, Typed};
use crate::error::Done;
use crate::interrupt;
use crate::text::{Align, cut, grouped, plain, table};
use crate::ui::Tone;

const EXAMPLES: &str = "\
Examples:
  kapsule demo
  kapsule demo --json
  kapsule demo --keep demo-home";

/// Rows that the text shows of each list; `--json` has all.
const ROWS: usize = 12;
/// Commands whose answer the text shows.
const TOLD: [&str; 3] = ["kapsule feed", "kapsule log", "kapsule doctor"];
/// Widest title in characters.
const TITLE_WIDTH: usize = 52;

/// Shows the whole flow on invented data, in a home that is removed at the end
///
/// Creates keys, packs, signs and verifies two packages, computes trust over a small graph, ranks a
/// small feed with those scores, shows a run that policy refuses, replays a run from its transcript
/// on the other engine, and issues a receipt of that run with its report; then it makes capsules of
/// the same data, takes them into a store, shows the feed over it, and verifies the log.
/// Needs no network, no files and no home.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Directory to create and keep, with keys, packages, trust file and transcript
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    interrupt::watch()?;
    let home = match &args.keep {
        Some(path) => DemoHome::kept(path)?,
        None => DemoHome::throwaway()?,
    };
    let story = demo::play(&context.ui, &home)?;
    if context.ui.json() {
        print_json(context, &story)?;
    } else {
        context.ui.text(&to_text(context, &story))?;
    }
    match args.keep {
        Some(_) => context.ui.say(&format!("kept {}", home.path().display())),
        None => context.ui.say("the throwaway home is removed"),
    }
    Ok(0)
}

fn to_text(context: &Context, story: &Story) -> String {
    let title = |words: &str| context.ui.paint(Tone::Strong, words);
    let (trust_ran, trust) = &story.trust;
    let rows = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
    let mut packages = vec![rows(&["package", "version", "bytes", "level", "capsule_hash"])];
    for packed in &story.packages {
        let bytes = grouped(packed.bytes as u64);
        let hash = packed.capsule_hash.to_string();
        packages.push(rows(&[
            &packed.name,
            &packed.version,
            &bytes,
            packed.level.name(),
            &hash[..16],
        ]));
    }
    let mut causes = story.refusal.causes.clone();
    causes.push(format!("hint: {}", story.refusal.hint));
    let refusal = causes.iter().map(|line| format!("  {line}\n")).collect::<String>();
    format!(
        "{}\n{}\n{}\n{}\n{}\n{}{}\n{}\n  {}\n{refusal}\n{}\n{}\n{}\n  {}\n\n{}\n{}\n{}\n{}",
        title("Packages, signed and verified"),
        table(&[Align::Left, Align::Left, Align::Right, Align::Left, Align::Left], &packages),
        title(&format!("Trust as {} sees it", plain(&trust.viewer.to_string()))),
        trust_table(story),
        title("Feed, ranked with that trust"),
        feed_table(story),
        hidden(story),
        title("A run that policy refuses: trust without its grant"),
        format_args!("{}: {}", story.refusal.kind, "not one instruction ran"),
        title("Runs"),
        run_table(story),
        title("Replay"),
        format_args!(
            "trust ran on {}, replayed from its transcript on {}: outcome, fuel, transcript and \
             output are identical",
            trust_ran.backend, story.replayed_on
        ),
        title("Receipt of the run of trust"),
        receipt_text(context, story),
        title("The same people in capsules: signed, encrypted, taken into a store with a log"),
        typed_text(story),
    )
}

/// Prints the commands, and what those at the end answered.
fn typed_text(story: &Story) -> String {
    let text = |typed: &Typed| {
        let told = TOLD.iter().any(|verb| typed.words.starts_with(verb));
        let lines = typed.text.lines().chain([typed.said.as_str()]);
        let lines = lines.filter(|line| told && !line.is_empty());
        let answer = lines.map(|line| format!("    {line}\n")).collect::<String>();
        format!("  $ {}\n{answer}", typed.words)
    };
    story.capsules.iter().map(text).collect()
}

fn receipt_text(context: &Context, story: &Story) -> String {
    let Receipted { id, bytes, report, backend } = &story.receipt;
    let bytes = grouped(*bytes as u64);
    let checks = check_lines(&context.ui, report);
    format!(
        "  {id}, {bytes} bytes, its run repeated on {backend}\n{checks}  level {}: a receipt that \
         submits to no policy is proof-only, whatever else is shown\n",
        report.level
    )
}

fn trust_table(story: &Story) -> String {
    let mut rows = vec![["#", "who", "score", ""].map(str::to_owned).to_vec()];
    let people = story.trust.1.rows.iter().zip(1..);
    let shown = people.filter(|(row, place)| *place <= ROWS || row.blocked);
    for (row, place) in shown {
        // The unit of a score is 10^-9.
        let percent = format!("{}.{:03} %", row.score / 10_000_000, row.score / 10_000 % 1_000);
        let state = if row.blocked { "blocked" } else { "" };
        let name = plain(&row.name.to_string());
        rows.push(vec![place.to_string(), name, percent, state.to_owned()]);
    }
    table(&[Align::Right, Align::Left, Align::Right, Align::Left], &rows)
}

fn feed_table(story: &Story) -> String {
    let head = ["#", "score", "author weight", "author", "title", ""];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for (row, place) in story.feed.rows.iter().zip(1..).take_while(|(_, place)| *place <= ROWS) {
        let mark = if story.feed.promoted.contains(&row.id) { "promoted" } else { "" };
        rows.push(vec![
            place.to_string(),
            millionths(row.score),
            millionths(row.author_ppm),
            plain(&row.author.to_string()),
            cut(&plain(&row.title), TITLE_WIDTH),
            mark.to_owned(),
        ]);
    }
    let columns = [Align::Right, Align::Right, Align::Right, Align::Left, Align::Left, Align::Left];
    table(&columns, &rows)
}

fn hidden(story: &Story) -> String {
    let line = |(_, title): &(Name, String)| {
        format!("hidden, its author is blocked: {}\n", cut(&plain(title), TITLE_WIDTH))
    };
    story.feed.hidden.iter().map(line).collect()
}

/// Prints a number of millionths with three places.
fn millionths(number: u64) -> String {
    format!("{}.{:03}", number / 1_000_000, number / 1_000 % 1_000)
}

fn run_table(story: &Story) -> String {
    let lines = [("trust", &story.trust.0), ("rank", &story.rank)];
    lines.map(|(name, ran)| format!("  {name:<6} {}\n", summary(ran))).concat()
}

fn print_json(context: &Context, story: &Story) -> Result<(), crate::error::Failure> {
    let step = |name: &str, mut object: serde_json::Value| {
        object["schema"] = "kapsule/cli-demo/1".into();
        object["step"] = name.into();
        context.ui.object(&object)
    };
    for packed in &story.packages {
        step(
            "package",
            json!({
                "name": packed.name,
                "version": packed.version,
                "bytes": packed.bytes.to_string(),
                "level": packed.level.name(),
                "capsule_hash": packed.capsule_hash.to_string(),
            }),
        )?;
    }
    step(
        "refused",
        json!({
            "name": "trust",
            "code": story.refusal.kind.to_string(),
            "message": story.refusal.message,
            "causes": story.refusal.causes,
            "hint": story.refusal.hint,
        }),
    )?;
    let (trust_ran, trust) = &story.trust;
    let people = trust.rows.iter().map(|row| {
        json!({
            "name": row.name.to_string(),
            "score_ppb": row.score.to_string(),
            "flow": row.flow.to_string(),
            "blocked": row.blocked,
        })
    });
    let people: Vec<_> = people.collect();
    let viewer = trust.viewer.to_string();
    step(
        "run",
        json!({ "name": "trust", "run": run_json(trust_ran), "viewer": viewer,
        "rows": people }),
    )?;
    step("run", rank_json(story))?;
    step(
        "replay",
        json!({
            "name": "trust",
            "ran_on": trust_ran.backend.name(),
            "replayed_on": story.replayed_on.name(),
            "identical": ["outcome", "fuel", "transcript", "output"],
        }),
    )?;
    step("receipt", receipt_json(&story.receipt))?;
    for typed in &story.capsules {
        step("command", json!({ "words": typed.words, "objects": typed.objects() }))?;
    }
    Ok(())
}

fn rank_json(story: &Story) -> serde_json::Value {
    let posts = story.feed.rows.iter().map(|row| {
        json!({
            "id": row.id.to_string(),
            "author": row.author.to_string(),
            "title": row.title,
            "score_ppm": row.score.to_string(),
            "author_ppm": row.author_ppm.to_string(),
            "promoted": story.feed.promoted.contains(&row.id),
        })
    });
    let posts: Vec<_> = posts.collect();
    let hidden: Vec<_> = story.feed.hidden.iter().map(|(id, _)| id.to_string()).collect();
    json!({ "name": "rank", "run": run_json(&story.rank), "rows": posts, "hidden": hidden })
}

fn receipt_json(receipt: &Receipted) -> serde_json::Value {
    let check = |check: &kapsule_format::verify::Check| {
        let code = check.result.code().map(|code| code.to_string());
        json!({ "name": check.name.name(), "result": check.result.name(), "code": code })
    };
    json!({
        "receipt_id": receipt.id.to_string(),
        "bytes": receipt.bytes.to_string(),
        "repeated_on": receipt.backend.name(),
        "level": receipt.report.level.name(),
        "checks": receipt.report.checks.iter().map(check).collect::<Vec<_>>(),
    })
}
