//! Channels and capsules: made, read by members, verified, and refused.

use kapsule_format::capsule::Capsule;
use serde_json::Value;

use crate::support::{Bench, result};

/// A home with the key `alice`, and a member `bob` whose age key is in a home of his own.
fn team() -> (Bench, Bench) {
    let (alice, bob) = (Bench::new(), Bench::new());
    alice.ok(&["key", "new", "alice"]);
    alice.ok(&["key", "recipient", "alice"]);
    bob.ok(&["key", "new", "bob"]);
    bob.ok(&["key", "recipient", "bob"]);
    let recipient = bob.read("home/data/keys/bob.agepub");
    alice.write("bob.agepub", recipient);
    alice.ok(&["channel", "new", "team", "--reader", "alice", "--reader", "bob.agepub"]);
    alice.ok(&["channel", "share", "team", "-o", "keyrings"]);
    (alice, bob)
}

fn copy(from: &Bench, name: &str, to: &Bench, as_name: &str) {
    to.write(as_name, from.read(name));
}

fn post(bench: &Bench, text: &str, file: &str) -> Value {
    bench.write("text", text);
    bench.json(&["post", "post", "--file", "text", "-o", file]).remove(0)
}

#[test]
fn members_read_and_others_see_what_is_public() {
    let (alice, bob) = team();
    let posted = post(&alice, "hello, team", "hello.kapsule");
    assert_eq!((&posted["seq"], &posted["epoch"]), (&1.into(), &0.into()));
    copy(&alice, "hello.kapsule", &bob, "hello.kapsule");
    let seen = &bob.json(&["inspect", "hello.kapsule"])[0];
    assert_eq!((&seen["opened"], &seen["meta"]["kind"]), (&Value::Null, &"post".into()));
    assert!(!bob.ok(&["inspect", "hello.kapsule"]).text().contains("hello, team"));
    copy(&alice, "keyrings/keyring-0.kapsule", &bob, "k0");
    bob.ok(&["channel", "join", "k0", "--name", "work"]);
    assert!(bob.ok(&["inspect", "hello.kapsule"]).text().contains("hello, team"));
    let seen = &bob.json(&["inspect", "hello.kapsule"])[0];
    assert_eq!(seen["opened"]["body"]["text"], "hello, team");
    let report = &bob.json(&["verify", "hello.kapsule"])[0];
    assert_eq!(
        (&report["status"], &report["artefact"]["kind"]),
        (&"ACCEPT".into(), &"capsule".into())
    );
    for name in ["form", "hashes", "signature", "links", "authority", "ancestors", "opened"] {
        assert_eq!(result(report, name), ("pass", None), "{name}");
    }
    assert_eq!(result(report, "signer.trusted"), ("not-done", Some("E213")));
    let keyring = &bob.json(&["verify", "k0"])[0];
    assert_eq!(result(keyring, "authority"), ("pass", None));
    let words = bob.ok(&["verify", "hello.kapsule"]);
    assert!(words.text().contains("verdict: ACCEPT, level proof-only"), "{}", words.text());
    assert!(words.text().contains("when it was made: the time is its author's word"));
}

#[test]
fn a_channel_goes_on_where_it_ends() {
    let (alice, _) = team();
    let ids: Vec<Value> = (0..3).map(|n| post(&alice, "text", &format!("{n}.kapsule"))).collect();
    for (seq, id) in (1_u64..).zip(&ids) {
        let bytes = alice.read(&format!("{}.kapsule", seq - 1));
        let capsule = Capsule::decode(&bytes).unwrap();
        assert_eq!(
            (capsule.meta().seq, capsule.id().to_string()),
            (seq, id["capsule_id"].as_str().unwrap().to_owned())
        );
        assert_eq!(capsule.meta().prev, capsule.meta().back.into_iter().collect::<Vec<_>>());
    }
    let target = ids[0]["capsule_id"].as_str().unwrap();
    alice.write("answer", "yes\r\nno\n");
    let args = ["post", "comment", "--reply-to", target, "--file", "answer", "-o", "c.kapsule"];
    alice.ok(&args);
    let seen = &alice.json(&["inspect", "c.kapsule"])[0];
    assert_eq!(seen["opened"]["body"]["text"], "yes\nno\n");
    assert_eq!((&seen["meta"]["seq"], &seen["meta"]["flags"][0]), (&4.into(), &"reply".into()));
    let who = seen["meta"]["author"]["id"].as_str().unwrap();
    alice.write("trust.toml", format!("[[edge]]\nabout = \"{who}\"\nweight_ppm = 500000\n"));
    alice.ok(&["post", "trust", "--file", "trust.toml", "-o", "t.kapsule"]);
    assert!(alice.ok(&["inspect", "t.kapsule"]).text().contains("trusts 500,000 ppm"));
    let pay = |amount: &str| {
        let row = format!("from = \"{who}\"\nto = \"{who}\"\namount = \"{amount}\"\nnonce = 0\n");
        alice.write("pay", format!("asset = \"eur\"\n[[transfer]]\n{row}"));
    };
    let post = ["post", "ledger", "--file", "pay", "-o", "l.kapsule"];
    for amount in ["-1", "1e3", "1.0", "", "100000000000000000000"] {
        pay(amount);
        alice.fails(&post, 20, "E008_SCHEMA_VIOLATION", "is not an amount such as");
    }
    let most = "99999999999999999999.999999999999999999";
    pay(most);
    alice.ok(&post);
    assert!(alice.ok(&["inspect", "l.kapsule"]).text().contains(&format!(": {most} eur")));
    let seen = &alice.json(&["inspect", "l.kapsule"])[0];
    let amount = &seen["opened"]["body"]["transfers"][0]["amount"];
    assert_eq!(*amount, most.replace('.', ""));
}

