//! Receipt policies: written, registered, submitted to by an issuer, and enforced by a verifier.

use kapsule_format::receipt::Receipt;
use serde_json::Value;

use crate::support::{Bench, NONCE, result};

const NIGHTLY: &str = "id = \"nightly\"\nversion = \"1\"\n\
    [rules]\nallow_network = false\nmax_age_ms = 86400000\noutcomes = [\"completed\"]\n\
    kinds = [\"run\", \"exec\"]\n\
    [[tracks]]\nid = \"twice\"\nrules = { repeat_min = 2 }\n";

/// A policy with registry, access list and trust file, and a receipt that submits to it.
fn scene() -> Bench {
    let bench = Bench::with_hello();
    bench.write("name.txt", "Ada");
    bench.write("nightly.toml", NIGHTLY);
    bench.ok(&["policy", "receipt", "nightly.toml", "-o", "nightly.json"]);
    bench.ok(&["policy", "registry", "build", "nightly.json", "--id", "example"]);
    bench.ok(&["policy", "registry", "prove", "registry.json", "nightly.json"]);
    bench.ok(&["policy", "acl", "alice", "--policy", "nightly"]);
    let trust = ["key", "trust", "alice", "--role", "issuer", "--role", "author"];
    bench.ok(&[&trust[..], &["--registry", "registry.json"]].concat());
    bench
}

const ISSUE: [&str; 9] = [
    "run",
    "hello.mod",
    "--input",
    "name.txt",
    "--receipt",
    "hello.cap",
    "--receipt-policy",
    "nightly.json",
    "-q",
];

const VERIFY: [&str; 8] =
    ["verify", "hello.cap", "--trust", "trust.json", "--acl", "acl.json", "--nonce", NONCE];

fn issue(bench: &Bench, more: &[&str]) {
    bench.ok(&[&ISSUE[..], &["--nonce", NONCE], more].concat());
}

/// Verifies for a level and returns exit code and report.
fn verify(bench: &Bench, level: &str, more: &[&str]) -> (i32, Value) {
    let ended = bench.run(&[&VERIFY[..], &["--require", level, "--json"], more].concat());
    (ended.code, ended.objects().remove(0))
}

