//! The view of trust: the graph of all statements, with the eyes of one person.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};

use kapsule_format::capsule::{Body, Edge, kind};
use kapsule_format::cbor;
use kapsule_format::hash::Digest as Hash;
use kapsule_format::key::IdentityId;
use kapsule_store::Store;

use super::{Asked, Desk, Input, Seen, at, changes, next_change, once};
use crate::cli::Context;
use crate::convert::rows::Trust;
use crate::error::Failure;
use crate::gather::{self, Item};
use crate::trustfile;

/// Most capsules that are looked at; chosen, opening them takes some seconds.
const CAPSULES_MAX: u64 = 200_000;

/// Most statements that the package is given.
///
/// Chosen: fuel and memory of `trust` are enough for so many of any shape.
const STATEMENTS_MAX: usize = 100_000;

/// Name of the view.
const NAME: &str = "trust";

/// Whose eyes a view is seen with.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct ViewerArgs {
    /// Whose eyes: a key of the home, the path of a `.pub` file, or an identity id; the only key of
    /// the home by default
    #[arg(long = "as", value_name = "KEY")]
    pub(crate) viewer: Option<String>,
}

impl ViewerArgs {
    /// Finds the viewer; nobody where none is named and the home does not have one key.
    pub(crate) fn find(&self, context: &Context) -> Result<Option<IdentityId>, Failure> {
        if let Some(named) = &self.viewer {
            return find(context, named).map(Some);
        }
        let keys = context.keys()?;
        match keys.names()?.as_slice() {
            [name] => Ok(Some(keys.look(name)?.identity.id())),
            _ => Ok(None),
        }
    }
}

/// Finds somebody by the name of a key, a `.pub` file, or an identity id.
pub(crate) fn find(context: &Context, named: &str) -> Result<IdentityId, Failure> {
    match named.parse::<Hash>() {
        Ok(id) => Ok(IdentityId::new(id)),
        Err(_) => Ok(trustfile::find_identity(&context.keys()?, named)?.1.id()),
    }
}

/// Says that a viewer is needed.
pub(crate) fn no_viewer() -> Failure {
    let hint = "name a key of `kapsule key list` with --as; `kapsule key new NAME` makes one";
    Failure::usage("whose trust is not said, and the home does not have exactly one key", hint)
}

/// Returns the scores that the viewer last saw, in millionths; nobody's where there are none.
pub(crate) fn last_scores(
    store: &Store,
    viewer: IdentityId,
) -> Result<BTreeMap<IdentityId, u64>, Failure> {
    let scope = asked(viewer).scope();
    match store.view().computed(NAME, &scope)? {
        Some(row) => Ok(Trust::decode(&store.view().output(&row)?)?.scores()),
        None => Ok(BTreeMap::new()),
    }
}

fn asked<'a>(viewer: IdentityId) -> Asked<'a> {
    Asked {
        kind: kind::TRUST,
        name: NAME,
        channel: None,
        reads: &[kind::TRUST],
        reads_anywhere: &[],
        viewer: Some(*viewer.digest()),
        parts: Vec::new(),
    }
}

/// Sees everybody whom the statements of the store reach.
pub(crate) fn see(desk: &mut Desk<'_>, viewer: IdentityId) -> Result<Seen, Failure> {
    desk.see(
        &asked(viewer),
        |desk| {
            let rows = desk.store.view().latest(None, None, kind::TRUST, CAPSULES_MAX)?;
            let items = desk.items(&rows)?.items;
            Ok(Box::new(move |now_ms| {
                let there = at(&items, now_ms);
                // An edge is there up to its expiry, that millisecond included.
                let expiries = there.iter().flat_map(edges);
                let expiries = expiries.map(|edge| edge.expiry_ms.saturating_add(1));
                let until_ms = next_change(now_ms, changes(&items).chain(expiries));
                let near = nearest(there, viewer, now_ms, STATEMENTS_MAX);
                let input = gather::trust_input(&near, viewer, now_ms);
                Ok(Input { now_ms, bytes: cbor::encode(&input), until_ms })
            }))
        },
        once,
    )
}

