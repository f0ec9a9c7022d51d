//! The log in its tables: appending, proofs, checkpoints.

use kapsule_abi::ErrorCode;
use kapsule_format::Digest;
use kapsule_format::key::{SecretKey, Suite};
use kapsule_format::log::{Chain, Entry, EntryKind, check_consistency};
use kapsule_store::{Store, StoreError};
use proptest::prelude::*;

use crate::support::{log_key, log_name, open, vkey};

fn append(store: &mut Store, number: u8) -> u64 {
    store
        .write::<_, StoreError>(|write| {
            let subject = Digest::new([number; 32]);
            write.append(Entry::new(EntryKind::KeyUsed, 1).subject("key", subject))
        })
        .unwrap()
}

#[test]
fn a_new_store_begins_with_an_entry_and_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path()).head().unwrap();
    assert_eq!(first.size, 1);
    let mut store = open(folder.path());
    assert_eq!(store.head().unwrap(), first);
    assert_eq!(append(&mut store, 1), 1);
    assert_eq!(store.origin().unwrap(), log_name());
}

#[test]
fn a_change_that_the_log_does_not_tell_of_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    let before = store.head().unwrap();
    let error = store.write::<_, StoreError>(|_| Ok(())).unwrap_err();
    assert_eq!(error.code(), ErrorCode::StoreCorrupt);
    // What fails later takes back what came before in the same change.
    let error = store.write::<(), StoreError>(|write| {
        write.append(Entry::new(EntryKind::KeyUsed, 1))?;
        write.append(Entry::new(EntryKind::KeyUsed, 1).datum("a", "b").datum("a", "c"))?;
        Ok(())
    });
    assert_eq!(error.unwrap_err().code(), ErrorCode::SchemaViolation);
    assert_eq!(store.head().unwrap(), before);
    assert_eq!(store.check(None).unwrap(), []);
}

#[test]
fn every_entry_is_proved_and_every_size_is_the_beginning_of_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    let mut seen = Vec::new();
    for number in 1..20 {
        append(&mut store, number);
        seen.push(store.checkpoint(&log_key()).unwrap());
    }
    let last = seen.last().unwrap();
    for number in 1..20_u8 {
        let subject = Digest::new([number; 32]);
        let index = store.find_subject(&subject).unwrap().unwrap();
        let proof = store.prove(index, last.clone()).unwrap();
        assert_eq!(proof.verify(&vkey(), &subject).unwrap().index, u64::from(number));
    }
    for note in &seen {
        let path = store.consistency(&note.checkpoint).unwrap();
        check_consistency(&note.checkpoint, &last.checkpoint, &path).unwrap();
        store.check_checkpoint(&note.checkpoint).unwrap();
    }
    let early = store.prove(19, seen[0].clone()).unwrap_err();
    assert_eq!(early.code(), ErrorCode::LogInclusionInvalid);
    assert_eq!(store.find_subject(&Digest::new([77; 32])).unwrap(), None);
    assert_eq!(store.checkpoints().unwrap().len(), 19);
}

#[test]
fn a_checkpoint_of_another_key_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    store.checkpoint(&log_key()).unwrap();
    let other = SecretKey::from_seed(Suite::Ed25519, &[8; 32]).unwrap();
    assert_eq!(store.checkpoint(&other).unwrap_err().code(), ErrorCode::CheckpointInvalid);
}

#[test]
fn a_checkpoint_is_due_after_many_entries() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    store
        .write::<_, StoreError>(|write| {
            (0..kapsule_store::CHECKPOINT_EVERY - 2)
                .try_for_each(|_| write.append(Entry::new(EntryKind::KeyUsed, 1)).map(drop))
        })
        .unwrap();
    assert!(!store.checkpoint_is_due().unwrap());
    append(&mut store, 1);
    assert!(store.checkpoint_is_due().unwrap());
    store.checkpoint(&log_key()).unwrap();
    assert!(!store.checkpoint_is_due().unwrap());
}

#[test]
fn entries_cannot_be_changed_or_removed_by_sql_alone() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let connection = rusqlite::Connection::open(Store::file(folder.path())).unwrap();
    for sql in ["UPDATE entry SET hash = x'00'", "DELETE FROM entry"] {
        let error = connection.execute(sql, []).unwrap_err();
        assert!(error.to_string().contains("append only"), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// However entries are spread over changes, the log is the one of the entries alone.
    #[test]
    fn the_log_is_append_only(groups in proptest::collection::vec(1..9_usize, 1..8)) {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        let mut chain = Chain::new(log_name());
        let mut before: Vec<Vec<u8>> = Vec::new();
        for count in groups {
            store.write::<_, StoreError>(|write| {
                (0..count).try_for_each(|_| {
                    write.append(Entry::new(EntryKind::KeyUsed, 3)).map(drop)
                })
            }).unwrap();
            let mut now = Vec::new();
            store.entries::<StoreError>(0, |_, bytes| {
                now.push(bytes.to_vec());
                Ok(())
            }).unwrap();
            prop_assert!(now.starts_with(&before));
            for bytes in &now[before.len()..] {
                chain.push(bytes).unwrap();
            }
            let head = store.head().unwrap();
            let expect = (chain.size(), *chain.head(), chain.root());
            prop_assert_eq!((head.size, head.hash, head.root), expect);
            before = now;
        }
        prop_assert_eq!(store.check(None).unwrap(), []);
    }
}
