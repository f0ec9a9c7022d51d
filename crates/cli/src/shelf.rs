//! A directory of packages, each named by its own hash.

use std::fs;
use std::path::{Path, PathBuf};

use kapsule_abi::{ErrorCode, guard};
use kapsule_format::envelope::Envelope;
use kapsule_format::package::{EnvelopeName, Package, PackageId};

use crate::error::Failure;
use crate::files;
use crate::opening::{self, Files};
use crate::ui::Ui;

/// End of the name of a package file.
const SUFFIX: &str = ".mod";

/// A directory of packages.
///
/// Presence is not trust: a package is verified whenever it is used.
///
/// # Spec
/// `spec/package.md`, section "Package directory".
#[derive(Clone)]
pub(crate) struct Shelf {
    directory: PathBuf,
}

/// One file of the directory.
pub(crate) struct Item {
    /// Id that the name of the file states.
    pub(crate) id: PackageId,
    /// The package, or why it is not that package.
    pub(crate) package: Result<Package, Failure>,
}

impl Shelf {
    /// Names a directory, which need not exist.
    pub(crate) const fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Returns the directory.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns the place of a package.
    pub(crate) fn path(&self, id: &PackageId) -> PathBuf {
        self.directory.join(format!("{id}{SUFFIX}"))
    }

    /// Reads a package, if it is there; `E503` if the file holds another one.
    pub(crate) fn get(&self, id: &PackageId) -> Result<Option<Files>, Failure> {
        let path = self.path(id);
        if !path.exists() {
            return Ok(None);
        }
        let files = Files::read(&path)?;
        check(id, &files)?;
        Ok(Some(files))
    }

    /// Keeps a package and returns it with whether it was new.
    ///
    /// Detached envelopes go into the trailer, and signatures that are there already stay.
    pub(crate) fn add(&self, ui: &Ui, files: &Files) -> Result<(Package, bool), Failure> {
        let mut package = opening::decode(files)?;
        let id = package.capsule_hash();
        let name = files.name();
        for (file_name, bytes) in files.envelopes() {
            let parsed = EnvelopeName::parse(file_name)
                .and_then(|name| Ok((name, Envelope::decode(bytes)?)))
                .map_err(|error| {
                    let hint = "remove the file, or get it again";
                    Failure::decode(format!("{file_name} is not an envelope"), &error, hint)
                })?;
            attach(&mut package, &name, &parsed.0, &parsed.1)?;
        }
        let before = self.get(&id)?;
        if let Some(before) = &before {
            for (name, envelope) in opening::decode(before)?.to_envelopes() {
                let present = package.signatures().iter().any(|entry| {
                    (entry.scope, entry.suite, entry.keyid) == (name.scope, name.suite, name.keyid)
                });
                if !present {
                    attach(&mut package, &files.name(), &name, &envelope)?;
                }
            }
        }
        fs::create_dir_all(&self.directory).map_err(|error| {
            let message = format!("cannot make {}", self.directory.display());
            Failure::usage(message, "name a directory that can be made with --packages")
                .cause(error)
        })?;
        files::write(ui, &self.path(&id), &package.encode())?;
        Ok((package, before.is_none()))
    }

    /// Reads every package, in order of the ids; files with other names are not looked at.
    pub(crate) fn list(&self) -> Result<Vec<Item>, Failure> {
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => {
                let message = format!("cannot list {}", self.directory.display());
                return Err(
                    Failure::usage(message, "name a directory with --packages").cause(error)
                );
            }
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let id = |name: String| name.strip_suffix(SUFFIX)?.parse().ok();
        let mut ids: Vec<PackageId> = names.filter_map(id).collect();
        ids.sort_unstable();
        let read = |id: PackageId| {
            let package = self.get(&id).and_then(|files| match files {
                Some(files) => opening::decode(&files),
                None => Err(Failure::new(
                    ErrorCode::DependencyAbsent,
                    format!("{id} is gone"),
                    "list again",
                )),
            });
            Item { id, package }
        };
        Ok(ids.into_iter().map(read).collect())
    }
}

fn attach(
    package: &mut Package,
    name: &str,
    file_name: &EnvelopeName,
    envelope: &Envelope,
) -> Result<(), Failure> {
    package.attach(file_name, envelope).map_err(|error| {
        let hint = "remove the envelope that the cause speaks of";
        Failure::decode(format!("the signatures of {name} cannot be kept together"), &error, hint)
    })
}

/// Refuses a file that does not hold the package that its name promises.
fn check(id: &PackageId, files: &Files) -> Result<(), Failure> {
    let damaged = |cause: String| {
        let message = format!("{} is not the package of its name", files.name());
        let hint = "remove the file and add the package again with `kapsule package add`";
        Failure::new(ErrorCode::StoreCorrupt, message, hint).cause(cause)
    };
    let found = Package::decode(files.bytes()).map_err(|error| damaged(error.to_string()))?;
    let found = found.peek().capsule_hash();
    if guard!("cli.shelf.capsule_hash", found != *id) {
        return Err(damaged(format!("it holds the package {found}")));
    }
    Ok(())
}
