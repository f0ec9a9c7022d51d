//! Runs a module again from its transcript alone.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use kapsule_abi::{ABI_NAME, ErrorCode, guard};
use kapsule_format::Digest;
use kapsule_format::transcript::{End, Header, Transcript, output_commitment};
use kapsule_meter::{METERING, Profile};

use crate::compose::{Compose, Recorded};
use crate::hostcall::{Answers, Dispatcher};
use crate::run::{self, Job, JobOptions, Run};
use crate::{Compiled, Refusal, RunError};

/// Which part of a transcript a replay found different.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The guest makes more or fewer hostcalls than there are entries.
    Count,
    /// Hostcall number.
    Hostcall,
    /// Fuel at the call.
    Fuel,
    /// Status word.
    Status,
    /// Arguments and readable buffers.
    Request,
    /// Results and written buffers.
    Response,
    /// Outcome of the run.
    Outcome,
    /// Fuel used by the run.
    FuelUsed,
    /// Storage root at the end.
    StorageRoot,
    /// State hash at the end.
    StateHash,
    /// Output commitment or size.
    Output,
    /// Number of runs inside the run.
    Nested,
}

impl Field {
    /// Returns the name that reports print.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Count => "number of entries",
            Self::Hostcall => "hostcall number",
            Self::Fuel => "fuel at the call",
            Self::Status => "status",
            Self::Request => "request",
            Self::Response => "response",
            Self::Outcome => "outcome",
            Self::FuelUsed => "fuel used",
            Self::StorageRoot => "storage root",
            Self::StateHash => "state hash",
            Self::Output => "output commitment",
            Self::Nested => "number of runs inside the run",
        }
    }
}

/// The first place where a replay and its transcript differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which run inside the run, by the numbers of the runs on the way to it; empty for the
    /// outermost one.
    pub run: Vec<u64>,
    /// Sequence number of the entry, or `None` for the run end.
    pub entry: Option<u64>,
    /// Part of the record.
    pub field: Field,
    /// What the transcript says.
    pub recorded: String,
    /// What the replay found.
    pub found: String,
}

impl Difference {
    pub(crate) const fn at(entry: u64, field: Field, recorded: String, found: String) -> Self {
        Self { run: Vec::new(), entry: Some(entry), field, recorded, found }
    }

    /// Places the difference inside run number `index` of a caller.
    pub(crate) fn inside(mut self, index: u64) -> Self {
        self.run.insert(0, index);
        self
    }

    /// The storage is said to be empty, and a key is known to be there.
    pub(crate) fn storage_of_keys() -> Self {
        Self::at_end(Field::StorageRoot, &"an empty storage", &"a key that is there")
    }

    fn at_end(field: Field, recorded: &dyn fmt::Display, found: &dyn fmt::Display) -> Self {
        let (recorded, found) = (recorded.to_string(), found.to_string());
        Self { run: Vec::new(), entry: None, field, recorded, found }
    }

    /// Returns the stable code, E410.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        ErrorCode::ReplayDiverged
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.run.is_empty() {
            let path: Vec<String> = self.run.iter().map(ToString::to_string).collect();
            write!(f, "run {} inside the run: ", path.join("."))?;
        }
        match self.entry {
            Some(entry) => write!(f, "entry {entry}: ")?,
            None => f.write_str("run end: ")?,
        }
        let Self { field, recorded, found, .. } = self;
        write!(f, "{}: recorded {recorded}, found {found}", field.name())
    }
}

/// What a replay found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    /// First difference; without one, the transcript is what this module does.
    pub difference: Option<Difference>,
    /// The run, unless it was stopped at a difference.
    pub run: Option<Run>,
}

