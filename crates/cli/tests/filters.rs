//! Filters: what is judged, what is not judged again, and how much text there may be.

use serde_json::Value;

use crate::support::Bench;
use crate::views::{NOW, START_MS, bench, id, ingest, keyrings, last, post, texts};

/// A message that the rules below hide.
const SPAM: &str = "call now and win a prize";

/// Hides what is called spam by a pattern or by a labeller.
const RULES: &str = r#"
[[set]]
label = "spam"
cap = 1000000
patterns = { "win a prize" = 1000000 }

[policy.spam]
warn = 400000
hide = 900000
"#;

/// A home with a channel whose posts are ranked, and filtered by the rules above and more.
fn filtered(more: &str) -> Bench {
    let bench = bench();
    keyrings(&bench);
    bench.ok(&["dispatch", "set", "post", "rank.mod"]);
    set_rules(&bench, more);
    bench
}

fn set_rules(bench: &Bench, more: &str) {
    bench.write("rules.toml", format!("{RULES}{more}"));
    bench.ok(&["dispatch", "set", "comment", "blocklist.mod", "--settings", "rules.toml"]);
}

/// Returns the texts that are shown with their verdicts, and what the last row says.
fn feed(bench: &Bench, more: &[&str]) -> (Vec<(String, String)>, Value) {
    let (rows, end) = last(bench.json(&[&["feed"], more].concat()));
    let verdict = |row: &Value| row["verdict"].as_str().unwrap().to_owned();
    let texts = texts(&rows).into_iter().map(str::to_owned);
    (texts.zip(rows.iter().map(verdict)).collect(), end)
}

fn fuel(end: &Value) -> u64 {
    end["views"]["filter"]["fuel_used"].as_str().unwrap().parse().unwrap()
}

fn shown(words: &[(&str, &str)]) -> Vec<(String, String)> {
    words.iter().map(|(text, verdict)| ((*text).to_owned(), (*verdict).to_owned())).collect()
}

/// Labels a person or a post.
fn label(bench: &Bench, about: &str, fields: &str, seconds: u64, more: &[&str]) {
    let file = format!("[[label]]\nabout = \"{about}\"\nvalue = \"spam\"\n{fields}");
    post(bench, "trust", &file, seconds, more);
}

#[test]
fn only_what_came_is_judged_and_the_feed_is_that_of_one_run() {
    let bench = filtered("");
    for second in 1..9 {
        let text = if second % 2 == 0 { SPAM } else { "good morning, everybody" };
        post(&bench, "post", text, second, &[]);
    }
    let (_, end) = feed(&bench, &["--now", NOW]);
    let (whole, hidden) = (fuel(&end), end["hidden"].clone());
    assert_eq!(hidden, "4");
    post(&bench, "post", "good night", 9, &[]);
    let (rows, end) = feed(&bench, &["--now", NOW]);
    assert_eq!((rows[0].0.as_str(), &end["hidden"]), ("good night", &hidden));
    assert!(fuel(&end) < whole, "{} for one post, {whole} for the eight before", fuel(&end));
    // Other rules judge everything, and come to the same where they hide the same.
    set_rules(&bench, "[policy.other]\nwarn = 1\nhide = 1\n");
    let (anew, end) = feed(&bench, &["--now", NOW]);
    assert_eq!((anew, &end["hidden"]), (rows, &hidden));
    assert!(fuel(&end) > whole);
    // What is no longer there is not told of.
    bench.ok(&["prune", "--keep", "1"]);
    let (rows, end) = feed(&bench, &["--now", NOW]);
    assert_eq!((rows, &end["hidden"]), (shown(&[("good night", "show")]), &"0".into()));
    bench.ok(&["doctor"]);
    bench.ok(&["log", "verify"]);
}

#[test]
fn rules_name_people_by_their_ids() {
    let bench = filtered("");
    post(&bench, "post", "good morning", 1, &[]);
    let alice = id(&bench, "alice");
    let evidence = "label = \"spam\"\nweight = 500000\n";
    set_rules(&bench, &format!("[author.{alice}]\n{evidence}"));
    assert_eq!(feed(&bench, &["--now", NOW]).0, shown(&[("good morning", "warn")]));
    let spam = post(&bench, "post", SPAM, 2, &[]);
    assert_eq!(feed(&bench, &["--now", NOW]).1["hidden"], "1");
    set_rules(&bench, &format!("[allow]\nitems = [\"{spam}\"]\n"));
    let both = [(SPAM, "show"), ("good morning", "show")];
    assert_eq!(feed(&bench, &["--now", NOW]).0, shown(&both));
}

#[test]
fn labels_judge_anew_whichever_channel_they_came_in() {
    let bench = bench();
    bench.ok(&["channel", "new", "other", "--public"]);
    keyrings(&bench);
    bench.ok(&["dispatch", "set", "post", "rank.mod"]);
    set_rules(&bench, &format!("[labeller]\n{} = 500000\n", id(&bench, "alice")));
    let (news, other) = (["--channel", "news"], ["--channel", "other"]);
    let id = post(&bench, "post", "good morning", 1, &news);
    post(&bench, "post", "good evening", 2, &news);
    let both = |morning| shown(&[("good evening", "show"), ("good morning", morning)]);
    let see = |now: u64| {
        let now = now.to_string();
        let all = feed(&bench, &["--now", &now]).0;
        assert_eq!(feed(&bench, &["--now", &now, "--channel", "news"]).0, all);
        all
    };
    let now = START_MS + 1_000_000;
    assert_eq!(see(now), both("show"));
    let expiry = now + 100;
    label(&bench, &id, &format!("expiry_ms = {expiry}\n"), 3, &other);
    assert_eq!(see(now), both("warn"));
    // A post that comes later is judged alone, by the labels that hold then.
    post(&bench, "post", "good night", 1_000, &news);
    assert_eq!(see(now)[1..], both("warn"));
    post(&bench, "post", "good grief", 1_001, &news);
    assert_eq!(see(expiry + 10_000)[2..], both("show"));
    assert_eq!(see(now)[1..], both("warn"));
    // What was said is taken back.
    label(&bench, &id, "negated = true\n", 4, &other);
    assert_eq!(see(now)[1..], both("show"));
    bench.ok(&["doctor"]);
}

#[test]
fn more_text_than_a_run_takes_is_judged_in_parts() {
    let bench = filtered("");
    std::fs::create_dir(bench.path("in")).unwrap();
    // Three megabytes of short words, the last of them spam in every third post.
    let words = "a b c $1 ".repeat(7_000);
    for number in 0..48_u64 {
        bench.write("text", format!("{words}{}", if number % 3 == 0 { SPAM } else { "" }));
        let (time, file) = ((START_MS + number).to_string(), format!("in/{number:02}.kapsule"));
        let args = ["post", "post", "--key", "alice", "--file", "text", "--time", &time];
        bench.ok(&[&args[..], &["-o", &file, "-q"]].concat());
    }
    ingest(&bench, "in");
    let seen = bench.ok(&["feed", "--now", NOW, "--limit", "1"]);
    assert!(seen.stderr.contains("48 verdicts"), "{}", seen.stderr);
    let (rows, end) = feed(&bench, &["--now", NOW, "--limit", "50"]);
    assert_eq!((rows.len(), &end["hidden"], &end["cached"]), (32, &"16".into(), &true.into()));
    let analyse = ["analyze", "in", "--module", "blocklist.mod", "--rules", "rules.toml"];
    let (_, found) = last(bench.json(&analyse));
    assert_eq!(found["labels"], serde_json::json!({"hide": 16, "show": 32}), "{found}");
    bench.ok(&["doctor"]);
}
