//! The bound against Sybils: a maximum flow from the viewer, of which each node keeps its credit.
//!
//! Every statement is an edge with its weight as capacity, and every node but the viewer has an
//! edge of capacity `node_credit` to a common sink.
//! What any set of nodes keeps passed over the edges into the set, so it is at most their capacity,
//! however many nodes the set has.

use alloc::vec;
use alloc::vec::Vec;

use crate::graph::Graph;

/// Level of a node that the search has not reached.
const UNREACHED: u32 = u32::MAX;

/// Returns the flow that each node keeps; the viewer keeps `node_credit` by definition.
pub(crate) fn flows(graph: &Graph<'_>, node_credit: u32) -> Vec<u64> {
    let mut network = Network::new(graph, node_credit);
    while network.level() {
        network.augment();
    }
    (0..graph.names.len()).map(|node| u64::from(network.kept(node, node_credit))).collect()
}

/// A flow network in residual form: arcs `2i` and `2i + 1` are each other's reverse.
struct Network {
    source: u32,
    sink: u32,
    /// Head of each arc.
    heads: Vec<u32>,
    /// What each arc can still carry.
    rest: Vec<u32>,
    /// First place of each node in `arcs`, and the end.
    starts: Vec<u32>,
    /// Arcs by tail.
    arcs: Vec<u32>,
    /// Distance of each node from the source, in arcs with rest.
    levels: Vec<u32>,
}

impl Network {
    fn new(graph: &Graph<'_>, node_credit: u32) -> Self {
        let nodes = graph.names.len();
        let sink = nodes as u32;
        let arc_count = 2 * (nodes + graph.edge_count());
        let (mut heads, mut rest) = (Vec::with_capacity(arc_count), Vec::with_capacity(arc_count));
        let mut add = |tail: usize, head: u32, capacity: u32| {
            heads.extend([head, tail as u32]);
            rest.extend([capacity, 0]);
        };
        // The credits come first, so that arc 2 * node is that of the node.
        for node in 0..nodes {
            add(node, sink, if node == graph.viewer { 0 } else { node_credit });
        }
        for node in 0..nodes {
            for edge in graph.edges(node) {
                add(node, edge.to, edge.weight);
            }
        }
        let (starts, arcs) = by_tail(&heads, nodes + 1);
        Self {
            source: graph.viewer as u32,
            sink,
            heads,
            rest,
            starts,
            arcs,
            levels: vec![UNREACHED; nodes + 1],
        }
    }

    fn kept(&self, node: usize, node_credit: u32) -> u32 {
        if node == self.source as usize { node_credit } else { self.rest[2 * node + 1] }
    }

    fn tail(&self, arc: u32) -> u32 {
        self.heads[(arc ^ 1) as usize]
    }

    /// Measures distances from the source, breadth first, and returns whether the sink is reached.
    fn level(&mut self) -> bool {
        self.levels.fill(UNREACHED);
        self.levels[self.source as usize] = 0;
        let mut queue = vec![self.source];
        let mut front = 0;
        while let Some(node) = queue.get(front).copied() {
            front += 1;
            if node == self.sink {
                return true;
            }
            let level = self.levels[node as usize] + 1;
            let range =
                self.starts[node as usize] as usize..self.starts[node as usize + 1] as usize;
            for arc in &self.arcs[range] {
                let head = self.heads[*arc as usize];
                if self.rest[*arc as usize] > 0 && self.levels[head as usize] == UNREACHED {
                    self.levels[head as usize] = level;
                    queue.push(head);
                }
            }
        }
        false
    }

    /// Fills every shortest way to the sink.
    fn augment(&mut self) {
        let mut places = self.starts.clone();
        let mut path: Vec<u32> = Vec::new();
        let mut node = self.source;
        loop {
            if node == self.sink {
                node = self.push(&mut path);
                continue;
            }
            if let Some(arc) = self.advance(node, &mut places) {
                path.push(arc);
                node = self.heads[arc as usize];
                continue;
            }
            // A dead end: step back and leave out the arc that led here.
            let Some(arc) = path.pop() else { return };
            node = self.tail(arc);
            places[node as usize] += 1;
        }
    }

    /// Returns the next arc from `node` that leads one level further.
    fn advance(&self, node: u32, places: &mut [u32]) -> Option<u32> {
        let level = self.levels[node as usize] + 1;
        let place = &mut places[node as usize];
        while *place < self.starts[node as usize + 1] {
            let arc = self.arcs[*place as usize];
            let open = self.rest[arc as usize] > 0;
            if open && self.levels[self.heads[arc as usize] as usize] == level {
                return Some(arc);
            }
            *place += 1;
        }
        None
    }

    /// Sends what fits along `path`, cuts it before its first full arc and returns where it ends.
    fn push(&mut self, path: &mut Vec<u32>) -> u32 {
        let rests = path.iter().map(|arc| self.rest[*arc as usize]);
        let amount = rests.min().expect("source and sink differ, so a path has an arc");
        let mut full = path.len();
        for (index, arc) in path.iter().enumerate().rev() {
            self.rest[*arc as usize] -= amount;
            self.rest[(*arc ^ 1) as usize] += amount;
            if self.rest[*arc as usize] == 0 {
                full = index;
            }
        }
        let node = self.tail(path[full]);
        path.truncate(full);
        node
    }
}

/// Lists arcs by their tails: the places where each node's arcs start, and the arcs.
fn by_tail(heads: &[u32], nodes: usize) -> (Vec<u32>, Vec<u32>) {
    let mut starts = vec![0; nodes + 1];
    for head in heads {
        // Each arc's head is the tail of its reverse.
        starts[*head as usize + 1] += 1;
    }
    for node in 0..nodes {
        starts[node + 1] += starts[node];
    }
    let mut next = starts.clone();
    let mut arcs = vec![0; heads.len()];
    for arc in 0..heads.len() {
        let tail = heads[arc ^ 1] as usize;
        arcs[next[tail] as usize] = arc as u32;
        next[tail] += 1;
    }
    (starts, arcs)
}
