//! The chain of entry hashes and the tree over the entries.

use alloc::format;
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

use super::entry::entry_hash;
use super::{Checkpoint, Entry, EntryKind, LogName};
use crate::hash::{self, Tag};
use crate::tree::{self, Builder};
use crate::{DecodeError, Digest};

/// Where a log stands after some entries: what the next one must link to.
#[derive(Clone, Debug)]
pub struct Chain {
    origin: LogName,
    /// Hash of the last entry, or the genesis.
    head: Digest,
    key_epoch: u64,
    tree: Builder,
}

impl Chain {
    /// Starts an empty log.
    #[must_use]
    pub fn new(origin: LogName) -> Self {
        let head = hash::tagged(Tag::LogGenesis, &[origin.as_str().as_bytes()]);
        Self { origin, head, key_epoch: 0, tree: Builder::new() }
    }

    /// Goes on after an entry that was checked before: its hash, the key epoch after it, and the
    /// tree with it.
    #[must_use]
    pub const fn resume(origin: LogName, head: Digest, key_epoch: u64, tree: Builder) -> Self {
        Self { origin, head, key_epoch, tree }
    }

    /// Gives an entry its index, link and key epoch, and encodes it.
    ///
    /// # Errors
    /// As [`Entry::encode`].
    pub fn link(&self, mut entry: Entry) -> Result<Vec<u8>, DecodeError> {
        (entry.index, entry.prev, entry.key_epoch) = (self.size(), self.head, self.key_epoch);
        entry.encode()
    }

    /// Appends an entry.
    ///
    /// # Errors
    /// As [`Entry::decode`]; E504 if its index or link is not the next one; E512 for a key epoch
    /// that is not the one in force.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Entry, DecodeError> {
        self.push_noting(bytes, &mut |_, _, _| ())
    }

    /// Appends an entry and reports the nodes of the tree that it completes, as
    /// [`Builder::push_noting`].
    ///
    /// # Errors
    /// As [`Chain::push`].
    pub fn push_noting(
        &mut self,
        bytes: &[u8],
        note: &mut impl FnMut(u32, u64, &Digest),
    ) -> Result<Entry, DecodeError> {
        let entry = Entry::decode(bytes)?;
        let refuse = |code, detail| Err(DecodeError::new(code, detail));
        let (found, next) = (entry.index, self.size());
        if guard!("format.log.chain_index", found != next) {
            let detail = format!("found the entry with index {found}, the next one is {next}");
            return refuse(ErrorCode::LogChainBroken, detail);
        }
        if guard!("format.log.chain_prev", entry.prev != self.head) {
            let (found, head) = (entry.prev, self.head);
            let detail = format!("entry {next} links to {found}, the one before it is {head}");
            return refuse(ErrorCode::LogChainBroken, detail);
        }
        let (found, epoch) = (entry.key_epoch, self.key_epoch);
        if guard!("format.log.chain_epoch", found != epoch) {
            let detail = format!("entry {next} has the key epoch {found}, in force is {epoch}");
            return refuse(ErrorCode::EpochKeyOrder, detail);
        }
        self.advance(entry.kind, bytes, note);
        Ok(entry)
    }

    /// Appends a new entry, which gets its index, link and key epoch here, and reports nodes as
    /// [`Chain::push_noting`]; returns its bytes.
    ///
    /// # Errors
    /// As [`Entry::encode`].
    pub fn append_noting(
        &mut self,
        entry: Entry,
        note: &mut impl FnMut(u32, u64, &Digest),
    ) -> Result<Vec<u8>, DecodeError> {
        let kind = entry.kind;
        let bytes = self.link(entry)?;
        self.advance(kind, &bytes, note);
        Ok(bytes)
    }

    fn advance(&mut self, kind: EntryKind, bytes: &[u8], note: &mut impl FnMut(u32, u64, &Digest)) {
        // A new key is announced under the old one.
        if kind == EntryKind::LogKey {
            self.key_epoch = self.key_epoch.saturating_add(1);
        }
        self.head = entry_hash(bytes);
        self.tree.push_noting(tree::leaf_hash(bytes), note);
    }

    /// Returns the name of the log.
    #[must_use]
    pub const fn origin(&self) -> &LogName {
        &self.origin
    }

    /// Returns the number of entries.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.tree.count()
    }

    /// Returns the hash of the last entry, or the genesis.
    #[must_use]
    pub const fn head(&self) -> &Digest {
        &self.head
    }

    /// Returns the key epoch of the next entry.
    #[must_use]
    pub const fn key_epoch(&self) -> u64 {
        self.key_epoch
    }

    /// Returns the Merkle root over the entries.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.tree.root()
    }

    /// Returns what a checkpoint of this log says.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint { origin: self.origin.clone(), size: self.size(), root: self.root() }
    }

    /// Compares the log with an earlier checkpoint of its size.
    ///
    /// # Errors
    /// E309 for a checkpoint of another log, E505 if the log has fewer entries, E312 if it has as
    /// many and another root.
    pub fn check_reaches(&self, saved: &Checkpoint) -> Result<(), DecodeError> {
        self.checkpoint().check_origin(saved)?;
        let (found, size) = (self.size(), saved.size);
        if guard!("format.log.chain_truncated", found < size) {
            let detail = format!("the log has {found} entries, a checkpoint saw {size}");
            return Err(DecodeError::new(ErrorCode::LogTruncated, detail));
        }
        if guard!("format.log.chain_fork", found == size && self.root() != saved.root) {
            return Err(fork(saved, &self.root()));
        }
        Ok(())
    }
}

/// Checks that the log of `old` is the beginning of the log of `new`.
///
/// # Errors
/// E309 for two logs, E505 if the new one is shorter, E312 if both have one size and two roots,
/// E311 if `proof` does not lead from one to the other.
pub fn check_consistency(
    old: &Checkpoint,
    new: &Checkpoint,
    proof: &[Digest],
) -> Result<(), DecodeError> {
    new.check_origin(old)?;
    if guard!("format.log.consistency_size", new.size < old.size) {
        let detail = format!("the log has {} entries, a checkpoint saw {}", new.size, old.size);
        return Err(DecodeError::new(ErrorCode::LogTruncated, detail));
    }
    if guard!("format.log.consistency_fork", new.size == old.size && new.root != old.root) {
        return Err(fork(old, &new.root));
    }
    // A log without entries is the beginning of every other one.
    let valid = match old.size {
        0 => proof.is_empty() && old.root == tree::EMPTY_ROOT,
        _ => tree::verify_consistency(old.size, &old.root, new.size, &new.root, proof),
    };
    if guard!("format.log.consistency", !valid) {
        let detail = format!("no proof that the {} entries begin the {}", old.size, new.size);
        return Err(DecodeError::new(ErrorCode::LogConsistencyInvalid, detail));
    }
    Ok(())
}

fn fork(saved: &Checkpoint, found: &Digest) -> DecodeError {
    let detail =
        format!("{} entries have the root {found}, a checkpoint says {}", saved.size, saved.root);
    DecodeError::new(ErrorCode::LogFork, detail)
}
