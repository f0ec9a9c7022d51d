//! Challenges answered honestly and otherwise.

use super::*;

fn samples(delta_ppm: u64, epsilon_bits: u64, count: u64) -> Option<u64> {
    Sampling { delta_ppm, epsilon_bits }.samples(count)
}

fn challenge(bundle: &[u8], k: u64) -> Challenge {
    Challenge {
        receipt_id: ReceiptId::new(Digest::new([2; 32])),
        chunk_root: tree::chunk_root(bundle),
        chunk_count: bundle.len().div_ceil(CHUNK_BYTES) as u64,
        seed: [1; 32],
        k,
        issued_at: 5,
        answer_by: 9,
        issuer: IdentityId::new(Digest::new([4; 32])),
    }
}

fn bundle(chunks: usize) -> Vec<u8> {
    (0..chunks * CHUNK_BYTES - 7).map(|at| (at / 251) as u8).collect()
}

#[test]
fn the_draw_is_the_fixed_one() {
    let (receipt, root) = (ReceiptId::new(Digest::new([2; 32])), Digest::new([3; 32]));
    assert_eq!(draw(&[1; 32], &receipt, &root, (1_000, 5)), [996, 838, 715, 852, 54]);
    let mut all = draw(&[1; 32], &receipt, &root, (7, 1_024));
    all.sort_unstable();
    assert_eq!(all, [0, 1, 2, 3, 4, 5, 6]);
}

#[test]
fn the_number_of_samples_is_exact() {
    // 0.5^k <= 2^-8; 0.99^k <= 2^-10: 690 is too many, 689.68 are needed.
    assert_eq!(samples(500_000, 8, 1_000), Some(8));
    assert_eq!(samples(10_000, 10, 100_000), Some(690));
    assert_eq!(samples(500_000, 8, 5), Some(5));
    assert_eq!(samples(0, 40, 9), Some(9));
    assert_eq!(samples(0, 40, 1_025), None);
    assert_eq!(samples(1, 1, 100_000), None);
    assert_eq!(samples(1, 1, 1_024), Some(1_024));
    assert_eq!(samples(999_999, 256, 1_000), Some(13));
}

#[test]
fn honest_answers_show_what_was_asked_for() {
    let bundle = bundle(5);
    for k in [1, 3, 9] {
        let challenge = challenge(&bundle, k);
        assert_eq!(Challenge::decode(&challenge.statement()), Ok(challenge.clone()));
        let response = challenge.respond(&bundle).unwrap();
        assert_eq!(challenge.check(&response), Ok(Vec::new()));
    }
    let other = challenge(&bundle, 3).respond(&bundle[1..]).unwrap_err();
    assert_eq!(other.code, ErrorCode::BundleMismatch);
}

/// Answers with samples changed by `change`.
fn altered(challenge: &Challenge, change: fn(&mut Vec<Cbor>)) -> Vec<u8> {
    let response = challenge.respond(&bundle(5)).unwrap();
    let Ok(Cbor::Map(mut members)) = cbor::decode(&response) else { panic!("a map") };
    let Cbor::Array(samples) = &mut members[2].1 else { panic!("an array") };
    change(samples);
    cbor::encode(&Cbor::Map(members))
}

fn part(sample: &mut Cbor, index: usize) -> &mut Cbor {
    let Cbor::Array(parts) = sample else { panic!("an array") };
    &mut parts[index]
}

#[test]
fn other_answers_are_refused_and_gaps_are_named() {
    let challenge = challenge(&bundle(5), 3);
    let mut asked = challenge.indices();
    asked.sort_unstable();
    let gap = altered(&challenge, |samples| drop(samples.remove(1)));
    assert_eq!(challenge.check(&gap), Ok(vec![asked[1]]));
    let changes: [fn(&mut Vec<Cbor>); 6] = [
        |samples| samples.reverse(),
        |samples| samples.push(samples[2].clone()),
        |samples| *part(&mut samples[0], 1) = vec![0; CHUNK_BYTES].into(),
        |samples| *part(&mut samples[0], 2) = Cbor::Array(Vec::new()),
        |samples| {
            let Cbor::Uint(index) = part(&mut samples[2], 0) else { panic!("an index") };
            *index += 5;
        },
        |samples| samples[0] = Cbor::Array(Vec::new()),
    ];
    for change in changes {
        let error = challenge.check(&altered(&challenge, change)).unwrap_err();
        assert_eq!(error.code, ErrorCode::ResponseInvalid);
    }
    // A chunk that is there, and that nobody asked for.
    let all = Challenge { k: 5, ..challenge.clone() }.respond(&bundle(5)).unwrap();
    let Ok(Cbor::Map(mut members)) = cbor::decode(&all) else { panic!("a map") };
    members[1].1 = challenge.id().into();
    let error = challenge.check(&cbor::encode(&Cbor::Map(members))).unwrap_err();
    assert_eq!(error.code, ErrorCode::ResponseInvalid);
    let mut next = challenge.clone();
    next.issued_at += 1;
    let foreign = next.respond(&bundle(5)).unwrap();
    let error = challenge.check(&foreign).unwrap_err();
    assert_eq!(error.code, ErrorCode::ResponseInvalid);
    let long = vec![0; usize::try_from(RESPONSE_BYTES_MAX).unwrap() + 1];
    assert_eq!(challenge.check(&long).unwrap_err().code, ErrorCode::LimitExceeded);
}

