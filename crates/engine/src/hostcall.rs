//! The one meaning of every hostcall, shared by the backends.
//!
//! A call goes through three steps: [`Request::read`] checks the guest's buffers and copies what
//! it passes, [`Dispatcher::answer`] decides and records, [`Response::write`] copies the answer
//! back; only the first and the last touch the guest's memory.

mod answers;
mod compose;
mod handlers;
mod outside;
mod recompute;
mod storage;

use alloc::vec::Vec;
use core::ops::Range;

use kapsule_abi::hostcall::{HOSTCALLS, LOG};
use kapsule_abi::{
    Access, BUFFER_BYTES_MAX, Errno, Hostcall, Length, Limit, Outcome, Param, Rule, Trap,
    ValueType, guard,
};
use kapsule_format::Digest;
use kapsule_format::package::PackageId;
use kapsule_format::policy::Policy;
use kapsule_format::random::Random;
use kapsule_format::transcript::{ENTRIES_MAX, Entries, Entry};

pub(crate) use answers::Answers;
pub(crate) use compose::Nesting;
pub use recompute::recomputed;
pub(crate) use storage::{STORAGE_CALLS, Staged};

use crate::HostError;
use crate::backend::Fault;
use crate::compose::Nested;
use crate::replay::Difference;

/// Greatest number of parameters of a hostcall.
const PARAMS_MAX: usize = 7;
/// Greatest number of readable buffers of a hostcall.
const INPUTS_MAX: usize = 3;

const _: () = {
    let mut index = 0;
    while index < HOSTCALLS.len() {
        let params = HOSTCALLS[index].params;
        assert!(params.len() <= PARAMS_MAX, "a request has room for every call");
        let (mut inputs, mut param) = (0, 0);
        while param < params.len() {
            if matches!(params[param], Param::Pointer(_, Access::Read, _)) {
                inputs += 1;
            }
            param += 1;
        }
        assert!(inputs <= INPUTS_MAX, "a request has room for every buffer");
        index += 1;
    }
};

/// Status word of an answered call.
pub(crate) const STATUS_ANSWERED: u64 = 0;
/// Status word of a call that was refused with an error code.
pub(crate) const STATUS_REFUSED: u64 = 1;
/// Status word of a call that ends the run, less the number of the reason.
pub(crate) const STATUS_ENDED: u64 = 2;

/// What the guest passed, copied out of its memory.
pub(crate) struct Request {
    hostcall: &'static Hostcall,
    args: [u64; PARAMS_MAX],
    /// Fuel that the run has left.
    remaining: i64,
    /// The request as the transcript holds it.
    bytes: Vec<u8>,
    /// Readable buffers within `bytes`, in signature order.
    inputs: [(usize, usize); INPUTS_MAX],
    /// Bytes of all readable buffers together.
    readable: u64,
    /// Bytes of the writable buffer.
    writable: u64,
    /// Pointer to the writable buffer; none for a call without one.
    target: Option<u64>,
    /// Bytes of the guest's memory.
    memory_bytes: u64,
}

impl Request {
    /// Takes the arguments of a call, and a buffer whose content before is dropped.
    fn new(
        hostcall: &'static Hostcall,
        args: &[u64],
        remaining: i64,
        memory_bytes: usize,
        mut bytes: Vec<u8>,
    ) -> Self {
        bytes.clear();
        let mut slots = [0; PARAMS_MAX];
        for (slot, arg) in slots.iter_mut().zip(args) {
            *slot = *arg;
        }
        Self {
            hostcall,
            args: slots,
            remaining,
            bytes,
            inputs: [(0, 0); INPUTS_MAX],
            readable: 0,
            writable: 0,
            target: None,
            memory_bytes: memory_bytes as u64,
        }
    }

    /// Checks every non-empty buffer and copies the readable ones.
    ///
    /// Readable buffers above [`BUFFER_BYTES_MAX`] together are not copied, since the call is
    /// refused anyway.
    ///
    /// # Errors
    /// Trap 9 if a non-empty buffer is not wholly inside the memory.
    fn read(&mut self, args: &[u64], memory: &[u8]) -> Result<(), Trap> {
        let mut buffers: [&[u8]; INPUTS_MAX] = [&[]; INPUTS_MAX];
        let mut slots = buffers.iter_mut();
        for (index, access, length) in self.hostcall.buffers() {
            let length = self.length(length);
            let found = buffer(memory, self.arg(index), length);
            if guard!("engine.hostcall.bounds", found.is_none()) {
                return Err(Trap::HostContractViolated);
            }
            match access {
                Access::Read => {
                    self.readable = self.readable.saturating_add(length);
                    let bytes = found.and_then(|range| memory.get(range)).unwrap_or_default();
                    slots.next().into_iter().for_each(|slot| *slot = bytes);
                }
                Access::Write => {
                    self.writable = self.writable.saturating_add(length);
                    self.target = Some(self.arg(index));
                }
            }
        }
        let copied = self.readable <= u64::from(BUFFER_BYTES_MAX);
        let readable = if copied { buffers.iter().map(|bytes| bytes.len()).sum() } else { 0 };
        self.bytes.reserve(readable + 8 * args.len());
        for arg in args {
            self.bytes.extend_from_slice(&arg.to_le_bytes());
        }
        if copied {
            for (input, bytes) in self.inputs.iter_mut().zip(buffers) {
                let start = self.bytes.len();
                self.bytes.extend_from_slice(bytes);
                *input = (start, self.bytes.len());
            }
        }
        Ok(())
    }

