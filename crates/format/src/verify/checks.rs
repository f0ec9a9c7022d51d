//! The checks of a package, carried out as far as each has its input.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

use super::report::{
    Artefact, Check, CheckName, CheckResult, Facts, Level, Report, SignatureFact, SignatureState,
};
use super::{Verified, signer};
use crate::DecodeError;
use crate::envelope::{Envelope, Expected, verify_statement};
use crate::hash::sha256;
use crate::key::{Identity, KeyId, PublicKey, Suite};
use crate::known::Known;
use crate::manifest::{Manifest, ProofType};
use crate::package::{Decrypt, EnvelopeName, Package, PackageId, Raw, Scope, Signature, encrypted};
use crate::trust::{Role, Trust};

/// What looking for the closure of a package has shown.
///
/// A verifier reads one file; who has a source of packages resolves the closure with
/// [`crate::closure::resolve`] and tells the verifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosureFinding {
    /// Passed, failed with E004, E010, E131 or the code of a package, or not done with E203.
    pub result: CheckResult,
    /// What was found, in one line.
    pub detail: String,
}

/// What a verifier asks for.
#[derive(Clone, Debug)]
pub struct Options<'a> {
    /// Level that the verdict must reach.
    pub required: Level,
    /// Accepts published test keys; the verdict then never exceeds proof-only.
    pub insecure_dev: bool,
    /// Number of distinct trusted identities that must have signed.
    pub min_signers: u64,
    /// Suites that may sign, for an identity to be trusted; `None` for all.
    pub suites: Option<Vec<Suite>>,
    /// How far the clock may be off, in milliseconds.
    pub max_skew_ms: u64,
    /// Checks that must pass whatever the level is.
    pub require: Vec<CheckName>,
    /// Why the trust file is not the one that the verifier uses, if somebody looked.
    pub trust_refused: Option<DecodeError>,
    /// What the verifier remembers.
    pub known: Option<&'a Known>,
    /// The package that was asked for, if it was asked for by its hash.
    pub expected: Option<PackageId>,
    /// What looking for the packages that this one needs has shown, if somebody looked.
    pub closure: Option<ClosureFinding>,
    /// Detached envelopes as (file name, bytes), looked at beside the trailer.
    pub envelopes: Vec<(&'a str, &'a [u8])>,
    /// What opens an encrypted payload, for those who hold a key.
    pub decrypt: Option<&'a dyn Decrypt>,
}

impl Default for Options<'_> {
    /// Requires proof-only and one signer for the levels above.
    fn default() -> Self {
        Self {
            required: Level::ProofOnly,
            insecure_dev: false,
            min_signers: 1,
            suites: None,
            max_skew_ms: 0,
            require: Vec::new(),
            trust_refused: None,
            known: None,
            expected: None,
            closure: None,
            envelopes: Vec::new(),
            decrypt: None,
        }
    }
}

/// Verifies a package file and reports every check.
///
/// Hashes the whole file; each signature takes up to some hundreds of microseconds more.
///
/// # Determinism
/// Depends on the arguments alone.
///
/// # Spec
/// `spec/report.md`.
#[must_use]
pub fn package(
    bytes: &[u8],
    trust: Option<&Trust>,
    now_ms: Option<u64>,
    options: &Options<'_>,
) -> Report {
    examine(bytes, trust, now_ms, options).0
}

/// Reports every check, and returns the file with its hashes where it could be taken apart.
fn examine<'a>(
    bytes: &'a [u8],
    trust: Option<&Trust>,
    now_ms: Option<u64>,
    options: &Options<'_>,
) -> (Report, Option<Raw<'a>>) {
    match Raw::read(bytes) {
        Ok(raw) => {
            let report = Session::new(&raw, options).run(trust, now_ms);
            (report, Some(raw))
        }
        Err(error) => {
            let check = failed(CheckName::Form, &error);
            let facts = Facts { insecure_dev: options.insecure_dev, ..Facts::default() };
            let artefact = Artefact::Unknown(sha256(bytes));
            (Report::new(artefact, [check].into(), facts, options), None)
        }
    }
}

/// Verifies a package file and opens it if the report accepts it.
///
/// # Errors
/// The report, if it does not accept the file.
pub fn load(
    bytes: &[u8],
    trust: Option<&Trust>,
    now_ms: Option<u64>,
    options: &Options<'_>,
) -> Result<(Verified<Package>, Report), Box<Report>> {
    let (report, raw) = examine(bytes, trust, now_ms, options);
    if guard!("format.verify.accepted", !report.is_accepted()) {
        return Err(Box::new(report));
    }
    match raw.map(Raw::open) {
        Some(Ok(package)) => Ok((Verified(package), report)),
        _ => Err(Box::new(report)),
    }
}

