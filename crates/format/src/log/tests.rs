//! Tests of the log that are not single files; the vectors have the forms.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kapsule_abi::ErrorCode;

use super::*;
use crate::key::{SecretKey, Suite};
use crate::limits::{LOG_ENTRY_BYTES_MAX, LOG_PROOF_BYTES_MAX, NOTE_BYTES_MAX};
use crate::tree::{self, Builder};
use crate::{DecodeError, Digest};

fn name() -> LogName {
    LogName::new("kapsule.example/log").unwrap()
}

fn secret() -> SecretKey {
    SecretKey::from_seed(Suite::Ed25519, &[7; 32]).unwrap()
}

fn code<T: core::fmt::Debug>(result: Result<T, DecodeError>) -> ErrorCode {
    result.unwrap_err().code
}

/// A log of `count` entries, each about the capsule of its number.
fn log(count: u8) -> (Chain, Vec<Vec<u8>>) {
    let mut chain = Chain::new(name());
    let entries = (0..count).map(|number| {
        let entry = Entry::new(EntryKind::CapsuleAccepted, 1_000 + u64::from(number))
            .subject("capsule", Digest::new([number; 32]));
        let bytes = chain.link(entry).unwrap();
        chain.push(&bytes).unwrap();
        bytes
    });
    let entries = entries.collect();
    (chain, entries)
}

fn proof_of(entries: &[Vec<u8>], index: usize, note: SignedCheckpoint) -> LogProof {
    let hashes: Vec<Digest> = entries.iter().map(|entry| tree::leaf_hash(entry)).collect();
    let path = tree::inclusion_proof(&hashes, index).unwrap();
    LogProof { entry: entries[index].clone(), index: index as u64, path, note }
}

#[test]
fn the_verifier_key_of_the_specification() {
    let key = "ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    let vkey = VerifierKey::of_log(name(), &key.parse().unwrap()).unwrap();
    let text = "kapsule.example/log+1143f761+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea";
    assert_eq!(vkey.to_string(), text);
    assert_eq!(text.parse::<VerifierKey>().unwrap(), vkey);
}

#[test]
fn names_of_entry_kinds_are_distinct_and_read_back() {
    for kind in EntryKind::ALL {
        assert_eq!(EntryKind::from_name(kind.name()).unwrap(), *kind);
    }
    assert_eq!(code(EntryKind::from_name("log.opened")), ErrorCode::SchemaViolation);
}

#[test]
fn an_entry_keeps_its_lists_in_order_and_comes_back() {
    let entry = Entry::new(EntryKind::CapsuleRefused, 5)
        .datum("file", "b.kapsule")
        .datum("author", "someone")
        .subject("payload", Digest::new([2; 32]))
        .subject("capsule", Digest::new([1; 32]))
        .blinded("path", blind(&[3; 32], "path", b"/home/someone"))
        .refused(ErrorCode::SignatureInvalid);
    let bytes = entry.encode().unwrap();
    assert_eq!(Entry::decode(&bytes).unwrap(), entry);
    assert_eq!(entry.find_datum("file"), Some("b.kapsule"));
    assert_eq!(entry.find_subject("capsule"), Some(&Digest::new([1; 32])));
    assert_eq!(entry.error.as_deref(), Some("E032_SIGNATURE_INVALID"));
    assert_ne!(blind(&[3; 32], "path", b"x"), blind(&[4; 32], "path", b"x"));
}

#[test]
fn an_entry_that_no_reader_accepts_is_not_written() {
    let fits =
        |length| Entry::new(EntryKind::LogOpen, 0).datum("long", "x".repeat(length)).encode();
    let frame = fits(1_000).unwrap().len() - 1_000;
    assert_eq!(fits(LOG_ENTRY_BYTES_MAX - frame).unwrap().len(), LOG_ENTRY_BYTES_MAX);
    assert_eq!(code(fits(LOG_ENTRY_BYTES_MAX - frame + 1)), ErrorCode::LimitExceeded);
    let control = Entry::new(EntryKind::LogOpen, 0).datum("file", "a\u{7}b");
    assert_eq!(code(control.encode()), ErrorCode::CborNotCanonical);
    let twice = Entry::new(EntryKind::LogOpen, 0).datum("file", "a").datum("file", "b");
    assert_eq!(code(twice.encode()), ErrorCode::SchemaViolation);
    let names = (0..65).map(|number| format!("name{number:02}"));
    let many = names.fold(Entry::new(EntryKind::LogOpen, 0), |entry, name| entry.datum(&name, ""));
    assert_eq!(code(many.encode()), ErrorCode::SchemaViolation);
}

