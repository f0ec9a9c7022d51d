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
    let public = created["keys"][0]["public"].as_str().unwrap();
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
    assert_ne!(first["keys"][0]["public"], second["keys"][0]["public"]);
    assert_ne!(first["identity"], second["identity"]);
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

/// The public keys of `key show --json`, as (suite, key text).
fn public_keys(shown: &serde_json::Value) -> Vec<(String, String)> {
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let keys = shown["keys"].as_array().unwrap();
    keys.iter().map(|key| (text(&key["suite"]), text(&key["public"]))).collect()
}

#[test]
fn an_identity_has_a_file_for_each_key() {
    let bench = Bench::new();
    let all = ["--suite", "mldsa44", "--suite", "p256", "--suite", "secp256k1"];
    let made = &bench.json(&[&["key", "new", "alice"], &all[..]].concat())[0];
    let suites: Vec<String> = public_keys(made).into_iter().map(|(suite, _)| suite).collect();
    assert_eq!(suites, ["p256", "mldsa44", "secp256k1"]);
    for (stem, suite) in [("alice", "p256"), ("alice.mldsa44", "mldsa44")] {
        assert_eq!(mode(&bench, &format!("home/data/keys/{stem}.key")), 0o600);
        let line = String::from_utf8(bench.read(&format!("home/data/keys/{stem}.pub"))).unwrap();
        assert!(line.starts_with(&format!("kapsule-pub {suite}:")), "{line}");
    }
    assert_eq!(&bench.json(&["key", "show", "alice"])[0], made);
    let shown = bench.ok(&["key", "show", "alice"]);
    assert!(shown.text().contains(".. (1312 bytes)") && shown.text().len() < 2_000);
    assert_eq!(bench.ok(&["key", "list"]).text().lines().count(), 3);
}

#[test]
fn an_additive_suite_needs_another_beside_it() {
    let bench = Bench::new();
    let alone = ["key", "new", "alice", "--suite", "mldsa44"];
    bench.fails(&alone, 20, "E034_SUITE_UNSUPPORTED", "mldsa44 alone");
    assert!(!bench.path("home/data/keys").exists());
    let suite = bench.run(&["key", "new", "alice", "--suite", "rsa"]);
    assert_eq!(suite.code, 2);
    assert!(suite.stderr.contains("suites are ed25519, p256, "), "{}", suite.stderr);
}

#[test]
fn a_key_is_added_once_and_makes_another_identity() {
    let bench = Bench::new();
    let first = bench.json(&["key", "new", "alice"]).remove(0);
    let grown = &bench.json(&["key", "add", "alice", "--suite", "mldsa44"])[0];
    assert_ne!(first["identity"], grown["identity"]);
    assert_eq!(public_keys(&first)[0], public_keys(grown)[0]);
    let again = ["key", "add", "alice", "--suite", "mldsa44"];
    bench.fails(&again, 15, "E511_WRITE_CONFLICT", "alice has a key of suite mldsa44 already");
    bench.fails(&["key", "add", "bob", "--suite", "p256"], 15, "E508_KEY_NOT_FOUND", "no key bob");
    assert_eq!(bench.run(&["key", "new", "alice.mldsa44"]).code, 2);
}

#[test]
fn an_identity_that_lost_a_secret_does_not_sign_as_a_smaller_one() {
    let bench = Bench::new();
    bench.ok(&["key", "new", "alice", "--suite", "ed25519", "--suite", "mldsa44"]);
    let secret = bench.path("home/data/keys/alice.mldsa44.key");
    fs::rename(&secret, bench.path("aside.key")).unwrap();
    bench.fails(&["key", "show", "alice"], 15, "E508_KEY_NOT_FOUND", "alice.mldsa44.key does not");
    // A key of another suite under that name is noticed too.
    bench.ok(&["key", "new", "bob", "--suite", "p256"]);
    fs::copy(bench.path("home/data/keys/bob.key"), &secret).unwrap();
    bench.fails(&["key", "show", "alice"], 15, "E509_KEY_FILE_FORM", "holds a key of suite p256");
    fs::copy(bench.path("aside.key"), &secret).unwrap();
    bench.ok(&["key", "show", "alice"]);
}

/// The same scalar or seed in every form that can be imported.
const SECRET: &str = "10101010101010101010101010101010101010101010101010101010101010ff";

#[test]
fn hex_is_imported_with_its_suite_and_exported_again() {
    let bench = Bench::new();
    bench.write("secret.hex", format!("{SECRET}\n"));
    for suite in ["ed25519", "p256", "secp256k1"] {
        bench.ok(&["key", "import", suite, "secret.hex", "--suite", suite]);
        let copy = format!("{suite}-copy.key");
        bench.ok(&["key", "export", suite, "--secret", "-o", &copy]);
        assert_eq!(mode(&bench, &copy), 0o600);
        assert!(String::from_utf8(bench.read(&copy)).unwrap().contains(SECRET));
        let again = format!("{suite}-again");
        bench.ok(&["key", "import", &again, &copy]);
        let shown = |name: &str| public_keys(&bench.json(&["key", "show", name])[0]);
        assert_eq!(shown(suite), shown(&again));
        bench.fails(
            &["key", "export", suite, "--secret", "-o", &copy],
            15,
            "E511_WRITE_CONFLICT",
            &copy,
        );
    }
    let add = ["key", "import", "p256", "secret.hex", "--suite", "mldsa44", "--add"];
    bench.ok(&add);
    assert_eq!(public_keys(&bench.json(&["key", "show", "p256"])[0]).len(), 2);
    let which = bench.run(&["key", "export", "p256", "--secret"]);
    assert_eq!(which.code, 2);
    assert!(which.stderr.contains("choose one of p256, mldsa44"), "{}", which.stderr);
    let file = bench.ok(&["key", "export", "p256", "--secret", "--suite", "mldsa44"]);
    assert_eq!(file.stdout, bench.read("home/data/keys/p256.mldsa44.key"));
    let absent = ["key", "export", "p256", "--secret", "--suite", "ed25519", "-o", "none.key"];
    bench.fails(&absent, 15, "E508_KEY_NOT_FOUND", "no key of this suite");
}

