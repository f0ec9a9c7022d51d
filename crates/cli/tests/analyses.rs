//! `kapsule analyze`: a module over a directory of capsules.

use serde_json::Value;

use crate::support::Bench;

/// A home with a channel, three posts and a comment on the first of them, and packages.
fn bench() -> Bench {
    let bench = Bench::new();
    bench.ok(&["key", "new", "alice"]);
    bench.ok(&["key", "recipient", "alice"]);
    bench.ok(&["channel", "new", "team", "--reader", "alice"]);
    std::fs::create_dir(bench.path("in")).unwrap();
    bench.ok(&["channel", "share", "team", "-o", "in/keyrings"]);
    let texts = ["first http://a.example/x", "second", "win a free prize, call now", "fourth"];
    let mut target = String::new();
    for (index, text) in texts.iter().enumerate() {
        bench.write("text", text);
        let file = format!("in/{index}.kapsule");
        let to = ["post", "comment", "--reply-to", &target];
        let kind = if index == 3 { &to[..] } else { &["post", "post"] };
        let posted = bench.json(&[kind, &["--file", "text", "-o", &file]].concat()).remove(0);
        if index == 0 {
            target = posted["capsule_id"].as_str().unwrap().to_owned();
        }
    }
    bench
}

fn analysed(bench: &Bench, more: &[&str]) -> Value {
    bench.json(&[&["analyze", "in"][..], more].concat()).remove(0)
}

#[test]
fn posts_are_ranked_counted_and_drawn() {
    let bench = bench();
    bench.pack_standard("rank");
    // A copy counts once, other files not at all.
    bench.write("in/copy.kapsule", bench.read("in/1.kapsule"));
    bench.write("in/notes.txt", "no capsule");
    let args = ["--module", "rank.mod", "--csv", "rows.csv", "--svg", "charts"];
    let found = analysed(&bench, &args);
    assert_eq!(found["kinds"], serde_json::json!({ "comment": 1, "post": 3 }));
    assert_eq!((&found["repeated"], &found["closed"]), (&1.into(), &0.into()));
    assert_eq!(found["labels"], serde_json::json!({ "shown": 3 }));
    let rows = found["rows"].as_array().unwrap();
    let first = bench.json(&["inspect", "in/0.kapsule"]).remove(0);
    assert_eq!(rows[0]["subject"], first["capsule_id"], "the post with a comment is the best");
    let table = String::from_utf8(bench.read("rows.csv")).unwrap();
    assert_eq!(table.lines().count(), 4);
    assert!(table.starts_with("subject,label,score\n"));
    for chart in ["charts/scores.svg", "charts/activity.svg"] {
        let svg = String::from_utf8(bench.read(chart)).unwrap();
        assert!(svg.starts_with("<svg ") && svg.contains("#2F6FA8"), "{chart}");
    }
    let words = bench.ok(&["analyze", "in", "--module", "rank.mod"]);
    assert!(words.text().contains("1 comment, 3 post"), "{}", words.text());
}

#[test]
fn messages_are_judged_by_rules() {
    let bench = bench();
    bench.pack_standard("blocklist");
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/data/sms-rules.toml");
    let found = analysed(&bench, &["--module", "blocklist.mod", "--rules", rules]);
    let labels = found["labels"].as_object().unwrap();
    assert_eq!(labels.values().map(|count| count.as_u64().unwrap()).sum::<u64>(), 4);
    assert!(labels["show"].as_u64().unwrap() >= 2, "{labels:?}");
    assert!(labels.len() > 1, "the prize is spam: {labels:?}");
    bench.fails(&["analyze", "in", "--module", "blocklist.mod"], 2, "USAGE", "needs rules");
}

#[test]
fn any_module_runs_once_for_each_capsule() {
    let bench = bench();
    // Its output is the length of its input modulo 24, a CBOR integer of one byte.
    let wat = r#"(module
        (import "kapsule_v1" "input_len" (func $len (result i64)))
        (import "kapsule_v1" "output_write" (func $write (param i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "kapsule_abi_version") (result i32) (i32.const 1))
        (func (export "run") (result i32)
          (i32.store8 (i32.const 0) (i32.rem_u (i32.wrap_i64 (call $len)) (i32.const 24)))
          (call $write (i32.const 0) (i32.const 1))))"#;
    bench.pack("length", wat, "");
    // One that contradicts itself, and one that nobody here opens.
    let mut forged = bench.read("in/1.kapsule");
    let last = forged.iter().rposition(|byte| *byte != 0).unwrap();
    forged[last] ^= 1;
    bench.write("in/forged.kapsule", &forged);
    let found = analysed(&bench, &["--module", "length.mod", "--jobs", "2"]);
    assert_eq!(found["refused"][0]["file"], "forged.kapsule");
    assert_eq!(found["rows"].as_array().unwrap().len(), 4);
    assert_eq!(found["labels"], serde_json::json!({ "completed(0)": 4 }));
    let score = |row: &Value| row["score"].as_str().unwrap().parse::<u64>().unwrap();
    let scores: Vec<u64> = found["rows"].as_array().unwrap().iter().map(score).collect();
    assert!(scores.iter().all(|score| *score < 24), "{scores:?}");
    assert_ne!(scores[0], scores[2], "texts of other lengths make other inputs");
}

#[test]
fn whoever_holds_no_key_analyses_nothing() {
    let (bench, other) = (bench(), Bench::new());
    other.pack_standard("rank");
    std::fs::create_dir(other.path("in")).unwrap();
    for index in 0..4 {
        let name = format!("in/{index}.kapsule");
        other.write(&name, bench.read(&name));
    }
    let found = analysed(&other, &["--module", "rank.mod"]);
    assert_eq!((&found["closed"], &found["kinds"]), (&4.into(), &serde_json::json!({})));
    assert_eq!(found["quartiles"], Value::Null);
}
