//! One package over many inputs: which inputs, on how many threads, in which order they are told.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use crate::error::Failure;
use crate::interrupt;

/// An input file of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Input {
    /// Name in the directory.
    pub(crate) name: String,
    /// Path of the file.
    pub(crate) path: PathBuf,
}

/// Lists the files of a directory in order of the bytes of their names.
///
/// Links to files count, directories do not, and what is below them is not looked at.
pub(crate) fn inputs(directory: &Path) -> Result<Vec<Input>, Failure> {
    let unreadable = |error| {
        let hint = "name a directory whose files are the inputs";
        Failure::usage(format!("cannot list {}", directory.display()), hint).cause(error)
    };
    let mut inputs = Vec::new();
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let (path, kind) = (entry.path(), entry.file_type().map_err(unreadable)?);
        // The listing knows what an entry is, but not what a link leads to.
        if !kind.is_file() && !fs::metadata(&path).map_err(unreadable)?.is_file() {
            continue;
        }
        let name = path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
        let name = name.ok_or_else(|| {
            let hint = "rename the file; its name is part of the report";
            Failure::usage(format!("{} has no name in UTF-8", path.display()), hint)
        })?;
        inputs.push(Input { name, path });
    }
    inputs.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(inputs)
}

/// Makes a directory for results, or takes an empty one.
///
/// Results of an earlier batch would look like results of this one.
pub(crate) fn prepare(directory: &Path) -> Result<(), Failure> {
    let refused = |cause: String| {
        let message = format!("cannot write results into {}", directory.display());
        Err(Failure::usage(message, "name a directory that is empty or absent").cause(cause))
    };
    match fs::read_dir(directory) {
        Ok(mut entries) => match entries.next() {
            Some(_) => refused("it is not empty".to_owned()),
            None => Ok(()),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            fs::create_dir(directory).or_else(|error| refused(error.to_string()))
        }
        Err(error) => refused(error.to_string()),
    }
}

/// Results that one thread hands over together at most, so that short work does not wake the other
/// side for each.
const HANDED_MAX: usize = 16;

/// Results of work on several threads, in order of their index.
pub(crate) struct InOrder<T> {
    receiver: mpsc::Receiver<(usize, Vec<T>)>,
    /// Results by the index of the first one, of which the ones before are not there yet.
    early: BTreeMap<usize, Vec<T>>,
    /// Results that come next.
    ready: std::vec::IntoIter<T>,
    told: usize,
}

impl<T> Iterator for InOrder<T> {
    type Item = (usize, T);

    /// Waits for the next result; `None` after the last one, and at the first gap after Ctrl-C.
    fn next(&mut self) -> Option<(usize, T)> {
        loop {
            if let Some(result) = self.ready.next() {
                self.told += 1;
                return Some((self.told - 1, result));
            }
            while !self.early.contains_key(&self.told) {
                let (first, results) = self.receiver.recv().ok()?;
                self.early.insert(first, results);
            }
            self.ready = self.early.remove(&self.told).unwrap_or_default().into_iter();
        }
    }
}

impl<T> InOrder<T> {
    /// Returns how many results were taken.
    pub(crate) const fn taken(&self) -> usize {
        self.told
    }
}

/// Does `work` for every index below `count` on `jobs` threads while `consume` takes the results.
///
/// After Ctrl-C, and when `consume` has ended, no work begins.
pub(crate) fn stream<T: Send, R>(
    count: usize,
    jobs: usize,
    work: impl Fn(usize) -> T + Sync,
    consume: impl FnOnce(&mut InOrder<T>) -> R,
) -> R {
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    // Few or long pieces of work are handed over one by one.
    let together = (count / (64 * jobs.max(1))).clamp(1, HANDED_MAX);
    let worker = |sender: mpsc::Sender<(usize, Vec<T>)>| {
        let (next, work) = (&next, &work);
        move || {
            while !interrupt::requested() {
                let first = next.fetch_add(together, Ordering::Relaxed);
                let indexes = (first..count).take(together);
                let done = indexes.take_while(|_| !interrupt::requested()).map(work);
                let done: Vec<T> = done.collect();
                if done.is_empty() || sender.send((first, done)).is_err() {
                    break;
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs.min(count) {
            scope.spawn(worker(sender.clone()));
        }
        drop(sender);
        let consumed = consume(&mut InOrder {
            receiver,
            early: BTreeMap::new(),
            ready: Vec::new().into_iter(),
            told: 0,
        });
        // Nobody waits for the rest.
        next.store(count, Ordering::Relaxed);
        consumed
    })
}

/// Does `work` for every index below `count` on `jobs` threads and tells `done` in order.
///
/// After Ctrl-C no work begins; what is under way ends, and `done` is told up to the first gap.
/// Returns how many `done` was told.
pub(crate) fn in_order<T: Send, E>(
    count: usize,
    jobs: usize,
    work: impl Fn(usize) -> T + Sync,
    mut done: impl FnMut(usize, T) -> Result<(), E>,
) -> Result<usize, E> {
    stream(count, jobs, work, |results| {
        for (index, result) in &mut *results {
            done(index, result)?;
        }
        Ok(results.taken())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_told_in_order_whoever_ends_first() {
        for (jobs, count) in [(1, 100), (2, 100), (7, 100), (2, 1_000), (7, 10_007)] {
            let mut told = Vec::new();
            let done = in_order(
                count,
                jobs,
                |index| index * 3,
                |index, result| {
                    assert_eq!(result, index * 3);
                    told.push(index);
                    Ok::<(), ()>(())
                },
            );
            assert_eq!((done, told), (Ok(count), (0..count).collect()));
        }
    }

    #[test]
    fn a_listener_that_fails_ends_it() {
        let ended = in_order(
            1_000,
            2,
            |index| index,
            |index, _| {
                if index == 3 { Err("enough") } else { Ok(()) }
            },
        );
        assert_eq!(ended, Err("enough"));
    }
}
