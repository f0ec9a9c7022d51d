#![doc = include_str!("../README.md")]
#![no_std]

extern crate alloc;

mod input;
mod math;
mod order;
mod output;
mod trust;
mod weigh;

use alloc::vec::Vec;

use kapsule_guest::Error;

pub use input::{
    Input, LIMIT_ERROR, PARAMETER_ERROR, POSTS_MAX, Parameters, Post, REPEATED_ERROR, VOTES_MAX,
};
pub use math::{ONE_BIT, exp2_millionths, log2};
pub use order::WINDOW;
pub use output::{Output, Row};
pub use trust::{Trust, TrustRow};

/// Ranks the posts of `input`.
///
/// # Determinism
/// Depends on the set of posts and of each post's flags and votes, not on their order.
#[must_use]
pub fn evaluate<'a>(input: &Input<'a>) -> Output<'a> {
    let parameters = &input.parameters;
    let weigh = weigh::Weigh::new(input);
    let (mut shown, mut hidden) = (Vec::new(), Vec::new());
    for (index, post) in input.posts.iter().enumerate() {
        match weigh.weight(post) {
            Some(weight) => shown.push((index, weight)),
            None => hidden.push(post.id),
        }
    }
    hidden.sort_unstable();

    let crowds = order::Crowds::new(input);
    let list = |half_life_ms: u64, wanted: &dyn Fn(&Post<'a>, &weigh::Weight) -> bool| {
        let kept = shown.iter().filter(|(index, weight)| wanted(&input.posts[*index], weight));
        let candidates = kept.map(|(index, weight)| weigh.candidate(*index, weight, half_life_ms));
        let mut candidates = order::arrange(input, &crowds, candidates.collect());
        if parameters.rows_max > 0 {
            candidates.truncate(parameters.rows_max as usize);
        }
        candidates.iter().map(|candidate| Row::new(input, candidate)).collect()
    };
    Output {
        trending: list(parameters.half_life_ms, &|_, _| true),
        promoted: list(parameters.promoted_half_life_ms, &|post, weight| {
            post.promoted_ok
                && !post.flagged
                && weight.trust >= parameters.promoted_trust_min_ppm * 1_000
        }),
        hidden,
    }
}

/// Evaluates an encoded input to an encoded output.
///
/// # Errors
/// The codes of the README's table.
pub fn run(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    Ok(evaluate(&Input::decode(bytes)?).encode())
}

kapsule_guest::entry!(raw run);
