//! Receipts: made by a run, verified, explained, compared, and the run repeated from them alone.

use kapsule_format::container::{Container, Kind, Writer};
use kapsule_format::envelope::Envelope;
use kapsule_format::key::{SecretKey, Suite};
use kapsule_format::receipt::Claim;
use serde_json::Value;

use crate::support::{Bench, CLOCK, DICE, ENDINGS, NONCE, claim, result};

/// A directory with the package `hello.mod` and a receipt of its run.
fn issued() -> Bench {
    let bench = Bench::with_hello();
    bench.write("name.txt", "Ada");
    let run = ["run", "hello.mod", "--input", "name.txt", "--output", "out", "--nonce", NONCE];
    bench.ok(&[&run[..], &["--receipt", "hello.cap"]].concat());
    bench
}

/// Verifies what has to be rejected.
fn rejected(bench: &Bench, args: &[&str], exit: i32, code: &str, text: &str) {
    let ended = bench.run(args);
    assert_eq!(ended.code, exit, "{args:?}: {}", ended.stderr);
    assert!(ended.text().contains("verdict: REJECT"), "{}", ended.text());
    for part in [format!("error[{code}]: "), text.to_owned(), "  hint: ".to_owned()] {
        assert!(ended.stderr.contains(&part), "{part:?} is not in {}", ended.stderr);
    }
    let report = bench.run(&[args, &["--json"]].concat());
    let object = &report.objects()[0];
    assert_eq!((report.code, &object["error_code"]), (exit, &code[..4].into()));
}

/// Writes a receipt again with other entries.
fn rewritten(bytes: &[u8], index: Vec<u8>, keep: impl Fn(&str) -> bool) -> Vec<u8> {
    let container = Container::decode(bytes).unwrap();
    let mut writer = Writer::new(Kind::Receipt, index);
    for entry in container.entries().iter().skip(1).filter(|entry| keep(entry.name)) {
        writer.push(entry.name, entry.bytes);
    }
    writer.finish().unwrap()
}

#[test]
fn a_receipt_says_what_is_shown_and_what_is_not() {
    let bench = issued();
    let ended = bench.ok(&["verify", "hello.cap", "--nonce", NONCE]);
    for part in [
        "required  proof-only, the default",
        "signature       pass      1 valid",
        "job             pass",
        "transcript      pass      4 entries",
        "checkpoints     pass      2 checkpoints",
        "policy.document not done  E110",
        "reexec          not done  E213",
        "verdict: ACCEPT, level proof-only",
        "only repeating it, or a proof, shows that",
    ] {
        assert!(ended.text().contains(part), "{part:?} is not in {}", ended.text());
    }
    let report = &bench.json(&["verify", "hello.cap", "--nonce", NONCE, "--reexec"])[0];
    assert_eq!(report["schema"], "kapsule/report/1");
    assert_eq!(report["artefact"]["kind"], "receipt");
    assert_eq!(result(report, "reexec"), ("pass", None));
    assert_eq!(report["facts"]["nonce"], NONCE);
    assert_eq!(report["facts"]["outcome"], "completed");
    let require = ["verify", "hello.cap", "--require"];
    let args = [&require[..], &["policy-enforced"]].concat();
    rejected(&bench, &args, 13, "E213_NOT_LOOKED_AT", "hello.cap is rejected");
}

#[test]
fn the_receipt_of_a_run_is_that_of_the_run() {
    let bench = issued();
    let claim = claim(&bench, "hello.cap");
    let id = &bench.json(&["inspect", "hello.cap"])[0];
    assert_eq!(id["receipt_id"], claim.id().to_string());
    assert_eq!(id["exec"]["fuel_used"], claim.exec.fuel_used.to_string());
    let output = kapsule_format::hash::sha256(&bench.read("out"));
    assert_eq!(claim.public_outputs[0].sha256, output);
    assert!(bench.read("hello.cap").len() < 16_384, "a receipt is small");
    let shown = bench.ok(&["inspect", "hello.cap"]);
    assert!(shown.text().contains("package.mod"), "{}", shown.text());
    assert!(shown.text().contains("completed(0)"), "{}", shown.text());
}

