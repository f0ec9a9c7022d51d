//! Packing, signing and looking at packages.

use crate::support::{Bench, CLOCK, HELLO};

#[test]
fn pack_writes_the_same_bytes_again() {
    let bench = Bench::with_hello();
    let first = bench.read("hello.mod");
    let packed = &bench.json(&["pack", "hello.toml", "--key", "alice", "-o", "again.mod"])[0];
    assert_eq!(bench.read("again.mod"), first);
    assert_eq!((&packed["name"], &packed["signatures"]), (&"hello".into(), &1.into()));
    let to_stdout = bench.ok(&["pack", "hello.toml", "--key", "alice", "-o", "-"]);
    assert_eq!(to_stdout.stdout, first);
}

#[test]
fn an_author_key_without_signing_waits_for_sign() {
    let bench = Bench::with_hello();
    bench.ok(&["pack", "hello.toml", "--author-key", "alice", "-o", "later.mod"]);
    let text = "no author signature by ed25519 key";
    bench.fails(&["run", "later.mod"], 12, "E033_SIGNATURE_MISSING", text);
    bench.ok(&["sign", "later.mod", "--key", "alice"]);
    assert_eq!(bench.read("later.mod"), bench.read("hello.mod"));
}

#[test]
fn a_detached_envelope_counts_like_the_trailer() {
    let bench = Bench::with_hello();
    bench.ok(&["pack", "hello.toml", "--author-key", "alice", "-o", "apart.mod"]);
    let before = bench.read("apart.mod");
    let signed = &bench.json(&["sign", "apart.mod", "--key", "alice", "--detached"])[0];
    assert_eq!(bench.read("apart.mod"), before);
    let envelope = signed["files"][0].as_str().unwrap();
    assert!(envelope.starts_with("apart.mod.author-ed25519-"), "{envelope}");
    assert!(bench.ok(&["verify", "apart.mod"]).text().contains("statement       pass"));
    bench.ok(&["run", "apart.mod"]);

    let text = String::from_utf8(bench.read(envelope)).unwrap();
    bench.write(envelope, text.replace("in-toto", "in-tot0"));
    bench.fails(&["run", "apart.mod"], 20, "E030_ENVELOPE_FORM", "statement: fail");
}

#[test]
fn a_foreign_key_signs_as_a_publisher_only() {
    let bench = Bench::with_hello();
    bench.ok(&["key", "new", "bob"]);
    let author = ["sign", "hello.mod", "--key", "bob"];
    bench.fails(&author, 20, "E038_KEYID_MISMATCH", "--scope publisher");
    let capsule_hash = bench.json(&["inspect", "hello.mod"])[0]["capsule_hash"].clone();
    bench.ok(&["sign", "hello.mod", "--key", "bob", "--scope", "publisher"]);
    let shown = &bench.json(&["inspect", "hello.mod"])[0];
    assert_eq!(shown["capsule_hash"], capsule_hash, "a signature changes no hash");
    let scopes: Vec<_> = shown["signatures"].as_array().unwrap().iter().collect();
    assert_eq!((&scopes[0]["scope"], &scopes[1]["scope"]), (&"author".into(), &"publisher".into()));
}

#[test]
fn a_key_for_logs_signs_no_package() {
    let bench = Bench::with_hello();
    let path = "home/data/keys/alice.key";
    let file = String::from_utf8(bench.read(path)).unwrap();
    bench.write(path, file.replace("\"uses\":[\"sign\"]", "\"uses\":[\"log\"]"));
    let sign = ["sign", "hello.mod", "--key", "alice"];
    bench.fails(&sign, 15, "E509_KEY_FILE_FORM", "the key is for log only");
}

#[test]
fn a_published_test_key_signs_nothing() {
    let bench = Bench::with_hello();
    // Seed and public key of RFC 8032 section 7.1, test 1.
    let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    let keyid = "74c181c7ad8a0855d4b55e44d2ba87aabdddb196832571f15f92fece332e4916";
    let file = format!(
        "{{\"created_ms\":0,\"key\":\"{seed}\",\"keyid\":\"{keyid}\",\
         \"public\":\"ed25519:{public}\",\
         \"schema\":\"kapsule/key/1\",\"uses\":[\"sign\"]}}"
    );
    bench.write("home/data/keys/alice.key", file);
    let pack = ["pack", "hello.toml", "--key", "alice"];
    bench.fails(&pack, 11, "E129_TEST_KEY_REFUSED", "published test key");
    bench.ok(&["pack", "hello.toml", "--author-key", "alice"]);
    let sign = ["sign", "hello.mod", "--key", "alice"];
    bench.fails(&sign, 11, "E129_TEST_KEY_REFUSED", "published test key");
    bench.ok(&["sign", "hello.mod", "--key", "alice", "--insecure-dev"]);
    let verified = bench.run(&["verify", "hello.mod"]);
    assert_eq!(verified.code, 11);
    assert!(verified.text().contains("signer.trusted  FAIL      E129_TEST_KEY_REFUSED"));
    let ended = bench.ok(&["run", "hello.mod", "--insecure-dev"]);
    assert!(ended.stderr.contains("warning: hello.mod was verified with --insecure-dev"));
}

