//! Capsules whose metadata or entries have another form, or disagree.

use kapsule_format::capsule::{Body, Capsule};
use kapsule_format::cbor::Value;
use kapsule_format::container::{EntryRef, Kind, Writer};
use kapsule_format::envelope::{Envelope, SignatureName};
use kapsule_format::key::Suite;

use super::super::{Channel, EPOCH_KEY, MEMBER_RECIPIENT, identity, key, with_entries, with_meta};
use super::vector;
use crate::receipts::vectors::Vector;

type Members = Vec<(u64, Value)>;

/// Sets or replaces a member.
fn put(members: &mut Members, key: u64, value: Value) {
    members.retain(|member| member.0 != key);
    members.push((key, value));
}

fn drop_key(members: &mut Members, key: u64) {
    members.retain(|member| member.0 != key);
}

fn texts(list: &[&str]) -> Value {
    Value::array(list.iter().copied())
}

fn hash(byte: u8) -> Value {
    Value::Bytes(vec![byte; 32])
}

fn hashes(bytes: impl IntoIterator<Item = u8>) -> Value {
    Value::array(bytes.into_iter().map(hash))
}

fn none() -> Value {
    Value::Array(Vec::new())
}

/// A change of metadata: name, why, code, change.
type Change = (&'static str, &'static str, &'static str, fn(&mut Members));

const SCHEMA: &str = "E008_SCHEMA_VIOLATION";
const UNKNOWN: &str = "E009_UNKNOWN_CRITICAL_FIELD";
const CONFLICT: &str = "E017_FACTS_CONFLICT";
const UNLISTED: &str = "E025_CONTAINER_UNLISTED";
const SEQUENCE: &str = "E050_CAPSULE_SEQUENCE";
const STANZAS: &str = "E054_STANZA_MISMATCH";

const CHANGES: &[Change] = &[
    ("version-2", "another version", "E005_VERSION_UNSUPPORTED", |m| put(m, 0, 2.into())),
    ("kind-form", "a kind is an ident", SCHEMA, |m| put(m, 1, "Post".into())),
    ("kind-keyring", "a keyring has key 14", SCHEMA, |m| put(m, 1, "keyring".into())),
    ("channel-absent", "only a genesis has no channel", SCHEMA, |m| drop_key(m, 2)),
    ("author-empty", "an identity has a key", SCHEMA, |m| put(m, 3, none())),
    ("prev-order", "prev ascends", SCHEMA, |m| put(m, 5, hashes([2, 1]))),
    ("prev-17", "prev has 16 entries at most", SCHEMA, |m| put(m, 5, hashes(0..17))),
    ("flags-order", "flags ascend", SCHEMA, |m| put(m, 8, texts(&["b", "a"]))),
    ("flags-twice", "a flag stands once", SCHEMA, |m| put(m, 8, texts(&["a", "a"]))),
    ("flag-form", "a flag is lower case", SCHEMA, |m| put(m, 8, texts(&["A"]))),
    ("flag-long", "a flag has 32 bytes at most", SCHEMA, |m| {
        put(m, 8, texts(&["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]));
    }),
    ("logic-entry", "an entry is a name", SCHEMA, |m| {
        put(m, 9, Value::Array(vec![hash(1), "a b".into(), hash(2), false.into()]));
    }),
    ("stanza-unknown", "a stanza type is known", STANZAS, |m| put(m, 10, texts(&["scrypt"]))),
    ("stanza-mixed", "all stanzas have one type", STANZAS, |m| {
        put(m, 10, texts(&["X25519", "mlkem768x25519"]));
    }),
    ("stanza-none", "somebody reads", SCHEMA, |m| put(m, 10, none())),
    ("stanza-two", "the payload has the stanzas that are listed", STANZAS, |m| {
        put(m, 10, texts(&["X25519", "X25519"]));
    }),
    ("keyring-in-post", "a post has no keyring", SCHEMA, |m| {
        let owner = identity(&[key(Suite::Ed25519, 1)]).to_cbor();
        let recipient = MEMBER_RECIPIENT.into();
        let members = vec![(0, 0.into()), (1, recipient), (2, 0.into())];
        let more = vec![(4, vec![owner].into()), (5, none()), (7, none()), (8, 1.into())];
        put(m, 14, Value::Map([members, more].concat()));
    }),
    ("entries-none", "a bound entry is listed", SCHEMA, |m| put(m, 15, none())),
    ("critical-16", "an unknown key below 64", UNKNOWN, |m| put(m, 16, 1.into())),
    ("extension-65536", "an extension key is 65535 at most", UNKNOWN, |m| {
        put(m, 65_536, 1.into());
    }),
    ("meta-long", "the metadata have 65,536 bytes at most", "E004_LIMIT_EXCEEDED", |m| {
        put(m, 64, Value::Bytes(vec![0; 65_536]));
    }),
    ("logic-unlisted", "embedded logic is listed", CONFLICT, |m| {
        put(m, 9, Value::Array(vec![hash(1), "run".into(), hash(2), true.into()]));
    }),
    ("back-absent", "seq 1 follows a capsule", SEQUENCE, |m| drop_key(m, 6)),
    ("back-first", "seq 0 follows nothing", SEQUENCE, |m| put(m, 4, 0.into())),
    ("back-no-parent", "back is one of prev", SEQUENCE, |m| put(m, 6, hash(9))),
];

pub(super) fn metadata(channel: &Channel) -> Vec<Vector> {
    let post = channel.sign(&channel.post());
    let made = |&(name, why, code, change): &Change| {
        vector(name, why, code, with_meta(&post, &channel.owner, change))
    };
    let bound = |name: &str| {
        let EntryRef { name, size, sha256 } = EntryRef::of(name, b"");
        let value = Value::Array(vec![name.into(), size.into(), sha256.into()]);
        with_meta(&post, &channel.owner, |members| put(members, 15, vec![value].into()))
    };
    let mut all: Vec<Vector> = CHANGES.iter().map(made).collect();
    all.push(vector("bound-name", "a bound name is known", UNLISTED, bound("notes.txt")));
    all.push(vector("payload-unlisted", "payload.age is listed", SCHEMA, bound("x/other")));
    all
}

/// One change of a keyring.
const KEYRINGS: &[Change] = &[
    ("keyring-epoch", "the epoch is the one of the capsule", CONFLICT, |k| {
        // An epoch above 0 names the keyring before.
        put(k, 0, 1.into());
        put(k, 3, hash(1));
    }),
    ("keyring-unmarked", "a published key has the flag public", CONFLICT, |k| {
        put(k, 6, EPOCH_KEY.into());
    }),
    ("keyring-recipient", "the recipient is one", "E035_KEY_INVALID", |k| {
        put(k, 1, "age1".into());
    }),
    ("threshold-0", "somebody signs the next keyring", SCHEMA, |k| put(k, 8, 0.into())),
    ("threshold-2", "there are as many owners as have to sign", SCHEMA, |k| put(k, 8, 2.into())),
    ("owners-none", "somebody decides", SCHEMA, |k| put(k, 4, none())),
    ("owners-twice", "an owner stands once", SCHEMA, |k| {
        let owner = identity(&[key(Suite::Ed25519, 1)]).to_cbor();
        put(k, 4, Value::Array(vec![owner.clone(), owner]));
    }),
    ("writers-order", "writers ascend", SCHEMA, |k| put(k, 5, hashes([2, 1]))),
    ("revoked-order", "revoked identities ascend", SCHEMA, |k| put(k, 7, hashes([2, 1]))),
    ("previous-first", "epoch 0 has no keyring before", SCHEMA, |k| put(k, 3, hash(1))),
];

/// Makes a keyring again with a change inside it.
fn with_keyring(channel: &Channel, change: impl FnOnce(&mut Members)) -> Vec<u8> {
    with_meta(&channel.genesis, &channel.owner, |members| {
        let keyring = members.iter_mut().find(|member| member.0 == 14);
        let Some((_, Value::Map(keyring))) = keyring else { panic!("it has a keyring") };
        change(keyring);
        keyring.sort_by_key(|member| member.0);
    })
}

pub(super) fn keyrings(channel: &Channel) -> Vec<Vector> {
    let made = |&(name, why, code, change): &Change| {
        super::for_member(vector(name, why, code, with_keyring(channel, change)))
    };
    let mut all: Vec<Vector> = KEYRINGS.iter().map(made).collect();
    let public = Channel::new(|keyring| keyring.identity = Some(EPOCH_KEY.to_owned()));
    let other = with_keyring(&public, |keyring| put(keyring, 1, MEMBER_RECIPIENT.into()));
    let why = "the published key is the recipient's";
    all.push(vector("keyring-published", why, CONFLICT, other));
    all
}

pub(super) fn entries(channel: &Channel) -> Vec<Vector> {
    let post = channel.sign(&channel.post());
    let other = channel.sign(&channel.draft("song", &Body::Other(b"la".to_vec())));
    let other = Capsule::decode(&other).expect("a sample is well formed").meta().signed_statement();
    let own = SignatureName::of(channel.owner[0].public()).entry_name();
    let changed = |name: &str, change: fn(&mut Vec<u8>)| {
        with_entries(&post, |entries| {
            let entry = entries.iter_mut().find(|entry| entry.0 == name);
            change(&mut entry.expect("it is there").1);
        })
    };
    let added =
        |name: &str| with_entries(&post, |entries| entries.push((name.to_owned(), Vec::new())));
    let signed_by = |name: &str, bytes: Option<Vec<u8>>| {
        with_entries(&post, |entries| {
            entries.retain(|entry| entry.0 != own);
            entries.extend(bytes.map(|bytes| (name.to_owned(), bytes)));
        })
    };
    let stolen = Envelope::sign(&other, &channel.owner[0]).encode();
    let foreign = with_meta(&post, &[key(Suite::Ed25519, 8)], |_| ());
    let forged = changed(&own, |bytes| {
        // The last character of the base64 text before its padding would lose bits.
        let at = bytes.len() - 12;
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
    });
    let why = "a signature by somebody else counts nothing";
    let trailing = format!("E003_TRAILING_BYTES at offset {}", post.len());
    vec![
        vector(
            "cut",
            "the file ends early",
            "E002_TRUNCATED at offset 2560",
            post[..2_560].to_vec(),
        ),
        vector("trailing", "bytes after the end", &trailing, [&post[..], &[0; 512]].concat()),
        vector(
            "payload-changed",
            "a bound entry is the listed one",
            "E013_ENTRY_DIGEST_MISMATCH",
            changed("payload.age", |bytes| *bytes.last_mut().expect("it has bytes") ^= 1),
        ),
        vector("unsigned", "the author signs", "E033_SIGNATURE_MISSING", signed_by("", None)),
        vector("foreign-author", why, "E033_SIGNATURE_MISSING", foreign),
        vector("forged", "a signature verifies", "E032_SIGNATURE_INVALID", forged),
        vector(
            "other-statement",
            "an envelope of another capsule",
            "E031_STATEMENT_MISMATCH",
            signed_by(&own, Some(stolen)),
        ),
        vector(
            "envelope-cut",
            "an envelope is JSON",
            "E007_JSON_NOT_CANONICAL at offset 20",
            changed(&own, |bytes| bytes.truncate(20)),
        ),
        vector(
            "signature-name",
            "an envelope is named by its key",
            "E038_KEYID_MISMATCH",
            signed_by("sig/alice.dsse.json", Some(Vec::new())),
        ),
        vector("other-kind", "a receipt is no capsule", "E001_UNKNOWN_FORMAT", {
            let index = Capsule::decode(&post).expect("a sample is well formed");
            let index = index.container().index().to_vec();
            Writer::new(Kind::Receipt, index).finish().expect("it is a container")
        }),
        vector("unlisted", "an entry is bound or attached", UNLISTED, added("notes.txt")),
        vector("log-16", "log proofs are numbered to 15", UNLISTED, added("log/16.tlog-proof")),
    ]
}
