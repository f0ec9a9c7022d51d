//! What a capsule says of itself, where it stands in the graph, and how the log is told.

use kapsule_abi::guard;
use kapsule_format::DecodeError;
use kapsule_format::capsule::{CapsuleId, Finding, Held, Standing, Surroundings, standing};
use kapsule_format::envelope::Signatures;
use kapsule_format::hash::sha256;
use kapsule_format::log::{Entry, EntryKind};
use kapsule_store::{CapsuleFile, StoreError, View, Write};

use super::Keys;
use crate::text::{cut, plain};

/// Longest reason that the log keeps, in characters.
const DETAIL: usize = 240;

/// What is decided of a capsule.
pub(super) enum Verdict {
    Accept {
        fork: bool,
    },
    Held,
    /// Its header is held, and this is the whole.
    Restore,
    Refuse(DecodeError),
    Wait(DecodeError),
}

/// Decides about a capsule that was checked.
pub(super) fn judge(
    view: &View<'_>,
    keys: &Keys<'_>,
    file: &CapsuleFile<'_>,
    signatures: &Signatures,
    now_ms: u64,
) -> Result<Verdict, StoreError> {
    if view.held(&file.capsule().id())?.is_some() {
        return Ok(if view.lacks_body(file)? { Verdict::Restore } else { Verdict::Held });
    }
    let standing = stand(view, keys, file, signatures, now_ms)?;
    if let Some(error) = standing.refusal()
        && guard!("cli.ingest.refusal", true)
    {
        return Ok(Verdict::Refuse(error.clone()));
    }
    if let Some(error) = standing.waiting()
        && guard!("cli.ingest.waiting", true)
    {
        return Ok(Verdict::Wait(error.clone()));
    }
    Ok(Verdict::Accept { fork: standing.fork != Finding::Pass })
}

fn stand(
    view: &View<'_>,
    keys: &Keys<'_>,
    file: &CapsuleFile<'_>,
    signatures: &Signatures,
    now_ms: u64,
) -> Result<Standing, StoreError> {
    let (capsule, channel) = (file.capsule(), file.channel());
    let meta = capsule.meta();
    let keyring = keys.deciding(&channel, meta);
    let mut parents: Vec<Held> = Vec::new();
    for id in &meta.prev {
        parents.extend(view.held(id)?);
    }
    let rivals = view.rivals(&channel, &meta.author.id(), meta.seq)?;
    // Whoever signs the next keyring is known from the one before.
    let owners = keyring.filter(|_| meta.keyring.is_some());
    let signed = owners.map(|before| {
        capsule.signatures(before.keyring.owners.iter().flat_map(|owner| owner.keys()))
    });
    let around = Surroundings {
        keyring,
        parents: &parents,
        rivals: &rivals,
        identities: &[],
        now_ms: Some(now_ms),
    };
    Ok(standing(meta, signed.as_ref().unwrap_or(signatures), &around))
}

/// Keeps a capsule and tells the log.
pub(super) fn accept(
    write: &mut Write<'_>,
    file: &CapsuleFile<'_>,
    now_ms: u64,
) -> Result<(), StoreError> {
    let (id, meta) = (file.capsule().id(), file.capsule().meta());
    let entry = Entry::new(EntryKind::CapsuleAccepted, now_ms)
        .subject("author", *meta.author.id().digest())
        .subject("capsule", *id.digest())
        .subject("channel", *file.channel().digest())
        .subject("file", *file.sha256())
        .datum("kind", meta.kind.clone())
        .datum("seq", meta.seq.to_string());
    let entry = write.append(entry)?;
    write.put_capsule(file, entry)
}

/// Keeps a file that is not accepted, with the reason, and tells the log.
pub(super) fn quarantine(
    write: &mut Write<'_>,
    bytes: &[u8],
    id: Option<CapsuleId>,
    error: &DecodeError,
    now_ms: u64,
) -> Result<(), StoreError> {
    let detail = cut(&plain(&error.to_string()), DETAIL);
    let mut entry = Entry::new(EntryKind::CapsuleRefused, now_ms)
        .subject("file", sha256(bytes))
        .datum("detail", detail.clone())
        .refused(error.code);
    if let Some(id) = id {
        entry = entry.subject("capsule", *id.digest());
    }
    let index = write.append(entry)?;
    write.put_quarantine(bytes, error.code, &detail, index)
}
