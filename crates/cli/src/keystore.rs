//! The key files of a home: created with care, checked on every load.
//!
//! A name stands for one identity: `NAME.key` is its first key, and `NAME.SUITE.key` every further
//! one.

mod secret_file;

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use kapsule_abi::{ErrorCode, guard};
use kapsule_format::key::{Identity, KeyFile, PublicKey, PublicLine, SecretKey};
use kapsule_format::key::{Suite, Uses, is_published_test_key};
use kapsule_format::{DecodeError, encrypt};
use zeroize::Zeroizing;

use crate::error::Failure;
use crate::files;
use crate::passphrase::{PassphraseArgs, Protection};
use crate::paths::Home;
use secret_file::Refused;

/// Greatest size of a public file of one key in bytes; one of suite 3 takes about 2,700.
const PUBLIC_FILE_BYTES_MAX: u64 = 4_096;

/// Greatest length of a key name, that of a label.
const NAME_BYTES_MAX: usize = 64;

/// The name of an identity: a label that is a safe file name as well.
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
        if guard!("cli.key.name_suite", split_suite(name).is_some()) {
            return Err("a key name does not end in a suite, as in NAME.mldsa44".to_owned());
        }
        Ok(Self(name.to_owned()))
    }
}

/// Splits the stem of a further key's file into name and suite.
fn split_suite(stem: &str) -> Option<(&str, Suite)> {
    let (name, suite) = stem.rsplit_once('.')?;
    Some((name, Suite::from_name(suite).ok()?))
}

/// The keys of one home.
#[derive(Clone, Debug)]
pub(crate) struct KeyStore {
    directory: PathBuf,
}

/// A key of the store, as far as it is seen without a passphrase.
#[derive(Debug)]
pub(crate) struct SeenKey {
    /// Its secret file.
    pub(crate) path: PathBuf,
    /// The public key.
    pub(crate) public: PublicKey,
    /// The bytes of the secret file as they are.
    pub(crate) bytes: Zeroizing<Vec<u8>>,
    /// What the file holds, unless a passphrase protects it.
    pub(crate) open: Option<KeyFile>,
}

/// An identity of the store, as far as it is seen without a passphrase.
///
/// The public side of a protected key is what its public file says.
#[derive(Debug)]
pub(crate) struct SeenIdentity {
    /// Its name.
    pub(crate) name: KeyName,
    /// Its public side.
    pub(crate) identity: Identity,
    /// Its keys in order of their suite.
    pub(crate) keys: Vec<SeenKey>,
}

/// An identity of the store that can sign; each of its keys does.
#[derive(Debug)]
pub(crate) struct StoredIdentity {
    /// Its public side.
    pub(crate) identity: Identity,
    /// Its keys in order of their suite.
    pub(crate) keys: Vec<KeyFile>,
}

impl SeenIdentity {
    fn new(name: &KeyName, mut keys: Vec<SeenKey>) -> Result<Self, Failure> {
        keys.sort_by_key(|key| key.public.suite());
        let identity = identity(name, keys.iter().map(|key| &key.public))?;
        Ok(Self { name: name.clone(), identity, keys })
    }

    /// Returns the key of a suite.
    pub(crate) fn key(&self, suite: Suite) -> Option<&SeenKey> {
        self.keys.iter().find(|key| key.public.suite() == suite)
    }

    /// Returns the lines that tell others who this is, one for each key.
    pub(crate) fn public_lines(&self) -> Result<String, Failure> {
        self.keys.iter().map(|key| public_line(&self.name, &key.public)).collect()
    }

    /// Tells whether a passphrase protects a key of it.
    pub(crate) fn is_protected(&self) -> bool {
        self.keys.iter().any(|key| key.open.is_none())
    }
}

/// Forms the identity of keys in any order.
fn identity<'a>(
    name: &KeyName,
    keys: impl Iterator<Item = &'a PublicKey>,
) -> Result<Identity, Failure> {
    let mut keys: Vec<PublicKey> = keys.cloned().collect();
    keys.sort_by_key(PublicKey::suite);
    Identity::new(keys).map_err(|error| {
        let hint = "an identity has one key of a suite at most, and mldsa44 beside another";
        Failure::decode(format!("the keys of {} are no identity", name.as_str()), &error, hint)
    })
}

