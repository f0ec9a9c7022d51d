//! Capsules: writing, reading, tampering, and standing in a channel.

use kapsule_abi::ErrorCode;
use kapsule_format::DecodeError;
use kapsule_format::capsule::{
    Body, Capsule, CapsuleId, ChannelId, Comment, Draft, Finding, Held, Keyring, KeyringAt,
    OPEN_REFUSED, Post, Standing, Surroundings, kind, standing,
};
use kapsule_format::encrypt::{Identities, Recipient, generate};
use kapsule_format::key::{Identity, SecretKey, Suite};
use proptest::prelude::*;

/// Somebody with a signing key and an age key.
struct Person {
    secret: SecretKey,
    identity: Identity,
    age: String,
    recipient: Recipient,
}

impl Person {
    fn new(number: u8) -> Self {
        let secret = SecretKey::from_seed(Suite::Ed25519, &seed(number)).unwrap();
        let identity = Identity::try_from(secret.public().clone()).unwrap();
        let (age, recipient) = generate();
        Self { secret, identity, age: age.to_string(), recipient }
    }

    fn reads(&self) -> Identities {
        Identities::decode(&self.age).unwrap()
    }
}

/// A seed that is no published test key.
fn seed(number: u8) -> [u8; 32] {
    let mut seed = [number; 32];
    seed[31] ^= 0xff;
    seed
}

/// A channel with one owner and one member who reads.
struct Channel {
    owner: Person,
    member: Person,
    epoch_key: String,
    recipient: Recipient,
    genesis: Vec<u8>,
    at: KeyringAt,
}

impl Channel {
    fn new(change: impl FnOnce(&mut Keyring)) -> Self {
        let (owner, member) = (Person::new(1), Person::new(2));
        let (epoch_key, recipient) = generate();
        let mut keyring = Keyring::first(recipient.to_string(), owner.identity.clone());
        change(&mut keyring);
        let readers = [owner.recipient.clone(), member.recipient.clone()];
        let draft = Draft::genesis(owner.identity.clone(), 1_000, keyring, &epoch_key).unwrap();
        let genesis = draft.seal([7; 32], &readers).unwrap().sign([&owner.secret]).unwrap();
        let read = Capsule::decode(&genesis).unwrap();
        let at = KeyringAt { id: read.id(), keyring: read.meta().keyring.clone().unwrap() };
        let epoch_key = epoch_key.to_string();
        Self { owner, member, epoch_key, recipient, genesis, at }
    }

    fn id(&self) -> ChannelId {
        ChannelId::of_genesis(self.at.id)
    }

    fn post(&self, author: &Person, text: &str) -> Draft {
        let body = Body::Post(Post::plain(text));
        Draft::new(self.id(), author.identity.clone(), 0, 2_000, kind::POST, &body).unwrap()
    }

    fn seal(&self, draft: &Draft, author: &Person) -> Vec<u8> {
        let sealed = draft.seal([8; 32], std::slice::from_ref(&self.recipient)).unwrap();
        sealed.sign([&author.secret]).unwrap()
    }

    fn reads(&self) -> Identities {
        Identities::decode(&self.epoch_key).unwrap()
    }
}

/// Makes every check of a file that needs neither keys nor a store.
fn check(bytes: &[u8]) -> Result<CapsuleId, DecodeError> {
    let capsule = Capsule::decode(bytes)?;
    capsule.check_bound()?;
    capsule.meta().check_facts()?;
    let signatures = capsule.signatures([]);
    if let Some(error) = signatures.statement.clone().or(signatures.signature.clone()) {
        return Err(error);
    }
    signatures.check_own(&capsule.meta().author)?;
    capsule.check_links()?;
    Ok(capsule.id())
}

fn stands(bytes: &[u8], around: &Surroundings<'_>) -> Standing {
    let capsule = Capsule::decode(bytes).unwrap();
    let others = around.keyring.iter().flat_map(|at| &at.keyring.owners);
    let signatures = capsule.signatures(others.flat_map(|owner| owner.keys()));
    standing(capsule.meta(), &signatures, around)
}

fn code(finding: &Finding) -> Option<ErrorCode> {
    match finding {
        Finding::Pass => None,
        Finding::Fail(error) | Finding::NotDone(error) => Some(error.code),
    }
}

