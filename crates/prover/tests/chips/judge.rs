//! What one row says to the other tables, and whether a changed row could say something else.

use std::collections::{BTreeMap, BTreeSet};

use kapsule_proof::field::{F, PRIME, element};
use kapsule_proof::machine::{Checked, Message, Rows, Table};
use p3_field::{PrimeCharacteristicRing, PrimeField32};

use crate::provided::fixed;

/// What became of a changed row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// These constraints do not hold.
    Broken(Vec<usize>),
    /// It asks for a tuple that no table provides.
    Lookup(String),
    /// It takes a state, a cell or an instruction that is not the one that is there.
    Input(String),
    /// It says nothing, like a row that is not there: the state before it is left untaken.
    Nothing,
    /// It says the same as the honest row.
    SameEffect,
    /// It holds, takes what is there, and says something else.
    OtherEffect,
}

/// An honest row.
pub(super) struct Judge<'a> {
    table: &'a Table,
    row: &'a [F],
    inputs: BTreeSet<(String, Vec<u32>)>,
    effect: BTreeMap<(String, Vec<u32>), i64>,
}

/// Buses on which a table only asks.
const LOOKUPS: [&str; 4] = ["RNG", "BYTE2", "AND", "CNT"];

impl<'a> Judge<'a> {
    pub(super) fn new(table: &'a Table, row: &'a [F]) -> Self {
        let honest = evaluate(table, row.to_vec());
        assert_eq!(honest.0, [0; 0], "{}", table.name());
        let inputs = honest.1.iter().filter(|message| is_input(message));
        let inputs = inputs.map(|message| (message.bus.clone(), message.tuple.clone())).collect();
        Self { table, row, inputs, effect: effect(&honest.1) }
    }

    /// Judges the row with these cells instead of its own.
    pub(super) fn with(&self, cells: &[(usize, F)]) -> Verdict {
        let mut row = self.row.to_vec();
        for (column, value) in cells {
            row[*column] = *value;
        }
        let (broken, messages) = evaluate(self.table, row);
        if !broken.is_empty() {
            return Verdict::Broken(broken);
        }
        if let Some(message) =
            messages.iter().find(|message| fixed(&message.bus, &message.tuple) == Some(false))
        {
            return Verdict::Lookup(format!("{} {:?}", message.bus, message.tuple));
        }
        let taken = |message: &&Message| {
            is_input(message)
                && !self.inputs.contains(&(message.bus.clone(), message.tuple.clone()))
        };
        if let Some(message) = messages.iter().find(taken) {
            return Verdict::Input(format!("{} {:?}", message.bus, message.tuple));
        }
        let effect = effect(&messages);
        if effect.is_empty() {
            Verdict::Nothing
        } else if effect == self.effect {
            Verdict::SameEffect
        } else {
            Verdict::OtherEffect
        }
    }
}

fn evaluate(table: &Table, row: Vec<F>) -> (Vec<usize>, Vec<Message>) {
    let rows = Rows { main: vec![row], fixed: vec![] };
    let checked = Checked::evaluate(table, &rows, &[], 0);
    (checked.broken().collect(), checked.messages)
}

/// States and cells that are received, and the instruction, which the program fixes.
fn is_input(message: &Message) -> bool {
    match message.bus.as_str() {
        "EXEC" | "MEM" => message.count < 0,
        "PROG" => true,
        _ => false,
    }
}

fn effect(messages: &[Message]) -> BTreeMap<(String, Vec<u32>), i64> {
    let mut effect = BTreeMap::new();
    for message in messages.iter().filter(|message| !LOOKUPS.contains(&message.bus.as_str())) {
        *effect.entry((message.bus.clone(), message.tuple.clone())).or_default() += message.count;
    }
    effect.retain(|_, count| *count != 0);
    effect
}

/// Returns rows of every kind that the table has: those whose cells below 2 differ first.
pub(super) fn sample(table: &Table, rows: &Rows) -> Vec<usize> {
    const ROWS_MAX: usize = 48;
    let mut kinds = BTreeMap::new();
    let flags: Vec<usize> = (0..rows.main[0].len())
        .filter(|column| rows.main.iter().all(|row| row[*column].as_canonical_u32() < 2))
        .collect();
    for (number, row) in rows.main.iter().enumerate() {
        let kind: Vec<u32> = flags.iter().map(|flag| row[*flag].as_canonical_u32()).collect();
        kinds.entry(kind).or_insert(number);
    }
    assert!(!kinds.is_empty(), "{}", table.name());
    let step = kinds.len().div_ceil(ROWS_MAX);
    kinds.into_values().step_by(step).collect()
}

/// Returns the values that a cell is replaced by.
pub(super) fn replacements(rows: &Rows, row: usize, column: usize) -> Vec<F> {
    let x = rows.main[row][column];
    let other = rows.main[(row + 7) % rows.main.len()][column];
    let random = element((x.as_canonical_u32() ^ 0x5a5a_5a5a) % PRIME);
    let added = [1, 1 << 8, 1 << 15, 1 << 16].map(|step| x + element(step));
    let taken = [1, 1 << 8, 1 << 16].map(|step| x - element(step));
    let fixed = [F::ZERO, F::ONE, -F::ONE, -x, random, other];
    let all = fixed.into_iter().chain(added).chain(taken);
    all.filter(|value| *value != x).collect()
}
