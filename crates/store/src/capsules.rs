//! Capsules with their graph, results, and what was refused.

use std::path::Path;

use kapsule_abi::ErrorCode;
use kapsule_format::capsule::{Capsule, CapsuleId, ChannelId, Held, kind};
use kapsule_format::hash::sha256;
use kapsule_format::key::IdentityId;
use kapsule_format::package::PackageId;
use kapsule_format::{DecodeError, Digest};
use rusqlite::{Connection, Params, Row, params};

use crate::blobs;
use crate::error::{StoreError, corrupt};
use crate::log::{digest, from_sql, to_sql};
use crate::open::{Store, Write};

/// A capsule file that was taken apart and hashed, both once.
#[derive(Clone, Debug)]
pub struct CapsuleFile<'a> {
    capsule: Capsule<'a>,
    bytes: &'a [u8],
    sha256: Digest,
}

impl<'a> CapsuleFile<'a> {
    /// Takes a file apart.
    ///
    /// # Errors
    /// As [`Capsule::decode`].
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        Ok(Self { capsule: Capsule::decode(bytes)?, bytes, sha256: sha256(bytes) })
    }

    /// Returns the capsule.
    #[must_use]
    pub const fn capsule(&self) -> &Capsule<'a> {
        &self.capsule
    }

    /// Returns the file.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Returns the SHA-256 of the file.
    #[must_use]
    pub const fn sha256(&self) -> &Digest {
        &self.sha256
    }

    /// Returns its channel; that of a genesis is the one that it starts.
    #[must_use]
    pub fn channel(&self) -> ChannelId {
        self.capsule.meta().channel.unwrap_or(ChannelId::of_genesis(self.capsule.id()))
    }
}

/// A capsule as the store lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapsuleRow {
    /// Capsule.
    pub id: CapsuleId,
    /// Its channel; that of a genesis is the one that it starts.
    pub channel: ChannelId,
    /// Its author.
    pub author: IdentityId,
    /// Number among the author's capsules.
    pub seq: u64,
    /// Kind.
    pub kind: String,
    /// Claimed time in milliseconds since 1970.
    pub time_ms: u64,
    /// Key epoch.
    pub epoch: u64,
    /// SHA-256 of the file.
    pub sha256: Digest,
    /// Length of the file in bytes.
    pub size: u64,
    /// Index of the log entry that tells of it.
    pub entry: u64,
}

/// What a package computed of a capsule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewResult<'a> {
    /// Capsule.
    pub capsule: CapsuleId,
    /// Package that ran.
    pub package: PackageId,
    /// Entry that was called.
    pub entry_point: &'a str,
    /// Printed outcome.
    pub outcome: &'a str,
    /// Fuel that the run used.
    pub fuel: u64,
    /// Output of the run.
    pub output: &'a [u8],
    /// What the run submitted for the capsule, as KCBOR.
    pub submitted: Option<&'a [u8]>,
}

/// A result as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultRow {
    /// Package that ran.
    pub package: PackageId,
    /// Entry that was called.
    pub entry_point: String,
    /// Printed outcome.
    pub outcome: String,
    /// Fuel that the run used.
    pub fuel: u64,
    /// Output of the run.
    pub output: Vec<u8>,
    /// What the run submitted for the capsule, as KCBOR.
    pub submitted: Option<Vec<u8>>,
    /// Index of the log entry that tells of it.
    pub entry: u64,
}

/// A file that was refused or waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// SHA-256 of the file.
    pub sha256: Digest,
    /// Printed error code.
    pub code: String,
    /// Why.
    pub detail: String,
    /// Length of the file in bytes.
    pub size: u64,
    /// Index of the log entry that tells of it.
    pub entry: u64,
}

/// Columns of [`capsule_row`].
pub(crate) const CAPSULE: &str =
    "id, channel, author, seq, kind, time_ms, epoch, sha256, size, entry";

pub(crate) fn capsule_row(row: &Row<'_>) -> Result<CapsuleRow, StoreError> {
    Ok(CapsuleRow {
        id: CapsuleId::new(digest(row.get(0)?)?),
        channel: ChannelId::of_genesis(CapsuleId::new(digest(row.get(1)?)?)),
        author: IdentityId::new(digest(row.get(2)?)?),
        seq: from_sql(row.get(3)?)?,
        kind: row.get(4)?,
        time_ms: from_sql(row.get(5)?)?,
        epoch: from_sql(row.get(6)?)?,
        sha256: digest(row.get(7)?)?,
        size: from_sql(row.get(8)?)?,
        entry: from_sql(row.get(9)?)?,
    })
}

