//! Runs inside runs: who may be called, with what, what it costs, and how it replays.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use kapsule_abi::{ErrorCode, Limit, Outcome, Rule, Trap};
use kapsule_engine::{
    Backend, Callee, Callees, Compose, Field, HostError, JIT_FUEL_MIN, Job, JobOptions, MemoryHost,
    NESTED_RUNS_MAX, NESTING_MAX, ReplayOptions, Run, RunError, compile, disagreement, replay, run,
    run_auto,
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
        Job { compose: Some(compose), ..self.case.job() }
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

    /// Changes the transcript of the caller and returns where its replay finds that.
    fn check_lie(&self, change: impl FnOnce(&mut Transcript)) -> (Option<u64>, Field) {
        let mut transcript = transcript(&self.run()).clone();
        change(&mut transcript);
        let found = Backend::ALL.iter().map(|backend| {
            let found = self.case.replay(*backend, &transcript, None).difference;
            found.expect("the transcript was changed")
        });
        let found: Vec<_> = found.collect();
        assert!(found.iter().all(|difference| *difference == found[0]), "{found:?}");
        (found[0].entry, found[0].field)
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

#[test]
fn a_callee_runs_on_the_fuel_of_its_caller() {
    let world = World::pair(&echo(), "");
    let run = world.run();
    assert_eq!(run.outcome, Outcome::Completed(16 + 3));
    let (fuel, outcome, output) = answer(&run);
    assert_eq!(outcome, Outcome::Completed(7));
    assert_eq!(&output[..4], b">ab\0");
    let [nested] = &run.nested[..] else { panic!("one run inside") };
    assert_eq!((nested.call, nested.package), (0, world.dependencies[0]));
    assert_eq!(nested.run.output, b">ab");
    assert_eq!(fuel, PAGE_FUEL + nested.run.usage.fuel);
    // The same caller with a callee that uses nothing but the price of its memory.
    let idle = World::pair(&with_body(&[], "unreachable"), "").run();
    assert_eq!(run.usage.fuel - nested.run.usage.fuel, idle.usage.fuel);
    // What the caller had left is what the callee was granted.
    let entry = &entries(&run)[0];
    assert_eq!(nested.fuel_granted, world.case.fuel - entry.fuel - PAGE_FUEL);
    assert_eq!(transcript_of(nested).header.fuel, nested.fuel_granted);
}

#[test]
fn a_callee_has_its_own_random_bytes() {
    let mut library = Library::default();
    let dice = with_body(
        &["random", "output_write"],
        "(call $random (i32.const 0) (i32.const 32))
         (call $output_write (i32.const 0) (i32.const 32))",
    );
    let id = library.add(&dice, "grants = [\"random\"]", &[]);
    let twice = call(id, "", 64).replace("(local.get $n)", "(call $again)").replace(
        "(func (export \"other\")",
        "(func $again (result i32) (call $call (i32.const 1024) (i32.const 0) (i32.const 0)
           (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 16)))
         (func (export \"other\")",
    );
    let run = World::new(twice, &[id], library).run();
    let [first, second] = &run.nested[..] else { panic!("two runs inside") };
    assert_ne!(first.run.output, second.run.output);
    let seed = |index: u64| *kapsule_format::random::block(&[9; 32], 1 << 63 | index).as_bytes();
    assert_eq!(transcript_of(first).header.seed, seed(0));
    assert_eq!(transcript_of(second).header.seed, seed(1));
}

#[test]
fn three_levels_add_up() {
    let mut library = Library::default();
    let bottom = library.add(&echo(), "", &[]);
    let middle = library.add(&call(bottom, "run", 64), "grants = [\"compose\"]", &[bottom]);
    let world = World::new(call(middle, "", 256), &[middle], library);
    let run = world.run();
    assert_eq!(run.outcome, Outcome::Completed(16 + 64));
    let inner = &run.nested[0].run;
    assert_eq!(inner.outcome, Outcome::Completed(16 + 3));
    assert_eq!(inner.nested[0].run.output, b">ab");
    let (fuel, ..) = answer(&run);
    assert_eq!(fuel, PAGE_FUEL + inner.usage.fuel);
    assert!(inner.usage.fuel > PAGE_FUEL + inner.nested[0].run.usage.fuel);
    assert!(run.usage.fuel > fuel);
}

#[test]
fn a_callee_may_call_its_own_dependencies_and_no_others() {
    let mut library = Library::default();
    let bottom = library.add(&echo(), "", &[]);
    let lister = library.add(&call(bottom, "", 64), "grants = [\"compose\"]", &[bottom]);
    let stranger = library.add(&call(bottom, "", 65), "grants = [\"compose\"]", &[]);
    let listed = World::new(call(lister, "", 256), &[bottom, lister], library);
    assert_eq!(listed.run().nested[0].run.outcome, Outcome::Completed(19));
    let World { library, .. } = listed;
    let unlisted = World::new(call(stranger, "", 256), &[bottom, stranger], library);
    assert_eq!(unlisted.run().nested[0].run.outcome, Outcome::Completed(u32::MAX));
}

#[test]
fn a_caller_can_run_out_of_fuel_inside_a_callee() {
    let mut world = World::pair(&with_body(&[], FOREVER), "");
    world.case.fuel = 200_000;
    let run = world.run();
    // The caller's own instructions after the call were paid before it.
    assert_eq!(run.outcome, Outcome::LimitReached(Limit::Fuel));
    assert_eq!(run.usage.fuel, 200_000);
    assert_eq!(run.nested[0].run.outcome, Outcome::LimitReached(Limit::Fuel));
    assert_eq!(run.nested[0].run.usage.fuel, run.nested[0].fuel_granted);
}

#[test]
fn memory_that_cannot_be_paid_leaves_a_callee_without_fuel() {
    let large = with_body(&[], "(i32.const 1)").replace("\"memory\") 1)", "\"memory\") 3)");
    let mut world = World::pair(&large, "");
    world.case.fuel = 12_000 + 2 * PAGE_FUEL;
    let run = world.run();
    assert_eq!(run.outcome, Outcome::LimitReached(Limit::Fuel));
    assert_eq!(run.nested[0].fuel_granted, 0);
    assert_eq!(run.nested[0].run.outcome, Outcome::LimitReached(Limit::Fuel));
}

#[test]
fn how_a_callee_ends_never_ends_its_caller() {
    let (fuel, outcome, run) = told(&with_body(&[], FOREVER), "limits.fuel = 5000");
    assert_eq!((fuel, outcome), (PAGE_FUEL + 5_000, Outcome::LimitReached(Limit::Fuel)));
    assert_eq!(run.nested[0].fuel_granted, 5_000);
    let (_, outcome, _) = told(&with_body(&[], "unreachable"), "");
    assert_eq!(outcome, Outcome::Trapped(Trap::Unreachable));
    let deep = with_body(&[], "(call $deep)").replace(
        "(func (export \"other\")",
        "(func $deep (result i32) (call $deep)) (func (export \"other\")",
    );
    assert_eq!(told(&deep, "").1, Outcome::Trapped(Trap::StackExhausted));
    let outside =
        with_body(&["log"], "(call $log (i32.const 2) (i32.const -9) (i32.const 9)) (i32.const 0)");
    assert_eq!(told(&outside, "").1, Outcome::Trapped(Trap::HostContractViolated));
    let level =
        with_body(&["log"], "(call $log (i32.const 9) (i32.const 0) (i32.const 1)) (i32.const 0)");
    assert_eq!(told(&level, "").1, Outcome::Denied(Rule::Argument));
    let lines =
        with_body(&["log"], "(call $log (i32.const 2) (i32.const 0) (i32.const 9)) (i32.const 0)");
    assert_eq!(told(&lines, "limits.log = 8").1, Outcome::LimitReached(Limit::Log));
    assert_eq!(told(&lines, "limits.calls = 0").1, Outcome::LimitReached(Limit::Calls));
    assert_eq!(told(&echo(), "limits.output = 2").1, Outcome::LimitReached(Limit::Output));
}

#[test]
fn the_limits_of_the_caller_bind_its_callee_too() {
    let mut world = World::pair(&echo(), "");
    world.case.policy.limits.log_bytes = 8;
    let lines = "(call $log (i32.const 2) (i32.const 0) (i32.const 9)) (i32.const 0)";
    let mut library = Library::default();
    let id = library.add(&with_body(&["log"], lines), "limits.log = 9", &[]);
    let mut world = World { case: world.case, ..World::new(call(id, "", 64), &[id], library) };
    world.case.wat = call(id, "", 64);
    assert_eq!(answer(&world.run()).1, Outcome::LimitReached(Limit::Log));
    world.case.policy.limits.log_bytes = 9;
    let run = world.run();
    assert_eq!(answer(&run).1, Outcome::Completed(0));
    assert_eq!((run.logs.len(), run.nested[0].run.logs.len()), (0, 1));
}

#[test]
fn call_needs_its_grant() {
    let mut world = World::pair(&echo(), "");
    world.case.policy.hostcalls.retain(|name| name != "call");
    for backend in Backend::ALL {
        let error = world.try_run(*backend, &mut host()).unwrap_err();
        assert_eq!(error.code(), ErrorCode::ImportRefused);
        assert!(error.to_string().contains("compose"), "{error}");
    }
}

#[test]
fn a_callee_gets_nothing_that_its_caller_has_not() {
    let clock = with_body(&["now"], "(i32.wrap_i64 (call $now))");
    // The callee's policy does not ask for what its module imports.
    assert_eq!(refused(&World::pair(&clock, "")), REFUSED);
    let mut world = World::pair(&clock, "grants = [\"time\"]");
    assert!(matches!(answer(&world.run()).1, Outcome::Completed(_)));
    world.case.policy.hostcalls.retain(|name| name != "now");
    assert_eq!(refused(&world), REFUSED);

    let mut world = World::pair(&echo(), "kinds = [\"post\"]");
    world.case.policy.kinds = vec!["trust".into()];
    assert_eq!(refused(&world), REFUSED);
    world.case.policy.kinds = vec!["post".into(), "trust".into()];
    assert_eq!(transcript_of(&world.run().nested[0]).header.policy.kinds, ["post"]);
}

#[test]
fn caller_and_callee_share_the_granted_memory() {
    let two = echo().replace("\"memory\") 1)", "\"memory\") 2)");
    let mut world = World::pair(&two, "");
    world.case.memory_bytes = 3 * PAGE;
    assert_eq!(transcript_of(&world.run().nested[0]).header.memory_bytes, 2 * PAGE);
    world.case.memory_bytes = 3 * PAGE - 1;
    assert_eq!(refused(&world), REFUSED);
}

#[test]
fn only_dependencies_and_listed_entries_are_found() {
    let mut library = Library::default();
    let id = library.add(&echo(), "", &[]);
    let unlisted = World::new(call(id, "", 64), &[], library);
    assert_eq!(refused(&unlisted), NOT_FOUND);
    let World { library, .. } = unlisted;
    let world = |name: &str, library| World::new(call(id, name, 64), &[id], library);
    let wrong = world("kapsule_abi_version", library);
    assert_eq!(refused(&wrong), NOT_FOUND);
    let other = world("other", wrong.library);
    assert_eq!(answer(&other.run()).1, Outcome::Completed(0));
    // A job that names no packages at all.
    let case = Case { wat: call(id, "", 64), ..other.case };
    assert_eq!(case.run().outcome, Outcome::Completed(NOT_FOUND.cast_unsigned()));
}

#[test]
fn a_listed_entry_that_the_module_lacks_is_not_found() {
    let absent = echo().replace("(export \"other\")", "");
    let mut library = Library::default();
    let id = library.add(&absent, "", &[]);
    assert_eq!(refused(&World::new(call(id, "other", 64), &[id], library)), NOT_FOUND);
}

#[test]
fn the_buffer_takes_the_header_or_the_whole() {
    let mut library = Library::default();
    let id = library.add(&echo(), "", &[]);
    let mut world = World::new(call(id, "", 18), &[id], library);
    let run = world.run();
    assert_eq!(run.outcome, Outcome::Completed(19));
    assert_eq!(answer(&run).2, [0, 0]);
    world.case.wat = call(id, "", 19);
    assert_eq!(answer(&world.run()).2, b">ab");
    world.case.wat = call(id, "", 15);
    assert_eq!(refused(&world), INVALID_ARGUMENT);
}

#[test]
fn one_run_starts_at_most_256_others() {
    let mut library = Library::default();
    let id = library.add(&with_body(&[], "(i32.const 0)"), "", &[]);
    let wat = callee(
        &["call"],
        id.as_bytes(),
        &format!(
            "(local $left i32) (local $n i32)
             (local.set $left (i32.const {}))
             (loop $again
               (local.set $n (call $call (i32.const 1024) (i32.const 0) (i32.const 0)
                 (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 16)))
               (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
             (local.get $n)",
            NESTED_RUNS_MAX + 1
        ),
        "(i32.const 0)",
    );
    let run = World::new(wat, &[id], library).run();
    assert_eq!(run.outcome, Outcome::Completed(REFUSED.cast_unsigned()));
    assert_eq!(run.nested.len() as u64, NESTED_RUNS_MAX);
}

#[test]
fn runs_are_nested_to_a_fixed_depth() {
    let mut library = Library::default();
    let grant = "grants = [\"compose\"]";
    let mut id = library.add(&with_body(&[], "unreachable"), "", &[]);
    for _ in 0..=NESTING_MAX {
        id = library.add(&call(id, "", 16), grant, &[id]);
    }
    let mut world = World::new(call(id, "", 16), &[id], library);
    world.case.memory_bytes = 64 * PAGE;
    world.case.policy.limits.memory_bytes = 64 * PAGE;
    let whole = world.run();
    let mut run = &whole;
    let mut depth = 0;
    while let [nested] = &run.nested[..] {
        run = &nested.run;
        depth += 1;
    }
    assert_eq!(depth, NESTING_MAX);
    assert_eq!(run.outcome, Outcome::Completed(REFUSED.cast_unsigned()));
}

/// Answers every question with one package, or with none.
struct Hostile(Option<Arc<Callee>>);

impl Callees for Hostile {
    fn callee(&self, _: &PackageId, _: Backend) -> Result<Option<Arc<Callee>>, HostError> {
        Ok(self.0.clone())
    }
}

#[test]
fn packages_that_are_absent_or_others_are_the_hosts_fault() {
    let mut library = Library::default();
    let id = library.add(&echo(), "", &[]);
    let other = library.add(&with_body(&[], "(i32.const 0)"), "", &[]);
    let other = library.callee(&other, Backend::Wasmi).expect("it compiles");
    let world = World::new(call(id, "", 64), &[id], library);
    for (callees, expect) in [(Hostile(None), "absent"), (Hostile(other), "was given")] {
        let compose = Compose { dependencies: &world.dependencies, callees: &callees };
        let job = Job { compose: Some(compose), ..world.case.job() };
        for backend in Backend::ALL {
            let error = run(&world.case.compiled(*backend), &job, &mut host()).unwrap_err();
            assert!(matches!(error, RunError::Host(HostError::Hostcall { .. })), "{error}");
            assert!(error.to_string().contains(expect), "{error}");
        }
    }
}

#[test]
fn a_package_of_another_abi_cannot_be_called() {
    let package = package(&echo(), "", &[], |manifest| manifest.exec.abi = Abi::KapsuleProcessV1);
    let compiled = compile(&metered(package.payload()), Backend::Wasmi).expect("a module");
    let refusal = Callee::new(&package, compiled).unwrap_err();
    assert_eq!(refusal.code, ErrorCode::VersionUnsupported);
}

#[test]
fn a_callee_asks_the_same_host() {
    let submit = callee(
        &["submit_capsule_result"],
        &[0xa1, 0, 5],
        "(call $submit_capsule_result (i32.const 1) (i32.const 1024) (i32.const 3))",
        "(i32.const 0)",
    );
    let (run, host) = World::pair(&submit, "grants = [\"capsule.result\"]").run_with(&host());
    assert_eq!(answer(&run).1, Outcome::Completed(0));
    assert_eq!(host.results[&1].score, Some(5));
}

#[test]
fn a_lie_about_a_call_is_found() {
    let world = World::pair(&echo(), "");
    let at_response = (Some(0), Field::Response);
    // The response is the result, the length, then fuel, class, detail and output.
    assert_eq!(world.check_lie(|t| t.entries[0].response[16 + 5] = 1), at_response);
    assert_eq!(world.check_lie(|t| t.entries[0].response[16 + 8] = 4), at_response);
    assert_eq!(world.check_lie(|t| t.entries[0].response[16 + 12] ^= 1), (Some(1), Field::Request));
    assert_eq!(world.check_lie(|t| t.entries[0].response[0] = 20), at_response);
    assert_eq!(world.check_lie(|t| t.entries[0].response[0] = 15), at_response);
    assert_eq!(world.check_lie(|t| t.entries[0].response.truncate(34)), at_response);
    let cut = |t: &mut Transcript| {
        t.entries[0].response.truncate(24);
        t.entries[0].response[8] = 8;
    };
    assert_eq!(world.check_lie(cut), at_response);
    // Less fuel than the callee took is believed, and shows at the next call.
    assert_eq!(world.check_lie(|t| t.entries[0].response[16] ^= 1), (Some(1), Field::Fuel));
}

#[test]
fn an_output_beyond_what_any_callee_may_write_is_a_lie() {
    let mut library = Library::default();
    let id = library.add(&echo(), "", &[]);
    let mut world = World::new(call(id, "", 18), &[id], library);
    world.case.policy.limits.output_bytes = 100;
    let claim = |length: u8| {
        move |t: &mut Transcript| {
            t.entries[0].response[0] = 16 + length;
        }
    };
    assert_eq!(world.check_lie(claim(100)), (None, Field::Outcome));
    assert_eq!(world.check_lie(claim(101)), (Some(0), Field::Response));
}

#[test]
fn nested_transcripts_count_for_the_bound_of_the_host() {
    let mut world = World::pair(&echo(), "");
    world.case.options = JobOptions { transcript_bytes_max: 1_500, ..JobOptions::default() };
    let error = world.try_run(Backend::Wasmi, &mut host()).unwrap_err();
    assert_eq!(error, HostError::TranscriptBytes { allowed: 1_500 }.into());
    world.case.options.transcript_bytes_max = 3_000;
    assert!(world.try_run(Backend::Wasmi, &mut host()).is_ok());
}

#[test]
fn the_deadline_is_looked_at_inside_a_callee() {
    let world = World::pair(&echo(), "");
    for backend in Backend::ALL {
        let asked = std::cell::Cell::new(0);
        let deadline = || {
            asked.set(asked.get() + 1);
            // Before the run, at the call, and before the run inside it.
            asked.get() > 3
        };
        let job = Job { deadline: Some(&deadline), ..world.job() };
        let error = run(&world.case.compiled(*backend), &job, &mut host()).unwrap_err();
        assert_eq!(error, HostError::Deadline.into());
    }
}

/// Compares a run that began on the interpreter with one that did not.
fn check_auto(world: &World, expect: Backend) {
    let mut host = host();
    let (backend, found) = run_auto(&world.case.metered(), &world.job(), &mut host).expect("a run");
    assert_eq!(backend, expect);
    let direct = world.try_run(Backend::ALL[Backend::ALL.len() - 1], &mut crate::support::host());
    assert_eq!(without_sites(found), without_sites(direct.expect("a run")));
}

#[test]
fn a_short_attempt_does_not_show() {
    let mut library = Library::default();
    let bottom = library.add(&echo(), "", &[]);
    let middle = library.add(&call(bottom, "run", 64), "grants = [\"compose\"]", &[bottom]);
    let mut world = World::new(call(middle, "", 256), &[middle], library);
    world.case.fuel = 2 * JIT_FUEL_MIN;
    check_auto(&world, Backend::Wasmi);
    // A callee that wants more than the attempt has makes its caller start again.
    let mut world = World::pair(&with_body(&[], FOREVER), "");
    world.case.fuel = JIT_FUEL_MIN + 100_000;
    check_auto(&world, Backend::Jit);
}
