//! A host in memory for tests of modules.
//!
//! It answers the hostcalls from plain fields as `spec/abi.md` says, for one thread.
//! It prices, limits and records nothing, has no grants, and computes no hash and no signature;
//! a test that needs those runs the built module on the engine.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use std::cell::RefCell;

use kapsule_abi::BUFFER_BYTES_MAX;

use crate::{CapsuleMetadata, DagQuery, TrustEdge};

/// What the host knows and what it was told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TestHost {
    /// The run's input.
    pub input: Vec<u8>,
    /// What the module wrote.
    pub output: Vec<u8>,
    /// Level and bytes of each log line.
    pub logs: Vec<(i32, Vec<u8>)>,
    /// Encoded metadata of each capsule.
    pub metadata: Vec<Vec<u8>>,
    /// Payload of each capsule; `None` where the host holds no key.
    pub payloads: Vec<Option<Vec<u8>>>,
    /// Encoded results by capsule.
    pub results: BTreeMap<i32, Vec<u8>>,
    /// Trust scores by author, in millionths.
    pub scores: BTreeMap<Vec<u8>, i64>,
    /// Trust statements.
    pub edges: Vec<TrustEdge>,
    /// Answer to every signature check.
    pub signature_result: i32,
    /// The run's time.
    pub now_ms: i64,
    /// The package's storage.
    pub storage: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Metadata of the capsules of the DAG by id.
    pub dag: BTreeMap<[u8; 32], CapsuleMetadata>,
    /// Encoded proposals that were taken.
    pub proposals: Vec<Vec<u8>>,
    /// Greatest number of proposals; the next one is refused.
    pub proposals_max: usize,
    /// Answers of packages by package hash and entry, whatever the input; see [`Callee`].
    pub callees: BTreeMap<([u8; 32], Vec<u8>), Callee>,
    /// Files by path.
    pub files: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Answers to encoded network requests.
    pub net_answers: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Longest buffer that a call passed, in bytes.
    pub buffer_bytes_max: usize,
}

/// How a run of another package ends in a test.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Callee {
    /// Fuel used.
    pub fuel: u64,
    /// Outcome class.
    pub class: u32,
    /// Outcome detail.
    pub detail: u32,
    /// Output.
    pub output: Vec<u8>,
}

std::thread_local! {
    static HOST: RefCell<Option<Box<TestHost>>> = const { RefCell::new(None) };
}

/// Runs `act` with `host` answering its hostcalls, and returns the result and the host afterwards.
///
/// # Panics
/// If called within itself.
pub fn with<T>(host: TestHost, act: impl FnOnce() -> T) -> (T, TestHost) {
    HOST.with_borrow_mut(|slot| {
        assert!(slot.is_none(), "one test host per thread at a time");
        *slot = Some(Box::new(host));
    });
    let result = act();
    let host = HOST.take().expect("the host was set above");
    (result, *host)
}

/// The functions that stand where a module has its imports.
pub(crate) mod calls {
    use core::ops::Bound;

    use kapsule_abi::Errno;
    use minicbor::bytes::ByteArray;

    use super::*;

    fn host<T>(act: impl FnOnce(&mut TestHost) -> T) -> T {
        HOST.with_borrow_mut(|slot| act(slot.as_mut().expect("a test sets its host first")))
    }

    fn note(host: &mut TestHost, buffer: &[u8]) {
        assert!(
            buffer.len() <= BUFFER_BYTES_MAX as usize,
            "the run would end with denied(argument)"
        );
        host.buffer_bytes_max = host.buffer_bytes_max.max(buffer.len());
    }

