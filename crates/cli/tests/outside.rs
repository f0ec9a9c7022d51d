//! What a run reaches on the machine: listed servers and files, and what it does not reach.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::thread::{self, JoinHandle};

use crate::support::Bench;

/// Sends its input as a request and writes the answer; an error ends it with its number.
const ASKER: &str = r#"(module
  (import "kapsule_v1" "input_read" (func $read (param i64 i32 i32) (result i32)))
  (import "kapsule_v1" "output_write" (func $write (param i32 i32) (result i32)))
  (import "kapsule_v1" "net_request" (func $ask (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1 1)
  (func (export "kapsule_abi_version") (result i32) (i32.const 1))
  (func (export "run") (result i32)
    (local $count i32)
    (local.set $count (call $ask
      (i32.const 0) (call $read (i64.const 0) (i32.const 0) (i32.const 1024))
      (i32.const 4096) (i32.const 4096)))
    (if (i32.lt_s (local.get $count) (i32.const 0))
      (then (return (i32.sub (i32.const 0) (local.get $count)))))
    (call $write (i32.const 4096) (local.get $count))))"#;

/// Reads or writes the file that its input names; an error ends it with its number.
const CLERK: &str = r#"(module
  (import "kapsule_v1" "input_read" (func $input (param i64 i32 i32) (result i32)))
  (import "kapsule_v1" "output_write" (func $output (param i32 i32) (result i32)))
  (import "kapsule_v1" "fs_read" (func $read (param i32 i32 i64 i32 i32) (result i32)))
  (import "kapsule_v1" "fs_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1 1)
  (data (i32.const 4096) "new")
  (func (export "kapsule_abi_version") (result i32) (i32.const 1))
  (func (export "run") (result i32)
    (local $count i32)
    (local.set $count (call $read
      (i32.const 0) (call $input (i64.const 0) (i32.const 0) (i32.const 1024))
      (i64.const 0) (i32.const 4096) (i32.const 4096)))
    (if (i32.lt_s (local.get $count) (i32.const 0))
      (then (return (i32.sub (i32.const 0) (local.get $count)))))
    (call $output (i32.const 4096) (local.get $count)))
  (func (export "write") (result i32)
    (i32.sub (i32.const 0) (call $write
      (i32.const 0) (call $input (i64.const 0) (i32.const 0) (i32.const 1024))
      (i32.const 4096) (i32.const 3)))))"#;

/// Encodes a request for the network 0 (mesh) or 1 (clearnet).
fn request(network: u8, host: &str, port: u16) -> Vec<u8> {
    let host_length = 0x60 + u8::try_from(host.len()).unwrap();
    let [high, low] = port.to_be_bytes();
    let head = [0xa4, 0, network, 1, host_length];
    [&head[..], host.as_bytes(), &[2, 0x19, high, low, 3, 0x44], b"ping"].concat()
}

/// Listens on loopback, answers each of so many requests with itself twice, and then goes away.
fn echo(count: usize) -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = thread::spawn(move || {
        for _ in 0..count {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = Vec::new();
            stream.read_to_end(&mut asked).unwrap();
            stream.write_all(&asked.repeat(2)).unwrap();
        }
    });
    (port, served)
}

/// A port on which nobody listens: one that was just given back.
fn silent() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn asker() -> Bench {
    let bench = Bench::new();
    let extra = "grants = [\"net.clearnet\"]\n[network]\nallow_clearnet = true";
    bench.pack("asker", ASKER, extra);
    bench
}

const ASK: [&str; 6] = ["run", "asker.mod", "--input", "request", "--grant", "net.clearnet"];

#[test]
fn a_listed_server_is_asked_and_a_replay_asks_nobody() {
    let bench = asker();
    let engines = ["wasmi", "jit"];
    let (port, served) = echo(engines.len());
    bench.write("request", request(1, "127.0.0.1", port));
    let listed = format!("127.0.0.1:{port}");
    for engine in engines {
        let more = ["--net", &listed, "--engine", engine, "--transcript", engine];
        assert_eq!(bench.ok(&[&ASK[..], &more].concat()).text(), "pingping", "{engine}");
    }
    served.join().unwrap();
    let transcripts = engines.map(|engine| bench.read(engine));
    assert_eq!(transcripts[0], transcripts[1], "the engines recorded the same");
    for engine in engines {
        bench.ok(&["replay", "asker.mod", "wasmi", "--engine", engine]);
    }
    // Nobody listens any more, so a run finds out what the replay need not.
    bench.fails(&[&ASK[..], &["--net", &listed]].concat(), 14, "E406_TRAPPED", "completed(7)");
}

#[test]
fn nobody_else_is_asked() {
    let bench = asker();
    let port = silent();
    let (listed, other_port) = (format!("127.0.0.1:{port}"), format!("127.0.0.1:{}", port ^ 1));
    let other_host = format!("127.0.0.2:{port}");
    bench.write("request", request(1, "127.0.0.1", port));
    for (nets, code) in [
        (vec![], 6),
        (vec![other_host.as_str()], 6),
        (vec![other_port.as_str()], 6),
        (vec![other_port.as_str(), other_host.as_str()], 6),
        // It would have been asked, but is not there.
        (vec![other_port.as_str(), listed.as_str()], 7),
    ] {
        let flags = nets.iter().flat_map(|net| ["--net", net]);
        let args: Vec<&str> = ASK.iter().copied().chain(flags).collect();
        bench.fails(&args, 14, "E406_TRAPPED", &format!("completed({code})"));
    }
    // Another spelling of the listed host is another host.
    bench.write("request", request(1, "localhost", port));
    let spelled = [&ASK[..], &["--net", &listed]].concat();
    bench.fails(&spelled, 14, "E406_TRAPPED", "completed(6)");
}