/// Draws a new secret of a suite from the system.
pub(crate) fn generate(suite: Suite, created_ms: u64) -> Result<KeyFile, Failure> {
    let mut seed = Zeroizing::new([0; SecretKey::BYTES]);
    loop {
        getrandom::fill(&mut *seed).map_err(|error| {
            Failure::internal("the system gives no random bytes", "try again later").cause(error)
        })?;
        // One draw in 2^32 is no scalar of suite 2; the next one is.
        if let Ok(secret) = SecretKey::from_seed(suite, &seed) {
            return Ok(KeyFile { created_ms, uses: Uses::Sign, secret });
        }
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

    /// Writes the files of a new identity; none may exist.
    pub(crate) fn create(
        &self,
        name: &KeyName,
        files: Vec<KeyFile>,
        protection: Option<&Protection>,
    ) -> Result<SeenIdentity, Failure> {
        identity(name, files.iter().map(|file| file.secret.public()))?;
        let mut keys: Vec<(PathBuf, KeyFile)> = Vec::new();
        for file in files {
            let suite = file.secret.public().suite();
            let further = suite.is_additive() || keys.iter().any(|(path, _)| !is_further(path));
            keys.push((self.path(&stem(name, suite, further), "key"), file));
        }
        self.make_directory()?;
        self.write(name, &keys, protection)?;
        self.look(name)
    }

    /// Adds a key to an identity, which makes it another identity.
    pub(crate) fn add(
        &self,
        name: &KeyName,
        file: KeyFile,
        protection: Option<&Protection>,
    ) -> Result<SeenIdentity, Failure> {
        let keys = self.look(name)?.keys;
        let suite = file.secret.public().suite();
        if let Some(old) = keys.iter().find(|key| key.public.suite() == suite)
            && guard!("cli.key.one_per_suite", true)
        {
            let message = format!("{} has a key of suite {suite} already", name.as_str());
            let hint = "choose another suite, or make another identity; keys are never replaced";
            return Err(Failure::new(ErrorCode::WriteConflict, message, hint)
                .cause(format!("found {}", old.path.display())));
        }
        let path = self.path(&stem(name, suite, true), "key");
        self.write(name, &[(path, file)], protection)?;
        self.look(name)
    }

    /// Writes a secret file and a public one for each key, or none at all.
    fn write(
        &self,
        name: &KeyName,
        keys: &[(PathBuf, KeyFile)],
        protection: Option<&Protection>,
    ) -> Result<(), Failure> {
        let mut written = Vec::new();
        for (path, file) in keys {
            let line = public_line(name, file.secret.public())?;
            let secret = file.encode();
            let secret = match protection {
                Some(protection) => Zeroizing::new(protection.apply(name.as_str(), &secret)?),
                None => secret,
            };
            let public = path.with_extension("pub");
            for (path, mode, bytes) in
                [(path, 0o600, secret.as_slice()), (&public, 0o644, line.as_bytes())]
            {
                files::create_new(path, mode, bytes).map_err(|error| {
                    // Half an identity would block the name, and its secrets have signed nothing.
                    written.iter().for_each(|path| drop(fs::remove_file(path)));
                    not_created(path, &error)
                })?;
                written.push(path.clone());
            }
        }
        Ok(())
    }

    /// Returns the secret files of an identity: the first, and each further one that is there.
    ///
    /// A public file whose secret is gone counts as well, since an identity that lost a key
    /// without a word would sign as somebody else.
    fn secret_files(&self, name: &KeyName) -> Vec<(Option<Suite>, PathBuf)> {
        let mut files = vec![(None, self.path(name.as_str(), "key"))];
        for suite in Suite::ALL {
            let stem = stem(name, suite, true);
            let (path, public) = (self.path(&stem, "key"), self.path(&stem, "pub"));
            if [&path, &public].into_iter().any(|path| fs::symlink_metadata(path).is_ok()) {
                files.push((Some(suite), path));
            }
        }
        files
    }

    /// Reads an identity without any passphrase and checks every file of it.
    pub(crate) fn look(&self, name: &KeyName) -> Result<SeenIdentity, Failure> {
        let mut keys = Vec::new();
        for (suite, path) in self.secret_files(name) {
            let key = look_at(name, path)?;
            let found = key.public.suite();
            let other = suite.is_some_and(|suite| suite != found);
            if guard!("cli.key.file_suite", other) {
                let cause = format!("{} holds a key of suite {found}", key.path.display());
                let hint = "rename the file to the suite of its key";
                let message = format!("key {} cannot be used", name.as_str());
                return Err(Failure::new(ErrorCode::KeyFileForm, message, hint).cause(cause));
            }
            keys.push(key);
        }
        SeenIdentity::new(name, keys)
    }

    /// Loads an identity that signs; a passphrase opens what is protected.
    pub(crate) fn load(
        &self,
        name: &KeyName,
        passphrase: &PassphraseArgs,
    ) -> Result<StoredIdentity, Failure> {
        let seen = self.look(name)?;
        let open = |key: SeenKey| match key.open {
            Some(file) => Ok(file),
            None => unlock(name, &key, passphrase),
        };
        let keys = seen.keys.into_iter().map(open).collect::<Result<_, Failure>>()?;
        Ok(StoredIdentity { identity: seen.identity, keys })
    }

    /// Returns the names of the identities, ascending.
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
            // The file of a further key is no name of its own.
            let stem = file_name.to_str().and_then(|name| name.strip_suffix(".key"));
            names.extend(stem.and_then(|stem| stem.parse().ok()));
        }
        names.sort();
        Ok(names)
    }

    fn path(&self, stem: &str, extension: &str) -> PathBuf {
        self.directory.join(format!("{stem}.{extension}"))
    }

    fn make_directory(&self) -> Result<(), Failure> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory).map_err(|error| {
            let message = format!("cannot create {}", self.directory.display());
            let hint = "set KAPSULE_HOME to a directory that you may write";
            Failure::new(ErrorCode::StoreOpen, message, hint).cause(error)
        })
    }
}

