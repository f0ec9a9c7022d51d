//! Trust files that follow each other, acceptance files, and what a home remembers.

use std::fs;

use crate::support::Bench;

/// A directory with alice's `hello.mod`, the keys of bob (two suites) and eve, and a trust file
/// that lists alice and that alice and bob keep together.
fn bench() -> Bench {
    let bench = Bench::with_hello();
    bench.ok(&["key", "new", "bob", "--suite", "ed25519", "--suite", "mldsa44"]);
    bench.ok(&["key", "new", "eve"]);
    let first = ["key", "trust", "alice", "--root", "alice", "--root", "bob", "--threshold", "2"];
    bench.ok(&first);
    bench
}

const VERIFY: [&str; 6] =
    ["verify", "hello.mod", "--trust", "trust.json", "--require", "policy-enforced"];

/// Calls `verify`, whose `--json` is a report, and expects it to refuse.
#[track_caller]
fn refused(bench: &Bench, args: &[&str], exit: i32, code: &str, text: &str) {
    let ended = bench.run(args);
    assert_eq!(ended.code, exit, "{args:?}: {}", ended.stderr);
    assert!(ended.stderr.contains(&format!("error[{code}]: ")), "{}", ended.stderr);
    assert!(ended.stderr.contains(text), "{args:?} without {text:?}: {}", ended.stderr);
    assert!(ended.stderr.contains("  hint: "), "{}", ended.stderr);
}

/// Writes the successor of `trust.json` in its place, signed by alice alone.
fn extend(bench: &Bench, change: &[&str]) {
    let extend = ["--extends", "trust.json", "--sign", "alice"];
    bench.ok(&[&["key", "trust"], change, &extend[..]].concat());
}

fn trust_line(bench: &Bench, args: &[&str]) -> String {
    let shown = bench.run(args);
    let line = shown.text().lines().find(|line| line.starts_with("trust  ")).unwrap_or_default();
    line.to_owned()
}

#[test]
fn a_successor_is_used_once_enough_root_identities_signed_it() {
    let bench = bench();
    bench.ok(&VERIFY);
    let first = bench.read("trust.json");
    extend(&bench, &["eve"]);
    assert_eq!(bench.read("trust.json.1"), first, "the file before is kept");
    let few = "1 root identities of serial 1 signed serial 2 with every key, needed are 2";
    refused(&bench, &VERIFY, 11, "E116_SIGNER_QUORUM", few);
    bench.fails(
        &["run", "hello.mod", "--trust", "trust.json"],
        11,
        "E116_SIGNER_QUORUM",
        "needed are 2",
    );
    let signed = &bench.json(&["sign", "trust.json", "--key", "bob"])[0];
    assert_eq!(
        (signed["serial"].as_str(), signed["files"].as_array().unwrap().len()),
        (Some("2"), 2)
    );
    let line = trust_line(&bench, &VERIFY);
    bench.ok(&VERIFY);
    assert!(
        line.ends_with("serial 2, signed by 2 root identities of serial 1, not pinned"),
        "{line}"
    );
    bench.ok(&["run", "hello.mod", "--trust", "trust.json"]);
    // The next one keeps the signatures of this one with it.
    extend(&bench, &["--revoke", "eve"]);
    bench.ok(&["sign", "trust.json", "--key", "bob"]);
    let names = fs::read_dir(bench.path("")).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let kept = names.filter(|name| name.starts_with("trust.json.2.") && name.ends_with(".json"));
    assert_eq!(kept.count(), 3);
    assert!(trust_line(&bench, &VERIFY).contains("serial 3, signed by 2 root"));
    let line = trust_line(&bench, &VERIFY);
    assert!(line.ends_with("serial 3, known from before, not pinned"), "{line}");
}

#[test]
fn a_trust_file_does_not_go_back_or_change_unnoticed() {
    let bench = bench();
    extend(&bench, &["eve"]);
    bench.ok(&["sign", "trust.json", "--key", "bob"]);
    bench.ok(&VERIFY);
    fs::rename(bench.path("trust.json"), bench.path("two.json")).unwrap();
    fs::copy(bench.path("trust.json.1"), bench.path("trust.json")).unwrap();
    let back = "the trust file has serial 1, and serial 2 was used before";
    refused(&bench, &VERIFY, 11, "E118_TRUST_FILE_STALE", back);
    // What was used before needs no earlier file and no companion.
    fs::rename(bench.path("two.json"), bench.path("trust.json")).unwrap();
    fs::remove_file(bench.path("trust.json.1")).unwrap();
    bench.ok(&VERIFY);
    // In a home that remembers nothing the earlier file is missed.
    fs::remove_file(bench.path("home/state/known.json")).unwrap();
    refused(&bench, &VERIFY, 11, "E117_TRUST_PIN_MISMATCH", "no earlier file is here");
}

