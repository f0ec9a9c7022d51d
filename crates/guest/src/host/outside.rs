//! What reaches beyond this module: proposals, other packages, the network.

use alloc::vec;
use alloc::vec::Vec;

use kapsule_abi::Errno;

use super::kv::fits_together;
use super::{CHUNK_BYTES, count, fits};
use crate::raw;
use crate::records::{NetRequest, Proposal};

/// Bytes before the output in the answer of `call`.
const CALL_HEADER_BYTES: usize = 16;

/// Proposes an act to the host, which considers it after the run, and returns its index.
///
/// # Errors
/// [`Errno::Refused`] if the host's budget or rules say no, [`Errno::Malformed`] if a text holds a
/// control character other than a line feed or a number is above 2^53-1,
/// [`Errno::InvalidArgument`] if the proposal is longer than
/// [`BUFFER_BYTES_MAX`](crate::BUFFER_BYTES_MAX).
pub fn propose(proposal: &Proposal) -> Result<u32, Errno> {
    let bytes = minicbor::to_vec(proposal).expect("encoding into a vector cannot fail");
    fits(&bytes)?;
    count(raw::propose(&bytes)).map(|index| index as u32)
}

/// How the run of another package ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Called {
    /// Fuel that it used; this run has so much less.
    pub fuel: u64,
    /// Outcome class: 0 completed, 1 trapped, 2 limit, 3 denied.
    pub class: u32,
    /// Detail of the outcome; for a completed run the code that its entry returned.
    pub detail: u32,
    /// Length of its output in bytes.
    pub output_bytes: usize,
    /// Its output, unless that is longer than the caller asked for.
    pub output: Option<Vec<u8>>,
}

impl Called {
    /// Tells whether the entry returned 0.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        self.class == 0 && self.detail == 0
    }
}

/// Runs an entry of a package of the dependency map, with at most this run's grants and remaining
/// fuel.
///
/// # Errors
/// [`Errno::NotFound`] if there is no such package or entry, [`Errno::Refused`] if the host does
/// not run it here, [`Errno::InvalidArgument`] if entry and input, or the output asked for, are
/// longer than a buffer may be.
pub fn call(
    package: &[u8; 32],
    entry: &str,
    input: &[u8],
    output_bytes_max: usize,
) -> Result<Called, Errno> {
    fits_together(entry.as_bytes(), input)?;
    if output_bytes_max > CHUNK_BYTES - CALL_HEADER_BYTES {
        return Err(Errno::InvalidArgument);
    }
    let mut answer = vec![0; CALL_HEADER_BYTES + output_bytes_max];
    let length = count(raw::call(package, entry.as_bytes(), input, &mut answer))? as usize;
    let (fuel, rest) = answer.split_first_chunk::<8>().ok_or(Errno::Malformed)?;
    let (class, rest) = rest.split_first_chunk::<4>().ok_or(Errno::Malformed)?;
    let (detail, rest) = rest.split_first_chunk::<4>().ok_or(Errno::Malformed)?;
    let output_bytes = length.checked_sub(CALL_HEADER_BYTES).ok_or(Errno::Malformed)?;
    Ok(Called {
        fuel: u64::from_le_bytes(*fuel),
        class: u32::from_le_bytes(*class),
        detail: u32::from_le_bytes(*detail),
        output_bytes,
        output: rest.get(..output_bytes).map(<[u8]>::to_vec),
    })
}

/// Sends bytes to a host and returns what it answers until it closes the connection, at most
/// `answer_bytes_max` bytes; an answer of that length may have been cut.
///
/// # Errors
/// [`Errno::Refused`] if this host does not talk to that one, [`Errno::Unreachable`] if that one
/// does not answer in time, [`Errno::Malformed`] if the request has no meaning,
/// [`Errno::InvalidArgument`] if request or answer are longer than
/// [`BUFFER_BYTES_MAX`](crate::BUFFER_BYTES_MAX).
pub fn net_request(request: &NetRequest, answer_bytes_max: usize) -> Result<Vec<u8>, Errno> {
    let bytes = minicbor::to_vec(request).expect("encoding into a vector cannot fail");
    fits(&bytes)?;
    if answer_bytes_max > CHUNK_BYTES {
        return Err(Errno::InvalidArgument);
    }
    let mut answer = vec![0; answer_bytes_max];
    let length = count(raw::net_request(&bytes, &mut answer))? as usize;
    answer.truncate(length);
    Ok(answer)
}
