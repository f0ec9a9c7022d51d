//! Every chip on its own: honest rows at the boundaries of every operand, every cell of them
//! changed, and rows of provers who lie on purpose.

mod dishonest;
mod judge;
pub(crate) mod programs;

use std::collections::BTreeSet;

use kapsule_lower::isa::{Chip, Op};
use kapsule_proof::field::F;
use kapsule_proof::machine::{Checked, Columns, Kind, Table, check_segment, rows_of};
use kapsule_proof::publics::COUNT;
use kapsule_proof::tables::boundary;

use judge::{Judge, Verdict};
use programs::{Built, in_general_tables, traps, values};

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

/// Two tables take aligned loads and stores: what they make of them is the same.
#[test]
fn aligned_accesses_are_the_same_in_the_general_tables() {
    let aligned = values();
    let general = in_general_tables(&aligned);
    assert_eq!(check_segment(&general.tables, &general.publics), Ok(()));
    let names = |built: &Built| -> BTreeSet<&str> {
        built.tables.iter().map(|(table, _)| table.name()).collect()
    };
    let gone: BTreeSet<&str> = names(&aligned).difference(&names(&general)).copied().collect();
    assert_eq!(gone, BTreeSet::from(["LDW", "STW"]));
    // The time at the end is another one, and nothing else.
    let others: Vec<usize> =
        (0..COUNT).filter(|index| aligned.publics[*index] != general.publics[*index]).collect();
    assert_eq!(others, [TIME]);
    let cells = |built: &Built| -> Vec<(F, [F; 4])> {
        let found = built.tables.iter().find(|(table, _)| table.name() == "BOUNDARY");
        let (_, trace) = found.expect("every run has it");
        let rows = trace.values.chunks(trace.width);
        rows.map(|cells| boundary::Row::read(&mut cells.iter()))
            .map(|row: boundary::Row<F>| (row.addr, row.last))
            .collect()
    };
    assert!(cells(&aligned) == cells(&general));
}

/// Place of the time at the end among the public values.
const TIME: usize = 8;
