//! A channel of signed capsules, and stores that hold them.

use std::path::Path;

use kapsule_abi::ErrorCode;
use kapsule_format::Digest;
use kapsule_format::capsule::{
    Body, CapsuleId, ChannelId, Draft, Keyring, Post, content_type, kind,
};
use kapsule_format::encrypt::{Recipient, generate};
use kapsule_format::hash::sha256;
use kapsule_format::key::{Identity, SecretKey, Suite};
use kapsule_format::log::{Entry, EntryKind, LogName, VerifierKey};
use kapsule_format::package::PackageId;
use kapsule_store::{
    CapsuleFile, NewResult, Opening, Store, StoreError, ViewRow, proposals_digest,
};

/// Key of the log.
pub(crate) fn log_key() -> SecretKey {
    SecretKey::from_seed(Suite::Ed25519, &[7; 32]).unwrap()
}

/// Name of the log.
pub(crate) fn log_name() -> LogName {
    LogName::new("kapsule.example/log").unwrap()
}

/// Verifier key of the log.
pub(crate) fn vkey() -> VerifierKey {
    VerifierKey::of_log(log_name(), log_key().public()).unwrap()
}

/// A channel with one author.
#[derive(Clone)]
pub(crate) struct Author {
    secret: SecretKey,
    identity: Identity,
    recipient: Recipient,
    /// Its channel.
    pub(crate) channel: ChannelId,
    last: (CapsuleId, u64),
}

impl Author {
    /// Starts a channel and returns its genesis.
    pub(crate) fn start() -> (Self, Vec<u8>) {
        let secret = SecretKey::from_seed(Suite::Ed25519, &[0x61; 32]).unwrap();
        let identity = Identity::try_from(secret.public().clone()).unwrap();
        let (epoch_key, recipient) = generate();
        let keyring = Keyring::first(recipient.to_string(), identity.clone());
        let draft = Draft::genesis(identity.clone(), 1_000, keyring, &epoch_key).unwrap();
        let sealed = draft.seal([1; 32], std::slice::from_ref(&recipient)).unwrap();
        let (id, file) = (sealed.id(), sealed.sign([&secret]).unwrap());
        let channel = ChannelId::of_genesis(id);
        (Self { secret, identity, recipient, channel, last: (id, 0) }, file)
    }

    /// Says something after what was said before.
    pub(crate) fn post(&mut self, text: &str) -> Vec<u8> {
        self.say(kind::POST, Body::Post(Post::plain(text)).encode().unwrap().to_vec())
    }

    /// Says something of a kind that is kept and not interpreted, too long for the database.
    pub(crate) fn large(&mut self) -> Vec<u8> {
        self.say("picture", vec![7; 300_000])
    }

    fn say(&mut self, kind: &str, bytes: Vec<u8>) -> Vec<u8> {
        let body = Body::Post(Post::plain(""));
        let (channel, identity) = (self.channel, self.identity.clone());
        let time_ms = 2_000 + self.last.1;
        let mut draft = Draft::new(channel, identity, 0, time_ms, kind::POST, &body).unwrap();
        draft.kind = kind.to_owned();
        draft.content_type = content_type(kind);
        draft.body = bytes.into();
        draft.seq = self.last.1 + 1;
        draft.back = Some(self.last.0);
        let sealed = draft.seal([2; 32], std::slice::from_ref(&self.recipient)).unwrap();
        self.last = (sealed.id(), self.last.1 + 1);
        sealed.sign([&self.secret]).unwrap()
    }
}

/// Opens a store, which is new where the directory is empty.
pub(crate) fn open(directory: &Path) -> Store {
    try_open(directory).unwrap()
}

pub(crate) fn try_open(directory: &Path) -> Result<Store, StoreError> {
    let fresh = !Store::file(directory).exists();
    Store::open(directory, Opening { origin: fresh.then(log_name), time_ms: 1 })
}

/// Accepts a capsule.
pub(crate) fn put(store: &mut Store, file: &[u8]) -> CapsuleId {
    let file = CapsuleFile::decode(file).unwrap();
    let (id, meta) = (file.capsule().id(), file.capsule().meta());
    store
        .write::<_, StoreError>(|write| {
            let entry = Entry::new(EntryKind::CapsuleAccepted, 5)
                .subject("capsule", *id.digest())
                .subject("author", *meta.author.id().digest())
                .subject("file", *file.sha256());
            let entry = write.append(entry)?;
            write.put_capsule(&file, entry)
        })
        .unwrap();
    id
}

/// Package of the results of these tests.
pub(crate) const PACKAGE: [u8; 32] = [9; 32];

/// What the runs of these tests submitted: a score of 5 millionths.
pub(crate) const SUBMITTED: &[u8] = &[0xa1, 0x00, 0x05];

/// Keeps a result of a capsule.
pub(crate) fn put_result(store: &mut Store, capsule: CapsuleId, output: &[u8]) {
    let submitted = Some(SUBMITTED);
    let package = PackageId::new(PACKAGE.into());
    store
        .write::<_, StoreError>(|write| {
            let entry = Entry::new(EntryKind::RunFinished, 6)
                .subject("capsule", *capsule.digest())
                .subject("package", *package.digest())
                .subject("output", sha256(output))
                .subject("submitted", sha256(SUBMITTED))
                .datum("entry", "run")
                .datum("fuel", "17")
                .datum("outcome", "completed(0)");
            let entry = write.append(entry)?;
            let (entry_point, outcome) = ("run", "completed(0)");
            let fuel = 17;
            let result =
                NewResult { capsule, package, entry_point, outcome, fuel, output, submitted };
            write.put_result(&result, entry)
        })
        .unwrap();
}

