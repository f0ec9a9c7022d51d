//! The audit log in its tables.

use kapsule_abi::{ErrorCode, guard};
use kapsule_format::log::{Chain, Checkpoint, Entry, LogName, LogProof, SignedCheckpoint};
use kapsule_format::tree::{self, Builder, stored};
use kapsule_format::{DecodeError, Digest};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::error::{StoreError, corrupt};
use crate::open::{Store, Write};

/// Where the log stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Number of entries.
    pub size: u64,
    /// Entry hash of the last one.
    pub hash: Digest,
    /// Merkle root over all of them.
    pub root: Digest,
}

/// Turns a number of ours into one of SQLite; sizes and indices are at most 2^53.
pub(crate) fn to_sql(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|_| corrupt(format!("{number} does not fit into the store")))
}

pub(crate) fn from_sql(number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_| corrupt(format!("the store has the number {number}")))
}

pub(crate) fn digest(bytes: Vec<u8>) -> Result<Digest, StoreError> {
    let found = bytes.len();
    let bytes: Result<[u8; 32], _> = bytes.try_into();
    bytes.map(Digest::new).map_err(|_| corrupt(format!("a digest of {found} bytes")))
}

/// Writes what a log without entries is.
pub(crate) fn create(connection: &Connection, chain: &Chain) -> Result<(), StoreError> {
    let sql = "INSERT INTO identity(one, origin, key_epoch) VALUES (1, ?1, 0)";
    connection.execute(sql, [chain.origin().as_str()])?;
    let sql = "INSERT INTO head(one, size, hash, root) VALUES (1, 0, ?1, ?2)";
    connection.execute(sql, params![chain.head().as_ref(), chain.root().as_ref()])?;
    Ok(())
}

/// Appends one entry and the nodes that it completes; the head is written once, at the end.
pub(crate) fn append(
    connection: &Connection,
    chain: &mut Chain,
    entry: Entry,
) -> Result<u64, StoreError> {
    let index = chain.size();
    let mut nodes = Vec::new();
    let bytes = chain.append_noting(entry, &mut |level, position, hash| {
        nodes.push((level, position, *hash));
    })?;
    let sql = "INSERT INTO entry(idx, bytes, hash) VALUES (?1, ?2, ?3)";
    let hash = chain.head().as_ref();
    connection.prepare_cached(sql)?.execute(params![to_sql(index)?, bytes, hash])?;
    let sql = "INSERT INTO node(level, pos, hash) VALUES (?1, ?2, ?3)";
    let mut insert = connection.prepare_cached(sql)?;
    for (level, position, hash) in nodes {
        insert.execute(params![level, to_sql(position)?, hash.as_ref()])?;
    }
    Ok(index)
}

pub(crate) fn set_head(connection: &Connection, chain: &Chain) -> Result<(), StoreError> {
    let sql = "UPDATE head SET size = ?1, hash = ?2, root = ?3";
    let (hash, root) = (chain.head(), chain.root());
    connection.prepare_cached(sql)?.execute(params![
        to_sql(chain.size())?,
        hash.as_ref(),
        root.as_ref()
    ])?;
    let sql = "UPDATE identity SET key_epoch = ?1";
    connection.prepare_cached(sql)?.execute([to_sql(chain.key_epoch())?])?;
    Ok(())
}

pub(crate) fn head(connection: &Connection) -> Result<Head, StoreError> {
    let row = connection
        .query_row("SELECT size, hash, root FROM head", [], |row| {
            Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?, row.get::<_, Vec<u8>>(2)?))
        })
        .optional()?;
    let (size, hash, root) = row.ok_or_else(|| corrupt("the head of the log is gone"))?;
    Ok(Head { size: from_sql(size)?, hash: digest(hash)?, root: digest(root)? })
}

pub(crate) fn origin(connection: &Connection) -> Result<(LogName, u64), StoreError> {
    let row = connection
        .query_row("SELECT origin, key_epoch FROM identity", [], |row| {
            Ok((row.get::<_, String>(0)?, row.get(1)?))
        })
        .optional()?;
    let (name, epoch) = row.ok_or_else(|| corrupt("the name of the log is gone"))?;
    Ok((LogName::new(name)?, from_sql(epoch)?))
}

