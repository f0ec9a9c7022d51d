//! The keyrings of channels, and the secrets that they give to those who may read.

use std::collections::BTreeMap;

use kapsule_format::DecodeError;
use kapsule_format::capsule::{Body, Capsule, CapsuleId, ChannelId, KeyringAt, Meta, Opened};
use kapsule_format::encrypt::Identities;

/// What opens the payloads of channels.
pub(crate) struct Keys<'a> {
    /// Identities of the people who run this command.
    personal: &'a Identities,
    /// Accepted keyrings by channel and epoch, in the order in which they were accepted.
    keyrings: BTreeMap<(ChannelId, u64), Vec<KeyringAt>>,
    /// Secrets of epochs.
    epochs: BTreeMap<(ChannelId, u64), Identities>,
}

impl<'a> Keys<'a> {
    /// Starts without any channel.
    pub(crate) const fn new(personal: &'a Identities) -> Self {
        Self { personal, keyrings: BTreeMap::new(), epochs: BTreeMap::new() }
    }

    /// Notes the keyring of an accepted capsule, and its secret if it is for these people or for
    /// everybody.
    pub(crate) fn learn(&mut self, capsule: &Capsule<'_>) {
        let (id, meta) = (capsule.id(), capsule.meta());
        let Some(keyring) = &meta.keyring else { return };
        let channel = meta.channel.unwrap_or(ChannelId::of_genesis(id));
        let place = (channel, keyring.epoch);
        let at = KeyringAt { id, keyring: keyring.clone() };
        self.keyrings.entry(place).or_default().push(at);
        let published = keyring.identity.as_ref().and_then(|text| Identities::decode(text).ok());
        let opened = || {
            let opened = capsule.open(self.personal).ok()?;
            match opened.body {
                Body::Keyring(epoch) => Identities::decode(&epoch.identity).ok(),
                _ => None,
            }
        };
        if let Some(secret) = published.or_else(opened) {
            match self.epochs.get_mut(&place) {
                Some(held) => held.extend(secret),
                None => drop(self.epochs.insert(place, secret)),
            }
        }
    }

    /// Returns the keyring that decides about a capsule.
    ///
    /// Of two keyrings of one epoch the one that a later keyring names decides about that keyring,
    /// and the one that came first about everything else.
    pub(crate) fn deciding(&self, channel: &ChannelId, meta: &Meta) -> Option<&KeyringAt> {
        let held = self.keyrings.get(&(*channel, meta.deciding_epoch()?))?;
        let named: Option<CapsuleId> = meta.keyring.as_ref().and_then(|keyring| keyring.previous);
        match named {
            Some(named) => held.iter().find(|at| at.id == named),
            None => held.first(),
        }
    }

    /// Opens the payload of a capsule with the secret of its epoch, else with a personal one.
    pub(crate) fn open(&self, capsule: &Capsule<'_>) -> Result<Opened, DecodeError> {
        let meta = capsule.meta();
        let channel = meta.channel.unwrap_or(ChannelId::of_genesis(capsule.id()));
        match self.epochs.get(&(channel, meta.epoch)).filter(|_| meta.keyring.is_none()) {
            Some(secret) => capsule.open(secret),
            None => capsule.open(self.personal),
        }
    }
}
