//! Rows of provers who lie: each changes what an honest row says to what would serve a cheat, with
//! every dependent column, and is refused for the reason that the chip was given for it.

use kapsule_lower::isa::Op;
use kapsule_proof::chips::span::Span;
use kapsule_proof::chips::{
    bit, brc, brtab, call, calli, chg, cnt, div, ext, jump, ldw, ldx, memg, mul, select, setc,
    shl32, shl64, shr32, shr64, stw, stx,
};
use kapsule_proof::field::{F, element};
use kapsule_proof::machine::{Columns, State, Table, Trace, rows_of};
use p3_field::{Field, PrimeCharacteristicRing, PrimeField32};

use super::judge::{Judge, Verdict};
use super::programs::{Built, traps, values};

/// Finds the first row of a table for which `pick` holds, changes it, and judges it.
fn lie<R: Columns<F>>(
    runs: &[Built],
    table: &str,
    pick: impl Fn(&R) -> bool,
    change: impl Fn(&mut R),
) -> Verdict {
    for built in runs {
        for (found, trace) in built.tables.iter().filter(|(found, _)| found.name() == table) {
            if let Some(verdict) = first(found, trace, &pick, &change) {
                return verdict;
            }
        }
    }
    panic!("no row of {table} is like that");
}

fn first<R: Columns<F>>(
    table: &Table,
    trace: &Trace,
    pick: &impl Fn(&R) -> bool,
    change: &impl Fn(&mut R),
) -> Option<Verdict> {
    let rows = rows_of(table, trace);
    let read = |cells: &Vec<F>| R::read(&mut cells.iter());
    let honest = rows.main.iter().find(|cells| pick(&read(cells)))?;
    let mut row = read(honest);
    change(&mut row);
    let mut changed = Vec::new();
    row.write(&mut changed);
    let cells = changed.into_iter().enumerate();
    let cells: Vec<(usize, F)> = cells.filter(|(column, cell)| honest[*column] != *cell).collect();
    assert!(!cells.is_empty(), "nothing was changed");
    Some(Judge::new(table, honest).with(&cells))
}

fn selected<const N: usize>(selectors: &[F; N], ops: &[Op; N], op: Op) -> bool {
    let position = ops.iter().position(|other| *other == op).expect("an opcode of the chip");
    selectors[position] == F::ONE
}

fn runs() -> Vec<Built> {
    let mut runs = vec![values()];
    runs.extend(traps());
    runs
}

#[track_caller]
fn refused_by(verdict: &Verdict, reason: &str) {
    let found = match verdict {
        Verdict::Broken(numbers) => format!("constraints {numbers:?}"),
        Verdict::Lookup(tuple) => format!("lookup {tuple}"),
        other => format!("{other:?}"),
    };
    assert!(found.starts_with(reason), "{found}");
}

const SIXTEEN: u32 = 1 << 16;

#[test]
fn addresses_cannot_be_moved() {
    let runs = runs();
    // The carry of the address, kept or dropped against the truth.
    let verdict = lie(
        &runs,
        "LDW",
        |row: &ldw::Row<F>| row.address.carry == F::ONE,
        |row| {
            row.address.carry = F::ZERO;
        },
    );
    refused_by(&verdict, "lookup RNG [8192, 13]");
    // The upper half where the lower is asked for.
    let verdict = lie(
        &runs,
        "LDW",
        |row: &ldw::Row<F>| row.selectors[0] == F::ONE,
        |row| {
            row.address.half = F::ONE - row.address.half;
            for limb in 0..2 {
                let moved = (row.cell[limb + 2] - row.cell[limb]) * row.address.half;
                row.z[limb] = row.cell[limb] + moved;
            }
        },
    );
    refused_by(&verdict, "lookup RNG");
    // Another byte within the cell.
    let verdict = lie(
        &runs,
        "LDX",
        |row: &ldx::Row<F>| row.span.byte[0] == F::ONE,
        |row| {
            row.span.byte.swap(0, 1);
        },
    );
    refused_by(&verdict, "constraints");
}

/// Makes an address outside memory one inside, and returns the next program counter.
fn claimed_inside(span: &mut Span<F>, state: &State<F>) -> F {
    (span.outside, span.two) = (F::ZERO, F::ONE);
    span.distance[0] = -F::ONE - span.distance[0];
    state.pc + F::ONE
}

