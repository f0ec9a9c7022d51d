//! The columns of the buses.
//!
//! For each message the library's argument adds `count / (alpha - tuple)`, where a tuple is a
//! linear combination of its fields with powers of `beta`.
//! Fields and counts are affine in the cells of a row, so a denominator is one combination of cells
//! whose coefficients depend on the challenges alone.

use std::collections::BTreeMap;

use kapsule_proof::Scheme;
use kapsule_proof::field::F;
use kapsule_proof::machine::{Table, Trace};
use p3_air::BaseAir;
use p3_air::symbolic::{BaseEntry, BaseLeaf, SymbolicExpr, SymbolicExpression};
use p3_batch_stark::{PackedChallenge, PackedVal};
use p3_field::{
    Algebra, BasedVectorSpace, Field, PackedFieldExtension, PackedValue, PrimeCharacteristicRing,
};
use p3_lookup::Lookup;
use p3_matrix::Matrix;
use p3_maybe_rayon::prelude::*;

use super::Extension;

/// Some rows at once, as many as a vector of the processor holds.
pub(super) type Cells = PackedVal<Scheme>;
/// The same over the extension.
pub(super) type Wide = PackedChallenge<Scheme>;

/// Degree of the extension.
pub(super) const DEGREE: usize = 4;
/// Rows that one thread works on at a time.
const ROWS: usize = 256;
/// Products that are worked out side by side, so that none waits for another.
const CHAINS: usize = 4;

/// A linear combination of the cells of a row, with coefficients in the extension.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Combination {
    cells: Vec<usize>,
    /// Coefficients by basis element.
    coefficients: [Vec<F>; DEGREE],
    constant: Extension,
}

impl Combination {
    /// Returns the combination for some rows, whose `cells` are those of the table and then the
    /// fixed ones; `taken` is scratch space.
    #[inline]
    pub(super) fn of(&self, cells: &[Cells], taken: &mut Vec<Cells>) -> Wide {
        taken.clear();
        taken.extend(self.cells.iter().map(|cell| cells[*cell]));
        let sum = Wide::from_basis_coefficients_fn(|basis| {
            Cells::batched_linear_combination(taken, &self.coefficients[basis])
        });
        sum + self.constant
    }

    /// Returns the combination times a number.
    pub(super) fn scaled(&self, by: Extension) -> Self {
        let mut scaled = self.clone();
        scaled.constant *= by;
        for at in 0..self.cells.len() {
            let coefficient =
                Extension::from_basis_coefficients_fn(|basis| self.coefficients[basis][at]) * by;
            let parts: &[F] = coefficient.as_basis_coefficients_slice();
            for (basis, part) in parts.iter().enumerate() {
                scaled.coefficients[basis][at] = *part;
            }
        }
        scaled
    }
}

/// A linear combination of the cells of a row.
#[derive(Clone, Debug, Default, PartialEq)]
struct Affine {
    cells: BTreeMap<usize, F>,
    constant: F,
}

impl Affine {
    /// Reads an expression; `None` unless it is affine in the cells of the current row.
    fn read(expression: &SymbolicExpression<F>, width: usize) -> Option<Self> {
        let mut affine = Self::default();
        affine.add(expression, F::ONE, width)?;
        Some(affine)
    }

    fn add(&mut self, expression: &SymbolicExpression<F>, factor: F, width: usize) -> Option<()> {
        match expression {
            SymbolicExpr::Leaf(BaseLeaf::Constant(constant)) => self.constant += factor * *constant,
            SymbolicExpr::Leaf(BaseLeaf::Variable(variable)) => {
                let cell = match variable.entry {
                    BaseEntry::Main { offset: 0 } => variable.index,
                    BaseEntry::Preprocessed { offset: 0 } => width + variable.index,
                    _ => return None,
                };
                *self.cells.entry(cell).or_default() += factor;
            }
            SymbolicExpr::Leaf(_) => return None,
            SymbolicExpr::Add { x, y, .. } => {
                self.add(x, factor, width)?;
                self.add(y, factor, width)?;
            }
            SymbolicExpr::Sub { x, y, .. } => {
                self.add(x, factor, width)?;
                self.add(y, -factor, width)?;
            }
            SymbolicExpr::Neg { x, .. } => self.add(x, -factor, width)?,
            SymbolicExpr::Mul { x, y, .. } => {
                let (x, y) = (Self::read(x, width)?, Self::read(y, width)?);
                let (affine, by) = match (x.cells.is_empty(), y.cells.is_empty()) {
                    (true, _) => (y, x.constant),
                    (_, true) => (x, y.constant),
                    _ => return None,
                };
                let factor = factor * by;
                self.constant += factor * affine.constant;
                for (cell, coefficient) in affine.cells {
                    *self.cells.entry(cell).or_default() += factor * coefficient;
                }
            }
        }
        Some(())
    }

