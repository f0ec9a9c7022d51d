//! `dispatch`, `feed`, `trust`, `ledger`, `agent`: what packages make of the capsules of a store.

use std::fs;

use kapsule_store::Store;
use serde_json::Value;

use crate::support::{Bench, Ended, REPOSITORY};

/// Claimed time of the first capsule.
pub(crate) const START_MS: u64 = 1_700_000_000_000;

/// A home with a channel, and the standard packages.
pub(crate) fn bench() -> Bench {
    let bench = Bench::new();
    bench.ok(&["key", "new", "alice"]);
    bench.ok(&["channel", "new", "news", "--public"]);
    for name in ["rank", "trust", "blocklist", "transfer", "agent_logic"] {
        bench.pack_standard(name);
    }
    bench
}

/// Says something at a time, and returns the id.
pub(crate) fn post(bench: &Bench, kind: &str, text: &str, seconds: u64, more: &[&str]) -> String {
    bench.write("text", text);
    let time = (START_MS + seconds * 1_000).to_string();
    let args = ["post", kind, "--key", "alice", "--file", "text", "--time", &time];
    let name = format!("{kind}-{seconds}.kapsule");
    let said = bench.json(&[&args[..], &["-o", &name], more].concat());
    ingest(bench, &name);
    said[0]["capsule_id"].as_str().unwrap().to_owned()
}

pub(crate) fn ingest(bench: &Bench, path: &str) {
    bench.ok(&["ingest", path, "-q"]);
}

/// Takes in the keyrings of every channel of the home.
pub(crate) fn keyrings(bench: &Bench) {
    for entry in fs::read_dir(bench.path("home/data/channels")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            ingest(bench, path.to_str().unwrap());
        }
    }
}

/// Returns the id of a key of the home.
pub(crate) fn id(bench: &Bench, name: &str) -> String {
    bench.json(&["key", "show", name])[0]["identity"].as_str().unwrap().to_owned()
}

/// Returns what ends a view, and what stands before.
pub(crate) fn last(mut objects: Vec<Value>) -> (Vec<Value>, Value) {
    let last = objects.pop().unwrap();
    (objects, last)
}

pub(crate) fn texts(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| row["text"].as_str().unwrap()).collect()
}

fn entries(bench: &Bench) -> usize {
    bench.json(&["log", "show", "--type", "run.finished"]).len()
}

pub(crate) const NOW: &str = "1700001000000";

#[test]
fn a_feed_is_ranked_once_until_something_came() {
    let bench = bench();
    keyrings(&bench);
    let first = post(&bench, "post", "old", 1, &[]);
    post(&bench, "post", "new", 900, &[]);
    let feed = ["feed", "--now", NOW];
    bench.fails(&feed, 2, "USAGE", "no package processes all capsules of kind post");
    bench.ok(&["dispatch", "set", "post", "rank.mod"]);
    let (rows, end) = last(bench.json(&feed));
    assert_eq!((texts(&rows), &end["cached"]), (vec!["new", "old"], &false.into()));
    assert_eq!(entries(&bench), 1);
    // The second time nothing runs, whatever is shown of it.
    let (again, end) = last(bench.json(&feed));
    assert_eq!((&again, &end["cached"]), (&rows, &true.into()));
    let (one, end) = last(bench.json(&["feed", "--limit", "1", "--now", "1700001000001"]));
    assert_eq!((texts(&one), &end["cached"]), (vec!["new"], &true.into()));
    assert!(bench.ok(&feed).stderr.contains("nothing ran"));
    assert_eq!(entries(&bench), 1);
    // A capsule of a kind that the feed does not read changes nothing, a comment does.
    post(&bench, "note", "x", 901, &[]);
    assert_eq!(last(bench.json(&feed)).1["cached"], true);
    post(&bench, "comment", "so it is", 902, &["--reply-to", &first]);
    assert_eq!(last(bench.json(&feed)).1["cached"], false);
    assert_eq!(entries(&bench), 2);
    // Of another channel there is nothing.
    bench.ok(&["channel", "new", "other", "--key", "alice"]);
    let (rows, end) = last(bench.json(&["feed", "--channel", "other", "--now", NOW]));
    assert_eq!((rows.len(), &end["cached"]), (0, &false.into()));
    bench.fails(&["feed", "--channel", "none"], 15, "E508_KEY_NOT_FOUND", "names 0 of");
    bench.ok(&["doctor"]);
    bench.ok(&["log", "verify"]);
}

