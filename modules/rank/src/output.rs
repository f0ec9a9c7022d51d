//! The output: two lists with the parts of each score, and the posts that are in neither.

use alloc::vec::Vec;
use core::convert::Infallible;

use kapsule_guest::minicbor::Encoder;
use kapsule_guest::minicbor::encode;
use kapsule_modules_common::{Name, VERSION};

use crate::input::Input;
use crate::math::{exp2_millionths, millionths};
use crate::order::Candidate;

/// One post in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    /// Which post.
    pub id: Name<'a>,
    /// Score in millionths, rounded down; the order has more places than this number.
    pub score: u64,
    /// Logarithm of 1 plus engagement, in millionths of a bit.
    pub engagement: u64,
    /// Factor for the author, in millionths.
    pub author_ppm: u64,
    /// Age in millionths of a half-life.
    pub age: u64,
    /// What crowding took away, in millionths of a bit.
    pub crowding: u64,
    /// Whether the factor for flagged posts was applied.
    pub flagged: bool,
}

impl<'a> Row<'a> {
    pub(crate) fn new(input: &Input<'a>, candidate: &Candidate) -> Self {
        let post = &input.posts[candidate.index];
        Self {
            id: post.id,
            score: exp2_millionths(candidate.key),
            engagement: millionths(candidate.weight.engagement),
            author_ppm: candidate.weight.factor / 1_000,
            age: millionths(candidate.age),
            crowding: millionths(candidate.crowding),
            flagged: post.flagged,
        }
    }
}

/// A whole result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output<'a> {
    /// Every post whose author is not blocked, best first.
    pub trending: Vec<Row<'a>>,
    /// The posts among them that may be promoted, best first.
    pub promoted: Vec<Row<'a>>,
    /// Ids of the posts whose author is blocked, ascending.
    pub hidden: Vec<Name<'a>>,
}

impl Output<'_> {
    /// Encodes the output as the README's CDDL says.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::new());
        self.write(&mut encoder).expect("encoding into a vector cannot fail");
        encoder.into_writer()
    }

    fn write(&self, encoder: &mut Encoder<Vec<u8>>) -> Result<(), encode::Error<Infallible>> {
        encoder.map(4)?.u8(0)?.u64(VERSION)?;
        for (key, rows) in [(1, &self.trending), (2, &self.promoted)] {
            encoder.u8(key)?.array(rows.len() as u64)?;
            for row in rows {
                encoder.array(7)?.encode(row.id)?.u64(row.score)?.u64(row.engagement)?;
                encoder.u64(row.author_ppm)?.u64(row.age)?.u64(row.crowding)?.bool(row.flagged)?;
            }
        }
        encoder.u8(3)?.encode(&self.hidden)?.ok()
    }
}
