//! Reading a secret file: only an ordinary private file of the caller.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use kapsule_abi::{ErrorCode, guard};
use rustix::fs::OFlags;
use zeroize::Zeroizing;

use super::KeyName;
use crate::error::Failure;

/// Greatest size of a key file in bytes; one of suite 3 takes about 3,000.
const KEY_FILE_BYTES_MAX: u64 = 4_096;

/// Why a secret file was not read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Absent,
    Form(String),
    Mode(String),
}

impl Refused {
    /// Turns the reason into what the user is told.
    pub(super) fn into_failure(self, name: &KeyName, path: &Path) -> Failure {
        let name = name.as_str();
        match self {
            Self::Absent => Failure::new(
                ErrorCode::KeyNotFound,
                format!("there is no key {name}"),
                "list the keys with `kapsule key list`, or make one with `kapsule key new NAME`",
            )
            .cause(format!("{} does not exist", path.display())),
            Self::Form(found) => Failure::new(
                ErrorCode::KeyFileForm,
                format!("key {name} cannot be used"),
                "restore the file from a copy, or make a key with `kapsule key new NAME`",
            )
            .cause(found),
            Self::Mode(found) => Failure::new(
                ErrorCode::KeyFileMode,
                format!("key {name} is not safe to use"),
                format!("make it an ordinary file of yours and run `chmod 600 {}`", path.display()),
            )
            .cause(found),
        }
    }
}

/// What the checks of a secret file look at.
struct FileFacts {
    regular: bool,
    mode: u32,
    owner: u32,
}

/// Reads a secret file after checking the very file that was opened.
pub(super) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Refused> {
    // The link check comes first for its message; NOFOLLOW closes the race behind it.
    let link = fs::symlink_metadata(path).is_ok_and(|facts| facts.is_symlink());
    if guard!("cli.key.link", link) {
        return Err(Refused::Mode(format!("{} is a symbolic link", path.display())));
    }
    let mut file = open_secret(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Refused::Absent,
        _ => Refused::Mode(format!("{}: {error}", path.display())),
    })?;
    let unreadable = |error: io::Error| Refused::Form(format!("{}: {error}", path.display()));
    let facts = file.metadata().map_err(unreadable)?;
    let facts = FileFacts { regular: facts.is_file(), mode: facts.mode(), owner: facts.uid() };
    check_facts(&facts, rustix::process::geteuid().as_raw()).map_err(Refused::Mode)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(KEY_FILE_BYTES_MAX as usize));
    file.by_ref().take(KEY_FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

fn open_secret(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path)
}

fn check_facts(facts: &FileFacts, user: u32) -> Result<(), String> {
    if guard!("cli.key.regular", !facts.regular) {
        return Err("found something else than an ordinary file".to_owned());
    }
    if guard!("cli.key.owner", facts.owner != user) {
        let owner = facts.owner;
        return Err(format!("the file belongs to user {owner}, allowed is user {user}"));
    }
    let mode = facts.mode & 0o777;
    if guard!("cli.key.mode", mode & 0o077 != 0) {
        return Err(format!("the file has mode {mode:04o}, allowed is 0600 or stricter"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(regular: bool, mode: u32, owner: u32) -> Result<(), String> {
        check_facts(&FileFacts { regular, mode, owner }, 1_000)
    }

    #[test]
    fn only_a_private_file_of_the_caller_is_accepted() {
        assert_eq!(check(true, 0o100_600, 1_000), Ok(()));
        assert_eq!(check(true, 0o100_400, 1_000), Ok(()));
        assert!(check(true, 0o100_600, 0).unwrap_err().contains("user 0"));
        assert!(check(false, 0o600, 1_000).unwrap_err().contains("ordinary"));
        for mode in [0o640, 0o604, 0o610, 0o601, 0o620, 0o602] {
            assert!(check(true, mode, 1_000).unwrap_err().contains("mode 06"), "{mode:o}");
        }
    }
}
