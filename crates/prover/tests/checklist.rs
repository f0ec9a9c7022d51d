//! Mistakes that other machines made, and the tests that would find them here.
//!
//! The tests below are those that belong to no other suite.

use std::collections::BTreeSet;
use std::path::Path;

use kapsule_lower::isa::{Op, PC_CODE};
use kapsule_proof::chips::{self, io};
use kapsule_proof::field::{F, element};
use kapsule_proof::machine::{Checked, Columns, Failure, Kind, Table, check_segment, rows_of};
use kapsule_proof::publics::{COUNT, TIED, TIED_FIRST};
use kapsule_proof::{ParamSet, VerifyError, seed, verify};
use kapsule_prover::prove::{Job, Witness, prove, witness};
use p3_field::{PrimeCharacteristicRing, PrimeField32};
use p3_matrix::dense::RowMajorMatrix;

use crate::chips::programs::values;
use crate::programs::{FIB, expected, job, key, run};

/// A line of the checklist: what went wrong elsewhere, and tests by file and name.
type Line = (&'static str, &'static [(&'static str, &'static str)]);

const CHIPS: &str = "crates/prover/tests/chips.rs";
const COMMAND: &str = "crates/cli/tests/proofs.rs";
const DISHONEST: &str = "crates/prover/tests/chips/dishonest.rs";
const FORGED: &str = "crates/prover/tests/forged.rs";
const HERE: &str = "crates/prover/tests/checklist.rs";
const MALFORMED: &str = "crates/prover/tests/malformed.rs";
const MATRIX: &str = "crates/prover/tests/soundness.rs";
const REGISTRY: &str = "crates/proof/tests/registry.rs";
const TRANSCRIPT: &str = "crates/proof/tests/transcript.rs";

/// The tests of whole rows and runs, which many lines have in common.
const ROWS: (&str, &str) = (MATRIX, "no_row_that_lies_is_accepted");
const LEFT_OUT: (&str, &str) = (MATRIX, "whatever_is_left_out_lets_a_lie_through_or_is_listed");
const RUNS: (&str, &str) =
    (MATRIX, "whole_runs_that_cheat_are_refused_for_the_reason_that_is_named");

