//! The quotient of a table: all its constraints, folded and divided by what vanishes on its rows.

use kapsule_proof::Scheme;
use kapsule_proof::field::F;
use kapsule_proof::machine::Trace;
use p3_air::{Air, RowWindow};
use p3_batch_stark::Domain;
use p3_batch_stark::folder::ProverConstraintFolderWithLookups;
use p3_batch_stark::symbolic::{get_constraint_layout, get_log_num_quotient_chunks_for_domain};
use p3_commit::{LagrangeSelectors, PolynomialSpace, UnivariateStarkPcs};
use p3_field::{BasedVectorSpace, PackedFieldExtension, PackedValue, PrimeCharacteristicRing};
use p3_lookup::logup::LogUpGadget;
use p3_matrix::Matrix;
use p3_matrix::dense::{RowMajorMatrix, RowMajorMatrixView};
use p3_maybe_rayon::prelude::*;
use p3_uni_stark::ProverConstraintFolder;

use super::buses::{Buses, Cells, Combination, DEGREE, Multiplicity, Wide};
use super::{Challenger, Committed, Extension, Instance, Pcs};

/// Rows that one thread works on at a time.
const ROWS: usize = 1 << 10;

/// Where the committed columns of a table are.
pub(super) struct Commitments<'a> {
    pub(super) main: &'a Committed,
    pub(super) bused: Option<(usize, &'a Committed)>,
    pub(super) fixed: Option<(usize, &'a Committed)>,
}

/// Columns on the rows of the quotient.
type Columns<'a> = <Pcs as UnivariateStarkPcs<Extension, Challenger>>::EvaluationsOnDomain<'a>;

/// Returns the chunks of the quotient, extended as they are committed to.
pub(super) fn chunks(
    pcs: &Pcs,
    instance: &Instance<'_>,
    number: usize,
    commitments: &Commitments<'_>,
    buses: &Buses,
    (alpha, terminal): (Extension, Option<Extension>),
) -> Result<Vec<Trace>, String> {
    let gadget = LogUpGadget::new();
    let (table, layout) = (instance.table, instance.layout);
    let log_count = get_log_num_quotient_chunks_for_domain::<F, Extension, _, _>(
        table,
        layout,
        instance.domain,
        instance.lookups,
        0,
        &gadget,
    );
    let count = 1 << log_count;
    let domain = instance.domain.create_disjoint_domain(instance.domain.size() * count);
    let constraints =
        get_constraint_layout::<F, Extension, _, _>(table, layout, instance.lookups, &gadget);
    let (base_powers, wide_powers) = constraints.decompose_alpha(alpha);
    let on_domain = |(position, data)| {
        UnivariateStarkPcs::<Extension, Challenger>::get_evaluations_on_domain(
            pcs, data, position, domain,
        )
    };
    let quotient = Quotient {
        instance,
        domain,
        main: on_domain((number, commitments.main)),
        bused: commitments.bused.map(on_domain),
        fixed: commitments.fixed.map(on_domain),
        selectors: instance.domain.selectors_on_coset(domain),
        folded: Folded::new(buses, &wide_powers, terminal),
        base_powers,
    };
    let values = RowMajorMatrix::new_col(quotient.values()).flatten_to_base();
    let parts = domain.split_domains(count).into_iter().zip(domain.split_evals(count, values));
    UnivariateStarkPcs::<Extension, Challenger>::get_quotient_ldes(pcs, parts, count)
        .map_err(|error| format!("{error:?}"))
}

/// A column of the buses with its constraint's power of alpha worked in.
///
/// The constraint is `f * d - m`, or `f * d * e - m * e - n * d` for two messages.
struct Column {
    /// `d`, times the power.
    first: Combination,
    /// `m`, and the power.
    count: (Multiplicity, Extension),
    /// `e` and `n`.
    second: Option<(Combination, Multiplicity)>,
}

/// The constraints of the buses, with their powers of alpha.
struct Folded {
    columns: Vec<Column>,
    /// Of the first row, of the step from row to row, and of the last row.
    powers: [Extension; 3],
    terminal: Extension,
}

impl Folded {
    /// Returns `None` for a table without buses.
    fn new(buses: &Buses, powers: &[Extension], terminal: Option<Extension>) -> Option<Self> {
        let columns = buses.columns.iter().zip(powers).map(|(messages, power)| {
            let mut messages = messages.iter();
            let first = messages.next()?;
            let second = messages.next();
            messages.next().is_none().then(|| Column {
                first: first.denominator.scaled(*power),
                count: (first.count.clone(), *power),
                second: second.map(|one| (one.denominator.clone(), one.count.clone())),
            })
        });
        let columns = columns.collect::<Option<Vec<_>>>()?;
        let powers = powers.get(columns.len()..)?.try_into().ok()?;
        Some(Self { columns, powers, terminal: terminal? })
    }

    /// Returns the folded constraints for some rows.
    ///
    /// `sums` are the columns of the buses, the running sum first, and `next` is the next row's.
    #[inline]
    fn of(
        &self,
        cells: &[Cells],
        (sums, next): (&[Wide], Wide),
        [first_row, transition, last_row]: [Cells; 3],
        taken: &mut Vec<Cells>,
    ) -> Wide {
        let mut total = Wide::ZERO;
        let mut step = sums[0];
        for (column, sum) in self.columns.iter().zip(&sums[1..]) {
            let first = column.first.of(cells, taken);
            let (count, power) = &column.count;
            let rest = *sum * first - Wide::from(*power) * count.of(cells);
            total += match &column.second {
                None => rest,
                Some((second, count)) => rest * second.of(cells, taken) - first * count.of(cells),
            };
            step += *sum;
        }
        let [on_first, on_step, on_last] = self.powers;
        total
            + sums[0] * first_row * on_first
            + (next - step) * transition * on_step
            + (Wide::from(self.terminal) - step) * last_row * on_last
    }
}

/// Everything that a value of the quotient depends on.
struct Quotient<'a> {
    instance: &'a Instance<'a>,
    domain: Domain<Scheme>,
    main: Columns<'a>,
    bused: Option<Columns<'a>>,
    fixed: Option<Columns<'a>>,
    selectors: LagrangeSelectors<Vec<F>>,
    folded: Option<Folded>,
    base_powers: Vec<Vec<F>>,
}

