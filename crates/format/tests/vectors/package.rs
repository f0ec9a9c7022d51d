//! Group `mod`: decodes `bytes`, then verifies them.
//!
//! Without a member `trust` the verifier allows insecure development keys and has no trust file;
//! with it, that is the trust file, and the level `policy-enforced` is required.

use kapsule_format::DecodeError;
use kapsule_format::package::Package;
use kapsule_format::trust::Trust;
use kapsule_format::verify::{self, Level, Options};

use super::{Case, Verdict};

pub(crate) fn judge(case: &Case) -> Verdict {
    if case.find("identity").is_some() {
        return check_detail(case, super::encrypted::judge(case));
    }
    let trust = case.find("trust").map(|_| Trust::decode(case.text("trust").as_bytes()).unwrap());
    check_detail(case, open(&case.bytes("bytes"), trust.as_ref()))
}

fn open(bytes: &[u8], trust: Option<&Trust>) -> Verdict {
    let package = Package::decode(bytes)?.into_inner();
    assert_eq!(package.encode(), bytes);
    assert_eq!(package.manifest().encode(), bytes[package.layout().manifest()]);
    assert_eq!(package.policy().encode(), bytes[package.layout().policy()]);
    let options = match trust {
        None => Options { insecure_dev: true, ..Options::default() },
        Some(_) => Options { required: Level::PolicyEnforced, ..Options::default() },
    };
    let report = verify::package(bytes, trust, Some(1), &options);
    match report.error_code {
        None => Ok(package.capsule_hash().to_string()),
        Some(code) => Err(DecodeError::new(code, format!("{:?}", report.checks))),
    }
}

/// Compares the member `detail`, which tells refusals with one code apart.
pub(crate) fn check_detail(case: &Case, verdict: Verdict) -> Verdict {
    if let (Some(expect), Err(error)) = (case.find("detail"), &verdict) {
        let expect = expect.as_str().unwrap();
        assert!(error.detail.contains(expect), "found {:?}, expected {expect:?}", error.detail);
    }
    verdict
}
