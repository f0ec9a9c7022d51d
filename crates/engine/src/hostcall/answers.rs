//! Where answers come from: a host, or the records of an earlier run.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kapsule_abi::{Errno, ValueType, guard};
use kapsule_format::transcript::{Entries, Entry};

use super::{Reply, Request, STATUS_ANSWERED, STATUS_REFUSED};
use crate::host::Host;
use crate::replay::{Difference, Field};

/// Source of the answers that the engine does not compute itself.
pub(crate) enum Answers<'a> {
    /// The host of a first run.
    Live(&'a mut dyn Host),
    /// The entries of a transcript, each to be met again in its order.
    Recorded(&'a Entries),
}

impl Answers<'_> {
    /// Compares what the guest asks with what it asked when the transcript was made.
    #[inline]
    pub(super) fn compare_request(
        &self,
        seq: u64,
        fuel: u64,
        request: &Request<'_>,
    ) -> Option<Difference> {
        match self {
            Self::Live(_) => None,
            Self::Recorded(entries) => compare_request(entries, seq, fuel, request),
        }
    }

    /// Compares what the guest is answered, the last of `made`, with what it was answered.
    #[inline]
    pub(super) fn compare_response(&self, seq: u64, made: &Entries) -> Option<Difference> {
        match self {
            Self::Live(_) => None,
            Self::Recorded(entries) => compare_response(entries, seq, made),
        }
    }
}

fn compare_request(
    entries: &Entries,
    seq: u64,
    fuel: u64,
    request: &Request<'_>,
) -> Option<Difference> {
    let Some(entry) = entry(entries, seq) else {
        let found = format!("a call of {}", request.hostcall.name);
        return Some(Difference::at(seq, Field::Count, "no more entries".into(), found));
    };
    let number = u64::from(request.hostcall.number);
    if guard!("engine.replay.hostcall", entry.hostcall != number) {
        return Some(numbers(seq, Field::Hostcall, entry.hostcall, number));
    }
    if guard!("engine.replay.fuel", entry.fuel != fuel) {
        return Some(numbers(seq, Field::Fuel, entry.fuel, fuel));
    }
    if guard!("engine.replay.request", !request.is_recorded_as(entry.request)) {
        let (recorded, found) = bytes(entry.request, &request.to_bytes());
        return Some(Difference::at(seq, Field::Request, recorded, found));
    }
    None
}

fn compare_response(entries: &Entries, seq: u64, made: &Entries) -> Option<Difference> {
    let (recorded, made) = (entry(entries, seq)?, entry(made, seq)?);
    if guard!("engine.replay.status", recorded.status != made.status) {
        return Some(numbers(seq, Field::Status, recorded.status, made.status));
    }
    if guard!("engine.replay.response", recorded.response != made.response) {
        let (recorded, found) = bytes(recorded.response, made.response);
        return Some(Difference::at(seq, Field::Response, recorded, found));
    }
    None
}

/// Returns the recorded answer to a question that only a host can answer.
///
/// # Errors
/// The difference, if no host can have given that answer.
pub(super) fn recorded(
    entries: &Entries,
    seq: u64,
    request: &Request<'_>,
) -> Result<Reply, Difference> {
    let Some(entry) = entry(entries, seq) else {
        let found = format!("a call of {}", request.hostcall.name);
        return Err(Difference::at(seq, Field::Count, "no more entries".into(), found));
    };
    let reply = match entry.status {
        STATUS_ANSWERED => read_answer(entry, request).and_then(|(result, written)| {
            let lie = !plausible(request, result, &written);
            if guard!("engine.replay.plausible", lie) {
                return None;
            }
            Some(Reply::Answered(result, written))
        }),
        STATUS_REFUSED => read_answer(entry, request)
            .and_then(|(result, _)| Errno::from_value(result))
            .filter(|errno| {
                let foreign = !request.hostcall.errors.contains(errno);
                !guard!("engine.replay.errno", foreign)
            })
            .map(Reply::Refused),
        status => {
            let found = "0 or 1, since the run goes on".into();
            return Err(Difference::at(seq, Field::Status, status.to_string(), found));
        }
    };
    reply.ok_or_else(|| implausible(entries, seq, request))
}

/// Returns the difference of an answer that no host can have given.
pub(super) fn implausible(entries: &Entries, seq: u64, request: &Request<'_>) -> Difference {
    let length = entry(entries, seq).map_or(0, |entry| entry.response.len());
    let found = format!("not an answer of {}", request.hostcall.name);
    Difference::at(seq, Field::Response, format!("{length} bytes"), found)
}

/// Takes a response apart; the caller compares the whole with its canonical form afterwards.
fn read_answer(entry: Entry<'_>, request: &Request<'_>) -> Option<(i64, Vec<u8>)> {
    let (word, rest) = entry.response.split_first_chunk::<8>()?;
    let result = match request.hostcall.result? {
        ValueType::I64 => i64::from_le_bytes(*word),
        ValueType::I32 => i64::from(u32::try_from(u64::from_le_bytes(*word)).ok()?.cast_signed()),
    };
    let written = rest.split_first_chunk::<8>().map_or(&[][..], |(_, written)| written);
    if guard!("engine.replay.capacity", written.len() > request.capacity()) {
        return None;
    }
    Some((result, written.to_vec()))
}

/// Tells whether result and written bytes can belong together.
fn plausible(request: &Request<'_>, result: i64, written: &[u8]) -> bool {
    let Ok(result) = u64::try_from(result) else { return false };
    match request.hostcall.number {
        // A paged read returns how many bytes it wrote.
        2 | 7 | 24 | 26 => result == written.len() as u64,
        // A whole value is written, or its length alone is told because it is longer.
        5 | 10 | 15 | 18..=21 => {
            result == written.len() as u64
                || (written.is_empty() && result > request.capacity() as u64)
        }
        8 | 16 | 17 | 25 => result == 0,
        _ => true,
    }
}

fn entry(entries: &Entries, seq: u64) -> Option<Entry<'_>> {
    usize::try_from(seq).ok().and_then(|seq| entries.get(seq))
}

fn numbers(seq: u64, field: Field, recorded: u64, found: u64) -> Difference {
    Difference::at(seq, field, recorded.to_string(), found.to_string())
}

/// Describes two byte strings that differ.
fn bytes(recorded: &[u8], found: &[u8]) -> (String, String) {
    let same = recorded.iter().zip(found).take_while(|(a, b)| a == b).count();
    let describe = |bytes: &[u8]| match bytes.get(same) {
        Some(byte) => format!("{byte:02x} at byte {same} of {}", bytes.len()),
        None => format!("the end after {} bytes", bytes.len()),
    };
    (describe(recorded), describe(found))
}
