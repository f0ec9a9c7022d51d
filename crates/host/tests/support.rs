//! Hosts made from one description, and hostcalls made without a guest.

use std::fs;
use std::path::PathBuf;

use kapsule_engine::{CapsuleMetadata, Host, MemoryHost, NetRequest, NetworkKind};
use kapsule_format::Digest;
use kapsule_format::key::IdentityId;
use kapsule_format::package::PackageId;
use kapsule_format::storage::{Pairs, Storage};
use kapsule_host::DirectoryHost;
use tempfile::TempDir;

pub(crate) fn package(byte: u8) -> PackageId {
    PackageId::new(id(byte))
}

pub(crate) fn id(byte: u8) -> Digest {
    Digest::new([byte; 32])
}

pub(crate) fn metadata(time: u64, parents: Vec<Digest>) -> CapsuleMetadata {
    CapsuleMetadata {
        kind: "post".into(),
        channel: None,
        author: IdentityId::new(id(9)),
        seq: time,
        parents,
        flags: vec![],
        claimed_ms: time,
        logic: None,
    }
}

/// Pairs of package 1, capsules 1 and 2, the file `/data/dir/a`, a budget of 10.
pub(crate) fn pairs() -> Pairs {
    [(b"a".to_vec(), b"one".to_vec()), (b"b".to_vec(), vec![0; 300])].into()
}

pub(crate) fn in_memory() -> MemoryHost {
    let mut host = MemoryHost { budget: 10, ..MemoryHost::default() };
    host.storage.insert(package(1), pairs());
    host.dag.insert(id(1), metadata(5, vec![]));
    host.dag.insert(id(2), metadata(4, vec![id(1)]));
    host.files.insert("/data/dir/a".into(), b"0123456789".to_vec());
    host
}

/// A host on disk with its directory.
pub(crate) struct OnDisk {
    pub(crate) directory: TempDir,
}

impl OnDisk {
    pub(crate) fn new() -> Self {
        let made = Self { directory: tempfile::tempdir().unwrap() };
        let state = made.path("state").join(package(1).to_string());
        fs::create_dir_all(&state).unwrap();
        let storage = Storage { package: package(1), pairs: pairs() };
        fs::write(state.join("storage.klog"), storage.encode().unwrap()).unwrap();
        fs::create_dir_all(made.path("dag")).unwrap();
        for (byte, metadata) in [(1, metadata(5, vec![])), (2, metadata(4, vec![id(1)]))] {
            let name = format!("{}.cbor", id(byte));
            fs::write(made.path("dag").join(name), metadata.encode()).unwrap();
        }
        fs::create_dir_all(made.path("files/dir")).unwrap();
        fs::write(made.path("files/dir/a"), b"0123456789").unwrap();
        made
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn host(&self) -> DirectoryHost {
        let mut host = DirectoryHost::new(MemoryHost { budget: 10, ..MemoryHost::default() });
        host.storage(&self.path("state")).unwrap();
        host.dag(&self.path("dag")).unwrap();
        host.mount("/data/", &self.path("files")).unwrap();
        host
    }
}

/// Returns what a file hostcall gives, or the error.
pub(crate) fn read(host: &mut dyn Host, path: &str) -> Result<Vec<u8>, kapsule_abi::Errno> {
    let mut buffer = [0; 64];
    let count = host.file_read(path, 0, &mut buffer).unwrap()?;
    Ok(buffer[..count].to_vec())
}

pub(crate) fn request(port: u16) -> NetRequest {
    NetRequest {
        network: NetworkKind::Clearnet,
        host: "127.0.0.1".into(),
        port,
        bytes: b"ping".to_vec(),
    }
}
