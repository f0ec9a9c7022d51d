//! What this home remembers of earlier verifications, so that nothing goes back unnoticed.

use std::cell::RefCell;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use kapsule_abi::ErrorCode;
use kapsule_format::DecodeError;
use kapsule_format::key::Identity;
use kapsule_format::known::{Known, KnownPackage};
use kapsule_format::limits::JSON_FILE_BYTES_MAX;
use kapsule_format::trust::Chain;

use crate::error::Failure;
use crate::files;
use crate::paths::Home;
use crate::ui::Ui;

/// The record of a home, and what this call has learned.
///
/// Without a home there is no record, and nothing is kept.
#[derive(Default)]
pub(crate) struct Memory {
    path: Option<PathBuf>,
    known: Known,
    news: RefCell<Vec<News>>,
}

enum News {
    Chain(Chain),
    Identity(Identity),
    Package(KnownPackage),
}

impl Memory {
    /// Reads the record, which may be absent.
    pub(crate) fn of(home: &Home) -> Result<Self, Failure> {
        let path = home.known_file();
        let known = read(&path)?;
        Ok(Self { path: Some(path), known, news: RefCell::default() })
    }

    /// Returns what was known when the call began.
    pub(crate) const fn known(&self) -> &Known {
        &self.known
    }

    /// Notes the chain of a trust file that was used.
    pub(crate) fn note_chain(&self, chain: &Chain) {
        self.news.borrow_mut().push(News::Chain(chain.clone()));
    }

    /// Notes an identity each of whose keys signed.
    pub(crate) fn note_identity(&self, identity: Identity) {
        self.news.borrow_mut().push(News::Identity(identity));
    }

    /// Notes a package whose author is trusted.
    pub(crate) fn note_package(&self, package: KnownPackage) {
        self.news.borrow_mut().push(News::Package(package));
    }

    /// Writes what is new, and warns if that cannot be done.
    pub(crate) fn keep(&self, ui: &Ui) {
        let Some(path) = &self.path else { return };
        let news = self.news.take();
        // Most calls learn nothing, and then nothing is locked or written.
        if !learn(&mut self.known.clone(), &news).unwrap_or(true) {
            return;
        }
        if let Err(failure) = write(path, &news) {
            ui.warn(&format!("what was verified is not remembered: {failure}"));
        }
    }
}

fn read(path: &Path) -> Result<Known, Failure> {
    if !path.exists() {
        return Ok(Known::default());
    }
    let bytes = files::read(path, "record of what is known", JSON_FILE_BYTES_MAX as u64)?;
    Known::decode(&bytes).map_err(|error| {
        let hint = "restore it from a copy; removing it forgets which versions were trusted";
        Failure::new(ErrorCode::StoreCorrupt, format!("{} is damaged", path.display()), hint)
            .cause(error)
    })
}

fn learn(known: &mut Known, news: &[News]) -> Result<bool, DecodeError> {
    let mut changed = false;
    for item in news {
        changed |= match item {
            News::Chain(chain) => known.learn_chain(chain)?,
            News::Identity(identity) => known.learn_identity(identity)?,
            News::Package(package) => known.learn_package(package.clone())?,
        };
    }
    Ok(changed)
}

/// Adds the news to what the file holds by then; another call may have written it meanwhile.
fn write(path: &Path, news: &[News]) -> Result<(), Failure> {
    let unwritable = |error: io::Error| {
        let hint = "check the permissions of the state directory and the free space";
        Failure::new(ErrorCode::StoreOpen, format!("cannot write {}", path.display()), hint)
            .cause(error)
    };
    let directory = path.parent().unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(unwritable)?;
    let lock = File::create(path.with_extension("lock")).map_err(unwritable)?;
    lock.lock().map_err(unwritable)?;
    let mut known = read(path)?;
    let changed = learn(&mut known, news).map_err(|error| {
        let hint = "remove the record to begin anew";
        Failure::decode(format!("{} is full", path.display()), &error, hint)
    })?;
    if changed {
        files::replace_secret(path, &known.encode()).map_err(unwritable)?;
    }
    Ok(())
}
