//! Proofs whose bytes were changed: none is accepted, and none makes the verifier panic.
//!
//! Parts of a proof are reached through its JSON form, which names them; the place of a part is
//! its path with all indices left out, and one or two parts of each place are changed.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use kapsule_proof::{Expected, Key, PROOF_MAX, ParamSet, ProofFile, Scheme, VerifyError, verify};
use kapsule_prover::prove::prove;
use p3_batch_stark::BatchProof;
use serde_json::Value;

use crate::programs::{FIB, expected, job, key, run};

fn trapped() -> Expected<'static> {
    Expected { entry: "trap", ..expected() }
}

fn proven(params: ParamSet) -> (Key, ProofFile) {
    let key = key(FIB, params);
    let file = prove(&key, &run(&key, &job("trap", 100))).expect("a proof");
    assert_eq!(verify(&key, &file, &trapped()), Ok(()));
    (key, file)
}

/// Returns what the verifier says of another argument in the same file.
fn judge(key: &Key, file: &ProofFile, argument: Vec<u8>, what: &str) -> Result<(), VerifyError> {
    let mut changed = file.clone();
    changed.segment.argument = argument;
    let judged = catch_unwind(AssertUnwindSafe(|| verify(key, &changed, &trapped())));
    judged.unwrap_or_else(|_| panic!("the verifier panics: {what}"))
}

fn tree(file: &ProofFile) -> Value {
    let proof: BatchProof<Scheme> = postcard::from_bytes(&file.segment.argument).unwrap();
    serde_json::to_value(&proof).unwrap()
}

/// Returns the bytes of a changed tree, unless it is no proof at all.
fn bytes(tree: &Value) -> Option<Vec<u8>> {
    let proof: BatchProof<Scheme> = serde_json::from_value(tree.clone()).ok()?;
    postcard::to_allocvec(&proof).ok()
}

/// Collects the first and the last part of each place as JSON pointers.
fn parts(tree: &Value) -> BTreeMap<String, Vec<String>> {
    fn walk(value: &Value, place: &str, at: &str, found: &mut BTreeMap<String, Vec<String>>) {
        let pointers = found.entry(place.to_owned()).or_default();
        pointers.truncate(1);
        pointers.push(at.to_owned());
        match value {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    walk(item, &format!("{place}/*"), &format!("{at}/{index}"), found);
                }
            }
            Value::Object(fields) => {
                for (name, item) in fields {
                    walk(item, &format!("{place}/{name}"), &format!("{at}/{name}"), found);
                }
            }
            _ => {}
        }
    }
    let mut found = BTreeMap::new();
    walk(tree, "", "", &mut found);
    found
}

/// Returns every changed form of a part.
fn changes(part: &Value) -> Vec<Value> {
    match part {
        Value::Array(items) => {
            let mut forms = vec![Vec::new(), items[..items.len() / 2].to_vec()];
            forms.push([&items[..], &items[..]].concat());
            forms.push(items.iter().rev().cloned().collect());
            forms.extend(items.split_last().map(|(_, rest)| rest.to_vec()));
            forms.extend(
                items.first().map(|first| [&items[..], core::slice::from_ref(first)].concat()),
            );
            forms.extend(items.split_first().map(|(first, rest)| {
                // The first part instead of the second.
                let rest = rest.iter().skip(1).cloned();
                [first.clone(), first.clone()].into_iter().chain(rest).collect()
            }));
            forms.into_iter().map(Value::Array).collect()
        }
        Value::Number(number) => {
            let number = number.as_u64().unwrap_or_default();
            let prime = 0x7f00_0001;
            let forms =
                [number ^ 1, number + 1, 0, 0xff, prime - 1, prime, number + prime, u64::MAX];
            forms.into_iter().map(Value::from).collect()
        }
        Value::Null => vec![Value::from(0), Value::Array(Vec::new())],
        Value::Object(_) => vec![Value::Null],
        _ => Vec::new(),
    }
}

#[test]
fn no_changed_part_of_a_proof_is_accepted() {
    let (key, file) = proven(ParamSet::TEST);
    let tree = tree(&file);
    assert_eq!(bytes(&tree).as_ref(), Some(&file.segment.argument));
    let (mut tried, mut places) = (0, 0);
    for (place, pointers) in parts(&tree) {
        places += 1;
        for pointer in pointers {
            let part = tree.pointer(&pointer).unwrap();
            for (number, form) in changes(part).into_iter().enumerate() {
                let mut changed = tree.clone();
                *changed.pointer_mut(&pointer).unwrap() = form;
                let Some(argument) = bytes(&changed) else { continue };
                if argument == file.segment.argument {
                    continue;
                }
                tried += 1;
                let what = format!("{place} at {pointer}, change {number}");
                assert!(judge(&key, &file, argument, &what).is_err(), "{what}");
            }
        }
    }
    // Lengths, elements, digests, witnesses and terminals of every kind.
    assert!(places > 40 && tried > 250, "{places} places, {tried} changes");
}

