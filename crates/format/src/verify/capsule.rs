//! The checks of a capsule, and the report that they make.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

use super::checks::{Options, failed, not_done, passed};
use super::report::{Artefact, CapsuleFacts, Check, CheckName, Facts, Report};
use super::signer;
use crate::DecodeError;
use crate::capsule::{Capsule, Finding, Surroundings, standing};
use crate::hash::sha256;
use crate::key::{Identity, IdentityId, PublicKey};
use crate::receipt::Ignored;
use crate::trust::{Role, Trust};

/// Verifies a capsule file and reports every check.
///
/// `around` is what the verifier's store says; without a store the checks that need one are not
/// done.
/// Nothing is written, run or fetched; a payload is decrypted where `options` hold an identity.
///
/// # Determinism
/// Depends on the arguments alone.
///
/// # Spec
/// `spec/capsule.md`, `spec/report.md`.
#[must_use]
pub fn capsule(
    bytes: &[u8],
    trust: Option<&Trust>,
    now_ms: Option<u64>,
    options: &Options<'_>,
    around: Option<&Surroundings<'_>>,
) -> Report {
    match Capsule::decode(bytes) {
        Ok(capsule) => Session::new(&capsule, options).run(trust, now_ms, around),
        Err(error) => {
            let facts = Facts { insecure_dev: options.insecure_dev, ..Facts::default() };
            let checks = Vec::from([failed(CheckName::Form, &error)]);
            Report::new(Artefact::Unknown(sha256(bytes)), checks, facts, options)
        }
    }
}

/// One verification: the file and what the checks found so far.
struct Session<'a> {
    capsule: &'a Capsule<'a>,
    options: &'a Options<'a>,
    checks: BTreeMap<CheckName, Check>,
    facts: Facts,
}

impl<'a> Session<'a> {
    fn new(capsule: &'a Capsule<'a>, options: &'a Options<'a>) -> Self {
        let meta = capsule.meta();
        let derived = CapsuleFacts {
            capsule_id: capsule.id(),
            channel: meta.channel_id(),
            epoch: meta.epoch,
            kind: meta.kind.clone(),
            seq: meta.seq,
        };
        let ignored = capsule
            .unread()
            .map(|name| Ignored { name: name.to_string(), code: ErrorCode::NotLookedAt });
        let facts = Facts {
            author: Some(meta.author.id()),
            capsule: Some(derived),
            ignored: ignored.collect(),
            insecure_dev: options.insecure_dev,
            ..Facts::default()
        };
        Self { capsule, options, checks: BTreeMap::new(), facts }
    }

    fn run(
        mut self,
        trust: Option<&Trust>,
        now_ms: Option<u64>,
        around: Option<&Surroundings<'_>>,
    ) -> Report {
        // What a refused trust file says is not even knowledge of keys.
        let known = trust.filter(|_| self.options.trust_refused.is_none());
        let (capsule, meta) = (self.capsule, self.capsule.meta());
        self.put(passed(CheckName::Form, ""));
        let hashes = capsule.check_bound().and_then(|()| meta.check_facts());
        self.conclude(CheckName::Hashes, hashes);
        self.conclude(CheckName::Links, capsule.check_links());
        let around = Surroundings { now_ms, ..around.copied().unwrap_or_default() };
        self.check_signed(known, &around);
        let subject = signer::Subject {
            signer: Some(&meta.author),
            role: Role::Author,
            others: Role::Author,
            package: None,
        };
        for check in signer::check(&subject, &self.facts.signers, trust, now_ms, self.options) {
            self.put(check);
        }
        self.check_entries();
        self.check_opened();
        if guard!("format.capsule.log_demanded", self.options.require.contains(&CheckName::Log)) {
            let detail = "this version reads no log proofs";
            self.put(not_done(CheckName::Log, ErrorCode::LogProofMissing, detail));
        }
        self.facts.ignored.sort();
        let checks = self.checks.into_values().collect();
        Report::new(Artefact::Capsule(capsule.id()), checks, self.facts, self.options)
    }

    /// Keeps a check, unless an earlier step of the decode order spoke for it already.
    fn put(&mut self, check: Check) {
        self.checks.entry(check.name).or_insert(check);
    }

