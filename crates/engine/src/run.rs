//! One run: checks the job, calls the entry, says how it ended.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kapsule_abi::hostcall::{HOSTCALLS, LOG};
use kapsule_abi::{ABI_NAME, ErrorCode, Limit, Outcome, PAGE_BYTES, Trap, guard};
use kapsule_format::Digest;
use kapsule_format::package::{CoreHash, PackageId};
use kapsule_format::policy::Policy;
use kapsule_format::transcript::{
    End, Header, State, StateHash, Transcript, empty_storage_root, globals_hash, memory_root,
    output_commitment,
};
use kapsule_meter::tables::stack_1;
use kapsule_meter::{METERING, Profile, exports};

use crate::backend::{Facts, Fault, GlobalValue, Instance, TrapSite, place};
use crate::compose::{Compose, Nested};
use crate::host::{Effects, Host};
use crate::hostcall::{Answers, Dispatcher, LogLines, Nesting, Setting};
use crate::{Backend, Compiled, HostError, Refusal, RunError};

/// Bytes of requests and responses that a transcript may hold unless the caller says otherwise.
///
/// Chosen: 1,000,000,000 fuel, the default limit, pays for 8 GB of paged reads, which no host wants
/// to keep, and 256 MiB leaves room for any run that a person would look at.
pub const TRANSCRIPT_BYTES_DEFAULT: u64 = 1 << 28;

/// What is to be run, and with what.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// `capsule_hash` of the package, for the transcript.
    pub capsule_hash: PackageId,
    /// `core_hash` of the package, for the transcript.
    pub core_hash: CoreHash,
    /// Profile that the module was metered under, for the transcript.
    pub profile: Profile,
    /// Exported function to call.
    pub entry: &'a str,
    /// Input bytes.
    pub input: &'a [u8],
    /// Effective policy: what the package asks for and the host grants.
    pub policy: &'a Policy,
    /// Granted fuel, at most the limit of the policy.
    pub fuel: u64,
    /// Granted memory in bytes, at most the limit of the policy; whole pages of it count.
    pub memory_bytes: u64,
    /// Seed of `random`: the nonce of the job, or zero bytes.
    pub seed: [u8; 32],
    /// Returns `true` once the caller's deadline passed.
    ///
    /// It is asked at every hostcall; in between the fuel limit is relied on, unless the code is
    /// from [`compile_interruptible`](crate::compile_interruptible).
    pub deadline: Option<&'a dyn Fn() -> bool>,
    /// What the run may call, or `None` if every `call` finds nothing.
    pub compose: Option<Compose<'a>>,
    /// What to do besides running.
    pub options: JobOptions,
}

/// What a run does besides running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobOptions {
    /// Hash the state at the end and build the transcript; takes about 1 ms per MiB of memory.
    pub evidence: bool,
    /// Greatest sum of request and response bytes; more is [`HostError::TranscriptBytes`].
    pub transcript_bytes_max: u64,
    /// Keep the states of start and end, for checkpoints; takes the time of `evidence` once more.
    pub states: bool,
    /// Storage root before the run, where a replay is told it; a live run asks its host.
    pub storage_before: Option<Digest>,
}

impl Default for JobOptions {
    fn default() -> Self {
        Self {
            evidence: true,
            transcript_bytes_max: TRANSCRIPT_BYTES_DEFAULT,
            states: false,
            storage_before: None,
        }
    }
}

/// What a run consumed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Fuel used; the whole limit if the run was out of fuel.
    pub fuel: u64,
    /// Greatest size of linear memory in bytes; memory never shrinks, so it is the last size.
    pub memory_bytes_peak: u64,
    /// Recorded hostcalls by number; numbers that were not called are absent.
    pub hostcalls: BTreeMap<u16, u64>,
    /// Bytes that hostcalls wrote into guest buffers.
    pub bytes_in: u64,
    /// Bytes that hostcalls read from guest buffers.
    pub bytes_out: u64,
    /// Bytes of all log lines.
    pub log_bytes: u64,
    /// Bytes of keys and values that the storage holds more than before; `None` in a replay of a
    /// run that changed it, since the transcript need not tell what was there.
    pub storage_bytes_delta: Option<i64>,
}

