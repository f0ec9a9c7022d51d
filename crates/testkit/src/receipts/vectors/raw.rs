//! Claims whose KCBOR is another one than any writer makes.

use kapsule_format::cbor::{self, Value};
use kapsule_format::container::Container;

use super::super::rewrite;
use super::{Vector, vector};

/// What becomes of the entries of a claim.
type Change<'a> = &'a dyn Fn(&mut Vec<(u64, Value)>);

/// Claims whose KCBOR is another one than any writer makes.
pub(super) fn all(base: &[u8]) -> Vec<Vector> {
    let raw = |name: &str, why, code: &str, change: Change<'_>| {
        let index = Container::decode(base).expect("a sample is well formed").index();
        let Ok(Value::Map(mut entries)) = cbor::decode(index) else { unreachable!("it is a map") };
        change(&mut entries);
        let bytes = rewrite(base, cbor::encode(&Value::Map(entries)), &[], "");
        Vector { check: Some("form"), ..vector("receipt", name, why, code, bytes) }
    };
    let set = |key: u64, value: Value| {
        move |entries: &mut Vec<(u64, Value)>| {
            entries.retain(|(other, _)| *other != key);
            entries.push((key, value.clone()));
            entries.sort_by_key(|(key, _)| *key);
        }
    };
    let with = |name: &str, bytes: Vec<u8>, code: &str, why| {
        let bytes = rewrite(base, bytes, &[], "");
        Vector { check: Some("form"), ..vector("receipt", name, why, code, bytes) }
    };
    let index = Container::decode(base).expect("a sample is well formed").index();
    let three = Value::Map(vec![(0, 1.into()), (1, 1.into()), (2, Value::Array(vec![]))]);
    vec![
        raw("version-2", "another version", "E005_VERSION_UNSUPPORTED", &set(0, 2.into())),
        raw(
            "kind-2",
            "a claim about a native command",
            "E005_VERSION_UNSUPPORTED",
            &set(1, 2.into()),
        ),
        raw("kind-3", "a claim about nothing known", "E008_SCHEMA_VIOLATION", &set(1, 3.into())),
        raw(
            "critical-key",
            "an unknown critical field",
            "E009_UNKNOWN_CRITICAL_FIELD",
            &set(17, true.into()),
        ),
        raw(
            "key-above",
            "keys from 65536 mean nothing",
            "E009_UNKNOWN_CRITICAL_FIELD",
            &set(65_536, true.into()),
        ),
        raw("no-body", "a claim has a body", "E008_SCHEMA_VIOLATION", &|entries| {
            entries.retain(|(key, _)| *key != 6)
        }),
        raw("text-body", "a body is a map", "E008_SCHEMA_VIOLATION", &set(6, "completed".into())),
        with(
            "three-fields",
            cbor::encode(&three),
            "E008_SCHEMA_VIOLATION",
            "three fields are no claim",
        ),
        with(
            "three-fields-json",
            br#"{"proof":"ok","trace":"sha256","verified":true}"#.to_vec(),
            "E004_LIMIT_EXCEEDED",
            "three fields in JSON are no claim",
        ),
        with("trailing-byte", [index, &[0]].concat(), "E003_TRAILING_BYTES", "a claim is one item"),
        with("cut-claim", index[..index.len() - 1].to_vec(), "E002_TRUNCATED", "a claim is whole"),
    ]
}
