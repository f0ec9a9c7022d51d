//! One row of a table, evaluated on its cells.

use alloc::vec::Vec;

use p3_air::{Air, AirBuilder, RowWindow};
use p3_field::PrimeCharacteristicRing;
use p3_lookup::{Count, InteractionBuilder};

use super::table::Table;
use crate::field::F;

/// What keeps of a row what it is for.
pub trait Sink {
    /// Takes the value of the next constraint, which is zero if it holds.
    fn constraint(&mut self, value: F);

    /// Takes the message of the interaction with this number: its bus, its tuple, and how often it
    /// is sent, less how often it is received.
    fn message(&mut self, number: usize, bus: &str, tuple: impl Iterator<Item = F>, count: F);
}

/// Evaluates one row and hands everything that it says to a sink.
#[derive(Debug)]
pub struct RowBuilder<'a, S> {
    main: RowWindow<'a, F>,
    fixed: RowWindow<'a, F>,
    publics: &'a [F],
    /// What the first row, the last row and all but the last row are selected with.
    selectors: [F; 3],
    interactions: usize,
    sink: S,
}

impl<'a, S: Sink> RowBuilder<'a, S> {
    /// Evaluates a table at any point, which need not be a row of anything, and returns the sink.
    pub fn run(
        table: &Table,
        [main, fixed]: [RowWindow<'a, F>; 2],
        publics: &'a [F],
        selectors: [F; 3],
        sink: S,
    ) -> S {
        let mut builder = Self { main, fixed, publics, selectors, interactions: 0, sink };
        table.eval(&mut builder);
        builder.sink
    }
}

impl<'a, S: Sink> AirBuilder for RowBuilder<'a, S> {
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
        self.selectors[0]
    }

    fn is_last_row(&self) -> F {
        self.selectors[1]
    }

    fn is_transition(&self) -> F {
        self.selectors[2]
    }

    fn assert_zero<I: Into<F>>(&mut self, x: I) {
        self.sink.constraint(x.into());
    }

    fn public_values(&self) -> &[F] {
        self.publics
    }
}

impl<S: Sink> InteractionBuilder for RowBuilder<'_, S> {
    fn push_interaction<E: Into<F>>(
        &mut self,
        bus_name: &str,
        fields: impl IntoIterator<Item = E>,
        count: impl Into<Count<F>>,
    ) {
        let number = self.interactions;
        self.interactions += 1;
        let (count, _) = count.into().into_parts();
        self.sink.message(number, bus_name, fields.into_iter().map(Into::into), count);
    }

    /// No table has any, so this is a constraint that does not hold.
    fn push_local_interaction(&mut self, _: impl IntoIterator<Item = (Vec<F>, Count<F>)>) {
        self.sink.constraint(F::ONE);
    }

    fn num_global_interactions(&self) -> usize {
        self.interactions
    }
}
