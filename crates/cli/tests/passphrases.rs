//! Secret files under a passphrase.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use crate::support::{Bench, Ended, KAPSULE};

/// Keeps a test fast; the default takes a second for each secret.
const CHEAP: [&str; 2] = ["--work-factor", "4"];
const BY_FILE: [&str; 2] = ["--passphrase-file", "passphrase"];

/// A directory with a passphrase and a wrong one, the module of `hello`, and alice, whose two keys
/// are protected.
fn bench() -> Bench {
    let bench = Bench::with_hello();
    bench.secret("passphrase", "correct horse\n");
    bench.secret("wrong", "mule\n");
    bench.ok(&["key", "add", "alice", "--suite", "mldsa44"]);
    let protect = [&["key", "protect", "alice"], &BY_FILE[..], &CHEAP].concat();
    assert!(bench.ok(&protect).stderr.contains("alice.mldsa44.key"));
    bench
}

fn secret_of(bench: &Bench, file: &str) -> Vec<u8> {
    bench.read(&format!("home/data/keys/{file}"))
}

fn is_age(bytes: &[u8]) -> bool {
    bytes.starts_with(b"age-encryption.org/v1\n-> scrypt ")
}

fn with_variable(bench: &Bench, file: &str, args: &[&str]) -> Ended {
    let mut command = bench.command(KAPSULE);
    Ended::of(command.env("KAPSULE_PASSPHRASE_FILE", file).args(args).output().unwrap())
}

#[test]
fn a_protected_identity_signs_with_its_passphrase_and_not_without() {
    let bench = bench();
    for file in ["alice.key", "alice.mldsa44.key"] {
        assert!(is_age(&secret_of(&bench, file)), "{file}");
        let mode = fs::metadata(bench.path("home/data/keys").join(file)).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
    }
    let pack = ["pack", "hello.toml", "--key", "alice", "-o", "h.mod"];
    bench.fails(&pack, 2, "USAGE", "--passphrase-file or KAPSULE_PASSPHRASE_FILE");
    let wrong = [&pack[..], &["--passphrase-file", "wrong"]].concat();
    bench.fails(&wrong, 15, "E509_KEY_FILE_FORM", "the passphrase does not open the file");
    bench.ok(&[&pack[..], &BY_FILE].concat());
    let verified = bench.ok(&["verify", "h.mod"]);
    assert!(verified.text().contains("signature       pass      2 valid"), "{}", verified.text());
    let sign = ["sign", "h.mod", "--key", "alice", "--scope", "publisher"];
    bench.fails(&sign, 2, "USAGE", "key alice is protected by a passphrase, and none was given");
    assert_eq!(with_variable(&bench, "passphrase", &sign).code, 0);
    let mut stdin = bench.read("passphrase");
    stdin.extend(b"not part of it");
    let from_stdin = [&sign[..], &["--passphrase-file", "-"]].concat();
    assert_eq!(bench.run_with(&from_stdin, &stdin).code, 0);
}

#[test]
fn what_is_public_needs_no_passphrase() {
    let bench = bench();
    let shown = &bench.json(&["key", "show", "alice"])[0];
    assert_eq!(shown["keys"][0]["protected"], true);
    assert!(shown["keys"][0]["created_ms"].is_null(), "only the secret file says it");
    assert!(bench.ok(&["key", "show", "alice"]).text().contains("by a passphrase"));
    assert_eq!(&bench.json(&["key", "list"])[0], shown);
    bench.ok(&["key", "trust", "alice", "-o", "trust.json"]);
    bench.ok(&["key", "export", "alice", "-o", "alice.pub"]);
    bench.ok(&["pack", "hello.toml", "--author-key", "alice", "-o", "h.mod"]);
    assert_eq!(
        bench.ok(&["key", "trust", "alice.pub", "-o", "-"]).stdout,
        bench.read("trust.json")
    );
}

#[test]
fn a_key_is_protected_from_its_first_moment() {
    let bench = bench();
    fn new(name: &str) -> Vec<&str> {
        [&["key", "new", name], &CHEAP[..]].concat()
    }
    bench.ok(&[&new("bob")[..], &BY_FILE].concat());
    assert!(is_age(&secret_of(&bench, "bob.key")));
    assert_eq!(with_variable(&bench, "passphrase", &new("carol")).code, 0);
    assert!(is_age(&secret_of(&bench, "carol.key")));
    let asked = [&new("dave")[..], &["--protect"]].concat();
    bench.fails(&asked, 2, "USAGE", "and none was given");
    assert!(!bench.path("home/data/keys/dave.key").exists());
    bench.ok(&new("dave"));
    assert!(!is_age(&secret_of(&bench, "dave.key")));
}