#[test]
fn what_is_not_there_yet_or_no_longer_is_left_out() {
    let bench = bench();
    keyrings(&bench);
    bench.ok(&["dispatch", "set", "post", "rank.mod"]);
    // Of what has expired by the clock of this machine nothing is taken in.
    let expiry = 9_000_000_000_000_u64;
    post(&bench, "post", "short", 1, &["--expiry", &expiry.to_string()]);
    post(&bench, "post", "future", 1_500, &[]);
    let at = |now: u64| {
        let (rows, end) = last(bench.json(&["feed", "--now", &now.to_string()]));
        let texts: Vec<String> = texts(&rows).into_iter().map(str::to_owned).collect();
        (texts.join(" "), end["cached"] == true)
    };
    let told = |text: &str, cached| (text.to_owned(), cached);
    assert_eq!(at(START_MS + 1_000_000), told("short", false));
    assert_eq!(at(START_MS + 1_499_999), told("short", true));
    assert_eq!(at(START_MS + 1_500_000), told("future short", false));
    assert_eq!(at(expiry), told("future short", true));
    assert_eq!(at(expiry + 1), told("future", false));
}

#[test]
fn other_keys_and_packages_are_another_feed() {
    let bench = bench();
    keyrings(&bench);
    post(&bench, "post", "hello", 1, &[]);
    bench.ok(&["dispatch", "set", "post", "rank.mod"]);
    let cached = || last(bench.json(&["feed", "--now", NOW])).1["cached"] == true;
    assert_eq!([cached(), cached()], [false, true]);
    bench.ok(&["key", "recipient", "alice"]);
    assert_eq!([cached(), cached()], [false, true]);
    let manifest = fs::read_to_string(format!("{REPOSITORY}/examples/packages/rank.toml")).unwrap();
    bench.write("rank.toml", manifest.replace("0.1.0", "0.1.1"));
    bench
        .write("rank.wasm", fs::read(format!("{REPOSITORY}/modules/artifacts/rank.wasm")).unwrap());
    bench.ok(&["pack", "rank.toml", "-o", "newer.mod"]);
    bench.ok(&["dispatch", "set", "post", "newer.mod"]);
    assert_eq!([cached(), cached()], [false, true]);
    // What the trust file of the home does not allow does not run.
    bench.ok(&["key", "trust", "alice", "-o", "trust.json"]);
    fs::copy(bench.path("trust.json"), bench.path("home/config/trust.json")).unwrap();
    let late = (START_MS + 5_000_000).to_string();
    post(&bench, "post", "more", 4_000, &[]);
    bench.fails(&["feed", "--now", &late], 12, "E033_SIGNATURE_MISSING", "");
}

#[test]
fn bodies_that_go_or_return_and_new_epochs_are_another_feed() {
    let bench = bench();
    keyrings(&bench);
    post(&bench, "post", "old", 1, &[]);
    post(&bench, "post", "new", 2, &[]);
    bench.ok(&["dispatch", "set", "post", "rank.mod"]);
    let see = |more: &[&str]| {
        let (rows, end) = last(bench.json(&[&["feed", "--now", NOW], more].concat()));
        let texts: Vec<String> = texts(&rows).into_iter().map(str::to_owned).collect();
        (texts.join(" "), end["pruned"].clone(), end["cached"] == true)
    };
    let told = |text: &str, pruned: &str, cached| (text.to_owned(), pruned.into(), cached);
    assert_eq!(see(&[]), told("new old", "0", false));
    assert_eq!(see(&[]), told("new old", "0", true));
    bench.ok(&["prune", "--keep", "1"]);
    assert_eq!(see(&[]), told("new", "1", false));
    assert_eq!(see(&[]), told("new", "1", true));
    assert_eq!(see(&["--channel", "news"]), told("new", "1", false));
    ingest(&bench, "post-1.kapsule");
    assert_eq!(see(&[]), told("new old", "0", false));
    assert_eq!(see(&["--channel", "news"]), told("new old", "0", false));
    bench.ok(&["channel", "rotate", "news", "--key", "alice"]);
    assert_eq!([see(&[]).2, see(&[]).2], [false, true]);
    keyrings(&bench);
    post(&bench, "post", "newest", 3, &[]);
    assert_eq!(see(&[]), told("newest new old", "0", false));
    assert_eq!(see(&[]), told("newest new old", "0", true));
    bench.ok(&["doctor"]);
}

