//! Group `tree`: a root over `leaves`, a `chunk_root_of` repeated bytes, or a proof.

use kapsule_abi::ErrorCode;
use kapsule_format::{DecodeError, Digest, tree};

use super::{Case, Verdict, unhex};

pub(crate) fn judge(case: &Case) -> Verdict {
    match case.text("function") {
        "root" => {
            let leaves: Vec<Vec<u8>> = case.texts("leaves").into_iter().map(unhex).collect();
            Ok(tree::root(&leaves).to_string())
        }
        "chunk_root" => {
            let bytes = vec![0; usize::try_from(case.uint("zero_bytes")).unwrap()];
            Ok(tree::chunk_root(&bytes).to_string())
        }
        "inclusion" => {
            let leaf = tree::leaf_hash(&case.bytes("leaf"));
            let (size, index) = (case.uint("size"), case.uint("index"));
            let root = digest(case, "root");
            shown(tree::verify_inclusion(&root, size, index, &leaf, &proof(case)))
        }
        "consistency" => {
            let (old_root, new_root) = (digest(case, "old_root"), digest(case, "new_root"));
            let (old_size, new_size) = (case.uint("old_size"), case.uint("new_size"));
            let proof = proof(case);
            shown(tree::verify_consistency(old_size, &old_root, new_size, &new_root, &proof))
        }
        other => panic!("unknown function {other}"),
    }
}

fn digest(case: &Case, name: &str) -> Digest {
    case.text(name).parse().unwrap()
}

fn proof(case: &Case) -> Vec<Digest> {
    case.texts("proof").into_iter().map(|hash| hash.parse().unwrap()).collect()
}

/// The caller chooses the code of a proof that fails; here it is the one of a sampled chunk.
fn shown(valid: bool) -> Verdict {
    match valid {
        true => Ok("valid".to_owned()),
        false => Err(DecodeError::new(ErrorCode::ResponseInvalid, "proof does not verify")),
    }
}