#[test]
fn a_resumed_chain_goes_on_like_the_one_before() {
    let (mut whole, entries) = log(11);
    let mut builder = Builder::new();
    entries.iter().for_each(|entry| builder.push(entry));
    let mut resumed = Chain::resume(name(), *whole.head(), 0, builder);
    let next = whole.link(Entry::new(EntryKind::LogClose, 9)).unwrap();
    resumed.push(&next).unwrap();
    whole.push(&next).unwrap();
    assert_eq!((resumed.head(), resumed.checkpoint()), (whole.head(), whole.checkpoint()));
}

#[test]
fn a_chain_refuses_what_does_not_come_next() {
    let (chain, entries) = log(4);
    let after = |count: usize| {
        let mut chain = Chain::new(name());
        entries[..count].iter().for_each(|entry| drop(chain.push(entry).unwrap()));
        chain
    };
    assert_eq!(code(after(1).push(&entries[2])), ErrorCode::LogChainBroken);
    assert_eq!(code(after(2).push(&entries[1])), ErrorCode::LogChainBroken);
    let mut other = Chain::new(LogName::new("kapsule.example/other").unwrap());
    assert_eq!(code(other.push(&entries[0])), ErrorCode::LogChainBroken);
    // The refused entry leaves the chain as it was.
    let mut chain_of_3 = after(3);
    assert!(chain_of_3.push(&entries[1]).is_err());
    chain_of_3.push(&entries[3]).unwrap();
    assert_eq!(chain_of_3.checkpoint(), chain.checkpoint());
}

#[test]
fn a_new_key_is_announced_under_the_old_one() {
    let mut chain = Chain::new(name());
    let announced = chain.link(Entry::new(EntryKind::LogKey, 1)).unwrap();
    assert_eq!(chain.push(&announced).unwrap().key_epoch, 0);
    let mut early = Entry::new(EntryKind::LogClose, 2);
    (early.index, early.prev, early.key_epoch) = (1, *chain.head(), 0);
    assert_eq!(code(chain.push(&early.encode().unwrap())), ErrorCode::EpochKeyOrder);
    let next = chain.link(Entry::new(EntryKind::LogClose, 2)).unwrap();
    assert_eq!(chain.push(&next).unwrap().key_epoch, 1);
}

#[test]
fn a_log_is_compared_with_what_a_checkpoint_saw() {
    let (saved, entries) = log(5);
    let mut chain = Chain::new(name());
    for (count, entry) in entries.iter().enumerate() {
        assert_eq!(
            code(chain.check_reaches(&saved.checkpoint())),
            ErrorCode::LogTruncated,
            "{count}"
        );
        chain.push(entry).unwrap();
    }
    chain.check_reaches(&saved.checkpoint()).unwrap();
    let other = Checkpoint { root: Digest::new([9; 32]), ..saved.checkpoint() };
    assert_eq!(code(chain.check_reaches(&other)), ErrorCode::LogFork);
    let foreign = Checkpoint { origin: LogName::new("other").unwrap(), ..saved.checkpoint() };
    assert_eq!(code(chain.check_reaches(&foreign)), ErrorCode::CheckpointInvalid);
}

#[test]
fn consistency_of_two_checkpoints() {
    let ((old, _), (new, entries)) = (log(3), log(7));
    let hashes: Vec<Digest> = entries.iter().map(|entry| tree::leaf_hash(entry)).collect();
    let proof = tree::consistency_proof(&hashes, 3).unwrap();
    let (old, new) = (old.checkpoint(), new.checkpoint());
    check_consistency(&old, &new, &proof).unwrap();
    check_consistency(&new, &new, &[]).unwrap();
    check_consistency(&Chain::new(name()).checkpoint(), &new, &[]).unwrap();
    assert_eq!(code(check_consistency(&new, &old, &proof)), ErrorCode::LogTruncated);
    assert_eq!(code(check_consistency(&old, &new, &proof[1..])), ErrorCode::LogConsistencyInvalid);
    let forked = Checkpoint { root: old.root, ..new.clone() };
    assert_eq!(code(check_consistency(&forked, &new, &[])), ErrorCode::LogFork);
    let empty = Checkpoint { root: old.root, ..Chain::new(name()).checkpoint() };
    assert_eq!(code(check_consistency(&empty, &new, &[])), ErrorCode::LogConsistencyInvalid);
    let foreign = Checkpoint { origin: LogName::new("other").unwrap(), ..old };
    assert_eq!(code(check_consistency(&foreign, &new, &proof)), ErrorCode::CheckpointInvalid);
}

