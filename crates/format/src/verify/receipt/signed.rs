//! Envelopes of a receipt: statement, signatures, and whose they are.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

use super::super::checks::{failed, not_done, passed};
use super::super::report::CheckName;
use super::Session;
use crate::envelope::{Envelope, Expected};
use crate::key::{Identity, IdentityId, KeyId, PublicKey};
use crate::limits::ENVELOPES_MAX;
use crate::receipt::SignatureName;
use crate::trust::Trust;
use crate::{DecodeError, envelope};

impl Session<'_> {
    /// Checks the form of every envelope and each signature by a known key.
    pub(super) fn check_signatures(&mut self, trust: Option<&Trust>) {
        let claim = self.receipt.claim();
        let statement = claim.signed_statement();
        let listed = trust.into_iter().flat_map(|trust| &trust.keys);
        let listed: Vec<&Identity> = listed.map(|entry| &entry.identity).collect();
        let own = claim.issuer.keys();
        let others = listed.iter().flat_map(|identity| identity.keys());
        let known: Vec<&PublicKey> = own.iter().chain(others).collect();
        let place = |keyid: &KeyId| known.iter().position(|key| key.id() == *keyid);
        // The artefact's own keys come first, then those of known keys, then the others.
        let class = |name: &SignatureName| match place(&name.keyid) {
            Some(index) if index < own.len() => 0,
            Some(_) => 1,
            None => 2,
        };
        let mut envelopes: Vec<(SignatureName, &[u8])> = self.receipt.envelopes().collect();
        envelopes.sort_by_key(|(name, _)| class(name));
        if guard!("format.receipt.envelopes", envelopes.len() > ENVELOPES_MAX) {
            for (name, _) in envelopes.split_off(ENVELOPES_MAX) {
                self.ignore(&name.entry_name(), ErrorCode::LimitExceeded);
            }
        }
        let mut signed: BTreeSet<&PublicKey> = BTreeSet::new();
        let mut unknown: BTreeSet<KeyId> = BTreeSet::new();
        for (name, bytes) in envelopes {
            let envelope = match open(name, bytes, &statement) {
                Ok(envelope) => envelope,
                Err(error) => {
                    self.put(failed(CheckName::Statement, &error));
                    continue;
                }
            };
            let Some(key) = place(&name.keyid).and_then(|index| known.get(index)) else {
                unknown.insert(name.keyid);
                continue;
            };
            match verify(name, key, &statement, &envelope) {
                Ok(()) => drop(signed.insert(key)),
                Err(error) => self.put(failed(CheckName::Signature, &error)),
            }
        }
        self.put(passed(CheckName::Statement, ""));
        self.facts.unknown_signers = unknown.into_iter().collect();
        let complete =
            |identity: &&Identity| identity.keys().iter().all(|key| signed.contains(key));
        let all = [&claim.issuer].into_iter().chain(listed.iter().copied());
        let signers: BTreeSet<IdentityId> = all.filter(complete).map(Identity::id).collect();
        self.facts.signers = signers.into_iter().collect();
        let missing: Vec<String> =
            own.iter().filter(|key| !signed.contains(key)).map(PublicKey::brief).collect();
        self.put(if guard!("format.receipt.issuer_signed", !missing.is_empty()) {
            let detail = format!("no signature by {} of the issuer", missing.join(", "));
            not_done(CheckName::Signature, ErrorCode::SignatureMissing, detail)
        } else {
            passed(CheckName::Signature, format!("{} valid", signed.len()))
        });
    }
}

/// Opens an envelope and checks what can be checked without its key.
fn open(name: SignatureName, bytes: &[u8], statement: &[u8]) -> Result<Envelope, DecodeError> {
    let envelope = Envelope::decode(bytes)?;
    envelope.check(&Expected { statement, suite: name.suite, key_id: name.keyid })?;
    Ok(envelope)
}

fn verify(
    name: SignatureName,
    key: &PublicKey,
    statement: &[u8],
    envelope: &Envelope,
) -> Result<(), DecodeError> {
    if guard!("format.receipt.suite", key.suite() != name.suite) {
        let (key, stated) = (key.brief(), name.suite);
        let detail = format!("{key} has an envelope whose name states the suite {stated}");
        return Err(DecodeError::new(ErrorCode::KeyidMismatch, detail));
    }
    envelope::verify_statement(statement, key, envelope.signature())
}
