//! Group `rjson`: decodes `bytes` or the text `json`; with `object` set, also ends the object.

use kapsule_format::json::{self, Fields, Value};

use super::{Case, Verdict};

pub(crate) fn judge(case: &Case) -> Verdict {
    let bytes = match case.find("json") {
        Some(text) => text.as_str().unwrap().as_bytes().to_vec(),
        None => case.bytes("bytes"),
    };
    let value = json::decode(&bytes)?;
    assert_eq!(json::encode(&value), bytes);
    match case.find("object").and_then(|form| form.as_str()) {
        None => Ok(print(&value)),
        Some("closed") => open(value)?.finish().map(|()| "closed".to_owned()),
        Some("ext") => open(value)?.finish_ext().map(|rest| print(&Value::Object(rest))),
        Some(form) => panic!("unknown object form {form}"),
    }
}

/// Takes the schema, the one member that the test object lists.
fn open(value: Value) -> Result<Fields, kapsule_format::DecodeError> {
    let mut fields = Fields::new(value, "vector")?;
    fields.schema("kapsule/policy/1")?;
    Ok(fields)
}

/// Prints a value so that nothing depends on the writer under test.
fn print(value: &Value) -> String {
    let list = |items: Vec<String>| items.join(", ");
    match value {
        Value::Uint(number) => number.to_string(),
        Value::Text(text) => format!("{text:?}"),
        Value::Array(elements) => format!("[{}]", list(elements.iter().map(print).collect())),
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| format!("{name}: {}", print(value));
            format!("{{{}}}", list(members.iter().map(member).collect()))
        }
        Value::Bool(flag) => flag.to_string(),
    }
}
