//! The transcript words of a hostcall, from its record.
//!
//! A stub emits and reads these words, and whoever holds the records computes them again.

use alloc::vec::Vec;

use kapsule_abi::{Access, BUFFER_BYTES_MAX, Hostcall, Length};

use crate::isa::{TAG_IN, TAG_OUT};

/// First status word that ends the run.
pub const STATUS_ENDED: u64 = 2;
/// First number that is no status word.
pub const STATUS_COUNT: u64 = 8;

/// One transcript event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// [`TAG_OUT`] for a word from guest to host, [`TAG_IN`] for one from host to guest.
    pub tag: u8,
    /// The word.
    pub word: u64,
}

/// One hostcall as a transcript records it.
#[derive(Clone, Copy, Debug)]
pub struct Record<'r> {
    /// Number of the hostcall.
    pub hostcall: u64,
    /// Status word.
    pub status: u64,
    /// Arguments, 8 bytes each, then the bytes of the readable buffers.
    pub request: &'r [u8],
    /// Result, if the call has one, then for a writable buffer the number of written bytes and
    /// those; empty if the run ended.
    pub response: &'r [u8],
}

impl Record<'_> {
    /// Appends the events of this call, or returns `None` if no call has such a record.
    #[must_use]
    pub fn events(&self, events: &mut Vec<Event>) -> Option<()> {
        let hostcall = Hostcall::from_number(self.hostcall)?;
        let mut put = |tag, word| events.push(Event { tag, word });
        let count = hostcall.params.len();
        let (args, mut readable) = self.request.split_at_checked(8 * count)?;
        let args: Vec<u64> = args.chunks(8).map(word).collect();
        put(TAG_OUT, self.hostcall);
        put(TAG_OUT, count as u64);
        args.iter().for_each(|arg| put(TAG_OUT, *arg));
        let buffers = || hostcall.buffers().filter(|(_, access, _)| *access == Access::Read);
        // Buffers that are too long are not recorded, and then none is.
        for (_, _, length) in buffers().filter(|_| !self.request[8 * count..].is_empty()) {
            let length = match length {
                Length::Param(index) => *args.get(usize::from(index))?,
                Length::Fixed(bytes) => u64::from(bytes),
            };
            let (bytes, rest) = readable.split_at_checked(usize::try_from(length).ok()?)?;
            bytes.chunks(8).for_each(|chunk| put(TAG_OUT, word(chunk)));
            readable = rest;
        }
        if !readable.is_empty() || self.status >= STATUS_COUNT {
            return None;
        }
        put(TAG_IN, self.status);
        let mut response = self.response;
        if self.status < STATUS_ENDED {
            let words = u8::from(hostcall.result.is_some());
            for _ in 0..words {
                put(TAG_IN, take(&mut response)?);
            }
            for _ in hostcall.buffers().filter(|(_, access, _)| *access == Access::Write) {
                let length = take(&mut response)?;
                put(TAG_IN, length);
                let length = usize::try_from(length).ok()?;
                let (bytes, rest) = response.split_at_checked(length)?;
                bytes.chunks(8).for_each(|chunk| put(TAG_IN, word(chunk)));
                response = rest;
            }
        }
        response.is_empty().then_some(())
    }
}

/// Returns up to 8 bytes as one little-endian word, padded with zeros.
fn word(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// Takes 8 bytes off the front.
fn take(bytes: &mut &[u8]) -> Option<u64> {
    let (head, rest) = bytes.split_at_checked(8)?;
    *bytes = rest;
    Some(word(head))
}

/// Returns the events of a run: those of its hostcalls in order, and the result of an entry that
/// returned; `None` if a record is none that a run can make.
#[must_use]
pub fn of_run<'r>(
    records: impl IntoIterator<Item = Record<'r>>,
    completed: Option<u32>,
) -> Option<Vec<Event>> {
    let mut events = Vec::new();
    for record in records {
        record.events(&mut events)?;
    }
    events.extend(completed.map(|code| Event { tag: TAG_OUT, word: u64::from(code) }));
    Some(events)
}

/// One hostcall that was read back from its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The hostcall.
    pub hostcall: &'static Hostcall,
    /// Status word.
    pub status: u64,
    /// Arguments, 8 bytes each, then the bytes of the readable buffers.
    pub request: Vec<u8>,
    /// Result and written bytes; empty if the run ended.
    pub response: Vec<u8>,
}