#[test]
fn bounds_of_memory_cannot_be_denied() {
    let runs = runs();
    // A valid load claimed to be outside: nothing is read or written, and the run traps.
    let inside = |row: &ldx::Row<F>| row.span.outside == F::ZERO && row.span.two == F::ZERO;
    let verdict = lie(&runs, "LDX", inside, |row| {
        let last = row.state.pages - F::ONE - row.span.distance[0];
        row.span.outside = F::ONE;
        row.span.distance = [last - row.state.pages, F::ZERO];
        row.next = element(4);
    });
    refused_by(&verdict, "lookup RNG");
    // An access beyond the end claimed to be inside.
    let load = lie(
        &runs,
        "LDX",
        |row: &ldx::Row<F>| row.span.outside == F::ONE,
        |row| row.next = claimed_inside(&mut row.span, &row.state),
    );
    let store = lie(
        &runs,
        "STX",
        |row: &stx::Row<F>| row.span.outside == F::ONE,
        |row| row.next = claimed_inside(&mut row.span, &row.state),
    );
    for verdict in [load, store] {
        refused_by(&verdict, "lookup RNG");
    }
    // The second cell of a store left as it was.
    let verdict = lie(
        &runs,
        "STX",
        |row: &stx::Row<F>| row.span.two == F::ONE,
        |row| {
            row.span.two = F::ZERO;
            row.window[8..].fill(F::ZERO);
        },
    );
    refused_by(&verdict, "constraints");
}

#[test]
fn results_cannot_be_invented() {
    let runs = runs();
    // A conjunction with a bit that neither operand has.
    let and = |row: &bit::Row<F>| selected(&row.selectors, &bit::OPS, Op::And);
    let verdict = lie(&runs, "BIT", and, |row| {
        row.both[0] += F::ONE;
        row.z[0] += F::ONE;
    });
    refused_by(&verdict, "lookup AND");
    // A product with a wrong carry, limb and carry changed together.
    let wide = |row: &mul::Row<F>| row.selectors[2] == F::ONE && row.carry[3] != F::ZERO;
    let verdict = lie(&runs, "MUL", wide, |row| {
        row.carry[3] -= F::ONE;
        row.z[3] += element(SIXTEEN);
    });
    refused_by(&verdict, "lookup RNG");
    // The other value of a choice.
    let chosen = |row: &select::Row<F>| row.chosen == F::ONE && row.x[0] != row.y[0];
    let verdict = lie(&runs, "SELECT", chosen, |row| {
        (row.chosen, row.inverse, row.z) = (F::ZERO, F::ZERO, row.y);
    });
    refused_by(&verdict, "constraints [2]");
    // A comparison the other way round, with the mark where it was.
    let less = |row: &setc::Row<F>| row.compare.relations[2] == F::ONE && row.holds == F::ONE;
    let verdict = lie(&runs, "SETC", less, |row| {
        (row.compare.less, row.holds) = (F::ZERO, F::ZERO);
        row.compare.distance = -row.compare.distance;
    });
    refused_by(&verdict, "lookup RNG");
    // The same with the mark on a lower limb.
    let high = |row: &setc::Row<F>| row.compare.marks[3] == F::ONE && row.x[0] != row.y[0];
    let verdict = lie(&runs, "SETC", high, |row| {
        row.compare.marks.swap(0, 3);
        row.compare.difference = row.y[0] - row.x[0];
        row.compare.distance = row.compare.difference;
        row.compare.less = F::ONE;
    });
    refused_by(&verdict, "constraints");
}

#[test]
fn a_shift_takes_its_amount_modulo_the_width() {
    let runs = runs();
    let bits = |row: &shl32::Row<F>| row.amount == element(1) && row.y[0] == element(33);
    // The amount as it is, with 33 as its rest of 0.
    let verdict = lie(&runs, "SHL32", bits, |row| {
        row.amount = element(33);
        row.left[0] = element(33);
    });
    refused_by(&verdict, "constraints");
    // An amount that no bit says, and a rest to match.
    let verdict = lie(&runs, "SHL32", bits, |row| {
        row.amount = F::ZERO;
        row.left[0] = F::ZERO;
        row.excess = F::ZERO;
        row.low = row.x;
        row.high = [F::ZERO; 4];
        row.wrapped = F::ZERO;
        row.z = [0, 1].map(|limb| row.x[2 * limb] + row.x[2 * limb + 1] * element(256));
    });
    let rest = element(33) * element(32).inverse();
    refused_by(&verdict, &format!("lookup RNG [{}, 11]", rest.as_canonical_u32()));
}

