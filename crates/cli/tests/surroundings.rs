//! Runs with storage, files, proposals and the network.

use crate::support::Bench;

/// Counts in its storage, copies a file, proposes a notice.
const KEEPER: &str = r#"(module
  (import "kapsule_v1" "kv_get" (func $kv_get (param i32 i32 i32 i32) (result i32)))
  (import "kapsule_v1" "kv_set" (func $kv_set (param i32 i32 i32 i32) (result i32)))
  (import "kapsule_v1" "fs_read" (func $fs_read (param i32 i32 i64 i32 i32) (result i32)))
  (import "kapsule_v1" "fs_write" (func $fs_write (param i32 i32 i32 i32) (result i32)))
  (import "kapsule_v1" "propose" (func $propose (param i32 i32) (result i32)))
  (import "kapsule_v1" "output_write" (func $output_write (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "n")
  (data (i32.const 8) "0")
  (data (i32.const 16) "/in/a")
  (data (i32.const 32) "/out/b")
  (data (i32.const 48) "\a3\00\02\01\05\02\64done")
  (func (export "kapsule_abi_version") (result i32) (i32.const 1))
  (func (export "run") (result i32)
    (drop (call $kv_get (i32.const 0) (i32.const 1) (i32.const 8) (i32.const 1)))
    (i32.store8 (i32.const 8) (i32.add (i32.load8_u (i32.const 8)) (i32.const 1)))
    (drop (call $kv_set (i32.const 0) (i32.const 1) (i32.const 8) (i32.const 1)))
    (drop (call $fs_write (i32.const 32) (i32.const 6) (i32.const 100)
      (call $fs_read (i32.const 16) (i32.const 5) (i64.const 0) (i32.const 100) (i32.const 50))))
    (if (i32.lt_s (call $propose (i32.const 48) (i32.const 11)) (i32.const 0))
      (then (return (i32.const 17))))
    (call $output_write (i32.const 8) (i32.const 1))))"#;

const GRANTED: [&str; 8] =
    ["run", "keeper.mod", "--grant", "storage", "--grant", "fs", "--grant", "agent.propose"];

fn keeper() -> Bench {
    let bench = Bench::new();
    let extra = "grants = [\"agent.propose\", \"fs\", \"storage\"]\n[limits]\nstorage = \"1KiB\"\n\
        [filesystem]\nread_only = [\"/in/\"]\nwrite_allowed = [\"/out/\"]";
    bench.pack("keeper", KEEPER, extra);
    std::fs::create_dir(bench.path("in")).unwrap();
    std::fs::create_dir(bench.path("out")).unwrap();
    bench.write("in/a", "words");
    bench
}

fn args<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let places = ["--storage", "state", "--fs", "/in/=in", "--fs", "/out/=out"];
    GRANTED.iter().chain(&places).chain(more).copied().collect()
}

#[test]
fn a_run_keeps_what_it_changed_once_it_completed() {
    let bench = keeper();
    let refused = args(&["--budget", "4"]);
    bench.fails(&refused, 14, "E406_TRAPPED", "completed(17)");
    assert!(!bench.path("out/b").exists(), "a run that failed wrote a file");
    for (engine, count) in [("auto", "1"), ("wasmi", "2"), ("jit", "3")] {
        let more = ["--budget", "5", "--engine", engine, "--transcript", "t"];
        let ended = bench.ok(&args(&more));
        assert_eq!(ended.text(), count);
        assert!(ended.stderr.contains("proposal 0, cost 5: notify: done"), "{}", ended.stderr);
        assert!(ended.stderr.contains("wrote /out/b, 5 bytes"), "{}", ended.stderr);
        assert_eq!(bench.read("out/b"), b"words");
        std::fs::rename(bench.path("state"), bench.path("away")).unwrap();
        for engine in ["wasmi", "jit"] {
            bench.ok(&["replay", "keeper.mod", "t", "--engine", engine]);
        }
        std::fs::rename(bench.path("away"), bench.path("state")).unwrap();
        std::fs::remove_file(bench.path("t")).unwrap();
    }
    let object = bench.json(&args(&["--budget", "9"])).remove(0);
    assert_eq!(object["effects"]["proposals"][0]["act"], "notify");
    assert_eq!(object["effects"]["files"][0]["path"], "/out/b");
    assert_eq!(object["effects"]["storage_keys_changed"], "1");
    assert_eq!(object["storage_bytes_delta"], "0");
    assert!(object["storage_root"].is_string());
}

#[test]
fn surroundings_that_are_missing_or_wrong_are_refused() {
    let bench = keeper();
    bench.fails(&GRANTED, 2, "USAGE", "--storage DIR");
    bench.fails(&["run", "keeper.mod"], 14, "E403_IMPORT_REFUSED", "needs the missing grant");
    let absent: Vec<&str> = args(&["--fs", "/x/=absent"]);
    bench.fails(&absent, 15, "E501_STORE_OPEN", "absent");
    let relative = args(&["--fs", "x=in"]);
    bench.fails(&relative, 20, "E008_SCHEMA_VIOLATION", "absolute guest path");
    for (flag, value) in [("--fs", "in"), ("--net", "localhost"), ("--net", "localhost:0")] {
        assert_eq!(bench.run(&args(&[flag, value])).code, 2, "{flag} {value}");
    }
    std::fs::create_dir(bench.path("inputs")).unwrap();
    bench.write("inputs/one", "");
    let batch: Vec<&str> = GRANTED.iter().copied().chain(["--batch", "inputs"]).collect();
    bench.fails(&batch, 2, "USAGE", "without --batch");
}
