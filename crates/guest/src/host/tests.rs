use alloc::string::ToString;
use alloc::vec;

use minicbor::bytes::ByteArray;

use super::*;
use crate::test_host::{TestHost, with};
use crate::{Act, DagQuery, NetRequest, Network, Proposal};

#[test]
fn long_input_and_output_travel_in_chunks() {
    let bytes: Vec<u8> = (0..CHUNK_BYTES + 5).map(|index| (index % 251) as u8).collect();
    let host = TestHost { input: bytes.clone(), ..TestHost::default() };
    let ((), host) = with(host, || output(&input()));
    assert_eq!(host.buffer_bytes_max, CHUNK_BYTES);
    assert!(host.output == bytes, "output differs from input");
}

#[test]
fn input_is_read_from_an_offset() {
    let host = TestHost { input: b"abcdef".to_vec(), ..TestHost::default() };
    let (parts, _host) = with(host, || {
        let mut buffer = [0; 4];
        let inside = input_read(1, &mut buffer);
        let last = input_read(4, &mut buffer[..]);
        (inside, last, input_read(6, &mut buffer), buffer)
    });
    assert_eq!(parts, (4, 2, 0, *b"efde"));
}

#[test]
fn long_metadata_is_asked_for_again() {
    let metadata = CapsuleMetadata {
        kind: "post".to_string(),
        channel: None,
        author: ByteArray::from([1; 32]),
        seq: 3,
        parents: vec![ByteArray::from([2; 32]); 40],
        flags: vec!["promoted-ok".to_string()],
        time_ms: 5,
        logic: Some(ByteArray::from([6; 32])),
    };
    let encoded = minicbor::to_vec(&metadata).unwrap();
    assert!(encoded.len() > ANSWER_BYTES);
    let host = TestHost { metadata: vec![encoded], ..TestHost::default() };
    let (results, _host) = with(host, || (capsule_metadata(0), capsule_metadata(1)));
    assert_eq!(results, (Ok(metadata), Err(Errno::NotFound.into())));
}

#[test]
fn metadata_of_another_form_is_a_host_error() {
    let host = TestHost { metadata: vec![vec![0x80]], ..TestHost::default() };
    let (result, _host) = with(host, || capsule_metadata(0));
    assert_eq!(result.map_err(|error| error.code()), Err(Error::HOST));
}

#[test]
fn payload_is_read_whole_or_refused() {
    let host = TestHost { payloads: vec![Some(vec![7; 3]), None], ..TestHost::default() };
    let (results, _host) = with(host, || [0, 1, 2].map(capsule_payload));
    assert_eq!(results, [Ok(vec![7; 3]), Err(Errno::KeyNotHeld), Err(Errno::NotFound)]);
}

#[test]
fn results_are_submitted_as_deterministic_cbor() {
    let result = CapsuleResult {
        score: Some(1_000),
        verdict: None,
        labels: Some(vec!["new".to_string()]),
        state: None,
    };
    let host = TestHost { metadata: vec![vec![0xa0]], ..TestHost::default() };
    let (results, host) =
        with(host, || (submit_capsule_result(0, &result), submit_capsule_result(1, &result)));
    assert_eq!(results, (Ok(()), Err(Errno::NotFound)));
    assert_eq!(host.results[&0], b"\xa2\x00\x19\x03\xe8\x02\x81\x63new");
    assert_eq!(crate::kcbor::validate(&host.results[&0]), Ok(()));
}

#[test]
fn scores_come_with_their_errors() {
    let host = TestHost { scores: [(vec![9; 32], 250_000)].into(), ..TestHost::default() };
    let (results, _host) =
        with(host, || (trust_score(&[9; 32]), trust_score(&[8; 32]), trust_score(&[])));
    assert_eq!(results, (Ok(250_000), Err(Errno::NotFound), Err(Errno::InvalidArgument)));
}

#[test]
fn edges_are_read_page_by_page() {
    let edge = |index: u8| TrustEdge {
        from: ByteArray::from([index; 32]),
        to: ByteArray::from([0; 32]),
        weight_ppm: 1_000_000,
        blocked: index % 2 == 1,
        time_ms: 1_700_000_000_000,
    };
    let edges: Vec<TrustEdge> = (0..=255).cycle().take(1_000).map(edge).collect();
    let host = TestHost { edges: edges.clone(), ..TestHost::default() };
    let (result, _host) = with(host, trust_edges);
    assert!(result == Ok(edges), "edges differ");
}