/// The states between which a run happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct States {
    /// Before the first instruction, that of a start function included.
    pub first: State,
    /// After the last instruction.
    pub last: State,
}

/// What is left of a run that ended by itself or by a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// How it ended.
    pub outcome: Outcome,
    /// What it consumed.
    pub usage: Usage,
    /// Output bytes up to the end, also if the run did not complete: the transcript commits to
    /// them, and only a completed run gives them the meaning of a result.
    pub output: Vec<u8>,
    /// Log lines up to the end.
    pub logs: LogLines,
    /// State hash at the end, if [`JobOptions::evidence`] asked for it.
    pub state_hash: Option<StateHash>,
    /// States of start and end, if [`JobOptions::states`] asked for them.
    pub states: Option<States>,
    /// Transcript, if [`JobOptions::evidence`] asked for it.
    pub transcript: Option<Transcript>,
    /// What the run changes outside of itself, to be applied if it completed with 0.
    pub effects: Effects,
    /// Where a trap happened, as far as the backend knows.
    pub trap_site: Option<TrapSite>,
    /// Runs that it started by `call`, in the order of the calls.
    ///
    /// A replay that is told nothing of them has none, since it believes their recorded results.
    pub nested: Vec<Nested>,
}

/// Runs one entry of a compiled module.
///
/// Takes as long as its fuel, about 1 ms for 1,000,000 fuel on the JIT.
///
/// # Errors
/// [`RunError::Refused`] before anything ran: E127 for fuel or memory above the policy or a
/// module that starts with more memory than granted, E403 for an import without its grant, E404
/// for an absent entry.
/// [`RunError::Host`] if the host failed; a failing guest is an [`Outcome`], not an error.
///
/// # Determinism
/// Depends on the module, the job without its deadline, and what `host` answers.
/// The backend, the machine and the elapsed time are not part of it.
///
/// # Spec
/// `spec/abi.md`, `spec/transcript.md`.
pub fn run(compiled: &Compiled, job: &Job<'_>, host: &mut dyn Host) -> Result<Run, RunError> {
    check(&compiled.facts, job)?;
    let setting = job.setting(compiled.backend(), Some(job.input));
    let dispatcher = Dispatcher::new(setting, Answers::Live(host));
    let ended = execute(compiled, job, dispatcher)?;
    Ok(ended.into_run(job))
}

