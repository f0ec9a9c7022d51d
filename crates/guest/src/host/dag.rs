//! Capsules that the host knows besides those being processed.

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use kapsule_abi::Errno;
use minicbor::bytes::ByteArray;

use super::{PAGE_BYTES, answer, count};
use crate::records::{CapsuleMetadata, DagQuery};
use crate::{Error, raw};

/// Returns what is known of the capsule with this id.
///
/// # Errors
/// Code [`Error::HOST`] if there is no such capsule or its metadata has another form.
pub fn metadata(id: &[u8; 32]) -> Result<CapsuleMetadata, Error> {
    let bytes = answer(|buffer| raw::dag_get(id, buffer))?;
    minicbor::decode(&bytes).map_err(|error| form("capsule metadata", &error))
}

/// Returns the capsules that name this one as a parent, ascending by claimed time and id.
///
/// # Errors
/// Code [`Error::HOST`] if there is no such capsule or the host answers in another form.
pub fn children(id: &[u8; 32]) -> Result<Vec<ByteArray<32>>, Error> {
    pages(|cursor, page| raw::dag_children(id, cursor, page))
}

/// Returns the capsules that match, ascending by claimed time and id.
///
/// # Errors
/// Code [`Error::HOST`] if the host answers in another form, or cannot read a text of the query.
pub fn query(query: &DagQuery) -> Result<Vec<ByteArray<32>>, Error> {
    let query = minicbor::to_vec(query).expect("encoding into a vector cannot fail");
    super::fits(&query)?;
    pages(|cursor, page| raw::dag_query(&query, cursor, page))
}

/// Reads a list of ids page by page; one hostcall takes about 1,900 of them.
fn pages(mut ask: impl FnMut(i64, &mut [u8]) -> i32) -> Result<Vec<ByteArray<32>>, Error> {
    let mut ids = Vec::new();
    let mut page = vec![0; PAGE_BYTES];
    loop {
        let read = count(ask(ids.len() as i64, &mut page))? as usize;
        if read == 0 {
            return Ok(ids);
        }
        let bytes = page.get(..read).ok_or(Errno::Malformed)?;
        let more: Vec<ByteArray<32>> =
            minicbor::decode(bytes).map_err(|error| form("capsule ids", &error))?;
        // A page without an id would be asked for again for ever.
        if more.is_empty() {
            return Err(Errno::Malformed.into());
        }
        ids.extend(more);
    }
}

fn form(what: &str, error: &minicbor::decode::Error) -> Error {
    Error::new(Error::HOST, format!("{what} have another form: {error}"))
}