impl Call {
    /// Returns the record that these words are those of.
    #[must_use]
    pub fn record(&self) -> Record<'_> {
        Record {
            hostcall: u64::from(self.hostcall.number),
            status: self.status,
            request: &self.request,
            response: &self.response,
        }
    }

    /// Returns an argument, 0 if the hostcall has fewer.
    #[must_use]
    pub fn arg(&self, index: usize) -> u64 {
        self.request.get(8 * index..8 * index + 8).map_or(0, word)
    }

    /// Returns the bytes of all readable buffers, in order.
    #[must_use]
    pub fn passed(&self) -> &[u8] {
        self.request.get(8 * self.hostcall.params.len()..).unwrap_or_default()
    }

    /// Returns the result as a word, 0 if there is none.
    #[must_use]
    pub fn result(&self) -> u64 {
        match self.hostcall.result {
            Some(_) => self.response.get(..8).map_or(0, word),
            None => 0,
        }
    }

    /// Returns the bytes that the host wrote.
    #[must_use]
    pub fn written(&self) -> &[u8] {
        let words = usize::from(self.hostcall.result.is_some()) + 1;
        self.response.get(8 * words..).unwrap_or_default()
    }
}

/// A run that was read back from its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calls {
    /// Its hostcalls, in order.
    pub calls: Vec<Call>,
    /// What the entry returned, if it did.
    pub completed: Option<u32>,
}

impl Calls {
    /// Reads the words of a run back, the inverse of [`of_run`]; `None` if no run that a host
    /// answers by the rules has these words.
    ///
    /// `completed` tells whether the entry returned, which the words alone do not show.
    #[must_use]
    pub fn read(events: &[Event], completed: bool) -> Option<Self> {
        let mut rest = events;
        let last = match (completed, rest) {
            (false, _) => None,
            (true, [before @ .., last]) => {
                rest = before;
                Some(u32::try_from(last.word).ok().filter(|_| last.tag == TAG_OUT)?)
            }
            (true, []) => return None,
        };
        let mut calls = Vec::new();
        while !rest.is_empty() {
            calls.push(call(&mut rest)?);
        }
        let this = Self { calls, completed: last };
        // Padding, and the number of words of each buffer, are compared at once here.
        let again = of_run(this.calls.iter().map(Call::record), last)?;
        (again == events).then_some(this)
    }
}

/// Takes the words of one hostcall off the front.
fn call(events: &mut &[Event]) -> Option<Call> {
    let hostcall = Hostcall::from_number(next(events, TAG_OUT)?)?;
    let count = next(events, TAG_OUT)?;
    if count != hostcall.params.len() as u64 {
        return None;
    }
    let mut request = Vec::new();
    let mut args = Vec::new();
    for _ in hostcall.params {
        let arg = next(events, TAG_OUT)?;
        args.push(arg);
        request.extend_from_slice(&arg.to_le_bytes());
    }
    let lengths = hostcall.buffers().filter(|(_, access, _)| *access == Access::Read);
    let lengths: Option<Vec<u64>> = lengths
        .map(|(_, _, length)| match length {
            Length::Param(index) => args.get(usize::from(index)).copied(),
            Length::Fixed(bytes) => Some(u64::from(bytes)),
        })
        .collect();
    let lengths = lengths?;
    let total = lengths.iter().try_fold(0u64, |sum, length| sum.checked_add(*length))?;
    // Buffers that are too long are not recorded, and then none is.
    for length in lengths.into_iter().filter(|_| total <= u64::from(BUFFER_BYTES_MAX)) {
        bytes(events, TAG_OUT, length, &mut request)?;
    }
    let status = next(events, TAG_IN)?;
    let mut response = Vec::new();
    if status < STATUS_ENDED {
        if hostcall.result.is_some() {
            response.extend_from_slice(&next(events, TAG_IN)?.to_le_bytes());
        }
        for _ in hostcall.buffers().filter(|(_, access, _)| *access == Access::Write) {
            let length = next(events, TAG_IN)?;
            response.extend_from_slice(&length.to_le_bytes());
            bytes(events, TAG_IN, length, &mut response)?;
        }
    }
    Some(Call { hostcall, status, request, response })
}

/// Takes one word with this tag off the front.
fn next(events: &mut &[Event], tag: u8) -> Option<u64> {
    let (first, rest) = events.split_first()?;
    *events = rest;
    (first.tag == tag).then_some(first.word)
}

/// Takes `length` bytes, 8 a word, off the front; never more than there are words for.
fn bytes(events: &mut &[Event], tag: u8, length: u64, out: &mut Vec<u8>) -> Option<()> {
    let mut left = usize::try_from(length).ok()?;
    while left > 0 {
        let word = next(events, tag)?.to_le_bytes();
        let count = left.min(8);
        out.extend_from_slice(&word[..count]);
        left -= count;
    }
    Some(())
}
