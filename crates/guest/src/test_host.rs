//! A host in memory for tests of modules.
//!
//! It answers the fourteen hostcalls from plain fields as `spec/abi.md` says, for one thread.
//! It prices, limits and records nothing, has no grants, and computes no hash and no signature;
//! a test that needs those runs the built module on the engine.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use std::cell::RefCell;

use kapsule_abi::BUFFER_BYTES_MAX;

use crate::TrustEdge;

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
    /// Longest buffer that a call passed, in bytes.
    pub buffer_bytes_max: usize,
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
    use kapsule_abi::Errno;

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
}
