//! The tables, each once; `spec/store.md` describes them.

use rusqlite::Connection;

use crate::error::StoreError;

/// `KLOG`: what `file` and SQLite's own tools see.
pub(crate) const APPLICATION_ID: i64 = 0x4B4C_4F47;

/// Version of the tables.
pub(crate) const VERSION: i64 = 1;

/// Settings of every connection.
///
/// A schema in the file cannot call functions, so a file from elsewhere runs nothing.
/// The cache, in KiB, holds the indexes of some hundred thousand capsules; the write-ahead log is
/// put into the file every 32 MiB instead of after each batch.
pub(crate) const SETTINGS: &str = "
PRAGMA trusted_schema = OFF;
PRAGMA foreign_keys = ON;
PRAGMA synchronous = FULL;
PRAGMA cell_size_check = ON;
PRAGMA cache_size = -65536;
PRAGMA wal_autocheckpoint = 8192;
";

/// The tables of the audit log, and of what it tells of.
const TABLES: &str = "
-- The audit log: the KCBOR of each entry and its entry hash.
CREATE TABLE entry(idx INTEGER PRIMARY KEY, bytes BLOB NOT NULL, hash BLOB NOT NULL) STRICT;
-- Roots of the complete subtrees of 2^level leaves.
CREATE TABLE node(level INTEGER NOT NULL, pos INTEGER NOT NULL, hash BLOB NOT NULL,
  PRIMARY KEY(level, pos)) STRICT, WITHOUT ROWID;
-- Signed notes by the size that they state.
CREATE TABLE checkpoint(size INTEGER PRIMARY KEY, note BLOB NOT NULL) STRICT;
-- What blinded fields hide; may be erased.
CREATE TABLE personal(idx INTEGER NOT NULL, name TEXT NOT NULL, salt BLOB NOT NULL,
  value BLOB NOT NULL, PRIMARY KEY(idx, name)) STRICT, WITHOUT ROWID;
-- Where the log stands.
CREATE TABLE head(one INTEGER PRIMARY KEY CHECK(one = 1), size INTEGER NOT NULL,
  hash BLOB NOT NULL, root BLOB NOT NULL) STRICT;
CREATE TRIGGER entry_u BEFORE UPDATE ON entry BEGIN SELECT RAISE(ABORT, 'append only'); END;
CREATE TRIGGER entry_d BEFORE DELETE ON entry BEGIN SELECT RAISE(ABORT, 'append only'); END;

-- Name of the log, and the key epoch of its next entry.
CREATE TABLE identity(one INTEGER PRIMARY KEY CHECK(one = 1), origin TEXT NOT NULL,
  key_epoch INTEGER NOT NULL) STRICT;

-- Every capsule that was accepted, by capsule id. `file` is NULL where the bytes stand beside the
-- database, under `sha256`; the other columns repeat what the file says, to be looked up by.
CREATE TABLE capsule(number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, channel BLOB NOT NULL,
  author BLOB NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL, time_ms INTEGER NOT NULL,
  epoch INTEGER NOT NULL, file BLOB, sha256 BLOB NOT NULL, size INTEGER NOT NULL,
  entry INTEGER NOT NULL REFERENCES entry(idx)) STRICT;
-- Two rows with the same three values are a fork; both stay.
CREATE INDEX capsule_seq ON capsule(channel, author, seq);
-- Keyrings are few, and every reader needs them all.
CREATE INDEX capsule_keyring ON capsule(number) WHERE kind = 'keyring';
CREATE INDEX capsule_time ON capsule(channel, time_ms, number);
-- The order in which guests page through the graph.
CREATE INDEX capsule_order ON capsule(time_ms, id);
-- The arrows of the graph: `child` lists `parent` in its metadata, which need not be here.
CREATE TABLE parent(child BLOB NOT NULL, parent BLOB NOT NULL, PRIMARY KEY(child, parent))
  STRICT, WITHOUT ROWID;
CREATE INDEX parent_parent ON parent(parent, child);

-- Capsules of which only the header is kept: digest and length of the file that was there.
CREATE TABLE pruned(capsule BLOB PRIMARY KEY REFERENCES capsule(id), sha256 BLOB NOT NULL,
  size INTEGER NOT NULL, entry INTEGER NOT NULL REFERENCES entry(idx)) STRICT, WITHOUT ROWID;

-- What a package computed of a capsule. `output` has the digest `sha256`; `submitted` is what the
-- run said of the capsule, if it said anything.
CREATE TABLE result(capsule BLOB NOT NULL REFERENCES capsule(id), package BLOB NOT NULL,
  entry_point TEXT NOT NULL, outcome TEXT NOT NULL, fuel INTEGER NOT NULL, output BLOB NOT NULL,
  sha256 BLOB NOT NULL, submitted BLOB, entry INTEGER NOT NULL REFERENCES entry(idx),
  PRIMARY KEY(capsule, package, entry_point)) STRICT, WITHOUT ROWID;

