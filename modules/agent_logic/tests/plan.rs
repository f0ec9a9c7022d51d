//! What follows from events, and which actions are chosen.

use agent_logic::{
    Action, Change, Condition, Event, Goal, Input, PROPOSALS_MAX, Rule, Side, State,
};
use kapsule_modules_common::Name;

use crate::support::{HOUR_MS, action, agent, event, goal, input, taken, verdicts};

#[test]
fn rules_learn_from_events_in_order() {
    let rule = |condition, change| Rule { conditions: vec![condition], changes: vec![change] };
    let rules = vec![
        rule(Condition::Kind("comment"), Change::Add("comments", 1)),
        rule(Condition::Author(Name::Text("bob")), Change::Set("bob", 7)),
        rule(Condition::Flag("urgent"), Change::Add("urgent", u64::MAX)),
        rule(Condition::AtLeast("size", 10), Change::Add("large", 1)),
        rule(Condition::Below("size", 10), Change::Add("small", 1)),
        Rule {
            conditions: vec![Condition::Kind("reply"), Condition::Flag("urgent")],
            changes: vec![Change::Subtract("comments", 1), Change::Subtract("bob", 99)],
        },
        // A rule without conditions holds for every event.
        Rule { conditions: vec![], changes: vec![Change::Add("events", 1)] },
    ];
    let events = vec![
        event("comment"),
        Event { author: Name::Text("bob"), fields: vec![("size", 10)], ..event("comment") },
        Event { fields: vec![("size", 9), ("other", 99)], ..event("note") },
        Event { flags: vec!["urgent"], ..event("reply") },
    ];
    let agent = agent_logic::Agent { rules, ..agent(vec![], vec![]) };
    let (output, _) = taken(Input { events, ..input(agent, &[]) });
    let facts: Vec<_> = output.state.facts.into_iter().collect();
    let expect = [
        ("comments", 1),
        ("events", 4),
        ("large", 1),
        ("small", 1),
        ("urgent", agent_logic::FACT_MAX),
    ];
    assert_eq!(facts, expect, "a fact that reaches 0 is gone");
}

#[test]
fn the_best_progress_for_its_cost_is_chosen_until_the_goal_is_expected() {
    let actions = vec![
        action("big", "fans", Side::Up, 100, 30),
        action("small", "fans", Side::Up, 4, 2),
        action("other", "debt", Side::Up, 100, 1),
        action("away", "fans", Side::Down, 100, 1),
    ];
    let chosen = |target| {
        let agent = agent(vec![goal("fans", Side::Up, target)], actions.clone());
        let (output, _) = taken(input(agent, &[("fans", 2)]));
        assert_eq!((output.goals[0].value, output.goals[0].expected), (2, true));
        verdicts(&output.rows)
    };
    assert_eq!(chosen(2), []);
    assert_eq!(chosen(6), [("small", 0)]);
    assert_eq!(chosen(11), [("small", 0), ("small", 0), ("small", 0)]);
    // Of 98 that are missing, 98 for 30 is more for the cost than 4 for 2.
    assert_eq!(chosen(100), [("big", 0)]);
    assert_eq!(chosen(106), [("big", 0), ("small", 0)]);
}

#[test]
fn goals_at_most_are_served_downwards() {
    let agent =
        agent(vec![goal("open", Side::Down, 1)], vec![action("answer", "open", Side::Down, 1, 1)]);
    let (output, _) = taken(input(agent, &[("open", 3)]));
    assert_eq!(verdicts(&output.rows), [("answer", 0), ("answer", 0)]);
    assert_eq!((output.goals[0].met, output.goals[0].expected), (false, true));
}

#[test]
fn the_goal_of_greater_priority_is_served_first() {
    let first = Goal { priority: 1, ..goal("a", Side::Up, 1) };
    let second = Goal { priority: 2, ..goal("b", Side::Up, 1) };
    let third = Goal { priority: 2, ..goal("c", Side::Up, 1) };
    let actions = ["a", "b", "c"].map(|name| action(name, name, Side::Up, 1, 40)).to_vec();
    let (output, _) = taken(input(agent(vec![first, second, third], actions), &[]));
    assert_eq!(verdicts(&output.rows), [("b", 0), ("c", 0), ("a", 1)]);
}

#[test]
fn needs_are_looked_up_in_what_is_known() {
    let needy = Action { needs: vec![("keys", 2)], ..action("open", "doors", Side::Up, 1, 1) };
    let with = |keys| {
        let agent = agent(vec![goal("doors", Side::Up, 1)], vec![needy.clone()]);
        verdicts(&taken(input(agent, &[("keys", keys)])).0.rows)
    };
    assert_eq!(with(1), []);
    assert_eq!(with(2), [("open", 0)]);
}

#[test]
fn what_is_pending_is_not_proposed_again() {
    let at = |now_ms, pending: &[(&'static str, u64)], settles: bool| {
        let rules = vec![Rule {
            conditions: vec![Condition::Kind("done")],
            changes: vec![Change::Settle("ask")],
        }];
        let base =
            agent(vec![goal("fans", Side::Up, 1)], vec![action("ask", "fans", Side::Up, 1, 1)]);
        let agent = agent_logic::Agent { rules, ..base };
        let state = State { pending: pending.to_vec(), ..State::default() };
        let events = if settles { vec![event("done")] } else { vec![] };
        taken(Input { now_ms, agent, state, events }).0.rows.len()
    };
    assert_eq!(at(HOUR_MS - 1, &[("ask", 0)], false), 0);
    assert_eq!(at(HOUR_MS, &[("ask", 0)], false), 1, "it was awaited long enough");
    assert_eq!(at(1, &[("ask", 0)], true), 1, "an event says that it is done");
    assert_eq!(at(1, &[("ask", 0), ("ask", 0)], true), 0, "one of two is done");
    assert_eq!(at(1, &[("gone", 0)], false), 1, "an action that there is no more");
}

#[test]
fn an_action_without_waiting_is_proposed_once_in_a_run() {
    let action = Action { wait_ms: 0, ..action("tell", "told", Side::Up, 1, 1) };
    let agent = agent(vec![goal("told", Side::Up, 9)], vec![action]);
    let (output, proposals) = taken(input(agent, &[]));
    assert_eq!((verdicts(&output.rows), proposals.len()), (vec![("tell", 0)], 1));
}

#[test]
fn a_run_makes_at_most_64_choices() {
    let mut agent =
        agent(vec![goal("a", Side::Up, u64::MAX)], vec![action("x", "a", Side::Up, 1, 0)]);
    agent.budget.proposals_max = u64::MAX;
    assert_eq!(taken(input(agent, &[])).0.rows.len(), PROPOSALS_MAX);
}
