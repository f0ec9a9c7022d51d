//! One program: lowered, executed, traced, proven and verified.

use std::time::{Duration, Instant};

use kapsule_lower::{Options, lower};
use kapsule_proof::{Expected, Key, ParamSet, ProofFile, verify};
use kapsule_prover::exec::{Bounds, End, Machine, NoTrace, Recorded, Tracer};
use kapsule_prover::prove::{Job, STEPS_MAX, prove, witness};
use kapsule_prover::trace::Log;

use super::counting::Counter;
use super::phases::{self, Phases};
use super::programs::Program;
use super::system;

/// Fuel that no program here uses up.
const FUEL: u64 = 1 << 40;
/// Pages that every program here fits in.
const PAGES: u32 = 1 << 10;
/// Runs of the executor, of which the shortest counts.
const ROUNDS: usize = 5;
/// Verifications, of which the shortest counts; so many, that one falls between other work.
const VERIFIED: usize = 50;

/// What was found about one program.
pub(super) struct Measured {
    pub(super) name: &'static str,
    pub(super) what: String,
    /// Executed wasm instructions but those that only structure control.
    pub(super) instructions: u64,
    pub(super) steps: u64,
    pub(super) tables: Vec<Rows>,
    pub(super) times: Times,
    /// Of the argument.
    pub(super) phases: Phases,
    /// Processor time of witness and proof in seconds, all threads together.
    pub(super) cpu_seconds: Option<f64>,
    pub(super) peak_bytes: Option<u64>,
    pub(super) proof_bytes: usize,
}

/// The size of one table.
pub(super) struct Rows {
    pub(super) name: &'static str,
    pub(super) height: usize,
    /// Rows that are not padding; those of fixed tables all count.
    pub(super) rows: usize,
    /// Columns over the base field.
    pub(super) width: usize,
    /// Columns of the buses over the extension.
    pub(super) bus_columns: usize,
}

/// How long each part took.
pub(super) struct Times {
    pub(super) lower: Duration,
    pub(super) key: Duration,
    /// The executor alone, nothing recorded.
    pub(super) execute: Duration,
    /// The executor with the log that tables are made of.
    pub(super) record: Duration,
    /// From start to tables, which includes another `record`.
    pub(super) witness: Duration,
    pub(super) prove: Duration,
    /// From bytes to the verdict.
    pub(super) verify: Duration,
}

/// Why a program was not measured.
pub(super) enum Fault {
    /// Its run does not fit one segment.
    TooLong { steps: u64 },
    /// Anything that is a mistake.
    Other(String),
}

impl From<String> for Fault {
    fn from(error: String) -> Self {
        Self::Other(error)
    }
}

impl Measured {
    /// Returns the wall time from start to proof.
    pub(super) fn total(&self) -> Duration {
        self.times.witness + self.times.prove
    }

    pub(super) fn main_cells(&self) -> usize {
        self.tables.iter().map(|table| table.height * table.width).sum()
    }

    /// Returns the cells of the buses, over the base field.
    pub(super) fn bus_cells(&self) -> usize {
        self.tables.iter().map(|table| table.height * table.bus_columns * 4).sum()
    }
}

/// Measures one program.
pub(super) fn measure(program: Program, params: ParamSet) -> Result<Measured, Fault> {
    let start = Instant::now();
    let lowered = lower(&program.wasm, &Options::new(PAGES)).map_err(|error| error.to_string())?;
    let lower_time = start.elapsed();
    let start = Instant::now();
    let key = Key::derive(&lowered.program, params)
        .ok_or_else(|| "the program is too large".to_owned())?;
    let key_time = start.elapsed();
    let pc = key.entry("run").ok_or_else(|| "the program has no entry `run`".to_owned())?.pc;
    let run = Run { key: &key, pc, words: &program.words };
    let mut execute = Duration::MAX;
    let mut steps = 0;
    for _ in 0..ROUNDS {
        let (time, count) = run.execute(&mut NoTrace)?;
        (execute, steps) = (execute.min(time), count);
    }
    if steps > STEPS_MAX {
        return Err(Fault::TooLong { steps });
    }
    let mut counter = Counter::new(&lowered);
    run.execute(&mut counter)?;
    let (record, _) = run.execute(&mut Log::default())?;

    system::reset_peak();
    phases::take();
    let cpu = system::cpu_seconds();
    let job = job(&program.words);
    let start = Instant::now();
    let witness = witness(&key, &job).map_err(|error| error.to_string())?;
    let witness_time = start.elapsed();
    let start = Instant::now();
    let file = prove(&key, &witness).map_err(|error| error.to_string())?;
    let prove_time = start.elapsed();
    let cpu_seconds = system::cpu_seconds().zip(cpu).map(|(end, start)| end - start);
    let (phases, peak_bytes) = (phases::take(), system::peak_bytes());

    let bytes = file.encode();
    let mut times = Times {
        lower: lower_time,
        key: key_time,
        execute,
        record,
        witness: witness_time,
        prove: prove_time,
        verify: Duration::MAX,
    };
    for _ in 0..VERIFIED {
        times.verify = times.verify.min(judge(&key, &bytes, &job)?);
    }
    let tables = witness.tables.iter().map(|(table, trace)| Rows {
        name: table.name(),
        height: trace.values.len() / trace.width,
        rows: trace.values.chunks(trace.width).filter(|row| row.iter().any(is_set)).count(),
        width: trace.width,
        bus_columns: key.bus_columns(table.number()),
    });
    Ok(Measured {
        name: program.name,
        what: program.what,
        instructions: counter.instructions(),
        steps,
        tables: tables.collect(),
        times,
        phases,
        cpu_seconds,
        peak_bytes,
        proof_bytes: bytes.len(),
    })
}

fn is_set(cell: &kapsule_proof::field::F) -> bool {
    *cell != kapsule_proof::field::F::default()
}

/// One run that is repeated.
struct Run<'a> {
    key: &'a Key,
    pc: u32,
    words: &'a [u64],
}

impl Run<'_> {
    /// Runs from a fresh machine and returns the time and the steps.
    fn execute<T: Tracer>(&self, tracer: &mut T) -> Result<(Duration, u64), String> {
        let mut machine = Machine::new(&self.key.program).map_err(|error| error.to_string())?;
        let mut words = Recorded::new(self.words.iter().copied());
        let bounds = Bounds { fuel: FUEL, steps: u64::MAX };
        let start = Instant::now();
        let ran = machine.run(self.pc, bounds, &mut words, tracer);
        let time = start.elapsed();
        let ran = ran.map_err(|error| error.to_string())?;
        match ran.end {
            End::Completed => Ok((time, ran.steps)),
            other => Err(format!("the run ended as {other:?}")),
        }
    }
}

/// Returns the claim; nothing that is measured depends on what stands in its digests.
const fn job(words: &[u64]) -> Job<'_> {
    Job {
        module_hash: [1; 32],
        policy_digest: [2; 32],
        binding: [3; 32],
        entry: "run",
        fuel_limit: FUEL,
        words,
        salt_present: false,
    }
}

/// Decodes and verifies, and returns the time.
fn judge(key: &Key, bytes: &[u8], job: &Job<'_>) -> Result<Duration, String> {
    let expected = Expected { allow_test_params: true, ..job.expected() };
    let start = Instant::now();
    let file = ProofFile::decode(bytes).map_err(|error| error.to_string())?;
    verify(key, &file, &expected).map_err(|error| error.to_string())?;
    Ok(start.elapsed())
}
