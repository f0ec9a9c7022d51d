//! Sample receipts of real runs, and forgeries made of them.
//!
//! Key, nonce, run and times are fixed, so that a sample has the same bytes everywhere.

mod composed;
mod enforced;
mod forge;
pub mod vectors;

use kapsule_engine::{Backend, Job, JobOptions, MemoryHost, ReplayOptions, Run, compile, replay};
use kapsule_format::authoring::{Draft, Inputs, Syntax, Text};
use kapsule_format::container::{Container, Kind, Writer};
use kapsule_format::envelope::Envelope;
use kapsule_format::hash::sha256;
use kapsule_format::key::{Identity, SecretKey, Suite};
use kapsule_format::package::{Package, PackageBuilder, PackageId};
use kapsule_format::receipt::{
    Bundle, Claim, Evidence, Extras, Issue, Receipt, SignatureName, exec_body, issue,
};
use kapsule_format::transcript::input_commitment;
use kapsule_format::verify::{
    self, CheckName, CheckResult, Level, Options, ReceiptOptions, Report,
};
use kapsule_meter::Profile;

pub use composed::{Composed, SALT_SEED, repeats_composed};
pub use enforced::Enforced;
pub use forge::{Judged, Outcome, mutations, refused, run_all};

/// Checks that an untouched sample passes; a mutation of any byte makes one of them not pass.
pub const DEMANDED: [CheckName; 13] = [
    CheckName::Form,
    CheckName::Hashes,
    CheckName::Statement,
    CheckName::Signature,
    CheckName::Claim,
    CheckName::Job,
    CheckName::Entries,
    CheckName::Blobs,
    CheckName::Bundle,
    CheckName::Events,
    CheckName::Transcript,
    CheckName::Checkpoints,
    CheckName::Availability,
];

/// One run whose receipt is a sample.
#[derive(Clone, Copy, Debug)]
pub struct Story {
    /// Name of the sample.
    pub name: &'static str,
    /// Entry that is called.
    pub entry: &'static str,
    /// Input of the run.
    pub input: &'static [u8],
    /// Granted fuel.
    pub fuel: u64,
}

/// The samples: one of each class of outcome that this module can reach.
pub const STORIES: [Story; 3] = [
    Story { name: "completed", entry: "run", input: b"Ada", fuel: 100_000 },
    Story { name: "trapped", entry: "trap", input: b"", fuel: 100_000 },
    Story { name: "out-of-fuel", entry: "forever", input: b"Ada", fuel: 1_000 },
];

/// Nonce of every sample, and seed of its random numbers.
pub const NONCE: [u8; 32] = [0x5a; 32];

/// Greets its input with a random byte behind it; other entries trap and never end.
const MODULE: &str = r#"(module
  (import "kapsule_v1" "input_read" (func $read (param i64 i32 i32) (result i32)))
  (import "kapsule_v1" "output_write" (func $write (param i32 i32) (result i32)))
  (import "kapsule_v1" "random" (func $random (param i32 i32)))
  (memory (export "memory") 1 2)
  (global $calls (mut i32) (i32.const 0))
  (data (i32.const 0) "hello, ")
  (func (export "kapsule_abi_version") (result i32) (i32.const 1))
  (func (export "run") (result i32)
    (global.set $calls (i32.const 3))
    (drop (call $write (i32.const 0) (i32.const 7)))
    (drop (call $write (i32.const 1024)
      (call $read (i64.const 0) (i32.const 1024) (i32.const 4096))))
    (call $random (i32.const 16) (i32.const 1))
    (drop (call $write (i32.const 16) (i32.const 1)))
    (i32.const 0))
  (func (export "trap") (result i32) unreachable)
  (func (export "forever") (result i32) (loop $again (br $again)) (i32.const 0)))"#;

/// A sample with what made it.
#[derive(Debug)]
pub struct Sample {
    /// The file.
    pub bytes: Vec<u8>,
    /// The package that ran.
    pub package: Package,
    /// The key that signs.
    pub key: SecretKey,
}

/// Returns the key that signs the samples: a published test key, which proves nothing.
#[must_use]
pub fn key() -> SecretKey {
    SecretKey::from_seed(Suite::Ed25519, &[7; 32]).expect("every seed is a key")
}

fn package() -> Package {
    packed("greeter", MODULE, GREETER, &[])
}

/// Lines of the manifest of the greeter.
const GREETER: &str = "grants = [\"random\"]\nexec.entries = [\"forever\", \"trap\"]\n";

/// Packs a module with these further lines of a manifest.
fn packed(name: &str, module: &str, lines: &str, dependencies: &[PackageId]) -> Package {
    let manifest = format!(
        "name = \"{name}\"\nversion = \"0.1.0\"\nauthor = \"Test Author\"\n\
         entry = \"{name}.wasm\"\n{lines}"
    );
    let payload = wat::parse_str(module).expect("the module is well formed");
    let draft = Draft::read(Text { syntax: Syntax::Toml, text: &manifest }, None);
    let inputs = Inputs { payload: &payload, ..Inputs::default() };
    let (manifest, policy) =
        draft.and_then(|draft| draft.finish(&inputs)).expect("the manifest is well formed");
    let builder = PackageBuilder::new(manifest, policy, payload);
    let builder = dependencies.iter().fold(builder, |builder, id| builder.dependency(*id));
    builder.pack().expect("the package is well formed").into_inner()
}

