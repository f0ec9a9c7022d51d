//! The vectors of the group `snapshot`.
//!
//! The expectations stand here and are written, never computed, except for the ids of samples.

use kapsule_format::capsule::{Body, Capsule, CapsuleId, Post, kind};
use kapsule_format::cbor::{self, Value};
use kapsule_format::container::{Container, EntryRef, Kind, Writer};
use kapsule_format::key::{SecretKey, Suite};
use kapsule_format::log::{Checkpoint, LogName, SignedCheckpoint};
use kapsule_format::snapshot::{self, Snapshot};
use kapsule_format::tree::EMPTY_ROOT;

use super::{Channel, key};
use crate::receipts::vectors::{self, Vector};

/// The index of a snapshot by key.
type Members = Vec<(u64, Value)>;
/// The capsules of a snapshot by name.
type Entries = Vec<(String, Vec<u8>)>;

/// Returns every vector of the group.
#[must_use]
pub fn all() -> Vec<Vector> {
    let sample = Sample::new();
    let mut all = accepted(&sample);
    all.extend(of_index(&sample));
    all.extend(of_entries(&sample));
    all
}

fn vector(name: &str, why: &'static str, expect: &str, bytes: Vec<u8>) -> Vector {
    vectors::vector("snapshot", name, why, expect, bytes)
}

/// What an accepted snapshot prints.
#[must_use]
pub fn print(snapshot: &Snapshot<'_>) -> String {
    let index = snapshot.index();
    let (count, heads) = (index.capsules.count, index.heads.len());
    let (id, channel) = (snapshot.id(), index.channel);
    let noted = |note: &SignedCheckpoint| {
        let Checkpoint { origin, size, .. } = &note.checkpoint;
        format!(", log {origin} of {size}")
    };
    let noted = snapshot.checkpoint().map(noted).unwrap_or_default();
    format!("snapshot {id}, channel {channel}, {count} capsules, {heads} heads{noted}")
}

/// A channel with two posts that answer the same capsule.
struct Sample {
    channel: Channel,
    posts: [Vec<u8>; 2],
}

impl Sample {
    fn new() -> Self {
        let channel = Channel::new(|_| ());
        let posts = ["first", "second"].map(|text| {
            let body = Body::Post(Post::plain(text));
            channel.sign(&channel.draft(kind::POST, &body))
        });
        Self { channel, posts }
    }

    fn write(&self, files: &[&Vec<u8>], secrets: &[SecretKey]) -> Vec<u8> {
        let channel = kapsule_format::capsule::ChannelId::of_genesis(self.channel.id);
        let files = files.iter().map(|file| file.as_slice());
        snapshot::write(channel, files, secrets).expect("the capsules are of one channel")
    }

    /// Everything that there is.
    fn whole(&self) -> Vec<u8> {
        self.write(&[&self.channel.genesis, &self.posts[0], &self.posts[1]], &[])
    }

    /// The whole with another index.
    fn with_index(&self, change: impl FnOnce(&mut Members)) -> Vec<u8> {
        self.changed(change, |_| ())
    }

    /// The whole with other entries.
    fn with_entries(&self, change: impl FnOnce(&mut Entries)) -> Vec<u8> {
        self.changed(|_| (), change)
    }

    fn changed(
        &self,
        index: impl FnOnce(&mut Members),
        entries: impl FnOnce(&mut Entries),
    ) -> Vec<u8> {
        let whole = self.whole();
        let container = Container::decode(&whole).expect("it was just written");
        let Ok(Value::Map(mut members)) = cbor::decode(container.index()) else {
            panic!("an index is a map")
        };
        index(&mut members);
        members.sort_by_key(|(key, _)| *key);
        let own = container.entries().iter().skip(1);
        let mut list: Vec<_> =
            own.map(|entry| (entry.name.to_owned(), entry.bytes.to_vec())).collect();
        entries(&mut list);
        let mut writer = Writer::new(Kind::Snapshot, cbor::encode(&Value::Map(members)));
        list.into_iter().for_each(|(name, bytes)| writer.push(name, bytes));
        writer.finish().expect("the entries have names")
    }
}

fn name(id: CapsuleId) -> String {
    format!("capsules/{id}.kapsule")
}

fn id(file: &[u8]) -> CapsuleId {
    Capsule::decode(file).expect("a sample is well formed").id()
}

fn set(members: &mut Members, key: u64, value: Value) {
    members.retain(|(own, _)| *own != key);
    members.push((key, value));
}