#[test]
fn a_pin_decides_which_trust_file_is_used() {
    let bench = bench();
    bench.ok(&["accept", "--pin", "trust.json"]);
    let verify = ["verify", "hello.mod", "--trust", "trust.json", "--accept", "accept.json"];
    assert!(trust_line(&bench, &verify).ends_with("serial 1, pinned"));
    extend(&bench, &["eve"]);
    bench.ok(&["sign", "trust.json", "--key", "bob"]);
    assert!(trust_line(&bench, &verify).ends_with(", pinned by serial 1"));
    assert!(trust_line(&bench, &verify).ends_with("serial 2, known to follow the pin"));
    bench.ok(&verify);
    bench.ok(&["key", "trust", "alice", "-o", "other.json"]);
    let other = ["verify", "hello.mod", "--trust", "other.json", "--accept", "accept.json"];
    refused(&bench, &other, 11, "E117_TRUST_PIN_MISMATCH", "kapsule accept --pin FILE");
}

#[test]
fn an_acceptance_file_of_the_home_is_used_and_a_flag_beats_its_level() {
    let bench = bench();
    fs::create_dir_all(bench.path("home/config")).unwrap();
    bench.ok(&["accept", "--level", "audit-ready", "-o", "home/config/accept.json"]);
    refused(&bench, &["verify", "hello.mod"], 13, "E213_NOT_LOOKED_AT", "signer.trusted");
    bench.fails(&["run", "hello.mod"], 13, "E213_NOT_LOOKED_AT", "name a trust file");
    let verified = bench.ok(&["verify", "hello.mod", "--trust", "trust.json"]);
    assert!(verified.text().contains("audit-ready, as "), "{}", verified.text());
    bench.ok(&["verify", "hello.mod", "--require", "proof-only"]);
    let demand = ["accept", "--demand", "proof", "--level", "proof-only", "-o", "proof.json"];
    bench.ok(&demand);
    let proof = ["verify", "hello.mod", "--accept", "proof.json"];
    refused(&bench, &proof, 10, "E301_PROOF_MISSING", "the package promises no proof");
    bench.ok(&["accept", "--suite", "p256", "-o", "suite.json"]);
    let suite = ["run", "hello.mod", "--trust", "trust.json", "--accept", "suite.json"];
    bench.fails(&suite, 20, "E034_SUITE_UNSUPPORTED", "which may not sign");
    bench.fails(&["accept", "--demand", "luck"], 20, "E008_SCHEMA_VIOLATION", "\"luck\"");
    bench.write("bad.json", "{}");
    let bad = ["verify", "hello.mod", "--accept", "bad.json"];
    bench.fails(&bad, 20, "E008_SCHEMA_VIOLATION", "bad.json is not an acceptance file");
}

#[test]
fn a_version_that_was_trusted_is_not_replaced_by_an_older_one() {
    let bench = bench();
    let text = String::from_utf8(bench.read("hello.toml")).unwrap();
    assert!(text.contains("0.1.0"));
    bench.write("new.toml", text.replace("0.1.0", "0.2.0"));
    bench.ok(&["pack", "new.toml", "--key", "alice", "-o", "new.mod"]);
    // Without a trusted author nothing is remembered.
    bench.ok(&["verify", "new.mod"]);
    bench.ok(&["run", "hello.mod"]);
    bench.ok(&["run", "new.mod", "--trust", "trust.json"]);
    let older = "version 0.1.0, and 0.2.0 was trusted before";
    bench.fails(&["run", "hello.mod"], 11, "E126_DOWNGRADE_REFUSED", older);
    refused(&bench, &VERIFY, 11, "E126_DOWNGRADE_REFUSED", older);
    let report: serde_json::Value =
        serde_json::from_slice(&bench.run(&["verify", "hello.mod", "--json"]).stdout).unwrap();
    let hash = report["artefact"]["id"].as_str().unwrap();
    bench.ok(&["run", "hello.mod", "--hash", hash, "--transcript", "t"]);
    bench.ok(&["replay", "hello.mod", "t"]);
    let other = ["run", "new.mod", "--hash", hash];
    bench.fails(&other, 12, "E017_FACTS_CONFLICT", "asked for");
    // A dependency is asked for by its hash.
    bench.caller("caller", "hello.mod", "--key alice");
    bench.ok(&["run", "caller.mod", "--dep", "hello.mod", "--grant", "compose"]);
}

