//! What a module makes of many capsules, counted.

use std::collections::BTreeMap;

use kapsule_format::capsule::kind;
use serde_json::{Value, json};

use crate::convert::rows::{Rank, Trust};
use crate::convert::sms::Verdict;
use crate::convert::time;
use crate::error::Failure;
use crate::gather::Item;
use crate::plots::Bars;

/// Bars of a distribution; chosen to be told apart at the width of a page.
const BINS: u64 = 40;
/// Most bars of an activity; a longer span has wider ones.
const PERIODS_MAX: u64 = 60;
/// Widths of the bars of an activity in days.
const PERIOD_DAYS: [u64; 6] = [1, 7, 28, 91, 364, 3_640];
const DAY_MS: u64 = 86_400_000;

/// What a module said of one subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// Post, message or person, as the module names it.
    pub(crate) subject: String,
    /// Verdict or outcome in a word.
    pub(crate) label: String,
    /// Score in the unit of the module.
    pub(crate) score: Option<u64>,
}

impl Row {
    fn new(subject: &impl ToString, label: &str, score: Option<u64>) -> Self {
        Self { subject: subject.to_string(), label: label.to_owned(), score }
    }
}

/// Reads an output of `rank`.
pub(crate) fn rank_rows(output: &[u8]) -> Result<Vec<Row>, Failure> {
    let rank = Rank::decode(output)?;
    let promoted: Vec<_> = rank.promoted.iter().map(|row| &row.id).collect();
    let shown = rank.trending.iter().map(|row| {
        let label = if promoted.contains(&&row.id) { "promoted" } else { "shown" };
        Row::new(&row.id, label, Some(row.score))
    });
    Ok(shown.chain(rank.hidden.iter().map(|id| Row::new(id, "hidden", None))).collect())
}

/// Reads an output of `blocklist`; the score is that of the heaviest label.
pub(crate) fn blocklist_rows(output: &[u8]) -> Result<Vec<Row>, Failure> {
    let row = |verdict: &Verdict| {
        let score = verdict.reasons.iter().map(|(_, score)| *score).max();
        Row::new(&verdict.id, verdict.word(), Some(score.unwrap_or(0)))
    };
    Ok(Verdict::decode(output)?.iter().map(row).collect())
}

/// Reads an output of `trust`.
pub(crate) fn trust_rows(output: &[u8]) -> Result<Vec<Row>, Failure> {
    let row = |row: &crate::convert::rows::TrustRow| {
        let label = if row.blocked { "blocked" } else { "known" };
        Row::new(&row.name, label, Some(row.score))
    };
    Ok(Trust::decode(output)?.rows.iter().map(row).collect())
}

/// Counts over the capsules and over what the module said.
#[derive(Debug)]
pub(crate) struct Summary {
    /// Capsules by kind.
    pub(crate) kinds: BTreeMap<String, u64>,
    /// Authors.
    pub(crate) authors: u64,
    /// First and last day.
    pub(crate) days: Option<(String, String)>,
    /// Rows by label.
    pub(crate) labels: BTreeMap<String, u64>,
    /// Least score, quartiles, greatest score.
    pub(crate) quartiles: Option<[u64; 5]>,
    /// Lowest score of each bar, and the number of scores in it.
    pub(crate) scores: Vec<(String, u64)>,
    /// First day of each bar, and the number of capsules in it, keyrings left out.
    pub(crate) activity: Vec<(String, u64)>,
    /// Width of a bar of the activity in days.
    pub(crate) period_days: u64,
}

impl Summary {
    /// Counts.
    pub(crate) fn of(items: &[Item], rows: &[Row]) -> Self {
        let mut kinds = BTreeMap::new();
        let mut authors: Vec<_> = items.iter().map(|item| item.author).collect();
        authors.sort_unstable();
        authors.dedup();
        items.iter().for_each(|item| *kinds.entry(item.kind.clone()).or_default() += 1);
        let mut labels = BTreeMap::new();
        rows.iter().for_each(|row| *labels.entry(row.label.clone()).or_default() += 1);
        let mut scores: Vec<u64> = rows.iter().filter_map(|row| row.score).collect();
        scores.sort_unstable();
        // Keyrings make a channel and say nothing in it.
        let said = items.iter().filter(|item| item.kind != kind::KEYRING);
        let days: Vec<u64> = said.map(|item| item.time_ms / DAY_MS).collect();
        let span = days.iter().min().copied().zip(days.iter().max().copied());
        let name = |day: u64| time::day(day * DAY_MS);
        let (period_days, activity) = activity(&days, span);
        Self {
            kinds,
            authors: authors.len() as u64,
            days: span.map(|(first, last)| (name(first), name(last))),
            labels,
            quartiles: quartiles(&scores),
            scores: distribution(&scores),
            activity,
            period_days,
        }
    }