    /// Copies what there is from `offset` and returns the count.
    fn page(source: &[u8], offset: i64, buffer: &mut [u8]) -> i32 {
        let rest = source.get(offset as usize..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        count as i32
    }

    /// Copies all of `source` or nothing, and returns its length.
    fn whole(source: &[u8], buffer: &mut [u8]) -> i32 {
        if source.len() <= buffer.len() {
            buffer[..source.len()].copy_from_slice(source);
        }
        source.len() as i32
    }

    pub(crate) fn input_len() -> i64 {
        host(|host| host.input.len() as i64)
    }

    pub(crate) fn input_read(offset: i64, buffer: &mut [u8]) -> i32 {
        host(|host| {
            note(host, buffer);
            page(&host.input, offset, buffer)
        })
    }

    pub(crate) fn output_write(bytes: &[u8]) -> i32 {
        host(|host| {
            note(host, bytes);
            host.output.extend_from_slice(bytes);
        });
        0
    }

    pub(crate) fn log(level: i32, bytes: &[u8]) {
        host(|host| {
            note(host, bytes);
            host.logs.push((level, bytes.to_vec()));
        });
    }

    pub(crate) fn get_capsule_metadata(index: i32, buffer: &mut [u8]) -> i32 {
        host(|host| match host.metadata.get(index as usize) {
            Some(metadata) => whole(metadata, buffer),
            None => Errno::NotFound as i32,
        })
    }

    fn payload<T>(index: i32, act: impl FnOnce(&[u8]) -> T) -> Result<T, Errno> {
        host(|host| match host.payloads.get(index as usize) {
            Some(Some(payload)) => Ok(act(payload)),
            Some(None) => Err(Errno::KeyNotHeld),
            None => Err(Errno::NotFound),
        })
    }

    pub(crate) fn capsule_payload_len(index: i32) -> i64 {
        payload(index, |payload| payload.len() as i64).unwrap_or_else(|errno| errno as i32 as i64)
    }

    pub(crate) fn capsule_payload_read(index: i32, offset: i64, buffer: &mut [u8]) -> i32 {
        host(|host| note(host, buffer));
        payload(index, |payload| page(payload, offset, buffer)).unwrap_or_else(|errno| errno as i32)
    }

    pub(crate) fn submit_capsule_result(index: i32, bytes: &[u8]) -> i32 {
        host(|host| {
            if index as usize >= host.metadata.len() {
                return Errno::NotFound as i32;
            }
            host.results.insert(index, bytes.to_vec());
            0
        })
    }

    pub(crate) fn get_trust_score(key: &[u8]) -> i64 {
        if key.len() < 32 {
            return Errno::InvalidArgument as i32 as i64;
        }
        host(|host| host.scores.get(key).copied().unwrap_or(Errno::NotFound as i32 as i64))
    }

    pub(crate) fn trust_edges(cursor: i64, buffer: &mut [u8]) -> i32 {
        let Ok(cursor) = usize::try_from(cursor) else { return Errno::InvalidArgument as i32 };
        host(|host| {
            let rest = host.edges.get(cursor..).unwrap_or_default();
            let mut encoded = Vec::new();
            for count in 1..=rest.len() {
                let next = minicbor::to_vec(&rest[..count]).expect("vectors take any length");
                if count > 1 && next.len() > buffer.len() {
                    break;
                }
                encoded = next;
            }
            whole(&encoded, buffer)
        })
    }

    pub(crate) fn hash(_: i32, _: &[u8], _: &mut [u8; 32]) -> i32 {
        panic!("the test host computes no hash")
    }

    pub(crate) fn signature_verify(_: i32, _: &[u8], _: &[u8], _: &[u8]) -> i32 {
        host(|host| host.signature_result)
    }

    pub(crate) fn now() -> i64 {
        host(|host| host.now_ms)
    }

    pub(crate) fn random(buffer: &mut [u8]) {
        host(|host| note(host, buffer));
        buffer.fill(4);
    }

    /// Greatest length of a storage key, in bytes.
    const KEY_BYTES_MAX: usize = 256;

    fn is_key(key: &[u8]) -> bool {
        (1..=KEY_BYTES_MAX).contains(&key.len())
    }

    pub(crate) fn kv_get(key: &[u8], buffer: &mut [u8]) -> i32 {
        host(|host| {
            note(host, buffer);
            match host.storage.get(key) {
                _ if !is_key(key) => Errno::InvalidArgument as i32,
                Some(value) => whole(value, buffer),
                None => Errno::NotFound as i32,
            }
        })
    }

    pub(crate) fn kv_set(key: &[u8], value: &[u8]) -> i32 {
        host(|host| {
            note(host, value);
            if !is_key(key) {
                return Errno::InvalidArgument as i32;
            }
            host.storage.insert(key.to_vec(), value.to_vec());
            0
        })
    }

    pub(crate) fn kv_delete(key: &[u8]) -> i32 {
        host(|host| match host.storage.remove(key) {
            _ if !is_key(key) => Errno::InvalidArgument as i32,
            Some(_) => 0,
            None => Errno::NotFound as i32,
        })
    }

    pub(crate) fn kv_next(key: &[u8], buffer: &mut [u8]) -> i32 {
        host(|host| {
            note(host, buffer);
            if key.len() > KEY_BYTES_MAX {
                return Errno::InvalidArgument as i32;
            }
            let after = (Bound::Excluded(key), Bound::Unbounded);
            match host.storage.range::<[u8], _>(after).next() {
                Some((next, _)) => whole(next, buffer),
                None => Errno::NotFound as i32,
            }
        })
    }

    pub(crate) fn dag_get(id: &[u8; 32], buffer: &mut [u8]) -> i32 {
        host(|host| match host.dag.get(id) {
            Some(metadata) => {
                let bytes = minicbor::to_vec(metadata).expect("vectors take any length");
                whole(&bytes, buffer)
            }
            None => Errno::NotFound as i32,
        })
    }

    /// Answers as many of the matching ids from `cursor` on as fit.
    fn ids(cursor: i64, buffer: &mut [u8], matches: impl Fn(&CapsuleMetadata) -> bool) -> i32 {
        let Ok(cursor) = usize::try_from(cursor) else { return Errno::InvalidArgument as i32 };
        host(|host| {
            let found = host.dag.iter().filter(|(_, metadata)| matches(metadata));
            let mut ids: Vec<_> = found.map(|(id, metadata)| (metadata.time_ms, *id)).collect();
            ids.sort_unstable();
            let rest = ids.get(cursor..).unwrap_or_default();
            // An id takes 34 bytes and the head of an array at most 5.
            let fit = (buffer.len().saturating_sub(5) / 34).max(1).min(rest.len());
            let page: Vec<ByteArray<32>> =
                rest[..fit].iter().map(|(_, id)| ByteArray::from(*id)).collect();
            match page.is_empty() {
                true => 0,
                false => whole(&minicbor::to_vec(page).expect("vectors take any length"), buffer),
            }
        })
    }

    pub(crate) fn dag_children(id: &[u8; 32], cursor: i64, buffer: &mut [u8]) -> i32 {
        if !host(|host| host.dag.contains_key(id)) {
            return Errno::NotFound as i32;
        }
        ids(cursor, buffer, |metadata| metadata.parents.iter().any(|parent| **parent == *id))
    }

    pub(crate) fn dag_query(query: &[u8], cursor: i64, buffer: &mut [u8]) -> i32 {
        let Ok(query) = minicbor::decode::<DagQuery>(query) else {
            return Errno::Malformed as i32;
        };
        ids(cursor, buffer, |metadata| {
            query.kind.as_ref().is_none_or(|kind| *kind == metadata.kind)
                && query.channel.is_none_or(|channel| Some(channel) == metadata.channel)
                && query.author.is_none_or(|author| author == metadata.author)
                && query.from_ms.is_none_or(|from| from <= metadata.time_ms)
                && query.until_ms.is_none_or(|until| metadata.time_ms <= until)
        })
    }

    pub(crate) fn propose(proposal: &[u8]) -> i32 {
        host(|host| {
            note(host, proposal);
            let index = host.proposals.len();
            if index >= host.proposals_max {
                return Errno::Refused as i32;
            }
            host.proposals.push(proposal.to_vec());
            index as i32
        })
    }

    pub(crate) fn call(package: &[u8; 32], entry: &[u8], _: &[u8], output: &mut [u8]) -> i32 {
        host(|host| {
            let Some(callee) = host.callees.get(&(*package, entry.to_vec())) else {
                return Errno::NotFound as i32;
            };
            let Some((header, rest)) = output.split_first_chunk_mut::<16>() else {
                return Errno::InvalidArgument as i32;
            };
            header[..8].copy_from_slice(&callee.fuel.to_le_bytes());
            header[8..12].copy_from_slice(&callee.class.to_le_bytes());
            header[12..].copy_from_slice(&callee.detail.to_le_bytes());
            16 + whole(&callee.output, rest)
        })
    }

    pub(crate) fn fs_read(path: &[u8], offset: i64, buffer: &mut [u8]) -> i32 {
        host(|host| {
            note(host, buffer);
            match host.files.get(path) {
                Some(file) => page(file, offset, buffer),
                None => Errno::NotFound as i32,
            }
        })
    }

    pub(crate) fn fs_write(path: &[u8], bytes: &[u8]) -> i32 {
        host(|host| {
            note(host, bytes);
            host.files.insert(path.to_vec(), bytes.to_vec());
        });
        0
    }

    pub(crate) fn net_request(request: &[u8], buffer: &mut [u8]) -> i32 {
        host(|host| {
            note(host, buffer);
            match host.net_answers.get(request) {
                Some(answer) => page(answer, 0, buffer),
                None => Errno::Refused as i32,
            }
        })
    }
}
