//! Runs of lowered programs in the tables of the circuit: an honest run satisfies every constraint
//! and balances every bus.

use kapsule_abi::ErrorCode;
use kapsule_engine::{Backend, Compiled, Run, compile};
use kapsule_lower::isa::TAG_IN;
use kapsule_lower::words::Event;
use kapsule_lower::{LProgram, Passes};
use kapsule_meter::{Options, meter};
use kapsule_proof::machine::{Table, check_segment};
use kapsule_proof::{Key, ParamSet, Preamble, Transcript, TranscriptEnd, program_digest, verify};
use kapsule_prover::exec::Execution;
use kapsule_prover::prove::{Job, ProveError, Subject, Witness, prove, witness};

use crate::differential::{Disagreement, Ending, Report, hostcalls, pages_granted, reason, run_on};
use crate::lowered::{LoweredModule, events};
use crate::wrap::ENTRY;
use crate::{FUEL_GRANTED, Random, Sample};

/// Fuel of the longer of the two runs of a sample.
///
/// Chosen: most modules that end by themselves do so within it, and tables stay small.
const FUEL: u64 = 4_000;

/// One sample in so many is proven as well, which takes a hundred times as long.
const PROVEN_ONE_IN: u64 = 1_000;

/// A program with its tables.
pub struct Circuit {
    program: LProgram,
    tables: [Table; Table::COUNT],
    digest: [u8; 32],
}

/// One run in tables, all of which hold.
pub struct Traced {
    /// The run.
    pub witness: Witness,
    job: Granted,
    transcript: TranscriptEnd,
}

/// What a run was given.
#[derive(Clone, Debug)]
pub struct Granted {
    /// Entry.
    pub entry: String,
    /// Fuel.
    pub fuel: u64,
    /// Words that enter.
    pub words: Vec<u64>,
}

impl Granted {
    fn job(&self) -> Job<'_> {
        Job {
            module_hash: [1; 32],
            policy_digest: [2; 32],
            binding: [3; 32],
            entry: &self.entry,
            fuel_limit: self.fuel,
            words: &self.words,
            salt_present: false,
        }
    }
}

impl Circuit {
    /// Returns the circuit of a program.
    #[must_use]
    pub fn new(program: LProgram) -> Self {
        let (tables, digest) = (Table::all(&program), program_digest(&program));
        Self { program, tables, digest }
    }

    /// Returns the program.
    #[must_use]
    pub const fn program(&self) -> &LProgram {
        &self.program
    }

    /// Runs the program, checks that its transcript is that of the events, and checks every table;
    /// `None` if the run is longer than one segment.
    ///
    /// # Errors
    /// What does not hold.
    pub fn trace(&self, granted: Granted, events: &[Event]) -> Result<Option<Traced>, String> {
        let subject = Subject {
            program: &self.program,
            tables: &self.tables,
            program_digest: self.digest,
            param_set: ParamSet::TEST.number,
        };
        let job = granted.job();
        let traced = match witness(subject, &job) {
            Err(ProveError::TooLong(_)) => return Ok(None),
            other => other.map_err(|error| error.to_string())?,
        };
        let transcript = self.transcript(&job, events)?;
        if traced.statement.transcript != transcript.digest {
            return Err("the transcript is another one".into());
        }
        check_segment(&traced.tables, &traced.publics).map_err(|failures| {
            let shown: Vec<String> =
                failures.iter().take(4).map(|one| format!("{one:?}")).collect();
            format!("{} failures in the tables: {}", failures.len(), shown.join(", "))
        })?;
        Ok(Some(Traced { witness: traced, job: granted, transcript }))
    }

    fn transcript(&self, job: &Job<'_>, events: &[Event]) -> Result<TranscriptEnd, String> {
        let entry = self.program.entries.get(job.entry).copied().ok_or("no stub of the entry")?;
        let (policy, limit) = (job.policy_digest, job.fuel_limit);
        let preamble = Preamble::of(&self.program, entry, policy, limit, false);
        Ok(Transcript::new(&preamble).of(events))
    }

