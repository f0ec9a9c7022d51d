//! Audits: what a receipt does not hold is fetched by its digest, and the run is repeated.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::thread;

use kapsule_format::receipt::Receipt;

use crate::support::{Bench, result};

/// A receipt whose large parts are in a directory.
fn split() -> Bench {
    let bench = Bench::with_hello();
    bench.write("name.txt", "Ada");
    bench.ok(&["run", "hello.mod", "--input", "name.txt", "--receipt", "hello.cap", "-q"]);
    bench.ok(&["receipt", "split", "hello.cap", "--to", "archive", "-o", "small.cap"]);
    bench
}

/// Serves so many files of a directory over HTTP, and returns the address.
fn serve(directory: PathBuf, requests: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().take(requests) {
            let mut stream = stream.unwrap();
            let mut request = [0; 1024];
            let length = stream.read(&mut request).unwrap();
            let request = String::from_utf8_lossy(&request[..length]).into_owned();
            let path = request.split(' ').nth(1).unwrap();
            let answer = match std::fs::read(directory.join(&path[1..])) {
                Ok(bytes) => [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), bytes].concat(),
                Err(_) => b"HTTP/1.1 404 Not Found\r\n\r\n".to_vec(),
            };
            stream.write_all(&answer).unwrap();
        }
    });
    address
}

#[test]
fn a_split_receipt_is_the_same_receipt_and_audits_from_its_archive() {
    let bench = split();
    let (whole, small) = (bench.read("hello.cap"), bench.read("small.cap"));
    let id = |bytes: &[u8]| Receipt::decode(bytes).unwrap().claim().id();
    assert_eq!(id(&whole), id(&small));
    assert!(small.len() < 6_000, "{}", small.len());
    let text = bench.ok(&["audit", "small.cap", "--fetch", "archive"]).text().to_owned();
    for part in
        ["the run happened as claimed", "  state 0: fuel 0", "  state 1: ", "reexec          pass"]
    {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    let object = &bench.json(&["audit", "small.cap", "--fetch", "archive", "--sample", "1"])[0];
    assert_eq!(object["accepted"], true);
    assert_eq!(object["fetched"].as_array().unwrap().len(), 4, "{object}");
    assert_eq!(object["checkpoints"][0]["index"], 1);
    assert_eq!(result(object, "blobs"), ("pass", None));
    assert_eq!(bench.json(&["audit", "hello.cap"])[0]["fetched"].as_array().unwrap().len(), 0);
}

#[test]
fn what_cannot_be_had_is_missed() {
    let bench = split();
    bench.fails(&["audit", "small.cap"], 13, "E201_ENTRY_ABSENT", "is rejected");
    let nowhere = ["audit", "small.cap", "--fetch", "nowhere"];
    bench.fails(&nowhere, 13, "E201_ENTRY_ABSENT", "is rejected");
    assert_eq!(bench.run(&["audit", "small.cap", "--fetch", "https://a.example"]).code, 2);
    // Somebody keeps something else under the name of the bundle.
    let bytes = bench.read("small.cap");
    let bundle = Receipt::decode(&bytes).unwrap().claim().bundle.unwrap().sha256;
    bench.write(&format!("archive/blobs/sha256/{bundle}"), "something else");
    let audit = ["audit", "small.cap", "--fetch", "archive"];
    bench.fails(&audit, 13, "E206_BUNDLE_MISMATCH", "is something else");
    std::fs::remove_file(bench.path(&format!("archive/blobs/sha256/{bundle}"))).unwrap();
    let ended = bench.run(&[&audit[..], &["--json"]].concat());
    assert_eq!((ended.code, &ended.objects()[0]["error_code"]), (13, &"E205".into()));
}

#[test]
fn an_archive_is_served_by_any_web_server() {
    let bench = split();
    // Package, bundle and output; a server has no list in which the input could be looked for.
    let address = serve(bench.path("archive"), 3);
    let object = &bench.json(&["audit", "small.cap", "--fetch", &address])[0];
    assert_eq!(
        (&object["accepted"], result(object, "blobs")),
        (&true.into(), ("not-done", Some("E202")))
    );
    assert_eq!(object["fetched"].as_array().unwrap().len(), 3, "{object}");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gone = format!("http://{silent}");
    bench.fails(&["audit", "small.cap", "--fetch", &gone], 13, "E210_PROVIDER_TIMEOUT", "answer");
}

#[test]
fn a_run_that_never_was_is_found_out() {
    use kapsule_format::container::{Container, Kind, Writer};
    let bench = split();
    let bytes = bench.read("hello.cap");
    let container = Container::decode(&bytes).unwrap();
    let mut claim = Receipt::decode(&bytes).unwrap().claim().clone();
    claim.exec.outcome = kapsule_abi::Outcome::Completed(7);
    let mut writer = Writer::new(Kind::Receipt, claim.encode());
    for entry in container.entries().iter().skip(1) {
        writer.push(entry.name, entry.bytes);
    }
    bench.write("forged.cap", writer.finish().unwrap());
    // Whoever forges without the key fails at the signature, before anything is run.
    bench.fails(&["audit", "forged.cap"], 12, "E031_STATEMENT_MISMATCH", "is rejected");
}
