//! The store: durable acceptance of capsules, opening, the log and its proofs.
//!
//! Acceptance is reported as a share of what the signature checks of the same files allow in the
//! same run, on the same cores; payloads are neither opened nor processed here.

use std::time::{Duration, Instant};

use kapsule_format::capsule::{Body, Capsule, ChannelId, Draft, Keyring, Post, kind};
use kapsule_format::encrypt::generate;
use kapsule_format::key::{Identity, SecretKey, Suite};
use kapsule_format::log::{Entry, EntryKind, LogName};
use kapsule_store::{Opening, Store, StoreError};

/// Capsules that are accepted.
const CAPSULES: usize = 8_192;

/// Capsules of one transaction, as `kapsule ingest` has it.
const BATCH: usize = 1_024;

/// Entries of the log whose opening and proofs are measured.
const ENTRIES: u64 = 100_000;

/// Threads that check signatures.
const THREADS: usize = 2;

/// Runs everything, and returns the lines to print.
pub(crate) fn measure(arguments: &[&str]) -> Result<Vec<String>, String> {
    if !arguments.is_empty() {
        return Err("usage: kapsule-bench store".to_owned());
    }
    let mut lines = acceptance().map_err(|error| error.to_string())?;
    lines.extend(log().map_err(|error| error.to_string())?);
    Ok(lines)
}

/// Any error; a benchmark only prints it.
type Anything = Box<dyn std::error::Error>;

/// A new store in a directory of its own.
fn store() -> Result<(tempfile::TempDir, Store), Anything> {
    let folder = tempfile::tempdir()?;
    let opening = Opening { origin: Some(LogName::new("example.org/log")?), time_ms: 1 };
    let store = Store::open(folder.path(), opening)?;
    Ok((folder, store))
}

/// A channel with posts of about a KiB.
fn posts() -> Result<Vec<Vec<u8>>, Anything> {
    let secret = SecretKey::from_seed(Suite::Ed25519, &[0x61; 32])?;
    let author = Identity::try_from(secret.public().clone())?;
    let (epoch_key, recipient) = generate();
    let keyring = Keyring::first(recipient.to_string(), author.clone());
    let genesis = Draft::genesis(author.clone(), 1_000, keyring, &epoch_key)?;
    let recipients = [recipient];
    let genesis = genesis.seal([1; 32], &recipients)?;
    let (mut back, channel) = (genesis.id(), ChannelId::of_genesis(genesis.id()));
    let mut files = vec![genesis.sign([&secret])?];
    let body = Body::Post(Post::plain("x".repeat(1_024)));
    for seq in 1..CAPSULES as u64 {
        let mut draft = Draft::new(channel, author.clone(), 0, 1_000 + seq, kind::POST, &body)?;
        (draft.seq, draft.back) = (seq, Some(back));
        let sealed = draft.seal([2; 32], &recipients)?;
        back = sealed.id();
        files.push(sealed.sign([&secret])?);
    }
    Ok(files)
}

/// Checks the signatures of all files on the threads, and returns how long that took.
fn check(files: &[Vec<u8>]) -> Duration {
    let start = Instant::now();
    std::thread::scope(|scope| {
        for part in files.chunks(files.len().div_ceil(THREADS)) {
            scope.spawn(move || {
                for file in part {
                    let capsule = Capsule::decode(file).expect("the capsule was just made");
                    let signatures = capsule.signatures([]);
                    assert!(signatures.is_by(&capsule.meta().author), "the author signed");
                }
            });
        }
    });
    start.elapsed()
}

fn accept(store: &mut Store, files: &[Vec<u8>]) -> Result<(), StoreError> {
    store.write::<(), StoreError>(|write| {
        for file in files {
            let capsule = Capsule::decode(file)?;
            let id = *capsule.id().digest();
            let entry = Entry::new(EntryKind::CapsuleAccepted, 5).subject("capsule", id);
            let entry = write.append(entry)?;
            write.put_capsule(capsule.meta(), file, entry)?;
        }
        Ok(())
    })
}

fn acceptance() -> Result<Vec<String>, Anything> {
    let files = posts()?;
    let bytes = files.last().map_or(0, Vec::len);
    let (_folder, mut store) = store()?;
    // In turn, so that a noisy machine blurs both alike.
    let (mut alone, mut whole) = (Duration::ZERO, Duration::ZERO);
    for batch in files.chunks(BATCH) {
        alone += check(batch);
        let start = Instant::now();
        check(batch);
        accept(&mut store, batch)?;
        whole += start.elapsed();
    }
    let rate = |time: Duration| CAPSULES as f64 / time.as_secs_f64();
    Ok(vec![
        format!("capsules: {CAPSULES} of {bytes} bytes, posts of 1 KiB, {THREADS} threads"),
        format!("signature checks alone: {:.0}/s", rate(alone)),
        format!("checked and durable, {BATCH} to a transaction: {:.0}/s", rate(whole)),
        format!("share: {:.0} %", 100.0 * alone.as_secs_f64() / whole.as_secs_f64()),
    ])
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
    Ok(vec![
        format!("append in one transaction: {:.1} us an entry", micros(batched) / ENTRIES as f64),
        format!("append alone, durable: {:.0} us", micros(single)),
        format!("inclusion proof of {ENTRIES} entries: {:.0} us", micros(proof)),
        format!("open a log of {ENTRIES} entries: {:.2} ms", micros(opened) / 1e3),
        format!("verify all of it: {:.0} ms", micros(checked) / 1e3),
    ])
}