#[test]
fn authoring_errors_show_the_line() {
    let bench = Bench::new();
    bench.manifest("hello", HELLO, "[limits]\nmemory = \"4 MiB\"");
    let pack = ["pack", "hello.toml"];
    bench.fails(&pack, 20, "E042_UNIT_SYNTAX", "hello.toml:6: memory = \"4 MiB\"");
    bench.manifest("hello", HELLO, "");
    bench.write("strict.toml", "[limits]\nfuel = 10\nmemory = 0.5\n");
    let pack = ["pack", "hello.toml", "--policy", "strict.toml"];
    bench.fails(&pack, 20, "E043_AUTHORING_AMBIGUOUS", "strict.toml:3: memory = 0.5");
    bench.write("hello.toml", "name = \"hello\"\n");
    bench.fails(&["pack", "hello.toml"], 20, "E008_SCHEMA_VIOLATION", "version: is missing");
}

#[test]
fn the_extension_names_the_syntax() {
    let bench = Bench::with_hello();
    let yaml = "name: hello\nversion: 0.1.0\nauthor: Alice\nentry: hello.wasm\n";
    bench.write("hello.yaml", yaml);
    bench.write("hello.yml", yaml);
    let json = "{\"name\": \"hello\", \"version\": \"0.1.0\", \"author\": \"Alice\", \
                \"entry\": \"hello.wasm\"}";
    bench.write("hello.json", json);
    for manifest in ["hello.yaml", "hello.yml", "hello.json"] {
        bench.ok(&["pack", manifest, "--key", "alice", "-o", "again.mod"]);
        assert_eq!(bench.read("again.mod"), bench.read("hello.mod"), "{manifest}");
    }
    bench.write("strict.yaml", "limits:\n  fuel: 10\n  memory: 32mb\n");
    let pack = ["pack", "hello.json", "--policy", "strict.yaml"];
    bench.fails(&pack, 20, "E042_UNIT_SYNTAX", "strict.yaml:3: memory: 32mb");
    bench.write("hello.txt", yaml);
    bench.fails(&["pack", "hello.txt"], 2, "USAGE", "hello.txt announces no syntax");
    let toml = bench.read("hello.toml");
    let from_stdin = bench.run_with(&["pack", "-", "--key", "alice", "-o", "again.mod"], &toml);
    assert_eq!((from_stdin.code, bench.read("again.mod")), (0, bench.read("hello.mod")));
}

#[test]
fn a_module_that_no_host_could_run_is_not_packed() {
    let bench = Bench::new();
    bench.manifest("clock", CLOCK, "");
    let text = "add `grants = [\"time\"]`";
    bench.fails(&["pack", "clock.toml"], 14, "E403_IMPORT_REFUSED", text);
    bench.manifest("hello", HELLO, "[exec]\nentries = [\"other\"]");
    bench.fails(&["pack", "hello.toml"], 14, "E404_ENTRY_NOT_FOUND", "no entry \"other\"");
    let float =
        HELLO.replace("(func (export \"run\")", "(func (param f32)) (func (export \"run\")");
    bench.manifest("float", &float, "");
    bench.fails(&["pack", "float.toml"], 14, "E402_MODULE_FEATURE_REFUSED", "float-1");
    bench.manifest("broken", HELLO, "");
    bench.write("broken.wasm", b"\0asm\x01\0\0\0\x01");
    bench.fails(&["pack", "broken.toml"], 14, "E401_MODULE_INVALID", "broken.wasm");
    assert!(!bench.path("broken.mod").exists());
}

#[test]
fn files_that_are_absent_are_usage_errors() {
    let bench = Bench::with_hello();
    bench.fails(&["pack", "none.toml"], 2, "USAGE", "cannot read manifest none.toml");
    let payload = ["pack", "hello.toml", "--payload", "none.wasm"];
    bench.fails(&payload, 2, "USAGE", "cannot read payload none.wasm");
    let output = ["pack", "hello.toml", "-o", "none/hello.mod"];
    bench.fails(&output, 2, "USAGE", "its directory does not exist");
    bench.fails(&["inspect", "none.mod"], 2, "USAGE", "cannot read file none.mod");
    let key = ["pack", "hello.toml", "--key", "bob"];
    bench.fails(&key, 15, "E508_KEY_NOT_FOUND", "there is no key bob");
}

