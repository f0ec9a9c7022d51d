//! What a relay does with a capsule, by its public metadata alone.
//!
//! Nothing here takes an identity, a payload or a key of a channel.

use alloc::string::String;
use alloc::vec::Vec;

use super::meta::Meta;
use super::{ChannelId, flag};
use crate::key::IdentityId;
use crate::manifest::names;

names! {
    /// What a relay does with a capsule.
    Action {
        /// Passes it on.
        Forward = "forward",
        /// Keeps it until somebody decides.
        Hold = "hold",
        /// Forgets it.
        Drop = "drop",
    }
}

/// A condition on public metadata, and what to do where all of it holds; what is empty or absent
/// holds always.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What to do.
    pub action: Action,
    /// Kinds, one of which it is.
    pub kinds: Vec<String>,
    /// Flags, one of which it has.
    pub flags: Vec<String>,
    /// Channels, one of which it is in.
    pub channels: Vec<ChannelId>,
    /// Authors, one of whom wrote it.
    pub authors: Vec<IdentityId>,
    /// Bytes of the file that it exceeds.
    pub above_bytes: Option<u64>,
    /// Milliseconds that its claimed time is in the past, at least.
    pub older_ms: Option<u64>,
    /// Milliseconds that its claimed time is in the future, at least.
    pub ahead_ms: Option<u64>,
    /// Whether its expiry has passed.
    pub expired: Option<bool>,
}

impl Rule {
    /// Returns the rule that always holds.
    #[must_use]
    pub const fn always(action: Action) -> Self {
        Self {
            action,
            kinds: Vec::new(),
            flags: Vec::new(),
            channels: Vec::new(),
            authors: Vec::new(),
            above_bytes: None,
            older_ms: None,
            ahead_ms: None,
            expired: None,
        }
    }

    fn holds(&self, meta: &Meta, bytes: u64, now_ms: u64) -> bool {
        let expired = meta.expiry_ms.is_some_and(|expiry| expiry < now_ms);
        let age = now_ms.checked_sub(meta.time_ms);
        let ahead = meta.time_ms.checked_sub(now_ms);
        (self.kinds.is_empty() || self.kinds.contains(&meta.kind))
            && (self.flags.is_empty() || self.flags.iter().any(|flag| meta.has_flag(flag)))
            && (self.channels.is_empty() || self.channels.contains(&meta.channel_id()))
            && (self.authors.is_empty() || self.authors.contains(&meta.author.id()))
            && self.above_bytes.is_none_or(|limit| bytes > limit)
            && self.older_ms.is_none_or(|least| age.is_some_and(|age| age >= least))
            && self.ahead_ms.is_none_or(|least| ahead.is_some_and(|ahead| ahead >= least))
            && self.expired.is_none_or(|wanted| wanted == expired)
    }
}

/// Rules in order, of which the first one that holds decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Rules.
    pub rules: Vec<Rule>,
    /// What to do where none holds.
    pub default: Action,
}

impl Default for Rules {
    /// Does what authors ask for: drops what has expired or is marked `no-relay`, and forwards the
    /// rest.
    fn default() -> Self {
        let expired = Rule { expired: Some(true), ..Rule::always(Action::Drop) };
        let kept = Rule { flags: [flag::NO_RELAY.into()].into(), ..Rule::always(Action::Drop) };
        Self { rules: [expired, kept].into(), default: Action::Forward }
    }
}

impl Rules {
    /// Decides about a capsule of so many bytes: what to do, and the position of the rule.
    #[must_use]
    pub fn decide(&self, meta: &Meta, bytes: u64, now_ms: u64) -> (Action, Option<usize>) {
        let found = self.rules.iter().position(|rule| rule.holds(meta, bytes, now_ms));
        let action = found.and_then(|index| self.rules.get(index)).map(|rule| rule.action);
        (action.unwrap_or(self.default), found)
    }
}
