//! `ingest`, `log` and `doctor`: from capsule files to a store that can be proved and examined.

use std::fs;

use kapsule_format::capsule::{Body, CapsuleId, ChannelId, Draft, Keyring, Logic, Post, kind};
use kapsule_format::encrypt::{Recipient, generate};
use kapsule_format::hash::sha256;
use kapsule_format::key::{Identity, SecretKey, Suite};
use kapsule_format::log::{LogProof, SignedCheckpoint, VerifierKey};
use kapsule_format::package::Package;
use kapsule_store::Store;

use crate::support::{Bench, HELLO};

/// Time of the first capsule.
const START_MS: u64 = 1_700_000_000_000;

/// Somebody who writes into a channel.
#[derive(Clone)]
pub(crate) struct Writer {
    secret: SecretKey,
    identity: Identity,
    channel: ChannelId,
    recipient: Recipient,
    last: Option<(CapsuleId, u64)>,
    genesis: CapsuleId,
}

/// Starts a channel; returns its owner, the secret of the reader, and the genesis.
fn channel(seed: u8) -> (Writer, String, Vec<u8>) {
    let secret = SecretKey::from_seed(Suite::Ed25519, &[seed; 32]).unwrap();
    let identity = Identity::try_from(secret.public().clone()).unwrap();
    let (epoch_key, recipient) = generate();
    let (reader_key, reader) = generate();
    let mut keyring = Keyring::first(recipient.to_string(), identity.clone());
    keyring.writers = vec![identity.id()];
    let draft = Draft::genesis(identity.clone(), START_MS, keyring, &epoch_key).unwrap();
    let sealed = draft.seal([1; 32], &[reader]).unwrap();
    let id = sealed.id();
    let file = sealed.sign([&secret]).unwrap();
    let channel = ChannelId::of_genesis(id);
    let last = Some((id, 0));
    let writer = Writer { secret, identity, channel, recipient, last, genesis: id };
    (writer, reader_key.to_string(), file)
}

impl Writer {
    /// Somebody else, who was not asked to write.
    fn stranger(&self) -> Self {
        let secret = SecretKey::from_seed(Suite::Ed25519, &[0x77; 32]).unwrap();
        let identity = Identity::try_from(secret.public().clone()).unwrap();
        Self { secret, identity, last: None, recipient: self.recipient.clone(), ..*self }
    }

    fn draft(&self, text: &str) -> Draft {
        self.draft_of(kind::POST, &Body::Post(Post::plain(text)))
    }

    fn draft_of(&self, kind: &str, body: &Body) -> Draft {
        let seq = self.last.map_or(0, |(_, seq)| seq + 1);
        let time = START_MS + 1 + seq;
        let identity = self.identity.clone();
        let mut draft = Draft::new(self.channel, identity, 0, time, kind, body).unwrap();
        (draft.seq, draft.back) = (seq, self.last.map(|(id, _)| id));
        if self.last.is_none() {
            draft.prev.push(self.genesis);
        }
        draft
    }

    fn seal(&mut self, draft: Draft) -> Vec<u8> {
        let seq = draft.seq;
        let sealed = draft.seal([2; 32], std::slice::from_ref(&self.recipient)).unwrap();
        self.last = Some((sealed.id(), seq));
        sealed.sign([&self.secret]).unwrap()
    }

    /// Says something of any kind.
    pub(crate) fn say(&mut self, kind: &str, body: &Body) -> Vec<u8> {
        let draft = self.draft_of(kind, body);
        self.seal(draft)
    }

    pub(crate) fn post(&mut self, text: &str) -> Vec<u8> {
        let draft = self.draft(text);
        self.seal(draft)
    }
}