/// Refuses a file.
pub(crate) fn refuse(store: &mut Store, file: &[u8]) {
    store
        .write::<_, StoreError>(|write| {
            let entry = Entry::new(EntryKind::CapsuleRefused, 7)
                .subject("file", sha256(file))
                .datum("detail", "for a test")
                .refused(ErrorCode::SignatureInvalid);
            let entry = write.append(entry)?;
            write.put_quarantine(file, ErrorCode::SignatureInvalid, "for a test", entry)
        })
        .unwrap();
}

/// Scope of the views of these tests.
pub(crate) const SCOPE: Digest = Digest::new([4; 32]);

/// Returns the row of a view with this output.
pub(crate) fn view_row(output: &[u8]) -> ViewRow {
    ViewRow {
        name: "feed".to_owned(),
        scope: SCOPE,
        basis: Digest::new([5; 32]),
        package: PackageId::new(PACKAGE.into()),
        entry_point: "run".to_owned(),
        input: Digest::new([6; 32]),
        last: 2,
        now_ms: 10,
        until_ms: 100,
        outcome: "completed(0)".to_owned(),
        fuel: 18,
        output: sha256(output),
    }
}

/// Keeps a view.
pub(crate) fn put_view(store: &mut Store, output: &[u8]) -> ViewRow {
    let row = view_row(output);
    store
        .write::<_, StoreError>(|write| {
            let entry = Entry::new(EntryKind::RunFinished, 9)
                .subject("basis", row.basis)
                .subject("input", row.input)
                .subject("output", row.output)
                .subject("package", *row.package.digest())
                .subject("scope", row.scope)
                .datum("entry", "run")
                .datum("fuel", "18")
                .datum("last", "2")
                .datum("now", "10")
                .datum("outcome", "completed(0)")
                .datum("until", "100")
                .datum("view", "feed");
            let entry = write.append(entry)?;
            write.put_view(&row, output, entry)
        })
        .unwrap();
    row
}

/// Keeps what one run proposed; returns the numbers.
pub(crate) fn propose(store: &mut Store, bodies: &[&[u8]]) -> Vec<u64> {
    store
        .write::<_, StoreError>(|write| {
            let entry = Entry::new(EntryKind::RunFinished, 9);
            let run = write.append(entry.subject("proposals", proposals_digest(bodies)))?;
            bodies.iter().map(|body| write.put_proposal(body, run)).collect()
        })
        .unwrap()
}

/// Decides about a proposal.
pub(crate) fn decide(
    store: &mut Store,
    number: u64,
    body: &[u8],
    decision: &str,
) -> Result<(), StoreError> {
    store.write(|write| {
        let entry = Entry::new(EntryKind::ProposalDecided, 9)
            .subject("proposal", sha256(body))
            .datum("decision", decision)
            .datum("number", number.to_string());
        let entry = write.append(entry)?;
        write.decide(number, decision, entry)
    })
}

/// Sets and removes keys in the storage of a package.
pub(crate) fn store_pairs(store: &mut Store, package: PackageId, changes: &[(&str, Option<&str>)]) {
    let bytes = |text: &str| text.as_bytes().to_vec();
    let changes: Vec<(Vec<u8>, Option<Vec<u8>>)> =
        changes.iter().map(|(key, value)| (bytes(key), value.map(bytes))).collect();
    store
        .write::<_, StoreError>(|write| {
            write.change_storage(&package, changes.iter().map(|(key, value)| (key, value)))?;
            write.tell_storage(8)
        })
        .unwrap();
}

/// A store with everything that a table holds: capsules of both sizes, a result, a view, proposals,
/// storage, a pruned body, a refused file, a blinded value and a checkpoint.
pub(crate) fn filled(directory: &Path) -> Store {
    let mut store = open(directory);
    let (mut author, genesis) = Author::start();
    put(&mut store, &genesis);
    let first = put(&mut store, &author.post("first"));
    put(&mut store, &author.large());
    put_result(&mut store, first, b"what came of it");
    refuse(&mut store, b"no capsule");
    put_view(&mut store, b"what came of all");
    propose(&mut store, &[b"one", b"two"]);
    decide(&mut store, 1, b"one", "approved").unwrap();
    store
        .write::<_, StoreError>(|write| {
            let (salt, value) = ([3; 32], b"/home/someone");
            let hidden = kapsule_format::log::blind(&salt, "path", value);
            let index = write.append(Entry::new(EntryKind::KeyUsed, 8).blinded("path", hidden))?;
            write.keep_personal(index, "path", &salt, value)
        })
        .unwrap();
    store.checkpoint(&log_key()).unwrap();
    put(&mut store, &author.post("last"));
    store.write::<_, StoreError>(|write| write.prune(&first, 9).map(drop)).unwrap();
    store_pairs(&mut store, PackageId::new(PACKAGE.into()), &[("k", Some("v")), ("l", Some("w"))]);
    store
}
