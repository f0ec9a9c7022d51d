//! From a package file in memory to a result, nothing prepared: a module of about 100 KB.

use std::fmt::Write as _;

use kapsule_abi::Outcome;
use kapsule_engine::raw::{RawModule, RawValue};
use kapsule_engine::{Backend, MemoryHost, Run, RunError, compile, run, run_once};
use kapsule_format::authoring::{Draft, Inputs};
use kapsule_format::key::{SecretKey, Suite};
use kapsule_format::package::{PackageBuilder, Scope};
use kapsule_format::verify;

use super::{heading, job, meter, name, policy};
use crate::timing::{compare, readable};

/// Rounds on the interpreter and on the JIT, which takes a hundred times as long to compile.
const ROUNDS: [usize; 2] = [40, 5];
/// Functions of the module; with these its code is about 100 KB.
const FUNCTIONS: u32 = 900;

/// Measures verify, meter, compile, run and state hash against compile, instantiate, call.
pub(super) fn measure() -> Result<Vec<String>, String> {
    let wasm = wat::parse_str(module_text()).map_err(|error| error.to_string())?;
    let file = package(&wasm)?;
    let title = format!("cold package of {} KB to result, evidence included", file.len() / 1_000);
    let mut lines = Vec::from(heading(&title));
    for (&backend, rounds) in Backend::ALL.iter().zip(ROUNDS) {
        let pair = compare(rounds, || ours(&file, backend), || plain(&wasm, backend))?;
        lines.push(format!(
            "  {} {:>5.2}x   kapsule {:>10}   plain engine {:>10}",
            name(backend),
            pair.ratio(),
            readable(pair.ours),
            readable(pair.peer)
        ));
    }
    lines.extend(steps(&file, &wasm)?);
    Ok(lines)
}

/// Measures each step of a first run on the interpreter against plain wasmi's compilation.
fn steps(file: &[u8], wasm: &[u8]) -> Result<Vec<String>, String> {
    let metered = meter(wasm)?;
    let compiled = compile(&metered, Backend::Wasmi).map_err(|error| error.to_string())?;
    let policy = policy();
    let job = job(&policy, true);
    let steps: [(&str, &mut dyn FnMut() -> Result<(), String>); 4] = [
        ("verify the package", &mut || verified(file).map(drop)),
        ("validate, plan and rewrite", &mut || meter(wasm).map(drop)),
        ("compile what is called, run", &mut || {
            completed(run_once(&metered, Backend::Wasmi, &job, &mut MemoryHost::default()))
        }),
        ("run compiled code", &mut || completed(run(&compiled, &job, &mut MemoryHost::default()))),
    ];
    let mut lines = Vec::new();
    for (name, step) in steps {
        let plain =
            || RawModule::compile(wasm, Backend::Wasmi).map(drop).map_err(|e| e.to_string());
        let pair = compare(ROUNDS[0], step, plain)?;
        lines.push(format!(
            "  of which {name:<28} {:>5.2}x   {:>10}   plain wasmi compiles in {:>10}",
            pair.ratio(),
            readable(pair.ours),
            readable(pair.peer)
        ));
    }
    Ok(lines)
}

/// Returns a signed package with this module.
fn package(wasm: &[u8]) -> Result<Vec<u8>, String> {
    let text = "name = \"cold\"\nversion = \"1.0.0\"\nauthor = \"bench\"\nentry = \"cold.wasm\"\n";
    let key = SecretKey::from_seed(Suite::Ed25519, &[7; 32]).map_err(|e| e.to_string())?;
    let author_keys = [key.public().clone()];
    let draft = Draft::from_toml(text, None).map_err(|error| error.to_string())?;
    let inputs = Inputs { payload: wasm, author_keys: &author_keys, ..Inputs::default() };
    let (manifest, policy) = draft.finish(&inputs).map_err(|error| error.to_string())?;
    let package = PackageBuilder::new(manifest, policy, wasm.to_vec()).pack();
    let mut package = package.map_err(|error| error.to_string())?.into_inner();
    package.sign(Scope::Author, &key, true).map_err(|error| error.to_string())?;
    Ok(package.encode())
}

fn verified(file: &[u8]) -> Result<verify::Verified<kapsule_format::package::Package>, String> {
    let options = verify::Options { insecure_dev: true, ..verify::Options::default() };
    match verify::load(file, None, None, &options) {
        Ok((package, _)) => Ok(package),
        Err(report) => Err(format!("the package is refused: {report:?}")),
    }
}

fn ours(file: &[u8], backend: Backend) -> Result<(), String> {
    let package = verified(file)?;
    let metered = meter(package.payload())?;
    let policy = policy();
    completed(run_once(&metered, backend, &job(&policy, true), &mut MemoryHost::default()))
}

fn completed(run: Result<Run, RunError>) -> Result<(), String> {
    match run.map_err(|error| error.to_string())?.outcome {
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
        let file = package(&wasm).unwrap();
        for &backend in Backend::ALL {
            assert_eq!(ours(&file, backend), Ok(()));
            assert_eq!(plain(&wasm, backend), Ok(()));
        }
    }
}
