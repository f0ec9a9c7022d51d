//! Receipts of runs that call other packages, and receipts whose audit bundle only some can read.

use std::fs;
use std::path::Path;

use kapsule_format::container::{Container, Kind, Writer};

use crate::support::{Bench, CLOCK, NONCE, claim, result};

/// Receipts that no verifier may accept.
const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../spec/vectors/receipt/reject");

/// A directory in which `outer.mod` calls `caller.mod`, which calls `clock.mod`, which asks for the
/// time, and the beginning of a call that issues a receipt of that.
fn composed() -> (Bench, [&'static str; 13]) {
    let bench = Bench::with_hello();
    bench.manifest("clock", CLOCK, "grants = [\"time\"]");
    bench.ok(&["pack", "clock.toml", "--key", "alice"]);
    bench.caller_with("caller", "clock.mod", "\"compose\", \"time\"", "--key alice");
    bench.caller_with("outer", "caller.mod", "\"compose\", \"time\"", "--key alice");
    let run = [
        "run",
        "outer.mod",
        "--dep",
        "caller.mod",
        "--dep",
        "clock.mod",
        "--grant",
        "compose",
        "--grant",
        "time",
        "--nonce",
        NONCE,
        "--output=out",
    ];
    (bench, run)
}

#[test]
fn a_run_that_calls_has_a_receipt_that_repeats_all_of_it() {
    let (bench, run) = composed();
    for engine in ["wasmi", "jit"] {
        let file = format!("{engine}.cap");
        let more = ["--now", "1767225600000", "--engine", engine, "--receipt", &file];
        bench.ok(&[&run[..], &more].concat());
    }
    assert_eq!(claim(&bench, "wasmi.cap").exec, claim(&bench, "jit.cap").exec);
    assert_eq!(claim(&bench, "wasmi.cap").exec.nested.len(), 1);
    // Nothing but the receipt is needed, and neither the home nor the packages are.
    fs::remove_dir_all(bench.path("home")).unwrap();
    for package in ["outer.mod", "caller.mod", "clock.mod"] {
        fs::remove_file(bench.path(package)).unwrap();
    }
    let text = bench.ok(&["verify", "jit.cap", "--reexec"]).text().to_owned();
    assert!(text.contains("2 runs inside the run"), "{text}");
    for engine in ["wasmi", "jit"] {
        let replayed = &bench.json(&["replay", "wasmi.cap", "--engine", engine])[0];
        assert_eq!((&replayed["identical"], &replayed["runs_inside"]), (&true.into(), &"2".into()));
    }
    bench.ok(&["receipt", "split", "jit.cap", "--to", "archive", "-o", "small.cap"]);
    assert!(bench.read("small.cap").len() < 8_000);
    bench.fails(&["replay", "small.cap"], 13, "E205_BUNDLE_ABSENT", "cannot be repeated");
    bench.ok(&["audit", "small.cap", "--fetch", "archive"]);
}

#[test]
fn packages_that_are_left_out_are_named_for_a_repetition() {
    let (bench, run) = composed();
    bench.ok(&[&run[..], &["--receipt", "bare.cap", "--no-package"]].concat());
    bench.ok(&["verify", "bare.cap"]);
    let dep = ["replay", "bare.cap", "--dep", "outer.mod", "--dep", "caller.mod"];
    bench.fails(&dep, 13, "E203_DEPENDENCY_ABSENT", "needs packages that are not here");
    bench.ok(&[&dep[..], &["--dep", "clock.mod"]].concat());
}

/// A directory with receipts of one run to bob, whose key is not in the home: `secret.cap`, which
/// he can read, and `salted.cap`, which everybody can.
fn hidden() -> Bench {
    let bench = Bench::with_hello();
    bench.ok(&["key", "recipient", "bob"]);
    for file in ["bob.ageid", "bob.agepub"] {
        fs::rename(bench.path("home/data/keys").join(file), bench.path(file)).unwrap();
    }
    bench.write("name.txt", "Ada Lovelace");
    let run = ["run", "hello.mod", "--input", "name.txt", "--nonce", NONCE, "-q"];
    let secret = ["--receipt", "secret.cap", "--encrypt-to", "bob.agepub"];
    bench.ok(&[&run[..], &secret].concat());
    bench.ok(&[&run[..], &["--receipt", "salted.cap", "--salt"]].concat());
    bench
}

#[test]
fn an_encrypted_bundle_is_read_by_its_recipients_alone() {
    let bench = hidden();
    let bytes = bench.read("secret.cap");
    for part in ["Lovelace", "transcript.klog"] {
        let found = bytes.windows(part.len()).any(|at| at == part.as_bytes());
        assert!(!found, "{part:?} is in the open");
    }
    assert!(claim(&bench, "secret.cap").public_outputs.is_empty());
    // Everybody verifies what is signed, and is told what could not be looked at.
    let report = &bench.json(&["verify", "secret.cap", "--nonce", NONCE])[0];
    assert_eq!(report["status"], "ACCEPT");
    for check in ["bundle", "blobs"] {
        assert_eq!(result(report, check), ("not-done", Some("E212")), "{check}");
    }
    assert_eq!(result(report, "availability"), ("pass", None));
    let text = bench.ok(&["verify", "secret.cap"]).text().to_owned();
    assert!(text.contains("the bundle is encrypted, and no key here opens it"), "{text}");
    bench.fails(&["replay", "secret.cap"], 13, "E212_KEY_NOT_HELD", "--identity");
    bench.fails(&["audit", "secret.cap"], 13, "E212_KEY_NOT_HELD", "secret.cap is rejected");
    // Another key is told the same as none.
    bench.ok(&["key", "recipient", "carol"]);
    bench.fails(&["replay", "secret.cap"], 13, "E212_KEY_NOT_HELD", "no key here opens it");

    let as_bob = ["--identity", "bob.ageid"];
    let report = &bench.json(&[&["verify", "secret.cap", "--reexec"][..], &as_bob].concat())[0];
    for check in ["bundle", "blobs", "transcript", "checkpoints", "reexec"] {
        assert_eq!(result(report, check), ("pass", None), "{check}");
    }
    for engine in ["wasmi", "jit"] {
        bench.ok(&[&["replay", "secret.cap", "--engine", engine][..], &as_bob].concat());
    }
    bench.ok(&["receipt", "split", "secret.cap", "--to", "archive", "-o", "small.cap"]);
    let audit = ["audit", "small.cap", "--fetch", "archive"];
    bench.fails(&audit, 13, "E212_KEY_NOT_HELD", "small.cap is rejected");
    let text = bench.ok(&[&audit[..], &as_bob].concat()).text().to_owned();
    assert!(text.contains("the run happened as claimed"), "{text}");
}

#[test]
fn a_changed_ciphertext_is_not_read() {
    let bench = hidden();
    let bytes = bench.read("secret.cap");
    let container = Container::decode(&bytes).unwrap();
    let mut writer = Writer::new(Kind::Receipt, container.index().to_vec());
    for entry in container.entries().iter().skip(1) {
        let mut bytes = entry.bytes.to_vec();
        if entry.name == "audit.bundle" {
            *bytes.last_mut().unwrap() ^= 1;
        }
        writer.push(entry.name, bytes);
    }
    bench.write("changed.cap", writer.finish().unwrap());
    let as_bob = ["--identity", "bob.ageid"];
    let report = &bench.json(&[&["verify", "changed.cap"][..], &as_bob].concat())[0];
    assert_eq!(result(report, "bundle"), ("not-done", Some("E206")));
    assert_eq!(report["facts"]["ignored"][0]["name"], "audit.bundle");
    let replay = [&["replay", "changed.cap"][..], &as_bob].concat();
    bench.fails(&replay, 13, "E205_BUNDLE_ABSENT", "not the one that the claim names");
}

#[test]
fn salts_hide_values_from_those_without_the_bundle() {
    let bench = hidden();
    let (secret, salted) = (claim(&bench, "secret.cap"), claim(&bench, "salted.cap"));
    // The same run under other salts is another claim, and the states are the same.
    assert_ne!(secret.exec.input.digest, salted.exec.input.digest);
    assert_eq!(secret.exec.last_state, salted.exec.last_state);
    let plain = kapsule_format::transcript::input_commitment(None, b"Ada Lovelace");
    assert!([&secret, &salted].iter().all(|claim| claim.exec.input.digest != plain));
    let report = &bench.json(&["verify", "salted.cap", "--reexec"])[0];
    for check in ["bundle", "blobs", "transcript", "checkpoints", "reexec"] {
        assert_eq!(result(report, check), ("pass", None), "{check}");
    }
    bench.ok(&["receipt", "split", "salted.cap", "--to", "archive", "-o", "small.cap"]);
    let report = &bench.json(&["verify", "small.cap"])[0];
    assert_eq!(result(report, "blobs"), ("not-done", Some("E205")));
    bench.ok(&["audit", "small.cap", "--fetch", "archive"]);
    let prove = ["receipt", "prove", "salted.cap"];
    bench.fails(&prove, 20, "E005_VERSION_UNSUPPORTED", "is salted");
}

#[test]
fn what_cannot_be_meant_is_refused_before_the_run() {
    let bench = hidden();
    let run = ["run", "hello.mod", "--receipt", "x.cap"];
    for (more, exit, code, text) in [
        (&["--encrypt-to", "dave"][..], 2, "USAGE", "cannot read recipients"),
        (&["--encrypt-to", "age1dave"], 20, "E035_KEY_INVALID", "age1dave names no recipient"),
    ] {
        bench.fails(&[&run[..], more].concat(), exit, code, text);
        assert!(!bench.path("x.cap").exists());
    }
    let ended = bench.run(&[&run[..], &["--salt", "--promise-proof"]].concat());
    assert_eq!(ended.code, 2, "{}", ended.stderr);
}

#[test]
fn a_run_of_which_records_are_absent_is_not_repeated() {
    let bench = Bench::new();
    for (vector, lacks) in [
        ("nested-absent", "the bundle lacks the runs inside the run"),
        ("salt-absent", "the bundle lacks the salt seed"),
    ] {
        let file = format!("{vector}.bin");
        fs::copy(Path::new(VECTORS).join(&file), bench.path(&file)).unwrap();
        bench.fails(&["replay", &file, "--insecure-dev"], 13, "E205_BUNDLE_ABSENT", lacks);
    }
}
