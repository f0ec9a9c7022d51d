//! Capsules that are well made and do not stand where they are.

use kapsule_format::capsule::{ChannelId, Draft, Keyring};
use kapsule_format::cbor::Value;
use kapsule_format::key::{SecretKey, Suite};

use super::super::{
    Channel, EPOCH_KEY, EPOCH_RECIPIENT, TIME_MS, identity, key, recipient, sign, with_meta,
};
use super::{closed, held, vector};
use crate::receipts::vectors::Vector;

const IN_CHANNEL: &str = "keyring = \"genesis\"\nparents = [\"genesis\"]\n";
const AUTHORITY: &str = "E137_KEYRING_AUTHORITY";
const AUTHOR: &str = "E136_AUTHOR_NOT_ALLOWED";

/// Returns a keyring of an epoch that an author signs.
fn keyring(
    channel: &Channel,
    author: &[SecretKey],
    epoch: u64,
    change: impl FnOnce(&mut Draft),
) -> Vec<u8> {
    let owner = identity(&channel.owner);
    let mut keyring = Keyring::first(EPOCH_RECIPIENT.to_owned(), owner);
    keyring.epoch = epoch;
    keyring.previous = (epoch > 0).then_some(channel.id);
    let id = ChannelId::of_genesis(channel.id);
    let draft = Draft::keyring(id, identity(author), TIME_MS + 1, keyring, EPOCH_KEY);
    let mut draft = draft.expect("it is a key");
    draft.prev = vec![channel.id];
    change(&mut draft);
    sign(&draft, &recipient(EPOCH_RECIPIENT), author)
}

/// Makes the owner's keyring its second capsule.
fn second(draft: &mut Draft) {
    (draft.seq, draft.back) = (1, draft.prev.first().copied());
}

pub(super) fn all(channel: &Channel, shut: &Channel) -> Vec<Vector> {
    let stranger = [key(Suite::Ed25519, 8)];
    let revoked = [key(Suite::Ed25519, closed::REVOKED)];
    let gap = Draft { seq: 2, ..channel.post() };
    let late = Draft { expiry_ms: Some(TIME_MS + 1), ..channel.post() };
    let twin = Draft { time_ms: TIME_MS + 5, ..channel.post() };
    let inside =
        |name: &str, why, code: &str, bytes| held(vector(name, why, code, bytes), IN_CHANNEL);
    let in_closed = |name: &str, why, author: &[SecretKey]| {
        held(vector(name, why, AUTHOR, closed::post(shut, author)), closed::HELD)
    };
    let other = key(Suite::Ed25519, 9);
    let foreign = Channel::new(|keyring| keyring.owners = vec![identity(&[other])]);
    let skipped = keyring(channel, &channel.owner, 1, |draft| {
        second(draft);
        let keyring = draft.keyring.as_mut().expect("it is one");
        keyring.previous = Some(shut.id);
        draft.prev.push(shut.id);
    });
    vec![
        inside("gap", "seq has no gaps", "E050_CAPSULE_SEQUENCE", channel.sign(&gap)),
        inside(
            "keyring-stranger",
            "an owner signs the next keyring",
            AUTHORITY,
            keyring(channel, &stranger, 1, |_| ()),
        ),
        inside(
            "keyring-again",
            "a channel starts once",
            AUTHORITY,
            keyring(channel, &channel.owner, 0, second),
        ),
        inside("keyring-other-chain", "a keyring follows the accepted one", AUTHORITY, skipped),
        vector("keyring-no-parent", "the keyring before is a parent", "E050_CAPSULE_SEQUENCE", {
            let next = keyring(channel, &channel.owner, 1, second);
            with_meta(&next, &channel.owner, |members| {
                let keyring = members.iter_mut().find(|member| member.0 == 14);
                let Some((_, Value::Map(keyring))) = keyring else { panic!("it is one") };
                let other = Value::Bytes(vec![1; 32]);
                keyring.iter_mut().filter(|member| member.0 == 3).for_each(|member| {
                    member.1 = other.clone();
                });
            })
        }),
        held(
            vector("expired", "its time has passed", "E135_EXPIRED", channel.sign(&late)),
            &format!("{IN_CHANNEL}now_ms = {}\n", TIME_MS + 2),
        ),
        held(
            vector("fork", "two capsules in one place", "E055_CAPSULE_FORK", channel.sign(&twin)),
            &format!("{IN_CHANNEL}rivals = [\"post\"]\n"),
        ),
        held(
            vector(
                "ancestor-absent",
                "a parent is not held",
                "E204_ANCESTOR_ABSENT",
                channel.sign(&channel.post()),
            ),
            "keyring = \"genesis\"\n",
        ),
        vector("genesis-unsigned", "every owner signs the start", AUTHORITY, foreign.genesis),
        in_closed("not-a-writer", "nobody else may write", &stranger),
        in_closed("revoked", "who is revoked may not write", &revoked),
    ]
}
