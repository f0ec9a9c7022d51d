//! Hosts made from one description, and hostcalls made without a guest.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use kapsule_engine::{
    CapsuleMetadata, Host, MemoryHost, NetRequest, NetworkKind, StorageChanges, TrustEdge,
};
use kapsule_format::Digest;
use kapsule_format::capsule::{Body, Capsule, ChannelId, Draft, Keyring, Post, kind};
use kapsule_format::encrypt::generate;
use kapsule_format::key::{Identity, IdentityId, SecretKey, Suite};
use kapsule_format::log::{Entry, EntryKind, LogName};
use kapsule_format::package::PackageId;
use kapsule_format::storage::{Pairs, Storage};
use kapsule_host::DirectoryHost;
use kapsule_store::{CapsuleFile, Opening, Statement, Store, StoreError, Trusted};
use tempfile::TempDir;

pub(crate) fn package(byte: u8) -> PackageId {
    PackageId::new(id(byte))
}

pub(crate) fn id(byte: u8) -> Digest {
    Digest::new([byte; 32])
}

/// A genesis and two posts that answer it, the second claimed to be older than all.
pub(crate) struct Graph {
    /// Capsule files.
    pub(crate) files: Vec<Vec<u8>>,
    /// Their ids.
    pub(crate) ids: Vec<Digest>,
    /// What a guest is told of them.
    pub(crate) metadata: Vec<CapsuleMetadata>,
}

/// Returns the capsules that every host of these tests has.
pub(crate) fn graph() -> &'static Graph {
    static GRAPH: OnceLock<Graph> = OnceLock::new();
    GRAPH.get_or_init(|| {
        let secret = SecretKey::from_seed(Suite::Ed25519, &[0x61; 32]).unwrap();
        let author = Identity::try_from(secret.public().clone()).unwrap();
        let (epoch_key, recipient) = generate();
        let readers = std::slice::from_ref(&recipient);
        let keyring = Keyring::first(recipient.to_string(), author.clone());
        let draft = Draft::genesis(author.clone(), 5, keyring, &epoch_key).unwrap();
        let genesis = draft.seal([1; 32], readers).unwrap();
        let channel = ChannelId::of_genesis(genesis.id());
        let mut back = genesis.id();
        let mut files = vec![genesis.sign([&secret]).unwrap()];
        for (seq, time_ms) in [(1, 4), (2, 6)] {
            let body = Body::Post(Post::plain("hello"));
            let author = author.clone();
            let mut draft = Draft::new(channel, author, 0, time_ms, kind::POST, &body).unwrap();
            (draft.seq, draft.back) = (seq, Some(back));
            let sealed = draft.seal([2; 32], readers).unwrap();
            back = sealed.id();
            files.push(sealed.sign([&secret]).unwrap());
        }
        let metas = files.iter().map(|file| {
            let capsule = Capsule::decode(file).unwrap();
            (*capsule.id().digest(), kapsule_store::metadata(capsule.meta()))
        });
        let (ids, metadata) = metas.unzip();
        Graph { files, ids, metadata }
    })
}

/// Statements in their order; the second has expired at the time of every host here.
pub(crate) fn statements() -> Vec<Statement> {
    let statement = |to, expiry_ms| Statement {
        edge: TrustEdge {
            from: IdentityId::new(id(7)),
            to: IdentityId::new(id(to)),
            weight_ppm: 5,
            blocked: false,
            time_ms: 3,
        },
        expiry_ms,
    };
    vec![statement(1, 0), statement(2, NOW_MS - 1), statement(3, NOW_MS)]
}

/// Time of every host.
pub(crate) const NOW_MS: u64 = 9;

/// What is known of trust.
pub(crate) fn trusted() -> Trusted {
    Trusted { scores: [(IdentityId::new(id(1)), 12)].into(), statements: statements() }
}

/// Pairs of package 1.
pub(crate) fn pairs() -> Pairs {
    [(b"a".to_vec(), b"one".to_vec()), (b"b".to_vec(), vec![0; 300])].into()
}

/// What hosts have in memory alone.
fn base() -> MemoryHost {
    let Trusted { scores, statements } = trusted();
    let holding = statements.into_iter().filter(|one| one.expiry_ms != NOW_MS - 1);
    let edges = holding.map(|one| one.edge).collect();
    MemoryHost { budget: 10, now_ms: NOW_MS, scores, edges, ..MemoryHost::default() }
}

/// A host with pairs of package 1, the graph, the file `/data/dir/a`, a budget of 10.
pub(crate) fn in_memory() -> MemoryHost {
    let mut host = base();
    host.storage.insert(package(1), pairs());
    let Graph { ids, metadata, .. } = graph();
    for (id, metadata) in ids.iter().zip(metadata) {
        host.dag.insert(*id, metadata.clone());
    }
    host.files.insert("/data/dir/a".into(), b"0123456789".to_vec());
    host
}

/// A store with the same pairs and the same graph.
pub(crate) fn in_store(directory: &Path) -> Store {
    let origin = Some(LogName::new("kapsule.example/log").unwrap());
    let mut store = Store::open(directory, Opening { origin, time_ms: 1 }).unwrap();
    store
        .write::<_, StoreError>(|write| {
            // The second post comes before the first.
            for file in [0, 2, 1].map(|index| &graph().files[index]) {
                let file = CapsuleFile::decode(file).unwrap();
                let entry = Entry::new(EntryKind::CapsuleAccepted, 5)
                    .subject("capsule", *file.capsule().id().digest());
                let entry = write.append(entry)?;
                write.put_capsule(&file, entry)?;
            }
            let pairs: StorageChanges =
                pairs().into_iter().map(|(key, value)| (key, Some(value))).collect();
            write.change_storage(&package(1), &pairs)?;
            write.tell_storage(6)
        })
        .unwrap();
    store
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
        let Graph { ids, metadata, .. } = graph();
        for (id, metadata) in ids.iter().zip(metadata) {
            fs::write(made.path("dag").join(format!("{id}.cbor")), metadata.encode()).unwrap();
        }
        fs::create_dir_all(made.path("files/dir")).unwrap();
        fs::write(made.path("files/dir/a"), b"0123456789").unwrap();
        made
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn host(&self) -> DirectoryHost {
        let mut host = DirectoryHost::new(base());
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