/// Runs a story on a backend and issues its receipt.
///
/// # Panics
/// If the run fails: the stories are fixed.
#[must_use]
pub fn sample(story: &Story, backend: Backend) -> Sample {
    let package = package();
    let run = run(story, &package, backend);
    let transcript = run.transcript.as_ref().expect("evidence is asked for");
    let states = run.states.as_ref().expect("states are asked for");
    let evidence = Evidence {
        transcript,
        first: &states.first,
        last: &states.last,
        input: story.input,
        output: &run.output,
        nested: Vec::new(),
    };
    let key = key();
    let issue_of = Issue {
        issuer: Identity::try_from(key.public().clone()).expect("the suite stands alone"),
        run_id: [0xc3; 16],
        start_ms: 1_767_225_600_000,
        stop_ms: 1_767_225_600_004,
        package: &package,
        closure: Vec::new(),
        extras: Extras::default(),
    };
    let issued = issue(&issue_of, &evidence, None).expect("the records are short");
    let bytes = issued.sign([&key]).expect("the names are those of a receipt");
    Sample { bytes, package, key }
}

fn run(story: &Story, package: &Package, backend: Backend) -> Run {
    let module = package.payload();
    let options = kapsule_meter::Options::new(Profile::Integer1);
    let metered = kapsule_meter::meter(module, &options).expect("the module is of the profile");
    let compiled = compile(&metered, backend).expect("the module compiles");
    let job = Job {
        capsule_hash: package.capsule_hash(),
        core_hash: package.core_hash(),
        profile: Profile::Integer1,
        entry: story.entry,
        input: story.input,
        policy: package.policy(),
        fuel: story.fuel,
        memory_bytes: package.policy().limits.memory_bytes,
        seed: NONCE,
        deadline: None,
        compose: None,
        options: JobOptions { states: true, ..JobOptions::default() },
    };
    kapsule_engine::run(&compiled, &job, &mut MemoryHost::default()).expect("the host holds")
}

/// Verifies a receipt that must be complete.
#[must_use]
pub fn examine(bytes: &[u8]) -> Report {
    let options = Options {
        required: Level::ProofOnly,
        require: DEMANDED.to_vec(),
        insecure_dev: true,
        ..Options::default()
    };
    let asked = ReceiptOptions { nonce: Some(NONCE), ..ReceiptOptions::default() };
    verify::receipt(bytes, None, None, &options, &asked)
}

/// Repeats the run of a receipt; tells whether it is the one that the claim says.
///
/// # Panics
/// If the receipt lacks what a repetition needs.
#[must_use]
pub fn repeats(bytes: &[u8], backend: Backend) -> bool {
    let receipt = Receipt::decode(bytes).expect("the receipt is well formed");
    let claim = receipt.claim();
    let bundle = Bundle::decode(receipt.bundle().expect("it is there")).expect("it is well formed");
    let transcript = claim.transcript(&bundle).expect("it is well formed").expect("it is there");
    let package = Package::decode(receipt.package().expect("it is there"));
    let package = package.expect("it is well formed").into_inner();
    let options = kapsule_meter::Options::new(Profile::Integer1);
    let metered = kapsule_meter::meter(package.payload(), &options).expect("it is of the profile");
    let compiled = compile(&metered, backend).expect("it compiles");
    let opens = |input: &[u8]| input_commitment(None, input) == claim.exec.input.digest;
    let blobs = receipt.blobs();
    let input = blobs.find(claim.exec.input.size, opens).unwrap_or_default();
    let options = ReplayOptions {
        input: Some(input),
        states: true,
        storage_before: Some(claim.exec.storage_before),
        ..ReplayOptions::default()
    };
    let Ok(replayed) = replay(&compiled, &transcript, options) else { return false };
    let (None, Some(run)) = (replayed.difference, replayed.run) else { return false };
    let (made, states) = (run.transcript.expect("asked for"), run.states.expect("asked for"));
    let (first, last, output) = (&states.first, &states.last, run.output.as_slice());
    let evidence = Evidence { transcript: &made, first, last, input, output, nested: Vec::new() };
    exec_body(&package, &evidence, None).hash() == claim.exec.hash()
}

/// Writes a receipt again with another claim, signed by `key`, as its dishonest issuer would.
///
/// # Panics
/// If an entry does not fit a container.
#[must_use]
pub fn reissue(bytes: &[u8], claim: &Claim, key: &SecretKey) -> Vec<u8> {
    let statement = claim.signed_statement();
    let name = SignatureName { suite: key.public().suite(), keyid: key.public().id() };
    let envelope = Envelope::sign(&statement, key).encode();
    rewrite(bytes, claim.encode(), &[(&name.entry_name(), Some(envelope))], "sig/")
}

/// Writes a receipt again with other entries; those below `without` are left out.
///
/// # Panics
/// If an entry does not fit a container.
#[must_use]
pub fn rewrite(
    bytes: &[u8],
    index: Vec<u8>,
    changes: &[(&str, Option<Vec<u8>>)],
    without: &str,
) -> Vec<u8> {
    let container = Container::decode(bytes).expect("the sample is well formed");
    let mut writer = Writer::new(Kind::Receipt, index);
    let changed = |name: &str| changes.iter().any(|(other, _)| *other == name);
    for entry in container.entries().iter().skip(1) {
        let dropped = !without.is_empty() && entry.name.starts_with(without);
        if !changed(entry.name) && !dropped {
            writer.push(entry.name, entry.bytes);
        }
    }
    for (name, content) in changes {
        if let Some(content) = content {
            writer.push(*name, content.clone());
        }
    }
    writer.finish().expect("the entries fit a container")
}

/// Returns the bytes of an audit bundle as an attached entry with the reference of a claim to it.
#[must_use]
pub fn blob_name(bytes: &[u8]) -> String {
    format!("blobs/sha256/{}", sha256(bytes))
}

/// Tells whether a report contradicts or lacks something that an untouched sample has.
#[must_use]
pub fn is_refused(report: &Report) -> bool {
    !report.is_accepted()
        || DEMANDED.iter().any(|name| report.result(*name) != Some(CheckResult::Pass))
}
