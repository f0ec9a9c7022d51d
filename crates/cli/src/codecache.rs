//! Compiled code that is kept from run to run, in a directory of the user's own.
//!
//! A cache is never a reason to fail: whatever is wrong with it, the module is compiled.
//! What is loaded was authenticated by the engine under a key that lies beside the entries.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use kapsule_abi::guard;
use kapsule_engine::{CodeKey, CodeOrigin, Compiled};

use crate::files;
use crate::paths::Home;

/// Name of the key file.
const KEY_NAME: &str = "key";
/// Bytes of all entries; the oldest go first.
///
/// Chosen: room for some hundred packages of 100 KB, at about 600 KB of code each.
const ENTRIES_BYTES_MAX: u64 = 128 << 20;

/// A directory of compiled code that nobody else can write to or read.
#[derive(Debug)]
pub(crate) struct CodeCache {
    directory: PathBuf,
    key: CodeKey,
}

impl CodeCache {
    /// Opens the cache of a home and makes it where it is absent.
    pub(crate) fn open(home: &Home) -> Option<Self> {
        let directory = home.code();
        DirBuilder::new().recursive(true).mode(0o700).create(&directory).ok()?;
        is_private(&directory, fs::Metadata::is_dir).then_some(())?;
        let key = key(&directory.join(KEY_NAME))?;
        Some(Self { directory, key })
    }

    /// Loads the code of a module, if there is an entry that this user's own runs made; `wasm` is
    /// the module that the origin names.
    pub(crate) fn load(&self, origin: &CodeOrigin, wasm: &[u8]) -> Option<Compiled> {
        let path = self.path(origin);
        let length = fs::metadata(&path).ok()?.len();
        if length > ENTRIES_BYTES_MAX {
            return None;
        }
        Compiled::from_stored(&fs::read(path).ok()?, &self.key, origin, wasm)
    }

    /// Tells whether there is something under the name of a module's code.
    pub(crate) fn has(&self, origin: &CodeOrigin) -> bool {
        self.path(origin).exists()
    }

    /// Keeps the code of a module, whole or not at all.
    pub(crate) fn keep(&self, compiled: &Compiled, origin: &CodeOrigin) {
        let Ok(Some(entry)) = compiled.to_stored(&self.key, origin) else { return };
        let path = self.path(origin);
        // Two processes that write one file at once make an entry that is not loaded.
        let part = path.with_extension("part");
        let kept = fs::write(&part, entry).and_then(|()| fs::rename(&part, &path));
        if kept.is_err() {
            // What cannot be removed is overwritten by the next one.
            let _ = fs::remove_file(&part);
        }
        self.shrink();
    }

    fn path(&self, origin: &CodeOrigin) -> PathBuf {
        self.directory.join(format!("{}.{}.code", origin.module, origin.profile))
    }

    /// Removes the oldest entries until the others fit.
    fn shrink(&self) {
        let Ok(files) = fs::read_dir(&self.directory) else { return };
        let mut entries: Vec<_> = files
            .filter_map(Result::ok)
            .filter(|file| file.file_name() != KEY_NAME)
            .filter_map(|file| Some((file.metadata().ok()?, file.path())))
            .map(|(facts, path)| (facts.mtime(), facts.len(), path))
            .collect();
        entries.sort_unstable();
        let mut total: u64 = entries.iter().map(|(_, length, _)| length).sum();
        for (_, length, path) in entries {
            if total <= ENTRIES_BYTES_MAX {
                break;
            }
            if fs::remove_file(path).is_ok() {
                total = total.saturating_sub(length);
            }
        }
    }
}

/// Reads the key, or makes one.
fn key(path: &Path) -> Option<CodeKey> {
    if !path.exists() {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).ok()?;
        let part = path.with_extension(format!("{}.part", std::process::id()));
        files::create_new(&part, 0o600, &bytes).ok()?;
        fs::rename(part, path).ok()?;
    }
    is_private(path, fs::Metadata::is_file).then_some(())?;
    fs::read(path).ok()?.try_into().ok().map(CodeKey::new)
}

/// Tells whether something is of the right kind, the user's, and closed to everybody else.
fn is_private(path: &Path, kind: impl Fn(&fs::Metadata) -> bool) -> bool {
    let Ok(facts) = fs::symlink_metadata(path) else { return false };
    let own = facts.uid() == rustix::process::geteuid().as_raw();
    let open = !kind(&facts) || !own || facts.mode() & 0o077 != 0;
    !guard!("cli.code.private", open)
}
