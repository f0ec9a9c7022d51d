//! What a post weighs before it is compared with others.

use alloc::collections::BTreeMap;

use kapsule_modules_common::Name;

use crate::input::{Input, Post};
use crate::math::{ONE_BIT, log2, log2_millionths};
use crate::order::Candidate;
use crate::trust::FULL;

/// The parts of a post's score that do not depend on the list it is in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weight {
    /// Weight of the author in 10^-9.
    pub(crate) trust: u64,
    /// Factor for the author in 10^-9, at least the floor.
    pub(crate) factor: u64,
    /// Logarithm of 1 plus engagement, at least 0.
    pub(crate) engagement: i64,
    /// Logarithm of engagement and of the factors for author and flag.
    sum: i64,
}

pub(crate) struct Weigh<'i, 'a> {
    input: &'i Input<'a>,
    /// Weights by name; `None` without trust, when everyone has full weight.
    people: Option<BTreeMap<Name<'a>, Option<u64>>>,
}

impl<'i, 'a> Weigh<'i, 'a> {
    pub(crate) fn new(input: &'i Input<'a>) -> Self {
        Self { input, people: input.trust.as_ref().map(|trust| trust.weights()) }
    }

    /// Returns someone's weight in 10^-9, or `None` for one who is blocked.
    fn trust(&self, name: &Name<'a>) -> Option<u64> {
        match &self.people {
            None => Some(FULL),
            Some(people) => people.get(name).copied().unwrap_or(Some(0)),
        }
    }

    /// Returns the weight of a post, or `None` if its author is blocked.
    pub(crate) fn weight(&self, post: &Post<'a>) -> Option<Weight> {
        let parameters = &self.input.parameters;
        let trust = self.trust(&post.author)?;
        let votes = post.votes.iter().map(|voter| self.trust(voter).unwrap_or(0)).sum::<u64>();
        let votes_ppm =
            u128::from(votes) * u128::from(parameters.vote_weight_ppm) / u128::from(FULL);
        // Below 2 * 2^32 * 10^7 + 2 * 10^5 * 10^7, so it fits 64 bits.
        let engagement_ppm = u64::from(post.points) * parameters.point_weight_ppm
            + u64::from(post.comments) * parameters.comment_weight_ppm
            + votes_ppm as u64;
        let engagement = log2_millionths(1_000_000 + engagement_ppm);
        let floor = parameters.trust_floor_ppm;
        let factor = floor * 1_000 + (1_000_000 - floor) * trust / 1_000_000;
        let flag = if post.flagged { log2_millionths(parameters.flagged_factor_ppm) } else { 0 };
        let sum = engagement + log2(factor) - log2(FULL) + flag;
        Some(Weight { trust, factor, engagement, sum })
    }

    /// Returns the post at `index` with its age taken into account.
    pub(crate) fn candidate(&self, index: usize, weight: &Weight, half_life_ms: u64) -> Candidate {
        let age_ms = self.input.now_ms.saturating_sub(self.input.posts[index].created_ms);
        let age = half_lives(age_ms, half_life_ms);
        Candidate { index, weight: *weight, age, crowding: 0, key: weight.sum - age }
    }
}

/// Returns how many half-lives an age is, which is the logarithm that it takes away.
///
/// An age is below 2^53 and a half-life at least 60,000 ms, so whole half-lives are below 2^38.
fn half_lives(age_ms: u64, half_life_ms: u64) -> i64 {
    let whole = (age_ms / half_life_ms) as i64 * ONE_BIT;
    whole + (age_ms % half_life_ms * ONE_BIT as u64 / half_life_ms) as i64
}
