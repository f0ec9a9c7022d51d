//! Runs inside runs: who may be called, with what, what it costs, and how it replays.

mod answers;
mod limits;
mod replays;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;

use kapsule_abi::{ErrorCode, Limit, Outcome, Rule, Trap};
use kapsule_engine::{
    Backend, Callee, Callees, Compose, Field, HostError, JIT_FUEL_MIN, Job, JobOptions, MemoryHost,
    NESTED_RUNS_MAX, NESTING_MAX, Recorded, Replay, ReplayOptions, Run, RunError, compile,
    disagreement, replay, run, run_auto,
};
use kapsule_format::authoring::{Draft, Inputs};
use kapsule_format::manifest::Abi;
use kapsule_format::package::{Package, PackageBuilder, PackageId};
use kapsule_format::transcript::Transcript;
use kapsule_format::verify::{self, Verified};
use kapsule_meter::{MeteredModule, Options, Profile, meter};

use crate::support::*;

/// Fuel for each page of memory that a callee starts with.
const PAGE_FUEL: u64 = 8_192;

/// Where a caller keeps the 32 bytes of the id, the entry name and the buffer for the answer.
const BUFFER: u32 = 4_096;

/// Verified packages, compiled when they are first called.
#[derive(Default)]
struct Library {
    packages: BTreeMap<PackageId, (Verified<Package>, MeteredModule)>,
    compiled: RefCell<BTreeMap<(PackageId, Backend), Arc<Callee>>>,
    /// How often a package was asked for.
    asked: Cell<usize>,
}

impl Library {
    /// Packs, verifies and keeps a package; `policy` is TOML.
    fn add(&mut self, wat: &str, policy: &str, dependencies: &[PackageId]) -> PackageId {
        let package = package(wat, policy, dependencies, |_| {});
        let id = package.capsule_hash();
        let module = metered(package.payload());
        self.packages.insert(id, (package, module));
        id
    }

    fn module(&self, id: &PackageId) -> &MeteredModule {
        &self.packages[id].1
    }
}

impl Callees for Library {
    fn callee(&self, id: &PackageId, backend: Backend) -> Result<Option<Arc<Callee>>, HostError> {
        self.asked.set(self.asked.get() + 1);
        let Some((package, module)) = self.packages.get(id) else { return Ok(None) };
        let mut compiled = self.compiled.borrow_mut();
        if let Some(callee) = compiled.get(&(*id, backend)) {
            return Ok(Some(Arc::clone(callee)));
        }
        let callee = Callee::new(package, compile(module, backend)?).expect("a known ABI");
        let callee = Arc::new(callee);
        compiled.insert((*id, backend), Arc::clone(&callee));
        Ok(Some(callee))
    }
}

fn metered(wasm: &[u8]) -> MeteredModule {
    meter(wasm, &Options::new(Profile::Integer1)).unwrap_or_else(|error| panic!("{error}"))
}

fn package(
    wat: &str,
    policy: &str,
    dependencies: &[PackageId],
    change: impl FnOnce(&mut kapsule_format::manifest::Manifest),
) -> Verified<Package> {
    let wasm = wat::parse_str(wat).unwrap_or_else(|error| panic!("{error}"));
    let manifest = "name = \"callee\"\nversion = \"1.0.0\"\nauthor = \"Test\"
        entry = \"callee.wasm#run\"\nentries = [\"other\"]";
    let draft = Draft::from_toml(manifest, Some(policy)).expect("a manifest");
    let inputs = Inputs { payload: &wasm, proof_schema: None, author_keys: &[], previous: None };
    let (mut manifest, policy) = draft.finish(&inputs).expect("a manifest");
    change(&mut manifest);
    let builder = PackageBuilder::new(manifest, policy, wasm);
    let builder = dependencies.iter().fold(builder, |builder, id| builder.dependency(*id));
    let bytes = builder.pack().expect("a package").into_inner().encode();
    verify::load(&bytes, None, None, &verify::Options::default()).expect("a valid package").0
}