    /// Returns the counts as data.
    pub(crate) fn to_json(&self) -> Value {
        let bars = |bars: &[(String, u64)], from: &str| -> Vec<Value> {
            bars.iter().map(|(at, count)| json!({ from: at, "count": count })).collect()
        };
        json!({
            "kinds": self.kinds,
            "authors": self.authors,
            "first_day": self.days.as_ref().map(|(first, _)| first),
            "last_day": self.days.as_ref().map(|(_, last)| last),
            "labels": self.labels,
            "quartiles": self.quartiles.map(|five| five.map(|score| score.to_string())),
            "scores": bars(&self.scores, "from"),
            "activity": bars(&self.activity, "from"),
            "period_days": self.period_days,
        })
    }

    /// Draws the charts, each with the name of its file.
    pub(crate) fn charts(&self) -> Result<[(&'static str, String); 2], Failure> {
        let scores = Bars {
            title: "Distribution of scores",
            across: "score, from",
            up: "subjects",
            bars: &self.scores,
        };
        let across = match self.period_days {
            1 => "day".to_owned(),
            days => format!("{days} days, from"),
        };
        let activity =
            Bars { title: "Activity", across: &across, up: "capsules", bars: &self.activity };
        Ok([("scores.svg", scores.svg()?), ("activity.svg", activity.svg()?)])
    }
}

/// Returns the least of sorted scores, the quartiles by nearest rank, and the greatest.
fn quartiles(sorted: &[u64]) -> Option<[u64; 5]> {
    let last = sorted.len().checked_sub(1)?;
    Some([0, 1, 2, 3, 4].map(|quarter| sorted[last * quarter / 4]))
}

/// Counts sorted scores in bars of equal width.
fn distribution(sorted: &[u64]) -> Vec<(String, u64)> {
    let (Some(least), Some(greatest)) = (sorted.first(), sorted.last()) else {
        return Vec::new();
    };
    let width = ((greatest - least) / BINS + 1).max(1);
    let count = (greatest - least) / width + 1;
    let bar = |at: u64| least + at * width;
    let below = |bound: u64| sorted.partition_point(|score| *score < bound) as u64;
    (0..count)
        .map(|at| {
            let upto = if at + 1 == count { sorted.len() as u64 } else { below(bar(at + 1)) };
            (bar(at).to_string(), upto - below(bar(at)))
        })
        .collect()
}

/// Counts days in bars of equal width, the narrowest that are not too many; returns the width.
fn activity(days: &[u64], span: Option<(u64, u64)>) -> (u64, Vec<(String, u64)>) {
    let Some((first, last)) = span else { return (PERIOD_DAYS[0], Vec::new()) };
    let fits = |width: &&u64| (last - first) / **width < PERIODS_MAX;
    // Whoever claims a time far off makes the bars as wide as it takes.
    let least = (last - first) / PERIODS_MAX + 1;
    let width = PERIOD_DAYS.iter().find(fits).copied().unwrap_or(least);
    let mut counts = vec![0; usize::try_from((last - first) / width + 1).unwrap_or(1)];
    for day in days {
        let at = usize::try_from((day - first) / width).unwrap_or(0);
        counts[at] += 1;
    }
    let name = |at: u64| time::day((first + at * width) * DAY_MS);
    (width, (0..).map(name).zip(counts).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_score_is_in_one_bar() {
        for scores in [
            &[][..],
            &[7],
            &[7, 7],
            &[0, 1, 2],
            &[0, 39, 40, 41, 79, 80],
            &[0, u64::MAX],
            &(0..1_000).collect::<Vec<u64>>(),
        ] {
            let bars = distribution(scores);
            assert_eq!(bars.iter().map(|(_, count)| count).sum::<u64>(), scores.len() as u64);
            assert!(bars.len() as u64 <= BINS, "{bars:?}");
        }
        let bars = distribution(&[0, 39, 40, 41, 79, 80]);
        assert_eq!((bars[0].clone(), bars[13].clone()), (("0".into(), 1), ("39".into(), 3)));
    }

    #[test]
    fn quartiles_are_scores_that_there_are() {
        assert_eq!(quartiles(&[]), None);
        assert_eq!(quartiles(&[5]), Some([5; 5]));
        assert_eq!(quartiles(&[1, 2, 3, 4, 5]), Some([1, 2, 3, 4, 5]));
        assert_eq!(quartiles(&[1, 9]), Some([1, 1, 1, 1, 9]));
    }

    #[test]
    fn an_activity_has_a_bar_for_every_period_and_few_of_them() {
        let count = |days: &[u64]| {
            let span = days.iter().min().copied().zip(days.iter().max().copied());
            activity(days, span)
        };
        assert_eq!(count(&[]), (1, Vec::new()));
        let (width, bars) = count(&[0, 2, 2]);
        let expect = [("1970-01-01", 1), ("1970-01-02", 0), ("1970-01-03", 2)];
        assert_eq!(width, 1);
        assert!(bars.iter().map(|(day, count)| (day.as_str(), *count)).eq(expect));
        for (last, expect) in [(59, 1), (60, 7), (420, 28), (100_000_000, 1_666_667)] {
            let (width, bars) = count(&[0, last]);
            assert_eq!(width, expect);
            assert!(bars.len() as u64 <= PERIODS_MAX);
            assert_eq!(bars.iter().map(|(_, count)| count).sum::<u64>(), 2);
        }
    }
}
