//! A statement has one encoding.

use kapsule_proof::{DecodeError, ProvenOutcome, RunStatement, SegmentPublic, VERSION};

pub(crate) fn sample() -> RunStatement {
    let segment = SegmentPublic {
        pc_out: 0,
        fp_out: 0x20_0000,
        pages_out: 2,
        ts_out: 77,
        fuel_static: 30,
        fuel_dyn: 5,
        tx_pad: true,
        tx_events: 3,
        tx_out: [1, 2, 3, 4, 5, 6, 7, 8],
        ..SegmentPublic::default()
    };
    RunStatement {
        version: VERSION,
        isa: 1,
        param_set: 1,
        module_hash: [1; 32],
        program_digest: [2; 32],
        policy_digest: [3; 32],
        binding: [4; 32],
        entry: "run".into(),
        salt_present: false,
        transcript: [1, 2, 3, 4, 5, 6, 7, 8],
        transcript_words: 3,
        outcome: ProvenOutcome::Completed,
        fuel_limit: 100,
        fuel_used: 35,
        segments: vec![segment],
    }
}

#[test]
fn decoding_gives_back_what_was_encoded() {
    let outcomes = [
        ProvenOutcome::Completed,
        ProvenOutcome::Trap(22),
        ProvenOutcome::OutOfFuel,
        ProvenOutcome::Denied(5),
    ];
    for outcome in outcomes {
        let mut statement = sample();
        statement.outcome = outcome;
        statement.segments[0].oof_cost = Some(9);
        statement.segments[0].dyn_n = Some(0);
        let decoded = RunStatement::decode(&statement.encode()).unwrap();
        assert_eq!(decoded, statement);
        assert_eq!(decoded.digest(), statement.digest());
    }
}

/// Offset of the entry's length, after the numbers and four hashes.
const ENTRY: usize = 4 + 4 + 2 + 4 * 32;
/// Offset of the salt flag.
const SALT: usize = ENTRY + 4 + 3;
/// Offset of the transcript digest.
const DIGEST: usize = SALT + 1;
/// Offset of the outcome.
const OUTCOME: usize = DIGEST + 32 + 8;
/// Offset of the number of segments.
const SEGMENTS: usize = OUTCOME + 2 + 16;
/// Offset of the flag in front of the cost.
const OOF: usize = SEGMENTS + 4 + 20 + 8;

#[test]
fn every_other_encoding_is_refused() {
    let bytes = sample().encode();
    let cases: [(usize, &[u8], DecodeError); 8] = [
        (ENTRY, &[1, 4], DecodeError::Limit { field: "entry", found: 1025, allowed: 1024 }),
        (ENTRY + 4, &[0xff], DecodeError::Utf8),
        (SALT, &[2], DecodeError::Range { field: "salt_present", found: 2 }),
        (DIGEST, &[1, 0, 0, 0x7f], DecodeError::Range { field: "transcript", found: 0x7f00_0001 }),
        (OUTCOME, &[0, 1], DecodeError::Range { field: "outcome", found: 1 }),
        (OUTCOME, &[1, 23], DecodeError::Range { field: "outcome", found: 279 }),
        (
            SEGMENTS,
            &[1, 0, 16],
            DecodeError::Limit { field: "segments", found: (1 << 20) + 1, allowed: 1 << 20 },
        ),
        (OOF, &[0, 7], DecodeError::Range { field: "oof_cost", found: 7 }),
    ];
    for (offset, patch, expected) in cases {
        let mut changed = bytes.clone();
        changed[offset..offset + patch.len()].copy_from_slice(patch);
        assert_eq!(RunStatement::decode(&changed), Err(expected));
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert_eq!(RunStatement::decode(&longer), Err(DecodeError::Trailing(1)));
    for length in 0..bytes.len() {
        let cut = RunStatement::decode(&bytes[..length]);
        assert!(matches!(cut, Err(DecodeError::Short(_))), "{length}: {cut:?}");
    }
}

#[test]
fn the_digest_covers_every_byte() {
    let bytes = sample().encode();
    let digest = sample().digest();
    for offset in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[offset] ^= 1;
        if let Ok(other) = RunStatement::decode(&changed) {
            assert_ne!(other.digest(), digest, "byte {offset}");
        }
    }
}
