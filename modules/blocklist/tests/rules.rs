//! Each kind of rule, overrides, and what verdicts and labels follow.

use blocklist::{
    Action, Allow, BY_AUTHOR, BY_DOMAIN, BY_LABELLER, BY_PATTERN, Input, Item, Label, Rules, Set,
    Threshold, Verdict, Written, evaluate,
};
use kapsule_modules_common::Name;
use proptest::prelude::*;

use crate::support::{item, judge, rules, score};

#[test]
fn scores_add_up_to_the_cap_and_thresholds_decide() {
    let rules = rules(&["win", "prize", "you ..2 won"]);
    for (text, expect, action) in [
        ("hello", 0, Action::Show),
        ("win", 100, Action::Warn),
        ("win win win", 100, Action::Warn),
        ("win a prize", 200, Action::Hide),
        ("you have just won, win a prize", 250, Action::Hide),
    ] {
        let verdict = judge(&rules, &item(text));
        assert_eq!((score(&verdict, "spam"), verdict.action), (expect, action), "{text}");
    }
    let patterns = &judge(&rules, &item("a prize, you won")).reasons[0].patterns;
    assert_eq!(patterns, &[1, 2]);
}

#[test]
fn a_threshold_of_zero_has_no_consequence() {
    let never = [Threshold { label: "spam", warn: 0, hide: 0 }];
    let rules = Rules { policy: never.to_vec(), ..rules(&["win"]) };
    let verdict = judge(&rules, &item("win"));
    assert_eq!((verdict.action, score(&verdict, "spam")), (Action::Show, 100));
    let rules = Rules { policy: Vec::new(), ..rules };
    assert_eq!(judge(&rules, &item("win")).action, Action::Show);
}

#[test]
fn sets_of_one_label_add_up() {
    let set = |pattern| Set { label: "spam", cap: 60, patterns: vec![(pattern, 100)] };
    let rules = Rules { sets: vec![set("a"), set("b")], ..Rules::default() };
    let verdict = judge(&rules, &item("a b"));
    assert_eq!(score(&verdict, "spam"), 120);
    assert_eq!(verdict.reasons[0].patterns, [0, 1]);
}

#[test]
fn authors_and_domains_are_evidence() {
    let rules = Rules {
        authors: vec![(Name::Text("bob"), "troll", 5), (Name::Text("bob"), "bot", 6)],
        domains: vec![("bad.example".into(), "scam", 7)],
        ..Rules::default()
    };
    let verdict = judge(&rules, &item("see www.a.bad.example and bad.example"));
    let reasons: Vec<_> = verdict.reasons.iter().map(|r| (r.label, r.score, r.sources)).collect();
    let expect = [("bot", 6, BY_AUTHOR), ("scam", 7, BY_DOMAIN), ("troll", 5, BY_AUTHOR)];
    assert_eq!(reasons, expect, "a rule counts once for all links");
    let linked = Item { domains: vec!["x.bad.example".into()], ..item("") };
    assert_eq!(score(&judge(&rules, &linked), "scam"), 7);
    assert_eq!(score(&judge(&rules, &item("www.notbad.example")), "scam"), 0);
}

#[test]
fn allow_overrides_win() {
    let base = Rules {
        authors: vec![(Name::Text("bob"), "troll", 5)],
        domains: vec![("bad.example".into(), "scam", 7)],
        ..rules(&["win", "<link>"])
    };
    let text = "win at www.good.bad.example";
    let found = |allow| judge(&Rules { allow, ..base.clone() }, &item(text));
    assert_eq!(score(&found(Allow::default()), "spam"), 200);
    let verdict = found(Allow { authors: vec![Name::Text("bob")], ..Allow::default() });
    assert!(verdict.allowed && verdict.reasons.is_empty());
    let verdict = found(Allow { items: vec![Name::Number(1)], ..Allow::default() });
    assert!(verdict.allowed && verdict.reasons.is_empty());
    let verdict = found(Allow { domains: vec!["good.bad.example".into()], ..Allow::default() });
    assert_eq!((score(&verdict, "scam"), score(&verdict, "spam")), (0, 100));
    let verdict = found(Allow { phrases: vec!["win at <link>"], ..Allow::default() });
    assert_eq!((score(&verdict, "spam"), score(&verdict, "scam")), (0, 7));
}

