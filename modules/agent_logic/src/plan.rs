//! From goals to proposals.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use kapsule_guest::{Errno, Error, Proposal};

use crate::facts::{FACT_MAX, State};
use crate::input::{Action, Agent, Goal, Input, PENDING_MAX, Side};
use crate::output::{GoalRow, Output, Row, Verdict};

/// Greatest number of proposals of one run; chosen, whatever the budget says.
pub const PROPOSALS_MAX: usize = 64;

/// Learns from the events, and proposes what brings the goals nearer within the budget.
///
/// # Errors
/// Code [`Error::HOST`] if the host answers a proposal with anything but an index or a refusal.
pub fn evaluate<'a>(
    input: Input<'a>,
    propose: &mut dyn FnMut(&Proposal) -> Result<u32, Errno>,
) -> Result<Output<'a>, Error> {
    let Input { now_ms, agent, mut state, events } = input;
    begin_period(&mut state, &agent, now_ms);
    for event in &events {
        state.learn(&agent.rules, event);
    }
    let waits: BTreeMap<&str, u64> =
        agent.actions.iter().map(|action| (action.name, action.wait_ms)).collect();
    state.pending.retain(|(name, since_ms)| {
        waits.get(name).is_some_and(|wait| now_ms.saturating_sub(*since_ms) < *wait)
    });

    let mut plan =
        Plan { agent: &agent, now_ms, state, rows: Vec::new(), refused: BTreeSet::new() };
    let mut goals: Vec<&Goal<'a>> = agent.goals.iter().collect();
    // A stable order: of one priority, the first listed comes first.
    goals.sort_by_key(|goal| core::cmp::Reverse(goal.priority));
    for goal in goals {
        plan.serve(goal, propose)?;
    }
    let goals = agent.goals.iter().map(|goal| plan.row(goal)).collect();
    let Plan { state, rows, .. } = plan;
    Ok(Output { state, rows, goals })
}

/// Starts the budget anew where a period has ended.
fn begin_period(state: &mut State<'_>, agent: &Agent<'_>, now_ms: u64) {
    let period_ms = agent.budget.period_ms;
    let passed_ms = now_ms.saturating_sub(state.period_ms);
    if passed_ms >= period_ms {
        state.period_ms = now_ms - passed_ms % period_ms;
        state.spent = 0;
        state.proposed = 0;
    }
}

/// A plan being made.
struct Plan<'p, 'a> {
    agent: &'p Agent<'a>,
    now_ms: u64,
    state: State<'a>,
    rows: Vec<Row<'a>>,
    /// Actions that were refused in this run, by place.
    refused: BTreeSet<usize>,
}

impl<'a> Plan<'_, 'a> {
    /// Proposes actions for a goal until it is expected to be met or nothing is left.
    fn serve(
        &mut self,
        goal: &Goal<'a>,
        propose: &mut dyn FnMut(&Proposal) -> Result<u32, Errno>,
    ) -> Result<(), Error> {
        loop {
            let missing = missing(goal, self.expected(goal.fact));
            if missing == 0 || self.rows.len() >= PROPOSALS_MAX {
                return Ok(());
            }
            let Some(place) = self.best(goal, missing) else { return Ok(()) };
            let action = &self.agent.actions[place];
            let verdict = self.verdict(action, propose)?;
            match verdict {
                Verdict::Proposed(_) => {
                    self.state.spent += action.proposal.cost;
                    self.state.proposed += 1;
                    self.state.pending.push((action.name, self.now_ms));
                    if action.wait_ms == 0 {
                        // Nothing is awaited of it, so nothing would end the loop.
                        self.refused.insert(place);
                    }
                }
                Verdict::BeyondBudget | Verdict::Refused => {
                    self.refused.insert(place);
                }
            }
            let cost = action.proposal.cost;
            self.rows.push(Row { action: action.name, goal: goal.name, cost, verdict });
        }
    }

    /// Asks the budget first, and the host only for what is within it.
    fn verdict(
        &self,
        action: &Action<'a>,
        propose: &mut dyn FnMut(&Proposal) -> Result<u32, Errno>,
    ) -> Result<Verdict, Error> {
        let budget = &self.agent.budget;
        let spent = self.state.spent.saturating_add(action.proposal.cost);
        let full = self.state.proposed >= budget.proposals_max;
        if spent > budget.cost_max || full || self.state.pending.len() >= PENDING_MAX {
            return Ok(Verdict::BeyondBudget);
        }
        match propose(&action.proposal) {
            Ok(index) => Ok(Verdict::Proposed(index)),
            Err(Errno::Refused) => Ok(Verdict::Refused),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Returns what a fact will be once everything that is pending has had its effect.
    fn expected(&self, fact: &str) -> u64 {
        let (mut up, mut down) = (u128::from(self.state.fact(fact)), 0_u128);
        for (name, _) in &self.state.pending {
            let action = self.agent.actions.iter().find(|action| action.name == *name);
            match action.filter(|action| action.fact == fact) {
                Some(action) if action.side == Side::Up => up += u128::from(action.effect),
                Some(action) => down += u128::from(action.effect),
                None => {}
            }
        }
        up.saturating_sub(down).min(u128::from(FACT_MAX)) as u64
    }

    /// Returns the action that serves a goal best: most progress for its cost, then the cheaper
    /// one, then the first listed.
    fn best(&self, goal: &Goal<'a>, missing: u64) -> Option<usize> {
        let serves = |action: &Action<'a>| {
            action.fact == goal.fact
                && action.side == goal.side
                && action.needs.iter().all(|(fact, least)| self.state.fact(fact) >= *least)
        };
        let candidates = self.agent.actions.iter().enumerate();
        let candidates =
            candidates.filter(|(place, action)| !self.refused.contains(place) && serves(action));
        let better = |one: &Action<'a>, other: &Action<'a>| {
            let worth = |action: &Action<'a>| u128::from(action.effect.min(missing));
            let cost = |action: &Action<'a>| u128::from(action.proposal.cost);
            let by_worth = (worth(other) * cost(one)).cmp(&(worth(one) * cost(other)));
            by_worth.then(cost(one).cmp(&cost(other)))
        };
        // Of equal ones, the first.
        candidates.min_by(|(_, one), (_, other)| better(one, other)).map(|(place, _)| place)
    }

    fn row(&self, goal: &Goal<'a>) -> GoalRow<'a> {
        let value = self.state.fact(goal.fact);
        let met = missing(goal, value) == 0;
        let expected = missing(goal, self.expected(goal.fact)) == 0;
        GoalRow { name: goal.name, value, met, expected }
    }
}

/// Returns how far a value is from a goal.
const fn missing(goal: &Goal<'_>, value: u64) -> u64 {
    match goal.side {
        Side::Up => goal.target.saturating_sub(value),
        Side::Down => value.saturating_sub(goal.target),
    }
}
