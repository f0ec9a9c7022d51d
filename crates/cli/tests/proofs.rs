//! Proofs: what they hold against, and a code for everything that they are held against in vain.

use kapsule_lower::isa::TAG_IN;
use kapsule_lower::{Options, lower};
use kapsule_proof::{Key, PROOF_MAX, ParamSet, ProvenRun};
use kapsule_prover::exec::{Bounds, Machine, NoTrace, Recorded};
use kapsule_prover::prove::{Job, prove, witness};
use serde_json::Value;

use crate::runs::endings;
use crate::support::{Bench, CLOCK, ENDINGS, KAPSULE, REPOSITORY};

/// Returns a directory with `hello.kproof`, a proof of `hello.mod` on `name.txt`, and its report.
fn proven() -> (Bench, Value) {
    let bench = Bench::with_hello();
    bench.write("name.txt", "Ada");
    let prove = ["prove", "hello.mod", "--input", "name.txt", "--output", "greeting.txt"];
    let more = ["--fuel", "5000", "--binding", &"ab".repeat(32), "-o", "hello.kproof"];
    let report = bench.json(&[&prove[..], &more[..]].concat()).remove(0);
    assert_eq!(bench.read("greeting.txt"), b"hello, Ada");
    (bench, report)
}

const VERIFY: [&str; 3] = ["verify-proof", "hello.mod", "hello.kproof"];

#[test]
fn a_proof_verifies_with_everything_that_is_known_of_the_run() {
    let (bench, report) = proven();
    assert_eq!(report["schema"], "kapsule/cli-prove/1");
    assert_eq!((&report["params"], &report["proven_bits"]), (&"kp100-fast".into(), &100.into()));
    let text = |name: &str| report[name].as_str().unwrap();
    let (used, transcript) = (text("fuel_used"), text("transcript"));
    let known = ["--input", "name.txt", "--output", "greeting.txt", "--entry", "run"];
    let fuel = ["--fuel", "5000", "--fuel-used", used, "--outcome", "completed"];
    let bound = ["--transcript", transcript, "--binding", &"ab".repeat(32)];
    let all = [&VERIFY[..], &known, &fuel, &bound].concat();
    let verified = bench.json(&all).remove(0);
    assert_eq!(verified["schema"], "kapsule/cli-verify-proof/1");
    assert_eq!(verified["program"], "recomputed");
    assert_eq!(verified["private"], false);
    assert_eq!(verified["statement_digest"], report["statement_digest"]);
    assert_eq!(verified["output_bytes"], "10");
    let computed = verified["computed"].as_object().unwrap();
    assert_eq!(computed.keys().collect::<Vec<_>>(), ["input_read", "log", "output_write"]);
    assert_eq!(verified["witnessed"].as_object().unwrap().len(), 0);
    // What is not given is shown instead of compared.
    let ended = bench.ok(&VERIFY);
    for line in [
        "program     recomputed",
        "parameters  kp100-fast, 100 bits proven",
        "outcome     completed(0)",
        "witnessed   input_read (1)",
        "private     no",
    ] {
        assert!(ended.text().contains(line), "{line}: {}", ended.text());
    }
    // The policy of a run without grants, said so.
    bench.write("policy.json", bench.ok(&["policy", "show", "hello.mod"]).stdout);
    bench.ok(&[&VERIFY[..], &["--policy", "policy.json"]].concat());
}