/// A list of one bound entry with the bytes `note`.
fn bound(name: &str) -> Value {
    let EntryRef { name, size, sha256 } = EntryRef::of(name, b"note");
    let entry = [Value::from(name.as_str()), Value::from(size), Value::from(sha256)];
    Value::Array(vec![Value::Array(entry.into())])
}

/// Name of the entry with a checkpoint.
const CHECKPOINT: &str = "log/checkpoint.txt";

/// A checkpoint of a log without entries.
fn checkpoint() -> SignedCheckpoint {
    let origin = LogName::new("example.org/log").expect("it has the form of a name");
    let checkpoint = Checkpoint { origin, size: 0, root: EMPTY_ROOT };
    SignedCheckpoint::sign(checkpoint, &key(Suite::Ed25519, 1)).expect("the key signs notes")
}

fn accepted(sample: &Sample) -> Vec<Vector> {
    let Sample { channel, posts } = sample;
    let bound = |members: &mut Members| set(members, 15, bound("x/note"));
    let secret = key(Suite::Ed25519, 1);
    let noted = |entries: &mut Entries| {
        entries.push((CHECKPOINT.into(), checkpoint().encode().into_bytes()));
    };
    let cases: [(&str, &str, Vec<u8>); 9] = [
        ("checkpoint", "beside the log of its sender", sample.with_entries(noted)),
        ("genesis", "a channel of which nothing was said", sample.write(&[&channel.genesis], &[])),
        ("two-heads", "two posts that answer one capsule", sample.whole()),
        (
            "part",
            "a part of a channel, whose ancestors are elsewhere",
            sample.write(&[&posts[0]], &[]),
        ),
        ("chain", "one head", sample.write(&[&channel.genesis, &posts[1]], &[])),
        (
            "signed",
            "somebody vouches for it",
            sample.write(&[&channel.genesis, &posts[0], &posts[1]], &[secret]),
        ),
        ("bound-absent", "a bound entry may be absent", sample.with_index(bound)),
        (
            "bound",
            "a bound entry that no version reads",
            sample.changed(bound, |entries| entries.push(("x/note".into(), b"note".to_vec()))),
        ),
        (
            "extension",
            "keys from 64 are for others",
            sample.with_index(|members| set(members, 64, 7_u64.into())),
        ),
    ];
    let case = |(name, why, bytes): (&str, &'static str, Vec<u8>)| {
        let expect = print(&Snapshot::decode(&bytes).expect("a sample is well formed"));
        vector(name, why, &expect, bytes)
    };
    cases.into_iter().map(case).collect()
}

fn of_index(sample: &Sample) -> Vec<Vector> {
    let posts = sample.posts.each_ref().map(|file| id(file));
    let heads = |ids: &[CapsuleId]| Value::array(ids.iter().map(|id| *id.digest()));
    let (mut sorted, genesis) = (posts, sample.channel.id);
    sorted.sort_unstable();
    let root = |members: &[(u64, Value)]| {
        let found = members.iter().find(|(key, _)| *key == 3);
        let Some((_, Value::Array(counted))) = found else { panic!("key 3 is counted") };
        counted[1].clone()
    };
    let case = |name, why, expect, change: &dyn Fn(&mut Members)| {
        vector(name, why, expect, sample.with_index(change))
    };
    let count = |members: &mut Members, count: u64| {
        let root = root(members);
        set(members, 3, Value::array([count.into(), root]));
    };
    vec![
        case("version-2", "another version", "E005_VERSION_UNSUPPORTED", &|members| {
            set(members, 0, 2_u64.into());
        }),
        case("critical-16", "a key that nobody knows", "E009_UNKNOWN_CRITICAL_FIELD", &|members| {
            set(members, 16, 1_u64.into());
        }),
        case("channel-absent", "no channel", "E008_SCHEMA_VIOLATION", &|members| {
            members.retain(|(key, _)| *key != 1);
        }),
        case(
            "heads-none",
            "every set of capsules has a head",
            "E008_SCHEMA_VIOLATION",
            &|members| {
                set(members, 2, heads(&[]));
            },
        ),
        case("heads-order", "heads ascend", "E008_SCHEMA_VIOLATION", &|members| {
            set(members, 2, heads(&[sorted[1], sorted[0]]));
        }),
        case("heads-twice", "a head stands once", "E008_SCHEMA_VIOLATION", &|members| {
            set(members, 2, heads(&[sorted[0], sorted[0]]));
        }),
        case("heads-missing", "a head is left out", "E015_COUNTED_ROOT_MISMATCH", &|members| {
            set(members, 2, heads(&sorted[..1]));
        }),
        case("heads-followed", "others follow it", "E015_COUNTED_ROOT_MISMATCH", &|members| {
            let mut all = [genesis, sorted[0], sorted[1]];
            all.sort_unstable();
            set(members, 2, heads(&all));
        }),
        case("count-more", "more than there are", "E015_COUNTED_ROOT_MISMATCH", &|members| {
            count(members, 4);
        }),
        case("count-limit", "more than a reader takes", "E004_LIMIT_EXCEEDED", &|members| {
            count(members, 4_001);
        }),
        case("root-other", "other capsules", "E015_COUNTED_ROOT_MISMATCH", &|members| {
            let counted = [3_u64.into(), Value::from(*genesis.digest())];
            set(members, 3, Value::array(counted));
        }),
        case("bound-name", "a capsule is not bound", "E025_CONTAINER_UNLISTED", &|members| {
            set(members, 15, bound(&name(genesis)));
        }),
        case("channel-other", "of another channel", "E510_SNAPSHOT_INVALID", &|members| {
            set(members, 1, (*posts[0].digest()).into());
        }),
    ]
}

