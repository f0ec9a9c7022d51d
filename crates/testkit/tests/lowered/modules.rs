//! The standard modules on the samples of the repository.

use std::path::Path;

use kapsule_abi::Outcome;
use kapsule_format::cbor::{self, Value};
use kapsule_meter::{Options, Profile, meter};
use kapsule_testkit::StandardModule;

use super::Both;

/// Memory that the example packages ask for, in pages.
const PAGES: u32 = 1_024;

fn rows(name: &str) -> Vec<Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/data").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

/// Statements of the sample, seen by the author of the first one.
fn trust_input() -> Vec<u8> {
    let statements: Vec<Value> = rows("trust-sample.csv")
        .iter()
        .filter_map(|row| {
            let [from, to, rating, time] = row.as_slice() else { return None };
            let rating: i64 = rating.parse().ok()?;
            let weight = u64::try_from(rating.max(0)).ok()? * 100_000;
            let seconds: u64 = time.split('.').next()?.parse().ok()?;
            let name = |text: &String| Value::from(text.parse::<u64>().unwrap_or_default());
            let fields = [name(from), name(to), weight.into(), (rating < 0).into()];
            Some(Value::array(fields.into_iter().chain([Value::from(seconds * 1_000)])))
        })
        .collect();
    let Some(Value::Array(first)) = statements.first() else { panic!("a statement is a list") };
    let viewer = first[0].clone();
    let input = vec![(0, 1_u64.into()), (1, viewer), (2, statements.into())];
    cbor::encode(&Value::Map(input))
}

/// Forty posts of ten authors at eight domains over two days.
fn rank_input() -> Vec<u8> {
    let posts: Vec<Value> = (0..40_u64)
        .map(|id| {
            let none = || Value::Array(Vec::new());
            let domain = format!("site{}.example", id % 8);
            let fields = [
                id.into(),
                (id % 10).into(),
                domain.as_str().into(),
                (id * 37 % 101).into(),
                (id * 11 % 23).into(),
            ];
            let created = Value::from(1_700_000_000_000 + id * 4_000_000);
            Value::array(fields.into_iter().chain([created, none(), none()]))
        })
        .collect();
    let now = Value::from(1_700_000_200_000_u64);
    cbor::encode(&Value::Map(vec![(0, 1_u64.into()), (1, now), (2, posts.into())]))
}

#[test]
fn trust_and_rank_agree_on_samples() {
    for (name, input) in [("trust", trust_input()), ("rank", rank_input())] {
        let wasm = StandardModule::wasm(name);
        let metered = meter(&wasm, &Options::new(Profile::Integer1)).unwrap();
        let both = Both { input, ..Both::of(wasm, &metered, PAGES) };
        let (run, ran) = both.agree_with(4_000_000_000);
        assert_eq!(run.outcome, Outcome::Completed(0), "{name}: {:?}", run.logs);
        assert!(!run.output.is_empty(), "{name}");
        assert!(ran.execution.steps > 10_000, "{name}");
    }
}
