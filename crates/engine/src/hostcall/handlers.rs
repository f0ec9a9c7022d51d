//! What each hostcall does; `spec/abi.md` says the same in words.

use alloc::format;
use alloc::vec::Vec;

use kapsule_abi::hostcall::{CALL, LOG};
use kapsule_abi::{Errno, Limit, Rule, guard};
use kapsule_format::cbor::{self, Value};
use kapsule_format::hash::{sha3_256, sha256};
use kapsule_format::key::{Identity, IdentityId, PublicKey, Suite};

use super::{Answers, Dispatcher, Reply, Request, answers};
use crate::HostError;
use crate::host::{CapsuleResult, Host, is_encodable, rest_from};
use crate::replay::Difference;

/// Greatest level of `log`.
const LOG_LEVEL_MAX: u8 = 4;

/// Length of an identity id given to `get_trust_score`; a longer argument is a key.
const IDENTITY_BYTES: usize = 32;

/// Why a handler has no reply.
pub(super) enum Failure {
    /// The host failed.
    Host(HostError),
    /// The recorded answer is not one that a host can give.
    Diverged(Difference),
}

impl From<HostError> for Failure {
    fn from(error: HostError) -> Self {
        Self::Host(error)
    }
}

impl Dispatcher<'_> {
    /// Decides a call that broke no common limit.
    pub(super) fn handle(&mut self, request: &Request<'_>) -> Result<Reply, Failure> {
        match request.hostcall.number {
            1 => self.input_len(request),
            2 => self.input_read(request),
            3 => Ok(self.output_write(request)),
            LOG => Ok(self.log(request)),
            5 => self.get_capsule_metadata(request),
            6 => self.ask(request, |host| {
                let length = host.capsule_payload_len(request.arg32(0))?;
                length.map_or_else(refused, |length| number(request, length))
            }),
            7 => self.capsule_payload_read(request),
            8 => self.submit_capsule_result(request),
            9 => self.get_trust_score(request),
            10 => self.trust_edges(request),
            11 => Ok(hash(request)),
            12 => Ok(signature_verify(request)),
            13 => self.ask(request, |host| number(request, host.now_ms()?)),
            14 => Ok(self.random(request)),
            15 => self.kv_get(request),
            16 => self.kv_set(request),
            17 => self.kv_delete(request),
            18 => self.kv_next(request),
            19 => self.dag_get(request),
            20 => self.dag_children(request),
            21 => self.dag_query(request),
            22 => self.propose(request),
            CALL => self.call_package(request),
            24 => self.fs_read(request),
            25 => self.fs_write(request),
            26 => self.net_request(request),
            number => Err(Failure::Host(HostError::Hostcall {
                hostcall: request.hostcall.name,
                detail: format!("hostcall {number} is not implemented"),
            })),
        }
    }

    /// Asks the host, or takes the recorded answer in its place.
    ///
    /// What `live` returns is handed on as it is, since a reply that is taken apart and put
    /// together again costs as much as a short call.
    pub(super) fn ask(
        &mut self,
        request: &Request<'_>,
        live: impl FnOnce(&mut dyn Host) -> Result<Reply, Failure>,
    ) -> Result<Reply, Failure> {
        match &mut self.answers {
            Answers::Live(host) => live(&mut **host),
            Answers::Recorded(entries) => {
                let seq = self.record.entries.len() as u64;
                answers::recorded(entries, seq, request).map_err(Failure::Diverged)
            }
        }
    }

    fn input_len(&mut self, request: &Request<'_>) -> Result<Reply, Failure> {
        match self.setting.input {
            Some(input) => number(request, input.len() as u64),
            None => self.ask(request, |_| Err(no_input(request).into())),
        }
    }

    fn input_read(&mut self, request: &Request<'_>) -> Result<Reply, Failure> {
        let Some(input) = self.setting.input else {
            return self.ask(request, |_| Err(no_input(request).into()));
        };
        let rest = rest_from(input, request.arg(0));
        let (start, count) = (input.len() - rest.len(), rest.len().min(request.capacity()));
        Ok(Reply::Input(start..start + count))
    }

    fn output_write(&mut self, request: &Request<'_>) -> Reply {
        let bytes = request.input(0);
        let total = (self.record.output.len() as u64).saturating_add(bytes.len() as u64);
        if guard!("engine.hostcall.output", total > self.setting.policy.limits.output_bytes) {
            return Reply::Limit(Limit::Output);
        }
        self.record.output.extend_from_slice(bytes);
        Reply::Answered(0, Vec::new())
    }

    fn log(&mut self, request: &Request<'_>) -> Reply {
        let bytes = request.input(0);
        let level = u8::try_from(request.arg(0)).unwrap_or(u8::MAX);
        if guard!("engine.hostcall.log_level", level > LOG_LEVEL_MAX) {
            return Reply::Denied(Rule::Argument);
        }
        let total = self.record.log_bytes.saturating_add(bytes.len() as u64);
        if guard!("engine.hostcall.log", total > self.setting.policy.limits.log_bytes) {
            return Reply::Limit(Limit::Log);
        }
        self.record.log_bytes = total;
        Reply::Answered(0, Vec::new())
    }

    fn get_capsule_metadata(&mut self, request: &Request<'_>) -> Result<Reply, Failure> {
        self.ask(request, |host| {
            let metadata = match host.capsule_metadata(request.arg32(0))? {
                Ok(metadata) => metadata,
                Err(errno) => return refused(errno),
            };
            let bytes = encode(request, &metadata.to_value())?;
            Ok(whole_or_needed(bytes, request.capacity()))
        })
    }

    fn capsule_payload_read(&mut self, request: &Request<'_>) -> Result<Reply, Failure> {
        let mut buffer = self.zeros(request.capacity());
        self.ask(request, |host| {
            let (index, offset) = (request.arg32(0), request.arg(1));
            let count = host.capsule_payload_read(index, offset, &mut buffer)?;
            Ok(count.map_or_else(Reply::Refused, |count| paged(buffer, count)))
        })
    }

    fn submit_capsule_result(&mut self, request: &Request<'_>) -> Result<Reply, Failure> {
        let result = match CapsuleResult::decode(request.input(0)) {
            Ok(result) => result,
            Err(errno) => return Ok(Reply::Refused(errno)),
        };
        self.ask(request, |host| {
            let taken = host.submit_capsule_result(request.arg32(0), result)?;
            Ok(taken.map_or_else(Reply::Refused, |()| Reply::Answered(0, Vec::new())))
        })
    }

    fn get_trust_score(&mut self, request: &Request<'_>) -> Result<Reply, Failure> {
        let Some(identity) = identity(request.input(0)) else {
            return Ok(Reply::Refused(Errno::InvalidArgument));
        };
        self.ask(request, |host| {
            host.trust_score(&identity)?.map_or_else(refused, |score| number(request, score))
        })
    }

    fn trust_edges(&mut self, request: &Request<'_>) -> Result<Reply, Failure> {
        let cursor = request.arg(0);
        if i64::try_from(cursor).is_err() {
            return Ok(Reply::Refused(Errno::InvalidArgument));
        }
        self.ask(request, |host| page_of_edges(host, request, cursor))
    }

    fn random(&mut self, request: &Request<'_>) -> Reply {
        let mut bytes = self.zeros(request.capacity());
        self.random.fill(&mut bytes);
        Reply::Answered(0, bytes)
    }
}

