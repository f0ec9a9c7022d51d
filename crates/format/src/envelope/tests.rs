//! Tests of envelopes beside the vectors.

use super::*;

fn secret() -> SecretKey {
    SecretKey::from_seed(Suite::Ed25519, &[42; 32]).unwrap()
}

#[test]
fn the_encoding_before_signing_is_that_of_dsse() {
    // The example of the DSSE v1 protocol description.
    let expect = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world";
    assert_eq!(pae("http://example.com/HelloWorld", b"hello world"), expect);
    assert_eq!(pae("", b""), b"DSSEv1 0  0 ");
}

#[test]
fn a_signed_statement_survives_the_file() {
    let secret = secret();
    let statement = Statement {
        subjects: [Subject { name: "a".into(), sha256: crate::hash::sha256(b"a") }].into(),
        predicate_type: "urn:kapsule:file:v1".into(),
        predicate: [("serial".into(), Value::Uint(1))].into(),
    };
    let bytes = statement.encode();
    assert_eq!(Statement::decode(&bytes), Ok(statement));
    let envelope = Envelope::decode(&Envelope::sign(&bytes, &secret).encode()).unwrap();
    let key_id = secret.public().id();
    let expected = Expected { statement: &bytes, suite: Suite::Ed25519, key_id };
    envelope.check(&expected).unwrap();
    envelope.verify(&expected, secret.public()).unwrap();
    assert_eq!(envelope.payload(), bytes);
    verify_statement(&bytes, secret.public(), envelope.signature()).unwrap();
}

#[test]
fn the_longest_envelope_is_read_and_a_longer_one_refused() {
    // Base64 grows by four characters at a time.
    let file = |zero_bytes: usize| {
        let key_id = secret().public().id();
        Envelope::from_signature(&alloc::vec![0; zero_bytes], key_id, [0; 64].into()).encode()
    };
    let overhead = file(0).len();
    let payload = (limits::ENVELOPE_BYTES_MAX - overhead) / 4 * 3;
    assert!(file(payload).len() <= limits::ENVELOPE_BYTES_MAX);
    assert!(Envelope::decode(&file(payload)).is_ok());
    let longer = file(payload + 3);
    assert!(longer.len() > limits::ENVELOPE_BYTES_MAX);
    assert_eq!(Envelope::decode(&longer).unwrap_err().code, ErrorCode::LimitExceeded);
}
