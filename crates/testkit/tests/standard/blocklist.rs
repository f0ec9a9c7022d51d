//! `blocklist`: memory of a run over far more text than fits into it once it is taken apart.

use kapsule_abi::Outcome;
use kapsule_engine::{Backend, MemoryHost};
use kapsule_format::cbor::{Value, encode};
use kapsule_meter::Profile;
use kapsule_testkit::{Random, StandardModule};

/// Text of the long input, in bytes.
const TEXT_BYTES: usize = 4_000_000;
/// Most memory beside the input: some hundred bytes for each text, and one text taken apart.
const BESIDE_BYTES_MAX: u64 = 1_500_000;

/// Texts of many lengths up to 32 KiB; the last word of every third is `spam`.
fn texts() -> Vec<String> {
    let mut random = Random::new(1);
    let mut texts: Vec<String> = Vec::new();
    let mut left = TEXT_BYTES;
    while left > 0 {
        let length = 16 << random.index(12);
        let mut text = String::new();
        while text.len() < length.min(left) {
            let letters =
                (0..2 + random.index(8)).map(|_| char::from(b'b' + random.index(25) as u8));
            text.extend(letters);
            text.push(' ');
        }
        left = left.saturating_sub(text.len());
        text.push_str(if texts.len().is_multiple_of(3) { "spam" } else { "fine" });
        texts.push(text);
    }
    texts
}

/// An input of `blocklist` with these texts, and one rule that hides what says `spam`.
fn input(texts: &[String]) -> Vec<u8> {
    let weight = || Value::from(1_000_000_u64);
    let pattern = Value::Array(vec!["spam".into(), weight()]);
    let set = Value::Array(vec!["spam".into(), weight(), Value::Array(vec![pattern])]);
    let threshold = Value::Array(vec!["spam".into(), 1_u64.into(), weight()]);
    let rules = Value::Map(vec![(0, Value::Array(vec![set])), (1, Value::Array(vec![threshold]))]);
    let item = |(id, text): (u64, &String)| {
        Value::Array(vec![id.into(), "bob".into(), text.as_str().into(), Value::Array(vec![])])
    };
    let items = (0..).zip(texts).map(item).collect();
    let fields = [1_u64.into(), 0_u64.into(), rules, Value::Array(items)];
    encode(&Value::Map((0..).zip(fields).collect()))
}

#[test]
fn a_run_needs_its_input_and_what_one_text_takes() {
    let input = input(&texts());
    let module = StandardModule::load("blocklist", Profile::Integer1, &[]);
    // One text after another was taken apart, so every block had to be used many times.
    let run = module.run_on(Backend::Jit, &input, &mut MemoryHost::default());
    assert_eq!(run.outcome, Outcome::Completed(0), "{:?}", run.logs);
    assert_eq!(Ok(run.output), blocklist::run(&input));
    let beside = run.usage.memory_bytes_peak - input.len() as u64;
    assert!(beside < BESIDE_BYTES_MAX, "{beside} bytes beside the input");
}