    /// Proves a run with the test parameters and verifies the proof.
    ///
    /// # Errors
    /// Why either fails.
    pub fn prove(&self, traced: &Traced) -> Result<(), String> {
        let key = Key::derive(&self.program, ParamSet::TEST).ok_or("the program is too large")?;
        let file = prove(&key, &traced.witness).map_err(|error| error.to_string())?;
        let transcript = Some(traced.transcript);
        let expected = kapsule_proof::Expected {
            allow_test_params: true,
            transcript,
            ..traced.job.job().expected()
        };
        verify(&key, &file, &expected).map_err(|error| error.to_string())
    }
}

/// Runs the integer sample of a seed on the interpreter, lowered on the executor, and in the tables
/// of the circuit, with two fuel limits, and compares everything.
///
/// # Errors
/// The first difference, or what does not hold in the tables.
pub fn check(seed: u64) -> Result<Report, Disagreement> {
    let Some(sample) = Sample::generate(seed.wrapping_mul(2)) else {
        return Ok(Report::without_run(Ending::NoModule));
    };
    check_sample(&sample).map_err(|what| Disagreement { seed: sample.seed, what })
}

fn check_sample(sample: &Sample) -> Result<Report, String> {
    let metered = match meter(&sample.wasm, &Options::new(sample.profile)) {
        Ok(metered) => metered,
        Err(error) => return Ok(Report::without_run(Ending::Refused(reason(&error)))),
    };
    let pages = pages_granted(sample);
    if metered.memory().is_some_and(|memory| memory.pages_min > pages) {
        let reason = ErrorCode::ResourcesExceedPolicy.to_string();
        return Ok(Report::without_run(Ending::Refused(reason)));
    }
    let compiled = compile(&metered, Backend::Wasmi).map_err(|error| error.to_string())?;
    let module = LoweredModule::new(&sample.wasm, &metered, pages, Passes::ALL);
    let module = module.map_err(|error| error.to_string())?;
    let circuit = Circuit::new(module.lowered().program.clone());
    let (whole, traced) = trace_sample(sample, &compiled, &module, &circuit, FUEL)?;
    let mut report = Report::without_run(Ending::Ran(whole.outcome));
    report.hostcalls = hostcalls(&whole);
    let mut random = Random::new(sample.seed ^ 0x7472_6163);
    let limit = random.below(whole.usage.fuel.min(FUEL_GRANTED) + 1);
    let (_, cut) = trace_sample(sample, &compiled, &module, &circuit, limit)?;
    report.runs = 2;
    for traced in [&traced, &cut].into_iter().flatten() {
        report.traced[0] += 1;
        report.traced[1] += traced.witness.steps as u64;
    }
    if let (true, Some(traced)) = ((sample.seed / 2).is_multiple_of(PROVEN_ONE_IN), &traced) {
        circuit.prove(traced)?;
        report.proven = 1;
    }
    Ok(report)
}

/// Runs a sample with this much fuel everywhere.
fn trace_sample(
    sample: &Sample,
    compiled: &Compiled,
    module: &LoweredModule,
    circuit: &Circuit,
    fuel: u64,
) -> Result<(Run, Option<Traced>), String> {
    let run = run_on(compiled, sample, fuel)?.0;
    let context = |what: String| format!("with {fuel} fuel: {what}");
    let ran = module.compare(&run).map_err(context)?;
    let events = events(run.transcript.as_ref().ok_or("a run has no transcript")?)?;
    let words = events.iter().filter(|event| event.tag == TAG_IN).map(|event| event.word);
    let granted = Granted { entry: ENTRY.into(), fuel, words: words.collect() };
    let traced = circuit.trace(granted, &events).map_err(context)?;
    if let Some(traced) = &traced {
        let (one, other) = (&ran.execution, &traced.witness.execution);
        // Without a tracer there is no time.
        if *one != (Execution { ts: one.ts, ..*other }) {
            return Err(context(format!("a traced run ends otherwise: {one:?}, {other:?}")));
        }
    }
    Ok((run, traced))
}

/// Seeds that the continuous checks cover, of which two are proven.
pub const CI_SEEDS: core::ops::Range<u64> = 0..1_001;
