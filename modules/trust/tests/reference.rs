//! The module against two plain computations that share no code with it.

use proptest::prelude::*;
use trust::Parameters;

use crate::support::{Edge, VIEWER, graphs, output, row};

/// One in the reference's fixed point, which has 28 bits more than the module's.
const ONE: u128 = 1 << 90;

/// Personalised PageRank by 2,000 plain iterations over the list of edges.
fn reference_scores(edges: &[Edge], nodes: usize, damping_ppm: u128, cap_ppm: u128) -> Vec<u128> {
    let mut totals = vec![0_u128; nodes];
    for (from, _, weight) in edges {
        totals[*from as usize] += u128::from(*weight);
    }
    let mut scores = vec![0; nodes];
    scores[VIEWER as usize] = ONE;
    for _ in 0..2_000 {
        let mut next = vec![0_u128; nodes];
        for (from, to, weight) in edges {
            let total = totals[*from as usize];
            let weight = u128::from(*weight).min((total * cap_ppm / 1_000_000).max(1));
            next[*to as usize] += scores[*from as usize] / total * weight / 1_000_000 * damping_ppm;
        }
        next[VIEWER as usize] = 0;
        next[VIEWER as usize] = ONE - next.iter().sum::<u128>();
        scores = next;
    }
    scores
}

/// The least capacity of a cut between viewer and sink, over every set of nodes.
fn reference_flow(edges: &[Edge], nodes: u32, node_credit: u64) -> u64 {
    let cut = |set: u32| {
        let inside = |node: u64| set >> node & 1 == 1;
        let credits = u64::from(set.count_ones() - 1) * node_credit;
        let leaving = edges.iter().filter(|(from, to, _)| inside(*from) && !inside(*to));
        credits + leaving.map(|(_, _, weight)| u64::from(*weight)).sum::<u64>()
    };
    (0..1_u32 << nodes).filter(|set| set & 1 == 1).map(cut).min().expect("the set of all is one")
}

proptest! {
    #[test]
    fn scores_are_within_a_millionth(
        edges in graphs(8, 24),
        damping_ppm in 0_u32..=900_000,
        share_cap_ppm in 1_u32..=1_000_000,
    ) {
        let parameters = Parameters { damping_ppm, share_cap_ppm, ..Parameters::default() };
        let found = output(&edges, &parameters);
        let expect = reference_scores(&edges, 8, damping_ppm.into(), share_cap_ppm.into());
        for found in &found.rows {
            let kapsule_modules_common::Name::Number(name) = found.name else { unreachable!() };
            let expect = (expect[name as usize] * 1_000_000_000) >> 90;
            let error = u128::from(found.score).abs_diff(expect);
            // 10^-7 of the iterations, and the rounding of both sides.
            prop_assert!(error <= 102, "node {name}: {error} billionths");
        }
    }

    #[test]
    fn flow_equals_the_least_cut(edges in graphs(7, 20), node_credit in 1_u32..=1_000_000) {
        let parameters = Parameters { node_credit, ..Parameters::default() };
        let found = output(&edges, &parameters);
        let kept = found.rows.iter().map(|row| row.flow);
        let sum = kept.sum::<u64>() - u64::from(node_credit);
        prop_assert_eq!(sum, reference_flow(&edges, 7, node_credit.into()));
    }
}

#[test]
fn three_in_a_row_by_hand() {
    // With damping 1/2 the viewer keeps s, the friend has s/2 and theirs s/4; all sum to 1.
    let parameters = Parameters { damping_ppm: 500_000, ..Parameters::default() };
    let found = output(&[(0, 1, 1_000_000), (1, 2, 3)], &parameters);
    let scores = [0, 1, 2].map(|name| row(&found, name).score);
    for (score, expect) in scores.into_iter().zip([571_428_571, 285_714_286, 142_857_143_u64]) {
        assert!(score.abs_diff(expect) <= 101, "{score} is not {expect}");
    }
    // The second statement carries 3, and the first the credit of both.
    assert_eq!([0, 1, 2].map(|name| row(&found, name).flow), [50_000, 50_000, 3]);
}
