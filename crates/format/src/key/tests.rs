//! Tests of keys beside the vectors.

use alloc::format;
use alloc::string::ToString;
use alloc::vec;

use super::*;
use crate::hash::decode_hex;

/// Seed of RFC 8032 section 7.1 test 1.
const SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";

fn secret() -> SecretKey {
    SecretKey::from_seed(Suite::Ed25519, &decode_hex(SEED).unwrap()).unwrap()
}

#[test]
fn fixed_values_of_the_specification() {
    let key = secret().public().clone();
    let id = "74c181c7ad8a0855d4b55e44d2ba87aabdddb196832571f15f92fece332e4916";
    let identity = "ad0168f08673b2b0dbfa1af3570e3c2ccf833c229644348070443a5c7fbaed5b";
    assert_eq!(key.id().to_string(), id);
    assert_eq!(Identity::try_from(key).unwrap().id().to_string(), identity);
}

#[test]
fn an_identity_knows_its_keys() {
    let key = secret().public().clone();
    let other = SecretKey::from_seed(Suite::Ed25519, &[1; 32]).unwrap().public().clone();
    let identity = Identity::new(vec![key.clone()]).unwrap();
    assert!(identity.contains(&key) && !identity.contains(&other));
    assert_eq!(identity.keys(), core::slice::from_ref(&key));
    // Two keys of one suite are refused, whatever their order.
    for keys in [vec![key.clone(), other.clone()], vec![other, key]] {
        assert_eq!(Identity::new(keys).unwrap_err().code, ErrorCode::SchemaViolation);
    }
}

#[test]
fn suites_are_found_by_number_and_name() {
    for suite in Suite::ALL {
        assert_eq!(Suite::from_number(u64::from(suite.number())), Ok(suite));
        assert_eq!(Suite::from_name(suite.name()), Ok(suite));
    }
    assert_eq!(Suite::from_number(0).unwrap_err().code, ErrorCode::SuiteUnsupported);
    assert_eq!(Suite::from_number(257).unwrap_err().code, ErrorCode::SuiteUnsupported);
}

/// A secret of a suite that no list of published keys has.
fn private(suite: Suite) -> SecretKey {
    let mut seed = [0x21; 32];
    seed[0] = 0x7e;
    SecretKey::from_seed(suite, &seed).unwrap()
}

#[test]
fn key_ids_of_generator_points_are_fixed_values() {
    let mut one = [0; 32];
    one[31] = 1;
    for (suite, expect) in [
        (Suite::P256, "cf4736fae1a3a019d3506e4345cfb6549c7aa731eb5c19f61b60f0175882edcf"),
        (Suite::Secp256k1, "b82d6f011fad5277dcde762f5bc0ad419cc19419e96de77bfbce2f41d9460f2d"),
    ] {
        assert_eq!(SecretKey::from_seed(suite, &one).unwrap().public().id().to_string(), expect);
    }
}

#[test]
fn every_suite_verifies_what_it_signed_and_nothing_else() {
    for suite in Suite::ALL {
        let (secret, message) = (private(suite), b"message");
        let signature = secret.sign(message);
        assert_eq!(signature, secret.sign(message), "{suite} draws no random number");
        suite.check_signature_form(&signature).unwrap();
        secret.public().verify(message, &signature).unwrap();
        let code = |result: Result<(), DecodeError>| result.unwrap_err().code;
        assert_eq!(
            code(secret.public().verify(b"massage", &signature)),
            ErrorCode::SignatureInvalid
        );
        assert_eq!(code(secret.public().verify(message, &[])), ErrorCode::SignatureForm);
        // Any other suite refuses the signature, by its form or by its equation.
        for other in Suite::ALL.into_iter().filter(|other| *other != suite) {
            assert!(private(other).public().verify(message, &signature).is_err());
        }
        let text = secret.public().to_string();
        assert_eq!(text.parse::<PublicKey>().as_ref(), Ok(secret.public()));
    }
}

