//! Packages that need others: packing, keeping, finding, verifying and calling them.

use std::fs;

use crate::support::{Bench, HELLO, REPOSITORY};

/// A directory with `hello.mod` and `caller.mod`, which calls it, both by alice.
fn pair() -> Bench {
    let bench = Bench::with_hello();
    bench.caller("caller", "hello.mod", "--key alice");
    bench
}

fn id(bench: &Bench, file: &str) -> String {
    let inspected = bench.json(&["inspect", file]).remove(0);
    inspected["capsule_hash"].as_str().unwrap().to_owned()
}

const RUN: [&str; 6] = ["run", "caller.mod", "--grant", "compose", "--input", "name.txt"];

fn run(more: &[&'static str]) -> Vec<&'static str> {
    [&RUN[..], more].concat()
}

#[test]
fn a_package_calls_another() {
    let bench = pair();
    bench.write("name.txt", "Ada");
    let ended = bench.ok(&run(&["--dep", "hello.mod", "--transcript", "c.transcript"]));
    assert_eq!(ended.text(), "hello, Ada");
    assert!(ended.stderr.contains("called hello 0.1.0: completed(0)"), "{}", ended.stderr);
    assert!(ended.stderr.contains("hello 0.1.0 says (info): greeting"), "{}", ended.stderr);
    // Each transcript replays against its own package and nothing else.
    fs::remove_dir_all(bench.path("home")).unwrap();
    for engine in ["wasmi", "jit"] {
        bench.ok(&["replay", "caller.mod", "c.transcript", "--engine", engine]);
        bench.ok(&["replay", "hello.mod", "c.transcript.0", "--engine", engine]);
    }
    let text = "names capsule_hash";
    let wrong = ["replay", "caller.mod", "c.transcript.0"];
    bench.fails(&wrong, 12, "E017_FACTS_CONFLICT", text);
}

#[test]
fn the_engines_agree_on_runs_inside_a_run() {
    let bench = pair();
    bench.write("name.txt", "Ada");
    let report = |engine| {
        let mut object = bench.json(&run(&["--dep", "hello.mod", "--engine", engine])).remove(0);
        for own in ["backend", "elapsed_ms"] {
            object.as_object_mut().unwrap().remove(own);
        }
        object
    };
    let object = report("wasmi");
    assert_eq!(object, report("jit"));
    assert_eq!(object, {
        let mut auto = report("auto");
        auto.as_object_mut().unwrap().remove("backend");
        auto
    });
    let nested = &object["nested"][0];
    assert_eq!(nested["capsule_hash"], id(&bench, "hello.mod"));
    assert_eq!((&nested["title"], &nested["call"]), (&"hello 0.1.0".into(), &"1".into()));
    assert_eq!(nested["output_bytes"], "10");
    assert_eq!(nested["nested"], serde_json::json!([]));
}

#[test]
fn a_batch_calls_too() {
    let bench = pair();
    fs::create_dir(bench.path("names")).unwrap();
    bench.write("names/ada", "Ada");
    bench.write("names/bob", "Bob");
    let batch = ["run", "caller.mod", "--grant", "compose", "--dep", "hello.mod", "--batch"];
    let places = ["names", "--output-dir", "out", "--transcript-dir", "transcripts"];
    bench.ok(&[&batch[..], &places].concat());
    assert_eq!(bench.read("out/bob"), b"hello, Bob");
    bench.ok(&["replay", "hello.mod", "transcripts/ada.transcript.0"]);
}

#[test]
fn a_needed_package_that_is_absent_is_named() {
    let bench = pair();
    bench.write("name.txt", "Ada");
    let absent =
        format!("the package {}, needed by caller.mod, is absent", id(&bench, "hello.mod"));
    bench.fails(&run(&[]), 13, "E203_DEPENDENCY_ABSENT", &absent);
    // The directory supplies what was added to it, and `--packages` names another one.
    bench.ok(&["package", "add", "hello.mod"]);
    assert_eq!(bench.ok(&run(&[])).text(), "hello, Ada");
    let other = run(&["--packages", "elsewhere"]);
    bench.fails(&other, 13, "E203_DEPENDENCY_ABSENT", &absent);
    // Whoever needs it is named, also where that is another package.
    bench.caller("outer", "caller.mod", "");
    let absent = format!("needed by the package {}, is absent", id(&bench, "caller.mod"));
    let args = ["run", "outer.mod", "--dep", "caller.mod", "--packages", "elsewhere"];
    bench.fails(&args, 13, "E203_DEPENDENCY_ABSENT", &absent);
    let args = ["run", "outer.mod", "--dep", "caller.mod", "--grant", "compose"];
    assert_eq!(bench.ok(&args).text(), "hello, ");
}

#[test]
fn calling_needs_a_grant() {
    let bench = pair();
    let args = ["run", "caller.mod", "--dep", "hello.mod"];
    bench.fails(&args, 14, "E403_IMPORT_REFUSED", "--grant compose");
}

#[test]
fn a_needed_package_is_trusted_by_the_same_file() {
    let bench = pair();
    bench.ok(&["key", "new", "bob"]);
    bench.ok(&["key", "trust", "alice", "-o", "trust.json"]);
    let verify = ["verify", "caller.mod", "--dep", "hello.mod", "--trust", "trust.json"];
    let whole = [&verify[..], &["--require", "audit-ready"]].concat();
    let ended = bench.ok(&whole);
    assert!(ended.text().contains("1 package, present and accepted"), "{}", ended.text());

    bench.manifest("hello", HELLO, "");
    bench.ok(&["pack", "hello.toml", "--key", "bob"]);
    bench.caller("caller", "hello.mod", "--key alice");
    let needed =
        format!("package {}, needed by {}", id(&bench, "hello.mod"), id(&bench, "caller.mod"));
    let ended = bench.run(&verify);
    assert_eq!(ended.code, 11);
    assert!(ended.stderr.contains("error[E131_DEPENDENCY_UNTRUSTED]"), "{}", ended.stderr);
    assert!(ended.stderr.contains(&needed), "{}", ended.stderr);
    let run = ["run", "caller.mod", "--dep", "hello.mod", "--trust", "trust.json"];
    bench.fails(&run, 11, "E131_DEPENDENCY_UNTRUSTED", &needed);
    // Without trust roots both run, and a warning names the one and the other.
    let ended = bench.ok(&["run", "caller.mod", "--dep", "hello.mod", "--grant", "compose"]);
    assert!(ended.stderr.contains("warning: caller.mod is signed by"), "{}", ended.stderr);
    assert!(ended.stderr.contains("warning: hello.mod is signed by"), "{}", ended.stderr);
}

#[test]
fn a_needed_package_is_verified_like_any_other() {
    let bench = pair();
    let mut bytes = bench.read("hello.mod");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    bench.write("hello.mod", bytes);
    let run = ["run", "caller.mod", "--dep", "hello.mod", "--grant", "compose"];
    bench.fails(&run, 12, "E032_SIGNATURE_INVALID", "needed by");
}

#[test]
fn verification_says_what_it_knows_of_the_closure() {
    let bench = pair();
    let check = |args: &[&str]| {
        let ended = bench.run(&[&["verify"], args, &["--json"]].concat());
        let report = ended.objects().remove(0);
        let checks = report["checks"].as_array().unwrap().clone();
        let check = checks.into_iter().find(|check| check["name"] == "dependencies").unwrap();
        (check["result"].as_str().unwrap().to_owned(), check["code"].as_str().map(str::to_owned))
    };
    assert_eq!(check(&["hello.mod"]), ("pass".into(), None));
    assert_eq!(check(&["caller.mod"]), ("not-done".into(), Some("E203".into())));
    assert_eq!(check(&["caller.mod", "--dep", "hello.mod"]), ("pass".into(), None));
    let ended = bench.run(&["verify", "caller.mod", "--require", "audit-ready"]);
    assert_eq!(ended.code, 13);
    assert!(ended.stderr.contains("dependencies: not-done E203"), "{}", ended.stderr);
}

#[test]
fn a_closure_deeper_than_the_limit_is_refused() {
    let bench = Bench::with_hello();
    let mut last = "hello".to_owned();
    for depth in 1..=17 {
        let name = format!("c{depth}");
        bench.caller(&name, &format!("{last}.mod"), "");
        bench.ok(&["package", "add", &format!("{last}.mod")]);
        last = name;
    }
    bench.ok(&["run", "c16.mod", "--grant", "compose"]);
    bench.fails(&["run", "c17.mod"], 20, "E004_LIMIT_EXCEEDED", "depth of 17, allowed are 16");
}

#[test]
fn inspection_shows_what_is_needed() {
    let bench = pair();
    bench.caller("outer", "caller.mod", "");
    let (hello, caller) = (id(&bench, "hello.mod"), id(&bench, "caller.mod"));
    let ended = bench.ok(&["inspect", "outer.mod", "--dep", "hello.mod", "--dep", "caller.mod"]);
    let lines = format!("{hello} hello 0.1.0\n{caller} caller 0.1.0\n2 in all, 2 in a row, ");
    assert!(ended.text().contains(&lines), "{}", ended.text());
    let object = bench.json(&["inspect", "outer.mod", "--dep", "caller.mod"]).remove(0);
    assert_eq!(object["closure"]["code"], "E203_DEPENDENCY_ABSENT");
    let object = bench.json(&["inspect", "caller.mod", "--dep", "hello.mod"]).remove(0);
    assert_eq!(object["closure"]["packages"][0]["name"], "hello");
}

#[test]
fn a_file_and_its_hash_name_the_same_dependency() {
    let bench = pair();
    let hash = id(&bench, "hello.mod");
    bench.ok(&[
        "pack",
        "caller.toml",
        "--dep",
        "hello.mod",
        "--depends",
        &hash,
        "-o",
        "by-file.mod",
    ]);
    bench.ok(&["pack", "caller.toml", "--depends", &hash, "-o", "by-hash.mod"]);
    assert_eq!(bench.read("by-file.mod"), bench.read("by-hash.mod"));
    bench.write("hello.mod", "no package");
    let args = ["pack", "caller.toml", "--dep", "hello.mod"];
    bench.fails(&args, 20, "E001_UNKNOWN_FORMAT", "hello.mod");
}

#[test]
fn the_package_directory_is_addressed_by_content() {
    let bench = pair();
    let none = bench.ok(&["package", "list"]);
    assert!(none.stderr.contains("has no packages"), "{}", none.stderr);
    let added = bench.json(&["package", "add", "hello.mod", "caller.mod"]);
    let hello = id(&bench, "hello.mod");
    assert_eq!(
        (&added[0]["capsule_hash"], &added[0]["new"]),
        (&hello.as_str().into(), &true.into())
    );
    let again = bench.json(&["package", "add", "hello.mod"]);
    assert_eq!(again[0]["new"], false);
    let listed = bench.ok(&["package", "list"]);
    assert!(listed.text().contains(&format!("{hello}  hello 0.1.0")), "{}", listed.text());
    assert_eq!(bench.json(&["package", "list"]).len(), 2);

    // A file under another name is not that package, for a list and for a run.
    let place = |id: &str| bench.path(&format!("home/data/packages/{id}.mod"));
    fs::copy(place(&id(&bench, "caller.mod")), place(&hello)).unwrap();
    bench.fails(&["package", "list"], 15, "E503_STORE_CORRUPT", "it holds the package");
    let run = ["run", "caller.mod", "--grant", "compose"];
    bench.fails(&run, 15, "E503_STORE_CORRUPT", "is not the package of its name");
    fs::write(place(&hello), "damaged").unwrap();
    bench.fails(&run, 15, "E503_STORE_CORRUPT", "is not the package of its name");
}

#[test]
fn signatures_of_a_kept_package_add_up() {
    let bench = Bench::with_hello();
    bench.ok(&["key", "new", "bob"]);
    bench.ok(&["package", "add", "hello.mod"]);
    let signatures = |bench: &Bench| {
        let place = format!("home/data/packages/{}.mod", id(bench, "hello.mod"));
        bench.json(&["inspect", &place]).remove(0)["signatures"].as_array().unwrap().len()
    };
    assert_eq!(signatures(&bench), 1);
    // The same package with another signature, which stands in a file of its own.
    bench.ok(&["sign", "hello.mod", "--key", "bob", "--scope", "publisher"]);
    bench.ok(&["package", "add", "hello.mod"]);
    assert_eq!(signatures(&bench), 2);
    bench.ok(&["pack", "hello.toml", "--author-key", "alice"]);
    bench.ok(&["package", "add", "hello.mod"]);
    assert_eq!(signatures(&bench), 2);
}

/// A directory with the packages `feed.mod`, `trust.mod` and `rank.mod` and the inputs of all.
fn feed() -> Bench {
    let bench = Bench::new();
    bench.pack_standard("trust");
    bench.pack_standard("rank");
    let manifest = format!("{REPOSITORY}/examples/packages/feed.toml");
    let payload = format!("{REPOSITORY}/modules/artifacts/feed.wasm");
    let pack = ["pack", &manifest, "--payload", &payload];
    bench.ok(&[&pack[..], &["--dep", "trust.mod", "--dep", "rank.mod"]].concat());
    bench.sample("trust-sample.csv", "ratings.csv");
    bench.sample("feed-sample.csv", "posts.csv");
    bench.ok(&["convert", "otc", "ratings.csv", "--viewer", "ada", "-o", "trust.input"]);
    bench.ok(&["convert", "hn", "posts.csv", "-o", "rank.input"]);
    let compose = ["convert", "compose", "trust.input", "rank.input", "--trust", "trust.mod"];
    bench.ok(&[&compose[..], &["--rank", "rank.mod", "-o", "feed.input"]].concat());
    bench
}

const FEED: [&str; 10] = [
    "run",
    "feed.mod",
    "--dep",
    "trust.mod",
    "--dep",
    "rank.mod",
    "--grant",
    "compose",
    "--input",
    "feed.input",
];

#[test]
fn three_packages_in_one_run_give_what_two_runs_give() {
    let bench = feed();
    bench.run_trust();
    let whole = ["convert", "hn", "posts.csv", "--trust", "trust.output", "-o", "whole.input"];
    bench.ok(&whole);
    bench.ok(&["run", "rank.mod", "--input", "whole.input", "--output", "rank.output"]);
    let mut objects = Vec::new();
    for engine in ["wasmi", "jit"] {
        let more = ["--grant", "trust.graph", "--engine", engine, "--output", "feed.output"];
        let transcript = ["--transcript", "t"];
        objects.push(bench.json(&[&FEED[..], &more, &transcript].concat()).remove(0));
        assert_eq!(bench.read("feed.output"), bench.read("rank.output"), "{engine}");
        let other = if engine == "jit" { "wasmi" } else { "jit" };
        for (package, transcript) in [("feed.mod", "t"), ("trust.mod", "t.0"), ("rank.mod", "t.1")]
        {
            bench.ok(&["replay", package, transcript, "--engine", other]);
            fs::remove_file(bench.path(transcript)).unwrap();
        }
    }
    let fuel = |object: &serde_json::Value| -> u64 {
        object["fuel_used"].as_str().unwrap().parse().unwrap()
    };
    let nested = objects[0]["nested"].as_array().unwrap();
    assert_eq!(nested.len(), 2);
    assert!(fuel(&objects[0]) > nested.iter().map(fuel).sum(), "the nested runs are paid for");
    assert_eq!(fuel(&objects[0]), fuel(&objects[1]));
}

#[test]
fn a_nested_run_has_no_more_grants_and_fuel_than_its_caller() {
    let bench = feed();
    let refused = bench.run(&[&FEED[..], &["--output", "out"]].concat());
    assert_eq!(refused.code, 14);
    assert!(refused.stderr.contains("completed(2)"), "{}", refused.stderr);
    let said = "module says (error): the package of trust was not run: refused";
    assert!(refused.stderr.contains(said), "{}", refused.stderr);
    // More than the caller needs alone, and less than the nested runs need as well.
    let short = [&FEED[..], &["--grant", "trust.graph", "--fuel", "4000000"]].concat();
    bench.fails(&short, 14, "E405_OUT_OF_FUEL", "limit(fuel)");
    assert!(!bench.path("out").exists());
}