#[test]
fn trust_and_rules_shape_the_feed() {
    let bench = bench();
    keyrings(&bench);
    bench.ok(&["dispatch", "set", "post", "rank.mod"]);
    bench.ok(&["dispatch", "set", "trust", "trust.mod", "--grant", "trust.graph"]);
    bench.write(
        "rules.toml",
        fs::read(format!("{REPOSITORY}/examples/data/sms-rules.toml")).unwrap(),
    );
    bench.fails(&["dispatch", "set", "comment", "blocklist.mod"], 2, "USAGE", "has settings");
    bench.ok(&["dispatch", "set", "comment", "blocklist.mod", "--settings", "rules.toml"]);
    post(&bench, "post", "good morning", 1, &[]);
    let spam = "URGENT! You have won a guaranteed 1000 cash prize! Call 09061701461 now, claim \
                code KL341. Txt WIN to 87121";
    post(&bench, "post", spam, 2, &[]);
    let bob = "0b".repeat(32);
    let edge = format!("[[edge]]\nabout = \"{bob}\"\nweight_ppm = 500000\n");
    post(&bench, "trust", &edge, 3, &[]);
    let (rows, end) = last(bench.json(&["feed", "--now", NOW]));
    assert_eq!((texts(&rows), &end["hidden"]), (vec!["good morning"], &"1".into()), "{end}");
    for view in ["feed", "filter", "trust"] {
        assert_eq!(end["views"][view]["cached"], false, "{view}");
    }
    assert_eq!(last(bench.json(&["feed", "--now", NOW])).1["cached"], true);
    let trust = ["trust", "--now", NOW];
    let (rows, end) = last(bench.json(&trust));
    assert_eq!((rows.len(), &end["cached"]), (2, &true.into()));
    assert_eq!(rows[0]["identity"], id(&bench, "alice").as_str());
    let one = bench.ok(&["trust", &bob[..8], "--now", NOW]).text().to_owned();
    assert!(one.contains("place") && one.contains("2 of 2"), "{one}");
    bench.fails(&["trust", "0c0c0c0c0c", "--now", NOW], 2, "USAGE", "no statement");
    // A statement changes all that is made of it.
    let block = format!("[[edge]]\nabout = \"{bob}\"\nblocked = true\n");
    post(&bench, "trust", &block, 4, &[]);
    let (rows, _) = last(bench.json(&trust));
    assert_eq!(rows[1]["blocked"], true, "{rows:?}");
    assert_eq!(last(bench.json(&["feed", "--now", NOW])).1["views"]["trust"]["cached"], true);
    bench.ok(&["key", "new", "bob"]);
    bench.fails(&trust, 2, "USAGE", "whose trust is not said");
    bench.ok(&["trust", "--as", "bob", "--now", NOW]);
    bench.ok(&["doctor"]);
}

