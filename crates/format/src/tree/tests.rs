//! Tests of the Merkle tree: a second definition of the root, and every proof up to 64 leaves.

use alloc::string::ToString;

use super::*;
use crate::hash::sha256;

fn leaves(count: usize) -> Vec<[u8; 1]> {
    (0..count).map(|index| [index as u8]).collect()
}

fn hashes(count: usize) -> Vec<Digest> {
    leaves(count).iter().map(|leaf| leaf_hash(leaf)).collect()
}

/// The recursive definition of RFC 6962 section 2.1.
fn recursive_root(hashes: &[Digest]) -> Digest {
    match hashes {
        [] => sha256(b""),
        [only] => *only,
        _ => {
            let mut split = 1;
            while split * 2 < hashes.len() {
                split *= 2;
            }
            node_hash(&recursive_root(&hashes[..split]), &recursive_root(&hashes[split..]))
        }
    }
}

#[test]
fn fixed_value_of_the_specification() {
    let expect = "3b6cccd7e3e023ff393006f030315ee7ad9eb111b022b41fba7e5b7a3973f688";
    assert_eq!(root(leaves(3)).to_string(), expect);
    assert_eq!(root(leaves(0)), sha256(b""));
}

#[test]
fn roots_follow_the_recursive_definition() {
    for count in 0..=64 {
        assert_eq!(root(leaves(count)), recursive_root(&hashes(count)), "{count} leaves");
    }
}

#[test]
fn chunk_roots_split_at_65536_bytes() {
    let bytes = alloc::vec![7; CHUNK_BYTES + 1];
    assert_eq!(chunk_root(b""), sha256(b""));
    assert_eq!(chunk_root(&bytes[..CHUNK_BYTES]), leaf_hash(&bytes[..CHUNK_BYTES]));
    assert_eq!(chunk_root(&bytes), root([&bytes[..CHUNK_BYTES], &bytes[CHUNK_BYTES..]]));
}

#[test]
fn every_inclusion_proof_verifies_and_no_other_place_does() {
    for size in 1..=64 {
        let (all, root) = (hashes(size), root(leaves(size)));
        for index in 0..size {
            let proof = inclusion_proof(&all, index).unwrap();
            let verify = |size: usize, index: usize, leaf: &Digest, proof: &[Digest]| {
                verify_inclusion(&root, size as u64, index as u64, leaf, proof)
            };
            assert!(verify(size, index, &all[index], &proof), "{index} of {size}");
            assert!(!verify(size, index, &leaf_hash(b"other"), &proof));
            assert!((0..size).all(|i| i == index || !verify(size, i, &all[index], &proof)));
            let longer = [&proof[..], &[root]].concat();
            assert!(!verify(size, index, &all[index], &longer), "one hash more");
            if let Some((_, shorter)) = proof.split_last() {
                assert!(!verify(size, index, &all[index], shorter), "one hash less");
            }
        }
        assert_eq!(inclusion_proof(&all, size), None);
    }
}

#[test]
fn an_index_outside_the_tree_is_refused() {
    let leaf = leaf_hash(b"a");
    assert!(verify_inclusion(&leaf, 1, 0, &leaf, &[]));
    assert!(!verify_inclusion(&leaf, 1, 1, &leaf, &[]));
    assert!(!verify_inclusion(&leaf, 0, 0, &leaf, &[]));
}

#[test]
fn every_consistency_proof_verifies_and_no_other_size_does() {
    for new_size in 1..=64 {
        let (all, new_root) = (hashes(new_size), root(leaves(new_size)));
        for old_size in 1..=new_size {
            let old_root = root(leaves(old_size));
            let proof = consistency_proof(&all, old_size).unwrap();
            let verify = |old_size: usize, old_root: &Digest, proof: &[Digest]| {
                verify_consistency(old_size as u64, old_root, new_size as u64, &new_root, proof)
            };
            assert!(verify(old_size, &old_root, &proof), "{old_size} to {new_size}");
            assert!(!verify(old_size, &leaf_hash(b"other"), &proof));
            let longer = [&proof[..], &[new_root]].concat();
            assert!(!verify(old_size, &old_root, &longer), "one hash more");
            if let Some((_, shorter)) = proof.split_last() {
                assert!(!verify(old_size, &old_root, shorter), "one hash less");
            }
        }
        assert_eq!(consistency_proof(&all, 0), None);
        assert_eq!(consistency_proof(&all, new_size + 1), None);
    }
}

#[test]
fn sizes_that_cannot_be_consistent_are_refused() {
    let root = leaf_hash(b"a");
    assert!(verify_consistency(1, &root, 1, &root, &[]));
    assert!(!verify_consistency(0, &root, 1, &root, &[]), "the old tree is empty");
    assert!(!verify_consistency(2, &root, 1, &root, &[]), "the old tree is larger");
}

#[test]
fn zero_pieces_are_known_without_hashing() {
    let zeros = [0; 2 * CHUNK_BYTES];
    for length in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES] {
        let bytes = &zeros[..length];
        assert_eq!(chunk_root(bytes), root(bytes.chunks(CHUNK_BYTES)), "{length} bytes");
    }
    for place in [0, 4_095, 4_096, CHUNK_BYTES - 1] {
        let mut bytes = zeros[..CHUNK_BYTES].to_vec();
        bytes[place] = 1;
        assert_eq!(chunk_root(&bytes), root([&bytes]), "a byte at {place}");
    }
}

/// Every node that a tree of this many leaves completed.
fn nodes(count: usize) -> alloc::collections::BTreeMap<(u32, u64), Digest> {
    let (mut builder, mut nodes) = (Builder::new(), alloc::collections::BTreeMap::new());
    for leaf in hashes(count) {
        builder.push_noting(leaf, &mut |level, position, hash| {
            assert_eq!(nodes.insert((level, position), *hash), None);
        });
    }
    nodes
}

#[test]
fn kept_subtrees_give_the_same_roots_and_proofs() {
    for count in 0..=33_usize {
        let (nodes, hashes, size) = (nodes(count), hashes(count), count as u64);
        let mut node = |level, position| nodes.get(&(level, position)).copied().ok_or(());
        assert_eq!(stored::root(size, &mut node), Ok(root_of_hashes(&hashes)));
        let mut resumed = Builder::resume(size, stored::peaks(size, &mut node).unwrap()).unwrap();
        assert_eq!(resumed.root(), root_of_hashes(&hashes));
        resumed.push(b"next");
        assert_eq!(resumed.count(), size + 1);
        for other in 0..=count + 1 {
            let (found, expect) = (other as u64, other);
            let inclusion = stored::inclusion_proof(size, found, &mut node).unwrap();
            assert_eq!(inclusion, inclusion_proof(&hashes, expect));
            let consistency = stored::consistency_proof(found, size, &mut node).unwrap();
            assert_eq!(consistency, consistency_proof(&hashes, expect));
        }
    }
}

#[test]
fn a_tree_resumes_with_one_peak_for_each_bit() {
    assert!(Builder::resume(6, hashes(1)).is_none());
    assert!(Builder::resume(0, Vec::new()).is_some());
}
