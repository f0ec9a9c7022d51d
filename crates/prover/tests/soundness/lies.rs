//! Rows that lie, found by solving, for whatever is left out of a chip.

use std::collections::BTreeMap;

use kapsule_lower::isa::{Chip, Op};
use kapsule_proof::field::F;
use kapsule_proof::machine::Table;
use p3_field::PrimeCharacteristicRing;

use super::polynomial::Polynomials;
use super::random::Random;
use super::scene::Item;
use super::situation::{self, PAGES, Situation};
use super::solver::{Row, Search};
use super::survivors::LyingRow;
use crate::chips::programs::tables;

/// How much is tried for each thing that is left out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    pub(crate) seed: u64,
    pub(crate) situations: usize,
    /// Searches of each situation.
    pub(crate) searches: usize,
}

/// Steps of one search; chosen, most of those that succeed take fewer than the cells of a row.
const PATIENCE: usize = 240;

/// A chip as polynomials, and its opcodes.
pub(crate) struct Subject {
    polynomials: Polynomials,
    ops: Vec<Op>,
}

impl Subject {
    /// Returns every chip by the name of its table.
    pub(crate) fn all(tables: &[Table]) -> BTreeMap<&'static str, Self> {
        let named = |chip: Chip, name: &str| format!("{chip:?}").eq_ignore_ascii_case(name);
        let ops = |name: &str| -> Vec<Op> {
            let takes = |op: &Op| {
                let narrow = op.aligned_chip().is_some_and(|chip| named(chip, name));
                named(op.chip(), name) || narrow
            };
            Op::ALL.iter().copied().filter(takes).collect()
        };
        let chips = tables.iter().map(|table| (table, ops(table.name())));
        let chips = chips.filter(|(_, ops)| !ops.is_empty());
        let subject =
            |(table, ops): (&Table, Vec<Op>)| Self { polynomials: Polynomials::of(table), ops };
        chips.map(|(table, ops)| (table.name(), subject((table, ops)))).collect()
    }

    /// Searches for a row that lies and that only `left_out`, or nothing, refuses.
    pub(crate) fn lie(&self, left_out: Option<Item>, effort: Effort) -> Option<LyingRow> {
        let mut random = Random::new(effort.seed);
        for _ in 0..effort.situations {
            let op = self.ops[random.index(self.ops.len())];
            let text = situation::random(op, &mut random);
            let Some(situation) = Situation::new(text, PAGES) else { continue };
            let honest = self.honest(&situation);
            let search = Search::new(&self.polynomials, &situation, honest.as_deref(), left_out);
            let mut searches = (0..effort.searches).map(|_| search.lie(PATIENCE, &mut random));
            if let Some(row) = searches.find_map(|row| row) {
                return Some(LyingRow { pages: PAGES, cells: cells(&row), text: situation.text });
            }
        }
        None
    }

    /// Returns the row that an honest prover makes, if this chip is the one that takes the step.
    fn honest(&self, situation: &Situation) -> Option<Row> {
        let name = self.polynomials.table.name();
        let takes = format!("{:?}", situation.chip).eq_ignore_ascii_case(name);
        if !takes || name == "IO" || !situation::is_usual(&situation.text) {
            return None;
        }
        let tables = tables(&situation.program);
        let (_, trace) = tables.iter().find(|(table, _)| table.name() == name)?;
        let pc = F::from_u32(situation.state[0]);
        let rows = &mut trace.values.chunks(trace.width);
        rows.find(|row| row[0] == pc).map(<[F]>::to_vec)
    }

    /// Returns what refuses a row, and whether it does something else than the instruction.
    pub(crate) fn judge(&self, row: &LyingRow) -> (Vec<Item>, bool) {
        let situation = Situation::new(row.text.clone(), row.pages);
        let situation = situation.expect("the situation is reached");
        let mut cells = vec![F::ZERO; self.polynomials.width];
        for (cell, value) in &row.cells {
            cells[*cell] = *value;
        }
        let (refused, differs) = situation.judge(&self.polynomials.table, &cells);
        (refused.into_iter().collect(), differs)
    }
}

fn cells(row: &[F]) -> Vec<(usize, F)> {
    row.iter().copied().enumerate().filter(|(_, value)| *value != F::ZERO).collect()
}