/// Prepares what the examples of `ingest`, `log` and `doctor` name.
pub(crate) fn stage(bench: &Bench) {
    let mut writer = fill(bench);
    let mut rival = writer.clone();
    bench.write("post.kapsule", writer.post("post"));
    bench.ok(&["ingest", "capsules", "--origin", "example.org/log"]);
    bench.ok(&["log", "key", "log"]);
    let signed = &bench.json(&["log", "checkpoint", "--key", "log", "-o", "checkpoint.txt"])[0];
    bench.write("log.vkey", signed["vkey"].as_str().unwrap());
    bench.ok(&["log", "export", "-o", "audit.klog"]);
    bench.ok(&["snapshot", "export", "parts"]);
    fork(bench, &mut rival);
    let told = bench.json(&["fork", "export", "evidence"]).remove(0);
    bench.write("fork.ksnap", bench.read(told["file"].as_str().unwrap()));
}

/// Lets the author say two things in one place, and the store know.
pub(crate) fn fork(bench: &Bench, writer: &mut Writer) {
    let last = writer.last;
    bench.write("one.kapsule", writer.post("one"));
    writer.last = last;
    bench.write("other.kapsule", writer.post("other"));
    bench.ok(&["ingest", "one.kapsule"]);
    bench.ok(&["ingest", "other.kapsule"]);
}

/// A folder `capsules` with a genesis and three posts, and the reader's secret in `reader`.
fn bench() -> (Bench, Writer) {
    let bench = Bench::new();
    let writer = fill(&bench);
    (bench, writer)
}

/// Makes the folder and the secret.
pub(crate) fn fill(bench: &Bench) -> Writer {
    let (mut writer, reader, genesis) = channel(0x61);
    fs::create_dir(bench.path("capsules")).unwrap();
    bench.write("capsules/z-genesis.kapsule", genesis);
    for name in ["c", "b", "a"] {
        bench.write(&format!("capsules/{name}.kapsule"), writer.post(name));
    }
    bench.secret("reader", &reader);
    writer
}

/// Ingests the folder as the reader.
pub(crate) const INGEST: [&str; 4] = ["ingest", "capsules", "--identity", "reader"];

fn store(bench: &Bench) -> Store {
    Store::open_damaged(&bench.path("home/data")).unwrap()
}

#[test]
fn a_folder_in_any_order_is_accepted_once() {
    let (bench, _) = bench();
    let first = bench.json(&INGEST);
    let summary = first.last().unwrap();
    assert_eq!(summary["files"]["accepted"], "4");
    assert_eq!(summary["files"].get("of them unreadable"), None, "{summary}");
    // The opening, four acceptances and three payloads besides the keyring's own.
    assert_eq!(summary["entries"], "9");
    let again = bench.json(&INGEST);
    assert_eq!(again.last().unwrap()["files"]["held already"], "4");
    assert_eq!(again.last().unwrap()["root"], summary["root"]);
    bench.ok(&["log", "verify"]);
    bench.ok(&["doctor"]);
}

#[test]
fn who_cannot_read_accepts_the_same_graph() {
    let (bench, _) = bench();
    let found = bench.json(&["ingest", "capsules"]);
    let summary = found.last().unwrap();
    assert_eq!(summary["files"]["accepted"], "4");
    assert_eq!(summary["files"]["of them unreadable"], "4");
    assert_eq!(found[0]["unread"], "E212_KEY_NOT_HELD");
}

#[test]
fn what_is_forged_is_refused_and_kept_in_quarantine() {
    let (bench, mut writer) = bench();
    bench.ok(&INGEST);
    let mut bent = writer.post("bent");
    let end = bent.len() - 2_000;
    bent[end] ^= 1;
    bench.write("bent.kapsule", &bent);
    let before = bench.json(&["log", "show"]).len();
    let ended = bench.run(&["ingest", "bent.kapsule"]);
    assert!([12, 20].contains(&ended.code), "{ended:?}");
    let shown = bench.json(&["log", "show"]);
    let entry = shown.last().unwrap();
    assert_eq!((shown.len(), entry["type"].as_str()), (before + 1, Some("capsule.refused")));
    assert_eq!(entry["subjects"]["file"], sha256(&bent).to_string());
    // A second time nothing is written.
    assert_eq!(bench.run(&["ingest", "bent.kapsule"]).code, ended.code);
    assert_eq!(bench.json(&["log", "show"]).len(), before + 1);
    bench.ok(&["doctor"]);
    bench.write("no.kapsule", "no capsule at all");
    assert_eq!(bench.run(&["ingest", "no.kapsule"]).code, 20);
}