const CHECKLIST: [Line; 20] = [
    ("flags are boolean on every row", &[(CHIPS, "a_row_of_zeros_sends_nothing"), LEFT_OUT]),
    (
        "messages count once, and weights are declared",
        &[ROWS, (REGISTRY, "tuples_of_a_bus_have_one_width_and_weights_are_at_most_one")],
    ),
    (
        "sums of heights are limited by the verifier",
        &[(FORGED, "headers_are_checked_before_the_argument")],
    ),
    ("times do not wrap, repeat or run back", &[RUNS]),
    ("a cell has one boundary row", &[RUNS, LEFT_OUT]),
    (
        "every limb that is written has 16 bits",
        &[ROWS, (HERE, "a_word_that_enters_has_limbs_of_16_bits")],
    ),
    (
        "an inverse says what happens at zero",
        &[(DISHONEST, "results_cannot_be_invented"), (DISHONEST, "division_has_one_quotient")],
    ),
    (
        "a row has one opcode, which belongs to one table",
        &[
            (HERE, "two_opcodes_in_one_row_are_refused"),
            (CHIPS, "aligned_accesses_are_the_same_in_the_general_tables"),
        ],
    ),
    (
        "tables cannot be left out, and empty ones change nothing",
        &[(HERE, "a_table_is_left_out_in_vain"), (HERE, "a_table_without_rows_changes_nothing")],
    ),
    (
        "every public value is bound",
        &[(HERE, "every_public_value_is_bound"), (FORGED, "every_forged_statement_is_refused")],
    ),
    (
        "the challenges depend on everything",
        &[
            (HERE, "the_seed_depends_on_all_that_goes_in"),
            (MALFORMED, "no_changed_part_of_a_proof_is_accepted"),
            (MALFORMED, "witnesses_of_work_have_one_value"),
        ],
    ),
    ("fixed tables come from the verifier", &[(FORGED, "a_proof_of_another_program_is_refused")]),
    (
        "degrees fit the blowup",
        &[
            (REGISTRY, "every_constraint_has_degree_three_at_most"),
            ("crates/proof/tests/budget.rs", "every_set_reaches_the_level_it_names"),
        ],
    ),
    (
        "division by zero and of the least number, shifts by 0 and by the width",
        &[
            (CHIPS, "every_opcode_holds_at_the_boundaries_of_its_operands"),
            (CHIPS, "every_trap_and_stop_holds"),
            (DISHONEST, "a_shift_takes_its_amount_modulo_the_width"),
            (DISHONEST, "division_has_one_quotient"),
        ],
    ),
    (
        "signed order and upper halves",
        &[
            (CHIPS, "every_opcode_holds_at_the_boundaries_of_its_operands"),
            (HERE, "an_upper_half_is_not_read_as_part_of_an_i32"),
        ],
    ),
    (
        "nothing executes outside the program",
        &[
            (HERE, "no_instruction_has_a_reserved_address"),
            (DISHONEST, "control_cannot_be_diverted"),
        ],
    ),
    ("the end is the end", &[RUNS, (FORGED, "every_forged_statement_is_refused")]),
    (
        "the transcript is read in one way",
        &[
            (TRANSCRIPT, "preambles_and_events_separate"),
            (TRANSCRIPT, "an_odd_number_of_events_is_padded"),
        ],
    ),
    (
        "tuples of a bus have one width, and terminals belong to their tables",
        &[
            (REGISTRY, "tuples_of_a_bus_have_one_width_and_weights_are_at_most_one"),
            (MALFORMED, "terminals_that_are_shifted_between_tables_are_refused"),
        ],
    ),
    (
        "the verifier survives every input",
        &[
            (MALFORMED, "parts_that_are_cut_doubled_or_random_are_refused"),
            (MALFORMED, "elements_and_lengths_have_one_form"),
            (MALFORMED, "files_that_are_changed_anywhere_are_refused"),
            (MALFORMED, "files_that_ask_for_much_get_little"),
            (COMMAND, "every_bad_proof_is_refused_in_little_memory_and_time"),
        ],
    ),
];

#[test]
fn every_line_of_the_checklist_has_tests_that_exist() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (line, tests) in CHECKLIST {
        assert!(!tests.is_empty(), "{line}");
        for (file, test) in tests {
            let text = std::fs::read_to_string(top.join(file)).unwrap_or_default();
            let found = text.contains(&format!("#[test]\nfn {test}() {{"));
            assert!(found, "{line}: no test {test} in {file}");
        }
    }
}

/// Returns the checklist as a page.
fn page() -> String {
    let mut page = "# Mistakes of other machines, and the tests against them\n\n\
        `crates/prover/tests/checklist.rs` holds this table, in the order of the checklist of the \
        design, and fails if a test does not exist.\n\n\
        | mistake that must not be possible here | tests |\n|---|---|\n"
        .to_owned();
    for (line, tests) in CHECKLIST {
        let tests = tests.iter().map(|(file, test)| format!("`{test}` in `{file}`"));
        page += &format!("| {line} | {} |\n", tests.collect::<Vec<_>>().join("; "));
    }
    page
}

/// `KAPSULE_UPDATE=1` writes the page anew.
#[test]
fn the_checklist_is_written_down() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proof/soundness/checklist.md");
    if std::env::var_os("KAPSULE_UPDATE").is_some() {
        std::fs::write(&path, page()).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), page());
}

/// A run with four words that enter.
fn salted() -> Witness {
    let job = Job { words: &[1, 2, 3, 4], salt_present: true, ..job("run", 10_000) };
    run(&key(FIB, ParamSet::TEST), &job)
}