-- What a package made of many capsules, such as a feed. `basis` covers all but capsules and time
-- that the output depends on; `last` is the greatest number of a capsule that was there.
CREATE TABLE view(name TEXT NOT NULL, scope BLOB NOT NULL, basis BLOB NOT NULL,
  package BLOB NOT NULL, entry_point TEXT NOT NULL, input BLOB NOT NULL, last INTEGER NOT NULL,
  now_ms INTEGER NOT NULL, until_ms INTEGER NOT NULL, outcome TEXT NOT NULL, fuel INTEGER NOT NULL,
  output BLOB NOT NULL, sha256 BLOB NOT NULL, entry INTEGER NOT NULL REFERENCES entry(idx),
  PRIMARY KEY(name, scope)) STRICT, WITHOUT ROWID;
-- What an agent wants done, and what was decided about it; `run` is the entry of its run.
CREATE TABLE proposal(number INTEGER PRIMARY KEY, run INTEGER NOT NULL REFERENCES entry(idx),
  body BLOB NOT NULL, decision TEXT, entry INTEGER REFERENCES entry(idx),
  CHECK((decision IS NULL) = (entry IS NULL))) STRICT;

-- What packages keep for themselves between capsules, and how much; `root` is that of all pairs,
-- of which the log entry at `entry` tells.
CREATE TABLE storage(package BLOB NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL,
  PRIMARY KEY(package, key)) STRICT, WITHOUT ROWID;
CREATE TABLE storage_head(package BLOB PRIMARY KEY, keys INTEGER NOT NULL, bytes INTEGER NOT NULL,
  root BLOB, entry INTEGER REFERENCES entry(idx)) STRICT, WITHOUT ROWID;

-- Files that were refused or wait for a keyring, by their SHA-256, with the code and the reason.
-- `file` is NULL where the bytes stand beside the database.
CREATE TABLE quarantine(sha256 BLOB PRIMARY KEY, code TEXT NOT NULL, detail TEXT NOT NULL,
  file BLOB, size INTEGER NOT NULL,
  entry INTEGER NOT NULL REFERENCES entry(idx))
  STRICT, WITHOUT ROWID;

-- Receipts that were verified, one for each nonce of whoever asked for the run.
CREATE TABLE receipt(id BLOB PRIMARY KEY, requester BLOB NOT NULL, nonce BLOB NOT NULL,
  file BLOB NOT NULL, entry INTEGER NOT NULL REFERENCES entry(idx), UNIQUE(requester, nonce))
  STRICT, WITHOUT ROWID;
-- The ledger is written by later versions; the table fixes its place.
CREATE TABLE posting(batch INTEGER NOT NULL, line INTEGER NOT NULL, account BLOB NOT NULL,
  asset TEXT NOT NULL, amount BLOB NOT NULL CHECK(length(amount) = 16), debit INTEGER NOT NULL
  CHECK(debit IN (0, 1)), entry INTEGER NOT NULL REFERENCES entry(idx),
  PRIMARY KEY(batch, line)) STRICT, WITHOUT ROWID;
";

/// Makes the tables in an empty file.
pub(crate) fn create(connection: &Connection) -> Result<(), StoreError> {
    connection.execute_batch(TABLES)?;
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    connection.pragma_update(None, "user_version", VERSION)?;
    Ok(())
}

/// Refuses a file that is not a store of this version; tells whether it is empty.
pub(crate) fn check(connection: &Connection) -> Result<bool, StoreError> {
    let read = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (application, version) = (read("application_id")?, read("user_version")?);
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if (application, version, tables) == (0, 0, 0) {
        return Ok(true);
    }
    if application != APPLICATION_ID {
        let detail = format!("the file has the application id {application}, not {APPLICATION_ID}");
        return Err(StoreError::Foreign(detail));
    }
    if version != VERSION {
        let detail = format!("the store has version {version}, this program knows {VERSION}");
        return Err(StoreError::Foreign(detail));
    }
    Ok(false)
}

/// Returns the text of every table, index and trigger of the schema, by name.
pub(crate) fn texts(connection: &Connection) -> Result<Vec<(String, String)>, StoreError> {
    let sql = "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name";
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Returns what [`texts`] gives of a store that nobody changed.
pub(crate) fn expected() -> Result<Vec<(String, String)>, StoreError> {
    let connection = Connection::open_in_memory()?;
    create(&connection)?;
    texts(&connection)
}
