//! Group `receipt-policy`: receipt policies, registries, access lists, manifests, and proofs that a
//! registry includes a policy.

use kapsule_format::receipt::{HostManifest, PolicyRef, ToolchainManifest};
use kapsule_format::receipt_policy::{Acl, PolicyProof, ReceiptPolicy, Registry};

use super::{Case, Verdict};

pub(crate) fn judge(case: &Case) -> Verdict {
    match case.text("function") {
        "policy" => {
            let bytes = case.text("json").as_bytes();
            let policy = ReceiptPolicy::decode(bytes)?;
            assert_eq!(policy.encode(), bytes);
            Ok(format!("{} {}, {} tracks", policy.id, policy.version, policy.tracks.len()))
        }
        "registry" => {
            let bytes = case.text("json").as_bytes();
            let registry = Registry::decode(bytes)?;
            assert_eq!(registry.encode(), bytes);
            Ok(format!("{} policies, root {}", registry.policies.len(), registry.root()))
        }
        "acl" => {
            let bytes = case.text("json").as_bytes();
            let acl = Acl::decode(bytes)?;
            assert_eq!(acl.encode(), bytes);
            Ok(format!("serial {}, {} entries", acl.serial, acl.entries.len()))
        }
        "host" => {
            let bytes = case.text("json").as_bytes();
            let host = HostManifest::decode(bytes)?;
            assert_eq!(host.encode(), bytes);
            Ok(format!("{} cores, {} GPUs", host.cpu.cores, host.gpus.len()))
        }
        "toolchain" => {
            let bytes = case.text("json").as_bytes();
            let toolchain = ToolchainManifest::decode(bytes)?;
            assert_eq!(toolchain.encode(), bytes);
            Ok(format!("{} tools", toolchain.tools.len()))
        }
        "proof" => proof(case),
        other => panic!("unknown function {other}"),
    }
}

/// Asks whether a proof leads from the policy at `index` of a registry to the registry's root.
fn proof(case: &Case) -> Verdict {
    let proof = PolicyProof::decode(&case.bytes("bytes"))?;
    assert_eq!(proof.encode(), case.bytes("bytes"));
    let registry = Registry::decode(case.text("json").as_bytes())?;
    let entry = &registry.policies[usize::try_from(case.uint("index")).unwrap()];
    let policy = PolicyRef {
        id: entry.id.clone(),
        version: entry.version.clone(),
        sha256: entry.sha256,
        track: String::new(),
    };
    let size = registry.policies.len() as u64;
    let leads = proof.leads_to(&registry.root(), size, &policy);
    let word = if leads { "leads" } else { "does not lead" };
    Ok(format!("{word} to the root, path of {}", proof.path.len()))
}
