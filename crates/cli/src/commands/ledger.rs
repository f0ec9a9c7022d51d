//! `kapsule ledger`

use kapsule_format::capsule::Body;
use kapsule_format::manifest::Amount;
use serde_json::json;

use super::feed;
use crate::cli::Context;
use crate::convert::Name;
use crate::convert::ledger::Account;
use crate::error::{Done, Failure};
use crate::gather::Item;
use crate::text::{Align, grouped, plain, table};
use crate::views::ledger::{self, Accounts, Transfers};
use crate::views::{self, Desk, ViewArgs, trust};

/// Hex digits of an account that the table of transfers shows.
const DIGITS: usize = 16;

const EXAMPLES: &str = "\
Examples:
  kapsule ledger
  kapsule ledger alice
  kapsule ledger --json

The package that `kapsule dispatch set ledger` chose applies the transfers of all ledger capsules to
what the accounts first held (--settings there), in the order of their claimed times; write one with
`kapsule post ledger`. An account is a person: only who signed a capsule pays by it.";

/// Shows what accounts hold after all transfers of the store
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Only this account, with every transfer from or to it: a key of the home, the path of a
    /// `.pub` file, or an identity id
    account: Option<String>,
    #[command(flatten)]
    view: ViewArgs,
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    let ui = &context.ui;
    let mut desk = Desk::open(context, &args.view)?;
    let wanted = args.account.as_deref().map(|key| trust::find(context, key)).transpose()?;
    let wanted = wanted.map(|id| id.to_string());
    let Accounts { seen, ledger } = ledger::see(&mut desk)?;
    let names = views::names(context)?;
    let names: std::collections::BTreeMap<String, String> =
        names.into_iter().map(|(id, name)| (id.to_string(), name)).collect();
    let accounts: Vec<&Account> = ledger
        .accounts
        .iter()
        .filter(|account| wanted.as_ref().is_none_or(|one| account.name.to_string() == *one))
        .collect();
    let mut rows = vec![["account", "asset", "balance", "nonce"].map(String::from).to_vec()];
    for account in &accounts {
        let name = account.name.to_string();
        if ui.json() {
            let balance = |(asset, amount): &(Name, u64)| {
                let (asset, amount) = (asset.to_string(), amount.to_string());
                json!({ "asset": asset, "balance_millionths": amount })
            };
            ui.object(&json!({
                "schema": "kapsule/account/1",
                "account": name,
                "nonce": account.nonce.to_string(),
                "balances": account.balances.iter().map(balance).collect::<Vec<_>>(),
            }))?;
        }
        let label = names.get(&name).map_or_else(|| plain(&name), |own| plain(own));
        let nonce = account.nonce.to_string();
        for (asset, amount) in &account.balances {
            let asset = plain(&asset.to_string());
            rows.push(vec![label.clone(), asset, units(*amount), nonce.clone()]);
        }
        if account.balances.is_empty() {
            rows.push(vec![label, String::new(), "0".to_owned(), nonce]);
        }
    }
    let moved = match &wanted {
        Some(account) => transfers(context, &desk, &seen, &ledger, account)?,
        None => Vec::new(),
    };
    if ui.json() {
        ui.object(&json!({
            "schema": "kapsule/ledger/1",
            "accounts": accounts.len(),
            "transfers": ledger.verdicts.len().to_string(),
            "summary": ledger.summary(),
            "cached": seen.cached,
            "view": feed::to_json(&seen),
        }))?;
        return Ok(0);
    }
    let (right, left) = (Align::Right, Align::Left);
    ui.text(&table(&[left, left, right, right], &rows))?;
    if !moved.is_empty() {
        ui.text(&format!("\n{}", table(&[left, left, right, left, left, left], &moved)))?;
    }
    let count = grouped(ledger.verdicts.len() as u64);
    let ran = if seen.cached { "nothing changed, and nothing ran" } else { "computed anew" };
    let told = match ledger.verdicts.is_empty() {
        true => "no transfers".to_owned(),
        false => format!("{count} transfers: {}", ledger.summary()),
    };
    ui.say(&format!("{told}; {ran}"));
    Ok(0)
}

/// Lists the transfers of an account with their verdicts; `--json` prints them at once.
fn transfers(
    context: &Context,
    desk: &Desk<'_>,
    seen: &views::Seen,
    ledger: &crate::convert::ledger::Ledger,
    account: &str,
) -> Result<Vec<Vec<String>>, Failure> {
    let Transfers { items, places, unfit } = ledger::transfers(desk, seen)?;
    let told = places
        .iter()
        .enumerate()
        .map(|(at, (id, index))| ((*id, *index), ledger.verdict(at).to_owned()));
    let refused = unfit.into_iter().map(|one| ((one.id, one.index), one.reason));
    let verdicts: std::collections::BTreeMap<_, _> = told.chain(refused).collect();
    let head = ["from", "to", "amount", "asset", "verdict", "capsule"];
    let mut rows = vec![head.map(String::from).to_vec()];
    for item in &items {
        for (index, transfer) in bodies(item) {
            let (from, to) = (transfer.from.to_string(), transfer.to.to_string());
            if from != account && to != account {
                continue;
            }
            let verdict = verdicts.get(&(item.id, index)).cloned().unwrap_or_default();
            let asset = asset(item);
            if context.ui.json() {
                context.ui.object(&json!({
                    "schema": "kapsule/transfer/1",
                    "capsule": item.id.to_string(),
                    "index": index,
                    "from": from,
                    "to": to,
                    "amount": transfer.amount.to_string(),
                    "asset": asset,
                    "nonce": transfer.nonce.to_string(),
                    "verdict": verdict,
                }))?;
            }
            rows.push(vec![
                from[..DIGITS].to_owned(),
                to[..DIGITS].to_owned(),
                Amount::new(transfer.amount).to_string(),
                plain(asset),
                plain(&verdict),
                item.id.to_string()[..DIGITS].to_owned(),
            ]);
        }
    }
    Ok(rows)
}

fn bodies(item: &Item) -> impl Iterator<Item = (usize, &kapsule_format::capsule::Transfer)> {
    let transfers = match &item.body {
        Body::Ledger(ledger) => ledger.transfers.as_slice(),
        _ => &[],
    };
    transfers.iter().enumerate()
}

fn asset(item: &Item) -> &str {
    match &item.body {
        Body::Ledger(ledger) => &ledger.asset,
        _ => "",
    }
}

/// Prints a number of millionths as units.
fn units(millionths: u64) -> String {
    let (whole, rest) = (millionths / 1_000_000, millionths % 1_000_000);
    match rest {
        0 => grouped(whole),
        _ => format!("{}.{}", grouped(whole), format!("{rest:06}").trim_end_matches('0')),
    }
}
