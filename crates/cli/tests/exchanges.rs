//! `snapshot`: stores that exchange files come to hold the same.

use std::fs;

use kapsule_format::capsule::Capsule;
use kapsule_format::snapshot::{self, Snapshot};
use serde_json::Value;

use crate::ingests::{INGEST, Writer, fill};
use crate::support::Bench;

/// A store with a genesis and three posts.
fn filled() -> (Bench, Writer) {
    let bench = Bench::new();
    let writer = fill(&bench);
    bench.ok(&INGEST);
    (bench, writer)
}

/// Adds a post to a store.
fn add(bench: &Bench, writer: &mut Writer, text: &str) {
    bench.write(&format!("{text}.kapsule"), writer.post(text));
    bench.ok(&["ingest", &format!("{text}.kapsule")]);
}

fn heads(bench: &Bench) -> Vec<String> {
    let printed = bench.ok(&["snapshot", "heads"]).stdout;
    String::from_utf8(printed).unwrap().lines().map(str::to_owned).collect()
}

/// Returns the names of the snapshots in a directory.
fn names(bench: &Bench, directory: &str) -> Vec<String> {
    let entries = fs::read_dir(bench.path(directory)).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Writes the whole store into a directory of its own and returns the names, which are the ids.
fn whole(bench: &Bench) -> Vec<String> {
    drop(fs::remove_dir_all(bench.path("whole")));
    bench.ok(&["snapshot", "export", "whole"]);
    names(bench, "whole")
}

#[test]
fn a_disk_that_is_carried_around_brings_stores_together() {
    let (one, mut writer) = filled();
    let other = Bench::new();
    let disk = one.path("disk");
    let disk = disk.to_str().unwrap();
    one.ok(&["snapshot", "sync", disk]);
    other.ok(&["snapshot", "sync", disk]);
    assert_eq!(whole(&one), whole(&other));
    // Both go on, each with its own end of a fork.
    let mut rival = writer.clone();
    add(&one, &mut writer, "here");
    add(&other, &mut rival, "there");
    assert_ne!(whole(&one), whole(&other));
    for bench in [&one, &other, &one] {
        bench.ok(&["snapshot", "sync", disk]);
    }
    assert_eq!(whole(&one), whole(&other));
    assert_eq!((heads(&one).len(), heads(&one)), (2, heads(&other)));
    // Whoever has all writes nothing, and whoever gets nothing new tells the log nothing.
    let before = (names(&one, "disk"), one.json(&["log", "show"]).len());
    let said = one.json(&["snapshot", "sync", disk]);
    assert!(said.iter().all(|line| line["schema"] == "kapsule/ingest/1"), "{said:?}");
    assert_eq!((names(&one, "disk"), one.json(&["log", "show"]).len()), before);
    one.ok(&["doctor"]);
    other.ok(&["doctor"]);
}

#[test]
fn heads_say_what_is_lacking() {
    let (one, mut writer) = filled();
    let other = Bench::new();
    one.ok(&["snapshot", "export", "disk"]);
    let disk = one.path("disk");
    other.ok(&["snapshot", "import", disk.to_str().unwrap()]);
    add(&one, &mut writer, "later");
    let have = heads(&other).remove(0);
    let parts = one.json(&["snapshot", "export", "more", "--have", &have]);
    let counts: Vec<&Value> = parts.iter().map(|part| &part["capsules"]).collect();
    assert_eq!(counts, ["1"], "{parts:?}");
    let file = one.path(parts[0]["file"].as_str().unwrap());
    other.ok(&["snapshot", "import", file.to_str().unwrap()]);
    assert_eq!(whole(&one), whole(&other));
    let channel = parts[0]["channel"].as_str().unwrap();
    let found = one.json(&["snapshot", "heads", "--channel", &channel[..8]]);
    assert_eq!(found[0]["heads"], serde_json::json!(heads(&other)));
    let nothing = one.ok(&["snapshot", "export", "none", "--have", &heads(&one)[0]]);
    assert!(nothing.stderr.contains("no snapshot was written"), "{}", nothing.stderr);
    assert_eq!((nothing.stdout, names(&one, "none").len()), (vec![], 0));
    assert_eq!(one.run(&["snapshot", "heads", "--channel", "nobody"]).code, 15);
    assert_eq!(one.run(&["snapshot", "export", "more", "--have", "x"]).code, 2);
}

#[test]
fn a_store_without_capsules_exports_nothing_and_says_so() {
    let bench = Bench::new();
    bench.write("none.kapsule", "no capsule");
    assert_eq!(bench.run(&["ingest", "none.kapsule"]).code, 20);
    bench.fails(&["snapshot", "export", "parts"], 2, "USAGE", "the store has no capsules");
    assert!(!bench.path("parts").exists());
}

#[test]
fn what_is_brought_is_judged_like_anything_else() {
    let (one, _) = filled();
    one.ok(&["snapshot", "export", "disk"]);
    let name = names(&one, "disk").remove(0);
    let other = Bench::new();
    fs::create_dir(other.path("disk")).unwrap();
    let copy = format!("disk/{name}");
    fs::copy(one.path(&copy), other.path(&copy)).unwrap();
    let found = other.json(&["snapshot", "import", &copy]);
    assert_eq!(found.last().unwrap()["files"]["accepted"], "4");
    let log = other.json(&["log", "show", "--type", "snapshot.imported"]);
    assert_eq!(format!("{}.ksnap", log[0]["subjects"]["snapshot"].as_str().unwrap()), name);
    // A capsule with another payload keeps its id, and the snapshot its form.
    let bytes = one.read("capsules/a.kapsule");
    let capsule = Capsule::decode(&bytes).unwrap();
    let payload = capsule.payload().unwrap();
    let at = bytes.windows(payload.len()).position(|part| part == payload).unwrap();
    let mut bent = bytes.clone();
    bent[at + payload.len() - 1] ^= 1;
    let channel = capsule.meta().channel.unwrap();
    let third = Bench::new();
    let written = snapshot::write(channel, [bent.as_slice()], []).unwrap();
    third.write("bent.ksnap", written);
    let ended = third.run(&["snapshot", "import", "bent.ksnap"]);
    assert!(ended.stderr.contains("E013_ENTRY_DIGEST_MISMATCH"), "{}", ended.stderr);
    assert_eq!(ended.code, 12);
}

#[test]
fn a_damaged_snapshot_is_refused_whole_and_the_others_are_taken() {
    let (one, mut writer) = filled();
    one.ok(&["snapshot", "export", "disk"]);
    let mut bytes = one.read(&format!("disk/{}", names(&one, "disk")[0]));
    let end = bytes.len() - 1_024;
    bytes.truncate(end);
    one.write("disk/0.ksnap", bytes);
    one.write("disk/1.ksnap", "SQLite format 3\0");
    let other = Bench::new();
    other.write("new.kapsule", writer.post("new"));
    let disk = one.path("disk");
    let ended = other.run(&["snapshot", "sync", disk.to_str().unwrap()]);
    assert_eq!(ended.code, 20, "{}", ended.stderr);
    assert!(ended.stderr.contains("0.ksnap") && ended.stderr.contains("1.ksnap"));
    assert_eq!(whole(&other), whole(&one));
    // What a home has is written to the directory in spite of what is damaged there.
    other.ok(&["ingest", "new.kapsule"]);
    let before = names(&one, "disk").len();
    assert_eq!(other.run(&["snapshot", "sync", disk.to_str().unwrap()]).code, 20);
    assert_eq!(names(&one, "disk").len(), before + 1);
}

#[test]
fn a_checkpoint_goes_along_and_is_checked_where_its_log_is_trusted() {
    let (one, _) = filled();
    let export = ["snapshot", "export", "noted", "--checkpoint"];
    one.fails(&export, 2, "USAGE", "kapsule log checkpoint");
    one.ok(&["log", "key", "log"]);
    let signed = &one.json(&["log", "checkpoint", "--key", "log"])[0];
    one.ok(&export);
    // The same capsules have the same name, whatever the log says.
    assert_eq!(names(&one, "noted"), whole(&one));
    let name = format!("noted/{}", names(&one, "noted")[0]);
    let other = Bench::new();
    fs::create_dir(other.path("noted")).unwrap();
    fs::copy(one.path(&name), other.path(&name)).unwrap();
    let import = ["snapshot", "import", &name];
    let told = &other.json(&import)[0];
    assert_eq!((&told["origin"], &told["size"]), (&signed["origin"], &signed["size"]));
    assert_eq!((&told["note"], &told["verified"]), (&signed["note"], &false.into()));
    let log = &other.json(&["log", "show", "--type", "snapshot.imported"])[0];
    assert_eq!(log["data"]["log_size"], signed["size"], "{log}");
    // Whoever trusts the log has its signature checked.
    let vkey = signed["vkey"].as_str().unwrap();
    other.ok(&["key", "new", "me"]);
    other.ok(&["key", "trust", "me", "--log", vkey, "-o", "trust.json"]);
    let trusting = |file| ["snapshot", "import", file, "--trust", "trust.json"];
    let told = &other.json(&trusting(&name))[0];
    assert_eq!((&told["verified"], &told["cosigners"]), (&true.into(), &0.into()));
    let bytes = other.read(&name);
    let found = Snapshot::decode(&bytes).unwrap();
    let mut note = found.checkpoint().unwrap().clone();
    note.checkpoint.size += 1;
    other.write("forged.ksnap", found.with_checkpoint(&note).unwrap());
    let ended = other.run(&trusting("forged.ksnap"));
    assert!(ended.stderr.contains("E309_CHECKPOINT_INVALID"), "{}", ended.stderr);
    assert_ne!(ended.code, 0);
    // A trust file counts as long as it is valid.
    let old = ["key", "trust", "me", "--log", vkey, "--valid-until", "1", "-o", "old.json"];
    other.ok(&old);
    let told = &other.json(&["snapshot", "import", &name, "--trust", "old.json"])[0];
    assert_eq!(told["verified"], false, "{told}");
    // How far a clock may be off is for the acceptance file to say.
    other.ok(&["accept", "--max-skew-ms", "9000000000000", "-o", "accept.json"]);
    let skewed = ["--trust", "old.json", "--accept", "accept.json"];
    let told = &other.json(&[&["snapshot", "import", &name], &skewed[..]].concat())[0];
    assert_eq!(told["verified"], true, "{told}");
    // So are cosigners, where it asks for some.
    let more = ["key", "trust", "me", "--log", vkey, "--cosigner", vkey, "--quorum", "2"];
    other.ok(&[&more[..], &["-o", "strict.json"]].concat());
    let ended = other.run(&["snapshot", "import", &name, "--trust", "strict.json"]);
    assert!(ended.stderr.contains("E124_COSIGNER_QUORUM"), "{}", ended.stderr);
}
