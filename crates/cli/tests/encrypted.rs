//! Packages whose module only some can read.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::{Bench, Ended, HELLO};

/// A directory in which alice packed `secret.mod` to bob, whose key is `bob.ageid` there, and not
/// in the home.
fn bench() -> Bench {
    let bench = Bench::with_hello();
    bench.ok(&["key", "recipient", "bob"]);
    for file in ["bob.ageid", "bob.agepub"] {
        fs::rename(bench.path("home/data/keys").join(file), bench.path(file)).unwrap();
    }
    let pack =
        ["pack", "hello.toml", "--key", "alice", "--encrypt-to", "bob.agepub", "-o", "secret.mod"];
    assert!(bench.ok(&pack).stderr.contains("encrypted to 1 recipients"));
    bench.write("name.txt", "Ada");
    bench
}

fn run_as_bob(bench: &Bench, package: &str) -> Ended {
    bench.run(&["run", package, "--identity", "bob.ageid", "--input", "name.txt"])
}

#[test]
fn the_holder_of_a_key_runs_what_others_cannot() {
    let bench = bench();
    let ended = run_as_bob(&bench, "secret.mod");
    assert_eq!((ended.code, ended.text()), (0, "hello, Ada"), "{}", ended.stderr);
    let hint = "kapsule key recipient NAME";
    bench.fails(&["run", "secret.mod"], 13, "E212_KEY_NOT_HELD", hint);
    bench.ok(&["key", "recipient", "carol"]);
    bench.fails(&["run", "secret.mod"], 13, "E212_KEY_NOT_HELD", "encrypted to 1 recipients");
    let text = String::from_utf8(bench.read("bob.ageid")).unwrap();
    for part in ["hello, ", "output_write"] {
        let found = bench.read("secret.mod").windows(part.len()).any(|at| at == part.as_bytes());
        assert!(!found, "{part:?} of the module is in the open");
    }
    assert!(text.contains("\nAGE-SECRET-KEY-1"), "an ordinary age file");
}

#[test]
fn a_key_of_the_home_is_found_by_itself() {
    let bench = bench();
    bench.ok(&["key", "recipient", "carol"]);
    let text = String::from_utf8(bench.read("bob.agepub")).unwrap();
    let (recipient, output) = (text.trim(), "two.mod");
    let pack = ["pack", "hello.toml", "--key", "alice", "--encrypt-to", recipient];
    let packed = bench.json(&[&pack[..], &["--encrypt-to", "carol", "-o", output]].concat());
    assert_eq!(packed[0]["recipients"], 2);
    assert_eq!(bench.ok(&["run", output, "--input", "name.txt"]).text(), "hello, Ada");
    assert_eq!(run_as_bob(&bench, output).text(), "hello, Ada");
}

#[test]
fn everyone_verifies_and_holders_open() {
    let bench = bench();
    let verified = bench.ok(&["verify", "secret.mod"]).text().to_owned();
    assert!(verified.contains("opened          not done  E212_KEY_NOT_HELD"), "{verified}");
    assert!(verified.contains("that what is encrypted in it is the module"), "{verified}");
    let opened = bench.ok(&["verify", "secret.mod", "--identity", "bob.ageid"]);
    assert!(opened.text().contains("opened          pass"), "{}", opened.text());
    assert!(bench.ok(&["inspect", "secret.mod"]).text().contains("E212_KEY_NOT_HELD"));
    let manifest = &bench.json(&["inspect", "secret.mod"])[0]["manifest"]["exec"]["encrypted"];
    assert_eq!(manifest["stanzas"], serde_json::json!(["X25519"]));
}

#[test]
fn a_run_of_an_encrypted_module_is_replayed_by_its_holders() {
    let bench = bench();
    let run = ["run", "secret.mod", "--identity", "bob.ageid", "--transcript", "t"];
    bench.ok(&run);
    let replay = ["replay", "secret.mod", "t"];
    bench.ok(&[&replay[..], &["--identity", "bob.ageid"]].concat());
    bench.fails(&replay, 13, "E212_KEY_NOT_HELD", "cannot be opened here");
}

#[test]
fn a_changed_ciphertext_is_refused_before_it_is_opened() {
    let bench = bench();
    let mut bytes = bench.read("secret.mod");
    let at = bytes.windows(4).position(|at| at == b"--- ").unwrap() + 80;
    bytes[at] ^= 1;
    bench.write("bad.mod", &bytes);
    assert_eq!(run_as_bob(&bench, "bad.mod").code, 12);
}

#[test]
fn only_an_author_can_encrypt() {
    let bench = bench();
    let pack = ["pack", "hello.toml", "--encrypt-to", "bob.agepub"];
    bench.fails(&pack, 12, "E052_BINDING_MISMATCH", "--key or --author-key");
    let pack = |to| ["pack", "hello.toml", "--key", "alice", "--encrypt-to", to];
    bench.fails(&pack("age1none"), 20, "E035_KEY_INVALID", "age1none names no recipient");
    bench.fails(&pack("./bob.ageid"), 20, "E035_KEY_INVALID", "./bob.ageid names no recipient");
    bench.fails(&pack("nobody"), 2, "USAGE", "cannot read recipients");
    bench.manifest("bad", &HELLO.replace("\"run\"", "\"other\""), "");
    let pack = ["pack", "bad.toml", "--key", "alice", "--encrypt-to", "bob.agepub"];
    bench.fails(&pack, 14, "E404_ENTRY_NOT_FOUND", "no entry \"run\"");
}

#[test]
fn an_identity_that_others_can_read_is_not_used() {
    let bench = bench();
    fs::set_permissions(bench.path("bob.ageid"), fs::Permissions::from_mode(0o640)).unwrap();
    let run = ["run", "secret.mod", "--identity", "bob.ageid"];
    bench.fails(&run, 15, "E507_KEY_FILE_MODE", "chmod 600 bob.ageid");
    bench.write("not.ageid", "AGE-SECRET-KEY-1NOT\n");
    fs::set_permissions(bench.path("not.ageid"), fs::Permissions::from_mode(0o600)).unwrap();
    let run = ["run", "secret.mod", "--identity", "not.ageid"];
    bench.fails(&run, 15, "E509_KEY_FILE_FORM", "a line is no identity");
    assert!(!bench.run(&run).stderr.contains("1NOT"), "secrets are not repeated");
    let keys = bench.path("home/data/keys");
    bench.ok(&["key", "recipient", "carol"]);
    let mode = |file: &str| fs::metadata(keys.join(file)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("carol.ageid"), mode("carol.agepub") & 0o600), (0o600, 0o600));
    bench.fails(&["key", "recipient", "carol"], 15, "E511_WRITE_CONFLICT", "never overwritten");
}