#[test]
fn the_run_is_repeated_from_the_receipt_alone() {
    let bench = issued();
    std::fs::remove_file(bench.path("hello.mod")).unwrap();
    for engine in ["wasmi", "jit"] {
        let args = ["replay", "hello.cap", "--engine", engine];
        let text = bench.ok(&args).text().to_owned();
        assert!(text.starts_with(&format!("identical on {engine}: outcome completed(0)")));
        let object = &bench.json(&args)[0];
        let exec_hash = claim(&bench, "hello.cap").exec.hash().to_string();
        assert_eq!((&object["identical"], &object["exec_hash"]), (&true.into(), &exec_hash.into()));
    }
    bench.fails(&["replay", "hello.cap", "out"], 2, "USAGE", "holds its transcript");
    bench.fails(&["replay", "hello.cap", "--input", "out"], 2, "USAGE", "holds its transcript");
}

#[test]
fn both_engines_issue_the_same_claim_but_for_run_and_times() {
    let bench = Bench::with_hello();
    bench.pack("dice", DICE, "grants = [\"random\"]");
    let mut claims = Vec::new();
    for engine in ["wasmi", "jit"] {
        let run = ["run", "dice.mod", "--grant", "random", "--nonce", NONCE, "--key", "alice"];
        let name = format!("{engine}.cap");
        bench.ok(&[&run[..], &["--engine", engine, "--receipt", &name, "-q"]].concat());
        bench.ok(&["verify", &name, "--reexec", "-q"]);
        claims.push(claim(&bench, &name));
    }
    let [left, mut right] = <[Claim; 2]>::try_from(claims).unwrap();
    assert_ne!(left.job.run_id, right.job.run_id);
    assert_eq!(left.exec.hash(), right.exec.hash());
    assert_eq!(left.statement().hash(), right.statement().hash());
    right.job.run_id = left.job.run_id;
    right.events = left.events;
    right.context = left.context.clone();
    right.bundle = left.bundle;
    assert_eq!(left, right);
    let diff = &bench.json(&["receipt", "diff", "wasmi.cap", "jit.cap"])[0];
    assert_eq!((&diff["verdict"], &diff["same_exec_hash"]), (&"same-run".into(), &true.into()));
    let own = bench.ok(&["receipt", "diff", "wasmi.cap", "wasmi.cap"]);
    assert_eq!(own.text(), "the claims are identical\n");
    bench.fails(
        &["receipt", "diff", "wasmi.cap", "dice.mod"],
        20,
        "E001_UNKNOWN_FORMAT",
        "is not a",
    );
}

#[test]
fn another_nonce_is_another_job() {
    let bench = issued();
    let other = "11".repeat(32);
    let args = ["verify", "hello.cap", "--nonce", &other];
    rejected(&bench, &args, 11, "E121_NONCE_MISMATCH", "hello.cap is rejected");
    bench.fails(&["verify", "hello.mod", "--nonce", &other], 2, "USAGE", "about receipts");
    bench.fails(&["verify", "hello.mod", "--reexec"], 2, "USAGE", "about receipts");
    let seeded = ["run", "hello.mod", "--seed", &other, "--receipt", "seeded.cap", "-q"];
    bench.ok(&seeded);
    assert_eq!(claim(&bench, "seeded.cap").job.nonce, [0x11; 32]);
    bench.ok(&["run", "hello.mod", "--receipt", "one.cap", "-q"]);
    bench.ok(&["run", "hello.mod", "--receipt", "two.cap", "-q"]);
    assert_ne!(claim(&bench, "one.cap").job.nonce, claim(&bench, "two.cap").job.nonce);
    let diff = &bench.json(&["receipt", "diff", "one.cap", "seeded.cap"])[0];
    assert_eq!(diff["differences"][0]["field"], "nonce");
}

