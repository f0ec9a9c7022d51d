//! What an idle instance keeps in memory.

use kapsule_engine::{Backend, MemoryHost, Pool, compile};

use super::{heading, job, meter, name, policy};

/// Idle instances of one measurement.
const INSTANCES: usize = 500;

/// The smallest module that a package can have with a memory of one page, which its entry uses.
const MODULE: &str = r#"(module
  (memory (export "memory") 1)
  (data (i32.const 1024) "some initial data")
  (func (export "kapsule_abi_version") (result i32) i32.const 1)
  (func (export "run") (result i32)
    (i32.store (i32.const 32768) (i32.const 7))
    (i32.store (i32.const 0) (i32.const 7))
    i32.const 0))"#;

/// Measures the growth of the resident set while a pool is filled and each instance has run once.
pub(super) fn measure() -> Result<Vec<String>, String> {
    let mut lines = Vec::from(heading("resident memory of an idle small instance"));
    let wasm = wat::parse_str(MODULE).map_err(|error| error.to_string())?;
    let metered = meter(&wasm)?;
    let policy = policy();
    for &backend in Backend::ALL {
        let compiled = compile(&metered, backend).map_err(|error| error.to_string())?;
        let mut pools: Vec<Pool> =
            (0..=INSTANCES).map(|_| Pool::new(compiled.clone(), 1)).collect();
        let run = |pool: &mut Pool| {
            let run = pool.run(&job(&policy, true), &mut MemoryHost::default());
            run.map(drop).map_err(|error| error.to_string())
        };
        // The first one brings in what all of them share.
        pools.first_mut().map(run).transpose()?;
        let Some(before) = resident_kib() else {
            lines.push("  not measured: /proc/self/status is not here".to_owned());
            break;
        };
        pools.iter_mut().skip(1).try_for_each(run)?;
        let after = resident_kib().unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "kibibytes of a process fit")]
        let each = after.saturating_sub(before) as f64 / INSTANCES as f64;
        lines.push(format!("  {} {each:>6.1} KiB each of {INSTANCES}", name(backend)));
    }
    Ok(lines)
}

/// Returns the resident set of this process in KiB, where the system tells.
fn resident_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
