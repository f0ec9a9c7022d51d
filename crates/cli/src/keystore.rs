//! The key files of a home: created with care, checked on every load.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use kapsule_abi::{ErrorCode, guard};
use kapsule_format::key::{Identity, IdentityId, KeyFile, PublicKey, PublicLine, SecretKey};
use kapsule_format::key::{Suite, Uses};
use rustix::fs::OFlags;
use zeroize::Zeroizing;

use crate::error::Failure;
use crate::files;
use crate::paths::Home;

/// Greatest size of a key file in bytes; one takes about 400.
const KEY_FILE_BYTES_MAX: u64 = 4_096;
/// Greatest length of a key name, that of a label.
const NAME_BYTES_MAX: usize = 64;

/// The name of a key: a label that is a safe file name as well.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct KeyName(String);

impl KeyName {
    /// Returns the name as text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for KeyName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"@._-".contains(&byte);
        let length = (1..=NAME_BYTES_MAX).contains(&name.len());
        let start = name.starts_with(|first: char| first.is_ascii_alphanumeric());
        if guard!("cli.key.name", !length || !start || !name.bytes().all(allowed)) {
            let form = "1 to 64 of the characters A-Z a-z 0-9 @ . _ -, the first a letter or digit";
            return Err(format!("a key name is {form}"));
        }
        Ok(Self(name.to_owned()))
    }
}

/// The keys of one home.
#[derive(Clone, Debug)]
pub(crate) struct KeyStore {
    directory: PathBuf,
}

/// A key of the store.
#[derive(Debug)]
pub(crate) struct StoredKey {
    /// Its name.
    pub(crate) name: KeyName,
    /// Its secret file.
    pub(crate) path: PathBuf,
    /// What the file holds.
    pub(crate) file: KeyFile,
}

impl StoredKey {
    /// Returns the public key.
    pub(crate) const fn public(&self) -> &PublicKey {
        self.file.secret.public()
    }

    /// Returns the identity of this key alone.
    pub(crate) fn identity(&self) -> IdentityId {
        let identity = Identity::try_from(self.public().clone());
        identity.expect("a key of the store is of suite 1").id()
    }
}

impl KeyStore {
    /// Returns the store of a home; nothing is created.
    pub(crate) fn new(home: &Home) -> Self {
        Self { directory: home.keys() }
    }

    /// Returns the directory of the key files.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Creates a key from fresh random bytes and writes its two files.
    pub(crate) fn create(&self, name: &KeyName, created_ms: u64) -> Result<StoredKey, Failure> {
        let mut seed = Zeroizing::new([0; SecretKey::BYTES]);
        getrandom::fill(&mut *seed).map_err(|error| {
            Failure::internal("the system gives no random bytes", "try again later").cause(error)
        })?;
        let secret = SecretKey::from_seed(Suite::Ed25519, &seed)
            .map_err(|error| Failure::decode("cannot derive the key", &error, "try again"))?;
        let file = KeyFile { created_ms, uses: Uses::Sign, secret };
        let public = file.secret.public().clone();
        let line = PublicLine::new(public, name.as_str()).map_err(|error| {
            Failure::decode("the name cannot label a key", &error, "choose another name")
        })?;
        self.make_directory()?;
        let path = self.path(name, "key");
        files::create_new(&path, 0o600, &file.encode())
            .map_err(|error| not_created(&path, &error))?;
        let public_path = self.path(name, "pub");
        files::create_new(&public_path, 0o644, line.to_string().as_bytes()).map_err(|error| {
            // Half a key pair would block the name, and the secret has signed nothing yet.
            drop(fs::remove_file(&path));
            not_created(&public_path, &error)
        })?;
        Ok(StoredKey { name: name.clone(), path, file })
    }

    /// Loads a key and checks its file.
    pub(crate) fn load(&self, name: &KeyName) -> Result<StoredKey, Failure> {
        let path = self.path(name, "key");
        let bytes = read_secret(&path).map_err(|error| error.into_failure(name, &path))?;
        let file = KeyFile::decode(&bytes).map_err(|error| {
            let hint = "restore the file from a copy, or make a key with `kapsule key new NAME`";
            Failure::decode(format!("key {} cannot be used", name.as_str()), &error, hint)
        })?;
        Ok(StoredKey { name: name.clone(), path, file })
    }

    /// Returns the names of the secret files, ascending.
    pub(crate) fn names(&self) -> Result<Vec<KeyName>, Failure> {
        let unreadable = |error: &io::Error| {
            let message = format!("cannot list {}", self.directory.display());
            Failure::new(ErrorCode::StoreOpen, message, "check the permissions of the directory")
                .cause(error)
        };
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(unreadable(&error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let file_name = entry.map_err(|error| unreadable(&error))?.file_name();
            let stem = file_name.to_str().and_then(|name| name.strip_suffix(".key"));
            names.extend(stem.and_then(|stem| stem.parse().ok()));
        }
        names.sort();
        Ok(names)
    }

    fn path(&self, name: &KeyName, extension: &str) -> PathBuf {
        self.directory.join(format!("{}.{extension}", name.as_str()))
    }

    fn make_directory(&self) -> Result<(), Failure> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory).map_err(|error| {
            let message = format!("cannot create {}", self.directory.display());
            let hint = "set KAPSULE_HOME to a directory that you may write";
            Failure::new(ErrorCode::StoreOpen, message, hint).cause(error)
        })
    }
}

fn not_created(path: &Path, error: &io::Error) -> Failure {
    let message = format!("cannot create {}", path.display());
    match error.kind() {
        io::ErrorKind::AlreadyExists => Failure::new(
            ErrorCode::WriteConflict,
            message,
            "choose another name; keys are never overwritten",
        ),
        _ => Failure::new(
            ErrorCode::StoreOpen,
            message,
            "check the permissions of the directory and the free space",
        ),
    }
    .cause(error)
}

/// Why a secret file was not read.
#[derive(Debug, PartialEq, Eq)]
enum Refused {
    Absent,
    Form(String),
    Mode(String),
}

impl Refused {
    fn into_failure(self, name: &KeyName, path: &Path) -> Failure {
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
fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, Refused> {
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

    #[test]
    fn a_name_cannot_leave_the_directory() {
        for name in ["alice", "Alice.2@example-org_x", "0"] {
            assert!(name.parse::<KeyName>().is_ok(), "{name}");
        }
        for name in ["", ".", "..", "../x", "a/b", "-x", ".key", "a b", "\u{e9}", &"a".repeat(65)] {
            assert!(name.parse::<KeyName>().is_err(), "{name:?}");
        }
    }
}