#[test]
fn a_proof_shows_an_entry_about_its_subject_alone() {
    let (chain, entries) = log(6);
    let note = SignedCheckpoint::sign(chain.checkpoint(), &secret()).unwrap();
    let vkey = VerifierKey::of_log(name(), secret().public()).unwrap();
    for index in 0..entries.len() {
        let proof = proof_of(&entries, index, note.clone());
        let read = LogProof::decode(proof.encode().as_bytes()).unwrap();
        assert_eq!(read, proof);
        let subject = Digest::new([index as u8; 32]);
        assert_eq!(read.verify(&vkey, &subject).unwrap().index, index as u64);
        let other = Digest::new([0xee; 32]);
        assert_eq!(code(read.verify(&vkey, &other)), ErrorCode::LogInclusionInvalid);
    }
}

#[test]
fn an_entry_at_another_index_than_it_states_proves_nothing() {
    let subject = Digest::new([1; 32]);
    let entry = Entry::new(EntryKind::CapsuleAccepted, 1).subject("capsule", subject);
    // Both leaves are the entry, which says that it is the first.
    let entries: Vec<Vec<u8>> = [entry.encode().unwrap(), entry.encode().unwrap()].into();
    let checkpoint = Checkpoint { origin: name(), size: 2, root: tree::root(&entries) };
    let note = SignedCheckpoint::sign(checkpoint, &secret()).unwrap();
    let vkey = VerifierKey::of_log(name(), secret().public()).unwrap();
    proof_of(&entries, 0, note.clone()).verify(&vkey, &subject).unwrap();
    let second = proof_of(&entries, 1, note).verify(&vkey, &subject);
    assert_eq!(code(second), ErrorCode::LogInclusionInvalid);
}

#[test]
fn lines_of_other_keys_count_nothing_and_each_of_the_key_must_verify() {
    let (chain, _) = log(2);
    let cosigner_key = SecretKey::from_seed(Suite::Ed25519, &[8; 32]).unwrap();
    let cosigner_name = LogName::new("cosigner.example").unwrap();
    let cosigner = VerifierKey::of_cosigner(cosigner_name, cosigner_key.public()).unwrap();
    let mut note = SignedCheckpoint::sign(chain.checkpoint(), &secret()).unwrap();
    assert_eq!(code(note.verify(&cosigner)), ErrorCode::CheckpointInvalid);
    note.cosign(&cosigner, &cosigner_key, 1_700_000_000).unwrap();
    assert_eq!(code(note.cosign(&cosigner, &secret(), 0)), ErrorCode::KeyidMismatch);
    let mut note = SignedCheckpoint::decode(note.encode().as_bytes()).unwrap();
    let vkey = VerifierKey::of_log(name(), secret().public()).unwrap();
    note.verify(&vkey).unwrap();
    note.verify(&cosigner).unwrap();
    // A second line of the same key over another text.
    let other = SignedCheckpoint::sign(log(1).0.checkpoint(), &secret()).unwrap();
    note.signatures.extend(other.signatures);
    assert_eq!(code(note.verify(&vkey)), ErrorCode::CheckpointInvalid);
    note.verify(&cosigner).unwrap();
}

#[test]
fn the_key_of_a_log_signs_for_that_log_only() {
    let other = LogName::new("kapsule.example/other").unwrap();
    let vkey = VerifierKey::of_log(other, secret().public()).unwrap();
    let checkpoint = log(1).0.checkpoint();
    let signature = vkey.sign(&secret(), &checkpoint.text(), 0).unwrap();
    let note = SignedCheckpoint { checkpoint, signatures: [signature].into() };
    assert_eq!(code(note.verify(&vkey)), ErrorCode::CheckpointInvalid);
}

#[test]
fn a_note_without_signatures_is_not_a_checkpoint() {
    let unsigned = format!("{}\n", log(1).0.checkpoint().text());
    assert_eq!(code(SignedCheckpoint::decode(unsigned.as_bytes())), ErrorCode::CheckpointInvalid);
}

#[test]
fn only_ed25519_signs_notes() {
    let p256 = SecretKey::from_seed(Suite::P256, &[7; 32]).unwrap();
    let vkey = VerifierKey::of_log(name(), p256.public());
    assert_eq!(code(vkey), ErrorCode::SuiteUnsupported);
}

#[test]
fn files_are_limited_before_they_are_read() {
    let note = "x".repeat(NOTE_BYTES_MAX + 1);
    assert_eq!(code(SignedCheckpoint::decode(note.as_bytes())), ErrorCode::LimitExceeded);
    let lines: String = "line\n".repeat(33);
    assert_eq!(code(SignedCheckpoint::decode(lines.as_bytes())), ErrorCode::LimitExceeded);
    let proof = "x".repeat(LOG_PROOF_BYTES_MAX + 1);
    assert_eq!(code(LogProof::decode(proof.as_bytes())), ErrorCode::LimitExceeded);
    assert_eq!(code(Entry::decode(&[0; LOG_ENTRY_BYTES_MAX + 1])), ErrorCode::LimitExceeded);
}
