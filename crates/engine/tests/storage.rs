//! Storage: what a run sees, its limits, its root, and what a replay believes.

use std::collections::BTreeMap;

use kapsule_abi::{Errno, Limit, Outcome};
use kapsule_engine::{Backend, Field, MemoryHost, Run, run};
use kapsule_format::storage::{Pairs, root};
use proptest::prelude::*;

use crate::support::*;

const CALLS: [&str; 5] = ["kv_get", "kv_set", "kv_delete", "kv_next", "output_write"];

/// One act of a program: keys and values are numbers of the data segment.
#[derive(Clone, Debug)]
enum Act {
    Get(u8),
    Set(u8, usize),
    Delete(u8),
    Next(Option<u8>),
}

/// Returns a program that does the acts and writes every result, and every answer, to the output.
///
/// Address 1024 + k holds the key `[k]`, which is also where values start.
fn program(acts: &[Act]) -> Case {
    let data: Vec<u8> = (0..=255).collect();
    let body: String = acts.iter().map(act_text).collect();
    Case::with_data(&CALLS, &data, &format!("(local $n i32) {body} (i32.const 0)"))
}

fn act_text(act: &Act) -> String {
    let key = |key: &u8| format!("(i32.const {}) (i32.const 1)", 1024 + u32::from(*key));
    let read = |name: &str, key: String| {
        format!(
            "(i64.store (i32.const 0) (i64.const 0))
             (local.set $n (call ${name} {key} (i32.const 4) (i32.const 60)))"
        )
    };
    let done = match act {
        Act::Get(k) => read("kv_get", key(k)),
        Act::Next(Some(k)) => read("kv_next", key(k)),
        Act::Next(None) => read("kv_next", "(i32.const 0) (i32.const 0)".into()),
        Act::Set(k, len) => format!(
            "(local.set $n (call $kv_set {} (i32.const {}) (i32.const {len})))",
            key(k),
            1024 + u32::from(*k)
        ),
        Act::Delete(k) => format!("(local.set $n (call $kv_delete {}))", key(k)),
    };
    format!(
        "{done} (i32.store (i32.const 0) (local.get $n))
         (drop (call $output_write (i32.const 0) (i32.const 8)))"
    )
}

/// Does the same acts on a map.
fn model(pairs: &mut Pairs, acts: &[Act]) -> Vec<u8> {
    let mut output = Vec::new();
    for act in acts {
        let (result, bytes): (i32, Vec<u8>) = match act {
            Act::Get(k) => match pairs.get(&vec![*k]) {
                Some(value) => {
                    (i32::try_from(value.len()).expect("values are short"), value.clone())
                }
                None => (Errno::NotFound as i32, vec![]),
            },
            Act::Set(k, len) => {
                pairs.insert(vec![*k], (*k..=255).take(*len).collect());
                (0, vec![])
            }
            Act::Delete(k) => match pairs.remove(&vec![*k]) {
                Some(_) => (0, vec![]),
                None => (Errno::NotFound as i32, vec![]),
            },
            Act::Next(k) => {
                let after = k.map_or(vec![], |k| vec![k]);
                match pairs.keys().find(|key| **key > after) {
                    Some(next) => (1, next.clone()),
                    None => (Errno::NotFound as i32, vec![]),
                }
            }
        };
        let reads = matches!(act, Act::Get(_) | Act::Next(_));
        let before = output.len();
        output.extend_from_slice(&result.to_le_bytes());
        output.extend(bytes.iter().take(4));
        if reads {
            output.resize(before + 8, 0);
        } else {
            // What a read left behind address 4 stays there.
            let stale = output.get(before.wrapping_sub(4)..before).unwrap_or(&[0; 4]).to_vec();
            output.extend(stale);
        }
    }
    output
}

fn act() -> impl Strategy<Value = Act> {
    // Few keys, so that acts meet.
    let key = || 0..6_u8;
    prop_oneof![
        key().prop_map(Act::Get),
        (key(), 0..20_usize).prop_map(|(key, len)| Act::Set(key, len)),
        key().prop_map(Act::Delete),
        proptest::option::of(key()).prop_map(Act::Next),
    ]
}

