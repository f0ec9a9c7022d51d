//! Jobs that are refused before anything runs, and runs that the host ends.

use core::cell::Cell;

use kapsule_abi::{ErrorCode, Hostcall, Limit, Outcome};
use kapsule_engine::{
    Backend, CodeKey, CodeOrigin, Compiled, HostError, Job, RunError, compile_interruptible, run,
    run_auto,
};
use kapsule_format::hash::Digest;
use kapsule_format::policy::Network;

use crate::support::*;

fn check_refused(case: &Case, code: ErrorCode, detail: &str) {
    let error = case.refusal();
    assert_eq!((error.code(), error.to_string().as_str()), (code, detail));
}

#[test]
fn an_import_without_its_grant_is_refused_also_if_never_called() {
    for name in granted_names().into_iter().filter(|name| name != "call") {
        let mut case = Case::body(&[&name, "input_len"], "(i32.const 0)");
        assert_eq!(case.run().outcome, Outcome::Completed(0));
        case.policy.hostcalls.retain(|granted| *granted != name);
        let grant = Hostcall::from_name(&name).unwrap().grant_names();
        let detail = format!("import {name} needs the missing grant {grant}");
        check_refused(&case, ErrorCode::ImportRefused, &detail);
    }
}

#[test]
fn a_network_hostcall_needs_an_open_network() {
    let mut case = Case::body(&["net_request"], "(i32.const 0)");
    case.policy.network = Network::default();
    let detail = "import net_request needs the missing grant net.clearnet or net.mesh";
    check_refused(&case, ErrorCode::ImportRefused, detail);
    case.policy.network.allow_mesh = true;
    assert_eq!(case.run().outcome, Outcome::Completed(0));
}

#[test]
fn imports_without_a_grant_are_always_linked() {
    let imports =
        ["input_len", "input_read", "output_write", "log", "hash", "signature_verify", "log"];
    let mut case = Case::body(&imports[..6], "(i32.const 0)");
    case.policy.hostcalls.clear();
    assert_eq!(case.run().outcome, Outcome::Completed(0));
}

