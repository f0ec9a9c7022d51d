//! What each hostcall does, on every backend.

use kapsule_abi::{Errno, Outcome};
use kapsule_engine::{CapsuleMetadata, CapsuleResult, MemoryHost};
use kapsule_format::cbor::{self, Value};
use kapsule_format::hash::{sha3_256, sha256};
use kapsule_format::key::{Identity, PublicKey, SecretKey, Suite};
use kapsule_format::random::Random;

use crate::support::*;

const OK: Outcome = Outcome::Completed(0);

/// Returns the outcome of an entry that returns this result.
const fn returned(value: i32) -> Outcome {
    Outcome::Completed(value.cast_unsigned())
}

/// Body that appends `len` bytes at address 0 to the output, after `body`, and returns `result`.
fn then_write(body: &str, len: usize) -> String {
    format!("{body} (drop (call $output_write (i32.const 0) (i32.const {len})))")
}

#[test]
fn input_len_tells_the_number_of_input_bytes() {
    check(&["input_len"], "(i32.wrap_i64 (call $input_len))", returned(10), b"");
}

#[test]
fn input_read_copies_what_there_is() {
    for (offset, len, expect) in [
        (0_i64, 4, "0123"),
        (8, 4, "89"),
        (0, 64, "0123456789"),
        (10, 4, ""),
        (11, 4, ""),
        (-1, 4, ""),
        (0, 0, ""),
    ] {
        let count = expect.len();
        let read =
            format!("(call $input_read (i64.const {offset}) (i32.const 0) (i32.const {len}))");
        let body = then_write(&read, count);
        let run = check(
            &["input_read", "output_write"],
            &body,
            returned(i32::try_from(count).unwrap()),
            expect.as_bytes(),
        );
        assert_eq!(run.usage.bytes_in, count as u64);
        assert_eq!(run.usage.bytes_out, count as u64);
    }
}

#[test]
fn output_write_appends() {
    let write = "(call $output_write (i32.const 1024) (i32.const 3))";
    let body = format!("(drop {write}) (drop {write}) {write}");
    let run = check_data(&["output_write"], b"abc", &body, OK, b"abcabcabc");
    assert_eq!(run.usage.hostcalls, [(3, 3)].into());
}

#[test]
fn log_keeps_lines_with_their_level() {
    let body = "(call $log (i32.const 0) (i32.const 1024) (i32.const 3))
                (call $log (i32.const 4) (i32.const 1025) (i32.const 1))
                (i32.const 0)";
    let run = check_data(&["log"], b"a\xffc", body, OK, b"");
    let lines: Vec<(u8, &[u8])> = run.logs.iter().map(|line| (line.level, line.bytes)).collect();
    assert_eq!(lines, [(0, &b"a\xffc"[..]), (4, &b"\xff"[..])]);
    assert_eq!(run.usage.log_bytes, 4);
    assert!(entries(&run).iter().all(|entry| entry.response.is_empty()));
}

#[test]
fn an_empty_buffer_is_not_looked_at() {
    let body = "(drop (call $output_write (i32.const -1) (i32.const 0)))
                (call $log (i32.const 2) (i32.const 65536) (i32.const 0))
                (call $random (i32.const -7) (i32.const 0))
                (call $input_read (i64.const 0) (i32.const -1) (i32.const 0))";
    check(&["output_write", "log", "random", "input_read"], body, OK, b"");
}

fn metadata_call(index: i32, len: usize) -> String {
    format!("(call $get_capsule_metadata (i32.const {index}) (i32.const 0) (i32.const {len}))")
}

#[test]
fn get_capsule_metadata_gives_the_closed_map() {
    let expect = Value::Map(vec![
        (0, "post".into()),
        (1, Value::Bytes(vec![3; 32])),
        (2, Value::Bytes(vec![4; 32])),
        (3, 77_u64.into()),
        (4, Value::Array(vec![Value::Bytes(vec![5; 32])])),
        (5, Value::Array(vec!["nsfw".into(), "promoted".into()])),
        (6, 1_600_000_000_000_u64.into()),
        (7, Value::Bytes(vec![6; 32])),
    ]);
    let bytes = cbor::encode(&expect);
    let len = bytes.len();
    let body = then_write(&metadata_call(0, len), len);
    let imports = ["get_capsule_metadata", "output_write"];
    check(&imports, &body, returned(i32::try_from(len).unwrap()), &bytes);
    let genesis = CapsuleMetadata { channel: None, logic: None, ..metadata() }.encode();
    let body = then_write(&metadata_call(1, 4096), genesis.len());
    check(&imports, &body, returned(i32::try_from(genesis.len()).unwrap()), &genesis);
}

