//! Where a capsule stands in its channel: authority, order, forks, expiry.
//!
//! Nothing here reads a store: a reader looks up what [`Surroundings`] names and hands it over.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

use super::keyring::Keyring;
use super::meta::Meta;
use super::{CapsuleId, ChannelId};
use crate::DecodeError;
use crate::envelope::Signatures;
use crate::key::{Identity, IdentityId};

/// A keyring that the reader accepted, and the capsule that carried it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyringAt {
    /// Capsule.
    pub id: CapsuleId,
    /// What it carried.
    pub keyring: Keyring,
}

/// A capsule that the reader holds, as far as its followers ask about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Capsule.
    pub id: CapsuleId,
    /// Its channel.
    pub channel: ChannelId,
    /// Its author.
    pub author: IdentityId,
    /// Its number among the author's.
    pub seq: u64,
}

/// What the reader's store says about the surroundings of one capsule.
#[derive(Clone, Copy, Debug, Default)]
pub struct Surroundings<'a> {
    /// The accepted keyring of the channel for [`Meta::deciding_epoch`].
    pub keyring: Option<&'a KeyringAt>,
    /// Those of `prev` that are held.
    pub parents: &'a [Held],
    /// Held capsules with the same channel, author and seq; this one may be among them.
    pub rivals: &'a [CapsuleId],
    /// Identities that the reader knows and that share a key with the author.
    pub identities: &'a [Identity],
    /// The reader's time in milliseconds since 1970.
    pub now_ms: Option<u64>,
}

/// What came of one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It holds.
    Pass,
    /// It contradicts.
    Fail(DecodeError),
    /// It could not be answered.
    NotDone(DecodeError),
}

impl Finding {
    fn of(result: Result<(), DecodeError>) -> Self {
        match result {
            Ok(()) => Self::Pass,
            Err(error) => Self::Fail(error),
        }
    }

    fn not_done(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self::NotDone(DecodeError::new(code, detail))
    }
}

/// Where a capsule stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its parents are of its channel, and `back` is the author's capsule before it (E050).
    pub order: Finding,
    /// Its author may write, and enough owners signed a keyring (E136, E137); E213 without the
    /// keyring that decides.
    pub authority: Finding,
    /// No other capsule takes its place; otherwise not done with E055, and both are kept.
    pub fork: Finding,
    /// Its time has not passed (E135); absent where it names none.
    pub expiry: Option<Finding>,
    /// Every parent is held; otherwise not done with E204.
    pub ancestors: Finding,
}

impl Standing {
    /// Returns the first contradiction, for which a capsule is refused.
    #[must_use]
    pub fn refusal(&self) -> Option<&DecodeError> {
        let findings = [Some(&self.order), Some(&self.authority), self.expiry.as_ref()];
        findings.into_iter().flatten().find_map(|finding| match finding {
            Finding::Fail(error) => Some(error),
            _ => None,
        })
    }

    /// Returns what is missing before a capsule can be judged: its keyring or a parent.
    #[must_use]
    pub fn waiting(&self) -> Option<&DecodeError> {
        [&self.authority, &self.ancestors].into_iter().find_map(|finding| match finding {
            Finding::NotDone(error) => Some(error),
            _ => None,
        })
    }
}

impl Meta {
    /// Returns the epoch whose keyring decides whether the capsule is allowed: its own, or for a
    /// keyring the one before; nothing decides about a genesis but itself.
    #[must_use]
    pub const fn deciding_epoch(&self) -> Option<u64> {
        match self.keyring {
            Some(_) => self.epoch.checked_sub(1),
            None => Some(self.epoch),
        }
    }
}

/// Judges a capsule whose signatures were read, against what the reader's store says.
#[must_use]
pub fn standing(meta: &Meta, signatures: &Signatures, around: &Surroundings<'_>) -> Standing {
    Standing {
        order: Finding::of(check_order(meta, around.parents)),
        authority: authority(meta, signatures, around),
        fork: fork(meta, around.rivals),
        expiry: meta.expiry_ms.map(|expiry| check_expiry(expiry, around.now_ms)),
        ancestors: ancestors(meta, around.parents),
    }
}

