//! The store: durable acceptance of capsules, opening, the feed, the log and its proofs.
//!
//! Acceptance is reported as a share of what the signature checks of the same files allow in the
//! same run, on the same cores and in turn with it.

mod capsules;
mod feed;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kapsule_format::capsule::Capsule;
use kapsule_format::encrypt::Identities;
use kapsule_format::key::{SecretKey, Suite};
use kapsule_format::log::{Entry, EntryKind, LogName};
use kapsule_store::{CapsuleFile, Opening, Store, StoreError};

use crate::timing::{per_second, readable};
use capsules::{Many, Posts};

/// Capsules that are checked, opened and accepted.
const CAPSULES: usize = 8_192;

/// Capsules of one transaction, as `kapsule ingest` has it.
const BATCH: usize = 1_024;

/// Posts that a feed is asked of.
const FEED: u64 = 100_000;

/// Entries of a feed.
const SHOWN: u64 = 50;

/// Entries of the log whose opening and proofs are measured.
const ENTRIES: u64 = 100_000;

/// Threads that check signatures.
const THREADS: usize = 2;

const USAGE: &str = "usage: kapsule-bench store [--size N] [PATH OF kapsule]
  --size N  capsules of the store that is opened (default 100000, the goal has 1000000)";

/// Any error; a benchmark only prints it.
type Anything = Box<dyn std::error::Error>;

/// Runs everything, and returns the lines to print; with the path of the command, whole processes
/// too.
pub(crate) fn measure(arguments: &[&str]) -> Result<Vec<String>, String> {
    let (size, command) = match arguments {
        ["--size", size, rest @ ..] => (size.parse().map_err(|_| USAGE.to_owned())?, rest),
        rest => (FEED, rest),
    };
    let command = match command {
        [] => None,
        [path] => Some(std::path::absolute(path).map_err(|error| error.to_string())?),
        _ => return Err(USAGE.to_owned()),
    };
    let all = || -> Result<Vec<String>, Anything> {
        let mut lines = acceptance(command.as_deref())?;
        if let Some(command) = &command {
            lines.extend(feed::measure(command)?);
        }
        lines.extend(large(size)?);
        lines.extend(log()?);
        Ok(lines)
    };
    all().map_err(|error| error.to_string())
}

/// A new store in a directory of its own.
fn store() -> Result<(tempfile::TempDir, Store), Anything> {
    let folder = tempfile::tempdir()?;
    let store = Store::open(folder.path(), opening()?)?;
    Ok((folder, store))
}

fn opening() -> Result<Opening, Anything> {
    Ok(Opening { origin: Some(LogName::new("example.org/log")?), time_ms: 1 })
}

/// Does `work` for every file on the threads, and returns how long that took.
fn each(files: &[Vec<u8>], work: impl Fn(&Capsule<'_>) + Sync) -> Duration {
    let (start, work) = (Instant::now(), &work);
    std::thread::scope(|scope| {
        for part in files.chunks(files.len().div_ceil(THREADS)) {
            scope.spawn(move || {
                for file in part {
                    work(&Capsule::decode(file).expect("the capsule was just made"));
                }
            });
        }
    });
    start.elapsed()
}

fn check(capsule: &Capsule<'_>) {
    let signatures = capsule.signatures([]);
    assert!(signatures.is_by(&capsule.meta().author), "the author signed");
}

fn accept(store: &mut Store, files: &[Vec<u8>]) -> Result<(), StoreError> {
    store.write::<(), StoreError>(|write| {
        for file in files {
            let file = CapsuleFile::decode(file)?;
            let id = *file.capsule().id().digest();
            let entry = Entry::new(EntryKind::CapsuleAccepted, 5).subject("capsule", id);
            let entry = write.append(entry)?;
            write.put_capsule(&file, entry)?;
        }
        Ok(())
    })
}

/// Signatures alone, what a capsule costs beside them, and the whole command.
fn acceptance(command: Option<&Path>) -> Result<Vec<String>, Anything> {
    let mut posts = Posts::new()?;
    let (files, identity) = (posts.take(CAPSULES)?, posts.identity());
    let bytes = files.last().map_or(0, Vec::len);
    let key = Identities::decode(identity)?;
    let (_folder, mut store) = store()?;
    // In turn, so that a noisy machine blurs all alike.
    let [mut alone, mut opened, mut written] = [Duration::ZERO; 3];
    for batch in files.chunks(BATCH) {
        alone += each(batch, check);
        opened += each(batch, |capsule| {
            // The genesis is encrypted to the members, not to the epoch.
            let opened = capsule.open(&key).is_ok();
            assert!(opened || capsule.meta().is_genesis(), "the epoch key opens a post");
        });
        let start = Instant::now();
        accept(&mut store, batch)?;
        written += start.elapsed();
    }
    let rate = |time| per_second(CAPSULES as u64, time);
    let row = |what: &str, time: Duration| {
        let (rate, times) = (rate(time), time.as_secs_f64() / alone.as_secs_f64());
        format!("{what}: {rate:.0}/s, {times:.2} of the time of the signatures")
    };
    let mut lines = vec![
        format!("capsules: {CAPSULES} of {bytes} bytes, posts of 1 KiB, {THREADS} threads"),
        format!("form and signature: {:.0}/s", rate(alone)),
        row("form and payload (X25519, ChaCha20-Poly1305)", opened),
        row(&format!("rows and log on one thread, {BATCH} to a transaction"), written),
    ];
    if let Some(command) = command {
        // The signatures again, before and after, for the machine of the same minute.
        let before = each(&files, check);
        let whole = ingest(command, &files, identity)?;
        let around = (before + each(&files, check)) / 2;
        let share = 100.0 * around.as_secs_f64() / whole.as_secs_f64();
        lines.push(format!(
            "`kapsule ingest DIR`, read, checked, opened, durable, in a new process: {:.0}/s, \
             {share:.0} % of the {:.0}/s that signatures alone allow",
            rate(whole),
            rate(around),
        ));
    }
    Ok(lines)
}

/// Times the command over a folder of these files.
fn ingest(command: &Path, files: &[Vec<u8>], identity: &str) -> Result<Duration, Anything> {
    let folder = tempfile::tempdir()?;
    let (posts, key) = (folder.path().join("posts"), folder.path().join("key"));
    std::fs::create_dir(&posts)?;
    for (number, file) in files.iter().enumerate() {
        std::fs::write(posts.join(format!("{number:06}.kapsule")), file)?;
    }
    secret(&key, identity)?;
    let start = Instant::now();
    let output = Command::new(command)
        .args(["ingest", "--json", "--identity"])
        .args([&key, &posts])
        .env("KAPSULE_HOME", folder.path().join("home"))
        .stdin(Stdio::null())
        .output()?;
    let time = start.elapsed();
    let text = String::from_utf8(output.stdout)?;
    let accepted = format!("\"accepted\":\"{}\"", files.len());
    // The keyring is the one that this identity does not open.
    let unread = "\"of them unreadable\":\"1\"";
    let summary = text.lines().last().unwrap_or_default();
    if !(output.status.success() && summary.contains(&accepted) && summary.contains(unread)) {
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("kapsule ingest: {summary}\n{errors}").into());
    }
    Ok(time)
}

