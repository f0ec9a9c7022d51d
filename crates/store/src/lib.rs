#![doc = include_str!("../README.md")]
//!
//! # Examples
//! ```
//! use kapsule_format::log::{Entry, EntryKind, LogName};
//! use kapsule_store::{Opening, Store};
//!
//! let folder = tempfile::tempdir()?;
//! let opening = Opening { origin: Some(LogName::new("example.org/log")?), time_ms: 1 };
//! let mut store = Store::open(folder.path(), opening)?;
//! let index = store.write(|write| write.append(Entry::new(EntryKind::KeyCreated, 2)))?;
//! assert_eq!((index, store.head()?.size), (1, 2));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Map
//! | Work | Modules |
//! |---|---|
//! | the file and its tables | `schema`, `open` |
//! | the log | `log`, `checkpoints` |
//! | capsules, results, quarantine | `capsules` |
//! | what packages make of many capsules, proposals | `views` |
//! | receipts, one for each nonce | `receipts` |
//! | parts of the graph for others | `graph` |
//! | bodies that are dropped and taken back | `prune` |
//! | what packages keep, and what runs are told | `storage`, `host` |
//! | large values | `blobs` |
//! | looking for damage | `check` |
//!
//! # Invariants
//! - One writer at a time, and every change in a transaction that also appends to the log.
//! - No key, no network, no clock: times and signing keys are arguments.

mod blobs;
mod capsules;
mod check;
mod checkpoints;
mod error;
mod graph;
#[cfg(feature = "host")]
mod host;
mod log;
mod open;
#[cfg(test)]
mod plans;
mod prune;
mod receipts;
mod schema;
mod storage;
mod views;

pub use capsules::{CapsuleFile, CapsuleRow, NewResult, Quarantined, ResultRow, View};
pub use check::{Damage, Place};
pub use checkpoints::CHECKPOINT_EVERY;
pub use error::StoreError;
#[cfg(feature = "host")]
pub use host::{Statement, StoreHost, Trusted, metadata};
pub use log::Head;
pub use open::{Opening, Store, Write};
pub use prune::PrunedRow;
pub use receipts::ReceiptRow;
pub use storage::StorageRow;
pub use views::{ProposalRow, ViewRow, proposals_digest};
