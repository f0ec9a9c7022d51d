//! A receipt of a real run, signed anew under a policy by a key that nobody published, with all
//! that its verifier has.

use std::fs;
use std::path::Path;

use kapsule_format::Digest;
use kapsule_format::container::{Container, EntryRef, Kind, Writer};
use kapsule_format::envelope::Envelope;
use kapsule_format::key::{Identity, SecretKey, Suite};
use kapsule_format::receipt::{
    Claim, Cpu, Gpu, HOST, HostManifest, PolicyRef, Receipt, SELF_REPORTED, SignatureName,
    TOOLCHAIN, ToolchainManifest, UsedTool, vouch,
};
use kapsule_format::receipt_policy::{
    Acl, AclEntry, ReceiptPolicy, Registered, Registry, RuleName, Rules, Status, Tool,
};
use kapsule_format::trust::{self, Role, Trust, TrustedKey};
use kapsule_format::verify::{
    self, CheckName, CheckResult, Level, Options, ReceiptOptions, Report,
};

pub(crate) const NONCE: [u8; 32] = [0x5a; 32];
/// A second after the end of the run.
pub(crate) const NOW_MS: u64 = 1_767_225_601_004;

pub(crate) fn key(first: u8) -> SecretKey {
    let seed: Vec<u8> = (first..first + 32).collect();
    SecretKey::from_seed(Suite::Ed25519, &seed.try_into().unwrap()).unwrap()
}

pub(crate) fn identity(key: &SecretKey) -> Identity {
    Identity::try_from(key.public().clone()).unwrap()
}

pub(crate) fn tool() -> Tool {
    Tool { name: "kapsule".into(), sha256: Digest::new([7; 32]) }
}

pub(crate) fn host(gpus: Vec<Gpu>) -> HostManifest {
    HostManifest {
        cpu: Cpu {
            cores: 2,
            features: vec!["avx2".into(), "sse4_2".into()],
            model: "a processor".into(),
            threads: 4,
            extensions: Default::default(),
        },
        gpus,
        kernel: "Linux 6.1".into(),
        landlock_abi: 0,
        memory_bytes: 1 << 30,
        os: "Debian 12".into(),
        source: SELF_REPORTED.into(),
        virtual_machine: true,
        extensions: Default::default(),
    }
}

pub(crate) fn toolchain() -> ToolchainManifest {
    let Tool { name, sha256 } = tool();
    let extensions = Default::default();
    ToolchainManifest {
        container_image: Some(Digest::new([9; 32])),
        deterministic_build: true,
        lockfiles: Vec::new(),
        revision: Some("0123abc".into()),
        tools: vec![UsedTool { name, sha256, version: "1".into(), extensions }],
        extensions: Default::default(),
    }
}

