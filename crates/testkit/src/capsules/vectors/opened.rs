//! Capsules whose payload says something else than the metadata.

use kapsule_format::capsule::{Draft, Keyring, Sealed};
use kapsule_format::cbor::{self, Value};
use kapsule_format::encrypt::encrypt;
use kapsule_format::stanza::StanzaType;

use super::super::{
    Channel, EPOCH_KEY, EPOCH_RECIPIENT, MEMBER_KEY, TIME_MS, identity, recipient, sign,
    with_plaintext,
};
use super::{for_member, readable, vector};
use crate::receipts::vectors::Vector;

const PADDING: &str = "E053_PADDING_INVALID";
const CONFLICT: &str = "E017_FACTS_CONFLICT";

/// A change of a plaintext: name, why, code, change.
type Change = (&'static str, &'static str, &'static str, fn(&mut Vec<u8>));

const CHANGES: &[Change] = &[
    ("other-body", "the body is the one committed to", "E016_COMMITMENT_MISMATCH", |plaintext| {
        let at = plaintext.windows(5).rposition(|five| five == b"hello");
        plaintext[at.expect("it is there")] ^= 1;
    }),
    ("padding-content", "padding is zero", PADDING, |plaintext| {
        *plaintext.last_mut().expect("it is padded") = 1;
    }),
    ("padding-long", "padding has one length", PADDING, |plaintext| plaintext.push(0)),
    ("padding-short", "a plaintext is padded", PADDING, |plaintext| {
        plaintext.truncate(plaintext.len() - 1)
    }),
    ("inner-length", "the header ends inside", "E002_TRUNCATED", |plaintext| plaintext[0] = 0xff),
    ("inner-form", "the header is KCBOR", "E006_CBOR_NOT_CANONICAL", |plaintext| {
        plaintext[4] = 0xff;
    }),
    ("empty-plaintext", "a plaintext has a header", "E002_TRUNCATED", Vec::clear),
];

pub(super) fn all(channel: &Channel) -> Vec<Vector> {
    let post = || {
        // Long enough that there is padding to change.
        let body = kapsule_format::capsule::Body::Post(kapsule_format::capsule::Post::plain(
            "hello".repeat(20),
        ));
        channel.draft("post", &body)
    };
    let refuse = |name: &str, why, code: &str, bytes| readable(vector(name, why, code, bytes));
    let made = |&(name, why, code, change): &Change| {
        refuse(name, why, code, with_plaintext(&post(), &channel.owner, change))
    };
    let other = Draft { time_ms: post().time_ms + 1, ..post() };
    let (meta, _) = post().plaintext([1; 32], vec![StanzaType::X25519]);
    let (_, plaintext) = other.plaintext([1; 32], vec![StanzaType::X25519]);
    let payload = encrypt(&[recipient(EPOCH_RECIPIENT)], &plaintext).expect("there is a reader");
    let moved = Sealed::new(meta, payload, None).and_then(|sealed| sealed.sign(&channel.owner));
    let typed = Draft { content_type: "text/plain".to_owned(), ..post() };
    let formless = Draft { body: vec![0xa0].into(), ..post() };
    let newer = Draft { body: vec![0xa1, 0x00, 0x02].into(), ..post() };
    let mut all: Vec<Vector> = CHANGES.iter().map(made).collect();
    all.extend([
        refuse(
            "moved-payload",
            "a payload belongs to one capsule",
            "E052_BINDING_MISMATCH",
            moved.expect("a sample has a form"),
        ),
        refuse("content-type", "a post has the type of posts", CONFLICT, channel.sign(&typed)),
        refuse("body-form", "a body has a form", "E008_SCHEMA_VIOLATION", channel.sign(&formless)),
        refuse(
            "body-version",
            "another version of a body",
            "E005_VERSION_UNSUPPORTED",
            channel.sign(&newer),
        ),
        readable(vector(
            "epoch-form",
            "a keyring holds an identity",
            "E008_SCHEMA_VIOLATION",
            keyring_with(channel, "secret"),
        )),
        readable(vector(
            "epoch-other",
            "a keyring holds the key of its recipient",
            CONFLICT,
            keyring_with(channel, MEMBER_KEY),
        )),
        for_member(vector(
            "key-not-held",
            "a key of somebody else",
            "E212_KEY_NOT_HELD",
            channel.sign(&post()),
        )),
    ]);
    all
}

/// Returns a genesis whose body holds another text as the key of the epoch.
fn keyring_with(channel: &Channel, secret: &str) -> Vec<u8> {
    let owner = identity(&channel.owner);
    let keyring = Keyring::first(EPOCH_RECIPIENT.to_owned(), owner.clone());
    let draft = Draft::genesis(owner, TIME_MS, keyring, EPOCH_KEY).expect("it is a key");
    let body = cbor::encode(&Value::Map(vec![(0, 1.into()), (1, secret.into())]));
    sign(&Draft { body: body.into(), ..draft }, &recipient(EPOCH_RECIPIENT), &channel.owner)
}
