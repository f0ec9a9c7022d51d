//! Roots and proofs of a tree whose complete subtrees are kept somewhere, such as in a table.
//!
//! A node `(level, position)` is the root of the `2^level` leaves from `position * 2^level` on.
//! Each root or proof asks for a number of nodes logarithmic in the size.

use alloc::vec::Vec;

use super::{EMPTY_ROOT, node_hash};
use crate::Digest;

/// Returns the root over the first `size` leaves.
///
/// # Errors
/// Those of `node`.
pub fn root<E>(
    size: u64,
    node: &mut impl FnMut(u32, u64) -> Result<Digest, E>,
) -> Result<Digest, E> {
    if size == 0 { Ok(EMPTY_ROOT) } else { range_root(0, size, node) }
}

/// Returns the roots of the largest complete subtrees of the first `size` leaves, largest first:
/// what [`super::Builder::resume`] asks for.
///
/// # Errors
/// Those of `node`.
pub fn peaks<E>(
    size: u64,
    node: &mut impl FnMut(u32, u64) -> Result<Digest, E>,
) -> Result<Vec<Digest>, E> {
    let levels = (0..u64::BITS).rev().filter(|level| size >> level & 1 == 1);
    levels.map(|level| node(level, (size >> level).saturating_sub(1))).collect()
}

/// Returns the proof of [`super::inclusion_proof`] for the leaf at `index` of the first `size`.
///
/// Returns `None` if there is no such leaf.
///
/// # Errors
/// Those of `node`.
pub fn inclusion_proof<E>(
    size: u64,
    index: u64,
    node: &mut impl FnMut(u32, u64) -> Result<Digest, E>,
) -> Result<Option<Vec<Digest>>, E> {
    if index >= size {
        return Ok(None);
    }
    let (mut start, mut end, mut proof) = (0, size, Vec::new());
    while end - start > 1 {
        let middle = middle(start, end);
        if index < middle {
            proof.push(range_root(middle, end, node)?);
            end = middle;
        } else {
            proof.push(range_root(start, middle, node)?);
            start = middle;
        }
    }
    proof.reverse();
    Ok(Some(proof))
}

/// Returns the proof of [`super::consistency_proof`] from the first `old_size` leaves to the first
/// `size`.
///
/// Returns `None` unless `old_size` is 1 to `size`.
///
/// # Errors
/// Those of `node`.
pub fn consistency_proof<E>(
    old_size: u64,
    size: u64,
    node: &mut impl FnMut(u32, u64) -> Result<Digest, E>,
) -> Result<Option<Vec<Digest>>, E> {
    if old_size == 0 || old_size > size {
        return Ok(None);
    }
    let (mut start, mut end, mut proof) = (0, size, Vec::new());
    while old_size < end {
        let middle = middle(start, end);
        if old_size <= middle {
            proof.push(range_root(middle, end, node)?);
            end = middle;
        } else {
            proof.push(range_root(start, middle, node)?);
            start = middle;
        }
    }
    // The verifier holds the old root, so a subtree that is the whole old tree is left out.
    if start > 0 {
        proof.push(range_root(start, end, node)?);
    }
    proof.reverse();
    Ok(Some(proof))
}

/// Returns the root over the leaves from `start` to before `end`; `start` is a multiple of the
/// least power of two that is not below their number.
fn range_root<E>(
    start: u64,
    end: u64,
    node: &mut impl FnMut(u32, u64) -> Result<Digest, E>,
) -> Result<Digest, E> {
    let count = end - start;
    if count.is_power_of_two() {
        let level = count.trailing_zeros();
        return node(level, start >> level);
    }
    let middle = middle(start, end);
    let left = range_root(start, middle, node)?;
    Ok(node_hash(&left, &range_root(middle, end, node)?))
}

/// Splits at the largest power of two below the number of leaves, which is 2 or more.
fn middle(start: u64, end: u64) -> u64 {
    start + (1 << (end - start - 1).ilog2())
}
