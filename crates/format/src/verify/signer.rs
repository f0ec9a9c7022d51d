//! Whether the verifier's own trust roots accept who signed.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

use super::checks::{Options, not_done};
use super::report::{Check, CheckName, CheckResult};
use crate::DecodeError;
use crate::key::{Identity, IdentityId, PublicKey, is_published_test_key};
use crate::trust::{Role, Trust};

/// Why an identity is not accepted.
pub(super) struct Refusal {
    pub(super) code: ErrorCode,
    pub(super) detail: String,
}

/// Who speaks for an artefact, and as what.
pub(super) struct Subject<'a> {
    /// Author of a package or issuer of a receipt.
    pub(super) signer: Option<&'a Identity>,
    /// Role that it needs.
    pub(super) role: Role,
    /// Role that others need whose signatures count.
    pub(super) others: Role,
    /// Name of the package; roles for receipts are not limited to packages.
    pub(super) package: Option<&'a str>,
}

/// Makes the checks `signer.trusted` and `signer.quorum`.
pub(super) fn check(
    subject: &Subject<'_>,
    signers: &[IdentityId],
    trust: Option<&Trust>,
    now_ms: Option<u64>,
    options: &Options<'_>,
) -> Vec<Check> {
    let roots = Roots::new(trust, now_ms, options);
    Vec::from([
        trusted(subject, roots.as_ref(), options),
        quorum(subject, signers, roots.as_ref(), options.min_signers),
    ])
}

/// Counts the distinct trusted identities that signed; `None` without a trust file or a clock.
pub(super) fn count(
    subject: &Subject<'_>,
    signers: &[IdentityId],
    roots: Option<&Roots<'_>>,
) -> Option<u64> {
    let roots = roots?;
    let counts = |id: &&IdentityId| {
        let own = subject.signer.filter(|signer| signer.id() == **id);
        let role = if own.is_some() { subject.role } else { subject.others };
        let listed = roots.trust.key(id).map(|entry| &entry.identity);
        let identity = own.or(listed);
        identity.is_some_and(|identity| roots.accept(identity, role, subject.package).is_ok())
    };
    Some(signers.iter().filter(counts).count() as u64)
}

fn trusted(subject: &Subject<'_>, roots: Option<&Roots<'_>>, options: &Options<'_>) -> Check {
    let name = CheckName::SignerTrusted;
    let fail = |refusal: Refusal| Check {
        name,
        result: CheckResult::Fail(refusal.code),
        detail: refusal.detail,
    };
    let Some(author) = subject.signer else {
        return not_done(name, ErrorCode::SignatureMissing, "the package names no author keys");
    };
    let test_key = author.keys().iter().find(|key| is_published_test_key(key));
    if let Some(key) = test_key
        && guard!("format.verify.test_key", !options.insecure_dev)
    {
        let detail = format!("{} is a published test key, which anyone can sign with", key.brief());
        return fail(Refusal { code: ErrorCode::TestKeyRefused, detail });
    }
    let Some(roots) = roots else {
        // Only a trust file can say that the smaller identity is meant.
        let greater = options.known.and_then(|known| known.greater(author));
        if let Some(greater) = greater
            && guard!("format.verify.known_identity", true)
        {
            let detail = format!("identity {}{}", author.id(), lacking(greater, author));
            return fail(Refusal { code: ErrorCode::SignerUntrusted, detail });
        }
        return not_done(name, ErrorCode::NotLookedAt, "no trust file or no clock was given");
    };
    match roots.accept(author, subject.role, subject.package) {
        Ok(()) => Check { name, result: CheckResult::Pass, detail: String::new() },
        Err(mut refusal) => {
            let greater = roots.trust.keys.iter().map(|entry| &entry.identity);
            let greater = greater.into_iter().find(|known| known.is_shrunk_to(author));
            refusal.detail.extend(greater.map(|greater| lacking(greater, author)));
            fail(refusal)
        }
    }
}

