//! `kapsule feed`

use kapsule_format::capsule::{Body, CapsuleId};
use serde_json::{Value, json};

use crate::cli::Context;
use crate::convert::rows::RankRow;
use crate::convert::time;
use crate::error::{Done, Failure};
use crate::gather::Item;
use crate::text::{Align, cut, grouped, plain, table};
use crate::views::feed::{self, Feed, ROWS_MAX, capsule_id};
use crate::views::trust::ViewerArgs;
use crate::views::{self, Desk, Seen, ViewArgs};

/// Widest text in characters.
const TEXT_WIDTH: usize = 52;

/// Hex digits of an id that the table shows.
const DIGITS: usize = 16;

const EXAMPLES: &str = "\
Examples:
  kapsule dispatch set post rank.mod && kapsule feed
  kapsule feed --limit 5 --json
  kapsule feed --as alice

The package that `kapsule dispatch set post` chose puts the posts in order; where packages were
chosen for trust and comment too, it is told whom the viewer trusts, and what the rules hide is left
out. What they compute is kept in the store, and computed again only if something came that changes
it: new capsules, other packages or rules, other keys, or time that lets something expire.

The latest 50,000 posts are ranked, and the best 1,000 kept.";

/// Shows the posts of the store, ranked and filtered
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Channel: its name, its id, or 8 or more digits of the id; all channels by default
    #[arg(long, value_name = "CHANNEL")]
    channel: Option<String>,
    /// Most posts to show
    #[arg(long, value_name = "N", default_value_t = 20,
          value_parser = clap::value_parser!(u64).range(1..=ROWS_MAX))]
    limit: u64,
    #[command(flatten)]
    viewer: ViewerArgs,
    #[command(flatten)]
    view: ViewArgs,
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    let ui = &context.ui;
    let mut desk = Desk::open(context, &args.view)?;
    let channel = args.channel.as_deref().map(|name| desk.channel(name)).transpose()?;
    let feed = feed::see(&mut desk, channel, args.viewer.find(context)?)?;
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let shown: Vec<&RankRow> = feed.rank.trending.iter().take(limit).collect();
    let items = items(&desk, &shown)?;
    let names = views::names(context)?;
    let promoted: Vec<_> = feed.rank.promoted.iter().map(|row| &row.id).collect();
    let mut rows =
        vec![["#", "score", "by", "when", "text", "", "capsule"].map(String::from).to_vec()];
    for ((row, item), place) in shown.iter().zip(&items).zip(1_u64..) {
        let Some(item) = item else { continue };
        let verdict = feed.verdicts.get(&item.id);
        let promoted = promoted.contains(&&row.id);
        let by = item.author.to_string();
        if ui.json() {
            ui.object(&json!({
                "schema": "kapsule/feed-row/1",
                "place": place,
                "capsule": item.id.to_string(),
                "author": by,
                "time_ms": item.time_ms.to_string(),
                "text": text(item),
                "score_ppm": row.score.to_string(),
                "author_ppm": row.author_ppm.to_string(),
                "promoted": promoted,
                "verdict": verdict.map_or("show", |verdict| verdict.word()),
            }))?;
        }
        let labels = verdict.iter().flat_map(|verdict| &verdict.reasons);
        let mut marks: Vec<&str> = labels.map(|(label, _)| label.as_str()).collect();
        marks.extend(promoted.then_some("promoted"));
        rows.push(vec![
            place.to_string(),
            format!("{}.{:03}", row.score / 1_000_000, row.score / 1_000 % 1_000),
            names
                .get(item.author.digest())
                .map_or_else(|| by[..DIGITS].to_owned(), |name| plain(name)),
            time::minute(item.time_ms),
            cut(&plain(text(item).lines().next().unwrap_or_default()), TEXT_WIDTH),
            plain(&marks.join(", ")),
            item.id.to_string()[..DIGITS].to_owned(),
        ]);
    }
    let pruned = desk.store.view().pruned_count(channel.as_ref())?;
    finish(context, &feed, &rows, pruned)
}

fn text(item: &Item) -> &str {
    match &item.body {
        Body::Post(post) => &post.text,
        _ => "",
    }
}

/// Opens what is shown, in its order.
fn items(desk: &Desk<'_>, shown: &[&RankRow]) -> Result<Vec<Option<Item>>, Failure> {
    let ids: Vec<Option<CapsuleId>> = shown.iter().map(|row| capsule_id(&row.id)).collect();
    let mut rows = Vec::new();
    for id in ids.iter().flatten() {
        rows.extend(desk.store.view().capsule(id)?);
    }
    let opened = desk.items(&rows)?.items;
    let find = |id: &Option<CapsuleId>| opened.iter().find(|item| Some(item.id) == *id).cloned();
    Ok(ids.iter().map(find).collect())
}

fn finish(context: &Context, feed: &Feed, rows: &[Vec<String>], pruned: u64) -> Done {
    let ui = &context.ui;
    let hidden = feed.verdicts.values().filter(|verdict| verdict.word() == "hide").count() as u64;
    let blocked = feed.rank.hidden.len() as u64;
    let cached = feed.seen.iter().all(|(_, seen)| seen.cached);
    if ui.json() {
        let views = feed.seen.iter().map(|(name, seen)| ((*name).to_owned(), to_json(seen)));
        return ui
            .object(&json!({
                "schema": "kapsule/feed/1",
                "rows": rows.len() - 1,
                "hidden": hidden.to_string(),
                "blocked": blocked.to_string(),
                "pruned": pruned.to_string(),
                "cached": cached,
                "views": Value::Object(views.collect()),
            }))
            .map(|()| 0);
    }
    if rows.len() > 1 {
        let left = Align::Left;
        ui.text(&table(&[Align::Right, Align::Right, left, left, left, left, left], rows))?;
    } else {
        ui.say("there are no posts; `kapsule ingest` takes capsules in");
    }
    let mut words = match cached {
        true => "nothing changed since it was ranked, and nothing ran".to_owned(),
        false => {
            let ran = feed.seen.iter().filter(|(_, seen)| !seen.cached);
            let ran = ran.map(|(name, seen)| format!("{name} {}", grouped(seen.row.fuel)));
            format!("ranked anew; fuel of {}", ran.collect::<Vec<_>>().join(", "))
        }
    };
    for (count, why) in [
        (hidden, "hidden by the rules"),
        (blocked, "by people who are blocked"),
        (pruned, "capsules without their bodies left out"),
    ] {
        if count > 0 {
            words.push_str(&format!("; {} {why}", grouped(count)));
        }
    }
    ui.say(&words);
    Ok(0)
}

/// Returns what is known of a view.
pub(super) fn to_json(seen: &Seen) -> Value {
    let row = &seen.row;
    json!({
        "cached": seen.cached,
        "package": row.package.to_string(),
        "entry": row.entry_point,
        "input": row.input.to_string(),
        "output": row.output.to_string(),
        "outcome": row.outcome,
        "fuel_used": row.fuel.to_string(),
        "now_ms": row.now_ms.to_string(),
    })
}