#[test]
fn one_hostcall_may_be_imported_twice() {
    let second = import("input_len").replace("$input_len", "$again");
    let case = Case::fields(&format!(
        "{} {second} (memory (export \"memory\") 1)
         (func (export \"run\") (result i32)
            (i32.wrap_i64 (i64.add (call $input_len) (call $again))))",
        import("input_len")
    ));
    assert_eq!(case.run().outcome, Outcome::Completed(20));
}

#[test]
fn an_absent_entry_is_refused() {
    let mut case = Case::body(&[], "(i32.const 0)");
    for entry in ["main", "kapsule_abi_version", "memory", ""] {
        case.entry = entry;
        let detail = format!("found no entry {entry:?}, allowed are [\"run\"]");
        check_refused(&case, ErrorCode::EntryNotFound, &detail);
    }
}

#[test]
fn more_than_the_policy_gives_is_refused() {
    let case = Case::body(&[], "(i32.const 0)");
    let limits = case.policy.limits;
    let greedy = Case { fuel: limits.fuel + 1, ..case.clone() };
    let detail = "fuel 1000000001 exceed the 1000000000 that are allowed";
    check_refused(&greedy, ErrorCode::ResourcesExceedPolicy, detail);
    let greedy = Case { memory_bytes: limits.memory_bytes + 1, ..case };
    let detail = "memory bytes 262145 exceed the 262144 that are allowed";
    check_refused(&greedy, ErrorCode::ResourcesExceedPolicy, detail);
}

#[test]
fn more_initial_memory_than_granted_is_refused() {
    let case = Case::fields(
        "(memory (export \"memory\") 3) (func (export \"run\") (result i32) (i32.const 0))",
    );
    assert_eq!(case.run().outcome, Outcome::Completed(0));
    let less = Case { memory_bytes: 3 * PAGE - 1, ..case };
    let detail = "initial memory pages 3 exceed the 2 that are allowed";
    check_refused(&less, ErrorCode::ResourcesExceedPolicy, detail);
}

#[test]
fn an_answer_that_the_abi_cannot_carry_is_the_host_s_trouble() {
    let mut large_score = host();
    large_score.scores.insert(identity(0), 1 << 63);
    let mut late = host();
    late.now_ms = 1 << 63;
    let mut large_edge = host();
    large_edge.edges[0].weight_ppm = 1 << 53;
    let mut odd_text = host();
    odd_text.capsules[0].metadata.kind = "a\u{1}".into();
    let cases = [
        (large_score, "get_trust_score", "(i32.const 0) (i32.const 32)", "wrap"),
        (late, "now", "", "wrap"),
        (large_edge, "trust_edges", "(i64.const 0) (i32.const 0) (i32.const 500)", ""),
        (odd_text, "get_capsule_metadata", "(i32.const 0) (i32.const 0) (i32.const 500)", ""),
    ];
    for (host, name, arguments, wrap) in cases {
        let call = format!("(call ${name} {arguments})");
        let body = if wrap.is_empty() { call } else { format!("(i32.wrap_i64 {call})") };
        let case = Case::body(&[name], &body);
        for backend in Backend::ALL {
            let made = case.run_on(*backend, &mut host.clone());
            let error = made.map(|run| run.outcome).expect_err("the host fails");
            let RunError::Host(HostError::Hostcall { hostcall, .. }) = error else {
                panic!("{backend}: {error}");
            };
            assert_eq!(hostcall, name, "{backend}");
        }
    }
}

/// Runs with a deadline that passes at the look with this number, counted from 1.
fn with_deadline(case: &Case, compiled: &Compiled, look: u32) -> Result<Outcome, RunError> {
    let looks = Cell::new(0);
    let deadline = || {
        looks.set(looks.get() + 1);
        looks.get() >= look
    };
    let job = Job { deadline: Some(&deadline), ..case.job() };
    run(compiled, &job, &mut host()).map(|run| run.outcome)
}

#[test]
fn the_deadline_is_looked_at_on_every_hostcall() {
    let call = "(drop (call $input_len))";
    let case = Case::body(&["input_len"], &format!("{call} {call} (i32.const 0)"));
    let mut compiled: Vec<_> = Backend::ALL.iter().map(|one| case.compiled(*one)).collect();
    compiled.push(compile_interruptible(&case.metered()).expect("compiled"));
    for compiled in compiled {
        for look in 1..=3 {
            let error = with_deadline(&case, &compiled, look).unwrap_err();
            assert_eq!(error, RunError::Host(HostError::Deadline));
            assert_eq!(error.code(), ErrorCode::HostAbort);
        }
        assert_eq!(with_deadline(&case, &compiled, 1_000_000), Ok(Outcome::Completed(0)));
    }
}

#[test]
fn interruptible_code_is_stopped_between_hostcalls_and_other_code_by_its_fuel() {
    let mut case = Case::body(&[], "(loop (br 0)) (i32.const 0)");
    case.policy.limits.fuel = 8_000_000_000;
    case.fuel = 8_000_000_000;
    let compiled = compile_interruptible(&case.metered()).expect("compiled");
    let error = with_deadline(&case, &compiled, 3).unwrap_err();
    assert_eq!(error, RunError::Host(HostError::Deadline));
    let origin = CodeOrigin { module: Digest::new([8; 32]), profile: case.profile };
    assert_eq!(compiled.to_stored(&CodeKey::new([0; 32]), &origin), Ok(None));
    case.fuel = 1_000_000;
    for backend in Backend::ALL {
        let ended = with_deadline(&case, &case.compiled(*backend), 3);
        assert_eq!(ended, Ok(Outcome::LimitReached(Limit::Fuel)));
    }
}

#[test]
fn backends_have_names_and_auto_prefers_the_interpreter() {
    for backend in Backend::ALL {
        assert_eq!(Backend::from_name(backend.name()), Some(*backend));
    }
    assert_eq!(Backend::from_name("auto"), None);
    assert_eq!(Backend::choose(kapsule_engine::JIT_FUEL_MIN - 1), Backend::Wasmi);
    assert_eq!(Backend::choose(kapsule_engine::JIT_FUEL_MIN).name(), "jit");
    let mut case = Case::body(&["input_len"], "(i32.wrap_i64 (call $input_len))");
    let (backend, run) = run_auto(&case.metered(), &case.job(), &mut host()).unwrap();
    assert_eq!((backend, run.outcome), (Backend::Wasmi, Outcome::Completed(10)));
    case.policy.limits.fuel = 2 * kapsule_engine::JIT_FUEL_MIN;
    case.fuel = 2 * kapsule_engine::JIT_FUEL_MIN;
    let (backend, run) = run_auto(&case.metered(), &case.job(), &mut host()).unwrap();
    assert_eq!((backend, run.outcome), (Backend::Wasmi, Outcome::Completed(10)));
    let direct = case.run_on(Backend::from_name("jit").unwrap(), &mut host()).unwrap();
    assert_eq!(run.transcript, direct.transcript, "a short run names the whole grant");
}

#[test]
fn auto_takes_the_jit_for_a_run_that_is_long() {
    let mut case = Case::body(&[], "(loop $l (br $l)) (i32.const 0)");
    case.policy.limits.fuel = kapsule_engine::JIT_FUEL_MIN + 1;
    case.fuel = kapsule_engine::JIT_FUEL_MIN + 1;
    let (backend, run) = run_auto(&case.metered(), &case.job(), &mut host()).unwrap();
    assert_eq!(backend.name(), "jit");
    assert_eq!(run.outcome, Outcome::LimitReached(Limit::Fuel));
    assert_eq!(run.usage.fuel, kapsule_engine::JIT_FUEL_MIN + 1);
}

#[test]
fn auto_refuses_what_a_direct_run_refuses() {
    let mut case = Case::body(&[], "(i32.const 0)");
    case.policy.limits.fuel = kapsule_engine::JIT_FUEL_MIN;
    case.fuel = kapsule_engine::JIT_FUEL_MIN + 1;
    let auto = run_auto(&case.metered(), &case.job(), &mut host()).map(|(_, run)| run.outcome);
    let direct = case.run_on(Backend::Wasmi, &mut host()).map(|run| run.outcome);
    assert_eq!(auto, direct);
    assert!(auto.is_err(), "more fuel than the policy gives");
}
