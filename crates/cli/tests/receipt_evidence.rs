//! What others attach to a receipt: attestations of availability, log proofs, proofs of the run.

use kapsule_abi::{Outcome, Trap};
use kapsule_format::container::{Container, Kind, Writer};
use kapsule_format::envelope::Envelope;
use kapsule_format::key::{Identity, SecretKey, Suite};
use kapsule_format::receipt::{Claim, ProofItem, Receipt, SignatureName};
use kapsule_format::verify::proof_items;
use kapsule_proof::ProvenRun;
use serde_json::Value;

use crate::support::{Bench, NONCE, result};

/// A receipt whose large parts are in a directory, a challenger, and a trust file that lists both.
fn scene() -> Bench {
    let bench = Bench::with_hello();
    bench.ok(&["key", "new", "carol"]);
    bench.write("name.txt", "Ada");
    let run = ["run", "hello.mod", "--input", "name.txt", "--receipt", "hello.cap", "-q"];
    bench.ok(&[&run[..], &["--key", "alice", "--nonce", NONCE]].concat());
    bench.ok(&["receipt", "split", "hello.cap", "--to", "archive", "-o", "small.cap"]);
    bench.ok(&["key", "trust", "alice", "--role", "issuer", "--role", "author", "-o", "one.json"]);
    let next = ["key", "trust", "carol", "--role", "challenger", "--extends", "one.json"];
    bench.ok(&[&next[..], &["--sign", "alice", "-o", "trust.json"]].concat());
    bench
}

fn verify(bench: &Bench, file: &str, more: &[&str]) -> Value {
    let args = ["verify", file, "--trust", "trust.json", "--nonce", NONCE, "--json"];
    bench.run(&[&args[..], more].concat()).objects().remove(0)
}

#[test]
fn a_bundle_that_is_elsewhere_is_sampled() {
    let bench = scene();
    let sure = ["--availability", "100000/20"];
    let asked = &bench.json(&["da", "challenge", "small.cap", "--key", "carol"])[0];
    assert_eq!((&asked["chunks"], &asked["asked"]), (&"1".into(), &"1".into()));
    let respond = ["da", "respond", "challenge.jsonl", "small.cap"];
    bench.fails(&respond, 13, "E205_BUNDLE_ABSENT", "is not here");
    bench.ok(&[&respond[..], &["--fetch", "archive"]].concat());
    let check = ["da", "check", "small.cap", "challenge.jsonl", "response.cbor"];
    // Without the key the trust file says whose challenge it is, and nothing is written.
    let before = bench.read("small.cap");
    let shown = &bench.json(&[&check[..], &["--trust", "trust.json"]].concat())[0];
    assert_eq!((&shown["shown"], &shown["file"]), (&"1".into(), &Value::Null));
    assert_eq!(bench.read("small.cap"), before);
    bench.fails(&check, 11, "E113_SIGNER_UNTRUSTED", "nobody here knows the challenger");
    let text = bench.ok(&[&check[..], &["--key", "carol"]].concat()).text().to_owned();
    assert!(text.contains("1 of 1 chunks asked for were shown"), "{text}");
    let report = verify(&bench, "small.cap", &sure);
    assert_eq!(result(&report, "availability"), ("pass", None), "{report}");
    assert_eq!(report["facts"]["sampling"]["k"], 1);
    let report = verify(&bench, "small.cap", &[]);
    assert_eq!(result(&report, "availability"), ("not-done", Some("E205")));
    // Who does not list the challenger believes none of it.
    let strangers = ["verify", "small.cap", "--json", "--availability", "100000/20"];
    let report = bench.run(&strangers).objects().remove(0);
    assert_eq!(result(&report, "availability"), ("not-done", Some("E205")));
    assert_eq!(bench.run(&["verify", "hello.mod", "--availability", "1/1"]).code, 2);
}