#[test]
fn get_capsule_metadata_tells_the_needed_length() {
    let needed = metadata().encode().len();
    let short = needed - 1;
    let body = then_write(&metadata_call(0, short), short);
    let imports = ["get_capsule_metadata", "output_write"];
    check(&imports, &body, returned(i32::try_from(needed).unwrap()), &vec![0; short]);
}

#[test]
fn an_unknown_capsule_is_not_found() {
    for index in [2, -1] {
        let calls = [
            ("get_capsule_metadata", metadata_call(index, 9)),
            (
                "capsule_payload_len",
                format!("(i32.wrap_i64 (call $capsule_payload_len (i32.const {index})))"),
            ),
            (
                "capsule_payload_read",
                format!(
                    "(call $capsule_payload_read (i32.const {index}) (i64.const 0) (i32.const 0)
                     (i32.const 9))"
                ),
            ),
            (
                "submit_capsule_result",
                format!(
                    "(call $submit_capsule_result (i32.const {index}) (i32.const 1024)
                     (i32.const 1))"
                ),
            ),
        ];
        for (name, body) in calls {
            let run = check_data(&[name], b"\xa0", &body, returned(Errno::NotFound as i32), b"");
            assert_eq!(statuses(&run), [1]);
        }
    }
}

#[test]
fn capsule_payload_is_paged() {
    let imports = ["capsule_payload_read", "output_write"];
    for (offset, expect) in [(0_i64, "payload "), (11, "zero"), (15, ""), (-1, "")] {
        let read = format!(
            "(call $capsule_payload_read (i32.const 0) (i64.const {offset}) (i32.const 0)
             (i32.const 8))"
        );
        let count = expect.len();
        let body = then_write(&read, count);
        check(&imports, &body, returned(i32::try_from(count).unwrap()), expect.as_bytes());
    }
    let body = "(i32.wrap_i64 (call $capsule_payload_len (i32.const 0)))";
    check(&["capsule_payload_len"], body, returned(15), b"");
}

#[test]
fn a_payload_without_its_key_is_refused() {
    let expect = returned(Errno::KeyNotHeld as i32);
    let body = "(i32.wrap_i64 (call $capsule_payload_len (i32.const 1)))";
    check(&["capsule_payload_len"], body, expect, b"");
    let body = "(call $capsule_payload_read (i32.const 1) (i64.const 0) (i32.const 0)
                (i32.const 4))";
    check(&["capsule_payload_read"], body, expect, b"");
}

fn submit(index: u32, len: usize) -> String {
    format!("(call $submit_capsule_result (i32.const {index}) (i32.const 1024) (i32.const {len}))")
}

#[test]
fn submit_capsule_result_replaces_the_first() {
    let result = CapsuleResult {
        score: Some(999_999),
        verdict: Some("keep".into()),
        labels: Some(vec!["spam".into()]),
        state: Some(vec![1, 2]),
    };
    let bytes = result.encode();
    let body = format!("(drop {}) {}", submit(0, bytes.len()), submit(0, bytes.len()));
    let case = Case::with_data(&["submit_capsule_result"], &bytes, &body);
    let mut before = host();
    before.results.insert(0, CapsuleResult::default());
    let (run, after) = case.run_with(&before);
    assert_eq!(run.outcome, OK);
    assert_eq!(after, MemoryHost { results: [(0, result)].into(), ..host() });
}

#[test]
fn submit_capsule_result_takes_the_closed_map_only() {
    let malformed: [&[u8]; 6] = [
        b"",                 // nothing
        b"\x01",             // not a map
        b"\xa1\x04\x00",     // unlisted key
        b"\xa1\x18\x40\x00", // extension key in a closed map
        b"\xa1\x00\x20",     // negative score
        b"\xa1\x00\x18\x01", // integer in a long form
    ];
    for bytes in malformed {
        let case = Case::with_data(&["submit_capsule_result"], bytes, &submit(0, bytes.len()));
        let (run, after) = case.run_with(&host());
        assert_eq!(run.outcome, returned(Errno::Malformed as i32), "{bytes:02x?}");
        assert_eq!(after.results, host().results);
    }
}

fn score(len: usize) -> String {
    format!("(i32.wrap_i64 (call $get_trust_score (i32.const 1024) (i32.const {len})))")
}

