//! What every host does.

use kapsule_abi::Errno;
use kapsule_engine::{Act, DagQuery, Effects, Host, Proposal, StorageSize};

use crate::support::*;

/// Runs the cases against a host made from the description of `support`; the caller opens what it
/// left behind.
fn check(host: &mut dyn Host) {
    reads_storage(host);
    reads_the_dag(host);
    reads_files(host);
    judges(host);
    changes(host);
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
    assert_eq!(host.dag_metadata(&id(2)).unwrap(), Ok(metadata(4, vec![id(1)])));
    assert_eq!(host.dag_metadata(&id(3)).unwrap(), Err(Errno::NotFound));
    assert_eq!(host.dag_children(&id(1), 0, 9).unwrap(), Ok(vec![id(2)]));
    assert_eq!(host.dag_children(&id(1), 1, 9).unwrap(), Ok(vec![]));
    assert_eq!(host.dag_children(&id(3), 0, 9).unwrap(), Err(Errno::NotFound));
    let query = |host: &mut dyn Host, from, count| {
        host.dag_query(&DagQuery::default(), from, count).unwrap()
    };
    assert_eq!(query(host, 0, 9), [id(2), id(1)]);
    assert_eq!(query(host, 1, 9), [id(1)]);
    assert_eq!(query(host, 0, 1), [id(2)]);
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
    assert_eq!(host.storage_get(&package(1), b"a").unwrap(), None);
    assert_eq!(host.storage_get(&package(1), b"c").unwrap(), Some(b"new".to_vec()));
    assert_eq!(host.storage_get(&package(2), b"x").unwrap(), Some(vec![]));
    let size = StorageSize { keys: 2, bytes: 305 };
    assert_eq!(host.storage_size(&package(1)).unwrap(), size);
    assert_eq!(read(host, "/data/dir/a"), Ok(b"short".to_vec()));
    assert_eq!(read(host, "/data/dir/new"), Ok(b"text".to_vec()));
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