#[test]
fn a_channel_starts_and_members_learn_its_key() {
    let channel = Channel::new(|_| ());
    check(&channel.genesis).unwrap();
    let genesis = Capsule::decode(&channel.genesis).unwrap();
    assert_eq!(genesis.meta().encode(), genesis.container().index());
    assert_eq!(genesis.meta().channel_id(), channel.id());
    let found = stands(&channel.genesis, &Surroundings::default());
    assert_eq!((found.refusal(), found.waiting()), (None, None));
    let opened = genesis.open(&channel.member.reads()).unwrap();
    let Body::Keyring(epoch) = opened.body else { panic!("a keyring") };
    let reads = Identities::decode(&epoch.identity).unwrap();
    let post = channel.seal(&channel.post(&channel.owner, "hello"), &channel.owner);
    check(&post).unwrap();
    let opened = Capsule::decode(&post).unwrap().open(&reads).unwrap();
    assert_eq!(opened.body, Body::Post(Post::plain("hello")));
    let stranger = Capsule::decode(&post).unwrap().open(&Person::new(3).reads()).unwrap_err();
    assert_eq!((stranger.code, &*stranger.detail), (ErrorCode::KeyNotHeld, OPEN_REFUSED));
}

#[test]
fn a_payload_of_another_capsule_is_told_like_any_other_failure() {
    let channel = Channel::new(|_| ());
    let (one, two) = (channel.post(&channel.owner, "one"), channel.post(&channel.owner, "two"));
    let (meta, _) = one.plaintext([1; 32], vec![kapsule_format::stanza::StanzaType::X25519]);
    let (_, plaintext) = two.plaintext([1; 32], vec![kapsule_format::stanza::StanzaType::X25519]);
    let payload =
        kapsule_format::encrypt::encrypt(std::slice::from_ref(&channel.recipient), &plaintext)
            .unwrap();
    let sealed = kapsule_format::capsule::Sealed::new(meta, payload, None).unwrap();
    let moved = sealed.sign([&channel.owner.secret]).unwrap();
    check(&moved).unwrap();
    let error = Capsule::decode(&moved).unwrap().open(&channel.reads()).unwrap_err();
    assert_eq!((error.code, &*error.detail), (ErrorCode::BindingMismatch, OPEN_REFUSED));
}

#[test]
fn authors_stand_where_the_keyring_of_their_epoch_lets_them() {
    let writer = Person::new(4);
    let listed = writer.identity.id();
    let channel = Channel::new(|keyring| keyring.writers = vec![listed]);
    let around = Surroundings { keyring: Some(&channel.at), ..Surroundings::default() };
    let stranger = Person::new(5);
    let stands_as = |author: &Person| {
        let file = channel.seal(&channel.post(author, "hello"), author);
        code(&stands(&file, &around).authority)
    };
    assert_eq!(stands_as(&channel.owner), None);
    assert_eq!(stands_as(&writer), None);
    assert_eq!(stands_as(&stranger), Some(ErrorCode::AuthorNotAllowed));
    let file = channel.seal(&channel.post(&writer, "hello"), &writer);
    let found = stands(&file, &Surroundings::default());
    assert_eq!(found.waiting().map(|error| error.code), Some(ErrorCode::NotLookedAt));
}

#[test]
fn order_forks_and_ancestors_are_told_apart() {
    let channel = Channel::new(|_| ());
    let author = channel.owner.identity.id();
    let held = |seq| Held { id: channel.at.id, channel: channel.id(), author, seq };
    let mut draft = channel.post(&channel.owner, "second");
    (draft.seq, draft.back) = (1, Some(channel.at.id));
    let file = channel.seal(&draft, &channel.owner);
    check(&file).unwrap();
    let id = Capsule::decode(&file).unwrap().id();
    let other = CapsuleId::new(kapsule_format::hash::sha256(b"other"));
    let stands_in = |parents: &[Held], rivals: &[CapsuleId]| {
        let keyring = Some(&channel.at);
        stands(&file, &Surroundings { keyring, parents, rivals, ..Surroundings::default() })
    };
    let good = stands_in(&[held(0)], &[id]);
    assert_eq!((good.refusal(), good.waiting(), code(&good.fork)), (None, None, None));
    assert_eq!(code(&stands_in(&[], &[]).ancestors), Some(ErrorCode::AncestorAbsent));
    assert_eq!(code(&stands_in(&[held(1)], &[]).order), Some(ErrorCode::CapsuleSequence));
    let foreign = Held { author: Person::new(9).identity.id(), ..held(0) };
    assert_eq!(code(&stands_in(&[foreign], &[]).order), Some(ErrorCode::CapsuleSequence));
    let elsewhere = Held { channel: ChannelId::of_genesis(other), ..held(0) };
    assert_eq!(code(&stands_in(&[elsewhere], &[]).order), Some(ErrorCode::CapsuleSequence));
    assert_eq!(code(&stands_in(&[held(0)], &[other]).fork), Some(ErrorCode::CapsuleFork));
}