#[test]
fn get_trust_score_takes_an_identity_or_a_key() {
    let secret = SecretKey::from_seed(Suite::Ed25519, &[7; 32]).unwrap();
    let key = [&[1], secret.public().as_bytes()].concat();
    let alone = Identity::new(vec![secret.public().clone()]).unwrap().id();
    let keyed = |key: &PublicKey| [&[key.suite().number()], key.as_bytes()].concat();
    let public = |suite| SecretKey::from_seed(suite, &[7; 32]).unwrap().public().clone();
    let (p256, mldsa44) = (public(Suite::P256), public(Suite::MlDsa44));
    let mut host = host();
    host.scores.insert(alone, 42);
    host.scores.insert(Identity::try_from(p256.clone()).unwrap().id(), 43);
    for (argument, expect) in [
        (vec![4; 32], 123_456),
        (vec![5; 32], Errno::NotFound as i32),
        (key.clone(), 42),
        ([&[2], &key[1..]].concat(), Errno::InvalidArgument as i32),
        (keyed(&p256), 43),
        // A key of an additive suite alone is nobody.
        (keyed(&mldsa44), Errno::InvalidArgument as i32),
        ([&key[..], &[0]].concat(), Errno::InvalidArgument as i32),
        ([&[1], &[0; 32][..]].concat(), Errno::InvalidArgument as i32),
        (vec![4; 31], Errno::InvalidArgument as i32),
        (vec![], Errno::InvalidArgument as i32),
    ] {
        let case = Case::with_data(&["get_trust_score"], &argument, &score(argument.len()));
        let (run, _) = case.run_with(&host);
        assert_eq!(run.outcome, returned(expect), "{argument:02x?}");
    }
}

fn edges(cursor: i64, len: usize) -> String {
    format!("(call $trust_edges (i64.const {cursor}) (i32.const 0) (i32.const {len}))")
}

#[test]
fn trust_edges_pages_whole_edges() {
    let value = |byte: u8| {
        let edge = edge(byte);
        Value::Array(vec![
            Value::Bytes(edge.from.as_bytes().to_vec()),
            Value::Bytes(edge.to.as_bytes().to_vec()),
            edge.weight_ppm.into(),
            edge.blocked.into(),
            edge.time_ms.into(),
        ])
    };
    let page =
        |bytes: &[u8]| cbor::encode(&Value::Array(bytes.iter().map(|byte| value(*byte)).collect()));
    let (one, two, all) = (page(&[10]), page(&[10, 11]), page(&[10, 11, 12]));
    let imports = ["trust_edges", "output_write"];
    for (cursor, len, expect) in [
        (0, 4096, &all),
        (0, all.len(), &all),
        (0, all.len() - 1, &two),
        (0, one.len(), &one),
        (1, 4096, &page(&[11, 12])),
        (2, 4096, &page(&[12])),
        (3, 4096, &Vec::new()),
        (i64::MAX, 4096, &Vec::new()),
    ] {
        let count = i32::try_from(expect.len()).unwrap();
        let body = then_write(&edges(cursor, len), expect.len());
        check(&imports, &body, returned(count), expect);
    }
    for len in [0, 1, one.len() - 1] {
        let body = then_write(&edges(0, len), len);
        let needed = returned(i32::try_from(one.len()).unwrap());
        check(&imports, &body, needed, &vec![0; len]);
    }
    check(&imports, &edges(-1, 4096), returned(Errno::InvalidArgument as i32), b"");
}

#[test]
fn trust_edges_counts_the_array_head_at_every_width() {
    let mut host = host();
    host.edges = vec![edge(10); 300];
    for (count, head) in [(23, 1), (24, 2), (255, 2), (256, 3)] {
        let exact = head + count * edge_bytes();
        for (len, fitting) in [(exact, count), (exact - 1, count - 1)] {
            let case = Case::body(&["trust_edges"], &edges(0, len));
            let (run, _) = case.run_with(&host);
            let head = match fitting {
                0..24 => 1,
                24..256 => 2,
                _ => 3,
            };
            let expect = i32::try_from(head + fitting * edge_bytes()).unwrap();
            assert_eq!(run.outcome, returned(expect), "{len}");
        }
    }
}

/// Returns the length of one edge of the test host within a page.
fn edge_bytes() -> usize {
    // Head of the array; two heads and ids; weight in 5 bytes, flag, time in 9.
    1 + 2 * (2 + 32) + 5 + 1 + 9
}

#[test]
fn hash_writes_the_digest() {
    let digests = [
        (1, *sha256(b"abc").as_bytes()),
        (2, *sha3_256(b"abc").as_bytes()),
        (3, hex("6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85")),
    ];
    for (alg, digest) in digests {
        let call =
            format!("(call $hash (i32.const {alg}) (i32.const 1024) (i32.const 3) (i32.const 0))");
        let body = then_write(&call, 32);
        check_data(&["hash", "output_write"], b"abc", &body, OK, &digest);
    }
    for alg in [0, 4, -1] {
        let call =
            format!("(call $hash (i32.const {alg}) (i32.const 1024) (i32.const 3) (i32.const 0))");
        let body = then_write(&call, 32);
        let expect = returned(Errno::InvalidArgument as i32);
        check_data(&["hash", "output_write"], b"abc", &body, expect, &[0; 32]);
    }
}

/// BLAKE3 of "abc" is the test vector that its authors publish.
fn hex(text: &str) -> [u8; 32] {
    kapsule_format::hash::decode_hex(text).expect("64 hex digits")
}