#[test]
fn answers_are_about_one_challenge_and_in_time() {
    let bench = scene();
    bench.ok(&["da", "challenge", "hello.cap", "--key", "carol"]);
    bench.ok(&["da", "respond", "challenge.jsonl", "hello.cap"]);
    let check = ["da", "check", "hello.cap", "challenge.jsonl", "response.cbor"];
    let late = [&check[..], &["--key", "carol", "--answered-at", "99999999999999"]].concat();
    bench.fails(&late, 13, "E208_ANSWER_LATE", "after the time to answer");
    let other = [&check[..], &["--key", "alice"]].concat();
    bench.fails(&other, 13, "E207_CHALLENGE_INVALID", "is not signed by its challenger");
    bench.write("nothing.cbor", "nothing");
    let nothing = ["da", "check", "hello.cap", "challenge.jsonl", "nothing.cbor", "--key", "carol"];
    bench.fails(&nothing, 13, "E209_RESPONSE_INVALID", "does not answer the challenge");
    bench.fails(
        &["da", "respond", "nothing.cbor", "hello.cap"],
        13,
        "E207_CHALLENGE_INVALID",
        "is not a valid challenge",
    );
    bench.ok(&["run", "hello.mod", "--receipt", "other.cap", "--key", "alice", "-q"]);
    let other = ["da", "respond", "challenge.jsonl", "other.cap"];
    bench.fails(&other, 13, "E207_CHALLENGE_INVALID", "is not about this receipt");
    bench.ok(&["da", "challenge", "hello.cap", "--key", "carol", "--answer-within-ms", "1"]);
    let respond = ["da", "respond", "challenge.jsonl", "hello.cap"];
    bench.fails(&respond, 13, "E208_ANSWER_LATE", "has passed");
    let rules = "id = \"p\"\nversion = \"1\"\n[rules.da]\ndelta_ppm = 1\nepsilon_bits = 256\n\
                 k_max = 1\nretries = 0\ntimeout_ms = 1\n";
    bench.write("p.toml", rules);
    bench.ok(&["policy", "receipt", "p.toml", "-o", "p.json"]);
    let challenge = ["da", "challenge", "hello.cap", "--key", "carol", "--receipt-policy"];
    bench.ok(&[&challenge[..], &["p.json"]].concat());
    bench.write("q.toml", "id = \"q\"\nversion = \"1\"\nrules = {}\n");
    bench.ok(&["policy", "receipt", "q.toml", "-o", "q.json"]);
    bench.fails(&[&challenge[..], &["q.json"]].concat(), 2, "USAGE", "has no rule da");
}

#[test]
fn an_answer_that_leaves_chunks_out_is_attested_as_such() {
    use kapsule_format::cbor::{self, Value as Cbor};
    let bench = scene();
    bench.ok(&["da", "challenge", "small.cap", "--key", "carol"]);
    bench.ok(&["da", "respond", "challenge.jsonl", "small.cap", "--fetch", "archive"]);
    let Cbor::Map(mut members) = cbor::decode(&bench.read("response.cbor")).unwrap() else {
        panic!("a response is a map")
    };
    members[2].1 = Cbor::Array(Vec::new());
    bench.write("less.cbor", cbor::encode(&Cbor::Map(members)));
    let check = ["da", "check", "small.cap", "challenge.jsonl", "less.cbor", "--key", "carol"];
    let attest = [&check[..], &["-o", "gone.cap"]].concat();
    bench.fails(&attest, 13, "E074_CHUNK_UNAVAILABLE", "missing chunks: 0");
    let report = verify(&bench, "gone.cap", &["--availability", "0/1"]);
    assert_eq!(result(&report, "availability"), ("not-done", Some("E074")));
    // A second provider has what the first one lacks.
    let both = [&check[..5], &["response.cbor", "--key", "carol", "-o", "back.cap"]].concat();
    assert_eq!(bench.json(&both)[0]["missing"], Value::Array(Vec::new()));
}

#[test]
fn a_log_tells_of_a_receipt() {
    let bench = scene();
    bench.ok(&["log", "key", "log"]);
    let logged = &bench.json(&["receipt", "log", "hello.cap", "--key", "log"])[0];
    let vkey = logged["vkey"].as_str().unwrap();
    let report = verify(&bench, "hello.cap", &[]);
    assert_eq!(result(&report, "log"), ("left out", None), "{report}");
    let next = ["key", "trust", "--extends", "trust.json", "--log", vkey, "--sign", "alice"];
    bench.ok(&[&next[..], &["-o", "trust.json"]].concat());
    let report = verify(&bench, "hello.cap", &[]);
    assert_eq!(result(&report, "log"), ("pass", None), "{report}");
    let shown = bench.ok(&["log", "show", "--json"]).objects();
    let last = format!("{}", shown.last().unwrap());
    assert!(last.contains("receipt.verified"), "{last}");
    // The policy asks for the log by its name, and the receipt reaches the highest level.
    let origin = vkey.split('+').next().unwrap();
    let rules = format!(
        "id = \"p\"\nversion = \"1\"\n[rules.log]\ncosigners = 0\norigins = [\"{origin}\"]\n"
    );
    bench.write("p.toml", rules);
    bench.ok(&["policy", "receipt", "p.toml", "-o", "p.json"]);
    bench.ok(&["policy", "registry", "build", "p.json", "--id", "example"]);
    bench.ok(&["policy", "acl", "alice", "--policy", "p"]);
    let pin = ["key", "trust", "--extends", "trust.json", "--registry", "registry.json"];
    bench.ok(&[&pin[..], &["--sign", "alice", "-o", "trust.json"]].concat());
    let run = ["run", "hello.mod", "--receipt", "under.cap", "--key", "alice", "--nonce", NONCE];
    bench.ok(&[&run[..], &["--receipt-policy", "p.json", "-q"]].concat());
    let files = ["--registry", "registry.json", "--acl", "acl.json", "--require", "audit-ready"];
    let report = verify(&bench, "under.cap", &files);
    assert_eq!(result(&report, "log"), ("not-done", Some("E123")));
    assert_eq!(report["error_code"], "E123");
    bench.ok(&["receipt", "log", "under.cap", "--key", "log"]);
    let report = verify(&bench, "under.cap", &files);
    assert_eq!((&report["status"], &report["level"]), (&"ACCEPT".into(), &"audit-ready".into()));
}

