//! A host with something to answer for every hostcall.

use kapsule_engine::{CapsuleMetadata, Dag, MemoryCapsule, MemoryHost, TrustEdge};
use kapsule_format::Digest;
use kapsule_format::key::IdentityId;
use kapsule_format::package::PackageId;

/// The package that generated modules run as.
pub const GENERATED: PackageId = PackageId::new(Digest::new([3; 32]));

/// Returns a host with two readable capsules, a locked one, five trust edges and some scores, and
/// with a small DAG, two files, a machine that answers, a budget for proposals, and storage of
/// [`GENERATED`].
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
    let mut dag = Dag::default();
    for seq in 0..3 {
        dag.insert(Digest::new([seq; 32]), capsule(seq, None).metadata);
    }
    MemoryHost {
        capsules: vec![
            capsule(0, Some(b"hello".to_vec())),
            capsule(1, Some(vec![7; 300])),
            capsule(2, None),
        ],
        scores: (0..3).map(|byte| (identity(byte), 250_000 * u64::from(byte))).collect(),
        edges: (0..5).map(|byte| edge(byte, (byte + 1) % 5)).collect(),
        now_ms: 1_700_000_000_000,
        dag,
        storage: [(GENERATED, [b"k", b"m"].map(|key| (key.to_vec(), vec![6; 40])).into())].into(),
        budget: 30,
        files: [("/r/a".into(), vec![5; 300]), ("/w/b".into(), b"file".to_vec())].into(),
        peers: [(("h".into(), 1), b"answer".to_vec())].into(),
        ..MemoryHost::default()
    }
}