/// Settings of a replay that are not in the transcript.
#[derive(Clone, Copy, Default)]
pub struct ReplayOptions<'a> {
    /// The input, where it is known; without it the recorded reads are believed.
    pub input: Option<&'a [u8]>,
    /// Returns `true` once the caller's deadline passed; see [`Job::deadline`].
    pub deadline: Option<&'a dyn Fn() -> bool>,
    /// Whether the states of start and end are kept; see [`JobOptions::states`].
    pub states: bool,
    /// Storage root before the run, which a transcript does not tell.
    pub storage_before: Option<Digest>,
    /// What the run may call, for a replay that calls it again.
    pub compose: Option<Compose<'a>>,
    /// The runs inside the run, in the order of the calls, which are then replayed with it; without
    /// them the recorded results of `call` are believed.
    pub nested: Option<&'a [Recorded<'a>]>,
    /// Salt seed under which the end of the transcript commits to the output.
    pub salt_seed: Option<[u8; 32]>,
}

/// Runs the module of a transcript again, with no other source of answers than its entries.
///
/// With the runs inside the run and their packages, these are replayed too, each `call` is decided
/// again, and the runs come back in the result as those of a first run do.
/// Whatever the engine computes itself (output, log, hashes, signatures, random bytes, limits) is
/// computed again and compared; only what a host answered is believed, if a host can have
/// answered it.
/// That the module is the one that the header names is for the caller to check.
///
/// # Errors
/// [`RunError::Refused`] with E005 for another ABI, profile or metering than this build knows, or
/// as [`run`](crate::run); [`RunError::Host`] if this host failed.
///
/// # Determinism
/// As [`run`](crate::run); the backend may be another one than that of the first run.
pub fn replay(
    compiled: &Compiled,
    transcript: &Transcript,
    options: ReplayOptions<'_>,
) -> Result<Replay, RunError> {
    let header = &transcript.header;
    let job = Job {
        capsule_hash: header.capsule_hash,
        core_hash: header.core_hash,
        profile: versions(header)?,
        entry: &header.entry,
        input: options.input.unwrap_or_default(),
        policy: &header.policy,
        fuel: header.fuel,
        memory_bytes: header.memory_bytes,
        seed: header.seed,
        deadline: options.deadline,
        compose: options.compose,
        // The transcript is in memory already, so its own size is no further burden.
        options: JobOptions {
            evidence: true,
            transcript_bytes_max: u64::MAX,
            states: options.states,
            storage_before: options.storage_before,
        },
    };
    run::check(&compiled.facts, &job)?;
    let answers = Answers::Recorded(&transcript.entries);
    let mut setting = job.setting(compiled.backend(), options.input);
    setting.storage_root = transcript.end.storage_root;
    setting.nesting.recorded = options.nested;
    let dispatcher = Dispatcher::new(setting, answers);
    let mut ended = run::execute(compiled, &job, dispatcher)?;
    if let Some(difference) = ended.dispatcher.difference.take() {
        return Ok(Replay { difference: Some(difference), run: None });
    }
    let made = ended.dispatcher.record.entries.len();
    let holds_keys = ended.dispatcher.holds_keys();
    let run = ended.into_run(&job);
    let told = options.nested.map_or(run.nested.len(), <[_]>::len);
    let difference = compare_count(transcript.entries.len(), made)
        .or_else(|| compare_nested(told, run.nested.len()))
        .or_else(|| compare_storage(&transcript.end, &run, holds_keys))
        .or_else(|| compare_end(&transcript.end, &run, options.salt_seed.as_ref()));
    Ok(Replay { difference, run: Some(run) })
}

/// Refuses a transcript that follows other rules than those of this build.
fn versions(header: &Header) -> Result<Profile, Refusal> {
    let unsupported = |what: &str, found: &str, allowed: &str| Refusal {
        code: ErrorCode::VersionUnsupported,
        detail: format!("found {what} {found:?}, allowed is {allowed:?}"),
    };
    if guard!("engine.replay.abi", header.abi != ABI_NAME) {
        return Err(unsupported("abi", &header.abi, ABI_NAME));
    }
    if guard!("engine.replay.metering", header.metering != METERING) {
        return Err(unsupported("metering", &header.metering, METERING));
    }
    header
        .profile
        .parse()
        .map_err(|_| unsupported("profile", &header.profile, "integer-1 or float-1"))
}