pub(super) fn failed(name: CheckName, error: &DecodeError) -> Check {
    Check { name, result: CheckResult::Fail(error.code), detail: error.to_string() }
}

pub(super) fn passed(name: CheckName, detail: impl Into<String>) -> Check {
    Check { name, result: CheckResult::Pass, detail: detail.into() }
}

pub(super) fn not_done(name: CheckName, code: ErrorCode, detail: impl Into<String>) -> Check {
    Check { name, result: CheckResult::NotDone(code), detail: detail.into() }
}

/// Returns the check that a departure of the decode order belongs to.
const fn check_of(code: ErrorCode) -> CheckName {
    match code.number() {
        0..=9 => CheckName::Form,
        10..=17 => CheckName::Hashes,
        30..=38 => CheckName::Signature,
        301..=308 => CheckName::Proof,
        _ => CheckName::Sections,
    }
}

/// One verification: the file and what the checks found so far.
struct Session<'a> {
    raw: &'a Raw<'a>,
    options: &'a Options<'a>,
    checks: BTreeMap<CheckName, Check>,
    facts: Facts,
}

impl<'a> Session<'a> {
    fn new(raw: &'a Raw<'a>, options: &'a Options<'a>) -> Self {
        let facts = Facts {
            body_sha256: Some(raw.body_sha256()),
            capsule_hash: Some(raw.capsule_hash()),
            core_hash: Some(raw.core_hash()),
            insecure_dev: options.insecure_dev,
            ..Facts::default()
        };
        Self { raw, options, checks: BTreeMap::new(), facts }
    }

    fn run(mut self, trust: Option<&Trust>, now_ms: Option<u64>) -> Report {
        // What a refused trust file says is not even knowledge of keys.
        let known = trust.filter(|_| self.options.trust_refused.is_none());
        let result = self.raw.check_capsule_hash();
        self.note(result);
        let result = self.raw.signatures();
        let signatures = self.note(result);
        let result = self.raw.dependencies();
        self.note(result);
        let result = self.raw.manifest();
        let manifest = self.note(result);
        let result = self.raw.policy();
        let policy = self.note(result);
        let result = self.raw.check_proof();
        self.note(result);
        self.pass(CheckName::Form);
        if let Some(manifest) = &manifest {
            let result = self.raw.check_facts(manifest);
            self.note(result);
            self.check_expected();
            self.pass(CheckName::Hashes);
            self.state_facts(manifest);
            self.check_proof_type(manifest);
            self.check_version(manifest);
            self.check_signatures(manifest, signatures.as_deref(), known);
            let author = manifest.identity().ok().flatten();
            let subject = signer::Subject {
                signer: author.as_ref(),
                role: Role::Author,
                others: Role::Publisher,
                package: Some(&manifest.name),
            };
            let signers = &self.facts.signers;
            let checks = signer::check(&subject, signers, trust, now_ms, self.options);
            checks.into_iter().for_each(|check| self.put(check));
        }
        if let (Some(manifest), Some(policy)) = (&manifest, &policy) {
            let result = self.raw.check_sections(manifest, policy);
            self.note(result);
            self.pass(CheckName::Sections);
            self.check_opened(manifest);
        }
        self.put(match &self.options.closure {
            Some(ClosureFinding { result, detail }) => {
                Check { name: CheckName::Dependencies, result: *result, detail: detail.clone() }
            }
            None => not_done(
                CheckName::Dependencies,
                ErrorCode::NotLookedAt,
                "nobody looked for the packages that it needs",
            ),
        });
        let artefact = Artefact::Package(self.raw.capsule_hash());
        self.demand();
        let checks = self.checks.into_values().collect();
        Report::new(artefact, checks, self.facts, self.options)
    }

    /// Keeps a check, unless an earlier step of the decode order spoke for it already.
    fn put(&mut self, check: Check) {
        self.checks.entry(check.name).or_insert(check);
    }

    fn pass(&mut self, name: CheckName) {
        self.put(passed(name, ""));
    }

