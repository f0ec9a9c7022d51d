//! Short ways to write rules and items.

use blocklist::{Input, Item, Rules, Set, Threshold, Verdict, evaluate};
use kapsule_modules_common::Name;

/// Rules with these patterns for `spam`, worth 100 each; 100 warn and 200 hide.
pub(crate) fn rules(patterns: &[&'static str]) -> Rules<'static> {
    let patterns = patterns.iter().map(|pattern| (*pattern, 100)).collect();
    Rules {
        sets: vec![Set { label: "spam", cap: 250, patterns }],
        policy: vec![Threshold { label: "spam", warn: 100, hide: 200 }],
        ..Rules::default()
    }
}

pub(crate) fn item(text: &str) -> Item<'_> {
    Item { id: Name::Number(1), author: Name::Text("bob"), text, domains: Vec::new() }
}

/// Judges one item.
pub(crate) fn judge<'a>(rules: &Rules<'a>, item: &Item<'a>) -> Verdict<'a> {
    let input = Input { rules: rules.clone(), items: vec![item.clone()], ..Input::default() };
    evaluate(&input).unwrap().verdicts.remove(0)
}

/// Returns the score of a label.
pub(crate) fn score(verdict: &Verdict<'_>, label: &str) -> u64 {
    verdict.reasons.iter().find(|reason| reason.label == label).map_or(0, |reason| reason.score)
}
