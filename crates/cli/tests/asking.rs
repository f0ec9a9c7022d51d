//! Logic that asks the store: what came before, what it kept, whom the viewer trusts.

use std::fs;

use kapsule_format::capsule::{Body, CapsuleId, Edge, TrustBody, kind};
use kapsule_format::hash::Digest;
use kapsule_format::key::IdentityId;
use kapsule_store::Store;

use crate::ingests::{INGEST, Writer, fill};
use crate::support::Bench;

/// Counts its runs in its storage, and writes that number, and how many capsules and trust
/// statements it finds, as the first byte of the array; the third run fails.
const WATCHER: &str = r#"(module
  (import "kapsule_v1" "kv_get" (func $kv_get (param i32 i32 i32 i32) (result i32)))
  (import "kapsule_v1" "kv_set" (func $kv_set (param i32 i32 i32 i32) (result i32)))
  (import "kapsule_v1" "dag_query" (func $query (param i32 i32 i64 i32 i32) (result i32)))
  (import "kapsule_v1" "trust_edges" (func $edges (param i64 i32 i32) (result i32)))
  (import "kapsule_v1" "output_write" (func $output_write (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "n")
  (data (i32.const 16) "\a0")
  (func (export "kapsule_abi_version") (result i32) (i32.const 1))
  (func (export "run") (result i32)
    (drop (call $kv_get (i32.const 0) (i32.const 1) (i32.const 8) (i32.const 1)))
    (i32.store8 (i32.const 8) (i32.add (i32.load8_u (i32.const 8)) (i32.const 1)))
    (drop (call $kv_set (i32.const 0) (i32.const 1) (i32.const 8) (i32.const 1)))
    (drop (call $query (i32.const 16) (i32.const 1) (i64.const 0)
      (i32.const 1024) (i32.const 4096)))
    (i32.store8 (i32.const 9) (i32.load8_u (i32.const 1024)))
    (drop (call $edges (i64.const 0) (i32.const 8192) (i32.const 4096)))
    (i32.store8 (i32.const 10) (i32.load8_u (i32.const 8192)))
    (drop (call $output_write (i32.const 8) (i32.const 3)))
    (i32.eq (i32.load8_u (i32.const 8)) (i32.const 3))))"#;

const GRANTS: [&str; 6] = ["--grant", "storage", "--grant", "dag.read", "--grant", "trust.graph"];

/// A home whose posts the watcher processes.
fn bench() -> (Bench, Writer) {
    let bench = Bench::new();
    let writer = fill(&bench);
    watch(&bench, "capsule");
    (bench, writer)
}

fn watch(bench: &Bench, scope: &str) {
    let extra =
        "grants = [\"dag.read\", \"storage\", \"trust.graph\"]\n[limits]\nstorage = \"1KiB\"";
    bench.pack("watcher", WATCHER, extra);
    let set = ["dispatch", "set", "post", "watcher.mod", "--scope", scope];
    bench.ok(&[&set[..], &GRANTS].concat());
}

/// Returns what the watcher wrote of each post, in the order of acceptance.
fn written(bench: &Bench) -> Vec<(CapsuleId, String, Vec<u8>)> {
    let store = Store::open_damaged(&bench.path("home/data")).unwrap();
    let posts = store.view().of_kind("post").unwrap();
    let result = |id: &CapsuleId| store.view().results(id).unwrap().remove(0);
    let all = posts.iter().map(|row| (row.id, result(&row.id)));
    all.map(|(id, result)| (id, result.outcome, result.output)).collect()
}

fn outputs(bench: &Bench) -> Vec<Vec<u8>> {
    written(bench).into_iter().map(|(_, _, output)| output).collect()
}

#[test]
fn logic_sees_what_was_accepted_before_and_what_it_kept() {
    let (bench, mut writer) = bench();
    let found = bench.json(&INGEST);
    assert_eq!(found.last().unwrap()["files"]["of them processed"], "3", "{found:?}");
    // Genesis and post, one more with each; the third run fails, and what it changed is not kept.
    assert_eq!(outputs(&bench), [[1, 0x82, 0], [2, 0x83, 0], [3, 0x84, 0]]);
    assert_eq!(written(&bench)[2].1, "completed(1)");
    // Whom the author trusts is known from here on, and no longer than it holds.
    let edge = |number: u8, expiry_ms| Edge {
        about: IdentityId::new(Digest::new([number; 32])),
        weight_ppm: 1,
        blocked: false,
        expiry_ms,
    };
    let edges = vec![edge(1, 0), edge(2, 1)];
    let trust = Body::Trust(TrustBody { edges, ..TrustBody::default() });
    bench.write("trust.kapsule", writer.say(kind::TRUST, &trust));
    bench.write("d.kapsule", writer.post("d"));
    bench.ok(&["ingest", "trust.kapsule", "--identity", "reader"]);
    bench.ok(&["ingest", "d.kapsule", "--identity", "reader"]);
    assert_eq!(outputs(&bench)[3], [3, 0x86, 0x81]);
    let told = bench.json(&["log", "show", "--type", "storage.changed"]);
    assert_eq!(told.len(), 1, "one for each change, and none for runs that failed");
    bench.ok(&["doctor"]);
    bench.ok(&["log", "verify"]);
}

#[test]
fn the_result_is_the_same_in_one_call_and_in_many() {
    let (one, mut writer) = bench();
    for number in 0..40 {
        one.write(&format!("capsules/{number}.kapsule"), writer.post(&number.to_string()));
    }
    one.ok(&INGEST);
    let other = Bench::new();
    fs::copy(one.path("reader"), other.path("reader")).unwrap();
    watch(&other, "capsule");
    let store = Store::open_damaged(&one.path("home/data")).unwrap();
    for row in store.view().capsules(None).unwrap() {
        other.write("next.kapsule", store.view().file(&row.id).unwrap());
        other.ok(&["ingest", "next.kapsule", "--identity", "reader"]);
    }
    assert_eq!(written(&one).len(), 43);
    assert_eq!(written(&one), written(&other));
}

#[test]
fn a_view_neither_keeps_nor_looks_beside_its_input() {
    let bench = Bench::new();
    fill(&bench);
    watch(&bench, "all");
    bench.ok(&INGEST);
    bench.fails(&["feed"], 14, "E407_HOSTCALL_DENIED", "asks for kv_get in a view");
}

/// Writes the score of the viewer's trust in the author of this capsule.
const SCORER: &str = r#"(module
  (import "kapsule_v1" "get_trust_score" (func $score (param i32 i32) (result i64)))
  (import "kapsule_v1" "input_read" (func $read (param i64 i32 i32) (result i32)))
  (import "kapsule_v1" "output_write" (func $output_write (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "kapsule_abi_version") (result i32) (i32.const 1))
  (func (export "run") (result i32)
    (drop (call $read (i64.const 0) (i32.const 0) (i32.const 32)))
    (i64.store (i32.const 64) (call $score (i32.const 0) (i32.const 32)))
    (drop (call $output_write (i32.const 64) (i32.const 8)))
    (i32.const 0)))"#;

#[test]
fn scores_are_those_that_the_viewer_last_saw() {
    let bench = Bench::new();
    bench.ok(&["key", "new", "alice"]);
    bench.ok(&["channel", "new", "news", "--public"]);
    crate::views::keyrings(&bench);
    let (alice, bob) = (crate::views::id(&bench, "alice"), "0b".repeat(32));
    bench.write("trust.toml", format!("[[edge]]\nabout = \"{bob}\"\nweight_ppm = 1000000\n"));
    let post = ["post", "trust", "--key", "alice", "--file", "trust.toml", "-o", "t.kapsule"];
    bench.ok(&post);
    bench.ok(&["ingest", "t.kapsule"]);
    bench.pack_standard("trust");
    bench.ok(&["dispatch", "set", "trust", "trust.mod", "--grant", "trust.graph"]);
    bench.pack("scorer", SCORER, "grants = [\"trust.read\"]");
    bench.ok(&["dispatch", "set", "note", "scorer.mod", "--grant", "trust.read"]);
    let score = |name: &str, who: &str| {
        let digits = who.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
        let bytes: Vec<u8> = digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
        bench.write("who", bytes);
        let file = format!("{name}.kapsule");
        bench.ok(&["post", "note", "--key", "alice", "--file", "who", "-o", &file]);
        let found = bench.json(&["ingest", &file]);
        let id = found[0]["capsule"].as_str().unwrap().parse().unwrap();
        let store = Store::open_damaged(&bench.path("home/data")).unwrap();
        let output = store.view().results(&id).unwrap().remove(0).output;
        i64::from_le_bytes(output.try_into().unwrap())
    };
    // Nobody has looked yet.
    assert_eq!(score("before", &bob), -1);
    let rows = bench.json(&["trust", "--as", "alice"]);
    let of = |who: &str| {
        let row = rows.iter().find(|row| row["identity"] == who).unwrap();
        row["score_ppb"].as_str().unwrap().parse::<i64>().unwrap() / 1_000
    };
    assert!(of(&bob) > 0);
    assert_eq!(score("bob", &bob), of(&bob));
    assert_eq!(score("alice", &alice), of(&alice));
}
