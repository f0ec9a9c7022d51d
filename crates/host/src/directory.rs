//! The host that ties directories, files and machines together.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use kapsule_abi::{Errno, ErrorCode};
use kapsule_engine::{
    Answer, CapsuleMetadata, CapsuleResult, DagQuery, Effects, Host, HostError, MemoryHost,
    NetRequest, Proposal, StorageSize, TrustEdge, next_key,
};
use kapsule_format::Digest;
use kapsule_format::hash::decode_hex;
use kapsule_format::key::IdentityId;
use kapsule_format::package::PackageId;

use crate::SetupError;
use crate::folder::Folder;
use crate::mounts::Mounts;
use crate::network::Peers;
use crate::storage::Directory;

/// Ending of the files of a DAG directory.
const CAPSULE_ENDING: &str = ".cbor";

/// Greatest size of a file of a DAG directory, in bytes: that of capsule metadata.
const METADATA_BYTES_MAX: u64 = 65_536;

/// A host whose storage, files and requests are real.
///
/// What it was not given is absent: without a storage directory, storage lasts as long as the
/// host, without a mount no file is there, and without a listed machine nobody is talked to.
///
/// # Examples
/// ```
/// use kapsule_engine::MemoryHost;
/// use kapsule_host::DirectoryHost;
///
/// let directory = tempfile::tempdir()?;
/// let mut host = DirectoryHost::new(MemoryHost { budget: 10, ..MemoryHost::default() });
/// host.storage(&directory.path().join("storage"))?;
/// host.mount("/data/", directory.path())?;
/// host.allow("127.0.0.1", 7000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct DirectoryHost {
    /// Everything that is not on disk or beyond: capsules, scores, time, budget.
    pub memory: MemoryHost,
    storage: Option<Directory>,
    mounts: Mounts,
    peers: Peers,
    /// The file that was read last, since a guest reads one page by page.
    last: Option<(String, File)>,
}

impl DirectoryHost {
    /// Starts with what is in memory.
    #[must_use]
    pub fn new(memory: MemoryHost) -> Self {
        Self {
            memory,
            storage: None,
            mounts: Mounts::default(),
            peers: Peers::default(),
            last: None,
        }
    }

    /// Keeps storage in a directory, which is created if it is absent.
    ///
    /// # Errors
    /// [`ErrorCode::StoreOpen`] if it cannot be created.
    pub fn storage(&mut self, path: &Path) -> Result<(), SetupError> {
        self.storage = Some(Directory::new(path)?);
        Ok(())
    }

    /// Locks, reads and checks the storage of a package, which otherwise happens at the first
    /// hostcall that needs it.
    ///
    /// # Errors
    /// [`ErrorCode::StoreOpen`], [`ErrorCode::StoreCorrupt`] for a file that is not the storage of
    /// this package, [`ErrorCode::WriteConflict`] if another process has it.
    pub fn open_storage(&mut self, package: &PackageId) -> Result<(), SetupError> {
        match &mut self.storage {
            Some(directory) => directory.open(package).map(|_| ()),
            None => Ok(()),
        }
    }

    /// Gives a guest path a place: a directory if it ends in `/`, else a file.
    ///
    /// # Errors
    /// [`ErrorCode::SchemaViolation`] for another form, [`ErrorCode::AuthoringAmbiguous`] for a
    /// path that has a place, [`ErrorCode::StoreOpen`] if the directory cannot be opened.
    pub fn mount(&mut self, guest: &str, host: &Path) -> Result<(), SetupError> {
        self.mounts.add(guest, host)
    }

    /// Allows requests to a machine, under exactly this name.
    pub fn allow(&mut self, host: &str, port: u16) {
        self.peers.allow(host, port);
    }

    /// Adds the capsules of a directory: files `<id>.cbor` with the metadata of `spec/abi.md`.
    ///
    /// The ids are believed; they follow from whole capsules, which are not there.
    ///
    /// # Errors
    /// [`ErrorCode::StoreOpen`] if a file cannot be read, [`ErrorCode::StoreCorrupt`] if its name
    /// or content has another form.
    pub fn dag(&mut self, path: &Path) -> Result<(), SetupError> {
        let failed = |error: &io::Error| SetupError::io(path, error);
        let folder = Folder::open(path).map_err(|error| failed(&error))?;
        for name in folder.names().map_err(|error| failed(&error))? {
            let Some(id) = name.strip_suffix(CAPSULE_ENDING) else { continue };
            let corrupt = |detail: String| {
                let detail = format!("{}: {detail}", path.join(&name).display());
                SetupError::new(ErrorCode::StoreCorrupt, detail)
            };
            let id: [u8; 32] = decode_hex(id).map_err(|error| corrupt(error.to_string()))?;
            let file = folder.read(&[&name]).map_err(|error| failed(&error))?;
            let file = file.map_err(|errno| corrupt(errno.name().to_owned()))?;
            let mut bytes = Vec::new();
            file.take(METADATA_BYTES_MAX + 1)
                .read_to_end(&mut bytes)
                .map_err(|error| failed(&error))?;
            if bytes.len() as u64 > METADATA_BYTES_MAX {
                return Err(corrupt(format!("it exceeds {METADATA_BYTES_MAX} bytes")));
            }
            let metadata = CapsuleMetadata::decode(&bytes).map_err(|e| corrupt(e.to_string()))?;
            self.memory.dag.insert(Digest::new(id), metadata);
        }
        Ok(())
    }