#[test]
fn control_cannot_be_diverted() {
    let runs = runs();
    // Beyond the greatest index.
    let above = |row: &brtab::Row<F>| row.below == F::ZERO && row.proof.distance[0] != F::ZERO;
    let verdict = lie(&runs, "BRTAB", above, |row| {
        row.below = F::ONE;
        row.next = row.a + row.index[0] + row.index[1] * element(SIXTEEN);
        row.proof.distance[0] = row.c[0] - row.index[0] - F::ONE;
        row.proof.distance[1] = row.c[1] - row.index[1];
        row.proof.borrow = F::ZERO;
    });
    refused_by(&verdict, "lookup RNG");
    // A call of another type, of an empty entry, and a mismatch where there is none.
    let other = |row: &calli::Row<F>| row.outcomes[3] == F::ONE;
    let verdict = lie(&runs, "CALLI", other, |row| {
        row.outcomes = [F::ONE, F::ZERO, F::ZERO, F::ZERO];
        row.next = row.entry[0] + row.entry[1] * element(SIXTEEN);
    });
    refused_by(&verdict, "constraints [10]");
    let null = |row: &calli::Row<F>| row.outcomes[2] == F::ONE;
    let verdict = lie(&runs, "CALLI", null, |row| {
        row.outcomes = [F::ONE, F::ZERO, F::ZERO, F::ZERO];
        row.next = F::ZERO;
    });
    refused_by(&verdict, "constraints [9, 10]");
    let call = |row: &calli::Row<F>| row.outcomes[0] == F::ONE;
    let verdict = lie(&runs, "CALLI", call, |row| {
        row.outcomes = [F::ZERO, F::ZERO, F::ZERO, F::ONE];
        (row.next, row.frame) = (element(7), row.state.fp);
    });
    refused_by(&verdict, "constraints [11]");
    let verdict = lie(&runs, "CALLI", call, |row| {
        row.outcomes = [F::ZERO, F::ONE, F::ZERO, F::ZERO];
        (row.next, row.frame) = (element(5), row.state.fp);
        row.proof.distance = [row.index[0] - row.size[0], F::ZERO];
    });
    refused_by(&verdict, "lookup RNG");
}

#[test]
fn memory_grows_up_to_its_maximum_and_no_further() {
    let runs = runs();
    let small = |row: &memg::Row<F>| row.refused == F::ONE && row.huge == F::ZERO;
    let verdict = lie(&runs, "MEMG", small, |row| {
        row.refused = F::ZERO;
        row.z = row.state.pages;
        row.pages = row.state.pages + row.more[0];
    });
    refused_by(&verdict, "lookup RNG");
    let huge = |row: &memg::Row<F>| row.huge == F::ONE;
    let verdict = lie(&runs, "MEMG", huge, |row| {
        (row.refused, row.huge) = (F::ZERO, F::ZERO);
        row.z = row.state.pages;
        row.pages = row.state.pages + row.more[0];
    });
    refused_by(&verdict, "constraints [7]");
    let granted = |row: &memg::Row<F>| {
        row.selectors[1] == F::ONE && row.refused == F::ZERO && row.more[0] == F::ONE
    };
    for huge in [F::ZERO, F::ONE] {
        let verdict = lie(&runs, "MEMG", granted, |row| {
            (row.refused, row.huge) = (F::ONE, huge);
            row.z = element(0xffff);
            row.pages = row.state.pages;
        });
        refused_by(&verdict, if huge == F::ONE { "constraints [8]" } else { "lookup RNG" });
    }
}

#[test]
fn a_charge_is_what_the_units_say() {
    let runs = runs();
    let some = |row: &chg::Row<F>| row.stopped == F::ZERO && row.quotient == element(4);
    // Eight units fewer, as a greater rest.
    let verdict = lie(&runs, "CHG", some, |row| row.quotient -= F::ONE);
    refused_by(&verdict, "lookup RNG");
    // The fuel unchanged.
    let verdict = lie(&runs, "CHG", some, |row| row.quotient = F::ZERO);
    refused_by(&verdict, "lookup RNG");
    // A stop that goes on.
    let stopped = |row: &chg::Row<F>| row.stopped == F::ONE;
    let verdict = lie(&runs, "CHG", stopped, |row| row.next = row.state.pc + F::ONE);
    refused_by(&verdict, "constraints");
    // A stop where fuel was left has to say so in public: the units reach `CONNECTOR`, whose
    // public values the verifier compares with the limit.
    let verdict = lie(&runs, "CHG", some, |row| {
        row.stopped = F::ONE;
        row.next = element(31);
    });
    assert_eq!(verdict, Verdict::OtherEffect);
}

