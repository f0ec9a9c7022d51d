//! Group `da`: how many chunks are enough, which ones a challenge asks for, what a response leaves
//! out, and what an attestation says.

use kapsule_format::receipt::da::{Attestation, Challenge, Sampling};

use super::{Case, Verdict};

pub(crate) fn judge(case: &Case) -> Verdict {
    match case.text("function") {
        "samples" => {
            let (delta_ppm, epsilon_bits) = (case.uint("delta_ppm"), case.uint("epsilon_bits"));
            let samples = Sampling { delta_ppm, epsilon_bits }.samples(case.uint("chunks"));
            Ok(samples.map_or("none".into(), |samples| samples.to_string()))
        }
        "challenge" => Ok(list(&challenge(case)?.indices())),
        "response" => {
            let missing = challenge(case)?.check(&case.bytes("bytes"))?;
            Ok(format!("missing {}", list(&missing)))
        }
        "attestation" => {
            let statement = case.text("json").as_bytes();
            let found = Attestation::decode(statement)?;
            assert_eq!(found.statement(), statement);
            Ok(format!("k {}, missing {}", found.k, list(&found.missing)))
        }
        other => panic!("unknown function {other}"),
    }
}

fn challenge(case: &Case) -> Result<Challenge, kapsule_format::DecodeError> {
    let statement = case.text("json").as_bytes();
    let found = Challenge::decode(statement)?;
    assert_eq!(found.statement(), statement);
    Ok(found)
}

fn list(indices: &[u64]) -> String {
    let shown: Vec<String> = indices.iter().map(ToString::to_string).collect();
    if shown.is_empty() { "none".into() } else { shown.join(" ") }
}