/// Returns as many whole edges from `cursor` on as fit, or the length that the first one needs.
fn page_of_edges(
    host: &mut dyn Host,
    request: &Request<'_>,
    cursor: u64,
) -> Result<Reply, Failure> {
    let capacity = request.capacity();
    let mut edges = Vec::new();
    let mut body_bytes: usize = 0;
    while let Some(edge) = host.trust_edge(cursor.saturating_add(edges.len() as u64))? {
        let edge = edge.to_value();
        body_bytes = body_bytes.saturating_add(encode(request, &edge)?.len());
        // The head of an array is as long as the integer that counts its elements.
        let head = cbor::encode(&Value::Uint(edges.len() as u64 + 1));
        let fits = head.len().saturating_add(body_bytes) <= capacity;
        if fits || edges.is_empty() {
            edges.push(edge);
        }
        if !fits {
            break;
        }
    }
    let page = if edges.is_empty() { Vec::new() } else { cbor::encode(&Value::Array(edges)) };
    Ok(whole_or_needed(page, capacity))
}

/// Encodes what a host handed over, which may be more than KCBOR can say.
pub(super) fn encode(request: &Request<'_>, value: &Value) -> Result<Vec<u8>, HostError> {
    if is_encodable(value) {
        return Ok(cbor::encode(value));
    }
    Err(failed(request, format!("{value:?} has a number or a character that KCBOR lacks")))
}