#[test]
fn buffers_that_cannot_be_split_are_refused_before_the_call() {
    let long = vec![0; CHUNK_BYTES + 1];
    let refused = Err(Errno::InvalidArgument);
    let ((), _host) = with(TestHost::default(), || {
        assert_eq!(hash(HashAlgorithm::Sha256, &long), Err(Errno::InvalidArgument));
        assert_eq!(trust_score(&long), Err(Errno::InvalidArgument));
        assert_eq!(signature_verify(1, &long, &[], &[]), refused);
        assert_eq!(signature_verify(1, &[], &long, &[]), refused);
        assert_eq!(signature_verify(1, &[], &[], &long), refused);
    });
}

#[test]
fn signature_answers_are_three() {
    for (answer, expect) in [(1, Ok(true)), (0, Ok(false)), (-3, Err(Errno::Unsupported))] {
        let host = TestHost { signature_result: answer, ..TestHost::default() };
        let (result, _host) = with(host, || signature_verify(1, &[1], &[2], &[3]));
        assert_eq!(result, expect);
    }
}

#[test]
fn random_fills_long_buffers() {
    let (bytes, host) = with(TestHost { now_ms: 77, ..TestHost::default() }, || {
        let mut bytes = vec![0; CHUNK_BYTES + 1];
        random(&mut bytes);
        (bytes, now_ms())
    });
    assert_eq!((bytes.1, host.buffer_bytes_max), (77, CHUNK_BYTES));
    assert!(bytes.0.iter().all(|byte| *byte == 4));
}

#[test]
fn storage_is_a_map_of_its_own() {
    let stored = TestHost {
        storage: [(b"b".to_vec(), vec![7; ANSWER_BYTES + 1]), (b"d".to_vec(), vec![])].into(),
        ..TestHost::default()
    };
    let ((), host) = with(stored, || {
        assert_eq!(kv::get(b"b"), Ok(Some(vec![7; ANSWER_BYTES + 1])));
        assert_eq!(kv::get(b"c"), Ok(None));
        assert_eq!(kv::set(b"c", b"new"), Ok(()));
        assert_eq!((kv::delete(b"d"), kv::delete(b"d")), (Ok(true), Ok(false)));
        assert_eq!(kv::next(b""), Ok(Some(b"b".to_vec())));
        assert_eq!(kv::next(b"b"), Ok(Some(b"c".to_vec())));
        assert_eq!(kv::next(b"c"), Ok(None));
        for key in [&[][..], &[1; 257]] {
            assert_eq!(kv::get(key), Err(Errno::InvalidArgument));
            assert_eq!(kv::set(key, b"x"), Err(Errno::InvalidArgument));
            assert_eq!(kv::delete(key), Err(Errno::InvalidArgument));
        }
        let long = vec![0; CHUNK_BYTES];
        assert_eq!(kv::set(b"c", &long), Err(Errno::InvalidArgument));
    });
    assert_eq!(host.storage.keys().collect::<Vec<_>>(), [b"b", b"c"]);
}

#[test]
fn the_dag_is_read_page_by_page() {
    let metadata = |index: u16| CapsuleMetadata {
        kind: if index.is_multiple_of(2) { "post" } else { "comment" }.to_string(),
        channel: None,
        author: ByteArray::from([1; 32]),
        seq: u64::from(index),
        parents: if index == 0 { vec![] } else { vec![ByteArray::from(id(0))] },
        flags: vec![],
        time_ms: u64::from(index),
        logic: None,
    };
    fn id(index: u16) -> [u8; 32] {
        let mut id = [0; 32];
        id[..2].copy_from_slice(&index.to_be_bytes());
        id
    }
    let dag = (0..2_500).map(|index| (id(index), metadata(index))).collect();
    let ((), _host) = with(TestHost { dag, ..TestHost::default() }, || {
        assert_eq!(dag::metadata(&id(3)), Ok(metadata(3)));
        assert_eq!(dag::metadata(&[255; 32]), Err(Errno::NotFound.into()));
        let children: Vec<_> = (1..2_500).map(|index| ByteArray::from(id(index))).collect();
        assert!(dag::children(&id(0)) == Ok(children), "children differ");
        assert_eq!(dag::children(&id(1)), Ok(vec![]));
        let query = DagQuery {
            kind: Some("post".to_string()),
            from_ms: Some(3),
            until_ms: Some(6),
            ..DagQuery::default()
        };
        assert_eq!(dag::query(&query), Ok(vec![id(4).into(), id(6).into()]));
    });
}