#[test]
fn a_ledger_applies_what_its_owners_signed() {
    let bench = bench();
    keyrings(&bench);
    let (alice, bob) = (id(&bench, "alice"), "0b".repeat(32));
    bench.write("opening.csv", format!("account,nonce,asset,balance\n{alice},0,coin,5000000\n"));
    bench.ok(&["dispatch", "set", "ledger", "transfer.mod", "--settings", "opening.csv"]);
    let transfer = |from: &str, to: &str, amount: &str, nonce: u64| {
        format!(
            "asset = \"coin\"\n[[transfer]]\nfrom = \"{from}\"\nto = \"{to}\"\n\
             amount = \"{amount}\"\nnonce = {nonce}\n"
        )
    };
    post(&bench, "ledger", &transfer(&alice, &bob, "2", 1), 1, &[]);
    // Somebody else's money, money that is not there, and a nonce that was used.
    post(&bench, "ledger", &transfer(&bob, &alice, "2", 2), 2, &[]);
    post(&bench, "ledger", &transfer(&alice, &bob, "9", 2), 3, &[]);
    post(&bench, "ledger", &transfer(&alice, &bob, "2", 1), 4, &[]);
    post(&bench, "ledger", &transfer(&alice, &bob, "0.0000005", 2), 5, &[]);
    // An asset that the package has no form for is nobody else's trouble.
    let nameless = transfer(&alice, &bob, "2", 2).replace("coin", "");
    post(&bench, "ledger", &nameless, 6, &[]);
    let ledger = ["ledger", "--now", NOW];
    let (rows, end) = last(bench.json(&ledger));
    let balance =
        |row: &Value| row["balances"][0]["balance_millionths"].as_str().unwrap().to_owned();
    let mut balances: Vec<_> =
        rows.iter().map(|row| (row["account"].as_str().unwrap(), balance(row))).collect();
    balances.sort_unstable();
    let mut expect =
        vec![(alice.as_str(), "3000000".to_owned()), (bob.as_str(), "2000000".to_owned())];
    expect.sort_unstable();
    assert_eq!(balances, expect);
    assert_eq!(end["summary"], "1 applied, 1 unauthorised, 1 wrong nonce, 1 insufficient");
    assert_eq!(last(bench.json(&ledger)).1["cached"], true);
    let (rows, _) = last(bench.json(&["ledger", "alice", "--now", NOW]));
    let verdicts: Vec<_> = rows.iter().filter_map(|row| row["verdict"].as_str()).collect();
    assert_eq!(verdicts[..4], ["applied", "unauthorised", "insufficient", "wrong nonce"]);
    let finer = "0.0000005 is no multiple of 0.000001, the smallest amount";
    assert_eq!(verdicts[4..], [finer, "the asset: a name has 1 to 64 bytes, found 0"]);
    let text = bench.ok(&["ledger", "alice", "--now", NOW]).text().to_owned();
    for part in ["alice", "insufficient", "  0.0000005  coin"] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    bench.ok(&["doctor"]);
}

/// Welcomes whoever posts, tells of it, and has a package run.
const AGENT: &str = r#"
[budget]
period = 86400000
cost = 50
proposals = 9

[[rule]]
when = [["kind", "post"]]
then = [["add", "posts", 1]]

[[goal]]
name = "be heard"
fact = "heard"
at_least = 1
priority = 3

[[action]]
name = "say hello"
raises = "heard"
effect = 1
wait = 3600000
cost = 5
needs = [["posts", 1]]
publish = { kind = "post", body = "welcome" }

[[goal]]
name = "user knows"
fact = "told"
at_least = 1
priority = 2

[[action]]
name = "tell"
raises = "told"
effect = 1
wait = 3600000
cost = 1
needs = [["posts", 1]]
notify = "somebody posted"
"#;

const BUDGET: [&str; 6] =
    ["--settings", "agent.toml", "--grant", "agent.propose", "--budget", "100"];

/// Lets an agent propose a notice and a capsule, in this order.
pub(crate) fn stage_agent(bench: &Bench) -> Ended {
    bench.write("agent.toml", AGENT.replace("priority = 3", "priority = 1"));
    bench.ok(&[&["dispatch", "set", "agent", "agent-logic.mod"][..], &BUDGET].concat());
    bench.ok(&["channel", "new", "news", "--public", "--key", "alice"]);
    keyrings(bench);
    let post = ["post", "post", "--key", "alice", "--channel", "news", "--file", "hello.txt"];
    bench.ok(&[&post[..], &["-o", "said.kapsule"]].concat());
    bench.ok(&["ingest", "said.kapsule"]);
    bench.ok(&["agent"])
}

