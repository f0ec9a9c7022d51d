//! Capsule (`.kapsule`): signed public metadata and an encrypted payload, one node of the graph of
//! a channel.
//!
//! A reader goes in this order, and each step takes what the one before returned:
//! 1. [`Capsule::decode`]: form of the container and of `meta.cbor`.
//! 2. [`Capsule::check_bound`], [`Meta::check_facts`], [`Capsule::signatures`],
//!    [`Capsule::check_links`]: digests, facts stated twice, who signed, and the links.
//! 3. [`standing`]: authority, order, forks and expiry, against what the reader's store says.
//! 4. [`Capsule::open`]: the body, for those who hold an identity.
//!
//! A writer fills a [`Draft`], which `Draft::seal` of the feature `encrypt` makes a [`Sealed`]
//! one, and [`Sealed::sign`] the file.
//!
//! # Examples
//! ```
//! # #[cfg(feature = "encrypt")] {
//! use kapsule_format::capsule::{Body, Capsule, Draft, Keyring};
//! use kapsule_format::encrypt::{Identities, generate};
//! use kapsule_format::key::{Identity, SecretKey, Suite};
//!
//! let secret = SecretKey::from_seed(Suite::Ed25519, &[0x61; 32])?;
//! let author = Identity::try_from(secret.public().clone())?;
//! // The epoch key is what writers encrypt to; the members learn it from the keyring.
//! let (epoch_key, recipient) = generate();
//! let (member_key, member) = generate();
//! let keyring = Keyring::first(recipient.to_string(), author.clone());
//! let genesis = Draft::genesis(author.clone(), 1_000, keyring, &epoch_key)?
//!     .seal([1; 32], &[member])?
//!     .sign([&secret])?;
//! let genesis = Capsule::decode(&genesis)?;
//! let opened = genesis.open(&Identities::decode(&member_key)?)?;
//! assert!(matches!(opened.body, Body::Keyring(_)));
//! # }
//! # Ok::<(), kapsule_format::DecodeError>(())
//! ```
//!
//! # Spec
//! `spec/capsule.md`; vectors in `spec/vectors/capsule/`.

mod body;
mod draft;
mod file;
pub mod fork;
mod keyring;
mod meta;
mod payload;
pub mod relay;
mod standing;

pub use body::{
    Agent, Body, Comment, Edge, Epoch, Label, Ledger, Param, Post, Transfer, TrustBody,
    content_type,
};
pub use draft::{Draft, Sealed};
pub use file::Capsule;
pub use keyring::Keyring;
pub use meta::{Logic, Meta, PREDICATE};
pub use payload::{OPEN_REFUSED, Opened, padded};
pub use standing::{Finding, Held, KeyringAt, Standing, Surroundings, standing};

use crate::hash::digest_id;

digest_id!(
    /// SHA-256 of the metadata, which names a capsule whatever is attached to it.
    CapsuleId
);

digest_id!(
    /// Names a channel: the capsule id of its genesis keyring.
    ChannelId
);

impl ChannelId {
    /// Names the channel that starts with this keyring.
    #[must_use]
    pub const fn of_genesis(genesis: CapsuleId) -> Self {
        Self(genesis.0)
    }
}

/// Entry with the encrypted payload.
pub const PAYLOAD: &str = "payload.age";

/// Entry with an embedded package.
pub const LOGIC: &str = "logic.mod";

/// The kinds whose bodies have a form; others are kept and passed on.
pub mod kind {
    /// Text for everybody who reads the channel.
    pub const POST: &str = "post";
    /// Text about another capsule.
    pub const COMMENT: &str = "comment";
    /// Whom the author trusts, and labels.
    pub const TRUST: &str = "trust";
    /// A goal for an agent.
    pub const AGENT: &str = "agent";
    /// Transfers between accounts.
    pub const LEDGER: &str = "ledger";
    /// Keys and rights of an epoch of the channel.
    pub const KEYRING: &str = "keyring";
    /// Every one of them.
    pub const ALL: [&str; 6] = [POST, COMMENT, TRUST, AGENT, LEDGER, KEYRING];
}

/// The flags that have a meaning; every other one is for relays and readers to agree on.
pub mod flag {
    /// The channel publishes its keys.
    pub const PUBLIC: &str = "public";
    /// Ends in the word that the post is about.
    pub const TOPIC: &str = "topic:";
    /// Ends in the language of the text.
    pub const LANGUAGE: &str = "lang:";
    /// The author asks relays not to pass the capsule on.
    pub const NO_RELAY: &str = "no-relay";
    /// The author asks relays not to keep the capsule.
    pub const NO_STORE: &str = "no-store";
    /// The text is not for everybody's eyes.
    pub const SENSITIVE: &str = "sensitive";
    /// The capsule answers another one.
    pub const REPLY: &str = "reply";
    /// The author agrees to a place that was paid for.
    pub const PROMOTED_OK: &str = "promoted-ok";
}
