//! How often each fixed row is asked for.
//!
//! The tables themselves say what they ask: their rows are evaluated with a builder that keeps the
//! queries and drops the constraints, so no second list of queries exists.

use core::ops::Range;

use kapsule_lower::isa::PC_CODE;
use kapsule_proof::field::F;
use kapsule_proof::machine::{Table, Trace};
use kapsule_proof::tables::{bytes, range};
use p3_air::{Air, AirBuilder, BaseAir, RowWindow};
use p3_field::{PrimeCharacteristicRing, PrimeField32};
use p3_lookup::{Count, InteractionBuilder};
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
            let mut counting = Counting {
                main: RowWindow::from_two_rows(cells(row), cells(next)),
                fixed: RowWindow::from_two_rows(none, none),
                publics,
                counts: self,
            };
            table.eval(&mut counting);
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

struct Counting<'a> {
    main: RowWindow<'a, F>,
    fixed: RowWindow<'a, F>,
    publics: &'a [F],
    counts: &'a mut Counts,
}

impl<'a> AirBuilder for Counting<'a> {
    type F = F;
    type Expr = F;
    type Var = F;
    type PreprocessedWindow = RowWindow<'a, F>;
    type MainWindow = RowWindow<'a, F>;
    type PublicVar = F;
    type PeriodicVar = F;

    fn main(&self) -> Self::MainWindow {
        self.main
    }

    fn preprocessed(&self) -> &Self::PreprocessedWindow {
        &self.fixed
    }

    fn is_first_row(&self) -> F {
        F::ZERO
    }

    fn is_last_row(&self) -> F {
        F::ZERO
    }

    fn is_transition(&self) -> F {
        F::ZERO
    }

    fn assert_zero<I: Into<F>>(&mut self, _: I) {}

    fn public_values(&self) -> &[F] {
        self.publics
    }
}

impl InteractionBuilder for Counting<'_> {
    fn push_interaction<E: Into<F>>(
        &mut self,
        bus: &str,
        fields: impl IntoIterator<Item = E>,
        count: impl Into<Count<F>>,
    ) {
        let (count, _) = count.into().into_parts();
        if count != F::ONE || !matches!(bus, "PROG" | "RNG" | "BYTE2" | "AND" | "CNT") {
            return;
        }
        let mut tuple = [0; 4];
        for (to, field) in tuple.iter_mut().zip(fields) {
            *to = field.into().as_canonical_u32();
        }
        self.counts.query(bus, tuple);
    }

    fn push_local_interaction(&mut self, _: impl IntoIterator<Item = (Vec<F>, Count<F>)>) {}

    fn num_global_interactions(&self) -> usize {
        0
    }
}
