//! Short ways to write posts.

use kapsule_modules_common::Name;
use rank::{Input, Output, Parameters, Post};

pub(crate) const HOUR_MS: u64 = 3_600_000;
/// Time of ranking: 1,000 hours after 1970.
pub(crate) const NOW_MS: u64 = 1_000 * HOUR_MS;

/// A new post without engagement.
pub(crate) fn post(id: u64, author: &'static str) -> Post<'static> {
    Post {
        id: Name::Number(id),
        author: Name::Text(author),
        domain: "",
        points: 0,
        comments: 0,
        created_ms: NOW_MS,
        flagged: false,
        promoted_ok: false,
        votes: Vec::new(),
    }
}

pub(crate) fn input(posts: Vec<Post<'_>>) -> Input<'_> {
    Input { now_ms: NOW_MS, posts, trust: None, parameters: Parameters::default() }
}

/// Ids of the trending list.
pub(crate) fn trending(output: &Output<'_>) -> Vec<u64> {
    output.trending.iter().map(|row| number(row.id)).collect()
}

pub(crate) fn number(name: Name<'_>) -> u64 {
    match name {
        Name::Number(number) => number,
        other => panic!("{other:?} is not a number"),
    }
}
