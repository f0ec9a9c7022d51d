//! Signed checkpoints of the log.

use kapsule_abi::{ErrorCode, guard};
use kapsule_format::DecodeError;
use kapsule_format::key::SecretKey;
use kapsule_format::log::{Checkpoint, SignedCheckpoint, VerifierKey, check_consistency};
use kapsule_format::tree::stored;
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::error::StoreError;
use crate::log::{self, to_sql};
use crate::open::Store;

/// A checkpoint is due after this many entries.
pub const CHECKPOINT_EVERY: u64 = 256;

fn last(connection: &Connection) -> Result<Option<SignedCheckpoint>, StoreError> {
    let sql = "SELECT note FROM checkpoint ORDER BY size DESC LIMIT 1";
    let note: Option<Vec<u8>> = connection.query_row(sql, [], |row| row.get(0)).optional()?;
    Ok(note.map(|note| SignedCheckpoint::decode(&note)).transpose()?)
}

/// Compares the last checkpoint with the tree.
pub(crate) fn check_last(connection: &Connection) -> Result<(), StoreError> {
    match last(connection)? {
        Some(note) => check_one(connection, &note.checkpoint),
        None => Ok(()),
    }
}

/// Checks that the log begins with what a checkpoint saw.
pub(crate) fn check_one(connection: &Connection, saved: &Checkpoint) -> Result<(), StoreError> {
    let head = log::head(connection)?;
    if guard!("store.checkpoint.truncated", head.size < saved.size) {
        let detail = format!("the log has {} entries, a checkpoint saw {}", head.size, saved.size);
        return Err(DecodeError::new(ErrorCode::LogTruncated, detail).into());
    }
    let root =
        stored::root(saved.size, &mut |level, position| log::node(connection, level, position))?;
    let here = Checkpoint { origin: log::origin(connection)?.0, size: saved.size, root };
    Ok(check_consistency(saved, &here, &[])?)
}

impl Store {
    /// Returns the last checkpoint.
    ///
    /// # Errors
    /// E309 for a note that was changed.
    pub fn last_checkpoint(&self) -> Result<Option<SignedCheckpoint>, StoreError> {
        last(&self.connection)
    }

    /// Checks that the log begins with what a checkpoint saw, which may come from elsewhere.
    ///
    /// # Errors
    /// E309 for another log, E505 if the log is shorter, E312 if it has other entries.
    pub fn check_checkpoint(&self, saved: &Checkpoint) -> Result<(), StoreError> {
        check_one(&self.connection, saved)
    }

    /// Tells whether so many entries came since the last checkpoint that the next is due.
    ///
    /// # Errors
    /// Those of the database.
    pub fn checkpoint_is_due(&self) -> Result<bool, StoreError> {
        let last = self.last_checkpoint()?.map_or(0, |note| note.checkpoint.size);
        Ok(self.head()?.size.saturating_sub(last) >= CHECKPOINT_EVERY)
    }

    /// Signs the log as it stands, and keeps the note; returns it.
    ///
    /// Nothing is signed that is inconsistent with the last checkpoint.
    ///
    /// # Errors
    /// E309 if the last checkpoint is of another key; E312 or E505 if the log is not the one that
    /// it saw; E034 for a key that cannot sign notes.
    pub fn checkpoint(&mut self, secret: &SecretKey) -> Result<SignedCheckpoint, StoreError> {
        check_last(&self.connection)?;
        let chain = log::chain(&self.connection)?;
        if let Some(note) = self.last_checkpoint()? {
            note.verify(&VerifierKey::of_log(chain.origin().clone(), secret.public())?)?;
        }
        let note = SignedCheckpoint::sign(chain.checkpoint(), secret)?;
        let sql = "INSERT INTO checkpoint(size, note) VALUES (?1, ?2) ON CONFLICT(size) DO NOTHING";
        let size = to_sql(note.checkpoint.size)?;
        self.connection.execute(sql, params![size, note.encode().as_bytes()])?;
        Ok(note)
    }

    /// Returns every checkpoint, ascending by size.
    ///
    /// # Errors
    /// E309 for a note that was changed.
    pub fn checkpoints(&self) -> Result<Vec<SignedCheckpoint>, StoreError> {
        let sql = "SELECT note FROM checkpoint ORDER BY size";
        let mut statement = self.connection.prepare(sql)?;
        let notes = statement.query_map([], |row| row.get::<_, Vec<u8>>(0))?;
        notes.map(|note| Ok(SignedCheckpoint::decode(&note?)?)).collect()
    }
}