#[test]
fn a_new_epoch_shuts_out_who_was_dropped() {
    let (alice, bob) = team();
    copy(&alice, "keyrings/keyring-0.kapsule", &bob, "k0");
    bob.ok(&["channel", "join", "k0", "--name", "team"]);
    alice.ok(&["channel", "rotate", "team", "--drop-reader", "bob.agepub"]);
    alice.ok(&["channel", "share", "team", "-o", "later"]);
    let posted = post(&alice, "without bob", "secret.kapsule");
    assert_eq!((&posted["epoch"], &posted["seq"]), (&1.into(), &2.into()));
    copy(&alice, "later/keyring-1.kapsule", &bob, "k1");
    copy(&alice, "secret.kapsule", &bob, "secret.kapsule");
    let joined = bob.ok(&["channel", "join", "k1"]);
    assert!(joined.stderr.contains("you can verify the channel, but not read it"));
    let report = &bob.json(&["verify", "secret.kapsule"])[0];
    assert_eq!(result(report, "authority"), ("pass", None));
    assert_eq!(result(report, "opened"), ("not-done", Some("E212")));
    assert!(alice.ok(&["inspect", "secret.kapsule"]).text().contains("without bob"));
    let listed = &bob.json(&["channel", "list"])[0];
    assert_eq!((&listed["epoch"], &listed["readable"]), (&1.into(), &false.into()));
}

#[test]
fn two_owners_sign_together_and_one_alone_does_not_rotate() {
    let bench = Bench::new();
    for name in ["alice", "carol"] {
        bench.ok(&["key", "new", name]);
    }
    let new = ["channel", "new", "board", "--key", "alice", "--co-owner", "carol"];
    bench.ok(&[&new[..], &["--threshold", "2", "--public"]].concat());
    let alone = bench.run(&["channel", "rotate", "board", "--key", "alice"]);
    assert_eq!(alone.code, 11, "{}", alone.stderr);
    assert!(alone.stderr.contains("error[E137_KEYRING_AUTHORITY]"), "{}", alone.stderr);
    bench.ok(&["channel", "rotate", "board", "--key", "alice", "--co-owner", "carol"]);
    let listed = &bench.json(&["channel", "list"])[0];
    assert_eq!((&listed["epoch"], &listed["public"]), (&1.into(), &true.into()));
    // Who has nothing but the keyrings reads a public channel.
    bench.write("text", "for all");
    bench.ok(&["post", "post", "--key", "carol", "--file", "text", "-o", "p.kapsule"]);
    bench.ok(&["channel", "share", "board", "-o", "out"]);
    let other = Bench::new();
    for name in ["out/keyring-0.kapsule", "out/keyring-1.kapsule", "p.kapsule"] {
        copy(&bench, name, &other, name.rsplit('/').next().unwrap());
    }
    let join = ["channel", "join", "keyring-0.kapsule", "keyring-1.kapsule", "--name", "board"];
    other.ok(&join);
    assert!(other.ok(&["inspect", "p.kapsule"]).text().contains("for all"));
}