fn secret(path: &PathBuf, text: &str) -> Result<(), Anything> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path)?;
    Ok(file.write_all(text.as_bytes())?)
}

/// Opens a store of many capsules, and asks for a feed.
fn large(size: u64) -> Result<Vec<String>, Anything> {
    let (folder, mut store) = store()?;
    let mut many = Many::new()?;
    let (channel, feed) = (many.channel, size.min(FEED));
    let [mut made, mut asked] = [0, 0];
    let mut newest = Duration::ZERO;
    while made < size {
        let count = BATCH.min(usize::try_from(size - made)?);
        accept(&mut store, &many.take(count)?)?;
        made += count as u64;
        if asked == 0 && made >= feed {
            asked = made;
            newest = shortest(9, || {
                let rows = store.view().newest(&channel, "post", SHOWN)?;
                assert_eq!(rows.len() as u64, SHOWN, "there are more");
                Ok(())
            })?;
        }
    }
    drop(store);
    let opened = shortest(9, || {
        Store::open(folder.path(), Opening { origin: None, time_ms: 1 })?;
        Ok(())
    })?;
    Ok(vec![
        format!("rows of the newest {SHOWN} of {asked} posts: {}", readable(newest)),
        format!("open a store of {size} capsules: {}", readable(opened)),
    ])
}

/// Returns the shortest of some times.
fn shortest(
    rounds: usize,
    mut work: impl FnMut() -> Result<(), Anything>,
) -> Result<Duration, Anything> {
    let mut best = Duration::MAX;
    for _ in 0..rounds {
        let start = Instant::now();
        work()?;
        best = best.min(start.elapsed());
    }
    Ok(best)
}

fn log() -> Result<Vec<String>, Anything> {
    let (folder, mut store) = store()?;
    let entry = || Entry::new(EntryKind::KeyUsed, 3).datum("what", "a benchmark");
    let start = Instant::now();
    store.write::<(), StoreError>(|write| {
        (1..ENTRIES).try_for_each(|_| write.append(entry()).map(drop))
    })?;
    let batched = start.elapsed();
    let start = Instant::now();
    for _ in 0..100 {
        store.write::<_, StoreError>(|write| write.append(entry()))?;
    }
    let single = start.elapsed() / 100;
    let secret = SecretKey::from_seed(Suite::Ed25519, &[7; 32])?;
    let note = store.checkpoint(&secret)?;
    let start = Instant::now();
    for index in 0..1_000 {
        store.prove(index * 97, note.clone())?;
    }
    let proof = start.elapsed() / 1_000;
    drop(store);
    let start = Instant::now();
    let store = Store::open(folder.path(), Opening { origin: None, time_ms: 1 })?;
    let opened = start.elapsed();
    let start = Instant::now();
    let damage = store.check_log(None)?;
    assert!(damage.is_empty(), "nobody changed the log");
    let checked = start.elapsed();
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    let times = |time: Duration| time.as_secs_f64() / (batched.as_secs_f64() / ENTRIES as f64);
    Ok(vec![
        format!("append in one transaction: {:.1} us an entry", micros(batched) / ENTRIES as f64),
        format!("append alone, durable: {}, {:.0} of that", readable(single), times(single)),
        format!("inclusion proof of {ENTRIES} entries: {}", readable(proof)),
        format!("open a log of {ENTRIES} entries: {}", readable(opened)),
        format!("verify all of it: {}", readable(checked)),
    ])
}
