//! Tables of real data, to signed and encrypted capsules of a public channel.
//!
//! The people in a table have no keys here, so each gets one that anybody can derive from the
//! name: a signature by such a key shows that the bytes are whole, and nothing about the person.
//! Every capsule says so with the flag [`FLAG`].

use std::collections::BTreeMap;

use kapsule_format::DecodeError;
use kapsule_format::capsule::{
    Body, Capsule, CapsuleId, ChannelId, Comment, Draft, Edge, Keyring, Post, TrustBody, kind,
};
use kapsule_format::cbor::Value;
use kapsule_format::encrypt::{Recipient, generate};
use kapsule_format::hash::sha256;
use kapsule_format::key::{Identity, IdentityId, SecretKey, Suite};

use super::{Name, hn, otc, sms};
use crate::batch;
use crate::error::Failure;

/// Flag of every capsule that was made from a table, by a key that anybody can derive.
pub(crate) const FLAG: &str = "test:converted";

/// Greatest number of edges in one trust capsule, as the body allows.
const EDGES_MAX: usize = 1_024;

/// Statements of one author within this time are one trust capsule: 30 days.
const TRUST_SPAN_MS: u64 = 30 * 24 * 3_600_000;

/// Number of authors that messages without one are spread over.
const MESSAGE_AUTHORS: u64 = 64;

/// A form of table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Form {
    /// Posts of Hacker News: a post for each line.
    Hn,
    /// Ratings of Bitcoin OTC: trust capsules, one for each author and 30 days.
    Otc,
    /// Labelled messages: a comment for each line, on one post.
    Sms,
}

/// What one person says at one time.
struct Item {
    author: Name,
    time_ms: u64,
    kind: &'static str,
    body: Body,
}

/// The channel that is written to.
struct Channel {
    id: ChannelId,
    genesis: CapsuleId,
    recipient: Recipient,
}

/// What came of a conversion.
pub(crate) struct Made {
    /// Records of the table.
    pub(crate) records: u64,
    /// Capsules, with the keyring.
    pub(crate) capsules: u64,
    /// Authors.
    pub(crate) authors: u64,
    /// Channel.
    pub(crate) channel: ChannelId,
}

/// Derives the key of a person in a table; anybody can.
fn secret(name: &Name) -> Result<SecretKey, DecodeError> {
    let seed = sha256(format!("kapsule converted author 1\n{name}").as_bytes());
    SecretKey::from_seed(Suite::Ed25519, seed.as_bytes())
}

/// Returns the identity of a person in a table.
pub(crate) fn identity(name: &Name) -> Result<Identity, DecodeError> {
    Identity::try_from(secret(name)?.public().clone())
}

/// Converts a table and gives each capsule away with its place, the keyring first.
pub(crate) fn convert(
    table: &[u8],
    form: Form,
    jobs: usize,
    mut write: impl FnMut(u64, &str, &[u8]) -> Result<(), Failure>,
) -> Result<Made, Failure> {
    let (channel, genesis) = start(form).map_err(|error| internal(&error))?;
    write(0, kind::KEYRING, &genesis)?;
    let mut next = 1;
    let (items, records) = match form {
        Form::Hn => hn_items(table)?,
        Form::Otc => otc_items(table)?,
        Form::Sms => {
            let thread = thread(&channel).map_err(|error| internal(&error))?;
            let target = Capsule::decode(&thread).map_err(|error| internal(&error))?.id();
            write(next, kind::POST, &thread)?;
            next += 1;
            sms_items(table, target)?
        }
    };
    let places: Vec<u64> = (next..).take(items.len()).collect();
    let mut chains: BTreeMap<&Name, Vec<(u64, &Item)>> = BTreeMap::new();
    for (place, item) in places.into_iter().zip(&items) {
        chains.entry(&item.author).or_default().push((place, item));
    }
    let chains: Vec<(&Name, Vec<(u64, &Item)>)> = chains.into_iter().collect();
    let seal = |index: usize| seal(&channel, chains[index].0, &chains[index].1);
    batch::in_order(chains.len(), jobs, seal, |_, sealed| {
        for (place, kind, bytes) in sealed.map_err(|error| internal(&error))? {
            write(place, kind, &bytes)?;
        }
        Ok::<(), Failure>(())
    })?;
    let (authors, capsules) = (chains.len() as u64, next + items.len() as u64);
    Ok(Made { records, capsules, authors, channel: channel.id })
}

fn internal(error: &DecodeError) -> Failure {
    let hint = "look at the table; texts hold no control characters and 65,536 bytes at most";
    Failure::decode("the table cannot be made capsules", error, hint)
}

/// Starts a public channel in which anybody may write.
fn start(form: Form) -> Result<(Channel, Vec<u8>), DecodeError> {
    let owner = Name::Text(format!("converter of {form:?}"));
    let secret = secret(&owner)?;
    let author = Identity::try_from(secret.public().clone())?;
    let (key, recipient) = generate();
    let line = key.lines().find(|line| line.starts_with("AGE-SECRET-KEY-1"));
    let mut keyring = Keyring::first(recipient.to_string(), author.clone());
    keyring.identity = line.map(str::to_owned);
    let mut draft = Draft::genesis(author, 0, keyring, &key)?;
    draft.flags.push(FLAG.to_owned());
    let sealed = draft.seal(salt(&[&key]), std::slice::from_ref(&recipient))?;
    let genesis = sealed.id();
    let file = sealed.sign([&secret])?;
    Ok((Channel { id: ChannelId::of_genesis(genesis), genesis, recipient }, file))
}