#[test]
fn an_invalid_signature_beside_a_valid_one_is_a_failure() {
    let (bench, mut writer) = bench();
    bench.ok(&INGEST);
    let file = writer.post("twice");
    let capsule = kapsule_format::capsule::Capsule::decode(&file).unwrap();
    // An envelope by a key of nobody, under its own name, over another statement.
    let other = SecretKey::from_seed(Suite::Ed25519, &[0x55; 32]).unwrap();
    let envelope = kapsule_format::envelope::Envelope::sign(b"{}", &other).encode();
    let name = kapsule_format::envelope::SignatureName::of(other.public());
    let file = capsule.with_envelopes([(name, envelope)]).unwrap();
    bench.write("twice.kapsule", file);
    assert_eq!(bench.run(&["ingest", "twice.kapsule"]).code, 12);
}

#[test]
fn whoever_may_not_write_is_refused() {
    let (bench, writer) = bench();
    bench.ok(&INGEST);
    bench.write("stranger.kapsule", writer.stranger().post("let me in"));
    let ended = bench.run(&["ingest", "stranger.kapsule"]);
    assert!(ended.stderr.contains("E136_AUTHOR_NOT_ALLOWED"), "{}", ended.stderr);
    assert_eq!(ended.code, 11);
}

#[test]
fn what_waits_is_accepted_when_its_ancestor_comes() {
    let (bench, mut writer) = bench();
    let (first, second) = (writer.post("first"), writer.post("second"));
    bench.write("second.kapsule", second);
    let early = bench.json(&["ingest", "second.kapsule"]);
    assert_eq!(early.last().unwrap()["files"]["waiting"], "1");
    bench.ok(&INGEST);
    bench.write("first.kapsule", first);
    let late = bench.json(&["ingest", "first.kapsule"]);
    assert_eq!(late.last().unwrap()["files"]["accepted"], "2", "{late:?}");
    bench.ok(&["doctor"]);
}

#[test]
fn both_sides_of_a_fork_are_kept() {
    let (bench, mut writer) = bench();
    bench.ok(&INGEST);
    let last = writer.last;
    fork(&bench, &mut writer);
    writer.last = last;
    bench.write("third.kapsule", writer.post("third"));
    let third = bench.json(&["ingest", "third.kapsule"]);
    assert_eq!(third.last().unwrap()["files"]["of them forks"], "1");
}

/// Adds `hello.mod` to the package directory and returns what a capsule says of it.
fn hello(bench: &Bench) -> Logic {
    bench.pack("hello", HELLO, "kinds = [\"post\"]");
    bench.ok(&["package", "add", "hello.mod"]);
    let bytes = bench.read("hello.mod");
    let package = Package::decode(&bytes).unwrap().into_inner();
    let (id, policy) = (package.capsule_hash(), package.policy_hash());
    Logic { package: id, entry: "run".to_owned(), policy, embedded: false }
}

#[test]
fn a_capsule_is_processed_by_the_package_that_it_names() {
    let (bench, mut writer) = bench();
    bench.ok(&INGEST);
    let logic = hello(&bench);
    let mut draft = writer.draft("Ada");
    draft.logic = Some((logic.clone(), Vec::new()));
    bench.write("hello.kapsule", writer.seal(draft));
    let found = bench.json(&["ingest", "hello.kapsule", "--identity", "reader"]);
    assert_eq!(found[0]["logic"], "completed(0)", "{found:?}");
    let id = found[0]["capsule"].as_str().unwrap().parse().unwrap();
    let result = store(&bench).view().results(&id).unwrap().remove(0);
    assert!(result.output.starts_with(b"hello, "));
    let stats = bench.json(&["log", "stats", "--by", "module"]);
    assert_eq!(stats[0]["value"], logic.package.to_string());
    bench.ok(&["doctor"]);
    // Another policy than that of the package is refused, and the capsule stays.
    let mut draft = writer.draft("Bob");
    let other = kapsule_format::policy::PolicyHash::new(sha256(b"another"));
    draft.logic = Some((Logic { policy: other, ..logic }, Vec::new()));
    bench.write("bob.kapsule", writer.seal(draft));
    let found = bench.json(&["ingest", "bob.kapsule", "--identity", "reader"]);
    assert_eq!(found[0]["fate"], "accepted");
    assert!(found[0]["logic"].as_str().unwrap().contains("E017"), "{found:?}");
}

