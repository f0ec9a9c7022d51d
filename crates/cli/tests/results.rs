//! What a run submits for its capsule is kept with its result and shown.

use serde_json::json;

use crate::ingests::{INGEST, fill};
use crate::support::Bench;

/// Submits a score of 5 millionths, a verdict and two labels, and returns `code`.
fn judge(code: u32) -> String {
    format!(
        r#"(module
  (import "kapsule_v1" "submit_capsule_result" (func $submit (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\a3\00\05\01\62ok\02\82\61a\61b")
  (func (export "kapsule_abi_version") (result i32) (i32.const 1))
  (func (export "run") (result i32)
    (drop (call $submit (i32.const 0) (i32.const 0) (i32.const 13)))
    (i32.const {code})))"#
    )
}

/// Returns what `inspect` shows of the results of the first post, after an ingest by this module.
fn shown(code: u32) -> (Bench, serde_json::Value) {
    let bench = Bench::new();
    fill(&bench);
    bench.pack("judge", &judge(code), "grants = [\"capsule.result\"]");
    bench.ok(&["dispatch", "set", "post", "judge.mod", "--grant", "capsule.result"]);
    let found = bench.json(&INGEST);
    assert_eq!(found.last().unwrap()["files"]["of them processed"], "3", "{found:?}");
    let post = found.iter().find(|line| !line["logic"].is_null()).unwrap();
    let file = post["file"].as_str().unwrap().to_owned();
    let results = bench.json(&["inspect", &file])[0]["results"].clone();
    bench.ok(&["doctor"]);
    (bench, results)
}

#[test]
fn what_a_run_submits_is_kept_and_shown() {
    let (_bench, results) = shown(0);
    let said = json!({ "score_ppm": 5, "verdict": "ok", "labels": ["a", "b"], "state_hex": null });
    assert_eq!((&results[0]["outcome"], &results[0]["submitted"]), (&"completed(0)".into(), &said));
    assert_eq!(results.as_array().unwrap().len(), 1);
}

#[test]
fn what_a_failed_run_submits_counts_nothing() {
    let (_bench, results) = shown(1);
    assert_eq!(results[0]["outcome"], "completed(1)");
    assert!(results[0]["submitted"].is_null(), "{results}");
}
