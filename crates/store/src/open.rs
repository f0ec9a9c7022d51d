//! Opening the file, and the one way to change it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use kapsule_abi::{ErrorCode, guard};
use kapsule_format::DecodeError;
use kapsule_format::log::{Chain, Entry, EntryKind, LogName};
use kapsule_format::package::PackageId;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::error::StoreError;
use crate::{checkpoints, log, schema};

/// Name of the database.
const FILE_NAME: &str = "store.sqlite";

/// Directory of large values beside it.
const BLOBS: &str = "blobs";

/// How long a writer waits for another one.
///
/// Chosen: several times the longest batch, and short enough for a person to wait.
const BUSY: Duration = Duration::from_secs(10);

/// What a new store is told of itself.
#[derive(Clone, Debug)]
pub struct Opening {
    /// Name of the log, needed for a new store alone.
    pub origin: Option<LogName>,
    /// Time of the first entry.
    pub time_ms: u64,
}

/// The store of one home.
#[derive(Debug)]
pub struct Store {
    pub(crate) connection: Connection,
    pub(crate) blobs: PathBuf,
    path: PathBuf,
}

impl Store {
    /// Returns the place of the database in a data directory.
    #[must_use]
    pub fn file(directory: &Path) -> PathBuf {
        directory.join(FILE_NAME)
    }

    /// Opens the store of a data directory, and makes a new one where the opening names a log.
    ///
    /// Takes some milliseconds: head, last entry, last checkpoint and the tree's right edge are
    /// compared, whatever the size; [`Store::check`] looks at everything.
    ///
    /// # Errors
    /// E501 for a file that cannot be opened or is another one, E503 or E504 for one that was
    /// changed, E505 for one that was cut.
    pub fn open(directory: &Path, opening: Opening) -> Result<Self, StoreError> {
        let store = Self::open_unchecked(directory, &opening)?;
        log::check_end(&store.connection)?;
        checkpoints::check_last(&store.connection)?;
        Ok(store)
    }

    /// Opens a store that is there without looking at it, for [`Store::check`].
    ///
    /// # Errors
    /// E501 for a file that cannot be opened or is another one.
    pub fn open_damaged(directory: &Path) -> Result<Self, StoreError> {
        Self::open_unchecked(directory, &Opening { origin: None, time_ms: 0 })
    }

    fn open_unchecked(directory: &Path, opening: &Opening) -> Result<Self, StoreError> {
        let path = Self::file(directory);
        let fresh = !path.exists();
        if fresh && opening.origin.is_none() {
            let detail = format!("there is no store at {}", path.display());
            return Err(StoreError::Foreign(detail));
        }
        if fresh {
            prepare(directory, &path)?;
        }
        let connection = connect(&path)?;
        let mut store = Self { connection, blobs: directory.join(BLOBS), path };
        if schema::check(&store.connection)? {
            store.create(opening)?;
        }
        Ok(store)
    }

    fn create(&mut self, opening: &Opening) -> Result<(), StoreError> {
        let Some(origin) = &opening.origin else {
            return Err(StoreError::Foreign(format!("{} is empty", self.path.display())));
        };
        self.connection.pragma_update(None, "journal_mode", "WAL")?;
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        schema::create(&transaction)?;
        let mut chain = Chain::new(origin.clone());
        log::create(&transaction, &chain)?;
        let entry = Entry::new(EntryKind::LogOpen, opening.time_ms);
        log::append(&transaction, &mut chain, entry)?;
        log::set_head(&transaction, &chain)?;
        transaction.commit()?;
        Ok(())
    }

    /// Returns the place of the database.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Changes the store: all that `work` does is written together, or nothing.
    ///
    /// # Errors
    /// Those of `work`; E511 if another writer does not end; E503 if nothing was appended to the
    /// log, which every change is told to.
    pub fn write<T, E: From<StoreError>>(
        &mut self,
        work: impl FnOnce(&mut Write<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(StoreError::from)?;
        let chain = log::chain(&transaction)?;
        let before = chain.size();
        let storage_changed = BTreeSet::new();
        let mut write = Write { transaction, chain, blobs: &self.blobs, storage_changed };
        let value = work(&mut write)?;
        if guard!("store.write.storage_told", !write.storage_changed.is_empty()) {
            let detail = "a change of storage that the log does not tell of";
            return Err(StoreError::from(DecodeError::new(ErrorCode::StoreCorrupt, detail)).into());
        }
        if guard!("store.write.logged", write.chain.size() == before) {
            let detail = "a change that the log does not tell of";
            return Err(StoreError::from(DecodeError::new(ErrorCode::StoreCorrupt, detail)).into());
        }
        log::set_head(&write.transaction, &write.chain)?;
        write.transaction.commit().map_err(StoreError::from)?;
        Ok(value)
    }
}

/// A change under way.
#[derive(Debug)]
pub struct Write<'a> {
    pub(crate) transaction: Transaction<'a>,
    pub(crate) chain: Chain,
    pub(crate) blobs: &'a Path,
    /// Packages whose storage was changed since the log was last told.
    pub(crate) storage_changed: BTreeSet<PackageId>,
}

impl Write<'_> {
    /// Appends an entry to the log and returns its index.
    ///
    /// # Errors
    /// As [`Entry::encode`].
    pub fn append(&mut self, entry: Entry) -> Result<u64, StoreError> {
        log::append(&self.transaction, &mut self.chain, entry)
    }
}

/// Makes the directory, and the file with its mode before SQLite sees it.
fn prepare(directory: &Path, path: &Path) -> Result<(), StoreError> {
    let wrap = |path: &Path| {
        let path = path.to_owned();
        move |source| StoreError::File { path, source }
    };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(wrap(directory))?;
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(path).map_err(wrap(path))?;
    file.set_permissions(fs::Permissions::from_mode(0o600)).map_err(wrap(path))
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    connection.execute_batch(schema::SETTINGS)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}
