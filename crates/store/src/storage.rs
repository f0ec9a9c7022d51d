//! What packages keep for themselves between the capsules that they process.

use kapsule_format::Digest;
use kapsule_format::log::{Entry, EntryKind};
use kapsule_format::package::PackageId;
use kapsule_format::storage::{self, Pairs};
use rusqlite::{Row, params};

use crate::capsules::View;
use crate::error::{StoreError, corrupt};
use crate::log::{digest, from_sql, to_sql};
use crate::open::Write;

/// How much one package keeps, and the entry of the log that tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageRow {
    /// Package.
    pub package: PackageId,
    /// Number of keys.
    pub keys: u64,
    /// Bytes of all keys and values together.
    pub bytes: u64,
    /// Storage root, and the index of the entry; nothing while the change is under way that first
    /// kept something.
    pub told: Option<(Digest, u64)>,
}

fn storage_row(row: &Row<'_>) -> Result<StorageRow, StoreError> {
    let root: Option<Vec<u8>> = row.get(3)?;
    let entry: Option<i64> = row.get(4)?;
    Ok(StorageRow {
        package: PackageId::new(digest(row.get(0)?)?),
        keys: from_sql(row.get(1)?)?,
        bytes: from_sql(row.get(2)?)?,
        told: root.map(digest).transpose()?.zip(entry.map(from_sql).transpose()?),
    })
}

impl View<'_> {
    /// Returns the value of a key in the storage of a package.
    ///
    /// # Errors
    /// Those of the database.
    pub fn storage_get(
        &self,
        package: &PackageId,
        key: &[u8],
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT value FROM storage WHERE package = ?1 AND key = ?2";
        Ok(self.list(sql, params![package.as_ref(), key], |row| Ok(row.get(0)?))?.pop())
    }

    /// Returns the least key of a package's storage that is greater than `key`.
    ///
    /// # Errors
    /// Those of the database.
    pub fn storage_next(
        &self,
        package: &PackageId,
        key: &[u8],
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT key FROM storage WHERE package = ?1 AND key > ?2 ORDER BY key LIMIT 1";
        Ok(self.list(sql, params![package.as_ref(), key], |row| Ok(row.get(0)?))?.pop())
    }

    /// Returns how much a package keeps, if it ever kept anything.
    ///
    /// # Errors
    /// Those of the database.
    pub fn storage_of(&self, package: &PackageId) -> Result<Option<StorageRow>, StoreError> {
        let sql = "SELECT package, keys, bytes, root, entry FROM storage_head WHERE package = ?1";
        Ok(self.list(sql, [package.as_ref()], storage_row)?.pop())
    }

    /// Returns every package that ever kept anything, by its hash.
    ///
    /// # Errors
    /// Those of the database.
    pub fn storages(&self) -> Result<Vec<StorageRow>, StoreError> {
        let sql = "SELECT package, keys, bytes, root, entry FROM storage_head ORDER BY package";
        self.list(sql, [], storage_row)
    }

    /// Returns everything that a package keeps.
    ///
    /// # Errors
    /// Those of the database.
    pub fn storage(&self, package: &PackageId) -> Result<Pairs, StoreError> {
        let sql = "SELECT key, value FROM storage WHERE package = ?1 ORDER BY key";
        let pairs = self.list(sql, [package.as_ref()], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(pairs.into_iter().collect())
    }
}

impl Write<'_> {
    /// Sets and removes keys in the storage of a package; [`Write::tell_storage`] has to follow in
    /// the same change.
    ///
    /// # Errors
    /// Those of the database, and E503 where less is counted than is there.
    pub fn change_storage<'c>(
        &mut self,
        package: &PackageId,
        changes: impl IntoIterator<Item = (&'c Vec<u8>, &'c Option<Vec<u8>>)>,
    ) -> Result<(), StoreError> {
        let before = self.view().storage_of(package)?;
        let (mut keys, mut bytes) = before.map_or((0, 0), |row| (row.keys, row.bytes));
        for (key, value) in changes {
            let name = params![package.as_ref(), key];
            if let Some(old) = self.view().storage_get(package, key)? {
                // A count that someone edited would go below zero.
                let counted = || corrupt(format!("{package} keeps more than is counted of it"));
                keys = keys.checked_sub(1).ok_or_else(counted)?;
                let freed = (key.len() + old.len()) as u64;
                bytes = bytes.checked_sub(freed).ok_or_else(counted)?;
                let sql = "DELETE FROM storage WHERE package = ?1 AND key = ?2";
                self.transaction.prepare_cached(sql)?.execute(name)?;
            }
            if let Some(value) = value {
                keys += 1;
                bytes += (key.len() + value.len()) as u64;
                let sql = "INSERT INTO storage(package, key, value) VALUES (?1, ?2, ?3)";
                let values = params![package.as_ref(), key, value];
                self.transaction.prepare_cached(sql)?.execute(values)?;
            }
        }
        let sql = "INSERT INTO storage_head(package, keys, bytes) VALUES (?1, ?2, ?3)
                   ON CONFLICT(package) DO UPDATE SET keys = ?2, bytes = ?3";
        let values = params![package.as_ref(), to_sql(keys)?, to_sql(bytes)?];
        self.transaction.prepare_cached(sql)?.execute(values)?;
        self.storage_changed.insert(*package);
        Ok(())
    }

    /// Tells the log what the packages keep whose storage this change has changed.
    ///
    /// Reads and hashes all that they keep, about 1 ms per MiB, so it is done once for many runs.
    ///
    /// # Errors
    /// Those of the database.
    pub fn tell_storage(&mut self, time_ms: u64) -> Result<(), StoreError> {
        for package in std::mem::take(&mut self.storage_changed) {
            let pairs = self.view().storage(&package)?;
            let root = storage::root(&pairs);
            let entry = Entry::new(EntryKind::StorageChanged, time_ms)
                .subject("package", *package.digest())
                .subject("storage", root)
                .datum("keys", pairs.len().to_string());
            let entry = self.append(entry)?;
            let sql = "UPDATE storage_head SET root = ?2, entry = ?3 WHERE package = ?1";
            let values = params![package.as_ref(), root.as_ref(), to_sql(entry)?];
            self.transaction.prepare_cached(sql)?.execute(values)?;
        }
        Ok(())
    }
}