#[test]
fn everything_that_differs_has_a_code_of_its_own() {
    let (bench, _) = proven();
    bench.write("bob.txt", "Bob");
    bench.write("other.txt", "hello, Bob");
    let (zeros, ones) = ("00".repeat(32), "01".repeat(32));
    let differs = |option: [&str; 2], code: &str, text: &str| {
        bench.fails(&[&VERIFY[..], &option].concat(), 10, code, text);
    };
    differs(["--input", "bob.txt"], "E321_PROOF_INPUT_MISMATCH", "hostcall 2");
    differs(["--output", "other.txt"], "E322_PROOF_OUTPUT_MISMATCH", "10 bytes");
    differs(["--fuel", "5001"], "E318_PROOF_FUEL_MISMATCH", "granted fuel is 5000");
    differs(["--fuel-used", "1"], "E318_PROOF_FUEL_MISMATCH", "used fuel");
    differs(["--outcome", "completed(1)"], "E319_PROOF_OUTCOME_MISMATCH", "completed(0)");
    differs(["--outcome", "limit(fuel)"], "E319_PROOF_OUTCOME_MISMATCH", "limit(fuel)");
    differs(["--transcript", &ones], "E320_PROOF_TRANSCRIPT_MISMATCH", "transcript");
    differs(["--binding", &zeros], "E317_PROOF_BINDING_MISMATCH", "bound to something else");
    differs(["--entry", "other"], "E316_PROOF_ENTRY_MISMATCH", "entry `run`");

    let limits = bench.ok(&["policy", "show", "hello.mod"]).text().to_owned();
    let narrower = limits.replace("\"fuel\":1000000000", "\"fuel\":6000");
    assert_ne!(limits, narrower);
    bench.write("narrow.json", narrower);
    differs(["--policy", "narrow.json"], "E315_PROOF_POLICY_MISMATCH", "another policy");

    bench.pack("endings", ENDINGS, "");
    let other = ["verify-proof", "endings.mod", "hello.kproof"];
    bench.fails(&other, 10, "E314_PROOF_PROGRAM_MISMATCH", "another module");
}

#[test]
fn damaged_files_are_refused_before_anything_is_believed() {
    let (bench, _) = proven();
    let whole = bench.read("hello.kproof");
    let refused = |bytes: &[u8], exit: i32, code: &str, text: &str| {
        bench.write("hello.kproof", bytes);
        bench.fails(&VERIFY, exit, code, text);
    };
    refused(b"", 20, "E002_TRUNCATED", "offset 0");
    refused(&whole[..whole.len() - 1], 20, "E002_TRUNCATED", "inside a field");
    refused(&[&whole[..], b"\0"].concat(), 20, "E003_TRAILING_BYTES", "1 bytes follow");
    let changed = |position: usize, bit: u8| {
        let mut changed = whole.clone();
        changed[position] ^= bit;
        changed
    };
    refused(&changed(0, 1), 20, "E001_UNKNOWN_FORMAT", "mark");
    // The last byte is one of the argument, the first word is behind mark and policy.
    refused(&changed(whole.len() - 1, 1), 10, "E305_PROOF_INVALID", "does not prove");
    let policy = u32::from_le_bytes(whole[8..12].try_into().unwrap()) as usize;
    refused(&changed(12 + policy + 4 + 1, 1), 10, "E320_PROOF_TRANSCRIPT_MISMATCH", "transcript");
    refused(&changed(12 + policy + 4, 4), 20, "E008_SCHEMA_VIOLATION", "tag holds 5");
    refused(&changed(12 + policy - 2, 1), 10, "E315_PROOF_POLICY_MISMATCH", "another policy");
}

/// Returns files of which each is cut, too long, or says so of one of its parts.
fn damaged(whole: &[u8]) -> Vec<(String, Vec<u8>)> {
    let honest = ProvenRun::decode(whole).unwrap();
    // Where the length of each part stands.
    let policy = 8;
    let words = policy + 4 + honest.policy.len();
    let statement = words + 4 + 9 * honest.events.len() + 8;
    let heights = statement + 4 + honest.statement().encode().len() + 8;
    let argument = heights + 4 + honest.proof.segment.log_heights.len();
    let mut damaged = Vec::new();
    for length in [policy, words, statement, heights, argument] {
        for number in [u32::MAX, 1 << 24, 0] {
            let bytes = [&whole[..length], &number.to_le_bytes(), &whole[length + 4..]].concat();
            damaged.push((format!("{number} at {length}"), bytes));
        }
        for end in [length, length + 3, length + 4] {
            damaged.push((format!("cut at {end}"), whole[..end].to_vec()));
        }
    }
    let with = |argument: Vec<u8>| {
        let mut changed = honest.clone();
        changed.proof.segment.argument = argument;
        changed.encode()
    };
    let argument = &honest.proof.segment.argument;
    for byte in [0, 1, 0xff] {
        damaged.push((format!("{PROOF_MAX} bytes {byte}"), with(vec![byte; PROOF_MAX])));
    }
    for part in [2, 3, 5] {
        let mut long = argument[..argument.len() / part].to_vec();
        damaged.push((format!("the first of {part} parts"), with(long.clone())));
        long.resize(PROOF_MAX, 1);
        damaged.push((format!("the first of {part} parts and ones"), with(long)));
    }
    damaged
}

