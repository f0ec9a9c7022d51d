//! The checks of a receipt, and the report that they make.

mod audit;
mod availability;
mod log;
mod manifests;
mod policy;
mod proof;
mod rules;
mod signed;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

use super::checks::{Options, failed, not_done, passed};
use super::report::{Artefact, Check, CheckName, CheckResult, Facts, ReceiptFacts, Report};
use super::signer;
use crate::hash::sha256;
use crate::package::Package;
use crate::policy::Policy;
use crate::receipt::da::Sampling;
use crate::receipt::{Ignored, Receipt, outcome_name, trace_spec_hash};
use crate::receipt_policy::{Acl, DaRule, ReceiptPolicy, Registry};
use crate::trust::{Role, Trust};
use crate::{DecodeError, Digest};
use log::Logged;
use policy::Documents;
pub use proof::{ProofFinding, proof_items};
use signer::Roots;

/// What repeating the run of a receipt has shown.
///
/// A verifier of bytes runs nothing; who has an engine repeats the run and tells the verifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reexecution {
    /// Passed, failed with E410, or not done.
    pub result: CheckResult,
    /// What was found, in one line.
    pub detail: String,
}

/// What a verifier asks of a receipt besides what it asks of every artefact.
#[derive(Clone, Debug, Default)]
pub struct ReceiptOptions {
    /// Nonce that the verifier gave to the job, if it gave one.
    pub nonce: Option<[u8; 32]>,
    /// What repeating the run has shown, if somebody repeated it.
    pub reexecution: Option<Reexecution>,
    /// Receipt policies that the verifier gives.
    pub policies: Vec<ReceiptPolicy>,
    /// SHA-256 of the receipt policies that the acceptance file allows; `None` for any.
    pub allowed_policies: Option<Vec<Digest>>,
    /// Registry of policies that the verifier gives.
    pub registry: Option<Registry>,
    /// Access list of the verifier, or why it is not the one to be used.
    pub acl: Option<Result<Acl, DecodeError>>,
    /// What verifying the attached proofs has shown, by who has a proof system.
    pub proofs: Vec<ProofFinding>,
    /// How sure the verifier wants to be that a bundle can be had which is not here.
    pub sampling: Option<Sampling>,
}

/// Verifies a receipt file and reports every check.
///
/// Hashes what is in the file once, the audit bundle and its records once more; takes about a
/// millisecond without blobs.
/// Nothing is written, run, fetched or decompressed.
///
/// # Determinism
/// Depends on the arguments alone.
///
/// # Spec
/// `spec/receipt.md`, `spec/report.md`.
#[must_use]
pub fn receipt(
    bytes: &[u8],
    trust: Option<&Trust>,
    now_ms: Option<u64>,
    options: &Options<'_>,
    asked: &ReceiptOptions,
) -> Report {
    match Receipt::decode(bytes) {
        Ok(receipt) => Session::new(&receipt, options, asked).run(trust, now_ms),
        Err(error) => {
            let facts = Facts { insecure_dev: options.insecure_dev, ..Facts::default() };
            let checks = Vec::from([failed(CheckName::Form, &error)]);
            Report::new(Artefact::Unknown(sha256(bytes)), checks, facts, options)
        }
    }
}

/// One verification: the file and what the checks found so far.
struct Session<'a> {
    receipt: &'a Receipt<'a>,
    options: &'a Options<'a>,
    asked: &'a ReceiptOptions,
    checks: BTreeMap<CheckName, Check>,
    facts: Facts,
    /// Effective policy of the run, or that of its package.
    effective: Option<Policy>,
    /// Names of the systems by which the run was proved.
    proved: Vec<&'static str>,
    /// Logs that tell of the receipt.
    logs: Vec<Logged>,
}

