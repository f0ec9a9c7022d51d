//! Capsules to measure with.

use kapsule_format::capsule::{
    Body, CapsuleId, ChannelId, Draft, Keyring, Meta, Post, Sealed, kind,
};
use kapsule_format::encrypt::{Recipient, encrypt, generate};
use kapsule_format::key::{Identity, SecretKey, Suite};
use kapsule_format::stanza::StanzaType;

use super::Anything;

/// A channel with signed and encrypted posts of a KiB, each after the one before.
pub(super) struct Posts {
    channel: Channel,
    back: CapsuleId,
    seq: u64,
}

/// The start of a channel.
struct Channel {
    secret: SecretKey,
    author: Identity,
    genesis: (CapsuleId, Vec<u8>),
    recipient: Recipient,
    identity: String,
}

impl Channel {
    fn new() -> Result<Self, Anything> {
        let secret = SecretKey::from_seed(Suite::Ed25519, &[0x61; 32])?;
        let author = Identity::try_from(secret.public().clone())?;
        let (identity, recipient) = generate();
        let keyring = Keyring::first(recipient.to_string(), author.clone());
        let genesis = Draft::genesis(author.clone(), 1_000, keyring, &identity)?;
        // Members are others: whoever measures holds the key of the epoch.
        let sealed = genesis.seal([1; 32], &[generate().1])?;
        let genesis = (sealed.id(), sealed.sign([&secret])?);
        Ok(Self { secret, author, genesis, recipient, identity: identity.to_string() })
    }

    fn draft(&self, seq: u64, back: CapsuleId) -> Result<Draft, Anything> {
        let body = Body::Post(Post::plain("x".repeat(1_024)));
        let channel = ChannelId::of_genesis(self.genesis.0);
        let time_ms = 1_000 + seq;
        let mut draft = Draft::new(channel, self.author.clone(), 0, time_ms, kind::POST, &body)?;
        (draft.seq, draft.back) = (seq, Some(back));
        Ok(draft)
    }
}

impl Posts {
    /// Starts a channel, of which nothing was taken yet.
    pub(super) fn new() -> Result<Self, Anything> {
        let channel = Channel::new()?;
        Ok(Self { back: channel.genesis.0, channel, seq: 0 })
    }

    /// Returns the secret of the epoch.
    pub(super) fn identity(&self) -> &str {
        &self.channel.identity
    }

    /// Makes so many more, of which the first one of all is the genesis.
    pub(super) fn take(&mut self, count: usize) -> Result<Vec<Vec<u8>>, Anything> {
        let Self { channel, back, seq } = self;
        let mut files = Vec::with_capacity(count);
        while files.len() < count {
            if *seq == 0 {
                files.push(channel.genesis.1.clone());
            } else {
                let sealed = channel
                    .draft(*seq, *back)?
                    .seal([2; 32], std::slice::from_ref(&channel.recipient))?;
                *back = sealed.id();
                files.push(sealed.sign([&channel.secret])?);
            }
            *seq += 1;
        }
        Ok(files)
    }
}

/// Posts without a signature, all with one payload: a store looks at neither.
pub(super) struct Many {
    /// Their channel.
    pub(super) channel: ChannelId,
    meta: Meta,
    payload: Vec<u8>,
    back: CapsuleId,
}

impl Many {
    /// Starts after a genesis that is left out.
    pub(super) fn new() -> Result<Self, Anything> {
        let channel = Channel::new()?;
        let back = channel.genesis.0;
        let draft = channel.draft(0, back)?;
        let (meta, plaintext) = draft.plaintext([2; 32], vec![StanzaType::X25519]);
        let payload = encrypt(&[channel.recipient], &plaintext)?;
        Ok(Self { channel: ChannelId::of_genesis(back), meta, payload, back })
    }

    /// Makes so many more.
    pub(super) fn take(&mut self, count: usize) -> Result<Vec<Vec<u8>>, Anything> {
        let mut files = Vec::with_capacity(count);
        for _ in 0..count {
            self.meta.seq += 1;
            self.meta.time_ms += 1;
            (self.meta.back, self.meta.prev) = (Some(self.back), vec![self.back]);
            let sealed = Sealed::new(self.meta.clone(), self.payload.clone(), None)?;
            self.back = sealed.id();
            files.push(sealed.sign([])?);
        }
        Ok(files)
    }
}
