//! Manifests, folders of receipts, and signatures in the forms of other tools.

use kapsule_format::receipt::{HostManifest, Receipt, ToolchainManifest};
use serde_json::Value;

use crate::support::{Bench, NONCE, result};

fn issue(bench: &Bench, name: &str, more: &[&str]) {
    let run = ["run", "hello.mod", "--nonce", NONCE, "-q", "--key", "alice", "--receipt", name];
    bench.ok(&[&run[..], more].concat());
}

#[test]
fn manifests_are_collected_bound_and_vouched_for() {
    let bench = Bench::with_hello();
    bench.ok(&["key", "new", "bob"]);
    let collect = ["manifest", "collect", "--tool", "rustc=hello.wasm@1.95.0"];
    let more = ["--lockfile", "hello.toml", "--deterministic-build", "--revision", "0123abc"];
    bench.ok(&[&collect[..], &more].concat());
    let host = HostManifest::decode(&bench.read("host.json")).unwrap();
    assert!(host.cpu.threads > 0 && host.source == "self-reported");
    let tools = ToolchainManifest::decode(&bench.read("toolchain.json")).unwrap();
    let names: Vec<&str> = tools.tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(names, ["kapsule", "rustc"]);
    assert_eq!(tools.tools[1].sha256, kapsule_format::hash::sha256(&bench.read("hello.wasm")));
    assert_eq!(bench.run(&["manifest", "collect", "--tool", "rustc"]).code, 2);
    let odd = ["manifest", "collect", "--revision", "main"];
    bench.fails(&odd, 20, "E008_SCHEMA_VIOLATION", "no manifest can say this");

    let manifests = ["--host", "host.json", "--toolchain", "toolchain.json"];
    issue(&bench, "own.cap", &manifests);
    issue(&bench, "vouched.cap", &[&manifests[..], &["--manifest-key", "bob"]].concat());
    issue(&bench, "plain.cap", &[]);
    bench.ok(&["manifest", "sign", "own.cap", "--key", "bob", "-o", "signed.cap"]);
    bench.ok(&["key", "trust", "bob", "--role", "manifest", "-o", "trust.json"]);
    for (name, expect) in [
        ("own.cap", ("not-done", Some("E106"))),
        ("vouched.cap", ("pass", None)),
        ("signed.cap", ("pass", None)),
        ("plain.cap", ("left out", None)),
    ] {
        let ended = bench.run(&["verify", name, "--trust", "trust.json", "--json"]);
        assert_eq!(result(&ended.objects()[0], "manifests"), expect, "{name}");
    }
    let (own, signed) = (bench.read("own.cap"), bench.read("signed.cap"));
    let id = |bytes: &[u8]| Receipt::decode(bytes).unwrap().claim().id();
    assert_eq!(id(&own), id(&signed));
    let sign = ["manifest", "sign", "plain.cap", "--key", "bob"];
    bench.fails(&sign, 2, "USAGE", "binds no manifests");
    let run = ["run", "hello.mod", "--receipt", "x.cap", "--key", "alice"];
    let alone = [&run[..], &["--manifest-key", "bob"]].concat();
    bench.fails(&alone, 2, "USAGE", "needs manifests");
}

