//! A host whose graph and storage are those of a store.

use std::collections::BTreeMap;

use kapsule_abi::Errno;
use kapsule_engine::{
    Answer, CapsuleMetadata, CapsuleResult, DagQuery, Effects, Host, HostError, MemoryHost,
    NetRequest, Proposal, StorageSize, TrustEdge,
};
use kapsule_format::Digest;
use kapsule_format::capsule::{Capsule, CapsuleId, Meta};
use kapsule_format::key::IdentityId;
use kapsule_format::package::PackageId;
use rusqlite::types::ToSqlOutput;
use rusqlite::{params, params_from_iter};

use crate::capsules::View;
use crate::error::StoreError;
use crate::log::digest;

/// Returns what a guest is told of a capsule.
#[must_use]
pub fn metadata(meta: &Meta) -> CapsuleMetadata {
    CapsuleMetadata {
        kind: meta.kind.clone(),
        channel: meta.channel.map(|channel| *channel.digest()),
        author: meta.author.id(),
        seq: meta.seq,
        parents: meta.prev.iter().map(|id| *id.digest()).collect(),
        flags: meta.flags.clone(),
        claimed_ms: meta.time_ms,
        logic: meta.logic.as_ref().map(|logic| *logic.package.digest()),
    }
}

/// A trust statement of an opened capsule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// What a guest is told.
    pub edge: TrustEdge,
    /// Last time at which it holds, in milliseconds since 1970; 0 for ever.
    pub expiry_ms: u64,
}

impl Statement {
    const fn holds_at(&self, now_ms: u64) -> bool {
        self.expiry_ms == 0 || now_ms <= self.expiry_ms
    }
}

/// What a store with its keys knows of trust.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trusted {
    /// Scores of the viewer in millionths.
    pub scores: BTreeMap<IdentityId, u64>,
    /// Statements in the order in which their capsules were accepted.
    pub statements: Vec<Statement>,
}

/// The host of a run over one capsule: graph and storage are those of a store.
///
/// It changes nothing, and leaves nothing behind but changes of storage, which
/// [`Write::change_storage`](crate::Write::change_storage) writes: proposals and files are refused,
/// and there is nobody to send a request to.
#[derive(Clone, Debug)]
pub struct StoreHost<'a> {
    memory: MemoryHost,
    view: View<'a>,
    trusted: &'a Trusted,
    /// Places of the statements that hold at the time of the run, once they were asked for.
    holding: Option<Vec<usize>>,
}

impl<'a> StoreHost<'a> {
    /// Looks at a store, inside a change or outside.
    ///
    /// Of `memory` the capsules of the run, their results and the time count.
    #[must_use]
    pub const fn new(memory: MemoryHost, view: View<'a>, trusted: &'a Trusted) -> Self {
        Self { memory, view, trusted, holding: None }
    }

    fn find(&self, id: &Digest) -> Result<Option<CapsuleMetadata>, StoreError> {
        let id = CapsuleId::new(*id);
        if self.view.held(&id)?.is_none() {
            return Ok(None);
        }
        let file = self.view.file(&id)?;
        Ok(Some(metadata(Capsule::decode(&file)?.meta())))
    }

    fn children(&self, id: &Digest, from: u64, count: usize) -> Result<Vec<Digest>, StoreError> {
        let sql = "SELECT id FROM parent JOIN capsule ON capsule.id = parent.child
                   WHERE parent.parent = ?1 ORDER BY time_ms, id LIMIT ?2 OFFSET ?3";
        let values = params![id.as_ref(), place(count as u64), place(from)];
        self.view.list(sql, values, |row| digest(row.get(0)?))
    }

    fn query(&self, query: &DagQuery, from: u64, count: usize) -> Result<Vec<Digest>, StoreError> {
        // Each form of query is a statement of its own, so that its index is used.
        let mut sql = "SELECT id FROM capsule WHERE time_ms BETWEEN ?1 AND ?2".to_owned();
        let mut values: Vec<ToSqlOutput<'_>> =
            vec![place(query.from_ms.unwrap_or(0)).into(), i64::MAX.into()];
        if let (Some(until), Some(slot)) = (query.until_ms, values.last_mut()) {
            *slot = place(until).into();
        }
        let digest_of = |bytes: &[u8]| ToSqlOutput::from(bytes.to_vec());
        if let Some(kind) = &query.kind {
            values.push(kind.clone().into());
            write_clause(&mut sql, "kind", values.len());
        }
        if let Some(author) = &query.author {
            values.push(digest_of(author.as_ref()));
            write_clause(&mut sql, "author", values.len());
        }
        if let Some(channel) = &query.channel {
            values.push(digest_of(channel.as_ref()));
            write_clause(&mut sql, "channel", values.len());
            // A genesis names no channel, though its row has the one that it starts.
            sql.push_str(" AND id <> channel");
        }
        values.extend([place(count as u64).into(), place(from).into()]);
        let end = values.len();
        sql.push_str(&format!(" ORDER BY time_ms, id LIMIT ?{} OFFSET ?{end}", end - 1));
        self.view.list(&sql, params_from_iter(values), |row| digest(row.get(0)?))
    }
}

