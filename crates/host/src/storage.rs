//! The storage of packages in a directory: one subdirectory for each, named by its hash.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use kapsule_abi::{Errno, ErrorCode, guard};
use kapsule_engine::{StorageChanges, StorageSize, apply_changes};
use kapsule_format::package::PackageId;
use kapsule_format::storage::{Pairs, Storage};

use crate::SetupError;
use crate::folder::{Folder, Pending};

/// Name of the file that holds the pairs.
const FILE: &str = "storage.klog";
/// Name of the file that a process holds locked while it uses the storage.
const LOCK: &str = "lock";

/// A directory of storages.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    open: BTreeMap<PackageId, Open>,
}

/// The storage of one package, locked.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) pairs: Pairs,
    pub(crate) size: StorageSize,
    folder: Folder,
    _lock: File,
}

impl Directory {
    /// Uses a directory, which is created if it is absent.
    pub(crate) fn new(path: &Path) -> Result<Self, SetupError> {
        create(path)?;
        Ok(Self { path: path.to_path_buf(), open: BTreeMap::new() })
    }

    /// Returns the storage of a package; the first time it is locked, read and checked.
    pub(crate) fn open(&mut self, package: &PackageId) -> Result<&mut Open, SetupError> {
        use std::collections::btree_map::Entry;
        match self.open.entry(*package) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => Ok(entry.insert(Open::read(&self.path, package)?)),
        }
    }

    /// Writes the changed storage of a package beside the one in force.
    pub(crate) fn prepare(
        &mut self,
        package: &PackageId,
        changes: &StorageChanges,
    ) -> Result<(Pairs, Pending), SetupError> {
        let path = self.path.join(package.to_string());
        let open = self.open(package)?;
        let mut pairs = open.pairs.clone();
        apply_changes(&mut pairs, changes);
        let storage = Storage { package: *package, pairs };
        let bytes = storage
            .encode()
            .map_err(|error| SetupError::new(error.code, format!("{}: {error}", path.display())))?;
        let pending = open.folder.prepare(&[FILE], &bytes);
        let pending = pending.and_then(|found| found.map_err(|e| io::Error::other(e.name())));
        Ok((storage.pairs, pending.map_err(|error| SetupError::io(&path, &error))?))
    }

    /// Takes what was written for what is in force.
    pub(crate) fn replace(&mut self, package: &PackageId, pairs: Pairs) {
        if let Some(open) = self.open.get_mut(package) {
            open.size = StorageSize::of(&pairs);
            open.pairs = pairs;
        }
    }
}

impl Open {
    fn read(directory: &Path, package: &PackageId) -> Result<Self, SetupError> {
        let path = directory.join(package.to_string());
        create(&path)?;
        let lock = lock(&path.join(LOCK))?;
        let failed = |error: &io::Error| SetupError::io(&path, error);
        let folder = Folder::open(&path).map_err(|error| failed(&error))?;
        let pairs = match folder.read(&[FILE]).map_err(|error| failed(&error))? {
            Err(Errno::NotFound) => Pairs::new(),
            Err(errno) => return Err(failed(&io::Error::other(errno.name()))),
            Ok(mut file) => {
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes).map_err(|error| failed(&error))?;
                decode(&path, package, &bytes)?
            }
        };
        Ok(Self { size: StorageSize::of(&pairs), pairs, folder, _lock: lock })
    }
}

fn decode(path: &Path, package: &PackageId, bytes: &[u8]) -> Result<Pairs, SetupError> {
    let corrupt = |detail: String| {
        let detail = format!("{}: {detail}", path.join(FILE).display());
        SetupError::new(ErrorCode::StoreCorrupt, detail)
    };
    let storage = Storage::decode(bytes).map_err(|error| corrupt(error.to_string()))?;
    let named = storage.package;
    if guard!("host.storage.package", named != *package) {
        return Err(corrupt(format!("it is the storage of {named}")));
    }
    Ok(storage.pairs)
}

/// Creates a directory that only its owner may enter.
fn create(path: &Path) -> Result<(), SetupError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error| SetupError::io(path, &error))
}

/// Locks the storage for this process, until the file is dropped.
fn lock(path: &Path) -> Result<File, SetupError> {
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    let file = options.open(path).map_err(|error| SetupError::io(path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let detail = format!("{} is held by another process", path.display());
            Err(SetupError::new(ErrorCode::WriteConflict, detail))
        }
        Err(TryLockError::Error(error)) => Err(SetupError::io(path, &error)),
    }
}
