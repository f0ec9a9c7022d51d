//! Lowered programs against the engines: whatever a run reports must be equal.

use core::fmt;

use kapsule_abi::{ErrorCode, Limit, Outcome, Rule, ValueType};
use kapsule_engine::{Backend, Run, compile};
use kapsule_format::transcript::{
    State, Transcript, empty_storage_root, globals_hash, memory_root,
};
use kapsule_lower::isa::TAG_IN;
use kapsule_lower::words::{self, Event, Record};
use kapsule_lower::{LowerError, Lowered, Options, Passes, lower};
use kapsule_meter::{MeteredModule, exports, meter};
use kapsule_prover::exec::{Bounds, End, Execution, Machine, NoTrace, Recorded};

use crate::differential::{
    Disagreement, Ending, Report, hostcalls, limits, pages_granted, reason, run_on,
};
use crate::{FUEL_GRANTED, Sample};

/// Steps that a run may take.
///
/// Zeros of locals, words of hostcalls and the steps of bulk operations cost no fuel of their own;
/// more than this is an endless loop of the lowering's making.
const STEPS_MAX: u64 = 1 << 32;

/// Every choice of passes that is tried.
pub const PASSES: [Passes; 6] = [
    Passes::ALL,
    Passes::NONE,
    Passes { fold: false, ..Passes::ALL },
    Passes { fuse: false, ..Passes::ALL },
    Passes { retarget: false, ..Passes::ALL },
    Passes { zero_init: false, ..Passes::ALL },
];

/// Fuel up to which a module is run at every limit.
const EVERY_LIMIT_MAX: u64 = 200;

/// Runs the integer sample of a seed on the interpreter and, for every choice of passes, as a
/// lowered program, at several fuel limits or at every one, and compares everything.
///
/// # Errors
/// The first difference.
pub fn check(seed: u64) -> Result<Report, Disagreement> {
    // Even seeds are of the integer profile.
    let Some(sample) = Sample::generate(seed.wrapping_mul(2)) else {
        return Ok(Report::without_run(Ending::NoModule));
    };
    check_sample(&sample).map_err(|what| Disagreement { seed: sample.seed, what })
}

fn check_sample(sample: &Sample) -> Result<Report, String> {
    let metered = match meter(&sample.wasm, &kapsule_meter::Options::new(sample.profile)) {
        Ok(metered) => metered,
        Err(error) => return Ok(Report::without_run(Ending::Refused(reason(&error)))),
    };
    let pages = pages_granted(sample);
    if metered.memory().is_some_and(|memory| memory.pages_min > pages) {
        let reason = ErrorCode::ResourcesExceedPolicy.to_string();
        return Ok(Report::without_run(Ending::Refused(reason)));
    }
    let compiled = compile(&metered, Backend::Wasmi).map_err(|error| error.to_string())?;
    let programs = PASSES.map(|passes| LoweredModule::new(&sample.wasm, &metered, pages, passes));
    let whole = run_on(&compiled, sample, FUEL_GRANTED)?.0;
    let limits = match whole.usage.fuel {
        total @ 0..=EVERY_LIMIT_MAX => (0..=total).collect(),
        _ => limits(sample.seed, &whole),
    };
    let mut runs = 0;
    for limit in limits.into_iter().chain([FUEL_GRANTED]) {
        let run = run_on(&compiled, sample, limit)?.0;
        for (program, passes) in programs.iter().zip(PASSES) {
            let program = program.as_ref().map_err(|error| format!("{passes:?}: {error}"))?;
            let compared = program.compare(&run);
            compared.map_err(|what| format!("with {limit} fuel, {passes:?}: {what}"))?;
            runs += 1;
        }
    }
    let hostcalls = hostcalls(&whole);
    Ok(Report { hostcalls, runs, ..Report::without_run(Ending::Ran(whole.outcome)) })
}

/// A module that was lowered, with what comparing it takes.
pub struct LoweredModule {
    lowered: Lowered,
    /// Index and width of each mutable global.
    globals: Vec<(usize, ValueType)>,
}

/// What one run on the executor came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ran {
    /// Outcome.
    pub outcome: Outcome,
    /// Machine state at the end.
    pub execution: Execution,
}

