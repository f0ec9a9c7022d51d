//! `agent_logic`: what it proposes reaches the host, within the budgets of both.

use std::path::Path;

use kapsule_abi::Outcome;
use kapsule_engine::{Act, MemoryHost};
use kapsule_format::cbor::{Value, decode};
use kapsule_meter::Profile;
use kapsule_testkit::StandardModule;

/// Three copies are wanted at 10 each, and the agent's own budget is 25.
fn scenario() -> Vec<u8> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/module_agent_logic");
    std::fs::read(corpus.join("accept-beyond-the-budget")).unwrap()
}

/// Returns the verdicts of an output: 0 proposed, 1 beyond the agent's budget, 2 refused.
fn verdicts(output: &[u8]) -> Vec<Value> {
    let Value::Map(fields) = decode(output).unwrap() else { panic!("an output is a map") };
    let Value::Array(rows) = &fields[2].1 else { panic!("rows are an array") };
    let verdict = |row: &Value| match row {
        Value::Array(items) => items[3].clone(),
        other => panic!("a row is no {other:?}"),
    };
    rows.iter().map(verdict).collect()
}

#[test]
fn both_budgets_hold_on_both_backends() {
    let module = StandardModule::load("agent_logic", Profile::Integer1, &["propose"]);
    for (budget, taken, expect) in
        [(1_000, 2, [0_u64, 0, 1].as_slice()), (20, 2, &[0, 0, 1]), (19, 1, &[0, 2]), (9, 0, &[2])]
    {
        let host = MemoryHost { budget, ..MemoryHost::default() };
        let run = module.run(&scenario(), &host);
        assert_eq!(run.outcome, Outcome::Completed(0), "{:?}", run.logs);
        let expect: Vec<Value> = expect.iter().map(|verdict| (*verdict).into()).collect();
        assert_eq!(verdicts(&run.output), expect, "a host's budget of {budget}");
        let proposals = &run.effects.proposals;
        assert_eq!(proposals.len(), taken, "a host's budget of {budget}");
        let is_run = |act: &Act| matches!(act, Act::Run { input, .. } if input == b"copy");
        assert!(proposals.iter().all(|proposal| proposal.cost == 10 && is_run(&proposal.act)));
    }
}
