//! Trust statements in the form of the Bitcoin OTC data set, to the input of `trust`.

use kapsule_format::cbor::{self, Value};

use super::{Converted, Knob, Name, Record, Setting, UINT_MAX, VERSION, parameters, refuse, uint};
use crate::error::Failure;

/// Columns; a first line whose rating is no integer is a header.
const FORM: &str = "source,target,rating,time";
/// Millionths of trust for each step of a rating of 1 to 10.
const PPM_PER_STEP: u64 = 100_000;

/// Parameters of the trust module.
const KNOBS: &[Knob] =
    &[("damping_ppm", 0), ("share_cap_ppm", 1), ("node_credit", 2), ("block_share_ppm", 3)];

/// One line of a table.
pub(crate) struct Rating {
    /// Who rates.
    pub(crate) from: Name,
    /// Who is rated.
    pub(crate) to: Name,
    /// Weight in millionths.
    pub(crate) weight_ppm: u64,
    /// Whether it is a block.
    pub(crate) blocked: bool,
    /// When, in milliseconds since 1970.
    pub(crate) time_ms: u64,
}

/// Converts ratings: 1 to 10 become weights of 0.1 to 1, -1 to -10 become blocks.
pub(crate) fn convert(
    table: &[u8],
    viewer: &Name,
    settings: &[Setting],
) -> Result<Converted, Failure> {
    let parameters = parameters(settings, KNOBS)?;
    let statements: Vec<Value> = ratings(table)?.iter().map(statement).collect();
    let records = statements.len() as u64;
    let mut input = vec![(0, VERSION.into()), (1, viewer.into()), (2, statements.into())];
    input.extend(parameters.map(|parameters| (3, parameters)));
    Ok(Converted { bytes: cbor::encode(&Value::Map(input)), records })
}

/// Returns the ratings of a table in its order.
pub(crate) fn ratings(table: &[u8]) -> Result<Vec<Rating>, Failure> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(table);
    let mut ratings = Vec::new();
    for (fields, index) in reader.records().zip(0_u64..) {
        let fields = fields.map_err(|error| refuse(FORM, error))?;
        let header = index == 0 && fields.get(2).is_some_and(|text| text.parse::<i64>().is_err());
        if !header {
            ratings.push(rating_of(&Record { fields: &fields, form: FORM })?);
        }
    }
    Ok(ratings)
}

fn rating_of(record: &Record<'_>) -> Result<Rating, Failure> {
    let from = record.read(0, "source", str::parse::<Name>)?;
    let to = record.read(1, "target", str::parse::<Name>)?;
    let (weight_ppm, blocked) = record.read(2, "rating", rating)?;
    let seconds = record.read(3, "time", seconds)?;
    Ok(Rating { from, to, weight_ppm, blocked, time_ms: seconds * 1_000 })
}

fn statement(rating: &Rating) -> Value {
    let Rating { from, to, weight_ppm, blocked, time_ms } = rating;
    Value::Array(vec![
        from.into(),
        to.into(),
        (*weight_ppm).into(),
        (*blocked).into(),
        (*time_ms).into(),
    ])
}

/// Reads a time in seconds and cuts a fraction off.
fn seconds(text: &str) -> Result<u64, String> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    uint(fraction.get(..1).unwrap_or(fraction), 9)?;
    uint(whole, UINT_MAX / 1_000)
}

/// Reads a rating as (weight in millionths, whether it is a block).
fn rating(text: &str) -> Result<(u64, bool), String> {
    match text.parse::<i8>() {
        Ok(steps @ 1..=10) => Ok((u64::from(steps.unsigned_abs()) * PPM_PER_STEP, false)),
        Ok(-10..=-1) => Ok((0, true)),
        _ => Err("expected -10 to -1 or 1 to 10".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratings_become_weights_and_blocks() {
        let converted = convert(b"6,2,4,1289241912\n2,6,-3,1.75\n", &Name::Number(6), &[]).unwrap();
        assert_eq!(converted.records, 2);
        let statement = |from: u64, to: u64, weight: u64, blocked: bool, time: u64| {
            Value::Array(vec![from.into(), to.into(), weight.into(), blocked.into(), time.into()])
        };
        let expect = Value::Map(vec![
            (0, 1_u64.into()),
            (1, 6_u64.into()),
            (
                2,
                Value::Array(vec![
                    statement(6, 2, 400_000, false, 1_289_241_912_000),
                    statement(2, 6, 0, true, 1_000),
                ]),
            ),
        ]);
        assert_eq!(cbor::decode(&converted.bytes).unwrap(), expect);
    }

    #[test]
    fn errors_name_line_and_column() {
        for (table, expect) in [
            ("1,2,0,5\n", "rating \"0\" in line 1: expected -10 to -1 or 1 to 10"),
            ("1,2,1,5\n1,2,11,5\n", "rating \"11\" in line 2: expected -10 to -1 or 1 to 10"),
            ("1,,1,5\n", "target \"\" in line 1: a name has 1 to 64 bytes, found 0"),
            ("1,2,1,-5\n", "time \"-5\" in line 1: expected an integer from 0 to 9007199254740"),
            ("1,2,1\n", "line 1 has no column time"),
            ("1,2,1,5\n1,2,x,5\n", "rating \"x\" in line 2: expected -10 to -1 or 1 to 10"),
        ] {
            let failure = convert(table.as_bytes(), &Name::Number(1), &[]).unwrap_err();
            assert_eq!(failure.causes, [expect]);
        }
    }

    #[test]
    fn a_header_is_skipped_and_parameters_are_set() {
        let settings = ["node_credit=7".parse().unwrap(), "damping_ppm=0".parse().unwrap()];
        let table = b"source,target,rating,time\nada,bob,10,1\n";
        let converted = convert(table, &Name::Text("ada".into()), &settings).unwrap();
        assert_eq!(converted.records, 1);
        let Value::Map(input) = cbor::decode(&converted.bytes).unwrap() else {
            panic!("an input is a map");
        };
        let expect = Value::Map(vec![(0, 0_u64.into()), (2, 7_u64.into())]);
        assert_eq!(input.last(), Some(&(3, expect)));
        let unknown = ["x=1".parse().unwrap()];
        assert!(convert(table, &Name::Number(1), &unknown).is_err());
    }
}
