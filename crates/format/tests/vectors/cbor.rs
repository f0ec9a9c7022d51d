//! Group `kcbor`: decodes `bytes`; with `map` set, also ends the map as closed or as `ext`.

use kapsule_format::cbor::{self, Fields, Value};

use super::{Case, Verdict};

pub(crate) fn judge(case: &Case) -> Verdict {
    let bytes = case.bytes("bytes");
    let value = cbor::decode(&bytes)?;
    assert_eq!(cbor::encode(&value), bytes);
    match case.find("map").and_then(|form| form.as_str()) {
        None => Ok(print(&value)),
        Some("closed") => open(value)?.finish().map(|()| "closed".to_owned()),
        Some("ext") => {
            let extensions = open(value)?.finish_ext()?;
            Ok(print(&Value::Map(extensions)))
        }
        Some(form) => panic!("unknown map form {form}"),
    }
}

/// Takes the version, the one key that the test map lists.
fn open(value: Value) -> Result<Fields, kapsule_format::DecodeError> {
    let mut fields = Fields::new(value, "vector")?;
    fields.version(1)?;
    Ok(fields)
}

/// Prints an item in the diagnostic notation of RFC 8949 section 8.
pub(crate) fn print(value: &Value) -> String {
    let list = |items: Vec<String>| items.join(", ");
    match value {
        Value::Uint(number) => number.to_string(),
        Value::Bytes(bytes) => format!("h'{}'", data_encoding::HEXLOWER.encode(bytes)),
        Value::Text(text) => format!("{text:?}"),
        Value::Array(elements) => format!("[{}]", list(elements.iter().map(print).collect())),
        Value::Map(entries) => {
            let entry = |(key, value): &(u64, Value)| format!("{key}: {}", print(value));
            format!("{{{}}}", list(entries.iter().map(entry).collect()))
        }
        Value::Bool(flag) => flag.to_string(),
    }
}
