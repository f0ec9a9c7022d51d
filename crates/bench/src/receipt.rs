//! Verification of receipts: in this process without blobs, as a whole process, and against the
//! hash alone.

use std::hint::black_box;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use kapsule_engine::{Backend, Job, JobOptions, MemoryHost, compile, run};
use kapsule_format::authoring::{Draft, Inputs, Syntax, Text};
use kapsule_format::hash::sha256;
use kapsule_format::key::{Identity, SecretKey, Suite};
use kapsule_format::package::{Package, PackageBuilder};
use kapsule_format::receipt::{Evidence, Extras, Issue, issue};
use kapsule_format::verify::{self, Options, ReceiptOptions};
use kapsule_meter::Profile;

use crate::timing::{Pair, compare, readable};

/// Rounds of a comparison within this process.
const ROUNDS: usize = 200;
/// Rounds of a comparison that starts a process.
const PROCESSES: usize = 40;
/// Input of the large receipt, in bytes.
const LARGE: usize = 1 << 25;

const USAGE: &str = "usage: kapsule-bench receipt [PATH OF kapsule]";

/// Copies its input to its output.
const COPY: &str = r#"(module
  (import "kapsule_v1" "input_read" (func $read (param i64 i32 i32) (result i32)))
  (import "kapsule_v1" "output_write" (func $write (param i32 i32) (result i32)))
  (memory (export "memory") 1 1)
  (func (export "kapsule_abi_version") (result i32) (i32.const 1))
  (func (export "run") (result i32)
    (drop (call $write (i32.const 0)
      (call $read (i64.const 0) (i32.const 0) (i32.const 4096))))
    (i32.const 0)))"#;

/// Measures verification; with the path of the command, whole processes too.
pub(crate) fn measure(arguments: &[&str]) -> Result<Vec<String>, String> {
    let command = match arguments {
        [] => None,
        [path] => Some(PathBuf::from(path)),
        _ => return Err(USAGE.to_owned()),
    };
    let (small, bare) = (receipt(b"Ada")?, claim_alone(&receipt(b"Ada")?)?);
    let large = receipt(&vec![7; LARGE])?;
    let mut lines = vec![
        "receipts: shortest time of each, taken in turn with its peer".to_owned(),
        format!("size with package, bundle and blobs: {} bytes", small.len()),
        format!("size of claim and signature alone: {} bytes", bare.len()),
    ];
    let mut row = |name: &str, pair: Pair, peer: &str| {
        let (ours, other) = (readable(pair.ours), readable(pair.peer));
        lines.push(format!("{name}: {ours}, {:.2} of {other} for {peer}", pair.ratio()));
    };
    let (key, message) = (key()?, vec![7; 1_024]);
    let signature = key.sign(&message);
    for (name, bytes) in [("claim and signature", &bare), ("with everything in it", &small)] {
        let pair = compare(ROUNDS, || verified(bytes), || signed(&key, &message, &signature))?;
        row(name, pair, "one Ed25519 verification");
    }
    let pair = compare(10, || verified(&large), || hashed(&large))?;
    row("with an input of 32 MiB", pair, "its SHA-256");
    if let Some(command) = command {
        let path = std::env::temp_dir().join(format!("kapsule-bench-{}.cap", std::process::id()));
        std::fs::write(&path, &small).map_err(|error| error.to_string())?;
        let file = path.display().to_string();
        let pair = compare(
            PROCESSES,
            || process(&command, &["verify", &file, "--json"]),
            || process(&command, &["--version"]),
        );
        std::fs::remove_file(&path).map_err(|error| error.to_string())?;
        row("whole process", pair?, "`kapsule --version`");
    }
    Ok(lines)
}

fn verified(bytes: &[u8]) -> Result<(), String> {
    let options = Options::default();
    let report = verify::receipt(bytes, None, None, &options, &ReceiptOptions::default());
    let state = report.result(verify::CheckName::Signature);
    match state == Some(verify::CheckResult::Pass) {
        true => Ok(()),
        false => Err(format!("the receipt does not verify: {:?}", report.checks)),
    }
}

