//! Short ways to write agents, and a host that counts.

use agent_logic::{
    Action, Agent, Budget, Event, Goal, Input, Output, Row, Side, State, Verdict, evaluate,
};
use kapsule_guest::{Act, Errno, Proposal};
use kapsule_modules_common::Name;

pub(crate) const HOUR_MS: u64 = 3_600_000;

pub(crate) fn goal(name: &'static str, side: Side, target: u64) -> Goal<'static> {
    Goal { name, fact: name, side, target, priority: 1 }
}

/// An action that moves a fact by `effect` for `cost`, whose effect is awaited for an hour.
pub(crate) fn action(
    name: &'static str,
    fact: &'static str,
    side: Side,
    effect: u64,
    cost: u64,
) -> Action<'static> {
    let proposal = Proposal { cost, act: Act::Notify { text: name.into() } };
    Action { name, fact, side, effect, wait_ms: HOUR_MS, needs: Vec::new(), proposal }
}

pub(crate) fn agent(goals: Vec<Goal<'static>>, actions: Vec<Action<'static>>) -> Agent<'static> {
    let budget = Budget { period_ms: 24 * HOUR_MS, cost_max: 100, proposals_max: 10 };
    Agent { rules: Vec::new(), goals, actions, budget }
}

pub(crate) fn event(kind: &'static str) -> Event<'static> {
    Event { kind, author: Name::Text("ada"), flags: Vec::new(), fields: Vec::new() }
}

pub(crate) fn input(agent: Agent<'static>, facts: &[(&'static str, u64)]) -> Input<'static> {
    let state = State { facts: facts.iter().copied().collect(), ..State::default() };
    Input { now_ms: 5 * HOUR_MS, agent, state, events: Vec::new() }
}

/// Evaluates with a host that takes everything, and returns the proposals too.
pub(crate) fn taken(input: Input<'static>) -> (Output<'static>, Vec<Proposal>) {
    let mut proposals = Vec::new();
    let output = evaluate(input, &mut |proposal| {
        proposals.push(proposal.clone());
        Ok(proposals.len() as u32 - 1)
    });
    (output.unwrap(), proposals)
}

/// Evaluates with a host that refuses everything.
pub(crate) fn refused(input: Input<'static>) -> Output<'static> {
    evaluate(input, &mut |_| Err(Errno::Refused)).unwrap()
}

/// Actions with what became of them: 0 proposed, 1 beyond the budget, 2 refused.
pub(crate) fn verdicts(rows: &[Row<'static>]) -> Vec<(&'static str, u8)> {
    let number = |row: &Row<'static>| match row.verdict {
        Verdict::Proposed(_) => 0,
        Verdict::BeyondBudget => 1,
        Verdict::Refused => 2,
    };
    rows.iter().map(|row| (row.action, number(row))).collect()
}
