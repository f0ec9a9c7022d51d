//! The hostcalls that reach beyond the run: the DAG, proposals, files and the network.

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use kapsule_abi::{Errno, Rule, guard};
use kapsule_format::Digest;
use kapsule_format::cbor::{self, Value};
use kapsule_format::policy::Filesystem;

use super::handlers::{Failure, encode, paged, whole_or_needed};
use super::{Dispatcher, Reply, Request};
use crate::host::{DagQuery, NetRequest, NetworkKind, Proposal, copy_from};

/// Bytes of one id in an array of ids.
const ID_BYTES: usize = 34;

impl Dispatcher<'_> {
    pub(super) fn dag_get(&mut self, request: &Request<'_>) -> Result<Reply, Failure> {
        let id = id(request);
        self.ask(request, |host| match host.dag_metadata(&id)? {
            Ok(metadata) => {
                let bytes = encode(request, &metadata.to_value())?;
                Ok(whole_or_needed(bytes, request.capacity()))
            }
            Err(errno) => Ok(Reply::Refused(errno)),
        })
    }

    pub(super) fn dag_children(&mut self, request: &Request<'_>) -> Result<Reply, Failure> {
        let cursor = request.arg(1);
        if i64::try_from(cursor).is_err() {
            return Ok(Reply::Refused(Errno::InvalidArgument));
        }
        let id = id(request);
        self.ask(request, |host| {
            let count = ids_that_fit(request.capacity()).max(1);
            let children = host.dag_children(&id, cursor, count)?;
            Ok(children.map_or_else(Reply::Refused, |ids| page(ids, count, request.capacity())))
        })
    }

    pub(super) fn dag_query(&mut self, request: &Request<'_>) -> Result<Reply, Failure> {
        let query = match DagQuery::decode(request.input(0)) {
            Ok(query) => query,
            Err(errno) => return Ok(Reply::Refused(errno)),
        };
        let cursor = request.arg(2);
        if i64::try_from(cursor).is_err() {
            return Ok(Reply::Refused(Errno::InvalidArgument));
        }
        self.ask(request, |host| {
            let count = ids_that_fit(request.capacity()).max(1);
            Ok(page(host.dag_query(&query, cursor, count)?, count, request.capacity()))
        })
    }

    pub(super) fn propose(&mut self, request: &Request<'_>) -> Result<Reply, Failure> {
        let proposal = match Proposal::decode(request.input(0)) {
            Ok(proposal) => proposal,
            Err(errno) => return Ok(Reply::Refused(errno)),
        };
        let taken = core::mem::take(&mut self.staged.proposals);
        let reply = self.ask(request, |host| {
            let answer = host.propose(&proposal, &taken)?;
            Ok(answer.map_or_else(Reply::Refused, |()| Reply::Answered(0, Vec::new())))
        });
        self.staged.proposals = taken;
        Ok(match reply? {
            Reply::Answered(..) => {
                let index = self.staged.proposals.len() - self.staged.proposals_of_others;
                self.staged.proposals.push(proposal);
                // The number of calls is below 2^32 and far below what an i64 holds.
                Reply::Answered(i64::try_from(index).unwrap_or(i64::MAX), Vec::new())
            }
            reply => reply,
        })
    }

    pub(super) fn fs_read(&mut self, request: &Request<'_>) -> Result<Reply, Failure> {
        let Some(path) = path(request) else {
            return Ok(Reply::Refused(Errno::InvalidArgument));
        };
        let covered = self.setting.policy.filesystem.reads(&path);
        if guard!("engine.fs.read", !covered) {
            return Ok(Reply::Denied(Rule::Policy));
        }
        let (offset, mut buffer) = (request.arg(2), vec![0; request.capacity()]);
        if let Some(file) = self.staged.files.get(&path) {
            let count = copy_from(file, offset, &mut buffer);
            return Ok(paged(buffer, count));
        }
        self.ask(request, |host| {
            let count = host.file_read(&path, offset, &mut buffer)?;
            Ok(count.map_or_else(Reply::Refused, |count| paged(buffer, count)))
        })
    }

    pub(super) fn fs_write(&mut self, request: &Request<'_>) -> Result<Reply, Failure> {
        let Some(path) = path(request) else {
            return Ok(Reply::Refused(Errno::InvalidArgument));
        };
        let covered = self.setting.policy.filesystem.writes(&path);
        if guard!("engine.fs.write", !covered) {
            return Ok(Reply::Denied(Rule::Policy));
        }
        let reply = self.ask(request, |host| {
            let answer = host.file_writable(&path)?;
            Ok(answer.map_or_else(Reply::Refused, |()| Reply::Answered(0, Vec::new())))
        })?;
        if matches!(reply, Reply::Answered(..)) {
            self.staged.files.insert(path, request.input(1).to_vec());
        }
        Ok(reply)
    }

    pub(super) fn net_request(&mut self, request: &Request<'_>) -> Result<Reply, Failure> {
        let wanted = match NetRequest::decode(request.input(0)) {
            Ok(wanted) => wanted,
            Err(errno) => return Ok(Reply::Refused(errno)),
        };
        let network = self.setting.policy.network;
        let open = match wanted.network {
            NetworkKind::Mesh => network.allow_mesh,
            NetworkKind::Clearnet => network.allow_clearnet,
        };
        if guard!("engine.net.network", !open) {
            return Ok(Reply::Denied(Rule::Policy));
        }
        self.ask(request, |host| {
            let mut buffer = vec![0; request.capacity()];
            let count = host.net_request(&wanted, &mut buffer)?;
            Ok(count.map_or_else(Reply::Refused, |count| paged(buffer, count)))
        })
    }
}

/// Returns the id that the first buffer holds; the table fixes its length.
fn id(request: &Request<'_>) -> Digest {
    Digest::new(request.input(0).try_into().unwrap_or_default())
}

/// Returns the path that the first buffer holds, if it is one.
fn path(request: &Request<'_>) -> Option<String> {
    let path = core::str::from_utf8(request.input(0)).ok()?;
    if guard!("engine.fs.path", !Filesystem::is_path(path)) {
        return None;
    }
    Some(path.to_string())
}

/// Returns how many ids fit into an array of this many bytes.
fn ids_that_fit(capacity: usize) -> usize {
    let mut count = capacity / ID_BYTES;
    // The head of an array is as long as the integer that counts its elements.
    while count > 0 && cbor::encode(&Value::Uint(count as u64)).len() + count * ID_BYTES > capacity
    {
        count -= 1;
    }
    count
}

/// Answers at most `count` ids, or the length that one needs.
fn page(mut ids: Vec<Digest>, count: usize, capacity: usize) -> Reply {
    ids.truncate(count);
    let bytes = if ids.is_empty() { Vec::new() } else { cbor::encode(&Value::array(ids)) };
    whole_or_needed(bytes, capacity)
}