/// Says which keys of a known identity an author lacks who shares another key with it.
fn lacking(greater: &Identity, author: &Identity) -> String {
    let keys = greater.keys().iter().filter(|key| !author.contains(key));
    let keys: Vec<String> = keys.map(PublicKey::brief).collect();
    format!("; the known identity {} has {} too", greater.id(), keys.join(", "))
}

fn quorum(
    subject: &Subject<'_>,
    signers: &[IdentityId],
    roots: Option<&Roots<'_>>,
    min_signers: u64,
) -> Check {
    let name = CheckName::SignerQuorum;
    let Some(found) = count(subject, signers, roots) else {
        return not_done(name, ErrorCode::NotLookedAt, "no trust file or no clock was given");
    };
    let detail = format!("{found} trusted identities signed, needed are {min_signers}");
    if guard!("format.verify.quorum", found < min_signers) {
        return not_done(name, ErrorCode::SignerQuorum, detail);
    }
    Check { name, result: CheckResult::Pass, detail }
}

/// The trust roots of this verification.
pub(super) struct Roots<'a> {
    trust: &'a Trust,
    now_ms: u64,
    options: &'a Options<'a>,
}

impl<'a> Roots<'a> {
    /// Takes the trust roots, if there are a trust file and a clock.
    pub(super) fn new(
        trust: Option<&'a Trust>,
        now_ms: Option<u64>,
        options: &'a Options<'a>,
    ) -> Option<Self> {
        trust.zip(now_ms).map(|(trust, now_ms)| Self { trust, now_ms, options })
    }

    /// Returns the file, if it may be used at all.
    pub(super) fn in_force(&self) -> Result<&'a Trust, Refusal> {
        let refuse = |DecodeError { code, detail, .. }| Refusal { code, detail };
        if let Some(error) = &self.options.trust_refused
            && guard!("format.verify.trust_refused", true)
        {
            return Err(refuse(error.clone()));
        }
        self.trust.in_force(self.now_ms, self.options.max_skew_ms).map_err(refuse)
    }

    /// Asks whether an identity is accepted in a role, for a package if one is meant.
    pub(super) fn accept(
        &self,
        identity: &Identity,
        role: Role,
        package: Option<&str>,
    ) -> Result<(), Refusal> {
        let refuse = |code, detail| Err(Refusal { code, detail });
        let trust = self.in_force()?;
        let (now_ms, skew_ms) = (self.now_ms, self.options.max_skew_ms);
        let id = identity.id();
        if guard!("format.verify.revoked", trust.is_revoked_at(&id, now_ms)) {
            return refuse(ErrorCode::SignerRevoked, format!("identity {id} is revoked"));
        }
        let Some(key) = trust.key(&id) else {
            return refuse(
                ErrorCode::SignerUntrusted,
                format!("identity {id} is not in the trust roots"),
            );
        };
        let allowed = match package {
            Some(package) => key.allows(role, package),
            None => key.roles.contains(&role),
        };
        if guard!("format.verify.role", !allowed) {
            let of = package.map(|package| format!(" of {package}")).unwrap_or_default();
            return refuse(
                ErrorCode::SignerUntrusted,
                format!("identity {id} is not trusted as {role}{of}"),
            );
        }
        if guard!("format.verify.key_window", !key.is_valid_at(now_ms, skew_ms)) {
            return refuse(
                ErrorCode::SignerRevoked,
                format!("identity {id} is outside its validity window"),
            );
        }
        let allowed = |key: &PublicKey| {
            self.options.suites.as_ref().is_none_or(|list| list.contains(&key.suite()))
        };
        let other = identity.keys().iter().find(|key| !allowed(key));
        if let Some(key) = other
            && guard!("format.verify.suites", true)
        {
            let detail =
                format!("identity {id} has a key of suite {}, which may not sign", key.suite());
            return refuse(ErrorCode::SuiteUnsupported, detail);
        }
        Ok(())
    }
}
