//! `kapsule ingest --watch`: a folder that is looked at until Ctrl-C.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use kapsule_abi::ErrorCode;
use kapsule_format::capsule::Capsule;
use kapsule_format::limits::CAPSULE_BYTES_MAX;

use super::Args;
use crate::cli::Context;
use crate::error::{Done, Failure, Kind};
use crate::{files, interrupt};

/// Time between two looks.
///
/// Chosen: at once for a person, and nothing for the machine.
const LOOK: Duration = Duration::from_millis(250);

/// Looks at a file that ends early and does not grow, before it is taken as it is: ten seconds.
const PATIENCE: u32 = 40;

/// What a file is known by between two looks: length and time of change.
type Stamp = (u64, Option<SystemTime>);

/// A file as it was last looked at.
struct Known {
    stamp: Stamp,
    /// Looks since it last changed.
    still: u32,
    /// Whether it was taken as it is.
    taken: bool,
}

/// What there is to take, look by look.
#[derive(Default)]
struct Folder(BTreeMap<PathBuf, Known>);

impl Folder {
    /// Returns the files that were the same at two looks and are whole, or have been cut short for
    /// long; each once until it changes.
    fn look(&mut self, found: Vec<(PathBuf, Stamp)>) -> Vec<PathBuf> {
        let mut seen = std::mem::take(&mut self.0);
        let mut ready = Vec::new();
        for (path, stamp) in found {
            let before = seen.remove(&path).filter(|known| known.stamp == stamp);
            let mut known = before.map_or(Known { stamp, still: 0, taken: false }, |known| Known {
                still: known.still.saturating_add(1),
                ..known
            });
            let settled = known.still >= 1 && !known.taken;
            if settled && (known.still >= PATIENCE || is_whole(&path)) {
                known.taken = true;
                ready.push(path.clone());
            }
            self.0.insert(path, known);
        }
        ready
    }
}

/// Tells whether a file does not end in the middle, as one that is being written does.
fn is_whole(path: &Path) -> bool {
    let Ok(bytes) = files::read(path, "capsule", CAPSULE_BYTES_MAX) else { return true };
    !matches!(Capsule::decode(&bytes), Err(error) if error.code == ErrorCode::Truncated)
}

/// Takes in what comes into a folder, until Ctrl-C.
pub(super) fn run(context: &Context, args: &Args) -> Done {
    if !args.path.is_dir() {
        let message = format!("{} is no directory", args.path.display());
        return Err(Failure::usage(message, "name a directory to watch"));
    }
    interrupt::watch()?;
    let ui = &context.ui;
    ui.say(&format!("watching {}; Ctrl-C ends it", args.path.display()));
    let (mut folder, mut first) = (Folder::default(), None);
    let mut origin = args.origin.as_ref();
    while !interrupt::requested() {
        let ready = folder.look(stamps(args)?);
        if !ready.is_empty() {
            match super::take(context, args, origin.take(), ready) {
                Err(failure) if failure.kind == Kind::Interrupted => break,
                // A refused file is told, and the next one may be good.
                Err(failure) if matches!(failure.kind, Kind::Code(code) if !stops(code)) => {
                    ui.warn(&failure.to_string());
                    first.get_or_insert(failure);
                }
                other => drop(other?),
            }
        }
        std::thread::sleep(LOOK);
    }
    ui.say("stopped; every file that was taken is in the store");
    first.map_or(Ok(0), Err)
}

/// Tells whether a failure is one of the store, which the next file would meet too.
const fn stops(code: ErrorCode) -> bool {
    code.exit_code() == 15
}

/// Lists the files with what they are known by; one that goes away meanwhile is left out.
fn stamps(args: &Args) -> Result<Vec<(PathBuf, Stamp)>, Failure> {
    let stamp = |path: PathBuf| {
        let meta = std::fs::metadata(&path).ok()?;
        Some((path, (meta.len(), meta.modified().ok())))
    };
    Ok(super::paths(args)?.into_iter().filter_map(stamp).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(folder: &mut Folder, path: &Path) -> usize {
        let length = std::fs::metadata(path).unwrap().len();
        folder.look(vec![(path.to_owned(), (length, None))]).len()
    }

    #[test]
    fn a_file_is_taken_once_it_is_whole_and_again_when_it_changed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.kapsule");
        let mut folder = Folder::default();
        // What begins like a capsule and ends early may be growing.
        let bytes = b"meta.cbor".repeat(50);
        for part in [&bytes[..5], &bytes[..450]] {
            std::fs::write(&path, part).unwrap();
            for _ in 0..PATIENCE {
                assert_eq!(look(&mut folder, &path), 0);
            }
            assert_eq!(look(&mut folder, &path), 1, "it did not grow for long");
            assert_eq!(look(&mut folder, &path), 0);
        }
        // What is no capsule at all has nothing to wait for.
        std::fs::write(&path, "x".repeat(2_048)).unwrap();
        assert_eq!([0; 3].map(|_: i32| look(&mut folder, &path)), [0, 1, 0]);
    }
}
