//! `ingest` killed at any moment: the store is whole, holds all that was told of, and goes on.
//!
//! `cargo xtask soak crash` asks for more rounds with `KAPSULE_SOAK_ROUNDS`, from
//! `KAPSULE_SOAK_SEED`, and has `KAPSULE_SOAK_REPORT` written.
//! SIGKILL loses nothing that was written, so the write-ahead log that a kill leaves is cut as
//! well, at ends of frames and inside them, as a loss of power would.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use kapsule_abi::ErrorCode;
use kapsule_format::capsule::CapsuleId;
use kapsule_format::log::Checkpoint;
use kapsule_store::Store;
use serde_json::Value;

use crate::ingests::INGEST;
use crate::support::{Bench, KAPSULE};

/// Capsules of the folder: more than are written in one change.
const CAPSULES: usize = 1_200;
/// Kills in CI.
const ROUNDS: u64 = 6;
/// Cuts of each write-ahead log; the tests of the store cut one at every frame.
const CUTS: u64 = 2;
/// Bytes of the write-ahead log before its frames, and of a frame with its page.
const WAL: (u64, u64) = (32, 24 + 4_096);

/// Numbers from a seed, xorshift64*.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % bound.max(1)
    }
}

/// When a child is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    After(Duration),
    Told(u64),
    Never,
}

#[derive(Debug, Default)]
struct Tally {
    kills: u64,
    before_anything_was_told: u64,
    ended_first: u64,
    told: u64,
    held_beyond_what_was_told: u64,
    cuts: u64,
    stores: u64,
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Ingests the folder until the moment; tells whether it was killed, and what it told of.
fn ingest(bench: &Bench, moment: Moment) -> (bool, Vec<CapsuleId>) {
    let mut command = bench.command(KAPSULE);
    command.args(INGEST).arg("--json").stdout(Stdio::piped()).stderr(Stdio::null());
    let began = Instant::now();
    let mut child = command.spawn().unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let (sender, lines) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        // The last line may be cut by the kill, and then it tells of nothing.
        for line in stdout.split(b'\n').map_while(Result::ok) {
            let Ok(line) = serde_json::from_slice::<Value>(&line) else { continue };
            if line["fate"] == "accepted" && sender.send(line).is_err() {
                break;
            }
        }
    });
    let mut told = Vec::new();
    let killed = loop {
        let left = match moment {
            Moment::After(after) => after.saturating_sub(began.elapsed()),
            Moment::Told(count) if told.len() as u64 >= count => Duration::ZERO,
            Moment::Told(_) | Moment::Never => Duration::MAX,
        };
        match lines.recv_timeout(left) {
            Ok(line) => told.push(line),
            Err(RecvTimeoutError::Timeout) => break true,
            Err(RecvTimeoutError::Disconnected) => break false,
        }
    };
    // SIGKILL; a child that ended on its own accord is only waited for.
    drop(child.kill());
    let status = child.wait().unwrap();
    reader.join().unwrap();
    told.extend(lines.try_iter());
    let killed = killed && status.code().is_none();
    assert!(killed || status.success(), "{moment:?}: {status}");
    let id = |line: &Value| line["capsule"].as_str().unwrap().parse().unwrap();
    (killed, told.iter().map(id).collect())
}

