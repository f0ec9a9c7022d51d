//! What the agent knows between runs.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::input::{Change, Condition, Event, Rule};

/// Greatest value of a fact, the last integer of KCBOR.
pub const FACT_MAX: u64 = (1 << 53) - 1;

/// What the agent carries from one run to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State<'a> {
    /// Facts other than 0.
    pub facts: BTreeMap<&'a str, u64>,
    /// When the period of the budget began, in milliseconds since 1970-01-01 UTC.
    pub period_ms: u64,
    /// Cost of the proposals in the period.
    pub spent: u64,
    /// Number of proposals in the period.
    pub proposed: u64,
    /// Actions that were proposed and whose effect is awaited, with the time of the proposal.
    pub pending: Vec<(&'a str, u64)>,
}

impl<'a> State<'a> {
    /// Returns a fact.
    #[must_use]
    pub fn fact(&self, name: &str) -> u64 {
        self.facts.get(name).copied().unwrap_or(0)
    }

    /// Applies every rule to an event, in their order.
    pub(crate) fn learn(&mut self, rules: &[Rule<'a>], event: &Event<'a>) {
        for rule in rules {
            if rule.conditions.iter().all(|condition| holds(condition, event)) {
                for change in &rule.changes {
                    self.change(change);
                }
            }
        }
    }

    fn change(&mut self, change: &Change<'a>) {
        let (name, value) = match *change {
            Change::Set(name, value) => (name, value),
            Change::Add(name, value) => (name, self.fact(name).saturating_add(value)),
            Change::Subtract(name, value) => (name, self.fact(name).saturating_sub(value)),
            Change::Settle(action) => {
                if let Some(place) = self.pending.iter().position(|(name, _)| *name == action) {
                    self.pending.remove(place);
                }
                return;
            }
        };
        match value.min(FACT_MAX) {
            0 => self.facts.remove(name),
            value => self.facts.insert(name, value),
        };
    }
}

fn holds(condition: &Condition<'_>, event: &Event<'_>) -> bool {
    match *condition {
        Condition::Kind(kind) => event.kind == kind,
        Condition::Author(author) => event.author == author,
        Condition::Flag(flag) => event.flags.contains(&flag),
        Condition::AtLeast(field, least) => {
            event.fields.iter().any(|(name, value)| *name == field && *value >= least)
        }
        Condition::Below(field, most) => {
            event.fields.iter().any(|(name, value)| *name == field && *value < most)
        }
    }
}
