//! The output of the trust module, read as it is.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use kapsule_guest::Error;
use kapsule_guest::minicbor::Decoder;
use kapsule_modules_common::{Name, read};

use crate::math::{ONE_BIT, log2};

/// The weight 1: a weight is a count of 10^-9, finer than what is printed, so that rounding moves
/// no score by more than its logarithm does.
pub(crate) const FULL: u64 = 1_000_000_000;

/// Bits below the best score at which a score counts as none: chosen as 6, a factor of 64.
const RANGE: i64 = 6 * ONE_BIT;

/// Greatest number of rows.
const ROWS_MAX: u64 = 400_001;

/// One row of the trust module's output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustRow<'a> {
    /// Who.
    pub name: Name<'a>,
    /// Score in 10^-9.
    pub score: u64,
    /// Flow kept.
    pub flow: u64,
    /// Whether the person is blocked.
    pub blocked: bool,
}

/// What the viewer thinks of people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust<'a> {
    /// Whose view it is.
    pub viewer: Name<'a>,
    /// Everyone that the viewer knows of.
    pub rows: Vec<TrustRow<'a>>,
    /// Flow that a person can keep.
    pub node_credit: u64,
}

impl<'a> Trust<'a> {
    pub(crate) fn decode(decoder: &mut Decoder<'a>) -> Result<Self, Error> {
        let (mut viewer, mut rows, mut node_credit) = (None, None, None);
        read::versioned(decoder, "trust", |key, decoder| {
            match key {
                1 => viewer = Some(Name::decode(decoder, "viewer")?),
                2 => rows = Some(decode_rows(decoder)?),
                3 => node_credit = Some(read::uint(decoder, "node_credit", 1..=1_000_000)?),
                // The number of iterations says nothing about anyone.
                4 => drop(read::uint(decoder, "iterations", 0..=u64::MAX)?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(Self {
            viewer: read::required(viewer, "trust", "viewer")?,
            rows: read::required(rows, "trust", "rows")?,
            node_credit: read::required(node_credit, "trust", "node_credit")?,
        })
    }

    /// Returns everyone's weight, `None` for those who are blocked.
    ///
    /// The viewer weighs 1.
    /// Anyone else weighs what their score is below the best one on a logarithmic scale, times the
    /// share of the credit that their flow fills; so Sybils together weigh no more than their flow.
    pub(crate) fn weights(&self) -> BTreeMap<Name<'a>, Option<u64>> {
        let others = self.rows.iter().filter(|row| row.name != self.viewer && !row.blocked);
        let best = others.map(|row| row.score).max().unwrap_or(0);
        let weight = |row: &TrustRow<'a>| {
            if row.name == self.viewer {
                return Some(FULL);
            }
            if row.blocked {
                return None;
            }
            Some(nearness(row.score, best) * row.flow.min(self.node_credit) / self.node_credit)
        };
        self.rows.iter().map(|row| (row.name, weight(row))).collect()
    }
}

/// Returns [`FULL`] for the best score, 0 for one that is `RANGE` below it, and between them a
/// straight line over the logarithm.
fn nearness(score: u64, best: u64) -> u64 {
    if score == 0 {
        return 0;
    }
    let gap = log2(best) - log2(score);
    u64::try_from((RANGE - gap) * FULL as i64 / RANGE).unwrap_or(0)
}

fn decode_rows<'a>(decoder: &mut Decoder<'a>) -> Result<Vec<TrustRow<'a>>, Error> {
    let start = decoder.position();
    let count = read::array(decoder, "rows")?;
    if count > ROWS_MAX {
        return Err(read::refuse(start, "rows", "more than 400001"));
    }
    let mut rows = Vec::with_capacity(count as usize);
    for _ in 0..count {
        read::tuple(decoder, "row", 4)?;
        rows.push(TrustRow {
            name: Name::decode(decoder, "name")?,
            score: read::uint(decoder, "score", 0..=1_000_000_000)?,
            flow: read::uint(decoder, "flow", 0..=1_000_000)?,
            blocked: read::boolean(decoder, "blocked")?,
        });
    }
    Ok(rows)
}