/// Goes from each channel to the next one; grouping the capsules would go through all of them.
pub(crate) const CHANNELS: &str = "WITH RECURSIVE one(channel) AS (
    SELECT min(channel) FROM capsule
    UNION ALL
    SELECT (SELECT min(channel) FROM capsule WHERE channel > one.channel)
    FROM one WHERE one.channel IS NOT NULL)
    SELECT one.channel FROM one LEFT JOIN capsule ON capsule.id = one.channel
    WHERE one.channel IS NOT NULL ORDER BY capsule.number";

/// What can be asked of the capsules, inside a change or outside.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) blobs: &'a Path,
}

impl Store {
    /// Looks at the capsules.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        View { connection: &self.connection, blobs: &self.blobs }
    }

    /// Lets everything that `look` asks see one state, whoever writes meanwhile.
    ///
    /// Many questions are quicker so, since each by itself takes a lock of the file and gives it
    /// back.
    ///
    /// # Errors
    /// Those of the database and of `look`.
    pub fn look<T, E: From<StoreError>>(
        &self,
        look: impl FnOnce(View<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let transaction = self.connection.unchecked_transaction().map_err(StoreError::from)?;
        look(View { connection: &transaction, blobs: &self.blobs })
    }
}

impl View<'_> {
    /// Gives each row to `read`.
    pub(crate) fn each(
        &self,
        sql: &str,
        values: impl Params,
        mut read: impl FnMut(&Row<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(values)?;
        while let Some(row) = rows.next()? {
            read(row)?;
        }
        Ok(())
    }

    pub(crate) fn list<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut list = Vec::new();
        self.each(sql, values, |row| {
            list.push(read(row)?);
            Ok(())
        })?;
        Ok(list)
    }

    /// Returns a capsule, if it is held.
    ///
    /// # Errors
    /// Those of the database.
    pub fn capsule(&self, id: &CapsuleId) -> Result<Option<CapsuleRow>, StoreError> {
        let sql = format!("SELECT {CAPSULE} FROM capsule WHERE id = ?1");
        Ok(self.list(&sql, [id.as_ref()], capsule_row)?.pop())
    }

    /// Returns every capsule in the order in which they were accepted, those of a channel where
    /// one is named.
    ///
    /// # Errors
    /// Those of the database.
    pub fn capsules(&self, channel: Option<&ChannelId>) -> Result<Vec<CapsuleRow>, StoreError> {
        let sql = format!(
            "SELECT {CAPSULE} FROM capsule WHERE ?1 IS NULL OR channel = ?1 ORDER BY number"
        );
        self.list(&sql, [channel.map(AsRef::as_ref)], capsule_row)
    }

    /// Returns the capsules of a kind in the order in which they were accepted.
    ///
    /// # Errors
    /// Those of the database.
    pub fn of_kind(&self, wanted: &str) -> Result<Vec<CapsuleRow>, StoreError> {
        let sql = format!("SELECT {CAPSULE} FROM capsule WHERE kind = ?1 ORDER BY number");
        self.list(&sql, [wanted], capsule_row)
    }

    /// Returns the newest capsules of a kind by their claimed time, newest first.
    ///
    /// # Errors
    /// Those of the database.
    pub fn newest(
        &self,
        channel: &ChannelId,
        wanted: &str,
        count: u64,
    ) -> Result<Vec<CapsuleRow>, StoreError> {
        let sql = format!(
            "SELECT {CAPSULE} FROM capsule WHERE channel = ?1 AND kind = ?2
             ORDER BY time_ms DESC, number DESC LIMIT ?3"
        );
        self.list(&sql, params![channel.as_ref(), wanted, to_sql(count)?], capsule_row)
    }

    /// Returns the channels in the order in which their starts came, those without one first.
    ///
    /// Looks at one row of an index for each channel, however many capsules it has.
    ///
    /// # Errors
    /// Those of the database.
    pub fn channels(&self) -> Result<Vec<ChannelId>, StoreError> {
        let read = |row: &Row<'_>| Ok(ChannelId::of_genesis(CapsuleId::new(digest(row.get(0)?)?)));
        self.list(CHANNELS, [], read)
    }

    /// Returns what followers ask of a capsule, if it is held.
    ///
    /// # Errors
    /// Those of the database.
    pub fn held(&self, id: &CapsuleId) -> Result<Option<Held>, StoreError> {
        let sql = "SELECT channel, author, seq FROM capsule WHERE id = ?1";
        let read = |row: &Row<'_>| {
            Ok(Held {
                id: *id,
                channel: ChannelId::of_genesis(CapsuleId::new(digest(row.get(0)?)?)),
                author: IdentityId::new(digest(row.get(1)?)?),
                seq: from_sql(row.get(2)?)?,
            })
        };
        Ok(self.list(sql, [id.as_ref()], read)?.pop())
    }

    /// Returns the held capsules of an author with a number, of which two are a fork.
    ///
    /// # Errors
    /// Those of the database.
    pub fn rivals(
        &self,
        channel: &ChannelId,
        author: &IdentityId,
        seq: u64,
    ) -> Result<Vec<CapsuleId>, StoreError> {
        let sql = "SELECT id FROM capsule WHERE channel = ?1 AND author = ?2 AND seq = ?3";
        let values = params![channel.as_ref(), author.as_ref(), to_sql(seq)?];
        self.list(sql, values, |row| Ok(CapsuleId::new(digest(row.get(0)?)?)))
    }

    /// Returns the keyrings of an epoch of a channel, in the order in which they were accepted.
    ///
    /// # Errors
    /// Those of the database.
    pub fn keyrings(&self, channel: &ChannelId, epoch: u64) -> Result<Vec<CapsuleRow>, StoreError> {
        let sql = format!(
            "SELECT {CAPSULE} FROM capsule WHERE channel = ?1 AND kind = ?2 AND epoch = ?3
             ORDER BY number"
        );
        self.list(&sql, params![channel.as_ref(), kind::KEYRING, to_sql(epoch)?], capsule_row)
    }

    /// Returns the capsules of a channel that no held capsule follows.
    ///
    /// # Errors
    /// Those of the database.
    pub fn heads(&self, channel: &ChannelId) -> Result<Vec<CapsuleId>, StoreError> {
        let sql = "SELECT id FROM capsule WHERE channel = ?1 AND NOT EXISTS
                   (SELECT 1 FROM parent WHERE parent = capsule.id) ORDER BY id";
        self.list(sql, [channel.as_ref()], |row| Ok(CapsuleId::new(digest(row.get(0)?)?)))
    }

    /// Returns the file of a capsule, checked against its digest.
    ///
    /// # Errors
    /// E503 if it is another one, E501 if it cannot be read.
    pub fn file(&self, id: &CapsuleId) -> Result<Vec<u8>, StoreError> {
        let sql = "SELECT file, sha256 FROM capsule WHERE id = ?1";
        let read = |row: &Row<'_>| Ok((row.get::<_, Option<Vec<u8>>>(0)?, digest(row.get(1)?)?));
        let found = self.list(sql, [id.as_ref()], read)?.pop();
        let (file, stated) = found.ok_or_else(|| corrupt(format!("capsule {id} is not held")))?;
        self.value(file, &stated, &format!("the file of capsule {id}"))
    }

    fn value(
        &self,
        inline: Option<Vec<u8>>,
        stated: &Digest,
        what: &str,
    ) -> Result<Vec<u8>, StoreError> {
        let Some(bytes) = inline else { return blobs::get(self.blobs, stated) };
        if kapsule_abi::guard!("store.capsule.digest", sha256(&bytes) != *stated) {
            return Err(corrupt(format!("{what} has another digest")));
        }
        Ok(bytes)
    }

    /// Returns the results of a capsule, by package and entry.
    ///
    /// # Errors
    /// E503 for an output with another digest.
    pub fn results(&self, id: &CapsuleId) -> Result<Vec<ResultRow>, StoreError> {
        let sql = "SELECT package, entry_point, outcome, fuel, output, sha256, submitted, entry
                   FROM result WHERE capsule = ?1 ORDER BY package, entry_point";
        self.list(sql, [id.as_ref()], |row| {
            let (output, stated): (Vec<u8>, Digest) = (row.get(4)?, digest(row.get(5)?)?);
            Ok(ResultRow {
                package: PackageId::new(digest(row.get(0)?)?),
                entry_point: row.get(1)?,
                outcome: row.get(2)?,
                fuel: from_sql(row.get(3)?)?,
                output: self.value(Some(output), &stated, &format!("a result of capsule {id}"))?,
                submitted: row.get(6)?,
                entry: from_sql(row.get(7)?)?,
            })
        })
    }

    /// Returns what was refused or waits, by the digest of the file.
    ///
    /// # Errors
    /// Those of the database.
    pub fn quarantine(&self) -> Result<Vec<Quarantined>, StoreError> {
        let sql = "SELECT sha256, code, detail, size, entry FROM quarantine ORDER BY sha256";
        self.list(sql, [], |row| {
            Ok(Quarantined {
                sha256: digest(row.get(0)?)?,
                code: row.get(1)?,
                detail: row.get(2)?,
                size: from_sql(row.get(3)?)?,
                entry: from_sql(row.get(4)?)?,
            })
        })
    }

    /// Tells whether a file was refused or waits.
    ///
    /// # Errors
    /// Those of the database.
    pub fn quarantined(&self, sha256: &Digest) -> Result<Option<String>, StoreError> {
        let sql = "SELECT code FROM quarantine WHERE sha256 = ?1";
        Ok(self.list(sql, [sha256.as_ref()], |row| Ok(row.get(0)?))?.pop())
    }

    /// Returns the bytes of a file that was refused or waits.
    ///
    /// # Errors
    /// E503 if they are other ones, or none are kept.
    pub fn quarantined_file(&self, id: &Digest) -> Result<Vec<u8>, StoreError> {
        let sql = "SELECT file FROM quarantine WHERE sha256 = ?1";
        let found =
            self.list(sql, [id.as_ref()], |row| Ok(row.get::<_, Option<Vec<u8>>>(0)?))?.pop();
        let file = found.ok_or_else(|| corrupt(format!("no file {id} is in quarantine")))?;
        self.value(file, id, &format!("the file {id} in quarantine"))
    }

    /// Returns the numbers of capsules, results and files in quarantine.
    ///
    /// # Errors
    /// Those of the database.
    pub fn counts(&self) -> Result<[u64; 3], StoreError> {
        let count = |table: &str| -> Result<u64, StoreError> {
            let sql = format!("SELECT count(*) FROM {table}");
            from_sql(self.connection.query_row(&sql, [], |row| row.get(0))?)
        };
        Ok([count("capsule")?, count("result")?, count("quarantine")?])
    }
}

