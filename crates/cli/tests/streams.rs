//! Streams: stdin, stdout, closed pipes, colour, and what goes where.

use std::io::Read;
use std::process::Stdio;

use crate::support::{Bench, KAPSULE};

#[test]
fn a_dash_is_stdin_and_stdout() {
    let bench = Bench::with_hello();
    let greeted = bench.run_with(&["run", "hello.mod", "--input", "-", "--output", "-"], b"Ada");
    assert_eq!((greeted.code, greeted.text()), (0, "hello, Ada"));
    let package = bench.read("hello.mod");
    let run = bench.run_with(&["run", "-"], &package);
    assert_eq!((run.code, run.text()), (0, "hello, "));
    assert_eq!(bench.run_with(&["verify", "-"], &package).code, 0);
    assert_eq!(bench.run_with(&["inspect", "-"], &package).code, 0);
    bench.fails(&["sign", "-", "--key", "alice"], 2, "USAGE", "cannot be signed in place");
}

#[test]
fn a_transcript_can_go_to_stdout() {
    let bench = Bench::with_hello();
    let args = ["run", "hello.mod", "--output", "out", "--transcript", "-"];
    let transcript = bench.ok(&args).stdout;
    let replayed = bench.run_with(&["replay", "hello.mod", "-"], &transcript);
    assert_eq!(replayed.code, 0, "{}", replayed.stderr);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let bench = Bench::new();
    for args in
        [["limits"].as_slice(), &["limits", "--json"], &["completions", "bash"], &["--help"]]
    {
        let mut command = bench.command(KAPSULE);
        command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        assert_eq!((child.wait().unwrap().code(), stderr.as_str()), (Some(0), ""), "{args:?}");
    }
}

#[test]
fn output_files_are_replaced_whole() {
    let bench = Bench::with_hello();
    bench.write("out", "a longer text than the greeting");
    std::os::unix::fs::symlink("out", bench.path("link")).unwrap();
    bench.ok(&["run", "hello.mod", "--output", "link"]);
    assert_eq!(bench.read("out"), b"hello, ");
    assert!(bench.path("link").is_symlink(), "a link is followed, not replaced");
    bench.ok(&["run", "hello.mod", "--output", "/dev/null"]);
    bench.fails(&["run", "hello.mod", "--output", "home"], 2, "USAGE", "it is a directory");
    let names: Vec<_> = std::fs::read_dir(bench.path("")).unwrap().collect();
    let names = names.into_iter().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| name.ends_with(".tmp")).count(), 0);
}

#[test]
fn an_input_above_its_limit_is_refused() {
    let bench = Bench::with_hello();
    let policy = vec![b' '; 65_537];
    bench.write("policy.json", policy);
    let args = ["run", "hello.mod", "--policy", "policy.json"];
    bench.fails(&args, 20, "E004_LIMIT_EXCEEDED", "policy exceeds the limit of 65536 bytes");
}

#[test]
fn colour_is_a_choice() {
    let bench = Bench::with_hello();
    assert!(!bench.ok(&["verify", "hello.mod"]).text().contains('\u{1b}'));
    assert!(
        bench.ok(&["verify", "hello.mod", "--color", "always"]).text().contains("\u{1b}[32mpass")
    );
    let failed = bench.run(&["verify", "none.mod", "--color", "always"]);
    assert!(failed.stderr.contains("\u{1b}[1;31merror\u{1b}[0m"), "{}", failed.stderr);
}

#[test]
fn usage_errors_exit_2_in_both_forms() {
    let bench = Bench::new();
    for args in [["nonsense"].as_slice(), &["run"], &["run", "x", "--engine", "fast"], &["key"]] {
        let ended = bench.run(args);
        assert_eq!((ended.code, ended.text()), (2, ""), "{args:?}");
        let ended = bench.run(&[args, &["--json"]].concat());
        assert_eq!((ended.code, ended.stderr.as_str()), (2, ""), "{args:?}");
        assert_eq!(ended.objects()[0]["code"], "USAGE", "{args:?}");
    }
}

#[test]
fn without_a_home_only_keys_are_missed() {
    let bench = Bench::with_hello();
    let run = |args: &[&str]| {
        let mut command = bench.command(KAPSULE);
        command.args(args).env_remove("KAPSULE_HOME").output().unwrap()
    };
    assert!(run(&["run", "hello.mod"]).status.success());
    let keys = run(&["key", "list"]);
    assert_eq!(keys.status.code(), Some(2));
    assert!(String::from_utf8(keys.stderr).unwrap().contains("hint: set KAPSULE_HOME"));
}
