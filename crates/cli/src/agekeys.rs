//! The age keys of a home, with which packages are opened.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use kapsule_abi::ErrorCode;
use kapsule_format::encrypt::{Recipient, generate};
use zeroize::Zeroizing;

use crate::error::Failure;
use crate::files;
use crate::keystore::{KeyName, not_created};
use crate::passphrase::Protection;
use crate::paths::Home;

/// Extension of identity files, which are secret.
const SECRET: &str = "ageid";
/// Extension of recipient files.
const PUBLIC: &str = "agepub";

/// A new age key.
pub(crate) struct AgeKey {
    /// Its public part.
    pub(crate) recipient: Recipient,
    /// Its identity file.
    pub(crate) secret_path: PathBuf,
    /// Its recipient file.
    pub(crate) public_path: PathBuf,
}

/// Creates a key from fresh random bytes and writes its two files, overwriting nothing.
///
/// A protected file is one that age tools open as well.
pub(crate) fn create(
    home: &Home,
    name: &KeyName,
    protection: Option<&Protection>,
) -> Result<AgeKey, Failure> {
    let directory = home.keys();
    DirBuilder::new().recursive(true).mode(0o700).create(&directory).map_err(|error| {
        let message = format!("cannot create {}", directory.display());
        let hint = "set KAPSULE_HOME to a directory that you may write";
        Failure::new(ErrorCode::StoreOpen, message, hint).cause(error)
    })?;
    let (secret, recipient) = generate();
    let (secret_path, public_path) = (identity_file(home, name), recipient_file(home, name));
    let secret = match protection {
        Some(protection) => protection.apply(name.as_str(), secret.as_bytes())?.into(),
        None => Zeroizing::new(secret.as_bytes().to_vec()),
    };
    files::create_new(&secret_path, 0o600, &secret)
        .map_err(|error| not_created(&secret_path, &error))?;
    let line = format!("{recipient}\n");
    files::create_new(&public_path, 0o644, line.as_bytes()).map_err(|error| {
        // Half a key pair would block the name, and nobody has encrypted to it yet.
        drop(fs::remove_file(&secret_path));
        not_created(&public_path, &error)
    })?;
    Ok(AgeKey { recipient, secret_path, public_path })
}

/// Returns the paths of the identity files, ascending.
pub(crate) fn identity_files(home: &Home) -> Result<Vec<PathBuf>, Failure> {
    let directory = home.keys();
    let unreadable = |error: io::Error| {
        let message = format!("cannot list {}", directory.display());
        Failure::new(ErrorCode::StoreOpen, message, "check the permissions of the directory")
            .cause(error)
    };
    let entries = match fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == SECRET) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Returns the path of the secret part of a key.
pub(crate) fn identity_file(home: &Home, name: &KeyName) -> PathBuf {
    path(home, name, SECRET)
}

/// Returns the path of the public part of a key.
pub(crate) fn recipient_file(home: &Home, name: &KeyName) -> PathBuf {
    path(home, name, PUBLIC)
}

fn path(home: &Home, name: &KeyName, extension: &str) -> PathBuf {
    home.keys().join(format!("{}.{extension}", name.as_str()))
}