    /// Returns the sum of several, each times a number of the extension.
    fn combine(parts: impl IntoIterator<Item = (Self, Extension)>) -> Combination {
        let mut sums: BTreeMap<usize, Extension> = BTreeMap::new();
        let mut constant = Extension::ZERO;
        for (part, factor) in parts {
            constant += factor * part.constant;
            for (cell, coefficient) in part.cells {
                *sums.entry(cell).or_default() += factor * coefficient;
            }
        }
        let coefficients = core::array::from_fn(|basis| {
            let part = |sum: &Extension| {
                let parts: &[F] = sum.as_basis_coefficients_slice();
                parts[basis]
            };
            sums.values().map(part).collect()
        });
        Combination { cells: sums.keys().copied().collect(), coefficients, constant }
    }
}

/// How often a message is sent; negative where it is received.
#[derive(Clone, Debug)]
pub(super) struct Multiplicity {
    terms: Vec<(usize, F)>,
    constant: F,
}

impl Multiplicity {
    #[inline]
    pub(super) fn of(&self, cells: &[Cells]) -> Cells {
        let terms = self.terms.iter().map(|(cell, factor)| cells[*cell] * *factor);
        terms.sum::<Cells>() + self.constant
    }
}

/// One message of a row.
#[derive(Clone, Debug)]
pub(super) struct Message {
    /// `alpha - tuple`.
    pub(super) denominator: Combination,
    pub(super) count: Multiplicity,
}

/// The messages of a table, by the column that holds their sum.
#[derive(Clone, Debug)]
pub(super) struct Buses {
    pub(super) columns: Vec<Vec<Message>>,
}

impl Buses {
    /// Works out the coefficients; `None` if a message is not affine in the cells of one row.
    pub(super) fn new(
        lookups: &[Lookup<F>],
        challenges: &[Extension],
        table: &Table,
    ) -> Option<Self> {
        let width = table.width();
        let column = |(lookup, challenges): (&Lookup<F>, &[Extension])| {
            let [alpha, beta] = *challenges else { return None };
            let messages = lookup.elements.iter().zip(&lookup.multiplicities);
            lookup.flags.is_none().then_some(())?;
            messages.map(|(fields, count)| message(fields, count, width, [alpha, beta])).collect()
        };
        let columns = lookups.iter().zip(challenges.chunks(2)).map(column);
        Some(Self { columns: columns.collect::<Option<_>>()? })
    }

    /// Returns the columns for every row over the base field, the running sum first, and the sum of
    /// all rows; `None` if a denominator is zero, which does not happen by chance.
    pub(super) fn trace(&self, main: &Trace, fixed: Option<&Trace>) -> Option<(Trace, Extension)> {
        let height = main.height();
        let width = (self.columns.len() + 1) * DEGREE;
        let mut cells = vec![F::ZERO; height * width];
        let mut sums = vec![Extension::ZERO; height];
        let rows = ROWS.min(height);
        let done: Option<Vec<()>> = cells
            .par_chunks_mut(rows * width)
            .zip(sums.par_chunks_mut(rows))
            .enumerate()
            .map(|(part, (cells, sums))| self.part(main, fixed, part * rows, (cells, sums)))
            .collect();
        done?;
        let mut sum = Extension::ZERO;
        for (row, own) in cells.chunks_exact_mut(width).zip(sums) {
            row[..DEGREE].copy_from_slice(sum.as_basis_coefficients_slice());
            sum += own;
        }
        Some((Trace::new(cells, width), sum))
    }

