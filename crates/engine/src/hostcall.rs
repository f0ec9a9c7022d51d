//! The one meaning of every hostcall, shared by the backends.
//!
//! A call goes through three steps: [`Request::read`] checks the guest's buffers,
//! [`Dispatcher::answer`] decides and records, [`Response::write`] copies the answer to the guest.
//! What the guest passes is looked at where it lies and copied once, into its record.

mod answers;
mod compose;
mod handlers;
mod lines;
mod outside;
mod recompute;
mod storage;

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::ops::Range;

use kapsule_abi::hostcall::HOSTCALLS;
use kapsule_abi::{
    Access, BUFFER_BYTES_MAX, Errno, Hostcall, Length, Limit, Outcome, Param, Rule, Trap,
    ValueType, guard,
};
use kapsule_format::Digest;
use kapsule_format::package::PackageId;
use kapsule_format::policy::Policy;
use kapsule_format::random::Random;
use kapsule_format::transcript::{ENTRIES_MAX, Entries};

pub(crate) use answers::Answers;
pub(crate) use compose::Nesting;
pub use lines::{LogLine, LogLines};
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

/// What the guest passed.
pub(crate) struct Request<'r> {
    hostcall: &'static Hostcall,
    args: &'r [u64],
    /// Fuel that the run has left.
    remaining: i64,
    /// Readable buffers in signature order.
    inputs: [&'r [u8]; INPUTS_MAX],
    /// Bytes of all readable buffers together.
    readable: u64,
    /// Bytes of the writable buffer.
    writable: u64,
    /// Pointer to the writable buffer; none for a call without one.
    target: Option<u64>,
    /// Bytes of the guest's memory.
    memory_bytes: u64,
}

impl<'r> Request<'r> {
    /// Takes the arguments of a call whose buffers are not looked at yet.
    const fn new(
        hostcall: &'static Hostcall,
        args: &'r [u64],
        remaining: i64,
        memory_bytes: usize,
    ) -> Self {
        Self {
            hostcall,
            args,
            remaining,
            inputs: [&[]; INPUTS_MAX],
            readable: 0,
            writable: 0,
            target: None,
            memory_bytes: memory_bytes as u64,
        }
    }

    /// Checks every non-empty buffer and takes the readable ones.
    ///
    /// Readable buffers above [`BUFFER_BYTES_MAX`] together are not taken, since the call is
    /// refused anyway.
    ///
    /// # Errors
    /// Trap 9 if a non-empty buffer is not wholly inside the memory.
    fn read(&mut self, memory: &'r [u8]) -> Result<(), Trap> {
        let mut inputs = 0;
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
                    self.inputs.get_mut(inputs).into_iter().for_each(|input| *input = bytes);
                    inputs += 1;
                }
                Access::Write => {
                    self.writable = self.writable.saturating_add(length);
                    self.target = Some(self.arg(index));
                }
            }
        }
        if self.readable > u64::from(BUFFER_BYTES_MAX) {
            self.inputs = [&[]; INPUTS_MAX];
        }
        Ok(())
    }

    /// Returns how many bytes the transcript holds besides the arguments.
    fn passed(&self) -> usize {
        self.inputs.iter().map(|input| input.len()).sum()
    }

    /// Writes the request as the transcript holds it.
    fn record(&self, mut put: impl FnMut(&[u8])) {
        self.args.iter().for_each(|arg| put(&arg.to_le_bytes()));
        self.inputs.iter().for_each(|input| put(input));
    }

    /// Tells whether the transcript holds this request.
    fn is_recorded_as(&self, mut bytes: &[u8]) -> bool {
        let mut same = true;
        self.record(|part| match bytes.strip_prefix(part) {
            Some(rest) => bytes = rest,
            None => same = false,
        });
        same && bytes.is_empty()
    }

    /// Returns the request as the transcript holds it.
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.record(|part| bytes.extend_from_slice(part));
        bytes
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
    fn input(&self, index: usize) -> &'r [u8] {
        self.inputs.get(index).copied().unwrap_or_default()
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

/// What the guest is answered, besides what is written to its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Result word, i32 zero-extended; 0 for a call without result.
    pub(crate) result: u64,
    /// Fuel that the call used beside its price, to be taken from the counter; never more than
    /// what was left.
    pub(crate) charge: u64,
}

/// An answer with the bytes for the writable buffer.
struct Response<'a> {
    answer: Answer,
    written: Cow<'a, [u8]>,
}

impl Response<'_> {
    /// Copies the written bytes into the guest's buffer.
    fn write(&self, target: Option<u64>, memory: &mut [u8]) {
        let Some(pointer) = target else { return };
        let range = buffer(memory, pointer, self.written.len() as u64).unwrap_or_default();
        if let Some(target) = memory.get_mut(range).filter(|to| to.len() == self.written.len()) {
            target.copy_from_slice(&self.written);
        }
    }

    /// Returns how many bytes the transcript holds of the answer.
    fn recorded(&self, request: &Request<'_>) -> usize {
        let mut bytes = 0;
        self.record(request, |part| bytes += part.len());
        bytes
    }

    /// Writes the answer as the transcript holds it.
    fn record(&self, request: &Request<'_>, mut put: impl FnMut(&[u8])) {
        if request.hostcall.result.is_some() {
            put(&self.answer.result.to_le_bytes());
        }
        if request.target.is_some() {
            put(&(self.written.len() as u64).to_le_bytes());
            put(&self.written);
        }
    }
}

