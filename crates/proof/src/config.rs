//! The argument: fields, hashes, commitments and challenger, in one place.
//!
//! # Spec
//! `spec/proof.md` section 6.

use alloc::vec::Vec;

use p3_blake3::Blake3;
use p3_challenger::{HashChallenger, SerializingChallenger32};
use p3_commit::ExtensionMmcs;
use p3_dft::Radix2DitParallel;
use p3_field::extension::BinomialExtensionField;
use p3_fri::{FriParameters, TwoAdicFriPcs};
use p3_merkle_tree::MerkleTreeMmcs;
use p3_symmetric::{CompressionFunctionFromHasher, SerializingHasher};
use p3_uni_stark::StarkConfig;

use crate::field::F;
use crate::params::ParamSet;

/// The extension that challenges are drawn from.
pub(crate) type Challenge = BinomialExtensionField<F, 4>;
type RowHash = SerializingHasher<Blake3>;
type NodeHash = CompressionFunctionFromHasher<Blake3, 2, 32>;
pub(crate) type Mmcs = MerkleTreeMmcs<F, u8, RowHash, NodeHash, 2, 32>;
pub(crate) type ChallengeMmcs = ExtensionMmcs<F, Challenge, Mmcs>;
type Pcs = TwoAdicFriPcs<F, Radix2DitParallel<F>, Mmcs, ChallengeMmcs>;
type Challenger = SerializingChallenger32<F, HashChallenger<u8, Blake3, 32>>;

/// The argument with its parameters and the seed of its challenges.
pub type Scheme = StarkConfig<Pcs, Challenge, Challenger>;

/// Returns the argument for a parameter set, whose challenges start from `seed`.
#[must_use]
pub fn config(params: &ParamSet, seed: &[u8; 32]) -> Scheme {
    let mmcs = Mmcs::new(RowHash::new(Blake3), NodeHash::new(Blake3), ParamSet::CAP_HEIGHT);
    let fri = FriParameters {
        log_blowup: params.log_blowup,
        log_final_poly_len: ParamSet::LOG_FINAL,
        max_log_arity: ParamSet::LOG_ARITY,
        num_queries: params.queries,
        batch_proof_of_work_bits: params.batch_work,
        commit_proof_of_work_bits: params.fold_work,
        query_proof_of_work_bits: params.query_work,
        mmcs: ChallengeMmcs::new(mmcs.clone()),
    };
    let pcs = Pcs::new(Radix2DitParallel::default(), mmcs, fri);
    Scheme::new(pcs, Challenger::from_hasher(seed.to_vec(), Blake3))
        .with_lookup_proof_of_work_bits(params.lookup_work)
        .with_ood_proof_of_work_bits(params.ood_work)
}

/// Returns what the challenges of the only segment of a run start from.
///
/// It covers the key, the whole statement, and which tables are present with what heights.
#[must_use]
pub fn seed(
    key: &[u8; 32],
    statement: &[u8; 32],
    present: u64,
    log_heights: &[u8],
    params: &ParamSet,
) -> [u8; 32] {
    let mut preimage = Vec::new();
    preimage.extend_from_slice(key);
    preimage.extend_from_slice(statement);
    let segment = 0u32;
    preimage.extend_from_slice(&segment.to_le_bytes());
    preimage.extend_from_slice(&present.to_le_bytes());
    preimage.extend_from_slice(log_heights);
    preimage.extend_from_slice(&params_digest(params));
    blake3::derive_key("kapsule 2026 kp1 segment", &preimage)
}

/// Returns a digest of every number that the argument depends on.
fn params_digest(params: &ParamSet) -> [u8; 32] {
    let numbers = [
        usize::from(params.number),
        params.log_blowup,
        params.queries,
        params.query_work,
        params.lookup_work,
        params.batch_work,
        params.fold_work,
        params.ood_work,
        ParamSet::LOG_ARITY,
        ParamSet::LOG_FINAL,
        ParamSet::CAP_HEIGHT,
    ];
    let bytes: Vec<u8> =
        numbers.into_iter().flat_map(|number| (number as u64).to_le_bytes()).collect();
    blake3::derive_key("kapsule 2026 kp1 parameters", &bytes)
}
