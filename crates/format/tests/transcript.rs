//! Transcripts: files, commitments, heads and state hashes.

use kapsule_abi::{ErrorCode, Limit, Outcome, Rule, Trap};
use kapsule_format::cbor;
use kapsule_format::hash::{Tag, sha256, tagged};
use kapsule_format::package::{CoreHash, PackageId};
use kapsule_format::policy::Policy;
use kapsule_format::transcript::{
    EXCHANGE_BYTES_MAX, End, Entries, Entry, Header, State, StateHash, Transcript, ZERO_HEAD,
    empty_storage_root, globals_hash, input_commitment, memory_root, next_head, output_commitment,
    root,
};
use proptest::prelude::*;

fn header() -> Header {
    Header {
        capsule_hash: PackageId::new([1; 32].into()),
        core_hash: CoreHash::new([2; 32].into()),
        abi: "kapsule_v1".into(),
        profile: "integer-1".into(),
        metering: "fuel-1 stack-1 meter-1".into(),
        entry: "run".into(),
        fuel: 1_000_000,
        memory_bytes: 65_536,
        policy: Policy::default(),
        seed: [3; 32],
        extensions: Vec::new(),
    }
}

fn end() -> End {
    End {
        storage_root: None,
        outcome: Outcome::Completed(0),
        fuel_used: 5,
        state_hash: StateHash::new([4; 32].into()),
        output: output_commitment(None, b""),
        output_bytes: 0,
        extensions: Vec::new(),
    }
}

fn entry(request: &[u8]) -> Entry<'_> {
    Entry { hostcall: 3, fuel: 16, status: 0, request, response: &[0; 8] }
}

#[test]
fn the_format_name_stands_at_offset_7() {
    let file =
        Transcript { header: header(), entries: Entries::default(), end: end() }.encode().unwrap();
    assert_eq!(&file[7..27], b"kapsule/transcript/1");
}

#[test]
fn an_exchange_has_a_greatest_length() {
    let transcript = |length| {
        let entries = [entry(&vec![0; length])].into_iter().collect();
        Transcript { header: header(), entries, end: end() }.encode().unwrap()
    };
    assert!(Transcript::decode(&transcript(EXCHANGE_BYTES_MAX)).is_ok());
    let error = Transcript::decode(&transcript(EXCHANGE_BYTES_MAX + 1)).unwrap_err();
    assert_eq!(error.code, ErrorCode::LimitExceeded);
}

#[test]
fn commitments_are_tagged_hashes_over_salt_and_value() {
    assert_eq!(input_commitment(None, b"abc"), tagged(Tag::ExecInput, &[b"", b"abc"]));
    assert_eq!(output_commitment(None, b"abc"), tagged(Tag::ExecOutput, &[b"", b"abc"]));
    let seed = [7; 32];
    let salt = kapsule_format::hash::salt(&seed, "input", 0);
    let hidden = input_commitment(Some(&seed), b"abc");
    assert_eq!(hidden, tagged(Tag::ExecInput, &[&salt, b"abc"]));
    let leaf = cbor::decode(&entry(b"q").leaf(9, Some(&seed))).unwrap();
    let request = tagged(Tag::ExecRequest, &[&kapsule_format::hash::salt(&seed, "req", 9), b"q"]);
    let cbor::Value::Map(members) = leaf else { panic!("a leaf is a map") };
    assert_eq!(members[0], (0, 9_u64.into()));
    assert_eq!(members[4].1, cbor::Value::Array(vec![request.into(), 1_u64.into()]));
}

#[test]
fn root_and_head_bind_order_and_position() {
    let entries = [entry(&[1]), entry(&[2]), entry(&[3])];
    let root_of = |places: &[usize]| {
        let chosen: Entries = places.iter().map(|place| entries[*place]).collect();
        root(&chosen, None)
    };
    assert_ne!(root_of(&[0, 1, 2]), root_of(&[1, 0, 2]));
    assert_ne!(root_of(&[0, 1, 2]), root_of(&[0, 1]));
    assert_eq!(root_of(&[]), sha256(b""));
    let leaf = entries[0].leaf(0, None);
    let head = next_head(&ZERO_HEAD, &leaf);
    assert_eq!(head, tagged(Tag::ExecTranscript, &[&[0; 32], &leaf]));
}

