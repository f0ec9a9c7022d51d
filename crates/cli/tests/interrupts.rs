//! Ctrl-C, sent to a real process.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use crate::support::{Bench, KAPSULE};

/// Works until it is out of fuel, and writes before that.
const FOREVER: &str = r#"(module
  (import "kapsule_v1" "output_write" (func $write (param i32 i32) (result i32)))
  (import "kapsule_v1" "input_len" (func $len (result i64)))
  (memory (export "memory") 1 1)
  (func (export "kapsule_abi_version") (result i32) (i32.const 1))
  (func (export "calls") (result i32)
    (drop (call $write (i32.const 0) (i32.const 4)))
    (loop $again (drop (call $len)) (br $again)) (i32.const 0))
  (func (export "run") (result i32)
    (drop (call $write (i32.const 0) (i32.const 4)))
    (loop $again (br $again)) (i32.const 0)))"#;

/// Hours of fuel.
const LIMITS: &str =
    "[exec]\nentries = [\"calls\"]\n[limits]\nfuel = 9000000000000\ncalls = 16777215";

/// Starts a command and waits for its first line on stderr.
fn start(bench: &Bench, args: &[&str]) -> (Child, BufReader<std::process::ChildStderr>) {
    let mut command = bench.command(KAPSULE);
    command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("running ") && !line.contains("creating keys") {
        line.clear();
        assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "{args:?} ended before its work");
    }
    (child, stderr)
}

fn interrupt(child: &Child) {
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
}

/// Returns exit code and the rest of stderr.
fn end(mut child: Child, mut stderr: impl Read) -> (Option<i32>, String) {
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    (child.wait().unwrap().code(), rest)
}

/// Returns the names of what a test left beside the files it made.
fn left(bench: &Bench) -> Vec<String> {
    let made = ["forever.mod", "forever.toml", "forever.wasm", "home", "in"];
    let names = std::fs::read_dir(bench.path("")).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| !made.contains(&name.as_str())).collect()
}

#[test]
fn ctrl_c_ends_a_run_without_partial_results() {
    let bench = Bench::new();
    bench.pack("forever", FOREVER, LIMITS);
    for (entry, engine) in [("run", "jit"), ("calls", "wasmi")] {
        let args = ["run", "forever.mod", "--entry", entry, "--engine", engine];
        let args = [&args[..], &["--output", "out", "--transcript", "transcript"]].concat();
        let (child, stderr) = start(&bench, &args);
        interrupt(&child);
        let (code, text) = end(child, stderr);
        assert_eq!(code, Some(130), "{entry}: {text}");
        assert!(text.contains("error: interrupted"), "{text}");
        assert!(text.contains("  hint: "), "{text}");
        assert_eq!(left(&bench), [""; 0]);
    }
}

/// Processor time, in ticks of 10 ms, after which a run has begun beyond doubt: what comes before
/// it takes a few milliseconds.
#[cfg(target_os = "linux")]
const BEGUN_TICKS: u64 = 20;

/// Returns the processor time that a child has used in user mode, in ticks.
#[cfg(target_os = "linux")]
fn ticks(child: &Child) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    // The name, in brackets, may hold spaces; the time is the twelfth field behind it.
    let (_, fields) = stat.rsplit_once(')').unwrap();
    fields.split_whitespace().nth(11).unwrap().parse().unwrap()
}

// Without hostcalls the interpreter looks at nothing but its fuel, once it has begun.
#[cfg(target_os = "linux")]
#[test]
fn the_second_ctrl_c_ends_a_run_that_does_not_listen() {
    let bench = Bench::new();
    bench.pack("forever", FOREVER, LIMITS);
    let (mut child, stderr) = start(&bench, &["run", "forever.mod", "--engine", "wasmi"]);
    while ticks(&child) < BEGUN_TICKS {
        std::thread::yield_now();
    }
    // A signal that is still pending swallows another, so there may be more than two.
    while child.try_wait().unwrap().is_none() {
        interrupt(&child);
    }
    let (code, text) = end(child, stderr);
    assert_eq!(code, Some(130), "{text}");
    assert!(!text.contains("error: interrupted"), "the run stopped at a safe point: {text}");
}

#[test]
fn an_interrupted_batch_keeps_what_is_done() {
    let bench = Bench::new();
    bench.pack("forever", FOREVER, LIMITS);
    std::fs::create_dir(bench.path("in")).unwrap();
    for name in ["a", "b", "c"] {
        bench.write(&format!("in/{name}"), name);
    }
    let args = ["run", "forever.mod", "--batch", "in", "--output-dir", "in/out", "--engine", "jit"];
    let (child, stderr) = start(&bench, &args);
    interrupt(&child);
    let (code, text) = end(child, stderr);
    assert_eq!(code, Some(130), "{text}");
    assert!(text.contains("0 of 3 inputs are done"), "{text}");
    assert_eq!(std::fs::read_dir(bench.path("in/out")).unwrap().count(), 0);
}

#[test]
fn an_interrupted_demo_removes_its_home() {
    let bench = Bench::new();
    let (child, stderr) = start(&bench, &["demo"]);
    let homes = || left(&bench).iter().any(|name| name.starts_with("kapsule-demo-"));
    assert!(homes(), "the demo keeps its home below TMPDIR");
    interrupt(&child);
    let (code, text) = end(child, stderr);
    assert_eq!(code, Some(130), "{text}");
    assert!(!homes(), "the home of the demo is left: {:?}", left(&bench));
}

#[test]
fn a_watched_folder_is_taken_in_until_ctrl_c() {
    let bench = Bench::new();
    bench.ok(&["key", "new", "alice"]);
    bench.ok(&["channel", "new", "news", "--public"]);
    bench.ok(&["channel", "share", "news", "-o", "in"]);
    bench.write("text", "hello");
    bench.ok(&["post", "post", "--file", "text", "-o", "post"]);
    let mut command = bench.command(KAPSULE);
    command.args(["ingest", "in", "--watch", "--origin", "example.org/log", "--json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut wait_for = |name: &str, fate: &str| {
        let mut line = String::new();
        while !(line.contains("kapsule/ingest-file/1") && line.contains(name)) {
            line.clear();
            if stdout.read_line(&mut line).unwrap() == 0 {
                return false;
            }
        }
        line.contains(&format!("\"fate\":\"{fate}\""))
    };
    let mut good = wait_for("in/", "accepted");
    // The first half is not looked at as a capsule, the whole is.
    let post = bench.read("post");
    bench.write("in/post.kapsule", &post[..post.len() / 2]);
    bench.write("in/forged.kapsule", "no capsule".repeat(200));
    good &= wait_for("forged.kapsule", "refused");
    bench.write("in/post.kapsule", &post);
    good &= wait_for("post.kapsule", "accepted");
    interrupt(&child);
    let stderr = child.stderr.take().unwrap();
    let (code, text) = end(child, stderr);
    assert!(good, "{text}");
    assert_eq!(code, Some(20), "that of the refused file: {text}");
    bench.ok(&["doctor"]);
    assert_eq!(bench.json(&["log", "show", "--type", "capsule.refused"]).len(), 1);
}
