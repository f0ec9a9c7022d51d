//! Guest paths and the places that they stand for.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use kapsule_abi::{Errno, ErrorCode, guard};
use kapsule_format::policy::Filesystem;

use crate::SetupError;
use crate::folder::{Folder, Found, Pending};

/// A guest path, and what it stands for.
#[derive(Debug)]
struct Mount {
    /// Guest path; with a final `/` it is a directory.
    guest: String,
    folder: Folder,
    /// Name in `folder`, for a single file.
    file: Option<String>,
}

/// The places of all guest paths.
#[derive(Debug, Default)]
pub(crate) struct Mounts {
    mounts: Vec<Mount>,
}

impl Mounts {
    /// Adds a directory, or a file if `guest` has no final `/`.
    pub(crate) fn add(&mut self, guest: &str, host: &Path) -> Result<(), SetupError> {
        let trimmed = guest.strip_suffix('/').unwrap_or(guest);
        let is_path = guest == "/" || Filesystem::is_path(trimmed);
        if guard!("host.mount.path", !is_path) {
            let detail = format!("{guest:?} is not an absolute guest path without `.` or `..`");
            return Err(SetupError::new(ErrorCode::SchemaViolation, detail));
        }
        if guard!("host.mount.twice", self.mounts.iter().any(|mount| mount.guest == guest)) {
            let detail = format!("the guest path {guest:?} is given twice");
            return Err(SetupError::new(ErrorCode::AuthoringAmbiguous, detail));
        }
        let (directory, file) = match guest.ends_with('/') {
            true => (host.to_path_buf(), None),
            false => {
                let name = host.file_name().and_then(|name| name.to_str()).ok_or_else(|| {
                    let detail = format!("{} does not name a file", host.display());
                    SetupError::new(ErrorCode::StoreOpen, detail)
                })?;
                let parent = host.parent().filter(|parent| !parent.as_os_str().is_empty());
                (parent.map_or_else(|| PathBuf::from("."), PathBuf::from), Some(name.to_owned()))
            }
        };
        let folder = Folder::open(&directory).map_err(|e| SetupError::io(&directory, &e))?;
        self.mounts.push(Mount { guest: guest.to_owned(), folder, file });
        // The longest guest path decides.
        self.mounts.sort_by_key(|mount| std::cmp::Reverse(mount.guest.len()));
        Ok(())
    }

    /// Returns the directory of a guest path and the parts below it.
    fn find<'a>(&'a self, path: &'a str) -> Option<(&'a Folder, Vec<&'a str>)> {
        self.mounts.iter().find_map(|mount| match &mount.file {
            Some(file) => (mount.guest == path).then(|| (&mount.folder, vec![file.as_str()])),
            None => {
                let below = path.strip_prefix(mount.guest.as_str())?;
                Some((&mount.folder, below.split('/').collect()))
            }
        })
    }

    pub(crate) fn read(&self, path: &str) -> Found<File> {
        self.at(path, Folder::read)
    }

    pub(crate) fn writable(&self, path: &str) -> Found<()> {
        self.at(path, Folder::writable)
    }

    pub(crate) fn prepare(&self, path: &str, bytes: &[u8]) -> io::Result<Pending> {
        let prepared = self.at(path, |folder, parts| folder.prepare(parts, bytes))?;
        prepared.map_err(|errno| io::Error::other(format!("{path}: {}", errno.name())))
    }

    fn at<T>(&self, path: &str, act: impl FnOnce(&Folder, &[&str]) -> Found<T>) -> Found<T> {
        match self.find(path) {
            Some((folder, parts)) => act(folder, &parts),
            None => Ok(Err(Errno::Refused)),
        }
    }
}
