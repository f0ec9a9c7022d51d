//! Large values beside the database, each named by its SHA-256.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use kapsule_format::Digest;
use kapsule_format::hash::sha256;

use crate::error::{StoreError, corrupt};

/// Greatest length of a value that stands in the database, in bytes.
///
/// Chosen: SQLite reads values of this size about as fast as files, and larger ones slower.
pub(crate) const INLINE_BYTES_MAX: usize = 1 << 18;

fn wrap(path: &Path) -> impl FnOnce(std::io::Error) -> StoreError + use<> {
    let path = path.to_owned();
    move |source| StoreError::File { path, source }
}

pub(crate) fn path(directory: &Path, digest: &Digest) -> PathBuf {
    directory.join(digest.to_string())
}

/// Writes a value through to the disk, before the row that names it is committed.
///
/// A crash in between leaves a file that no row names, which is harmless.
pub(crate) fn put(directory: &Path, digest: &Digest, bytes: &[u8]) -> Result<(), StoreError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(wrap(directory))?;
    let target = path(directory, digest);
    if target.exists() {
        return Ok(());
    }
    let temporary = directory.join(format!(".{digest}.{}", std::process::id()));
    let write = || {
        let mut options = fs::OpenOptions::new();
        let mut file =
            options.write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, &target)?;
        File::open(directory)?.sync_all()
    };
    write().map_err(wrap(&target))
}

/// Reads a value and checks that it is the one of its name.
pub(crate) fn get(directory: &Path, digest: &Digest) -> Result<Vec<u8>, StoreError> {
    let path = path(directory, digest);
    let bytes = fs::read(&path).map_err(wrap(&path))?;
    if kapsule_abi::guard!("store.blob.digest", sha256(&bytes) != *digest) {
        return Err(corrupt(format!("{} has another digest than its name", path.display())));
    }
    Ok(bytes)
}

/// Removes a value; one that is not there is no failure.
pub(crate) fn remove(directory: &Path, digest: &Digest) -> Result<(), StoreError> {
    let path = path(directory, digest);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(wrap(&path)(error)),
        _ => Ok(()),
    }
}
