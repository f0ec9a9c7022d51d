//! Group `hash`: `H` or `H3` over `parts`, or a `digest` in text.

use kapsule_abi::ErrorCode;
use kapsule_format::hash::{Tag, tagged, tagged3};
use kapsule_format::{DecodeError, Digest};

use super::{Case, Verdict, unhex};

pub(crate) fn judge(case: &Case) -> Verdict {
    if let Some(text) = case.find("digest") {
        return text.as_str().unwrap().parse::<Digest>().map(|digest| digest.to_string());
    }
    let tag = Tag::ALL.iter().find(|tag| tag.name() == case.text("tag")).unwrap();
    let parts: Vec<Vec<u8>> = case.texts("parts").into_iter().map(unhex).collect();
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    let digest = match case.text("function") {
        "H" => tagged(*tag, &parts),
        "H3" => tagged3(*tag, &parts),
        other => panic!("unknown function {other}"),
    };
    // A commitment that a wrong opening does not give.
    match case.find("commitment") {
        Some(expect) if expect.as_str() != Some(&digest.to_string()) => {
            Err(DecodeError::new(ErrorCode::CommitmentMismatch, "another digest"))
        }
        _ => Ok(digest.to_string()),
    }
}