    /// Returns argument `index` as recorded: i32 zero-extended.
    fn arg(&self, index: usize) -> u64 {
        self.args.get(index).copied().unwrap_or_default()
    }

    /// Returns argument `index` as 32 bits.
    #[expect(clippy::cast_possible_truncation, reason = "an i32 argument was zero-extended")]
    fn arg32(&self, index: usize) -> u32 {
        self.arg(index) as u32
    }

    fn length(&self, length: Length) -> u64 {
        match length {
            Length::Param(index) => self.arg(usize::from(index)),
            Length::Fixed(bytes) => u64::from(bytes),
        }
    }

    /// Returns readable buffer `index`, counted among the readable ones.
    fn input(&self, index: usize) -> &[u8] {
        let (start, end) = self.inputs.get(index).copied().unwrap_or_default();
        self.bytes.get(start..end).unwrap_or_default()
    }

    /// Returns the length of the writable buffer, 0 where the call has none.
    fn capacity(&self) -> usize {
        usize::try_from(self.writable.min(u64::from(BUFFER_BYTES_MAX))).unwrap_or_default()
    }
}

/// Returns where a buffer lies; one of length 0 is not looked at, whatever its pointer.
fn buffer(memory: &[u8], pointer: u64, length: u64) -> Option<Range<usize>> {
    if length == 0 {
        return Some(0..0);
    }
    let end = pointer.checked_add(length)?;
    let range = usize::try_from(pointer).ok()?..usize::try_from(end).ok()?;
    (range.end <= memory.len()).then_some(range)
}

/// What the guest is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    /// Result word, i32 zero-extended; none for a call without result.
    pub(crate) result: Option<u64>,
    /// Fuel that the call used beside its price, to be taken from the counter; never more than
    /// what was left.
    pub(crate) charge: u64,
    /// Bytes for the writable buffer.
    written: Vec<u8>,
}

impl Response {
    /// Copies the written bytes into the guest's buffer.
    fn write(&self, request: &Request, memory: &mut [u8]) {
        let Some(pointer) = request.target else { return };
        let range = buffer(memory, pointer, self.written.len() as u64).unwrap_or_default();
        if let Some(target) = memory.get_mut(range).filter(|to| to.len() == self.written.len()) {
            target.copy_from_slice(&self.written);
        }
    }

    /// Returns the words in front of what is written, as the transcript holds them.
    fn words(&self) -> [[u8; 8]; 2] {
        [self.result.unwrap_or_default(), self.written.len() as u64].map(u64::to_le_bytes)
    }

    /// Returns the parts that the transcript holds; `words` are those of this response.
    fn parts<'r>(&'r self, request: &Request, words: &'r [[u8; 8]; 2]) -> [&'r [u8]; 3] {
        let [result, length] = words;
        let result: &[u8] = if self.result.is_some() { result } else { &[] };
        match request.target {
            Some(_) => [result, length, &self.written],
            None => [result, &[], &[]],
        }
    }
}

/// What a handler decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// The result, and bytes for the writable buffer.
    Answered(i64, Vec<u8>),
    /// An error code for the guest.
    Refused(Errno),
    /// The run ends at a limit.
    Limit(Limit),
    /// The run ends because of a rule.
    Denied(Rule),
}

impl Reply {
    fn status(&self) -> u64 {
        match self {
            Self::Answered(..) => STATUS_ANSWERED,
            Self::Refused(_) => STATUS_REFUSED,
            Self::Limit(limit) => STATUS_ENDED + *limit as u64,
            Self::Denied(rule) => STATUS_ENDED + *rule as u64,
        }
    }

