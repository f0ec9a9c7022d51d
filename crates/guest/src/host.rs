//! Safe wrappers of the hostcalls.
//!
//! A wrapper splits what may be split at [`BUFFER_BYTES_MAX`], so no call of this `mod` ends a run
//! with `denied(argument)`.
//! A module imports only what it uses, and each import with a grant must be in its policy.

pub mod dag;
pub mod files;
pub mod kv;
mod outside;

use alloc::vec;
use alloc::vec::Vec;

use kapsule_abi::{BUFFER_BYTES_MAX, Errno};

pub use outside::{Called, call, net_request, propose};

use crate::records::{CapsuleMetadata, CapsuleResult, TrustEdge};
use crate::{Error, raw};

/// Greatest buffer of one hostcall, in bytes.
const CHUNK_BYTES: usize = BUFFER_BYTES_MAX as usize;

/// First guess at the size of an answer, in bytes; chosen above a usual capsule's metadata.
const ANSWER_BYTES: usize = 1024;

/// Size of the buffer for one page of trust edges or capsule ids, in bytes; chosen to hold about
/// 800 edges.
const PAGE_BYTES: usize = 65_536;

/// How grave a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i32)]
pub enum Level {
    /// The run failed or will fail.
    Error = 0,
    /// Something was left out or corrected.
    Warn = 1,
    /// What a reader of the run wants to know.
    Info = 2,
    /// What its author wants to know.
    Debug = 3,
    /// Everything.
    Trace = 4,
}

/// A hash algorithm that the host computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum HashAlgorithm {
    /// SHA-256 of FIPS 180-4.
    Sha256 = 1,
    /// SHA3-256 of FIPS 202.
    Sha3 = 2,
    /// BLAKE3 with 32 bytes of output.
    Blake3 = 3,
}

/// Returns the length of the run's input in bytes.
#[must_use]
pub fn input_bytes() -> u64 {
    raw::input_len() as u64
}

/// Copies input from `offset` into `buffer` and returns how many bytes there were.
#[must_use]
pub fn input_read(offset: u64, buffer: &mut [u8]) -> usize {
    read_chunks(offset, buffer, |offset, chunk| count(raw::input_read(offset, chunk)))
        .expect("input_read has no error codes")
}

/// Returns the run's whole input.
#[must_use]
pub fn input() -> Vec<u8> {
    let mut bytes = vec![0; memory_bytes(input_bytes())];
    let read = input_read(0, &mut bytes);
    bytes.truncate(read);
    bytes
}

/// Appends `bytes` to the run's output.
///
/// The run ends with `limit(output)` where the policy allows less.
pub fn output(bytes: &[u8]) {
    for chunk in bytes.chunks(CHUNK_BYTES) {
        let _zero = raw::output_write(chunk);
    }
}

/// Writes a diagnostic line.
///
/// The line is in the transcript and not in the output; the run ends with `limit(log)` where the
/// policy allows less.
pub fn log(level: Level, message: &str) {
    for chunk in message.as_bytes().chunks(CHUNK_BYTES) {
        raw::log(level as i32, chunk);
    }
}

/// Returns what is known of the capsule at `index` of those being processed.
///
/// # Errors
/// Code [`Error::HOST`] if there is no such capsule or its metadata has another form.
pub fn capsule_metadata(index: u32) -> Result<CapsuleMetadata, Error> {
    let bytes = answer(|buffer| raw::get_capsule_metadata(index as i32, buffer))?;
    minicbor::decode(&bytes).map_err(|error| {
        Error::new(Error::HOST, alloc::format!("capsule metadata has another form: {error}"))
    })
}

/// Returns the length of the decrypted payload of the capsule at `index`, in bytes.
///
/// # Errors
/// [`Errno::NotFound`] if there is no such capsule, [`Errno::KeyNotHeld`] if the host cannot
/// decrypt it.
pub fn capsule_payload_bytes(index: u32) -> Result<u64, Errno> {
    count(raw::capsule_payload_len(index as i32))
}

