//! The view of posts: what a filter leaves, in the order of a ranking.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use kapsule_format::Digest;
use kapsule_format::capsule::{CapsuleId, ChannelId, kind};
use kapsule_format::cbor::{self, Value};
use kapsule_format::key::IdentityId;

use super::{Asked, Desk, Input, Seen, at, changes, filter, next_change, once, trust};
use crate::convert::Name;
use crate::convert::rows::{Rank, trust_value};
use crate::convert::sms::Verdict;
use crate::error::Failure;
use crate::gather::{self, Item};

/// Most posts that are ranked, and most posts and comments that are judged, those with the latest
/// claimed times; limits of the packages.
pub(super) const ITEMS_MAX: usize = 50_000;

/// Most bytes of the rows of posts in the input of a ranking.
///
/// Chosen: more than as many posts as above have, and with rows of any form and the trust of
/// everybody what fuel and memory of `rank` are enough for.
const POSTS_BYTES_MAX: usize = 8 << 20;

/// Rows that a ranking keeps, and most that a feed shows; chosen, more than anybody reads.
pub(crate) const ROWS_MAX: u64 = 1_000;

/// Key of `rows_max` in the parameters of `rank`.
const ROWS_MAX_KEY: u64 = 9;

/// A feed with everything that it was made of.
pub(crate) struct Feed {
    /// The ranking.
    pub(crate) rank: Rank,
    /// What the filter says of posts that are shown or hidden.
    pub(crate) verdicts: BTreeMap<CapsuleId, Verdict>,
    /// Every view that was computed or kept, by name.
    pub(crate) seen: Vec<(&'static str, Seen)>,
}

/// Takes the capsule out of a name that a package gives back.
pub(crate) fn capsule_id(name: &Name) -> Option<CapsuleId> {
    match name {
        Name::Bytes(bytes) => Some(CapsuleId::new(Digest::new(bytes.as_slice().try_into().ok()?))),
        _ => None,
    }
}

/// Sees the feed of a channel, or of all, with the eyes of somebody.
pub(crate) fn see(
    desk: &mut Desk<'_>,
    channel: Option<ChannelId>,
    viewer: Option<IdentityId>,
) -> Result<Feed, Failure> {
    desk.rule(kind::POST)?;
    let mut seen = Vec::new();
    let mut parts = Vec::new();
    let trust = match desk.dispatch.of_all(kind::TRUST) {
        Some(_) => {
            let trust = trust::see(desk, viewer.ok_or_else(trust::no_viewer)?)?;
            parts.push(trust.row.output);
            seen.push(("trust", trust));
            true
        }
        None => false,
    };
    let filtered = desk.dispatch.of_all(kind::COMMENT).is_some();
    let latest = Latest::of(channel);
    if filtered {
        let filter = filter::see(desk, &latest)?;
        parts.push(filter.row.output);
        seen.push(("filter", filter));
    }
    let viewer = viewer.filter(|_| trust).map(|viewer| *viewer.digest());
    let asked = Asked {
        kind: kind::POST,
        name: "feed",
        channel,
        reads: &[kind::POST, kind::COMMENT],
        reads_anywhere: &[],
        viewer,
        parts,
    };
    let [scores, verdicts] = ["trust", "filter"]
        .map(|name| seen.iter().find(|(own, _)| *own == name).map(|(_, seen)| desk.output(seen)));
    let verdicts = filter::told(verdicts.transpose()?.as_deref())?;
    let hidden: BTreeSet<CapsuleId> =
        verdicts.iter().filter(|(_, one)| one.word() == "hide").map(|(id, _)| *id).collect();
    let scores = scores.transpose()?;
    let ranked = desk.see(
        &asked,
        |desk| {
            let items = latest.open(desk)?;
            let trust = scores.as_deref().map(trust_value).transpose()?;
            Ok(Box::new(move |now_ms| {
                let mut there = at(&items, now_ms);
                there.retain(|item| !hidden.contains(&item.id));
                // All posts age alike, so any time gives the same order; that of the latest one
                // gives scores that can be told apart.
                let latest = there.iter().map(|item| item.time_ms).max().unwrap_or(0);
                let mut input = gather::rank_input(&there, latest, trust.clone(), POSTS_BYTES_MAX);
                if let Value::Map(fields) = &mut input {
                    let rows = Value::Map(vec![(ROWS_MAX_KEY, ROWS_MAX.into())]);
                    fields.push((4, rows));
                }
                let until_ms = next_change(now_ms, changes(&items));
                Ok(Input { now_ms, bytes: cbor::encode(&input), until_ms })
            }))
        },
        once,
    )?;
    let rank = Rank::decode(&desk.output(&ranked)?)?;
    seen.push(("feed", ranked));
    Ok(Feed { rank, verdicts, seen })
}

/// The latest posts, and the latest comments, opened when they are first asked for.
pub(super) struct Latest {
    /// The only channel that is looked at.
    pub(super) channel: Option<ChannelId>,
    items: OnceCell<Rc<[Item]>>,
}

impl Latest {
    fn of(channel: Option<ChannelId>) -> Self {
        Self { channel, items: OnceCell::new() }
    }

    /// Returns what the keys at hand open.
    pub(super) fn open(&self, desk: &Desk<'_>) -> Result<Rc<[Item]>, Failure> {
        if let Some(items) = self.items.get() {
            return Ok(Rc::clone(items));
        }
        let (view, channel) = (desk.store.view(), self.channel.as_ref());
        let mut rows = view.latest(channel, None, kind::POST, ITEMS_MAX as u64)?;
        rows.extend(view.latest(channel, None, kind::COMMENT, ITEMS_MAX as u64)?);
        let items = desk.items(&rows)?.items.into();
        Ok(Rc::clone(self.items.get_or_init(|| items)))
    }
}
