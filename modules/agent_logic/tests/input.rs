//! Inputs: every field, and each refusal.

use agent_logic::{Action, Change, Condition, Input, LIMIT_ERROR, NAME_ERROR, Side};
use kapsule_guest::minicbor::bytes::ByteArray;
use kapsule_guest::{Act, Error, Proposal};
use kapsule_modules_common::Name;

const BUDGET: &[u8] = b"\x03\x83\x01\x02\x03";

/// An input whose agent has these rules, goals and actions.
fn with(rules: &[u8], goals: &[u8], actions: &[u8]) -> Vec<u8> {
    let head = b"\xa4\x00\x01\x01\x09\x02\xa4\x00".as_slice();
    [head, rules, b"\x01", goals, b"\x02", actions, BUDGET, b"\x04\x80"].concat()
}

/// A list of one action with this proposal.
fn proposing(proposal: &[u8]) -> Vec<u8> {
    [b"\x81\x87\x61a\x61f\x01\x02\x03\x81\x82\x61n\x04".as_slice(), proposal].concat()
}

#[test]
fn decodes_every_field() {
    let rules =
        b"\x81\x82\x85\x82\x00\x61k\x82\x01\x07\x82\x02\x61f\x83\x03\x61s\x05\x83\x04\x61s\x06\
        \x84\x83\x00\x61x\x01\x83\x01\x61y\x02\x83\x02\x61z\x03\x82\x03\x61a";
    let goals = b"\x81\x85\x61g\x61f\x00\x02\x01";
    let bytes = with(rules, goals, &proposing(b"\xa3\x00\x02\x01\x05\x02\x62hi"));
    let input = Input::decode(&bytes).unwrap();
    let rule = &input.agent.rules[0];
    let conditions = [
        Condition::Kind("k"),
        Condition::Author(Name::Number(7)),
        Condition::Flag("f"),
        Condition::AtLeast("s", 5),
        Condition::Below("s", 6),
    ];
    assert_eq!(rule.conditions, conditions);
    let changes =
        [Change::Set("x", 1), Change::Add("y", 2), Change::Subtract("z", 3), Change::Settle("a")];
    assert_eq!(rule.changes, changes);
    let goal = input.agent.goals[0];
    assert_eq!(
        (goal.name, goal.fact, goal.side, goal.target, goal.priority),
        ("g", "f", Side::Up, 2, 1)
    );
    let proposal = Proposal { cost: 5, act: Act::Notify { text: "hi".into() } };
    let (needs, side) = (vec![("n", 4)], Side::Down);
    let action = Action { name: "a", fact: "f", side, effect: 2, wait_ms: 3, needs, proposal };
    assert_eq!(input.agent.actions, [action]);
    let budget = input.agent.budget;
    assert_eq!((budget.period_ms, budget.cost_max, budget.proposals_max), (1, 2, 3));
}

#[test]
fn decodes_state_and_events() {
    let agent = b"\xa4\x00\x80\x01\x80\x02\x80\x03\x83\x01\x02\x03";
    let state = b"\xa5\x00\x81\x82\x61f\x05\x01\x01\x02\x02\x03\x03\x04\x81\x82\x61a\x04";
    let events = b"\x81\x84\x61k\x07\x81\x61f\x81\x82\x61s\x08";
    let head = b"\xa5\x00\x01\x01\x09\x02".as_slice();
    let bytes = [head, agent, b"\x03", state, b"\x04", events].concat();
    let input = Input::decode(&bytes).unwrap();
    let state = &input.state;
    assert_eq!((state.fact("f"), state.period_ms, state.spent, state.proposed), (5, 1, 2, 3));
    assert_eq!(state.pending, [("a", 4)]);
    let event = &input.events[0];
    assert_eq!((event.kind, event.author), ("k", Name::Number(7)));
    assert_eq!((event.flags.as_slice(), event.fields.as_slice()), (&["f"][..], &[("s", 8)][..]));
}

