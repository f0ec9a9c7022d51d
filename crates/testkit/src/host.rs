//! A host with something to answer for every hostcall.

use kapsule_engine::{CapsuleMetadata, MemoryCapsule, MemoryHost, TrustEdge};
use kapsule_format::Digest;
use kapsule_format::key::IdentityId;

/// Returns a host with two readable capsules, a locked one, five trust edges and some scores.
///
/// The identities are the 32-byte strings of one repeated byte, so that a generated module finds
/// the one of zero bytes in untouched memory.
#[must_use]
pub fn full_host() -> MemoryHost {
    let identity = |byte: u8| IdentityId::new(Digest::new([byte; 32]));
    let capsule = |seq: u8, payload: Option<Vec<u8>>| MemoryCapsule {
        metadata: CapsuleMetadata {
            kind: "post".into(),
            channel: (seq > 0).then(|| Digest::new([9; 32])),
            author: identity(seq),
            seq: u64::from(seq),
            parents: (0..seq).map(|parent| Digest::new([parent; 32])).collect(),
            flags: vec!["test".into()],
            claimed_ms: 1_000 + u64::from(seq),
            logic: None,
        },
        payload,
    };
    let edge = |from: u8, to: u8| TrustEdge {
        from: identity(from),
        to: identity(to),
        weight_ppm: 100_000 * u64::from(to),
        blocked: to == 3,
        time_ms: 5,
    };
    MemoryHost {
        capsules: vec![
            capsule(0, Some(b"hello".to_vec())),
            capsule(1, Some(vec![7; 300])),
            capsule(2, None),
        ],
        scores: (0..3).map(|byte| (identity(byte), 250_000 * u64::from(byte))).collect(),
        edges: (0..5).map(|byte| edge(byte, (byte + 1) % 5)).collect(),
        now_ms: 1_700_000_000_000,
        ..MemoryHost::default()
    }
}