/// What a handler decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// The result, and bytes for the writable buffer.
    Answered(i64, Vec<u8>),
    /// The bytes of the run's input in this range, whose length is the result.
    Input(Range<usize>),
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
            Self::Answered(..) | Self::Input(_) => STATUS_ANSWERED,
            Self::Refused(_) => STATUS_REFUSED,
            Self::Limit(limit) => STATUS_ENDED + *limit as u64,
            Self::Denied(rule) => STATUS_ENDED + *rule as u64,
        }
    }

    /// Returns the outcome of a run that ends here.
    const fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Answered(..) | Self::Input(_) | Self::Refused(_) => None,
            Self::Limit(limit) => Some(Outcome::LimitReached(*limit)),
            Self::Denied(rule) => Some(Outcome::Denied(*rule)),
        }
    }

    /// Makes the response; `input` is the run's.
    fn into_response<'a>(self, hostcall: &Hostcall, input: Option<&'a [u8]>) -> Response<'a> {
        let (result, written) = match self {
            Self::Answered(result, written) => (result, Cow::Owned(written)),
            Self::Input(range) => {
                let bytes = input.and_then(|input| input.get(range)).unwrap_or_default();
                (handlers::length(bytes.len()), Cow::Borrowed(bytes))
            }
            Self::Refused(errno) => (i64::from(errno as i32), Cow::default()),
            Self::Limit(_) | Self::Denied(_) => (0, Cow::default()),
        };
        let result = match hostcall.result {
            Some(ValueType::I32) => result.cast_unsigned() & u64::from(u32::MAX),
            Some(ValueType::I64) => result.cast_unsigned(),
            None => 0,
        };
        let answer = Answer { result, charge: compose::charge(hostcall, &written) };
        Response { answer, written }
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
    /// What calls are answered with, kept so that most of them allocate nothing.
    written: Vec<u8>,
    pub(crate) staged: Staged,
    pub(crate) record: Record,
    /// How the run ended, once a hostcall ended it.
    pub(crate) outcome: Option<Outcome>,
    /// Where a replay left its transcript.
    pub(crate) difference: Option<Difference>,
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
            written: Vec::new(),
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

    /// Lends out zeros for the writable buffer of a call.
    fn zeros(&mut self, length: usize) -> Vec<u8> {
        let mut written = core::mem::take(&mut self.written);
        written.clear();
        written.resize(length, 0);
        written
    }

    /// Does one hostcall whole.
    pub(crate) fn call(
        &mut self,
        hostcall: &'static Hostcall,
        args: &[u64],
        memory: &mut [u8],
        remaining: i64,
    ) -> Result<Answer, Fault> {
        let mut request = Request::new(hostcall, args, remaining, memory.len());
        request.read(memory).map_err(Fault::Trap)?;
        let response = self.answer(&request)?;
        response.write(request.target, memory);
        if let Cow::Owned(written) = response.written
            && written.capacity() > 0
        {
            self.written = written;
        }
        Ok(response.answer)
    }

    /// Decides one call and records it.
    fn answer(&mut self, request: &Request<'_>) -> Result<Response<'a>, Fault> {
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
    fn limit(&self, request: &Request<'_>) -> Option<Reply> {
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
        request: &Request<'_>,
        fuel: u64,
        seq: u64,
        reply: Reply,
    ) -> Result<Response<'a>, Fault> {
        let hostcall = request.hostcall;
        let (status, outcome) = (reply.status(), reply.outcome());
        let response = reply.into_response(hostcall, self.setting.input);
        let record = &mut self.record;
        let passed = request.passed();
        record.bytes_out = record.bytes_out.saturating_add(passed as u64);
        record.bytes_in = record.bytes_in.saturating_add(response.written.len() as u64);
        // A call that ends the run answers nothing.
        let answered = if outcome.is_none() { response.recorded(request) } else { 0 };
        let recorded = 8 * request.args.len() + passed + answered;
        record.transcript_bytes = record.transcript_bytes.saturating_add(recorded as u64);
        let allowed = self.setting.transcript_bytes_max;
        if guard!("engine.run.transcript_bytes", record.transcript_bytes > allowed) {
            return Err(Fault::Host(HostError::TranscriptBytes { allowed }));
        }
        let mut draft = record.entries.begin(recorded);
        request.record(|part| draft.bytes(part));
        draft.respond();
        if outcome.is_none() {
            response.record(request, |part| draft.bytes(part));
        }
        draft.finish(u64::from(hostcall.number), fuel, status);
        if let Some(difference) = self.answers.compare_response(seq, &record.entries) {
            return Err(self.diverged(difference));
        }
        self.outcome = outcome;
        if outcome.is_some() { Err(Fault::Ended) } else { Ok(response) }
    }
}
