//! Modules that tests run and prove.

use kapsule_lower::{Options, lower};
use kapsule_proof::{Expected, Key, ParamSet};
use kapsule_prover::prove::{Job, Witness, witness};

/// Iterative Fibonacci, a recursive sum, globals, and subtraction from a constant.
pub(crate) const FIB: &str = r#"(module
  (memory (export "memory") 1)
  (func (export "kapsule_abi_version") (result i32) (i32.const 1))
  (global $count (mut i32) (i32.const 3))
  (func $sum (param $n i32) (result i32)
    local.get $n
    i32.eqz
    if (result i32)
      global.get $count
    else
      local.get $n
      i32.const 1
      i32.sub
      call $sum
      local.get $n
      i32.add
    end)
  (func $fib (param $n i32) (result i32)
    (local $a i32) (local $b i32) (local $t i32)
    i32.const 1
    local.set $b
    block
      loop
        local.get $n
        i32.const 0
        i32.le_s
        br_if 1
        local.get $a
        local.get $b
        i32.add
        local.set $t
        local.get $b
        local.set $a
        local.get $t
        local.set $b
        local.get $n
        i32.const 1
        i32.sub
        local.set $n
        br 0
      end
    end
    local.get $a)
  (func (export "run") (result i32)
    i32.const 5
    global.set $count
    i32.const 40
    call $fib
    i32.const 7
    call $sum
    i32.sub)
  (func (export "trap") (result i32)
    unreachable)
  (func $deep (result i32)
    call $deep
    i32.const 1
    i32.add)
  (func (export "deep") (result i32)
    call $deep)
  (func (export "divide") (result i32)
    i32.const 1
    global.get $count
    i32.div_u))"#;

/// Derives the key of a module under test parameters.
pub(crate) fn key(wat: &str, params: ParamSet) -> Key {
    let wasm = wat::parse_str(wat).expect("a module");
    let lowered = lower(&wasm, &Options::new(16)).expect("a provable module");
    Key::derive(&lowered.program, params).expect("a small program")
}

/// Returns a job without words.
pub(crate) const fn job(entry: &str, fuel_limit: u64) -> Job<'_> {
    Job {
        module_hash: [1; 32],
        policy_digest: [2; 32],
        binding: [3; 32],
        entry,
        fuel_limit,
        words: &[],
        salt_present: false,
    }
}

/// Returns the witness of a job that must have one.
pub(crate) fn run(key: &Key, job: &Job<'_>) -> Witness {
    witness(key, job).expect("a provable run")
}

/// Returns what a verifier of [`job`]'s entry `run` expects, test parameters included.
pub(crate) const fn expected() -> Expected<'static> {
    Expected { allow_test_params: true, ..job("run", 0).expected() }
}