#[test]
fn a_run_that_fails_has_its_receipt() {
    let bench = Bench::with_hello();
    bench.pack("endings", ENDINGS, "exec.entries = [\"error\", \"flood\", \"forever\", \"trap\"]");
    for (entry, outcome, word, code) in [
        ("trap", "trapped(unreachable)", "trapped", "E406_TRAPPED"),
        ("error", "completed(16)", "completed", "E406_TRAPPED"),
        ("forever", "limit(fuel)", "limit", "E405_OUT_OF_FUEL"),
        ("flood", "limit(output)", "limit", "E408_LIMIT_REACHED"),
    ] {
        let run = ["run", "endings.mod", "--entry", entry, "--fuel", "10000000"];
        let args = [&run[..], &["--receipt", "x.cap"]].concat();
        bench.fails(&args, 14, code, "ended");
        let claim = claim(&bench, "x.cap");
        assert_eq!(claim.exec.outcome.to_string(), outcome);
        assert!(claim.public_outputs.is_empty(), "only a success has a public output");
        let report = &bench.json(&["verify", "x.cap", "--reexec"])[0];
        assert_eq!(report["facts"]["outcome"], word);
        assert_eq!(result(report, "reexec"), ("pass", None));
        std::fs::remove_file(bench.path("x.cap")).unwrap();
    }
}

#[test]
fn what_the_host_answered_is_replayed_without_it() {
    let bench = Bench::with_hello();
    bench.pack("clock", CLOCK, "grants = [\"time\"]");
    bench.ok(&["run", "clock.mod", "--grant", "time", "--now", "5", "--receipt", "c.cap", "-q"]);
    bench.ok(&["verify", "c.cap", "--reexec", "-q"]);
    let ended = bench.run_with(&["replay", "-"], &bench.read("c.cap"));
    assert_eq!(ended.code, 0, "{}", ended.stderr);
}

#[test]
fn what_was_taken_out_is_missed_and_nothing_else() {
    let bench = issued();
    let bytes = bench.read("hello.cap");
    let index = || Container::decode(&bytes).unwrap().index().to_vec();
    for (gone, check, code, wanted) in [
        ("blobs/", "blobs", "E202", "E410"),
        ("audit.bundle", "bundle", "E205", "E205_BUNDLE_ABSENT"),
        ("package.mod", "entries", "E201", "E201_ENTRY_ABSENT"),
    ] {
        bench.write("less.cap", rewritten(&bytes, index(), |name| !name.starts_with(gone)));
        let report = &bench.json(&["verify", "less.cap"])[0];
        assert_eq!(report["status"], "ACCEPT");
        assert_eq!(result(report, check), ("not-done", Some(code)));
        if gone == "blobs/" {
            // Without the input the recorded reads of it are believed.
            bench.ok(&["replay", "less.cap"]);
        } else {
            bench.fails(&["replay", "less.cap"], 13, wanted, "cannot be repeated");
            let report = &bench.run(&["verify", "less.cap", "--reexec", "--json"]).objects()[0];
            assert_eq!(result(report, "reexec").0, "not-done");
        }
    }
    bench.write("less.cap", rewritten(&bytes, index(), |name| !name.starts_with("sig/")));
    let verify = ["verify", "less.cap"];
    rejected(&bench, &verify, 12, "E033_SIGNATURE_MISSING", "less.cap is rejected");
    bench.fails(&["replay", "less.cap"], 12, "E033_SIGNATURE_MISSING", "less.cap is rejected");
}

/// Writes a bundle again without the recorded states.
fn without_states(bundle: &[u8]) -> Vec<u8> {
    use kapsule_format::cbor::{self, Value};
    let Value::Map(mut index) = cbor::decode(Container::decode(bundle).unwrap().index()).unwrap()
    else {
        panic!("an index is a map")
    };
    let Some((15, Value::Array(entries))) = index.last_mut() else { panic!("it lists entries") };
    entries.remove(0);
    let mut writer = Writer::new(Kind::Bundle, cbor::encode(&Value::Map(index)));
    for entry in Container::decode(bundle).unwrap().entries().iter().skip(2) {
        writer.push(entry.name, entry.bytes);
    }
    writer.finish().unwrap()
}

