//! Proofs that the claimed run happened.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

use super::super::checks::{failed, not_done, passed};
use super::super::report::CheckName;
use super::Session;
use crate::DecodeError;
use crate::receipt::{PROOFS, ProofItem, Receipt, system_name};

/// What verifying one attached proof has shown.
///
/// A verifier of bytes has no proof system; who has one verifies the items of a receipt, bound to
/// its statement hash, and tells the verifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofFinding {
    /// Name of the attached entry.
    pub name: String,
    /// What the proof covers, in one line, or why it does not verify.
    pub result: Result<String, DecodeError>,
}

/// Returns the attached proofs by the names of their entries, or what is wrong with their form.
#[must_use]
pub fn proof_items(receipt: &Receipt<'_>) -> Vec<(String, Result<ProofItem, DecodeError>)> {
    let read = |(name, bytes): (&str, &[u8])| {
        (name.to_string(), ProofItem::decode(bytes).map_err(|error| error.within(name)))
    };
    receipt.attached(PROOFS).map(read).collect()
}

impl Session<'_> {
    /// Makes the check `proof` of what is attached and what the claim promises.
    ///
    /// A system that the claim promises is proved by one item that verifies; items of other systems
    /// count where they verify and are set aside otherwise.
    pub(super) fn check_proof(&mut self) {
        let name = CheckName::Proof;
        let promised = &self.receipt.claim().proof_systems;
        let mut problems: BTreeMap<Option<u64>, DecodeError> = BTreeMap::new();
        let (mut shown, mut systems) = (Vec::new(), Vec::new());
        for (entry, item) in proof_items(self.receipt) {
            let system = item.as_ref().ok().map(|item| item.system);
            let verified = item
                .and_then(|item| self.verified(&entry, &item).map(|detail| (item.system, detail)));
            match verified {
                Ok((system, detail)) => {
                    self.proved.extend(system_name(system));
                    systems.push(system);
                    shown.push(detail);
                }
                Err(error) => {
                    self.ignore(&entry, error.code);
                    problems.entry(system).or_insert(error);
                }
            }
        }
        let open = promised.iter().find(|number| !systems.contains(number));
        if let Some(number) = open
            && guard!("format.receipt.proof_promised", true)
        {
            let problem = problems.remove(&Some(*number));
            let system = system_name(*number).map_or_else(|| number.to_string(), str::to_string);
            self.put(match problem {
                None => {
                    let error = problems.remove(&None);
                    let code = error.as_ref().map_or(ErrorCode::ProofMissing, |error| error.code);
                    let why = error.map_or("none is here".to_string(), |error| error.detail);
                    not_done(name, code, format!("the claim promises a proof by {system}: {why}"))
                }
                Some(error) if is_unread(error.code) => not_done(name, error.code, error.detail),
                Some(error) => failed(name, &error),
            });
        } else if !shown.is_empty() {
            self.put(passed(name, shown.join("; ")));
        } else if let Some((_, error)) = problems.pop_first()
            && self.options.require.contains(&name)
        {
            self.put(not_done(name, error.code, error.detail));
        }
    }

    fn verified(&self, entry: &str, item: &ProofItem) -> Result<String, DecodeError> {
        item.check_inputs(&self.receipt.claim().statement().hash())?;
        let finding = self.asked.proofs.iter().find(|finding| finding.name == entry);
        match finding {
            Some(finding) => finding.result.clone(),
            None => {
                let system = system_name(item.system).unwrap_or_default();
                let detail = format!("this verifier does not verify proofs by {system}");
                Err(DecodeError::new(ErrorCode::ProofSystemUnsupported, detail))
            }
        }
    }
}

/// Tells whether a code says that a proof was not looked at, rather than that it is wrong.
fn is_unread(code: ErrorCode) -> bool {
    use ErrorCode::{BlobAbsent, EntryAbsent, NotLookedAt, ProofSystemUnsupported};
    matches!(code, BlobAbsent | EntryAbsent | NotLookedAt | ProofSystemUnsupported)
}
