//! Runs: outputs, outcomes, limits, grants.

use crate::support::{Bench, CLOCK, DICE, ENDINGS, HELLO};

#[test]
fn a_run_greets() {
    let bench = Bench::with_hello();
    bench.write("name.txt", "Ada");
    let ended = bench.ok(&["run", "hello.mod", "--input", "name.txt"]);
    assert_eq!(ended.text(), "hello, Ada");
    assert!(ended.stderr.contains("warning: hello.mod is signed by "), "{}", ended.stderr);
    assert!(ended.stderr.contains("module says (info): greeting\\u{1b}[2J"), "{}", ended.stderr);
    assert!(ended.stderr.contains("completed(0) on wasmi"), "{}", ended.stderr);
    bench.ok(&["run", "hello.mod", "--input", "name.txt", "--output", "out.txt"]);
    assert_eq!(bench.read("out.txt"), b"hello, Ada");
}

#[test]
fn the_engines_report_the_same() {
    let bench = Bench::with_hello();
    bench.write("name.txt", "Ada");
    let run = |engine: &str| {
        let file = format!("{engine}.transcript");
        let args =
            ["run", "hello.mod", "--input", "name.txt", "--engine", engine, "--transcript", &file];
        let mut object = bench.json(&args).remove(0);
        assert_eq!(object["backend"], engine);
        for own in ["backend", "elapsed_ms"] {
            object.as_object_mut().unwrap().remove(own);
        }
        (object, bench.read(&file))
    };
    let (wasmi, jit) = (run("wasmi"), run("jit"));
    assert_eq!(wasmi, jit);
    let object = wasmi.0;
    assert_eq!(object["output_hex"], "68656c6c6f2c20416461");
    assert_eq!(
        (&object["outcome"], &object["level"]),
        (&"completed(0)".into(), &"proof-only".into())
    );
    assert_eq!(object["hostcalls"]["output_write"], "2");
    assert_eq!(object["logs"][0]["level"], "info");
}

/// Packs the module whose entries end in different ways, with small limits.
pub(crate) fn endings() -> Bench {
    let bench = Bench::new();
    let extra = "[exec]\nentries = [\"bad_level\", \"error\", \"flood\", \"forever\", \"recurse\", \
        \"trap\"]\n[limits]\nfuel = 20000000\noutput = \"128KiB\"";
    bench.pack("endings", ENDINGS, extra);
    bench
}

#[test]
fn every_outcome_but_success_exits_14_with_its_code() {
    let bench = endings();
    for (entry, code, text) in [
        ("forever", "E405_OUT_OF_FUEL", "limit(fuel)"),
        ("error", "E406_TRAPPED", "completed(16)"),
        ("trap", "E406_TRAPPED", "trapped(unreachable)"),
        ("recurse", "E406_TRAPPED", "trapped(stack exhausted)"),
        ("flood", "E408_LIMIT_REACHED", "limit(output)"),
        ("bad_level", "E407_HOSTCALL_DENIED", "denied(argument)"),
    ] {
        for engine in ["wasmi", "jit"] {
            let args = ["run", "endings.mod", "--entry", entry, "--engine", engine];
            bench.fails(&args, 14, code, text);
        }
    }
}

#[test]
fn a_failed_run_leaves_a_transcript_but_no_output() {
    let bench = endings();
    let args = ["run", "endings.mod", "--entry", "forever", "--transcript", "t", "--output", "out"];
    bench.fails(&args, 14, "E405_OUT_OF_FUEL", "limit(fuel)");
    assert!(!bench.path("out").exists(), "what did not complete is no result");
    bench.ok(&["replay", "endings.mod", "t", "--engine", "jit"]);
    let ended = bench.run(&["run", "endings.mod", "--entry", "error"]);
    assert_eq!(ended.stdout, b"");
    let objects = bench.run(&["run", "endings.mod", "--entry", "forever", "--json"]).objects();
    assert_eq!(objects[0]["fuel_used"], "20000000");
    assert_eq!(objects[1]["schema"], "kapsule/error/1");
}

#[test]
fn fuel_is_granted_within_the_policy() {
    let bench = endings();
    let args = ["run", "endings.mod", "--entry", "forever", "--fuel", "1000"];
    let objects = bench.run(&[&args[..], &["--json"]].concat()).objects();
    assert_eq!(
        (&objects[0]["fuel_used"], &objects[0]["fuel_granted"]),
        (&"1000".into(), &"1000".into())
    );
    let args = ["run", "endings.mod", "--fuel", "20000001"];
    bench.fails(&args, 11, "E127_RESOURCES_EXCEED_POLICY", "at most 20000000 fuel");
    assert_eq!(bench.run(&["run", "endings.mod", "--fuel", "much"]).code, 2);
}

