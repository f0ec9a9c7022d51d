//! From a package file in memory to a result, nothing prepared: a module of about 100 KB.

use kapsule_abi::Outcome;
use kapsule_engine::raw::{RawModule, RawValue};
use kapsule_engine::{Ahead, Backend, CodeKey, CodeOrigin, Compiled, MemoryHost, Run, RunError};
use kapsule_engine::{compile, run, run_once};
use kapsule_format::authoring::{Draft, Inputs};
use kapsule_format::hash::sha256;
use kapsule_format::key::{SecretKey, Suite};
use kapsule_format::package::{PackageBuilder, Scope};
use kapsule_format::verify;
use kapsule_meter::Profile;

use super::large::module_text;
use super::{heading, job, meter, name, policy};
use crate::timing::{compare, readable};

/// Rounds on the interpreter and on the JIT, which takes a hundred times as long to compile.
const ROUNDS: [usize; 2] = [40, 5];

/// The name of a part of a first run, and the part.
type Step<'s> = (&'static str, &'s mut dyn FnMut() -> Result<(), String>);

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
    lines.extend(stored(&wasm)?);
    Ok(lines)
}

/// Measures loading the JIT's code from an authenticated entry, alone and with a run.
fn stored(wasm: &[u8]) -> Result<Vec<String>, String> {
    let key = CodeKey::new([7; 32]);
    let origin = CodeOrigin { module: sha256(wasm), profile: Profile::Integer1 };
    let compiled = compile(&meter(wasm)?, Backend::Jit).map_err(|error| error.to_string())?;
    let entry = compiled.to_stored(&key, &origin).map_err(|error| error.to_string())?;
    let entry = entry.ok_or("the JIT has code to keep")?;
    let load =
        || Compiled::from_stored(&entry, &key, &origin, wasm).ok_or("the entry is not loaded");
    let policy = policy();
    let job = job(&policy, true);
    let acts: [Step<'_>; 2] = [
        ("load it", &mut || Ok(load().map(drop)?)),
        ("load and run it", &mut || completed(run(&load()?, &job, &mut MemoryHost::default()))),
    ];
    let mut lines = vec![format!("  stored code of {} KB for the JIT", entry.len() / 1_000)];
    for (name, act) in acts {
        lines.push(against_compilation(name, act, wasm)?);
    }
    Ok(lines)
}

/// Measures one act against plain wasmi's compilation and returns its line.
fn against_compilation(
    name: &str,
    act: &mut dyn FnMut() -> Result<(), String>,
    wasm: &[u8],
) -> Result<String, String> {
    let plain = || RawModule::compile(wasm, Backend::Wasmi).map(drop).map_err(|e| e.to_string());
    let pair = compare(ROUNDS[0], act, plain)?;
    Ok(format!(
        "  of which {name:<28} {:>5.2}x   {:>10}   plain wasmi compiles in {:>10}",
        pair.ratio(),
        readable(pair.ours),
        readable(pair.peer)
    ))
}

/// Measures each step of a first run on the interpreter against plain wasmi's compilation.
fn steps(file: &[u8], wasm: &[u8]) -> Result<Vec<String>, String> {
    let metered = meter(wasm)?;
    let compiled = compile(&metered, Backend::Wasmi).map_err(|error| error.to_string())?;
    let policy = policy();
    let job = job(&policy, true);
    let steps: [Step<'_>; 4] = [
        ("verify the package", &mut || verified(file).map(drop)),
        ("validate, plan and rewrite", &mut || meter(wasm).map(drop)),
        ("compile what is called, run", &mut || {
            completed(run_once(&metered, Backend::Wasmi, &job, &mut MemoryHost::default()))
        }),
        ("run compiled code", &mut || completed(run(&compiled, &job, &mut MemoryHost::default()))),
    ];
    let mut lines = Vec::new();
    for (name, step) in steps {
        lines.push(against_compilation(name, step, wasm)?);
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
    let ahead = Ahead::begin(file, |_, _| true).ok_or("the package is not worth a thread")?;
    let package = verified(file)?;
    let metered = ahead.meter(package.payload(), Profile::Integer1).map_err(|e| e.to_string())?;
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
