//! Files under the paths of the policy.
//!
//! A path is absolute, such as `/data/words.txt`; one that the policy does not list ends the run
//! with `denied(policy)`.
//! What is written is in the file once the run has completed.

use alloc::vec;
use alloc::vec::Vec;

use kapsule_abi::Errno;

use super::kv::fits_together;
use super::{CHUNK_BYTES, count, fits, read_chunks};
use crate::raw;

/// First buffer for a file of unknown size, in bytes; chosen to hold a small file at once.
const FIRST_BYTES: usize = 4096;

/// Copies bytes of a file from `offset` into `buffer` and returns how many there were.
///
/// # Errors
/// [`Errno::NotFound`] if there is no such file, [`Errno::InvalidArgument`] if `path` is not a
/// path, [`Errno::Refused`] if the host does not give the file out.
pub fn read_at(path: &str, offset: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
    fits(path.as_bytes())?;
    read_chunks(offset, buffer, |offset, chunk| count(raw::fs_read(path.as_bytes(), offset, chunk)))
}

/// Returns a whole file.
///
/// # Errors
/// As [`read_at`].
pub fn read(path: &str) -> Result<Vec<u8>, Errno> {
    let mut bytes = vec![0; FIRST_BYTES];
    let mut total = 0;
    loop {
        let Some(rest) = bytes.get_mut(total..) else { return Err(Errno::Malformed) };
        let wanted = rest.len();
        let part = read_at(path, total as u64, rest)?;
        total += part;
        if part < wanted {
            bytes.truncate(total);
            return Ok(bytes);
        }
        let more = bytes.len().min(CHUNK_BYTES);
        bytes.resize(bytes.len() + more, 0);
    }
}

/// Replaces a file.
///
/// # Errors
/// As [`read_at`], and [`Errno::InvalidArgument`] if path and bytes are longer than
/// [`BUFFER_BYTES_MAX`](crate::BUFFER_BYTES_MAX) together.
pub fn write(path: &str, bytes: &[u8]) -> Result<(), Errno> {
    fits_together(path.as_bytes(), bytes)?;
    count(raw::fs_write(path.as_bytes(), bytes)).map(|_zero| ())
}
