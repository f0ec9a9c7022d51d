//! A host that holds everything in memory.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Bound;

use kapsule_abi::Errno;
use kapsule_format::Digest;
use kapsule_format::key::IdentityId;
use kapsule_format::package::PackageId;
use kapsule_format::storage::Pairs;

use super::{
    Answer, CapsuleMetadata, CapsuleResult, Dag, DagQuery, Effects, Host, NetRequest, Proposal,
    StorageChanges, StorageSize, TrustEdge, copy_from,
};
use crate::HostError;

/// One capsule of a [`MemoryHost`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryCapsule {
    /// Public metadata.
    pub metadata: CapsuleMetadata,
    /// Decrypted payload, or `None` where the host holds no key for it.
    pub payload: Option<Vec<u8>>,
}

/// A host that holds everything in memory; enough for tools, tests and small embedders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryHost {
    /// Capsules being processed, by index.
    pub capsules: Vec<MemoryCapsule>,
    /// Results that the guest submitted, by index.
    pub results: BTreeMap<u32, CapsuleResult>,
    /// Trust scores in millionths.
    pub scores: BTreeMap<IdentityId, u64>,
    /// Trust statements in the order in which a guest pages through them.
    pub edges: Vec<TrustEdge>,
    /// Fixed time of the run, in milliseconds since 1970.
    pub now_ms: u64,
    /// Storage by package.
    pub storage: BTreeMap<PackageId, Pairs>,
    /// Capsules that a guest finds by id, parent or query.
    pub dag: Dag,
    /// What proposals may cost together.
    pub budget: u64,
    /// Proposals of runs that were applied.
    pub proposals: Vec<Proposal>,
    /// Files by guest path; a directory is there if a file below it is.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Answers of the machines that may be talked to, whatever they are asked, by host and port.
    pub peers: BTreeMap<(String, u16), Vec<u8>>,
}

impl MemoryHost {
    fn capsule(&self, index: u32) -> Result<&MemoryCapsule, Errno> {
        let index = usize::try_from(index).map_err(|_| Errno::NotFound)?;
        self.capsules.get(index).ok_or(Errno::NotFound)
    }

    fn payload(&self, index: u32) -> Result<&[u8], Errno> {
        self.capsule(index)?.payload.as_deref().ok_or(Errno::KeyNotHeld)
    }

    fn has_directory(&self, path: &str) -> bool {
        let directory = path.rfind('/').and_then(|end| path.get(..=end)).unwrap_or("/");
        directory == "/" || self.files.keys().any(|file| file.starts_with(directory))
    }
}

/// Returns the least key that is greater than `key`.
pub fn next_key(pairs: &Pairs, key: &[u8]) -> Option<Vec<u8>> {
    let after = (Bound::Excluded(key), Bound::Unbounded);
    pairs.range::<[u8], _>(after).next().map(|(next, _)| next.clone())
}

/// Sets and removes what a run set and removed.
pub fn apply_changes(pairs: &mut Pairs, changes: &StorageChanges) {
    for (key, value) in changes {
        match value {
            Some(value) => drop(pairs.insert(key.clone(), value.clone())),
            None => drop(pairs.remove(key)),
        }
    }
}

impl Host for MemoryHost {
    fn capsule_metadata(&mut self, index: u32) -> Answer<CapsuleMetadata> {
        Ok(self.capsule(index).map(|capsule| capsule.metadata.clone()))
    }

    fn capsule_payload_len(&mut self, index: u32) -> Answer<u64> {
        Ok(self.payload(index).map(|payload| payload.len() as u64))
    }

    fn capsule_payload_read(
        &mut self,
        index: u32,
        offset: u64,
        buffer: &mut [u8],
    ) -> Answer<usize> {
        Ok(self.payload(index).map(|payload| copy_from(payload, offset, buffer)))
    }

    fn submit_capsule_result(&mut self, index: u32, result: CapsuleResult) -> Answer<()> {
        Ok(match self.capsule(index) {
            Ok(_) => {
                self.results.insert(index, result);
                Ok(())
            }
            Err(errno) => Err(errno),
        })
    }

    fn trust_score(&mut self, identity: &IdentityId) -> Answer<u64> {
        Ok(self.scores.get(identity).copied().ok_or(Errno::NotFound))
    }

    fn trust_edge(&mut self, index: u64) -> Result<Option<TrustEdge>, HostError> {
        let index = usize::try_from(index).ok();
        Ok(index.and_then(|index| self.edges.get(index)).cloned())
    }

    fn now_ms(&mut self) -> Result<u64, HostError> {
        Ok(self.now_ms)
    }

    fn storage_get(
        &mut self,
        package: &PackageId,
        key: &[u8],
    ) -> Result<Option<Vec<u8>>, HostError> {
        Ok(self.storage.get(package).and_then(|pairs| pairs.get(key)).cloned())
    }

    fn storage_next(
        &mut self,
        package: &PackageId,
        key: &[u8],
    ) -> Result<Option<Vec<u8>>, HostError> {
        Ok(self.storage.get(package).and_then(|pairs| next_key(pairs, key)))
    }

    fn storage_size(&mut self, package: &PackageId) -> Result<StorageSize, HostError> {
        Ok(self.storage.get(package).map_or_else(StorageSize::default, StorageSize::of))
    }

    fn dag_metadata(&mut self, id: &Digest) -> Answer<CapsuleMetadata> {
        Ok(self.dag.metadata(id).cloned().ok_or(Errno::NotFound))
    }

    fn dag_children(&mut self, id: &Digest, from: u64, count: usize) -> Answer<Vec<Digest>> {
        Ok(self.dag.children(id, from, count).ok_or(Errno::NotFound))
    }

    fn dag_query(
        &mut self,
        query: &DagQuery,
        from: u64,
        count: usize,
    ) -> Result<Vec<Digest>, HostError> {
        Ok(self.dag.query(query, from, count))
    }

    fn propose(&mut self, proposal: &Proposal, taken: &[Proposal]) -> Answer<()> {
        Ok(proposal.within(self.budget, taken))
    }

    fn file_read(&mut self, path: &str, offset: u64, buffer: &mut [u8]) -> Answer<usize> {
        let file = self.files.get(path).ok_or(Errno::NotFound);
        Ok(file.map(|file| copy_from(file, offset, buffer)))
    }

    fn file_writable(&mut self, path: &str) -> Answer<()> {
        Ok(if self.has_directory(path) { Ok(()) } else { Err(Errno::NotFound) })
    }

    fn net_request(&mut self, request: &NetRequest, buffer: &mut [u8]) -> Answer<usize> {
        let answer = self.peers.get(&(request.host.clone(), request.port)).ok_or(Errno::Refused);
        Ok(answer.map(|answer| copy_from(answer, 0, buffer)))
    }

    fn apply(&mut self, effects: &Effects) -> Result<(), HostError> {
        for (package, changes) in &effects.storage {
            apply_changes(self.storage.entry(*package).or_default(), changes);
        }
        self.files.extend(effects.files.clone());
        self.proposals.extend(effects.proposals.iter().cloned());
        Ok(())
    }

    fn reset(&mut self) -> bool {
        self.results.clear();
        true
    }
}