#[test]
fn a_comment_expires_when_its_author_said_so() {
    let channel = Channel::new(|_| ());
    let body = Body::Comment(Comment::on(channel.at.id, "yes"));
    let author = channel.owner.identity.clone();
    let mut draft = Draft::new(channel.id(), author, 0, 2_000, kind::COMMENT, &body).unwrap();
    draft.expiry_ms = Some(5_000);
    let file = channel.seal(&draft, &channel.owner);
    let at = |now_ms| {
        let around = Surroundings { keyring: Some(&channel.at), now_ms, ..Surroundings::default() };
        stands(&file, &around).expiry.as_ref().and_then(code)
    };
    assert_eq!(at(Some(5_000)), None);
    assert_eq!(at(Some(5_001)), Some(ErrorCode::Expired));
    assert_eq!(at(None), Some(ErrorCode::NotLookedAt));
}

#[test]
fn an_identity_does_not_lose_a_key() {
    let (one, two) = (Person::new(6), SecretKey::from_seed(Suite::P256, &seed(6)).unwrap());
    let keys = vec![one.secret.public().clone(), two.public().clone()];
    let both = Identity::new(keys).unwrap();
    let channel = Channel::new(|keyring| {
        keyring.owners.push(both.clone());
        keyring.owners.sort_by_key(Identity::id);
    });
    let file = channel.seal(&channel.post(&one, "half of me"), &one);
    let around = Surroundings { keyring: Some(&channel.at), ..Surroundings::default() };
    let found = stands(&file, &around);
    assert_eq!(code(&found.authority), Some(ErrorCode::AuthorNotAllowed));
    // An identity that the reader knows from elsewhere counts as much.
    let open = Channel::new(|_| ());
    let file = open.seal(&open.post(&one, "half of me"), &one);
    let known = [both];
    let asked = |identities| {
        let keyring = Some(&open.at);
        stands(&file, &Surroundings { keyring, identities, ..Surroundings::default() })
    };
    assert_eq!(code(&asked(&[]).authority), None);
    assert_eq!(code(&asked(&known).authority), Some(ErrorCode::AuthorNotAllowed));
}

#[test]
fn what_is_too_long_is_refused_before_it_is_read() {
    let bytes = vec![0; (1 << 26) + 1];
    assert_eq!(Capsule::decode(&bytes).unwrap_err().code, ErrorCode::LimitExceeded);
}

#[test]
fn a_text_without_a_form_is_not_written() {
    for (text, expect) in [
        ("tab\t".to_owned(), ErrorCode::CborNotCanonical),
        ("x".repeat(65_537), ErrorCode::LimitExceeded),
    ] {
        assert_eq!(Body::Post(Post::plain(text)).encode().unwrap_err().code, expect);
    }
}