fn labelled(labels: &[Label<'static>], allow: Allow<'static>) -> Verdict<'static> {
    let rules = Rules {
        policy: vec![Threshold { label: "rude", warn: 10, hide: 20 }],
        labellers: vec![(Name::Text("lab"), 10), (Name::Text("lib"), 15)],
        allow,
        ..Rules::default()
    };
    let items = vec![item("hello")];
    let input = Input { now_ms: 9, rules, items, labels: labels.to_vec(), src: None };
    evaluate(&input).unwrap().verdicts.remove(0)
}

#[test]
fn labels_of_known_labellers_count_once_each() {
    let label = |src, uri, val| Label { src, uri, val, neg: false, cts_ms: 1, exp_ms: None };
    let (lab, lib, who) = (Name::Text("lab"), Name::Text("lib"), Name::Text("who"));
    let (post, bob) = (Name::Number(1), Name::Text("bob"));
    for (labels, expect, action) in [
        (vec![label(lab, post, "rude")], 10, Action::Warn),
        (vec![label(lab, post, "rude"), label(lab, bob, "rude")], 10, Action::Warn),
        (vec![label(lab, post, "rude"), label(lib, bob, "rude")], 25, Action::Hide),
        (vec![label(who, post, "rude")], 0, Action::Show),
        (vec![label(lab, Name::Number(2), "rude")], 0, Action::Show),
        (
            vec![
                label(lab, post, "rude"),
                Label { neg: true, cts_ms: 2, ..label(lab, post, "rude") },
            ],
            0,
            Action::Show,
        ),
        (vec![label(lab, post, "!hide")], 0, Action::Hide),
        (vec![label(lib, bob, "!warn")], 0, Action::Warn),
        (vec![label(who, post, "!hide")], 0, Action::Show),
    ] {
        let verdict = labelled(&labels, Allow::default());
        assert_eq!((score(&verdict, "rude"), verdict.action), (expect, action), "{labels:?}");
        assert!(verdict.reasons.iter().all(|reason| reason.sources == BY_LABELLER));
    }
    let allow = Allow { authors: vec![bob], ..Allow::default() };
    let verdict = labelled(&[label(lab, post, "rude"), label(lab, post, "!hide")], allow);
    assert_eq!((verdict.allowed, verdict.action, verdict.reasons.len()), (true, Action::Hide, 1));
}

#[test]
fn labels_are_written_where_a_label_has_consequences() {
    let rules = Rules { disguise: Some(("evasion", 5)), ..rules(&["viagra"]) };
    let (src, items) = (Some(Name::Text("me")), vec![item("v1agra"), item("hello")]);
    let input = Input { now_ms: 9, rules, items, labels: Vec::new(), src };
    let output = evaluate(&input).unwrap();
    let expect = Written { src: Name::Text("me"), uri: Name::Number(1), val: "spam" };
    assert_eq!(output.labels, [expect]);
    // What is written is what is read.
    let bytes = output.encode();
    let label = b"\xa5\x00\x01\x01\x62me\x02\x01\x03\x64spam\x05\x09";
    assert!(bytes.ends_with(&[b"\x02\x81".as_slice(), label].concat()));
    let given = [b"\xa5\x00\x01\x01\x00\x02\xa0\x03\x80\x04\x81".as_slice(), label].concat();
    assert_eq!(Input::decode(&given).unwrap().labels[0].val, "spam");
}

proptest! {
    #[test]
    fn more_text_never_lowers_a_score(
        words in prop::collection::vec(
            prop::sample::select(vec!["win", "a", "prize", "v1agra", "0800", "f", "r", "x.com"]),
            0..12,
        ),
        more in prop::collection::vec(prop::sample::select(vec!["hello", "friend"]), 0..9),
    ) {
        let rules = rules(&["win ..2 prize", "viagra", "<link>", "<4-7>"]);
        let (short, long) = (words.join(" "), [words, more].concat().join(" "));
        let [short, long] = [&short, &long].map(|text| judge(&rules, &item(text)));
        prop_assert!(score(&long, "spam") >= score(&short, "spam"));
        let sources = long.reasons.iter().all(|reason| reason.sources == BY_PATTERN);
        prop_assert!(sources);
    }

    #[test]
    fn any_text_is_judged(text in any::<String>()) {
        let rules = rules(&["a ..9 b", "c*", "#d", "<1-9>"]);
        let rules = Rules { disguise: Some(("evasion", 1)), ..rules };
        let once = judge(&rules, &item(&text));
        prop_assert_eq!(&judge(&rules, &item(&text)), &once);
    }
}