fn check_order(meta: &Meta, parents: &[Held]) -> Result<(), DecodeError> {
    let refuse = |detail: String| Err(DecodeError::new(ErrorCode::CapsuleSequence, detail));
    let other = parents.iter().find(|parent| Some(parent.channel) != meta.channel);
    if let Some(parent) = other
        && guard!("format.capsule.parent_channel", true)
    {
        return refuse(format!("prev {} is of another channel", parent.id));
    }
    let Some(back) = parents.iter().find(|parent| Some(parent.id) == meta.back) else {
        return Ok(());
    };
    if guard!("format.capsule.back_author", back.author != meta.author.id()) {
        return refuse(format!("back {} is of another author", back.id));
    }
    if guard!("format.capsule.back_seq", back.seq.checked_add(1) != Some(meta.seq)) {
        let (seq, before) = (meta.seq, back.seq);
        return refuse(format!("seq {seq} follows a capsule of seq {before}"));
    }
    Ok(())
}

fn authority(meta: &Meta, signatures: &Signatures, around: &Surroundings<'_>) -> Finding {
    let shrunk = around.identities.iter().any(|known| known.is_shrunk_to(&meta.author));
    if guard!("format.capsule.shrunk_author", shrunk) {
        let detail = format!("author {} lacks a key of a known identity", meta.author.id());
        return Finding::Fail(DecodeError::new(ErrorCode::AuthorNotAllowed, detail));
    }
    let decides = |at: &&KeyringAt| Some(at.keyring.epoch) == meta.deciding_epoch();
    let before = around.keyring.filter(decides);
    let Some(own) = &meta.keyring else {
        return match before {
            Some(at) => Finding::of(at.keyring.check_author(&meta.author)),
            None => {
                let detail = format!("the keyring of epoch {} is not held", meta.epoch);
                Finding::not_done(ErrorCode::NotLookedAt, detail)
            }
        };
    };
    if meta.is_genesis() {
        return Finding::of(
            own.check_genesis(signatures).and_then(|()| own.check_author(&meta.author)),
        );
    }
    let refuse =
        |detail: &str| Finding::Fail(DecodeError::new(ErrorCode::KeyringAuthority, detail));
    if guard!("format.capsule.second_genesis", own.epoch == 0) {
        return refuse("a keyring of epoch 0 stands inside a channel");
    }
    let Some(before) = before else {
        return Finding::not_done(
            ErrorCode::NotLookedAt,
            "the keyring of the epoch before is not held",
        );
    };
    if guard!("format.capsule.keyring_chain", own.previous != Some(before.id)) {
        return refuse("the keyring of the epoch before is another one");
    }
    Finding::of(
        before.keyring.check_successor(signatures).and_then(|()| own.check_author(&meta.author)),
    )
}

fn fork(meta: &Meta, rivals: &[CapsuleId]) -> Finding {
    // The id is a hash; it is made where there is a rival, as few capsules have.
    match rivals.iter().find(|rival| **rival != meta.id()) {
        Some(rival) if guard!("format.capsule.fork", true) => {
            let detail = format!("{rival} has the same author and seq {}", meta.seq);
            Finding::not_done(ErrorCode::CapsuleFork, detail)
        }
        _ => Finding::Pass,
    }
}

fn check_expiry(expiry_ms: u64, now_ms: Option<u64>) -> Finding {
    let Some(now_ms) = now_ms else {
        return Finding::not_done(ErrorCode::NotLookedAt, "no clock was given");
    };
    if guard!("format.capsule.expiry", now_ms > expiry_ms) {
        let detail = format!("expired at {expiry_ms} ms, the time is {now_ms} ms");
        return Finding::Fail(DecodeError::new(ErrorCode::Expired, detail));
    }
    Finding::Pass
}

fn ancestors(meta: &Meta, parents: &[Held]) -> Finding {
    let absent: Vec<&CapsuleId> =
        meta.prev.iter().filter(|id| parents.iter().all(|parent| parent.id != **id)).collect();
    match absent.first() {
        Some(first) => {
            let detail = format!("{} of prev not held, such as {first}", absent.len());
            Finding::not_done(ErrorCode::AncestorAbsent, detail)
        }
        None => Finding::Pass,
    }
}
