//! Both backends on the same modules: whatever a run reports must be equal.

use core::fmt;
use core::ops::Range;
use std::collections::BTreeMap;

use kapsule_abi::hostcall::CALL;
use kapsule_abi::{ErrorCode, Hostcall, Limit, Outcome, PAGE_BYTES, Trap};
use kapsule_engine::{
    Backend, Compiled, Job, JobOptions, MemoryHost, Nested, ReplayOptions, Run, RunError, compile,
    recomputed, replay, run,
};
use kapsule_format::hash::sha256;
use kapsule_format::package::CoreHash;
use kapsule_format::transcript::{Entry, Transcript};
use kapsule_lower::{LowerError, Passes, Reason};
use kapsule_meter::{MeterError, MeteredModule, Options, Profile, meter};

use crate::library::Library;
use crate::lowered::{self, LoweredModule};
use crate::wrap::ENTRY;
use crate::{FUEL_GRANTED, GENERATED, Random, Sample, fuel, full_host};

mod tally;

pub use tally::{Tally, run_all, run_all_with};

/// Fuel limits that are tried besides 0, 1 and the two around the fuel of the whole run.
const RANDOM_LIMITS: usize = 2;

/// A seed whose module is treated differently where it must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disagreement {
    /// Seed of the sample.
    pub seed: u64,
    /// What differs.
    pub what: String,
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}: {}", self.seed, self.what)
    }
}

/// How the run of one sample ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The seed's bytes made no module.
    NoModule,
    /// The meter or both backends refused the module, for this reason.
    Refused(String),
    /// Both backends ran it and agreed.
    Ran(Outcome),
}

/// What one sample showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// How it ended under the whole grant.
    pub ending: Ending,
    /// Hostcalls of that run and of the runs inside it, by number: all, and the answered ones.
    pub hostcalls: BTreeMap<u64, [u64; 2]>,
    /// Runs that were compared, over both backends and all fuel limits.
    pub runs: u64,
    /// Whether its fuel was recounted without the rewriting pass.
    pub recounted: bool,
    /// Runs that the circuit's tables were filled with, and their steps.
    pub traced: [u64; 2],
    /// Runs of which a proof was made and verified.
    pub proven: u64,
}

impl Report {
    pub(crate) const fn without_run(ending: Ending) -> Self {
        let hostcalls = BTreeMap::new();
        Self { ending, hostcalls, runs: 0, recounted: false, traced: [0; 2], proven: 0 }
    }
}

/// Runs the sample of a seed on both backends at several fuel limits and compares everything.
///
/// # Errors
/// The first difference, or whatever else no sample may do, such as a failing host.
pub fn check(seed: u64) -> Result<Report, Disagreement> {
    let Some(sample) = Sample::generate(seed) else {
        return Ok(Report::without_run(Ending::NoModule));
    };
    check_sample(&sample).map_err(|what| Disagreement { seed, what })
}

fn check_sample(sample: &Sample) -> Result<Report, String> {
    let metered = match meter(&sample.wasm, &Options::new(sample.profile)) {
        Ok(metered) => metered,
        Err(error) => return Ok(Report::without_run(Ending::Refused(reason(&error)))),
    };
    let pair = Pair::compile(&metered)?;
    if metered.memory().is_some_and(|memory| memory.pages_min > pages_granted(sample)) {
        pair.refuse(sample)?;
        let reason = ErrorCode::ResourcesExceedPolicy.to_string();
        return Ok(Report::without_run(Ending::Refused(reason)));
    }
    let whole = pair.run(sample, FUEL_GRANTED)?;
    compute_again(&whole)?;
    let lowered = Programs::lower(sample, &metered)?;
    lowered.compare(&whole)?;
    let mut runs = 2;
    for limit in limits(sample.seed, &whole) {
        let cut = pair.run(sample, limit)?;
        compare_cut(&whole, &cut, limit)?;
        lowered.compare(&cut)?;
        runs += 2;
    }
    if !whole.usage.hostcalls.is_empty() {
        let transcript = whole.transcript.as_ref().ok_or("a run has no transcript")?;
        pair.replay(sample, transcript)?;
        runs += 2;
    }
    let recounted = recount(sample, &metered, &whole)?;
    let report = Report::without_run(Ending::Ran(whole.outcome));
    Ok(Report { hostcalls: hostcalls(&whole), runs, recounted, ..report })
}

/// Computes the answers of a run that follow from the question alone again.
fn compute_again(run: &Run) -> Result<(), String> {
    for entry in run.transcript.iter().flat_map(|transcript| &transcript.entries) {
        let number = Hostcall::from_number(entry.hostcall).ok_or("an entry of no hostcall")?;
        if recomputed(number, entry.status, entry.request, entry.response) == Some(false) {
            return Err(format!("another answer of {} is computed from its record", number.name));
        }
    }
    Ok(())
}

