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
    assert_eq!(Identity::from(key).id().to_string(), identity);
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
fn only_suite_1_is_supported_by_this_build() {
    for suite in [Suite::P256, Suite::MlDsa44, Suite::Secp256k1] {
        let refused = [
            SecretKey::from_seed(suite, &[1; 32]).unwrap_err(),
            PublicKey::new(suite, &[2; 33]).unwrap_err(),
            suite.check_signature_form(&[0; 64]).unwrap_err(),
        ];
        for error in refused {
            assert_eq!(error.code, ErrorCode::SuiteUnsupported);
            assert!(error.detail.contains("not supported by this build yet"), "{}", error.detail);
        }
    }
    for suite in Suite::ALL {
        assert_eq!(Suite::from_number(u64::from(suite.number())), Ok(suite));
        assert_eq!(Suite::from_name(suite.name()), Ok(suite));
    }
    assert_eq!(Suite::from_number(0).unwrap_err().code, ErrorCode::SuiteUnsupported);
    assert_eq!(Suite::from_number(257).unwrap_err().code, ErrorCode::SuiteUnsupported);
}

#[test]
fn weak_keys_are_told_apart_by_what_is_wrong() {
    let detail = |hex: &str| {
        PublicKey::new(Suite::Ed25519, &decode_hex::<32>(hex).unwrap()).unwrap_err().detail
    };
    // The identity in its canonical form, and with a needless sign bit.
    let identity = format!("01{}", "00".repeat(31));
    let signed = format!("01{}80", "00".repeat(30));
    assert!(detail(&identity).contains("small order"));
    assert!(detail(&signed).contains("not the canonical encoding"));
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
