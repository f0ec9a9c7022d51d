//! Whether the audit bundle can be had: held, or sampled by a challenger who attests that.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

use super::super::checks::{not_done, passed};
use super::super::report::{Check, CheckName, SamplingFact};
use super::super::signer::Roots;
use super::Session;
use crate::DecodeError;
use crate::envelope::{Envelope, SignatureName, check_carried};
use crate::key::is_published_test_key;
use crate::receipt::BundleRef;
use crate::receipt::da::{ATTESTATIONS, Attestation, Sampling};
use crate::tree::CHUNK_BYTES;
use crate::trust::Role;

/// Envelopes of one number that carry one statement, with the names of their entries.
type Carried = BTreeMap<SignatureName, (String, Envelope)>;

impl Session<'_> {
    /// Says whether the bundle can be had although it is not here, for the reason `absent`.
    pub(super) fn sampled(
        &mut self,
        bundle: &BundleRef,
        absent: &DecodeError,
        roots: Option<&Roots<'_>>,
        wanted: &[Sampling],
    ) -> Check {
        let name = CheckName::Availability;
        let count = bundle.size.div_ceil(CHUNK_BYTES as u64);
        // What samples tell of a bundle with an erasure code, this version does not know.
        let found = (bundle.coding == 0).then(|| self.attestation(bundle, roots)).flatten();
        let Some(found) = found else {
            return not_done(name, absent.code, absent.detail.as_str());
        };
        let asked = found.k.min(count);
        let held = asked.saturating_sub(found.missing.len() as u64);
        let sampling = SamplingFact { coding: bundle.coding, held, k: asked, n: count };
        if let Some(facts) = &mut self.facts.receipt {
            facts.sampling = Some(sampling);
        }
        if let Some(first) = found.missing.first()
            && guard!("format.da.missing", true)
        {
            let detail = format!("{} attests that chunk {first} is missing", found.issuer);
            return not_done(name, ErrorCode::ChunkUnavailable, detail);
        }
        let needed = wanted.iter().map(|wanted| wanted.samples(count)).max_by_key(|needed| {
            // None is more than anybody answers.
            needed.unwrap_or(u64::MAX)
        });
        let told = format!(
            "{} attests that {asked} of {count} chunks were shown; one that is withheld escapes \
             with the probability 1 - {asked}/{count}",
            found.issuer,
        );
        match needed {
            Some(Some(needed)) if !guard!("format.da.samples", asked < needed) => {
                passed(name, told)
            }
            Some(Some(needed)) => {
                not_done(name, absent.code, format!("{told}; asked for are {needed}"))
            }
            Some(None) => {
                not_done(name, absent.code, format!("{told}; asked for is the whole bundle"))
            }
            None => {
                let detail = format!("{told}; nobody says how many are enough");
                not_done(name, absent.code, detail)
            }
        }
    }

    /// Returns the latest attestation by a challenger whom the trust file lists.
    fn attestation(
        &mut self,
        bundle: &BundleRef,
        roots: Option<&Roots<'_>>,
    ) -> Option<Attestation> {
        let mut groups: BTreeMap<(String, Vec<u8>), Carried> = BTreeMap::new();
        let entries: Vec<(&str, &[u8])> = self.receipt.attached(ATTESTATIONS).collect();
        for (entry, bytes) in entries {
            let (number, _) = entry.split_at(entry.find('.').map_or(entry.len(), |at| at + 1));
            let read = SignatureName::parse(entry, number).zip(Envelope::decode(bytes).ok());
            let Some((name, envelope)) = read else {
                self.ignore(entry, ErrorCode::EnvelopeForm);
                continue;
            };
            let group = groups.entry((number.to_string(), envelope.payload().to_vec()));
            group.or_default().insert(name, (entry.to_string(), envelope));
        }
        let mut latest: Option<Attestation> = None;
        for ((_, payload), carried) in groups {
            match self.attested(bundle, roots, &payload, &carried) {
                Ok(found) => {
                    // Of two of one time the one that misses something counts.
                    let key = |one: &Attestation| (one.answered_at, one.missing.len());
                    if latest.as_ref().is_none_or(|latest| key(latest) < key(&found)) {
                        latest = Some(found);
                    }
                }
                Err(error) => {
                    carried.values().for_each(|(entry, _)| self.ignore(entry, error.code));
                }
            }
        }
        latest
    }

    /// Checks one attestation: what it is about, and who made it.
    fn attested(
        &self,
        bundle: &BundleRef,
        roots: Option<&Roots<'_>>,
        payload: &[u8],
        carried: &Carried,
    ) -> Result<Attestation, DecodeError> {
        let refuse = |code, detail: &str| Err(DecodeError::new(code, detail));
        let found = Attestation::decode(payload)?;
        let about = (found.receipt_id, found.chunk_root);
        if guard!("format.da.about", about != (self.receipt.claim().id(), bundle.chunk_root)) {
            let detail = "the attestation is about the bundle of another receipt";
            return refuse(ErrorCode::ChallengeInvalid, detail);
        }
        let Some(roots) = roots else {
            return refuse(ErrorCode::NotLookedAt, "no trust file or no clock was given");
        };
        let refused =
            |refusal: super::super::signer::Refusal| DecodeError::new(refusal.code, refusal.detail);
        let trust = roots.in_force().map_err(refused)?;
        let Some(listed) = trust.key(&found.issuer) else {
            let detail = "the trust file does not list the challenger";
            return refuse(ErrorCode::SignerUntrusted, detail);
        };
        let challenger = &listed.identity;
        roots.accept(challenger, Role::Challenger, None).map_err(refused)?;
        let insecure = challenger.keys().iter().any(is_published_test_key);
        if guard!("format.da.test_key", insecure && !self.options.insecure_dev) {
            return refuse(ErrorCode::TestKeyRefused, "the challenger has a published test key");
        }
        check_carried(payload, challenger, |name| carried.get(name).map(|(_, one)| one))?;
        Ok(found)
    }
}