#[test]
fn an_identity_has_one_key_of_each_suite_at_most_and_never_an_additive_one_alone() {
    let keys: Vec<PublicKey> = Suite::ALL.map(|suite| private(suite).public().clone()).into();
    let identity = Identity::new(keys.clone()).unwrap();
    assert_eq!(identity.keys().len(), 4);
    for kept in 0..4 {
        let fewer = Identity::new(keys[..=kept].to_vec()).unwrap();
        assert_eq!(fewer.id() == identity.id(), kept == 3);
    }
    let alone = Identity::new(vec![keys[2].clone()]).unwrap_err();
    assert_eq!(alone.code, ErrorCode::SuiteUnsupported);
    assert_eq!(Identity::try_from(keys[2].clone()).unwrap_err(), alone);
    let unsorted = vec![keys[1].clone(), keys[0].clone()];
    assert_eq!(Identity::new(unsorted).unwrap_err().code, ErrorCode::SchemaViolation);
}

#[test]
fn a_high_s_is_never_signed() {
    // About half of the signatures of a library that does not normalise have one.
    for suite in [Suite::P256, Suite::Secp256k1] {
        for number in 0..64_u8 {
            let signature = private(suite).sign(&[number]);
            assert!(suite.check_signature_form(&signature).is_ok() && signature.len() <= 71);
        }
    }
}

#[test]
fn weak_keys_are_told_apart_by_what_is_wrong() {
    let detail = |hex: &str| {
        PublicKey::new(Suite::Ed25519, &decode_hex::<32>(hex).unwrap()).unwrap_err().detail
    };
    // The identity in its canonical form, with a needless sign bit, and with y as p + 1.
    let identity = format!("01{}", "00".repeat(31));
    let signed = format!("01{}80", "00".repeat(30));
    let above = format!("ee{}7f", "ff".repeat(30));
    assert!(detail(&identity).contains("small order"));
    assert!(detail(&signed).contains("small order"));
    assert!(detail(&above).contains("not the canonical encoding"));
}

#[test]
fn debug_output_shows_no_secret() {
    let file = KeyFile { created_ms: 1, uses: Uses::Sign, secret: secret() };
    let shown = format!("{file:?} {:?}", secret());
    assert!(!shown.contains(SEED) && !shown.contains("157, 97"), "{shown}");
    assert!(shown.contains("d75a98"), "{shown}");
}

#[test]
fn a_secret_in_another_place_of_a_key_file_is_not_read() {
    // The first member that could be taken for the secret is the one that the reader masks.
    let file = KeyFile { created_ms: 1, uses: Uses::Sign, secret: secret() }.encode();
    let text = core::str::from_utf8(&file).unwrap().to_string();
    assert_eq!(text.matches(SEED).count(), 1);
    let moved = text.replace("\"uses\":[\"sign\"]", "\"uses\":[\"sign\"],\"key\":\"00\"");
    assert_eq!(KeyFile::decode(moved.as_bytes()).unwrap_err().code, ErrorCode::KeyFileForm);
    let decoded = KeyFile::decode(text.as_bytes()).unwrap();
    assert_eq!(decoded.secret.expose_seed(), secret().expose_seed());
}

#[test]
fn labels_are_checked_where_a_line_is_built() {
    let key = secret().public().clone();
    let line = PublicLine::new(key.clone(), "a@B-1_.").unwrap();
    assert_eq!(line.to_string().parse(), Ok(line));
    assert_eq!(PublicLine::new(key, "a b").unwrap_err().code, ErrorCode::KeyFileForm);
}

#[test]
fn the_lines_of_an_identity_have_one_label() {
    let line = |suite, label: &str| {
        PublicLine::new(private(suite).public().clone(), label).unwrap().to_string()
    };
    let first = line(Suite::P256, "alice");
    let (label, identity) =
        PublicLine::decode_identity(&(first.clone() + &line(Suite::MlDsa44, "alice"))).unwrap();
    assert_eq!((label.as_str(), identity.keys().len()), ("alice", 2));
    let code = |text: &str| PublicLine::decode_identity(text).unwrap_err().code;
    assert_eq!(code(&(first.clone() + &line(Suite::MlDsa44, "bob"))), ErrorCode::KeyFileForm);
    assert_eq!(code(""), ErrorCode::KeyFileForm);
    assert_eq!(code(&first.repeat(2)), ErrorCode::SchemaViolation);
    assert_eq!(code(&line(Suite::MlDsa44, "alice")), ErrorCode::SuiteUnsupported);
}
