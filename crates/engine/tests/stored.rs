//! Compiled code that a host keeps: loaded only if this host made it of this module.

use kapsule_abi::{Outcome, Trap};
use kapsule_engine::{
    Backend, CodeKey, CodeOrigin, Compiled, HostError, RunError, disagreement, run,
};
use kapsule_format::Digest;
use kapsule_meter::Profile;

use crate::support::*;

const KEY: CodeKey = CodeKey::new([3; 32]);

fn origin() -> CodeOrigin {
    CodeOrigin { module: Digest::new([8; 32]), profile: Profile::Integer1 }
}

fn case() -> Case {
    Case::fields(
        r#"(import "kapsule_v1" "input_len" (func $input_len (result i64)))
           (import "kapsule_v1" "now" (func $now (result i64)))
           (memory (export "memory") 2 3)
           (global $g (mut i32) (i32.const 40))
           (func $start (global.set $g (i32.add (global.get $g) (i32.const 1))))
           (start $start)
           (func (export "another") (result i32) (i32.const 0))
           (func (export "run") (result i32)
             (drop (call $now))
             (i32.store (i32.const 70000) (memory.grow (i32.const 1)))
             (i32.add (global.get $g) (i32.wrap_i64 (call $input_len))))"#,
    )
}

fn stored(case: &Case) -> Vec<u8> {
    let entry = case.compiled(Backend::Jit).to_stored(&KEY, &origin());
    entry.expect("compiled code can be written down").expect("the JIT has code to keep")
}

#[test]
fn loaded_code_runs_as_the_compiled_code_does() {
    let case = case();
    let loaded =
        Compiled::from_stored(&stored(&case), &KEY, &origin(), &case.wasm()).expect("an own entry");
    assert_eq!(loaded.backend(), Backend::Jit);
    let expected = case.run_on(Backend::Wasmi, &mut host()).unwrap();
    let found = run(&loaded, &case.job(), &mut host()).unwrap();
    assert_eq!(disagreement(&expected, &found), None);
    assert_eq!(found.usage, expected.usage);
    for entry in ["another", "nothing"] {
        let case = Case { entry, ..case.clone() };
        let expected = case.run_on(Backend::Jit, &mut host()).map(|run| run.outcome);
        assert_eq!(run(&loaded, &case.job(), &mut host()).map(|run| run.outcome), expected);
    }
}

#[test]
fn loaded_code_counts_by_the_module_where_an_access_fails() {
    let case = Case::body(
        &["now"],
        "(local $i i32) (drop (call $now))
         (loop $up (i32.store8 (local.get $i) (i32.const 1))
           (br_if $up (local.tee $i (i32.add (local.get $i) (i32.const 3)))))
         (i32.const 0)",
    );
    let load = |wasm: &[u8]| Compiled::from_stored(&stored(&case), &KEY, &origin(), wasm).unwrap();
    let expected = case.run_on(Backend::Wasmi, &mut host()).unwrap();
    assert_eq!(expected.outcome, Outcome::Trapped(Trap::MemoryOutOfBounds));
    let found = run(&load(&case.wasm()), &case.job(), &mut host()).unwrap();
    assert_eq!((found.usage, found.transcript), (expected.usage, expected.transcript));
    for other in [Case::body(&["now"], "(drop (call $now)) (i32.const 0)").wasm(), b"x".to_vec()] {
        let failed = run(&load(&other), &case.job(), &mut host());
        assert!(matches!(failed, Err(RunError::Host(HostError::Backend { .. }))), "{failed:?}");
    }
}

#[test]
fn the_interpreter_keeps_nothing() {
    let compiled = case().compiled(Backend::Wasmi);
    assert_eq!(compiled.to_stored(&KEY, &origin()), Ok(None));
}

#[test]
fn an_entry_of_another_key_module_or_profile_is_ignored() {
    let case = case();
    let entry = stored(&case);
    let load = |key, origin| Compiled::from_stored(&entry, &key, &origin, &case.wasm()).is_some();
    assert!(load(KEY, origin()));
    assert!(!load(CodeKey::new([4; 32]), origin()));
    assert!(!load(KEY, CodeOrigin { module: Digest::new([9; 32]), ..origin() }));
    assert!(!load(KEY, CodeOrigin { profile: Profile::Float1, ..origin() }));
}

#[test]
fn a_tampered_or_truncated_entry_is_ignored() {
    let case = case();
    let entry = stored(&case);
    let load = |entry: &[u8]| Compiled::from_stored(entry, &KEY, &origin(), &case.wasm()).is_some();
    // The name of an entry point stands in the facts, where a change breaks nothing else.
    let place = entry.windows(7).position(|part| part == b"another").expect("the name");
    let last = entry.len() - 1;
    for place in [place, 0, 7, 8, 39, 40, 44, 60, last / 2, last] {
        let mut tampered = entry.clone();
        tampered[place] ^= 1;
        assert!(!load(&tampered), "a bit changed at {place}");
    }
    for length in [0, 1, 8, 39, 40, 44, 100, last] {
        assert!(!load(&entry[..length]), "{length} bytes");
    }
    assert!(!load(&[&entry[..], &[0]].concat()));
}
