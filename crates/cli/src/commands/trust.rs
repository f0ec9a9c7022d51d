//! `kapsule trust`

use kapsule_format::Digest;
use serde_json::json;

use super::feed;
use crate::cli::Context;
use crate::convert::Name;
use crate::convert::rows::{Trust, TrustRow};
use crate::error::{Done, Failure};
use crate::text::{Align, facts, grouped, plain, table};
use crate::views::trust::{self, ViewerArgs};
use crate::views::{self, Desk, ViewArgs};

/// People that the text shows; `--json` has all.
const ROWS: usize = 20;

/// Least number of hex digits that may stand for an identity.
const PREFIX_DIGITS_MIN: usize = 8;

const EXAMPLES: &str = "\
Examples:
  kapsule trust --as alice
  kapsule trust bob.pub --as alice
  kapsule trust --as alice --json

The package that `kapsule dispatch set trust` chose computes it from all trust statements of the
store; write one with `kapsule post trust`. A score is the share of the viewer's trust that comes to
somebody, the flow what of it no made-up people can add to.";

/// Shows whom the viewer trusts, as computed from the statements of the store
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Only this person: a key of the home, the path of a `.pub` file, or 8 or more digits of an
    /// identity id
    key: Option<String>,
    #[command(flatten)]
    viewer: ViewerArgs,
    #[command(flatten)]
    view: ViewArgs,
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    let ui = &context.ui;
    let mut desk = Desk::open(context, &args.view)?;
    let viewer = args.viewer.find(context)?.ok_or_else(trust::no_viewer)?;
    let seen = trust::see(&mut desk, viewer)?;
    let trust = Trust::decode(&desk.output(&seen)?)?;
    let names = views::names(context)?;
    let label = |row: &TrustRow| match digest(&row.name).and_then(|id| names.get(&id)) {
        Some(name) => format!("{} ({})", row.name, plain(name)),
        None => row.name.to_string(),
    };
    let rows: Vec<(u64, &TrustRow)> = (1..).zip(&trust.rows).collect();
    let rows = match &args.key {
        Some(key) => vec![*find(context, key, &rows)?],
        None => rows,
    };
    if ui.json() {
        for (place, row) in &rows {
            ui.object(&json!({
                "schema": "kapsule/trust-row/1",
                "place": place,
                "identity": row.name.to_string(),
                "score_ppb": row.score.to_string(),
                "flow_ppm": row.flow.to_string(),
                "blocked": row.blocked,
            }))?;
        }
        ui.object(&json!({
            "schema": "kapsule/trust-view/1",
            "viewer": viewer.to_string(),
            "people": trust.rows.len().to_string(),
            "cached": seen.cached,
            "view": feed::to_json(&seen),
        }))?;
        return Ok(0);
    }
    if let (Some(_), [(place, row)]) = (&args.key, rows.as_slice()) {
        let state = if row.blocked { "blocked" } else { "not blocked" };
        ui.text(&facts(&[
            ("identity", label(row)),
            ("place", format!("{} of {}", grouped(*place), grouped(trust.rows.len() as u64))),
            ("score", percent(row.score)),
            ("flow", grouped(row.flow)),
            ("state", state.to_owned()),
        ]))?;
    } else {
        let mut lines = vec![["#", "score", "flow", "who", ""].map(String::from).to_vec()];
        lines.extend(rows.iter().take(ROWS).map(|(place, row)| {
            let state = if row.blocked { "blocked" } else { "" };
            let cells = [place.to_string(), percent(row.score), grouped(row.flow), label(row)];
            [&cells[..], &[state.to_owned()]].concat()
        }));
        let (right, left) = (Align::Right, Align::Left);
        ui.text(&table(&[right, right, right, left, left], &lines))?;
        let more = rows.len().saturating_sub(ROWS) as u64;
        if more > 0 {
            ui.say(&format!("and {} more; --json has all", grouped(more)));
        }
    }
    ui.say(if seen.cached { "nothing changed, and nothing ran" } else { "computed anew" });
    Ok(0)
}

/// Prints a score, whose unit is 10^-9.
fn percent(score: u64) -> String {
    format!("{}.{:03} %", score / 10_000_000, score / 10_000 % 1_000)
}

fn digest(name: &Name) -> Option<Digest> {
    match name {
        Name::Bytes(bytes) => Some(Digest::new(bytes.as_slice().try_into().ok()?)),
        _ => None,
    }
}

/// Finds the row of one person.
fn find<'r, 't>(
    context: &Context,
    key: &str,
    rows: &'r [(u64, &'t TrustRow)],
) -> Result<&'r (u64, &'t TrustRow), Failure> {
    let hex = key.len() >= PREFIX_DIGITS_MIN && key.bytes().all(|byte| byte.is_ascii_hexdigit());
    let wanted = match hex {
        true => key.to_ascii_lowercase(),
        false => trust::find(context, key)?.to_string(),
    };
    let mut found = rows.iter().filter(|(_, row)| row.name.to_string().starts_with(&wanted));
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => {
            let message = format!("no statement that the viewer's trust reaches names {key}");
            Err(Failure::usage(message, "see who is reached with `kapsule trust`"))
        }
        _ => Err(Failure::usage(format!("{key} names several people"), "give more digits")),
    }
}