/// Reads the argument of `get_trust_score`: an identity id, or a suite byte and a key.
fn identity(bytes: &[u8]) -> Option<IdentityId> {
    if let Ok(id) = <[u8; IDENTITY_BYTES]>::try_from(bytes) {
        return Some(IdentityId::new(id.into()));
    }
    let (suite, key) = bytes.split_first()?;
    let suite = Suite::from_number(u64::from(*suite)).ok()?;
    let key = PublicKey::new(suite, key).ok()?;
    Some(Identity::try_from(key).ok()?.id())
}

pub(super) fn hash(request: &Request<'_>) -> Reply {
    let bytes = request.input(0);
    let digest = match request.arg32(0) {
        1 => *sha256(bytes).as_bytes(),
        2 => *sha3_256(bytes).as_bytes(),
        3 => *blake3::hash(bytes).as_bytes(),
        _ => return Reply::Refused(Errno::InvalidArgument),
    };
    Reply::Answered(0, digest.to_vec())
}

pub(super) fn signature_verify(request: &Request<'_>) -> Reply {
    let Ok(suite) = Suite::from_number(u64::from(request.arg32(0))) else {
        return Reply::Refused(Errno::Unsupported);
    };
    let (key, message, signature) = (request.input(0), request.input(1), request.input(2));
    let valid = PublicKey::new(suite, key).is_ok_and(|key| key.verify(message, signature).is_ok());
    Reply::Answered(i64::from(valid), Vec::new())
}

/// Answers a number that has to fit the i64 that the guest gets.
fn number(request: &Request<'_>, value: u64) -> Result<Reply, Failure> {
    match i64::try_from(value) {
        Ok(value) => Ok(Reply::Answered(value, Vec::new())),
        Err(_) => Err(failed(request, format!("{value} exceeds the greatest i64")).into()),
    }
}

/// Answers the first `count` bytes of a buffer.
pub(super) fn paged(mut buffer: Vec<u8>, count: usize) -> Reply {
    buffer.truncate(count);
    Reply::Answered(length(buffer.len()), buffer)
}

/// Answers all bytes, or only their number if the guest's buffer is too small for them.
pub(super) fn whole_or_needed(bytes: Vec<u8>, capacity: usize) -> Reply {
    let needed = length(bytes.len());
    Reply::Answered(needed, if bytes.len() > capacity { Vec::new() } else { bytes })
}

pub(super) fn length(bytes: usize) -> i64 {
    i64::try_from(bytes).expect("a buffer, a value and a metadata record have at most 2^20 bytes")
}

fn refused(errno: Errno) -> Result<Reply, Failure> {
    Ok(Reply::Refused(errno))
}

fn failed(request: &Request<'_>, detail: alloc::string::String) -> HostError {
    HostError::Hostcall { hostcall: request.hostcall.name, detail }
}

fn no_input(request: &Request<'_>) -> HostError {
    failed(request, "the run has no input".into())
}
