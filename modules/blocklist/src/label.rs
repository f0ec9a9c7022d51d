//! Labels that others have put on items and authors.

use alloc::collections::{BTreeMap, BTreeSet};

use kapsule_modules_common::Name;

/// A label, shaped like one of the AT Protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label<'a> {
    /// Who says so.
    pub src: Name<'a>,
    /// Of which item or author.
    pub uri: Name<'a>,
    /// What.
    pub val: &'a str,
    /// Whether it takes an earlier one back.
    pub neg: bool,
    /// When, in milliseconds since 1970-01-01 UTC.
    pub cts_ms: u64,
    /// When it ends.
    pub exp_ms: Option<u64>,
}

/// The labels that hold, by item or author: who says what.
pub(crate) type Labels<'a> = BTreeMap<Name<'a>, BTreeSet<(&'a str, Name<'a>)>>;

/// Returns the labels that hold at a time.
///
/// Of those with one source, one subject and one value the last made counts, and of two made at
/// once the one that does not take back.
pub(crate) fn holding<'a>(labels: &[Label<'a>], now_ms: u64) -> Labels<'a> {
    let mut last: BTreeMap<(Name<'a>, Name<'a>, &'a str), Label<'a>> = BTreeMap::new();
    for label in labels {
        let held = last.entry((label.uri, label.src, label.val)).or_insert(*label);
        let order =
            |label: &Label<'_>| (label.cts_ms, !label.neg, label.exp_ms.unwrap_or(u64::MAX));
        if order(label) > order(held) {
            *held = *label;
        }
    }
    let mut holding = Labels::new();
    for ((uri, src, val), label) in last {
        let ended = label.exp_ms.is_some_and(|exp_ms| exp_ms <= now_ms);
        if !label.neg && !ended && label.cts_ms <= now_ms {
            holding.entry(uri).or_default().insert((val, src));
        }
    }
    holding
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(neg: bool, cts_ms: u64, exp_ms: Option<u64>) -> Label<'static> {
        Label { src: Name::Number(1), uri: Name::Number(2), val: "spam", neg, cts_ms, exp_ms }
    }

    #[test]
    fn the_last_label_decides() {
        for (labels, holds) in [
            (&[label(false, 5, None)][..], true),
            (&[label(true, 5, None)], false),
            (&[label(false, 5, None), label(true, 6, None)], false),
            (&[label(true, 6, None), label(false, 5, None)], false),
            (&[label(true, 5, None), label(false, 6, None)], true),
            (&[label(true, 5, None), label(false, 5, None)], true),
            (&[label(false, 5, Some(100))], false),
            (&[label(false, 5, Some(101))], true),
            // What ends last counts, also of two made at once.
            (&[label(false, 5, Some(7)), label(false, 5, None)], true),
            (&[label(false, 5, None), label(false, 6, Some(7))], false),
            (&[label(false, 101, None)], false),
        ] {
            assert_eq!(!holding(labels, 100).is_empty(), holds, "{labels:?}");
        }
    }
}
