//! Group `policy`: decodes `json` and prints its SHA-256, or narrows `package` by `grant` and
//! prints the effective policy.

use kapsule_format::policy::{Policy, effective};

use super::package::check_detail;
use super::{Case, Verdict};

pub(crate) fn judge(case: &Case) -> Verdict {
    let verdict = match case.text("function") {
        "decode" => decode(case.text("json").as_bytes()).map(|policy| policy.hash().to_string()),
        "effective" => narrow(case),
        function => panic!("unknown function {function}"),
    };
    check_detail(case, verdict)
}

fn decode(json: &[u8]) -> Result<Policy, kapsule_format::DecodeError> {
    let policy = Policy::decode(json)?;
    assert_eq!(policy.encode(), json);
    Ok(policy)
}

fn narrow(case: &Case) -> Verdict {
    let side = |name| decode(case.text(name).as_bytes()).unwrap();
    let (policy, _) = effective(&side("package"), &side("grant"))?;
    Ok(String::from_utf8(policy.encode()).unwrap())
}
