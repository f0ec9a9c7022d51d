//! Every example of every help text runs.

use std::fs;
use std::path::Path;

use crate::ingests;
use crate::reference::helps;
use crate::support::{Bench, CLOCK, HELLO, KAPSULE, REPOSITORY};
use crate::views;

/// What stands for an id in an example.
const ID: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";

/// Time to answer the challenge of the examples, which run for minutes on a busy machine.
const DAY_MS: &str = "86400000";

/// Prepares a directory with everything that examples name.
fn stage() -> Bench {
    let bench = Bench::with_hello();
    bench.ok(&["key", "new", "bob"]);
    fs::copy(bench.path("home/data/keys/bob.pub"), bench.path("bob.pub")).unwrap();
    bench.write("frank.hex", "0123456789abcdef".repeat(4));
    let pem = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/import/p256.pem");
    fs::copy(pem, bench.path("erin.pem")).unwrap();
    bench.ok(&["key", "new", "grace", "--suite", "secp256k1"]);
    bench.ok(&["key", "export", "grace", "--secret", "-o", "second.key"]);
    bench.ok(&["key", "trust", "alice", "-o", "trust.json"]);
    bench.ok(&["key", "recipient", "bob"]);
    bench.secret("passphrase", "correct horse\n");
    let henry = ["key", "new", "henry", "--passphrase-file", "passphrase", "--work-factor", "4"];
    bench.ok(&henry);
    fs::copy(bench.path("home/data/keys/bob.agepub"), bench.path("bob.agepub")).unwrap();
    bench.write("strict.yaml", "limits:\n  fuel: 1000000\n");
    let manifest = "name: hello\nversion: 0.1.0\nauthor: Alice\nentry: hello.wasm\n";
    bench.write("hello.yaml", manifest);
    bench.manifest("clock", CLOCK, "grants = [\"time\"]");
    bench.ok(&["pack", "clock.toml", "--key", "alice"]);
    bench.manifest("callee", HELLO, "");
    bench.ok(&["pack", "callee.toml", "--key", "alice"]);
    bench.caller("caller", "callee.mod", "--key alice");
    bench.write("policy.json", bench.ok(&["policy", "show", "hello.mod"]).stdout);
    bench.write("name.txt", "Ada");
    fs::create_dir(bench.path("names")).unwrap();
    bench.write("names/ada", "Ada");
    bench.write("names/bob", "Bob");
    let run = ["run", "hello.mod", "--input", "name.txt", "--transcript", "hello.transcript"];
    bench.ok(&run);
    bench.ok(&["prove", "hello.mod", "--input", "name.txt", "-o", "hello.kproof"]);
    stage_receipts(&bench);
    for name in ["trust", "rank", "transfer", "blocklist", "agent_logic"] {
        bench.pack_standard(name);
    }
    for (from, to) in [
        ("trust-sample", "ratings"),
        ("feed-sample", "posts"),
        ("journal-sample", "journal"),
        ("opening-sample", "opening"),
    ] {
        bench.sample(&format!("{from}.csv"), &format!("{to}.csv"));
    }
    bench.ok(&["convert", "otc", "ratings.csv", "--viewer", "ada", "-o", "trust.input"]);
    bench.run_trust();
    bench.ok(&["convert", "hn", "posts.csv", "--trust", "trust.output", "-o", "rank.input"]);
    bench.ok(&["run", "rank.mod", "--input", "rank.input", "--output", "rank.output"]);
    let ledger = ["convert", "ledger", "journal.csv", "--opening", "opening.csv"];
    bench.ok(&[&ledger[..], &["-o", "transfer.input"]].concat());
    let run = ["run", "transfer.mod", "--input", "transfer.input", "--output", "transfer.output"];
    bench.ok(&run);
    for (from, to) in [("sms-sample.tsv", "messages.tsv"), ("sms-rules.toml", "rules.toml")] {
        bench.sample(from, to);
    }
    let sms = ["convert", "sms", "messages.tsv", "--rules", "rules.toml", "-o", "blocklist.input"];
    bench.ok(&sms);
    let run = ["run", "blocklist.mod", "--input", "blocklist.input"];
    bench.ok(&[&run[..], &["--output", "blocklist.output"]].concat());
    stage_agent(&bench);
    stage_capsules(&bench);
    ingests::stage(&bench);
    bench
}

/// Makes what the commands on channels and single capsules name: a file that somebody else wrote,
/// bodies, and rules of a relay.
fn stage_capsules(bench: &Bench) {
    bench.ok(&["key", "recipient", "alice"]);
    bench.write("hello.txt", "hello");
    bench.write("answer.txt", "hello to you");
    bench.write("trust.toml", format!("[[edge]]\nabout = \"{ID}\"\nweight_ppm = 500000\n"));
    bench.write("relay.toml", "default = \"forward\"\n");
    let other = Bench::new();
    other.ok(&["key", "new", "alice"]);
    other.ok(&["channel", "new", "square", "--public"]);
    other.write("text", "hello");
    other.ok(&["post", "post", "--file", "text", "-o", "hello.kapsule"]);
    other.ok(&["channel", "rotate", "square"]);
    other.ok(&["channel", "share", "square", "-o", "team-keyrings"]);
    copy(&other.path("team-keyrings"), &bench.path("team-keyrings"));
    bench.write("hello.kapsule", other.read("hello.kapsule"));
}