    /// Fills the columns and the sums of some rows.
    fn part(
        &self,
        main: &Trace,
        fixed: Option<&Trace>,
        start: usize,
        (cells, sums): (&mut [F], &mut [Extension]),
    ) -> Option<()> {
        let messages: usize = self.columns.iter().map(Vec::len).sum();
        let packs = sums.len() / Cells::WIDTH;
        let mut counts = Vec::with_capacity(packs * messages);
        let mut denominators = Vec::with_capacity(packs * messages);
        let (mut row, mut taken) = (Vec::new(), Vec::new());
        for pack in 0..packs {
            let at = start + pack * Cells::WIDTH;
            row.clear();
            row.extend(main.vertically_packed_row::<Cells>(at));
            if let Some(fixed) = fixed {
                row.extend(fixed.vertically_packed_row::<Cells>(at));
            }
            for message in self.columns.iter().flatten() {
                counts.push(message.count.of(&row));
                denominators.push(message.denominator.of(&row, &mut taken));
            }
        }
        invert(&mut denominators)?;
        let width = (self.columns.len() + 1) * DEGREE;
        let mut terms = denominators.into_iter().zip(counts);
        for (cells, sums) in
            cells.chunks_mut(Cells::WIDTH * width).zip(sums.chunks_mut(Cells::WIDTH))
        {
            let mut whole = Wide::ZERO;
            for (column, messages) in self.columns.iter().enumerate() {
                let terms = terms.by_ref().take(messages.len());
                let sum: Wide = terms.map(|(inverse, count)| inverse * count).sum();
                whole += sum;
                let parts: &[Cells] = sum.as_basis_coefficients_slice();
                let first = (column + 1) * DEGREE;
                for (lane, row) in cells.chunks_exact_mut(width).enumerate() {
                    for (basis, part) in parts.iter().enumerate() {
                        row[first + basis] = part.as_slice()[lane];
                    }
                }
            }
            for (lane, sum) in sums.iter_mut().enumerate() {
                *sum = lane_of(&whole, lane);
            }
        }
        Some(())
    }
}

fn message(
    fields: &[SymbolicExpression<F>],
    count: &SymbolicExpression<F>,
    width: usize,
    [alpha, beta]: [Extension; 2],
) -> Option<Message> {
    // The last field has coefficient -1, the one before it -beta, and so on.
    let mut factor = -Extension::ONE;
    let mut parts = Vec::new();
    for field in fields.iter().rev() {
        parts.push((Affine::read(field, width)?, factor));
        factor *= beta;
    }
    parts.push((Affine { constant: F::ONE, ..Affine::default() }, alpha));
    let Affine { cells, constant } = Affine::read(count, width)?;
    let count = Multiplicity { terms: cells.into_iter().collect(), constant };
    Some(Message { denominator: Affine::combine(parts), count })
}

fn lane_of(wide: &Wide, lane: usize) -> Extension {
    let parts: &[Cells] = wide.as_basis_coefficients_slice();
    Extension::from_basis_coefficients_fn(|basis| parts[basis].as_slice()[lane])
}

/// Replaces numbers by their inverses; `None` if one is zero.
fn invert(values: &mut [Wide]) -> Option<()> {
    let mut products = [Wide::ONE; CHAINS];
    let mut before = Vec::with_capacity(values.len());
    for (at, value) in values.iter().enumerate() {
        before.push(products[at % CHAINS]);
        products[at % CHAINS] *= *value;
    }
    for product in &mut products {
        let lanes: Option<Vec<Extension>> =
            (0..Cells::WIDTH).map(|lane| lane_of(product, lane).try_inverse()).collect();
        *product = Wide::from_ext_slice(&lanes?);
    }
    for (at, value) in values.iter_mut().enumerate().rev() {
        let inverse = products[at % CHAINS] * before[at];
        products[at % CHAINS] *= *value;
        *value = inverse;
    }
    Some(())
}
