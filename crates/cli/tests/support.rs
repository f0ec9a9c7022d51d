//! A directory with a home, and the built command in it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use kapsule_format::receipt::{Claim, Receipt};
use serde_json::Value;
use tempfile::TempDir;

/// Path of the built command.
pub(crate) const KAPSULE: &str = env!("CARGO_BIN_EXE_kapsule");

/// Root of the repository.
pub(crate) const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Nonce of the receipts that tests issue.
pub(crate) const NONCE: &str = "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a";

/// Returns result and code of a check of a report; `left out` where it has none of that name.
pub(crate) fn result<'a>(report: &'a Value, name: &str) -> (&'a str, Option<&'a str>) {
    let checks = report["checks"].as_array().unwrap();
    let found = checks.iter().find(|check| check["name"] == name);
    found.map_or(("left out", None), |check| {
        (check["result"].as_str().unwrap(), check["code"].as_str())
    })
}

/// Returns the claim of a receipt.
pub(crate) fn claim(bench: &Bench, name: &str) -> Claim {
    Receipt::decode(&bench.read(name)).unwrap().claim().clone()
}

/// Writes `hello, ` and the input.
pub(crate) const HELLO: &str = r#"(module
  (import "kapsule_v1" "input_read" (func $read (param i64 i32 i32) (result i32)))
  (import "kapsule_v1" "output_write" (func $write (param i32 i32) (result i32)))
  (import "kapsule_v1" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 1 4)
  (data (i32.const 0) "hello, ")
  (data (i32.const 16) "greeting\1b[2J")
  (func (export "kapsule_abi_version") (result i32) (i32.const 1))
  (func (export "run") (result i32)
    (call $log (i32.const 2) (i32.const 16) (i32.const 12))
    (drop (call $write (i32.const 0) (i32.const 7)))
    (drop (call $write (i32.const 1024)
      (call $read (i64.const 0) (i32.const 1024) (i32.const 4096))))
    (i32.const 0)))"#;

/// Writes the time of the run as 8 bytes; needs the grant `time`.
pub(crate) const CLOCK: &str = r#"(module
  (import "kapsule_v1" "now" (func $now (result i64)))
  (import "kapsule_v1" "output_write" (func $write (param i32 i32) (result i32)))
  (memory (export "memory") 1 1)
  (func (export "kapsule_abi_version") (result i32) (i32.const 1))
  (func (export "run") (result i32)
    (i64.store (i32.const 0) (call $now))
    (call $write (i32.const 0) (i32.const 8))))"#;

/// Writes 8 random bytes; needs the grant `random`.
pub(crate) const DICE: &str = r#"(module
  (import "kapsule_v1" "random" (func $random (param i32 i32)))
  (import "kapsule_v1" "output_write" (func $write (param i32 i32) (result i32)))
  (memory (export "memory") 1 1)
  (func (export "kapsule_abi_version") (result i32) (i32.const 1))
  (func (export "run") (result i32)
    (call $random (i32.const 0) (i32.const 8))
    (call $write (i32.const 0) (i32.const 8))))"#;

/// Ends in a different way for each entry.
pub(crate) const ENDINGS: &str = r#"(module
  (import "kapsule_v1" "output_write" (func $write (param i32 i32) (result i32)))
  (import "kapsule_v1" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 1 1)
  (func (export "kapsule_abi_version") (result i32) (i32.const 1))
  (func (export "run") (result i32) (i32.const 0))
  (func (export "forever") (result i32)
    (drop (call $write (i32.const 0) (i32.const 4)))
    (loop $again (br $again)) (i32.const 0))
  (func (export "error") (result i32)
    (drop (call $write (i32.const 0) (i32.const 4)))
    (i32.const 16))
  (func (export "trap") (result i32)
    (drop (call $write (i32.const 0) (i32.const 4)))
    unreachable)
  (func (export "flood") (result i32)
    (loop $again (drop (call $write (i32.const 0) (i32.const 65536))) (br $again))
    (i32.const 0))
  (func (export "bad_level") (result i32)
    (call $log (i32.const 9) (i32.const 0) (i32.const 1)) (i32.const 0))
  (func $deep (result i32) (call $deep))
  (func (export "recurse") (result i32) (call $deep)))"#;

