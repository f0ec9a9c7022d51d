//! Batches: one package over many inputs.

use crate::support::{Bench, REPOSITORY};

/// Gives back the code and the work that the first byte of its input asks for.
const PICKY: &str = r#"(module
  (import "kapsule_v1" "input_read" (func $read (param i64 i32 i32) (result i32)))
  (import "kapsule_v1" "output_write" (func $write (param i32 i32) (result i32)))
  (memory (export "memory") 1 1)
  (func (export "kapsule_abi_version") (result i32) (i32.const 1))
  (func (export "run") (result i32)
    (drop (call $write (i32.const 0) (call $read (i64.const 0) (i32.const 0) (i32.const 100))))
    (if (i32.eq (i32.load8_u (i32.const 0)) (i32.const 108))
      (then (loop $again (br $again))))
    (if (i32.eq (i32.load8_u (i32.const 0)) (i32.const 116)) (then unreachable))
    (i32.eq (i32.load8_u (i32.const 0)) (i32.const 101))))"#;

/// A package, and a directory with inputs that end well, in an error, in a trap and out of fuel.
fn picky(names: &[&str]) -> Bench {
    let bench = Bench::new();
    bench.pack("picky", PICKY, "[limits]\nfuel = 1000000");
    std::fs::create_dir(bench.path("in")).unwrap();
    for name in names {
        bench.write(&format!("in/{name}"), name);
    }
    bench
}

#[test]
fn every_input_runs_and_a_failing_one_does_not_stop_the_others() {
    let names = ["a", "b", "error", "loop", "trap", "z"];
    for engine in ["wasmi", "jit", "auto"] {
        let bench = picky(&names);
        std::fs::create_dir(bench.path("in/below")).unwrap();
        let args = ["run", "picky.mod", "--batch", "in", "--output-dir", "out", "--engine", engine];
        let args = [&args[..], &["--transcript-dir", "transcripts", "--jobs", "3"]].concat();
        let ended = bench.run(&args);
        // That of the first failure in order of the names: an error code of the module.
        assert_eq!(ended.code, 14, "{}", ended.stderr);
        assert!(
            ended.stderr.contains("error[E406_TRAPPED]: 3 of 6 inputs failed"),
            "{}",
            ended.stderr
        );
        assert!(ended.stderr.contains("  caused by: error: the run of error"), "{}", ended.stderr);
        let lines: Vec<&str> = ended.text().lines().map(str::trim_end).collect();
        let starts =
            ["outcome", "completed(0) ", "completed(1)", "limit(fuel)", "trapped(unreachable)"];
        assert_eq!(lines.len(), starts.len(), "{lines:?}");
        for (line, start) in lines.iter().zip(starts) {
            assert!(line.starts_with(start), "{line:?} is not {start:?}");
        }
        for (name, completes) in names.iter().zip([true, true, false, false, false, true]) {
            let output = bench.path("out").join(name);
            assert_eq!(output.exists(), completes, "{name}");
            let transcript = format!("transcripts/{name}.transcript");
            bench.ok(&["replay", "picky.mod", &transcript, "--input", &format!("in/{name}")]);
        }
        assert_eq!(bench.read("out/z"), b"z");
        let left = std::fs::read_dir(bench.path("out")).unwrap().count();
        assert_eq!(left, 3, "nothing but the outputs is in their directory");
    }
}

#[test]
fn a_batch_reports_what_single_runs_report() {
    let names = ["a", "error", "loop"];
    let bench = picky(&names);
    let report = |jobs: &str| {
        let args = ["run", "picky.mod", "--batch", "in", "--jobs", jobs, "--json"];
        let ended = bench.run(&args);
        assert_eq!((ended.code, ended.stderr.as_str()), (14, ""));
        let mut objects = ended.objects();
        for object in &mut objects {
            for own in ["elapsed_ms", "jobs", "backend"] {
                object.as_object_mut().unwrap().remove(own);
            }
        }
        objects
    };
    let objects = report("1");
    assert_eq!(objects, report("4"), "the report depends on the number of threads");
    assert_eq!(objects.len(), names.len() + 2);
    for (name, object) in names.iter().zip(&objects) {
        assert_eq!(object["input"], *name);
        let single = bench.run(&["run", "picky.mod", "--input", &format!("in/{name}"), "--json"]);
        for field in ["outcome", "fuel_used", "output_sha256", "transcript_root", "state_hash"] {
            assert_eq!(object[field], single.objects()[0][field], "{name} {field}");
        }
    }
    let summary = &objects[names.len()];
    assert_eq!(
        (&summary["schema"], &summary["inputs"]),
        (&"kapsule/cli-batch/1".into(), &"3".into())
    );
    assert_eq!(summary["failures"], "2");
    assert_eq!(summary["outcomes"][2]["outcome"], "limit(fuel)");
    assert_eq!(summary["outcomes"][2]["fuel_used"], "1000000");
    assert_eq!(objects.last().unwrap()["code"], "E406_TRAPPED");
}

#[test]
fn batches_without_failures_and_without_inputs_succeed() {
    let bench = picky(&["a", "b"]);
    let ended = bench.ok(&["run", "picky.mod", "--batch", "in"]);
    assert!(ended.stderr.contains("ran 2 inputs on "), "{}", ended.stderr);
    std::fs::create_dir(bench.path("none")).unwrap();
    let objects = bench.json(&["run", "picky.mod", "--batch", "none"]);
    assert_eq!((objects.len(), &objects[0]["inputs"]), (1, &"0".into()));
}

#[test]
fn results_never_mix_with_older_ones() {
    let bench = picky(&["a"]);
    let args = ["run", "picky.mod", "--batch", "in", "--output-dir", "out"];
    bench.ok(&args);
    bench.fails(&args, 2, "USAGE", "it is not empty");
    let same = [&args[..], &["--transcript-dir", "out"]].concat();
    bench.fails(&same, 2, "USAGE", "would share a directory");
    bench.fails(&["run", "picky.mod", "--batch", "absent"], 2, "USAGE", "cannot list absent");
    for clash in [["--input", "in/a"], ["--output", "x"], ["--transcript", "x"]] {
        let ended = bench.run(&[&["run", "picky.mod", "--batch", "in"][..], &clash].concat());
        assert_eq!(ended.code, 2, "{clash:?}");
    }
    let many = ["run", "picky.mod", "--batch", "in", "--jobs", "0"];
    assert_eq!(bench.run(&many).code, 2);
}

#[test]
fn a_real_package_runs_over_real_inputs() {
    let bench = Bench::new();
    bench.pack_standard("trust");
    std::fs::create_dir(bench.path("in")).unwrap();
    let table = format!("{REPOSITORY}/examples/data/trust-sample.csv");
    for viewer in ["ada", "ben", "cleo"] {
        let file = format!("in/{viewer}");
        bench.ok(&["convert", "otc", &table, "--viewer", viewer, "-o", &file]);
    }
    let args =
        ["run", "trust.mod", "--grant", "trust.graph", "--batch", "in", "--output-dir", "out"];
    bench.ok(&args);
    for viewer in ["ada", "ben", "cleo"] {
        let single = ["run", "trust.mod", "--grant", "trust.graph", "--input"];
        let single = bench.ok(&[&single[..], &[&format!("in/{viewer}")]].concat());
        assert_eq!(single.stdout, bench.read(&format!("out/{viewer}")));
    }
}