pub(crate) fn compare_count(recorded: usize, made: usize) -> Option<Difference> {
    if guard!("engine.replay.count", recorded > made) {
        let found = format!("the end of the run after {made} calls");
        let recorded = format!("{recorded} entries");
        return Some(Difference::at(made as u64, Field::Count, recorded, found));
    }
    None
}

fn compare_nested(recorded: usize, made: usize) -> Option<Difference> {
    guard!("engine.replay.nested_count", recorded > made)
        .then(|| Difference::at_end(Field::Nested, &recorded, &made))
}

/// Compares what the transcript says of the storage at the end with what the run shows of it.
fn compare_storage(end: &End, run: &Run, holds_keys: bool) -> Option<Difference> {
    let taken = run.transcript.as_ref().and_then(|made| made.end.storage_root);
    let shown = |root: Option<Digest>| root.map_or("none".to_string(), |root| root.to_string());
    if guard!("engine.replay.storage_root", end.storage_root != taken) {
        let (recorded, found) = (shown(end.storage_root), shown(taken));
        return Some(Difference::at_end(Field::StorageRoot, &recorded, &found));
    }
    if guard!("engine.replay.storage_keys", holds_keys && end.storage_root.is_none()) {
        return Some(Difference::storage_of_keys());
    }
    None
}

fn compare_end(end: &End, run: &Run, salt_seed: Option<&[u8; 32]>) -> Option<Difference> {
    if guard!("engine.replay.outcome", end.outcome != run.outcome) {
        return Some(Difference::at_end(Field::Outcome, &end.outcome, &run.outcome));
    }
    if guard!("engine.replay.fuel_used", end.fuel_used != run.usage.fuel) {
        return Some(Difference::at_end(Field::FuelUsed, &end.fuel_used, &run.usage.fuel));
    }
    let state_hash = run.state_hash.unwrap_or(end.state_hash);
    if guard!("engine.replay.state_hash", end.state_hash != state_hash) {
        return Some(Difference::at_end(Field::StateHash, &end.state_hash, &state_hash));
    }
    let output = output_commitment(salt_seed, &run.output);
    let size = run.output.len() as u64;
    if guard!("engine.replay.output", (end.output, end.output_bytes) != (output, size)) {
        let recorded = format!("{} of {} bytes", end.output, end.output_bytes);
        let found = format!("{output} of {size} bytes");
        return Some(Difference::at_end(Field::Output, &recorded, &found));
    }
    None
}

/// Returns the first difference between two runs of one job, in the order in which it arose.
///
/// Two backends that differ here break the promise of this crate: E416.
#[must_use]
pub fn disagreement(first: &Run, second: &Run) -> Option<Difference> {
    let (left, right) = (first.transcript.as_ref()?, second.transcript.as_ref()?);
    let pairs = left.entries.iter().zip(&right.entries);
    let differing = pairs.zip(0_u64..).find(|((left, right), _)| left != right);
    if let Some(((left, right), seq)) = differing {
        let field = if left.hostcall != right.hostcall {
            Field::Hostcall
        } else if left.fuel != right.fuel {
            Field::Fuel
        } else if left.request != right.request {
            Field::Request
        } else if left.status != right.status {
            Field::Status
        } else {
            Field::Response
        };
        return Some(Difference::at(seq, field, format!("{left:?}"), format!("{right:?}")));
    }
    let made = right.entries.len();
    if left.entries.len() < made {
        let (recorded, found) = (left.entries.len().to_string(), made.to_string());
        return Some(Difference::at(left.entries.len() as u64, Field::Count, recorded, found));
    }
    compare_count(left.entries.len(), made).or_else(|| compare_end(&left.end, second, None))
}
