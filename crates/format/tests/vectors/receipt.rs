//! Group `receipt`: verifies `bytes` with the nonce of the samples and without a trust file, and
//! prints the ids of the claim; a refusal is the code of the check that `check` names.

use kapsule_format::DecodeError;
use kapsule_format::receipt::Receipt;
use kapsule_format::verify::{self, CheckName, Options, ReceiptOptions};

use super::{Case, Verdict};

/// Nonce of every sample.
const NONCE: [u8; 32] = [0x5a; 32];

pub(crate) fn judge(case: &Case) -> Verdict {
    let bytes = case.bytes("bytes");
    let require: Vec<CheckName> = case
        .find("check")
        .map(|_| CheckName::from_name(case.text("check")).unwrap())
        .into_iter()
        .collect();
    let options = Options { insecure_dev: true, require: require.clone(), ..Options::default() };
    let asked = ReceiptOptions { nonce: Some(NONCE), ..ReceiptOptions::default() };
    let report = verify::receipt(&bytes, None, None, &options, &asked);
    if let Some(code) = report.error_code {
        let named = require.first().and_then(|name| report.result(*name)?.code());
        return Err(DecodeError::new(named.unwrap_or(code), "as the report says"));
    }
    let receipt = Receipt::decode(&bytes)?;
    let claim = receipt.claim();
    assert_eq!(claim.encode(), receipt.container().index(), "a claim has one form");
    let (id, statement) = (claim.id(), claim.statement().hash());
    let (exec, outcome) = (claim.exec.hash(), claim.exec.outcome);
    Ok(format!("receipt {id}, exec {exec}, statement {statement}, {outcome}"))
}
