//! Unmodified command-line programs, on both engines.

use std::path::Path;

use crate::support::{Bench, REPOSITORY};

/// Packs a program of `sdk/wasi` with these arguments.
fn packed(name: &str, args: &[&str]) -> Bench {
    let bench = Bench::new();
    let manifest = format!("{REPOSITORY}/sdk/wasi/{name}.toml");
    bench.ok(&[&["pack", &manifest, "--wasi"][..], args].concat());
    bench
}

/// Runs on an engine and returns exit code, outcome and output.
fn ran(bench: &Bench, package: &str, input: &str, engine: &str) -> (i32, String, String) {
    bench.write("input", input);
    let args = ["run", package, "--grant", "random", "--input", "input", "--engine", engine];
    let ended = bench.run(&[&args[..], &["--output", "output", "--json"]].concat());
    let outcome = ended.objects()[0]["outcome"].as_str().unwrap().to_owned();
    let output = match ended.code {
        0 => String::from_utf8(bench.read("output")).unwrap(),
        _ => String::new(),
    };
    (ended.code, outcome, output)
}

#[test]
fn a_rust_program_reads_writes_and_ends_with_its_code() {
    let loud = packed("words", &["--wasi-arg=--loud"]);
    let by_variable = packed("words", &["--wasi-env", "LOUD=1"]);
    let quiet = packed("words", &[]);
    for engine in ["wasmi", "jit"] {
        let input = "one two\nthree one";
        let counts = "one 2\nthree 1\ntwo 1\n";
        let expect = |lines: &str| (0, "completed(0)".to_owned(), format!("{lines}\n{counts}"));
        assert_eq!(ran(&loud, "words.mod", input, engine), expect("ONE TWO\nTHREE ONE"));
        assert_eq!(ran(&by_variable, "words.mod", input, engine), expect("ONE TWO\nTHREE ONE"));
        assert_eq!(ran(&quiet, "words.mod", input, engine), expect("one two\nthree one"));
        assert_eq!(ran(&quiet, "words.mod", "\n", engine).1, "completed(3)");
    }
    let logs = quiet.run(&["run", "words.mod", "--grant", "random", "--json"]).objects();
    let text: String =
        logs[0]["logs"].as_array().unwrap().iter().map(|l| l["text"].as_str().unwrap()).collect();
    assert_eq!(text, "0 distinct words\n");
}

#[test]
fn a_c_program_exits_from_a_callback() {
    let bench = packed("sort", &["--wasi-arg", "line:"]);
    for engine in ["wasmi", "jit"] {
        let sorted = "line: a\nline: b\nline: c\n".to_owned();
        assert_eq!(
            ran(&bench, "sort.mod", "c\na\nb\n", engine),
            (0, "completed(0)".into(), sorted)
        );
        assert_eq!(ran(&bench, "sort.mod", "c\nstop\nb\n", engine).1, "completed(7)");
    }
    // Longer than any buffer of the program, so that it is read in many pieces.
    let lines: Vec<String> = (0..900).rev().map(|number| format!("{number:0100}\n")).collect();
    let (_, _, output) = ran(&bench, "sort.mod", &lines.concat(), "jit");
    let expect: String = lines.iter().rev().map(|line| format!("line: {line}")).collect();
    assert!(output == expect, "900 lines are not sorted");
}

#[test]
fn a_program_replays_from_its_transcript() {
    let bench = packed("words", &[]);
    bench.write("input", "b a b");
    let run = ["run", "words.mod", "--grant", "random", "--seed", &"07".repeat(32), "--input"];
    bench.ok(&[&run[..], &["input", "--transcript", "t", "--engine", "wasmi"]].concat());
    bench.ok(&["replay", "words.mod", "t", "--engine", "jit"]);
}

#[test]
fn what_a_program_needs_has_to_be_granted() {
    let bench = Bench::new();
    std::fs::copy(format!("{REPOSITORY}/sdk/wasi/words.wasm"), bench.path("words.wasm")).unwrap();
    let manifest = |grants: &str| {
        let fixed = "name = \"w\"\nversion = \"0.1.0\"\nauthor = \"A\"\n";
        format!("{fixed}entry = \"words.wasm#run\"\n{grants}")
    };
    bench.write("w.toml", manifest(""));
    let args = ["pack", "w.toml", "--wasi"];
    bench.fails(&args, 14, "E403_IMPORT_REFUSED", "imports random, which needs a grant");
    bench.fails(&["pack", "w.toml"], 14, "E403_IMPORT_REFUSED", "outside the namespace");
    bench.write("w.toml", manifest("grants = [\"random\"]"));
    bench.ok(&args);
    bench.manifest("hello", crate::support::HELLO, "");
    let twice = ["pack", "hello.toml", "--wasi"];
    bench.fails(
        &twice,
        14,
        "E403_IMPORT_REFUSED",
        "a module that imports hostcalls needs no --wasi",
    );
    assert_eq!(bench.run(&["pack", "w.toml", "--wasi-arg", "x"]).code, 2);
    assert_eq!(bench.run(&["pack", "w.toml", "--wasi", "--wasi-env", "x"]).code, 2);
    let long = "x".repeat(16_384);
    let args = ["pack", "w.toml", "--wasi", "--wasi-arg", &long];
    bench.fails(&args, 20, "E004_LIMIT_EXCEEDED", "exceed the limit of 16384");
}

#[test]
fn clocks_give_the_time_of_the_run_if_it_is_granted() {
    let bench = Bench::new();
    // Writes the 8 bytes of the realtime clock.
    let clock = r#"(module
      (import "wasi_snapshot_preview1" "clock_time_get"
        (func $time (param i32 i64 i32) (result i32)))
      (import "wasi_snapshot_preview1" "fd_write"
        (func $write (param i32 i32 i32 i32) (result i32)))
      (memory (export "memory") 1 1)
      (data (i32.const 0) "\10\00\00\00\08\00\00\00")
      (func (export "_start")
        (drop (call $time (i32.const 0) (i64.const 1) (i32.const 16)))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))))"#;
    bench.manifest("clock", clock, "grants = [\"time\"]");
    bench.ok(&["pack", "clock.toml", "--wasi"]);
    let told = bench.ok(&["run", "clock.mod", "--grant", "time", "--now", "1234"]).stdout;
    assert_eq!(told, 1_234_000_000u64.to_le_bytes());
}

#[test]
fn vectors_run_as_they_say() {
    let folder = Path::new(REPOSITORY).join("spec/vectors/wasi/accept");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let vector: toml::Table = std::fs::read_to_string(&path).unwrap().parse().unwrap();
        let text = |name: &str| vector.get(name).map_or("", |value| value.as_str().unwrap());
        let bench = Bench::new();
        bench.manifest("vector", text("wat"), "");
        let args = vector.get("args").and_then(|args| args.as_array()).cloned().unwrap_or_default();
        // The first is the name, which the command gives itself.
        let args = args.iter().skip(1).map(|arg| format!("--wasi-arg={}", arg.as_str().unwrap()));
        let args: Vec<String> = args.collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        bench.ok(&[&["pack", "vector.toml", "--wasi"][..], &args].concat());
        for engine in ["wasmi", "jit"] {
            let (_, outcome, output) = ran(&bench, "vector.mod", text("input"), engine);
            let found = (outcome.as_str(), output.as_str());
            assert_eq!(found, (text("expect"), text("output")), "{}", path.display());
        }
        count += 1;
    }
    assert!(count >= 10, "only {count} vectors");
}
