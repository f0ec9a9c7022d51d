//! What a key shows of a capsule: its payload, and what its logic makes of that.

use kapsule_abi::ErrorCode;
use kapsule_format::capsule::{Capsule, CapsuleId};
use kapsule_format::hash::sha256;
use kapsule_format::log::{Entry, EntryKind};
use kapsule_store::{NewResult, StoreError, Write};

use super::logic::Ran;
use super::{Keys, Logics};
use crate::error::{Failure, Kind};
use crate::interrupt;

/// What came of the payload of one capsule.
#[derive(Clone)]
pub(super) struct Processed {
    /// Why it was not read, if it was not.
    pub(super) unread: Option<ErrorCode>,
    ran: Option<Result<Ran, Failure>>,
}

/// Opens the payload of a capsule and runs its logic; changes nothing.
pub(super) fn process(keys: &Keys<'_>, logics: &Logics<'_>, capsule: &Capsule<'_>) -> Processed {
    match keys.open(capsule) {
        Ok(opened) => {
            let ran = logics.run(capsule.id(), capsule.meta(), &opened.bytes);
            Processed { unread: None, ran }
        }
        Err(error) => Processed { unread: Some(error.code), ran: None },
    }
}

/// Writes what came of the payload of an accepted capsule; returns how its logic ended, or why it
/// did not run.
pub(super) fn keep(
    write: &mut Write<'_>,
    capsule: CapsuleId,
    processed: &Processed,
    now_ms: u64,
) -> Result<Option<Result<String, String>>, Failure> {
    if processed.unread.is_none() {
        let entry = Entry::new(EntryKind::CapsuleDecrypted, now_ms);
        write.append(entry.subject("capsule", *capsule.digest()))?;
    }
    Ok(match &processed.ran {
        None => None,
        Some(Ok(ran)) => Some(Ok(keep_result(write, capsule, ran, now_ms)?)),
        Some(Err(failure)) if *failure == interrupt::failure() => return Err(failure.clone()),
        Some(Err(failure)) => {
            let mut entry =
                Entry::new(EntryKind::PackageRefused, now_ms).subject("capsule", *capsule.digest());
            if let Kind::Code(code) = failure.kind {
                entry = entry.refused(code);
            }
            write.append(entry)?;
            Some(Err(failure.to_string()))
        }
    })
}

/// Writes the result of a run, and returns how it ended.
fn keep_result(
    write: &mut Write<'_>,
    capsule: CapsuleId,
    ran: &Ran,
    now_ms: u64,
) -> Result<String, StoreError> {
    let entry = Entry::new(EntryKind::RunFinished, now_ms)
        .subject("capsule", *capsule.digest())
        .subject("output", sha256(&ran.output))
        .subject("package", *ran.package.digest())
        .datum("entry", ran.entry.clone())
        .datum("fuel", ran.fuel.to_string())
        .datum("outcome", ran.outcome.clone());
    let index = write.append(entry)?;
    let result = NewResult {
        capsule,
        package: ran.package,
        entry_point: &ran.entry,
        outcome: &ran.outcome,
        fuel: ran.fuel,
        output: &ran.output,
    };
    write.put_result(&result, index)?;
    Ok(ran.outcome.clone())
}