#[test]
fn a_report_says_what_was_not_looked_at() {
    use kapsule_format::verify::{self, Artefact, CheckName, CheckResult, Level, Options};
    let channel = Channel::new(|_| ());
    let file = channel.seal(&channel.post(&channel.owner, "hello"), &channel.owner);
    let (reads, id) = (channel.reads(), Capsule::decode(&file).unwrap().id());
    let around = Surroundings { keyring: Some(&channel.at), ..Surroundings::default() };
    let report = |options: &Options<'_>, around: Option<&Surroundings<'_>>| {
        verify::capsule(&file, None, Some(1), options, around)
    };
    let not_done = |code| Some(CheckResult::NotDone(code));
    let alone = report(&Options::default(), None);
    assert_eq!((alone.artefact, alone.level), (Artefact::Capsule(id), Level::ProofOnly));
    assert_eq!(alone.result(CheckName::Authority), not_done(ErrorCode::NotLookedAt));
    assert_eq!(alone.result(CheckName::Opened), not_done(ErrorCode::KeyNotHeld));
    assert_eq!(alone.result(CheckName::Fork), not_done(ErrorCode::NotLookedAt));
    let options = Options { decrypt: Some(&reads), ..Options::default() };
    let own = [id];
    let asked = report(&options, Some(&Surroundings { rivals: &own, ..around }));
    for name in [CheckName::Authority, CheckName::Opened, CheckName::Fork, CheckName::Links] {
        assert_eq!(asked.result(name), Some(CheckResult::Pass), "{name}");
    }
    let demanding = Options { require: vec![CheckName::Log], ..Options::default() };
    let demanded = report(&demanding, Some(&around));
    assert_eq!(demanded.error_code, Some(ErrorCode::LogProofMissing));
}

/// Everything public is in the metadata, and nothing of the body is in the file.
#[test]
fn a_file_tells_nothing_of_its_body_but_a_class_of_lengths() {
    let channel = Channel::new(|_| ());
    let length = |text: &str| channel.seal(&channel.post(&channel.owner, text), &channel.owner);
    let secret = "a rather unlikely sequence of words";
    let file = length(secret);
    assert!(!file.windows(secret.len()).any(|part| part == secret.as_bytes()));
    let read = Capsule::decode(&file).unwrap();
    let payload = |file: &[u8]| {
        let capsule = Capsule::decode(file).unwrap();
        // Stanzas of grease have random lengths; the rest behind the header is what counts.
        let payload = capsule.payload().unwrap().to_vec();
        let mac = payload.windows(4).rposition(|four| four == b"--- ").unwrap();
        payload.len() - mac
    };
    assert_eq!(payload(&length("yes")), payload(&length("no!!")));
    let other = Capsule::decode(&channel.genesis).unwrap();
    assert_ne!(read.meta().commitment, other.meta().commitment, "a salt hides equal bodies");
    let again = channel
        .post(&channel.owner, secret)
        .seal([9; 32], std::slice::from_ref(&channel.recipient));
    assert_ne!(again.unwrap().meta().commitment, read.meta().commitment);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What a writer says is what a reader finds, and every part of a file has one byte form.
    #[test]
    fn a_capsule_is_read_as_it_was_written(
        text in "[a-z0-9 \\n]{0,300}",
        flags in proptest::collection::btree_set("[a-z0-9][a-z0-9:.-]{0,31}", 0..=16),
        parents in proptest::collection::btree_set(any::<[u8; 32]>(), 0..=15),
        time_ms in 0..1_u64 << 53,
        seq in 0..1_u64 << 53,
        expiry_ms in proptest::option::of(0..1_u64 << 53),
    ) {
        let channel = Channel::new(|_| ());
        let mut draft = channel.post(&channel.owner, &text);
        draft.flags = flags.iter().rev().cloned().collect();
        draft.prev = parents.into_iter().rev().map(|id| CapsuleId::new(id.into())).collect();
        (draft.time_ms, draft.seq, draft.expiry_ms) = (time_ms, seq, expiry_ms);
        draft.back = (seq > 0).then_some(channel.at.id);
        let file = channel.seal(&draft, &channel.owner);
        let capsule = Capsule::decode(&file).unwrap();
        let meta = capsule.meta();
        prop_assert_eq!(meta.encode(), capsule.container().index());
        prop_assert_eq!(meta.id(), capsule.id());
        prop_assert_eq!(capsule.with_envelopes([]).unwrap(), file.clone());
        prop_assert_eq!((meta.time_ms, meta.seq, meta.expiry_ms), (time_ms, seq, expiry_ms));
        prop_assert!(meta.flags.iter().eq(&flags));
        prop_assert!(meta.prev.is_sorted() && draft.prev.iter().all(|id| meta.prev.contains(id)));
        let opened = capsule.open(&channel.reads()).unwrap();
        prop_assert_eq!(&opened.body, &Body::Post(Post::plain(text)));
        prop_assert_eq!(opened.body.encode().unwrap(), opened.bytes);
    }
}