#[test]
fn a_folder_of_receipts_is_listed_and_counted() {
    let bench = Bench::with_hello();
    std::fs::create_dir(bench.path("receipts")).unwrap();
    for name in ["receipts/a.cap", "receipts/b.cap"] {
        issue(&bench, name, &[]);
    }
    bench.write("receipts/c.cap", "no receipt");
    bench.write("receipts/notes.txt", "not looked at");
    let rows = bench.json(&["receipt", "list", "receipts"]);
    let status: Vec<&str> = rows.iter().map(|row| row["status"].as_str().unwrap()).collect();
    assert_eq!(status, ["ACCEPT", "ACCEPT", "REJECT"]);
    assert_eq!(rows[2]["error_code"], "E002");
    assert_eq!(rows[0]["outcome"], "completed(0)");
    let csv = bench.ok(&["receipt", "list", "receipts", "--csv"]).text().to_owned();
    assert_eq!(csv.lines().count(), 4);
    assert!(csv.starts_with("file,status,level,error_code,receipt_id,issuer,"), "{csv}");
    assert!(csv.contains("\na.cap,ACCEPT,proof-only,,"), "{csv}");
    let table = bench.ok(&["receipt", "list", "receipts"]).text().to_owned();
    assert!(table.lines().next().unwrap().starts_with("file   status"), "{table}");
    let stats = &bench.json(&["receipt", "stats", "receipts"])[0];
    assert_eq!(stats["receipts"], 3);
    assert_eq!(stats["counts"]["status"]["ACCEPT"], 2);
    assert_eq!(stats["counts"]["outcome"]["completed"], 2);
    // One nonce, two runs: somebody may want to be paid twice.
    assert_eq!(stats["same_nonce"].as_array().unwrap().len(), 1);
    assert_eq!(stats["contradicting"].as_array().unwrap().len(), 0);
    forge(&bench, "receipts/a.cap", "receipts/d.cap");
    let stats = &bench.json(&["receipt", "stats", "receipts"])[0];
    let pairs = stats["contradicting"].as_array().unwrap();
    assert_eq!(pairs.len(), 2, "{stats}");
    let text = bench.ok(&["receipt", "stats", "receipts"]).text().to_owned();
    assert!(text.contains("contradicting  a.cap d.cap"), "{text}");
    bench.fails(&["receipt", "list", "nowhere"], 2, "USAGE", "cannot list");
}

/// Writes a receipt that claims another output of the same job.
fn forge(bench: &Bench, from: &str, to: &str) {
    use kapsule_format::container::{Container, Kind, Writer};
    let bytes = bench.read(from);
    let mut claim = Receipt::decode(&bytes).unwrap().claim().clone();
    claim.exec.fuel_used += 1;
    let container = Container::decode(&bytes).unwrap();
    let mut writer = Writer::new(Kind::Receipt, claim.encode());
    for entry in container.entries().iter().skip(1) {
        writer.push(entry.name, entry.bytes);
    }
    bench.write(to, writer.finish().unwrap());
}