#[test]
fn hash_reads_before_it_writes() {
    let call = "(call $hash (i32.const 1) (i32.const 1024) (i32.const 3) (i32.const 1024))
                (drop (call $output_write (i32.const 1024) (i32.const 32)))";
    check_data(&["hash", "output_write"], b"abc", call, OK, sha256(b"abc").as_bytes());
}

#[test]
fn signature_verify_follows_the_suite() {
    let secret = SecretKey::from_seed(Suite::Ed25519, &[7; 32]).unwrap();
    let key = secret.public().as_bytes().to_vec();
    let signature = secret.sign(b"message");
    let check_one = |suite: i32, key: &[u8], message: &[u8], signature: &[u8], expect: i32| {
        let data = [key, message, signature].concat();
        let (message_at, signature_at) = (1024 + key.len(), 1024 + key.len() + message.len());
        let body = format!(
            "(call $signature_verify (i32.const {suite}) (i32.const 1024) (i32.const {})
             (i32.const {message_at}) (i32.const {}) (i32.const {signature_at}) (i32.const {}))",
            key.len(),
            message.len(),
            signature.len()
        );
        let run = check_data(&["signature_verify"], &data, &body, returned(expect), b"");
        assert_eq!(entries(&run)[0].request.len(), 56 + data.len());
    };
    check_one(1, &key[..31], b"message", &signature, 0);
    check_one(1, &[0; 32], b"message", &signature, 0);
    check_one(1, &key, b"message", &signature[..63], 0);
    check_one(1, &key, b"", &signature, 0);
    for suite in [0, 5, -1, 257] {
        check_one(suite, &key, b"message", &signature, Errno::Unsupported as i32);
    }
    for suite in Suite::ALL {
        let secret = SecretKey::from_seed(suite, &[7; 32]).unwrap();
        let (key, signature) = (secret.public().as_bytes(), secret.sign(b"message"));
        let mut forged = signature.clone();
        forged[20] ^= 1;
        let number = i32::from(suite.number());
        check_one(number, key, b"message", &signature, 1);
        check_one(number, key, b"massage", &signature, 0);
        check_one(number, key, b"message", &forged, 0);
        check_one(number % 4 + 1, key, b"message", &signature, 0);
    }
}

#[test]
fn now_is_the_fixed_time_of_the_run() {
    let body = format!(
        "(i32.and (i64.eq (call $now) (i64.const {NOW_MS}))
                  (i64.eq (call $now) (i64.const {NOW_MS})))"
    );
    check(&["now"], &body, Outcome::Completed(1), b"");
}

#[test]
fn random_continues_where_it_stopped() {
    let body = "(call $random (i32.const 0) (i32.const 5))
                (call $random (i32.const 5) (i32.const 70))
                (call $output_write (i32.const 0) (i32.const 75))";
    let mut expect = [0; 75];
    Random::new([9; 32]).fill(&mut expect);
    check(&["random", "output_write"], body, OK, &expect);
}

#[test]
fn a_record_holds_arguments_buffers_and_fuel() {
    let body = "(drop (call $input_read (i64.const -2) (i32.const 7) (i32.const 3)))
                (call $output_write (i32.const 1024) (i32.const 3))";
    let run = check_data(&["input_read", "output_write"], b"abc", body, OK, b"abc");
    let words = |words: &[u64]| words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let request: Vec<u8> = words(&[u64::MAX - 1, 7, 3]);
    let written: Vec<u8> = [words(&[1024, 3]), b"abc".to_vec()].concat();
    let [read, write] = entries(&run)[..] else { panic!("{:?}", entries(&run)) };
    assert_eq!((read.hostcall, read.status, read.request), (2, 0, &request[..]));
    assert_eq!(read.response, words(&[0, 0]) as Vec<u8>);
    assert_eq!((write.hostcall, write.status, write.request), (3, 0, &written[..]));
    assert_eq!(write.response, words(&[0]) as Vec<u8>);
    // Between the calls lie two constants, the call and the price, 16 and one for three bytes.
    assert!(read.fuel < write.fuel && write.fuel <= run.usage.fuel);
    assert_eq!(write.fuel - read.fuel, 16 + 1);
}

#[test]
fn an_error_is_recorded_as_its_result() {
    let run = check(
        &["get_capsule_metadata"],
        &metadata_call(9, 4),
        returned(Errno::NotFound as i32),
        b"",
    );
    let expect = [u64::from(u32::MAX).to_le_bytes(), 0_u64.to_le_bytes()].concat();
    assert_eq!(entries(&run)[0].response, expect);
    let run = check_data(
        &["get_trust_score"],
        &[5; 32],
        &score(32),
        returned(Errno::NotFound as i32),
        b"",
    );
    assert_eq!(entries(&run)[0].response, (-1_i64).to_le_bytes());
}
