//! The output: a verdict for each item with its reasons, and labels for others.

use alloc::vec::Vec;
use core::convert::Infallible;

use kapsule_guest::minicbor::Encoder;
use kapsule_guest::minicbor::encode;
use kapsule_modules_common::{Name, VERSION};

/// What a client should do with an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Action {
    /// Show it.
    Show = 0,
    /// Show it behind a warning.
    Warn = 1,
    /// Leave it out.
    Hide = 2,
}

/// One label of an item with what speaks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason<'a> {
    /// Which label.
    pub label: &'a str,
    /// How much speaks for it, in millionths.
    pub score: u64,
    /// What kinds of evidence, as a sum of the constants `BY_..`.
    pub sources: u64,
    /// Patterns that were found, by number over all sets, ascending.
    pub patterns: Vec<u32>,
}

/// What was found about one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict<'a> {
    /// Which item.
    pub id: Name<'a>,
    /// What to do with it.
    pub action: Action,
    /// Whether its author or itself is allowed by name.
    pub allowed: bool,
    /// The reasons, ascending by label.
    pub reasons: Vec<Reason<'a>>,
}

/// A label for others to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written<'a> {
    /// Who says so.
    pub src: Name<'a>,
    /// Of which item.
    pub uri: Name<'a>,
    /// What.
    pub val: &'a str,
}

/// A whole result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output<'a> {
    /// One verdict for each item, in their order.
    pub verdicts: Vec<Verdict<'a>>,
    /// Labels, if the input names their source.
    pub labels: Vec<Written<'a>>,
    /// When the labels were made, in milliseconds since 1970-01-01 UTC.
    pub cts_ms: u64,
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
        encoder.map(3)?.u8(0)?.u64(VERSION)?.u8(1)?.array(self.verdicts.len() as u64)?;
        for verdict in &self.verdicts {
            encoder.array(4)?.encode(verdict.id)?.u8(verdict.action as u8)?;
            encoder.bool(verdict.allowed)?.array(verdict.reasons.len() as u64)?;
            for reason in &verdict.reasons {
                encoder.array(4)?.str(reason.label)?.u64(reason.score)?.u64(reason.sources)?;
                encoder.encode(&reason.patterns)?;
            }
        }
        encoder.u8(2)?.array(self.labels.len() as u64)?;
        for label in &self.labels {
            encoder.map(5)?.u8(0)?.u64(VERSION)?.u8(1)?.encode(label.src)?;
            encoder.u8(2)?.encode(label.uri)?.u8(3)?.str(label.val)?;
            encoder.u8(5)?.u64(self.cts_ms)?;
        }
        Ok(())
    }
}
