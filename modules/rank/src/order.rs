//! The order of posts, and room for many voices in it.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::cmp::{Ordering, Reverse};

use crate::input::Input;
use crate::math::log2_millionths;
use crate::weigh::Weight;

/// Number of places above a post that are searched for its author and domain: a page, chosen.
pub const WINDOW: usize = 30;

/// A post on its way into a list.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    /// Place in the input.
    pub(crate) index: usize,
    pub(crate) weight: Weight,
    /// Half-lives, as a logarithm of at least 0.
    pub(crate) age: i64,
    /// What crowding takes away, as a logarithm of at least 0.
    pub(crate) crowding: i64,
    /// Logarithm of the score.
    pub(crate) key: i64,
}

/// Author and domain of each post as numbers, since they are compared often.
pub(crate) struct Crowds {
    authors: Vec<u32>,
    /// 0 stands for no domain.
    domains: Vec<u32>,
}

impl Crowds {
    pub(crate) fn new(input: &Input<'_>) -> Self {
        let authors = numbers(input.posts.iter().map(|post| post.author));
        let mut domains = numbers(input.posts.iter().map(|post| post.domain));
        for (number, post) in domains.iter_mut().zip(&input.posts) {
            *number = if post.domain.is_empty() { 0 } else { *number + 1 };
        }
        Self { authors, domains }
    }
}

/// Numbers equal values alike, in order of their first appearance.
fn numbers<T: Ord>(values: impl Iterator<Item = T>) -> Vec<u32> {
    let mut seen = BTreeMap::new();
    values
        .map(|value| {
            let next = seen.len() as u32;
            *seen.entry(value).or_insert(next)
        })
        .collect()
}

/// Orders candidates, lowers each for those of its author and domain in the window above it, and
/// orders them again.
///
/// The window is that of the first order, so the result does not feed back on itself.
pub(crate) fn arrange(
    input: &Input<'_>,
    crowds: &Crowds,
    mut candidates: Vec<Candidate>,
) -> Vec<Candidate> {
    let author_cost = -log2_millionths(input.parameters.author_factor_ppm);
    let domain_cost = -log2_millionths(input.parameters.domain_factor_ppm);
    let compare = |a: &Candidate, b: &Candidate| precedence(input, a, b);
    candidates.sort_unstable_by(compare);
    let places: Vec<(u32, u32)> = candidates
        .iter()
        .map(|candidate| (crowds.authors[candidate.index], crowds.domains[candidate.index]))
        .collect();
    for (place, candidate) in candidates.iter_mut().enumerate() {
        let (author, domain) = places[place];
        for above in &places[place.saturating_sub(WINDOW)..place] {
            if above.0 == author {
                candidate.crowding += author_cost;
            }
            if above.1 == domain && domain != 0 {
                candidate.crowding += domain_cost;
            }
        }
        candidate.key -= candidate.crowding;
    }
    candidates.sort_unstable_by(compare);
    candidates
}

/// Compares two posts: the greater key first, then the newer, then the lower id.
///
/// Ids differ, so no two posts are equal and the order is total.
fn precedence(input: &Input<'_>, a: &Candidate, b: &Candidate) -> Ordering {
    let rest = |candidate: &Candidate| {
        let post = &input.posts[candidate.index];
        (Reverse(post.created_ms), post.id)
    };
    b.key.cmp(&a.key).then_with(|| rest(a).cmp(&rest(b)))
}
