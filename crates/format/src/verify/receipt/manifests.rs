//! Who vouches for the host and toolchain manifests of a run.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

use super::super::checks::{not_done, passed};
use super::super::report::{CheckName, CheckResult};
use super::super::signer::Roots;
use super::Session;
use crate::DecodeError;
use crate::envelope::{Envelope, Expected, Statement};
use crate::key::{Identity, KeyId, PublicKey, is_published_test_key};
use crate::limits::ENVELOPES_MAX;
use crate::receipt::{HOST, MANIFEST_SIGNATURES, MANIFESTS_PREDICATE, SignatureName, TOOLCHAIN};
use crate::trust::Role;

/// What is known of the manifests of a claim.
#[derive(Debug)]
pub(super) struct Manifests {
    /// Whether the claim binds a host manifest.
    pub(super) host: bool,
    /// Whether the claim binds a toolchain manifest.
    pub(super) toolchain: bool,
    /// Whether somebody trusted signed them; left out where the claim binds none.
    pub(super) signed: Option<CheckResult>,
}

impl Session<'_> {
    /// Checks who signed the manifests, if the claim binds any.
    pub(super) fn check_manifests(&mut self, roots: Option<&Roots<'_>>) -> Manifests {
        let claim = self.receipt.claim();
        let bound = |name: &str| claim.entries.iter().any(|entry| entry.name == name);
        let (host, toolchain) = (bound(HOST), bound(TOOLCHAIN));
        if !host && !toolchain {
            let names: Vec<String> = self
                .receipt
                .manifest_envelopes()
                .map(|(name, _)| name.below(MANIFEST_SIGNATURES))
                .collect();
            names.iter().for_each(|name| self.ignore(name, ErrorCode::ManifestMissing));
            return Manifests { host, toolchain, signed: None };
        }
        let signed = self.manifest_signature(roots);
        let name = CheckName::Manifests;
        self.put(match &signed {
            Ok(detail) => passed(name, detail.as_str()),
            Err((code, detail)) => not_done(name, *code, detail.as_str()),
        });
        let signed = match signed {
            Ok(_) => CheckResult::Pass,
            Err((code, _)) => CheckResult::NotDone(code),
        };
        Manifests { host, toolchain, signed: Some(signed) }
    }

    /// Finds a trusted identity all of whose keys signed the manifests.
    fn manifest_signature(
        &mut self,
        roots: Option<&Roots<'_>>,
    ) -> Result<String, (ErrorCode, String)> {
        let statement = self.receipt.claim().manifests_statement();
        let trusted = roots.and_then(|roots| roots.in_force().ok());
        let listed = trusted.into_iter().flat_map(|trust| &trust.keys);
        let known: Vec<&Identity> = listed.map(|entry| &entry.identity).collect();
        let find =
            |keyid: &KeyId| known.iter().flat_map(|one| one.keys()).find(|key| key.id() == *keyid);
        let mut signed: BTreeSet<&PublicKey> = BTreeSet::new();
        let mut problem: Option<(ErrorCode, String)> = None;
        let mut envelopes: Vec<(SignatureName, &[u8])> =
            self.receipt.manifest_envelopes().collect();
        // Those of known keys come first, so that nobody can crowd them out.
        envelopes.sort_by_key(|(name, _)| find(&name.keyid).is_none());
        for (place, (name, bytes)) in envelopes.into_iter().enumerate() {
            let checked = match guard!("format.manifests.envelopes", place >= ENVELOPES_MAX) {
                true => Err(DecodeError::new(ErrorCode::LimitExceeded, "too many envelopes")),
                false => open(name, bytes, &statement, find(&name.keyid)),
            };
            match checked {
                Ok(Some(key)) => drop(signed.insert(key)),
                Ok(None) => {
                    let detail = "nobody whom the trust file lists signed the manifests";
                    problem.get_or_insert((ErrorCode::ManifestSignerUntrusted, detail.into()));
                }
                Err(error) => {
                    self.ignore(&name.below(MANIFEST_SIGNATURES), error.code);
                    problem.get_or_insert((error.code, error.detail));
                }
            }
        }
        let complete =
            |identity: &&&Identity| identity.keys().iter().all(|key| signed.contains(key));
        for identity in known.iter().filter(complete) {
            let insecure = identity.keys().iter().any(is_published_test_key);
            let insecure = insecure && !self.options.insecure_dev;
            let accepted = roots.map(|roots| roots.accept(identity, Role::Manifest, None));
            match accepted {
                Some(Ok(())) if !guard!("format.manifests.test_key", insecure) => {
                    return Ok(format!("signed by {}", identity.id()));
                }
                Some(Err(refusal)) => {
                    problem.get_or_insert((ErrorCode::ManifestSignerUntrusted, refusal.detail));
                }
                _ => {
                    let detail = format!("{} has a published test key", identity.id());
                    problem.get_or_insert((ErrorCode::ManifestSignerUntrusted, detail));
                }
            }
        }
        Err(problem.unwrap_or_else(|| {
            (ErrorCode::ManifestSignatureMissing, "nobody signed the manifests".into())
        }))
    }
}

/// Opens one envelope; returns its key if the verifier knows it.
fn open<'k>(
    name: SignatureName,
    bytes: &[u8],
    statement: &[u8],
    key: Option<&'k PublicKey>,
) -> Result<Option<&'k PublicKey>, DecodeError> {
    let envelope = Envelope::decode(bytes)?;
    let other = envelope.payload() != statement;
    if guard!("format.manifests.binding", other && is_of_another_run(envelope.payload())) {
        let detail = "the envelope is about the manifests of another run";
        return Err(DecodeError::new(ErrorCode::ManifestBinding, detail));
    }
    let expected = Expected { statement, suite: name.suite, key_id: name.keyid };
    envelope.check(&expected)?;
    let Some(key) = key else { return Ok(None) };
    envelope
        .verify(&expected, key)
        .map_err(|error| DecodeError::new(ErrorCode::ManifestSignatureInvalid, error.detail))?;
    Ok(Some(key))
}

fn is_of_another_run(payload: &[u8]) -> bool {
    Statement::decode(payload).is_ok_and(|found| found.predicate_type == MANIFESTS_PREDICATE)
}