/// Counts the hostcalls of a run and of the runs inside it.
pub(crate) fn hostcalls(run: &Run) -> BTreeMap<u64, [u64; 2]> {
    let mut counts: BTreeMap<u64, [u64; 2]> = BTreeMap::new();
    for entry in run.transcript.iter().flat_map(|transcript| &transcript.entries) {
        let [all, answered] = counts.entry(entry.hostcall).or_default();
        *all += 1;
        *answered += u64::from(entry.status == 0);
    }
    for (number, [more, more_answered]) in
        run.nested.iter().flat_map(|nested| hostcalls(&nested.run))
    {
        let [all, answered] = counts.entry(number).or_default();
        *all += more;
        *answered += more_answered;
    }
    counts
}

/// Returns the code of a refusal, with the feature where it is about one.
pub(crate) fn reason(error: &MeterError) -> String {
    match error.code {
        ErrorCode::ModuleFeatureRefused => {
            let feature = error.detail.split(' ').take(2).collect::<Vec<_>>().join(" ");
            format!("{}, {feature}", error.code)
        }
        code => code.to_string(),
    }
}

pub(crate) fn pages_granted(sample: &Sample) -> u32 {
    u32::try_from(sample.memory_bytes()).unwrap_or(u32::MAX) / PAGE_BYTES
}

/// Returns the fuel limits to try: the ends, around the fuel of the whole run, and some between.
pub(crate) fn limits(seed: u64, whole: &Run) -> Vec<u64> {
    let total = whole.usage.fuel;
    let mut random = Random::new(seed ^ 0x6675_656c);
    let mut limits = vec![0, 1, total.saturating_sub(1), total];
    limits.extend((0..RANDOM_LIMITS).map(|_| random.below(total.saturating_add(1))));
    limits.retain(|limit| *limit <= FUEL_GRANTED);
    limits.sort_unstable();
    limits.dedup();
    limits
}

/// A module as lowered programs: with every pass, and with a choice of them that the seed makes.
///
/// There are none of a module with floats.
struct Programs(Vec<(Passes, LoweredModule)>);

impl Programs {
    fn lower(sample: &Sample, metered: &MeteredModule) -> Result<Self, String> {
        // Even seeds are of the integer profile.
        let choice = lowered::PASSES[1 + sample.seed as usize / 2 % (lowered::PASSES.len() - 1)];
        let mut programs = Vec::new();
        for passes in [Passes::ALL, choice] {
            let made = LoweredModule::new(&sample.wasm, metered, pages_granted(sample), passes);
            match made {
                Ok(program) => programs.push((passes, program)),
                Err(LowerError::Unprovable { reason: Reason::Feature("float"), .. })
                    if sample.profile == Profile::Float1 => {}
                Err(error) => return Err(format!("lowering: {error}")),
            }
        }
        Ok(Self(programs))
    }

    /// Compares a run of the engines with one of each program.
    fn compare(&self, run: &Run) -> Result<(), String> {
        let fuel = run.transcript.as_ref().map_or(0, |transcript| transcript.header.fuel);
        for (passes, program) in &self.0 {
            program.compare(run).map_err(|what| format!("with {fuel} fuel, {passes:?}: {what}"))?;
        }
        Ok(())
    }
}

/// A module on both backends.
struct Pair {
    wasmi: Compiled,
    jit: Compiled,
}

impl Pair {
    fn compile(metered: &MeteredModule) -> Result<Self, String> {
        let on = |backend| compile(metered, backend).map_err(|error| error.to_string());
        Ok(Self { wasmi: on(Backend::Wasmi)?, jit: on(Backend::Jit)? })
    }

    /// Runs on both backends and returns the run that both agree on.
    fn run(&self, sample: &Sample, fuel: u64) -> Result<Run, String> {
        let (left, left_host) = run_on(&self.wasmi, sample, fuel)?;
        let (right, right_host) = run_on(&self.jit, sample, fuel)?;
        let context = |what: String| format!("with {fuel} fuel, wasmi and jit: {what}");
        compare(&left, &right).map_err(context)?;
        if left_host != right_host {
            return Err(context("hosts differ after the run".into()));
        }
        Ok(left)
    }

    /// Checks that both backends refuse a module that starts with more memory than granted.
    fn refuse(&self, sample: &Sample) -> Result<(), String> {
        for compiled in [&self.wasmi, &self.jit] {
            match run(compiled, &job(sample, FUEL_GRANTED), &mut full_host()) {
                Err(RunError::Refused(refusal))
                    if refusal.code == ErrorCode::ResourcesExceedPolicy => {}
                other => return Err(format!("a memory above the grant: {other:?}")),
            }
        }
        Ok(())
    }

    /// Replays a transcript on both backends; the records are the only source of answers.
    fn replay(&self, sample: &Sample, transcript: &Transcript) -> Result<(), String> {
        for (compiled, input) in [(&self.wasmi, None), (&self.jit, Some(sample.input.as_slice()))] {
            let options = ReplayOptions { input, ..ReplayOptions::default() };
            let replayed = replay(compiled, transcript, options).map_err(|e| e.to_string())?;
            if let Some(difference) = replayed.difference {
                return Err(format!("replay on {}: {difference}", compiled.backend()));
            }
        }
        Ok(())
    }
}

