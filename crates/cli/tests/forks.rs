//! `fork` and `prune`: evidence that others verify without a store, and bodies that go and return.

use kapsule_format::capsule::fork::Fork;
use serde_json::Value;

use crate::ingests::{INGEST, Writer, fill, fork};
use crate::support::Bench;

fn bench() -> (Bench, Writer) {
    let bench = Bench::new();
    let writer = fill(&bench);
    bench.ok(&INGEST);
    (bench, writer)
}

#[test]
fn a_fork_is_proved_to_somebody_without_a_store() {
    let (bench, mut writer) = bench();
    assert_eq!(bench.json(&["fork", "list"]), [] as [Value; 0]);
    fork(&bench, &mut writer);
    let listed = bench.json(&["fork", "list"]);
    assert_eq!((listed.len(), listed[0]["seq"].as_str()), (1, Some("4")));
    let told = bench.json(&["fork", "export", "forks"]).remove(0);
    assert_eq!(told["sides"], listed[0]["sides"]);
    let evidence = bench.read(told["file"].as_str().unwrap());
    let stranger = Bench::new();
    stranger.write("fork.ksnap", &evidence);
    let verified = stranger.json(&["fork", "verify", "fork.ksnap"]).remove(0);
    for member in ["author", "channel", "seq", "sides"] {
        assert_eq!(verified[member], listed[0][member], "{member}");
    }
    assert!(!stranger.path("home/data/store.sqlite").exists(), "no store is needed");
    // It holds nothing of what was said, and is longer if it does.
    let bodies = bench.json(&["fork", "export", "whole", "--bodies"]).remove(0);
    let whole = bench.read(bodies["file"].as_str().unwrap());
    assert!(whole.len() > evidence.len() && Fork::verify(&whole).is_ok());
    let mark = b"age-encryption.org/v1".as_slice();
    assert!(!evidence.windows(mark.len()).any(|window| window == mark));
    // One changed byte of a signature accuses nobody.
    let mut bent = evidence;
    let mark = b"\"sig\":\"".as_slice();
    let at = bent.windows(mark.len()).position(|window| window == mark).unwrap() + mark.len();
    bent[at] = if bent[at] == b'A' { b'B' } else { b'A' };
    stranger.write("fork.ksnap", bent);
    stranger.fails(&["fork", "verify", "fork.ksnap"], 12, "E032_SIGNATURE_INVALID", "accuse");
    // Evidence is a snapshot, which a store without the bodies takes in.
    stranger.ok(&["ingest", bench.path("capsules").to_str().unwrap()]);
    let file = bench.path(told["file"].as_str().unwrap());
    stranger.ok(&["snapshot", "import", file.to_str().unwrap()]);
    assert_eq!(stranger.json(&["fork", "list"]), listed);
    stranger.ok(&["doctor"]);
    // What never had a body loses none, and a store without any has nothing to prune.
    assert_eq!(stranger.json(&["prune", "--keep", "0"])[0]["bodies"], "3");
    assert_eq!(stranger.json(&["prune", "--keep", "0"])[0]["bodies"], "0");
    stranger.ok(&["doctor"]);
}

fn files(bench: &Bench, path: &str) -> Value {
    bench.json(&["ingest", path, "--identity", "reader"]).pop().unwrap()["files"].take()
}

#[test]
fn a_pruned_store_is_whole_and_takes_bodies_back() {
    let (bench, mut writer) = bench();
    bench.ok(&["log", "key", "log"]);
    bench.ok(&["log", "checkpoint", "--key", "log", "-o", "checkpoint"]);
    assert_eq!(bench.run(&["prune"]).code, 2);
    bench.fails(&["prune", "--keep", "0", "--kind", "keyring"], 2, "USAGE", "key of its channel");
    let dry = bench.json(&["prune", "--keep", "1", "--dry-run"]).remove(0);
    assert_eq!((dry["bodies"].as_str(), dry["dry_run"].as_bool()), (Some("2"), Some(true)));
    let heads = bench.json(&["snapshot", "heads"]);
    let whole = bench.json(&["snapshot", "export", "whole"]).remove(0);
    let pruned = bench.json(&["prune", "--keep", "1", "--shrink"]).remove(0);
    assert_eq!(pruned["bodies"], "2");
    // What others can check is what it was.
    bench.ok(&["log", "verify", "--checkpoint", "checkpoint"]);
    assert_eq!(bench.json(&["log", "verify"])[0]["pruned"], "2");
    assert_eq!(bench.json(&["doctor"])[0]["pruned"], "2");
    assert_eq!(bench.json(&["snapshot", "heads"]), heads);
    let bare = bench.json(&["snapshot", "export", "bare"]).remove(0);
    assert_eq!((&bare["snapshot"], bare["without_body"].as_str()), (&whole["snapshot"], Some("2")));
    bench.write("next.kapsule", writer.post("next"));
    assert_eq!(files(&bench, "next.kapsule")["accepted"], "1");
    // A store that was only ever given headers takes the bodies when they come.
    let other = Bench::new();
    other.ok(&["snapshot", "import", bench.path("bare").to_str().unwrap()]);
    other.secret("reader", &String::from_utf8(bench.read("reader")).unwrap());
    let late = files(&other, bench.path("capsules").to_str().unwrap());
    assert_eq!((late["restored"].as_str(), late["held already"].as_str()), (Some("2"), Some("2")));
    // A directory that is synchronised brings nothing back, a snapshot that is named does.
    bench.ok(&["snapshot", "sync", "whole"]);
    assert_eq!(bench.json(&["doctor"])[0]["pruned"], "2");
    bench.ok(&["snapshot", "import", "whole"]);
    let doctor = bench.json(&["doctor"]).remove(0);
    assert_eq!((doctor["pruned"].as_str(), &doctor["damage"]), (Some("0"), &Value::Array(vec![])));
    assert_eq!(bench.json(&["log", "show", "--type", "capsule.restored"]).len(), 2);
    // And so does the file itself.
    bench.ok(&["prune", "--keep", "0"]);
    assert_eq!(bench.json(&["doctor"])[0]["pruned"], "4");
    let back = files(&bench, "capsules");
    assert_eq!((back["restored"].as_str(), back["held already"].as_str()), (Some("3"), Some("1")));
    bench.ok(&["doctor"]);
}

#[test]
fn a_forged_body_does_not_come_back() {
    let (bench, _) = bench();
    bench.ok(&["prune", "--keep", "0"]);
    let mut bent = bench.read("capsules/a.kapsule");
    let mark = b"age-encryption.org/v1".as_slice();
    let at = bent.windows(mark.len()).position(|window| window == mark).unwrap();
    bent[at + 300] ^= 1;
    bench.write("bent.kapsule", bent);
    bench.fails(&["ingest", "bent.kapsule"], 12, "E013_ENTRY_DIGEST_MISMATCH", "bent.kapsule");
    assert_eq!(bench.json(&["doctor"])[0]["pruned"], "3");
}