#[test]
fn what_cannot_be_imported_is_refused_by_its_reason() {
    let bench = Bench::new();
    bench.write("secret.hex", SECRET);
    bench.write("test.hex", "11".repeat(32));
    bench.write("zero.hex", "00".repeat(32));
    bench.write("short.hex", "11".repeat(31));
    bench
        .write("rsa.pem", "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n");
    bench.write("none.pem", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n");
    bench.write("bad.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    let import = |file: &str, suite: &str, exit: i32, code: &str, text: &str| {
        let with = if suite.is_empty() { vec![] } else { vec!["--suite", suite] };
        bench.fails(&[&["key", "import", "x", file], &with[..]].concat(), exit, code, text);
    };
    import("secret.hex", "", 15, "E509_KEY_FILE_FORM", "do not say their suite");
    import("short.hex", "p256", 15, "E509_KEY_FILE_FORM", "neither a key file nor PEM");
    import("zero.hex", "p256", 20, "E035_KEY_INVALID", "is not from 1 to n - 1");
    import("rsa.pem", "", 15, "E509_KEY_FILE_FORM", "the PEM is a RSA PRIVATE KEY");
    import("none.pem", "", 15, "E509_KEY_FILE_FORM", "no private key");
    import("bad.pem", "", 15, "E509_KEY_FILE_FORM", "no PKCS#8 private key");
    for suite in ["ed25519", "p256", "secp256k1"] {
        import("test.hex", suite, 11, "E129_TEST_KEY_REFUSED", "published test key");
    }
    assert!(!bench.path("home/data/keys").exists(), "a refused key leaves no file");
    bench.ok(&["key", "import", "x", "test.hex", "--suite", "p256", "--insecure-dev"]);
    bench.ok(&["key", "import", "y", "secret.hex", "--suite", "p256"]);
    let again = ["key", "import", "y", "secret.hex", "--suite", "p256"];
    bench.fails(&again, 15, "E511_WRITE_CONFLICT", "y.key");
}

#[test]
fn an_exported_identity_is_trusted_whole() {
    let bench = Bench::new();
    bench.ok(&["key", "new", "alice", "--suite", "p256", "--suite", "mldsa44"]);
    bench.ok(&["key", "export", "alice", "-o", "alice.pub"]);
    let lines = String::from_utf8(bench.read("alice.pub")).unwrap();
    assert_eq!(lines.lines().count(), 2);
    bench.ok(&["key", "trust", "alice.pub", "-o", "trust.json"]);
    assert_eq!(bench.ok(&["key", "trust", "alice", "-o", "-"]).stdout, bench.read("trust.json"));
    let file: serde_json::Value = serde_json::from_slice(&bench.read("trust.json")).unwrap();
    assert_eq!(file["keys"][0]["keys"].as_array().unwrap().len(), 2);
    bench.write("half.pub", lines.lines().nth(1).unwrap().to_owned() + "\n");
    bench.fails(&["key", "trust", "half.pub"], 20, "E034_SUITE_UNSUPPORTED", "mldsa44 alone");
    bench.write("two.pub", lines.replacen(" alice\n", " bob\n", 1));
    bench.fails(&["key", "trust", "two.pub"], 15, "E509_KEY_FILE_FORM", "several labels");
    bench.write("empty.pub", "");
    bench.fails(&["key", "trust", "empty.pub"], 15, "E509_KEY_FILE_FORM", "found no line");
}

#[test]
fn pem_of_other_programs_gives_the_key_of_the_same_secret() {
    let bench = Bench::new();
    bench.write("secret.hex", SECRET);
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/import");
    let pem = |name: &str| format!("{data}/{name}.pem");
    for (suite, forms) in [
        ("ed25519", &["ed25519"][..]),
        ("p256", &["p256", "p256-sec1"]),
        ("secp256k1", &["secp256k1", "secp256k1-sec1"]),
    ] {
        bench.ok(&["key", "import", suite, "secret.hex", "--suite", suite]);
        let expect = public_keys(&bench.json(&["key", "show", suite])[0]);
        for (number, form) in forms.iter().enumerate() {
            let name = format!("{suite}-pem-{number}");
            assert_eq!(public_keys(&bench.json(&["key", "import", &name, &pem(form)])[0]), expect);
        }
    }
    bench.ok(&["key", "import", "ed25519", "secret.hex", "--suite", "mldsa44", "--add"]);
    let expect = &public_keys(&bench.json(&["key", "show", "ed25519"])[0])[1];
    for (name, form) in [("p256", "mldsa44"), ("secp256k1", "mldsa44-both")] {
        let grown = &bench.json(&["key", "import", name, &pem(form), "--add"])[0];
        assert!(public_keys(grown).contains(expect), "{form}");
    }
    for (form, text) in [
        ("mldsa44-expanded", "has no seed"),
        ("p384", "on curve 1.3.132.0.34"),
        ("encrypted", "ENCRYPTED PRIVATE KEY, allowed"),
    ] {
        bench.fails(&["key", "import", "x", &pem(form)], 15, "E509_KEY_FILE_FORM", text);
    }
    let other = ["key", "import", "x", &pem("p256"), "--suite", "secp256k1"];
    bench.fails(&other, 15, "E509_KEY_FILE_FORM", "of suite p256, asked for is secp256k1");
}
