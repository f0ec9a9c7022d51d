//! Blocks, decided after the ranking.

use alloc::vec;
use alloc::vec::Vec;

use crate::graph::Graph;

/// Returns for each node whether it is blocked.
///
/// The viewer's own statement decides where there is one.
/// Otherwise a node is blocked if those who block it hold more than `block_share_ppm` of the score
/// of all who judge it; those whom the viewer blocks do not judge.
pub(crate) fn verdicts(graph: &Graph<'_>, scores: &[u64], block_share_ppm: u32) -> Vec<bool> {
    let nodes = graph.names.len();
    let mut own = vec![None; nodes];
    for edge in graph.edges(graph.viewer) {
        own[edge.to as usize] = Some(false);
    }
    for (_, to) in graph.blocks.iter().filter(|(from, _)| *from as usize == graph.viewer) {
        own[*to as usize] = Some(true);
    }
    let judge = |node: usize| if own[node] == Some(true) { 0 } else { u128::from(scores[node]) };

    let (mut against, mut all) = (vec![0_u128; nodes], vec![0_u128; nodes]);
    for node in 0..nodes {
        for edge in graph.edges(node) {
            all[edge.to as usize] += judge(node);
        }
    }
    for (from, to) in &graph.blocks {
        against[*to as usize] += judge(*from as usize);
        all[*to as usize] += judge(*from as usize);
    }
    let outvoted =
        |node: usize| against[node] * 1_000_000 > all[node] * u128::from(block_share_ppm);
    (0..nodes)
        .map(|node| node != graph.viewer && own[node].unwrap_or_else(|| outvoted(node)))
        .collect()
}
