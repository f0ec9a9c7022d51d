//! The tables without cryptography: every constraint on every row, every bus as a multiset.
//!
//! Tests work in this mode, because a failure names the table, the row and the constraint.

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use p3_air::RowWindow;
use p3_field::{Field, PrimeCharacteristicRing, PrimeField32};
use p3_matrix::Matrix;

use super::row::{RowBuilder, Sink};
use super::table::{Kind, Table, Trace};
use crate::field::{F, PRIME};

/// What does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A constraint.
    Constraint {
        /// Name of the table; the label is this and the number.
        table: &'static str,
        /// Number of the constraint.
        number: usize,
        /// Row.
        row: usize,
    },
    /// A bus: a tuple that is not sent and received equally often.
    Bus {
        /// Name of the bus.
        bus: String,
        /// The tuple.
        tuple: Vec<u32>,
        /// How much more often it was sent or queried than received or provided.
        surplus: i64,
    },
}

/// A tuple on a bus, with its signed count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Number of the interaction; its label is the table's name, `.I` and this.
    pub number: usize,
    /// Name of the bus.
    pub bus: String,
    /// The tuple.
    pub tuple: Vec<u32>,
    /// How often it is sent, less how often it is received.
    pub count: i64,
}

/// What a row says: the values of its constraints and its messages.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// Values of the constraints, all of them zero on a row that satisfies them.
    pub constraints: Vec<F>,
    /// Messages whose count is not zero.
    pub messages: Vec<Message>,
}

impl Checked {
    /// Evaluates `row` of a table.
    #[must_use]
    pub fn evaluate(table: &Table, rows: &Rows, publics: &[F], row: usize) -> Self {
        let height = rows.main.len();
        let next = if row + 1 == height { 0 } else { row + 1 };
        let fixed = |row: usize| rows.fixed.get(row).map_or(&[][..], Vec::as_slice);
        let last = row + 1 == height;
        let selectors = [row == 0, last, !last].map(F::from_bool);
        let main = RowWindow::from_two_rows(&rows.main[row], &rows.main[next]);
        let fixed = RowWindow::from_two_rows(fixed(row), fixed(next));
        RowBuilder::run(table, [main, fixed], publics, selectors, Self::default())
    }

    /// Returns the numbers of the constraints that do not hold.
    pub fn broken(&self) -> impl Iterator<Item = usize> + '_ {
        (0..).zip(&self.constraints).filter(|(_, value)| !value.is_zero()).map(|(number, _)| number)
    }
}

impl Sink for Checked {
    fn constraint(&mut self, value: F) {
        self.constraints.push(value);
    }

    fn message(&mut self, number: usize, bus: &str, tuple: impl Iterator<Item = F>, count: F) {
        if !count.is_zero() {
            let tuple = tuple.map(|field| field.as_canonical_u32()).collect();
            self.messages.push(Message { number, bus: bus.into(), tuple, count: centred(count) });
        }
    }
}

/// Returns the number between -p/2 and p/2 that the element stands for.
fn centred(element: F) -> i64 {
    let value = i64::from(element.as_canonical_u32());
    let prime = i64::from(PRIME);
    if value > prime / 2 { value - prime } else { value }
}

/// The rows of a table, main and fixed.
#[derive(Clone, Debug)]
pub struct Rows {
    /// Main cells.
    pub main: Vec<Vec<F>>,
    /// Fixed cells; none if the table has none.
    pub fixed: Vec<Vec<F>>,
}

/// Returns the rows of a table.
#[must_use]
pub fn rows_of(table: &Table, trace: &Trace) -> Rows {
    let split = |trace: &Trace| trace.rows().map(Iterator::collect).collect();
    let main = split(trace);
    Rows { main, fixed: table.fixed().as_ref().map_or_else(Vec::new, split) }
}

/// Checks the tables of one segment: every constraint on every row, and every bus.
///
/// # Errors
/// Everything that does not hold, up to 64 entries.
pub fn check_segment(tables: &[(Table, Trace)], publics: &[F]) -> Result<(), Vec<Failure>> {
    let mut found = Found::default();
    for (table, trace) in tables {
        found.table = table.name();
        let fixed = table.fixed();
        let fixed_row = |row: usize| fixed.as_ref().map_or(&[][..], |cells| cells_of(cells, row));
        let height = trace.height();
        for row in 0..height {
            let cells = cells_of(trace, row);
            // Such a table has no constraint and provides a row as often as its cells say.
            let provides = table.kind() == Kind::Fixed && !matches!(table, Table::Image(_));
            if provides && cells.iter().all(F::is_zero) {
                continue;
            }
            (found.row, found.constraints) = (row, 0);
            let next = if row + 1 == height { 0 } else { row + 1 };
            let last = row + 1 == height;
            let selectors = [row == 0, last, !last].map(F::from_bool);
            let main = RowWindow::from_two_rows(cells, cells_of(trace, next));
            let fixed = RowWindow::from_two_rows(fixed_row(row), fixed_row(next));
            RowBuilder::run(table, [main, fixed], publics, selectors, &mut found);
        }
    }
    found.balance();
    let mut failures = found.failures;
    failures.truncate(64);
    if failures.is_empty() { Ok(()) } else { Err(failures) }
}

fn cells_of(trace: &Trace, row: usize) -> &[F] {
    &trace.values[row * trace.width..][..trace.width]
}

/// What the rows so far have said.
#[derive(Default)]
struct Found {
    table: &'static str,
    row: usize,
    /// Constraints of the row so far.
    constraints: usize,
    failures: Vec<Failure>,
    /// Names of buses, by the number that messages have.
    buses: Vec<String>,
    /// Bus, fields and count of each message.
    messages: Vec<(usize, Range<usize>, i64)>,
    fields: Vec<u32>,
}

impl Sink for &mut Found {
    fn constraint(&mut self, value: F) {
        if !value.is_zero() {
            let (table, number, row) = (self.table, self.constraints, self.row);
            self.failures.push(Failure::Constraint { table, number, row });
        }
        self.constraints += 1;
    }

    fn message(&mut self, _: usize, bus: &str, tuple: impl Iterator<Item = F>, count: F) {
        if count.is_zero() {
            return;
        }
        let number = self.buses.iter().position(|known| known == bus).unwrap_or_else(|| {
            self.buses.push(bus.into());
            self.buses.len() - 1
        });
        let from = self.fields.len();
        self.fields.extend(tuple.map(|field| field.as_canonical_u32()));
        self.messages.push((number, from..self.fields.len(), centred(count)));
    }
}

impl Found {
    /// Adds up the counts of each tuple, and takes those that are not 0 for failures.
    fn balance(&mut self) {
        let fields = &self.fields;
        let tuple = |message: &(usize, Range<usize>, i64)| (message.0, &fields[message.1.clone()]);
        self.messages.sort_unstable_by(|one, other| tuple(one).cmp(&tuple(other)));
        for same in self.messages.chunk_by(|one, other| tuple(one) == tuple(other)) {
            let surplus: i64 = same.iter().map(|(_, _, count)| count).sum();
            if surplus != 0 {
                let (bus, tuple) = tuple(&same[0]);
                let bus = self.buses[bus].clone();
                self.failures.push(Failure::Bus { bus, tuple: tuple.to_vec(), surplus });
            }
        }
    }
}
