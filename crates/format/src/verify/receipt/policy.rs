//! The receipt policy of a claim: its document, its registry, who may act under it, its rules.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

use super::super::checks::{failed, not_done, passed};
use super::super::report::{Check, CheckName, CheckResult};
use super::super::signer::Roots;
use super::rules::Subject;
use super::{Session, manifests::Manifests};
use crate::DecodeError;
use crate::receipt::{HOST, HostManifest, POLICY_PROOF, PolicyRef, RECEIPT_POLICY, TOOLCHAIN};
use crate::receipt::{Receipt, ToolchainManifest};
use crate::receipt_policy::{PolicyProof, ReceiptPolicy, Rules, Status};
use crate::trust::Role;

/// The documents that the claim binds and the file holds.
#[derive(Debug, Default)]
pub(super) struct Documents {
    /// The receipt policy.
    pub(super) policy: Option<ReceiptPolicy>,
    /// The host manifest.
    pub(super) host: Option<HostManifest>,
    /// The toolchain manifest.
    pub(super) toolchain: Option<ToolchainManifest>,
}

impl Documents {
    /// Decodes the documents; one that is absent is left out.
    pub(super) fn read(receipt: &Receipt<'_>) -> Result<Self, DecodeError> {
        let within = |name: &'static str| move |error: DecodeError| error.within(name);
        let bound = |name| receipt.bound(name);
        let policy = bound(RECEIPT_POLICY).map(ReceiptPolicy::decode).transpose();
        let host = bound(HOST).map(HostManifest::decode).transpose();
        let toolchain = bound(TOOLCHAIN).map(ToolchainManifest::decode).transpose();
        Ok(Self {
            policy: policy.map_err(within(RECEIPT_POLICY))?,
            host: host.map_err(within(HOST))?,
            toolchain: toolchain.map_err(within(TOOLCHAIN))?,
        })
    }
}

