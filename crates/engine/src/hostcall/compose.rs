//! The hostcall `call`: a run inside the run.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use kapsule_abi::hostcall::{CALL, CALL_HEADER_BYTES};
use kapsule_abi::{Errno, ErrorCode, Outcome, PAGE_BYTES, guard};
use kapsule_format::package::PackageId;
use kapsule_format::policy::{self, Policy};
use kapsule_format::random;

use super::handlers::Failure;
use super::{Answers, Dispatcher, Hostcall, Record, Reply, Request, Setting, Staged, answers};
use crate::compose::{Callee, Compose, NESTED_RUNS_MAX, NESTING_MAX, Nested, Recorded};
use crate::host::Host;
use crate::replay::{Difference, Field, compare_count};
use crate::run::{self, Ended, Job, JobOptions};
use crate::{Backend, HostError};

/// Fuel for each page of memory that a callee starts with: what growing by a page costs.
const FUEL_PER_PAGE: u64 = PAGE_BYTES as u64 / 8;

/// First block of the random generator whose digests seed the runs inside a run.
///
/// A guest would need 2^63 blocks to see one of them.
const SEED_BLOCK: u64 = 1 << 63;

/// Bytes that a transcript of a run inside a run is counted as besides its entries and policy.
///
/// Chosen: above what header and end take without the policy, so that many empty runs cannot
/// outgrow the host's bound.
const NESTED_BYTES: u64 = 1_024;

/// What a run passes on to the runs inside it.
#[derive(Clone, Copy)]
pub(crate) struct Nesting<'a> {
    pub(crate) compose: Option<Compose<'a>>,
    pub(crate) policy: &'a Policy,
    pub(crate) memory_bytes: u64,
    pub(crate) evidence: bool,
    /// Whether the states of start and end are kept.
    pub(crate) states: bool,
    pub(crate) backend: Backend,
    /// Number of runs that this one is inside of.
    pub(crate) depth: u32,
    /// What a replay is told of the runs inside this one; without it their results are believed.
    pub(crate) recorded: Option<&'a [Recorded<'a>]>,
}

/// Who answers a run inside a run.
enum Source<'s, 'a> {
    /// The host of the caller.
    Live(&'s mut dyn Host),
    /// What was recorded of the runs inside the caller.
    Recorded(&'a [Recorded<'a>]),
}

impl Dispatcher<'_> {
    /// Runs a dependency, or takes the recorded result of that in its place.
    pub(super) fn call_package(&mut self, request: &Request<'_>) -> Result<Reply, Failure> {
        if guard!("engine.compose.out_len", request.writable < CALL_HEADER_BYTES as u64) {
            return Ok(Reply::Refused(Errno::InvalidArgument));
        }
        if guard!("engine.compose.count", self.record.nested_runs >= NESTED_RUNS_MAX) {
            return Ok(Reply::Refused(Errno::Refused));
        }
        let mut caller =
            Caller { setting: &self.setting, record: &mut self.record, staged: &mut self.staged };
        let reply = match (&mut self.answers, self.setting.nesting.recorded) {
            (Answers::Live(host), _) => caller.call(Source::Live(&mut **host), request)?,
            (Answers::Recorded(_), Some(runs)) => caller.call(Source::Recorded(runs), request)?,
            (Answers::Recorded(entries), None) => {
                let seq = self.record.entries.len() as u64;
                let limits = &self.setting.policy.limits;
                let reply = answers::recorded(entries, seq, request).map_err(Failure::Diverged)?;
                if !is_plausible(request, limits.output_bytes, &reply) {
                    let difference = answers::implausible(entries, seq, request);
                    return Err(Failure::Diverged(difference));
                }
                reply
            }
        };
        if matches!(reply, Reply::Answered(..)) {
            self.record.nested_runs += 1;
        }
        Ok(reply)
    }
}

/// The parts of a dispatcher that a run inside it needs besides the host.
struct Caller<'r, 'a> {
    setting: &'r Setting<'a>,
    record: &'r mut Record,
    staged: &'r mut Staged,
}