#[test]
fn a_receipt_under_a_policy_reaches_every_level() {
    let bench = scene();
    issue(&bench, &["--policy-proof", "policy-proof.cbor"]);
    let (code, report) = verify(&bench, "audit-ready", &[]);
    assert_eq!((code, &report["level"]), (0, &"audit-ready".into()), "{report}");
    let rules = report["facts"]["rules"].as_array().unwrap();
    let names: Vec<&str> = rules.iter().map(|rule| rule["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["allow_network", "kinds", "max_age_ms", "outcomes"]);
    // The document is in the receipt, and the pinned registry says that it is the right one.
    let text = bench.ok(&VERIFY).text().to_owned();
    for part in [
        "policy.document pass      nightly 1",
        "policy.registry pass      included in example",
        "policy.rules    pass      4 rules hold",
        "rule          allow_network pass",
        "verdict: ACCEPT, level audit-ready",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    // Without the bundle it is still policy-enforced.
    issue(&bench, &[]);
    let more = ["--registry", "registry.json", "--receipt-policy", "nightly.json"];
    assert_eq!(verify(&bench, "policy-enforced", &more).0, 0);
    let (code, report) = verify(&bench, "policy-enforced", &[]);
    assert_eq!((code, &report["error_code"]), (11, &"E110".into()));
    assert_eq!(result(&report, "policy.registry"), ("not-done", Some("E112")));
}

#[test]
fn configured_files_are_used_and_pins_hold() {
    let bench = scene();
    issue(&bench, &[]);
    std::fs::create_dir_all(bench.path("home/config")).unwrap();
    for name in ["trust.json", "acl.json", "registry.json"] {
        bench.write(&format!("home/config/{name}"), bench.read(name));
    }
    let accept = ["accept", "--receipt-policy", "nightly.json", "--pin-acl", "acl.json"];
    bench.ok(&[&accept[..], &["-o", "accept.json"]].concat());
    let verify = ["verify", "hello.cap", "--nonce", NONCE, "--accept", "accept.json", "--json"];
    let report = &bench.run(&verify).objects()[0];
    assert_eq!(report["level"], "audit-ready", "{report}");
    bench.ok(&["policy", "acl", "--extends", "acl.json", "--withdraw", "alice", "-o", "next.json"]);
    let ended = bench.run(&[&verify[..], &["--acl", "next.json"]].concat());
    assert_eq!((ended.code, &ended.objects()[0]["error_code"]), (11, &"E117".into()));
    let free = ["verify", "hello.cap", "--nonce", NONCE, "--acl", "next.json", "--json"];
    let ended = bench.run(&free);
    assert_eq!((ended.code, &ended.objects()[0]["error_code"]), (11, &"E115".into()));
    // Another policy is another file, and the acceptance file does not list it.
    bench.write("other.toml", NIGHTLY.replace("nightly", "other"));
    bench.ok(&["policy", "receipt", "other.toml", "-o", "other.json"]);
    let run = ["run", "hello.mod", "--receipt", "other.cap", "--nonce", NONCE, "-q"];
    bench.ok(&[&run[..], &["--receipt-policy", "other.json"]].concat());
    let verify = ["verify", "other.cap", "--nonce", NONCE, "--accept", "accept.json", "--json"];
    let ended = bench.run(&[&verify[..], &["--receipt-policy", "other.json"]].concat());
    let report = &ended.objects()[0];
    assert_eq!((ended.code, result(report, "policy.document")), (11, ("fail", Some("E111"))));
}

#[test]
fn a_track_is_chosen_by_the_issuer() {
    let bench = scene();
    let proof = ["--policy-proof", "policy-proof.cbor"];
    issue(&bench, &[&proof[..], &["--track", "twice"]].concat());
    let (code, report) = verify(&bench, "policy-enforced", &[]);
    assert_eq!((code, &report["error_code"]), (11, &"E100".into()), "{report}");
    assert_eq!(verify(&bench, "policy-enforced", &["--reexec"]).0, 0);
    let run = [&ISSUE[..], &["--track", "thrice"]].concat();
    bench.fails(&run, 11, "E103_TRACK_UNKNOWN", "has no track");
}

#[test]
fn a_registry_keeps_what_it_was_and_withdraws() {
    let bench = scene();
    issue(&bench, &[]);
    bench.write("changed.toml", NIGHTLY.replace("86400000", "1"));
    bench.ok(&["policy", "receipt", "changed.toml", "-o", "changed.json"]);
    let build = ["policy", "registry", "build"];
    let add = [&build[..], &["changed.json", "--extends", "registry.json"]].concat();
    bench.fails(&add, 11, "E111_POLICY_DOCUMENT_MISMATCH", "has a nightly 1 already");
    let withdraw = ["--extends", "registry.json", "--withdraw", "nightly@1", "-o", "next.json"];
    bench.ok(&[&build[..], &withdraw].concat());
    let prove = ["policy", "registry", "prove", "next.json", "nightly.json"];
    bench.fails(&prove, 11, "E112_POLICY_NOT_IN_REGISTRY", "is not in force");
    let trust = ["key", "trust", "--extends", "trust.json", "--registry", "next.json"];
    bench.ok(&[&trust[..], &["--sign", "alice", "-o", "trust.json"]].concat());
    let (code, report) = verify(&bench, "policy-enforced", &["--registry", "next.json"]);
    assert_eq!((code, result(&report, "policy.registry")), (11, ("fail", Some("E112"))));
    let (_, report) = verify(&bench, "proof-only", &["--registry", "registry.json"]);
    assert_eq!(result(&report, "policy.registry"), ("fail", Some("E109")));
    let absent = ["--extends", "registry.json", "--withdraw", "nightly@2"];
    bench.fails(&[&build[..], &absent].concat(), 2, "USAGE", "has no policy");
}

#[test]
fn rules_that_nobody_knows_are_refused() {
    let bench = Bench::with_hello();
    for (text, code, exit) in [
        (
            "id = \"p\"\nversion = \"1\"\nrules = { max_cost = 1 }\n",
            "E009_UNKNOWN_CRITICAL_FIELD",
            20,
        ),
        ("id = \"P\"\nversion = \"1\"\nrules = {}\n", "E008_SCHEMA_VIOLATION", 20),
        ("id = \"p\"\nversion = \"1\"\nrules = { max_fuel = 1.5 }\n", "USAGE", 2),
        ("id = \n", "USAGE", 2),
    ] {
        bench.write("p.toml", text);
        let args = ["policy", "receipt", "p.toml", "-o", "p.json"];
        bench.fails(&args, exit, code, "p.toml");
    }
    bench.write("p.json", "{ \"version\": \"1\", \"id\": \"p\", \"rules\": {} }");
    let object = &bench.json(&["policy", "receipt", "p.json", "-o", "q.json"])[0];
    assert_eq!(object["id"], "p");
    let acl = ["policy", "acl", "alice", "--policy", "A b"];
    bench.fails(&acl, 20, "E008_SCHEMA_VIOLATION", "no access list");
}

#[test]
fn a_receipt_without_its_package_is_repeated_where_the_package_is() {
    let bench = scene();
    issue(&bench, &["--no-package"]);
    let bytes = bench.read("hello.cap");
    let receipt = Receipt::decode(&bytes).unwrap();
    assert!(receipt.package().is_none() && receipt.absent().is_empty());
    let more = ["--registry", "registry.json"];
    assert_eq!(verify(&bench, "audit-ready", &more).0, 0);
    bench.fails(&["replay", "hello.cap"], 13, "E201_ENTRY_ABSENT", "cannot be repeated");
    let text = bench.ok(&["replay", "hello.cap", "--dep", "hello.mod"]).text().to_owned();
    assert!(text.starts_with("identical on "), "{text}");
    bench.ok(&["package", "add", "hello.mod"]);
    bench.ok(&["replay", "hello.cap"]);
    let report = &bench.json(&["verify", "hello.cap", "--reexec"])[0];
    assert_eq!(result(report, "reexec"), ("pass", None));
}
