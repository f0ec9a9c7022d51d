//! The DAG, proposals, files and the network.

use kapsule_abi::{Errno, Outcome, Rule};
use kapsule_engine::{Act, CapsuleMetadata, Host, MemoryHost, Proposal, Run};
use kapsule_format::Digest;
use kapsule_format::cbor::{self, Value};

use crate::support::*;

const fn returned(value: i32) -> Outcome {
    Outcome::Completed(value.cast_unsigned())
}

/// Runs one call against a host and returns the run and the host as it was left.
fn call(name: &str, data: &[u8], body: &str, host: &MemoryHost) -> Run {
    let case = Case::with_data(&[name, "output_write"], data, body);
    let (run, after) = case.run_with(host);
    assert_eq!(after, *host, "a run changes its host before it is applied");
    run
}

fn id(byte: u8) -> Digest {
    Digest::new([byte; 32])
}

fn dag() -> MemoryHost {
    let mut made = host();
    for byte in 0..5 {
        let kind = if byte % 2 == 0 { "post" } else { "comment" }.into();
        let parents = if byte == 0 { vec![] } else { vec![id(0)] };
        // Later ids claim earlier times.
        let claimed_ms = 100 - u64::from(byte);
        made.dag.insert(id(byte), CapsuleMetadata { kind, parents, claimed_ms, ..metadata() });
    }
    made
}

fn ids(bytes: &[u8]) -> Vec<u8> {
    cbor::encode(&Value::array(bytes.iter().map(|byte| id(*byte))))
}

/// Writes what a call put at address 0, and returns its result.
fn written(call: &str, len: usize) -> String {
    format!("{call} (drop (call $output_write (i32.const 0) (i32.const {len})))")
}

#[test]
fn dag_get_gives_metadata_of_a_known_capsule() {
    let expect = dag().dag.metadata(&id(3)).unwrap().encode();
    let len = expect.len();
    let get = "(call $dag_get (i32.const 1024) (i32.const 0) (i32.const 500))";
    let run = call("dag_get", &[3; 32], &written(get, len), &dag());
    assert_eq!((run.outcome, run.output), (returned(i32::try_from(len).unwrap()), expect));
    let run = call("dag_get", &[9; 32], get, &dag());
    assert_eq!(run.outcome, returned(Errno::NotFound as i32));
    let short = "(call $dag_get (i32.const 1024) (i32.const 0) (i32.const 9))";
    let run = call("dag_get", &[3; 32], short, &dag());
    assert_eq!(run.outcome, returned(i32::try_from(len).unwrap()));
}

#[test]
fn dag_children_come_by_time_and_page() {
    for (data, cursor, len, expect) in [
        (0, 0, 500, Ok(ids(&[4, 3, 2, 1]))),
        (0, 1, 70, Ok(ids(&[3, 2]))),
        (0, 4, 500, Ok(vec![])),
        (1, 0, 500, Ok(vec![])),
        (0, 0, 34, Err(35)),
        (9, 0, 500, Err(Errno::NotFound as i32)),
        (9, -1, 500, Err(Errno::InvalidArgument as i32)),
    ] {
        let expect: Result<Vec<u8>, i32> = expect;
        let ask = format!(
            "(call $dag_children (i32.const 1024) (i64.const {cursor}) (i32.const 0)
             (i32.const {len}))"
        );
        let count = expect.as_ref().map_or(0, Vec::len);
        let run = call("dag_children", &[data; 32], &written(&ask, count), &dag());
        let result = expect.as_ref().map_or_else(|e| *e, |ids| i32::try_from(ids.len()).unwrap());
        assert_eq!(run.outcome, returned(result), "{data} {cursor} {len}");
        assert_eq!(run.output, expect.unwrap_or_default());
    }
}

fn query(entries: Vec<(u64, Value)>, cursor: i64) -> Run {
    let data = cbor::encode(&Value::Map(entries));
    let ask = format!(
        "(call $dag_query (i32.const 1024) (i32.const {}) (i64.const {cursor}) (i32.const 0)
         (i32.const 500))",
        data.len()
    );
    call("dag_query", &data, &written(&ask, 180), &dag())
}