/// Keeps the capsules of people whom trust from the viewer reaches, with at most `most` statements
/// together: first those of people who are fewest steps away, and of these the first.
///
/// Nobody else's statements change any score, flow or block, so strangers crowd nobody out.
fn nearest(mut items: Vec<Item>, viewer: IdentityId, now_ms: u64, most: usize) -> Vec<Item> {
    let steps = steps(&items, viewer, now_ms);
    items.retain(|item| steps.contains_key(&item.author));
    items.sort_by_key(|item| steps.get(&item.author).copied());
    let mut left = most;
    items.retain(|item| match left.checked_sub(edges(item).len()) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    });
    items
}

/// Returns how many steps of trust lead from the viewer to each person whom any reach.
fn steps(items: &[Item], viewer: IdentityId, now_ms: u64) -> BTreeMap<IdentityId, u64> {
    let mut trusted: BTreeMap<IdentityId, Vec<IdentityId>> = BTreeMap::new();
    for item in items {
        let held = edges(item).iter().filter(|edge| gather::holds(edge, now_ms) && !edge.blocked);
        let about = held.filter(|edge| edge.weight_ppm > 0).map(|edge| edge.about);
        trusted.entry(item.author).or_default().extend(about);
    }
    let mut steps = BTreeMap::from([(viewer, 0)]);
    let mut reached = VecDeque::from([viewer]);
    while let Some(person) = reached.pop_front() {
        let next = steps[&person] + 1;
        for about in trusted.get(&person).into_iter().flatten() {
            if let Entry::Vacant(slot) = steps.entry(*about) {
                slot.insert(next);
                reached.push_back(*about);
            }
        }
    }
    steps
}

fn edges(item: &Item) -> &[Edge] {
    match &item.body {
        Body::Trust(trust) => &trust.edges,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kapsule_format::capsule::{CapsuleId, TrustBody};

    fn person(byte: u8) -> IdentityId {
        IdentityId::new(Hash::new([byte; 32]))
    }

    /// A capsule of somebody with edges, each to somebody with a weight, a block and an expiry.
    fn said(id: u8, author: u8, edges: &[(u8, u64, bool, u64)]) -> Item {
        let edge = |&(about, weight_ppm, blocked, expiry_ms)| Edge {
            about: person(about),
            weight_ppm,
            blocked,
            expiry_ms,
        };
        let edges = edges.iter().map(edge).collect();
        Item {
            id: CapsuleId::new(Hash::new([id; 32])),
            author: person(author),
            time_ms: 0,
            expiry_ms: None,
            kind: kind::TRUST.into(),
            flags: Vec::new(),
            body: Body::Trust(TrustBody { edges, ..TrustBody::default() }),
        }
    }

    #[test]
    fn strangers_crowd_nobody_out() {
        let edge = |about| (about, 1, false, 0);
        let items = vec![
            said(1, 90, &[edge(91); 3]),
            said(2, 92, &[edge(1)]),
            // Nobody comes nearer by a block, no weight, or what has expired.
            said(3, 93, &[edge(1)]),
            said(4, 3, &[edge(4)]),
            said(5, 2, &[edge(3), (92, 1, true, 0), (93, 0, false, 0), (90, 1, false, 99)]),
            said(6, 1, &[edge(2)]),
            said(7, 1, &[edge(2)]),
        ];
        let near = |most| {
            let near = nearest(items.clone(), person(1), 100, most);
            near.iter().map(|item| item.id.digest().as_bytes()[0]).collect::<Vec<u8>>()
        };
        assert_eq!(near(8), [6, 7, 5, 4]);
        assert_eq!(near(7), [6, 7, 5, 4]);
        assert_eq!(near(3), [6, 7, 4]);
        assert!(near(0).is_empty());
    }
}