#[test]
fn who_may_not_write_is_told_and_what_was_changed_is_refused() {
    let (alice, bob) = team();
    let me = alice.json(&["key", "show", "alice"])[0]["identity"].clone();
    let me = me.as_str().unwrap();
    alice.ok(&["channel", "new", "mine", "--writer", me]);
    alice.ok(&["channel", "share", "mine", "-o", "mine"]);
    copy(&alice, "mine/keyring-0.kapsule", &bob, "k0");
    bob.ok(&["channel", "join", "k0", "--name", "hers"]);
    bob.write("text", "let me in");
    let refused = bob.run(&["post", "post", "--file", "text", "-o", "x.kapsule"]);
    assert_eq!(refused.code, 11);
    assert!(refused.stderr.contains("error[E136_AUTHOR_NOT_ALLOWED]"), "{}", refused.stderr);
    alice.write("text", "a\ttab");
    let refused =
        alice.run(&["post", "post", "--channel", "mine", "--file", "text", "-o", "x.kapsule"]);
    assert!(refused.stderr.contains("replaces tabs"), "{}", refused.stderr);
    alice.write("text", "whole");
    alice.ok(&["post", "post", "--channel", "mine", "--file", "text", "-o", "whole.kapsule"]);
    let bytes = alice.read("whole.kapsule");
    let mut changed = bytes.clone();
    let at = bytes.windows(4).rposition(|window| window == b"age-").unwrap();
    changed[at + 400] ^= 1;
    alice.write("changed.kapsule", &changed);
    let report = alice.run(&["verify", "changed.kapsule", "--json"]);
    assert_eq!((report.code, result(&report.objects()[0], "hashes")), (12, ("fail", Some("E013"))));
    alice.write("cut.kapsule", &bytes[..bytes.len() - 512]);
    let cut = alice.run(&["inspect", "cut.kapsule"]);
    assert!(cut.stderr.contains("error[E002_TRUNCATED]"), "{}", cut.stderr);
    for args in [
        &["post", "keyring", "--channel", "mine", "--file", "text", "-o", "x"][..],
        &["post", "comment", "--channel", "mine", "--file", "text", "-o", "x"],
        &["post", "post", "--file", "text", "-o", "x"],
        &["channel", "new", "0123456789abcdef"],
    ] {
        assert_eq!(alice.run(args).code, 2, "{args:?}");
    }
    let taken = alice.run(&["channel", "new", "mine"]);
    assert!(taken.stderr.contains("E511_WRITE_CONFLICT"), "{}", taken.stderr);
}

/// Prints what a relay does with each file.
fn relayed(bench: &Bench, args: &[&str]) -> Vec<(String, String)> {
    let objects = bench.json(&[&["relay-filter", "--time", "5000"][..], args].concat());
    let text = |object: &Value, name: &str| object[name].as_str().unwrap().to_owned();
    objects.iter().map(|object| (text(object, "action"), text(object, "why"))).collect()
}

#[test]
fn a_relay_decides_without_any_key() {
    let (alice, _) = team();
    alice.write("text", "hello");
    let send = |file: &str, more: &[&str]| {
        let post = ["post", "post", "--file", "text", "--time", "1000", "-o", file];
        alice.ok(&[&post[..], more].concat());
    };
    send("plain.kapsule", &[]);
    send("kept.kapsule", &["--flag", "no-relay"]);
    send("late.kapsule", &["--expiry", "4999"]);
    send("spam.kapsule", &["--flag", "topic:spam"]);
    // A relay's home holds what no reader of keys would get past, and no home at all will do.
    let relay = Bench::new();
    let names = ["plain.kapsule", "kept.kapsule", "late.kapsule", "spam.kapsule"];
    names.iter().for_each(|name| copy(&alice, name, &relay, name));
    std::fs::create_dir_all(relay.path("home/data/keys")).unwrap();
    relay.write("home/data/keys/trap.ageid", "no identity");
    relay.write("home/data/keys/trap.key", "no key");
    relay.write("home/data/channels", "no directory");
    assert_eq!(relay.run(&["inspect", "plain.kapsule"]).code, 15, "the traps are traps");
    let own = |action: &str, why: &str| (action.to_owned(), why.to_owned());
    let expect = [
        own("forward", "default"),
        own("drop", "rule 2"),
        own("drop", "rule 1"),
        own("forward", "default"),
    ];
    assert_eq!(relayed(&relay, &names), expect);
    relay.write(
        "rules.toml",
        "default = \"drop\"\n\
        [[rule]]\naction = \"hold\"\nflags = [\"topic:spam\"]\n\
        [[rule]]\naction = \"forward\"\nkinds = [\"post\"]\nolder_ms = 4000\nexpired = false\n",
    );
    let expect = [
        own("forward", "rule 2"),
        own("forward", "rule 2"),
        own("drop", "default"),
        own("hold", "rule 1"),
    ];
    assert_eq!(relayed(&relay, &[&["--rules", "rules.toml"][..], &names].concat()), expect);
    let mut changed = alice.read("plain.kapsule");
    let at = changed.windows(4).rposition(|window| window == b"age-").unwrap();
    changed[at + 300] ^= 1;
    relay.write("changed.kapsule", changed);
    let found = relayed(&relay, &["changed.kapsule"]);
    assert_eq!(found, [own("drop", "E013_ENTRY_DIGEST_MISMATCH")]);
    relay.write("bad.toml", "default = \"burn\"\n");
    assert_eq!(relay.run(&["relay-filter", "plain.kapsule", "--rules", "bad.toml"]).code, 20);
}

#[test]
fn a_key_for_notes_signs_no_capsule() {
    let (alice, _) = team();
    let path = "home/data/keys/alice.key";
    let file = String::from_utf8(alice.read(path)).unwrap();
    alice.secret(path, &file.replace("\"uses\":[\"sign\"]", "\"uses\":[\"log\"]"));
    alice.write("text", "hello");
    let post = ["post", "post", "--file", "text", "-o", "x.kapsule"];
    alice.fails(&post, 15, "E509_KEY_FILE_FORM", "the key is for log only");
}
