//! What a key shows of a capsule: its payload, and what its logic makes of that.

use kapsule_abi::ErrorCode;
use kapsule_engine::{CapsuleResult, TrustEdge};
use kapsule_format::capsule::{Body, Capsule, CapsuleId, Edge};
use kapsule_format::hash::sha256;
use kapsule_format::log::{Entry, EntryKind};
use kapsule_store::{NewResult, Statement, StoreError, StoreHost, Trusted, Write};
use zeroize::Zeroizing;

use super::logic::Ran;
use super::{Entrance, Keys, Logics};
use crate::error::{Failure, Kind};
use crate::gather::Item;
use crate::interrupt;

/// What came of the payload of one capsule.
#[derive(Clone)]
pub(super) struct Processed {
    /// Why it was not read, if it was not.
    pub(super) unread: Option<ErrorCode>,
    ran: Option<Result<Ran, Failure>>,
    /// Body of a capsule whose logic asks the store something, and runs once it is accepted.
    later: Option<Zeroizing<Vec<u8>>>,
    /// What it says of trust, where logic may ask.
    statements: Vec<Statement>,
}

/// What became of an accepted capsule.
pub(super) struct Kept {
    /// How its logic ended, or why it did not run.
    pub(super) logic: Option<Result<String, String>>,
    /// Fuel of a run that had to wait for its turn.
    pub(super) fuel: u64,
}

/// What decides beside a capsule about what is kept of it.
pub(super) struct Around<'a, 'l> {
    /// What processes it.
    pub(super) logics: &'a Logics<'l>,
    /// What is known of trust up to it.
    pub(super) trusted: &'a mut Trusted,
    /// How it came in.
    pub(super) entrance: Entrance,
    /// Time of this call.
    pub(super) now_ms: u64,
}

/// Opens the payload of a capsule and runs its logic, unless that asks the store something; changes
/// nothing.
pub(super) fn process(keys: &Keys<'_>, logics: &Logics<'_>, capsule: &Capsule<'_>) -> Processed {
    let (id, meta) = (capsule.id(), capsule.meta());
    let opened = match keys.open(capsule) {
        Ok(opened) => opened,
        Err(error) => {
            let (unread, statements) = (Some(error.code), Vec::new());
            return Processed { unread, ran: None, later: None, statements };
        }
    };
    let statements = match logics.asks_statements() {
        true => statements(&Item::of(capsule, opened.body)),
        false => Vec::new(),
    };
    let (ran, later) = match logics.asks_store(meta) {
        true => (None, Some(opened.bytes)),
        false => (logics.run((id, meta), &opened.bytes, |memory| memory), None),
    };
    Processed { unread: None, ran, later, statements }
}

/// Returns what a capsule says of trust.
pub(super) fn statements(item: &Item) -> Vec<Statement> {
    let Body::Trust(trust) = &item.body else { return Vec::new() };
    let statement = |edge: &Edge| Statement {
        edge: TrustEdge {
            from: item.author,
            to: edge.about,
            weight_ppm: edge.weight_ppm,
            blocked: edge.blocked,
            time_ms: item.time_ms,
        },
        expiry_ms: edge.expiry_ms,
    };
    trust.edges.iter().map(statement).collect()
}

/// Writes what came of the payload of an accepted capsule.
///
/// Logic that asks the store something runs here, and sees every capsule up to this one.
pub(super) fn keep(
    write: &mut Write<'_>,
    Around { logics, trusted, entrance, now_ms }: Around<'_, '_>,
    capsule: &Capsule<'_>,
    processed: &Processed,
) -> Result<Kept, Failure> {
    trusted.statements.extend_from_slice(&processed.statements);
    // What a package made of a body is kept when the body goes, and not made twice.
    if entrance.restored && !write.view().results(&capsule.id())?.is_empty() {
        keep_run(write, capsule.id(), processed.unread.is_none(), None, now_ms)?;
        return Ok(Kept { logic: None, fuel: 0 });
    }
    let in_order = processed.later.as_ref().and_then(|body| {
        let (view, trusted) = (write.view(), &*trusted);
        let named = (capsule.id(), capsule.meta());
        logics.run(named, body, |memory| StoreHost::new(memory, view, trusted))
    });
    let fuel = match &in_order {
        Some(Ok(ran)) => ran.fuel,
        _ => 0,
    };
    let ran = in_order.as_ref().or(processed.ran.as_ref());
    let logic = keep_run(write, capsule.id(), processed.unread.is_none(), ran, now_ms)?;
    Ok(Kept { logic, fuel })
}

fn keep_run(
    write: &mut Write<'_>,
    capsule: CapsuleId,
    opened: bool,
    ran: Option<&Result<Ran, Failure>>,
    now_ms: u64,
) -> Result<Option<Result<String, String>>, Failure> {
    if opened {
        let entry = Entry::new(EntryKind::CapsuleDecrypted, now_ms);
        write.append(entry.subject("capsule", *capsule.digest()))?;
    }
    Ok(match ran {
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
    let submitted = ran.submitted.as_ref().map(CapsuleResult::encode);
    let entry = match &submitted {
        Some(bytes) => entry.subject("submitted", sha256(bytes)),
        None => entry,
    };
    for (package, changes) in &ran.storage {
        write.change_storage(package, changes)?;
    }
    let index = write.append(entry)?;
    let result = NewResult {
        capsule,
        package: ran.package,
        entry_point: &ran.entry,
        outcome: &ran.outcome,
        fuel: ran.fuel,
        output: &ran.output,
        submitted: submitted.as_deref(),
    };
    write.put_result(&result, index)?;
    Ok(ran.outcome.clone())
}
