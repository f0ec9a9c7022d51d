//! Metered over plain: the same program with and without the injected counters, and with those
//! that the backend has itself.

use std::time::{Duration, Instant};

use kapsule_engine::Backend;
use kapsule_engine::raw::{RawInstance, RawModule, RawValue};
use kapsule_meter::{Options, exports, meter};

use super::programs::{self, Prepared, Program};
use super::{FUEL, heading, name};
use crate::timing::{Pair, busy_time, geometric_mean, median, readable};

/// Rounds of each program; the shortest time of each side counts.
const ROUNDS: usize = 40;

/// Measures every program on every backend.
pub(super) fn measure() -> Result<Vec<String>, String> {
    let programs = programs::all()?;
    let mut lines = Vec::from(heading("metered over plain"));
    for &backend in Backend::ALL {
        let (mut ratios, mut own) = (Vec::new(), Vec::new());
        for program in &programs {
            let found = measure_program(program, backend)
                .map_err(|error| format!("{} on {backend}: {error}", program.name))?;
            ratios.push((program.name, found.pair.ratio()));
            own.push(found.own);
            lines.push(format!(
                "  {} {:<8} {:>5.2}x   own fuel {:>5.2}x   metered {:>10}   plain {:>10}   median \
                 {:.2}x   {}",
                name(backend),
                program.name,
                found.pair.ratio(),
                found.own,
                readable(found.pair.ours),
                readable(found.pair.peer),
                found.median,
                found.what,
            ));
        }
        let values: Vec<f64> = ratios.iter().map(|(_, ratio)| *ratio).collect();
        let worst = ratios.iter().max_by(|a, b| a.1.total_cmp(&b.1));
        let (worst, ratio) = worst.ok_or("no program was measured")?;
        lines.push(format!(
            "  {} geometric mean {:.2}x, worst {worst} {ratio:.2}x, own fuel {:.2}x",
            name(backend),
            geometric_mean(&values),
            geometric_mean(&own)
        ));
    }
    Ok(lines)
}

/// What the rounds of one program came to.
struct Found {
    pair: Pair,
    /// What the backend's own counting costs over plain.
    own: f64,
    /// Median of the ratios of single rounds; far from the ratio, the machine was busy.
    median: f64,
    what: String,
}

fn measure_program(program: &Program, backend: Backend) -> Result<Found, String> {
    let prepared = program.prepare(backend)?;
    let plain = compile(&program.wasm, backend)?;
    let metered = compile(&metered(program)?, backend)?;
    let fuelled =
        RawModule::compile_fuelled(&program.wasm, backend).map_err(|error| error.to_string())?;
    let (_, expected) = timed(program, &plain, &prepared, false)?;
    let mut pair = Pair { ours: Duration::MAX, peer: Duration::MAX };
    let (mut ratios, mut own) = (Vec::new(), Duration::MAX);
    for round in 0..ROUNDS {
        // Each side goes first in every other round.
        let ours_first = round % 2 == 0;
        let mut times = [Duration::MAX; 2];
        for counted in [ours_first, !ours_first] {
            let module = if counted { &metered } else { &plain };
            let (time, found) = timed(program, module, &prepared, counted)?;
            if found != expected {
                return Err(format!("result {found:?} differs from {expected:?}"));
            }
            times[usize::from(!counted)] = time;
        }
        let [ours, peer] = times;
        pair = Pair { ours: pair.ours.min(ours), peer: pair.peer.min(peer) };
        ratios.push(Pair { ours, peer }.ratio());
        own = own.min(timed(program, &fuelled, &prepared, false)?.0);
    }
    let own = Pair { ours: own, peer: pair.peer }.ratio();
    Ok(Found { pair, own, median: median(&mut ratios), what: prepared.what })
}

fn metered(program: &Program) -> Result<Vec<u8>, String> {
    let options = Options { imports: program.imports, ..Options::new(program.profile) };
    let metered = meter(&program.wasm, &options).map_err(|error| error.to_string())?;
    Ok(metered.bytes().to_vec())
}

fn compile(wasm: &[u8], backend: Backend) -> Result<RawModule, String> {
    RawModule::compile(wasm, backend).map_err(|error| error.to_string())
}

/// Runs a program in a fresh instance and returns the processor time of the call and its results.
fn timed(
    program: &Program,
    module: &RawModule,
    prepared: &Prepared,
    counted: bool,
) -> Result<(Duration, Vec<RawValue>), String> {
    let mut instance =
        module.instantiate(&prepared.functions).map_err(|error| error.to_string())?;
    if counted {
        grant(&mut instance)?;
    }
    let (start, busy) = (Instant::now(), busy_time());
    let found = instance.call(program.entry, &prepared.args).map_err(|error| error.to_string())?;
    let elapsed = start.elapsed();
    let busy = busy.zip(busy_time()).map(|(before, after)| after.saturating_sub(before));
    Ok((busy.unwrap_or(elapsed), found))
}

fn grant(instance: &mut RawInstance) -> Result<(), String> {
    let fuel = RawValue::I64(FUEL.cast_signed());
    instance.set_global(exports::FUEL, fuel).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use kapsule_meter::Imports;

    use super::*;

    fn run(program: &Program, backend: Backend, args: &[RawValue]) -> Vec<RawValue> {
        let module = compile(&program.wasm, backend).unwrap();
        module.instantiate(&[]).unwrap().call(program.entry, args).unwrap()
    }

    #[test]
    fn programs_compute_what_they_say() {
        // sha256: three blocks, each the state before it twice, computed with another
        // implementation of FIPS 180-4; nbody: a hundred steps in another language.
        let known = [
            ("fib", 20, 6_765),
            ("sieve", 100_000, 9_592),
            ("sha256", 3, -962_627_455),
            ("nbody", 100, 1_074_959_909),
        ];
        let programs = programs::all().unwrap();
        for (name, argument, result) in known {
            let program = programs.iter().find(|program| program.name == name).unwrap();
            for &backend in Backend::ALL {
                let found = run(program, backend, &[RawValue::I32(argument)]);
                assert_eq!(found, [RawValue::I32(result)], "{name}");
            }
        }
    }

    #[test]
    fn metering_changes_no_result_and_counts_the_same_on_every_backend() {
        for program in programs::all().unwrap() {
            let mut used = Vec::new();
            for &backend in Backend::ALL {
                let prepared = match program.imports {
                    Imports::Any => Prepared {
                        args: vec![RawValue::I32(12)],
                        functions: Vec::new(),
                        what: String::new(),
                    },
                    // The input of the interpreter, which is the shorter one.
                    Imports::Kapsule => program.prepare(Backend::Wasmi).unwrap(),
                };
                let plain = compile(&program.wasm, backend).unwrap();
                let counted = compile(&metered(&program).unwrap(), backend).unwrap();
                let (_, expected) = timed(&program, &plain, &prepared, false).unwrap();
                let mut instance = counted.instantiate(&prepared.functions).unwrap();
                grant(&mut instance).unwrap();
                let found = instance.call(program.entry, &prepared.args).unwrap();
                assert_eq!(found, expected, "{}", program.name);
                if program.imports == Imports::Kapsule {
                    assert_eq!(found, [RawValue::I32(0)], "{}", program.name);
                }
                used.push((found, instance.global(exports::FUEL).unwrap()));
            }
            assert!(used.windows(2).all(|pair| pair[0] == pair[1]), "{}: {used:?}", program.name);
        }
    }
}
