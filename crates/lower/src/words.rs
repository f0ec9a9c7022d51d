//! The transcript words of a hostcall, from its record.
//!
//! A stub emits and reads these words, and whoever holds the records computes them again.

use alloc::vec::Vec;

use kapsule_abi::{Access, Hostcall, Length};

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