impl Write<'_> {
    /// Looks at the capsules as this change has them.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        View { connection: &self.transaction, blobs: self.blobs }
    }

    pub(crate) fn inline<'b>(
        &self,
        sha256: &Digest,
        file: &'b [u8],
    ) -> Result<Option<&'b [u8]>, StoreError> {
        if file.len() <= blobs::INLINE_BYTES_MAX {
            return Ok(Some(file));
        }
        blobs::put(self.blobs, sha256, file)?;
        Ok(None)
    }

    /// Keeps a capsule, of which the log entry at `entry` tells; the caller has verified it.
    ///
    /// What stood in quarantine under its file is taken out.
    ///
    /// # Errors
    /// E501 if it is held already, or the database refuses.
    pub fn put_capsule(&mut self, file: &CapsuleFile<'_>, entry: u64) -> Result<(), StoreError> {
        let (id, meta, sha256) = (file.capsule.id(), file.capsule.meta(), file.sha256);
        let inline = self.inline(&sha256, file.bytes)?;
        let sql =
            "INSERT INTO capsule(id, channel, author, seq, kind, time_ms, epoch, file, sha256,
                   size, entry) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
        self.transaction.prepare_cached(sql)?.execute(params![
            id.as_ref(),
            file.channel().as_ref(),
            meta.author.id().as_ref(),
            to_sql(meta.seq)?,
            meta.kind,
            to_sql(meta.time_ms)?,
            to_sql(meta.epoch)?,
            inline,
            sha256.as_ref(),
            to_sql(file.bytes.len() as u64)?,
            to_sql(entry)?,
        ])?;
        let sql = "INSERT INTO parent(child, parent) VALUES (?1, ?2)";
        let mut insert = self.transaction.prepare_cached(sql)?;
        for parent in &meta.prev {
            insert.execute([id.as_ref(), parent.as_ref()])?;
        }
        let sql = "DELETE FROM quarantine WHERE sha256 = ?1";
        self.transaction.prepare_cached(sql)?.execute([sha256.as_ref()])?;
        Ok(())
    }

    /// Keeps what a package computed, in place of what it computed before.
    ///
    /// # Errors
    /// Those of the database.
    pub fn put_result(&mut self, result: &NewResult<'_>, entry: u64) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO result(capsule, package, entry_point, outcome, fuel,
                   output, sha256, submitted, entry) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        self.transaction.prepare_cached(sql)?.execute(params![
            result.capsule.as_ref(),
            result.package.as_ref(),
            result.entry_point,
            result.outcome,
            to_sql(result.fuel)?,
            result.output,
            sha256(result.output).as_ref(),
            result.submitted,
            to_sql(entry)?,
        ])?;
        Ok(())
    }

    /// Keeps a file that was refused or waits, with the reason.
    ///
    /// # Errors
    /// Those of the database.
    pub fn put_quarantine(
        &mut self,
        file: &[u8],
        code: ErrorCode,
        detail: &str,
        entry: u64,
    ) -> Result<(), StoreError> {
        let sha256 = sha256(file);
        let inline = self.inline(&sha256, file)?;
        let sql = "INSERT OR REPLACE INTO quarantine(sha256, code, detail, file, size, entry)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let (size, entry) = (to_sql(file.len() as u64)?, to_sql(entry)?);
        let code = code.to_string();
        self.transaction.prepare_cached(sql)?.execute(params![
            sha256.as_ref(),
            code,
            detail,
            inline,
            size,
            entry
        ])?;
        Ok(())
    }
}
