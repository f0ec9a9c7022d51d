//! Replays: identical, or the first difference.

use kapsule_format::transcript::{Header, Transcript};

use crate::support::{Bench, CLOCK};

fn recorded() -> Bench {
    let bench = Bench::with_hello();
    bench.write("name.txt", "Ada");
    let args = ["run", "hello.mod", "--input", "name.txt", "--transcript", "hello.transcript"];
    bench.ok(&args);
    bench
}

#[test]
fn a_replay_is_identical_on_both_engines() {
    let bench = recorded();
    for engine in ["wasmi", "jit"] {
        let args = ["replay", "hello.mod", "hello.transcript", "--engine", engine];
        let text = bench.ok(&args).text().to_owned();
        let expect = format!("identical on {engine}: outcome completed(0), fuel ");
        assert!(text.starts_with(&expect), "{text}");
        let object = &bench.json(&args)[0];
        assert_eq!((&object["identical"], &object["difference"]), (&true.into(), &().into()));
    }
    bench.ok(&["replay", "hello.mod", "hello.transcript", "--input", "name.txt"]);
}

#[test]
fn another_input_is_the_first_difference() {
    let bench = recorded();
    bench.write("other.txt", "Bob");
    let args = ["replay", "hello.mod", "hello.transcript", "--input", "other.txt"];
    bench.fails(&args, 14, "E410_REPLAY_DIVERGED", "entry 2: response");
    let objects = bench.run(&[&args[..], &["--json"]].concat()).objects();
    assert_eq!(objects[0]["identical"], false);
    assert_eq!(objects[0]["difference"]["entry"], "2");
}

#[test]
fn a_transcript_that_was_changed_is_found_out() {
    let bench = recorded();
    let bytes = bench.read("hello.transcript");
    let place = |needle: &[u8]| bytes.windows(needle.len()).position(|w| w == needle).unwrap();
    for (needle, code, exit) in [
        (b"Ada".as_slice(), "E410_REPLAY_DIVERGED", 14),
        (b"hello, ", "E410_REPLAY_DIVERGED", 14),
        (b"kapsule/transcript/1", "E001_UNKNOWN_FORMAT", 20),
    ] {
        let mut changed = bytes.clone();
        changed[place(needle)] ^= 1;
        bench.write("bad.transcript", &changed);
        bench.fails(&["replay", "hello.mod", "bad.transcript"], exit, code, "transcript");
    }
    bench.write("bad.transcript", &bytes[..bytes.len() - 1]);
    let args = ["replay", "hello.mod", "bad.transcript"];
    bench.fails(&args, 20, "E002_TRUNCATED", "is not a transcript");
}

#[test]
fn a_transcript_belongs_to_one_package() {
    let bench = recorded();
    bench.pack("clock", CLOCK, "grants = [\"time\"]");
    let args = ["replay", "clock.mod", "hello.transcript"];
    bench.fails(&args, 12, "E017_FACTS_CONFLICT", "the transcript names capsule_hash");
}

#[test]
fn a_header_that_disagrees_with_the_package_is_refused() {
    let bench = recorded();
    let changed = |change: &dyn Fn(&mut Header)| {
        let mut transcript = Transcript::decode(&bench.read("hello.transcript")).unwrap();
        change(&mut transcript.header);
        bench.write("bad.transcript", transcript.encode().unwrap());
    };
    let args = ["replay", "hello.mod", "bad.transcript"];
    changed(&|header| header.core_hash = "11".repeat(32).parse().unwrap());
    bench.fails(&args, 12, "E017_FACTS_CONFLICT", "the transcript names core_hash 1111");
    changed(&|header| header.profile = "float-1".into());
    bench.fails(&args, 12, "E017_FACTS_CONFLICT", "names profile \"float-1\"");
    changed(&|header| header.policy.limits.calls += 1);
    bench.fails(&args, 12, "E017_FACTS_CONFLICT", "allows more than that of the package");
    changed(&|header| header.entry = "other".to_owned());
    bench.fails(&args, 14, "E404_ENTRY_NOT_FOUND", "does not list the entry \"other\"");
    changed(&|header| header.metering = "fuel-2 stack-1 meter-1".into());
    bench.fails(&args, 20, "E005_VERSION_UNSUPPORTED", "fuel-2");
    changed(&|_| ());
    bench.ok(&args);
}

#[test]
fn an_answer_of_the_host_is_replayed_without_it() {
    let bench = Bench::new();
    bench.pack("clock", CLOCK, "grants = [\"time\"]");
    bench.ok(&["run", "clock.mod", "--grant", "time", "--now", "5", "--transcript", "t"]);
    bench.ok(&["replay", "clock.mod", "t"]);
    let ended = bench.run_with(&["replay", "clock.mod", "-"], &bench.read("t"));
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    bench.fails(&["replay", "-", "-"], 2, "USAGE", "only one of the files");
}

#[test]
fn a_package_that_does_not_verify_is_not_replayed() {
    let bench = recorded();
    let mut bytes = bench.read("hello.mod");
    let last = bytes.len() - 40;
    bytes[last] ^= 1;
    bench.write("hello.mod", &bytes);
    let args = ["replay", "hello.mod", "hello.transcript"];
    bench.fails(&args, 12, "E032_SIGNATURE_INVALID", "hello.mod is rejected");
}
