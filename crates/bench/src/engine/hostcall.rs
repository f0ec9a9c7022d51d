//! What one hostcall costs, from the guest's call to the guest's next instruction.

use std::time::Duration;

use kapsule_abi::{Hostcall, Outcome, Param, ValueType};
use kapsule_engine::raw::{RawFunction, RawModule, RawType, RawValue};
use kapsule_engine::{Backend, Compiled, Job, MemoryHost, compile, run};
use kapsule_format::policy::Policy;

use super::{heading, job, meter, name, policy};
use crate::timing::compare;

/// Calls of one run.
const CALLS: u32 = 1_000;
/// Measurements; the shortest counts.
const ROUNDS: usize = 60;

/// A hostcall, and the instructions that push its arguments.
struct Call {
    name: &'static str,
    args: &'static str,
}

const HOSTCALLS: [Call; 5] = [
    Call { name: "input_len", args: "" },
    Call { name: "input_read", args: "i64.const 0 i32.const 64 i32.const 32" },
    Call { name: "log", args: "i32.const 3 i32.const 64 i32.const 32" },
    Call { name: "get_trust_score", args: "i32.const 64 i32.const 32" },
    Call { name: "now", args: "" },
];

/// Measures a loop of hostcalls less the loop, against the backend's own call of an empty function.
pub(super) fn measure() -> Result<Vec<String>, String> {
    let title = format!("one hostcall of {CALLS}, grant and limits checked, transcript kept");
    let mut lines = Vec::from(heading(&title));
    for &backend in Backend::ALL {
        for call in &HOSTCALLS {
            let (ours, peer) = each(call, backend)?;
            lines.push(format!(
                "  {} {:<16} {:>5.2}x   kapsule {ours:>6.1} ns   plain engine {peer:>6.1} ns",
                name(backend),
                call.name,
                ours / peer,
            ));
        }
    }
    Ok(lines)
}

/// Returns the nanoseconds of one hostcall and of one plain call.
fn each(call: &Call, backend: Backend) -> Result<(f64, f64), String> {
    let hostcall = Hostcall::from_name(call.name).ok_or("the hostcall is in the table")?;
    let (calling, idle) = (module(call, hostcall, true)?, module(call, hostcall, false)?);
    let grants = granting(hostcall);
    let job = Job { input: &[7; 64], ..job(&grants, true) };
    let ours = {
        let (calling, idle) = (compiled(&calling, backend)?, compiled(&idle, backend)?);
        compare(ROUNDS, || ran(&calling, &job), || ran(&idle, &job))?
    };
    let peer = {
        let (calling, idle) = (plain(&calling, backend)?, plain(&idle, backend)?);
        let function = function(hostcall);
        let call = |module: &RawModule| {
            let mut instance = module.instantiate(std::slice::from_ref(&function));
            let instance = instance.as_mut().map_err(|error| error.to_string())?;
            instance.call("run", &[]).map(drop).map_err(|error| error.to_string())
        };
        compare(ROUNDS, || call(&calling), || call(&idle))?
    };
    let nanoseconds = |with: Duration, without: Duration| {
        with.saturating_sub(without).as_secs_f64() * 1e9 / f64::from(CALLS)
    };
    Ok((nanoseconds(ours.ours, ours.peer), nanoseconds(peer.ours, peer.peer)))
}

/// Returns a policy that grants one hostcall.
fn granting(hostcall: &Hostcall) -> Policy {
    let asked = (!hostcall.is_always_granted()).then(|| hostcall.name.to_owned());
    Policy { hostcalls: asked.into_iter().collect(), ..policy() }
}

fn compiled(wasm: &[u8], backend: Backend) -> Result<Compiled, String> {
    compile(&meter(wasm)?, backend).map_err(|error| error.to_string())
}

fn plain(wasm: &[u8], backend: Backend) -> Result<RawModule, String> {
    RawModule::compile(wasm, backend).map_err(|error| error.to_string())
}

fn ran(compiled: &Compiled, job: &Job<'_>) -> Result<(), String> {
    let run = run(compiled, job, &mut MemoryHost::default()).map_err(|error| error.to_string())?;
    match run.outcome {
        Outcome::Completed(0) => Ok(()),
        other => Err(format!("the run ended with {other}")),
    }
}

/// Returns a module whose entry does the loop, with the call in it or without.
///
/// Both write to their page first, so that both runs end with hashing one: that a call writes to
/// the memory would otherwise cost it the hash of the page, which a run pays once.
fn module(call: &Call, hostcall: &Hostcall, calling: bool) -> Result<Vec<u8>, String> {
    let word = |value_type| match value_type {
        ValueType::I32 => "i32 ",
        ValueType::I64 => "i64 ",
    };
    let params: String = hostcall.params.iter().map(|param| word(param.value_type())).collect();
    let result: String = hostcall.result.iter().map(|result| word(*result)).collect();
    let drop = if hostcall.result.is_some() { "drop" } else { "" };
    let act = if calling { format!("{} call $f {drop}", call.args) } else { String::new() };
    let text = format!(
        r#"(module
          (import "kapsule_v1" "{}" (func $f (param {params}) (result {result})))
          (memory (export "memory") 1)
          (func (export "kapsule_abi_version") (result i32) i32.const 1)
          (func (export "run") (result i32) (local $i i32)
            i32.const 0 i32.const 1 i32.store
            loop $l
              {act}
              local.get $i i32.const 1 i32.add local.tee $i i32.const {CALLS} i32.lt_u br_if $l
            end
            i32.const 0))"#,
        call.name
    );
    wat::parse_str(text).map_err(|error| error.to_string())
}

/// Returns an import with the signature of a hostcall that does nothing.
fn function(hostcall: &Hostcall) -> RawFunction {
    let raw = |value_type| match value_type {
        ValueType::I32 => RawType::I32,
        ValueType::I64 => RawType::I64,
    };
    let zero: Vec<RawValue> = hostcall
        .result
        .iter()
        .map(|result| match result {
            ValueType::I32 => RawValue::I32(0),
            ValueType::I64 => RawValue::I64(0),
        })
        .collect();
    RawFunction {
        module: kapsule_abi::IMPORT_NAMESPACE.to_owned(),
        name: hostcall.name.to_owned(),
        params: hostcall.params.iter().map(Param::value_type).map(raw).collect(),
        results: hostcall.result.iter().copied().map(raw).collect(),
        body: std::sync::Arc::new(move |_, _| Ok(zero.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loop_makes_every_call_that_it_says() {
        for call in &HOSTCALLS {
            let hostcall = Hostcall::from_name(call.name).unwrap();
            let wasm = module(call, hostcall, true).unwrap();
            let compiled = compiled(&wasm, Backend::Wasmi).unwrap();
            let policy = granting(hostcall);
            let run = run(&compiled, &job(&policy, false), &mut MemoryHost::default()).unwrap();
            assert_eq!(run.outcome, Outcome::Completed(0));
            assert_eq!(run.usage.hostcalls[&hostcall.number], u64::from(CALLS), "{}", call.name);
        }
    }
}
