//! From bytes in memory to a result, nothing prepared: a module of about 100 KB.

use std::fmt::Write as _;

use kapsule_abi::Outcome;
use kapsule_engine::raw::{RawModule, RawValue};
use kapsule_engine::{Backend, MemoryHost, compile, run};

use super::{heading, job, meter, name, policy};
use crate::timing::{compare, readable};

/// Rounds on the interpreter and on the JIT, which takes a hundred times as long to compile.
const ROUNDS: [usize; 2] = [25, 5];
/// Functions of the module; with these its code is about 100 KB.
const FUNCTIONS: u32 = 900;

/// Measures meter, compile, instantiate, run and state hash against compile, instantiate, call.
pub(super) fn measure() -> Result<Vec<String>, String> {
    let wasm = wat::parse_str(module_text()).map_err(|error| error.to_string())?;
    let title = format!("cold {} KB module to result, evidence included", wasm.len() / 1_000);
    let mut lines = Vec::from(heading(&title));
    for (&backend, rounds) in Backend::ALL.iter().zip(ROUNDS) {
        let pair = compare(rounds, || ours(&wasm, backend), || plain(&wasm, backend))?;
        lines.push(format!(
            "  {} {:>5.2}x   kapsule {:>10}   plain engine {:>10}",
            name(backend),
            pair.ratio(),
            readable(pair.ours),
            readable(pair.peer)
        ));
    }
    let only_meter = compare(
        ROUNDS[0],
        || meter(&wasm).map(drop),
        || RawModule::compile(&wasm, Backend::Wasmi).map(drop).map_err(|error| error.to_string()),
    )?;
    lines.push(format!(
        "  of which validate, plan and rewrite {}, {:.2}x of plain wasmi's compilation",
        readable(only_meter.ours),
        only_meter.ratio()
    ));
    Ok(lines)
}

fn ours(wasm: &[u8], backend: Backend) -> Result<(), String> {
    let compiled = compile(&meter(wasm)?, backend).map_err(|error| error.to_string())?;
    let policy = policy();
    let run = run(&compiled, &job(&policy, true), &mut MemoryHost::default())
        .map_err(|error| error.to_string())?;
    match run.outcome {
        Outcome::Completed(_) => Ok(()),
        other => Err(format!("the run ended with {other}")),
    }
}

fn plain(wasm: &[u8], backend: Backend) -> Result<(), String> {
    let module = RawModule::compile(wasm, backend).map_err(|error| error.to_string())?;
    let mut instance = module.instantiate(&[]).map_err(|error| error.to_string())?;
    let result = instance.call("run", &[]).map_err(|error| error.to_string())?;
    match result.as_slice() {
        [RawValue::I32(_)] => Ok(()),
        other => Err(format!("the call returned {other:?}")),
    }
}

/// Returns a module of many middle-sized functions, a loop and a branch in each, of which the
/// entry calls every tenth.
fn module_text() -> String {
    let mut text = String::from(
        "(module (memory (export \"memory\") 1)\n\
         (func (export \"kapsule_abi_version\") (result i32) i32.const 1)\n",
    );
    for index in 0..FUNCTIONS {
        let (a, b) = (index.wrapping_mul(2_654_435_761) | 1, index % 29 + 1);
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "(func $f{index} (param $x i32) (result i32) (local $i i32) (local $y i64)
               loop $l
                 local.get $x i32.const {a} i32.mul i32.const {b} i32.rotl local.set $x
                 local.get $y local.get $x i64.extend_i32_u i64.add i64.const {a} i64.xor
                 local.set $y
                 local.get $x i32.const 7 i32.and
                 if
                   local.get $x i32.const 0xfffc i32.and
                   local.get $x i32.const 0xfffc i32.and i32.load local.get $x i32.add i32.store
                 else
                   local.get $y i64.const {b} i64.shr_u local.get $y i64.or local.set $y
                 end
                 local.get $i i32.const 1 i32.add local.tee $i i32.const 10 i32.lt_u br_if $l
               end
               local.get $x local.get $y i32.wrap_i64 i32.xor)"
        );
    }
    text.push_str("(func (export \"run\") (result i32) (local $x i32)\n");
    for index in (0..FUNCTIONS).step_by(10) {
        let _ = writeln!(text, "local.get $x call $f{index} local.set $x");
    }
    // The entry's result is the guest's error code, so success is zero.
    text.push_str("i32.const 0))");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_has_about_100_kilobytes_and_runs_everywhere() {
        let wasm = wat::parse_str(module_text()).unwrap();
        assert!((90_000..120_000).contains(&wasm.len()), "{} bytes", wasm.len());
        for &backend in Backend::ALL {
            assert_eq!(ours(&wasm, backend), Ok(()));
            assert_eq!(plain(&wasm, backend), Ok(()));
        }
    }
}