#[test]
fn every_bad_proof_is_refused_in_little_memory_and_time() {
    let (bench, _) = proven();
    let damaged = damaged(&bench.read("hello.kproof"));
    assert!(damaged.len() >= 39, "{}", damaged.len());
    for (what, bytes) in damaged {
        bench.write("hello.kproof", bytes);
        // 512 MiB of address space, most of which threads reserve, and 20 s of processor time.
        let limited = "ulimit -v 524288 && ulimit -t 20 && exec \"$0\" \"$@\" --json";
        let mut command = bench.command("sh");
        let output = command.args(["-c", limited, KAPSULE]).args(VERIFY).output().unwrap();
        // A panic is 101, and a signal is none.
        let refused = output.status.code().is_some_and(|code| [10, 20].contains(&code));
        assert!(refused, "{what}: {output:?}");
    }
}

#[test]
fn runs_that_end_otherwise_are_proven_too() {
    let bench = endings();
    for (entry, outcome) in [
        ("forever", "limit(fuel)"),
        ("trap", "trapped(unreachable)"),
        ("flood", "limit(output)"),
        ("bad_level", "denied(argument)"),
    ] {
        let prove = ["prove", "endings.mod", "--entry", entry, "--fuel", "30000"];
        let report = bench.json(&prove).remove(0);
        assert_eq!(report["outcome"], outcome);
        let verify = ["verify-proof", "endings.mod", "endings.kproof"];
        bench.ok(&[&verify[..], &["--entry", entry, "--outcome", outcome]].concat());
    }
}

#[test]
fn a_clock_is_witnessed_and_its_grant_is_part_of_the_policy() {
    let bench = Bench::new();
    bench.pack("clock", CLOCK, "grants = [\"time\"]");
    let prove = ["prove", "clock.mod", "--grant", "time", "--now", "7", "--params", "kp100-small"];
    let report = bench.json(&prove).remove(0);
    assert_eq!(report["params"], "kp100-small");
    let verify = ["verify-proof", "clock.mod", "clock.kproof"];
    let verified = bench.json(&[&verify[..], &["--grant", "time"]].concat()).remove(0);
    assert_eq!(verified["witnessed"]["now"], "1");
    let without = ["--policy", "none.json"];
    bench.write("none.json", bench.ok(&["policy", "show", "clock.mod"]).stdout);
    bench.ok(&[&verify[..], &without].concat());
}

