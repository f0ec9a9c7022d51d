//! The statements as a graph with numbered nodes.

use alloc::vec;
use alloc::vec::Vec;

use kapsule_modules_common::Name;

use crate::input::Statement;

/// A positive statement with its weight after the cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Node that is trusted.
    pub to: u32,
    /// Weight in millionths, at least 1.
    pub weight: u32,
}

/// Who trusts and blocks whom; node numbers follow the order of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Graph<'a> {
    /// Name of each node, ascending.
    pub names: Vec<Name<'a>>,
    /// Node of the viewer.
    pub viewer: usize,
    /// First edge of each node, and one more entry with the number of edges.
    starts: Vec<u32>,
    /// Edges by source, then by target.
    edges: Vec<Edge>,
    /// Sum of each node's weights before the cap.
    totals: Vec<u64>,
    /// Blocks as (source, target), ascending.
    pub blocks: Vec<(u32, u32)>,
}

impl<'a> Graph<'a> {
    /// Builds the graph of `viewer` and everyone in `statements`.
    ///
    /// Of several statements between the same two, the latest counts; of those of one time, a
    /// block, or else the greatest weight.
    /// Statements about oneself and of weight 0 count for nothing but the name.
    #[must_use]
    pub fn new(viewer: Name<'a>, statements: &[Statement<'a>], share_cap_ppm: u32) -> Self {
        let names = sorted_names(viewer, statements);
        let node = |name| names.binary_search(&name).expect("every name was collected above");
        let viewer = node(viewer);
        let mut graph = Self {
            viewer,
            starts: vec![0; names.len() + 1],
            edges: Vec::new(),
            totals: vec![0; names.len()],
            blocks: Vec::new(),
            names: Vec::new(),
        };
        let mut links: Vec<Link> = statements
            .iter()
            .map(|statement| Link {
                from: node(statement.from) as u32,
                to: node(statement.to) as u32,
                time_ms: statement.time_ms,
                blocked: statement.blocked,
                weight: statement.weight_ppm,
            })
            .collect();
        links.sort_unstable();
        for (index, link) in links.iter().enumerate() {
            let next = links.get(index + 1);
            let latest = next.is_none_or(|next| (next.from, next.to) != (link.from, link.to));
            if latest && link.from != link.to {
                graph.push(link);
            }
        }
        // The counts become starting points.
        let mut sum = 0;
        for start in &mut graph.starts {
            sum += core::mem::replace(start, sum);
        }
        graph.names = names;
        graph.cap(share_cap_ppm);
        graph
    }

    fn push(&mut self, link: &Link) {
        if link.blocked {
            self.blocks.push((link.from, link.to));
        } else if link.weight > 0 {
            self.starts[link.from as usize] += 1;
            self.totals[link.from as usize] += u64::from(link.weight);
            self.edges.push(Edge { to: link.to, weight: link.weight });
        }
    }

    /// Lowers each weight to the cap's share of its source's total, at least 1.
    fn cap(&mut self, share_cap_ppm: u32) {
        for node in 0..self.names.len() {
            let most = (self.totals[node] * u64::from(share_cap_ppm) / 1_000_000).max(1);
            let range = self.starts[node] as usize..self.starts[node + 1] as usize;
            for edge in &mut self.edges[range] {
                edge.weight = u64::from(edge.weight).min(most) as u32;
            }
        }
    }

    /// Returns the edges that leave `node`.
    #[must_use]
    pub fn edges(&self, node: usize) -> &[Edge] {
        &self.edges[self.starts[node] as usize..self.starts[node + 1] as usize]
    }

    /// Returns the sum of `node`'s weights before the cap.
    #[must_use]
    pub fn total(&self, node: usize) -> u64 {
        self.totals[node]
    }

    /// Returns the number of edges.
    #[must_use]
    pub fn edge_count(&self) -> usize {
        self.edges.len()
    }
}

/// A statement between nodes; the order puts the one that counts last among its equals.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Link {
    from: u32,
    to: u32,
    time_ms: u64,
    blocked: bool,
    weight: u32,
}

fn sorted_names<'a>(viewer: Name<'a>, statements: &[Statement<'a>]) -> Vec<Name<'a>> {
    let mut names = Vec::with_capacity(statements.len() * 2 + 1);
    names.push(viewer);
    for statement in statements {
        names.push(statement.from);
        names.push(statement.to);
    }
    names.sort_unstable();
    names.dedup();
    names
}
