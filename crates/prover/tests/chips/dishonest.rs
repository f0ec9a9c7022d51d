//! Rows of provers who lie: each changes what an honest row says to what would serve a cheat, with
//! every dependent column, and is refused for the reason that the chip was given for it.

use kapsule_lower::isa::Op;
use kapsule_proof::chips::{
    bit, brtab, calli, chg, div, ldw, ldx, memg, mul, select, setc, shl32, stx,
};
use kapsule_proof::field::{F, element};
use kapsule_proof::machine::{Columns, Table, Trace, rows_of};
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
    // A load beyond the end claimed to be inside.
    let verdict = lie(
        &runs,
        "LDX",
        |row: &ldx::Row<F>| row.span.outside == F::ONE,
        |row| {
            (row.span.outside, row.span.two) = (F::ZERO, F::ONE);
            row.span.distance[0] = -F::ONE - row.span.distance[0];
            row.next = row.state.pc + F::ONE;
        },
    );
    refused_by(&verdict, "lookup RNG");
    let verdict = lie(
        &runs,
        "STX",
        |row: &stx::Row<F>| row.span.outside == F::ONE,
        |row| {
            (row.span.outside, row.span.two) = (F::ZERO, F::ONE);
            row.span.distance[0] = -F::ONE - row.span.distance[0];
            row.next = row.state.pc + F::ONE;
        },
    );
    refused_by(&verdict, "lookup RNG");
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