impl<'a> Caller<'_, 'a> {
    fn call(&mut self, source: Source<'_, 'a>, request: &Request<'_>) -> Result<Reply, Failure> {
        let id: [u8; 32] = request.input(0).try_into().unwrap_or_default();
        let id = PackageId::new(id.into());
        let Some((compose, callee)) = self.find(id)? else {
            return Ok(Reply::Refused(Errno::NotFound));
        };
        let nesting = self.setting.nesting;
        if guard!("engine.compose.depth", nesting.depth >= NESTING_MAX) {
            return Ok(Reply::Refused(Errno::Refused));
        }
        let Some(entry) = callee.entry(request.input(1)) else {
            return Ok(Reply::Refused(Errno::NotFound));
        };
        // What the two policies do not share, the callee does not get.
        let Ok((policy, _)) = policy::effective(&callee.policy, nesting.policy) else {
            return Ok(Reply::Refused(Errno::Refused));
        };
        let pages = callee.compiled.facts.memory.map_or(0, |memory| memory.pages_min);
        let setup = u64::from(pages) * FUEL_PER_PAGE;
        let left = u64::try_from(request.remaining).unwrap_or_default();
        let memory_left = nesting.memory_bytes.saturating_sub(request.memory_bytes);
        let used = self.record.transcript_bytes;
        let recorded = match &source {
            Source::Live(_) => None,
            Source::Recorded(runs) => runs.get(self.record.nested.len()),
        };
        let job = Job {
            capsule_hash: id,
            core_hash: callee.core_hash,
            profile: callee.profile,
            entry,
            input: request.input(2),
            policy: &policy,
            fuel: left.saturating_sub(setup).min(policy.limits.fuel),
            memory_bytes: memory_left.min(policy.limits.memory_bytes),
            seed: seed(&self.setting.seed, self.record.nested_runs),
            deadline: self.setting.deadline,
            compose: Some(Compose { dependencies: &callee.dependencies, ..compose }),
            options: JobOptions {
                evidence: nesting.evidence,
                states: nesting.states,
                transcript_bytes_max: self.setting.transcript_bytes_max.saturating_sub(used),
                storage_before: recorded.map(|recorded| recorded.storage_before),
            },
        };
        if let Err(refusal) = run::check(&callee.compiled.facts, &job) {
            let absent = refusal.code == ErrorCode::EntryNotFound;
            return Ok(Reply::Refused(if absent { Errno::NotFound } else { Errno::Refused }));
        }
        let nested = match (source, recorded) {
            (Source::Live(host), _) => self.run(Answers::Live(host), None, &callee, &job)?,
            (Source::Recorded(_), Some(recorded)) => {
                let answers = Answers::Recorded(recorded.entries);
                self.run(answers, Some(recorded), &callee, &job)?
            }
            (Source::Recorded(_), None) => return Err(self.unrecorded(&callee)),
        };
        let fuel = setup.saturating_add(nested.run.usage.fuel).min(left);
        let reply = encode(fuel, nested.run.outcome, &nested.run.output, request.capacity());
        self.record.nested.push(nested);
        Ok(reply)
    }

    /// Returns the difference of a replay that starts a run which was not recorded.
    fn unrecorded(&self, callee: &Callee) -> Failure {
        let recorded = format!("{} runs inside the run", self.record.nested.len());
        let found = format!("one more, of {}", callee.capsule_hash);
        let seq = self.record.entries.len() as u64;
        Failure::Diverged(Difference::at(seq, Field::Nested, recorded, found))
    }

    /// Looks a package up among the dependencies of the caller.
    fn find(&self, id: PackageId) -> Result<Option<(Compose<'a>, Arc<Callee>)>, HostError> {
        let nesting = &self.setting.nesting;
        let Some(compose) = nesting.compose else { return Ok(None) };
        if guard!("engine.compose.dependency", !compose.dependencies.contains(&id)) {
            return Ok(None);
        }
        let callee = compose.callees.callee(&id, nesting.backend)?;
        let callee =
            callee.ok_or_else(|| failed(format!("the package {id} of the closure is absent")))?;
        let found = callee.capsule_hash;
        if guard!("engine.compose.capsule_hash", found != id) {
            return Err(failed(format!("asked for the package {id}, was given {found}")));
        }
        Ok(Some((compose, callee)))
    }

    /// Runs a callee whose job was checked.
    fn run<'b>(
        &mut self,
        answers: Answers<'b>,
        recorded: Option<&'b Recorded<'b>>,
        callee: &Callee,
        job: &'b Job<'b>,
    ) -> Result<Nested, Failure> {
        let allowed = self.setting.transcript_bytes_max;
        let mut setting = job.setting(callee.compiled.backend(), Some(job.input));
        setting.storage_root = recorded.and_then(|recorded| recorded.storage_root);
        setting.nesting.recorded = recorded.map(|recorded| recorded.nested.as_slice());
        setting.nesting.backend = self.setting.nesting.backend;
        setting.nesting.depth = self.setting.nesting.depth + 1;
        let mut dispatcher = Dispatcher::new(setting, answers);
        // No two runs inside each other are of one package, so what is staged for a package is
        // seen by its own runs only, one after the other; the copy shares what nobody changes.
        let before = self.staged.storage.clone();
        dispatcher.staged.storage = core::mem::take(&mut self.staged.storage);
        let taken = self.staged.proposals.len();
        dispatcher.staged.proposals = core::mem::take(&mut self.staged.proposals);
        dispatcher.staged.proposals_of_others = taken;
        let mut ended =
            run::execute(&callee.compiled, job, dispatcher).map_err(|error| match error {
                // The bound is one for the whole, so it is named as the caller knows it.
                HostError::TranscriptBytes { .. } => HostError::TranscriptBytes { allowed },
                error => error,
            })?;
        if let Some(difference) = left_records(&mut ended, recorded) {
            let index = self.record.nested.len() as u64;
            return Err(Failure::Diverged(difference.inside(index)));
        }
        let grown = NESTED_BYTES
            .saturating_add(job.policy.encode().len() as u64)
            .saturating_add(ended.dispatcher.record.transcript_bytes);
        self.record.transcript_bytes = self.record.transcript_bytes.saturating_add(grown);
        // Storage leaves with the outermost run, as the last of its runs left it.
        let storage = core::mem::take(&mut ended.dispatcher.staged.storage);
        self.staged.proposals = ended.dispatcher.staged.take_proposals_of_others();
        // Those of the runs inside the callee come back with its own, if it completed.
        self.staged.proposals.truncate(taken);
        let run = ended.into_run(job);
        let completed = run.outcome == Outcome::Completed(0);
        self.staged.storage = if completed { storage } else { before };
        if completed {
            self.staged.add_proposals_of_others(&run.effects.proposals);
        }
        Ok(Nested {
            call: self.record.entries.len() as u64,
            package: job.capsule_hash,
            fuel_granted: job.fuel,
            fuel_limit: job.policy.limits.fuel,
            run,
        })
    }
}