#[test]
fn an_identity_that_signed_here_does_not_lose_a_key() {
    let bench = bench();
    bench.ok(&["pack", "hello.toml", "--key", "bob", "-o", "bob.mod"]);
    bench.ok(&["run", "bob.mod"]);
    let home = bench.path("home/data/keys");
    for file in ["bob.mldsa44.key", "bob.mldsa44.pub"] {
        fs::remove_file(home.join(file)).unwrap();
    }
    bench.ok(&["pack", "hello.toml", "--key", "bob", "-o", "less.mod"]);
    bench.fails(&["run", "less.mod"], 11, "E113_SIGNER_UNTRUSTED", "has mldsa44 key");
    // A trust file that lists the smaller identity says that it is meant.
    bench.ok(&["key", "trust", "bob", "-o", "less.json"]);
    bench.ok(&["run", "less.mod", "--trust", "less.json"]);
}

#[test]
fn a_record_that_cannot_be_read_or_written_is_told() {
    let bench = bench();
    fs::create_dir_all(bench.path("home/state")).unwrap();
    bench.write("home/state/known.json", "{}");
    refused(&bench, &VERIFY, 15, "E503_STORE_CORRUPT", "known.json is damaged");
    fs::remove_dir_all(bench.path("home/state")).unwrap();
    bench.write("home/state", "in the way");
    let ended = bench.ok(&VERIFY);
    assert!(ended.stderr.contains("what was verified is not remembered"), "{}", ended.stderr);
}

#[test]
fn a_trust_file_that_cannot_be_written_is_refused() {
    let bench = bench();
    let high = ["key", "trust", "alice", "--threshold", "2", "-o", "t.json"];
    bench.fails(&high, 20, "E008_SCHEMA_VIOLATION", "no trust file can say this");
    let dash = ["key", "trust", "alice", "--sign", "alice", "-o", "-"];
    let ended = bench.run(&dash);
    assert!(ended.code == 2 && ended.stderr.contains("is several files"), "{}", ended.stderr);
    assert_eq!(bench.run(&["key", "trust", "--revoke", "alice"]).code, 2);
    bench.write("seed.hex", "07".repeat(32));
    let import = ["key", "import", "test", "seed.hex", "--suite", "ed25519", "--insecure-dev"];
    bench.ok(&import);
    let sign = ["sign", "trust.json", "--key", "test"];
    bench.fails(&sign, 11, "E129_TEST_KEY_REFUSED", "published test key");
    bench.ok(&["sign", "trust.json", "--key", "test", "--insecure-dev"]);
    bench.write("bad.json", "{\"schema\":\"kapsule/trust/1\"}");
    let bad = ["sign", "bad.json", "--key", "alice"];
    bench.fails(&bad, 20, "E008_SCHEMA_VIOLATION", "bad.json is not a trust file");
}

#[test]
fn a_chain_has_an_end() {
    let bench = bench();
    let text = String::from_utf8(bench.read("trust.json")).unwrap();
    let previous = format!("\"previous\":\"{}\",\"quorum\"", "00".repeat(32));
    let text = text.replace("\"quorum\"", &previous);
    let serial = |serial: u32| text.replace("\"serial\":1,", &format!("\"serial\":{serial},"));
    for number in 976..2_000 {
        bench.write(&format!("trust.json.{number}"), serial(number));
    }
    bench.write("trust.json", serial(2_000));
    refused(&bench, &VERIFY, 11, "E117_TRUST_PIN_MISMATCH", "follows another file");
    bench.write("trust.json.975", serial(975));
    refused(&bench, &VERIFY, 20, "E004_LIMIT_EXCEEDED", "too many earlier files");
}

#[test]
fn a_key_for_logs_signs_no_trust_file() {
    let bench = bench();
    let path = "home/data/keys/eve.key";
    let file = String::from_utf8(bench.read(path)).unwrap();
    bench.write(path, file.replace("[\"sign\"]", "[\"log\"]"));
    let sign = ["sign", "trust.json", "--key", "eve"];
    bench.fails(&sign, 15, "E509_KEY_FILE_FORM", "the key is for log only");
}
