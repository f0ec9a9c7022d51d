//! Every chip on its own: honest rows at the boundaries of every operand, every cell of them
//! changed, and rows of provers who lie on purpose.

mod dishonest;
mod judge;
pub(crate) mod programs;

use std::collections::BTreeSet;

use kapsule_lower::isa::{Chip, Op};
use kapsule_proof::machine::{Checked, Kind, Table, check_segment, rows_of};

use judge::{Judge, Verdict};
use programs::{Built, traps, values};

#[test]
fn every_opcode_holds_at_the_boundaries_of_its_operands() {
    let built = values();
    assert_eq!(check_segment(&built.tables, &built.publics), Ok(()));
    let executed: BTreeSet<Op> = built.program.code.iter().map(|instr| instr.op).collect();
    let missing: Vec<&Op> = Op::ALL.iter().filter(|op| !executed.contains(op)).collect();
    // Words and transcripts are another suite's matter.
    assert_eq!(missing, [&Op::In, &Op::Out]);
}

#[test]
fn every_trap_and_stop_holds() {
    for built in traps() {
        assert_eq!(check_segment(&built.tables, &built.publics), Ok(()), "{}", built.name);
    }
}

#[test]
fn a_row_of_zeros_sends_nothing() {
    let built = values();
    for (table, trace) in execution_tables(&built) {
        let mut rows = rows_of(table, trace);
        rows.main.push(vec![Default::default(); rows.main[0].len()]);
        let last = rows.main.len() - 1;
        let row = Checked::evaluate(table, &rows, &[], last);
        assert_eq!(row.broken().count(), 0, "{}", table.name());
        assert_eq!(row.messages, [], "{}", table.name());
    }
}

/// Every cell of a sample of rows, changed alone: the row is refused, or needs something that did
/// not happen, or says the same to every other table.
#[test]
fn no_cell_can_be_changed_to_another_effect() {
    let mut survivors = BTreeSet::new();
    let mut tried = BTreeSet::new();
    for built in core::iter::once(values()).chain(traps()) {
        for (table, trace) in execution_tables(&built) {
            tried.insert(table.name());
            let names = table.column_names();
            let rows = rows_of(table, trace);
            for row in judge::sample(table, &rows) {
                let judge = Judge::new(table, &rows.main[row]);
                for (column, name) in names.iter().enumerate() {
                    for value in judge::replacements(&rows, row, column) {
                        if judge.with(&[(column, value)]) == Verdict::OtherEffect {
                            survivors.insert(format!("{}{name} = {value}", table.name()));
                        }
                    }
                }
            }
        }
    }
    assert_eq!(survivors, BTreeSet::new());
    // Every chip but `IO`.
    assert_eq!(tried.len(), Chip::ALL.len() - 1, "{tried:?}");
}

fn execution_tables(
    built: &Built,
) -> impl Iterator<Item = (&Table, &kapsule_proof::machine::Trace)> {
    let tables = built.tables.iter().map(|(table, trace)| (table, trace));
    tables.filter(|(table, _)| matches!(table.kind(), Kind::Execution { .. }))
}