/// Writes the SHA-256 of nothing and whether a signature of nothing holds.
const HASHER: &str = r#"(module
  (import "kapsule_v1" "hash" (func $hash (param i32 i32 i32 i32) (result i32)))
  (import "kapsule_v1" "signature_verify"
    (func $verify (param i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "kapsule_v1" "output_write" (func $write (param i32 i32) (result i32)))
  (memory (export "memory") 1 1)
  (func (export "kapsule_abi_version") (result i32) (i32.const 1))
  (func (export "run") (result i32)
    (drop (call $hash (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 8)))
    (i32.store (i32.const 40) (call $verify (i32.const 1)
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
    (call $write (i32.const 8) (i32.const 36))))"#;

#[test]
fn answers_that_follow_from_the_question_are_computed_again() {
    let bench = Bench::new();
    bench.pack("hasher", HASHER, "");
    bench.ok(&["prove", "hasher.mod", "--fuel", "90000"]);
    let verify = ["verify-proof", "hasher.mod", "hasher.kproof"];
    let verified = bench.json(&verify).remove(0);
    let computed = [("hash", "1"), ("output_write", "1"), ("signature_verify", "1")];
    let found = verified["computed"].as_object().unwrap().iter();
    assert_eq!(found.map(|(name, n)| (&**name, n.as_str().unwrap())).collect::<Vec<_>>(), computed);
    assert_eq!(verified["witnessed"].as_object().unwrap().len(), 0);

    // The circuit proves what the module makes of any answers; these are those of nobody's host.
    let honest = ProvenRun::decode(&bench.read("hasher.kproof")).unwrap();
    let program = lower(&bench.read("hasher.wasm"), &Options::new(1)).unwrap().program;
    let key = Key::derive(&program, ParamSet::FAST).unwrap();
    let input = honest.events.iter().filter(|event| event.tag == TAG_IN);
    let input: Vec<u64> = input.map(|event| event.word).collect();
    // The first word of the digest, and the verdict on the signature.
    for place in [3, 8] {
        let mut words = input.clone();
        words[place] ^= 1;
        let forged = proven_with(&key, &honest, &words);
        bench.write("hasher.kproof", forged.encode());
        let refused = "a host answered by the rules";
        bench.fails(&verify, 10, "E320_PROOF_TRANSCRIPT_MISMATCH", refused);
    }
}

/// Returns a true proof of the same job with other words from the host.
fn proven_with(key: &Key, honest: &ProvenRun, words: &[u64]) -> ProvenRun {
    let statement = honest.statement();
    let job = Job {
        module_hash: statement.module_hash,
        policy_digest: statement.policy_digest,
        binding: statement.binding,
        entry: &statement.entry,
        fuel_limit: statement.fuel_limit,
        words,
        salt_present: false,
    };
    let proof = prove(key, &witness(key, &job).unwrap()).unwrap();
    let mut exchanged = Recorded::new(words.iter().copied());
    let bounds = Bounds { fuel: job.fuel_limit, steps: 1 << 20 };
    let pc = key.program.entries[job.entry].pc;
    Machine::new(&key.program).unwrap().run(pc, bounds, &mut exchanged, &mut NoTrace).unwrap();
    let events = exchanged.events().to_vec();
    ProvenRun { policy: honest.policy.clone(), events, proof }
}

#[test]
fn what_cannot_be_proven_is_refused_by_name() {
    let bench = Bench::new();
    let float = r#"(module
      (memory (export "memory") 1 1)
      (func (export "kapsule_abi_version") (result i32) (i32.const 1))
      (func (export "run") (result i32) (i32.trunc_f64_s (f64.const 0))))"#;
    bench.pack("float", float, "[exec]\nprofile = \"float-1\"");
    let prove = ["prove", "float.mod"];
    bench.fails(&prove, 14, "E402_MODULE_FEATURE_REFUSED", "provable: no (float)");
    assert!(!bench.path("float.kproof").exists());
    let bench = endings();
    let prove = ["prove", "endings.mod", "--entry", "forever", "--fuel", "9000000"];
    bench.fails(&prove, 10, "E313_PROOF_RUN_TOO_LONG", "too long for stage 1");
    let unknown = ["prove", "endings.mod", "--params", "kp-test"];
    assert_eq!(bench.run(&unknown).code, 2);
}

/// Returns the first lines of a file of real data, or those of a sample.
#[expect(clippy::print_stdout, reason = "which data was used belongs into the log of the tests")]
fn slice(real: &str, sample: &str, lines: usize) -> String {
    let data = std::env::var("KAPSULE_DATA").unwrap_or(format!("{REPOSITORY}/../shared/data"));
    let real = std::fs::read_to_string(format!("{data}/{real}"));
    let text = real.unwrap_or_else(|error| {
        println!("{sample} in place of real data in {data}: {error}");
        std::fs::read_to_string(format!("{REPOSITORY}/examples/data/{sample}")).unwrap()
    });
    text.split_inclusive('\n').take(lines).collect()
}

#[test]
fn standard_modules_are_proven_on_slices_of_real_data() {
    let bench = Bench::new();
    bench.pack_standard("trust");
    bench.pack_standard("rank");
    let ratings = slice("bitcoin-otc-trust.csv", "trust-sample.csv", 12);
    let viewer = ratings.lines().nth(1).unwrap().split(',').next().unwrap().to_owned();
    bench.write("ratings.csv", ratings);
    bench.write("posts.csv", slice("hacker-news-2016.csv", "feed-sample.csv", 8));
    bench.ok(&["convert", "otc", "ratings.csv", "--viewer", &viewer, "-o", "trust.input"]);
    bench.ok(&["convert", "hn", "posts.csv", "-o", "rank.input"]);
    for (name, grant) in [("trust", &["--grant", "trust.graph"][..]), ("rank", &[])] {
        let (package, input) = (format!("{name}.mod"), format!("{name}.input"));
        for (verb, output) in [("run", "run.output"), ("prove", "proven.output")] {
            let args = [verb, &package, "--input", &input, "--output", output];
            bench.ok(&[&args[..], grant].concat());
        }
        assert_eq!(bench.read("proven.output"), bench.read("run.output"), "{name}");
        let proof = format!("{name}.kproof");
        let verify = ["verify-proof", &package, &proof, "--input", &input];
        bench.ok(&[&verify[..], &["--output", "run.output"], grant].concat());
    }
}
