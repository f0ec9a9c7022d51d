//! Log proofs: which transparency logs tell of the receipt.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

use super::super::checks::{not_done, passed};
use super::super::report::CheckName;
use super::super::signer::Roots;
use super::Session;
use crate::DecodeError;
use crate::log::{EntryKind, LogProof};
use crate::receipt::LOG_PROOFS;

/// A log that tells of the receipt.
#[derive(Debug)]
pub(super) struct Logged {
    /// Its origin.
    pub(super) origin: String,
    /// Number of cosigners of the checkpoint that the trust file lists.
    pub(super) cosigners: u64,
}

impl Session<'_> {
    /// Makes the check `log`, which is left out where nobody asks for it and no proof serves.
    pub(super) fn check_log(&mut self, roots: Option<&Roots<'_>>, demanded: bool) {
        let name = CheckName::Log;
        let mut problem = None;
        let entries: Vec<(&str, &[u8])> = self.receipt.attached(LOG_PROOFS).collect();
        for (entry, bytes) in entries {
            match self.logged(roots, bytes) {
                Ok(found) => self.logs.push(found),
                Err(error) => {
                    self.ignore(entry, error.code);
                    problem.get_or_insert(error.within(entry));
                }
            }
        }
        if !self.logs.is_empty() {
            let told = |log: &Logged| format!("{}, {} cosigners", log.origin, log.cosigners);
            let detail = self.logs.iter().map(told).collect::<Vec<_>>().join("; ");
            self.put(passed(name, detail));
        } else if demanded || self.options.require.contains(&name) {
            let (code, detail) = match problem {
                Some(error) => (error.code, error.detail),
                None => (ErrorCode::LogProofMissing, "no log proof is attached".to_string()),
            };
            self.put(not_done(name, code, detail));
        }
    }

    fn logged(&self, roots: Option<&Roots<'_>>, bytes: &[u8]) -> Result<Logged, DecodeError> {
        let proof = LogProof::decode(bytes)?;
        let refuse = |code, detail: String| Err(DecodeError::new(code, detail));
        let Some(roots) = roots else {
            let detail = "no trust file or no clock was given";
            return refuse(ErrorCode::NotLookedAt, detail.to_string());
        };
        let trust =
            roots.in_force().map_err(|refused| DecodeError::new(refused.code, refused.detail))?;
        let origin = proof.note.checkpoint.origin.as_str();
        let subject = self.receipt.claim().id();
        let entry = trust.verify_log(origin, |key| proof.verify(key, subject.digest()))?;
        let tells = matches!(entry.kind, EntryKind::ReceiptIssued | EntryKind::ReceiptVerified);
        if guard!("format.receipt.log_kind", !tells) {
            let detail = format!("the entry is a {}, which accepts nothing", entry.kind.name());
            return refuse(ErrorCode::LogInclusionInvalid, detail);
        }
        let cosigners = trust.check_quorum(&proof.note)?;
        Ok(Logged { origin: origin.to_string(), cosigners })
    }
}
