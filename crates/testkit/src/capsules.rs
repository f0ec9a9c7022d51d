//! Sample capsules: a channel, who writes in it, and files that say something else.

pub mod forks;
pub mod snapshots;
pub mod vectors;

use kapsule_format::capsule::{
    Body, Capsule, CapsuleId, ChannelId, Draft, Keyring, Post, Sealed, kind,
};
use kapsule_format::cbor::{self, Value};
use kapsule_format::container::{Kind, Writer};
use kapsule_format::encrypt::{Recipient, encrypt};
use kapsule_format::envelope::{Envelope, SignatureName};
use kapsule_format::key::{Identity, SecretKey, Suite};
use kapsule_format::stanza::StanzaType;

/// Identity of the sample epoch; published here, so it protects nothing.
pub const EPOCH_KEY: &str =
    "AGE-SECRET-KEY-1MEGG60EHE8XZJMWSDSQJNG759YKPE0X7NMWGTWSQCFFUMLMS0FWSYSX09U";

/// Recipient of [`EPOCH_KEY`].
pub const EPOCH_RECIPIENT: &str = "age14nsp8gcmtjfaqsxhuaddex2guwekhnj4wsxsq29t6k9atxazlyusjeenpk";

/// Identity of a member.
pub const MEMBER_KEY: &str =
    "AGE-SECRET-KEY-13YPN558024RA4V4C35874FC50A6G8UPX4N6XCJXKF7PZEDJK50JSVV2R8G";

/// Recipient of [`MEMBER_KEY`].
pub const MEMBER_RECIPIENT: &str = "age1fchdx3829jzwyys8luhtlay8h7wgx906k7vdcweqagldlcr335fsset443";

/// Time of every sample in milliseconds since 1970.
pub const TIME_MS: u64 = 1_700_000_000_000;

/// Returns a key of a suite by its number.
#[must_use]
pub fn key(suite: Suite, number: u8) -> SecretKey {
    let mut seed = [number; SecretKey::BYTES];
    // A seed of one repeated byte is a published test key.
    seed[0] = 0x77;
    SecretKey::from_seed(suite, &seed).expect("every such seed is a key")
}

/// Returns the identity of keys in order of their suite.
#[must_use]
pub fn identity(secrets: &[SecretKey]) -> Identity {
    Identity::new(secrets.iter().map(|secret| secret.public().clone()).collect())
        .expect("the keys are in order")
}

/// Returns a recipient.
#[must_use]
pub fn recipient(text: &str) -> Recipient {
    text.parse().expect("it is one")
}

/// The sample channel.
#[derive(Clone, Debug)]
pub struct Channel {
    /// Key of its owner.
    pub owner: Vec<SecretKey>,
    /// Its first keyring.
    pub genesis: Vec<u8>,
    /// Id of that capsule.
    pub id: CapsuleId,
}

impl Channel {
    /// Starts a channel whose keyring is changed before it is signed.
    #[must_use]
    pub fn new(change: impl FnOnce(&mut Keyring)) -> Self {
        let owner = vec![key(Suite::Ed25519, 1)];
        let mut keyring = Keyring::first(EPOCH_RECIPIENT.to_owned(), identity(&owner));
        change(&mut keyring);
        let draft = Draft::genesis(identity(&owner), TIME_MS, keyring, EPOCH_KEY);
        let genesis = sign(&draft.expect("it is a key"), &recipient(MEMBER_RECIPIENT), &owner);
        let id = Capsule::decode(&genesis).expect("it is well formed").id();
        Self { owner, genesis, id }
    }

    /// Returns a draft of the owner's second capsule.
    #[must_use]
    pub fn draft(&self, kind: &str, body: &Body) -> Draft {
        let channel = ChannelId::of_genesis(self.id);
        let author = identity(&self.owner);
        let mut draft =
            Draft::new(channel, author, 0, TIME_MS + 1, kind, body).expect("the body has a form");
        (draft.seq, draft.back) = (1, Some(self.id));
        draft
    }

    /// Returns a draft of a post.
    #[must_use]
    pub fn post(&self) -> Draft {
        self.draft(kind::POST, &Body::Post(Post::plain("hello")))
    }

    /// Seals a draft to the epoch and signs it as the owner.
    #[must_use]
    pub fn sign(&self, draft: &Draft) -> Vec<u8> {
        sign(draft, &recipient(EPOCH_RECIPIENT), &self.owner)
    }
}

/// Seals a draft to one reader and signs it.
#[must_use]
pub fn sign(draft: &Draft, reader: &Recipient, secrets: &[SecretKey]) -> Vec<u8> {
    let sealed = draft.seal([0x5a; 32], std::slice::from_ref(reader));
    sealed.and_then(|sealed| sealed.sign(secrets)).expect("a sample has a form")
}

/// Makes a capsule whose plaintext is changed before it is encrypted.
#[must_use]
pub fn with_plaintext(
    draft: &Draft,
    secrets: &[SecretKey],
    change: impl FnOnce(&mut Vec<u8>),
) -> Vec<u8> {
    let (meta, plaintext) = draft.plaintext([0x5a; 32], vec![StanzaType::X25519]);
    let mut plaintext = plaintext.to_vec();
    change(&mut plaintext);
    let payload = encrypt(&[recipient(EPOCH_RECIPIENT)], &plaintext).expect("there is a reader");
    let sealed = Sealed::new(meta, payload, None).and_then(|sealed| sealed.sign(secrets));
    sealed.expect("a sample has a form")
}

/// Makes a file again with other metadata, under a signature of the author where they have a
/// statement.
#[must_use]
pub fn with_meta(
    base: &[u8],
    secrets: &[SecretKey],
    change: impl FnOnce(&mut Vec<(u64, Value)>),
) -> Vec<u8> {
    let base = Capsule::decode(base).expect("a sample is well formed");
    let index = base.container().index();
    let Ok(Value::Map(mut members)) = cbor::decode(index) else { panic!("metadata are a map") };
    change(&mut members);
    members.sort_by_key(|(key, _)| *key);
    let index = cbor::encode(&Value::Map(members));
    let meta = kapsule_format::capsule::Meta::decode(&index);
    let statement = meta.as_ref().unwrap_or(base.meta()).signed_statement();
    let mut writer = Writer::new(Kind::Capsule, index);
    for secret in secrets {
        let envelope = Envelope::sign(&statement, secret).encode();
        writer.push(SignatureName::of(secret.public()).entry_name(), envelope);
    }
    for entry in base.container().entries().iter().skip(1) {
        if !entry.name.starts_with("sig/") {
            writer.push(entry.name, entry.bytes);
        }
    }
    writer.finish().expect("the entries have names")
}

/// Makes a file again with other entries beside the metadata.
#[must_use]
pub fn with_entries(base: &[u8], change: impl FnOnce(&mut Vec<(String, Vec<u8>)>)) -> Vec<u8> {
    let base = Capsule::decode(base).expect("a sample is well formed");
    let entries = base.container().entries().iter().skip(1);
    let mut entries: Vec<(String, Vec<u8>)> =
        entries.map(|entry| (entry.name.to_owned(), entry.bytes.to_vec())).collect();
    change(&mut entries);
    let mut writer = Writer::new(Kind::Capsule, base.container().index().to_vec());
    entries.into_iter().for_each(|(name, bytes)| writer.push(name, bytes));
    writer.finish().expect("the entries have names")
}