    /// Returns the outcome of a run that ends here.
    const fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Answered(..) | Self::Refused(_) => None,
            Self::Limit(limit) => Some(Outcome::LimitReached(*limit)),
            Self::Denied(rule) => Some(Outcome::Denied(*rule)),
        }
    }

    fn into_response(self, hostcall: &Hostcall) -> Response {
        let (result, written) = match self {
            Self::Answered(result, written) => (result, written),
            Self::Refused(errno) => (i64::from(errno as i32), Vec::new()),
            Self::Limit(_) | Self::Denied(_) => (0, Vec::new()),
        };
        let result = hostcall.result.map(|value_type| match value_type {
            ValueType::I32 => result.cast_unsigned() & u64::from(u32::MAX),
            ValueType::I64 => result.cast_unsigned(),
        });
        Response { result, charge: compose::charge(hostcall, &written), written }
    }
}

/// One line that a guest logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Severity: 0 error, 1 warn, 2 info, 3 debug, 4 trace.
    pub level: u8,
    /// The line as the guest gave it; nothing says that it is UTF-8.
    pub bytes: Vec<u8>,
}

impl LogLine {
    /// Returns the lines of a run, which its records hold.
    pub(crate) fn all(entries: &Entries) -> Vec<Self> {
        let logged = entries
            .iter()
            .filter(|entry| entry.hostcall == u64::from(LOG) && entry.status == STATUS_ANSWERED);
        let line = |entry: Entry<'_>| {
            // Level, pointer and length, then the line.
            let (args, bytes) = entry.request.split_at_checked(3 * 8)?;
            Some(Self { level: *args.first()?, bytes: bytes.to_vec() })
        };
        logged.filter_map(line).collect()
    }
}

/// What a dispatcher is told of the run.
#[derive(Clone, Copy)]
pub(crate) struct Setting<'a> {
    pub(crate) input: Option<&'a [u8]>,
    /// Package whose storage the run has.
    pub(crate) package: PackageId,
    pub(crate) policy: &'a Policy,
    /// What a replay takes for the storage root.
    pub(crate) storage_root: Option<Digest>,
    pub(crate) fuel: u64,
    pub(crate) seed: [u8; 32],
    pub(crate) deadline: Option<&'a dyn Fn() -> bool>,
    pub(crate) transcript_bytes_max: u64,
    pub(crate) nesting: Nesting<'a>,
}

/// The caller's deadline, if there is one.
#[derive(Clone, Copy)]
pub(crate) struct Deadline<'a>(Option<&'a dyn Fn() -> bool>);

impl Deadline<'_> {
    #[cfg(feature = "jit")]
    pub(crate) const fn is_none(self) -> bool {
        self.0.is_none()
    }

    /// Fails once the deadline passed.
    pub(crate) fn check(self) -> Result<(), HostError> {
        let passed = self.0.is_some_and(|deadline| deadline());
        if guard!("engine.run.deadline", passed) {
            return Err(HostError::Deadline);
        }
        Ok(())
    }
}

/// Decides, limits and records the hostcalls of one run.
pub(crate) struct Dispatcher<'a> {
    setting: Setting<'a>,
    answers: Answers<'a>,
    random: Random,
    buffers: Buffers,
    pub(crate) staged: Staged,
    pub(crate) record: Record,
    /// How the run ended, once a hostcall ended it.
    pub(crate) outcome: Option<Outcome>,
    /// Where a replay left its transcript.
    pub(crate) difference: Option<Difference>,
}

/// What calls are read, answered and recorded with, kept so that most calls allocate nothing.
#[derive(Default)]
struct Buffers {
    request: Vec<u8>,
    written: Vec<u8>,
}

impl Buffers {
    /// Lends out an empty buffer for what a call writes.
    fn empty(&mut self) -> Vec<u8> {
        let mut written = core::mem::take(&mut self.written);
        written.clear();
        written
    }

    /// Lends out zeros for the writable buffer of a call.
    fn zeros(&mut self, length: usize) -> Vec<u8> {
        let mut written = self.empty();
        written.resize(length, 0);
        written
    }
}

/// What a run leaves behind besides its state.
#[derive(Default)]
pub(crate) struct Record {
    pub(crate) entries: Entries,
    pub(crate) output: Vec<u8>,
    pub(crate) log_bytes: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) nested: Vec<Nested>,
    /// Runs that were started by `call`, also by a replay, which keeps none.
    nested_runs: u64,
    transcript_bytes: u64,
}

impl<'a> Dispatcher<'a> {
    pub(crate) fn new(setting: Setting<'a>, answers: Answers<'a>) -> Self {
        Self {
            random: Random::new(setting.seed),
            setting,
            answers,
            buffers: Buffers::default(),
            staged: Staged::default(),
            record: Record::default(),
            outcome: None,
            difference: None,
        }
    }

