//! What binds a run inside a run: fuel, memory, counts, depth, time.

use super::*;

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
fn caller_and_callee_share_the_granted_memory() {
    let two = echo().replace("\"memory\") 1)", "\"memory\") 2)");
    let mut world = World::pair(&two, "");
    world.case.memory_bytes = 3 * PAGE;
    assert_eq!(transcript_of(&world.run().nested[0]).header.memory_bytes, 2 * PAGE);
    world.case.memory_bytes = 3 * PAGE - 1;
    assert_eq!(refused(&world), REFUSED);
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