#[test]
fn a_key_that_joins_a_protected_identity_is_protected_by_the_same_passphrase() {
    let bench = bench();
    let add = [&["key", "add", "alice", "--suite", "p256"], &CHEAP[..]].concat();
    bench.fails(&add, 2, "USAGE", "is protected by a passphrase");
    let wrong = [&add[..], &["--passphrase-file", "wrong"]].concat();
    bench.fails(&wrong, 15, "E509_KEY_FILE_FORM", "does not open");
    bench.ok(&[&add[..], &BY_FILE].concat());
    assert!(is_age(&secret_of(&bench, "alice.p256.key")));
}

#[test]
fn an_exported_secret_stays_protected_and_is_imported_so() {
    let bench = bench();
    let export = ["key", "export", "alice", "--secret", "--suite", "ed25519", "-o", "copy.key"];
    bench.ok(&export);
    assert_eq!(bench.read("copy.key"), secret_of(&bench, "alice.key"));
    let import = [&["key", "import", "eve", "copy.key"], &CHEAP[..]].concat();
    bench.fails(&import, 2, "USAGE", "copy.key is protected by a passphrase");
    bench.ok(&[&import[..], &BY_FILE].concat());
    assert!(is_age(&secret_of(&bench, "eve.key")));
    let both = ["key", "import", "x", "-", "--passphrase-file", "-"];
    bench.fails(&both, 2, "USAGE", "only one of the files can come from stdin");
}

#[test]
fn protecting_and_unprotecting_give_the_same_key_back() {
    let bench = bench();
    let protect = [&["key", "protect", "alice"], &BY_FILE[..], &CHEAP].concat();
    bench.fails(&protect, 15, "E509_KEY_FILE_FORM", "alice is protected already");
    let unprotect = ["key", "unprotect", "alice", "--passphrase-file"];
    let before = secret_of(&bench, "alice.key");
    bench.fails(&[&unprotect[..], &["wrong"]].concat(), 15, "E509_KEY_FILE_FORM", "does not open");
    assert_eq!(secret_of(&bench, "alice.key"), before);
    let objects = bench.json(&[&unprotect[..], &["passphrase"]].concat());
    assert_eq!(objects[0]["files"].as_array().unwrap().len(), 2);
    let plain = secret_of(&bench, "alice.key");
    assert!(plain.starts_with(b"{\"created_ms\":"));
    bench.ok(&["sign", "hello.mod", "--key", "alice", "--scope", "publisher"]);
    bench.fails(&[&unprotect[..], &["passphrase"]].concat(), 15, "E509_KEY_FILE_FORM", "is not");
    bench.ok(&protect);
    bench.secret("note.key", "no secret");
    let other = [&["key", "protect", "note.key"], &BY_FILE[..]].concat();
    bench.fails(&other, 15, "E509_KEY_FILE_FORM", "note.key is no secret file");
    let absent = [&["key", "protect", "nobody"], &BY_FILE[..]].concat();
    bench.fails(&absent, 15, "E508_KEY_NOT_FOUND", "there is no key nobody");
}

#[test]
fn a_passphrase_file_that_others_can_read_is_not_used() {
    let bench = bench();
    let sign = [&["sign", "hello.mod", "--key", "alice"], &BY_FILE[..]].concat();
    bench.write("empty", "\n");
    let readable = fs::Permissions::from_mode(0o640);
    fs::set_permissions(bench.path("passphrase"), readable).unwrap();
    bench.fails(&sign, 15, "E507_KEY_FILE_MODE", "chmod 600 passphrase");
    bench.secret("empty", "\n");
    let with = |file| ["sign", "hello.mod", "--key", "alice", "--passphrase-file", file];
    bench.fails(&with("empty"), 15, "E509_KEY_FILE_FORM", "allowed 1 to 4096");
    bench.fails(&with("none"), 2, "USAGE", "cannot read the passphrase file none");
}

#[test]
fn a_public_file_of_another_key_is_noticed_when_the_secret_is_opened() {
    let bench = bench();
    bench.ok(&["key", "new", "mallory"]);
    let keys = bench.path("home/data/keys");
    fs::copy(keys.join("mallory.pub"), keys.join("alice.pub")).unwrap();
    let sign = [&["sign", "hello.mod", "--key", "alice"], &BY_FILE[..]].concat();
    bench.fails(&sign, 15, "E509_KEY_FILE_FORM", "names another key than");
}

