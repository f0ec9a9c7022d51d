//! The report of a verification and its canonical bytes.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

use super::checks::Options;
use crate::Digest;
use crate::capsule::{CapsuleId, ChannelId};
use crate::hash::encode_hex;
use crate::json::{self, Value};
use crate::key::{IdentityId, KeyId, Suite};
use crate::manifest::names;
use crate::package::{CoreHash, PackageId, Scope};
use crate::policy::PolicyHash;
use crate::receipt::{ExecHash, Ignored, ReceiptId, StatementHash};
use crate::receipt_policy::RuleName;

/// Value of `schema` in a report.
pub(super) const SCHEMA: &str = "kapsule/report/1";

names! {
    /// How far a verification got, in ascending order.
    Level {
        /// A check failed, or one that every artefact needs was not done.
        Rejected = "rejected",
        /// The bytes are what they say they are.
        ProofOnly = "proof-only",
        /// And the verifier's own trust roots and policies accept them.
        PolicyEnforced = "policy-enforced",
        /// And everything they refer to was looked at.
        AuditReady = "audit-ready",
    }
}

names! {
    /// A named check of a package, a receipt or a capsule, in the order of the table of checks.
    CheckName {
        /// Every byte form.
        Form = "form",
        /// Digests and facts stated twice.
        Hashes = "hashes",
        /// Detached envelopes carry the derived statement.
        Statement = "statement",
        /// Signatures by known keys verify, and every author key signed.
        Signature = "signature",
        /// Dependency order, payload kind, resources and fees.
        Sections = "sections",
        /// A capsule names what it follows, and its payload has the stanzas that it lists.
        Links = "links",
        /// A claim agrees with itself.
        Claim = "claim",
        /// The promised proof verifies.
        Proof = "proof",
        /// The trust roots list the author for this package.
        SignerTrusted = "signer.trusted",
        /// Enough trusted identities signed.
        SignerQuorum = "signer.quorum",
        /// The access list allows the issuer under the policy.
        SignerAcl = "signer.acl",
        /// The receipt policy is at hand.
        PolicyDocument = "policy.document",
        /// The receipt policy is in the pinned registry.
        PolicyRegistry = "policy.registry",
        /// Every rule of the receipt policy holds.
        PolicyRules = "policy.rules",
        /// Host and toolchain manifests belong to the run and are signed.
        Manifests = "manifests",
        /// The nonce is the verifier's own, and the run was in time.
        Job = "job",
        /// The author may write, and enough owners signed a keyring.
        Authority = "authority",
        /// No other capsule takes the place of this one.
        Fork = "fork",
        /// The time of the capsule has not passed.
        Expiry = "expiry",
        /// A transparency log includes the artefact.
        Log = "log",
        /// Every package of the closure is present and no version went back.
        Dependencies = "dependencies",
        /// The receipts or capsules that this one builds on are present.
        Ancestors = "ancestors",
        /// The encrypted payload was opened.
        Opened = "opened",
        /// Every bound entry is there.
        Entries = "entries",
        /// Input and output are there and open their commitments.
        Blobs = "blobs",
        /// The audit bundle is there and is the one that the claim names.
        Bundle = "bundle",
        /// The events lead to the claimed root.
        Events = "events",
        /// The hostcalls lead to the claimed root.
        Transcript = "transcript",
        /// The checkpoints lead to the claimed root and agree with the claim.
        Checkpoints = "checkpoints",
        /// The bundle can be had.
        Availability = "availability",
        /// The run was repeated and gives the same execution hash.
        Reexec = "reexec",
    }
}

impl CheckName {
    /// Returns the lowest level that needs this check to pass; no level needs a repetition.
    #[must_use]
    pub const fn level(self) -> Option<Level> {
        match self {
            Self::Form
            | Self::Hashes
            | Self::Statement
            | Self::Signature
            | Self::Sections
            | Self::Links
            | Self::Claim
            | Self::Proof => Some(Level::ProofOnly),
            Self::SignerTrusted
            | Self::SignerQuorum
            | Self::SignerAcl
            | Self::PolicyDocument
            | Self::PolicyRegistry
            | Self::PolicyRules
            | Self::Manifests
            | Self::Job
            | Self::Authority
            | Self::Fork
            | Self::Expiry
            | Self::Log => Some(Level::PolicyEnforced),
            Self::Dependencies
            | Self::Ancestors
            | Self::Opened
            | Self::Entries
            | Self::Blobs
            | Self::Bundle
            | Self::Events
            | Self::Transcript
            | Self::Checkpoints
            | Self::Availability => Some(Level::AuditReady),
            Self::Reexec => None,
        }
    }
}

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckResult {
    /// It holds.
    Pass,
    /// It contradicts.
    Fail(ErrorCode),
    /// It could not be made; never counted as success.
    NotDone(ErrorCode),
}

