//! The programs of the engine benchmark on what a user would otherwise embed, in one run.
//!
//! Every subject counts fuel, except the two plain engines that the ratios are taken against.
//! Nothing here asserts a time.

mod extism;
mod kapsule;
mod program;
#[path = "../../src/timing.rs"]
#[expect(dead_code, reason = "shared with the benchmark of the engine, which needs more of it")]
mod timing;
mod wasmi;
mod wasmtime;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use program::Program;
use timing::{busy_time, geometric_mean, readable};

/// Rounds of each program; the shortest time of each subject counts.
const ROUNDS: usize = 15;

/// Fuel that no program here uses up.
const FUEL: u64 = 1 << 50;

/// Something that runs WebAssembly.
trait Subject {
    /// Name in the tables.
    fn name(&self) -> &'static str;

    /// Makes code of a program.
    fn compile(&self, program: &Program) -> Result<Box<dyn Code>, String>;
}

/// A program that is ready to be instantiated.
trait Code {
    /// Calls the program in a fresh instance and returns the processor time of the call alone, and
    /// its result.
    fn call(&self, argument: i32) -> Result<(Duration, i32), String>;
}

/// Subjects of one kind; the first one is what the others are compared with.
struct Group {
    title: &'static str,
    subjects: Vec<Box<dyn Subject>>,
    argument: fn(&Program) -> i32,
}

fn main() -> ExitCode {
    let measured = groups().iter().try_for_each(|group| {
        throughput(group)?;
        first(group)
    });
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn groups() -> [Group; 2] {
    [
        Group {
            title: "compiled",
            subjects: vec![
                Box::new(wasmtime::Wasmtime { fuel: false }),
                Box::new(kapsule::Kapsule::jit()),
                Box::new(wasmtime::Wasmtime { fuel: true }),
                Box::new(extism::Extism),
            ],
            argument: |program| program.compiled,
        },
        Group {
            title: "interpreted",
            subjects: vec![
                Box::new(wasmi::Wasmi { fuel: false }),
                Box::new(kapsule::Kapsule::interpreter()),
                Box::new(wasmi::Wasmi { fuel: true }),
            ],
            argument: |program| program.interpreted,
        },
    ]
}

/// Measures the call of each program and prints it as a multiple of the plain engine's.
fn throughput(group: &Group) -> Result<(), String> {
    println!("{}: time of a call, as a multiple of the plain engine's", group.title);
    let mut columns = vec![Vec::new(); group.subjects.len()];
    head(group);
    for program in program::all() {
        let codes: Vec<_> = group
            .subjects
            .iter()
            .map(|subject| {
                subject.compile(&program).map_err(|error| named(subject, &program, error))
            })
            .collect::<Result<_, _>>()?;
        let argument = (group.argument)(&program);
        let mut best = vec![Duration::MAX; codes.len()];
        let mut results = Vec::new();
        for round in 0..ROUNDS {
            // Whoever goes first changes, so that no subject always has the same neighbour.
            for place in 0..codes.len() {
                let at = (place + round) % codes.len();
                let called = codes[at].call(argument);
                let (time, result) =
                    called.map_err(|error| named(&group.subjects[at], &program, error))?;
                best[at] = best[at].min(time);
                results.push(result);
            }
        }
        if results.iter().any(|result| *result != results[0]) {
            return Err(format!("{}: the results differ: {results:?}", program.name));
        }
        let ratios = best.iter().map(|time| time.as_secs_f64() / best[0].as_secs_f64());
        let ratios: Vec<f64> = ratios.collect();
        row(program.name, best[0], &ratios);
        columns.iter_mut().zip(&ratios).for_each(|(column, ratio)| column.push(*ratio));
    }
    let means: Vec<f64> = columns.iter().map(|column| geometric_mean(column)).collect();
    row("geometric mean", Duration::ZERO, &means);
    Ok(())
}

/// Measures a first run, from the module's bytes to the result, and prints it in the same way.
fn first(group: &Group) -> Result<(), String> {
    println!("\n{}: from the module's bytes to a result, as such a multiple", group.title);
    head(group);
    for program in program::all() {
        let mut best = vec![Duration::MAX; group.subjects.len()];
        for _ in 0..ROUNDS {
            for (subject, best) in group.subjects.iter().zip(&mut best) {
                let start = Instant::now();
                let called = subject.compile(&program).and_then(|code| code.call(1));
                called.map_err(|error| named(subject, &program, error))?;
                *best = (*best).min(start.elapsed());
            }
        }
        let ratios = best.iter().map(|time| time.as_secs_f64() / best[0].as_secs_f64());
        row(program.name, best[0], &ratios.collect::<Vec<f64>>());
    }
    println!();
    Ok(())
}

fn named(subject: &Box<dyn Subject>, program: &Program, error: String) -> String {
    format!("{} on {}: {error}", program.name, subject.name())
}

fn head(group: &Group) {
    print!("  {:<16}{:>12}", "", "plain");
    group.subjects.iter().for_each(|subject| print!("{:>18}", subject.name()));
    println!();
}

fn row(name: &str, plain: Duration, ratios: &[f64]) {
    let plain = if plain.is_zero() { String::new() } else { readable(plain) };
    print!("  {name:<16}{plain:>12}");
    ratios.iter().for_each(|ratio| print!("{:>17.2}x", ratio));
    println!();
}

/// Takes the processor time of a call.
fn timed<R>(call: impl FnOnce() -> Result<R, String>) -> Result<(Duration, R), String> {
    let (start, busy) = (Instant::now(), busy_time());
    let result = call()?;
    let elapsed = start.elapsed();
    let busy = busy.zip(busy_time()).map(|(before, after)| after.saturating_sub(before));
    Ok((busy.unwrap_or(elapsed), result))
}