#[test]
fn division_has_one_quotient() {
    let runs = runs();
    // One less in the quotient, and the divisor more in the remainder.
    let one = |row: &div::Row<F>| {
        row.selectors[1] == F::ONE
            && row.quotient[0] == F::ONE
            && row.y == [7, 0, 0, 0].map(element)
    };
    let verdict = lie(&runs, "DIV", one, |row| {
        row.quotient[0] = F::ZERO;
        row.remainder[0] += row.y[0];
        row.magnitude[0] = F::ZERO;
        row.z[0] = F::ZERO;
    });
    refused_by(&verdict, "lookup RNG");
    // The sign of the dividend dropped.
    let negative = |row: &div::Row<F>| row.sign_x.negated == F::ONE;
    let verdict = lie(&runs, "DIV", negative, |row| row.sign_x.negated = F::ZERO);
    refused_by(&verdict, "constraints");
    // A trap that is none, and none where there is one.
    let fine = |row: &div::Row<F>| row.selectors[0] == F::ONE && row.overflow == F::ZERO;
    let verdict = lie(&runs, "DIV", fine, |row| {
        (row.overflow, row.next) = (F::ONE, element(3));
    });
    refused_by(&verdict, "constraints");
    let verdict = lie(&runs, "DIV", fine, |row| (row.zero, row.next) = (F::ONE, element(2)));
    refused_by(&verdict, "constraints");
    let zero = |row: &div::Row<F>| row.zero == F::ONE;
    let verdict = lie(&runs, "DIV", zero, |row| {
        (row.zero, row.next) = (F::ZERO, row.binary.state.pc + F::ONE);
    });
    refused_by(&verdict, "constraints");
    let over = |row: &div::Row<F>| row.overflow == F::ONE;
    let verdict = lie(&runs, "DIV", over, |row| {
        (row.high, row.overflow, row.next) = (F::ZERO, F::ZERO, row.binary.state.pc + F::ONE);
    });
    refused_by(&verdict, "lookup RNG");
}

#[test]
fn a_store_writes_its_value_and_keeps_the_rest() {
    let runs = runs();
    let narrow = |row: &stw::Row<F>| row.selectors[0] == F::ONE && row.value[0] != row.old[0];
    // The value is not stored.
    let verdict = lie(&runs, "STW", narrow, |row| row.new = row.old);
    refused_by(&verdict, "constraints");
    // The other half is stored to as well.
    let lower = |row: &stw::Row<F>| narrow(row) && row.address.half == F::ZERO;
    let verdict = lie(&runs, "STW", lower, |row| row.new[2] = row.value[0]);
    refused_by(&verdict, "constraints [7]");
    // The upper half instead of the lower, with every limb to match.
    let verdict = lie(&runs, "STW", lower, |row| {
        row.address.half = F::ONE;
        row.new = [row.old[0], row.old[1], row.value[0], row.value[1]];
    });
    refused_by(&verdict, "lookup RNG");
}

#[test]
fn a_sign_is_the_highest_bit() {
    let runs = runs();
    let byte = |row: &ext::Row<F>| row.selectors[2] == F::ONE && row.sign == F::ONE;
    let ones = element(0xffff);
    // A negative byte extended with zeros.
    let verdict = lie(&runs, "EXT", byte, |row| {
        row.sign = F::ZERO;
        row.z = [row.bytes[0], F::ZERO, F::ZERO, F::ZERO];
    });
    refused_by(&verdict, "lookup RNG");
    // A positive half word extended with ones.
    let half = |row: &ext::Row<F>| row.selectors[3] == F::ONE && row.sign == F::ZERO;
    let verdict = lie(&runs, "EXT", half, |row| {
        row.sign = F::ONE;
        row.z = [row.x[0], ones, ones, ones];
    });
    refused_by(&verdict, "lookup RNG");
    // Another byte of the same limb.
    let verdict = lie(&runs, "EXT", byte, |row| {
        row.bytes[0] += F::ONE;
        row.bytes[1] -= element(256).inverse();
        row.top += element(256);
        row.z[0] += F::ONE;
    });
    refused_by(&verdict, "lookup");
    // An arithmetic shift that brings zeros in, and a logical one that brings ones in.
    let arithmetic = |row: &shr32::Row<F>| row.sign == F::ONE && row.places[1] == F::ONE;
    let verdict = lie(&runs, "SHR32", arithmetic, |row| {
        (row.sign, row.above) = (F::ZERO, F::ZERO);
        row.z[1] -= element(255) * element(256) + row.deficit;
    });
    refused_by(&verdict, "lookup RNG");
    let logical = |row: &shr64::Row<F>| row.selectors[0] == F::ONE && row.places[7] == F::ONE;
    let verdict = lie(&runs, "SHR64", logical, |row| {
        (row.sign, row.above) = (F::ONE, row.deficit);
        row.z = [row.z[0] + row.deficit + element(0xff00), ones, ones, ones];
    });
    refused_by(&verdict, "constraints");
}