impl CheckResult {
    /// Returns `pass`, `fail` or `not-done`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail(_) => "fail",
            Self::NotDone(_) => "not-done",
        }
    }

    /// Returns the code, unless the check passed.
    #[must_use]
    pub const fn code(self) -> Option<ErrorCode> {
        match self {
            Self::Pass => None,
            Self::Fail(code) | Self::NotDone(code) => Some(code),
        }
    }
}

/// One check of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Which check.
    pub name: CheckName,
    /// What came of it.
    pub result: CheckResult,
    /// Free text in one line, not part of what equal inputs make equal.
    pub detail: String,
}

/// What a report is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Artefact {
    /// A package with this `capsule_hash`.
    Package(PackageId),
    /// A receipt with this id.
    Receipt(ReceiptId),
    /// A capsule with this id.
    Capsule(CapsuleId),
    /// A file that cannot be read, with this SHA-256.
    Unknown(Digest),
}

names! {
    /// What a verifier found about one signature.
    SignatureState {
        /// It verifies with a known key.
        Valid = "valid",
        /// Its key is known, and it does not verify.
        Invalid = "invalid",
        /// Nobody told the verifier its key; it counts nothing.
        Unknown = "unknown",
        /// An author key did not sign.
        Missing = "missing",
    }
}

/// One signature that a package has or lacks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SignatureFact {
    /// Which statement it is over.
    pub scope: Scope,
    /// Suite that its entry states.
    pub suite: Suite,
    /// Key id that its entry states.
    pub keyid: KeyId,
    /// What was found.
    pub state: SignatureState,
}

/// What was derived from the artefact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Author identity.
    pub author: Option<IdentityId>,
    /// SHA-256 of the body.
    pub body_sha256: Option<Digest>,
    /// What was derived from a capsule.
    pub capsule: Option<CapsuleFacts>,
    /// `capsule_hash` as computed.
    pub capsule_hash: Option<PackageId>,
    /// `core_hash` as computed.
    pub core_hash: Option<CoreHash>,
    /// Whether insecure development keys were allowed.
    pub insecure_dev: bool,
    /// Attached entries of a receipt that were set aside, ascending by name.
    pub ignored: Vec<Ignored>,
    /// Name of the package.
    pub name: Option<String>,
    /// Digest of the policy section.
    pub policy_hash: Option<PolicyHash>,
    /// What was derived from a receipt.
    pub receipt: Option<Box<ReceiptFacts>>,
    /// Every signature that was looked at and every one that is missing, ascending; for display,
    /// since the bytes of a report list signers alone.
    pub signatures: Vec<SignatureFact>,
    /// Identities all of whose keys signed, ascending.
    pub signers: Vec<IdentityId>,
    /// Key ids of signatures by keys that the verifier does not know, ascending.
    pub unknown_signers: Vec<KeyId>,
    /// Version of the package.
    pub version: Option<String>,
}

/// What was derived from a capsule, in its own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapsuleFacts {
    /// Id of the capsule.
    pub capsule_id: CapsuleId,
    /// Its channel.
    pub channel: ChannelId,
    /// Its epoch.
    pub epoch: u64,
    /// Its kind.
    pub kind: String,
    /// Its number among those of the author.
    pub seq: u64,
}

impl CapsuleFacts {
    fn members(&self) -> Vec<(&'static str, Value)> {
        Vec::from([
            ("capsule_id", Value::Text(self.capsule_id.to_string())),
            ("channel", Value::Text(self.channel.to_string())),
            ("epoch", self.epoch.into()),
            ("kind", self.kind.as_str().into()),
            ("seq", self.seq.into()),
        ])
    }
}

/// What was derived from a receipt, in its own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptFacts {
    /// Execution hash.
    pub exec_hash: ExecHash,
    /// Who issued it.
    pub issuer: IdentityId,
    /// Nonce of the job.
    pub nonce: [u8; 32],
    /// Name of the class of the outcome.
    pub outcome: &'static str,
    /// SHA-256 of the receipt policy that the issuer submits to.
    pub policy_sha256: Option<Digest>,
    /// Id of the receipt.
    pub receipt_id: ReceiptId,
    /// What came of each rule of the receipt policy, ascending by name.
    pub rules: Vec<RuleFact>,
    /// Names the run.
    pub run_id: [u8; 16],
    /// What a challenger saw of the bundle, if the bundle was sampled.
    pub sampling: Option<SamplingFact>,
    /// Hash of the statement.
    pub statement_hash: StatementHash,
    /// Hash of the trace spec.
    pub trace_spec_hash: Digest,
}