/// A receipt under a policy, and everything that its verifier has.
pub(crate) struct Scene {
    pub(crate) issuer: SecretKey,
    pub(crate) voucher: SecretKey,
    pub(crate) policy: ReceiptPolicy,
    pub(crate) track: &'static str,
    pub(crate) manifests: Vec<(&'static str, Vec<u8>)>,
    pub(crate) vouched: bool,
    /// Whether the policy is in the receipt.
    pub(crate) bound: bool,
    pub(crate) claim: Claim,
    pub(crate) attached: Vec<(String, Vec<u8>)>,
    pub(crate) trust: Trust,
    pub(crate) options: Options<'static>,
    pub(crate) asked: ReceiptOptions,
    pub(crate) now_ms: Option<u64>,
}

pub(crate) fn trusted(key: &SecretKey, role: Role) -> TrustedKey {
    TrustedKey::new(identity(key), "k", vec![role])
}

pub(crate) fn registry(policies: &[&ReceiptPolicy]) -> Registry {
    let mut policies: Vec<Registered> =
        policies.iter().map(|policy| Registered::active(policy)).collect();
    policies.sort_by(|left, right| left.id.cmp(&right.id));
    Registry { id: "example".into(), serial: 1, policies }
}

pub(crate) fn pin(registry: &Registry) -> trust::Registry {
    let (root, size) = (registry.root(), registry.policies.len() as u64);
    trust::Registry { id: registry.id.clone(), root, size, extensions: Default::default() }
}

pub(crate) fn acl(issuer: &SecretKey) -> Acl {
    let entry = AclEntry {
        identity: identity(issuer).id(),
        policies: vec!["nightly".into()],
        roles: vec![Role::Issuer],
        status: Status::Active,
        extensions: Default::default(),
    };
    Acl { serial: 1, entries: vec![entry], extensions: Default::default() }
}

impl Scene {
    pub(crate) fn new(rules: Rules) -> Self {
        let (issuer, voucher) = (key(1), key(65));
        let policy =
            ReceiptPolicy { id: "nightly".into(), version: "1".into(), rules, tracks: Vec::new() };
        let registry = registry(&[&policy]);
        let mut keys = vec![trusted(&issuer, Role::Issuer), trusted(&voucher, Role::Manifest)];
        keys.sort_by_key(|entry| entry.identity.id());
        let registries = vec![pin(&registry)];
        let trust = Trust { keys, registries, ..Trust::first(vec![identity(&issuer)]) };
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../spec/vectors/receipt/accept/completed.bin");
        let base = fs::read(path).unwrap();
        let container = Container::decode(&base).unwrap();
        let entries = container.entries().iter().skip(1);
        let entries = entries.filter(|entry| !entry.name.starts_with("sig/"));
        let attached = entries.map(|entry| (entry.name.to_owned(), entry.bytes.to_vec())).collect();
        let asked = ReceiptOptions {
            nonce: Some(NONCE),
            policies: vec![policy.clone()],
            registry: Some(registry),
            acl: Some(Ok(acl(&issuer))),
            ..ReceiptOptions::default()
        };
        Self {
            voucher,
            policy,
            track: "",
            manifests: Vec::new(),
            vouched: true,
            bound: false,
            claim: Receipt::decode(&base).unwrap().claim().clone(),
            attached,
            trust,
            options: Options { required: Level::PolicyEnforced, ..Options::default() },
            asked,
            now_ms: Some(NOW_MS),
            issuer,
        }
    }

    pub(crate) fn with_manifests(mut self) -> Self {
        self.manifests = vec![(HOST, host(Vec::new()).encode()), (TOOLCHAIN, toolchain().encode())];
        self
    }

    /// Returns the claim that is signed, and what it binds besides.
    pub(crate) fn signed(&self) -> (Claim, Vec<(&str, Vec<u8>)>) {
        let mut claim = self.claim.clone();
        claim.issuer = identity(&self.issuer);
        claim.policy = Some(PolicyRef {
            id: self.policy.id.clone(),
            version: self.policy.version.clone(),
            sha256: self.policy.sha256(),
            track: self.track.into(),
        });
        let mut bound: Vec<(&str, Vec<u8>)> = self.manifests.clone();
        if self.bound {
            bound.push(("policy.json", self.policy.encode()));
        }
        claim.entries.extend(bound.iter().map(|(name, bytes)| EntryRef::of(name, bytes)));
        claim.entries.sort_by(|left, right| left.name.cmp(&right.name));
        (claim, bound)
    }

    /// Returns the claim of the receipt as it stands.
    pub(crate) fn claimed(&self) -> Claim {
        self.signed().0
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let (claim, bound) = self.signed();
        let mut writer = Writer::new(Kind::Receipt, claim.encode());
        let name = SignatureName::of(self.issuer.public());
        let envelope = Envelope::sign(&claim.signed_statement(), &self.issuer);
        writer.push(name.entry_name(), envelope.encode());
        if self.vouched && !self.manifests.is_empty() {
            vouch(&claim, [&self.voucher])
                .into_iter()
                .for_each(|(name, bytes)| writer.push(name, bytes));
        }
        bound.into_iter().for_each(|(name, bytes)| writer.push(name, bytes));
        self.attached.iter().for_each(|(name, bytes)| writer.push(name.clone(), bytes.clone()));
        writer.finish().unwrap()
    }

    pub(crate) fn report(&self) -> Report {
        let bytes = self.bytes();
        verify::receipt(&bytes, Some(&self.trust), self.now_ms, &self.options, &self.asked)
    }

    pub(crate) fn result(&self, name: CheckName) -> CheckResult {
        self.report().result(name).unwrap()
    }

    pub(crate) fn rule(&self, name: RuleName) -> CheckResult {
        let report = self.report();
        let rules = &report.facts.receipt.as_ref().unwrap().rules;
        rules.iter().find(|rule| rule.name == name).unwrap().result
    }
}
