//! A compiled module called once more, from a state that no run has touched.

use kapsule_abi::Outcome;
use kapsule_engine::raw::RawModule;
use kapsule_engine::{Backend, MemoryHost, Pool, Run, RunError, compile, run};
use kapsule_meter::MeteredModule;

use super::{heading, job, meter, name, policy};
use crate::timing::{Pair, compare, readable};

/// Calls of one measurement.
const CALLS: u32 = 500;
/// Measurements; the shortest counts.
const ROUNDS: usize = 15;

/// A module, what its entry does and its body.
const ENTRIES: [(&str, &str); 2] =
    [("writes nothing", ""), ("writes one word", "(i32.store (i32.const 4096) (i32.const 7))")];

/// Measures runs against instantiating and calling the plain module.
pub(super) fn measure() -> Result<Vec<String>, String> {
    let mut lines = Vec::from(heading("warm call of a small entry, fresh state each time"));
    for (title, body) in ENTRIES {
        let wasm = wat::parse_str(format!(
            r#"(module
              (memory (export "memory") 1)
              (func (export "kapsule_abi_version") (result i32) i32.const 1)
              (func (export "run") (result i32) {body} i32.const 0))"#
        ));
        let wasm = wasm.map_err(|error| error.to_string())?;
        let metered = meter(&wasm)?;
        for &backend in Backend::ALL {
            for evidence in [true, false] {
                for pooled in [true, false] {
                    let each = each(&wasm, &metered, backend, evidence, pooled)?;
                    let kind = if pooled { "pool" } else { "new" };
                    let with = if evidence { "evidence" } else { "none" };
                    let what = format!("{} {title:<15} {kind:<4} {with:<8}", name(backend));
                    lines.push(format!(
                        "  {what} {:>5.2}x   kapsule {:>9}   plain new {:>9}",
                        each.ratio(),
                        readable(each.ours),
                        readable(each.peer)
                    ));
                }
            }
        }
    }
    Ok(lines)
}

/// Returns the time of one run and of one plain instance that is called.
fn each(
    wasm: &[u8],
    metered: &MeteredModule,
    backend: Backend,
    evidence: bool,
    pooled: bool,
) -> Result<Pair, String> {
    let compiled = compile(metered, backend).map_err(|error| error.to_string())?;
    let plain = RawModule::compile(wasm, backend).map_err(|error| error.to_string())?;
    let policy = policy();
    let job = job(&policy, evidence);
    let mut pool = Pool::new(compiled.clone(), 1);
    let mut once = || match pooled {
        true => pool.run(&job, &mut MemoryHost::default()),
        false => run(&compiled, &job, &mut MemoryHost::default()),
    };
    let ours = || (0..CALLS).try_for_each(|_| completed(once()));
    let peer = || {
        (0..CALLS).try_for_each(|_| {
            let mut instance = plain.instantiate(&[]).map_err(|error| error.to_string())?;
            instance.call("run", &[]).map(drop).map_err(|error| error.to_string())
        })
    };
    let pair = compare(ROUNDS, ours, peer)?;
    Ok(Pair { ours: pair.ours / CALLS, peer: pair.peer / CALLS })
}

fn completed(run: Result<Run, RunError>) -> Result<(), String> {
    let run = run.map_err(|error| error.to_string())?;
    (run.outcome == Outcome::Completed(0)).then_some(()).ok_or_else(|| "not completed".into())
}