/// What a challenger saw of an audit bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SamplingFact {
    /// Erasure code of the bundle; 0 is none.
    pub coding: u64,
    /// Number of chunks that were shown.
    pub held: u64,
    /// Number of chunks that were asked for.
    pub k: u64,
    /// Number of chunks of the bundle.
    pub n: u64,
}

impl SamplingFact {
    fn to_value(self) -> Value {
        let Self { coding, held, k, n } = self;
        Value::object([
            ("coding", coding.into()),
            ("held", held.into()),
            ("k", k.into()),
            ("n", Value::from(n)),
        ])
    }
}

/// What came of one rule of a receipt policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFact {
    /// Which rule.
    pub name: RuleName,
    /// What came of it.
    pub result: CheckResult,
    /// Free text in one line, for display: the bytes of a report have none for rules.
    pub detail: String,
}

/// What a verifier found.
///
/// It holds no time, host name or path: equal inputs give equal bytes but for the details.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What was verified.
    pub artefact: Artefact,
    /// The checks that apply, in the order of [`CheckName`].
    pub checks: Vec<Check>,
    /// What was derived.
    pub facts: Facts,
    /// Verdict.
    pub level: Level,
    /// Level that the verifier required.
    pub required: Level,
    /// Checks that the verifier required whatever the level is; not part of the bytes.
    pub demanded: Vec<CheckName>,
    /// Code of the first check that stands in the way, if the artefact was not accepted.
    pub error_code: Option<ErrorCode>,
}

impl Report {
    /// Draws the verdict from the checks, which stand in the order of [`CheckName`].
    pub(super) fn new(
        artefact: Artefact,
        checks: Vec<Check>,
        facts: Facts,
        options: &Options<'_>,
    ) -> Self {
        let (required, demanded) = (options.required, options.require.clone());
        let level = verdict(&checks, facts.insecure_dev);
        let failed = checks.iter().find_map(|check| match check.result {
            CheckResult::Fail(code) => Some(code),
            _ => None,
        });
        let undone = || {
            let needs = |check: &&Check| is_needed(check.name, required, &demanded);
            checks.iter().filter(needs).filter_map(|check| check.result.code()).next()
        };
        let unmet =
            |check: &Check| check.result != CheckResult::Pass && demanded.contains(&check.name);
        let demands = !guard!("format.verify.demanded", checks.iter().any(unmet));
        let accepted = level >= required && level > Level::Rejected && demands;
        // Under insecure development keys every check may pass and the level still be too low.
        let stopped = || failed.or_else(undone).or(Some(ErrorCode::TestKeyRefused));
        let error_code = if accepted { None } else { stopped() };
        Self { artefact, checks, facts, level, required, demanded, error_code }
    }

    /// Tells whether the verdict depends on a check.
    #[must_use]
    pub fn needs(&self, name: CheckName) -> bool {
        is_needed(name, self.required, &self.demanded)
    }

    /// Tells whether the verdict reaches the required level and every demanded check passed.
    #[must_use]
    pub const fn is_accepted(&self) -> bool {
        self.error_code.is_none()
    }

    /// Returns the process exit code: 0 if accepted, else that of `error_code`.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.error_code.map_or(0, ErrorCode::exit_code)
    }

    /// Returns the result of a check, or `None` where it does not apply.
    #[must_use]
    pub fn result(&self, name: CheckName) -> Option<CheckResult> {
        self.checks.iter().find(|check| check.name == name).map(|check| check.result)
    }

    /// Encodes the report as RJSON.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        json::encode(&self.to_value())
    }

    /// Returns the report as an RJSON value, for a tool that prints it with other data.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let (kind, id) = match self.artefact {
            Artefact::Package(id) => ("package", *id.digest()),
            Artefact::Receipt(id) => ("receipt", *id.digest()),
            Artefact::Capsule(id) => ("capsule", *id.digest()),
            Artefact::Unknown(id) => ("unknown", id),
        };
        let status = if self.is_accepted() { "ACCEPT" } else { "REJECT" };
        let mut members: BTreeMap<String, Value> = BTreeMap::new();
        let mut put = |name: &str, value: Value| members.insert(name.to_string(), value);
        put("artefact", Value::object([("id", id.into()), ("kind", kind.into())]));
        put("checks", Value::array(self.checks.iter().map(Check::to_value)));
        if let Some(code) = self.error_code {
            put("error_code", short_code(code).into());
        }
        put("facts", self.facts.to_value());
        put("level", self.level.name().into());
        put("required", self.required.name().into());
        put("schema", SCHEMA.into());
        put("status", status.into());
        Value::Object(members)
    }
}