    /// Takes a step's value, or files its error under the check it belongs to.
    fn note<T>(&mut self, result: Result<T, DecodeError>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.put(failed(check_of(error.code), &error));
                None
            }
        }
    }

    fn state_facts(&mut self, manifest: &Manifest) {
        // The keys were checked when the manifest was decoded.
        let identity = manifest.identity().ok().flatten();
        self.facts.author = identity.as_ref().map(Identity::id);
        self.facts.name = Some(manifest.name.clone());
        self.facts.policy_hash = Some(manifest.policy_hash);
        self.facts.version = Some(manifest.version.to_string());
    }

    /// Compares the package with the one that was asked for.
    fn check_expected(&mut self) {
        let found = self.raw.capsule_hash();
        let Some(expected) = self.options.expected.filter(|expected| *expected != found) else {
            return;
        };
        if guard!("format.verify.expected", true) {
            let detail = format!("found {found}, asked for {expected}");
            let error = DecodeError::new(ErrorCode::FactsConflict, detail);
            self.put(failed(CheckName::Hashes, &error));
        }
    }

    /// Refuses a version below one that was trusted, unless this very package was asked for.
    fn check_version(&mut self, manifest: &Manifest) {
        let author = manifest.identity().ok().flatten();
        let (Some(known), Some(author), None) = (self.options.known, author, self.options.expected)
        else {
            return;
        };
        let newer = known.newer(&manifest.name, &author.id(), &manifest.version);
        if let Some(newer) = newer
            && guard!("format.verify.downgrade", true)
        {
            let (found, known) = (&manifest.version, &newer.version);
            let detail = format!("version {found}, and {known} was trusted before");
            let error = DecodeError::new(ErrorCode::DowngradeRefused, detail);
            self.put(failed(CheckName::Dependencies, &error));
        }
    }

    /// Names what is demanded and would otherwise be left out.
    fn demand(&mut self) {
        for (name, code, detail) in [
            (CheckName::Statement, ErrorCode::SignatureMissing, "the package has no envelope"),
            (CheckName::Signature, ErrorCode::SignatureMissing, "the package names no author keys"),
            (CheckName::Proof, ErrorCode::ProofMissing, "the package promises no proof"),
        ] {
            if guard!("format.verify.demand", self.options.require.contains(&name)) {
                self.put(not_done(name, code, detail));
            }
        }
    }

    fn check_proof_type(&mut self, manifest: &Manifest) {
        let promised = manifest.proof_type;
        if guard!("format.verify.proof_missing", promised != ProofType::None) {
            self.put(not_done(
                CheckName::Proof,
                ErrorCode::ProofMissing,
                format!("proof_type is {promised}, and the package carries no proof"),
            ));
        }
    }

    /// Opens an encrypted payload, but nothing that another check speaks against.
    fn check_opened(&mut self, manifest: &Manifest) {
        let Some(encrypted) = &manifest.exec.encrypted else {
            return;
        };
        let name = CheckName::Opened;
        let failing = |check: &Check| matches!(check.result, CheckResult::Fail(_));
        let signed = self.checks.get(&CheckName::Signature);
        let signed = signed.is_some_and(|check| check.result == CheckResult::Pass);
        let refused = !signed || self.checks.values().any(failing);
        let check = match self.options.decrypt {
            None => not_done(name, ErrorCode::KeyNotHeld, "no identity was given"),
            Some(_) if guard!("format.verify.decrypt_last", refused) => {
                not_done(name, ErrorCode::NotLookedAt, "another check speaks against decrypting")
            }
            keys => match encrypted::open(manifest, encrypted, self.raw.payload(), keys) {
                Ok(module) => passed(name, format!("a module of {} bytes", module.len())),
                Err(error) if error.code == ErrorCode::KeyNotHeld => {
                    not_done(name, error.code, error.detail)
                }
                Err(error) => failed(name, &error),
            },
        };
        self.put(check);
    }

    /// Collects the signatures of trailer and envelopes and checks every one by a known key.
    fn check_signatures(
        &mut self,
        manifest: &Manifest,
        trailer: Option<&[Signature]>,
        trust: Option<&Trust>,
    ) {
        let Some(trailer) = trailer else {
            return;
        };
        let mut signatures = trailer.to_vec();
        match self.open_envelopes(manifest) {
            Ok(detached) => signatures.extend(detached),
            Err(error) => {
                self.put(failed(CheckName::Statement, &error));
                return;
            }
        }
        if !self.options.envelopes.is_empty() {
            self.pass(CheckName::Statement);
        }
        let author = manifest.identity().ok().flatten();
        let mut signed: BTreeSet<(Scope, PublicKey)> = BTreeSet::new();
        for signature in &signatures {
            let state = match find_key(signature, author.as_ref(), trust) {
                None => SignatureState::Unknown,
                Some(key) => match self.note(self.verify(signature, key, manifest)) {
                    None => SignatureState::Invalid,
                    Some(()) => {
                        signed.insert((signature.scope, key.clone()));
                        SignatureState::Valid
                    }
                },
            };
            let Signature { scope, suite, keyid, .. } = *signature;
            self.facts.signatures.push(SignatureFact { scope, suite, keyid, state });
        }
        let facts = &mut self.facts;
        facts.unknown_signers = unknown_signers(&facts.signatures);
        facts.signers = signers(&signed, author.as_ref(), trust);
        facts.signatures.extend(missing(author.as_ref(), &signed));
        facts.signatures.sort();
        self.conclude_signature(author.as_ref(), &signed);
    }

    /// Verifies a signature with the key that has the id of its entry.
    fn verify(
        &self,
        signature: &Signature,
        key: &PublicKey,
        manifest: &Manifest,
    ) -> Result<(), DecodeError> {
        if guard!("format.verify.suite", key.suite() != signature.suite) {
            let (key, stated) = (key.brief(), signature.suite);
            let detail = format!("{key} has a signature that states the suite {stated}");
            return Err(DecodeError::new(ErrorCode::KeyidMismatch, detail));
        }
        let statement = self.raw.statement(signature.scope, manifest);
        verify_statement(&statement, key, &signature.signature)
    }

    fn open_envelopes(&self, manifest: &Manifest) -> Result<Vec<Signature>, DecodeError> {
        let open = |(file_name, bytes): &(&str, &[u8])| {
            let EnvelopeName { scope, suite, keyid } = EnvelopeName::parse(file_name)?;
            let envelope = Envelope::decode(bytes)?;
            let statement = self.raw.statement(scope, manifest);
            envelope.check(&Expected { statement: &statement, suite, key_id: keyid })?;
            Ok(Signature { scope, suite, keyid, signature: envelope.signature().to_vec() })
        };
        self.options.envelopes.iter().map(open).collect()
    }

    fn conclude_signature(
        &mut self,
        author: Option<&Identity>,
        signed: &BTreeSet<(Scope, PublicKey)>,
    ) {
        let Some(author) = author else {
            // Anyone can append a signature by an unknown key, so that alone changes nothing.
            if !signed.is_empty() {
                self.pass(CheckName::Signature);
            }
            return;
        };
        let missing = missing_keys(author, signed);
        if guard!("format.verify.author_signed", !missing.is_empty()) {
            let keys: Vec<String> = missing.iter().map(|key| key.brief()).collect();
            let detail = format!("no author signature by {}", keys.join(", "));
            self.put(not_done(CheckName::Signature, ErrorCode::SignatureMissing, detail));
        } else {
            self.put(passed(CheckName::Signature, format!("{} valid", signed.len())));
        }
    }
}

