//! The state hash: what a run leaves in memory, globals and storage.

use super::StateHash;
use crate::hash::{Tag, tagged};
use crate::{Digest, tree};

/// The parts of a state hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Size of linear memory in pages of 64 KiB.
    pub pages: u32,
    /// Merkle root over the pages.
    pub memory_root: Digest,
    /// Hash of the mutable globals.
    pub globals_hash: Digest,
    /// Merkle root over the storage pairs.
    pub storage_root: Digest,
}

impl State {
    /// Returns the state hash.
    ///
    /// # Spec
    /// `spec/transcript.md`, section "State hash".
    #[must_use]
    pub fn hash(&self) -> StateHash {
        StateHash::new(tagged(
            Tag::State,
            &[
                &self.pages.to_be_bytes(),
                self.memory_root.as_bytes(),
                self.globals_hash.as_bytes(),
                self.storage_root.as_bytes(),
            ],
        ))
    }
}

/// Returns the Merkle root over the 64 KiB pages of `memory`; hashes all of it.
#[must_use]
pub fn memory_root(memory: &[u8]) -> Digest {
    tree::chunk_root(memory)
}

/// Returns the hash of the mutable globals of a module, in index order.
///
/// Each value is its 4 or 8 raw bytes, big-endian, with NaNs canonical.
#[must_use]
pub fn globals_hash(globals: &[&[u8]]) -> Digest {
    tagged(Tag::Globals, globals)
}

/// Returns the storage root of a run without storage.
#[must_use]
pub fn empty_storage_root() -> Digest {
    tree::EMPTY_ROOT
}