impl<'a> Job<'a> {
    /// Returns what a dispatcher needs; `input` is absent where a replay reads it from records.
    pub(crate) fn setting(&self, backend: Backend, input: Option<&'a [u8]>) -> Setting<'a> {
        let nesting = Nesting {
            compose: self.compose,
            policy: self.policy,
            memory_bytes: self.memory_bytes,
            evidence: self.options.evidence,
            states: self.options.states,
            backend,
            depth: 0,
            recorded: None,
        };
        Setting {
            nesting,
            input,
            package: self.capsule_hash,
            policy: self.policy,
            storage_root: None,
            fuel: self.fuel,
            seed: self.seed,
            deadline: self.deadline,
            transcript_bytes_max: self.options.transcript_bytes_max,
        }
    }

    fn pages(&self) -> u64 {
        self.memory_bytes / u64::from(PAGE_BYTES)
    }

    fn header(&self) -> Header {
        Header {
            capsule_hash: self.capsule_hash,
            core_hash: self.core_hash,
            abi: ABI_NAME.into(),
            profile: self.profile.name().into(),
            metering: METERING.into(),
            entry: self.entry.to_string(),
            fuel: self.fuel,
            memory_bytes: self.memory_bytes,
            policy: self.policy.clone(),
            seed: self.seed,
            extensions: Vec::new(),
        }
    }
}

/// Refuses a job that asks for what it may not have.
pub(crate) fn check(facts: &Facts, job: &Job<'_>) -> Result<(), Refusal> {
    if guard!("engine.run.entry", !facts.entries.contains_key(job.entry)) {
        let names: Vec<&str> = facts.entries.keys().map(String::as_str).collect();
        let detail = format!("found no entry {:?}, allowed are {names:?}", job.entry);
        return Err(Refusal { code: ErrorCode::EntryNotFound, detail });
    }
    for hostcall in &facts.imports {
        if guard!("engine.run.grant", !job.policy.links(hostcall)) {
            let (name, grant) = (hostcall.name, hostcall.grant_names());
            let detail = format!("import {name} needs the missing grant {grant}");
            return Err(Refusal { code: ErrorCode::ImportRefused, detail });
        }
    }
    let limits = &job.policy.limits;
    if guard!("engine.run.fuel_policy", job.fuel > limits.fuel) {
        return Err(exceeds("fuel", job.fuel, limits.fuel));
    }
    if guard!("engine.run.memory_policy", job.memory_bytes > limits.memory_bytes) {
        return Err(exceeds("memory bytes", job.memory_bytes, limits.memory_bytes));
    }
    let pages_min = facts.memory.map_or(0, |memory| u64::from(memory.pages_min));
    if guard!("engine.run.memory_initial", pages_min > job.pages()) {
        return Err(exceeds("initial memory pages", pages_min, job.pages()));
    }
    Ok(())
}

fn exceeds(what: &str, found: u64, allowed: u64) -> Refusal {
    let detail = format!("{what} {found} exceed the {allowed} that are allowed");
    Refusal { code: ErrorCode::ResourcesExceedPolicy, detail }
}

/// Adds what completed runs inside a run change: a later file replaces an earlier one, the run's
/// own files replace both, and the run's own proposals come first.
fn with_nested(mut effects: Effects, nested: &[Nested]) -> Effects {
    let own = core::mem::take(&mut effects.files);
    for nested in nested.iter().filter(|nested| nested.run.outcome == Outcome::Completed(0)) {
        effects.files.extend(nested.run.effects.files.clone());
        effects.proposals.extend(nested.run.effects.proposals.iter().cloned());
    }
    effects.files.extend(own);
    effects
}

/// A run that ended, with what is needed to report it.
pub(crate) struct Ended<'a> {
    pub(crate) outcome: Option<Outcome>,
    fuel: u64,
    memory_bytes: u64,
    state_hash: Option<StateHash>,
    states: Option<States>,
    pub(crate) storage_root: Option<Digest>,
    storage_bytes_delta: Option<i64>,
    trap_site: Option<TrapSite>,
    pub(crate) dispatcher: Dispatcher<'a>,
}

/// Runs a job on a fresh instance.
pub(crate) fn execute<'a>(
    compiled: &Compiled,
    job: &Job<'_>,
    dispatcher: Dispatcher<'a>,
) -> Result<Ended<'a>, HostError> {
    dispatcher.deadline().check()?;
    let mut instance = compiled.instantiate()?;
    execute_on(instance.as_mut(), compiled, job, dispatcher, &mut NothingKnown)
}

/// Calls the start function and the entry of an instance that has run nothing since it was set up
/// or reset, and takes the state, with what `known` knows of it.
pub(crate) fn execute_on<'a>(
    instance: &mut dyn Instance,
    compiled: &Compiled,
    job: &Job<'_>,
    mut dispatcher: Dispatcher<'a>,
    known: &mut dyn KnownState,
) -> Result<Ended<'a>, HostError> {
    let facts = &compiled.facts;
    let pages_max = facts.memory.map_or(0, |memory| u64::from(memory.pages_max)).min(job.pages());
    let pages_max = u32::try_from(pages_max).unwrap_or(u32::MAX);
    instance.set_global(place::FUEL, GlobalValue::I64(job.fuel))?;
    instance.set_global(place::PAGES_MAX, GlobalValue::I32(pages_max))?;
    instance.set_global(place::HOST_SHORT, GlobalValue::I32(0))?;
    let first = match job.options.states {
        true => Some(first_state(instance, facts, job, &mut dispatcher)?),
        false => None,
    };
    let called = call(instance, facts.has_start, job.entry, &mut dispatcher)?;
    let outcome = match called {
        Ok(code) => Some(Outcome::Completed(code)),
        Err(Fault::Host(error)) => return Err(error),
        Err(Fault::Ended) => dispatcher.outcome,
        Err(Fault::Trap(trap)) => Some(classify(instance, trap)?),
    };
    let fuel = fuel_used(instance, compiled, job, &dispatcher, outcome)?;
    let mut storage_root = None;
    if job.options.evidence && facts.has_storage() {
        storage_root = dispatcher.storage_root()?;
    }
    let last = match job.options.evidence {
        true => Some(read_state(instance, facts, known, storage_root)?),
        false => None,
    };
    Ok(Ended {
        outcome,
        fuel,
        memory_bytes: instance.memory().len() as u64,
        state_hash: last.map(|last| known.state_hash(&last)),
        states: first.zip(last).map(|(first, last)| States { first, last }),
        storage_root,
        storage_bytes_delta: dispatcher.staged.storage_delta(&job.capsule_hash),
        trap_site: instance.trap_site(),
        dispatcher,
    })
}

