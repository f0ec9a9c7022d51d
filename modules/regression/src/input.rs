//! The input: a table of doubles.

use alloc::format;
use alloc::vec::Vec;

use kapsule_guest::Error;
use kapsule_modules_common::read;

/// Code of a table with more rows or columns than the limits below.
pub const LIMIT_ERROR: u16 = 16;

/// Greatest number of predictors; chosen.
pub const COLUMNS_MAX: usize = 16;
/// Greatest number of rows; chosen so that a run stays below 64 MiB of memory.
pub const ROWS_MAX: usize = 100_000;

/// A decoded input.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// Number of predictors.
    pub columns: usize,
    /// Number of rows.
    pub rows: usize,
    /// Row after row: what is explained, then the predictors.
    cells: Vec<f64>,
}

impl Input {
    /// Decodes an input.
    ///
    /// # Errors
    /// [`Error::INPUT`] for another form, [`LIMIT_ERROR`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let (mut columns, mut table) = (None, None);
        read::versioned(&mut read::decoder(bytes)?, "input", |key, decoder| {
            match key {
                1 => columns = Some(read::uint(decoder, "columns", 0..=u64::MAX)?),
                2 => table = Some(read::bytes(decoder, "table")?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        let columns = within(read::required(columns, "input", "columns")?, "columns", COLUMNS_MAX)?;
        let table = read::required(table, "input", "table")?;
        let (cells, rest) = table.as_chunks::<8>();
        if !rest.is_empty() || !cells.len().is_multiple_of(columns + 1) {
            let text =
                format!("table of {} bytes is no rows of {} doubles", table.len(), columns + 1);
            return Err(Error::input(text));
        }
        let rows = within((cells.len() / (columns + 1)) as u64, "rows", ROWS_MAX)?;
        let cells = cells.iter().map(|cell| f64::from_le_bytes(*cell)).collect();
        Ok(Self { columns, rows, cells })
    }

    /// Returns a cell; column 0 is what is explained.
    pub(crate) fn cell(&self, row: usize, column: usize) -> f64 {
        self.cells[row * (self.columns + 1) + column]
    }

    /// Returns a column from top to bottom.
    pub(crate) fn column(&self, column: usize) -> impl Iterator<Item = f64> {
        (0..self.rows).map(move |row| self.cell(row, column))
    }
}

/// Checks that there is at least one and at most `most` of something.
fn within(count: u64, what: &str, most: usize) -> Result<usize, Error> {
    match usize::try_from(count) {
        Ok(count) if (1..=most).contains(&count) => Ok(count),
        _ => Err(Error::new(LIMIT_ERROR, format!("{count} {what} are outside 1 to {most}"))),
    }
}
