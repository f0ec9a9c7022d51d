//! The view of accounts: the transfers of all ledger capsules, applied to what the accounts first
//! held.

use kapsule_format::capsule::{CapsuleId, kind};
use kapsule_format::cbor::{self, Value};
use kapsule_format::hash::sha256;

use super::{Asked, Desk, Input, Made, Seen, at, changes, next_change, once};
use crate::convert::VERSION;
use crate::convert::ledger::{Ledger, opening};
use crate::dispatch::{self, Rule};
use crate::error::Failure;
use crate::gather::{self, Unfit};
use crate::session::Session;

/// Transactions of one run, the limit of the package; a batch gives what its parts give one after
/// the other.
const RUN_MAX: usize = 20_000;

/// Most ledger capsules that are looked at.
///
/// Chosen: their transfers take minutes and a gigabyte.
const CAPSULES_MAX: u64 = 1_000_000;

/// The accounts, with the transfers that led to them.
pub(crate) struct Accounts {
    /// The view.
    pub(crate) seen: Seen,
    /// Accounts and verdicts.
    pub(crate) ledger: Ledger,
}

/// Every transfer that a view looked at.
pub(crate) struct Transfers {
    /// The capsules, in the order in which they count.
    pub(crate) items: Vec<gather::Item>,
    /// Capsule and place of each transfer that has a verdict, in the order of these.
    pub(crate) places: Vec<(CapsuleId, usize)>,
    /// Those that have no form for the package.
    pub(crate) unfit: Vec<Unfit>,
}

/// Sees the accounts.
///
/// Capsules count in the order of their claimed times, and then of their ids, so that everybody who
/// holds the same capsules sees the same balances.
pub(crate) fn see(desk: &mut Desk<'_>) -> Result<Accounts, Failure> {
    let settings = dispatch::settings(&desk.home, kind::LEDGER)?;
    let accounts = opening(settings.as_deref())?;
    let asked = Asked {
        kind: kind::LEDGER,
        name: "ledger",
        channel: None,
        reads: &[kind::LEDGER],
        reads_anywhere: &[],
        viewer: None,
        parts: vec![sha256(&settings.unwrap_or_default())],
    };
    let seen = desk.see(
        &asked,
        |desk| {
            let items = items(desk)?;
            Ok(Box::new(move |now_ms| {
                let (input, _, _) = gather::transfer_input(&at(&items, now_ms), accounts.clone());
                let until_ms = next_change(now_ms, changes(&items));
                Ok(Input { now_ms, bytes: cbor::encode(&input), until_ms })
            }))
        },
        run,
    )?;
    let ledger = Ledger::decode(&desk.output(&seen)?)?;
    Ok(Accounts { seen, ledger })
}

/// Returns the transfers that a view was made of.
pub(crate) fn transfers(desk: &Desk<'_>, seen: &Seen) -> Result<Transfers, Failure> {
    let items = at(&items(desk)?, seen.row.now_ms);
    let (_, places, unfit) = gather::transfer_input(&items, Value::Array(Vec::new()));
    Ok(Transfers { items, places, unfit })
}

fn items(desk: &Desk<'_>) -> Result<Vec<gather::Item>, Failure> {
    let rows = desk.store.view().latest(None, None, kind::LEDGER, CAPSULES_MAX)?;
    let mut items = desk.items(&rows)?.items;
    items.sort_by_key(|item| (item.time_ms, item.id));
    Ok(items)
}

/// Runs the package as often as its limit demands, each run on the accounts that the one before
/// left; the output is that of one run over all.
fn run(
    desk: &Desk<'_>,
    session: &Session<'_>,
    rule: &Rule,
    input: &Input,
) -> Result<Made, Failure> {
    let Ok(Value::Map(fields)) = cbor::decode(&input.bytes) else {
        return once(desk, session, rule, input);
    };
    let [_, (_, accounts), (_, Value::Array(transactions))] = fields.as_slice() else {
        return once(desk, session, rule, input);
    };
    let (mut accounts, mut verdicts) = (accounts.clone(), Vec::new());
    let (mut fuel, mut outcome) = (0_u64, String::new());
    // Without transactions the accounts are looked at all the same.
    let parts = transactions.len().div_ceil(RUN_MAX).max(1);
    for part in 0..parts {
        let from = part * RUN_MAX;
        let upto = transactions.len().min(from + RUN_MAX);
        let own = Value::Array(transactions[from..upto].to_vec());
        let value = Value::Map(vec![(0, VERSION.into()), (1, accounts), (2, own)]);
        let own = Input { bytes: cbor::encode(&value), ..*input };
        let made = once(desk, session, rule, &own)?;
        let output = cbor::decode(&made.output).ok();
        let Some(Value::Map(mut output)) = output.filter(|_| Ledger::decode(&made.output).is_ok())
        else {
            return Err(Ledger::decode(&made.output).err().unwrap_or_else(|| {
                Failure::internal("an output was read twice and differs", "report this as a bug")
            }));
        };
        let Some((_, Value::Array(mut told))) = output.pop() else { return Ok(made) };
        verdicts.append(&mut told);
        accounts = output.pop().map_or(Value::Array(Vec::new()), |(_, accounts)| accounts);
        fuel = fuel.saturating_add(made.fuel);
        outcome = made.outcome;
    }
    let output = Value::Map(vec![(0, VERSION.into()), (1, accounts), (2, verdicts.into())]);
    Ok(Made { outcome, fuel, output: cbor::encode(&output), proposals: Vec::new() })
}