    fn conclude(&mut self, name: CheckName, result: Result<(), DecodeError>) {
        self.put(match result {
            Ok(()) => passed(name, ""),
            Err(error) => failed(name, &error),
        });
    }

    fn find(&mut self, name: CheckName, finding: Finding) {
        self.put(match finding {
            Finding::Pass => passed(name, ""),
            Finding::Fail(error) => failed(name, &error),
            Finding::NotDone(error) => not_done(name, error.code, error.detail),
        });
    }

    /// Checks the envelopes, and what depends on who signed.
    fn check_signed(&mut self, trust: Option<&Trust>, around: &Surroundings<'_>) {
        let meta = self.capsule.meta();
        let listed = || trust.into_iter().flat_map(|trust| &trust.keys).map(|key| &key.identity);
        let before = around.keyring.into_iter().flat_map(|at| &at.keyring.owners);
        let others: Vec<&Identity> = listed().chain(before).collect();
        let keys: Vec<&PublicKey> = others.iter().flat_map(|identity| identity.keys()).collect();
        let found = self.capsule.signatures(keys);
        for name in &found.surplus {
            let entry = Ignored { name: name.clone(), code: ErrorCode::LimitExceeded };
            self.facts.ignored.push(entry);
        }
        self.conclude(CheckName::Statement, found.statement.clone().map_or(Ok(()), Err));
        if let Some(error) = &found.signature {
            self.put(failed(CheckName::Signature, error));
        }
        let owners = meta.keyring.iter().flat_map(|keyring| &keyring.owners);
        let all = [&meta.author].into_iter().chain(others).chain(owners);
        let signers: BTreeSet<IdentityId> =
            all.filter(|identity| found.is_by(identity)).map(Identity::id).collect();
        self.facts.signers = signers.into_iter().collect();
        self.put(match found.check_own(&meta.author) {
            Ok(()) => passed(CheckName::Signature, format!("{} valid", found.signed.len())),
            Err(error) => not_done(CheckName::Signature, error.code, error.detail),
        });
        let stands = standing(meta, &found, around);
        if let Finding::Fail(error) = &stands.order {
            // What a store adds to the links beats what the capsule says of itself.
            self.checks.insert(CheckName::Links, failed(CheckName::Links, error));
        }
        self.find(CheckName::Authority, stands.authority);
        // Without another capsule in sight nobody says whether there is one.
        self.put(match (stands.fork, around.rivals.is_empty()) {
            (Finding::Pass, true) => {
                let detail = "nobody looked for another capsule in its place";
                not_done(CheckName::Fork, ErrorCode::NotLookedAt, detail)
            }
            (Finding::Pass, false) => passed(CheckName::Fork, ""),
            (Finding::Fail(error) | Finding::NotDone(error), _) => {
                not_done(CheckName::Fork, error.code, error.detail)
            }
        });
        if let Some(expiry) = stands.expiry {
            self.find(CheckName::Expiry, expiry);
        }
        self.find(CheckName::Ancestors, stands.ancestors);
        self.facts.unknown_signers = found.unknown.into_iter().collect();
    }

    fn check_entries(&mut self) {
        let absent: Vec<&str> = self.capsule.absent().collect();
        let check = match absent.is_empty() {
            true => passed(CheckName::Entries, ""),
            false => {
                let detail: String = format!("{} not here", absent.join(" and "));
                not_done(CheckName::Entries, ErrorCode::EntryAbsent, detail)
            }
        };
        self.put(check);
    }

    fn check_opened(&mut self) {
        let name = CheckName::Opened;
        let opened = match self.options.decrypt {
            Some(identities) => self.capsule.open(identities).map(drop),
            None => Err(DecodeError::new(ErrorCode::KeyNotHeld, "no identity was given")),
        };
        self.put(match opened {
            Ok(()) => passed(name, ""),
            Err(error) if matches!(error.code, ErrorCode::KeyNotHeld | ErrorCode::EntryAbsent) => {
                not_done(name, error.code, error.detail)
            }
            Err(error) => failed(name, &error),
        });
    }
}
