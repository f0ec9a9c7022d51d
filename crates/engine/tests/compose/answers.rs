//! Who may be called, with what rights, and what the caller is told.

use super::*;

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

/// A proposal that costs 5.
const NOTICE: &[u8] = b"\xa3\x00\x02\x01\x05\x02\x64done";

#[test]
fn one_budget_is_for_the_runs_inside_a_run_as_well() {
    let propose = |address: u32| format!("(call $propose (i32.const {address}) (i32.const 11))");
    // `run` returns 0 if its proposal was taken, `other` 1.
    let own = propose(1024);
    let proposer = callee(
        &["propose"],
        NOTICE,
        &format!("(i32.ne {own} (i32.const 0))"),
        &format!("(i32.eqz {own})"),
    );
    let mut library = Library::default();
    let id = library.add(&proposer, "grants = [\"agent.propose\"]", &[]);
    let data = [id.as_bytes(), b"other".as_slice(), NOTICE].concat();
    let ask = |entry_len: u32| {
        format!(
            "(drop (call $call (i32.const 1024) (i32.const 1056) (i32.const {entry_len})
               (i32.const 0) (i32.const 0) (i32.const 4096) (i32.const 16)))
             (drop (call $output_write (i32.const 4108) (i32.const 4)))"
        )
    };
    let answered = |body: &str, budget: u64| {
        let imports = ["call", "output_write", "propose"];
        let caller = callee(&imports, &data, body, "(i32.const 0)");
        let library = Library { packages: library.packages.clone(), ..Library::default() };
        let before = MemoryHost { budget, ..host() };
        let (run, _) = World::new(caller, &[id], library).run_with(&before);
        (run.outcome, run.output.iter().step_by(4).copied().collect(), run.effects.proposals.len())
    };
    let (good, failing, own) = (ask(0), ask(5), propose(1061));
    let done = Outcome::Completed(0);
    // Its own proposal has the index 0, though the host took one of another run before.
    let body = format!("{good} (i32.ne {own} (i32.const 0)) (if (then unreachable)) {good} {own}");
    assert_eq!(answered(&body, 20), (Outcome::Completed(1), vec![0, 0], 4));
    assert_eq!(answered(&body, 19), (Outcome::Completed(REFUSED as u32), vec![0, 0], 3));
    assert_eq!(answered(&format!("(drop {own}) {good} (i32.const 0)"), 9), (done, vec![1], 1));
    assert_eq!(answered(&format!("{good} {good} (i32.const 0)"), 9), (done, vec![0, 1], 1));
    // What did not complete with 0 is dropped, and so counts no more.
    assert_eq!(answered(&format!("{failing} {good} (i32.const 0)"), 5), (done, vec![1, 0], 1));
}
