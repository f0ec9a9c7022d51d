//! The executor of lowered programs beside the interpreter.

use std::time::Duration;

use kapsule_engine::Backend;
use kapsule_engine::raw::{RawModule, RawValue};
use kapsule_lower::{Lowered, Options, lower};
use kapsule_meter::{Profile, exports};
use kapsule_prover::exec::{Bounds, Execution, Machine, NoTrace, Recorded};

use super::programs::{self, Program, Work};
use super::{FUEL, MEMORY_BYTES, heading};
use crate::run::words;
use crate::timing::{compare, geometric_mean, per_second, readable};

/// Rounds of each program; the shortest time of each side counts.
const ROUNDS: usize = 5;
const BOUNDS: Bounds = Bounds { fuel: FUEL, steps: u64::MAX };

/// Measures every program without floats.
pub(super) fn measure() -> Result<Vec<String>, String> {
    let mut lines = Vec::from(heading("executor of lowered programs over metered wasmi"));
    let mut ratios = Vec::new();
    for program in programs::all()?.iter().filter(|one| one.profile == Profile::Integer1) {
        let found =
            measure_program(program).map_err(|error| format!("{}: {error}", program.name))?;
        ratios.push(found.ratio);
        lines.push(format!(
            "  {:<8} {:>5.2}x   {:>4.0} M steps/s   {:.2} steps a fuel   {} steps in {}",
            program.name,
            found.ratio,
            per_second(found.execution.steps, found.time) / 1e6,
            share(found.execution.steps, found.execution.fuel_used),
            found.execution.steps,
            readable(found.time),
        ));
    }
    lines.push(format!("  geometric mean {:.2}x", geometric_mean(&ratios)));
    Ok(lines)
}

struct Found {
    ratio: f64,
    time: Duration,
    execution: Execution,
}

fn measure_program(program: &Program) -> Result<Found, String> {
    let pages = u32::try_from(MEMORY_BYTES / u64::from(kapsule_abi::PAGE_BYTES))
        .map_err(|error| error.to_string())?;
    let options = Options { imports: program.imports, ..Options::new(pages) };
    let lowered = lower(&program.wasm, &options).map_err(|error| error.to_string())?;
    let prepared = program.prepare(Backend::Wasmi)?;
    let mut last = None;
    let mut ours: Box<dyn FnMut() -> Result<(), String>> = match program.work {
        Work::Argument { wasmi, .. } => {
            let pc = function_pc(&lowered, program)?;
            let argument = u64::from(wasmi.cast_unsigned());
            let (lowered, last) = (&lowered, &mut last);
            Box::new(move || {
                let mut machine = machine(lowered)?;
                let other = (&mut Recorded::default(), &mut NoTrace);
                let called = machine.call(pc, &[argument], BOUNDS, other);
                *last = Some(called.map_err(|error| error.to_string())?);
                Ok(())
            })
        }
        Work::Input { make, wasmi, .. } => {
            let words = words(&program.wasm, &make(wasmi)?.0)?;
            let pc = lowered.program.entries.get(program.entry).ok_or("no such entry")?.pc;
            let (lowered, last) = (&lowered, &mut last);
            Box::new(move || {
                let mut words = Recorded::new(words.iter().copied());
                let ran = machine(lowered)?.run(pc, BOUNDS, &mut words, &mut NoTrace);
                *last = Some(ran.map_err(|error| error.to_string())?);
                Ok(())
            })
        }
    };
    let metering = kapsule_meter::Options {
        imports: program.imports,
        ..kapsule_meter::Options::new(program.profile)
    };
    let metered =
        kapsule_meter::meter(&program.wasm, &metering).map_err(|error| error.to_string())?;
    let module =
        RawModule::compile(metered.bytes(), Backend::Wasmi).map_err(|error| error.to_string())?;
    let pair = compare(ROUNDS, &mut ours, || {
        let failed = |error: kapsule_engine::raw::RawError| error.to_string();
        let mut instance = module.instantiate(&prepared.functions).map_err(failed)?;
        let fuel = RawValue::I64(FUEL.cast_signed());
        instance.set_global(exports::FUEL, fuel).map_err(failed)?;
        instance.call(program.entry, &prepared.args).map(|_| ()).map_err(failed)
    })?;
    drop(ours);
    let execution = last.ok_or("nothing was run")?;
    Ok(Found { ratio: pair.ratio(), time: pair.ours, execution })
}

fn machine(lowered: &Lowered) -> Result<Machine, String> {
    Machine::new(&lowered.program).map_err(|error| error.to_string())
}

/// Returns the first instruction of the exported function that a program is measured by.
fn function_pc(lowered: &Lowered, program: &Program) -> Result<u32, String> {
    lowered.exports.get(program.entry).copied().ok_or_else(|| "no such export".to_owned())
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}