/// Calls the start function, if there is one, and the entry, each on an empty stack.
fn call(
    instance: &mut dyn Instance,
    has_start: bool,
    entry: &str,
    dispatcher: &mut Dispatcher<'_>,
) -> Result<Result<u32, Fault>, HostError> {
    if has_start {
        instance.set_global(place::STACK, GlobalValue::I32(0))?;
        if let Err(fault) = instance.call(exports::START, dispatcher) {
            return Ok(Err(fault));
        }
    }
    instance.set_global(place::STACK, GlobalValue::I32(0))?;
    Ok(instance.call(entry, dispatcher).map(|code| code.unwrap_or_default()))
}

/// Tells the traps that metering injected from those of the module.
fn classify(instance: &mut dyn Instance, trap: Trap) -> Result<Outcome, HostError> {
    if trap != Trap::Unreachable {
        return Ok(Outcome::Trapped(trap));
    }
    if fuel_left(instance)? < 0 {
        return Ok(Outcome::LimitReached(Limit::Fuel));
    }
    if instance.global(place::STACK)?.bits() > u64::from(stack_1::HEIGHT_MAX) {
        return Ok(Outcome::Trapped(Trap::StackExhausted));
    }
    if instance.global(place::HOST_SHORT)?.bits() != 0 {
        return Err(HostError::Memory);
    }
    Ok(Outcome::Trapped(Trap::Unreachable))
}

fn fuel_left(instance: &mut dyn Instance) -> Result<i64, HostError> {
    Ok(instance.global(place::FUEL)?.bits().cast_signed())
}

/// Returns the fuel that a run used which ended with this outcome.
fn fuel_used(
    instance: &mut dyn Instance,
    compiled: &Compiled,
    job: &Job<'_>,
    dispatcher: &Dispatcher<'_>,
    outcome: Option<Outcome>,
) -> Result<u64, HostError> {
    if outcome == Some(Outcome::LimitReached(Limit::Fuel)) {
        return Ok(job.fuel);
    }
    if let Some(outcome @ Outcome::Trapped(Trap::MemoryOutOfBounds)) = outcome
        && let Some(exact) = compiled.recounting()?
    {
        return recount(&exact, job, dispatcher, outcome);
    }
    Ok(job.fuel.saturating_sub(u64::try_from(fuel_left(instance)?).unwrap_or(0)))
}

/// Runs a job again from its records, for the fuel that it used.
fn recount(
    exact: &Compiled,
    job: &Job<'_>,
    dispatcher: &Dispatcher<'_>,
    outcome: Outcome,
) -> Result<u64, HostError> {
    let options = JobOptions { evidence: false, states: false, ..job.options };
    let ended = execute(exact, &Job { options, ..*job }, dispatcher.again())?;
    if ended.outcome != Some(outcome) || ended.dispatcher.difference.is_some() {
        let detail = format!("the interpreter did not end as it did: {outcome}");
        return Err(HostError::Backend { backend: exact.backend(), detail });
    }
    Ok(ended.fuel)
}