/// Space that a thread uses again for each row.
#[derive(Default)]
struct Scratch {
    main: Vec<Cells>,
    fixed: Vec<Cells>,
    cells: Vec<Cells>,
    bused: Vec<Cells>,
    sums: Vec<Wide>,
    taken: Vec<Cells>,
    base: Vec<Cells>,
}

impl Quotient<'_> {
    /// Returns the values on the whole domain.
    fn values(&self) -> Vec<Extension> {
        let _span = tracing::info_span!("quotient").entered();
        let mut values = vec![Extension::ZERO; self.domain.size()];
        values.par_chunks_mut(ROWS).enumerate().for_each(|(part, values)| {
            let mut scratch = Scratch::default();
            for (pack, values) in values.chunks_mut(Cells::WIDTH).enumerate() {
                let row = part * ROWS + pack * Cells::WIDTH;
                self.pack(row, &mut scratch).to_ext_slice(values);
            }
        });
        values
    }

    /// Returns the values on some rows.
    fn pack(&self, row: usize, scratch: &mut Scratch) -> Wide {
        let step = self.domain.size() / self.instance.domain.size();
        let next = self.instance.table.relates_rows().then_some(row + step);
        two_rows(&self.main, row, next, &mut scratch.main);
        scratch.fixed.clear();
        if let Some(fixed) = &self.fixed {
            two_rows(fixed, row, None, &mut scratch.fixed);
        }
        let at = |values: &[F]| *Cells::from_slice(&values[row..row + Cells::WIDTH]);
        let selectors = [
            at(&self.selectors.is_first_row),
            at(&self.selectors.is_transition),
            at(&self.selectors.is_last_row),
        ];
        let mut total = self.constraints(selectors, scratch);
        if let (Some(folded), Some(bused)) = (&self.folded, &self.bused) {
            let Scratch { main, fixed, cells, bused: parts, sums, taken, .. } = scratch;
            cells.clear();
            cells.extend_from_slice(&main[..main.len() / 2]);
            cells.extend_from_slice(&fixed[..fixed.len() / 2]);
            parts.clear();
            parts.extend(bused.vertically_packed_row::<Cells>(row));
            sums.clear();
            sums.extend(parts.chunks_exact(DEGREE).map(wide));
            parts.clear();
            let next = row + step;
            parts.extend(bused.vertically_packed_row::<Cells>(next).take(DEGREE));
            total += folded.of(cells, (sums, wide(parts)), selectors, taken);
        }
        total * at(&self.selectors.inv_vanishing)
    }

    /// Returns the folded constraints of the table itself.
    fn constraints(&self, [first, transition, last]: [Cells; 3], scratch: &mut Scratch) -> Wide {
        let view = |cells| {
            let cells: &[Cells] = cells;
            RowMajorMatrixView::new(cells, cells.len() / 2)
        };
        let fixed = view(&scratch.fixed);
        let mut base = core::mem::take(&mut scratch.base);
        base.clear();
        let mut folder = ProverConstraintFolderWithLookups::<Scheme> {
            inner: ProverConstraintFolder {
                main: view(&scratch.main),
                preprocessed: fixed,
                preprocessed_window: RowWindow::from_view(&fixed),
                periodic_values: &[],
                public_values: self.instance.publics,
                is_first_row: first,
                is_last_row: last,
                is_transition: transition,
                base_alpha_powers: &self.base_powers,
                ext_alpha_powers: &[],
                base_constraints: base,
                ext_constraints: Vec::new(),
                constraint_index: 0,
                constraint_count: self.base_powers[0].len(),
            },
            permutation: RowMajorMatrixView::new(&[], 0),
            permutation_challenges: &[],
            permutation_values: &[],
        };
        self.instance.table.eval(&mut folder);
        let total = folder.inner.finalize_constraints();
        scratch.base = folder.inner.base_constraints;
        total
    }
}

/// Takes some rows and the rows after them, or zeros where those are not looked at.
fn two_rows<'a>(columns: &Columns<'a>, row: usize, next: Option<usize>, to: &mut Vec<Cells>) {
    to.clear();
    to.extend(columns.vertically_packed_row::<Cells>(row));
    match next {
        Some(next) => to.extend(columns.vertically_packed_row::<Cells>(next)),
        None => to.resize(2 * to.len(), Cells::ZERO),
    }
}

fn wide(parts: &[Cells]) -> Wide {
    Wide::from_basis_coefficients_fn(|basis| parts[basis])
}