#[test]
fn a_promised_proof_is_made_later_and_verifies() {
    let bench = scene();
    let run = ["run", "hello.mod", "--input", "name.txt", "--receipt", "p.cap", "--promise-proof"];
    bench.ok(&[&run[..], &["--key", "alice", "--nonce", NONCE, "-q"]].concat());
    let report = verify(&bench, "p.cap", &[]);
    assert_eq!(result(&report, "proof"), ("not-done", Some("E301")));
    let proved = &bench.json(&["receipt", "prove", "p.cap", "-o", "proved.cap"])[0];
    assert_eq!((&proved["entry"], &proved["proven_bits"]), (&"proof/00.cbor".into(), &100.into()));
    let report = verify(&bench, "proved.cap", &[]);
    assert_eq!(result(&report, "proof"), ("pass", None), "{report}");
    let open = "that the run happened as claimed";
    bench.write("report.json", report.to_string());
    for said in [&["verify", "proved.cap"], &["explain", "report.json"]] {
        let text = bench.ok(said).text().to_owned();
        assert!(!text.contains(open), "a proof shows it: {text}");
    }
    // Without the bundle the proof is of the run alone, and without the package of nothing.
    bench.ok(&["receipt", "split", "proved.cap", "--to", "archive", "-o", "small.cap"]);
    let report = verify(&bench, "small.cap", &[]);
    assert_eq!(result(&report, "proof"), ("not-done", Some("E201")));
    let report = verify(&bench, "small.cap", &["--dep", "hello.mod"]);
    assert_eq!(result(&report, "proof"), ("pass", None), "{report}");
    let small = ["verify", "small.cap", "--dep", "hello.mod"];
    assert!(bench.ok(&small).text().contains(open), "the words are nowhere");
    let detail = format!("{report}");
    assert!(detail.contains("only the signature of the issuer ties it"), "{detail}");
    // The proof is about this claim alone, and every byte of it counts.
    let bytes = bench.read("proved.cap");
    let item = proof_items(&Receipt::decode(&bytes).unwrap()).remove(0).1.unwrap();
    let (mut proof, mut key) = (item.clone(), item.clone());
    let last = proof.proof.len() - 9;
    proof.proof[last] ^= 1;
    key.key = [7; 32].into();
    for (what, item) in [("proof", proof), ("key", key)] {
        bench.write("changed.cap", with_entry(&bytes, "proof/00.cbor", item.encode()));
        let report = verify(&bench, "changed.cap", &[]);
        assert_eq!(result(&report, "proof").0, "fail", "{what}: {report}");
    }
    // The same run for somebody else has another nonce, and so another statement.
    let run = ["run", "hello.mod", "--input", "name.txt", "--receipt", "other.cap", "-q"];
    bench.ok(&[&run[..], &["--key", "alice"]].concat());
    let moved = with_entry(&bench.read("other.cap"), "proof/00.cbor", item.encode());
    bench.write("moved.cap", moved);
    let report = verify(&bench, "moved.cap", &[]);
    assert_eq!(result(&report, "proof"), ("left out", None));
    assert_eq!(report["facts"]["ignored"][0]["code"], "E304");
}

/// Writes a receipt with another claim under the signature of somebody, without package and bundle.
fn forge(bench: &Bench, file: &str, change: fn(&mut Claim)) -> Claim {
    let key = SecretKey::from_seed(Suite::Ed25519, &[0x42; 32]).unwrap();
    let mut claim = Receipt::decode(&bench.read("bare.cap")).unwrap().claim().clone();
    claim.issuer = Identity::try_from(key.public().clone()).unwrap();
    change(&mut claim);
    let mut writer = Writer::new(Kind::Receipt, claim.encode());
    let name = SignatureName::of(key.public()).entry_name();
    writer.push(name, Envelope::sign(&claim.signed_statement(), &key).encode());
    bench.write(file, writer.finish().unwrap());
    claim
}