#[test]
fn a_protected_age_key_opens_what_is_encrypted_to_it() {
    let bench = bench();
    bench.ok(&[&["key", "recipient", "rita"], &BY_FILE[..], &CHEAP].concat());
    assert!(is_age(&secret_of(&bench, "rita.ageid")));
    let encrypt = ["--encrypt-to", "rita", "-o", "secret.mod"];
    bench.ok(&[&["pack", "hello.toml", "--key", "alice"], &BY_FILE[..], &encrypt].concat());
    bench.write("name.txt", "Ada");
    let run = ["run", "secret.mod", "--input", "name.txt"];
    bench.fails(&run, 2, "USAGE", "rita.ageid is protected by a passphrase");
    assert_eq!(bench.ok(&[&run[..], &BY_FILE].concat()).text(), "hello, Ada");
    let verify = ["verify", "secret.mod"];
    assert!(bench.ok(&verify).text().contains("opened          not done  E212"));
    let opened = bench.ok(&[&verify[..], &BY_FILE].concat());
    assert!(opened.text().contains("opened          pass"), "{}", opened.text());
    // A key that nothing protects spares the question.
    bench.ok(&["key", "recipient", "open"]);
    let encrypt = ["--encrypt-to", "open", "-o", "open.mod"];
    bench.ok(&[&["pack", "hello.toml", "--key", "alice"], &BY_FILE[..], &encrypt].concat());
    bench.ok(&["run", "open.mod"]);
    let unprotect = ["key", "unprotect", "rita", "--passphrase-file", "passphrase"];
    bench.ok(&unprotect);
    assert_eq!(bench.ok(&run).text(), "hello, Ada");
}

/// Runs a command line on a terminal of its own and types an answer at each question.
///
/// The answers are typed once the terminal shows nothing of what is typed.
#[expect(clippy::print_stderr, reason = "a check that was not made is said so")]
fn on_a_terminal(bench: &Bench, line: &str, answers: &[&str]) -> Option<String> {
    let line = format!("tty; {line}; echo \"exit $?.\"");
    let mut command = bench.command("script");
    command.args(["--quiet", "--command", &line, "/dev/null"]);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let Ok(mut child) = child else {
        eprintln!("skipped: no `script` here, which gives a terminal");
        return None;
    };
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut terminal = String::new();
    stdout.read_line(&mut terminal).unwrap();
    let mut shown = Vec::new();
    for answer in answers {
        while !shown.ends_with(b": ") {
            let mut byte = [0];
            assert_eq!(stdout.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&shown));
            shown.push(byte[0]);
        }
        shown.push(b'\n');
        let is_silent = || {
            let mut stty = Command::new("stty");
            let settings = stty.args(["-a", "-F", terminal.trim()]).output().unwrap();
            String::from_utf8(settings.stdout).unwrap().contains(" -echo ")
        };
        while !is_silent() {
            std::thread::yield_now();
        }
        stdin.write_all(format!("{answer}\r").as_bytes()).unwrap();
    }
    stdout.read_to_end(&mut shown).unwrap();
    child.wait().unwrap();
    Some(String::from_utf8(shown).unwrap())
}

#[test]
fn on_a_terminal_the_passphrase_is_asked_for_and_not_shown() {
    let bench = bench();
    bench.ok(&["key", "new", "tess"]);
    let protect = "kapsule key protect tess --work-factor 4";
    let Some(shown) = on_a_terminal(&bench, protect, &["first", "second"]) else { return };
    assert!(shown.contains("the two passphrases differ") && shown.contains("exit 2."), "{shown}");
    let shown = on_a_terminal(&bench, protect, &["donkey", "donkey"]).unwrap();
    assert!(shown.contains("exit 0.") && !shown.contains("donkey"), "{shown}");
    assert!(is_age(&secret_of(&bench, "tess.key")));
    // Control-U starts the line again.
    let sign = "kapsule sign hello.mod --key tess --scope publisher";
    let shown = on_a_terminal(&bench, sign, &["mistyped\u{15}donkey"]).unwrap();
    assert!(shown.contains("passphrase of key tess: ") && shown.contains("exit 0."), "{shown}");
    let shown = on_a_terminal(&bench, sign, &["don\u{3}"]).unwrap();
    assert!(shown.contains("exit 130."), "{shown}");
}
