//! The input: two packages, and what each of them is given.

use alloc::vec::Vec;

use kapsule_guest::Error;
use kapsule_guest::minicbor::{Decoder, Encoder};
use kapsule_modules_common::read;

/// Key under which the rank module takes the output of the trust module.
const TRUST_KEY: u64 = 3;

/// A decoded input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input<'a> {
    /// `capsule_hash` of the package of trust.
    pub trust_package: &'a [u8; 32],
    /// `capsule_hash` of the package of rank.
    pub rank_package: &'a [u8; 32],
    /// Input of the trust module.
    pub trust_input: &'a [u8],
    /// Pairs of the input of the rank module, with encoded values, ascending by key.
    rank_pairs: Vec<(u64, &'a [u8])>,
}

impl<'a> Input<'a> {
    /// Decodes an input.
    ///
    /// # Errors
    /// [`Error::INPUT`] for another form.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Error> {
        let (mut packages, mut trust_input, mut rank_pairs) = ([None; 2], None, None);
        read::versioned(&mut read::decoder(bytes)?, "input", |key, decoder| {
            match key {
                1 => packages[0] = Some(package(decoder)?),
                2 => packages[1] = Some(package(decoder)?),
                3 => trust_input = Some(item(bytes, decoder, "trust input")?),
                4 => rank_pairs = Some(pairs(bytes, decoder)?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(Self {
            trust_package: read::required(packages[0], "input", "package of trust")?,
            rank_package: read::required(packages[1], "input", "package of rank")?,
            trust_input: read::required(trust_input, "input", "trust input")?,
            rank_pairs: read::required(rank_pairs, "input", "rank input")?,
        })
    }

    /// Returns the input of the rank module with the output of the trust module in its place.
    #[must_use]
    pub fn rank_input(&self, trust: &[u8]) -> Vec<u8> {
        let place = self.rank_pairs.partition_point(|(key, _)| *key < TRUST_KEY);
        let (before, after) = self.rank_pairs.split_at(place);
        let mut bytes = Vec::new();
        let head = "encoding into a vector cannot fail";
        Encoder::new(&mut bytes).map(self.rank_pairs.len() as u64 + 1).expect(head);
        for (key, value) in before.iter().chain([&(TRUST_KEY, trust)]).chain(after) {
            Encoder::new(&mut bytes).u64(*key).expect(head);
            bytes.extend_from_slice(value);
        }
        bytes
    }
}

fn package<'a>(decoder: &mut Decoder<'a>) -> Result<&'a [u8; 32], Error> {
    let start = decoder.position();
    let bytes = read::bytes(decoder, "package")?;
    bytes.try_into().map_err(|_other| read::refuse(start, "package", "expected 32 bytes"))
}

/// Returns the bytes of the next item.
fn item<'a>(bytes: &'a [u8], decoder: &mut Decoder<'a>, what: &str) -> Result<&'a [u8], Error> {
    let start = decoder.position();
    decoder.skip().map_err(|error| read::refuse(start, what, error))?;
    Ok(&bytes[start..decoder.position()])
}

/// Reads the pairs of the rank module's input, which must not have the trust module's output.
fn pairs<'a>(bytes: &'a [u8], decoder: &mut Decoder<'a>) -> Result<Vec<(u64, &'a [u8])>, Error> {
    let mut pairs = Vec::new();
    read::map(decoder, "rank input", |key, decoder| {
        pairs.push((key, item(bytes, decoder, "rank input")?));
        Ok(key != TRUST_KEY)
    })?;
    Ok(pairs)
}
