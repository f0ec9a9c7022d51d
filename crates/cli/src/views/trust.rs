//! The view of trust: the graph of all statements, with the eyes of one person.

use std::collections::BTreeMap;

use kapsule_format::capsule::{Body, kind};
use kapsule_format::cbor;
use kapsule_format::hash::Digest as Hash;
use kapsule_format::key::IdentityId;
use kapsule_store::Store;

use super::{Asked, Desk, Input, Seen, at, changes, next_change, once};
use crate::cli::Context;
use crate::convert::rows::Trust;
use crate::error::Failure;
use crate::gather;
use crate::trustfile;

/// Most statements that the package is given, those with the latest times; its own limit.
const STATEMENTS_MAX: usize = 200_000;

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
            let rows = desk.store.view().latest(None, None, kind::TRUST, STATEMENTS_MAX as u64)?;
            let items = desk.items(&rows)?.items;
            Ok(Box::new(move |now_ms| {
                let mut there = at(&items, now_ms);
                let mut left = STATEMENTS_MAX;
                there.retain(|item| match &item.body {
                    Body::Trust(trust) if trust.edges.len() <= left => {
                        left -= trust.edges.len();
                        true
                    }
                    _ => false,
                });
                let expiries = there.iter().flat_map(|item| match &item.body {
                    Body::Trust(trust) => trust.edges.as_slice(),
                    _ => &[],
                });
                // An edge is there up to its expiry, that millisecond included.
                let expiries = expiries.map(|edge| edge.expiry_ms.saturating_add(1));
                let until_ms = next_change(now_ms, changes(&items).chain(expiries));
                let input = gather::trust_input(&there, viewer, now_ms);
                Ok(Input { now_ms, bytes: cbor::encode(&input), until_ms })
            }))
        },
        once,
    )
}
