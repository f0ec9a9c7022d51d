//! Capsules, their graph, results and quarantine.

use std::os::unix::fs::PermissionsExt;

use kapsule_format::capsule::CapsuleId;
use kapsule_format::hash::sha256;
use kapsule_store::{CapsuleFile, Store, StoreError};
use proptest::prelude::*;

use crate::support::{Author, filled, open, put, refuse, vkey};

#[test]
fn what_is_put_is_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    let (mut author, genesis) = Author::start();
    let first = put(&mut store, &genesis);
    let post = author.post("hello");
    let second = put(&mut store, &post);
    let view = store.view();
    assert_eq!(view.file(&second).unwrap(), post);
    assert_eq!(view.channels().unwrap(), [author.channel]);
    assert_eq!(view.heads(&author.channel).unwrap(), [second]);
    assert_eq!(view.held(&second).unwrap().unwrap().seq, 1);
    assert_eq!(view.keyrings(&author.channel, 0).unwrap()[0].id, first);
    let row = view.capsule(&second).unwrap().unwrap();
    assert_eq!(view.rivals(&row.channel, &row.author, 1).unwrap(), [second]);
    assert_eq!(view.newest(&author.channel, "post", 5).unwrap(), [row]);
    assert_eq!(view.counts().unwrap(), [2, 0, 0]);
}

#[test]
fn channels_are_listed_in_the_order_of_their_starts() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    assert_eq!(store.view().channels().unwrap(), []);
    let mut started = Vec::new();
    for _ in 0..5 {
        let (mut author, genesis) = Author::start();
        put(&mut store, &genesis);
        put(&mut store, &author.post("hello"));
        started.push(author.channel);
        assert_eq!(store.view().channels().unwrap(), started);
    }
    // One whose start is not held, as no command makes it, is not passed over.
    let (mut author, _) = Author::start();
    put(&mut store, &author.post("hello"));
    started.insert(0, author.channel);
    assert_eq!(store.view().channels().unwrap(), started);
}

#[test]
fn a_look_sees_one_state_whoever_writes() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = open(folder.path());
    let (mut author, genesis) = Author::start();
    put(&mut writer, &genesis);
    let reader = open(folder.path());
    let look = reader.look::<_, StoreError>(|view| {
        let before = view.counts()?;
        put(&mut writer, &author.post("meanwhile"));
        Ok([before, view.counts()?])
    });
    assert_eq!(look.unwrap(), [[1, 0, 0]; 2]);
    assert_eq!(reader.view().counts().unwrap(), [2, 0, 0]);
}

#[test]
fn a_large_capsule_stands_beside_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let store = filled(folder.path());
    let large: Vec<_> = store.view().capsules(None).unwrap();
    let large = large.into_iter().find(|row| row.size > 1 << 18).unwrap();
    let path = folder.path().join("blobs").join(large.sha256.to_string());
    assert_eq!(std::fs::read(&path).unwrap(), store.view().file(&large.id).unwrap());
    for (path, mode) in [(path, 0o600), (Store::file(folder.path()), 0o600)] {
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, mode);
    }
    assert_eq!(store.check(Some(&vkey())).unwrap(), []);
}

#[test]
fn a_file_in_quarantine_leaves_it_when_it_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    let (_, genesis) = Author::start();
    refuse(&mut store, &genesis);
    let id = sha256(&genesis);
    let code = store.view().quarantined(&id).unwrap();
    assert_eq!(code.as_deref(), Some("E032_SIGNATURE_INVALID"));
    assert_eq!(store.view().quarantined_file(&id).unwrap(), genesis);
    put(&mut store, &genesis);
    assert_eq!(store.view().quarantined(&id).unwrap(), None);
    assert_eq!(store.check(None).unwrap(), []);
}

#[test]
fn one_capsule_is_kept_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    let (_, genesis) = Author::start();
    put(&mut store, &genesis);
    let before = store.head().unwrap();
    let file = CapsuleFile::decode(&genesis).unwrap();
    let again = store.write::<_, StoreError>(|write| write.put_capsule(&file, 0));
    assert!(matches!(again, Err(StoreError::Database(_))));
    assert_eq!(store.head().unwrap(), before);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// In whatever order the capsules of a graph come, the graph is the same.
    #[test]
    fn a_graph_is_the_same_in_any_order(
        order in Just((0..7_usize).collect::<Vec<_>>()).prop_shuffle()
    ) {
        let (mut author, genesis) = Author::start();
        let mut files = vec![genesis];
        files.extend((0..6).map(|number| author.post(&format!("post {number}"))));
        let graph = |order: &[usize]| {
            let folder = tempfile::tempdir().unwrap();
            let mut store = open(folder.path());
            for index in order {
                put(&mut store, &files[*index]);
            }
            let mut ids: Vec<CapsuleId> =
                store.view().capsules(None).unwrap().into_iter().map(|row| row.id).collect();
            ids.sort();
            (ids, store.view().heads(&author.channel).unwrap())
        };
        prop_assert_eq!(graph(&order), graph(&[0, 1, 2, 3, 4, 5, 6]));
    }
}