    /// Returns a dispatcher for the same run again, with what this one recorded as its answers.
    ///
    /// The runs inside it are not run again: with each level doing that for the ones below, it
    /// would take 2^32 runs.
    pub(crate) fn again(&self) -> Dispatcher<'_> {
        let nesting = Nesting { recorded: None, ..self.setting.nesting };
        let setting = Setting { nesting, ..self.setting };
        Dispatcher::new(setting, Answers::Recorded(&self.record.entries))
    }

    /// Returns the deadline, to be looked at while the dispatcher is lent to a guest.
    pub(crate) const fn deadline(&self) -> Deadline<'a> {
        Deadline(self.setting.deadline)
    }

    /// Does one hostcall whole and returns the response that the guest was given, without what
    /// was written to its memory.
    pub(crate) fn call(
        &mut self,
        hostcall: &'static Hostcall,
        args: &[u64],
        memory: &mut [u8],
        remaining: i64,
    ) -> Result<Response, Fault> {
        let bytes = core::mem::take(&mut self.buffers.request);
        let mut request = Request::new(hostcall, args, remaining, memory.len(), bytes);
        request.read(args, memory).map_err(Fault::Trap)?;
        let mut response = self.answer(&request)?;
        response.write(&request, memory);
        self.buffers.request = request.bytes;
        self.buffers.written = core::mem::take(&mut response.written);
        Ok(response)
    }

    /// Decides one call and records it.
    fn answer(&mut self, request: &Request) -> Result<Response, Fault> {
        self.deadline().check().map_err(Fault::Host)?;
        let fuel = self.setting.fuel.saturating_sub(u64::try_from(request.remaining).unwrap_or(0));
        let seq = self.record.entries.len() as u64;
        if let Some(difference) = self.answers.compare_request(seq, fuel, request) {
            return Err(self.diverged(difference));
        }
        let reply = match self.limit(request) {
            Some(reply) => reply,
            None => match self.handle(request) {
                Ok(reply) => reply,
                Err(handlers::Failure::Host(error)) => return Err(Fault::Host(error)),
                Err(handlers::Failure::Diverged(difference)) => {
                    return Err(self.diverged(difference));
                }
            },
        };
        self.finish(request, fuel, seq, reply)
    }

    fn diverged(&mut self, difference: Difference) -> Fault {
        self.difference = Some(difference);
        Fault::Ended
    }

    /// Returns how the run ends if this call breaks a limit that every call has.
    fn limit(&self, request: &Request) -> Option<Reply> {
        let calls = self.record.entries.len() as u64;
        // The call that breaks the limit has an entry too, so a full transcript is one call less.
        let allowed = self.setting.policy.limits.calls.min(ENTRIES_MAX as u64 - 1);
        if guard!("engine.hostcall.calls", calls >= allowed) {
            return Some(Reply::Limit(Limit::Calls));
        }
        let longer = request.readable.max(request.writable);
        if guard!("engine.hostcall.length", longer > u64::from(BUFFER_BYTES_MAX)) {
            return Some(Reply::Denied(Rule::Argument));
        }
        None
    }

    /// Records a decided call.
    fn finish(
        &mut self,
        request: &Request,
        fuel: u64,
        seq: u64,
        reply: Reply,
    ) -> Result<Response, Fault> {
        let hostcall = request.hostcall;
        let (status, outcome) = (reply.status(), reply.outcome());
        let response = reply.into_response(hostcall);
        let words = response.words();
        let parts = match outcome {
            None => response.parts(request, &words),
            // A call that ends the run answers nothing.
            Some(_) => [&[][..]; 3],
        };
        let record = &mut self.record;
        let request_bytes = request.bytes.len().saturating_sub(8 * hostcall.params.len());
        record.bytes_out = record.bytes_out.saturating_add(request_bytes as u64);
        record.bytes_in = record.bytes_in.saturating_add(response.written.len() as u64);
        let recorded = request.bytes.len() + parts.iter().map(|part| part.len()).sum::<usize>();
        record.transcript_bytes = record.transcript_bytes.saturating_add(recorded as u64);
        let allowed = self.setting.transcript_bytes_max;
        if guard!("engine.run.transcript_bytes", record.transcript_bytes > allowed) {
            return Err(Fault::Host(HostError::TranscriptBytes { allowed }));
        }
        let number = u64::from(hostcall.number);
        let request = &request.bytes;
        let entry = Entry { hostcall: number, fuel, status, request, response: &[] };
        record.entries.push_with(&entry, &parts);
        if let Some(difference) = self.answers.compare_response(seq, &record.entries) {
            return Err(self.diverged(difference));
        }
        self.outcome = outcome;
        if outcome.is_some() { Err(Fault::Ended) } else { Ok(response) }
    }
}
