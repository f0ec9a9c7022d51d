//! Bodies that are dropped and taken back.

use kapsule_abi::ErrorCode;
use kapsule_format::capsule::{Capsule, CapsuleId, ChannelId};
use kapsule_store::{CapsuleFile, Store, StoreError};

use crate::support::{Author, log_key, open, put, vkey};

fn prune(store: &mut Store, id: &CapsuleId) -> bool {
    let mut pruned = false;
    let result = store.write::<(), StoreError>(|write| {
        pruned = write.prune(id, 9)?;
        Ok(())
    });
    assert_eq!(result.is_ok(), pruned, "nothing is written where nothing is dropped");
    pruned
}

fn restore(store: &mut Store, file: &[u8]) -> Result<(), StoreError> {
    let file = CapsuleFile::decode(file).unwrap();
    store.write(|write| write.restore(&file, 10))
}

#[test]
fn a_pruned_capsule_keeps_its_place_and_takes_its_body_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    let (mut author, genesis) = Author::start();
    let (first, large) = (author.post("first"), author.large());
    let last = author.post("last");
    let keyring = put(&mut store, &genesis);
    let ids = [&first, &large, &last].map(|file| put(&mut store, file));
    let note = store.checkpoint(&log_key()).unwrap();
    let before = store.view().nodes(&author.channel).unwrap();
    // The key of the channel stays, and what has no body loses none.
    assert!(!prune(&mut store, &keyring));
    assert!(prune(&mut store, &ids[0]) && prune(&mut store, &ids[1]));
    assert!(!prune(&mut store, &ids[0]));
    let view = store.view();
    let elsewhere = ChannelId::of_genesis(ids[0]);
    let counts = [Some(&author.channel), Some(&elsewhere), None];
    assert_eq!(counts.map(|channel| view.pruned_count(channel).unwrap()), [2, 0, 2]);
    assert_eq!(view.pruned().unwrap().iter().map(|row| row.size).max(), Some(large.len() as u64));
    let header = view.file(&ids[1]).unwrap();
    let capsule = Capsule::decode(&header).unwrap();
    assert_eq!((capsule.id(), capsule.payload()), (ids[1], None));
    assert_eq!([ids[1], ids[2]].map(|id| view.has_body(&id).unwrap()), [false, true]);
    capsule.check_own([]).unwrap();
    let after = view.nodes(&author.channel).unwrap();
    let places = |nodes: &[kapsule_format::snapshot::Node]| {
        nodes.iter().map(|node| (node.id, node.parents.clone())).collect::<Vec<_>>()
    };
    assert_eq!(places(&before), places(&after));
    assert_eq!(view.heads(&author.channel).unwrap(), [ids[2]]);
    store.check_checkpoint(&note.checkpoint).unwrap();
    assert_eq!(store.check(Some(&vkey())).unwrap(), []);
    // The value beside the database goes when it is swept, and others stay.
    assert_eq!((store.sweep().unwrap(), store.sweep().unwrap()), (1, 0));
    let whole = CapsuleFile::decode(&large).unwrap();
    assert!(store.view().lacks_body(&whole).unwrap());
    restore(&mut store, &large).unwrap();
    assert!(!store.view().lacks_body(&whole).unwrap());
    assert_eq!(store.view().file(&ids[1]).unwrap(), large);
    assert_eq!((store.sweep().unwrap(), store.view().pruned_count(None).unwrap()), (0, 1));
    assert_eq!(store.check(Some(&vkey())).unwrap(), []);
    for file in [&large, &header] {
        assert_eq!(restore(&mut store, file).unwrap_err().code(), ErrorCode::StoreCorrupt);
    }
    assert!(store.shrink().unwrap() > 0);
    assert_eq!(open(folder.path()).check(Some(&vkey())).unwrap(), []);
}

#[test]
fn what_may_be_pruned_is_old_and_not_among_the_newest() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    let (mut author, genesis) = Author::start();
    put(&mut store, &genesis);
    let ids: Vec<CapsuleId> =
        (0..5).map(|number| put(&mut store, &author.post(&number.to_string()))).collect();
    // The first is of 2,000 ms, each later one of the next.
    let of = |store: &Store, before, keep| {
        let rows = store.view().prunable(&author.channel, "post", before, keep).unwrap();
        rows.into_iter().map(|row| row.id).collect::<Vec<_>>()
    };
    assert_eq!(of(&store, None, 0), ids);
    assert_eq!(of(&store, None, 2), ids[..3]);
    assert_eq!(of(&store, Some(2_002), 0), ids[..2]);
    assert_eq!(of(&store, Some(2_002), 4), ids[..1]);
    assert_eq!(of(&store, Some(9_000), 9), []);
    assert!(prune(&mut store, &ids[0]));
    assert_eq!(of(&store, None, 2), ids[1..3]);
    assert_eq!(store.view().prunable(&author.channel, "keyring", None, 0).unwrap().len(), 1);
}
