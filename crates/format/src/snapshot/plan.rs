//! Which capsules go into which snapshot, where one cannot hold all.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::capsule::CapsuleId;
use crate::limits::{SNAPSHOT_CAPSULES_MAX, SNAPSHOT_HEADS_MAX};

/// Bytes of capsule files after which a part ends.
///
/// Chosen: a file that a reader takes apart in memory, and the largest capsule beside it.
const PART_BYTES: u64 = 1 << 26;

/// A capsule, as far as the plan asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Capsule.
    pub id: CapsuleId,
    /// Claimed time in milliseconds since 1970.
    pub time_ms: u64,
    /// Length of the file in bytes.
    pub size: u64,
    /// Those that it follows, whether they are among the nodes or not.
    pub parents: Vec<CapsuleId>,
}

/// Divides capsules into parts that a snapshot each holds, parents before their children.
///
/// # Determinism
/// Depends on the set of nodes, not on their order.
#[must_use]
pub fn plan(nodes: &[Node]) -> Vec<Vec<CapsuleId>> {
    let mut parts = Vec::new();
    let mut part = Part::default();
    for node in parents_first(nodes) {
        if !part.takes(node) {
            parts.push(core::mem::take(&mut part).ids);
        }
        part.push(node);
    }
    if !part.ids.is_empty() {
        parts.push(part.ids);
    }
    parts
}

#[derive(Default)]
struct Part {
    ids: Vec<CapsuleId>,
    heads: BTreeSet<CapsuleId>,
    bytes: u64,
}

impl Part {
    fn takes(&self, node: &Node) -> bool {
        let followed = node.parents.iter().filter(|parent| self.heads.contains(parent)).count();
        let heads = self.heads.len().saturating_sub(followed).saturating_add(1);
        let fits = self.bytes.saturating_add(node.size) <= PART_BYTES;
        (self.ids.len() as u64) < SNAPSHOT_CAPSULES_MAX
            && heads as u64 <= SNAPSHOT_HEADS_MAX
            && (fits || self.ids.is_empty())
    }

    fn push(&mut self, node: &Node) {
        for parent in &node.parents {
            self.heads.remove(parent);
        }
        self.heads.insert(node.id);
        self.ids.push(node.id);
        self.bytes = self.bytes.saturating_add(node.size);
    }
}

/// Sorts by claimed time and id where the graph leaves a choice.
fn parents_first(nodes: &[Node]) -> Vec<&Node> {
    let by_id: BTreeMap<CapsuleId, &Node> = nodes.iter().map(|node| (node.id, node)).collect();
    let mut children: BTreeMap<CapsuleId, Vec<CapsuleId>> = BTreeMap::new();
    let mut missing: BTreeMap<CapsuleId, usize> = BTreeMap::new();
    let mut ready = BTreeSet::new();
    for node in by_id.values() {
        let here = node.parents.iter().filter(|parent| by_id.contains_key(parent));
        let count = here.inspect(|parent| children.entry(**parent).or_default().push(node.id));
        match count.count() {
            0 => drop(ready.insert((node.time_ms, node.id))),
            count => drop(missing.insert(node.id, count)),
        }
    }
    let mut sorted = Vec::with_capacity(by_id.len());
    while let Some((_, id)) = ready.pop_first() {
        sorted.extend(by_id.get(&id));
        for child in children.remove(&id).into_iter().flatten() {
            let Some(count) = missing.get_mut(&child) else { continue };
            *count = count.saturating_sub(1);
            if *count == 0 {
                missing.remove(&child);
                ready.extend(by_id.get(&child).map(|node| (node.time_ms, node.id)));
            }
        }
    }
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Digest;

    fn id(number: u64) -> CapsuleId {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        CapsuleId::new(Digest::new(bytes))
    }

    fn node(number: u64, parents: &[u64]) -> Node {
        let parents = parents.iter().copied().map(id).collect();
        Node { id: id(number), time_ms: 1_000 - number % 7, size: 100, parents }
    }

    #[test]
    fn parents_come_first_whatever_the_clocks_say() {
        // Each follows the one before, and claims to be older.
        let nodes: Vec<Node> = (1..6).map(|number| node(number, &[number - 1])).collect();
        assert_eq!(plan(&nodes), [(1..6).map(id).collect::<Vec<_>>()]);
        let backward: Vec<Node> = nodes.into_iter().rev().collect();
        assert_eq!(plan(&backward), [(1..6).map(id).collect::<Vec<_>>()]);
    }

    #[test]
    fn a_part_ends_at_each_limit() {
        let star = |count: u64| (1..=count).map(|number| node(number, &[0])).collect::<Vec<_>>();
        let lengths = |nodes: &[Node]| plan(nodes).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(lengths(&[]), [0; 0]);
        // Every capsule of a star is a head.
        assert_eq!(lengths(&star(SNAPSHOT_HEADS_MAX)), [1_024]);
        assert_eq!(lengths(&star(SNAPSHOT_HEADS_MAX + 1)), [1_024, 1]);
        // Whoever follows a head takes its place.
        let mut full = star(SNAPSHOT_HEADS_MAX);
        full.push(Node { time_ms: 2_000, ..node(5_000, &[7]) });
        assert_eq!(lengths(&full), [1_025]);
        let chain: Vec<Node> =
            (1..=SNAPSHOT_CAPSULES_MAX + 1).map(|number| node(number, &[number - 1])).collect();
        assert_eq!(lengths(&chain), [SNAPSHOT_CAPSULES_MAX as usize, 1]);
        let large = |number| Node { size: PART_BYTES, ..node(number, &[number - 1]) };
        assert_eq!(lengths(&[large(1), large(2), node(3, &[2])]), [1, 1, 1]);
    }
}
