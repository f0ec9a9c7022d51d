//! What each rule of a receipt policy asks of a receipt.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

use super::super::report::{CheckResult, RuleFact};
use super::log::Logged;
use super::manifests::Manifests;
use super::policy::Documents;
use crate::policy::Policy;
use crate::receipt::{Claim, HostManifest, ToolchainManifest, outcome_name};
use crate::receipt_policy::{AuditMode, LogRule, RuleName, Rules};

/// Capture tier of a claim about a package: it saw nothing but what was recorded.
const TIER_HERMETIC: u64 = 2;
/// Capture tier of one whose run was repeated with the same result.
const TIER_REPEATED: u64 = 3;

/// What rules look at.
pub(super) struct Subject<'a> {
    pub(super) claim: &'a Claim,
    pub(super) documents: &'a Documents,
    pub(super) manifests: &'a Manifests,
    /// Effective policy, or that of the package, where one of them is at hand.
    pub(super) effective: Option<&'a Policy>,
    pub(super) proof: Option<CheckResult>,
    /// Names of the systems by which the run was proved.
    pub(super) proof_systems: &'a [&'static str],
    pub(super) availability: Option<CheckResult>,
    pub(super) log: Option<CheckResult>,
    /// Logs that tell of the receipt.
    pub(super) logs: &'a [Logged],
    pub(super) reexec: Option<CheckResult>,
    /// Number of trusted identities that signed.
    pub(super) signers: Option<u64>,
    pub(super) now_ms: Option<u64>,
    pub(super) max_skew_ms: u64,
}

/// What came of one rule.
struct Verdict {
    result: CheckResult,
    detail: String,
}

fn holds() -> Verdict {
    Verdict { result: CheckResult::Pass, detail: String::new() }
}

fn broken(code: ErrorCode, detail: impl Into<String>) -> Verdict {
    Verdict { result: CheckResult::Fail(code), detail: detail.into() }
}

fn open(code: ErrorCode, detail: impl Into<String>) -> Verdict {
    Verdict { result: CheckResult::NotDone(code), detail: detail.into() }
}

/// Fails with E100 where a rule is broken.
fn unless(is_broken: bool, detail: impl FnOnce() -> String) -> Verdict {
    if is_broken { broken(ErrorCode::PolicyRuleFailed, detail()) } else { holds() }
}

