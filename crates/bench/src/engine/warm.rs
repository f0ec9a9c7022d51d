//! A compiled module called once more, from a fresh instance.

use kapsule_abi::Outcome;
use kapsule_engine::raw::RawModule;
use kapsule_engine::{Backend, MemoryHost, compile, run};

use super::{heading, job, meter, name, policy};
use crate::timing::{Pair, compare, readable};

/// Calls of one measurement.
const CALLS: u32 = 500;
/// Measurements; the shortest counts.
const ROUNDS: usize = 9;

const MODULE: &str = r#"(module
  (memory (export "memory") 1)
  (func (export "kapsule_abi_version") (result i32) i32.const 1)
  (func (export "run") (result i32) i32.const 0))"#;

/// Measures a run without evidence against instantiating and calling the plain module.
pub(super) fn measure() -> Result<Vec<String>, String> {
    let mut lines = Vec::from(heading("warm call of an empty entry, fresh instance each time"));
    let wasm = wat::parse_str(MODULE).map_err(|error| error.to_string())?;
    let metered = meter(&wasm)?;
    for &backend in Backend::ALL {
        let compiled = compile(&metered, backend).map_err(|error| error.to_string())?;
        let plain = RawModule::compile(&wasm, backend).map_err(|error| error.to_string())?;
        let policy = policy();
        let ours = || {
            (0..CALLS).try_for_each(|_| {
                let run = run(&compiled, &job(&policy, false), &mut MemoryHost::default())
                    .map_err(|error| error.to_string())?;
                (run.outcome == Outcome::Completed(0)).then_some(()).ok_or("not completed".into())
            })
        };
        let peer = || {
            (0..CALLS).try_for_each(|_| {
                let mut instance = plain.instantiate(&[]).map_err(|error| error.to_string())?;
                instance.call("run", &[]).map(drop).map_err(|error| error.to_string())
            })
        };
        let pair = compare(ROUNDS, ours, peer)?;
        let each = Pair { ours: pair.ours / CALLS, peer: pair.peer / CALLS };
        lines.push(format!(
            "  {} {:>5.2}x   kapsule {:>10}   plain engine {:>10}",
            name(backend),
            each.ratio(),
            readable(each.ours),
            readable(each.peer)
        ));
    }
    Ok(lines)
}
