//! Keys: created with care, refused when unsafe.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::support::Bench;

fn mode(bench: &Bench, name: &str) -> u32 {
    fs::metadata(bench.path(name)).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_new_key_is_private_and_shown_everywhere_the_same() {
    let bench = Bench::new();
    let created = &bench.json(&["key", "new", "alice"])[0];
    assert_eq!(mode(&bench, "home/data/keys"), 0o700);
    assert_eq!(mode(&bench, "home/data/keys/alice.key"), 0o600);
    let public = created["public"].as_str().unwrap();
    let line = String::from_utf8(bench.read("home/data/keys/alice.pub")).unwrap();
    assert_eq!(line, format!("kapsule-pub {public} alice\n"));

    let shown = &bench.json(&["key", "show", "alice"])[0];
    assert_eq!(shown, created);
    assert_eq!(&bench.json(&["key", "list"])[0], shown);
    assert_eq!(bench.ok(&["key", "list"]).text(), format!("alice  {public}\n"));
    assert!(bench.ok(&["key", "show", "alice"]).text().contains(public));
}

#[test]
fn no_output_holds_the_secret() {
    let bench = Bench::new();
    bench.ok(&["key", "new", "alice"]);
    let file = String::from_utf8(bench.read("home/data/keys/alice.key")).unwrap();
    let secret = file.split("\"key\":\"").nth(1).unwrap()[..64].to_owned();
    for args in [["key", "show", "alice"], ["key", "list", "--json"]] {
        let ended = bench.ok(&args);
        assert!(!ended.text().contains(&secret) && !ended.stderr.contains(&secret));
    }
}

#[test]
fn two_keys_differ_and_none_is_overwritten() {
    let bench = Bench::new();
    let first = &bench.json(&["key", "new", "alice"])[0];
    let second = &bench.json(&["key", "new", "bob"])[0];
    assert_ne!(first["public"], second["public"]);
    let before = bench.read("home/data/keys/alice.key");
    bench.fails(&["key", "new", "alice"], 15, "E511_WRITE_CONFLICT", "alice.key");
    assert_eq!(bench.read("home/data/keys/alice.key"), before);
}

#[test]
fn a_blocked_public_file_leaves_no_half_key() {
    let bench = Bench::new();
    bench.ok(&["key", "new", "bob"]);
    bench.write("home/data/keys/alice.pub", "in the way");
    bench.fails(&["key", "new", "alice"], 15, "E511_WRITE_CONFLICT", "alice.pub");
    assert!(!bench.path("home/data/keys/alice.key").exists());
}

#[test]
fn an_unsafe_file_is_refused() {
    let bench = Bench::new();
    bench.ok(&["key", "new", "alice"]);
    let path = bench.path("home/data/keys/alice.key");
    for found in [0o640, 0o604, 0o660] {
        fs::set_permissions(&path, fs::Permissions::from_mode(found)).unwrap();
        let text = format!("mode {found:04o}, allowed is 0600");
        bench.fails(&["key", "show", "alice"], 15, "E507_KEY_FILE_MODE", &text);
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    symlink("alice.key", bench.path("home/data/keys/link.key")).unwrap();
    bench.fails(&["key", "show", "link"], 15, "E507_KEY_FILE_MODE", "is a symbolic link");
    fs::create_dir(bench.path("home/data/keys/dir.key")).unwrap();
    bench.fails(&["key", "show", "dir"], 15, "E507_KEY_FILE_MODE", "ordinary file");
    let listed = bench.ok(&["key", "list"]);
    assert!(listed.text().contains("link   E507_KEY_FILE_MODE"), "{}", listed.text());
}

#[test]
fn an_absent_or_damaged_key_is_told_apart() {
    let bench = Bench::new();
    bench.fails(&["key", "show", "alice"], 15, "E508_KEY_NOT_FOUND", "there is no key alice");
    bench.ok(&["key", "new", "alice"]);
    let path = "home/data/keys/alice.key";
    let file = String::from_utf8(bench.read(path)).unwrap();
    bench.write(path, file.replace("\"uses\":[\"sign\"]", "\"uses\":[\"sing\"]"));
    bench.fails(&["key", "show", "alice"], 15, "E509_KEY_FILE_FORM", "uses is not one of");
}

#[test]
fn a_name_that_leaves_the_directory_is_a_usage_error() {
    let bench = Bench::new();
    for name in ["../alice", ".alice", "a/b", ""] {
        let ended = bench.run(&["key", "new", name]);
        assert_eq!(ended.code, 2, "{name:?}");
    }
    assert!(!bench.path("home").exists(), "nothing is written before the arguments are checked");
}

#[test]
fn an_empty_home_has_no_keys() {
    let bench = Bench::new();
    let ended = bench.ok(&["key", "list"]);
    assert_eq!(ended.text(), "");
    assert!(ended.stderr.contains("kapsule key new"));
}

#[test]
fn a_trust_file_lists_keys_and_public_files() {
    let bench = Bench::new();
    bench.ok(&["key", "new", "alice"]);
    bench.ok(&["key", "new", "bob"]);
    fs::copy(bench.path("home/data/keys/bob.pub"), bench.path("bob.pub")).unwrap();
    bench.ok(&["key", "trust", "alice", "bob.pub", "-o", "trust.json"]);
    let file: serde_json::Value = serde_json::from_slice(&bench.read("trust.json")).unwrap();
    assert_eq!(file["keys"].as_array().unwrap().len(), 2);
    assert_eq!(
        bench.ok(&["key", "trust", "bob", "alice", "-o", "-"]).stdout,
        bench.read("trust.json")
    );
    let role = bench.run(&["key", "trust", "alice", "--role", "king"]);
    assert_eq!(role.code, 2);
    assert!(role.stderr.contains("roles are auditor, author, "), "{}", role.stderr);
    let glob = ["key", "trust", "alice", "--package", "a*b"];
    bench.fails(&glob, 20, "E008_SCHEMA_VIOLATION", "no trust file can say this");
    bench.write("no.pub", "x");
    bench.fails(&["key", "trust", "no.pub"], 15, "E509_KEY_FILE_FORM", "no.pub");
    bench.fails(&["key", "trust", "alice", "-o", "none/t.json"], 2, "USAGE", "cannot write");
}