/// Returns what refuses the first row of a table that `pick` accepts, once it is changed.
fn changed<R: Columns<F>>(
    tables: &[(Table, kapsule_proof::machine::Trace)],
    name: &str,
    pick: impl Fn(&R) -> bool,
    change: impl Fn(&mut R),
) -> (Vec<usize>, Vec<(String, Vec<u32>)>) {
    let (table, trace) = tables.iter().find(|(table, _)| table.name() == name).expect("a table");
    let mut rows = rows_of(table, trace);
    let read = |cells: &Vec<F>| R::read(&mut cells.iter());
    let number = rows.main.iter().position(|cells| pick(&read(cells))).expect("such a row");
    let mut row = read(&rows.main[number]);
    change(&mut row);
    rows.main[number].clear();
    row.write(&mut rows.main[number]);
    let checked = Checked::evaluate(table, &rows, &[], number);
    let broken = checked.broken().collect();
    (broken, checked.messages.into_iter().map(|sent| (sent.bus, sent.tuple)).collect())
}

#[test]
fn a_word_that_enters_has_limbs_of_16_bits() {
    let witness = salted();
    let enters = |row: &io::Row<F>| row.selectors[0] == F::ONE;
    let (broken, messages) =
        changed(&witness.tables, "IO", enters, |row| row.word[2] += element(1 << 16));
    assert_eq!(broken, [0; 0]);
    // The word is written as it is, so only the range check stands in the way.
    assert!(messages.contains(&("RNG".into(), vec![1 << 16, 16])));
}

#[test]
fn an_upper_half_is_not_read_as_part_of_an_i32() {
    // Chips that take an i32 alone read it with an upper half of zero, whatever their columns say.
    let built = values();
    let (broken, messages) =
        changed(&built.tables, "CHG", |row: &chips::chg::Row<F>| row.stopped == F::ZERO, |_| {});
    assert_eq!(broken, [0; 0]);
    let reads = messages.iter().filter(|(bus, tuple)| bus == "MEM" && tuple[3..5] == [0, 0]);
    assert!(reads.count() >= 2, "{messages:?}");
    let narrow = ["SELECT", "LDW", "STW", "LDX", "STX", "BRTAB", "CALLI", "CHG"];
    for (table, trace) in built.tables.iter().filter(|(table, _)| narrow.contains(&table.name())) {
        let mut rows = rows_of(table, trace);
        // Every cell of the row is random, and yet the first read has an upper half of zero.
        let width = rows.main[0].len();
        rows.main[0] = (0..width).map(|cell| element(1_000_003 + 7 * cell as u32)).collect();
        let said = Checked::evaluate(table, &rows, &[], 0);
        let first = said.messages.iter().find(|sent| sent.bus == "MEM").expect("a read");
        assert_eq!(first.tuple[3..5], [0, 0], "{}", table.name());
    }
}

#[test]
fn two_opcodes_in_one_row_are_refused() {
    let built = values();
    let mut tried = 0;
    for (table, trace) in &built.tables {
        if !matches!(table.kind(), Kind::Execution { .. }) {
            continue;
        }
        let flags: Vec<usize> = (0..)
            .zip(table.column_names())
            .filter(|(_, name)| {
                [".selectors", ".compare.relations", ".outcomes"]
                    .iter()
                    .any(|start| name.starts_with(start))
            })
            .map(|(column, _)| column)
            .collect();
        assert!(!flags.is_empty(), "{}", table.name());
        let mut rows = rows_of(table, trace);
        let set = flags.iter().copied().find(|flag| rows.main[0][*flag] == F::ONE).expect("one");
        for other in flags.into_iter().filter(|flag| *flag != set) {
            rows.main[0][other] = F::ONE;
            let broken = Checked::evaluate(table, &rows, &[], 0).broken().count();
            assert!(broken > 0, "{} {other}", table.name());
            rows.main[0][other] = F::ZERO;
            tried += 1;
        }
    }
    assert!(tried > 60, "{tried}");
}