impl<'a> Session<'a> {
    fn new(receipt: &'a Receipt<'a>, options: &'a Options<'a>, asked: &'a ReceiptOptions) -> Self {
        let claim = receipt.claim();
        let derived = ReceiptFacts {
            exec_hash: claim.exec.hash(),
            issuer: claim.issuer.id(),
            nonce: claim.job.nonce,
            outcome: outcome_name(claim.exec.outcome),
            policy_sha256: claim.policy.as_ref().map(|policy| policy.sha256),
            receipt_id: claim.id(),
            rules: Vec::new(),
            run_id: claim.job.run_id,
            sampling: None,
            statement_hash: claim.statement().hash(),
            trace_spec_hash: trace_spec_hash(&claim.trace_spec),
        };
        let facts = Facts {
            insecure_dev: options.insecure_dev,
            receipt: Some(Box::new(derived)),
            ..Facts::default()
        };
        Self {
            receipt,
            options,
            asked,
            checks: BTreeMap::new(),
            facts,
            effective: None,
            proved: Vec::new(),
            logs: Vec::new(),
        }
    }

    fn run(mut self, trust: Option<&Trust>, now_ms: Option<u64>) -> Report {
        // What a refused trust file says is not even knowledge of keys.
        let known = trust.filter(|_| self.options.trust_refused.is_none());
        for name in self.receipt.unread() {
            self.ignore(name, ErrorCode::NotLookedAt);
        }
        let documents = self.documents();
        self.check_expected();
        let package = self.package();
        self.put(passed(CheckName::Form, ""));
        self.put(passed(CheckName::Hashes, ""));
        self.conclude(CheckName::Claim, self.receipt.claim().check(), "");
        self.check_signatures(known);
        let roots = Roots::new(trust, now_ms, self.options);
        self.check_signers(trust, now_ms);
        self.check_proof();
        let policy = self.check_policy(roots.as_ref(), &documents);
        let rules = self.rules(policy.as_ref());
        self.check_log(roots.as_ref(), rules.iter().any(|rules| rules.log.is_some()));
        let manifests = self.check_manifests(roots.as_ref());
        self.check_job();
        self.check_left_out();
        let of_rules = rules.iter().filter_map(|rules| rules.da.as_ref().map(DaRule::sampling));
        let wanted: Vec<Sampling> = self.asked.sampling.into_iter().chain(of_rules).collect();
        self.audit(package.as_ref(), roots.as_ref(), &wanted);
        self.check_reexecution();
        let verifier = (roots.as_ref(), now_ms);
        self.check_rules(policy.as_ref(), &documents, &manifests, verifier);
        self.demand();
        self.facts.ignored.sort();
        let artefact = Artefact::Receipt(self.receipt.claim().id());
        let checks = self.checks.into_values().collect();
        Report::new(artefact, checks, self.facts, self.options)
    }

    /// Keeps a check, unless an earlier step of the decode order spoke for it already.
    fn put(&mut self, check: Check) {
        self.checks.entry(check.name).or_insert(check);
    }

    /// Files what came of a check under its name.
    fn conclude(&mut self, name: CheckName, result: Result<(), DecodeError>, detail: &str) {
        self.put(match result {
            Ok(()) => passed(name, detail),
            Err(error) => failed(name, &error),
        });
    }

    fn ignore(&mut self, name: &str, code: ErrorCode) {
        self.facts.ignored.push(Ignored { name: name.to_string(), code });
    }

    /// Checks the bound entries and reads the documents among them.
    fn documents(&mut self) -> Documents {
        let bound = self.receipt.check_bound();
        let documents = match Documents::read(self.receipt) {
            Ok(documents) => documents,
            Err(error) => {
                self.put(failed(CheckName::Form, &error));
                Documents::default()
            }
        };
        match bound.and_then(|()| self.check_bound_policy(&documents)) {
            Ok(()) => documents,
            Err(error) => {
                self.put(failed(CheckName::Hashes, &error));
                Documents::default()
            }
        }
    }

    /// Compares the package that ran with the one that was asked for.
    fn check_expected(&mut self) {
        let found = self.receipt.claim().exec.capsule_hash;
        let Some(expected) = self.options.expected.filter(|expected| *expected != found) else {
            return;
        };
        if guard!("format.receipt.expected", true) {
            let detail = format!("the run was of {found}, asked for is {expected}");
            let error = DecodeError::new(ErrorCode::FactsConflict, detail);
            self.checks.insert(CheckName::Hashes, failed(CheckName::Hashes, &error));
        }
    }