#[test]
fn a_claim_that_its_issuer_made_up_is_found_by_repeating() {
    let bench = issued();
    let bytes = bench.read("hello.cap");
    let key = bench.ok(&["key", "export", "alice", "--secret"]).stdout;
    let file: Value = serde_json::from_slice(&key).unwrap();
    let seed = kapsule_format::hash::decode_hex(file["key"].as_str().unwrap()).unwrap();
    let key = SecretKey::from_seed(Suite::Ed25519, &seed).unwrap();
    let mut forged = claim(&bench, "hello.cap");
    let made_up = kapsule_format::hash::sha256(b"a run that nobody made");
    forged.exec.nested = vec![kapsule_format::receipt::ExecHash::new(made_up)];
    let container = Container::decode(&bytes).unwrap();
    let reissued = |claim: &Claim, bundle: &[u8]| {
        let envelope = Envelope::sign(&claim.signed_statement(), &key).encode();
        let mut writer = Writer::new(Kind::Receipt, claim.encode());
        for entry in container.entries().iter().skip(1) {
            writer.push(
                entry.name,
                match entry.name {
                    "audit.bundle" => bundle,
                    name if name.starts_with("sig/") => &envelope,
                    _ => entry.bytes,
                },
            );
        }
        writer.finish().unwrap()
    };
    let bundle = container.get("audit.bundle").unwrap();
    bench.write("forged.cap", reissued(&forged, bundle));
    let text = "0 calls were answered, and 1 runs are listed";
    rejected(&bench, &["verify", "forged.cap"], 12, "E017_FACTS_CONFLICT", text);

    // Without the recorded states nothing in the file speaks against other ones.
    let stateless = without_states(bundle);
    let mut forged = claim(&bench, "hello.cap");
    forged.exec.first_state = kapsule_format::transcript::StateHash::new(made_up);
    forged.bundle = Some(kapsule_format::receipt::BundleRef::of(&stateless));
    bench.write("forged.cap", reissued(&forged, &stateless));
    bench.ok(&["verify", "forged.cap"]);
    let args = ["verify", "forged.cap", "--reexec"];
    rejected(&bench, &args, 14, "E410_REPLAY_DIVERGED", "first state: claimed");
    bench.fails(&["replay", "forged.cap"], 14, "E410_REPLAY_DIVERGED", "did not happen as claimed");
    let diff = &bench.json(&["receipt", "diff", "hello.cap", "forged.cap"])[0];
    assert_eq!(diff["same_exec_hash"], false);
    let mut other = claim(&bench, "hello.cap");
    other.exec.fuel_used -= 1;
    bench.write("other.cap", rewritten(&bytes, other.encode(), |_| true));
    let diff = bench.ok(&["receipt", "diff", "hello.cap", "other.cap"]);
    assert!(diff.text().contains("evidence against the issuer"), "{}", diff.text());
    let mut stepped = claim(&bench, "hello.cap");
    stepped.trace_spec.fuel_step = 1_000;
    stepped.exec.trace_spec = kapsule_format::receipt::trace_spec_hash(&stepped.trace_spec);
    bench.write("stepped.cap", reissued(&stepped, bundle));
    bench.fails(&["replay", "stepped.cap"], 20, "E005_VERSION_UNSUPPORTED", "at start and end");
}

#[test]
fn a_bundle_of_another_run_is_not_followed() {
    let bench = issued();
    let bytes = bench.read("hello.cap");
    bench.write("other.txt", "Bob");
    bench.ok(&["run", "hello.mod", "--input", "other.txt", "--receipt", "other.cap", "-q"]);
    let other = bench.read("other.cap");
    let foreign = Container::decode(&other).unwrap().get("audit.bundle").unwrap();
    let container = Container::decode(&bytes).unwrap();
    let mut writer = Writer::new(Kind::Receipt, container.index().to_vec());
    for entry in container.entries().iter().skip(1) {
        writer.push(entry.name, if entry.name == "audit.bundle" { foreign } else { entry.bytes });
    }
    bench.write("spliced.cap", writer.finish().unwrap());
    let report = &bench.json(&["verify", "spliced.cap"])[0];
    assert_eq!(result(report, "bundle"), ("not-done", Some("E206")));
    assert_eq!(report["facts"]["ignored"][0]["name"], "audit.bundle");
    bench.fails(&["replay", "spliced.cap"], 13, "E205_BUNDLE_ABSENT", "not the one");
}