fn write_clause(sql: &mut String, column: &str, place: usize) {
    sql.push_str(&format!(" AND {column} = ?{place}"));
}

/// Turns a number into one of SQLite; nothing that is stored is as large as the greatest.
fn place(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn failed(hostcall: &'static str) -> impl Fn(StoreError) -> HostError {
    move |error| HostError::Hostcall { hostcall, detail: error.to_string() }
}

impl From<StoreHost<'_>> for MemoryHost {
    /// Keeps what the run left in memory: what it submitted for its capsules.
    fn from(host: StoreHost<'_>) -> Self {
        host.memory
    }
}

impl Host for StoreHost<'_> {
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
        Ok(self.trusted.scores.get(identity).copied().ok_or(Errno::NotFound))
    }

    fn trust_edge(&mut self, index: u64) -> Result<Option<TrustEdge>, HostError> {
        let (statements, now_ms) = (&self.trusted.statements, self.memory.now_ms);
        let holding = self.holding.get_or_insert_with(|| {
            let held = statements.iter().enumerate().filter(|(_, one)| one.holds_at(now_ms));
            held.map(|(place, _)| place).collect()
        });
        let place = usize::try_from(index).ok().and_then(|index| holding.get(index));
        Ok(place.and_then(|place| statements.get(*place)).map(|one| one.edge.clone()))
    }

    fn now_ms(&mut self) -> Result<u64, HostError> {
        self.memory.now_ms()
    }

    fn storage_get(
        &mut self,
        package: &PackageId,
        key: &[u8],
    ) -> Result<Option<Vec<u8>>, HostError> {
        self.view.storage_get(package, key).map_err(failed("kv_get"))
    }

    fn storage_next(
        &mut self,
        package: &PackageId,
        key: &[u8],
    ) -> Result<Option<Vec<u8>>, HostError> {
        self.view.storage_next(package, key).map_err(failed("kv_next"))
    }

    fn storage_size(&mut self, package: &PackageId) -> Result<StorageSize, HostError> {
        let row = self.view.storage_of(package).map_err(failed("kv_set"))?;
        Ok(row.map_or_else(StorageSize::default, |row| StorageSize {
            keys: row.keys,
            bytes: row.bytes,
        }))
    }

    fn dag_metadata(&mut self, id: &Digest) -> Answer<CapsuleMetadata> {
        Ok(self.find(id).map_err(failed("dag_get"))?.ok_or(Errno::NotFound))
    }

    fn dag_children(&mut self, id: &Digest, from: u64, count: usize) -> Answer<Vec<Digest>> {
        let failed = failed("dag_children");
        match self.view.held(&CapsuleId::new(*id)).map_err(&failed)? {
            Some(_) => Ok(Ok(self.children(id, from, count).map_err(failed)?)),
            None => Ok(Err(Errno::NotFound)),
        }
    }

    fn dag_query(
        &mut self,
        query: &DagQuery,
        from: u64,
        count: usize,
    ) -> Result<Vec<Digest>, HostError> {
        self.query(query, from, count).map_err(failed("dag_query"))
    }

    fn propose(&mut self, _: &Proposal, _: &[Proposal]) -> Answer<()> {
        Ok(Err(Errno::Refused))
    }

    fn file_read(&mut self, _: &str, _: u64, _: &mut [u8]) -> Answer<usize> {
        Ok(Err(Errno::NotFound))
    }

    fn file_writable(&mut self, _: &str) -> Answer<()> {
        Ok(Err(Errno::Refused))
    }

    fn net_request(&mut self, _: &NetRequest, _: &mut [u8]) -> Answer<usize> {
        Ok(Err(Errno::Refused))
    }

    /// Refuses changes: they are written in the change that the view belongs to.
    fn apply(&mut self, effects: &Effects) -> Result<(), HostError> {
        match effects.is_empty() {
            true => Ok(()),
            false => {
                let detail = "a view of a store changes nothing".to_owned();
                Err(HostError::Hostcall { hostcall: "kv_set", detail })
            }
        }
    }

    fn reset(&mut self) -> bool {
        self.memory.reset()
    }
}
