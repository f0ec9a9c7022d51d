//! The rules of a receipt policy, each optional.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

use super::ascending;
use crate::json::{Fields, Value};
use crate::key::{IdentityId, Suite};
use crate::manifest::names;
use crate::receipt::da::Sampling;
use crate::text::is_plain;
use crate::{DecodeError, Digest};

names! {
    /// Name of a rule, in the order of the names.
    RuleName {
        /// Whether the run may reach a network.
        AllowNetwork = "allow_network",
        /// How the audit bundle is to be had.
        Audit = "audit",
        /// How closely the run was watched.
        CaptureTierMin = "capture_tier_min",
        /// Container images that may be used.
        ContainerImages = "container_images",
        /// How sure the availability of the bundle has to be.
        Da = "da",
        /// Whether the host has to be without a GPU.
        ForbidGpu = "forbid_gpu",
        /// Kinds of claims.
        Kinds = "kinds",
        /// Which log has to include the receipt.
        Log = "log",
        /// Age of the run.
        MaxAgeMs = "max_age_ms",
        /// Fuel that the run may have used.
        MaxFuel = "max_fuel",
        /// How the run may have ended.
        Outcomes = "outcomes",
        /// Packages that may have run.
        Packages = "packages",
        /// Proof systems of which one has to have proved the run.
        ProofSystems = "proof_systems",
        /// How often the run has to have been repeated.
        RepeatMin = "repeat_min",
        /// Whether the tools have to come from a deterministic build.
        RequireDeterministicBuild = "require_deterministic_build",
        /// Whether manifests have to be there and signed.
        RequireManifestSignature = "require_manifest_signature",
        /// Public outputs that have to be named.
        RequirePublicOutputs = "require_public_outputs",
        /// How many trusted identities have to have signed.
        SignersMin = "signers_min",
        /// Suites of which the issuer has to have a key each.
        SuitesAll = "suites_all",
        /// Tools that have to have been used.
        Toolchain = "toolchain",
    }
}

names! {
    /// Who may have an audit bundle.
    AuditMode {
        /// Anybody.
        Public = "public",
        /// Who has the role auditor, or a grant.
        Granted = "granted",
        /// Anybody, but only named recipients open it.
        Encrypted = "encrypted",
    }
}

/// A closed set of rules; one that is absent demands nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Whether the run may reach a network.
    pub allow_network: Option<bool>,
    /// How the audit bundle is to be had.
    pub audit: Option<AuditRule>,
    /// Least capture tier.
    pub capture_tier_min: Option<u64>,
    /// SHA-256 of the container images that may be used, ascending.
    pub container_images: Option<Vec<Digest>>,
    /// How sure the availability of the bundle has to be.
    pub da: Option<DaRule>,
    /// Whether the host has to be without a GPU.
    pub forbid_gpu: Option<bool>,
    /// Kinds of claims that are allowed, ascending: `exec`, `run`.
    pub kinds: Option<Vec<String>>,
    /// Which log has to include the receipt.
    pub log: Option<LogRule>,
    /// Greatest age of the run in milliseconds.
    pub max_age_ms: Option<u64>,
    /// Greatest fuel that the run may have used.
    pub max_fuel: Option<u64>,
    /// Names of the outcomes that are allowed, ascending.
    pub outcomes: Option<Vec<String>>,
    /// `capsule_hash` of the packages that may have run, ascending.
    pub packages: Option<Vec<Digest>>,
    /// Names of proof systems, ascending, of which one has to have proved the run.
    pub proof_systems: Option<Vec<String>>,
    /// How often the run has to have been made with one result.
    pub repeat_min: Option<u64>,
    /// Whether the tools have to come from a deterministic build.
    pub require_deterministic_build: Option<bool>,
    /// Whether manifests have to be there and signed.
    pub require_manifest_signature: Option<bool>,
    /// Names of the public outputs that have to be there, ascending.
    pub require_public_outputs: Option<Vec<String>>,
    /// Least number of trusted identities that have to have signed.
    pub signers_min: Option<u64>,
    /// Suites of which the issuer has to have a key each, ascending.
    pub suites_all: Option<Vec<Suite>>,
    /// Tools that have to have been used, ascending by name.
    pub toolchain: Option<Vec<Tool>>,
}

