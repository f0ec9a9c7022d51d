//! The budget is never exceeded, whatever the goals ask for.

use agent_logic::{Budget, Input, Side, State, Verdict, evaluate, run};
use kapsule_guest::test_host::{self, TestHost};
use kapsule_guest::{Errno, Error, Proposal};
use proptest::prelude::*;

use crate::support::{HOUR_MS, action, agent, goal, input, refused, taken, verdicts};

#[test]
fn an_action_beyond_the_budget_is_refused_and_not_proposed() {
    let actions =
        vec![action("dear", "fans", Side::Up, 50, 101), action("cheap", "fans", Side::Up, 1, 60)];
    let agent = agent(vec![goal("fans", Side::Up, 50)], actions);
    let (output, proposals) = taken(input(agent, &[]));
    assert_eq!(verdicts(&output.rows), [("dear", 1), ("cheap", 0), ("cheap", 1)]);
    assert_eq!(proposals.iter().map(|proposal| proposal.cost).collect::<Vec<_>>(), [60]);
    assert_eq!((output.state.spent, output.state.proposed), (60, 1));
}

#[test]
fn the_number_of_proposals_is_limited_too() {
    let mut agent =
        agent(vec![goal("fans", Side::Up, 50)], vec![action("ask", "fans", Side::Up, 1, 0)]);
    agent.budget.proposals_max = 3;
    let (output, proposals) = taken(input(agent, &[]));
    assert_eq!(verdicts(&output.rows), [("ask", 0), ("ask", 0), ("ask", 0), ("ask", 1)]);
    assert_eq!(proposals.len(), 3);
}

#[test]
fn what_the_host_refuses_is_not_spent_and_not_awaited() {
    let actions = vec![action("a", "fans", Side::Up, 9, 1), action("b", "fans", Side::Up, 1, 1)];
    let output = refused(input(agent(vec![goal("fans", Side::Up, 5)], actions), &[]));
    assert_eq!(verdicts(&output.rows), [("a", 2), ("b", 2)]);
    assert_eq!((output.state.spent, output.state.pending.len()), (0, 0));
    assert!(!output.goals[0].expected);
}

#[test]
fn another_answer_of_the_host_ends_the_run() {
    let one = agent(vec![goal("a", Side::Up, 1)], vec![action("x", "a", Side::Up, 1, 1)]);
    let ended = evaluate(input(one, &[]), &mut |_| Err(Errno::Malformed));
    assert_eq!(ended.unwrap_err().code(), Error::HOST);
}

#[test]
fn a_period_ends_and_the_budget_is_whole_again() {
    let at = |now_ms, period_ms, spent| {
        let mut agent =
            agent(vec![goal("fans", Side::Up, 1)], vec![action("ask", "fans", Side::Up, 1, 60)]);
        agent.budget = Budget { period_ms: 10 * HOUR_MS, ..agent.budget };
        let state = State { period_ms, spent, proposed: 1, ..State::default() };
        let (output, _) = taken(Input { now_ms, state, ..input(agent, &[]) });
        (verdicts(&output.rows)[0].1, output.state.period_ms, output.state.spent)
    };
    assert_eq!(at(9 * HOUR_MS, 0, 60), (1, 0, 60), "within the period");
    assert_eq!(at(10 * HOUR_MS, 0, 60), (0, 10 * HOUR_MS, 60), "in the next");
    assert_eq!(at(37 * HOUR_MS, 5 * HOUR_MS, 60), (0, 35 * HOUR_MS, 60), "periods stay aligned");
    assert_eq!(
        at(1, 5 * HOUR_MS, 60),
        (1, 5 * HOUR_MS, 60),
        "a clock that goes back opens nothing"
    );
}

#[test]
fn the_entry_proposes_through_the_host() {
    // One goal of 2, one action of effect 1 and cost 3.
    let agent =
        b"\xa4\x00\x80\x01\x81\x85\x61g\x61f\x00\x02\x01\x02\x81\x87\x61a\x61f\x00\x01\x05\x80\
        \xa3\x00\x02\x01\x03\x02\x62hi\x03\x83\x0a\x09\x09";
    let bytes = [b"\xa5\x00\x01\x01\x05\x02".as_slice(), agent, b"\x03\xa0\x04\x80"].concat();
    let host = TestHost { proposals_max: 1, ..TestHost::default() };
    let (output, host) = test_host::with(host, || run(&bytes));
    assert_eq!(host.proposals, [b"\xa3\x00\x02\x01\x03\x02\x62hi"]);
    let expect = b"\xa4\x00\x01\x01\xa5\x00\x80\x01\x00\x02\x03\x03\x01\x04\x81\x82\x61a\x05\
        \x02\x82\x85\x61a\x61g\x03\x00\x00\x84\x61a\x61g\x03\x02\x03\x81\x84\x61g\x00\xf4\xf4";
    assert_eq!(output.unwrap(), expect);
    assert_eq!(host.logs.len(), 1);
}

proptest! {
    #[test]
    fn no_run_of_runs_exceeds_the_budget(
        goals in prop::collection::vec((0..3_usize, any::<bool>(), 0..40_u64, 0..3_u64), 1..5),
        actions in prop::collection::vec((0..3_usize, any::<bool>(), 1..9_u64, 0..60_u64), 0..6),
        answers in prop::collection::vec(any::<bool>(), 1..9),
        cost_max in 0..200_u64,
        proposals_max in 0..9_u64,
    ) {
        const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
        let side = |up| if up { Side::Up } else { Side::Down };
        let goals = goals.iter().zip(NAMES).map(|((fact, up, target, priority), name)| {
            let (target, priority) = (*target, *priority);
            agent_logic::Goal { name, fact: NAMES[*fact], side: side(*up), target, priority }
        });
        let actions = actions.iter().zip(NAMES).map(|((fact, up, effect, cost), name)| {
            action(name, NAMES[*fact], side(*up), *effect, *cost)
        });
        let mut agent = agent(goals.collect(), actions.collect());
        agent.budget = Budget { period_ms: 4 * HOUR_MS, cost_max, proposals_max };
        let (mut state, mut calls) = (State { facts: [("a", 20)].into(), ..State::default() }, 0);
        // The nine hours lie in three periods.
        let mut by_period = [(0_u64, 0_u64); 3];
        for hour in 0..9 {
            let (now_ms, agent) = (hour * HOUR_MS, agent.clone());
            let given = Input { now_ms, agent, state, events: vec![] };
            let mut costs = Vec::new();
            let output = evaluate(given, &mut |proposal: &Proposal| {
                calls += 1;
                match answers[calls % answers.len()] {
                    true => { costs.push(proposal.cost); Ok(costs.len() as u32 - 1) }
                    false => Err(Errno::Refused),
                }
            }).unwrap();
            let was_taken = |row: &&agent_logic::Row<'_>| {
                matches!(row.verdict, Verdict::Proposed(_))
            };
            let proposed = output.rows.iter().filter(was_taken);
            prop_assert_eq!(proposed.map(|row| row.cost).collect::<Vec<_>>(), costs.clone());
            let spent = &mut by_period[(hour / 4) as usize];
            spent.0 += costs.iter().sum::<u64>();
            spent.1 += costs.len() as u64;
            prop_assert!(spent.0 <= cost_max && spent.1 <= proposals_max, "{:?}", spent);
            prop_assert_eq!(*spent, (output.state.spent, output.state.proposed));
            // Nothing but events changes what the agent takes for true.
            prop_assert_eq!(output.state.fact("a"), 20);
            state = output.state;
        }
    }
}