#[test]
fn an_agent_proposes_and_its_user_decides() {
    let bench = bench();
    keyrings(&bench);
    bench.write("agent.toml", AGENT);
    let set = ["dispatch", "set", "agent", "agent-logic.mod"];
    bench.fails(&[&set[..], &BUDGET[..4]].concat(), 2, "USAGE", "has no budget");
    bench.ok(&[&set[..], &BUDGET].concat());
    let agent = |now: &str| last(bench.json(&["agent", "--now", now]));
    let (rows, end) = agent(NOW);
    assert_eq!((rows.len(), &end["cached"]), (0, &false.into()));
    post(&bench, "post", "hello", 1, &[]);
    let (rows, end) = agent(NOW);
    let acts: Vec<_> = rows.iter().map(|row| row["act"].as_str().unwrap()).collect();
    assert_eq!((acts, &end["proposed"]), (vec!["publish", "notify"], &serde_json::json!([1, 2])));
    let (again, end) = agent(NOW);
    assert_eq!((again, &end["cached"]), (rows, &true.into()));
    assert!(bench.ok(&["agent", "show", "1"]).text().contains("welcome"));
    // Nothing happens that nobody approved.
    bench.fails(&["agent", "approve", "1"], 2, "USAGE", "the capsule needs a file");
    bench.json(&["agent", "approve", "1", "-o", "welcome.kapsule"]);
    ingest(&bench, "welcome.kapsule");
    bench.json(&["agent", "refuse", "2"]);
    for number in ["1", "2"] {
        bench.fails(&["agent", "refuse", number], 2, "USAGE", "was decided about");
    }
    bench.fails(&["agent", "approve", "3"], 2, "USAGE", "there is no proposal 3");
    assert_eq!(agent(NOW).0.len(), 0);
    let all = bench.json(&["agent", "list", "--all", "--now", NOW]);
    assert_eq!((&all[0]["decision"], &all[1]["decision"]), (&"approved".into(), &"refused".into()));
    // After the time that it waits it asks again.
    let (rows, _) = agent("1700009000000");
    assert_eq!(rows.len(), 2);
    bench.ok(&["doctor"]);
}

#[test]
fn what_a_rule_allows_needs_no_approval_and_budgets_hold() {
    let bench = bench();
    keyrings(&bench);
    // A rule names people by their ids.
    let when = format!("[[\"kind\", \"post\"], [\"author\", \"{}\"]]", id(&bench, "alice"));
    bench.write("agent.toml", AGENT.replace("[[\"kind\", \"post\"]]", &when));
    post(&bench, "post", "hello", 1, &[]);
    let set = ["dispatch", "set", "agent", "agent-logic.mod"];
    bench.ok(&[&set[..], &BUDGET, &["--allow", "notify"]].concat());
    let (rows, end) = last(bench.json(&["agent", "--now", NOW]));
    assert_eq!(rows[0]["schema"], "kapsule/notice/1");
    assert_eq!((rows[1]["act"].as_str(), rows.len()), (Some("publish"), 2), "{rows:?}");
    assert_eq!(end["proposed"], serde_json::json!([1, 2]));
    let all = bench.json(&["agent", "list", "--all", "--now", NOW]);
    assert_eq!(all[1]["decision"], "allowed");
    // What waits has its part of the budget, so the host refuses the next ones.
    bench.ok(&[&set[..], &BUDGET[..5], &["5"]].concat());
    let (rows, end) = last(bench.json(&["agent", "--now", "1700009000000"]));
    assert_eq!((rows.len(), &end["proposed"]), (1, &serde_json::json!([])), "{rows:?}");
    bench.ok(&["doctor"]);
}

