//! Whether the verifier's own trust roots accept who signed.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

use super::checks::{Options, not_done};
use super::report::{Check, CheckName, CheckResult};
use crate::key::{Identity, IdentityId, PublicKey, is_published_test_key};
use crate::manifest::Manifest;
use crate::trust::{Role, Trust};

/// Why an identity is not accepted.
struct Refusal {
    code: ErrorCode,
    detail: String,
}

/// Makes the checks `signer.trusted` and `signer.quorum`.
pub(super) fn check(
    manifest: &Manifest,
    signers: &[IdentityId],
    trust: Option<&Trust>,
    now_ms: Option<u64>,
    options: &Options<'_>,
) -> Vec<Check> {
    let author = manifest.identity().ok().flatten();
    let roots = trust.zip(now_ms);
    Vec::from([
        trusted(manifest, author.as_ref(), roots, options.insecure_dev),
        quorum(manifest, author.as_ref(), signers, roots, options.min_signers),
    ])
}

fn trusted(
    manifest: &Manifest,
    author: Option<&Identity>,
    roots: Option<(&Trust, u64)>,
    insecure_dev: bool,
) -> Check {
    let name = CheckName::SignerTrusted;
    let fail = |refusal: Refusal| Check {
        name,
        result: CheckResult::Fail(refusal.code),
        detail: refusal.detail,
    };
    let Some(author) = author else {
        return not_done(name, ErrorCode::SignatureMissing, "the package names no author keys");
    };
    let test_key = author.keys().iter().find(|key| is_published_test_key(key));
    if let Some(key) = test_key
        && guard!("format.verify.test_key", !insecure_dev)
    {
        let detail = format!("{} is a published test key, which anyone can sign with", key.brief());
        return fail(Refusal { code: ErrorCode::TestKeyRefused, detail });
    }
    let Some((trust, now_ms)) = roots else {
        return not_done(name, ErrorCode::NotLookedAt, "no trust file or no clock was given");
    };
    match accept(trust, now_ms, &author.id(), Role::Author, &manifest.name) {
        Ok(()) => Check { name, result: CheckResult::Pass, detail: String::new() },
        Err(mut refusal) => {
            refusal.detail.extend(shrunk(trust, author));
            fail(refusal)
        }
    }
}

/// Says which keys of a trusted identity an author lacks who shares another key with it.
///
/// An identity never shrinks, so that a key whose suite is broken cannot speak alone.
fn shrunk(trust: &Trust, author: &Identity) -> Option<String> {
    let shares = |known: &&Identity| known.keys().iter().any(|key| author.contains(key));
    let mut known = trust.keys.iter().map(|entry| &entry.identity);
    let known = known.find(|known| known.id() != author.id() && shares(known))?;
    let lacking = known.keys().iter().filter(|key| !author.contains(key));
    let lacking: Vec<String> = lacking.map(PublicKey::brief).collect();
    let keys = lacking.join(", ");
    (!lacking.is_empty()).then(|| format!("; the trusted identity {} has {keys} too", known.id()))
}

fn quorum(
    manifest: &Manifest,
    author: Option<&Identity>,
    signers: &[IdentityId],
    roots: Option<(&Trust, u64)>,
    min_signers: u64,
) -> Check {
    let name = CheckName::SignerQuorum;
    let Some((trust, now_ms)) = roots else {
        return not_done(name, ErrorCode::NotLookedAt, "no trust file or no clock was given");
    };
    let author = author.map(Identity::id);
    let counts = |id: &&IdentityId| {
        let role = if author.as_ref() == Some(*id) { Role::Author } else { Role::Publisher };
        accept(trust, now_ms, id, role, &manifest.name).is_ok()
    };
    let found = signers.iter().filter(counts).count() as u64;
    let detail = format!("{found} trusted identities signed, needed are {min_signers}");
    if guard!("format.verify.quorum", found < min_signers) {
        return not_done(name, ErrorCode::SignerQuorum, detail);
    }
    Check { name, result: CheckResult::Pass, detail }
}

/// Asks the trust roots whether they accept an identity in a role for a package.
fn accept(
    trust: &Trust,
    now_ms: u64,
    identity: &IdentityId,
    role: Role,
    package: &str,
) -> Result<(), Refusal> {
    let refuse = |code, detail| Err(Refusal { code, detail });
    if guard!("format.verify.trust_window", !trust.is_valid_at(now_ms)) {
        return refuse(
            ErrorCode::TrustFileStale,
            format!("the trust file {} is outside its validity window", trust.serial),
        );
    }
    if guard!("format.verify.revoked", trust.is_revoked_at(identity, now_ms)) {
        return refuse(ErrorCode::SignerRevoked, format!("identity {identity} is revoked"));
    }
    let Some(key) = trust.key(identity) else {
        return refuse(
            ErrorCode::SignerUntrusted,
            format!("identity {identity} is not in the trust roots"),
        );
    };
    if guard!("format.verify.role", !key.allows(role, package)) {
        return refuse(
            ErrorCode::SignerUntrusted,
            format!("identity {identity} is not trusted as {role} of {package}"),
        );
    }
    if guard!("format.verify.key_window", !key.is_valid_at(now_ms)) {
        return refuse(
            ErrorCode::SignerRevoked,
            format!("identity {identity} is outside its validity window"),
        );
    }
    Ok(())
}