/// Returns a module with one page of memory, whose two entries have these bodies.
fn callee(imports: &[&str], data: &[u8], run: &str, other: &str) -> String {
    let imports: String = imports.iter().map(|name| import(name)).collect();
    let data: String = data.iter().map(|byte| format!("\\{byte:02x}")).collect();
    format!(
        "(module {imports} (memory (export \"memory\") 1)
           (data (i32.const 1024) \"{data}\")
           (func (export \"kapsule_abi_version\") (result i32) i32.const 1)
           (func (export \"run\") (result i32) {run})
           (func (export \"other\") (result i32) {other}))"
    )
}

/// Writes `>` and its input, and returns 7.
fn echo() -> String {
    callee(
        &["input_read", "output_write"],
        b"",
        "(i32.store8 (i32.const 0) (i32.const 62))
         (drop (call $output_write (i32.const 0) (i32.add (i32.const 1)
           (call $input_read (i64.const 0) (i32.const 1) (i32.const 64)))))
         (i32.const 7)",
        "(i32.const 0)",
    )
}

/// A module whose `run` is this body and whose `other` does nothing.
fn with_body(imports: &[&str], body: &str) -> String {
    callee(imports, b"", body, "(i32.const 0)")
}

const FOREVER: &str = "(loop $again (br $again)) (i32.const 0)";

/// Calls the package at 1024 with the entry of `name` and the input `ab`, and returns the result.
fn call(id: PackageId, name: &str, out_len: u32) -> String {
    let data = [id.as_bytes(), name.as_bytes(), b"ab"].concat();
    let (entry, input) = (1024 + 32, 1024 + 32 + name.len());
    callee(
        &["call", "output_write"],
        &data,
        &format!(
            "(local $n i32)
             (local.set $n (call $call (i32.const 1024) (i32.const {entry}) (i32.const {})
               (i32.const {input}) (i32.const 2) (i32.const {BUFFER}) (i32.const {out_len})))
             (drop (call $output_write (i32.const {BUFFER}) (i32.const {out_len})))
             (local.get $n)",
            name.len()
        ),
        "(i32.const 0)",
    )
}

/// A caller, what it may call, and where that comes from.
struct World {
    case: Case,
    dependencies: Vec<PackageId>,
    library: Library,
}

impl World {
    fn new(wat: String, dependencies: &[PackageId], library: Library) -> Self {
        let case = Case { wat, ..Case::body(&[], "(i32.const 0)") };
        Self { case, dependencies: dependencies.to_vec(), library }
    }

    /// A caller of one callee, with room for 64 bytes of answer.
    fn pair(wat: &str, policy: &str) -> Self {
        let mut library = Library::default();
        let id = library.add(wat, policy, &[]);
        Self::new(call(id, "", 64), &[id], library)
    }

    fn job(&self) -> Job<'_> {
        let compose = Compose { dependencies: &self.dependencies, callees: &self.library };
        // Receipts need the states too.
        let options = JobOptions { states: true, ..self.case.job().options };
        Job { compose: Some(compose), options, ..self.case.job() }
    }

    fn try_run(&self, backend: Backend, host: &mut MemoryHost) -> Result<Run, RunError> {
        run(&self.case.compiled(backend), &self.job(), host)
    }

    /// Runs on every backend, compares, and replays every transcript by itself on every backend.
    fn run(&self) -> Run {
        self.run_with(&host()).0
    }

    fn run_with(&self, before: &MemoryHost) -> (Run, MemoryHost) {
        let runs = Backend::ALL.iter().map(|backend| {
            let mut host = before.clone();
            let run = self.try_run(*backend, &mut host);
            (without_sites(run.unwrap_or_else(|error| panic!("{backend}: {error}"))), host)
        });
        let runs: Vec<(Run, MemoryHost)> = runs.collect();
        for run in &runs {
            assert_eq!(disagreement(&runs[0].0, &run.0), None);
            assert_eq!(*run, runs[0]);
        }
        self.check_replays(&self.case.metered(), &runs[0].0);
        self.check_whole_replay(&runs[0].0);
        runs[0].clone()
    }

    /// Replays a run and the runs inside it, each with its own module and nothing else.
    fn check_replays(&self, module: &MeteredModule, run: &Run) {
        let transcript = transcript(run);
        let bytes = transcript.encode().expect("a transcript of a run");
        assert_eq!(Transcript::decode(&bytes).as_ref(), Ok(transcript));
        for backend in Backend::ALL {
            let compiled = compile(module, *backend).expect("a module that ran");
            let replay = replay(&compiled, transcript, ReplayOptions::default());
            let replay = replay.unwrap_or_else(|error| panic!("{backend}: {error}"));
            assert_eq!(replay.difference, None, "{backend}");
            let again = replay.run.expect("a replay without a difference");
            assert_eq!((again.usage, again.output), (run.usage.clone(), run.output.clone()));
        }
        for nested in &run.nested {
            assert_eq!(transcript_of(nested).header.capsule_hash, nested.package);
            self.check_replays(self.library.module(&nested.package), &nested.run);
        }
    }

    /// Replays a run together with the runs inside it, from what was recorded of all of them.
    fn check_whole_replay(&self, run: &Run) {
        let nested = recorded(run);
        for backend in Backend::ALL {
            let replay = self.whole_replay(*backend, run, &nested);
            assert_eq!(replay.difference, None, "{backend}");
            check_same(&replay.run.expect("a replay without a difference"), run);
        }
    }

    fn whole_replay(&self, backend: Backend, run: &Run, nested: &[Recorded<'_>]) -> Replay {
        let compose = Compose { dependencies: &self.dependencies, callees: &self.library };
        let options = ReplayOptions {
            states: true,
            storage_before: run.states.map(|states| states.first.storage_root),
            compose: Some(compose),
            nested: Some(nested),
            ..ReplayOptions::default()
        };
        let replay = replay(&self.case.compiled(backend), transcript(run), options);
        replay.unwrap_or_else(|error| panic!("{backend}: {error}"))
    }

    /// Changes the transcript of the caller and returns where its replay finds that.
    fn check_lie(&self, change: impl FnOnce(&mut Lie)) -> (Option<u64>, Field) {
        let transcript = changed(transcript(&self.run()), change);
        let found = Backend::ALL.iter().map(|backend| {
            let found = self.case.replay(*backend, &transcript, None).difference;
            found.expect("the transcript was changed")
        });
        let found: Vec<_> = found.collect();
        assert!(found.iter().all(|difference| *difference == found[0]), "{found:?}");
        (found[0].entry, found[0].field)
    }
}

/// Returns what a receipt records of the runs inside a run.
fn recorded(run: &Run) -> Vec<Recorded<'_>> {
    run.nested.iter().map(recorded_one).collect()
}

fn recorded_one(nested: &kapsule_engine::Nested) -> Recorded<'_> {
    Recorded {
        entries: &transcript_of(nested).entries,
        storage_before: nested.run.states.expect("states were asked for").first.storage_root,
        storage_root: transcript_of(nested).end.storage_root,
        nested: recorded(&nested.run),
    }
}

/// Compares all that a receipt tells of two runs and of the runs inside them.
fn check_same(left: &Run, right: &Run) {
    assert_eq!(left.transcript, right.transcript);
    assert_eq!(left.states, right.states);
    assert_eq!(left.nested.len(), right.nested.len());
    for (left, right) in left.nested.iter().zip(&right.nested) {
        let facts =
            |nested: &kapsule_engine::Nested| (nested.call, nested.package, nested.fuel_granted);
        assert_eq!(facts(left), facts(right));
        check_same(&left.run, &right.run);
    }
}

fn without_sites(mut run: Run) -> Run {
    run.trap_site = None;
    for nested in &mut run.nested {
        nested.run = without_sites(nested.run.clone());
    }
    run
}

fn transcript(run: &Run) -> &Transcript {
    run.transcript.as_ref().expect("evidence was asked for")
}

fn transcript_of(nested: &kapsule_engine::Nested) -> &Transcript {
    transcript(&nested.run)
}

/// What the guest was told of a call: fuel, outcome, and the bytes after these.
fn answer(run: &Run) -> (u64, Outcome, Vec<u8>) {
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    let (header, output) = run.output.split_at(16);
    let outcome = Outcome::from_parts(number(&header[8..12]), number(&header[12..]));
    (number(&header[..8]), outcome.expect("an outcome"), output.to_vec())
}

/// Runs a pair and returns what the caller was told, after checking that it ended well.
fn told(wat: &str, policy: &str) -> (u64, Outcome, Run) {
    let run = World::pair(wat, policy).run();
    assert!(matches!(run.outcome, Outcome::Completed(_)), "{}", run.outcome);
    let (fuel, outcome, _) = answer(&run);
    (fuel, outcome, run)
}

/// Runs a caller and returns the error that its `call` gave.
fn refused(world: &World) -> i32 {
    let run = world.run();
    assert!(run.nested.is_empty(), "something ran");
    assert_eq!(statuses(&run)[0], 1);
    let Outcome::Completed(code) = run.outcome else { panic!("{}", run.outcome) };
    code.cast_signed()
}

const NOT_FOUND: i32 = -1;
const INVALID_ARGUMENT: i32 = -2;
const REFUSED: i32 = -6;