/// The bodies are public, so a salt only has to differ from the others.
fn salt(parts: &[&str]) -> [u8; 32] {
    *sha256(parts.join("\n").as_bytes()).as_bytes()
}

/// A capsule as it goes to disk: place in the table, kind, bytes.
type Written = (u64, &'static str, Vec<u8>);

/// Writes what one author says, each capsule after the one before.
fn seal(
    channel: &Channel,
    name: &Name,
    items: &[(u64, &Item)],
) -> Result<Vec<Written>, DecodeError> {
    let secret = secret(name)?;
    let author = Identity::try_from(secret.public().clone())?;
    let mut files = Vec::with_capacity(items.len());
    let mut back = None;
    for ((place, item), seq) in items.iter().zip(0..) {
        let mut draft =
            Draft::new(channel.id, author.clone(), 0, item.time_ms, item.kind, &item.body)?;
        (draft.seq, draft.back) = (seq, back);
        if back.is_none() {
            draft.prev.push(channel.genesis);
        }
        draft.flags.push(FLAG.to_owned());
        let salt = salt(&[&channel.id.to_string(), &place.to_string()]);
        let sealed = draft.seal(salt, std::slice::from_ref(&channel.recipient))?;
        back = Some(sealed.id());
        files.push((*place, item.kind, sealed.sign([&secret])?));
    }
    Ok(files)
}

/// Orders items by time, so that places ascend with it.
fn by_time(mut items: Vec<Item>) -> Vec<Item> {
    items.sort_by_key(|item| item.time_ms);
    items
}

fn hn_items(table: &[u8]) -> Result<(Vec<Item>, u64), Failure> {
    let item = |story: hn::Story| {
        let mut post = Post::plain(match story.url.is_empty() {
            true => story.title,
            false => format!("{}\n{}", story.title, story.url),
        });
        // What the table counted; readers that do not know the keys keep them.
        post.extensions = vec![(64, story.points.into()), (65, story.comments.into())];
        Item {
            author: story.author,
            time_ms: story.created_ms,
            kind: kind::POST,
            body: Body::Post(post),
        }
    };
    let items: Vec<Item> = hn::stories(table)?.into_iter().map(item).collect();
    let records = items.len() as u64;
    Ok((by_time(items), records))
}

fn otc_items(table: &[u8]) -> Result<(Vec<Item>, u64), Failure> {
    let mut ratings = otc::ratings(table)?;
    let records = ratings.len() as u64;
    ratings.sort_by(|left, right| (&left.from, left.time_ms).cmp(&(&right.from, right.time_ms)));
    let mut items: Vec<Item> = Vec::new();
    let (mut edges, mut first): (Vec<Edge>, Option<&otc::Rating>) = (Vec::new(), None);
    let mut last_ms = 0;
    let mut about: BTreeMap<&Name, IdentityId> = BTreeMap::new();
    for rating in &ratings {
        let within = first.is_some_and(|first| {
            first.from == rating.from && rating.time_ms - first.time_ms < TRUST_SPAN_MS
        });
        if let Some(open) = first
            && (!within || edges.len() == EDGES_MAX)
        {
            items.push(trust(&open.from, last_ms, std::mem::take(&mut edges)));
            first = None;
        }
        first.get_or_insert(rating);
        last_ms = rating.time_ms;
        let id = match about.get(&rating.to) {
            Some(id) => *id,
            None => {
                let id = identity(&rating.to).map_err(|error| internal(&error))?.id();
                about.insert(&rating.to, id);
                id
            }
        };
        let (weight_ppm, blocked) = (rating.weight_ppm, rating.blocked);
        edges.push(Edge { about: id, weight_ppm, blocked, expiry_ms: 0 });
    }
    items.extend(first.map(|open| trust(&open.from, last_ms, edges)));
    Ok((by_time(items), records))
}

fn trust(from: &Name, time_ms: u64, edges: Vec<Edge>) -> Item {
    let body = Body::Trust(TrustBody { edges, ..TrustBody::default() });
    Item { author: from.clone(), time_ms, kind: kind::TRUST, body }
}

/// Writes the post that the messages are comments on.
fn thread(channel: &Channel) -> Result<Vec<u8>, DecodeError> {
    let name = Name::Text("collector of messages".to_owned());
    let post = Post::plain("Messages of the SMS Spam Collection");
    let item = Item { author: name, time_ms: 0, kind: kind::POST, body: Body::Post(post) };
    let files = seal(channel, &item.author, &[(1, &item)])?;
    Ok(files.into_iter().map(|(_, _, bytes)| bytes).next().unwrap_or_default())
}

fn sms_items(table: &[u8], target: CapsuleId) -> Result<(Vec<Item>, u64), Failure> {
    let item = |(number, text): (u64, String)| {
        let mut comment = Comment::on(target, text);
        comment.extensions = vec![(64, Value::Uint(number))];
        Item {
            author: Name::Text(format!("sender {}", number % MESSAGE_AUTHORS)),
            time_ms: number,
            kind: kind::COMMENT,
            body: Body::Comment(comment),
        }
    };
    let items: Vec<Item> = sms::texts(table)?.into_iter().map(item).collect();
    let records = items.len() as u64;
    Ok((items, records))
}