/// Makes the channel that the examples of one command go on in.
fn stage_channel(bench: &Bench, command: &[String]) {
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    match words[..] {
        ["post"] => {
            // The author is the only identity of the home.
            for entry in fs::read_dir(bench.path("home/data/keys")).unwrap() {
                let path = entry.unwrap().path();
                if path.file_stem() != Some("alice".as_ref()) {
                    fs::remove_file(path).unwrap();
                }
            }
            bench.ok(&["channel", "new", "news", "--public"])
        }
        ["trust"] => {
            bench.ok(&["dispatch", "set", "trust", "trust.mod", "--grant", "trust.graph"]);
            let edge = format!("[[edge]]\nabout = \"{}\"\n", views::id(bench, "bob"));
            bench.write("trust.toml", format!("{edge}weight_ppm = 500000\n"));
            bench.ok(&["channel", "new", "news", "--public", "--key", "alice"]);
            views::keyrings(bench);
            let post = ["post", "trust", "--key", "alice", "--channel", "news"];
            bench.ok(&[&post[..], &["--file", "trust.toml", "-o", "trust.kapsule"]].concat());
            bench.ok(&["ingest", "trust.kapsule"])
        }
        ["ledger"] => bench.ok(&["dispatch", "set", "ledger", "transfer.mod"]),
        ["feed"] | ["dispatch", "remove"] => bench.ok(&["dispatch", "set", "post", "rank.mod"]),
        ["agent", ..] => views::stage_agent(bench),
        ["channel", "share" | "rotate"] => {
            fs::remove_dir_all(bench.path("team-keyrings")).unwrap();
            let readers = ["--reader", "alice", "--reader", "bob.agepub"];
            bench.ok(&[&["channel", "new", "team", "--key", "alice"][..], &readers].concat())
        }
        _ => return,
    };
}

/// Makes two receipts of one job and the report of one.
fn stage_receipts(bench: &Bench) {
    let run = ["run", "hello.mod", "--input", "name.txt", "--key", "alice", "--receipt"];
    for name in ["hello.cap", "mine.cap", "theirs.cap"] {
        bench.ok(&[&run[..], &[name]].concat());
    }
    let nightly = "id = \"nightly\"\nversion = \"1\"\nrules = { outcomes = [\"completed\"] }\n";
    bench.write("nightly.toml", nightly);
    bench.ok(&["policy", "receipt", "nightly.toml", "-o", "nightly.json"]);
    bench.ok(&["policy", "registry", "build", "nightly.json", "--id", "example"]);
    bench.ok(&["policy", "acl", "alice", "bob.pub"]);
    let trust = ["key", "trust", "alice", "--role", "issuer", "--role", "author"];
    bench.ok(&[&trust[..], &["--registry", "registry.json"]].concat());
    let under = ["--receipt-policy", "nightly.json"];
    bench.ok(&[&run[..], &["hello.cap"], &under].concat());
    bench.ok(&["manifest", "collect", "-q"]);
    let described = ["described.cap", "--host", "host.json", "--toolchain", "toolchain.json"];
    bench.ok(&[&run[..], &described].concat());
    fs::create_dir(bench.path("receipts")).unwrap();
    fs::copy(bench.path("mine.cap"), bench.path("receipts/mine.cap")).unwrap();
    let split = ["receipt", "split", "hello.cap", "--to", "archive", "-o", "small.cap"];
    bench.ok(&split);
    bench.ok(&["receipt", "export", "hello.cap", "-o", "hello.dsse.json"]);
    bench.ok(&["da", "challenge", "hello.cap", "--key", "alice", "--answer-within-ms", DAY_MS]);
    bench.ok(&["da", "respond", "challenge.jsonl", "hello.cap"]);
    let report = bench.ok(&["verify", "hello.cap", "--json"]).stdout;
    bench.write("report.json", report);
}

/// Copies an agent and its events, and lets it run once.
fn stage_agent(bench: &Bench) {
    for (from, to) in [("agent", "agent.toml"), ("1-morning", "monday.toml")] {
        bench.write(to, fs::read(format!("{REPOSITORY}/examples/06-agent/{from}.toml")).unwrap());
    }
    let agent = ["convert", "agent", "agent.toml", "--events", "monday.toml"];
    bench.ok(&[&agent[..], &["-o", "agent.input"]].concat());
    let run = ["run", "agent-logic.mod", "--grant", "agent.propose", "--budget", "100"];
    bench.ok(&[&run[..], &["--input", "agent.input", "--output", "agent.output"]].concat());
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Returns the example lines of a help text.
fn examples(help: &str) -> Vec<&str> {
    let lines = help.lines().skip_while(|line| *line != "Examples:").skip(1);
    lines.take_while(|line| !line.is_empty()).map(str::trim).collect()
}

#[test]
fn every_example_runs() {
    let stage = stage();
    let (mut count, mut failed) = (0, Vec::new());
    for (path, help) in helps(&stage, &[]) {
        let lines = examples(&help);
        let bench = Bench::new();
        copy(&stage.path(""), &bench.path(""));
        if lines.iter().any(|line| line.contains("key new alice")) {
            for file in ["alice.key", "alice.pub"] {
                fs::remove_file(bench.path("home/data/keys").join(file)).unwrap();
            }
        }
        stage_channel(&bench, &path);
        // Cargo builds for half a minute; `cargo xtask sdk` does what these examples do.
        for line in lines.into_iter().filter(|line| !line.starts_with("kapsule build")) {
            let line = &line.replace(" ID ", &format!(" {ID} ")).replace("HASH", ID);
            let ended = bench.command("sh").args(["-c", line]).output().unwrap();
            let stderr = String::from_utf8_lossy(&ended.stderr);
            if !ended.status.success() {
                failed.push(format!("{path:?}: {line}: {stderr}"));
            }
            count += 1;
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(count > 40, "only {count} examples");
    assert!(KAPSULE.ends_with("kapsule"), "the examples find the command by its name");
}
