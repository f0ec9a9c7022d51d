//! Group `snapshot`: decodes `bytes`, writes the capsules together again, and prints the ids.

use kapsule_abi::ErrorCode;
use kapsule_format::container::Container;
use kapsule_format::log::Checkpoint;
use kapsule_format::snapshot::{self, Snapshot};

use super::{Case, Verdict};

pub(crate) fn judge(case: &Case) -> Verdict {
    let bytes = case.bytes("bytes");
    let found = Snapshot::decode(&bytes)?;
    let index = found.index();
    let stored = Container::decode(&bytes)?.index();
    assert_eq!(index.encode(), stored, "an index has one form");
    let first = found.capsules().values().next().copied().unwrap();
    let twice = snapshot::write(index.channel, [first, first], []).unwrap_err();
    assert_eq!(twice.code, ErrorCode::SnapshotInvalid);
    let files = found.capsules().values().rev().copied();
    let again = snapshot::write(index.channel, files, []).unwrap();
    let plain = index.entries.is_empty() && index.extensions.is_empty();
    let again = Snapshot::decode(&again).unwrap();
    assert_eq!(again.id() == found.id(), plain, "the capsules decide about the id");
    assert_eq!(again.capsules(), found.capsules());
    let (count, heads) = (index.capsules.count, index.heads.len());
    let (id, channel) = (found.id(), index.channel);
    let mut noted = String::new();
    if let Some(note) = found.checkpoint() {
        let plain = snapshot::write(index.channel, found.capsules().values().copied(), []).unwrap();
        let attached = Snapshot::decode(&plain).unwrap().with_checkpoint(note).unwrap();
        assert_eq!(attached, bytes, "a checkpoint stands in one place");
        assert_eq!(found.with_checkpoint(note).unwrap(), bytes, "there is one at most");
        let Checkpoint { origin, size, .. } = &note.checkpoint;
        noted = format!(", log {origin} of {size}");
    }
    Ok(format!("snapshot {id}, channel {channel}, {count} capsules, {heads} heads{noted}"))
}