/// Returns where a run inside a run left what was recorded of it.
///
/// How it ended is compared with what the caller was told.
fn left_records(ended: &mut Ended<'_>, recorded: Option<&Recorded<'_>>) -> Option<Difference> {
    let recorded = recorded?;
    let dispatcher = &mut ended.dispatcher;
    let made = dispatcher.record.entries.len();
    dispatcher.difference.take().or_else(|| compare_count(recorded.entries.len(), made)).or_else(
        || {
            let empty = dispatcher.holds_keys() && recorded.storage_root.is_none();
            guard!("engine.replay.nested_storage", empty).then(Difference::storage_of_keys)
        },
    )
}

impl Callee {
    /// Returns the entry with this name, the default one for an empty name.
    fn entry(&self, name: &[u8]) -> Option<&str> {
        if name.is_empty() {
            return self.entries.first().map(String::as_str);
        }
        let listed = self.entries.iter().find(|entry| entry.as_bytes() == name);
        listed.map(String::as_str)
    }
}

/// Returns the seed of run number `index` inside a run with this seed.
fn seed(caller: &[u8; 32], index: u64) -> [u8; 32] {
    *random::block(caller, SEED_BLOCK | index).as_bytes()
}

/// Builds the answer: fuel, outcome, and the output where the guest's buffer takes it whole.
fn encode(fuel: u64, outcome: Outcome, output: &[u8], capacity: usize) -> Reply {
    let mut written = Vec::with_capacity(CALL_HEADER_BYTES);
    written.extend_from_slice(&fuel.to_le_bytes());
    written.extend_from_slice(&u32::from(outcome.class()).to_le_bytes());
    written.extend_from_slice(&outcome.detail().to_le_bytes());
    let length = CALL_HEADER_BYTES.saturating_add(output.len());
    if length <= capacity {
        written.extend_from_slice(output);
    }
    Reply::Answered(i64::try_from(length).unwrap_or(i64::MAX), written)
}

/// Returns the fuel that an answer of `call` says the callee used.
pub(super) fn charge(hostcall: &Hostcall, written: &[u8]) -> u64 {
    match (hostcall.number, written.first_chunk::<8>()) {
        (CALL, Some(fuel)) => u64::from_le_bytes(*fuel),
        _ => 0,
    }
}

/// Tells whether a host can have answered a `call` like this.
fn is_plausible(request: &Request<'_>, output_bytes_max: u64, reply: &Reply) -> bool {
    let Reply::Answered(result, written) = reply else { return true };
    let Some((header, output)) = written.split_first_chunk::<CALL_HEADER_BYTES>() else {
        return false;
    };
    let word = |range: Range<usize>| {
        let bytes = header.get(range).unwrap_or_default();
        bytes.iter().rev().fold(0_u64, |word, byte| word << 8 | u64::from(*byte))
    };
    let left = u64::try_from(request.remaining).unwrap_or_default();
    if guard!("engine.replay.call_fuel", word(0..8) > left) {
        return false;
    }
    let outcome = Outcome::from_parts(word(8..12), word(12..16));
    if guard!("engine.replay.call_outcome", outcome.is_none()) {
        return false;
    }
    let result = u64::try_from(*result).unwrap_or_default();
    let Some(length) = result.checked_sub(CALL_HEADER_BYTES as u64) else { return false };
    if guard!("engine.replay.call_output", length > output_bytes_max) {
        return false;
    }
    // The output is written whole, or not at all because it is longer than the buffer.
    let fits = result <= request.capacity() as u64;
    let agree = output.len() as u64 == if fits { length } else { 0 };
    !guard!("engine.replay.call_length", !agree)
}

fn failed(detail: String) -> HostError {
    HostError::Hostcall { hostcall: "call", detail }
}
