//! Dropping the bodies of capsules, and taking them back.
//!
//! What remains is the header: metadata and envelopes, and with them id, author, place in the graph
//! and everything that the log tells of.

use std::collections::BTreeSet;
use std::fs;

use kapsule_abi::guard;
use kapsule_format::capsule::{Capsule, CapsuleId, ChannelId, kind};
use kapsule_format::hash::sha256;
use kapsule_format::log::{Entry, EntryKind};
use kapsule_format::{DecodeError, Digest};
use rusqlite::params;

use crate::blobs;
use crate::capsules::{CAPSULE, CapsuleFile, CapsuleRow, View, capsule_row};
use crate::error::{StoreError, corrupt};
use crate::log::{digest, from_sql, to_sql};
use crate::open::{Store, Write};

/// A capsule whose body was dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrunedRow {
    /// Capsule.
    pub capsule: CapsuleId,
    /// SHA-256 of the file that was accepted or restored.
    pub sha256: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// Index of the log entry that tells of it.
    pub entry: u64,
}

/// Counts the pruned capsules of a channel.
///
/// A cross join begins with its left side; where SQLite chooses, it goes through every capsule.
pub(crate) const PRUNED_IN: &str = "SELECT count(*) FROM pruned
    CROSS JOIN capsule ON capsule.id = pruned.capsule WHERE channel = ?1";

impl View<'_> {
    /// Returns the capsules whose bodies may be dropped: of a kind and channel, claimed before a
    /// time, and not among the newest of the channel.
    ///
    /// # Errors
    /// Those of the database.
    pub fn prunable(
        &self,
        channel: &ChannelId,
        wanted: &str,
        before_ms: Option<u64>,
        keep: u64,
    ) -> Result<Vec<CapsuleRow>, StoreError> {
        let sql = format!(
            "SELECT {CAPSULE} FROM
               (SELECT * FROM capsule WHERE channel = ?1 AND kind = ?2
                ORDER BY time_ms DESC, number DESC LIMIT -1 OFFSET ?4)
             WHERE (?3 IS NULL OR time_ms < ?3) AND id NOT IN (SELECT capsule FROM pruned)
             ORDER BY number"
        );
        let before = before_ms.map(to_sql).transpose()?;
        self.list(&sql, params![channel.as_ref(), wanted, before, to_sql(keep)?], capsule_row)
    }

    /// Returns every capsule whose body was dropped.
    ///
    /// # Errors
    /// Those of the database.
    pub fn pruned(&self) -> Result<Vec<PrunedRow>, StoreError> {
        let sql = "SELECT capsule, sha256, size, entry FROM pruned ORDER BY capsule";
        self.list(sql, [], |row| {
            Ok(PrunedRow {
                capsule: CapsuleId::new(digest(row.get(0)?)?),
                sha256: digest(row.get(1)?)?,
                size: from_sql(row.get(2)?)?,
                entry: from_sql(row.get(3)?)?,
            })
        })
    }

    /// Returns how many capsules of a channel, or of all, have no body any more.
    ///
    /// Looks at those alone, however many others there are.
    ///
    /// # Errors
    /// Those of the database.
    pub fn pruned_count(&self, channel: Option<&ChannelId>) -> Result<u64, StoreError> {
        let Some(channel) = channel else { return Ok(self.pruned_mark()?[0]) };
        let counts = self.list(PRUNED_IN, [channel.as_ref()], |row| from_sql(row.get(0)?))?;
        Ok(counts.first().copied().unwrap_or_default())
    }

    /// Returns two numbers that change with the set of capsules without body: how many there are,
    /// and the sum of the indices of the entries that tell of them.
    ///
    /// # Errors
    /// Those of the database.
    pub fn pruned_mark(&self) -> Result<[u64; 2], StoreError> {
        let sql = "SELECT count(*), ifnull(sum(entry), 0) FROM pruned";
        let read = |row: &rusqlite::Row<'_>| Ok([from_sql(row.get(0)?)?, from_sql(row.get(1)?)?]);
        Ok(self.list(sql, [], read)?.first().copied().unwrap_or_default())
    }

    /// Tells whether the body of a held capsule is here, and not its header alone.
    ///
    /// # Errors
    /// E503 if the capsule is not held or damaged.
    pub fn has_body(&self, id: &CapsuleId) -> Result<bool, StoreError> {
        Ok(Capsule::decode(&self.file(id)?)?.payload().is_some())
    }

    /// Tells whether a file brings the body of a capsule of which only the header is held.
    ///
    /// # Errors
    /// Those of the database.
    pub fn lacks_body(&self, file: &CapsuleFile<'_>) -> Result<bool, StoreError> {
        let id = file.capsule().id();
        if file.capsule().payload().is_none() {
            return Ok(false);
        }
        match self.capsule(&id)? {
            // A header is shorter than the whole, so most files need not be taken apart.
            Some(row) if row.size < file.bytes().len() as u64 => Ok(!self.has_body(&id)?),
            _ => Ok(false),
        }
    }
}

