//! Proofs whose bytes were changed: none is accepted, and none makes the verifier panic.
//!
//! Parts of a proof are reached through its JSON form, which names them; the place of a part is
//! its path with all indices left out, and one or two parts of each place are changed.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use kapsule_proof::argument::{Argument, Shape, decode, encode};
use kapsule_proof::{
    DecodeError, Expected, Key, PROOF_MAX, ParamSet, ProofFile, VerifyError, verify,
};
use kapsule_prover::prove::prove;
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

/// Returns what the lengths in an argument follow from.
fn shape(key: &Key, file: &ProofFile) -> Shape {
    let present = |number: &usize| file.segment.present >> number & 1 == 1;
    let numbers: Vec<usize> = (0..64).filter(present).collect();
    Shape::new(key, &numbers, &file.segment.log_heights)
}

fn tree(key: &Key, file: &ProofFile) -> Value {
    let proof = decode(shape(key, file), &file.segment.argument).unwrap();
    serde_json::to_value(&proof).unwrap()
}

/// Returns the bytes of a changed tree, unless it is no proof at all, or opens other rows.
fn bytes(key: &Key, file: &ProofFile, tree: &Value) -> Option<Vec<u8>> {
    let proof: Argument = serde_json::from_value(tree.clone()).ok()?;
    encode(shape(key, file), proof)
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
    let tree = tree(&key, &file);
    assert_eq!(bytes(&key, &file, &tree).as_ref(), Some(&file.segment.argument));
    let (mut tried, mut places) = (0, 0);
    for (place, pointers) in parts(&tree) {
        places += 1;
        for pointer in pointers {
            let part = tree.pointer(&pointer).unwrap();
            for (number, form) in changes(part).into_iter().enumerate() {
                let mut changed = tree.clone();
                *changed.pointer_mut(&pointer).unwrap() = form;
                let Some(argument) = bytes(&key, &file, &changed) else { continue };
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
    let mut tree = tree(&key, &file);
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
    let argument = bytes(&key, &file, &tree).unwrap();
    assert_eq!(judge(&key, &file, argument, "exchanged"), Err(VerifyError::Argument));
}

#[test]
fn witnesses_of_work_have_one_value() {
    // The test parameters do no work.
    let (key, file) = proven(ParamSet::FAST);
    let tree = tree(&key, &file);
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
            let argument = bytes(&key, &file, &changed).unwrap();
            tried += 1;
            assert!(judge(&key, &file, argument, &pointer).is_err(), "{pointer}");
        }
    }
    assert!(tried >= 5, "{tried}");
}

/// Returns where the digests begin that end an argument: behind their number.
fn last_paths(argument: &[u8]) -> usize {
    let number = |at: usize| u32::from_le_bytes(argument[at - 4..at].try_into().unwrap());
    let mut places = (1..8 * 24).map(|digests: usize| (digests, argument.len() - 32 * digests));
    let place = places.find(|(digests, at)| number(*at) as usize == *digests);
    place.expect("a number of digests").1
}

#[test]
fn elements_and_lengths_have_one_form() {
    let (key, file) = proven(ParamSet::TEST);
    let argument = &file.segment.argument;
    let refused = |argument: Vec<u8>, what: &str, error: DecodeError| {
        assert_eq!(judge(&key, &file, argument, what), Err(VerifyError::Decode(error)), "{what}");
    };
    let tables = file.segment.log_heights.len();
    let foldings = usize::from(argument[tables]);
    let commitments = tables + 1 + foldings;
    // Values at the point outside stand behind three commitments of eight roots each.
    for value in (commitments + 3 * 8 * 32..).step_by(4).take(40) {
        let mut changed = argument.clone();
        let bytes: [u8; 4] = changed[value..value + 4].try_into().unwrap();
        let found = u32::from_le_bytes(bytes) + 0x7f00_0001;
        changed[value..value + 4].copy_from_slice(&found.to_le_bytes());
        let error = DecodeError::Range { field: "element", found: found.into() };
        refused(changed, "an element and p", error);
    }
    // What an argument says of its own lengths.
    let said = [("chunks", 0, [0, 3]), ("foldings", tables, [25, 255])];
    for (field, at, values) in said.into_iter().chain([("siblings", tables + 1, [0, 8])]) {
        for value in values {
            let mut changed = argument.clone();
            changed[at] = value;
            refused(changed, field, DecodeError::Range { field, found: value.into() });
        }
    }
    let end = argument.len();
    refused(argument[..end - 1].to_vec(), "a cut", DecodeError::Short(last_paths(argument)));
    refused([&argument[..], &[0]].concat(), "a byte more", DecodeError::Trailing(1));
    for count in [u32::MAX, 8 * 24 + 1] {
        let mut changed = argument.clone();
        let number = last_paths(argument) - 4;
        changed[number..number + 4].copy_from_slice(&count.to_le_bytes());
        let error = DecodeError::Limit { field: "paths", found: count.into(), allowed: 8 * 24 };
        refused(changed, "more digests than paths have", error);
    }
    // Numbers that no memory holds, wherever they are read as such.
    for position in (0..argument.len()).step_by(997) {
        let (head, tail) = argument.split_at(position);
        let bomb = [head, &[0xff; 8], tail].concat();
        assert!(judge(&key, &file, bomb, "a great number").is_err(), "{position}");
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

/// Greatest memory that reading and judging takes besides the bytes themselves, in KiB.
const MEMORY_MAX: u64 = 64 << 10;

/// Returns a line of what the system says of this process, in KiB; `None` where it says nothing.
fn memory(line: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let found = status.lines().find_map(|one| one.strip_prefix(line))?;
    found.split_whitespace().next()?.parse().ok()
}

/// Returns files of up to 16 MiB that ask for as much as they can.
fn bombs(file: &ProofFile) -> Vec<Vec<u8>> {
    let with = |argument: Vec<u8>| {
        let mut changed = file.clone();
        changed.segment.argument = argument;
        changed.encode()
    };
    let argument = &file.segment.argument;
    let mut bombs: Vec<Vec<u8>> =
        [0, 1, 2, 0xff].into_iter().map(|byte| with(vec![byte; PROOF_MAX])).collect();
    // The beginning of a proof, and then one byte.
    for length in [argument.len() / 64, argument.len() / 8, argument.len() - 64, argument.len()] {
        for byte in [0, 1, 0xff] {
            let mut long = argument[..length].to_vec();
            long.resize(PROOF_MAX, byte);
            bombs.push(with(long));
        }
    }
    // The highest tables.
    let mut high = file.clone();
    high.segment.log_heights.iter_mut().skip(5).for_each(|height| *height = 16);
    bombs.push(high.encode());
    bombs
}

/// Peak memory is that of a process, so this takes one of its own.
#[test]
fn files_that_ask_for_much_get_little() {
    let reset = || std::fs::write("/proc/self/clear_refs", "5");
    if memory("VmHWM:").is_none() || reset().is_err() {
        let text = b"skipped: this system tells no peak of memory\n";
        std::io::Write::write_all(&mut std::io::stderr(), text).unwrap();
        return;
    }
    if std::env::var_os("KAPSULE_OWN_PROCESS").is_none() {
        let name = "malformed::files_that_ask_for_much_get_little";
        let mut own = std::process::Command::new(std::env::current_exe().unwrap());
        let ended = own.args([name, "--exact"]).env("KAPSULE_OWN_PROCESS", "1").output().unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
        return;
    }
    // The set with the most queries, so with the longest arguments.
    let (key, file) = proven(ParamSet::FAST);
    for (number, bytes) in bombs(&file).into_iter().enumerate() {
        reset().unwrap();
        let before = memory("VmRSS:").unwrap();
        let judged = ProofFile::decode(&bytes).map(|changed| verify(&key, &changed, &trapped()));
        let took = memory("VmHWM:").unwrap().saturating_sub(before);
        assert!(!matches!(judged, Ok(Ok(()))), "{number}");
        assert!(took <= MEMORY_MAX, "{number}: {took} KiB");
    }
}
