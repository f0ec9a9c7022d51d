//! A home that is gone when the demo ends, however it ends.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::error::Failure;

/// The directory of a demo.
#[derive(Debug)]
pub(crate) struct DemoHome {
    path: PathBuf,
    keep: bool,
}

impl DemoHome {
    /// Creates a directory of a random name that is removed on drop.
    pub(crate) fn throwaway() -> Result<Self, Failure> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| {
            Failure::internal("the system gives no random bytes", "try again later").cause(error)
        })?;
        let name = format!("kapsule-demo-{}", kapsule_format::hash::encode_hex(&random));
        Self::create(&std::env::temp_dir().join(name), false)
    }

    /// Creates a directory that stays.
    pub(crate) fn kept(path: &Path) -> Result<Self, Failure> {
        Self::create(path, true)
    }

    fn create(path: &Path, keep: bool) -> Result<Self, Failure> {
        // Creating it anew is what keeps others out, so an existing directory is refused.
        DirBuilder::new().mode(0o700).create(path).map_err(|error| {
            let message = format!("cannot create {}", path.display());
            Failure::usage(message, "name a directory that does not exist yet with --keep")
                .cause(error)
        })?;
        Ok(Self { path: path.to_owned(), keep })
    }

    /// Returns the directory.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for DemoHome {
    fn drop(&mut self) {
        if !self.keep {
            // What cannot be removed is in the directory for temporary files and holds demo keys.
            drop(fs::remove_dir_all(&self.path));
        }
    }
}