fn hashed(bytes: &[u8]) -> Result<(), String> {
    black_box(sha256(black_box(bytes)));
    Ok(())
}

fn signed(key: &SecretKey, message: &[u8], signature: &[u8]) -> Result<(), String> {
    key.public().verify(message, signature).map_err(|error| error.to_string())
}

fn process(command: &PathBuf, arguments: &[&str]) -> Result<(), String> {
    let home = std::env::temp_dir().join("kapsule-bench-no-home");
    let mut process = Command::new(command);
    process.args(arguments).env("KAPSULE_HOME", home).stdout(Stdio::null()).stderr(Stdio::null());
    let status = process.status().map_err(|error| format!("{}: {error}", command.display()))?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("{} {arguments:?} fails", command.display())),
    }
}

fn key() -> Result<SecretKey, String> {
    // No published test key, which verification looks up and refuses.
    let seed = *sha256(b"kapsule-bench receipt").as_bytes();
    SecretKey::from_seed(Suite::Ed25519, &seed).map_err(|error| error.to_string())
}

fn package() -> Result<Package, String> {
    let text = "name = \"copy\"\nversion = \"0.1.0\"\nauthor = \"bench\"\nentry = \"copy.wasm\"\n";
    let payload = wat::parse_str(COPY).map_err(|error| error.to_string())?;
    let inputs = Inputs { payload: &payload, ..Inputs::default() };
    let draft = Draft::read(Text { syntax: Syntax::Toml, text }, None);
    let made = draft.and_then(|draft| draft.finish(&inputs));
    let (manifest, policy) = made.map_err(|error| format!("{error:?}"))?;
    let built = PackageBuilder::new(manifest, policy, payload).pack();
    built.map(kapsule_format::verify::Unverified::into_inner).map_err(|error| error.to_string())
}

/// Runs the package and issues its receipt.
fn receipt(input: &[u8]) -> Result<Vec<u8>, String> {
    let (package, key) = (package()?, key()?);
    let options = kapsule_meter::Options::new(Profile::Integer1);
    let metered =
        kapsule_meter::meter(package.payload(), &options).map_err(|error| error.to_string())?;
    let compiled = compile(&metered, Backend::Wasmi).map_err(|error| error.to_string())?;
    let job = Job {
        capsule_hash: package.capsule_hash(),
        core_hash: package.core_hash(),
        profile: Profile::Integer1,
        entry: "run",
        input,
        policy: package.policy(),
        fuel: package.policy().limits.fuel,
        memory_bytes: package.policy().limits.memory_bytes,
        seed: [1; 32],
        deadline: None,
        compose: None,
        options: JobOptions { states: true, ..JobOptions::default() },
    };
    let ran = run(&compiled, &job, &mut MemoryHost::default()).map_err(|e| e.to_string())?;
    let (Some(transcript), Some(states)) = (&ran.transcript, &ran.states) else {
        return Err("a run left no evidence".to_owned());
    };
    let (first, last) = (&states.first, &states.last);
    let evidence =
        Evidence { transcript, first, last, input, output: &ran.output, nested: Vec::new() };
    let issuer = Identity::try_from(key.public().clone()).map_err(|error| error.to_string())?;
    let of = Issue {
        issuer,
        run_id: [2; 16],
        start_ms: 0,
        stop_ms: 1,
        package: &package,
        closure: Vec::new(),
        extras: Extras::default(),
    };
    let issued = issue(&of, &evidence, None).map_err(|error| error.to_string())?;
    issued.sign([&key]).map_err(|error| error.to_string())
}

/// Returns a receipt without anything that may be taken away.
fn claim_alone(bytes: &[u8]) -> Result<Vec<u8>, String> {
    use kapsule_format::container::{Container, Kind, SIGNATURES, Writer};
    let container = Container::decode(bytes).map_err(|error| error.to_string())?;
    let mut writer = Writer::new(Kind::Receipt, container.index().to_vec());
    for entry in container.below(SIGNATURES) {
        writer.push(entry.name, entry.bytes);
    }
    writer.finish().map_err(|error| error.to_string())
}
