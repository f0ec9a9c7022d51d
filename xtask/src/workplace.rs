//! A fresh directory outside of the repository in which a step uses the built command as its users
//! do.

use crate::failure::Failure;
use crate::tree::Tree;
use crate::{modules, process};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The built command, and a place to work in.
pub(crate) struct Workplace<'a> {
    pub(crate) tree: &'a Tree,
    kapsule: PathBuf,
    directory: PathBuf,
}

/// Makes the place for a step, works in it, and removes it whatever came of the work.
pub(crate) fn within(
    tree: &Tree,
    step: &str,
    work: impl FnOnce(&Workplace<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let kapsule = process::built(tree, "kapsule")?;
    let directory = std::env::temp_dir().join(format!("kapsule-{step}-{}", std::process::id()));
    std::fs::create_dir(&directory).map_err(Failure::io(&directory))?;
    let place = Workplace { tree, kapsule, directory };
    let done = work(&place);
    let removed = std::fs::remove_dir_all(&place.directory);
    done?;
    removed.map_err(Failure::io(&place.directory))
}

impl Workplace<'_> {
    /// Returns the path of a file in the place.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Reads a file of the place.
    pub(crate) fn read(&self, name: &str) -> Result<Vec<u8>, Failure> {
        let path = self.path(name);
        std::fs::read(&path).map_err(Failure::io(&path))
    }

    /// Writes a file of the place.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let path = self.path(name);
        std::fs::write(&path, bytes).map_err(Failure::io(&path))
    }

    /// Prepares a program in the place, with no network for Cargo and a home of its own.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = process::command(self.tree, &program.display().to_string());
        command.current_dir(&self.directory).env("CARGO_NET_OFFLINE", "true");
        command.env("KAPSULE_HOME", self.path("home"));
        // What is built stays for the next time.
        command.env("CARGO_TARGET_DIR", modules::target_directory(self.tree).join("sdk"));
        command
    }

    /// Calls the command, expects success, and returns what it wrote.
    pub(crate) fn kapsule(&self, args: &[&str]) -> Result<String, Failure> {
        process::capture(self.command(&self.kapsule).args(args))
    }

    /// Calls the command and returns how it ended.
    pub(crate) fn outcome(&self, args: &[&str]) -> Result<Output, Failure> {
        self.command(&self.kapsule).args(args).output().map_err(Failure::io(&self.kapsule))
    }
}
