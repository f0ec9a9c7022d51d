//! Metered over plain: the same program with and without the injected counters.

use kapsule_engine::Backend;
use kapsule_engine::raw::{RawInstance, RawModule, RawValue};
use kapsule_meter::{Imports, Options, Profile, exports, meter};

use super::{FUEL, heading, name};
use crate::timing::{Pair, compare, geometric_mean, readable};

/// Rounds of each program; the shortest counts.
const ROUNDS: usize = 7;

/// A program with the argument that keeps each backend busy for some 20 ms.
struct Program {
    name: &'static str,
    text: &'static str,
    wasmi: i32,
    jit: i32,
}

const PROGRAMS: [Program; 4] = [
    Program { name: "fib", text: include_str!("../../programs/fib.wat"), wasmi: 23, jit: 30 },
    Program {
        name: "sha256",
        text: include_str!("../../programs/sha256.wat"),
        wasmi: 800,
        jit: 20_000,
    },
    Program {
        name: "sieve",
        text: include_str!("../../programs/sieve.wat"),
        wasmi: 400_000,
        jit: 2_000_000,
    },
    Program {
        name: "matrix",
        text: include_str!("../../programs/matrix.wat"),
        wasmi: 48,
        jit: 128,
    },
];

/// Measures every program on every backend.
pub(super) fn measure() -> Result<Vec<String>, String> {
    let mut lines = Vec::from(heading("metered over plain"));
    for &backend in Backend::ALL {
        let mut ratios = Vec::new();
        for program in &PROGRAMS {
            let argument = if backend == Backend::Wasmi { program.wasmi } else { program.jit };
            let pair = measure_program(program, backend, argument)?;
            ratios.push((program.name, pair.ratio()));
            lines.push(format!(
                "  {} {:<8} {:>5.2}x   metered {:>10}   plain {:>10}",
                name(backend),
                program.name,
                pair.ratio(),
                readable(pair.ours),
                readable(pair.peer)
            ));
        }
        let values: Vec<f64> = ratios.iter().map(|(_, ratio)| *ratio).collect();
        let worst = ratios.iter().max_by(|a, b| a.1.total_cmp(&b.1));
        let (worst, ratio) = worst.ok_or("no program was measured")?;
        lines.push(format!(
            "  {} geometric mean {:.2}x, worst {worst} {ratio:.2}x",
            name(backend),
            geometric_mean(&values)
        ));
    }
    Ok(lines)
}

fn measure_program(program: &Program, backend: Backend, argument: i32) -> Result<Pair, String> {
    let wasm = wat::parse_str(program.text).map_err(|error| error.to_string())?;
    let options = Options { imports: Imports::Any, ..Options::new(Profile::Integer1) };
    let metered = meter(&wasm, &options).map_err(|error| error.to_string())?;
    let mut plain = instance(&wasm, backend)?;
    let mut metered = instance(metered.bytes(), backend)?;
    let expected = call(&mut plain, argument)?;
    let pair = compare(
        ROUNDS,
        || {
            let fuel = RawValue::I64(FUEL.cast_signed());
            metered.set_global(exports::FUEL, fuel).map_err(|error| error.to_string())?;
            expect(program.name, &expected, &call(&mut metered, argument)?)
        },
        || expect(program.name, &expected, &call(&mut plain, argument)?),
    );
    pair.map_err(|error| format!("{} on {backend}: {error}", program.name))
}

fn instance(wasm: &[u8], backend: Backend) -> Result<RawInstance, String> {
    let module = RawModule::compile(wasm, backend).map_err(|error| error.to_string())?;
    module.instantiate(&[]).map_err(|error| error.to_string())
}

fn call(instance: &mut RawInstance, argument: i32) -> Result<Vec<RawValue>, String> {
    instance.call("bench", &[RawValue::I32(argument)]).map_err(|error| error.to_string())
}

fn expect(name: &str, expected: &[RawValue], found: &[RawValue]) -> Result<(), String> {
    // sha256 and sieve go on from the memory of the call before; the others repeat themselves.
    let repeats = name == "fib" || name == "matrix";
    if repeats && expected != found {
        return Err(format!("result {found:?} differs from {expected:?}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_compute_what_they_say() {
        // sha256: three blocks, each the state before it twice, computed with another
        // implementation of FIPS 180-4; matrix: equal on both backends, see below.
        let known = [("fib", 20, 6_765), ("sieve", 100_000, 9_592), ("sha256", 3, -962_627_455)];
        for (name, argument, result) in known {
            let program = PROGRAMS.iter().find(|program| program.name == name).unwrap();
            let wasm = wat::parse_str(program.text).unwrap();
            for &backend in Backend::ALL {
                let mut plain = instance(&wasm, backend).unwrap();
                assert_eq!(call(&mut plain, argument).unwrap(), [RawValue::I32(result)], "{name}");
            }
        }
    }

    #[test]
    fn metering_changes_no_result() {
        let options = Options { imports: Imports::Any, ..Options::new(Profile::Integer1) };
        for program in &PROGRAMS {
            let wasm = wat::parse_str(program.text).unwrap();
            let metered = meter(&wasm, &options).unwrap();
            let mut used = Vec::new();
            for &backend in Backend::ALL {
                let mut plain = instance(&wasm, backend).unwrap();
                let mut counted = instance(metered.bytes(), backend).unwrap();
                counted.set_global(exports::FUEL, RawValue::I64(FUEL.cast_signed())).unwrap();
                let expected = call(&mut plain, 12).unwrap();
                assert_eq!(call(&mut counted, 12).unwrap(), expected, "{}", program.name);
                used.push((expected, counted.global(exports::FUEL).unwrap()));
            }
            assert!(used.windows(2).all(|pair| pair[0] == pair[1]), "{}: {used:?}", program.name);
        }
    }
}
