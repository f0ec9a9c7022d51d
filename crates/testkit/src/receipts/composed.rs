//! A receipt of a run with runs inside it, two levels deep, whose claim may be salted.

use std::collections::BTreeMap;
use std::sync::Arc;

use kapsule_engine::{
    Backend, Callee, Compose, Job, JobOptions, MemoryHost, Nested, Recorded, ReplayOptions, Run,
    compile, replay,
};
use kapsule_format::DecodeError;
use kapsule_format::key::Identity;
use kapsule_format::package::{Package, PackageId};
use kapsule_format::receipt::{
    Bundle, Encryptor, Evidence, Extras, Issue, NestedEvidence, Receipt, call_input, exec_body,
    issue,
};
use kapsule_format::transcript::input_commitment;
use kapsule_format::verify;
use kapsule_meter::{MeteredModule, Profile};

use super::{NONCE, key, package, packed};

/// Seed of the salts of a salted sample.
pub const SALT_SEED: [u8; 32] = [0x33; 32];

/// What the outermost run is given.
const INPUT: &[u8] = b"Ada";
/// Fuel of the outermost run.
const FUEL: u64 = 1_000_000;

/// A caller: gives the package at 0 its input and writes what comes back, for each entry in turn.
fn caller(id: PackageId, entries: &[&str]) -> String {
    let text = |bytes: &[u8]| bytes.iter().map(|byte| format!("\\{byte:02x}")).collect::<String>();
    let call = |name: &&str| {
        format!(
            "(i32.store8 (i32.const 64) (i32.const {})) (call $once (i32.const {}))",
            name.as_bytes().first().copied().unwrap_or_default(),
            name.len(),
        )
    };
    let calls: String = entries.iter().map(call).collect();
    format!(
        r#"(module
  (import "kapsule_v1" "input_read" (func $read (param i64 i32 i32) (result i32)))
  (import "kapsule_v1" "output_write" (func $write (param i32 i32) (result i32)))
  (import "kapsule_v1" "call"
    (func $call (param i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1 1)
  (data (i32.const 0) "{}")
  (data (i32.const 65) "rap")
  (func (export "kapsule_abi_version") (result i32) (i32.const 1))
  (func $once (param $name i32)
    (local $count i32)
    (local.set $count (call $call (i32.const 0) (i32.const 64) (local.get $name)
      (i32.const 1024) (call $read (i64.const 0) (i32.const 1024) (i32.const 64))
      (i32.const 4096) (i32.const 256)))
    (if (i32.gt_s (local.get $count) (i32.const 16)) (then
      (drop (call $write (i32.const 4112) (i32.sub (local.get $count) (i32.const 16)))))))
  (func (export "run") (result i32) {calls} (i32.const 0)))"#,
        text(id.as_bytes()),
    )
}

/// Three packages that call each other, and the receipt of a run of the first.
#[derive(Debug)]
pub struct Composed {
    /// The file.
    pub bytes: Vec<u8>,
    /// The packages, the outermost first.
    pub packages: [Package; 3],
}

/// The packages of the sample: one that calls one that calls the greeter, twice.
fn packages() -> [Package; 3] {
    let greeter = package();
    let grants = "grants = [\"compose\", \"random\"]\n";
    let middle = caller(greeter.capsule_hash(), &["", "trap"]);
    let middle = packed("middle", &middle, grants, &[greeter.capsule_hash()]);
    let outer = caller(middle.capsule_hash(), &["", ""]);
    let outer = packed("outer", &outer, grants, &[middle.capsule_hash()]);
    [outer, middle, greeter]
}

fn metered(package: &Package) -> MeteredModule {
    let options = kapsule_meter::Options::new(Profile::Integer1);
    kapsule_meter::meter(package.payload(), &options).expect("the module is of the profile")
}

/// Compiles packages that a run may call.
fn library(packages: &[Package], backend: Backend) -> BTreeMap<PackageId, Arc<Callee>> {
    let callee = |package: &Package| {
        let options = verify::Options::default();
        let loaded = verify::load(&package.encode(), None, None, &options);
        let verified = loaded.expect("the package is well formed").0;
        let compiled = compile(&metered(package), backend).expect("the module compiles");
        (package.capsule_hash(), Arc::new(Callee::new(&verified, compiled).expect("a known ABI")))
    };
    packages.iter().map(callee).collect()
}

fn evidence<'a>(input: &'a [u8], run: &'a Run, packages: &'a [Package]) -> Evidence<'a> {
    let transcript = run.transcript.as_ref().expect("evidence is asked for");
    let states = run.states.as_ref().expect("states are asked for");
    let inside = |nested: &'a Nested| {
        let seq = usize::try_from(nested.call).expect("it is small");
        let entry = transcript.entries.get(seq).expect("a call has an entry");
        let input = call_input(&entry).expect("a call has an input");
        let package = packages.iter().find(|one| one.capsule_hash() == nested.package);
        let package = package.expect("a package that ran is here");
        NestedEvidence { package, evidence: evidence(input, &nested.run, packages) }
    };
    Evidence {
        transcript,
        first: &states.first,
        last: &states.last,
        input,
        output: &run.output,
        nested: run.nested.iter().map(inside).collect(),
    }
}

