//! Envelopes of a receipt: statement, signatures, and whose they are.

use alloc::collections::BTreeSet;
use alloc::format;

use kapsule_abi::ErrorCode;

use super::super::checks::{failed, not_done, passed};
use super::super::report::CheckName;
use super::Session;
use crate::envelope::Signatures;
use crate::key::{Identity, IdentityId};
use crate::trust::Trust;

impl Session<'_> {
    /// Checks the form of every envelope and each signature by a known key.
    pub(super) fn check_signatures(&mut self, trust: Option<&Trust>) {
        let claim = self.receipt.claim();
        let statement = claim.signed_statement();
        let listed = || trust.into_iter().flat_map(|trust| &trust.keys).map(|key| &key.identity);
        let others = listed().flat_map(Identity::keys);
        let envelopes = self.receipt.container().envelopes();
        let found = Signatures::read(envelopes, &statement, claim.issuer.keys(), others);
        for name in &found.surplus {
            self.ignore(name, ErrorCode::LimitExceeded);
        }
        if let Some(error) = &found.statement {
            self.put(failed(CheckName::Statement, error));
        }
        if let Some(error) = &found.signature {
            self.put(failed(CheckName::Signature, error));
        }
        self.put(passed(CheckName::Statement, ""));
        let all = [&claim.issuer].into_iter().chain(listed());
        let signers: BTreeSet<IdentityId> =
            all.filter(|identity| found.is_by(identity)).map(Identity::id).collect();
        self.facts.signers = signers.into_iter().collect();
        self.put(match found.check_own(&claim.issuer) {
            Ok(()) => passed(CheckName::Signature, format!("{} valid", found.signed.len())),
            Err(error) => not_done(CheckName::Signature, error.code, error.detail),
        });
        self.facts.unknown_signers = found.unknown.into_iter().collect();
    }
}
