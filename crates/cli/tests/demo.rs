//! The demo, in words and as data.

use crate::support::Bench;

#[test]
fn the_demo_tells_the_whole_story() {
    let bench = Bench::new();
    let ended = bench.ok(&["demo"]);
    let text = ended.text();
    for part in [
        "trust    0.1.0",
        "policy-enforced",
        "Trust as ada sees it",
        "Feed, ranked with that trust",
        "E403_IMPORT_REFUSED",
        "--grant trust.graph",
        "completed(0) on ",
        "outcome, fuel, transcript and output are identical",
        "Receipt of the run of trust",
        "reexec          pass",
        "$ kapsule ingest posts",
        "$ kapsule feed --as",
        "Hello from a capsule of the demo",
        "ranked anew; fuel of trust",
        "nothing changed since it was ranked, and nothing ran",
        "$ kapsule log verify",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    assert!(text.is_ascii(), "the sample and the text are plain");
    for step in ["created the keys", "trust.mod is signed and verified", "replayed trust.mod"] {
        assert!(ended.stderr.contains(step), "{step:?} is not in {}", ended.stderr);
    }
    let left = std::fs::read_dir(bench.path("")).unwrap().count();
    assert_eq!(left, 0, "the throwaway home is gone, and no other was made");
}

#[test]
fn the_demo_as_data_is_the_same_every_time() {
    let bench = Bench::new();
    let first = bench.json(&["demo"]);
    let steps: Vec<&str> = first.iter().map(|object| object["step"].as_str().unwrap()).collect();
    assert_eq!(["package", "package", "refused", "run", "run", "replay", "receipt"], steps[..7]);
    assert_eq!(steps[7..], ["command"; 17]);
    let feeds: Vec<_> = first
        .iter()
        .filter(|step| step["words"].as_str().is_some_and(|words| words.contains(" feed --as")))
        .map(|step| step["objects"].as_array().unwrap().as_slice())
        .collect();
    let ends = feeds.iter().map(|objects| objects.last().unwrap()["cached"] == true);
    assert_eq!(ends.collect::<Vec<_>>(), [false, true]);
    assert_eq!((feeds[0].len(), feeds[1].len()), (7, 3));
    assert_eq!(feeds[0][..2], feeds[1][..2], "what is kept is what was computed");
    assert_eq!(first[2]["code"], "E403_IMPORT_REFUSED");
    assert_eq!(first[3]["name"], "trust");
    assert_eq!(first[3]["rows"][0]["name"], "ada");
    assert_eq!(
        first[4]["rows"].as_array().unwrap().len() + first[4]["hidden"].as_array().unwrap().len(),
        25
    );
    assert_ne!(first[5]["ran_on"], first[5]["replayed_on"]);
    let identical = serde_json::json!(["outcome", "fuel", "transcript", "output"]);
    assert_eq!(first[5]["identical"], identical);
    assert_eq!(first[6]["level"], "proof-only");
    assert_ne!(first[6]["repeated_on"], first[5]["ran_on"]);

    // Fresh keys change the packages; runs depend on the modules and inputs alone.
    let second = bench.json(&["demo"]);
    assert_ne!(first[0]["capsule_hash"], second[0]["capsule_hash"]);
    for index in [3, 4] {
        assert_eq!(first[index]["rows"], second[index]["rows"]);
        assert_eq!(first[index]["run"]["fuel_used"], second[index]["run"]["fuel_used"]);
    }
}

#[test]
fn a_kept_home_can_be_used_on() {
    let bench = Bench::new();
    bench.ok(&["demo", "--keep", "kept"]);
    let args =
        ["verify", "kept/trust.mod", "--trust", "kept/trust.json", "--require", "policy-enforced"];
    bench.ok(&args);
    bench.ok(&["replay", "kept/trust.mod", "kept/trust.transcript", "-q"]);
    bench.ok(&["verify", "kept/trust.cap", "--trust", "kept/trust.json", "--reexec", "-q"]);
    bench.fails(&["demo", "--keep", "kept"], 2, "USAGE", "cannot create kept");
}