    /// Opens the package that the receipt binds, and compares it with the claim.
    fn package(&mut self) -> Option<Package> {
        let bytes = self.receipt.package()?;
        let package = match Package::decode(bytes) {
            Ok(package) => package.into_inner(),
            Err(error) => {
                let name =
                    if error.code.number() < 10 { CheckName::Form } else { CheckName::Hashes };
                self.put(failed(name, &error.within("package.mod")));
                return None;
            }
        };
        if let Err(error) = self.compare_package(&package) {
            self.checks.insert(CheckName::Hashes, failed(CheckName::Hashes, &error));
            return None;
        }
        Some(package)
    }

    fn compare_package(&self, package: &Package) -> Result<(), DecodeError> {
        let exec = &self.receipt.claim().exec;
        let own = &package.manifest().exec;
        let module = own.encrypted.as_ref().map_or(own.hash, |encrypted| encrypted.commitment);
        let same = package.capsule_hash() == exec.capsule_hash
            && package.core_hash() == exec.core_hash
            && package.policy_hash() == exec.policy_hash
            && module == exec.module
            && own.profile.name() == exec.profile
            && own.has_entry(&exec.entry);
        if guard!("format.receipt.package", !same) {
            let detail = "package.mod is another package than exec-body names, or lacks the entry";
            return Err(DecodeError::new(ErrorCode::FactsConflict, detail));
        }
        Ok(())
    }

    /// Returns who speaks for the receipt.
    fn signer(&self) -> signer::Subject<'a> {
        let signer = Some(&self.receipt.claim().issuer);
        signer::Subject { signer, role: Role::Issuer, others: Role::Issuer, package: None }
    }

    fn check_signers(&mut self, trust: Option<&Trust>, now_ms: Option<u64>) {
        let signers = &self.facts.signers;
        let checks = signer::check(&self.signer(), signers, trust, now_ms, self.options);
        checks.into_iter().for_each(|check| self.put(check));
    }

    fn check_job(&mut self) {
        let (name, claim) = (CheckName::Job, self.receipt.claim());
        let late = claim.job.not_after.is_some_and(|last| claim.context.stop_ms > last);
        if guard!("format.receipt.not_after", late) {
            let detail = "the run stopped after the last moment that the job allows";
            self.put(failed(name, &DecodeError::new(ErrorCode::Expired, detail)));
        }
        match self.asked.nonce {
            None => {
                let detail = "no nonce was given to compare with";
                self.put(not_done(name, ErrorCode::NotLookedAt, detail));
            }
            Some(nonce) if guard!("format.receipt.nonce", nonce != claim.job.nonce) => {
                let detail = "the nonce of the claim is another one than the verifier's";
                self.put(failed(name, &DecodeError::new(ErrorCode::NonceMismatch, detail)));
            }
            Some(_) => self.put(passed(name, "the nonce is the verifier's own")),
        }
    }

    /// Names what the receipt holds or refers to and this version does not look into.
    fn check_left_out(&mut self) {
        let claim = self.receipt.claim();
        if guard!("format.receipt.ancestors", !claim.parents.is_empty()) {
            let detail = format!("{} receipts that it builds on are not here", claim.parents.len());
            self.put(not_done(CheckName::Ancestors, ErrorCode::AncestorAbsent, detail));
        }
    }

    fn check_reexecution(&mut self) {
        self.put(match &self.asked.reexecution {
            Some(Reexecution { result, detail }) => {
                Check { name: CheckName::Reexec, result: *result, detail: detail.clone() }
            }
            None => not_done(
                CheckName::Reexec,
                ErrorCode::NotLookedAt,
                "nobody repeated the run; `kapsule replay` does",
            ),
        });
    }

    /// Names what is demanded and would otherwise be left out.
    fn demand(&mut self) {
        for (name, code, detail) in [
            (CheckName::Proof, ErrorCode::ProofMissing, "the claim promises no proof"),
            (CheckName::Manifests, ErrorCode::ManifestMissing, "the claim lists no manifests"),
        ] {
            if guard!("format.receipt.demand", self.options.require.contains(&name)) {
                self.put(not_done(name, code, detail));
            }
        }
    }
}