#[test]
fn a_signature_goes_out_and_comes_back() {
    let bench = Bench::with_hello();
    bench.ok(&["key", "new", "bob"]);
    issue(&bench, "hello.cap", &[]);
    issue(&bench, "other.cap", &[]);
    let export = ["receipt", "export", "hello.cap", "--form"];
    for (form, file) in [("dsse", "e.json"), ("sigstore", "s.json"), ("statement", "i.json")] {
        bench.ok(&[&export[..], &[form, "-o", file]].concat());
    }
    let statement = Receipt::decode(&bench.read("hello.cap")).unwrap().claim().signed_statement();
    assert_eq!(bench.read("i.json"), statement);
    let bundle: Value = serde_json::from_slice(&bench.read("s.json")).unwrap();
    assert_eq!(bundle["mediaType"], "application/vnd.dev.sigstore.bundle.v0.3+json");
    let envelope: Value = serde_json::from_slice(&bench.read("e.json")).unwrap();
    assert_eq!(bundle["dsseEnvelope"], envelope);

    // Taken out and put back, in either form and with other white space, the file is the same.
    let bytes = bench.read("hello.cap");
    bench.write("bare.cap", without_signatures(&bytes));
    assert_eq!(bench.run(&["verify", "bare.cap"]).code, 12);
    bench.write("spaced.json", serde_json::to_vec_pretty(&envelope).unwrap());
    for file in ["e.json", "s.json", "spaced.json"] {
        bench.ok(&["receipt", "import", "bare.cap", file, "-o", "back.cap"]);
        assert_eq!(bench.read("back.cap"), bytes, "{file}");
    }
    let refused = |receipt: &str, file: &str, exit, code| {
        let import = ["receipt", "import", receipt, file, "-o", "x.cap"];
        bench.fails(&import, exit, code, "cannot be attached");
        assert!(!bench.path("x.cap").exists());
    };
    refused("other.cap", "e.json", 12, "E031_STATEMENT_MISMATCH");
    let mut forged = envelope.clone();
    forged["signatures"][0]["sig"] = data_encoding::BASE64.encode(&[1; 64]).into();
    bench.write("forged.json", forged.to_string());
    refused("bare.cap", "forged.json", 12, "E032_SIGNATURE_INVALID");
    let mut unknown = envelope.clone();
    unknown["signatures"][0]["keyid"] = "11".repeat(32).into();
    bench.write("unknown.json", unknown.to_string());
    refused("bare.cap", "unknown.json", 20, "E038_KEYID_MISMATCH");
    let mut later = bundle.clone();
    later["mediaType"] = "application/vnd.dev.sigstore.bundle.v9+json".into();
    bench.write("later.json", later.to_string());
    refused("bare.cap", "later.json", 20, "E030_ENVELOPE_FORM");
    let mut twice = envelope;
    twice["signatures"] = Value::from(vec![twice["signatures"][0].clone(); 2]);
    bench.write("twice.json", twice.to_string());
    refused("bare.cap", "twice.json", 20, "E030_ENVELOPE_FORM");
    bench.write("text.json", "text");
    refused("bare.cap", "text.json", 20, "E007_JSON_NOT_CANONICAL");
    let none = ["receipt", "export", "bare.cap", "-o", "x.json"];
    bench.fails(&none, 12, "E033_SIGNATURE_MISSING", "cannot be exported");
}

/// Writes a receipt again without its envelopes.
fn without_signatures(bytes: &[u8]) -> Vec<u8> {
    use kapsule_format::container::{Container, Kind, Writer};
    let container = Container::decode(bytes).unwrap();
    let mut writer = Writer::new(Kind::Receipt, container.index().to_vec());
    for entry in container.entries().iter().skip(1) {
        if !entry.name.starts_with("sig/") {
            writer.push(entry.name, entry.bytes);
        }
    }
    writer.finish().unwrap()
}

/// Every file below a directory, with its bytes and the time of its last change.
fn snapshot(root: &std::path::Path) -> Vec<(std::path::PathBuf, std::time::SystemTime, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let meta = std::fs::symlink_metadata(&path).unwrap();
            if meta.is_dir() {
                folders.push(path.clone());
            }
            let bytes = if meta.is_file() { std::fs::read(&path).unwrap() } else { Vec::new() };
            found.push((path, meta.modified().unwrap(), bytes));
        }
    }
    found.sort();
    found
}

#[test]
#[expect(clippy::print_stderr, reason = "a check that was not made is said so")]
fn reading_a_receipt_writes_nothing_and_needs_no_network() {
    let bench = Bench::with_hello();
    issue(&bench, "a.cap", &[]);
    issue(&bench, "b.cap", &[]);
    bench.write("report.json", bench.run(&["verify", "a.cap", "--json"]).stdout);
    let before = snapshot(&bench.path(""));
    // A namespace of its own has no network, not even a loopback that is up.
    let apart = bench.command("unshare").args(["--net", "true"]).output();
    let apart = apart.is_ok_and(|output| output.status.success());
    if !apart {
        eprintln!("skipped: no namespace without a network can be made here");
    }
    for args in [
        &["verify", "a.cap", "--json"][..],
        &["verify", "a.cap", "--reexec", "--nonce", NONCE],
        &["verify", "a.cap", "--trust", "no.json"],
        &["inspect", "a.cap"],
        &["replay", "a.cap", "--engine", "jit"],
        &["audit", "a.cap"],
        &["explain", "report.json"],
        &["receipt", "diff", "a.cap", "b.cap"],
        &["receipt", "list", "."],
    ] {
        let mut command = match apart {
            true => {
                let mut command = bench.command("unshare");
                command.args(["--net", crate::support::KAPSULE]);
                command
            }
            false => bench.command(crate::support::KAPSULE),
        };
        let output = command.args(args).output().unwrap();
        let fails = args.contains(&"no.json");
        assert_eq!(output.status.success(), !fails, "{args:?}: {output:?}");
        assert!(snapshot(&bench.path("")) == before, "{args:?} wrote something");
    }
    // Without home, path and anything else in its environment it says the same.
    let bare = std::process::Command::new(crate::support::KAPSULE)
        .args(["verify", "a.cap", "--json"])
        .current_dir(bench.path(""))
        .env_clear()
        .output()
        .unwrap();
    assert_eq!(bare.stdout, bench.read("report.json"), "{bare:?}");
    assert!(snapshot(&bench.path("")) == before);
}

