//! Packages that generated modules may call.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use kapsule_engine::{Backend, Callee, Callees, Compose, HostError, compile};
use kapsule_format::authoring::{Draft, Inputs};
use kapsule_format::package::{Package, PackageBuilder, PackageId};
use kapsule_format::verify::{self, Verified};
use kapsule_meter::{Options, Profile, meter};

/// Writes its input, changes its storage, proposes, and returns 0, or 1 if that was refused.
const CLERK: &str = r#"(module
  (import "kapsule_v1" "input_read" (func $read (param i64 i32 i32) (result i32)))
  (import "kapsule_v1" "output_write" (func $write (param i32 i32) (result i32)))
  (import "kapsule_v1" "kv_set" (func $set (param i32 i32 i32 i32) (result i32)))
  (import "kapsule_v1" "kv_get" (func $get (param i32 i32 i32 i32) (result i32)))
  (import "kapsule_v1" "propose" (func $propose (param i32 i32) (result i32)))
  (memory (export "memory") 1 1)
  (data (i32.const 0) "\a3\00\02\01\05\02\62hi")
  (func (export "kapsule_abi_version") (result i32) (i32.const 1))
  (func (export "run") (result i32)
    (local $count i32)
    (local.set $count (call $read (i64.const 0) (i32.const 64) (i32.const 100)))
    (drop (call $get (i32.const 0) (i32.const 1) (i32.const 200) (i32.const 100)))
    (drop (call $set (i32.const 0) (i32.const 1) (i32.const 64) (local.get $count)))
    (drop (call $write (i32.const 64) (i32.add (local.get $count) (i32.const 150))))
    (i32.lt_s (call $propose (i32.const 0) (i32.const 9)) (i32.const 0))))"#;

/// Never ends, on fuel of its own or that of its caller.
const SPINNER: &str = r#"(module
  (memory (export "memory") 1 1)
  (func (export "kapsule_abi_version") (result i32) (i32.const 1))
  (func (export "run") (result i32) (loop $again (br $again)) (i32.const 0)))"#;

/// A library of two packages, compiled for both backends.
pub(crate) struct Library {
    /// What may be called: a package that uses its host, and one that never ends.
    pub(crate) ids: [PackageId; 2],
    compiled: [BTreeMap<PackageId, Arc<Callee>>; 2],
}

impl Library {
    /// Returns the one library.
    pub(crate) fn get() -> &'static Self {
        static LIBRARY: OnceLock<Library> = OnceLock::new();
        LIBRARY.get_or_init(|| {
            let clerk = package(CLERK, "grants = [\"agent.propose\", \"storage\"]");
            let spinner = package(SPINNER, "limits.fuel = 700");
            let packages = [clerk, spinner];
            let compiled = Backend::ALL.iter().map(|backend| {
                let callees = packages.iter().map(|package| callee(package, *backend));
                callees.map(|callee| (callee.0, Arc::new(callee.1))).collect()
            });
            let compiled: Vec<_> = compiled.collect();
            Self {
                ids: packages.map(|package| package.capsule_hash()),
                compiled: compiled.try_into().expect("there are two backends"),
            }
        })
    }

    /// Returns what a run may call.
    pub(crate) fn compose(&'static self) -> Compose<'static> {
        Compose { dependencies: &self.ids, callees: self }
    }
}

impl Callees for Library {
    fn callee(&self, id: &PackageId, backend: Backend) -> Result<Option<Arc<Callee>>, HostError> {
        let place = Backend::ALL.iter().position(|other| *other == backend);
        let callees = place.and_then(|place| self.compiled.get(place));
        Ok(callees.and_then(|callees| callees.get(id).cloned()))
    }
}

fn package(wat: &str, policy: &str) -> Verified<Package> {
    let wasm = wat::parse_str(wat).expect("the text is a module");
    let manifest = "name = \"callee\"\nversion = \"1.0.0\"\nauthor = \"Test\"\n\
        entry = \"callee.wasm\"";
    let draft = Draft::from_toml(manifest, Some(policy)).expect("a manifest");
    let inputs = Inputs { payload: &wasm, proof_schema: None, author_keys: &[], previous: None };
    let (manifest, policy) = draft.finish(&inputs).expect("a manifest");
    let packed = PackageBuilder::new(manifest, policy, wasm).pack().expect("a package");
    let bytes = packed.into_inner().encode();
    verify::load(&bytes, None, None, &verify::Options::default()).expect("a valid package").0
}

fn callee(package: &Verified<Package>, backend: Backend) -> (PackageId, Callee) {
    let module = meter(package.payload(), &Options::new(Profile::Integer1)).expect("a module");
    let compiled = compile(&module, backend).expect("a metered module");
    (package.capsule_hash(), Callee::new(package, compiled).expect("a known ABI and profile"))
}
