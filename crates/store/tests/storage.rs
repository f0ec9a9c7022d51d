//! What packages keep.

use kapsule_abi::ErrorCode;
use kapsule_format::log::{Entry, EntryKind};
use kapsule_format::package::PackageId;
use kapsule_format::storage;
use kapsule_store::{Store, StoreError};
use rusqlite::Connection;

use crate::support::{open, store_pairs};

fn package(byte: u8) -> PackageId {
    PackageId::new([byte; 32].into())
}

#[test]
fn what_a_package_keeps_is_counted_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    let own = package(1);
    store_pairs(&mut store, own, &[("a", Some("one")), ("b", Some("two"))]);
    // Replaced, removed, removed though it is not there, added.
    let more = [("a", Some("longer")), ("b", None), ("c", None), ("d", Some(""))];
    store_pairs(&mut store, own, &more);
    store_pairs(&mut store, package(2), &[("a", Some("x"))]);
    let view = store.view();
    let row = view.storage_of(&own).unwrap().unwrap();
    assert_eq!((row.keys, row.bytes), (2, 8));
    let pairs = view.storage(&own).unwrap();
    assert_eq!(pairs.keys().collect::<Vec<_>>(), [b"a", b"d"]);
    let told = row.told.unwrap();
    assert_eq!(told.0, storage::root(&pairs));
    let mut entries = Vec::new();
    store
        .entries::<StoreError>(told.1, |_, bytes| {
            entries.push(Entry::decode(bytes)?);
            Ok(())
        })
        .unwrap();
    assert_eq!(entries[0].kind, EntryKind::StorageChanged);
    assert_eq!(entries[0].find_subject("storage"), Some(&told.0));
    assert_eq!(store.check(None).unwrap(), []);
    // Everything removed is a storage too.
    store_pairs(&mut store, package(2), &[("a", None)]);
    assert_eq!(store.check(None).unwrap(), []);
}

#[test]
fn a_change_that_the_log_is_not_told_of_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    let changes = [(b"a".to_vec(), Some(b"x".to_vec()))];
    let refused = store.write::<(), StoreError>(|write| {
        write.append(Entry::new(EntryKind::RunFinished, 1))?;
        write.change_storage(&package(1), changes.iter().map(|(key, value)| (key, value)))
    });
    assert_eq!(refused.unwrap_err().code(), ErrorCode::StoreCorrupt);
    assert_eq!(store.view().storages().unwrap(), []);
}

#[test]
fn counts_that_somebody_lowered_are_refused() {
    let changes = [(b"a".to_vec(), None)];
    for lowered in ["keys = 0", "bytes = 3"] {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        store_pairs(&mut store, package(1), &[("a", Some("one"))]);
        let outside = Connection::open(Store::file(folder.path())).unwrap();
        outside.execute_batch(&format!("UPDATE storage_head SET {lowered}")).unwrap();
        let refused = store.write::<(), StoreError>(|write| {
            write.change_storage(&package(1), changes.iter().map(|(key, value)| (key, value)))
        });
        assert_eq!(refused.unwrap_err().code(), ErrorCode::StoreCorrupt, "{lowered}");
    }
}