#[test]
fn every_bad_receipt_is_refused_in_little_memory_and_time() {
    let bench = Bench::new();
    let vectors = concat!(env!("CARGO_MANIFEST_DIR"), "/../../spec/vectors/receipt/reject");
    let files = std::fs::read_dir(vectors).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> = files.filter(|path| path.extension().is_some_and(|e| e == "bin")).collect();
    assert!(files.len() >= 100, "{} vectors", files.len());
    for file in files {
        // 256 MiB of address space, most of which is the program, and 20 s of processor time.
        let limited = "ulimit -v 262144 && ulimit -t 20 && exec \"$0\" verify \"$1\" --json";
        let mut command = bench.command("sh");
        let output = command.args(["-c", limited, crate::support::KAPSULE]).arg(&file).output();
        let output = output.unwrap();
        // A panic is 101, and a signal is none.
        let refused = output.status.code().is_some_and(|code| [11, 12, 20].contains(&code));
        assert!(refused, "{}: {output:?}", file.display());
    }
}

#[test]
fn the_store_keeps_one_receipt_for_each_nonce() {
    let bench = Bench::with_hello();
    bench.fails(&["receipt", "list"], 15, "E501_STORE_OPEN", "makes a store");
    issue(&bench, "a.cap", &[]);
    bench.ok(&["run", "hello.mod", "-q", "--key", "alice", "--receipt", "b.cap"]);
    let kept = bench.json(&["receipt", "keep", "a.cap", "b.cap"]);
    let ids: Vec<&Value> = kept.iter().map(|kept| &kept["receipt_id"]).collect();
    let rows = bench.json(&["receipt", "list"]);
    assert_eq!(rows.iter().map(|row| &row["receipt_id"]).collect::<Vec<_>>(), ids);
    assert_eq!(rows[0]["status"], "ACCEPT");
    // The same receipt again, without its bundle, and another one of the same job.
    bench.ok(&["receipt", "split", "a.cap", "--to", "archive", "-o", "small.cap"]);
    bench.ok(&["receipt", "keep", "small.cap"]);
    let rows = bench.json(&["receipt", "list"]);
    assert_eq!((rows.len(), &rows[1]["receipt_id"]), (2, ids[0]));
    assert_eq!(rows[1]["bytes"], bench.read("small.cap").len().to_string());
    issue(&bench, "again.cap", &[]);
    let again = ["receipt", "keep", "again.cap"];
    bench.fails(&again, 11, "E122_RECEIPT_REPLAYED", "the second receipt of one job");
    let stats = &bench.json(&["receipt", "stats"])[0];
    assert_eq!(stats["receipts"], 2);
    bench.ok(&["doctor"]);
    let mut cut = bench.read("a.cap");
    cut.truncate(600);
    bench.write("cut.cap", cut);
    bench.fails(&["receipt", "keep", "cut.cap"], 20, "E002_TRUNCATED", "cut.cap is rejected");
}