#[test]
fn a_rule_is_set_listed_and_removed() {
    let bench = bench();
    bench.ok(&["dispatch", "set", "post", "rank.mod"]);
    let rules = bench.json(&["dispatch", "list"]);
    assert_eq!((&rules[0]["kind"], &rules[0]["scope"]), (&"post".into(), &"all".into()));
    assert!(bench.ok(&["dispatch", "list"]).text().contains("rank"));
    bench.fails(
        &["dispatch", "set", "trust", "rank.mod"],
        14,
        "E407_HOSTCALL_DENIED",
        "does not process trust",
    );
    bench.fails(&["dispatch", "set", "../x", "rank.mod"], 2, "USAGE", "is no kind");
    let entry = ["dispatch", "set", "post", "rank.mod", "--entry", "none"];
    bench.fails(&entry, 14, "E404_ENTRY_NOT_FOUND", "has no entry");
    let budget = ["dispatch", "set", "post", "rank.mod", "--budget", "3"];
    bench.fails(&budget, 2, "USAGE", "proposes nothing");
    bench.write("rules.toml", "colour = 1\n");
    let settings = ["dispatch", "set", "comment", "blocklist.mod", "--settings", "rules.toml"];
    bench.fails(&settings, 20, "E008_SCHEMA_VIOLATION", "cannot be converted");
    bench.ok(&["dispatch", "remove", "post"]);
    bench.fails(&["dispatch", "remove", "post"], 2, "USAGE", "no package is chosen");
    assert_eq!(bench.json(&["dispatch", "list"]).len(), 0);
}

#[test]
fn a_package_for_another_kind_sees_nothing() {
    let bench = bench();
    keyrings(&bench);
    bench.ok(&["dispatch", "set", "trust", "trust.mod", "--grant", "trust.graph"]);
    let rules = String::from_utf8(bench.read("home/config/dispatch.json")).unwrap();
    bench.write("home/config/dispatch.json", rules.replace("\"trust\"", "\"post\""));
    bench.fails(&["feed"], 14, "E407_HOSTCALL_DENIED", "does not process post");
    let id = bench.json(&["dispatch", "list"])[0]["package"].as_str().unwrap().to_owned();
    fs::remove_file(bench.path(&format!("home/data/packages/{id}.mod"))).unwrap();
    bench.fails(&["feed"], 13, "E203_DEPENDENCY_ABSENT", "is not here");
}

#[test]
fn a_post_follows_what_the_store_holds() {
    let alice = bench();
    keyrings(&alice);
    let first = post(&alice, "post", "first", 1, &[]);
    // Bob reads and answers in his own home.
    let bob = Bench::new();
    bob.ok(&["key", "new", "bob"]);
    alice.ok(&["channel", "share", "news", "-o", "shared"]);
    let shared = alice.path("shared");
    let keyring = shared.join("keyring-0.kapsule");
    bob.ok(&["channel", "join", keyring.to_str().unwrap(), "--name", "news"]);
    ingest(&bob, shared.to_str().unwrap());
    ingest(&bob, alice.path("post-1.kapsule").to_str().unwrap());
    bob.write("text", "second");
    let time = (START_MS + 2_000).to_string();
    let args = ["post", "post", "--file", "text", "--time", &time, "-o", "second.kapsule"];
    let second = bob.json(&args).remove(0);
    assert_eq!(second["prev"], serde_json::json!([first]));
    // Before the own capsule is in the store, the next one follows it alone.
    let args = ["post", "post", "--file", "text", "--time", &time, "-o", "third.kapsule"];
    let third = bob.json(&args).remove(0);
    assert_eq!(third["prev"], serde_json::json!([second["capsule_id"]]));
    // A home that lost what it remembered goes on from its store.
    ingest(&alice, bob.path("second.kapsule").to_str().unwrap());
    let channels = fs::read_dir(alice.path("home/data/channels")).unwrap();
    let heads = channels.map(|entry| entry.unwrap().path().join("heads.json"));
    fs::remove_file(heads.filter(|path| path.exists()).last().unwrap()).unwrap();
    alice.write("text", "fourth");
    let args = ["post", "post", "--key", "alice", "--file", "text", "-o", "fourth.kapsule"];
    let fourth = alice.json(&args).remove(0);
    let mut expect = [first, second["capsule_id"].as_str().unwrap().to_owned()];
    expect.sort_unstable();
    assert_eq!((&fourth["seq"], &fourth["prev"]), (&2.into(), &serde_json::json!(expect)));
    ingest(&alice, "fourth.kapsule");
    assert_eq!(
        Store::open_damaged(&alice.path("home/data")).unwrap().view().counts().unwrap()[0],
        4
    );
    let report = alice.run(&["verify", "fourth.kapsule", "--json"]);
    assert!(!String::from_utf8(report.stdout).unwrap().contains("E204"), "the store has the rest");
}