#[test]
fn terminals_that_are_shifted_between_tables_are_refused() {
    let (key, file) = proven(ParamSet::TEST);
    let mut tree = tree(&file);
    let terminals = tree["lookup_terminals"].as_array().unwrap().clone();
    let numbered = |value: &Value| value.to_string().contains(|c: char| c.is_ascii_digit());
    let some: Vec<usize> =
        (0..terminals.len()).filter(|index| numbered(&terminals[*index])).collect();
    assert!(some.len() > 5);
    // Exchanged, the sum is still zero.
    let (one, other) = (some[0], some[some.len() - 1]);
    assert_ne!(terminals[one], terminals[other]);
    tree["lookup_terminals"][one] = terminals[other].clone();
    tree["lookup_terminals"][other] = terminals[one].clone();
    let argument = bytes(&tree).unwrap();
    assert_eq!(judge(&key, &file, argument, "exchanged"), Err(VerifyError::Argument));
}

#[test]
fn witnesses_of_work_have_one_value() {
    // The test parameters do no work.
    let (key, file) = proven(ParamSet::FAST);
    let tree = tree(&file);
    let mut tried = 0;
    for (place, pointers) in parts(&tree) {
        let number = tree.pointer(&pointers[0]).is_some_and(Value::is_number);
        if !number || !place.contains("pow_witness") {
            continue;
        }
        for pointer in pointers {
            let mut changed = tree.clone();
            let part = changed.pointer_mut(&pointer).unwrap();
            *part = Value::from(part.as_u64().unwrap() ^ 1);
            let argument = bytes(&changed).unwrap();
            tried += 1;
            assert!(judge(&key, &file, argument, &pointer).is_err(), "{pointer}");
        }
    }
    assert!(tried >= 5, "{tried}");
}

#[test]
fn elements_and_lengths_have_one_form() {
    let (key, file) = proven(ParamSet::TEST);
    let argument = &file.segment.argument;
    // Every byte that may be a length, written in two bytes instead of one.
    for position in (0..argument.len()).filter(|at| argument[*at] < 0x80).step_by(997) {
        let (head, tail) = argument.split_at(position);
        let longer = [head, &[tail[0] | 0x80, 0], &tail[1..]].concat();
        assert!(judge(&key, &file, longer, "a longer number").is_err(), "{position}");
    }
    // A length that no memory holds.
    for position in [0, 1, 2, argument.len() / 2, argument.len() - 12] {
        let (head, tail) = argument.split_at(position);
        let bomb = [head, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], tail].concat();
        assert!(judge(&key, &file, bomb, "a great length").is_err(), "{position}");
    }
}

#[test]
fn parts_that_are_cut_doubled_or_random_are_refused() {
    let (key, file) = proven(ParamSet::TEST);
    let argument = &file.segment.argument;
    let length = argument.len();
    let mut random = crate::soundness::Random::new(7);
    for number in 0..200 {
        let [from, to] = [random.index(length), random.index(length)];
        let (from, to) = (from.min(to), from.max(to) + 1);
        let changed = match number % 4 {
            0 => [&argument[..from], &argument[to..]].concat(),
            1 => [&argument[..to], &argument[from..]].concat(),
            2 => argument[..from].to_vec(),
            _ => {
                let mut bytes = argument.clone();
                for _ in 0..=random.index(8) {
                    bytes[random.index(length)] = random.below(256) as u8;
                }
                bytes
            }
        };
        if changed != *argument {
            let what = format!("change {number} of {from} to {to}");
            assert!(judge(&key, &file, changed, &what).is_err(), "{what}");
        }
    }
    for byte in [0, 1, 0x7f, 0x80, 0xff] {
        let filled = vec![byte; PROOF_MAX];
        assert!(judge(&key, &file, filled, "one byte, 16 MiB").is_err(), "{byte}");
    }
}

#[test]
fn files_that_are_changed_anywhere_are_refused() {
    let (key, file) = proven(ParamSet::TEST);
    let bytes = file.encode();
    let judge = |bytes: &[u8]| {
        let read = catch_unwind(|| ProofFile::decode(bytes));
        let Ok(changed) = read.expect("the decoder does not panic") else { return false };
        let judged = catch_unwind(AssertUnwindSafe(|| verify(&key, &changed, &trapped())));
        judged.expect("the verifier does not panic").is_ok()
    };
    assert!(judge(&bytes));
    let argument = bytes.len() - file.segment.argument.len();
    for position in (0..argument).chain((argument..bytes.len()).step_by(2_003)) {
        for mask in [1, 0x80] {
            let mut changed = bytes.clone();
            changed[position] ^= mask;
            assert!(!judge(&changed), "byte {position}");
        }
        assert!(!judge(&bytes[..position]), "cut at {position}");
    }
    assert!(!judge(&[&bytes[..], &[0]].concat()));
    assert!(!judge(&[&bytes[..], &bytes[..]].concat()));
}