#[test]
fn the_dispatch_file_chooses_by_kind() {
    let (bench, mut writer) = bench();
    let id = hello(&bench).package;
    fs::create_dir_all(bench.path("home/config")).unwrap();
    let rule =
        |kind: &str| format!("{{\"entry\":\"run\",\"kind\":\"{kind}\",\"package\":\"{id}\"}}");
    let file = |rules: &str| format!("{{\"rules\":[{rules}],\"schema\":\"kapsule/dispatch/1\"}}");
    bench.write("home/config/dispatch.json", file(&rule("post")));
    let found = bench.json(&INGEST);
    assert_eq!(found.last().unwrap()["files"]["of them processed"], "3");
    // The package says that it processes posts alone.
    bench.write("home/config/dispatch.json", file(&rule("keyring")));
    let (_, reader, genesis) = channel(0x62);
    bench.write("other.kapsule", genesis);
    bench.secret("other", &reader);
    let found = bench.json(&["ingest", "other.kapsule", "--identity", "other"]);
    assert_eq!(found[0]["fate"], "accepted");
    assert!(found[0]["logic"].as_str().unwrap().contains("E407"), "{found:?}");
    bench.write("home/config/dispatch.json", file(&[rule("post"), rule("post")].join(",")));
    bench.write("more.kapsule", writer.post("more"));
    assert_eq!(bench.run(&["ingest", "more.kapsule"]).code, 20);
}

#[test]
fn a_log_is_signed_proved_and_exported() {
    let (bench, _) = bench();
    let origin = "kapsule.example/log";
    bench.ok(&[&INGEST[..], &["--origin", origin]].concat());
    assert_eq!(bench.run(&["ingest", "capsules", "--origin", "other"]).code, 2);
    bench.ok(&["log", "key", "log"]);
    let signed = &bench.json(&["log", "checkpoint", "--key", "log", "-o", "checkpoint"])[0];
    let vkey: VerifierKey = signed["vkey"].as_str().unwrap().parse().unwrap();
    let note = SignedCheckpoint::decode(&bench.read("checkpoint")).unwrap();
    note.verify(&vkey).unwrap();
    let subject =
        bench.json(&["log", "show", "--type", "capsule.accepted"])[0]["subjects"]["capsule"]
            .as_str()
            .unwrap()
            .to_owned();
    bench.ok(&["log", "prove", "--subject", &subject, "--key", "log", "-o", "x.tlog-proof"]);
    let proof = LogProof::decode(&bench.read("x.tlog-proof")).unwrap();
    proof.verify(&vkey, &subject.parse().unwrap()).unwrap();
    let vkey = vkey.to_string();
    bench.ok(&["log", "verify", "--checkpoint", "checkpoint", "--vkey", &vkey]);
    bench.ok(&["log", "export", "-o", "log.klog"]);
    let file = ["log", "verify", "--file", "log.klog", "--origin", origin];
    bench.ok(&[&file[..], &["--checkpoint", "checkpoint", "--vkey", &vkey]].concat());
    let mut exported = bench.read("log.klog");
    exported.truncate(400);
    bench.write("log.klog", &exported);
    assert_ne!(bench.run(&file).code, 0);
    assert_eq!(bench.run(&["log", "prove", "--index", "99", "--key", "log"]).code, 2);
    // A key for envelopes signs no checkpoint, and that of the log no envelope.
    bench.ok(&["key", "new", "alice"]);
    assert_eq!(bench.run(&["log", "checkpoint", "--key", "alice"]).code, 15);
}

