//! Group `authoring`: a `manifest` and perhaps a `policy` over the empty module; prints the
//! canonical manifest and, on a second line, the policy.
//!
//! `manifest_syntax` and `policy_syntax` are extensions of file names; absent ones mean `toml`.

use kapsule_format::DecodeError;
use kapsule_format::authoring::{AuthoringError, Draft, Inputs, Syntax, Text};

use super::package::check_detail;
use super::{Case, Verdict};

/// The module that every case packs.
const PAYLOAD: &[u8] = b"\0asm\x01\0\0\0";

pub(crate) fn judge(case: &Case) -> Verdict {
    let refused = |error: AuthoringError| DecodeError::new(error.code, error.to_string());
    check_detail(case, normalise(case).map_err(refused))
}

fn normalise(case: &Case) -> Result<String, AuthoringError> {
    let manifest = match case.find("pad_to").and_then(|bytes| bytes.as_integer()) {
        Some(bytes) => format!("{}#{}", case.text("manifest"), " ".repeat(bytes as usize)),
        None => case.text("manifest").to_owned(),
    };
    let policy = case.find("policy").and_then(|policy| policy.as_str());
    let manifest = Text { syntax: syntax(case, "manifest_syntax"), text: &manifest };
    let policy = policy.map(|text| Text { syntax: syntax(case, "policy_syntax"), text });
    let draft = Draft::read(manifest, policy)?;
    let schema = draft.proof_schema().map(|_| &b"schema"[..]);
    let inputs = Inputs { payload: PAYLOAD, proof_schema: schema, ..Inputs::default() };
    let (manifest, policy) = draft.finish(&inputs)?;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ok(format!("{}\n{}", text(manifest.encode()), text(policy.encode())))
}

fn syntax(case: &Case, name: &str) -> Syntax {
    let extension = case.find(name).map_or("toml", |name| name.as_str().unwrap());
    Syntax::from_extension(extension).unwrap()
}