fn of_entries(sample: &Sample) -> Vec<Vector> {
    let genesis = sample.channel.id;
    let place = |entries: &[(String, Vec<u8>)], id| {
        entries.iter().position(|(own, _)| *own == name(id)).expect("it is there")
    };
    let case = |name, why, expect, change: &dyn Fn(&mut Entries)| {
        vector(name, why, expect, sample.with_entries(change))
    };
    let posts = sample.posts.each_ref().map(|file| id(file));
    let whole = sample.whole();
    let (cut, mut trailing) = (whole[..whole.len() - 512].to_vec(), whole.clone());
    trailing.push(0);
    let other = sample.changed(
        |members| set(members, 15, bound("x/note")),
        |entries| entries.push(("x/note".into(), b"nope".to_vec())),
    );
    vec![
        vector("cut", "the end is missing", "E002_TRUNCATED at offset 17408", cut),
        vector(
            "trailing",
            "something follows the end",
            "E003_TRAILING_BYTES at offset 17920",
            trailing,
        ),
        vector("capsule", "a capsule", "E001_UNKNOWN_FORMAT", sample.channel.genesis.clone()),
        vector("bound-digest", "other bytes than bound", "E013_ENTRY_DIGEST_MISMATCH", other),
        case("capsule-absent", "one is left out", "E015_COUNTED_ROOT_MISMATCH", &|entries| {
            entries.remove(place(entries, posts[0]));
        }),
        case("capsule-added", "one is put in", "E015_COUNTED_ROOT_MISMATCH", &|entries| {
            let post = sample.channel.sign(&sample.channel.post());
            entries.push((name(id(&post)), post));
        }),
        case("capsule-renamed", "two change places", "E510_SNAPSHOT_INVALID", &|entries| {
            let places = posts.map(|id| place(entries, id));
            let bytes = entries[places[0]].1.clone();
            entries[places[0]].1 = std::mem::replace(&mut entries[places[1]].1, bytes);
        }),
        case("capsule-malformed", "no capsule at all", "E510_SNAPSHOT_INVALID", &|entries| {
            let at = place(entries, genesis);
            entries[at].1 = b"nothing".to_vec();
        }),
        case(
            "entry-unlisted",
            "neither bound nor attached",
            "E025_CONTAINER_UNLISTED",
            &|entries| {
                entries.push(("readme".into(), b"hello".to_vec()));
            },
        ),
        case("capsule-name", "a name that is no id", "E025_CONTAINER_UNLISTED", &|entries| {
            let at = place(entries, genesis);
            entries[at].0 = "capsules/genesis.kapsule".into();
        }),
        case("checkpoint-unsigned", "without a line", "E309_CHECKPOINT_INVALID", &|entries| {
            let text = format!("{}\n", checkpoint().checkpoint.text());
            entries.push((CHECKPOINT.into(), text.into_bytes()));
        }),
        case("checkpoint-name", "there is one at most", "E025_CONTAINER_UNLISTED", &|entries| {
            let note = checkpoint().encode().into_bytes();
            entries.push(("log/checkpoint-2.txt".into(), note));
        }),
        case("signature-name", "no envelope has it", "E038_KEYID_MISMATCH", &|entries| {
            entries.push(("sig/someone.dsse.json".into(), b"{}".to_vec()));
        }),
    ]
}