/// Calls the package with this hash and gives on what it writes; ends with 100 where it cannot.
pub(crate) fn caller(id: &str) -> String {
    let id: Vec<&str> = (0..id.len()).step_by(2).map(|at| &id[at..at + 2]).collect();
    format!(
        r#"(module
  (import "kapsule_v1" "input_read" (func $read (param i64 i32 i32) (result i32)))
  (import "kapsule_v1" "output_write" (func $write (param i32 i32) (result i32)))
  (import "kapsule_v1" "call"
    (func $call (param i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1 4)
  (data (i32.const 0) "\{}")
  (func (export "kapsule_abi_version") (result i32) (i32.const 1))
  (func (export "run") (result i32)
    (local $count i32)
    (local.set $count (call $call (i32.const 0) (i32.const 0) (i32.const 0)
      (i32.const 1024) (call $read (i64.const 0) (i32.const 1024) (i32.const 1024))
      (i32.const 4096) (i32.const 4096)))
    (if (i32.lt_s (local.get $count) (i32.const 16)) (then (return (i32.const 100))))
    (call $write (i32.const 4112) (i32.sub (local.get $count) (i32.const 16)))))"#,
        id.join("\\")
    )
}

/// A directory for one test.
pub(crate) struct Bench {
    directory: TempDir,
}

/// What one call of the command left.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Exit code.
    pub(crate) code: i32,
    /// Bytes of stdout.
    pub(crate) stdout: Vec<u8>,
    /// Text of stderr.
    pub(crate) stderr: String,
}

impl Bench {
    /// Creates an empty directory and an empty home in it.
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    /// Creates a directory with the key `alice` and the package `hello.mod` by her.
    pub(crate) fn with_hello() -> Self {
        let bench = Self::new();
        bench.ok(&["key", "new", "alice"]);
        bench.manifest("hello", HELLO, "");
        bench.ok(&["pack", "hello.toml", "--key", "alice"]);
        bench
    }

    /// Returns a path in the directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    /// Reads a file.
    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// Writes `NAME.wasm` and a manifest `NAME.toml` for it.
    pub(crate) fn manifest(&self, name: &str, wat: &str, extra: &str) {
        self.write(&format!("{name}.wasm"), wat::parse_str(wat).unwrap());
        let manifest = format!(
            "name = \"{name}\"\nversion = \"0.1.0\"\nauthor = \"Alice\"\nentry = \"{name}.wasm\"\n\
             {extra}\n"
        );
        self.write(&format!("{name}.toml"), manifest);
    }

    /// Packs an unsigned `NAME.mod`.
    pub(crate) fn pack(&self, name: &str, wat: &str, extra: &str) {
        self.manifest(name, wat, extra);
        self.ok(&["pack", &format!("{name}.toml")]);
    }

    /// Packs an unsigned `NAME.mod` of a standard module.
    pub(crate) fn pack_standard(&self, name: &str) {
        let manifest = format!("{REPOSITORY}/examples/packages/{name}.toml");
        let payload = format!("{REPOSITORY}/modules/artifacts/{name}.wasm");
        self.ok(&["pack", &manifest, "--payload", &payload]);
    }

    /// Copies a file of the examples' data under another name.
    pub(crate) fn sample(&self, from: &str, to: &str) {
        fs::copy(format!("{REPOSITORY}/examples/data/{from}"), self.path(to)).unwrap();
    }

    /// Runs `trust.mod` on `trust.input` and writes `trust.output`.
    pub(crate) fn run_trust(&self) {
        let run = ["run", "trust.mod", "--grant", "trust.graph"];
        self.ok(&[&run[..], &["--input", "trust.input", "--output", "trust.output"]].concat());
    }

    /// Packs `NAME.mod`, which calls the package of a file with its own input and writes what that
    /// writes; `more` are further arguments.
    pub(crate) fn caller(&self, name: &str, file: &str, more: &str) {
        self.caller_with(name, file, "\"compose\"", more);
    }

