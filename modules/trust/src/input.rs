//! The input: who looks, the statements, and the parameters.

use alloc::format;
use alloc::vec::Vec;

use kapsule_guest::minicbor::Decoder;
use kapsule_guest::{Error, TrustEdge};
use kapsule_modules_common::{Name, read};

/// Code of a parameter out of its range.
pub const PARAMETER_ERROR: u16 = 16;
/// Code of an input with more statements than [`STATEMENTS_MAX`].
pub const LIMIT_ERROR: u16 = 17;

/// Greatest number of statements; the error bound of the README holds up to it.
pub const STATEMENTS_MAX: usize = 200_000;

/// Greatest weight of a statement, in millionths.
const WEIGHT_PPM_MAX: u64 = 1_000_000;
/// Greatest time, in milliseconds.
const TIME_MS_MAX: u64 = (1 << 53) - 1;

/// What one person says of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Statement<'a> {
    /// Who says it.
    pub from: Name<'a>,
    /// Of whom.
    pub to: Name<'a>,
    /// When, in milliseconds since 1970-01-01 UTC.
    pub time_ms: u64,
    /// Whether `from` blocks `to`; the weight is then without meaning.
    pub blocked: bool,
    /// How much `from` trusts `to`, in millionths.
    pub weight_ppm: u32,
}

/// The knobs, each with the range that [`Input::decode`] accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// Share of a score that is passed on rather than returned to the viewer: 0 to 900,000.
    pub damping_ppm: u32,
    /// Greatest share of one's trust that a single statement receives: 1 to 1,000,000.
    pub share_cap_ppm: u32,
    /// Flow that each person can keep, in the unit of weights: 1 to 1,000,000.
    pub node_credit: u32,
    /// Share of the judging score above which others' blocks take effect: 0 to 1,000,000.
    pub block_share_ppm: u32,
}

impl Default for Parameters {
    /// Damping 0.85 is that of the PageRank paper; the others are chosen: no cap, twenty people
    /// behind a statement of full weight, and a block by more than half.
    fn default() -> Self {
        Self {
            damping_ppm: 850_000,
            share_cap_ppm: 1_000_000,
            node_credit: 50_000,
            block_share_ppm: 500_000,
        }
    }
}

impl Parameters {
    fn decode(decoder: &mut Decoder<'_>) -> Result<Self, Error> {
        let mut parameters = Self::default();
        read::map(decoder, "parameters", |key, decoder| {
            let (field, what, least, most) = match key {
                0 => (&mut parameters.damping_ppm, "damping_ppm", 0, 900_000),
                1 => (&mut parameters.share_cap_ppm, "share_cap_ppm", 1, 1_000_000),
                2 => (&mut parameters.node_credit, "node_credit", 1, 1_000_000),
                3 => (&mut parameters.block_share_ppm, "block_share_ppm", 0, 1_000_000),
                _ => return Ok(false),
            };
            let value = read::uint(decoder, what, 0..=u64::MAX)?;
            match u32::try_from(value) {
                Ok(value) if (least..=most).contains(&value) => *field = value,
                _ => {
                    let text = format!("{what} {value} is outside {least} to {most}");
                    return Err(Error::new(PARAMETER_ERROR, text));
                }
            }
            Ok(true)
        })?;
        Ok(parameters)
    }
}

/// A decoded input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input<'a> {
    /// Whose trust is computed.
    pub viewer: Name<'a>,
    /// The statements; `None` says that the host has them.
    pub statements: Option<Vec<Statement<'a>>>,
    /// The knobs.
    pub parameters: Parameters,
}

impl<'a> Input<'a> {
    /// Decodes the input of a run.
    ///
    /// # Errors
    /// [`Error::INPUT`] for another form, [`PARAMETER_ERROR`], [`LIMIT_ERROR`].
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Error> {
        let (mut viewer, mut statements, mut parameters) = (None, None, Parameters::default());
        read::versioned(&mut read::decoder(bytes)?, "input", |key, decoder| {
            match key {
                1 => viewer = Some(Name::decode(decoder, "viewer")?),
                2 => statements = Some(decode_statements(decoder)?),
                3 => parameters = Parameters::decode(decoder)?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(Self { viewer: read::required(viewer, "input", "viewer")?, statements, parameters })
    }
}

fn decode_statements<'a>(decoder: &mut Decoder<'a>) -> Result<Vec<Statement<'a>>, Error> {
    let count = read::array(decoder, "statements")?;
    check_count(usize::try_from(count).unwrap_or(usize::MAX))?;
    let mut statements = Vec::with_capacity(count as usize);
    for _ in 0..count {
        read::tuple(decoder, "statement", 5)?;
        statements.push(Statement {
            from: Name::decode(decoder, "from")?,
            to: Name::decode(decoder, "to")?,
            weight_ppm: read::uint(decoder, "weight_ppm", 0..=WEIGHT_PPM_MAX)? as u32,
            blocked: read::boolean(decoder, "blocked")?,
            time_ms: read::uint(decoder, "time_ms", 0..=TIME_MS_MAX)?,
        });
    }
    Ok(statements)
}

/// Takes the host's statements as they are, under the same limits.
pub(crate) fn from_edges(edges: &[TrustEdge]) -> Result<Vec<Statement<'_>>, Error> {
    check_count(edges.len())?;
    Ok(edges
        .iter()
        .map(|edge| Statement {
            from: Name::Bytes(edge.from.as_slice()),
            to: Name::Bytes(edge.to.as_slice()),
            time_ms: edge.time_ms,
            blocked: edge.blocked,
            weight_ppm: edge.weight_ppm.min(WEIGHT_PPM_MAX as u32),
        })
        .collect())
}

fn check_count(count: usize) -> Result<(), Error> {
    if count > STATEMENTS_MAX {
        let text = format!("{count} statements exceed the limit of {STATEMENTS_MAX}");
        return Err(Error::new(LIMIT_ERROR, text));
    }
    Ok(())
}