#[test]
fn dag_query_matches_every_given_field() {
    let bytes = |byte| Value::Bytes(vec![byte; 32]);
    for (entries, expect) in [
        (vec![], &[4, 3, 2, 1, 0][..]),
        (vec![(0, "post".into())], &[4, 2, 0]),
        (vec![(3, 97_u64.into()), (4, 98_u64.into())], &[3, 2]),
        (vec![(0, "comment".into()), (1, bytes(3)), (2, bytes(4))], &[3, 1]),
        (vec![(1, bytes(9))], &[]),
        (vec![(2, bytes(9))], &[]),
    ] {
        let run = query(entries.clone(), 0);
        let page = if expect.is_empty() { vec![] } else { ids(expect) };
        assert_eq!(run.outcome, returned(i32::try_from(page.len()).unwrap()), "{entries:?}");
        assert_eq!(run.output[..page.len()], page, "{entries:?}");
    }
    assert_eq!(query(vec![(5, 0_u64.into())], 0).outcome, returned(Errno::Malformed as i32));
    assert_eq!(query(vec![(2, bytes(9))], -1).outcome, returned(Errno::InvalidArgument as i32));
}

fn notice(cost: u64) -> Vec<u8> {
    cbor::encode(&Value::Map(vec![(0, 2_u64.into()), (1, cost.into()), (2, "done".into())]))
}

fn propose(data: &[u8], times: usize, budget: u64) -> Run {
    let one = format!("(call $propose (i32.const 1024) (i32.const {}))", data.len());
    let drops = format!("(drop {one})").repeat(times - 1);
    call("propose", data, &format!("{drops} {one}"), &MemoryHost { budget, ..host() })
}

#[test]
fn proposals_are_counted_and_kept_within_the_budget() {
    let run = propose(&notice(5), 2, 10);
    assert_eq!(run.outcome, returned(1));
    let expect = Proposal { cost: 5, act: Act::Notify { text: "done".into() } };
    assert_eq!(run.effects.proposals, [expect.clone(), expect]);
    let run = propose(&notice(5), 3, 14);
    assert_eq!(run.outcome, returned(Errno::Refused as i32));
    assert_eq!(statuses(&run), [0, 0, 1]);
    assert_eq!(run.effects.proposals.len(), 2);
    let mut after = MemoryHost::default();
    after.apply(&run.effects).unwrap();
    assert_eq!(after.proposals, run.effects.proposals);
}

#[test]
fn a_proposal_of_another_form_is_malformed() {
    let uint = |value: u64| Value::Uint(value);
    let id = || Value::Bytes(vec![1; 32]);
    let good = [
        vec![(0, uint(1)), (1, uint(0)), (2, id()), (3, "run".into()), (4, Value::Bytes(vec![]))],
        vec![
            (0, uint(0)),
            (1, uint(0)),
            (2, "post".into()),
            (4, Value::Array(vec![id()])),
            (5, Value::Array(vec![])),
            (6, Value::Bytes(vec![7])),
        ],
    ];
    for entries in good {
        let data = cbor::encode(&Value::Map(entries.clone()));
        assert_eq!(propose(&data, 1, 0).outcome, returned(0), "{entries:?}");
        let mut other = entries;
        other.push((9, uint(0)));
        let data = cbor::encode(&Value::Map(other));
        assert_eq!(propose(&data, 1, 0).outcome, returned(Errno::Malformed as i32));
    }
    for entries in [vec![], vec![(0, uint(3)), (1, uint(0))], vec![(0, uint(2)), (1, uint(0))]] {
        let data = cbor::encode(&Value::Map(entries));
        assert_eq!(propose(&data, 1, 0).outcome, returned(Errno::Malformed as i32));
    }
}

fn files() -> MemoryHost {
    let file = |path: &str| (path.to_string(), b"0123456789".to_vec());
    MemoryHost { files: [file("/read/a"), file("/write/b"), file("/other/c")].into(), ..host() }
}

fn read(path: &str, offset: i64) -> Run {
    let ask = format!(
        "(call $fs_read (i32.const 1024) (i32.const {}) (i64.const {offset}) (i32.const 0)
         (i32.const 8))",
        path.len()
    );
    call("fs_read", path.as_bytes(), &written(&ask, 8), &files())
}

#[test]
fn files_under_the_policy_are_read_by_page() {
    for (path, offset, expect) in [
        ("/read/a", 0, "01234567"),
        ("/read/a", 8, "89"),
        ("/write/b", 10, ""),
        ("/read/a", -1, ""),
    ] {
        let run = read(path, offset);
        assert_eq!(run.outcome, returned(i32::try_from(expect.len()).unwrap()), "{path} {offset}");
        assert_eq!(&run.output[..expect.len()], expect.as_bytes());
    }
    assert_eq!(read("/read/none", 0).outcome, returned(Errno::NotFound as i32));
}

/// Paths that are none, and paths that the policy does not list.
const NOT_PATHS: [&str; 11] = [
    "",
    "/",
    "read/a",
    "/read/",
    "/read//a",
    "/read/./a",
    "/read/../other/c",
    "/read/a\0",
    "/read/a\n",
    "/read\\a",
    "/read/a:b",
];
const OUTSIDE: [&str; 4] = ["/other/c", "/READ/a", "/read", "/readx/a"];

