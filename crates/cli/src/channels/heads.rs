//! Where a channel ends: what the next capsule of an author follows.

use std::collections::{BTreeMap, BTreeSet};

use kapsule_format::DecodeError;
use kapsule_format::capsule::{CapsuleId, ChannelId, Meta};
use kapsule_format::hash::Digest;
use kapsule_format::json::{self, Fields, Value};
use kapsule_format::key::IdentityId;
use kapsule_format::limits::CAPSULE_PARENTS_MAX;
use kapsule_store::{StoreError, View};

/// Value of `schema`.
const SCHEMA: &str = "kapsule/heads/1";

/// Last capsule of each author, and the capsules that nothing follows yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heads {
    authors: BTreeMap<IdentityId, (u64, CapsuleId)>,
    heads: BTreeSet<CapsuleId>,
    /// Heads of the store that own capsules follow, which the store does not know of yet.
    followed: BTreeSet<CapsuleId>,
    /// Heads that the store has now; never written.
    held: BTreeSet<CapsuleId>,
}

/// Place of the next capsule of an author.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its number.
    pub(crate) seq: u64,
    /// The author's capsule before.
    pub(crate) back: Option<CapsuleId>,
    /// What it follows.
    pub(crate) prev: Vec<CapsuleId>,
}

impl Heads {
    /// Takes in what a store holds of a channel: what others said, and what the author said from
    /// another home.
    pub(crate) fn join(
        &mut self,
        view: &View<'_>,
        channel: &ChannelId,
        author: &IdentityId,
    ) -> Result<(), StoreError> {
        for id in self.heads.clone() {
            if view.is_followed(&id)? {
                self.heads.remove(&id);
            }
        }
        self.held = view.heads(channel)?.into_iter().collect();
        self.followed.retain(|id| self.held.contains(id));
        self.held.retain(|id| !self.followed.contains(id));
        if let Some((seq, id)) = view.last_of(channel, author)? {
            let last = self.authors.entry(*author).or_insert((seq, id));
            if seq > last.0 {
                *last = (seq, id);
            }
        }
        Ok(())
    }

    /// Returns the place of the author's next capsule, behind everything that is known, `named`
    /// first.
    pub(crate) fn next(&self, author: &IdentityId, named: &[CapsuleId]) -> Place {
        let last = self.authors.get(author);
        let back = last.map(|(_, id)| *id);
        let heads = named.iter().chain(self.heads.union(&self.held)).copied();
        let mut prev: Vec<CapsuleId> = Vec::new();
        // What does not fit stays a head, for the capsule after this one.
        for id in back.into_iter().chain(heads) {
            if prev.len() < CAPSULE_PARENTS_MAX as usize && !prev.contains(&id) {
                prev.push(id);
            }
        }
        Place { seq: last.map_or(0, |(seq, _)| seq + 1), back, prev }
    }

    /// Takes a capsule in.
    pub(crate) fn note(&mut self, meta: &Meta, id: CapsuleId) {
        let last = self.authors.entry(meta.author.id()).or_insert((meta.seq, id));
        if meta.seq > last.0 {
            *last = (meta.seq, id);
        }
        for parent in &meta.prev {
            self.heads.remove(parent);
            if self.held.remove(parent) {
                self.followed.insert(*parent);
            }
        }
        self.heads.insert(id);
    }

    /// Encodes the file.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let author = |(author, (seq, last)): (&IdentityId, &(u64, CapsuleId))| {
            Value::object([
                ("author", Value::Text(author.to_string())),
                ("last", Value::Text(last.to_string())),
                ("seq", (*seq).into()),
            ])
        };
        json::encode(&Value::object([
            ("authors", Value::array(self.authors.iter().map(author))),
            ("followed", Value::array(self.followed.iter().map(|id| Value::Text(id.to_string())))),
            ("heads", Value::array(self.heads.iter().map(|id| Value::Text(id.to_string())))),
            ("schema", SCHEMA.into()),
        ]))
    }

    /// Decodes the file.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = Fields::of_file(bytes, "heads")?;
        fields.schema(SCHEMA)?;
        let mut authors = BTreeMap::new();
        for mut author in fields.objects("authors")? {
            let id: Digest = author.required("author")?;
            let last: Digest = author.required("last")?;
            let seq: u64 = author.required("seq")?;
            author.finish()?;
            authors.insert(IdentityId::new(id), (seq, CapsuleId::new(last)));
        }
        let heads: Vec<Digest> = fields.required("heads")?;
        let followed: Vec<Digest> = fields.optional("followed")?.unwrap_or_default();
        fields.finish()?;
        let ids = |list: Vec<Digest>| list.into_iter().map(CapsuleId::new).collect();
        Ok(Self { authors, heads: ids(heads), followed: ids(followed), held: BTreeSet::new() })
    }
}
