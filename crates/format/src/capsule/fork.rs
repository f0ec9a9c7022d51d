//! Evidence that somebody said two things in one place.
//!
//! It is a snapshot of the sides of the fork, mostly without their payloads, so that whoever has it
//! needs no store, no key and no network.

use alloc::format;
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

use super::{Capsule, CapsuleId, ChannelId};
use crate::DecodeError;
use crate::key::IdentityId;
use crate::snapshot::{self, Snapshot};

/// A fork that was proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fork {
    /// Channel.
    pub channel: ChannelId,
    /// Who forked.
    pub author: IdentityId,
    /// Number that more than one capsule has.
    pub seq: u64,
    /// The capsules, ascending.
    pub sides: Vec<CapsuleId>,
}

impl Fork {
    /// Verifies evidence: two or more capsules of one channel that one author signed with one
    /// number.
    ///
    /// Takes tens to hundreds of microseconds for each signature.
    ///
    /// # Errors
    /// As [`Snapshot::decode`]; E008 for less than two capsules; E017 for another author or number;
    /// for a capsule that its author did not sign as it is, what [`Capsule::check_own`] says.
    pub fn verify(bytes: &[u8]) -> Result<Self, DecodeError> {
        let snapshot = Snapshot::decode(bytes)?;
        let count = snapshot.capsules().len();
        if guard!("format.fork.sides", count < 2) {
            let detail = format!("found {count} capsule, and a fork has two or more");
            return Err(DecodeError::new(ErrorCode::SchemaViolation, detail));
        }
        let mut place = None;
        for (id, bytes) in snapshot.capsules() {
            let capsule = Capsule::decode(bytes)?;
            capsule.check_own([])?;
            let meta = capsule.meta();
            let found = (meta.author.id(), meta.seq);
            let (author, seq) = *place.get_or_insert(found);
            if guard!("format.fork.place", found != (author, seq)) {
                let detail = format!("capsule {id} has another author or number than the first");
                return Err(DecodeError::new(ErrorCode::FactsConflict, detail));
            }
        }
        let (author, seq) = place.expect("there are two capsules");
        let sides = snapshot.capsules().keys().copied().collect();
        Ok(Self { channel: snapshot.index().channel, author, seq, sides })
    }

    /// Puts the files of all sides together; `bodies` says whether payloads go with them.
    ///
    /// # Errors
    /// As [`Fork::verify`] and [`snapshot::write`].
    pub fn write<'f>(
        channel: ChannelId,
        files: impl IntoIterator<Item = &'f [u8]>,
        bodies: bool,
    ) -> Result<Vec<u8>, DecodeError> {
        let side = |file: &'f [u8]| match bodies {
            true => Ok(file.to_vec()),
            false => Capsule::decode(file)?.header(),
        };
        let sides = files.into_iter().map(side).collect::<Result<Vec<_>, DecodeError>>()?;
        let evidence = snapshot::write(channel, sides.iter().map(Vec::as_slice), [])?;
        // The reader is the one place that knows the rules.
        Self::verify(&evidence)?;
        Ok(evidence)
    }
}