fn is_needed(name: CheckName, required: Level, demanded: &[CheckName]) -> bool {
    name.level().is_some_and(|level| level <= required) || demanded.contains(&name)
}

/// Returns the highest level whose checks all pass.
fn verdict(checks: &[Check], insecure_dev: bool) -> Level {
    let mut level = if insecure_dev { Level::ProofOnly } else { Level::AuditReady };
    for check in checks {
        let cap = match (check.result, check.name) {
            (CheckResult::Pass, _) => continue,
            (CheckResult::Fail(_), _) => Level::Rejected,
            // An absent proof leaves what the signatures prove.
            (CheckResult::NotDone(_), CheckName::Proof) => Level::ProofOnly,
            (CheckResult::NotDone(_), name) => match name.level() {
                Some(level) => below(level),
                None => continue,
            },
        };
        level = level.min(cap);
    }
    level
}

const fn below(level: Level) -> Level {
    match level {
        Level::AuditReady => Level::PolicyEnforced,
        Level::PolicyEnforced => Level::ProofOnly,
        Level::ProofOnly | Level::Rejected => Level::Rejected,
    }
}

/// Returns a code as reports have it, for example `E033`.
fn short_code(code: ErrorCode) -> String {
    format!("E{:03}", code.number())
}

impl Check {
    fn to_value(&self) -> Value {
        let mut members = Vec::from([
            ("detail", Value::from(self.detail.as_str())),
            ("name", self.name.name().into()),
            ("result", self.result.name().into()),
        ]);
        if let Some(code) = self.result.code() {
            members.push(("code", short_code(code).into()));
        }
        Value::object(members)
    }
}

impl Facts {
    fn to_value(&self) -> Value {
        let hex = |id: &dyn core::fmt::Display| Value::Text(id.to_string());
        let mut members = Vec::from([
            ("ignored", Value::array(self.ignored.iter().map(ignored))),
            ("insecure_dev", self.insecure_dev.into()),
            ("signers", Value::array(self.signers.iter().map(|id| hex(id)))),
            ("unknown_signers", Value::array(self.unknown_signers.iter().map(|id| hex(id)))),
        ]);
        let optional = [
            ("author", self.author.as_ref().map(|id| hex(id))),
            ("body_sha256", self.body_sha256.as_ref().map(|id| hex(id))),
            ("capsule_hash", self.capsule_hash.as_ref().map(|id| hex(id))),
            ("core_hash", self.core_hash.as_ref().map(|id| hex(id))),
            ("name", self.name.as_ref().map(|name| hex(name))),
            ("policy_hash", self.policy_hash.as_ref().map(|id| hex(id))),
            ("version", self.version.as_ref().map(|version| hex(version))),
        ];
        let present = optional.into_iter().filter_map(|(name, value)| Some((name, value?)));
        members.extend(present);
        members.extend(self.receipt.iter().flat_map(|receipt| receipt.members()));
        members.extend(self.capsule.iter().flat_map(CapsuleFacts::members));
        Value::object(members)
    }
}

fn ignored(entry: &Ignored) -> Value {
    Value::object([("code", short_code(entry.code).into()), ("name", entry.name.as_str().into())])
}

fn rule(fact: &RuleFact) -> Value {
    let code = fact.result.code().map(|code| ("code", short_code(code).into()));
    let members = [("name", fact.name.name().into()), ("result", fact.result.name().into())];
    Value::object(members.into_iter().chain(code))
}

impl ReceiptFacts {
    fn members(&self) -> Vec<(&'static str, Value)> {
        let text = |value: &dyn core::fmt::Display| Value::Text(value.to_string());
        let mut members = Vec::from([
            ("exec_hash", text(&self.exec_hash)),
            ("issuer", text(&self.issuer)),
            ("kind", "exec".into()),
            ("nonce", Value::Text(encode_hex(&self.nonce))),
            ("outcome", self.outcome.into()),
            ("receipt_id", text(&self.receipt_id)),
            ("rules", Value::array(self.rules.iter().map(rule))),
            ("run_id", Value::Text(encode_hex(&self.run_id))),
            ("statement_hash", text(&self.statement_hash)),
            ("trace_spec_hash", text(&self.trace_spec_hash)),
        ]);
        let policy = self.policy_sha256.as_ref().map(|digest| text(digest));
        members.extend(policy.map(|policy| ("policy_sha256", policy)));
        members.extend(self.sampling.map(|sampling| ("sampling", sampling.to_value())));
        members
    }
}