/// How the audit bundle is to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRule {
    /// Identities that grant audits, ascending.
    pub granters: Vec<IdentityId>,
    /// Who may have it.
    pub mode: AuditMode,
}

/// How sure the availability of a bundle has to be, and how patient a verifier is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DaRule {
    /// Share of chunks, in millionths, whose absence has to be noticed.
    pub delta_ppm: u64,
    /// An absence escapes with a probability of at most 2 to the minus this.
    pub epsilon_bits: u64,
    /// Greatest number of samples that a provider answers.
    pub k_max: u64,
    /// How often a provider is asked again.
    pub retries: u64,
    /// How long it is waited for, in milliseconds.
    pub timeout_ms: u64,
}

impl DaRule {
    /// Returns how sure the rule wants a verifier to be.
    #[must_use]
    pub const fn sampling(&self) -> Sampling {
        Sampling { delta_ppm: self.delta_ppm, epsilon_bits: self.epsilon_bits }
    }
}

/// Which log has to include the receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRule {
    /// Number of cosigners that its checkpoint needs.
    pub cosigners: u64,
    /// Origins of the logs, ascending, of which one serves.
    pub origins: Vec<String>,
}

/// A tool by its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    /// Name.
    pub name: String,
    /// SHA-256.
    pub sha256: Digest,
}

/// Names of proof systems that a rule may list.
const SYSTEMS: [&str; 6] = ["groth16", "openvm", "plonk", "risc0", "sp1", "stark"];
/// Names of the kinds of claims.
const KINDS: [&str; 2] = ["exec", "run"];
/// Names of the classes of outcomes.
const OUTCOMES: [&str; 4] = ["completed", "denied", "limit", "trapped"];

impl Rules {
    /// Reads the rules of one object.
    pub(super) fn decode(mut fields: Fields) -> Result<Self, DecodeError> {
        let of = fields.path().to_string();
        let any: Option<&[&str]> = None;
        let rules = Self {
            allow_network: fields.optional("allow_network")?,
            audit: fields.optional_object("audit")?.map(AuditRule::decode).transpose()?,
            capture_tier_min: fields.optional_uint("capture_tier_min", 0..=3)?,
            container_images: images(&mut fields)?,
            da: fields.optional_object("da")?.map(DaRule::decode).transpose()?,
            forbid_gpu: fields.optional("forbid_gpu")?,
            kinds: texts(&mut fields, "kinds", Some(&KINDS))?,
            log: fields.optional_object("log")?.map(LogRule::decode).transpose()?,
            max_age_ms: fields.optional("max_age_ms")?,
            max_fuel: fields.optional("max_fuel")?,
            outcomes: texts(&mut fields, "outcomes", Some(&OUTCOMES))?,
            packages: fields.optional("packages")?,
            proof_systems: texts(&mut fields, "proof_systems", Some(&SYSTEMS))?,
            repeat_min: fields.optional("repeat_min")?,
            require_deterministic_build: fields.optional("require_deterministic_build")?,
            require_manifest_signature: fields.optional("require_manifest_signature")?,
            require_public_outputs: texts(&mut fields, "require_public_outputs", any)?,
            signers_min: fields.optional("signers_min")?,
            suites_all: suites(&mut fields)?,
            toolchain: tools(&mut fields)?,
        };
        fields.finish()?;
        ascending(&format!("{of}.packages"), rules.packages.iter().flatten())?;
        Ok(rules)
    }

