//! The Merkle tree of RFC 6962 over SHA-256, with inclusion and consistency proofs.
//!
//! # Spec
//! `spec/encoding.md`, section "Merkle tree"; vectors in `spec/vectors/tree/`.

pub mod stored;

use alloc::vec::Vec;

use kapsule_abi::guard;
use sha2::{Digest as _, Sha256};

use crate::Digest;

/// Bytes of one leaf of a chunk root.
pub const CHUNK_BYTES: usize = 65_536;

/// Root of no leaves: the SHA-256 of nothing.
pub const EMPTY_ROOT: Digest = Digest::new([
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
    0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
]);

/// Returns the hash of a leaf.
#[must_use]
pub fn leaf_hash(leaf: &[u8]) -> Digest {
    prefixed(0, &[leaf])
}

fn node_hash(left: &Digest, right: &Digest) -> Digest {
    prefixed(1, &[left.as_ref(), right.as_ref()])
}

fn prefixed(prefix: u8, parts: &[&[u8]]) -> Digest {
    let mut hasher = Sha256::new();
    hasher.update([prefix]);
    parts.iter().for_each(|part| hasher.update(part));
    Digest::new(hasher.finalize().into())
}

/// Returns the root over leaves in order; the root of no leaves is `SHA-256("")`.
#[must_use]
pub fn root<I>(leaves: I) -> Digest
where
    I: IntoIterator,
    I::Item: AsRef<[u8]>,
{
    let mut builder = Builder::new();
    leaves.into_iter().for_each(|leaf| builder.push(leaf.as_ref()));
    builder.root()
}

/// Returns the root over the consecutive pieces of 65,536 bytes of `bytes`.
///
/// Takes about 40 microseconds for each piece, and less for one that is all zero.
#[must_use]
pub fn chunk_root(bytes: &[u8]) -> Digest {
    let mut builder = Builder::new();
    bytes.chunks(CHUNK_BYTES).for_each(|chunk| builder.push_hash(chunk_leaf(chunk)));
    builder.root()
}

/// Returns the leaf hash of one piece of a [`chunk_root`], known without hashing for a whole piece
/// of zeros.
#[must_use]
pub fn chunk_leaf(chunk: &[u8]) -> Digest {
    const ZERO: [u8; 4_096] = [0; 4_096];
    let is_zero = chunk.len() == CHUNK_BYTES && chunk.chunks(ZERO.len()).all(|part| *part == ZERO);
    if is_zero { ZERO_CHUNK_LEAF } else { leaf_hash(chunk) }
}

/// Leaf hash of 65,536 zero bytes.
const ZERO_CHUNK_LEAF: Digest = Digest::new([
    0x32, 0x66, 0x30, 0x4f, 0x31, 0xbe, 0x27, 0x8d, 0x06, 0xc3, 0xbd, 0x3e, 0xb9, 0xaa, 0x3e, 0x00,
    0xc5, 0x9b, 0xed, 0xec, 0x0a, 0x89, 0x0d, 0xe4, 0x66, 0x56, 0x8b, 0x0b, 0x90, 0xb0, 0xe0, 0x1f,
]);

/// A tree that grows leaf by leaf and holds one hash per level.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    count: u64,
    /// Roots of the perfect subtrees, largest first: one per bit of `count` that is set.
    peaks: Vec<Digest>,
}

impl Builder {
    /// Starts an empty tree.
    #[must_use]
    pub const fn new() -> Self {
        Self { count: 0, peaks: Vec::new() }
    }

    /// Goes on with a tree of `count` leaves, of which `peaks` are the roots of the largest
    /// complete subtrees, largest first.
    ///
    /// Returns `None` if their number is another one than that of the bits of `count`.
    #[must_use]
    pub fn resume(count: u64, peaks: Vec<Digest>) -> Option<Self> {
        (peaks.len() == count.count_ones() as usize).then_some(Self { count, peaks })
    }

    /// Appends a leaf.
    pub fn push(&mut self, leaf: &[u8]) {
        self.push_hash(leaf_hash(leaf));
    }

    /// Appends a leaf by its hash.
    pub fn push_hash(&mut self, leaf: Digest) {
        self.push_noting(leaf, &mut |_, _, _| ());
    }

    /// Appends a leaf by its hash and reports every subtree that it completes, by level, position
    /// and root, the leaf itself first.
    pub fn push_noting(&mut self, leaf: Digest, note: &mut impl FnMut(u32, u64, &Digest)) {
        let mut node = leaf;
        note(0, self.count, &node);
        for level in 0..self.count.trailing_ones() {
            let left = self.peaks.pop().expect("each set bit of the count has its peak");
            node = node_hash(&left, &node);
            note(level + 1, self.count >> (level + 1), &node);
        }
        self.peaks.push(node);
        self.count += 1;
    }

    /// Returns the number of leaves.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Returns the root over the leaves so far.
    #[must_use]
    pub fn root(&self) -> Digest {
        let mut peaks = self.peaks.iter().rev();
        match peaks.next() {
            None => EMPTY_ROOT,
            Some(last) => peaks.fold(*last, |right, left| node_hash(left, &right)),
        }
    }
}

