#![doc = include_str!("../README.md")]
#![no_std]
#![expect(clippy::float_arithmetic, reason = "this module shows profile float-1")]

extern crate alloc;

mod input;
mod output;
mod solve;

use alloc::vec::Vec;

use kapsule_guest::Error;

pub use input::{COLUMNS_MAX, Input, LIMIT_ERROR, ROWS_MAX};
pub use output::Output;

/// Fits the rows of `input`.
///
/// # Determinism
/// Sums run over the rows in their order, and every operation is one IEEE 754 operation in double
/// precision; a NaN has the bits that the profile says.
#[must_use]
pub fn evaluate(input: &Input) -> Output {
    let rows = input.rows as f64;
    let means: Vec<f64> =
        (0..=input.columns).map(|column| sum(input.column(column)) / rows).collect();
    let product = |left: usize, right: usize| {
        let pairs = input.column(left).zip(input.column(right));
        sum(pairs.map(|(a, b)| (a - means[left]) * (b - means[right])))
    };
    let matrix = (1..=input.columns)
        .map(|row| (1..=input.columns).map(|column| product(row, column)).collect())
        .collect();
    let slopes = solve::solve(matrix, (1..=input.columns).map(|row| product(row, 0)).collect());
    let shift = sum(slopes.iter().zip(&means[1..]).map(|(slope, mean)| slope * mean));
    let intercept = means[0] - shift;
    let residual = |row: usize| {
        let fitted = (1..=input.columns).map(|column| slopes[column - 1] * input.cell(row, column));
        let rest = input.cell(row, 0) - (intercept + sum(fitted));
        rest * rest
    };
    let residual_sum = sum((0..input.rows).map(residual));
    let determination = 1.0 - residual_sum / product(0, 0);
    Output { intercept, slopes, residual_sum, determination }
}

/// Adds from left to right; the sum of nothing is positive zero.
fn sum(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, |sum, value| sum + value)
}

/// Evaluates an encoded input to an encoded output.
///
/// # Errors
/// The codes of the README's table.
pub fn run(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    Ok(evaluate(&Input::decode(bytes)?).encode())
}

kapsule_guest::entry!(raw run);