#[test]
fn inspect_shows_every_part() {
    let bench = Bench::with_hello();
    let text = bench.ok(&["inspect", "hello.mod"]).text().to_owned();
    for part in [
        "capsule_hash",
        "core_hash",
        "author key",
        "\"schema\":\"kapsule/policy/1\"",
        "Signatures (not verified here)",
        "author     ed25519",
        "entries",
        "run",
        "input_read",
        "1 to 4 pages",
        "fuel-1 stack-1 meter-1",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    let object = &bench.json(&["inspect", "hello.mod"])[0];
    assert_eq!(object["manifest"]["name"], "hello");
    assert_eq!(object["policy"]["limits"]["fuel"], 1_000_000_000);
    assert_eq!(object["module"]["entries"], serde_json::json!(["run"]));
    assert_eq!(object["module"]["imports"][0]["name"], "input_read");
}

#[test]
fn the_header_of_a_damaged_file_can_be_shown() {
    let bench = Bench::with_hello();
    let mut bytes = bench.read("hello.mod");
    bytes[5..9].copy_from_slice(&70_000_u32.to_be_bytes());
    bench.write("bad.mod", &bytes);
    bench.fails(&["inspect", "bad.mod"], 20, "E004_LIMIT_EXCEEDED", "70000");
    let shown = &bench.json(&["inspect", "bad.mod", "--header"])[0];
    assert_eq!(shown["manifest_len"], "70000");
    assert!(bench.ok(&["inspect", "bad.mod", "--header"]).text().contains("4e4f4e4f"));
    bench.write("bad.mod", &bytes[..60]);
    bench.fails(&["inspect", "bad.mod", "--header"], 20, "E002_TRUNCATED", "60 bytes");
}

#[test]
fn dependencies_are_packed_but_cannot_be_run_yet() {
    let bench = Bench::with_hello();
    let id = "11".repeat(32);
    let pack = ["pack", "hello.toml", "--depends", &id, "--previous", &id, "-o", "needs.mod"];
    bench.ok(&pack);
    let object = &bench.json(&["inspect", "needs.mod"])[0];
    assert_eq!(object["dependencies"][0], id);
    assert_eq!(object["manifest"]["previous"], id);
    bench.fails(&["run", "needs.mod"], 13, "E203_DEPENDENCY_ABSENT", &id);
    assert_eq!(bench.run(&["pack", "hello.toml", "--depends", "11"]).code, 2);
}

#[test]
fn every_key_of_an_identity_signs_and_a_stripped_signature_is_named() {
    let bench = Bench::with_hello();
    let suites = ["--suite", "p256", "--suite", "mldsa44", "--suite", "secp256k1"];
    bench.ok(&[&["key", "new", "carol"], &suites[..]].concat());
    let packed = &bench.json(&["pack", "hello.toml", "--key", "carol", "-o", "carol.mod"])[0];
    assert_eq!(packed["signatures"], 3);
    bench.ok(&["sign", "carol.mod", "--key", "carol", "--scope", "publisher"]);
    let verified = bench.ok(&["verify", "carol.mod"]);
    for line in ["author p256 ", "author mldsa44 ", "publisher mldsa44 ", "publisher secp256k1 "] {
        let found = verified.text().lines().find(|text| text.contains(line)).unwrap();
        assert!(found.ends_with(": valid"), "{found}");
    }
    bench.ok(&["run", "carol.mod"]);

    bench.ok(&["pack", "hello.toml", "--author-key", "carol", "-o", "apart.mod"]);
    let signed = &bench.json(&["sign", "apart.mod", "--key", "carol", "--detached"])[0];
    let files = signed["files"].as_array().unwrap();
    assert_eq!((files.len(), signed["keys"].as_array().unwrap().len()), (3, 3));
    bench.ok(&["run", "apart.mod"]);
    let post_quantum = files[1].as_str().unwrap();
    assert!(post_quantum.starts_with("apart.mod.author-mldsa44-"), "{post_quantum}");
    std::fs::remove_file(bench.path(post_quantum)).unwrap();
    let text = "no author signature by mldsa44 key";
    bench.fails(&["run", "apart.mod"], 12, "E033_SIGNATURE_MISSING", text);
    let verified = bench.run(&["verify", "apart.mod"]);
    let lost = verified.text().lines().find(|text| text.contains("author mldsa44 ")).unwrap();
    assert!(lost.ends_with(": missing"), "{lost}");
}

#[test]
fn an_author_who_dropped_a_key_is_not_the_one_that_is_trusted() {
    let bench = Bench::with_hello();
    bench.ok(&["key", "add", "alice", "--suite", "mldsa44"]);
    bench.ok(&["key", "trust", "alice", "-o", "trust.json"]);
    // Signed before the key was added, by the first key alone.
    let run = ["run", "hello.mod", "--trust", "trust.json"];
    bench.fails(&run, 11, "E113_SIGNER_UNTRUSTED", "has mldsa44 key");
    bench.ok(&["pack", "hello.toml", "--key", "alice", "-o", "whole.mod"]);
    bench.ok(&["run", "whole.mod", "--trust", "trust.json"]);
}
