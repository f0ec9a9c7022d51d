//! The agent of a home: told what came into the store since it last ran, with what it remembers.

use kapsule_format::capsule::kind;
use kapsule_format::cbor;
use kapsule_format::hash::sha256;
use kapsule_format::log::{Entry, EntryKind};
use kapsule_store::ProposalRow;

use super::{Asked, Desk, Input, Seen, run_within};
use crate::convert::agent::{File, Plan, input};
use crate::error::Failure;
use crate::{gather, opening, proposals};

/// Capsules that the agent is told of in one run; the limit of the package.
const EVENTS_MAX: u64 = 10_000;

/// What the agent came to.
pub(crate) struct Agent {
    /// Its last run.
    pub(crate) seen: Seen,
    /// How its goals stand.
    pub(crate) plan: Plan,
    /// Proposals of this call, in order.
    pub(crate) proposed: Vec<u64>,
}

/// Lets the agent run if anything came since, or if it is time for it to look again.
pub(crate) fn see(desk: &mut Desk<'_>) -> Result<Agent, Failure> {
    let rule = desk.rule(kind::AGENT)?;
    let settings = desk.settings(kind::AGENT)?;
    let file = File::read(&settings)?;
    let asked = Asked {
        kind: kind::AGENT,
        name: "agent",
        channel: None,
        reads: &[],
        reads_anywhere: &[],
        viewer: None,
        parts: vec![sha256(&settings)],
    };
    let basis = desk.basis(&asked, &rule)?;
    let mut proposed = Vec::new();
    let mut kept = desk.store.view().computed(asked.name, &asked.scope())?;
    loop {
        let from = kept.as_ref().map_or(0, |row| row.last);
        let came = desk.store.view().accepted_after(from, EVENTS_MAX)?;
        let (more, last) = (came.len() as u64 == EVENTS_MAX, came.last().map(|(last, _)| *last));
        if let Some(row) = &kept
            && last.is_none()
            && row.basis == basis
            && row.holds_at(desk.now_ms)
        {
            let seen = Seen { row: row.clone(), cached: proposed.is_empty(), proposed: Vec::new() };
            let plan = Plan::decode(&desk.output(&seen)?)?;
            return Ok(Agent { seen, plan, proposed });
        }
        let before = match kept.take() {
            Some(row) => {
                let seen = Seen { row, cached: true, proposed: Vec::new() };
                Some(desk.output(&seen)?)
            }
            None => None,
        };
        let rows: Vec<_> = came.into_iter().map(|(_, row)| row).collect();
        let mut items = desk.items(&rows)?.items;
        items.retain(|item| item.kind != kind::KEYRING);
        let now_ms = desk.now_ms;
        let value = input(&file, now_ms, gather::agent_events(&items), before.as_deref())?;
        let until_ms = now_ms.saturating_add(file.look_again_ms());
        let made = Input { now_ms, bytes: cbor::encode(&value), until_ms };
        // What waits has its part of the budget.
        let budget = rule.budget.saturating_sub(waiting_cost(desk)?);
        let mut seen =
            desk.compute(&asked, &rule, last.unwrap_or(from), &made, |_, session, rule, input| {
                run_within(session, &rule.target.entry, input, budget)
            })?;
        proposed.append(&mut seen.proposed);
        if !more {
            let plan = Plan::decode(&desk.output(&seen)?)?;
            return Ok(Agent { seen, plan, proposed });
        }
        kept = Some(seen.row);
    }
}

/// Returns what all proposals cost that nobody decided about.
fn waiting_cost(desk: &Desk<'_>) -> Result<u64, Failure> {
    let rows = desk.store.view().proposals(true)?;
    let costs = rows.iter().map(|row| proposals::decode(row).map(|proposal| proposal.cost));
    costs.sum()
}

/// Finds a proposal.
pub(crate) fn find(desk: &Desk<'_>, number: u64) -> Result<ProposalRow, Failure> {
    desk.store.view().proposal(number)?.ok_or_else(|| {
        let hint = "see the proposals with `kapsule agent list --all`";
        Failure::usage(format!("there is no proposal {number}"), hint)
    })
}

/// Decides about a proposal, and tells the log.
pub(crate) fn decide(
    desk: &mut Desk<'_>,
    row: &ProposalRow,
    decision: &str,
) -> Result<(), Failure> {
    let entry = Entry::new(EntryKind::ProposalDecided, opening::now_ms())
        .subject("proposal", sha256(&row.body))
        .datum("decision", decision)
        .datum("number", row.number.to_string());
    desk.store.write(|write| {
        let index = write.append(entry)?;
        Ok(write.decide(row.number, decision, index)?)
    })
}