impl Composed {
    /// Runs the sample on a backend and issues its receipt, with salts and an encrypted bundle if
    /// need be.
    ///
    /// # Panics
    /// If the run fails: the sample is fixed.
    #[must_use]
    pub fn new(backend: Backend, salted: bool, encryptor: Option<Encryptor<'_>>) -> Self {
        let packages = packages();
        let [outer, callees @ ..] = &packages;
        let compiled = compile(&metered(outer), backend).expect("the module compiles");
        let library = library(callees, backend);
        let job = Job {
            capsule_hash: outer.capsule_hash(),
            core_hash: outer.core_hash(),
            profile: Profile::Integer1,
            entry: "run",
            input: INPUT,
            policy: outer.policy(),
            fuel: FUEL,
            memory_bytes: outer.policy().limits.memory_bytes,
            seed: NONCE,
            deadline: None,
            compose: Some(Compose { dependencies: outer.dependencies(), callees: &library }),
            options: JobOptions { states: true, ..JobOptions::default() },
        };
        let run = kapsule_engine::run(&compiled, &job, &mut MemoryHost::default());
        let run = run.expect("the host holds");
        let key = key();
        let of_run = Issue {
            issuer: Identity::try_from(key.public().clone()).expect("the suite stands alone"),
            run_id: [0xc4; 16],
            start_ms: 1_767_225_600_000,
            stop_ms: 1_767_225_600_004,
            package: outer,
            closure: callees.iter().collect(),
            extras: Extras { salt_seed: salted.then_some(SALT_SEED), ..Extras::default() },
        };
        let issued = issue(&of_run, &evidence(INPUT, &run, callees), encryptor);
        let issued = issued.expect("the records are short");
        let bytes = issued.sign([&key]).expect("the names are those of a receipt");
        Self { bytes, packages }
    }
}

/// Repeats the run of a composed receipt with the runs inside it, all from its bundle.
///
/// # Errors
/// Of the form of the bundle.
///
/// # Panics
/// If the receipt lacks what a repetition needs.
pub fn repeats_composed(bytes: &[u8], backend: Backend) -> Result<bool, DecodeError> {
    let receipt = Receipt::decode(bytes)?;
    let claim = receipt.claim();
    let bundle = Bundle::decode(receipt.bundle().expect("it is there"))?;
    let transcript = claim.transcript(&bundle)?.expect("it is there");
    let (salt_seed, nested) = (bundle.salt_seed()?, bundle.nested(&claim.exec)?);
    let outer = Package::decode(receipt.package().expect("it is there"))?.into_inner();
    let read = |(_, bytes): (PackageId, &[u8])| Ok(Package::decode(bytes)?.into_inner());
    let callees =
        bundle.packages().into_iter().map(read).collect::<Result<Vec<_>, DecodeError>>()?;
    let compiled = compile(&metered(&outer), backend).expect("it compiles");
    let library = library(&callees, backend);
    let nested = nested.unwrap_or_default();
    let opens =
        |input: &[u8]| input_commitment(salt_seed.as_ref(), input) == claim.exec.input.digest;
    let (own, inside) = (receipt.blobs(), bundle.blobs());
    let find = |blobs: &kapsule_format::receipt::Blobs<'_>| {
        blobs.find(claim.exec.input.size, opens).map(<[u8]>::to_vec)
    };
    let input = find(&own).or_else(|| find(&inside)).unwrap_or_default();
    let runs = Recorded::all(&nested);
    let options = ReplayOptions {
        input: Some(&input),
        states: true,
        storage_before: Some(claim.exec.storage_before),
        compose: Some(Compose { dependencies: outer.dependencies(), callees: &library }),
        nested: Some(&runs),
        salt_seed,
        ..ReplayOptions::default()
    };
    let Ok(replayed) = replay(&compiled, &transcript, options) else { return Ok(false) };
    let (None, Some(run)) = (replayed.difference, replayed.run) else { return Ok(false) };
    let found = exec_body(&outer, &evidence(&input, &run, &callees), salt_seed.as_ref());
    Ok(found.hash() == claim.exec.hash())
}
