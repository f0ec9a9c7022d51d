//! What packages made of many capsules, and what agents proposed.

use kapsule_abi::ErrorCode;
use kapsule_format::capsule::kind;
use kapsule_format::hash::sha256;
use kapsule_format::key::IdentityId;
use kapsule_format::log::{Entry, EntryKind};
use kapsule_store::{Store, StoreError};

use crate::support::{Author, SCOPE, decide, filled, open, propose, put, put_view, view_row};

#[test]
fn a_view_is_kept_in_place_of_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    assert_eq!(store.view().computed("feed", &SCOPE).unwrap(), None);
    put_view(&mut store, b"first");
    let second = put_view(&mut store, b"second");
    let kept = store.view().computed("feed", &SCOPE).unwrap().unwrap();
    assert_eq!(kept, second);
    assert_eq!(store.view().output(&kept).unwrap(), b"second");
    assert_eq!(store.view().computed("other", &SCOPE).unwrap(), None);
    assert_eq!(store.check(None).unwrap(), []);
}

#[test]
fn a_view_holds_from_its_time_up_to_its_end() {
    let row = view_row(b"");
    let holds = |time| row.holds_at(time);
    assert_eq!([9, 10, 99, 100].map(holds), [false, true, true, false]);
}

#[test]
fn what_came_is_told_by_kind_and_channel() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    let (mut author, genesis) = Author::start();
    assert_eq!(store.view().last_number().unwrap(), 0);
    put(&mut store, &genesis);
    let before = store.view().last_number().unwrap();
    let first = put(&mut store, &author.post("one"));
    let second = put(&mut store, &author.post("two"));
    let view = store.view();
    let came = |kinds: &[&str], channel| view.came_since(before, channel, kinds).unwrap();
    assert!(came(&[kind::TRUST, kind::POST], Some(&author.channel)));
    assert!(came(&[kind::POST], None));
    assert!(!came(&[kind::TRUST, kind::KEYRING], None));
    let other = sha256(b"another channel").to_string().parse().unwrap();
    assert!(!came(&[kind::POST], Some(&other)));
    assert!(!view.came_since(view.last_number().unwrap(), None, &[kind::POST]).unwrap());
    let latest = |most| {
        let rows = view.latest(Some(&author.channel), None, kind::POST, most).unwrap();
        rows.into_iter().map(|row| row.id).collect::<Vec<_>>()
    };
    assert_eq!(latest(9), [second, first]);
    assert_eq!(latest(1), [second]);
    let identity = view.capsule(&second).unwrap().unwrap().author;
    let by = |author| view.latest(None, Some(&author), kind::POST, 9).unwrap().len();
    assert_eq!((by(identity), by(IdentityId::new(sha256(b"another author")))), (2, 0));
    let after = view.accepted_after(before, 9).unwrap();
    let after: Vec<_> = after.into_iter().map(|(number, row)| (number, row.id)).collect();
    assert_eq!(after, [(before + 1, first), (before + 2, second)]);
    let keyrings = view.all_keyrings().unwrap();
    assert_eq!(keyrings, view.of_kind(kind::KEYRING).unwrap());
    assert_eq!(keyrings.len(), 1);
    assert_eq!(view.last_of(&author.channel, &identity).unwrap(), Some((2, second)));
    assert!(view.is_followed(&first).unwrap() && !view.is_followed(&second).unwrap());
}

#[test]
fn a_proposal_is_decided_about_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    assert_eq!(propose(&mut store, &[b"one", b"two"]), [1, 2]);
    assert_eq!(store.view().proposals(true).unwrap().len(), 2);
    decide(&mut store, 1, b"one", "approved").unwrap();
    let waiting = store.view().proposals(true).unwrap();
    assert_eq!(waiting.iter().map(|row| row.number).collect::<Vec<_>>(), [2]);
    let decided = store.view().proposal(1).unwrap().unwrap();
    assert_eq!(decided.decision.as_deref(), Some("approved"));
    let before = store.head().unwrap();
    for number in [1, 3] {
        let error = decide(&mut store, number, b"one", "refused").unwrap_err();
        assert_eq!(error.code(), ErrorCode::WriteConflict);
    }
    assert_eq!(store.head().unwrap(), before, "nothing was written");
    assert_eq!(store.check(None).unwrap(), []);
}

#[test]
fn a_view_needs_an_entry_of_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let mut store: Store = filled(folder.path());
    store
        .write::<_, StoreError>(|write| {
            let index = write.append(Entry::new(EntryKind::KeyUsed, 9))?;
            write.put_view(&view_row(b"other"), b"other", index)
        })
        .unwrap();
    let found = store.check(None).unwrap();
    assert!(found.iter().any(|one| one.detail.contains("the view feed is not that")), "{found:?}");
}