#[test]
fn a_table_is_left_out_in_vain() {
    let key = key(FIB, ParamSet::TEST);
    let honest = witness(&key, &job("run", 10_000)).expect("a run");
    for name in ["ALU", "IO", "ABSORB", "POSEIDON2"] {
        let mut short = honest.clone();
        short.tables.retain(|(table, _)| table.name() != name);
        assert_eq!(short.tables.len() + 1, honest.tables.len(), "{name}");
        let file = prove(&key, &short).expect("a proof of something");
        assert_eq!(verify(&key, &file, &expected()), Err(VerifyError::Argument), "{name}");
    }
}

#[test]
fn a_table_without_rows_changes_nothing() {
    let key = key(FIB, ParamSet::TEST);
    let mut witness = witness(&key, &job("run", 10_000)).expect("a run");
    let div = key.tables().iter().find(|table| table.name() == "DIV").expect("a table").clone();
    assert!(witness.tables.iter().all(|(table, _)| table.name() != "DIV"));
    let width = div.column_names().len();
    witness.tables.push((div, RowMajorMatrix::new(vec![F::ZERO; 64 * width], width)));
    let file = prove(&key, &witness).expect("a proof");
    assert_eq!(verify(&key, &file, &expected()), Ok(()));
}

#[test]
fn every_public_value_is_bound() {
    let witness = salted();
    assert_eq!(witness.publics.len(), COUNT);
    for index in 0..COUNT {
        let mut publics = witness.publics.clone();
        publics[index] += F::ONE;
        let bound = (TIED_FIRST..TIED_FIRST + TIED).contains(&index);
        let refused = check_segment(&witness.tables, &publics);
        let by_connector = |failure: &Failure| {
            matches!(failure, Failure::Constraint { table: "CONNECTOR", row: 0, .. })
        };
        assert_eq!(
            refused.is_err_and(|failures| failures.iter().any(by_connector)),
            bound,
            "{index}"
        );
    }
    // The verifier computes the others: position, finality, roots and tag.
    assert_eq!(witness.publics[..TIED_FIRST], [F::ZERO, F::ONE]);
    assert!(witness.publics[TIED_FIRST + TIED..][..16].iter().all(|value| *value == F::ZERO));
}

#[test]
fn the_seed_depends_on_all_that_goes_in() {
    let base = seed(&[1; 32], &[2; 32], 3, &[6, 7], &ParamSet::FAST);
    let others = [
        seed(&[9; 32], &[2; 32], 3, &[6, 7], &ParamSet::FAST),
        seed(&[1; 32], &[9; 32], 3, &[6, 7], &ParamSet::FAST),
        seed(&[1; 32], &[2; 32], 9, &[6, 7], &ParamSet::FAST),
        seed(&[1; 32], &[2; 32], 3, &[6, 8], &ParamSet::FAST),
        seed(&[1; 32], &[2; 32], 3, &[6, 7, 0], &ParamSet::FAST),
        seed(&[1; 32], &[2; 32], 3, &[6, 7], &ParamSet::SMALL),
    ];
    let all: BTreeSet<[u8; 32]> = others.into_iter().chain([base]).collect();
    assert_eq!(all.len(), 7);
}

#[test]
fn no_instruction_has_a_reserved_address() {
    let key = key(FIB, ParamSet::TEST);
    let Some(program) = key.tables()[0].fixed() else { panic!("the program is fixed") };
    let code = key.program.code.len();
    for (number, row) in program.values.chunks(program.width).enumerate() {
        let [pc, op] = [0, 1].map(|column| row[column].as_canonical_u32());
        if number < code {
            assert!(pc >= PC_CODE, "{pc}");
        } else {
            assert_eq!(row.iter().map(|cell| cell.as_canonical_u32()).sum::<u32>(), 0);
        }
        assert_eq!(op == 0, number >= code);
    }
    // No chip asks for opcode 0, so no row answers outside the program.
    assert!(Op::ALL.iter().all(|op| *op as u32 > 0));
}