pub(crate) fn node(
    connection: &Connection,
    level: u32,
    position: u64,
) -> Result<Digest, StoreError> {
    let sql = "SELECT hash FROM node WHERE level = ?1 AND pos = ?2";
    let found: Option<Vec<u8>> = connection
        .prepare_cached(sql)?
        .query_row(params![level, to_sql(position)?], |row| row.get(0))
        .optional()?;
    let found = found.ok_or_else(|| {
        let detail = format!("node {position} of level {level} of the log is gone");
        DecodeError::new(ErrorCode::LogChainBroken, detail)
    })?;
    digest(found)
}

/// Returns where the log stands, for the next entry.
pub(crate) fn chain(connection: &Connection) -> Result<Chain, StoreError> {
    let head = head(connection)?;
    let (origin, key_epoch) = origin(connection)?;
    let peaks = stored::peaks(head.size, &mut |level, position| node(connection, level, position))?;
    let tree = Builder::resume(head.size, peaks).expect("there is a peak for each bit of the size");
    Ok(Chain::resume(origin, head.hash, key_epoch, tree))
}

/// Compares the head with the last entry and the right edge of the tree.
pub(crate) fn check_end(connection: &Connection) -> Result<(), StoreError> {
    let head = head(connection)?;
    let broken = |code, detail: String| Err(StoreError::Damaged(DecodeError::new(code, detail)));
    let last: Option<i64> =
        connection.query_row("SELECT max(idx) FROM entry", [], |row| row.get(0))?;
    let found = last.map(from_sql).transpose()?.map_or(0, |index| index + 1);
    if guard!("store.open.truncated", found < head.size) {
        let detail = format!("the log has {found} entries, its head says {}", head.size);
        return broken(ErrorCode::LogTruncated, detail);
    }
    if guard!("store.open.surplus", found > head.size) {
        let detail = format!("the log has {found} entries, its head says {}", head.size);
        return broken(ErrorCode::LogChainBroken, detail);
    }
    let Some(index) = head.size.checked_sub(1) else { return Ok(()) };
    let bytes = entry_bytes(connection, index)?;
    let chain = chain(connection)?;
    if guard!("store.open.last_leaf", node(connection, 0, index)? != tree::leaf_hash(&bytes)) {
        let detail = format!("entry {index} is not the leaf of the tree");
        return broken(ErrorCode::LogChainBroken, detail);
    }
    if guard!("store.open.root", chain.root() != head.root) {
        let detail = format!("the tree has the root {}, the head says {}", chain.root(), head.root);
        return broken(ErrorCode::LogChainBroken, detail);
    }
    let hash = kapsule_format::hash::tagged(kapsule_format::hash::Tag::LogEntry, &[&bytes]);
    if guard!("store.open.last_hash", hash != head.hash) {
        let detail = format!("entry {index} has another hash than the head of the log says");
        return broken(ErrorCode::LogChainBroken, detail);
    }
    Ok(())
}

pub(crate) fn entry_bytes(connection: &Connection, index: u64) -> Result<Vec<u8>, StoreError> {
    let sql = "SELECT bytes FROM entry WHERE idx = ?1";
    let found: Option<Vec<u8>> =
        connection.prepare_cached(sql)?.query_row([to_sql(index)?], |row| row.get(0)).optional()?;
    found.ok_or_else(|| {
        let detail = format!("entry {index} of the log is gone");
        StoreError::Damaged(DecodeError::new(ErrorCode::LogChainBroken, detail))
    })
}

impl Store {
    /// Returns where the log stands.
    ///
    /// # Errors
    /// Those of the database.
    pub fn head(&self) -> Result<Head, StoreError> {
        head(&self.connection)
    }