/// Reads the state before the first instruction.
fn first_state(
    instance: &mut dyn Instance,
    facts: &Facts,
    job: &Job<'_>,
    dispatcher: &mut Dispatcher<'_>,
) -> Result<State, HostError> {
    let before = match facts.has_storage() {
        true => dispatcher.storage_root_before(job.options.storage_before)?,
        false => None,
    };
    // What a caller keeps of the memory is about its end.
    read_state(instance, facts, &mut NothingKnown, before)
}

fn read_state(
    instance: &mut dyn Instance,
    facts: &Facts,
    known: &mut dyn KnownState,
    storage_root: Option<Digest>,
) -> Result<State, HostError> {
    let globals = own_globals(instance, facts)?;
    let memory = instance.memory();
    let pages = memory.len() as u64 / u64::from(PAGE_BYTES);
    Ok(State {
        pages: u32::try_from(pages).unwrap_or(u32::MAX),
        memory_root: known.memory_root(memory),
        globals_hash: known.globals_hash(&globals),
        storage_root: storage_root.unwrap_or_else(empty_storage_root),
    })
}

/// Reads the module's own mutable globals, in index order.
pub(crate) fn own_globals(
    instance: &mut dyn Instance,
    facts: &Facts,
) -> Result<Vec<GlobalValue>, HostError> {
    let places = place::OWN..place::OWN + facts.globals.len();
    places.map(|place| instance.global(place)).collect()
}

/// What is known of the state of an instance before it is hashed.
pub(crate) trait KnownState {
    /// Returns the root of the memory.
    fn memory_root(&mut self, memory: &[u8]) -> Digest {
        memory_root(memory)
    }

    /// Returns the hash of the module's own mutable globals.
    fn globals_hash(&mut self, globals: &[GlobalValue]) -> Digest {
        let bytes: Vec<Vec<u8>> = globals.iter().map(|value| value.to_be_bytes()).collect();
        globals_hash(&bytes.iter().map(Vec::as_slice).collect::<Vec<&[u8]>>())
    }

    /// Returns the hash of the whole.
    fn state_hash(&mut self, state: &State) -> StateHash {
        state.hash()
    }
}

/// Nothing is known of an instance that is used once.
pub(crate) struct NothingKnown;

impl KnownState for NothingKnown {}

impl Ended<'_> {
    /// Reports a run that was not stopped by a replay.
    pub(crate) fn into_run(self, job: &Job<'_>) -> Run {
        let record = self.dispatcher.record;
        let outcome = self.outcome.expect("only a replay stops without an outcome");
        let mut counts = [0_u64; HOSTCALLS.len() + 1];
        for entry in &record.entries {
            let number = usize::try_from(entry.hostcall).unwrap_or_default();
            counts.get_mut(number).into_iter().for_each(|count| *count = count.saturating_add(1));
        }
        let logged = counts.get(usize::from(LOG)).copied().unwrap_or_default();
        let logs = LogLines::of(&record.entries, logged, record.log_bytes);
        let counted = (0..).zip(counts).filter(|(_, count)| *count > 0);
        let hostcalls: BTreeMap<u16, u64> = counted.collect();
        let usage = Usage {
            fuel: self.fuel,
            memory_bytes_peak: self.memory_bytes,
            hostcalls,
            bytes_in: record.bytes_in,
            bytes_out: record.bytes_out,
            log_bytes: record.log_bytes,
            storage_bytes_delta: self.storage_bytes_delta,
        };
        let transcript = self.state_hash.map(|state_hash| Transcript {
            header: job.header(),
            entries: record.entries,
            end: End {
                outcome,
                fuel_used: self.fuel,
                state_hash,
                output: output_commitment(None, &record.output),
                output_bytes: record.output.len() as u64,
                storage_root: self.storage_root,
                extensions: Vec::new(),
            },
        });
        Run {
            outcome,
            usage,
            output: record.output,
            logs,
            state_hash: self.state_hash,
            states: self.states,
            transcript,
            effects: with_nested(self.dispatcher.staged.into_effects(), &record.nested),
            trap_site: self.trap_site,
            nested: record.nested,
        }
    }
}
