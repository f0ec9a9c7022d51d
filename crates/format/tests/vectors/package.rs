//! Group `mod`: decodes `bytes`, then verifies with insecure development keys and no trust file.

use kapsule_format::DecodeError;
use kapsule_format::package::Package;
use kapsule_format::verify::{self, Options};

use super::{Case, Verdict};

pub(crate) fn judge(case: &Case) -> Verdict {
    check_detail(case, open(&case.bytes("bytes")))
}

fn open(bytes: &[u8]) -> Verdict {
    let package = Package::decode(bytes)?.into_inner();
    assert_eq!(package.encode(), bytes);
    assert_eq!(package.manifest().encode(), bytes[package.layout().manifest()]);
    assert_eq!(package.policy().encode(), bytes[package.layout().policy()]);
    let options = Options { insecure_dev: true, ..Options::default() };
    let report = verify::package(bytes, None, None, &options);
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