impl Session<'_> {
    /// Checks that the bound policy is the one that key 5 names.
    pub(super) fn check_bound_policy(&self, documents: &Documents) -> Result<(), DecodeError> {
        let named = self.receipt.claim().policy.as_ref();
        let pair = documents.policy.as_ref().zip(named);
        let agrees = pair.is_none_or(|(held, named)| is_named(held, named));
        if guard!("format.receipt.policy_named", !agrees) {
            let detail = "policy.json has another id or version than key 5";
            return Err(DecodeError::new(ErrorCode::FactsConflict, detail));
        }
        Ok(())
    }

    /// Makes the checks about the policy itself; returns the policy if it is in force.
    pub(super) fn check_policy(
        &mut self,
        roots: Option<&Roots<'_>>,
        documents: &Documents,
    ) -> Option<ReceiptPolicy> {
        let Some(named) = self.receipt.claim().policy.clone() else {
            let detail = "the claim submits to no receipt policy";
            for name in [CheckName::PolicyDocument, CheckName::PolicyRegistry, CheckName::SignerAcl]
            {
                self.put(not_done(name, ErrorCode::PolicyDocumentMissing, detail));
            }
            if self.receipt.container().get(POLICY_PROOF).is_some() {
                self.ignore(POLICY_PROOF, ErrorCode::PolicyDocumentMissing);
            }
            return None;
        };
        let registry = self.registry(roots, &named);
        let pinned = registry.result == CheckResult::Pass;
        self.put(registry);
        let acl = self.acl(&named);
        self.put(acl);
        match self.document(&named, documents, pinned) {
            Ok(policy) => {
                self.put(passed(
                    CheckName::PolicyDocument,
                    format!("{} {}", policy.id, policy.version),
                ));
                Some(policy)
            }
            Err(check) => {
                self.put(check);
                None
            }
        }
    }

    /// Finds the document; one from the receipt serves only where the verifier named its digest.
    fn document(
        &self,
        named: &PolicyRef,
        documents: &Documents,
        pinned: bool,
    ) -> Result<ReceiptPolicy, Check> {
        let name = CheckName::PolicyDocument;
        let refuse = |detail: &str| {
            Err(failed(name, &DecodeError::new(ErrorCode::PolicyDocumentMismatch, detail)))
        };
        let allowed = self.asked.allowed_policies.as_ref();
        let listed = allowed.is_some_and(|list| list.contains(&named.sha256));
        if guard!("format.rules.allowed", allowed.is_some() && !listed) {
            return refuse("the acceptance file does not list the policy of the claim");
        }
        let given = &self.asked.policies;
        let own = given.iter().find(|policy| policy.sha256() == named.sha256);
        let bound = documents.policy.as_ref();
        let bound = bound.filter(|_| !guard!("format.rules.bound", !listed && !pinned));
        let Some(policy) = own.or(bound) else {
            if guard!("format.rules.other", !given.is_empty()) {
                return refuse("the policy that was given is another one than that of the claim");
            }
            let detail = "name the policy with --receipt-policy, list it in an acceptance file, \
                          or pin a registry that includes it";
            return Err(not_done(name, ErrorCode::PolicyDocumentMissing, detail));
        };
        if guard!("format.rules.named", !is_named(policy, named)) {
            return refuse("the policy has another id or version than the claim says");
        }
        Ok(policy.clone())
    }

    /// Looks for the policy in the registries that the trust file pins.
    fn registry(&mut self, roots: Option<&Roots<'_>>, named: &PolicyRef) -> Check {
        let name = CheckName::PolicyRegistry;
        let Some(roots) = roots else {
            return not_done(name, ErrorCode::NotLookedAt, "no trust file or no clock was given");
        };
        let trust = match roots.in_force() {
            Ok(trust) => trust,
            Err(refusal) => return not_done(name, refusal.code, refusal.detail),
        };
        let pinned = &trust.registries;
        if let Some(registry) = &self.asked.registry {
            let (root, size) = (registry.root(), registry.policies.len() as u64);
            let is_pinned = pinned
                .iter()
                .any(|pin| (&pin.id, pin.root, pin.size) == (&registry.id, root, size));
            if guard!("format.rules.registry_pin", !is_pinned) {
                let detail = "the trust file pins another registry than the one that was given";
                return failed(name, &DecodeError::new(ErrorCode::RegistryRootMismatch, detail));
            }
            let entry = registry.policies.iter().find(|entry| {
                (&entry.id, &entry.version, entry.sha256)
                    == (&named.id, &named.version, named.sha256)
            });
            let active = entry.is_some_and(|entry| entry.status == Status::Active);
            if guard!("format.rules.registered", !active) {
                let word = if entry.is_some() { "withdrawn" } else { "not there" };
                let detail = format!("in the registry {} the policy is {word}", registry.id);
                return failed(name, &DecodeError::new(ErrorCode::PolicyNotInRegistry, detail));
            }
            return passed(name, format!("{}, serial {}", registry.id, registry.serial));
        }
        let Some(bytes) = self.receipt.container().get(POLICY_PROOF) else {
            let detail = "no registry was given, and no policy-proof.cbor is attached";
            return not_done(name, ErrorCode::PolicyNotInRegistry, detail);
        };
        let (code, detail): (ErrorCode, String) = match PolicyProof::decode(bytes) {
            Ok(proof) => {
                let leads = pinned.iter().find(|pin| proof.leads_to(&pin.root, pin.size, named));
                if let Some(pin) = leads {
                    return passed(name, format!("included in {}", pin.id));
                }
                let detail = "policy-proof.cbor leads to no registry that the trust file pins";
                (ErrorCode::RegistryRootMismatch, detail.into())
            }
            Err(error) => (error.code, error.within(POLICY_PROOF).detail),
        };
        self.ignore(POLICY_PROOF, code);
        not_done(name, code, detail)
    }

    /// Looks the issuer up in the access list.
    fn acl(&self, named: &PolicyRef) -> Check {
        let name = CheckName::SignerAcl;
        let acl = match &self.asked.acl {
            None => return not_done(name, ErrorCode::NotLookedAt, "no access list was given"),
            Some(Err(error)) => return failed(name, error),
            Some(Ok(acl)) => acl,
        };
        let issuer = self.receipt.claim().issuer.id();
        if guard!("format.rules.acl", !acl.allows(&issuer, Role::Issuer, &named.id)) {
            let detail = format!("the access list lets {issuer} issue nothing under {}", named.id);
            return failed(name, &DecodeError::new(ErrorCode::SignerNotInAcl, detail));
        }
        passed(name, format!("serial {}", acl.serial))
    }

    /// Returns the rules that apply: the common ones and those of the track.
    pub(super) fn rules(&self, policy: Option<&ReceiptPolicy>) -> Vec<Rules> {
        let named = self.receipt.claim().policy.as_ref();
        let track = named.map_or("", |named| named.track.as_str());
        let of_track = policy.and_then(|policy| policy.track(track));
        policy.map(|policy| policy.rules.clone()).into_iter().chain(of_track).collect()
    }

    /// Evaluates every rule, each with a line of its own.
    pub(super) fn check_rules(
        &mut self,
        policy: Option<&ReceiptPolicy>,
        documents: &Documents,
        manifests: &Manifests,
        (roots, now_ms): (Option<&Roots<'_>>, Option<u64>),
    ) {
        let (name, claim) = (CheckName::PolicyRules, self.receipt.claim());
        let Some(policy) = policy else {
            let detail = "no receipt policy is at hand";
            self.put(not_done(name, ErrorCode::PolicyDocumentMissing, detail));
            return;
        };
        let track = claim.policy.as_ref().map_or("", |named| named.track.as_str());
        let Some(added) = policy.track(track) else {
            let detail = format!("the policy has no track {:?}", crate::text::shown(track));
            self.put(failed(name, &DecodeError::new(ErrorCode::TrackUnknown, detail)));
            return;
        };
        let result = |name| self.checks.get(&name).map(|check: &Check| check.result);
        let subject = Subject {
            claim,
            documents,
            manifests,
            effective: self.effective.as_ref(),
            proof: result(CheckName::Proof),
            proof_systems: &self.proved,
            availability: result(CheckName::Availability),
            log: result(CheckName::Log),
            logs: &self.logs,
            reexec: result(CheckName::Reexec),
            signers: super::signer::count(&self.signer(), &self.facts.signers, roots),
            now_ms,
            max_skew_ms: self.options.max_skew_ms,
        };
        let facts = subject.evaluate(&policy.rules, &added);
        let failing = |result: &CheckResult| matches!(result, CheckResult::Fail(_));
        let results: Vec<CheckResult> = facts.iter().map(|fact| fact.result).collect();
        let worst = results.iter().find(|result| failing(result));
        let worst = worst.or_else(|| results.iter().find(|one| **one != CheckResult::Pass));
        let broken = facts.iter().filter(|fact| fact.result != CheckResult::Pass);
        let broken: Vec<&str> = broken.map(|fact| fact.name.name()).collect();
        let detail = match broken.as_slice() {
            [] => format!("{} rules hold", facts.len()),
            names => format!("not met: {}", names.join(", ")),
        };
        let result = worst.copied().unwrap_or(CheckResult::Pass);
        self.put(Check { name, result, detail });
        if let Some(receipt) = &mut self.facts.receipt {
            receipt.rules = facts;
        }
    }
}

/// Tells whether a policy has the id and the version that a claim names.
fn is_named(policy: &ReceiptPolicy, named: &PolicyRef) -> bool {
    (&policy.id, &policy.version) == (&named.id, &named.version)
}