#[test]
fn files_are_read_whole_and_replaced() {
    let long: Vec<u8> = (0..CHUNK_BYTES + 9_000).map(|index| (index % 251) as u8).collect();
    let files = [(b"/long".to_vec(), long.clone()), (b"/empty".to_vec(), vec![])].into();
    let ((), host) = with(TestHost { files, ..TestHost::default() }, || {
        assert!(files::read("/long") == Ok(long), "the file differs");
        assert_eq!(files::read("/empty"), Ok(vec![]));
        assert_eq!(files::read("/absent"), Err(Errno::NotFound));
        assert_eq!(files::write("/new", b"text"), Ok(()));
        assert_eq!(files::write("/n", &vec![0; CHUNK_BYTES]), Err(Errno::InvalidArgument));
    });
    assert_eq!(host.files[&b"/new"[..]], b"text");
}

#[test]
fn proposals_are_deterministic_cbor() {
    let acts = [
        Act::Publish {
            kind: "comment".to_string(),
            channel: Some(ByteArray::from([2; 32])),
            parents: vec![ByteArray::from([3; 32])],
            flags: vec!["new".to_string()],
            body: b"text".to_vec().into(),
        },
        Act::Run {
            package: ByteArray::from([4; 32]),
            entry: "run".to_string(),
            input: b"in".to_vec().into(),
        },
        Act::Notify { text: "done".to_string() },
        Act::Notify { text: "too much".to_string() },
    ];
    let proposals = acts.map(|act| Proposal { cost: 300, act });
    let host = TestHost { proposals_max: 3, ..TestHost::default() };
    let (indices, host) = with(host, || proposals.map(|proposal| propose(&proposal)));
    assert_eq!(indices, [Ok(0), Ok(1), Ok(2), Err(Errno::Refused)]);
    assert!(host.proposals.iter().all(|bytes| crate::kcbor::validate(bytes).is_ok()));
    assert_eq!(host.proposals[2], b"\xa3\x00\x02\x01\x19\x01\x2c\x02\x64done");
}

#[test]
fn a_called_package_tells_how_it_ended() {
    let callee = crate::test_host::Callee { fuel: 9, class: 0, detail: 2, output: vec![5; 3] };
    let callees = [(([1; 32], b"run".to_vec()), callee)].into();
    let ((), _host) = with(TestHost { callees, ..TestHost::default() }, || {
        let called = call(&[1; 32], "run", b"", 3).unwrap();
        assert!(!called.is_success());
        assert_eq!((called.fuel, called.class, called.detail), (9, 0, 2));
        assert_eq!((called.output_bytes, called.output), (3, Some(vec![5; 3])));
        let cut = call(&[1; 32], "run", b"", 2).unwrap();
        assert_eq!((cut.output_bytes, cut.output), (3, None));
        assert_eq!(call(&[2; 32], "run", b"", 0), Err(Errno::NotFound));
        assert_eq!(call(&[1; 32], "run", b"", CHUNK_BYTES), Err(Errno::InvalidArgument));
    });
}

#[test]
fn network_requests_are_answered_or_refused() {
    let request = NetRequest {
        network: Network::Clearnet,
        host: "localhost".to_string(),
        port: 80,
        bytes: b"hello".to_vec().into(),
    };
    let encoded = minicbor::to_vec(&request).unwrap();
    assert_eq!(crate::kcbor::validate(&encoded), Ok(()));
    let net_answers = [(encoded, b"answer".to_vec())].into();
    let ((), _host) = with(TestHost { net_answers, ..TestHost::default() }, || {
        assert_eq!(net_request(&request, 100), Ok(b"answer".to_vec()));
        assert_eq!(net_request(&request, 3), Ok(b"ans".to_vec()));
        let other = NetRequest { port: 81, ..request.clone() };
        assert_eq!(net_request(&other, 100), Err(Errno::Refused));
        assert_eq!(net_request(&request, CHUNK_BYTES + 1), Err(Errno::InvalidArgument));
    });
}