/// Says why a file that must not exist was not created.
pub(crate) fn not_created(path: &Path, error: &io::Error) -> Failure {
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

/// Reads any other secret file with the checks of key files.
pub(crate) fn read_secret_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let name = KeyName(path.display().to_string());
    secret_file::read(path).map_err(|error| error.into_failure(&name, path))
}

/// Reads a file that holds a passphrase, with the checks of key files.
pub(crate) fn read_passphrase_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    secret_file::read(path).map_err(|error| {
        let message = format!("cannot read the passphrase file {}", path.display());
        let private = format!(
            "make it an ordinary file of yours and run `chmod 600 {0}`, or give \
                               it by `--passphrase-file - < {0}`",
            path.display()
        );
        match error {
            Refused::Absent => Failure::usage(message, "name a file that exists, or `-` for stdin"),
            Refused::Form(found) => Failure::usage(message, "name a readable file").cause(found),
            Refused::Mode(found) => {
                Failure::new(ErrorCode::KeyFileMode, message, private).cause(found)
            }
        }
    })
}

/// Reads the key of one file, as far as it is seen without a passphrase.
fn look_at(name: &KeyName, path: PathBuf) -> Result<SeenKey, Failure> {
    let bytes = secret_file::read(&path).map_err(|error| error.into_failure(name, &path))?;
    if !encrypt::is_protected(&bytes) {
        let file = decode(name, &bytes)?;
        return Ok(SeenKey { path, public: file.secret.public().clone(), bytes, open: Some(file) });
    }
    let public = path.with_extension("pub");
    let line = files::read(&public, "public key", PUBLIC_FILE_BYTES_MAX)?;
    let line = String::from_utf8_lossy(&line).parse::<PublicLine>().map_err(|error| {
        let hint = "restore the file from a copy; a protected key shows nothing else";
        Failure::decode(format!("{} is no public key", public.display()), &error, hint)
    })?;
    Ok(SeenKey { path, public: line.key().clone(), bytes, open: None })
}

/// Opens a protected key; every such secret of the store comes in here.
fn unlock(name: &KeyName, key: &SeenKey, passphrase: &PassphraseArgs) -> Result<KeyFile, Failure> {
    let plain = passphrase.open(&format!("key {}", name.as_str()), &key.bytes)?;
    let file = decode(name, &plain)?;
    // What the key was shown as, and trusted as, is what its public file says.
    let other = *file.secret.public() != key.public;
    if guard!("cli.key.public_file", other) {
        let public = key.path.with_extension("pub");
        let message = format!("key {} cannot be used", name.as_str());
        let hint = "restore the public file from a copy";
        let cause = format!("{} names another key than {}", public.display(), key.path.display());
        return Err(Failure::new(ErrorCode::KeyFileForm, message, hint).cause(cause));
    }
    Ok(file)
}

fn decode(name: &KeyName, bytes: &[u8]) -> Result<KeyFile, Failure> {
    KeyFile::decode(bytes).map_err(|error| {
        let hint = "restore the file from a copy, or make a key with `kapsule key new NAME`";
        Failure::decode(format!("key {} cannot be used", name.as_str()), &error, hint)
    })
}

/// Refuses a key whose secret is published, unless insecure development keys are allowed.
pub(crate) fn refuse_test_key(key: &PublicKey, insecure_dev: bool) -> Result<(), Failure> {
    let test_key = !insecure_dev && is_published_test_key(key);
    if guard!("cli.key.import_test_key", test_key) {
        let hint = "make a key of your own with `kapsule key new NAME`; tests may use \
                    --insecure-dev";
        let message = format!("{} is a published test key", key.brief());
        return Err(
            Failure::new(ErrorCode::TestKeyRefused, message, hint).cause("anyone can sign with it")
        );
    }
    Ok(())
}

/// Returns the stem of a key's files: the name alone, or with the suite.
fn stem(name: &KeyName, suite: Suite, further: bool) -> String {
    if further { format!("{}.{suite}", name.as_str()) } else { name.as_str().to_owned() }
}

/// Tells whether a file of a key is named after its suite.
fn is_further(path: &Path) -> bool {
    path.file_stem().and_then(|stem| stem.to_str()).and_then(split_suite).is_some()
}

fn public_line(name: &KeyName, key: &PublicKey) -> Result<String, Failure> {
    let line = PublicLine::new(key.clone(), name.as_str());
    let refused = |error: DecodeError| {
        Failure::decode("the name cannot label a key", &error, "choose another name")
    };
    line.map(|line| line.to_string()).map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_the_directory() {
        for name in ["alice", "Alice.2@example-org_x", "0"] {
            assert!(name.parse::<KeyName>().is_ok(), "{name}");
        }
        for name in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "-x",
            ".key",
            "a b",
            "a.mldsa44",
            "\u{e9}",
            &"a".repeat(65),
        ] {
            assert!(name.parse::<KeyName>().is_err(), "{name:?}");
        }
    }
}