/// Returns the decrypted payload of the capsule at `index`.
///
/// # Errors
/// As [`capsule_payload_bytes`].
pub fn capsule_payload(index: u32) -> Result<Vec<u8>, Errno> {
    let mut bytes = vec![0; memory_bytes(capsule_payload_bytes(index)?)];
    let read = read_chunks(0, &mut bytes, |offset, chunk| {
        count(raw::capsule_payload_read(index as i32, offset, chunk))
    })?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Submits a result for the capsule at `index`; a second one replaces the first.
///
/// # Errors
/// [`Errno::NotFound`] if there is no such capsule, [`Errno::InvalidArgument`] if the result is
/// longer than [`BUFFER_BYTES_MAX`].
pub fn submit_capsule_result(index: u32, result: &CapsuleResult) -> Result<(), Errno> {
    let bytes = minicbor::to_vec(result).expect("encoding into a vector cannot fail");
    fits(&bytes)?;
    count(raw::submit_capsule_result(index as i32, &bytes)).map(|_zero| ())
}

/// Returns the local viewer's trust in an author, in millionths.
///
/// The author is an identity id (32 bytes), or a suite byte and a key.
///
/// # Errors
/// [`Errno::NotFound`] if nothing is known of the author, [`Errno::InvalidArgument`] if `author`
/// has another form.
pub fn trust_score(author: &[u8]) -> Result<u64, Errno> {
    fits(author)?;
    count(raw::get_trust_score(author))
}

/// Returns every trust statement that the host knows, in the host's order.
///
/// This takes one hostcall for about 800 statements.
///
/// # Errors
/// Code [`Error::HOST`] if the host answers with bytes of another form.
pub fn trust_edges() -> Result<Vec<TrustEdge>, Error> {
    let mut edges = Vec::new();
    let mut page = vec![0; PAGE_BYTES];
    loop {
        let cursor = edges.len() as i64;
        let read = count(raw::trust_edges(cursor, &mut page))? as usize;
        if read == 0 {
            return Ok(edges);
        }
        let bytes = page.get(..read).ok_or(Errno::Malformed)?;
        let more: Vec<TrustEdge> = minicbor::decode(bytes).map_err(|error| {
            Error::new(Error::HOST, alloc::format!("trust edges have another form: {error}"))
        })?;
        // A page without an edge would be asked for again for ever.
        if more.is_empty() {
            return Err(Errno::Malformed.into());
        }
        edges.extend(more);
    }
}

/// Returns the hash of `bytes`.
///
/// # Errors
/// [`Errno::InvalidArgument`] if `bytes` is longer than [`BUFFER_BYTES_MAX`].
pub fn hash(algorithm: HashAlgorithm, bytes: &[u8]) -> Result<[u8; 32], Errno> {
    fits(bytes)?;
    let mut digest = [0; 32];
    count(raw::hash(algorithm as i32, bytes, &mut digest)).map(|_zero| digest)
}

/// Returns whether `signature` is a signature of `message` by `key` in the signature suite
/// `suite`; a malformed key or signature is not one.
///
/// # Errors
/// [`Errno::Unsupported`] if the host does not know the suite, [`Errno::InvalidArgument`] if a
/// buffer is longer than [`BUFFER_BYTES_MAX`].
pub fn signature_verify(
    suite: u8,
    key: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<bool, Errno> {
    fits(key)?;
    fits(message)?;
    fits(signature)?;
    count(raw::signature_verify(i32::from(suite), key, message, signature)).map(|valid| valid == 1)
}

/// Returns the run's fixed time, in milliseconds since 1970-01-01 UTC.
#[must_use]
pub fn now_ms() -> u64 {
    raw::now() as u64
}

/// Fills `buffer` from the run's deterministic generator.
pub fn random(buffer: &mut [u8]) {
    for chunk in buffer.chunks_mut(CHUNK_BYTES) {
        raw::random(chunk);
    }
}

/// Separates the result of a hostcall into a count and an error.
///
/// # Panics
/// If the host returns a negative value that ABI version 1 does not have.
fn count(result: impl Into<i64>) -> Result<u64, Errno> {
    let result = result.into();
    u64::try_from(result).map_err(|_negative| {
        Errno::from_value(result).expect("the host returns only error codes of the ABI")
    })
}

/// Refuses what would end the run with `denied(argument)`.
fn fits(bytes: &[u8]) -> Result<(), Errno> {
    if bytes.len() > CHUNK_BYTES { Err(Errno::InvalidArgument) } else { Ok(()) }
}

/// Returns a length that the host gave as a size in memory.
fn memory_bytes(length: u64) -> usize {
    usize::try_from(length).expect("what the host offers fits the address space")
}

/// Fills `buffer` chunk by chunk until it is full or the source ends.
fn read_chunks(
    offset: u64,
    buffer: &mut [u8],
    mut read: impl FnMut(i64, &mut [u8]) -> Result<u64, Errno>,
) -> Result<usize, Errno> {
    let mut total = 0;
    for chunk in buffer.chunks_mut(CHUNK_BYTES) {
        let part = read(offset.saturating_add(total as u64) as i64, chunk)? as usize;
        total += part;
        if part < chunk.len() {
            break;
        }
    }
    Ok(total)
}

/// Asks again with the needed length where the first buffer was too small.
fn answer(mut ask: impl FnMut(&mut [u8]) -> i32) -> Result<Vec<u8>, Errno> {
    let mut buffer = vec![0; ANSWER_BYTES];
    let mut length = count(ask(&mut buffer))? as usize;
    if length > buffer.len() {
        buffer.resize(length.min(CHUNK_BYTES), 0);
        length = count(ask(&mut buffer))? as usize;
    }
    if length > buffer.len() {
        return Err(Errno::Malformed);
    }
    buffer.truncate(length);
    Ok(buffer)
}

#[cfg(test)]
mod tests;
