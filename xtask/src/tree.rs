//! The files of the repository.

use crate::failure::Failure;
use std::path::{Path, PathBuf};

/// Directories that hold derived or foreign files.
const SKIPPED: &[&str] = &[".git", "target", "__pycache__", "node_modules", ".venv"];

/// A directory tree that the text rules look at.
pub(crate) struct Tree {
    root: PathBuf,
}

impl Tree {
    /// Returns the repository that this program was started from.
    pub(crate) fn of_repository() -> Result<Self, Failure> {
        let own = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        match own.parent() {
            Some(root) if root.join("xtask").is_dir() => Ok(Self::new(root)),
            _ => Err(Failure::shape(own.display().to_string(), "not inside the repository")),
        }
    }

    /// Returns the tree below `root`.
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Returns the top directory.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the full path of `relative`.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// Returns the text of `relative`.
    pub(crate) fn read(&self, relative: &str) -> Result<String, Failure> {
        let path = self.path(relative);
        std::fs::read_to_string(&path).map_err(Failure::io(&path))
    }

    /// Returns every file below `directory` (the empty string for all), with `/` between names,
    /// sorted; an absent directory has no files.
    pub(crate) fn files(&self, directory: &str) -> Result<Vec<String>, Failure> {
        let mut found = Vec::new();
        let mut pending = vec![directory.to_owned()];
        while let Some(directory) = pending.pop() {
            self.list(&directory, &mut found, &mut pending)?;
        }
        found.sort();
        Ok(found)
    }

    /// Returns the files below `directory` whose names end in `suffix`.
    pub(crate) fn files_ending(
        &self,
        directory: &str,
        suffix: &str,
    ) -> Result<Vec<String>, Failure> {
        let mut files = self.files(directory)?;
        files.retain(|file| file.ends_with(suffix));
        Ok(files)
    }

    /// Returns the names of the directories directly below `directory`, sorted.
    pub(crate) fn directories(&self, directory: &str) -> Result<Vec<String>, Failure> {
        let (mut files, mut below) = (Vec::new(), Vec::new());
        self.list(directory, &mut files, &mut below)?;
        let mut names: Vec<String> =
            below.iter().filter_map(|path| path.rsplit('/').next()).map(str::to_owned).collect();
        names.sort();
        Ok(names)
    }

    /// Gives the workspace in `directory` the versions of our lock file.
    ///
    /// Cargo drops what that workspace does not use and adds what it alone uses.
    pub(crate) fn copy_lock_file(&self, directory: &str) -> Result<(), Failure> {
        let copy = self.path(&format!("{directory}/Cargo.lock"));
        std::fs::copy(self.path("Cargo.lock"), &copy).map_err(Failure::io(&copy))?;
        Ok(())
    }

    /// Adds what lies directly in `directory` to the two lists.
    fn list(
        &self,
        directory: &str,
        files: &mut Vec<String>,
        below: &mut Vec<String>,
    ) -> Result<(), Failure> {
        let path = self.path(directory);
        if !path.is_dir() {
            return Ok(());
        }
        for entry in std::fs::read_dir(&path).map_err(Failure::io(&path))? {
            let entry = entry.map_err(Failure::io(&path))?;
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
                return Err(Failure::shape(directory, "a file name is not Unicode"));
            };
            let relative = match directory {
                "" => name.clone(),
                directory => format!("{directory}/{name}"),
            };
            let kind = entry.file_type().map_err(Failure::io(&path))?;
            if kind.is_dir() && !SKIPPED.contains(&name.as_str()) {
                below.push(relative);
            } else if kind.is_file() {
                files.push(relative);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Writes `files` into a new temporary tree.
    pub(crate) fn planted(files: &[(&str, &str)]) -> (tempfile::TempDir, Tree) {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let tree = Tree::new(directory.path());
        (directory, tree)
    }

    #[test]
    fn derived_directories_are_left_out_and_files_are_sorted() {
        let (_keep, tree) =
            planted(&[("b/x.rs", ""), ("a.md", ""), ("target/y.rs", ""), ("b/c/z.rs", "")]);
        assert_eq!(tree.files("").unwrap(), ["a.md", "b/c/z.rs", "b/x.rs"]);
        assert_eq!(tree.files_ending("b", "x.rs").unwrap(), ["b/x.rs"]);
        assert_eq!(tree.directories("").unwrap(), ["b"]);
        assert!(tree.files("absent").unwrap().is_empty());
    }
}
