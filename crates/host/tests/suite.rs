//! What every host does, whether it has capsules and storage in memory, on disk or in a store.

use kapsule_abi::Errno;
use kapsule_engine::{Act, DagQuery, Effects, Host, MemoryHost, Proposal, StorageSize};
use kapsule_format::key::IdentityId;
use kapsule_store::{StoreError, StoreHost};

use crate::support::*;

/// Runs the cases against a host made from the description of `support`; the caller opens what it
/// left behind.
fn check(host: &mut dyn Host) {
    reads(host);
    reads_files(host);
    judges(host);
    changes(host);
}

/// What every host with storage, graph and trust answers.
fn reads(host: &mut dyn Host) {
    reads_storage(host);
    reads_the_dag(host);
    asks_the_dag(host);
    reads_trust(host);
    assert_eq!(host.now_ms().unwrap(), NOW_MS);
}

fn reads_storage(host: &mut dyn Host) {
    assert_eq!(host.storage_get(&package(1), b"a").unwrap(), Some(b"one".to_vec()));
    assert_eq!(host.storage_get(&package(1), b"c").unwrap(), None);
    assert_eq!(host.storage_get(&package(2), b"a").unwrap(), None);
    let next = |host: &mut dyn Host, key: &[u8]| host.storage_next(&package(1), key).unwrap();
    assert_eq!(next(host, b""), Some(b"a".to_vec()));
    assert_eq!(next(host, b"a"), Some(b"b".to_vec()));
    assert_eq!(next(host, b"b"), None);
    let size = StorageSize { keys: 2, bytes: 305 };
    assert_eq!(host.storage_size(&package(1)).unwrap(), size);
    assert_eq!(host.storage_size(&package(2)).unwrap(), StorageSize::default());
}

fn reads_the_dag(host: &mut dyn Host) {
    let Graph { ids, metadata, .. } = graph();
    for (id, metadata) in ids.iter().zip(metadata) {
        assert_eq!(host.dag_metadata(id).unwrap().as_ref(), Ok(metadata));
    }
    assert_eq!(host.dag_metadata(&id(3)).unwrap(), Err(Errno::NotFound));
    assert_eq!(host.dag_children(&ids[0], 0, 9).unwrap(), Ok(vec![ids[1]]));
    assert_eq!(host.dag_children(&ids[1], 0, 9).unwrap(), Ok(vec![ids[2]]));
    assert_eq!(host.dag_children(&ids[0], 1, 9).unwrap(), Ok(vec![]));
    assert_eq!(host.dag_children(&ids[2], u64::MAX, 9).unwrap(), Ok(vec![]));
    assert_eq!(host.dag_children(&id(3), 0, 9).unwrap(), Err(Errno::NotFound));
}

fn asks_the_dag(host: &mut dyn Host) {
    let Graph { ids, metadata, .. } = graph();
    let (genesis, first, second) = (ids[0], ids[1], ids[2]);
    let all = DagQuery::default();
    for (from, count, expect) in [
        (0, 9, &[first, genesis, second][..]),
        (1, 9, &[genesis, second]),
        (0, 1, &[first]),
        (2, 0, &[]),
        (3, 9, &[]),
        (u64::MAX, usize::MAX, &[]),
    ] {
        assert_eq!(host.dag_query(&all, from, count).unwrap(), expect, "{from} {count}");
    }
    let (channel, author) = (metadata[1].channel, Some(metadata[0].author));
    assert_eq!(channel, Some(genesis), "a channel is named by its genesis");
    let (none, post) = (DagQuery::default(), Some("post".to_owned()));
    for (query, expect) in [
        (DagQuery { kind: post.clone(), ..none.clone() }, &[first, second][..]),
        // A genesis names no channel.
        (DagQuery { channel, ..none.clone() }, &[first, second]),
        (DagQuery { channel: Some(id(3)), ..none.clone() }, &[]),
        (DagQuery { author, ..none.clone() }, &[first, genesis, second]),
        (DagQuery { author: Some(IdentityId::new(id(3))), ..none.clone() }, &[]),
        (DagQuery { from_ms: Some(5), ..none.clone() }, &[genesis, second]),
        (DagQuery { until_ms: Some(5), ..none.clone() }, &[first, genesis]),
        (DagQuery { from_ms: Some(5), until_ms: Some(5), ..none.clone() }, &[genesis]),
        (DagQuery { from_ms: Some(6), until_ms: Some(5), ..none.clone() }, &[]),
        (DagQuery { from_ms: Some(u64::MAX), ..none.clone() }, &[]),
        (DagQuery { until_ms: Some(u64::MAX), ..none }, &[first, genesis, second]),
        (DagQuery { kind: post, channel, author, from_ms: Some(5), until_ms: None }, &[second]),
    ] {
        assert_eq!(host.dag_query(&query, 0, 9).unwrap(), expect, "{query:?}");
    }
}