    /// Returns the rules as an object.
    pub(super) fn to_value(&self) -> Value {
        let digests = |list: &Vec<Digest>| Value::array(list.iter().copied());
        let image = |digest: &Digest| Value::Text(format!("sha256:{digest}"));
        let numbers =
            |list: &Vec<Suite>| Value::array(list.iter().map(|suite| u64::from(suite.number())));
        let names = |list: &Option<Vec<String>>| list.as_deref().map(names_value);
        let members = [
            (RuleName::AllowNetwork, self.allow_network.map(Value::from)),
            (RuleName::Audit, self.audit.as_ref().map(AuditRule::to_value)),
            (RuleName::CaptureTierMin, self.capture_tier_min.map(Value::from)),
            (
                RuleName::ContainerImages,
                self.container_images.as_ref().map(|list| Value::array(list.iter().map(image))),
            ),
            (RuleName::Da, self.da.map(DaRule::to_value)),
            (RuleName::ForbidGpu, self.forbid_gpu.map(Value::from)),
            (RuleName::Kinds, names(&self.kinds)),
            (RuleName::Log, self.log.as_ref().map(LogRule::to_value)),
            (RuleName::MaxAgeMs, self.max_age_ms.map(Value::from)),
            (RuleName::MaxFuel, self.max_fuel.map(Value::from)),
            (RuleName::Outcomes, names(&self.outcomes)),
            (RuleName::Packages, self.packages.as_ref().map(digests)),
            (RuleName::ProofSystems, names(&self.proof_systems)),
            (RuleName::RepeatMin, self.repeat_min.map(Value::from)),
            (
                RuleName::RequireDeterministicBuild,
                self.require_deterministic_build.map(Value::from),
            ),
            (RuleName::RequireManifestSignature, self.require_manifest_signature.map(Value::from)),
            (RuleName::RequirePublicOutputs, names(&self.require_public_outputs)),
            (RuleName::SignersMin, self.signers_min.map(Value::from)),
            (RuleName::SuitesAll, self.suites_all.as_ref().map(numbers)),
            (
                RuleName::Toolchain,
                self.toolchain.as_ref().map(|list| Value::array(list.iter().map(Tool::to_value))),
            ),
        ];
        let present = members.into_iter();
        Value::object(present.filter_map(|(name, value)| Some((name.name(), value?))))
    }
}

fn names_value(list: &[String]) -> Value {
    Value::array(list.iter().map(String::as_str))
}

/// Takes a sorted list of texts, of which `allowed` are allowed.
fn texts(
    fields: &mut Fields,
    name: &str,
    allowed: Option<&[&str]>,
) -> Result<Option<Vec<String>>, DecodeError> {
    let of = format!("{}.{name}", fields.path());
    let Some(list) = fields.optional::<Vec<String>>(name)? else { return Ok(None) };
    ascending(&of, &list)?;
    let known = |text: &String| match allowed {
        Some(allowed) => allowed.contains(&text.as_str()),
        None => is_plain(text, 256),
    };
    if guard!("format.rules.word", !list.iter().all(known)) {
        let words = allowed.map(|words| words.join(", "));
        let words = words.unwrap_or_else(|| "1 to 256 bytes without control characters".into());
        let detail = format!("{of}: found another text, allowed {words}");
        return Err(DecodeError::new(ErrorCode::SchemaViolation, detail));
    }
    Ok(Some(list))
}

fn images(fields: &mut Fields) -> Result<Option<Vec<Digest>>, DecodeError> {
    let of = format!("{}.container_images", fields.path());
    let Some(list) = fields.optional::<Vec<String>>("container_images")? else { return Ok(None) };
    ascending(&of, &list)?;
    let digests: Option<Vec<Digest>> = list.iter().map(|text| decode_image(text)).collect();
    digests.map(Some).ok_or_else(|| {
        DecodeError::new(ErrorCode::SchemaViolation, format!("{of}: allowed are sha256:<hex>"))
    })
}

