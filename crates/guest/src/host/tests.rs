use alloc::string::ToString;
use alloc::vec;

use minicbor::bytes::ByteArray;

use super::*;
use crate::test_host::{TestHost, with};

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