#[test]
fn an_issuer_is_trusted_by_role() {
    let bench = issued();
    bench.ok(&["key", "trust", "alice", "-o", "authors.json"]);
    let args = ["verify", "hello.cap", "--trust", "authors.json"];
    rejected(&bench, &args, 11, "E113_SIGNER_UNTRUSTED", "is not trusted as issuer");
    bench.ok(&["key", "trust", "alice", "--role", "issuer", "-o", "issuers.json"]);
    let report = &bench.json(&["verify", "hello.cap", "--trust", "issuers.json"])[0];
    assert_eq!(result(report, "signer.trusted"), ("pass", None));
    assert_eq!(result(report, "signer.quorum"), ("pass", None));
    assert_eq!(report["level"], "proof-only");
    let other = "00".repeat(32);
    let args = ["verify", "hello.cap", "--hash", &other];
    rejected(&bench, &args, 12, "E017_FACTS_CONFLICT", "asked for");
}

#[test]
fn a_receipt_is_asked_for_in_a_way_that_can_be_meant() {
    let bench = Bench::with_hello();
    bench.ok(&["key", "new", "bob"]);
    let args = ["run", "hello.mod", "--receipt", "x.cap"];
    bench.fails(&args, 2, "USAGE", "the key directory holds 2");
    bench.ok(&[&args[..], &["--key", "bob", "-q"]].concat());
    assert_eq!(bench.run(&["run", "hello.mod", "--nonce", NONCE]).code, 2);
    bench.ok(&["key", "new", "logger"]);
    let path = "home/data/keys/logger.key";
    let file = String::from_utf8(bench.read(path)).unwrap();
    bench.secret(path, &file.replace("\"uses\":[\"sign\"]", "\"uses\":[\"log\"]"));
    let logger = [&args[..], &["--key", "logger"]].concat();
    bench.fails(&logger, 15, "E509_KEY_FILE_FORM", "the key is for log only");
    let args = ["run", "hello.mod", "--receipt", "-", "--key", "bob"];
    bench.fails(&[&args[..], &["--output", "-"]].concat(), 2, "USAGE", "cannot share stdout");
    let object = &bench.json(&["run", "hello.mod", "--receipt", "y.cap", "--key", "bob"])[0];
    assert_eq!(object["receipt_id"], claim(&bench, "y.cap").id().to_string());
}

#[test]
fn a_report_is_explained() {
    let bench = issued();
    bench.write("report.json", bench.ok(&["verify", "hello.cap", "--json"]).stdout);
    let text = bench.ok(&["explain", "report.json"]).text().to_owned();
    for part in ["ACCEPT: level proof-only", "\nshown:\n", "\nnot shown", "(E110)", "never shown"] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    let object = &bench.json(&["explain", "report.json"])[0];
    assert_eq!(object["schema"], "kapsule/cli-explain/1");
    assert!(object["contradicted"].as_array().unwrap().is_empty());
    let mut bytes = bench.read("hello.cap");
    let place = bytes.len() / 2;
    bytes[place] ^= 1;
    bench.write("bad.cap", &bytes);
    let report = bench.run(&["verify", "bad.cap", "--json"]);
    let ended = bench.run_with(&["explain", "-"], &report.stdout);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let package = bench.run(&["verify", "hello.mod", "--json"]).stdout;
    let ended = bench.run_with(&["explain", "-"], &package);
    assert!(ended.text().starts_with("package "), "{}", ended.text());
    bench.fails(&["explain", "hello.cap"], 20, "E007_JSON_NOT_CANONICAL", "is not a report");
    bench.write("other.json", "{}");
    bench.fails(&["explain", "other.json"], 20, "E008_SCHEMA_VIOLATION", "is not a report");
}