#[test]
fn shifts_of_64_bits_move_every_byte_to_its_place() {
    let runs = runs();
    // The mark of another place, and the result to match.
    let rotated = |row: &shl64::Row<F>| row.selectors[2] == F::ONE && row.places[0] == F::ONE;
    let verdict = lie(&runs, "SHL64", rotated, |row| row.places.swap(0, 1));
    refused_by(&verdict, "constraints");
    // A byte split into another pair of the same sum.
    let split = |row: &shl64::Row<F>| row.high[3] != F::ZERO;
    let verdict = lie(&runs, "SHL64", split, |row| {
        row.high[3] -= F::ONE;
        row.low[3] += element(256);
    });
    refused_by(&verdict, "constraints");
    // A rotation to the right by 0 as one by the width.
    let zero = |row: &shl64::Row<F>| row.selectors[4] == F::ONE && row.amount == F::ZERO;
    let verdict = lie(&runs, "SHL64", zero, |row| row.turn = F::ONE);
    refused_by(&verdict, "constraints");
}

#[test]
fn counts_begin_at_the_first_byte_that_is_not_zero() {
    let runs = runs();
    let leading = |row: &cnt::Row<F>| {
        row.selectors[3] == F::ONE && row.marks[7] == F::ONE && row.x[6] != F::ZERO
    };
    let verdict = lie(&runs, "CNT", leading, |row| {
        row.marks.swap(6, 7);
        row.inverse = row.x[6].inverse();
        row.z = row.leading[6] + element(8);
    });
    refused_by(&verdict, "constraints");
    // All bytes said to be zero.
    let verdict = lie(&runs, "CNT", leading, |row| {
        (row.marks[7], row.zero, row.inverse) = (F::ZERO, F::ONE, F::ZERO);
        row.z = element(64);
    });
    refused_by(&verdict, "constraints");
    // A zero byte marked.
    let none = |row: &cnt::Row<F>| row.selectors[0] == F::ONE && row.zero == F::ONE;
    let verdict = lie(&runs, "CNT", none, |row| {
        (row.marks[3], row.zero) = (F::ONE, F::ZERO);
        row.z = element(8);
    });
    refused_by(&verdict, "constraints");
    // One bit more in a byte.
    let set = |row: &cnt::Row<F>| row.selectors[5] == F::ONE;
    let verdict = lie(&runs, "CNT", set, |row| {
        row.set[0] += F::ONE;
        row.z += F::ONE;
    });
    refused_by(&verdict, "lookup CNT");
}

#[test]
fn nothing_but_the_instruction_says_what_comes_next() {
    let runs = runs();
    let jump = |row: &jump::Row<F>| row.selectors[1] == F::ONE;
    let verdict = lie(&runs, "JUMP", jump, |row| row.next += F::ONE);
    refused_by(&verdict, "constraints [9]");
    let verdict = lie(&runs, "BRC", |_: &brc::Row<F>| true, |row| row.next += F::ONE);
    refused_by(&verdict, "constraints");
    let ret = |row: &call::Row<F>| row.selectors[1] == F::ONE;
    // Back to another frame, and to another place.
    let verdict = lie(&runs, "CALL", ret, |row| row.frame += F::ONE);
    refused_by(&verdict, "constraints [4]");
    let verdict = lie(&runs, "CALL", ret, |row| row.next += F::ONE);
    refused_by(&verdict, "constraints [5]");
    // A linkage of the caller's choice.
    let call = |row: &call::Row<F>| row.selectors[0] == F::ONE;
    let verdict = lie(&runs, "CALL", call, |row| row.new[0] += F::ONE);
    refused_by(&verdict, "constraints [6]");
    // A frame beyond the stack that is said to fit, and one that fits said not to.
    let deep = |row: &jump::Row<F>| row.selectors[2] == F::ONE && row.fits == F::ZERO;
    let verdict = lie(&runs, "JUMP", deep, |row| {
        row.fits = F::ONE;
        row.slack[0] = -F::ONE - row.slack[0];
        row.slack[1] = -row.slack[1];
        row.next = row.state.pc + F::ONE;
    });
    refused_by(&verdict, "lookup RNG");
    let fits = |row: &jump::Row<F>| row.fits == F::ONE;
    let verdict = lie(&runs, "JUMP", fits, |row| {
        row.fits = F::ZERO;
        row.slack[0] = -F::ONE - row.slack[0];
        row.slack[1] = -row.slack[1];
        row.next = element(8);
    });
    refused_by(&verdict, "lookup RNG");
}
