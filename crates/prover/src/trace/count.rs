//! How often each fixed row is asked for.
//!
//! The tables themselves say what they ask: their rows are evaluated and the queries are kept, so
//! no second list of queries exists.

use core::ops::Range;

use kapsule_lower::isa::PC_CODE;
use kapsule_proof::field::F;
use kapsule_proof::machine::{RowBuilder, Sink, Table, Trace};
use kapsule_proof::tables::{bytes, range};
use p3_air::{BaseAir, RowWindow};
use p3_field::{PrimeCharacteristicRing, PrimeField32};
use p3_matrix::Matrix;

/// Counts for each fixed row.
#[derive(Clone, Debug)]
pub(super) struct Counts {
    pub(super) program: Vec<u32>,
    pub(super) range: Vec<u32>,
    pub(super) pair: Vec<u32>,
    pub(super) and: Vec<u32>,
    pub(super) cnt: Vec<u32>,
}

impl Counts {
    pub(super) fn new(code: usize) -> Self {
        Self {
            program: vec![0; code],
            range: vec![0; 1 << 17],
            pair: vec![0; 1 << 16],
            and: vec![0; 1 << 16],
            cnt: vec![0; 1 << 8],
        }
    }

    /// Counts the queries of some rows of a table.
    pub(super) fn add(&mut self, table: &Table, trace: &Trace, rows: Range<usize>, publics: &[F]) {
        let height = trace.height();
        let none: &[F] = &[];
        for row in rows {
            let next = if row + 1 == height { 0 } else { row + 1 };
            let cells = |row: usize| &trace.values[row * trace.width..(row + 1) * trace.width];
            let publics = if table.num_public_values() == 0 { none } else { publics };
            let windows = [[cells(row), cells(next)], [none, none]]
                .map(|[row, next]| RowWindow::from_two_rows(row, next));
            // No count depends on where the row is.
            RowBuilder::run(table, windows, publics, [F::ZERO; 3], &mut *self);
        }
    }

    /// Returns the counts of both.
    pub(super) fn plus(mut self, other: Self) -> Self {
        let pairs = [
            (&mut self.program, other.program),
            (&mut self.range, other.range),
            (&mut self.pair, other.pair),
            (&mut self.and, other.and),
            (&mut self.cnt, other.cnt),
        ];
        for (own, other) in pairs {
            own.iter_mut().zip(other).for_each(|(own, other)| *own += other);
        }
        self
    }

    /// Counts one query; one that no row answers is left to the checker and the argument.
    fn query(&mut self, bus: &str, tuple: [u32; 4]) {
        let [x, y, ..] = tuple;
        let byte = |value: u32| u8::try_from(value).ok();
        let slot = match bus {
            "PROG" => {
                let position = x.checked_sub(PC_CODE).map(|position| position as usize);
                position.and_then(|position| self.program.get_mut(position))
            }
            "RNG" => range::position(x, y).and_then(|position| self.range.get_mut(position)),
            "BYTE2" => byte(x).zip(byte(y)).map(|(x, y)| &mut self.pair[bytes::position(x, y)]),
            "AND" => byte(x).zip(byte(y)).map(|(x, y)| &mut self.and[bytes::position(x, y)]),
            "CNT" => self.cnt.get_mut(x as usize),
            _ => None,
        };
        if let Some(count) = slot {
            *count += 1;
        }
    }
}

impl Sink for &mut Counts {
    fn constraint(&mut self, _: F) {}

    fn message(&mut self, _: usize, bus: &str, fields: impl Iterator<Item = F>, count: F) {
        if count != F::ONE || !matches!(bus, "PROG" | "RNG" | "BYTE2" | "AND" | "CNT") {
            return;
        }
        let mut tuple = [0; 4];
        for (to, field) in tuple.iter_mut().zip(fields) {
            *to = field.as_canonical_u32();
        }
        self.query(bus, tuple);
    }
}
