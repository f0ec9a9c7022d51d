//! Group `keys`: key text, identities, signatures, key files and `.pub` lines.

use kapsule_format::cbor::{self, FromValue};
use kapsule_format::hash::decode_hex;
use kapsule_format::key::{
    Identity, KeyFile, PublicKey, PublicLine, SecretKey, Suite, is_published_test_key,
};

use super::{Case, Verdict};

pub(crate) fn judge(case: &Case) -> Verdict {
    match case.text("function") {
        "key_text" => {
            let key: PublicKey = case.text("key").parse()?;
            assert_eq!(key.to_string(), case.text("key"));
            Ok(key.id().to_string())
        }
        "identity" => {
            let bytes = case.bytes("bytes");
            let identity = Identity::from_value(cbor::decode(&bytes)?)?;
            assert_eq!(cbor::encode(&identity.to_cbor()), bytes);
            Ok(identity.id().to_string())
        }
        "sign" => {
            let seed = decode_hex(case.text("seed")).unwrap();
            let suite = case.find("suite").map_or(1, |_| case.uint("suite"));
            let secret = SecretKey::from_seed(Suite::from_number(suite)?, &seed)?;
            let signature = secret.sign(&case.bytes("message"));
            Ok(data_encoding::HEXLOWER.encode(&signature))
        }
        "verify" => {
            let key: PublicKey = case.text("key").parse()?;
            key.verify(&case.bytes("message"), &case.bytes("signature"))?;
            Ok("valid".to_owned())
        }
        "key_file" => key_file(case.text("json").as_bytes()),
        "protected_key_file" => super::encrypted::protected_key_file(case),
        "pub_line" => {
            let line: PublicLine = case.text("line").parse()?;
            assert_eq!(line.to_string(), case.text("line"));
            Ok(format!("{} {}", line.label(), line.key().id()))
        }
        "test_key" => {
            let key: PublicKey = case.text("key").parse()?;
            Ok(is_published_test_key(&key).to_string())
        }
        other => panic!("unknown function {other}"),
    }
}

/// Reads a key file and prints what it says.
pub(crate) fn key_file(bytes: &[u8]) -> Verdict {
    let file = KeyFile::decode(bytes)?;
    assert_eq!(file.encode().as_slice(), bytes);
    Ok(format!("{} {:?} {}", file.created_ms, file.uses, file.secret.public()))
}