    /// Does so with these grants, as a manifest lists them.
    pub(crate) fn caller_with(&self, name: &str, file: &str, grants: &str, more: &str) {
        let inspected = self.json(&["inspect", file]).remove(0);
        let wat = caller(inspected["capsule_hash"].as_str().unwrap());
        self.manifest(name, &wat, &format!("grants = [{grants}]"));
        let manifest = format!("{name}.toml");
        let args = ["pack", &manifest, "--dep", file];
        self.ok(&[&args[..], &more.split_whitespace().collect::<Vec<_>>()].concat());
    }

    /// Prepares a call.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        let bin = Path::new(KAPSULE).parent().unwrap().to_str().unwrap();
        command
            .current_dir(self.directory.path())
            .env_clear()
            .env("PATH", format!("{bin}:/usr/local/bin:/usr/bin:/bin"))
            .env("KAPSULE_HOME", self.path("home"))
            .env("TMPDIR", self.directory.path())
            .env("COLUMNS", "100")
            .stdin(Stdio::null());
        // Lets a run with one guard switched off reach the command.
        let settings = std::env::vars_os();
        command.envs(
            settings.filter(|(name, _)| name.to_string_lossy().starts_with("KAPSULE_GUARD_")),
        );
        command
    }

    /// Writes a file that only its owner can read.
    pub(crate) fn secret(&self, name: &str, text: &str) {
        self.write(name, text);
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(self.path(name), private).unwrap();
    }

    /// Calls the command.
    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        Ended::of(self.command(KAPSULE).args(args).output().unwrap())
    }

    /// Calls the command with bytes on stdin.
    pub(crate) fn run_with(&self, args: &[&str], stdin: &[u8]) -> Ended {
        let mut command = self.command(KAPSULE);
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(stdin).unwrap();
        Ended::of(child.wait_with_output().unwrap())
    }

    /// Calls the command and expects success.
    #[track_caller]
    pub(crate) fn ok(&self, args: &[&str]) -> Ended {
        let ended = self.run(args);
        assert_eq!(ended.code, 0, "{args:?}: {}", ended.stderr);
        ended
    }

    /// Calls the command with `--json` and returns its objects after expecting success.
    #[track_caller]
    pub(crate) fn json(&self, args: &[&str]) -> Vec<Value> {
        let ended = self.ok(&[args, &["--json"]].concat());
        assert_eq!(ended.stderr, "", "words are not for --json");
        ended.objects()
    }

    /// Calls the command, in words and as JSON, and expects this exit code, error code and text.
    ///
    /// Every error has a hint, in both forms.
    #[track_caller]
    pub(crate) fn fails(&self, args: &[&str], exit: i32, code: &str, text: &str) {
        let ended = self.run(args);
        let label = match code {
            "USAGE" | "INTERNAL" => "error: ".to_owned(),
            code => format!("error[{code}]: "),
        };
        assert_eq!(ended.code, exit, "{args:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(&label), "{args:?} without {label}: {}", ended.stderr);
        assert!(ended.stderr.contains(text), "{args:?} without {text:?}: {}", ended.stderr);
        assert!(ended.stderr.contains("  hint: "), "{args:?} without hint: {}", ended.stderr);

        let ended = self.run(&[args, &["--json"]].concat());
        assert_eq!((ended.code, ended.stderr.as_str()), (exit, ""), "{args:?} --json");
        let objects = ended.objects();
        let error = objects.last().unwrap();
        assert_eq!(error["schema"], "kapsule/error/1", "{args:?}");
        assert_eq!(error["code"], code, "{args:?}");
        assert!(!error["hint"].as_str().unwrap().is_empty(), "{args:?}");
        let hinted = format!("{} {} {}", error["message"], error["causes"], error["hint"]);
        let hinted = hinted.replace("\\\"", "\"");
        assert!(hinted.contains(text), "{args:?} --json without {text:?}: {hinted}");
    }
}

impl Ended {
    /// Reads what a call left.
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: output.stdout,
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Returns stdout as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }

    /// Returns the JSON objects of stdout, one for each line.
    pub(crate) fn objects(&self) -> Vec<Value> {
        let parse = |line: &str| serde_json::from_str::<Value>(line).unwrap();
        let objects: Vec<Value> = self.text().lines().map(parse).collect();
        for object in &objects {
            assert!(object["schema"].is_string(), "every object has a schema: {object}");
        }
        objects
    }
}