fn beside(database: &Path, end: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// How many frames may have been put into the file already, so that cutting them off is no crash:
/// the field `nBackfillAttempted` in the index of the write-ahead log.
fn frames_in_file(database: &Path) -> u64 {
    let index = fs::read(beside(database, "-shm")).unwrap_or_default();
    let field = index.get(128..132).and_then(|bytes| bytes.try_into().ok());
    u64::from(field.map_or(0, u32::from_ne_bytes))
}

/// Copies what a kill left, with the write-ahead log cut to this length.
fn crashed(database: &Path, length: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let copy = Store::file(folder.path());
    fs::copy(database, &copy).unwrap();
    let log = fs::read(beside(database, "-wal")).unwrap();
    fs::write(beside(&copy, "-wal"), &log[..length]).unwrap();
    folder
}

/// Opens a store and recomputes everything; `None` for a file that was never finished.
fn whole(directory: &Path) -> Option<Store> {
    let store = match Store::open_damaged(directory) {
        Ok(store) => store,
        Err(error) => {
            let text = error.to_string();
            let unfinished = text.contains("is empty") || text.contains("there is no store");
            assert!(error.code() == ErrorCode::StoreOpen && unfinished, "{text}");
            return None;
        }
    };
    assert_eq!(store.check(None).unwrap(), []);
    Some(store)
}

/// Cuts the write-ahead log that a kill left, and looks at what each cut leaves.
fn cut(directory: &Path, random: &mut Random, tally: &mut Tally) -> Vec<Checkpoint> {
    let database = Store::file(directory);
    let length = fs::metadata(beside(&database, "-wal")).map_or(0, |meta| meta.len());
    let frames = length.saturating_sub(WAL.0) / WAL.1;
    let first = frames_in_file(&database).min(frames);
    let mut seen = Vec::new();
    for _ in 0..if frames == 0 { 0 } else { CUTS } {
        let end = WAL.0 + (first + random.below(frames - first + 1)) * WAL.1;
        let inside = [0, 1, 24, 2_000][random.below(4) as usize];
        let at = usize::try_from((end + inside).min(length)).unwrap();
        let copy = crashed(&database, at);
        tally.cuts += 1;
        if let Some(store) = whole(copy.path()) {
            let head = store.head().unwrap();
            let origin = store.origin().unwrap();
            seen.push(Checkpoint { origin, size: head.size, root: head.root });
        }
    }
    seen
}

/// Checks what a kill left against all that was ever told of this store.
fn check(directory: &Path, told: &BTreeSet<CapsuleId>, random: &mut Random, tally: &mut Tally) {
    // Opening the store empties its write-ahead log, so the cuts come first.
    let earlier = cut(directory, random, tally);
    let Some(store) = whole(directory) else {
        assert!(told.is_empty() && earlier.is_empty(), "a store that was told of is gone");
        return;
    };
    for saved in earlier {
        store.check_checkpoint(&saved).unwrap();
    }
    let view = store.view();
    let lost = told.iter().find(|id| view.capsule(id).unwrap().is_none());
    assert_eq!(lost, None, "accepted, told of and lost");
    tally.held_beyond_what_was_told += view.counts().unwrap()[0] - told.len() as u64;
}

fn report(tally: &Tally, seed: u64) {
    let Ok(path) = std::env::var("KAPSULE_SOAK_REPORT") else { return };
    let commit = std::env::var("KAPSULE_SOAK_COMMIT").unwrap_or_else(|_| "not given".to_owned());
    let mut text = format!(
        "# Ingest killed at random moments\n\nCommit: {commit}.\nFirst seed: {seed}.\n\
         Capsules of the folder: {CAPSULES}.\n\n| What | Count |\n|---|---:|\n"
    );
    for (what, count) in [
        ("kills (SIGKILL)", tally.kills),
        ("kills before anything was told of", tally.before_anything_was_told),
        ("calls that ended before their kill", tally.ended_first),
        ("stores filled to the end", tally.stores),
        ("capsules told of", tally.told),
        ("capsules held after a kill that were not told of yet", tally.held_beyond_what_was_told),
        ("write-ahead logs cut, each opened and recomputed", tally.cuts),
        ("capsules lost, entries broken, rows without entry", 0),
    ] {
        writeln!(text, "| {what} | {count} |").unwrap();
    }
    fs::write(path, text).unwrap();
}

#[test]
fn a_killed_ingest_loses_nothing_that_it_told() {
    let (rounds, seed) = (setting("KAPSULE_SOAK_ROUNDS", ROUNDS), setting("KAPSULE_SOAK_SEED", 1));
    let bench = Bench::new();
    let mut writer = crate::ingests::fill(&bench);
    for number in 4..CAPSULES {
        let file = writer.post(&number.to_string());
        bench.write(&format!("capsules/{number:06}.kapsule"), file);
    }
    let directory = bench.path("home/data");
    let began = Instant::now();
    let (_, all) = ingest(&bench, Moment::Never);
    let longest = began.elapsed();
    assert_eq!(all.len(), CAPSULES);
    fs::remove_dir_all(&directory).unwrap();
    let mut random = Random(seed.wrapping_mul(2).wrapping_add(0x9e37_79b9_7f4a_7c15) | 1);
    let (mut told, mut tally) = (BTreeSet::new(), Tally::default());
    while tally.kills < rounds {
        let moment = match random.below(3) {
            0 => Moment::Told(1 + random.below(CAPSULES as u64)),
            _ => Moment::After(longest * random.below(1_000) as u32 / 1_000),
        };
        let (killed, new) = ingest(&bench, moment);
        told.extend(new);
        check(&directory, &told, &mut random, &mut tally);
        match killed {
            true => {
                tally.kills += 1;
                tally.before_anything_was_told += u64::from(told.is_empty());
            }
            false => tally.ended_first += 1,
        }
        // A store that is full is begun anew.
        if !killed || told.len() == CAPSULES {
            ingest(&bench, Moment::Never);
            let counts = whole(&directory).unwrap().view().counts().unwrap();
            assert_eq!((counts[0], counts[2]), (CAPSULES as u64, 0));
            tally.stores += 1;
            tally.told += told.len() as u64;
            told.clear();
            fs::remove_dir_all(&directory).unwrap();
        }
    }
    tally.told += told.len() as u64;
    report(&tally, seed);
}
