//! Stores that exchange parts of a channel come to hold the same.

use std::collections::BTreeSet;

use kapsule_format::capsule::{Capsule, CapsuleId, ChannelId};
use kapsule_format::snapshot::{self, Node, Snapshot, plan};
use kapsule_store::Store;
use proptest::prelude::*;

use crate::support::{Author, open, put};

/// A chain of posts with a fork in it, the genesis first.
fn files() -> (ChannelId, Vec<Vec<u8>>) {
    let (mut author, genesis) = Author::start();
    let mut files = vec![genesis];
    files.extend((0..3).map(|number| author.post(&format!("post {number}"))));
    let mut other = author.clone();
    files.extend((0..3).map(|number| author.post(&format!("left {number}"))));
    files.extend((0..2).map(|number| other.post(&format!("right {number}"))));
    (author.channel, files)
}

/// Writes capsules of a store into snapshots.
fn export(store: &Store, channel: ChannelId, nodes: &[Node]) -> Vec<Vec<u8>> {
    let view = store.view();
    let part = |ids: Vec<CapsuleId>| {
        let files: Vec<_> = ids.iter().map(|id| view.file(id).unwrap()).collect();
        snapshot::write(channel, files.iter().map(Vec::as_slice), []).unwrap()
    };
    plan(nodes).into_iter().map(part).collect()
}

/// Puts what a snapshot has and the store lacks.
fn import(store: &mut Store, snapshot: &[u8]) {
    for (id, file) in Snapshot::decode(snapshot).unwrap().capsules() {
        if store.view().held(id).unwrap().is_none() {
            put(store, file);
        }
    }
}

/// Returns these capsules and all before them, by their places.
fn closed(files: &[Vec<u8>], wanted: impl IntoIterator<Item = usize>) -> BTreeSet<usize> {
    let capsules: Vec<_> = files.iter().map(|file| Capsule::decode(file).unwrap()).collect();
    let place = |id: &CapsuleId| capsules.iter().position(|one| one.id() == *id).unwrap();
    let (mut found, mut next) = (BTreeSet::new(), wanted.into_iter().collect::<Vec<_>>());
    while let Some(at) = next.pop() {
        if found.insert(at) {
            next.extend(capsules[at].meta().prev.iter().map(place));
        }
    }
    found
}

#[test]
fn a_store_that_lacks_nothing_is_sent_nothing() {
    let (channel, files) = files();
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    let put: Vec<CapsuleId> = files.iter().map(|file| put(&mut store, file)).collect();
    let lacked = |have: &[CapsuleId]| {
        let nodes = store.view().lacked(&channel, have).unwrap();
        nodes.into_iter().map(|node| node.id).collect::<Vec<_>>()
    };
    assert_eq!(lacked(&[]), put);
    assert_eq!(lacked(&store.view().heads(&channel).unwrap()), []);
    // Whoever has the third post lacks both arms; whoever has one arm lacks the other.
    assert_eq!(lacked(&[put[3]]), put[4..]);
    assert_eq!(lacked(&[put[6]]), put[7..]);
    // What is not held says nothing.
    assert_eq!(lacked(&[CapsuleId::new([9; 32].into())]), put);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever each of two stores begins with, in whatever order it came, they converge: by all
    /// that they have, or by what the heads of the other show to be lacking.
    #[test]
    fn two_stores_converge(
        order in Just((0..9_usize).collect::<Vec<_>>()).prop_shuffle(),
        parts in proptest::collection::vec(0..4_u8, 9),
        by_heads in any::<bool>(),
        first in 0..2_usize,
    ) {
        let (channel, files) = files();
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let mut stores = folders.each_ref().map(|folder| open(folder.path()));
        let mut union = BTreeSet::new();
        for (number, store) in (0..).zip(&mut stores) {
            // A store has the genesis, and with a capsule all before it.
            let wanted = (0..9).filter(|at| *at == 0 || parts[*at] >> number & 1 == 1);
            let own = closed(&files, wanted);
            for at in order.iter().filter(|at| own.contains(at)) {
                union.insert(put(store, &files[*at]));
            }
        }
        for turn in [first, 1 - first] {
            let (from, to) = (turn, 1 - turn);
            let have = stores[to].view().heads(&channel).unwrap();
            let have = if by_heads { have } else { Vec::new() };
            let lacked = stores[from].view().lacked(&channel, &have).unwrap();
            let mut parts = export(&stores[from], channel, &lacked);
            parts.reverse();
            parts.iter().for_each(|part| import(&mut stores[to], part));
        }
        let found = stores.each_ref().map(|store| {
            assert_eq!(store.check(None).unwrap(), []);
            let view = store.view();
            let nodes = view.nodes(&channel).unwrap();
            assert_eq!(nodes.iter().map(|node| node.id).collect::<BTreeSet<_>>(), union);
            (view.heads(&channel).unwrap(), export(store, channel, &nodes))
        });
        // The same capsules are the same heads and the same snapshots, byte for byte.
        prop_assert_eq!(&found[0], &found[1]);
    }
}