impl Subject<'_> {
    /// Evaluates the common rules and those of a track; of a rule in both the worse result counts.
    pub(super) fn evaluate(&self, common: &Rules, track: &Rules) -> Vec<RuleFact> {
        let signed =
            [common, track].iter().any(|rules| rules.require_manifest_signature == Some(true));
        let rank = |result: &CheckResult| match result {
            CheckResult::Pass => 0,
            CheckResult::NotDone(_) => 1,
            CheckResult::Fail(_) => 2,
        };
        let mut found: BTreeMap<RuleName, Verdict> = BTreeMap::new();
        for rules in [common, track] {
            for name in RuleName::ALL {
                let Some(verdict) = self.rule(*name, rules, signed) else { continue };
                let worse = |held: &Verdict| rank(&held.result) >= rank(&verdict.result);
                if !found.get(name).is_some_and(worse) {
                    found.insert(*name, verdict);
                }
            }
        }
        let fact = |(name, Verdict { result, detail })| RuleFact { name, result, detail };
        found.into_iter().map(fact).collect()
    }

    fn rule(&self, name: RuleName, rules: &Rules, signed: bool) -> Option<Verdict> {
        match name {
            RuleName::AllowNetwork
            | RuleName::Kinds
            | RuleName::MaxFuel
            | RuleName::Outcomes
            | RuleName::Packages
            | RuleName::RequirePublicOutputs => self.of_the_run(name, rules),
            RuleName::ContainerImages
            | RuleName::ForbidGpu
            | RuleName::RequireDeterministicBuild
            | RuleName::RequireManifestSignature
            | RuleName::Toolchain => self.of_manifests(name, rules, signed),
            _ => self.of_evidence(name, rules),
        }
    }

    /// Rules about what ran and how it ended.
    fn of_the_run(&self, name: RuleName, rules: &Rules) -> Option<Verdict> {
        let exec = &self.claim.exec;
        Some(match name {
            RuleName::AllowNetwork => self.network(rules.allow_network?),
            RuleName::Kinds => {
                let allowed = rules.kinds.as_ref()?.iter().any(|kind| kind == "exec");
                unless(guard!("format.rules.kinds", !allowed), || "the kind is exec".into())
            }
            RuleName::MaxFuel => {
                let (used, max) = (exec.fuel_used, rules.max_fuel?);
                let above = guard!("format.rules.max_fuel", used > max);
                unless(above, || format!("the run used {used}, allowed are {max}"))
            }
            RuleName::Outcomes => {
                let found = outcome_name(exec.outcome);
                let allowed = rules.outcomes.as_ref()?.iter().any(|name| name == found);
                let other = guard!("format.rules.outcomes", !allowed);
                unless(other, || format!("the outcome is {found}"))
            }
            RuleName::Packages => {
                let allowed = rules.packages.as_ref()?.contains(exec.capsule_hash.digest());
                let other = guard!("format.rules.packages", !allowed);
                unless(other, || format!("the package is {}", exec.capsule_hash))
            }
            _ => {
                let held = |name: &&String| {
                    self.claim.public_outputs.iter().any(|output| output.name == **name)
                };
                let missing =
                    rules.require_public_outputs.as_ref()?.iter().find(|name| !held(name));
                match missing {
                    Some(name) if guard!("format.rules.public_outputs", true) => {
                        let detail = format!("no public output is called {name:?}");
                        broken(ErrorCode::PublicOutputMissing, detail)
                    }
                    _ => holds(),
                }
            }
        })
    }

    fn network(&self, allowed: bool) -> Verdict {
        if allowed {
            return holds();
        }
        let Some(policy) = self.effective else {
            let detail = "neither the effective policy nor the package is at hand";
            return open(ErrorCode::BlobAbsent, detail);
        };
        let possible = policy.network.allow_mesh || policy.network.allow_clearnet;
        if guard!("format.rules.network", possible) {
            return broken(ErrorCode::NetworkUsed, "the policy of the run lets it reach a network");
        }
        holds()
    }

    /// Rules about the machine and the tools.
    fn of_manifests(&self, name: RuleName, rules: &Rules, signed: bool) -> Option<Verdict> {
        let judged = match name {
            RuleName::RequireManifestSignature => match rules.require_manifest_signature? {
                false => return Some(holds()),
                true => self.manifests_signed(),
            },
            RuleName::ForbidGpu => match rules.forbid_gpu? {
                false => return Some(holds()),
                true => self.host(signed).map(|host| {
                    match guard!("format.rules.gpu", !host.gpus.is_empty()) {
                        true => broken(ErrorCode::GpuForbidden, "the host has a GPU"),
                        false => holds(),
                    }
                }),
            },
            RuleName::RequireDeterministicBuild => match rules.require_deterministic_build? {
                false => return Some(holds()),
                true => self.toolchain(signed).map(|tools| {
                    let other = guard!("format.rules.build", !tools.deterministic_build);
                    unless(other, || "the toolchain manifest says it was not".into())
                }),
            },
            RuleName::ContainerImages => {
                let allowed = rules.container_images.as_ref()?;
                self.toolchain(signed).map(|tools| {
                    let image = tools.container_image;
                    let listed = image.is_some_and(|image| allowed.contains(&image));
                    match guard!("format.rules.image", !listed) {
                        true => broken(ErrorCode::ImageDigestMissing, "no allowed image was used"),
                        false => holds(),
                    }
                })
            }
            _ => {
                let wanted = rules.toolchain.as_ref()?;
                self.toolchain(signed).map(|tools| {
                    let used = |name: &str, digest| {
                        tools.tools.iter().any(|one| one.name == name && one.sha256 == digest)
                    };
                    let missing = wanted.iter().find(|tool| !used(&tool.name, tool.sha256));
                    let name = missing.map(|tool| tool.name.clone());
                    let missing = guard!("format.rules.tool", name.is_some());
                    unless(missing, || format!("this tool was not used: {name:?}"))
                })
            }
        };
        Some(judged.unwrap_or_else(|verdict| verdict))
    }

    fn manifests_signed(&self) -> Result<Verdict, Verdict> {
        if !self.manifests.host || !self.manifests.toolchain {
            let detail = "the claim does not bind both manifests";
            return Err(broken(ErrorCode::ManifestMissing, detail));
        }
        Ok(match self.manifests.signed {
            Some(CheckResult::NotDone(code)) if guard!("format.rules.signature", true) => {
                open(code, "nobody trusted signed the manifests")
            }
            _ => holds(),
        })
    }

    fn host(&self, signed: bool) -> Result<&HostManifest, Verdict> {
        self.vouched(self.manifests.host, self.documents.host.as_ref(), signed)
    }

    fn toolchain(&self, signed: bool) -> Result<&ToolchainManifest, Verdict> {
        self.vouched(self.manifests.toolchain, self.documents.toolchain.as_ref(), signed)
    }

    /// Returns a manifest that may be believed: without a rule that asks for a signature, the
    /// issuer's own word is.
    fn vouched<'m, M>(
        &self,
        bound: bool,
        held: Option<&'m M>,
        signed: bool,
    ) -> Result<&'m M, Verdict> {
        let Some(manifest) = held else {
            return Err(match bound {
                true => open(ErrorCode::ManifestMissing, "the manifest is not here"),
                false => broken(ErrorCode::ManifestMissing, "the claim binds no such manifest"),
            });
        };
        match self.manifests.signed {
            Some(CheckResult::NotDone(code)) if guard!("format.rules.self_reported", signed) => {
                Err(open(code, "the manifest is self-reported"))
            }
            _ => Ok(manifest),
        }
    }

    /// Rules about who vouches for the run, how, and what is left of it.
    fn of_evidence(&self, name: RuleName, rules: &Rules) -> Option<Verdict> {
        Some(match name {
            RuleName::Audit => self.audit(rules.audit.as_ref()?.mode),
            RuleName::CaptureTierMin => self.tier(rules.capture_tier_min?),
            RuleName::Da => {
                rules.da?;
                match self.availability {
                    Some(CheckResult::NotDone(code)) if guard!("format.rules.da", true) => {
                        open(code, "the bundle is not known to be available")
                    }
                    _ => holds(),
                }
            }
            RuleName::Log => self.told(rules.log.as_ref()?),
            RuleName::MaxAgeMs => self.age(rules.max_age_ms?),
            RuleName::ProofSystems => self.proved(rules.proof_systems.as_ref()?),
            RuleName::RepeatMin => self.repeated(rules.repeat_min?),
            RuleName::SignersMin => {
                let min = rules.signers_min?;
                match self.signers {
                    None => open(ErrorCode::NotLookedAt, "no trust file or no clock was given"),
                    Some(found) if guard!("format.rules.signers", found < min) => {
                        let detail = format!("{found} trusted identities signed, needed are {min}");
                        open(ErrorCode::SignerQuorum, detail)
                    }
                    Some(_) => holds(),
                }
            }
            _ => {
                let keys = self.claim.issuer.keys();
                let held = |suite| keys.iter().any(|key| key.suite() == suite);
                let missing = rules.suites_all.as_ref()?.iter().find(|suite| !held(**suite));
                match missing {
                    Some(suite) if guard!("format.rules.suites", true) => {
                        let detail = format!("the issuer has no key of suite {suite}");
                        broken(ErrorCode::SignerQuorum, detail)
                    }
                    _ => holds(),
                }
            }
        })
    }

    fn audit(&self, mode: AuditMode) -> Verdict {
        let Some(bundle) = self.claim.bundle else {
            return broken(ErrorCode::PolicyRuleFailed, "the claim names no audit bundle");
        };
        let other = bundle.encrypted != (mode == AuditMode::Encrypted);
        unless(guard!("format.rules.audit", other), || {
            let word = if bundle.encrypted { "encrypted" } else { "in the clear" };
            format!("the bundle is {word}, the mode is {mode}")
        })
    }

    fn told(&self, rule: &LogRule) -> Verdict {
        let listed = |log: &&Logged| rule.origins.contains(&log.origin);
        let most = self.logs.iter().filter(listed).map(|log| log.cosigners).max();
        match (most, self.log) {
            (Some(found), _) if guard!("format.rules.cosigners", found < rule.cosigners) => {
                let detail = format!("{found} cosigners signed, needed are {}", rule.cosigners);
                open(ErrorCode::CosignerQuorum, detail)
            }
            (Some(_), _) => holds(),
            (None, Some(CheckResult::Fail(code) | CheckResult::NotDone(code))) => {
                open(code, "no log is known to tell of the receipt")
            }
            (None, _) => {
                let detail = format!("no log of the rule tells of it: {}", rule.origins.join(", "));
                open(ErrorCode::LogProofMissing, detail)
            }
        }
    }

    fn tier(&self, min: u64) -> Verdict {
        let repeated = self.reexec == Some(CheckResult::Pass);
        let tier = if repeated { TIER_REPEATED } else { TIER_HERMETIC };
        match guard!("format.rules.tier", tier < min) {
            true => open(ErrorCode::TierTooLow, "nobody repeated the run"),
            false => holds(),
        }
    }

    /// An exec claim stands for one run, and for two where the verifier repeated it.
    fn repeated(&self, min: u64) -> Verdict {
        let found = if self.reexec == Some(CheckResult::Pass) { 2 } else { 1 };
        if guard!("format.rules.repeat", found < min) {
            let detail = format!("{found} runs gave one result, needed are {min}");
            return open(ErrorCode::PolicyRuleFailed, detail);
        }
        holds()
    }

    fn age(&self, max: u64) -> Verdict {
        let Some(now_ms) = self.now_ms else {
            return open(ErrorCode::NotLookedAt, "no clock was given");
        };
        let (stop_ms, skew_ms) = (self.claim.context.stop_ms, self.max_skew_ms);
        if guard!("format.rules.future", stop_ms > now_ms.saturating_add(skew_ms)) {
            return broken(ErrorCode::Expired, "the run ends in the future");
        }
        let age = now_ms.saturating_sub(stop_ms);
        if guard!("format.rules.age", age > max.saturating_add(skew_ms)) {
            let detail = format!("the run ended {age} ms ago, allowed are {max}");
            return broken(ErrorCode::Expired, detail);
        }
        holds()
    }

    fn proved(&self, systems: &[String]) -> Verdict {
        let proved = self.proof == Some(CheckResult::Pass);
        let listed = |name: &&&'static str| systems.iter().any(|system| system == **name);
        let by = self.proof_systems.iter().find(listed).filter(|_| proved);
        match by {
            None if guard!("format.rules.proof_systems", true) => {
                let code = match self.proof {
                    Some(CheckResult::NotDone(code) | CheckResult::Fail(code)) => code,
                    _ => ErrorCode::ProofMissing,
                };
                let detail = format!("no proof by {} was verified", systems.join(", "));
                open(code, detail)
            }
            _ => Verdict {
                result: CheckResult::Pass,
                detail: by.map(ToString::to_string).unwrap_or_default(),
            },
        }
    }
}