fn reads_trust(host: &mut dyn Host) {
    let who = |byte| IdentityId::new(id(byte));
    assert_eq!(host.trust_score(&who(1)).unwrap(), Ok(12));
    assert_eq!(host.trust_score(&who(2)).unwrap(), Err(Errno::NotFound));
    let mut to = |index| host.trust_edge(index).unwrap().map(|edge| edge.to);
    assert_eq!([0, 1, 2, u64::MAX].map(&mut to), [Some(who(1)), Some(who(3)), None, None]);
}

fn reads_files(host: &mut dyn Host) {
    let mut buffer = [0; 4];
    for (offset, expect) in [(0, "0123"), (8, "89"), (10, ""), (u64::MAX, "")] {
        let count = host.file_read("/data/dir/a", offset, &mut buffer).unwrap();
        assert_eq!(count, Ok(expect.len()), "{offset}");
        assert_eq!(&buffer[..expect.len()], expect.as_bytes());
    }
    assert_eq!(read(host, "/data/dir/none"), Err(Errno::NotFound));
    assert_eq!(host.file_writable("/data/dir/a").unwrap(), Ok(()));
    assert_eq!(host.file_writable("/data/dir/new").unwrap(), Ok(()));
    assert_eq!(host.file_writable("/data/none/new").unwrap(), Err(Errno::NotFound));
}

fn judges(host: &mut dyn Host) {
    let notice = |cost| Proposal { cost, act: Act::Notify { text: "x".into() } };
    assert_eq!(host.propose(&notice(10), &[]).unwrap(), Ok(()));
    assert_eq!(host.propose(&notice(4), &[notice(7)]).unwrap(), Err(Errno::Refused));
    let sum = [notice(u64::MAX), notice(u64::MAX)];
    assert_eq!(host.propose(&notice(0), &sum).unwrap(), Err(Errno::Refused));
    let answer = host.net_request(&request(1), &mut [0; 9]).unwrap();
    assert_eq!(answer, Err(Errno::Refused));
}

/// What a run left behind, for both kinds of hosts.
fn effects() -> Effects {
    let first = [(b"a".to_vec(), None), (b"c".to_vec(), Some(b"new".to_vec()))].into();
    let second = [(b"x".to_vec(), Some(vec![]))].into();
    Effects {
        storage: [(package(1), first), (package(2), second)].into(),
        files: [("/data/dir/a", "short"), ("/data/dir/new", "text")]
            .map(|(path, text)| (path.to_string(), text.as_bytes().to_vec()))
            .into(),
        proposals: vec![],
    }
}

fn changes(host: &mut dyn Host) {
    host.apply(&effects()).unwrap();
    is_changed(host);
}

fn is_changed(host: &mut dyn Host) {
    storage_is_changed(host);
    assert_eq!(read(host, "/data/dir/a"), Ok(b"short".to_vec()));
    assert_eq!(read(host, "/data/dir/new"), Ok(b"text".to_vec()));
}

fn storage_is_changed(host: &mut dyn Host) {
    assert_eq!(host.storage_get(&package(1), b"a").unwrap(), None);
    assert_eq!(host.storage_get(&package(1), b"c").unwrap(), Some(b"new".to_vec()));
    assert_eq!(host.storage_get(&package(2), b"x").unwrap(), Some(vec![]));
    let size = StorageSize { keys: 2, bytes: 305 };
    assert_eq!(host.storage_size(&package(1)).unwrap(), size);
}

#[test]
fn the_host_in_memory_does_what_every_host_does() {
    check(&mut in_memory());
}

#[test]
fn the_host_on_disk_does_what_every_host_does() {
    let disk = OnDisk::new();
    let mut host = disk.host();
    check(&mut host);
    drop(host);
    is_changed(&mut disk.host());
}

#[test]
fn the_host_over_a_store_does_what_every_host_does() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = in_store(folder.path());
    let (memory, trusted) = (MemoryHost { now_ms: NOW_MS, ..MemoryHost::default() }, trusted());
    reads(&mut StoreHost::new(memory.clone(), store.view(), &trusted));
    store
        .write::<_, StoreError>(|write| {
            // A run inside a change sees what earlier ones in it left.
            reads(&mut StoreHost::new(memory.clone(), write.view(), &trusted));
            for (package, changes) in effects().storage {
                write.change_storage(&package, &changes)?;
            }
            storage_is_changed(&mut StoreHost::new(memory.clone(), write.view(), &trusted));
            write.tell_storage(7)
        })
        .unwrap();
    assert_eq!(store.check(None).unwrap(), []);
    let mut host = StoreHost::new(memory, store.view(), &trusted);
    storage_is_changed(&mut host);
    // It leaves nothing else behind, and says so.
    let notice = Proposal { cost: 0, act: Act::Notify { text: "x".into() } };
    assert_eq!(host.propose(&notice, &[]).unwrap(), Err(Errno::Refused));
    assert_eq!(host.file_writable("/data/dir/new").unwrap(), Err(Errno::Refused));
    assert_eq!(read(&mut host, "/data/dir/a"), Err(Errno::NotFound));
    assert_eq!(host.net_request(&request(1), &mut [0; 9]).unwrap(), Err(Errno::Refused));
    host.apply(&effects()).unwrap_err();
    host.apply(&Effects::default()).unwrap();
}
