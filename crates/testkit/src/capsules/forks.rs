//! The vectors of the group `fork`.
//!
//! The expectations stand here and are written, never computed, except for the ids of samples.

use kapsule_format::capsule::fork::Fork;
use kapsule_format::capsule::{Body, Capsule, ChannelId, Draft, Post, kind};
use kapsule_format::envelope::{Envelope, SignatureName};
use kapsule_format::key::Suite;
use kapsule_format::snapshot;

use super::{Channel, EPOCH_RECIPIENT, identity, key, recipient, sign, with_entries};
use crate::receipts::vectors::{self, Vector};

/// Returns every vector of the group.
#[must_use]
pub fn all() -> Vec<Vector> {
    let sample = Sample::new();
    let mut all = accepted(&sample);
    all.extend(refused(&sample));
    all
}

fn vector(name: &str, why: &'static str, expect: &str, bytes: Vec<u8>) -> Vector {
    vectors::vector("fork", name, why, expect, bytes)
}

/// What accepted evidence prints.
#[must_use]
pub fn print(fork: &Fork) -> String {
    let Fork { channel, author, seq, sides } = fork;
    format!("fork of {author} in {channel}, seq {seq}, {} sides", sides.len())
}

/// A channel whose owner said three things in one place.
struct Sample {
    channel: Channel,
    sides: Vec<Vec<u8>>,
}

impl Sample {
    fn new() -> Self {
        let channel = Channel::new(|_| ());
        let say = |text: &&str| channel.sign(&draft(&channel, text));
        let sides = ["first", "second", "third"].iter().map(say).collect();
        Self { channel, sides }
    }

    fn write(&self, files: &[&[u8]]) -> Vec<u8> {
        let channel = ChannelId::of_genesis(self.channel.id);
        snapshot::write(channel, files.iter().copied(), []).expect("a sample has a form")
    }

    /// The headers of the first sides.
    fn headers(&self, count: usize) -> Vec<u8> {
        let channel = ChannelId::of_genesis(self.channel.id);
        let sides = self.sides.iter().take(count).map(Vec::as_slice);
        Fork::write(channel, sides, false).expect("a sample is a fork")
    }

    /// The first side beside another file.
    fn beside(&self, file: &[u8]) -> Vec<u8> {
        self.write(&[&self.sides[0], file])
    }
}

fn draft(channel: &Channel, text: &str) -> Draft {
    channel.draft(kind::POST, &Body::Post(Post::plain(text)))
}

fn accepted(sample: &Sample) -> Vec<Vector> {
    let whole: Vec<&[u8]> = sample.sides.iter().map(Vec::as_slice).collect();
    let mixed = Capsule::decode(&sample.sides[1]).and_then(|capsule| capsule.header());
    let cases = [
        ("two", "two headers", sample.headers(2)),
        ("three", "three headers", sample.headers(3)),
        ("bodies", "capsules with their payloads", sample.write(&whole)),
        ("mixed", "one with its payload", sample.beside(&mixed.expect("it has a form"))),
    ];
    let case = |(name, why, bytes): (&str, &'static str, Vec<u8>)| {
        let expect = print(&Fork::verify(&bytes).expect("a sample is a fork"));
        vector(name, why, &expect, bytes)
    };
    cases.into_iter().map(case).collect()
}

fn refused(sample: &Sample) -> Vec<Vector> {
    let sides = &sample.sides;
    let mut all = of_other_places(sample);
    all.extend(of_signatures(sample));
    all.push(vector("one", "one side is no fork", "E008_SCHEMA_VIOLATION", sample.one()));
    all.push(vector("capsule", "a capsule alone", "E001_UNKNOWN_FORMAT", sides[0].clone()));
    all
}

/// Capsules that are no side of the fork.
fn of_other_places(sample: &Sample) -> Vec<Vector> {
    let Sample { channel, sides } = sample;
    let mut later = draft(channel, "later");
    later.seq = 2;
    later.back = Capsule::decode(&sides[1]).ok().map(|capsule| capsule.id());
    let other = vec![key(Suite::Ed25519, 2)];
    let mut foreign = draft(channel, "foreign");
    foreign.author = identity(&other);
    let foreign = sign(&foreign, &recipient(EPOCH_RECIPIENT), &other);
    let third = sample.write(&[&sides[0], &sides[1], &foreign]);
    [
        ("another-number", "the author's next capsule", sample.beside(&channel.sign(&later))),
        ("another-author", "somebody else with the same number", sample.beside(&foreign)),
        ("third-of-another", "two sides and a capsule that is none", third),
        ("genesis", "the keyring before it", sample.beside(&channel.genesis)),
    ]
    .into_iter()
    .map(|(name, why, bytes)| vector(name, why, "E017_FACTS_CONFLICT", bytes))
    .collect()
}

/// Sides that the author did not sign as they are.
fn of_signatures(sample: &Sample) -> Vec<Vector> {
    let Sample { channel, sides } = sample;
    let unsigned = sign(&draft(channel, "second"), &recipient(EPOCH_RECIPIENT), &[]);
    let name = SignatureName::of(channel.owner[0].public()).entry_name();
    let with_envelope = |envelope: Vec<u8>| {
        with_entries(&sides[1], |entries| {
            let own = entries.iter_mut().find(|(own, _)| *own == name);
            own.expect("it is signed").1.clone_from(&envelope);
        })
    };
    let moved = with_envelope(Envelope::sign(b"{}", &channel.owner[0]).encode());
    let first = Capsule::decode(&sides[0]).expect("a sample has a form");
    let copied = with_envelope(first.container().get(&name).expect("it is signed").to_vec());
    let payload = with_entries(&sides[1], |entries| {
        let own = entries.iter_mut().find(|(own, _)| own == "payload.age");
        let bytes = &mut own.expect("it has one").1;
        *bytes.last_mut().expect("it is not empty") ^= 1;
    });
    let (missing, other) = ("E033_SIGNATURE_MISSING", "E031_STATEMENT_MISMATCH");
    let digest = "E013_ENTRY_DIGEST_MISMATCH";
    [
        ("unsigned", "nobody signed one side", missing, unsigned),
        ("signed-another", "the author signed something else", other, moved),
        ("signature-copied", "the signature of the other side", other, copied),
        ("payload-other", "a payload that is not the one that was signed", digest, payload),
    ]
    .into_iter()
    .map(|(name, why, expect, file)| vector(name, why, expect, sample.beside(&file)))
    .collect()
}

impl Sample {
    /// The header of one side.
    fn one(&self) -> Vec<u8> {
        let header = Capsule::decode(&self.sides[0]).and_then(|capsule| capsule.header());
        self.write(&[&header.expect("a sample has a form")])
    }
}