    /// Opens a file, or takes it from the last call.
    fn file(&mut self, path: &str) -> Result<Result<&mut File, Errno>, HostError> {
        if self.last.as_ref().is_none_or(|(last, _)| last != path) {
            match self.mounts.read(path).map_err(|error| failed("fs_read", &error))? {
                Ok(file) => self.last = Some((path.to_owned(), file)),
                Err(errno) => return Ok(Err(errno)),
            }
        }
        Ok(self.last.as_mut().map(|(_, file)| file).ok_or(Errno::NotFound))
    }
}

fn failed(hostcall: &'static str, error: &dyn std::fmt::Display) -> HostError {
    HostError::Hostcall { hostcall, detail: error.to_string() }
}

impl Host for DirectoryHost {
    fn capsule_metadata(&mut self, index: u32) -> Answer<CapsuleMetadata> {
        self.memory.capsule_metadata(index)
    }

    fn capsule_payload_len(&mut self, index: u32) -> Answer<u64> {
        self.memory.capsule_payload_len(index)
    }

    fn capsule_payload_read(
        &mut self,
        index: u32,
        offset: u64,
        buffer: &mut [u8],
    ) -> Answer<usize> {
        self.memory.capsule_payload_read(index, offset, buffer)
    }

    fn submit_capsule_result(&mut self, index: u32, result: CapsuleResult) -> Answer<()> {
        self.memory.submit_capsule_result(index, result)
    }

    fn trust_score(&mut self, identity: &IdentityId) -> Answer<u64> {
        self.memory.trust_score(identity)
    }

    fn trust_edge(&mut self, index: u64) -> Result<Option<TrustEdge>, HostError> {
        self.memory.trust_edge(index)
    }

    fn now_ms(&mut self) -> Result<u64, HostError> {
        self.memory.now_ms()
    }

    fn storage_get(
        &mut self,
        package: &PackageId,
        key: &[u8],
    ) -> Result<Option<Vec<u8>>, HostError> {
        match &mut self.storage {
            Some(directory) => {
                let open = directory.open(package).map_err(|e| failed("kv_get", &e))?;
                Ok(open.pairs.get(key).cloned())
            }
            None => self.memory.storage_get(package, key),
        }
    }

    fn storage_next(
        &mut self,
        package: &PackageId,
        key: &[u8],
    ) -> Result<Option<Vec<u8>>, HostError> {
        match &mut self.storage {
            Some(directory) => {
                let open = directory.open(package).map_err(|e| failed("kv_next", &e))?;
                Ok(next_key(&open.pairs, key))
            }
            None => self.memory.storage_next(package, key),
        }
    }

    fn storage_size(&mut self, package: &PackageId) -> Result<StorageSize, HostError> {
        match &mut self.storage {
            Some(directory) => Ok(directory.open(package).map_err(|e| failed("kv_set", &e))?.size),
            None => self.memory.storage_size(package),
        }
    }

    fn dag_metadata(&mut self, id: &Digest) -> Answer<CapsuleMetadata> {
        self.memory.dag_metadata(id)
    }

    fn dag_children(&mut self, id: &Digest, from: u64, count: usize) -> Answer<Vec<Digest>> {
        self.memory.dag_children(id, from, count)
    }

    fn dag_query(
        &mut self,
        query: &DagQuery,
        from: u64,
        count: usize,
    ) -> Result<Vec<Digest>, HostError> {
        self.memory.dag_query(query, from, count)
    }

    fn propose(&mut self, proposal: &Proposal, taken: &[Proposal]) -> Answer<()> {
        self.memory.propose(proposal, taken)
    }

    fn file_read(&mut self, path: &str, offset: u64, buffer: &mut [u8]) -> Answer<usize> {
        let file = match self.file(path)? {
            Ok(file) => file,
            Err(errno) => return Ok(Err(errno)),
        };
        // No file is longer than an i64, and seeking further is an error on some systems.
        if i64::try_from(offset).is_err() {
            return Ok(Ok(0));
        }
        let failed = |error: io::Error| failed("fs_read", &error);
        file.seek(SeekFrom::Start(offset)).map_err(failed)?;
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match file.read(rest) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(Ok(filled))
    }

    fn file_writable(&mut self, path: &str) -> Answer<()> {
        self.mounts.writable(path).map_err(|error| failed("fs_write", &error))
    }

    fn net_request(&mut self, request: &NetRequest, buffer: &mut [u8]) -> Answer<usize> {
        Ok(self.peers.request(request, buffer))
    }

    /// Everything is written and synced before the first rename, so a full disk changes nothing.
    ///
    /// The storage of each package and each file change whole; a crash between two renames leaves
    /// the first ones done.
    fn apply(&mut self, effects: &Effects) -> Result<(), HostError> {
        let mut prepared = Vec::new();
        let mut in_memory = Effects { proposals: effects.proposals.clone(), ..Effects::default() };
        for (package, changes) in &effects.storage {
            match &mut self.storage {
                Some(directory) => {
                    let made = directory.prepare(package, changes);
                    prepared.push((*package, made.map_err(|e| failed("kv_set", &e))?));
                }
                None => drop(in_memory.storage.insert(*package, changes.clone())),
            }
        }
        let mut files = Vec::new();
        for (path, bytes) in &effects.files {
            let made = self.mounts.prepare(path, bytes);
            files.push(made.map_err(|error| failed("fs_write", &error))?);
        }
        for (package, (pairs, pending)) in prepared {
            pending.commit().map_err(|error| failed("kv_set", &error))?;
            if let Some(directory) = &mut self.storage {
                directory.replace(&package, pairs);
            }
        }
        for pending in files {
            pending.commit().map_err(|error| failed("fs_write", &error))?;
        }
        self.last = None;
        self.memory.apply(&in_memory)
    }

    /// A request that was sent cannot be unsent, so a host that may send some is not reset.
    fn reset(&mut self) -> bool {
        self.last = None;
        self.peers.is_empty() && self.memory.reset()
    }
}