#[test]
fn a_network_needs_its_grant_and_its_policy() {
    let bench = asker();
    let port = silent();
    let listed = format!("127.0.0.1:{port}");
    bench.write("request", request(1, "127.0.0.1", port));
    let bare = ["run", "asker.mod", "--input", "request", "--net", &listed];
    bench.fails(&bare, 14, "E403_IMPORT_REFUSED", "--grant net.clearnet");
    // The mesh is a network of its own, which this policy does not open.
    let mesh = [&bare[..], &["--grant", "net.mesh"]].concat();
    bench.fails(&mesh, 14, "E403_IMPORT_REFUSED", "net.clearnet");
    bench.write("request", request(0, "127.0.0.1", port));
    let args = [&ASK[..], &["--net", &listed, "--transcript", "t"]].concat();
    bench.fails(&args, 14, "E407_HOSTCALL_DENIED", "denied(policy)");
    bench.ok(&["replay", "asker.mod", "t", "--engine", "wasmi"]);
    bench.write("request", "no request");
    bench.fails(&[&ASK[..], &["--net", &listed]].concat(), 14, "E406_TRAPPED", "completed(5)");
}

fn clerk() -> Bench {
    let bench = Bench::new();
    let paths = "[filesystem]\nread_only = [\"/in/\"]\nwrite_allowed = [\"/out/\"]";
    let extra = format!("entries = [\"write\"]\ngrants = [\"fs\"]\n{paths}");
    bench.pack("clerk", CLERK, &extra);
    for name in ["in", "out", "secret"] {
        fs::create_dir(bench.path(name)).unwrap();
    }
    bench.write("in/a", "words");
    bench.write("out/old", "old");
    bench.write("secret/key", "key");
    for (from, to) in [("in", "secret/key"), ("out", "secret/key")] {
        symlink(bench.path(to), bench.path(from).join("file-link")).unwrap();
        symlink(bench.path("secret"), bench.path(from).join("directory-link")).unwrap();
    }
    bench
}

/// Runs an entry of the clerk on a path and returns how it ended.
fn clerks(bench: &Bench, entry: &str, path: &str, more: &[&str]) -> (i32, String, Vec<u8>) {
    bench.write("path", path);
    let args = ["run", "clerk.mod", "--entry", entry, "--input", "path", "--grant", "fs"];
    let places = ["--fs", "/in/=in", "--fs", "/out/=out"];
    let ended = bench.run(&[&args[..], &places, more].concat());
    (ended.code, ended.stderr, ended.stdout)
}

#[test]
fn a_file_is_read_and_its_replay_needs_it_no_more() {
    let bench = clerk();
    let (code, stderr, read) = clerks(&bench, "run", "/in/a", &["--transcript", "t"]);
    assert_eq!((code, read.as_slice()), (0, b"words".as_slice()), "{stderr}");
    fs::remove_file(bench.path("in/a")).unwrap();
    for engine in ["wasmi", "jit"] {
        bench.ok(&["replay", "clerk.mod", "t", "--engine", engine]);
    }
    let (code, stderr, _) = clerks(&bench, "run", "/in/a", &[]);
    assert!(code == 14 && stderr.contains("completed(1)"), "{stderr}");
}

#[test]
fn no_path_leads_out_of_what_was_given() {
    let bench = clerk();
    for (entry, path, expect) in [
        ("run", "/in/file-link", "completed(6)"),
        ("run", "/in/directory-link/key", "completed(6)"),
        ("run", "/in/../secret/key", "completed(2)"),
        ("run", "/in/./a", "completed(2)"),
        ("run", "/in//a", "completed(2)"),
        ("run", "in/a", "completed(2)"),
        ("run", "/in/A", "completed(1)"),
        ("run", "/IN/a", "denied(policy)"),
        ("run", "/secret/key", "denied(policy)"),
        ("write", "/in/a", "denied(policy)"),
        ("write", "/out/file-link", "completed(6)"),
        ("write", "/out/directory-link/new", "completed(6)"),
        ("write", "/out/../in/a", "completed(2)"),
        ("write", "/out/absent/new", "completed(1)"),
    ] {
        let (code, stderr, read) = clerks(&bench, entry, path, &[]);
        assert!(code == 14 && stderr.contains(expect), "{entry} {path}: {stderr}");
        assert_eq!(read, b"", "{entry} {path}");
    }
    assert_eq!((bench.read("in/a"), bench.read("secret/key")), (b"words".into(), b"key".into()));
    assert_eq!(fs::read_dir(bench.path("secret")).unwrap().count(), 1);
    // What is allowed does happen, so that the refusals above mean something.
    for path in ["/out/old", "/out/new"] {
        let (code, stderr, _) = clerks(&bench, "write", path, &[]);
        assert_eq!(code, 0, "{stderr}");
        assert_eq!(bench.read(path.trim_start_matches('/')), b"new");
    }
}
