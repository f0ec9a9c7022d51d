//! Where a channel ends: what the next capsule of an author follows.

use std::collections::{BTreeMap, BTreeSet};

use kapsule_format::DecodeError;
use kapsule_format::capsule::{CapsuleId, Meta};
use kapsule_format::hash::Digest;
use kapsule_format::json::{self, Fields, Value};
use kapsule_format::key::IdentityId;
use kapsule_format::limits::CAPSULE_PARENTS_MAX;

/// Value of `schema`.
const SCHEMA: &str = "kapsule/heads/1";

/// Last capsule of each author, and the capsules that nothing follows yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heads {
    authors: BTreeMap<IdentityId, (u64, CapsuleId)>,
    heads: BTreeSet<CapsuleId>,
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
    /// Returns the place of the author's next capsule, behind everything that is known.
    pub(crate) fn next(&self, author: &IdentityId) -> Place {
        let last = self.authors.get(author);
        let back = last.map(|(_, id)| *id);
        let others = self.heads.iter().copied().filter(|id| Some(*id) != back);
        // What does not fit stays a head, for the capsule after this one.
        let prev = back.into_iter().chain(others).take(CAPSULE_PARENTS_MAX as usize).collect();
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
        fields.finish()?;
        Ok(Self { authors, heads: heads.into_iter().map(CapsuleId::new).collect() })
    }
}