    /// Returns the name of the log.
    ///
    /// # Errors
    /// Those of the database.
    pub fn origin(&self) -> Result<LogName, StoreError> {
        Ok(origin(&self.connection)?.0)
    }

    /// Gives each entry from index `from` on to `then`, in order, as bytes.
    ///
    /// # Errors
    /// Those of the database and of `then`.
    pub fn entries<E: From<StoreError>>(
        &self,
        from: u64,
        mut then: impl FnMut(u64, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let sql = "SELECT idx, bytes FROM entry WHERE idx >= ?1 ORDER BY idx";
        let mut statement = self.connection.prepare_cached(sql).map_err(StoreError::from)?;
        let mut rows = statement.query([to_sql(from)?]).map_err(StoreError::from)?;
        while let Some(row) = rows.next().map_err(StoreError::from)? {
            let index = from_sql(row.get(0).map_err(StoreError::from)?)?;
            let bytes: Vec<u8> = row.get(1).map_err(StoreError::from)?;
            then(index, &bytes)?;
        }
        Ok(())
    }

    /// Returns the index of the last entry of which `subject` is a subject.
    ///
    /// Looks at the entries from the last one back.
    ///
    /// # Errors
    /// Those of the database.
    pub fn find_subject(&self, subject: &Digest) -> Result<Option<u64>, StoreError> {
        // The digest stands in the entry byte for byte, so SQLite finds the candidates.
        let sql = "SELECT idx, bytes FROM entry WHERE instr(bytes, ?1) > 0 ORDER BY idx DESC";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([subject.as_ref()])?;
        while let Some(row) = rows.next()? {
            let entry = Entry::decode(&row.get::<_, Vec<u8>>(1)?)?;
            if entry.subjects.iter().any(|(_, digest)| digest == subject) {
                return Ok(Some(from_sql(row.get(0)?)?));
            }
        }
        Ok(None)
    }

    /// Shows that the entry at `index` stands in the log at a checkpoint.
    ///
    /// Reads as many nodes as the size has bits, about 20 microseconds each.
    ///
    /// # Errors
    /// E310 if the checkpoint saw fewer entries; E504 if a node or the entry is gone.
    pub fn prove(&self, index: u64, note: SignedCheckpoint) -> Result<LogProof, StoreError> {
        let connection = &self.connection;
        let size = note.checkpoint.size;
        let path = stored::inclusion_proof(size, index, &mut |level, position| {
            node(connection, level, position)
        })?;
        let path = path.ok_or_else(|| {
            let detail = format!("the checkpoint saw {size} entries, entry {index} is not in them");
            DecodeError::new(ErrorCode::LogInclusionInvalid, detail)
        })?;
        Ok(LogProof { entry: entry_bytes(connection, index)?, index, path, note })
    }

    /// Returns the hashes that show that an earlier checkpoint is the beginning of the log.
    ///
    /// # Errors
    /// E505 if the log has fewer entries; E504 if a node is gone.
    pub fn consistency(&self, old: &Checkpoint) -> Result<Vec<Digest>, StoreError> {
        let (connection, size) = (&self.connection, self.head()?.size);
        if old.size == 0 {
            return Ok(Vec::new());
        }
        let proof = stored::consistency_proof(old.size, size, &mut |level, position| {
            node(connection, level, position)
        })?;
        proof.ok_or_else(|| {
            let detail = format!("the log has {size} entries, the checkpoint saw {}", old.size);
            StoreError::Damaged(DecodeError::new(ErrorCode::LogTruncated, detail))
        })
    }
}

impl Write<'_> {
    /// Keeps what a blinded field of the entry at `index` hides, until it is erased.
    ///
    /// # Errors
    /// Those of the database.
    pub fn keep_personal(
        &mut self,
        index: u64,
        name: &str,
        salt: &[u8; 32],
        value: &[u8],
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO personal(idx, name, salt, value) VALUES (?1, ?2, ?3, ?4)";
        self.transaction.prepare_cached(sql)?.execute(params![
            to_sql(index)?,
            name,
            salt,
            value
        ])?;
        Ok(())
    }
}
