//! Every column of every table matters: a changed cell breaks a constraint or a bus.
//!
//! Counts of fixed tables are no part of a mutant, so that none dies by a stale count: a query
//! kills it only if no fixed row has the tuple.

use std::collections::BTreeSet;

use kapsule_lower::LProgram;
use kapsule_proof::ParamSet;
use kapsule_proof::field::F;
use kapsule_proof::machine::{Checked, Kind, Message, Rows, Table, rows_of};
use kapsule_prover::prove::Witness;
use p3_field::PrimeCharacteristicRing;

use crate::programs::{FIB, job, key, run};
use crate::provided::provided;
use crate::soundness::scene::is_lookup;

/// Columns that may have any value on some rows in use, where an honest prover writes 0, and why.
///
/// None of them is in a message there, so no value of theirs says anything.
/// - When a cell was accessed before, where the access does not happen: an immediate form has no
///   second read, and `CONST` reads nothing.
/// - Time and distances of a second event, or of a next row, that does not exist.
/// - The distance to the next cell, on the last row.
/// - The instruction that the fuel did not cover, where it covered all.
const FREE: &[&str] = &[
    "ABSORB.inner0",
    "ABSORB.inner1",
    "ABSORB.outer0",
    "ABSORB.outer1",
    "ABSORB.two.ts",
    "ALU.read_y.gap",
    "ALU.read_y.previous",
    "BOUNDARY.gap_high",
    "BOUNDARY.gap_low",
    "BRC.read_y.gap",
    "BRC.read_y.previous",
    "CONNECTOR.instr0",
    "CONNECTOR.instr1",
    "CONNECTOR.instr2",
    "CONNECTOR.instr3",
    "CONNECTOR.instr4",
    "CONNECTOR.instr5",
    "CONNECTOR.instr6",
    "MOVC.read.gap",
    "MOVC.read.previous",
];

/// Greatest number of rows of a table that are tried; chosen to keep the test within seconds.
const SAMPLE: usize = 60;

/// A message that a row sends or receives: bus, tuple and how often.
type Balanced = (String, Vec<u32>, i64);

/// What a row and, if the table relates rows, the one before say.
fn evaluate(
    (table, rows, publics): (&Table, &Rows, &[F]),
    row: usize,
) -> (bool, Vec<Balanced>, Vec<Message>) {
    let mut affected = vec![row];
    if table.relates_rows() {
        affected.push((row + rows.main.len() - 1) % rows.main.len());
    }
    let (mut broken, mut balanced, mut queries) = (false, Vec::new(), Vec::new());
    // What a table provides is no query, not even as often as -1.
    let provides = table.name() == "POSEIDON2";
    for row in affected {
        let checked = Checked::evaluate(table, rows, publics, row);
        broken |= checked.broken().next().is_some();
        for message in checked.messages {
            match is_lookup(&message.bus) && message.count == 1 && !provides {
                true => queries.push(message),
                false => balanced.push((message.bus, message.tuple, message.count)),
            }
        }
    }
    balanced.sort();
    (broken, balanced, queries)
}

/// Returns the columns of a table of which some change is not noticed.
fn survivors(
    program: &LProgram,
    witness: &Witness,
    table: &Table,
    rows: &Rows,
) -> BTreeSet<String> {
    let names = table.column_names();
    let mut rows = rows.clone();
    let height = rows.main.len();
    let used = rows.main.iter().filter(|row| row.iter().any(|cell| *cell != F::ZERO)).count();
    // Rows that are not in use send nothing, whatever their other cells hold.
    let stride = (used / SAMPLE).max(1);
    let sample = (0..used).filter(|row| row % stride == 0 || row + 1 == used);
    let mut found = BTreeSet::new();
    for row in sample {
        let honest = evaluate((table, &rows, &witness.publics), row);
        for (column, name) in names.iter().enumerate() {
            let x = rows.main[row][column];
            let neighbour = rows.main[(row + 1) % height][column];
            let values = [
                F::ZERO,
                F::ONE,
                x + F::ONE,
                x - F::ONE,
                -F::ONE,
                -x,
                x + F::from_u32(1 << 8),
                x + F::from_u32(1 << 16),
                F::from_u32(0x1234_5678),
                neighbour,
            ];
            for value in values.into_iter().filter(|value| *value != x) {
                rows.main[row][column] = value;
                let (broken, balanced, queries) = evaluate((table, &rows, &witness.publics), row);
                let known = queries.iter().all(|query| provided(program, &query.bus, &query.tuple));
                if !broken && balanced == honest.1 && known {
                    let name = format!("{}{name}", table.name());
                    assert_eq!(x, F::ZERO, "{name} of row {row} may be {value} instead of {x}");
                    found.insert(name);
                }
            }
            rows.main[row][column] = x;
        }
    }
    found
}

#[test]
fn every_column_of_every_table_matters() {
    let key = key(FIB, ParamSet::TEST);
    let mut found = BTreeSet::new();
    for (entry, fuel) in [("run", 10_000), ("run", 200)] {
        let witness = run(&key, &job(entry, fuel));
        for (table, trace) in &witness.tables {
            if table.kind() == Kind::Fixed {
                continue;
            }
            let rows = rows_of(table, trace);
            found.extend(survivors(&key.program, &witness, table, &rows));
        }
    }
    let free: BTreeSet<String> = FREE.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(found, free);
}
