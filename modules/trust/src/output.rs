//! The output: one row for each person, best first.

use alloc::vec::Vec;
use core::cmp::Reverse;
use core::convert::Infallible;

use kapsule_guest::minicbor::Encoder;
use kapsule_guest::minicbor::encode;
use kapsule_modules_common::{Name, VERSION};

use crate::graph::Graph;

/// What the viewer may think of one person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    /// Who.
    pub name: Name<'a>,
    /// Score in 10^-9, rounded to nearest; all together are about 10^9.
    pub score: u64,
    /// Flow kept, at most the credit of a node.
    pub flow: u64,
    /// Whether the person is blocked; score and flow are as if not.
    pub blocked: bool,
}

/// A whole result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output<'a> {
    /// Whose view it is.
    pub viewer: Name<'a>,
    /// Everyone, by falling score and then by name.
    pub rows: Vec<Row<'a>>,
    /// Flow that each person can keep.
    pub node_credit: u64,
    /// Iterations made.
    pub iterations: u32,
}

impl<'a> Output<'a> {
    pub(crate) fn new(
        graph: &Graph<'a>,
        scores: &[u64],
        flows: &[u64],
        blocked: &[bool],
        node_credit: u32,
        iterations: u32,
    ) -> Self {
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_unstable_by_key(|node| (Reverse(scores[*node]), *node));
        let row = |node: usize| Row {
            name: graph.names[node],
            score: billionths(scores[node]),
            flow: flows[node],
            blocked: blocked[node],
        };
        Self {
            viewer: graph.names[graph.viewer],
            rows: order.into_iter().map(row).collect(),
            node_credit: u64::from(node_credit),
            iterations,
        }
    }

    /// Encodes the output as the README's CDDL says.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::new());
        self.write(&mut encoder).expect("encoding into a vector cannot fail");
        encoder.into_writer()
    }

    fn write(&self, encoder: &mut Encoder<Vec<u8>>) -> Result<(), encode::Error<Infallible>> {
        encoder.map(5)?.u8(0)?.u64(VERSION)?.u8(1)?.encode(self.viewer)?;
        encoder.u8(2)?.array(self.rows.len() as u64)?;
        for row in &self.rows {
            encoder.array(4)?.encode(row.name)?.u64(row.score)?.u64(row.flow)?.bool(row.blocked)?;
        }
        encoder.u8(3)?.u64(self.node_credit)?.u8(4)?.u32(self.iterations)?.ok()
    }
}

/// Returns a score in units of 10^-9, rounded to nearest.
///
/// The 28 lowest bits are dropped first so that the product fits 64 bits: an error below 2^-34.
fn billionths(score: u64) -> u64 {
    ((score >> 28) * 1_000_000_000 + (1 << 33)) >> 34
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::ONE;

    #[test]
    fn billionths_round_to_nearest() {
        for (score, expect) in
            [(0, 0), (ONE, 1_000_000_000), (ONE / 2, 500_000_000), (ONE / 3, 333_333_333)]
        {
            assert_eq!(billionths(score), expect);
        }
    }
}