impl LoweredModule {
    /// Lowers a module that was metered from the same bytes.
    ///
    /// # Errors
    /// As [`lower`].
    pub fn new(
        wasm: &[u8],
        metered: &MeteredModule,
        pages_granted: u32,
        passes: Passes,
    ) -> Result<Self, LowerError> {
        let lowered = lower(wasm, &Options { passes, ..Options::new(pages_granted) })?;
        let globals = metered.mutable_globals().iter().map(|global| {
            let index = global.name.strip_prefix(exports::GLOBAL_PREFIX);
            let index = index.and_then(|index| index.parse().ok());
            (index.expect("the meter names globals by index"), global.width)
        });
        Ok(Self { lowered, globals: globals.collect() })
    }

    /// Returns the lowered program.
    #[must_use]
    pub const fn lowered(&self) -> &Lowered {
        &self.lowered
    }

    /// Runs the entry of an engine's run with its words, and compares everything that both report.
    ///
    /// # Errors
    /// What differs.
    pub fn compare(&self, run: &Run) -> Result<Ran, String> {
        let transcript = run.transcript.as_ref().ok_or("a run has no transcript")?;
        let expected = events(transcript)?;
        let input = expected.iter().filter(|event| event.tag == TAG_IN).map(|event| event.word);
        let mut words = Recorded::new(input);
        let mut machine = Machine::new(&self.lowered.program).map_err(|e| e.to_string())?;
        let entry = &transcript.header.entry;
        let stub = self.lowered.program.entries.get(entry).ok_or("no stub of the entry")?;
        let bounds = Bounds { fuel: transcript.header.fuel, steps: STEPS_MAX };
        let execution = machine
            .run(stub.pc, bounds, &mut words, &mut NoTrace)
            .map_err(|error| format!("{error}, where the engines end with {}", run.outcome))?;
        let outcome = outcome(&execution, &machine);
        same("outcome", &run.outcome, &outcome)?;
        same("fuel", &run.usage.fuel, &execution.fuel_used)?;
        same("memory bytes", &run.usage.memory_bytes_peak, &(machine.memory().len() as u64 * 8))?;
        same("events", &expected.as_slice(), &words.events())?;
        // Memory is unobservable once the fuel ran out, since part of a block may have been done.
        if outcome != Outcome::LimitReached(Limit::Fuel) {
            let state = self.state(&machine, transcript);
            same("state", &transcript.end.state_hash, &state.hash())?;
        }
        Ok(Ran { outcome, execution })
    }

    fn state(&self, machine: &Machine, transcript: &Transcript) -> State {
        let globals = self.globals.iter().map(|(index, width)| {
            let bytes = machine.globals()[*index].to_be_bytes();
            match width {
                ValueType::I32 => bytes[4..].to_vec(),
                ValueType::I64 => bytes.to_vec(),
            }
        });
        let globals: Vec<Vec<u8>> = globals.collect();
        let globals: Vec<&[u8]> = globals.iter().map(Vec::as_slice).collect();
        State {
            pages: machine.pages(),
            memory_root: memory_root(&machine.memory_bytes()),
            globals_hash: globals_hash(&globals),
            storage_root: transcript.end.storage_root.unwrap_or_else(empty_storage_root),
        }
    }
}

fn same<T: PartialEq + fmt::Debug>(what: &str, engines: &T, executor: &T) -> Result<(), String> {
    match engines == executor {
        true => Ok(()),
        false => Err(format!("{what}: engines {engines:?}, executor {executor:?}")),
    }
}

/// Returns the words of a transcript, those of its end included.
///
/// # Errors
/// If an entry is none that a run can make.
pub fn events(transcript: &Transcript) -> Result<Vec<Event>, String> {
    let records = transcript.entries.iter().map(|entry| Record {
        hostcall: entry.hostcall,
        status: entry.status,
        request: entry.request,
        response: entry.response,
    });
    let completed = match transcript.end.outcome {
        Outcome::Completed(code) => Some(code),
        _ => None,
    };
    words::of_run(records, completed).ok_or_else(|| "a record has no words".to_owned())
}

/// Returns the outcome that an execution stands for.
fn outcome(execution: &Execution, machine: &Machine) -> Outcome {
    match execution.end {
        End::Completed => {
            Outcome::Completed(u32::try_from(machine.slot(1)).expect("an i32 is zero-extended"))
        }
        End::Trap(trap) => Outcome::Trapped(trap),
        End::OutOfFuel | End::OutOfFuelCharge(_) => Outcome::LimitReached(Limit::Fuel),
        End::Denied(number) => {
            let limit = Limit::ALL.into_iter().find(|limit| *limit as u8 == number && number > 0);
            let rule = if number == 0 { Rule::Policy } else { Rule::Argument };
            limit.map_or(Outcome::Denied(rule), Outcome::LimitReached)
        }
    }
}