impl Write<'_> {
    /// Drops the body of a capsule, and tells the log; tells whether there was one.
    ///
    /// The body of a keyring stays: it holds the key that opens the others.
    ///
    /// # Errors
    /// E503 if the capsule is not held or damaged.
    pub fn prune(&mut self, id: &CapsuleId, time_ms: u64) -> Result<bool, StoreError> {
        let row = self.view().capsule(id)?;
        let row = row.ok_or_else(|| corrupt(format!("capsule {id} is not held")))?;
        let file = self.view().file(id)?;
        let capsule = Capsule::decode(&file)?;
        if guard!("store.prune.keyring", row.kind == kind::KEYRING) || capsule.payload().is_none() {
            return Ok(false);
        }
        let header = capsule.header()?;
        let entry = Entry::new(EntryKind::CapsulePruned, time_ms)
            .subject("capsule", *id.digest())
            .subject("file", sha256(&header));
        let entry = self.append(entry)?;
        self.replace(id, &header)?;
        let sql = "INSERT INTO pruned(capsule, sha256, size, entry) VALUES (?1, ?2, ?3, ?4)";
        let values = params![id.as_ref(), row.sha256.as_ref(), to_sql(row.size)?, to_sql(entry)?];
        self.transaction.prepare_cached(sql)?.execute(values)?;
        Ok(true)
    }

    /// Takes the body of a capsule back of which only the header is held, and tells the log; the
    /// caller has verified the file.
    ///
    /// # Errors
    /// E503 if the body of the capsule is held, or the capsule is not.
    pub fn restore(&mut self, file: &CapsuleFile<'_>, time_ms: u64) -> Result<(), StoreError> {
        let id = file.capsule().id();
        if guard!("store.prune.restore", !self.view().lacks_body(file)?) {
            let detail = format!("capsule {id} lacks no body, or the file has none");
            return Err(corrupt(detail));
        }
        let entry = Entry::new(EntryKind::CapsuleRestored, time_ms)
            .subject("capsule", *id.digest())
            .subject("file", *file.sha256());
        self.append(entry)?;
        self.replace(&id, file.bytes())?;
        let sql = "DELETE FROM pruned WHERE capsule = ?1";
        self.transaction.prepare_cached(sql)?.execute([id.as_ref()])?;
        Ok(())
    }

    /// Puts another file of the same capsule into its row.
    fn replace(&self, id: &CapsuleId, file: &[u8]) -> Result<(), StoreError> {
        let sha256 = sha256(file);
        let inline = self.inline(&sha256, file)?;
        let sql = "UPDATE capsule SET file = ?2, sha256 = ?3, size = ?4 WHERE id = ?1";
        let size = to_sql(file.len() as u64)?;
        let values = params![id.as_ref(), inline, sha256.as_ref(), size];
        self.transaction.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }
}

impl Store {
    /// Removes the files beside the database that no row names, and returns how many.
    ///
    /// They are what a pruned body or a crash leaves. A writer elsewhere puts a file there before
    /// its row, so this is done while nobody else writes.
    ///
    /// # Errors
    /// E501 for a file that cannot be removed.
    pub fn sweep(&mut self) -> Result<u64, StoreError> {
        let transaction =
            self.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let named: BTreeSet<Digest> = {
            let view = View { connection: &transaction, blobs: &self.blobs };
            let sql = "SELECT sha256 FROM capsule WHERE file IS NULL
                       UNION SELECT sha256 FROM quarantine WHERE file IS NULL";
            view.list(sql, [], |row| digest(row.get(0)?))?.into_iter().collect()
        };
        let Ok(files) = fs::read_dir(&self.blobs) else { return Ok(0) };
        let mut removed = 0;
        for name in files.filter_map(|file| file.ok()?.file_name().into_string().ok()) {
            let found: Result<Digest, DecodeError> = name.parse();
            if let Ok(found) = found
                && !named.contains(&found)
            {
                blobs::remove(&self.blobs, &found)?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Writes the file anew without the room of what is gone, and returns its length.
    ///
    /// Takes as long as writing the whole file, and as much room again meanwhile.
    ///
    /// # Errors
    /// Those of the database.
    pub fn shrink(&self) -> Result<u64, StoreError> {
        self.connection.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)")?;
        let wrap = |source| StoreError::File { path: self.path().to_owned(), source };
        Ok(fs::metadata(self.path()).map_err(wrap)?.len())
    }
}