/// Returns the author keys that signed no author statement.
fn missing_keys<'a>(
    author: &'a Identity,
    signed: &BTreeSet<(Scope, PublicKey)>,
) -> Vec<&'a PublicKey> {
    let unsigned = |key: &&PublicKey| !signed.contains(&(Scope::Author, (*key).clone()));
    author.keys().iter().filter(unsigned).collect()
}

/// Lists the signatures that a package should have and lacks.
fn missing(author: Option<&Identity>, signed: &BTreeSet<(Scope, PublicKey)>) -> Vec<SignatureFact> {
    let keys = author.into_iter().flat_map(|author| missing_keys(author, signed));
    let (scope, state) = (Scope::Author, SignatureState::Missing);
    keys.map(|key| SignatureFact { scope, suite: key.suite(), keyid: key.id(), state }).collect()
}

/// Returns the key ids of the signatures by unknown keys, ascending.
fn unknown_signers(signatures: &[SignatureFact]) -> Vec<KeyId> {
    let unknown = signatures.iter().filter(|fact| fact.state == SignatureState::Unknown);
    let ids: BTreeSet<KeyId> = unknown.map(|fact| fact.keyid).collect();
    ids.into_iter().collect()
}

/// Finds the key of a signature among the author's keys and, for a publisher, the trust roots.
fn find_key<'a>(
    signature: &Signature,
    author: Option<&'a Identity>,
    trust: Option<&'a Trust>,
) -> Option<&'a PublicKey> {
    let own = author.into_iter().flat_map(Identity::keys);
    let roots = trust.into_iter().flat_map(|trust| &trust.keys);
    let publishers = roots
        .filter(|_| signature.scope == Scope::Publisher)
        .flat_map(|entry| entry.identity.keys());
    own.chain(publishers).find(|key| key.id() == signature.keyid)
}

/// Returns the identities all of whose keys signed one scope, ascending.
fn signers(
    signed: &BTreeSet<(Scope, PublicKey)>,
    author: Option<&Identity>,
    trust: Option<&Trust>,
) -> Vec<crate::key::IdentityId> {
    let complete = |identity: &&Identity| {
        Scope::ALL
            .iter()
            .any(|scope| identity.keys().iter().all(|key| signed.contains(&(*scope, key.clone()))))
    };
    let known = trust.into_iter().flat_map(|trust| &trust.keys).map(|entry| &entry.identity);
    let ids: BTreeSet<_> =
        author.into_iter().chain(known).filter(complete).map(Identity::id).collect();
    ids.into_iter().collect()
}
