//! Verification: every named check, and no success that is none.

use kapsule_format::verify::{self, CheckResult, ClosureFinding, Options};

use crate::support::Bench;

fn trusting() -> Bench {
    let bench = Bench::with_hello();
    bench.ok(&["key", "trust", "alice", "-o", "trust.json"]);
    bench
}

#[test]
fn json_is_the_report_and_a_line_feed() {
    let bench = Bench::with_hello();
    let detail = "none needed".to_owned();
    let closure = Some(ClosureFinding { result: CheckResult::Pass, detail });
    let options = Options { closure, ..Options::default() };
    let mut expect = verify::package(&bench.read("hello.mod"), None, Some(1), &options).encode();
    expect.push(b'\n');
    assert_eq!(bench.ok(&["verify", "hello.mod", "--json"]).stdout, expect);
}

#[test]
fn what_was_not_done_is_not_success() {
    let bench = Bench::with_hello();
    let text = bench.ok(&["verify", "hello.mod"]).text().to_owned();
    assert!(text.starts_with("required  proof-only, the default;"), "{text}");
    for line in [
        "  form            pass",
        "  hashes          pass",
        "  signature       pass      1 valid",
        "  signer.trusted  not done  E213_NOT_LOOKED_AT: ",
        "  dependencies    pass      none needed",
        "verdict: ACCEPT, level proof-only",
        "not proved:\n  that the signer is someone you trust\n",
    ] {
        assert!(text.contains(line), "{line:?} is not in {text}");
    }
    assert!(text.ends_with("  when it was made or signed\n"));
    let require = ["verify", "hello.mod", "--require", "policy-enforced"];
    let ended = bench.run(&require);
    assert_eq!(ended.code, 13);
    assert!(ended.text().contains("verdict: REJECT, level proof-only"));
    assert!(ended.stderr.contains("error[E213_NOT_LOOKED_AT]"), "{}", ended.stderr);
    assert!(ended.stderr.contains("hint: name a trust file with --trust"));
}

#[test]
fn a_trusted_signer_raises_the_level() {
    let bench = trusting();
    let args = ["verify", "hello.mod", "--trust", "trust.json", "--require", "policy-enforced"];
    let text = bench.ok(&args).text().to_owned();
    assert!(text.contains("signer.trusted  pass"), "{text}");
    assert!(text.contains("verdict: ACCEPT, level audit-ready"), "{text}");
    assert!(!text.contains("that the signer is someone you trust"));
    let audit = ["verify", "hello.mod", "--trust", "trust.json", "--require", "audit-ready"];
    let text = bench.ok(&audit).text().to_owned();
    assert!(text.contains("not proved:\n  that its author made no newer version\n"), "{text}");
}

#[test]
fn a_stranger_is_refused_by_a_trust_file() {
    let bench = trusting();
    bench.ok(&["key", "new", "eve"]);
    bench.ok(&["pack", "hello.toml", "--key", "eve", "-o", "eve.mod"]);
    let ended = bench.run(&["verify", "eve.mod", "--trust", "trust.json"]);
    assert_eq!(ended.code, 11);
    assert!(ended.text().contains("signer.trusted  FAIL      E113_SIGNER_UNTRUSTED"));
    assert!(ended.stderr.contains("kapsule key trust"), "{}", ended.stderr);
    let run = ["run", "eve.mod", "--trust", "trust.json"];
    bench.fails(&run, 11, "E113_SIGNER_UNTRUSTED", "is not in the trust roots");
    let other = ["key", "trust", "eve", "--package", "other*", "-o", "other.json"];
    bench.ok(&other);
    let run = ["run", "eve.mod", "--trust", "other.json"];
    bench.fails(&run, 11, "E113_SIGNER_UNTRUSTED", "is not trusted as author of hello");
}

#[test]
fn a_configured_trust_file_is_enforced() {
    let bench = trusting();
    bench.pack("nobody", crate::support::HELLO, "");
    bench.ok(&["run", "nobody.mod"]);
    std::fs::create_dir_all(bench.path("home/config")).unwrap();
    std::fs::copy(bench.path("trust.json"), bench.path("home/config/trust.json")).unwrap();
    assert_eq!(
        bench.ok(&["run", "hello.mod", "-q"]).stderr,
        "",
        "a trusted signer needs no warning"
    );
    bench.fails(&["run", "nobody.mod"], 12, "E033_SIGNATURE_MISSING", "names no author keys");
    let ended = bench.ok(&["run", "nobody.mod", "--require", "proof-only"]);
    assert!(ended.stderr.contains("warning: nobody.mod is not signed"), "{}", ended.stderr);
}

#[test]
fn a_bad_trust_file_is_named() {
    let bench = Bench::with_hello();
    let verify = ["verify", "hello.mod", "--trust", "trust.json"];
    bench.fails(&verify, 2, "USAGE", "cannot read trust file trust.json");
    bench.write("trust.json", "{ }");
    bench.fails(&verify, 20, "E007_JSON_NOT_CANONICAL", "trust.json is not a trust file");
    let level = bench.run(&["verify", "hello.mod", "--require", "rejected"]);
    assert_eq!(level.code, 2);
    assert!(level.stderr.contains("levels are proof-only, policy-enforced, audit-ready"));
}

/// Changes one byte of the signed package and expects this code from `verify` and `run`.
#[track_caller]
fn tampered(bench: &Bench, at: usize, exit: i32, code: &str) {
    let mut bytes = bench.read("hello.mod");
    bytes[at] ^= 1;
    bench.write("bad.mod", &bytes);
    let verified = bench.run(&["verify", "bad.mod"]);
    assert_eq!(verified.code, exit, "byte {at}: {}", verified.stderr);
    let label = format!("error[{code}]");
    assert!(verified.stderr.contains(&label), "byte {at}: {}", verified.stderr);
    bench.fails(&["run", "bad.mod"], exit, code, "bad.mod is rejected");
}

#[test]
fn every_part_of_a_package_is_protected() {
    let bench = Bench::with_hello();
    let bytes = bench.read("hello.mod");
    let trailer = bytes.len() - 110;
    assert_eq!(&bytes[trailer..trailer + 4], b"SIGB");
    tampered(&bench, 0, 20, "E001_UNKNOWN_FORMAT");
    tampered(&bench, 4, 20, "E005_VERSION_UNSUPPORTED");
    tampered(&bench, 29, 12, "E010_CAPSULE_HASH_MISMATCH");
    tampered(&bench, trailer - 1, 20, "E007_JSON_NOT_CANONICAL");
    tampered(&bench, trailer, 20, "E003_TRAILING_BYTES");
    tampered(&bench, bytes.len() - 40, 12, "E032_SIGNATURE_INVALID");
    bench.write("short.mod", &bytes[..bytes.len() - 1]);
    bench.fails(&["run", "short.mod"], 20, "E002_TRUNCATED", "short.mod is rejected");
    bench.write("long.mod", [bytes.as_slice(), b"x"].concat());
    bench.fails(&["run", "long.mod"], 20, "E003_TRAILING_BYTES", "long.mod is rejected");
    bench.write("empty.mod", b"");
    bench.fails(&["run", "empty.mod"], 20, "E001_UNKNOWN_FORMAT", "kapsule pack");
}

#[test]
fn a_stripped_signature_is_missing() {
    let bench = Bench::with_hello();
    let bytes = bench.read("hello.mod");
    bench.write("bare.mod", &bytes[..bytes.len() - 110]);
    let hint = "kapsule sign bare.mod --key NAME";
    bench.fails(&["run", "bare.mod"], 12, "E033_SIGNATURE_MISSING", hint);
}