#[test]
fn attestations_come_back_and_say_one_thing() {
    let challenge = challenge(&bundle(5), 3);
    for missing in [vec![], vec![1, 4]] {
        let made = Attestation {
            receipt_id: challenge.receipt_id,
            chunk_root: challenge.chunk_root,
            challenge_id: challenge.id(),
            k: 3,
            answered_at: 7,
            missing,
            response: Digest::new([8; 32]),
            issuer: challenge.issuer,
        };
        let text = String::from_utf8(made.statement()).unwrap();
        assert_eq!(Attestation::decode(text.as_bytes()), Ok(made));
        for (from, to) in [("\"available\"", "\"missing\""), ("\"missing\"}", "\"available\"}")] {
            let lie = text.replace(&format!("\"result\":{from}"), &format!("\"result\":{to}"));
            assert!(lie == text || Attestation::decode(lie.as_bytes()).is_err());
        }
        let other = text.replace("da-attestation", "da-challenge");
        assert!(Attestation::decode(other.as_bytes()).is_err());
        let subject = text.replace("claim.cbor", "meta.cbor");
        assert!(Attestation::decode(subject.as_bytes()).is_err());
    }
    let text = String::from_utf8(challenge.statement()).unwrap();
    for (from, to) in [("\"k\":3", "\"k\":0"), ("\"arity\":2", "\"arity\":4"), ("65536", "4096")] {
        let error = Challenge::decode(text.replace(from, to).as_bytes()).unwrap_err();
        assert_eq!(error.code, ErrorCode::ChallengeInvalid);
    }
}

#[test]
fn a_challenge_file_is_signed_by_every_key_of_its_issuer() {
    let secrets: Vec<SecretKey> = [Suite::Ed25519, Suite::MlDsa44]
        .into_iter()
        .map(|suite| SecretKey::from_seed(suite, &[9; 32]).unwrap())
        .collect();
    let keys = secrets.iter().map(|secret| secret.public().clone()).collect();
    let identity = Identity::new(keys).unwrap();
    let asked = Challenge { issuer: identity.id(), ..challenge(&bundle(5), 3) };
    let file = SignedChallenge::sign(&asked, &secrets);
    let signed = SignedChallenge::decode(&file).unwrap();
    assert_eq!(signed.challenge(), &asked);
    assert_eq!(signed.verify(&identity), Ok(()));
    let alone = Identity::try_from(secrets[0].public().clone()).unwrap();
    let code = |result: Result<(), DecodeError>| result.unwrap_err().code;
    assert_eq!(code(signed.verify(&alone)), ErrorCode::ChallengeInvalid);
    let half = SignedChallenge::decode(&SignedChallenge::sign(&asked, &secrets[..1])).unwrap();
    assert_eq!(code(half.verify(&identity)), ErrorCode::SignatureMissing);
    let other = Challenge { k: 2, ..asked.clone() };
    let line = |challenge: &Challenge| SignedChallenge::sign(challenge, &secrets[..1]);
    // The signature of another challenge, with this statement.
    let forged = String::from_utf8(line(&other)).unwrap();
    let (payload, honest) = (encoded(&asked), encoded(&other));
    let forged = forged.replace(&honest, &payload);
    let forged = SignedChallenge::decode(forged.as_bytes()).unwrap();
    assert_eq!(code(forged.verify(&identity)), ErrorCode::SignatureInvalid);
    for file in [
        Vec::new(),
        file[..file.len() - 1].to_vec(),
        [line(&asked), line(&other)].concat(),
        line(&asked).repeat(5),
        b"{}\n".to_vec(),
    ] {
        let error = SignedChallenge::decode(&file).unwrap_err();
        assert_eq!(error.code, ErrorCode::ChallengeInvalid, "{error}");
    }
}

fn encoded(challenge: &Challenge) -> String {
    data_encoding::BASE64.encode(&challenge.statement())
}
