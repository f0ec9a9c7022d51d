//! What takes the place of directories where links cannot be told from files safely: nothing is
//! opened.

use std::fs::File;
use std::io;
use std::path::Path;

use kapsule_abi::Errno;

/// What a name leads to.
pub(crate) type Found<T> = io::Result<Result<T, Errno>>;

/// A directory, which this platform does not give out.
#[derive(Debug)]
pub(crate) enum Folder {}

/// A content that waits beside the file that it replaces.
#[derive(Debug)]
pub(crate) enum Pending {}

impl Folder {
    pub(crate) fn open(_: &Path) -> io::Result<Self> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "directories are opened on Unix only"))
    }

    pub(crate) fn read(&self, _: &[&str]) -> Found<File> {
        match *self {}
    }

    pub(crate) fn writable(&self, _: &[&str]) -> Found<()> {
        match *self {}
    }

    pub(crate) fn prepare(&self, _: &[&str], _: &[u8]) -> Found<Pending> {
        match *self {}
    }

    pub(crate) fn names(&self) -> io::Result<Vec<String>> {
        match *self {}
    }
}

impl Pending {
    pub(crate) fn commit(self) -> io::Result<()> {
        match self {}
    }
}
