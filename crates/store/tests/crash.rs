//! What a crash leaves: the file and its write-ahead log cut at their boundaries.
//!
//! SQLite writes frames of a page and 24 bytes after a header of 32; a crash loses an end of what
//! was not yet written through, so every prefix is tried at frame boundaries and inside frames.

use std::fs;
use std::path::{Path, PathBuf};

use kapsule_format::package::PackageId;
use kapsule_store::{CapsuleFile, Head, Store, StoreError};

use crate::support::{Author, PACKAGE, log_key, put, put_result, store_pairs, try_open, vkey};

fn wal(directory: &Path) -> PathBuf {
    let mut name = Store::file(directory).into_os_string();
    name.push("-wal");
    name.into()
}

/// Copies a store that is in use as a crash leaves it, with the write-ahead log cut.
fn crashed(from: &Path, length: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(Store::file(from), Store::file(folder.path())).unwrap();
    let log = fs::read(wal(from)).unwrap();
    fs::write(wal(folder.path()), &log[..length]).unwrap();
    let blobs = from.join("blobs");
    if blobs.exists() {
        fs::create_dir(folder.path().join("blobs")).unwrap();
        for blob in fs::read_dir(blobs).unwrap() {
            let blob = blob.unwrap();
            fs::copy(blob.path(), folder.path().join("blobs").join(blob.file_name())).unwrap();
        }
    }
    folder
}

#[test]
fn a_crash_leaves_the_state_before_or_after_a_change() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = try_open(folder.path()).unwrap();
    let (mut author, genesis) = Author::start();
    // Where each change ends in the write-ahead log, and what is there then.
    let mut states: Vec<(usize, Head, [u64; 3])> = Vec::new();
    let mut note = |store: &Store| {
        let length = fs::metadata(wal(folder.path())).unwrap().len() as usize;
        states.push((length, store.head().unwrap(), store.view().counts().unwrap()));
    };
    note(&store);
    put(&mut store, &genesis);
    note(&store);
    let post = put(&mut store, &author.post("first"));
    note(&store);
    put_result(&mut store, post, b"result");
    note(&store);
    let large = author.large();
    let id = put(&mut store, &large);
    note(&store);
    store_pairs(&mut store, PackageId::new(PACKAGE.into()), &[("k", Some("v"))]);
    note(&store);
    store.write::<_, StoreError>(|write| write.prune(&id, 9).map(drop)).unwrap();
    note(&store);
    let whole = CapsuleFile::decode(&large).unwrap();
    store.write::<_, StoreError>(|write| write.restore(&whole, 10)).unwrap();
    note(&store);
    store.checkpoint(&log_key()).unwrap();
    note(&store);
    let end = fs::metadata(wal(folder.path())).unwrap().len() as usize;
    let frame = 24 + 4_096;
    let boundaries = (states[0].0..=end).step_by(frame);
    let cuts = boundaries.flat_map(|at| [at, at + 1, at + 24, at + 2_000]).filter(|at| *at <= end);
    for cut in cuts {
        let copy = crashed(folder.path(), cut);
        let reopened = try_open(copy.path()).unwrap();
        let expect = states.iter().rev().find(|state| state.0 <= cut).unwrap();
        let found = (reopened.head().unwrap(), reopened.view().counts().unwrap());
        assert_eq!((&found.0, &found.1), (&expect.1, &expect.2), "cut at {cut}");
        assert_eq!(reopened.check(Some(&vkey())).unwrap(), [], "cut at {cut}");
    }
}