fn job(sample: &Sample, fuel: u64) -> Job<'_> {
    Job {
        capsule_hash: GENERATED,
        core_hash: CoreHash::new(sha256(&sample.wasm)),
        profile: sample.profile,
        entry: ENTRY,
        input: &sample.input,
        policy: &sample.policy,
        fuel,
        memory_bytes: sample.memory_bytes(),
        seed: [5; 32],
        deadline: None,
        compose: Some(Library::get().compose()),
        options: JobOptions::default(),
    }
}

pub(crate) fn run_on(
    compiled: &Compiled,
    sample: &Sample,
    fuel: u64,
) -> Result<(Run, MemoryHost), String> {
    let mut host = full_host();
    match run(compiled, &job(sample, fuel), &mut host) {
        Ok(run) => Ok((run, host)),
        Err(error) => Err(format!("{} with {fuel} fuel: {error}", compiled.backend())),
    }
}

/// Compares everything that two runs report, except where the backend says a trap happened.
fn compare(left: &Run, right: &Run) -> Result<(), String> {
    let differ = |what: &str, left: &dyn fmt::Debug, right: &dyn fmt::Debug| {
        Err(format!("{what} differs: {left:?} and {right:?}"))
    };
    if left.outcome != right.outcome {
        return differ("outcome", &left.outcome, &right.outcome);
    }
    if left.usage != right.usage {
        return differ("usage", &left.usage, &right.usage);
    }
    if left.output != right.output {
        return differ("output", &left.output, &right.output);
    }
    if left.logs != right.logs {
        return differ("log", &left.logs, &right.logs);
    }
    if left.state_hash != right.state_hash {
        return differ("state hash", &left.state_hash, &right.state_hash);
    }
    if left.transcript != right.transcript {
        return differ("transcript", &left.transcript, &right.transcript);
    }
    if left.effects != right.effects {
        return differ("effects", &left.effects, &right.effects);
    }
    if left.nested.len() != right.nested.len() {
        return differ("number of nested runs", &left.nested.len(), &right.nested.len());
    }
    for (left, right) in left.nested.iter().zip(&right.nested) {
        let of = |nested: &Nested| (nested.call, nested.package, nested.fuel_granted);
        if of(left) != of(right) {
            return differ("nested run", &of(left), &of(right));
        }
        compare(&left.run, &right.run).map_err(|what| format!("in call {}, {what}", left.call))?;
    }
    Ok(())
}

/// Checks that a run under a lower limit is the whole run, cut where the fuel ends.
fn compare_cut(whole: &Run, cut: &Run, limit: u64) -> Result<(), String> {
    let whole_fits = whole.outcome != Outcome::LimitReached(Limit::Fuel)
        && whole.usage.fuel <= limit
        || limit == FUEL_GRANTED;
    let context = |what: &str| Err(format!("with {limit} of {} fuel: {what}", whole.usage.fuel));
    if whole_fits {
        let same = whole.outcome == cut.outcome
            && whole.usage == cut.usage
            && whole.state_hash == cut.state_hash
            && whole.output == cut.output;
        return if same { Ok(()) } else { context("a sufficient limit changed the run") };
    }
    fn entries(run: &Run) -> Vec<Entry<'_>> {
        run.transcript.iter().flat_map(|transcript| &transcript.entries).collect()
    }
    // A call for which there was too little fuel tells its caller so, which may go on differently.
    let (made, expected) = (entries(cut), entries(whole));
    let told = made.iter().zip(&expected).find(|(made, expected)| made != expected);
    if let Some((made, expected)) = told
        && made.hostcall == u64::from(CALL)
    {
        let same = made.request == expected.request && made.fuel == expected.fuel;
        return if same { Ok(()) } else { context("a call differs before it is answered") };
    }
    if cut.outcome != Outcome::LimitReached(Limit::Fuel) || cut.usage.fuel != limit {
        return context(&format!("ended with {} after {} fuel", cut.outcome, cut.usage.fuel));
    }
    if !expected.starts_with(&made) {
        return context("the transcript is not a part of the whole one");
    }
    Ok(())
}

/// Compares the fuel of the run with an independent count, where that is possible.
///
/// Recounting knows neither hostcalls nor the stack rule.
fn recount(sample: &Sample, metered: &MeteredModule, whole: &Run) -> Result<bool, String> {
    let exhausted = whole.outcome == Outcome::Trapped(Trap::StackExhausted);
    if !metered.imports().is_empty() || exhausted {
        return Ok(false);
    }
    let pages_max = u64::from(pages_granted(sample));
    let found = fuel::recount(&sample.wasm, metered.plan(), FUEL_GRANTED, pages_max)?;
    let expect = fuel::Recount { outcome: whole.outcome, fuel: whole.usage.fuel };
    if found == expect {
        return Ok(true);
    }
    Err(format!("metered {expect:?}, recounted {found:?}"))
}

/// Seeds that the continuous checks cover.
pub const CI_SEEDS: Range<u64> = 0..10_000;
