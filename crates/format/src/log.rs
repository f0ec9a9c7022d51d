//! The audit log: entries, their chain and tree, signed checkpoints, proofs.
//!
//! Keeping the entries is the work of a store; this part turns bytes into entries and back and
//! says whether they belong together.
//!
//! # Examples
//! ```
//! use kapsule_format::log::{Chain, Entry, EntryKind, LogName};
//!
//! let mut chain = Chain::new(LogName::new("example.org/log")?);
//! let opened = Entry::new(EntryKind::LogOpen, 1_700_000_000_000);
//! let bytes = chain.link(opened)?;
//! assert_eq!(chain.push(&bytes)?.index, 0);
//! assert_eq!(chain.checkpoint().size, 1);
//! # Ok::<(), kapsule_format::DecodeError>(())
//! ```
//!
//! # Spec
//! `spec/log.md`; vectors in `spec/vectors/log/`.

mod chain;
mod checkpoint;
mod entry;
mod note;
mod proof;

pub use chain::{Chain, check_consistency};
pub use checkpoint::{Checkpoint, SignedCheckpoint};
pub use entry::{Entry, EntryKind, blind};
pub use note::{LogName, NoteSignature, VerifierKey};
pub use proof::LogProof;

#[cfg(test)]
mod tests;