#[test]
fn a_path_outside_the_policy_ends_the_run() {
    for path in OUTSIDE {
        assert_eq!(read(path, 0).outcome, Outcome::Denied(Rule::Policy), "{path}");
        assert_eq!(write(path, "x").outcome, Outcome::Denied(Rule::Policy), "{path}");
    }
    assert_eq!(write("/read/a", "x").outcome, Outcome::Denied(Rule::Policy));
    for path in NOT_PATHS {
        assert_eq!(read(path, 0).outcome, returned(Errno::InvalidArgument as i32), "{path:?}");
        assert_eq!(write(path, "x").outcome, returned(Errno::InvalidArgument as i32), "{path:?}");
    }
    let long = format!("/read/{}", "a".repeat(250));
    assert_eq!(read(&long, 0).outcome, returned(Errno::InvalidArgument as i32));
    assert_eq!(read(&long[..255], 0).outcome, returned(Errno::NotFound as i32));
}

fn write(path: &str, text: &str) -> Run {
    let body = format!(
        "(call $fs_write (i32.const 1024) (i32.const {}) (i32.const {}) (i32.const {}))",
        path.len(),
        1024 + path.len(),
        text.len()
    );
    call("fs_write", format!("{path}{text}").as_bytes(), &body, &files())
}

#[test]
fn a_written_file_is_an_effect() {
    for path in ["/write/new", "/write/b"] {
        let run = write(path, "text");
        assert_eq!(run.outcome, returned(0));
        assert_eq!(run.effects.files, [(path.to_string(), b"text".to_vec())].into());
        let mut after = files();
        after.apply(&run.effects).unwrap();
        assert_eq!(after.files[path], b"text");
    }
    let run = write("/write/absent/x", "text");
    assert_eq!(run.outcome, returned(Errno::NotFound as i32));
    assert!(run.effects.is_empty());
}

#[test]
fn a_run_reads_what_it_wrote() {
    let path = "/write/b";
    let body = format!(
        "(drop (call $fs_write (i32.const 1024) (i32.const {0}) (i32.const 1025) (i32.const 5)))
         (call $fs_read (i32.const 1024) (i32.const {0}) (i64.const 1) (i32.const 0) (i32.const 8))
         (drop (call $output_write (i32.const 0) (i32.const 4)))",
        path.len()
    );
    let case = Case::with_data(&["fs_write", "fs_read", "output_write"], path.as_bytes(), &body);
    let (run, _) = case.run_with(&files());
    assert_eq!((run.outcome, &run.output[..]), (returned(4), &b"rite"[..]));
    let transcript = changed(&run.transcript.unwrap(), |t| t.entries[1].response[16] ^= 1);
    let found = case.replay(kapsule_engine::Backend::Wasmi, &transcript, None).difference;
    assert_eq!(found.map(|found| found.field), Some(kapsule_engine::Field::Response));
}

fn request(network: u64, host: &str, port: u64) -> Run {
    let entries = vec![
        (0, network.into()),
        (1, host.into()),
        (2, port.into()),
        (3, Value::Bytes(b"hello".to_vec())),
    ];
    let data = cbor::encode(&Value::Map(entries));
    let ask = format!(
        "(call $net_request (i32.const 1024) (i32.const {}) (i32.const 0) (i32.const 8))",
        data.len()
    );
    let made = crate::support::host();
    let peers = [(("peer".to_string(), 80), b"answer of the peer".to_vec())].into();
    call("net_request", &data, &written(&ask, 8), &MemoryHost { peers, ..made })
}

#[test]
fn the_network_is_open_as_far_as_policy_and_host_say() {
    let run = request(1, "peer", 80);
    assert_eq!((run.outcome, &run.output[..]), (returned(8), &b"answer o"[..]));
    assert_eq!(request(0, "peer", 80).outcome, Outcome::Denied(Rule::Policy));
    assert_eq!(request(1, "peer", 81).outcome, returned(Errno::Refused as i32));
    assert_eq!(request(1, "other", 80).outcome, returned(Errno::Refused as i32));
    for (network, name, port) in [
        (2, "peer", 80),
        (1, "", 80),
        (1, "peer", 0),
        (1, "peer", 65_536),
        (1, &*"a".repeat(254), 80),
    ] {
        let run = request(network, name, port);
        assert_eq!(run.outcome, returned(Errno::Malformed as i32), "{network} {name} {port}");
    }
}