#[test]
fn an_older_copy_of_the_store_is_told_by_a_checkpoint() {
    let (bench, mut writer) = bench();
    bench.ok(&INGEST);
    fs::copy(bench.path("home/data/store.sqlite"), bench.path("old")).unwrap();
    bench.ok(&["log", "key", "log"]);
    bench.write("later.kapsule", writer.post("later"));
    bench.ok(&["ingest", "later.kapsule"]);
    bench.ok(&["log", "checkpoint", "--key", "log", "-o", "checkpoint"]);
    drop(fs::remove_file(bench.path("home/data/store.sqlite-wal")));
    drop(fs::remove_file(bench.path("home/data/store.sqlite-shm")));
    fs::copy(bench.path("old"), bench.path("home/data/store.sqlite")).unwrap();
    bench.ok(&["log", "verify"]);
    let ended = bench.run(&["log", "verify", "--checkpoint", "checkpoint"]);
    assert!(ended.stderr.contains("E505_LOG_TRUNCATED"), "{}", ended.stderr);
}

#[test]
fn an_edited_row_is_named_by_the_doctor() {
    let (bench, _) = bench();
    bench.ok(&INGEST);
    let path = "home/data/store.sqlite";
    let mut bytes = bench.read(path);
    let mark = b"age-encryption.org/v1";
    let at = bytes.windows(mark.len()).position(|window| window == mark).unwrap();
    bytes[at] ^= 1;
    bench.write(path, bytes);
    let ended = bench.run(&["doctor"]);
    assert!(ended.stderr.contains("has another digest"), "{}", ended.stderr);
    assert_eq!(ended.code, 15);
}

#[test]
fn the_log_is_counted_in_three_forms() {
    let (bench, _) = bench();
    bench.ok(&INGEST);
    let table = bench.ok(&["log", "stats"]).text().to_owned();
    assert!(table.contains("capsule.accepted"), "{table}");
    let csv = bench.ok(&["log", "stats", "--by", "kind", "--format", "csv"]).text().to_owned();
    assert_eq!(csv, "by,value,entries\nkind,post,3\nkind,keyring,1\n");
    assert_eq!(bench.json(&["log", "stats", "--by", "kind"])[0]["count"], "3");
}

#[test]
fn what_a_home_posts_it_takes_in_and_reads() {
    let bench = Bench::new();
    bench.ok(&["key", "new", "alice"]);
    bench.ok(&["channel", "new", "news"]);
    bench.write("hello.txt", "hello");
    bench.ok(&["post", "post", "--channel", "news", "--file", "hello.txt", "-o", "post.kapsule"]);
    let early = bench.json(&["ingest", "post.kapsule"]);
    assert_eq!(early[0]["fate"], "waiting");
    let channels = fs::read_dir(bench.path("home/data/channels")).unwrap();
    let channel = channels.map(|entry| entry.unwrap().path()).find(|path| path.is_dir()).unwrap();
    let found = bench.json(&["ingest", channel.to_str().unwrap()]);
    let files = &found.last().unwrap()["files"];
    assert_eq!(files["accepted"], "2", "{found:?}");
    let post = found
        .iter()
        .find(|told| told["file"].as_str().is_some_and(|name| name.starts_with("quarantine/")));
    assert_eq!(
        (&post.unwrap()["fate"], &post.unwrap()["unread"]),
        (&"accepted".into(), &serde_json::Value::Null)
    );
    bench.ok(&["doctor"]);
}

#[test]
fn without_a_store_there_is_nothing_to_show() {
    let bench = Bench::new();
    for args in [&["log", "show"][..], &["log", "verify"], &["doctor"]] {
        assert_eq!(bench.run(args).code, 15, "{args:?}");
    }
}