/// Reads `sha256:<hex>`.
pub(crate) fn decode_image(text: &str) -> Option<Digest> {
    text.strip_prefix("sha256:").and_then(|hex| hex.parse().ok())
}

fn suites(fields: &mut Fields) -> Result<Option<Vec<Suite>>, DecodeError> {
    let of = format!("{}.suites_all", fields.path());
    let Some(list) = fields.optional::<Vec<u64>>("suites_all")? else { return Ok(None) };
    ascending(&of, &list)?;
    list.into_iter().map(Suite::from_number).collect::<Result<_, _>>().map(Some)
}

fn tools(fields: &mut Fields) -> Result<Option<Vec<Tool>>, DecodeError> {
    let of = format!("{}.toolchain", fields.path());
    let Some(list) = fields.optional::<Vec<Value>>("toolchain")? else { return Ok(None) };
    let read = |value| Tool::decode(Fields::new(value, of.clone())?);
    let tools: Vec<Tool> = list.into_iter().map(read).collect::<Result<_, _>>()?;
    ascending(&of, tools.iter().map(|tool| &tool.name))?;
    Ok(Some(tools))
}

impl Tool {
    fn decode(mut fields: Fields) -> Result<Self, DecodeError> {
        let form = "1 to 256 bytes without control characters";
        let name = fields.text("name", form, |text| is_plain(text, 256))?;
        let tool = Self { name, sha256: fields.required("sha256")? };
        fields.finish()?;
        Ok(tool)
    }

    fn to_value(&self) -> Value {
        Value::object([("name", self.name.as_str().into()), ("sha256", self.sha256.into())])
    }
}

impl AuditRule {
    fn decode(mut fields: Fields) -> Result<Self, DecodeError> {
        let granters: Vec<Digest> = fields.required("granters")?;
        ascending(&format!("{}.granters", fields.path()), &granters)?;
        let mode: String = fields.required("mode")?;
        let mode = AuditMode::from_name(&mode).ok_or_else(|| {
            let detail = format!("{}.mode: allowed are public, granted, encrypted", fields.path());
            DecodeError::new(ErrorCode::SchemaViolation, detail)
        })?;
        fields.finish()?;
        Ok(Self { granters: granters.into_iter().map(IdentityId::new).collect(), mode })
    }

    fn to_value(&self) -> Value {
        let granters = self.granters.iter().map(|id| *id.digest());
        Value::object([("granters", Value::array(granters)), ("mode", self.mode.name().into())])
    }
}

impl DaRule {
    fn decode(mut fields: Fields) -> Result<Self, DecodeError> {
        let rule = Self {
            delta_ppm: fields.uint("delta_ppm", 0..=999_999)?,
            epsilon_bits: fields.uint("epsilon_bits", 1..=256)?,
            k_max: fields.uint("k_max", 1..=1_024)?,
            retries: fields.uint("retries", 0..=10)?,
            timeout_ms: fields.uint("timeout_ms", 1..=60_000)?,
        };
        fields.finish()?;
        Ok(rule)
    }

    fn to_value(self) -> Value {
        Value::object([
            ("delta_ppm", self.delta_ppm.into()),
            ("epsilon_bits", self.epsilon_bits.into()),
            ("k_max", self.k_max.into()),
            ("retries", self.retries.into()),
            ("timeout_ms", self.timeout_ms.into()),
        ])
    }
}

impl LogRule {
    fn decode(mut fields: Fields) -> Result<Self, DecodeError> {
        let rule = Self {
            cosigners: fields.required("cosigners")?,
            origins: texts(&mut fields, "origins", None)?.ok_or_else(|| {
                DecodeError::new(ErrorCode::SchemaViolation, "rules.log.origins is missing")
            })?,
        };
        fields.finish()?;
        Ok(rule)
    }

    fn to_value(&self) -> Value {
        let origins = names_value(&self.origins);
        Value::object([("cosigners", self.cosigners.into()), ("origins", origins)])
    }
}