/// Returns the sibling hashes, from the leaf upward, that prove the leaf at `index`.
///
/// Returns `None` if there is no such leaf.
#[must_use]
pub fn inclusion_proof(leaf_hashes: &[Digest], index: usize) -> Option<Vec<Digest>> {
    if index >= leaf_hashes.len() {
        return None;
    }
    let (mut leaves, mut index, mut proof) = (leaf_hashes, index, Vec::new());
    while leaves.len() > 1 {
        let (left, right) = leaves.split_at(split(leaves.len()));
        let sibling;
        (leaves, sibling) = if index < left.len() { (left, right) } else { (right, left) };
        index %= left.len();
        proof.push(root_of_hashes(sibling));
    }
    proof.reverse();
    Some(proof)
}

/// Tells whether `proof` shows that the leaf at `index` of a tree of `size` leaves has this hash.
#[must_use]
pub fn verify_inclusion(
    root: &Digest,
    size: u64,
    index: u64,
    leaf_hash: &Digest,
    proof: &[Digest],
) -> bool {
    if guard!("format.tree.inclusion_index", index >= size) {
        return false;
    }
    let sides = sides(index, size.saturating_sub(1));
    if guard!("format.tree.inclusion_length", proof.len() != sides.len()) {
        return false;
    }
    let node = sides.iter().zip(proof).fold(*leaf_hash, |node, (side, sibling)| match side {
        Side::Left => node_hash(sibling, &node),
        Side::Right => node_hash(&node, sibling),
    });
    node == *root
}

/// Returns the hashes that prove that the first `old_size` leaves are the beginning of all.
///
/// Returns `None` unless `old_size` is 1 to the number of leaves.
#[must_use]
pub fn consistency_proof(leaf_hashes: &[Digest], old_size: usize) -> Option<Vec<Digest>> {
    if old_size == 0 || old_size > leaf_hashes.len() {
        return None;
    }
    let (mut leaves, mut old_size, mut whole) = (leaf_hashes, old_size, true);
    let mut proof = Vec::new();
    while old_size < leaves.len() {
        let (left, right) = leaves.split_at(split(leaves.len()));
        if old_size <= left.len() {
            proof.push(root_of_hashes(right));
            leaves = left;
        } else {
            proof.push(root_of_hashes(left));
            leaves = right;
            old_size -= left.len();
            whole = false;
        }
    }
    // The verifier holds the old root, so a subtree that is the whole old tree is left out.
    if !whole {
        proof.push(root_of_hashes(leaves));
    }
    proof.reverse();
    Some(proof)
}

/// Tells whether `proof` shows that the tree of `old_size` leaves is the beginning of the new one.
///
/// Sizes are 1 or more; equal sizes need equal roots and an empty proof.
#[must_use]
pub fn verify_consistency(
    old_size: u64,
    old_root: &Digest,
    new_size: u64,
    new_root: &Digest,
    proof: &[Digest],
) -> bool {
    if guard!("format.tree.consistency_size", old_size == 0 || old_size > new_size) {
        return false;
    }
    if old_size == new_size {
        return proof.is_empty() && old_root == new_root;
    }
    // Both paths start at the largest perfect subtree that ends the old tree.
    let level = old_size.trailing_zeros();
    let at_level = |size: u64| size.saturating_sub(1).checked_shr(level).unwrap_or(0);
    let (start, last) = (at_level(old_size), at_level(new_size));
    let (seed, path) = match (start, proof.split_first()) {
        (0, _) => (*old_root, proof),
        (_, Some((seed, path))) => (*seed, path),
        (_, None) => return false,
    };
    let sides = sides(start, last);
    if guard!("format.tree.consistency_length", path.len() != sides.len()) {
        return false;
    }
    let (mut old, mut new) = (seed, seed);
    for (side, sibling) in sides.iter().zip(path) {
        match side {
            Side::Left => {
                old = node_hash(sibling, &old);
                new = node_hash(sibling, &new);
            }
            // What stands to the right of the old tree came later.
            Side::Right => new = node_hash(&new, sibling),
        }
    }
    old == *old_root && new == *new_root
}

/// On which side of the path a sibling stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

/// Returns the sides of the siblings on the way from node `index` to the root of a tree whose
/// last node on that level is `last`.
fn sides(index: u64, last: u64) -> Vec<Side> {
    let (mut index, mut last, mut sides) = (index, last, Vec::new());
    while last > 0 {
        if index & 1 == 1 {
            sides.push(Side::Left);
        } else if index < last {
            sides.push(Side::Right);
        }
        index >>= 1;
        last >>= 1;
    }
    sides
}

/// Returns the largest power of two below `size`, which is 2 or more.
fn split(size: usize) -> usize {
    1 << (size - 1).ilog2()
}

/// Returns the root over leaves with these hashes.
#[must_use]
pub fn root_of_hashes(leaf_hashes: &[Digest]) -> Digest {
    let mut builder = Builder::new();
    leaf_hashes.iter().for_each(|leaf| builder.push_hash(*leaf));
    builder.root()
}

#[cfg(test)]
mod tests;
