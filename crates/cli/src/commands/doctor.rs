//! `kapsule doctor`

use kapsule_store::{Damage, Place, Store};
use serde_json::{Value, json};

use super::log::verify::{damaged, line, read_vkey, to_json};
use crate::cli::Context;
use crate::error::{Done, Failure};
use crate::text::{facts, grouped};

const EXAMPLES: &str = "\
Examples:
  kapsule doctor
  kapsule doctor --vkey log.vkey --json";

/// Looks for damage in the store and the keys, and says what to do
///
/// Everything that can be recomputed is: the database, the log with its tree and checkpoints, every
/// capsule, result and file in quarantine, large values beside the database, and the key files.
/// Exits with the code of the first damage.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Verifier key of the log, or a file that holds it; without it the signatures of checkpoints
    /// are not looked at
    #[arg(long, value_name = "VKEY")]
    vkey: Option<String>,
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    let ui = &context.ui;
    let vkey = args.vkey.as_deref().map(read_vkey).transpose()?;
    let store = Store::open_damaged(&context.home()?.data())?;
    let progress = ui.begin("looking at every row, entry and file");
    let damage = store.check(vkey.as_ref())?;
    let keys = keys(context)?;
    progress.end(&format!("{} damaged places", damage.len() + keys.len()));
    let [capsules, results, quarantined] = store.view().counts()?;
    let pruned = store.view().pruned_count(None)?;
    let count = |place: Place| damage.iter().filter(|damage| damage.place == place).count();
    let told = [
        ("store", store.path().display().to_string()),
        ("database", verdict(count(Place::Database))),
        ("log", format!("{}, {} entries", verdict(count(Place::Log)), grouped(store.head()?.size))),
        (
            "capsules",
            format!(
                "{}, {} held, {} of them without their bodies",
                verdict(count(Place::Capsule)),
                grouped(capsules),
                grouped(pruned)
            ),
        ),
        ("results", format!("{}, {} kept", verdict(count(Place::Result)), grouped(results))),
        ("proposals", verdict(count(Place::Proposal))),
        ("storage of packages", verdict(count(Place::Storage))),
        (
            "quarantine",
            format!("{}, {} files", verdict(count(Place::Quarantine)), grouped(quarantined)),
        ),
        ("receipts", verdict(count(Place::Receipt))),
        ("large values", verdict(count(Place::Blob))),
        ("keys", verdict(keys.len())),
    ];
    if ui.json() {
        ui.object(&json!({
            "schema": "kapsule/doctor/1",
            "store": told[0].1,
            "entries": store.head()?.size.to_string(),
            "capsules": capsules.to_string(),
            "pruned": pruned.to_string(),
            "results": results.to_string(),
            "quarantined": quarantined.to_string(),
            "damage": damage.iter().map(to_json).collect::<Vec<Value>>(),
            "keys": keys.iter().map(Failure::to_json).collect::<Vec<Value>>(),
        }))?;
    } else {
        ui.text(&facts(&told))?;
    }
    report(&damage, keys)
}

fn verdict(damaged: usize) -> String {
    if damaged == 0 { "whole".to_owned() } else { format!("{damaged} damaged") }
}

/// Returns what is wrong with the key files.
fn keys(context: &Context) -> Result<Vec<Failure>, Failure> {
    let keys = context.keys()?;
    let looked = keys.names()?.into_iter().map(|name| keys.look(&name));
    Ok(looked.filter_map(Result::err).collect())
}

fn report(damage: &[Damage], keys: Vec<Failure>) -> Done {
    if let Some((first, others)) = damage.split_first() {
        let failure = others.iter().fold(damaged(first), |failure, one| failure.cause(line(one)));
        return Err(keys.iter().fold(failure, Failure::cause));
    }
    match keys.into_iter().next() {
        Some(failure) => Err(failure),
        None => Ok(0),
    }
}
