//! Capsules that are linked by their parents: the query of a guest, and a graph in memory.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use kapsule_abi::Errno;
use kapsule_format::cbor::{self, Fields};
use kapsule_format::key::IdentityId;
use kapsule_format::{DecodeError, Digest};

use super::CapsuleMetadata;

/// Which capsules are meant; an absent field matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DagQuery {
    /// Capsule kind.
    pub kind: Option<String>,
    /// Channel id.
    pub channel: Option<Digest>,
    /// Identity id of the author.
    pub author: Option<IdentityId>,
    /// Least claimed time, in milliseconds since 1970.
    pub from_ms: Option<u64>,
    /// Greatest claimed time, in milliseconds since 1970.
    pub until_ms: Option<u64>,
}

impl DagQuery {
    /// Decodes what `dag_query` was given.
    ///
    /// # Errors
    /// [`Errno::Malformed`] for anything but the closed map of `spec/abi.md`.
    pub fn decode(bytes: &[u8]) -> Result<Self, Errno> {
        let read = || {
            let mut fields = Fields::new(cbor::decode(bytes)?, "dag-query")?;
            let author: Option<Digest> = fields.optional(2)?;
            let query = Self {
                kind: fields.optional(0)?,
                channel: fields.optional(1)?,
                author: author.map(IdentityId::new),
                from_ms: fields.optional(3)?,
                until_ms: fields.optional(4)?,
            };
            fields.finish()?;
            Ok::<_, DecodeError>(query)
        };
        read().map_err(|_| Errno::Malformed)
    }

    /// Tells whether a capsule is meant.
    #[must_use]
    pub fn matches(&self, metadata: &CapsuleMetadata) -> bool {
        let claimed = metadata.claimed_ms;
        self.kind.as_ref().is_none_or(|kind| *kind == metadata.kind)
            && self.channel.is_none_or(|channel| metadata.channel == Some(channel))
            && self.author.as_ref().is_none_or(|author| *author == metadata.author)
            && self.from_ms.is_none_or(|from| from <= claimed)
            && self.until_ms.is_none_or(|until| claimed <= until)
    }
}

/// A graph of capsules in memory.
///
/// # Examples
/// ```
/// use kapsule_engine::{CapsuleMetadata, Dag, DagQuery};
/// use kapsule_format::{Digest, key::IdentityId};
///
/// let metadata = CapsuleMetadata {
///     kind: "post".into(),
///     channel: None,
///     author: IdentityId::new(Digest::new([1; 32])),
///     seq: 0,
///     parents: vec![],
///     flags: vec![],
///     claimed_ms: 5,
///     logic: None,
/// };
/// let mut dag = Dag::default();
/// dag.insert(Digest::new([2; 32]), metadata);
/// assert_eq!(dag.query(&DagQuery::default(), 0, 9), [Digest::new([2; 32])]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dag {
    capsules: BTreeMap<Digest, CapsuleMetadata>,
    /// Ids by claimed time, the order of every answer.
    order: BTreeSet<(u64, Digest)>,
    children: BTreeMap<Digest, BTreeSet<(u64, Digest)>>,
}

impl Dag {
    /// Adds a capsule; one that is there already is replaced.
    pub fn insert(&mut self, id: Digest, metadata: CapsuleMetadata) {
        if let Some(old) = self.capsules.remove(&id) {
            let place = (old.claimed_ms, id);
            self.order.remove(&place);
            for parent in old.parents {
                self.children.entry(parent).or_default().remove(&place);
            }
        }
        let place = (metadata.claimed_ms, id);
        self.order.insert(place);
        for parent in &metadata.parents {
            self.children.entry(*parent).or_default().insert(place);
        }
        self.capsules.insert(id, metadata);
    }

    /// Returns the metadata of a capsule.
    #[must_use]
    pub fn metadata(&self, id: &Digest) -> Option<&CapsuleMetadata> {
        self.capsules.get(id)
    }

    /// Returns at most `count` children of a capsule from position `from` on, or `None` if the
    /// capsule is not there.
    #[must_use]
    pub fn children(&self, id: &Digest, from: u64, count: usize) -> Option<Vec<Digest>> {
        self.capsules.get(id)?;
        let places = self.children.get(id).into_iter().flatten();
        Some(page(places, from, count))
    }

    /// Returns at most `count` of the capsules that match, from position `from` among them on.
    #[must_use]
    pub fn query(&self, query: &DagQuery, from: u64, count: usize) -> Vec<Digest> {
        let matches = |place: &&(u64, Digest)| {
            self.capsules.get(&place.1).is_some_and(|metadata| query.matches(metadata))
        };
        page(self.order.iter().filter(matches), from, count)
    }
}

fn page<'a>(
    places: impl Iterator<Item = &'a (u64, Digest)>,
    from: u64,
    count: usize,
) -> Vec<Digest> {
    let from = usize::try_from(from).unwrap_or(usize::MAX);
    places.skip(from).take(count).map(|(_, id)| *id).collect()
}