#[test]
fn a_state_hash_binds_each_of_its_parts() {
    let memory = vec![0; 2 * 65_536];
    let state = State {
        pages: 2,
        memory_root: memory_root(&memory),
        globals_hash: globals_hash(&[&5_u32.to_be_bytes(), &6_u64.to_be_bytes()]),
        storage_root: empty_storage_root(),
    };
    // Computed by the script that made the transcript vectors.
    let one_page = State {
        pages: 1,
        memory_root: memory_root(&memory[..65_536]),
        globals_hash: globals_hash(&[]),
        ..state
    };
    assert_eq!(
        one_page.hash().to_string(),
        "c5c60c5bf78924418f797b6d1816cc7efe0d2bcba9a5b37b3032e5d6707f58da"
    );
    let other = sha256(b"other");
    for changed in [
        State { pages: 3, ..state },
        State { memory_root: other, ..state },
        State { globals_hash: other, ..state },
        State { storage_root: other, ..state },
    ] {
        assert_ne!(changed.hash(), state.hash());
    }
    assert_ne!(globals_hash(&[&[0; 4], &[0; 4]]), globals_hash(&[&[0; 8]]));
}

#[test]
fn entries_are_found_again_in_whichever_buffer_they_lie() {
    // Short ones, those that end and begin a buffer, and one longer than any buffer.
    let sizes = [0, 1, 511, 512, 513, 40, 1 << 16, 3, (1 << 16) - 1, 1 << 20, 7, 0, 30_000, 40_000];
    let bytes: Vec<(Vec<u8>, Vec<u8>)> = (0..500_usize)
        .zip(0_u8..=250_u8)
        .map(|(place, byte)| (vec![byte; sizes[place % sizes.len()] / 2], vec![!byte; place]))
        .collect();
    let list: Vec<Entry<'_>> = (0_u64..)
        .zip(&bytes)
        .map(|(n, (request, response))| {
            let (hostcall, fuel, status) = (n % 26, n * 1_000, n % 3);
            Entry { hostcall, fuel, status, request, response }
        })
        .collect();
    let entries: Entries = list.iter().copied().collect();
    assert!(entries.iter().eq(list.iter().copied()));
    for (place, entry) in list.iter().enumerate() {
        assert_eq!(entries.get(place), Some(*entry), "entry {place}");
    }
    assert_eq!((entries.len(), entries.get(list.len())), (list.len(), None));
}

#[test]
fn a_draft_is_the_entry_that_it_says() {
    let response = [&[7_u8; 8][..], b"abc"].concat();
    let entry = Entry { hostcall: 2, fuel: 9, status: 1, request: &[1; 16], response: &response };
    let pushed: Entries = [entry].into_iter().collect();
    let mut written = Entries::default();
    // What a draft says of its length is a hint; one that is dropped leaves nothing.
    for (hint, finished) in [(1_000, false), (0, true)] {
        let mut draft = written.begin(hint);
        draft.bytes(&[1; 16]);
        draft.respond();
        draft.word(u64::from_le_bytes([7; 8]));
        draft.bytes(b"abc");
        if finished {
            draft.finish(2, 9, 1);
        }
    }
    assert_eq!((written.len(), &written), (1, &pushed));
    assert_eq!(written.get(0), Some(entry));
    assert_ne!(written, Entries::default());
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        any::<u32>().prop_map(Outcome::Completed),
        proptest::sample::select(&Trap::ALL[..]).prop_map(Outcome::Trapped),
        proptest::sample::select(&Limit::ALL[..]).prop_map(Outcome::LimitReached),
        proptest::sample::select(&[Rule::Policy, Rule::Argument][..]).prop_map(Outcome::Denied),
    ]
}

fn entries() -> impl Strategy<Value = Entries> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..40);
    let entry = (1_u64..15, 0_u64..1 << 53, 0_u64..8, bytes(), bytes());
    proptest::collection::vec(entry, 0..6).prop_map(|list| {
        let mut entries = Entries::default();
        for (place, (hostcall, fuel, status, request, response)) in list.iter().enumerate() {
            let (hostcall, fuel, status) = (*hostcall, *fuel, *status);
            let entry = Entry { hostcall, fuel, status, request, response };
            entries.push(&entry);
            assert_eq!(entries.get(place), Some(entry));
        }
        assert_eq!(entries.iter().len(), list.len());
        entries
    })
}

proptest! {
    #[test]
    fn decoding_what_was_encoded_is_the_identity(
        entries in entries(),
        outcome in outcomes(),
        seed in any::<[u8; 32]>(),
        extension in proptest::option::of(64_u64..=65_535),
    ) {
        let extensions: Vec<_> = extension.map(|key| (key, true.into())).into_iter().collect();
        let header = Header { seed, extensions: extensions.clone(), ..header() };
        let end = End { outcome, extensions, ..end() };
        let transcript = Transcript { header, entries, end };
        prop_assert_eq!(Transcript::decode(&transcript.encode().unwrap()).unwrap(), transcript);
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        cut in 0_usize..400,
    ) {
        prop_assert!(Transcript::decode(&bytes).is_err());
        let entries = [entry(&[])].into_iter().collect();
        let mut file = Transcript { header: header(), entries, end: end() }.encode().unwrap();
        file.truncate(cut.min(file.len() - 1));
        prop_assert!(Transcript::decode(&file).is_err());
        file.extend(&bytes);
        let _ = Transcript::decode(&file);
    }
}