#[test]
fn decodes_each_kind_of_proposal() {
    let hash = [b"\x58\x20".as_slice(), &[7; 32]].concat();
    let publish =
        [b"\xa7\x00\x00\x01\x05\x02\x61k\x03".as_slice(), &hash, b"\x04\x81", &hash].concat();
    let publish = [publish.as_slice(), b"\x05\x81\x61f\x06\x42hi"].concat();
    let run = [b"\xa5\x00\x01\x01\x05\x02".as_slice(), &hash, b"\x03\x61e\x04\x41i"].concat();
    let seven = || ByteArray::from([7; 32]);
    let acts = [
        Act::Publish {
            kind: "k".into(),
            channel: Some(seven()),
            parents: vec![seven()],
            flags: vec!["f".into()],
            body: b"hi".to_vec().into(),
        },
        Act::Run { package: seven(), entry: "e".into(), input: b"i".to_vec().into() },
    ];
    for (bytes, act) in [publish, run].into_iter().zip(acts) {
        let given = with(b"\x80", b"\x80", &proposing(&bytes));
        let proposal = Input::decode(&given).unwrap().agent.actions.remove(0).proposal;
        assert_eq!(proposal, Proposal { cost: 5, act });
        // It is handed to the host in the bytes in which it was given.
        assert_eq!(kapsule_guest::minicbor::to_vec(&proposal).unwrap(), bytes);
    }
}

#[test]
fn refuses_with_its_code() {
    let many = |head: &[u8], count: usize| [head, &vec![0; count]].concat();
    let rule = |condition: &[u8], change: &[u8]| {
        let rules = [b"\x81\x82\x81".as_slice(), condition, b"\x81", change].concat();
        with(&rules, b"\x80", b"\x80")
    };
    let set = b"\x83\x00\x61x\x01";
    let kind = b"\x82\x00\x61k";
    assert!(Input::decode(&rule(kind, set)).is_ok());
    for (bytes, expect) in [
        (b"".to_vec(), Error::INPUT),
        (b"\xa1\x00\x01".to_vec(), Error::INPUT),
        (b"\xa3\x00\x01\x01\x09\x04\x80".to_vec(), Error::INPUT),
        (b"\xa3\x00\x01\x01\x09\x02\xa0".to_vec(), Error::INPUT),
        (rule(b"\x82\x05\x61k", set), Error::INPUT),
        (rule(b"\x81\x00", set), Error::INPUT),
        (rule(b"\x82\x00\x60", set), Error::INPUT),
        (rule(kind, b"\x82\x00\x61x"), Error::INPUT),
        (rule(kind, b"\x83\x04\x61x\x01"), Error::INPUT),
        (with(b"\x80", b"\x81\x85\x61g\x61f\x02\x02\x01", b"\x80"), Error::INPUT),
        (with(b"\x80", b"\x80", &proposing(b"\xa2\x00\x02\x01\x05")), Error::INPUT),
        (with(b"\x80", b"\x80", &proposing(b"\xa2\x00\x02\x02\x61k")), Error::INPUT),
        (with(b"\x80", b"\x80", &proposing(b"\xa1\x01\x05")), Error::INPUT),
        (with(b"\x80", b"\x80", &proposing(b"\xa3\x00\x03\x01\x05\x02\x61k")), Error::INPUT),
        (with(b"\x80", b"\x80", &proposing(b"\xa3\x00\x01\x01\x05\x02\x41k")), Error::INPUT),
        (with(&many(b"\x99\x01\x01", 257), b"\x80", b"\x80"), LIMIT_ERROR),
        (with(b"\x80", &many(b"\x98\x41", 65), b"\x80"), LIMIT_ERROR),
        (with(b"\x80", b"\x80", &many(b"\x99\x01\x01", 257)), LIMIT_ERROR),
        (rule(kind, b"\x82\x03\x61x"), NAME_ERROR),
        (
            with(
                b"\x80",
                &[b"\x82".as_slice(), &b"\x85\x61g\x61f\x00\x02\x01".repeat(2)].concat(),
                b"\x80",
            ),
            NAME_ERROR,
        ),
    ] {
        let found = Input::decode(&bytes).err().map(|error| error.code());
        assert_eq!(found, Some(expect), "{:02x?}", &bytes[..bytes.len().min(40)]);
    }
}
