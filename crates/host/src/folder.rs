//! One directory, and the files below it that a name reaches without leaving it.
//!
//! Every part of a path is opened relative to the part before, and never through a link, so a
//! directory that somebody moves or replaces meanwhile leads nowhere else.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use kapsule_abi::{Errno, guard};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};

/// Flags of every directory that is opened.
const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// What a name leads to.
pub(crate) type Found<T> = io::Result<Result<T, Errno>>;

/// An open directory.
#[derive(Debug)]
pub(crate) struct Folder {
    fd: OwnedFd,
}

impl Folder {
    /// Opens a directory of the caller; its own path may hold links.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { fd: rustix::fs::open(path, flags, Mode::empty())? })
    }

    /// Opens the directory that holds the last of the parts.
    fn parent(&self, parts: &[&str]) -> Found<Self> {
        let mut folder = Self { fd: self.fd.try_clone()? };
        for part in parts.iter().take(parts.len().saturating_sub(1)) {
            let kind = match folder.kind(part)? {
                Ok(kind) => kind,
                Err(errno) => return Ok(Err(errno)),
            };
            if guard!("host.folder.link", kind != FileType::Directory) {
                return Ok(Err(Errno::Refused));
            }
            folder = match rustix::fs::openat(&folder.fd, *part, DIRECTORY, Mode::empty()) {
                Ok(fd) => Self { fd },
                Err(error) => return refused(error),
            };
        }
        Ok(Ok(folder))
    }

    /// Returns what an entry is, without following it.
    fn kind(&self, name: &str) -> Found<FileType> {
        let stat = match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(error) => return refused(error),
        };
        // A file system that folds case or normalises finds an entry of another name.
        if guard!("host.folder.name", !self.lists(name)?) {
            return Ok(Err(Errno::NotFound));
        }
        Ok(Ok(FileType::from_raw_mode(stat.st_mode)))
    }

    fn lists(&self, name: &str) -> io::Result<bool> {
        for entry in Dir::read_from(&self.fd)? {
            if entry?.file_name().to_bytes() == name.as_bytes() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Opens a regular file for reading.
    pub(crate) fn read(&self, parts: &[&str]) -> Found<File> {
        let (folder, name) = match self.parent(parts)? {
            Ok(folder) => (folder, parts.last().copied().unwrap_or_default()),
            Err(errno) => return Ok(Err(errno)),
        };
        if let Err(errno) = folder.kind(name)? {
            return Ok(Err(errno));
        }
        // What is there is asked of the open file, since another could take its place; opening
        // neither follows a link nor waits for a pipe nor takes a terminal.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let flags = flags | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&folder.fd, name, flags, Mode::empty()) {
            Ok(fd) => File::from(fd),
            Err(error) => return refused(error),
        };
        if guard!("host.folder.special", !file.metadata()?.is_file()) {
            return Ok(Err(Errno::Refused));
        }
        Ok(Ok(file))
    }

    /// Tells whether a regular file can stand under a name.
    pub(crate) fn writable(&self, parts: &[&str]) -> Found<()> {
        let folder = match self.parent(parts)? {
            Ok(folder) => folder,
            Err(errno) => return Ok(Err(errno)),
        };
        let name = parts.last().copied().unwrap_or_default();
        match rustix::fs::statat(&folder.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(rustix::io::Errno::NOENT) => return Ok(Ok(())),
            Err(error) => return refused(error),
            Ok(_) => {}
        }
        let regular = folder.kind(name)? == Ok(FileType::RegularFile);
        if guard!("host.folder.replaced", !regular) {
            return Ok(Err(Errno::Refused));
        }
        Ok(Ok(()))
    }

    /// Writes a new content beside a file and syncs it.
    pub(crate) fn prepare(&self, parts: &[&str], bytes: &[u8]) -> Found<Pending> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        if let Err(errno) = self.writable(parts)? {
            return Ok(Err(errno));
        }
        let folder = match self.parent(parts)? {
            Ok(folder) => folder,
            Err(errno) => return Ok(Err(errno)),
        };
        let name = parts.last().copied().unwrap_or_default();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let temporary = format!(".kapsule-{}-{count}.tmp", std::process::id());
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o666);
        let mut file = File::from(rustix::fs::openat(&folder.fd, &*temporary, flags, mode)?);
        // From here on the temporary file goes with `pending` if anything fails.
        let pending = Pending { folder, temporary, name: name.to_owned(), done: false };
        if let Ok(old) = rustix::fs::statat(&pending.folder.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            rustix::fs::fchmod(&file, Mode::from_raw_mode(old.st_mode))?;
        }
        file.write_all(bytes)?;
        file.sync_all()?;
        Ok(Ok(pending))
    }

    /// Returns the names of the entries, for directories of the caller.
    pub(crate) fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.fd)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            names.extend(name.to_str().map(str::to_owned));
        }
        names.sort_unstable();
        Ok(names)
    }
}

/// A content that waits beside the file that it replaces.
#[derive(Debug)]
pub(crate) struct Pending {
    folder: Folder,
    temporary: String,
    name: String,
    done: bool,
}

impl Pending {
    /// Puts the content in its place, at once and whole.
    pub(crate) fn commit(mut self) -> io::Result<()> {
        let fd = &self.folder.fd;
        rustix::fs::renameat(fd, &*self.temporary, fd, &*self.name)?;
        self.done = true;
        // The rename is on disk once the directory is.
        rustix::fs::fsync(&self.folder.fd)?;
        Ok(())
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.done {
            // Nothing depends on it, and nobody could be told.
            let _ = rustix::fs::unlinkat(&self.folder.fd, &*self.temporary, AtFlags::empty());
        }
    }
}

/// Tells what a guest hears of a failed look-up; what is the machine's trouble stays an error.
fn refused<T>(error: rustix::io::Errno) -> Found<T> {
    use rustix::io::Errno as Os;
    match error {
        Os::NOENT | Os::NOTDIR => Ok(Err(Errno::NotFound)),
        Os::LOOP | Os::ACCESS | Os::PERM | Os::NAMETOOLONG | Os::ISDIR | Os::ROFS | Os::NXIO => {
            Ok(Err(Errno::Refused))
        }
        other => Err(other.into()),
    }
}
