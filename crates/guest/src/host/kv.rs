//! The package's own storage, which outlives the run if the run completes.

use alloc::vec::Vec;

use kapsule_abi::Errno;

use super::{answer, count, fits};
use crate::raw;

/// Returns the value of a key, or `None` if there is none.
///
/// # Errors
/// [`Errno::InvalidArgument`] if `key` is empty or longer than 256 bytes.
pub fn get(key: &[u8]) -> Result<Option<Vec<u8>>, Errno> {
    fits(key)?;
    found(answer(|buffer| raw::kv_get(key, buffer)))
}

/// Sets the value of a key.
///
/// The run ends with `limit(storage)` where the policy allows less.
///
/// # Errors
/// [`Errno::InvalidArgument`] if `key` is empty or longer than 256 bytes, or if key and value are
/// longer than [`BUFFER_BYTES_MAX`](crate::BUFFER_BYTES_MAX) together.
pub fn set(key: &[u8], value: &[u8]) -> Result<(), Errno> {
    fits_together(key, value)?;
    count(raw::kv_set(key, value)).map(|_zero| ())
}

/// Removes a key and tells whether it was there.
///
/// # Errors
/// [`Errno::InvalidArgument`] if `key` is empty or longer than 256 bytes.
pub fn delete(key: &[u8]) -> Result<bool, Errno> {
    fits(key)?;
    found(count(raw::kv_delete(key))).map(|deleted| deleted.is_some())
}

/// Returns the least key that is greater than `key`, or `None` past the last one; an empty `key`
/// is less than every key.
///
/// # Errors
/// [`Errno::InvalidArgument`] if `key` is longer than 256 bytes.
pub fn next(key: &[u8]) -> Result<Option<Vec<u8>>, Errno> {
    fits(key)?;
    found(answer(|buffer| raw::kv_next(key, buffer)))
}

fn found<T>(result: Result<T, Errno>) -> Result<Option<T>, Errno> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Errno::NotFound) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Refuses two buffers that would end the run with `denied(argument)`.
pub(super) fn fits_together(left: &[u8], right: &[u8]) -> Result<(), Errno> {
    let rest = super::CHUNK_BYTES.checked_sub(left.len()).ok_or(Errno::InvalidArgument)?;
    if right.len() > rest { Err(Errno::InvalidArgument) } else { Ok(()) }
}
