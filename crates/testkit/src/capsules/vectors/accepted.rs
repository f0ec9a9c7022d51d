//! Capsules of every kind and form.

use kapsule_format::capsule::{
    Agent, Body, Capsule, ChannelId, Comment, Draft, Edge, Keyring, Label, Ledger, Logic, Param,
    Post, Transfer, TrustBody, kind,
};
use kapsule_format::cbor::Value;
use kapsule_format::hash::sha256;
use kapsule_format::key::Suite;
use kapsule_format::package::PackageId;
use kapsule_format::policy::PolicyHash;

use super::super::{
    Channel, EPOCH_KEY, EPOCH_RECIPIENT, TIME_MS, identity, key, recipient, sign, with_entries,
};
use super::{closed, for_member, held, readable, vector};
use crate::receipts::vectors::Vector;

/// Returns what an accepted capsule prints.
fn print(bytes: &[u8]) -> String {
    let capsule = Capsule::decode(bytes).expect("a sample is well formed");
    let (id, meta) = (capsule.id(), capsule.meta());
    let (channel, binding) = (meta.channel_id(), meta.binding());
    format!("capsule {id}, channel {channel}, {} {}, binding {binding}", meta.kind, meta.seq)
}

fn good(name: &str, why: &'static str, bytes: Vec<u8>) -> Vector {
    let expect = print(&bytes);
    readable(vector(name, why, &expect, bytes))
}

/// Adds the genesis as keyring and parent.
fn in_channel(vector: Vector) -> Vector {
    let more = format!("{}keyring = \"genesis\"\nparents = [\"genesis\"]\n", vector.more);
    held(vector, &more)
}

pub(super) fn all(channel: &Channel, shut: &Channel) -> Vec<Vector> {
    let public = Channel::new(|keyring| keyring.identity = Some(EPOCH_KEY.to_owned()));
    let post = channel.sign(&channel.post());
    let header = with_entries(&post, |entries| entries.retain(|entry| entry.0 != "payload.age"));
    let why = "the payload was not passed on, and what is signed stays";
    let header = vector("header-only", why, &print(&header), header);
    let proof = with_entries(&post, |entries| {
        entries.push(("log/15.tlog-proof".to_owned(), b"anything".to_vec()));
    });
    let mut draft = channel.post();
    draft.flags = ["topic:a", "lang:en", "no-relay"].map(str::to_owned).to_vec();
    draft.expiry_ms = Some(TIME_MS + 10);
    draft.extensions = vec![(64, Value::Bool(true)), (65_535, Value::Text("kept".to_owned()))];
    let full = good("every-option", "flags, expiry and extensions", channel.sign(&draft));
    let more = format!("{}now_ms = {}\n", full.more, TIME_MS + 10);
    let logic = Logic {
        package: PackageId::new(sha256(b"package")),
        entry: "run".to_owned(),
        policy: PolicyHash::new(sha256(b"policy")),
        embedded: true,
    };
    let embedded = Draft { logic: Some((logic, b"package".to_vec())), ..channel.post() };
    let both = vec![key(Suite::Ed25519, 3), key(Suite::MlDsa44, 3)];
    let draft = Draft { author: identity(&both), seq: 0, back: None, ..channel.post() };
    let draft = Draft { prev: vec![channel.id], ..draft };
    let signed = sign(&draft, &recipient(EPOCH_RECIPIENT), &both);
    let mut all = vec![
        for_member(good("genesis", "a channel starts", channel.genesis.clone())),
        for_member(good("genesis-public", "the channel publishes its key", public.genesis)),
        for_member(good("genesis-closed", "writers are listed", shut.genesis.clone())),
        next_epoch(channel),
        header,
        good("log-proof", "an attached entry changes no id", proof),
        held(full, &more),
        good("embedded-logic", "the package travels along", channel.sign(&embedded)),
        in_channel(good("two-suites", "every key of the author signs", signed)),
    ];
    all.extend(bodies(channel));
    let written = closed::post(shut, &[key(Suite::Ed25519, closed::WRITER)]);
    let written = good("listed-writer", "a listed writer may write", written);
    let more = format!("{}{}", written.more, closed::HELD);
    all.push(held(written, &more));
    all
}

fn next_epoch(channel: &Channel) -> Vector {
    let owner = identity(&channel.owner);
    let keyring = Keyring {
        epoch: 1,
        previous: Some(channel.id),
        ..Keyring::first(EPOCH_RECIPIENT.to_owned(), owner.clone())
    };
    let id = ChannelId::of_genesis(channel.id);
    let draft = Draft::keyring(id, owner, TIME_MS + 1, keyring, EPOCH_KEY);
    let mut draft = draft.expect("it is a key");
    (draft.seq, draft.back) = (1, Some(channel.id));
    in_channel(good("keyring-1", "an epoch follows", channel.sign(&draft)))
}

fn bodies(channel: &Channel) -> Vec<Vector> {
    let about = identity(&channel.owner).id();
    let label = Label {
        about,
        value: "friend".to_owned(),
        negated: true,
        created_ms: TIME_MS,
        expiry_ms: TIME_MS + 1,
    };
    let trust = TrustBody {
        edges: vec![Edge { about, weight_ppm: 1_000_000, blocked: false, expiry_ms: 0 }],
        labels: vec![label],
        extensions: Vec::new(),
    };
    let agent = Agent {
        goal: "answer".to_owned(),
        params: vec![Param { name: "n".to_owned(), value: vec![0, 255] }],
        extensions: Vec::new(),
    };
    let ledger = Ledger {
        asset: "eur".to_owned(),
        transfers: vec![Transfer { from: about, to: about, amount: u128::MAX, nonce: 7 }],
        extensions: vec![(64, 1_u64.into())],
    };
    let made = |kind: &str, why, body: Body| {
        let mut draft = channel.draft(kind, &body);
        if let Body::Other(_) = body {
            "application/octet-stream".clone_into(&mut draft.content_type);
        }
        in_channel(good(kind, why, channel.sign(&draft)))
    };
    vec![
        made(kind::POST, "text for everybody in the channel", Body::Post(Post::plain("hello"))),
        made(kind::COMMENT, "text about a capsule", Body::Comment(Comment::on(channel.id, "yes"))),
        made(kind::TRUST, "trust and labels", Body::Trust(trust)),
        made(kind::AGENT, "a goal with a parameter", Body::Agent(agent)),
        made(kind::LEDGER, "the greatest amount", Body::Ledger(ledger)),
        made("song", "an unknown kind is kept as bytes", Body::Other(b"la la".to_vec())),
    ]
}