#[test]
fn a_proof_is_of_the_run_that_the_claim_says() {
    let bench = scene();
    let run = ["run", "hello.mod", "--input", "name.txt", "--receipt", "bare.cap", "--no-package"];
    bench.ok(&[&run[..], &["--promise-proof", "--key", "alice", "-q"]].concat());
    bench.ok(&["receipt", "prove", "bare.cap", "--dep", "hello.mod", "-o", "proved.cap"]);
    let key =
        proof_items(&Receipt::decode(&bench.read("proved.cap")).unwrap()).remove(0).1.unwrap();
    let changes: [(fn(&mut Claim), _); 4] = [
        (|claim| claim.exec.fuel_used -= 1, Some("E318")),
        (|claim| claim.exec.outcome = Outcome::Trapped(Trap::Unreachable), Some("E319")),
        (|claim| claim.exec.module = [7; 32].into(), Some("E314")),
        (|_| (), None),
    ];
    for (change, code) in changes {
        let statement = forge(&bench, "forged.cap", change).statement().hash();
        let binding = statement.to_string();
        let prove = ["prove", "hello.mod", "--input", "name.txt", "--binding", &binding];
        bench.ok(&[&prove[..], &["-o", "forged.kproof", "-q"]].concat());
        let proven = ProvenRun::decode(&bench.read("forged.kproof")).unwrap();
        let (inputs, proof) = (*statement.digest(), proven.proof.encode());
        let item = ProofItem { inputs, proof, ..key.clone() };
        let forged = with_entry(&bench.read("forged.cap"), "proof/00.cbor", item.encode());
        bench.write("forged.cap", forged);
        let report = verify(&bench, "forged.cap", &["--dep", "hello.mod"]);
        let expect = if code.is_some() { "fail" } else { "pass" };
        assert_eq!(result(&report, "proof"), (expect, code), "{report}");
    }
    // Another bundle is set aside, and takes the proof nothing.
    bench.write("other.txt", "Eve");
    let run = ["run", "hello.mod", "--input", "other.txt", "--receipt", "other.cap", "-q"];
    bench.ok(&[&run[..], &["--key", "alice"]].concat());
    let other = bench.read("other.cap");
    let bundle = Receipt::decode(&other).unwrap().bundle().unwrap().to_vec();
    bench.write("proved.cap", with_entry(&bench.read("proved.cap"), "audit.bundle", bundle));
    let report = verify(&bench, "proved.cap", &["--dep", "hello.mod"]);
    assert_eq!(result(&report, "proof"), ("pass", None), "{report}");
    assert_eq!(result(&report, "bundle"), ("not-done", Some("E206")));
}

#[test]
fn a_policy_bounds_what_a_challenge_asks_for() {
    let bench = scene();
    bench.write("bare.cap", bench.read("hello.cap"));
    forge(&bench, "large.cap", |claim| claim.bundle.as_mut().unwrap().size = 9 * 65_536);
    let rules = "id = \"p\"\nversion = \"1\"\n[rules.da]\ndelta_ppm = 0\nepsilon_bits = 1\n\
                 k_max = 8\nretries = 0\ntimeout_ms = 1\n";
    bench.write("p.toml", rules);
    bench.ok(&["policy", "receipt", "p.toml", "-o", "p.json"]);
    let challenge = ["da", "challenge", "large.cap", "--key", "carol"];
    let under = [&challenge[..], &["--receipt-policy", "p.json"]].concat();
    bench.fails(&under, 20, "E004_LIMIT_EXCEEDED", "9 chunks, and the policy allows 8");
    let object = &bench.json(&[&challenge[..], &["--delta-ppm", "0"]].concat())[0];
    assert_eq!(object["asked"], "9");
    forge(&bench, "large.cap", |claim| claim.bundle.as_mut().unwrap().size = 1_025 * 65_536);
    let all = [&challenge[..], &["--delta-ppm", "0"]].concat();
    bench.fails(&all, 20, "E004_LIMIT_EXCEEDED", "more than 1024 chunks");
}

/// Puts an attached entry into a receipt.
fn with_entry(bytes: &[u8], name: &str, entry: Vec<u8>) -> Vec<u8> {
    let container = Container::decode(bytes).unwrap();
    let mut writer = Writer::new(Kind::Receipt, container.index().to_vec());
    for old in container.entries().iter().skip(1).filter(|old| old.name != name) {
        writer.push(old.name, old.bytes);
    }
    writer.push(name, entry);
    writer.finish().unwrap()
}