#[test]
fn only_listed_entries_run() {
    let bench = endings();
    let args = ["run", "endings.mod", "--entry", "kapsule_abi_version"];
    bench.fails(&args, 14, "E404_ENTRY_NOT_FOUND", "choose one of its entries: run, bad_level");
}

#[test]
fn a_grant_is_asked_for_by_name() {
    let bench = Bench::new();
    bench.pack("clock", CLOCK, "grants = [\"time\"]");
    let args = ["run", "clock.mod"];
    bench.fails(&args, 14, "E403_IMPORT_REFUSED", "run again with `--grant time`");
    bench.fails(&args, 14, "E403_IMPORT_REFUSED", "needs the missing grant time");
    let granted = ["run", "clock.mod", "--grant", "time", "--now", "258"];
    assert_eq!(bench.ok(&granted).stdout, [2, 1, 0, 0, 0, 0, 0, 0]);
    let told = bench.ok(&["run", "clock.mod", "--grant", "time"]);
    assert!(told.stderr.contains("the run is told the time "), "{}", told.stderr);
    let unknown = bench.run(&["run", "clock.mod", "--grant", "everything"]);
    assert_eq!(unknown.code, 2);
    assert!(
        unknown.stderr.contains("grants are agent.propose, capsule.metadata, "),
        "{}",
        unknown.stderr
    );
}

#[test]
fn random_bytes_come_from_the_seed() {
    let bench = Bench::new();
    bench.pack("dice", DICE, "grants = [\"random\"]");
    let zeros = bench.ok(&["run", "dice.mod", "--grant", "random"]).stdout;
    // First bytes of random block 0 for a seed of zero bytes, a fixed value of the formats.
    assert_eq!(zeros, [0x30, 0xe8, 0xae, 0x19, 0xb9, 0x91, 0xa7, 0xb2]);
    let seed = "01".repeat(32);
    let ones = bench.ok(&["run", "dice.mod", "--grant", "random", "--seed", &seed]).stdout;
    assert_ne!(ones, zeros);
    assert_eq!(bench.run(&["run", "dice.mod", "--grant", "random", "--seed", "01"]).code, 2);
}

#[test]
fn a_policy_file_narrows_the_package() {
    let bench = Bench::new();
    bench.pack("clock", CLOCK, "grants = [\"time\"]");
    let policy = String::from_utf8(bench.ok(&["policy", "show", "clock.mod"]).stdout).unwrap();
    bench.write("host.json", &policy);
    bench.ok(&["run", "clock.mod", "--policy", "host.json", "--now", "1"]);
    bench.write("host.json", policy.replace("\"fuel\":1000000000", "\"fuel\":5"));
    let args = ["run", "clock.mod", "--policy", "host.json", "--now", "1"];
    bench.fails(&args, 14, "E405_OUT_OF_FUEL", "limit(fuel)");
    bench.write("host.json", policy.replace("\"memory_bytes\":67108864", "\"memory_bytes\":0"));
    bench.fails(&args, 11, "E127_RESOURCES_EXCEED_POLICY", "initial memory pages 1");
    bench.write("host.json", policy.replace("\"now\"", ""));
    bench.fails(&args, 14, "E403_IMPORT_REFUSED", "--grant time");
    bench.write("host.json", format!("{policy}\n"));
    bench.fails(&args, 20, "E007_JSON_NOT_CANONICAL", "host.json is not a policy file");
}

#[test]
fn unsigned_packages_run_with_a_warning_unless_more_is_required() {
    let bench = Bench::new();
    bench.pack("nobody", HELLO, "");
    let ended = bench.ok(&["run", "nobody.mod", "-q"]);
    assert_eq!(ended.stderr, "warning: nobody.mod is not signed, so nobody vouches for it\n");
    let args = ["run", "nobody.mod", "--require", "policy-enforced"];
    bench.fails(&args, 12, "E033_SIGNATURE_MISSING", "the package names no author keys");
}

#[test]
fn arguments_that_clash_are_refused_before_anything_is_read() {
    let bench = Bench::new();
    let both = ["run", "-", "--input", "-"];
    bench.fails(&both, 2, "USAGE", "only one of the files can come from stdin");
    let two = ["run", "none.mod", "--output", "-", "--transcript", "-"];
    bench.fails(&two, 2, "USAGE", "cannot share stdout");
    let absent = ["run", "none.mod", "--output", "none/out"];
    bench.fails(&absent, 2, "USAGE", "cannot write none/out");
    bench.fails(&["run", "none.mod"], 2, "USAGE", "cannot read package none.mod");
}