fn with_storage(case: &Case, pairs: &Pairs) -> MemoryHost {
    let storage = [(case.job().capsule_hash, pairs.clone())].into();
    MemoryHost { storage, ..host() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn storage_is_a_map(
        before in proptest::collection::btree_map(0..6_u8, 0..20_usize, 0..5),
        acts in proptest::collection::vec(act(), 0..30),
    ) {
        let mut pairs: Pairs =
            before.into_iter().map(|(key, len)| (vec![key], vec![key; len])).collect();
        let case = program(&acts);
        let host = with_storage(&case, &pairs);
        let bytes = |pairs: &Pairs| -> i64 {
            pairs.iter().map(|(k, v)| i64::try_from(k.len() + v.len()).unwrap()).sum()
        };
        let bytes_before = bytes(&pairs);
        let (run, mut after) = case.run_with(&host);
        prop_assert_eq!(&run.output, &model(&mut pairs, &acts));
        prop_assert_eq!(&after, &host, "a run changes its host before it is applied");
        kapsule_engine::Host::apply(&mut after, &run.effects).unwrap();
        let left = after.storage.get(&case.job().capsule_hash).cloned().unwrap_or_default();
        prop_assert_eq!(&left, &pairs);
        let touched = acts.iter().any(|act| matches!(act, Act::Set(..) | Act::Delete(_)));
        let delta = if touched { bytes(&pairs) - bytes_before } else { 0 };
        prop_assert_eq!(run.usage.storage_bytes_delta, Some(delta));
        let end = run.transcript.unwrap().end;
        prop_assert_eq!(end.storage_root, (!pairs.is_empty()).then(|| root(&pairs)));
    }
}

fn pairs() -> Pairs {
    [(vec![1], vec![1, 2]), (vec![3], vec![3; 30])].into()
}

#[test]
fn keys_have_1_to_256_bytes() {
    let call = |name: &str, len: usize| match name {
        "kv_set" => {
            format!("(call $kv_set (i32.const 0) (i32.const {len}) (i32.const 0) (i32.const 0))")
        }
        "kv_delete" => format!("(call $kv_delete (i32.const 0) (i32.const {len}))"),
        name => {
            format!("(call ${name} (i32.const 0) (i32.const {len}) (i32.const 0) (i32.const 9))")
        }
    };
    let result = |name: &str, len| {
        let run = Case::body(&[name], &call(name, len)).run();
        let Outcome::Completed(code) = run.outcome else { panic!("{:?}", run.outcome) };
        code.cast_signed()
    };
    let (invalid, absent) = (Errno::InvalidArgument as i32, Errno::NotFound as i32);
    for (name, found, empty) in [
        ("kv_get", absent, invalid),
        ("kv_set", 0, invalid),
        ("kv_delete", absent, invalid),
        ("kv_next", absent, absent),
    ] {
        assert_eq!(
            (result(name, 256), result(name, 257), result(name, 0)),
            (found, invalid, empty)
        );
    }
}

#[test]
fn a_value_that_does_not_fit_is_not_written() {
    let body = "(call $kv_get (i32.const 1027) (i32.const 1) (i32.const 0) (i32.const 29))";
    let case = Case::with_data(&["kv_get"], &[0, 1, 2, 3], body);
    let (run, _) = case.run_with(&with_storage(&case, &pairs()));
    assert_eq!(run.outcome, Outcome::Completed(30));
    assert_eq!(run.usage.bytes_in, 0);
}

/// Runs acts under a limit and returns how the run ended.
fn limited(storage_bytes: u64, acts: &[Act]) -> Run {
    let mut case = program(acts);
    case.policy.limits.storage_bytes = storage_bytes;
    case.run_with(&with_storage(&case, &pairs())).0
}

#[test]
fn more_bytes_than_the_policy_gives_end_the_run() {
    // 34 bytes are there; key and value of the new pair are 11.
    assert_eq!(limited(45, &[Act::Set(7, 10)]).outcome, Outcome::Completed(0));
    let run = limited(44, &[Act::Get(1), Act::Set(7, 10)]);
    assert_eq!(run.outcome, Outcome::LimitReached(Limit::Storage));
    assert_eq!(statuses(&run), [0, 0, 3]);
    assert_eq!(run.effects.storage, BTreeMap::new());
    // Replacing counts the difference, and deleting makes room.
    assert_eq!(limited(34, &[Act::Set(3, 30)]).outcome, Outcome::Completed(0));
    let end = limited(33, &[Act::Set(3, 30)]).outcome;
    assert_eq!(end, Outcome::LimitReached(Limit::Storage));
    assert_eq!(limited(34, &[Act::Delete(3), Act::Set(8, 30)]).outcome, Outcome::Completed(0));
    // What a run set itself counts too, also in a replay.
    let end = limited(60, &[Act::Set(9, 20), Act::Set(8, 20)]).outcome;
    assert_eq!(end, Outcome::LimitReached(Limit::Storage));
}

#[test]
fn storage_holds_at_most_65536_keys() {
    let full: Pairs = (0..65_536_u32).map(|key| (key.to_be_bytes().to_vec(), vec![])).collect();
    let end = |acts: &[Act]| {
        let mut case = program(acts);
        case.policy.limits.storage_bytes = 1 << 30;
        let mut host = with_storage(&case, &full);
        case.options.evidence = false;
        run(&case.compiled(Backend::Wasmi), &case.job(), &mut host).unwrap().outcome
    };
    assert_eq!(end(&[Act::Set(7, 1)]), Outcome::LimitReached(Limit::Storage));
    let mut one_less = full.clone();
    one_less.pop_first();
    let case = program(&[Act::Set(7, 1)]);
    let mut case =
        Case { options: kapsule_engine::JobOptions { evidence: false, ..case.options }, ..case };
    case.policy.limits.storage_bytes = 1 << 30;
    let mut host = with_storage(&case, &one_less);
    let ended = run(&case.compiled(Backend::Wasmi), &case.job(), &mut host).unwrap();
    assert_eq!(ended.outcome, Outcome::Completed(0));
}

#[test]
fn a_replay_does_not_believe_a_storage_that_holds_less_than_the_run_set() {
    let acts = [Act::Set(9, 20), Act::Set(8, 20)];
    let mut case = program(&acts);
    let mut transcript = case.run().transcript.unwrap();
    transcript.header.policy.limits.storage_bytes = 41;
    case.policy.limits.storage_bytes = 41;
    let replay = case.replay(Backend::Wasmi, &transcript, None);
    assert_eq!(replay.difference.map(|found| found.field), Some(Field::Status));
}

/// Changes a transcript of these acts and returns the field that a replay finds different.
fn lie(acts: &[Act], change: impl FnOnce(&mut Lie)) -> Option<Field> {
    let case = program(acts);
    let (run, _) = case.run_with(&with_storage(&case, &pairs()));
    let transcript = changed(&run.transcript.expect("evidence is kept"), change);
    let replays = Backend::ALL.iter().map(|backend| {
        case.replay(*backend, &transcript, None).difference.map(|found| found.field)
    });
    let found: Vec<_> = replays.collect();
    assert!(found.iter().all(|field| *field == found[0]), "{found:?}");
    found[0]
}

#[test]
fn answers_that_contradict_the_run_itself_are_found() {
    let response = Some(Field::Response);
    // Entry 2 is the second answer; its value starts behind result and length.
    let own = [Act::Set(1, 2), Act::Get(1)];
    assert_eq!(lie(&own, |t| t.entries[2].response[16] ^= 1), response);
    let twice = [Act::Get(1), Act::Get(1)];
    assert_eq!(lie(&twice, |t| t.entries[2].response[16] ^= 1), response);
    // Key 1 was answered, so key 3 cannot be the first one.
    let first = [Act::Get(1), Act::Next(None)];
    assert_eq!(lie(&first, |t| t.entries[2].response[16] = 3), response);
    // The run set key 2, so nothing past it cannot be next to key 1.
    let set = [Act::Set(2, 1), Act::Next(Some(1))];
    assert_eq!(lie(&set, |t| t.entries[2].response[16] = 3), response);
    // A deleted key is not there.
    let gone = [Act::Delete(1), Act::Next(None)];
    assert_eq!(lie(&gone, |t| t.entries[2].response[16] = 1), response);
    // The next key is greater.
    assert_eq!(lie(&[Act::Next(Some(1))], |t| t.entries[0].response[16] = 1), response);
}

#[test]
fn the_storage_root_of_a_transcript_is_in_its_state_hash() {
    let acts = [Act::Set(5, 3)];
    assert_eq!(lie(&acts, |_| {}), None);
    let other = root(&Pairs::new());
    assert_eq!(lie(&acts, |t| t.end.storage_root = Some(other)), Some(Field::StateHash));
    assert_eq!(lie(&acts, |t| t.end.storage_root = None), Some(Field::StorageRoot));
    // A module that cannot reach a storage has none.
    let case = Case::body(&[], "(i32.const 0)");
    let mut transcript = case.run().transcript.unwrap();
    transcript.end.storage_root = Some(other);
    let found = case.replay(Backend::Wasmi, &transcript, None).difference;
    assert_eq!(found.map(|found| found.field), Some(Field::StorageRoot));
}
