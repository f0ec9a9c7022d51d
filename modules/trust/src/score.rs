//! Scores: personalised PageRank by power iteration in fixed point.

use alloc::vec;
use alloc::vec::Vec;

use crate::graph::Graph;

/// The score 1, so that a score is a count of 2^-62.
///
/// All scores together are exactly this, so no sum below overflows 64 bits.
pub const ONE: u64 = 1 << 62;

/// The distance from the fixed point at which iterations end, as a divisor: 10^-7.
const ERROR_DIVISOR: u64 = 10_000_000;

/// Returns the number of iterations: the least `k` with `damping^k <= 10^-7`.
///
/// It depends on the damping alone, so the work depends on the size of the graph and on nothing
/// else about it.
/// The powers are rounded up, which can only add an iteration.
#[must_use]
pub fn iterations(damping_ppm: u32) -> u32 {
    let (mut power, mut count) = (ONE, 0);
    while power > ONE / ERROR_DIVISOR {
        power = damp(power, damping_ppm) + 1;
        count += 1;
    }
    count
}

/// Returns the score of each node after `iterations` steps that start with everything at the
/// viewer.
///
/// In a step each node passes `damping` of its score on along its edges, by weight, and the rest
/// returns to the viewer: the undamped part, what a node without edges holds, what a cap cut off,
/// and what division leaves over.
pub(crate) fn scores(graph: &Graph<'_>, damping_ppm: u32, iterations: u32) -> Vec<u64> {
    let mut scores = vec![0; graph.names.len()];
    let mut next = scores.clone();
    scores[graph.viewer] = ONE;
    for _ in 0..iterations {
        spread(graph, &scores, &mut next);
        // Whatever anyone passes to the viewer comes back to it in any case.
        next[graph.viewer] = 0;
        let mut elsewhere = 0;
        for score in &mut next {
            *score = damp(*score, damping_ppm);
            elsewhere += *score;
        }
        next[graph.viewer] = ONE - elsewhere;
        core::mem::swap(&mut scores, &mut next);
    }
    scores
}

/// Sets `next` to what each node receives when every node passes on its whole score.
///
/// A node's share per unit of weight is rounded down, so what it passes on is at most its score
/// and less by less than its total weight; the sums stay at or below [`ONE`].
fn spread(graph: &Graph<'_>, scores: &[u64], next: &mut [u64]) {
    next.fill(0);
    for (node, score) in scores.iter().enumerate() {
        let Some(unit) = score.checked_div(graph.total(node)) else { continue };
        for edge in graph.edges(node) {
            // At most the score, so at most 2^62; a checked product takes 128 bits in wasm, and
            // this is the line that runs most.
            let passed = unit.wrapping_mul(u64::from(edge.weight));
            next[edge.to as usize] += passed;
        }
    }
}

/// Returns `score * damping`, rounded down.
fn damp(score: u64, damping_ppm: u32) -> u64 {
    let damping = u64::from(damping_ppm);
    // Below the score, and below 10^12: neither product wraps.
    (score / 1_000_000).wrapping_mul(damping)
        + (score % 1_000_000).wrapping_mul(damping) / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iteration_counts_follow_the_damping() {
        // ceil(ln(10^7) / -ln(damping)), computed by hand.
        let table = [(0, 1), (1, 2), (500_000, 24), (850_000, 100), (900_000, 153)];
        for (damping_ppm, expect) in table {
            assert_eq!(iterations(damping_ppm), expect, "{damping_ppm}");
        }
    }

    #[test]
    fn damping_is_exact() {
        for score in [0, 1, 999_999, 1_000_000, 1_234_567_890_123, ONE] {
            let exact = u128::from(score) * 850_000 / 1_000_000;
            assert_eq!(u128::from(damp(score, 850_000)), exact, "{score}");
        }
    }
}
