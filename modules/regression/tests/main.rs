//! Fits with known results, what singular tables give, and refusals.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]
#![expect(clippy::float_arithmetic, reason = "the tests of a program in doubles")]

use kapsule_guest::Error;
use regression::{Input, LIMIT_ERROR, Output, evaluate, run};

/// Encodes rows; the first of each is what is explained.
fn encoded(columns: u8, rows: &[&[f64]]) -> Vec<u8> {
    let table: Vec<u8> =
        rows.iter().flat_map(|row| row.iter()).flat_map(|c| c.to_le_bytes()).collect();
    let length = u16::try_from(table.len()).unwrap().to_be_bytes();
    [&[0xa3, 0, 1, 1, columns, 2, 0x59, length[0], length[1]], table.as_slice()].concat()
}

fn fit(columns: u8, rows: &[&[f64]]) -> Output {
    evaluate(&Input::decode(&encoded(columns, rows)).unwrap())
}

/// Rows that make more than 255 bytes, so that the length of two bytes is the shortest.
fn line() -> Vec<[f64; 2]> {
    (0..20).map(|x| [3.0 + 2.0 * f64::from(x), f64::from(x)]).collect()
}

fn slices<const N: usize>(rows: &[[f64; N]]) -> Vec<&[f64]> {
    rows.iter().map(<[f64; N]>::as_slice).collect()
}

#[test]
fn a_line_is_found_exactly() {
    let expect =
        Output { intercept: 3.0, slopes: vec![2.0], residual_sum: 0.0, determination: 1.0 };
    assert_eq!(fit(1, &slices(&line())), expect);
}

#[test]
fn a_plane_is_found_whatever_the_order_of_pivots() {
    let plane = |x: f64, z: f64| [1.5 - 4.0 * x + 0.25 * z, x, z];
    let rows: Vec<[f64; 3]> =
        (0..32).map(|i| plane(f64::from(i % 8), f64::from(i / 8) * 64.0)).collect();
    let found = fit(2, &slices(&rows));
    for (found, expect) in
        [(found.intercept, 1.5), (found.slopes[0], -4.0), (found.slopes[1], 0.25)]
    {
        assert!((found - expect).abs() < 1e-12, "{found} and {expect}");
    }
}

#[test]
fn a_singular_table_has_no_number_for_a_slope() {
    let rows: Vec<[f64; 2]> = (0..20).map(|y| [f64::from(y), 5.0]).collect();
    let found = fit(1, &slices(&rows));
    assert!(found.slopes[0].is_nan() && found.intercept.is_nan() && found.determination.is_nan());
}

#[test]
fn refuses_with_its_code() {
    let good = encoded(1, &slices(&line()));
    assert!(run(&good).is_ok());
    let none = encoded(0, &slices(&line()));
    let many = encoded(17, &slices(&line()));
    let uneven = encoded(2, &slices(&line()));
    for (bytes, expect) in [
        (b"".as_slice(), Error::INPUT),
        (b"\xa2\x00\x01\x01\x01", Error::INPUT),
        (b"\xa2\x00\x01\x02\x40", Error::INPUT),
        (b"\xa3\x00\x01\x01\x01\x02\x00", Error::INPUT),
        (b"\xa3\x00\x01\x01\x01\x02\x41\x00", Error::INPUT),
        (b"\xa4\x00\x01\x01\x01\x02\x40\x03\x00", Error::INPUT),
        (&uneven, Error::INPUT),
        (b"\xa3\x00\x01\x01\x01\x02\x40", LIMIT_ERROR),
        (&none, LIMIT_ERROR),
        (&many, LIMIT_ERROR),
    ] {
        assert_eq!(run(bytes).err().map(|error| error.code()), Some(expect), "{bytes:02x?}");
    }
}
