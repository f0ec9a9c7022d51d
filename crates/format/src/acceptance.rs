//! `accept.json`: what a verifier demands before it accepts an artefact.
//!
//! # Spec
//! `spec/trust.md`, section "Acceptance file"; vectors in `spec/vectors/trust/`.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

use crate::hash::sha256;
use crate::json::{self, Fields, Value};
use crate::key::Suite;
use crate::text::is_ascending;
use crate::verify::{CheckName, Level, Options, ReceiptOptions};
use crate::{DecodeError, Digest};

/// Value of `schema` in an acceptance file.
pub const SCHEMA: &str = "kapsule/accept/1";

/// Names of the checks of every artefact, ascending.
const CHECKS: &[&str] = &[
    "ancestors",
    "authority",
    "availability",
    "blobs",
    "bundle",
    "checkpoints",
    "claim",
    "dependencies",
    "engines",
    "entries",
    "events",
    "expiry",
    "fork",
    "form",
    "hashes",
    "job",
    "links",
    "log",
    "manifests",
    "opened",
    "policy.document",
    "policy.registry",
    "policy.rules",
    "proof",
    "reexec",
    "repeat",
    "sections",
    "signature",
    "signer.acl",
    "signer.quorum",
    "signer.trusted",
    "statement",
    "transcript",
    "trees",
];

/// What a verifier demands.
///
/// The file is the verifier's own; nothing in it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// Level that the verdict must reach.
    pub level: Level,
    /// Names of checks that must pass whatever the level is, ascending; absent for none.
    pub require: Option<Vec<String>>,
    /// SHA-256 of the receipt policies that are allowed, ascending; absent for any.
    pub policies: Option<Vec<Digest>>,
    /// SHA-256 of a trust file of the chain that is to be used.
    pub trust: Option<Digest>,
    /// SHA-256 of the access list that is to be used.
    pub acl: Option<Digest>,
    /// How far a clock may be off, in milliseconds; absent for 0.
    pub max_skew_ms: Option<u64>,
    /// Number of distinct trusted identities that must have signed; absent for 1.
    pub min_signers: Option<u64>,
    /// Suites that may sign, ascending; absent for all.
    pub suites: Option<Vec<Suite>>,
}

impl Acceptance {
    /// Returns the file that demands this level and nothing else.
    #[must_use]
    pub const fn of(level: Level) -> Self {
        Self {
            level,
            require: None,
            policies: None,
            trust: None,
            acl: None,
            max_skew_ms: None,
            min_signers: None,
            suites: None,
        }
    }

    /// Decodes the canonical form.
    ///
    /// # Errors
    /// E001, E004, E005, E007, E008, E009 or E034.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = Fields::of_file(bytes, "accept")?;
        fields.schema(SCHEMA)?;
        let level: String = fields.required("level")?;
        let suites: Option<Vec<u64>> = fields.optional("suites")?;
        let number = |number: u64| Suite::from_number(number);
        let suites = suites.map(|list| list.into_iter().map(number).collect::<Result<_, _>>());
        let acceptance = Self {
            level: decode_level(&level)?,
            require: fields.optional("require")?,
            policies: fields.optional("policies")?,
            trust: fields.optional("trust")?,
            acl: fields.optional("acl")?,
            max_skew_ms: fields.optional("max_skew_ms")?,
            min_signers: fields.optional("min_signers")?,
            suites: suites.transpose()?,
        };
        fields.finish()?;
        acceptance.check()?;
        Ok(acceptance)
    }

    fn check(&self) -> Result<(), DecodeError> {
        let refuse = |detail: String| Err(DecodeError::new(ErrorCode::SchemaViolation, detail));
        let unknown = self.require.iter().flatten().find(|name| !CHECKS.contains(&name.as_str()));
        if let Some(name) = unknown
            && guard!("format.accept.check_name", true)
        {
            return refuse(format!("accept.require: no check is called {name:?}"));
        }
        let suites = self.suites.iter().flatten().map(|suite| suite.number());
        for (name, ascending) in [
            ("require", is_ascending(self.require.iter().flatten())),
            ("policies", is_ascending(self.policies.iter().flatten())),
            ("suites", is_ascending(suites)),
        ] {
            if guard!("format.accept.order", !ascending) {
                return refuse(format!("accept.{name} is not in strictly ascending order"));
            }
        }
        let none = self.suites.as_ref().is_some_and(Vec::is_empty);
        if guard!("format.accept.suites", none) {
            return refuse("accept.suites lets no suite sign".into());
        }
        Ok(())
    }

    /// Encodes the canonical form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let digests = |list: &Vec<Digest>| Value::array(list.iter().copied());
        let suites =
            |list: &Vec<Suite>| Value::array(list.iter().map(|suite| u64::from(suite.number())));
        let optional = [
            ("require", self.require.as_deref().map(texts)),
            ("policies", self.policies.as_ref().map(digests)),
            ("trust", self.trust.map(Value::from)),
            ("acl", self.acl.map(Value::from)),
            ("max_skew_ms", self.max_skew_ms.map(Value::from)),
            ("min_signers", self.min_signers.map(Value::from)),
            ("suites", self.suites.as_ref().map(suites)),
        ];
        let members = optional.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let fixed = [("level", self.level.name().into()), ("schema", SCHEMA.into())];
        json::encode(&Value::object(members.chain(fixed)))
    }

    /// Puts what the file demands of a receipt alone into the options of a verifier.
    pub fn apply_to_receipt(&self, asked: &mut ReceiptOptions) {
        asked.allowed_policies = self.policies.clone();
    }

    /// Tells whether this is the access list that the file pins, if it pins one.
    ///
    /// # Errors
    /// E117 for another one.
    pub fn check_acl(&self, bytes: &[u8]) -> Result<(), DecodeError> {
        let found = sha256(bytes);
        let other = self.acl.is_some_and(|pin| pin != found);
        if guard!("format.accept.acl", other) {
            let detail = format!("the access list has the SHA-256 {found}, pinned is another one");
            return Err(DecodeError::new(ErrorCode::TrustPinMismatch, detail));
        }
        Ok(())
    }

    /// Puts what the file demands of a package into the options of a verifier; the level stays.
    pub fn apply(&self, options: &mut Options<'_>) {
        options.min_signers = self.min_signers.unwrap_or(1);
        options.max_skew_ms = self.max_skew_ms.unwrap_or(0);
        options.suites = self.suites.clone();
        // A file may serve other artefacts as well, whose checks a package does not have.
        options.require =
            self.require.iter().flatten().filter_map(|name| CheckName::from_name(name)).collect();
    }
}

fn decode_level(name: &str) -> Result<Level, DecodeError> {
    let level = Level::from_name(name).filter(|level| *level != Level::Rejected);
    level.ok_or_else(|| {
        let detail = "accept.level: allowed are proof-only, policy-enforced and audit-ready";
        DecodeError::new(ErrorCode::SchemaViolation, detail)
    })
}

fn texts(list: &[String]) -> Value {
    Value::array(list.iter().map(String::as_str))
}
