//! Whole runs that cheat where rows are related: the transcript, the boundary of memory, and what
//! ties a run to its statement.

use kapsule_lower::isa::Op;
use kapsule_proof::chips::{jump, movc};
use kapsule_proof::field::{F, element, limbs};
use kapsule_proof::machine::Kind;
use kapsule_proof::tables::{absorb, boundary, connector};
use kapsule_proof::{Compression, ParamSet};
use p3_field::{Field, PrimeCharacteristicRing, PrimeField32};

use super::Run;
use super::runs::{CELL, Cheat, half, second_life, since, words, writes};
use crate::chips::programs::written;
use crate::programs::{FIB, job, key};

/// Returns a cheat on a run without words.
const fn on_writes(
    name: &'static str,
    change: fn(&mut Run),
    refused_by: &'static [&'static str],
) -> Cheat {
    Cheat { name, run: writes, change, refused_by }
}

/// Returns a cheat on a run with five words.
const fn on_words(
    name: &'static str,
    change: fn(&mut Run),
    refused_by: &'static [&'static str],
) -> Cheat {
    Cheat { name, run: words, change, refused_by }
}

pub(super) const CHEATS: &[Cheat] = &[
    on_writes("a run that is not there", absent, &["CONNECTOR.0"]),
    on_writes("a digest of no words: 0", other_digest::<0>, &["CONNECTOR.43"]),
    on_writes("a digest of no words: 1", other_digest::<1>, &["CONNECTOR.44"]),
    on_writes("a digest of no words: 2", other_digest::<2>, &["CONNECTOR.45"]),
    on_writes("a digest of no words: 3", other_digest::<3>, &["CONNECTOR.46"]),
    on_writes("a digest of no words: 4", other_digest::<4>, &["CONNECTOR.47"]),
    on_writes("a digest of no words: 5", other_digest::<5>, &["CONNECTOR.48"]),
    on_writes("a digest of no words: 6", other_digest::<6>, &["CONNECTOR.49"]),
    on_writes("a digest of no words: 7", other_digest::<7>, &["CONNECTOR.50"]),
    on_writes(
        "a number of words that are not there",
        |run| run.state(|public| public.tx_events = F::TWO),
        &["CONNECTOR.51"],
    ),
    on_writes(
        "half a block of words that are not there",
        |run| run.state(|public| public.tx_pad = F::ONE),
        &["CONNECTOR.52"],
    ),
    on_words(
        "a tag behind the last word",
        |run| padded(run, |two| two.tag = F::ONE),
        &["ABSORB.3"],
    ),
    on_words(
        "a word behind the last: 0",
        |run| padded(run, |two| two.word[0] = F::ONE),
        &["ABSORB.4"],
    ),
    on_words(
        "a word behind the last: 1",
        |run| padded(run, |two| two.word[1] = F::ONE),
        &["ABSORB.5"],
    ),
    on_words(
        "a word behind the last: 2",
        |run| padded(run, |two| two.word[2] = F::ONE),
        &["ABSORB.6"],
    ),
    on_words(
        "a word behind the last: 3",
        |run| padded(run, |two| two.word[3] = F::ONE),
        &["ABSORB.7"],
    ),
    Cheat {
        name: "a second run beside the first",
        run: idle,
        change: second_run,
        refused_by: &["CONNECTOR.1"],
    },
    Cheat {
        name: "another cost of what the fuel did not cover",
        run: starved,
        change: |run| run.state(|public| public.oof_cost += F::ONE),
        refused_by: &["CONNECTOR.I4"],
    },
    on_words("half a block in the middle", half_a_block, &["ABSORB.9"]),
    on_words("a digest that goes on as another: 0", broken_digest::<0>, &["ABSORB.16"]),
    on_words("a digest that goes on as another: 1", broken_digest::<1>, &["ABSORB.17"]),
    on_words("a digest that goes on as another: 2", broken_digest::<2>, &["ABSORB.18"]),
    on_words("a digest that goes on as another: 3", broken_digest::<3>, &["ABSORB.19"]),
    on_words("a digest that goes on as another: 4", broken_digest::<4>, &["ABSORB.20"]),
    on_words("a digest that goes on as another: 5", broken_digest::<5>, &["ABSORB.21"]),
    on_words("a digest that goes on as another: 6", broken_digest::<6>, &["ABSORB.22"]),
    on_words("a digest that goes on as another: 7", broken_digest::<7>, &["ABSORB.23"]),
    on_words(
        "words of a block in the other order",
        |run| inner(run, |_| [F::ZERO; 2]),
        &["ABSORB.24"],
    ),
    on_words(
        "the same at a distance below zero",
        |run| inner(run, |gap| [gap, F::ZERO]),
        &["ABSORB.I0"],
    ),
    on_words(
        "words of two blocks in the other order",
        |run| outer(run, |_| [F::ZERO; 2]),
        &["ABSORB.25"],
    ),
    on_words(
        "the same at a distance below zero",
        |run| outer(run, |gap| [gap, F::ZERO]),
        &["ABSORB.I2"],
    ),
    on_words(
        "the same with the upper half below zero",
        |run| outer(run, |gap| [F::ZERO, gap * element(1 << 14).inverse()]),
        &["ABSORB.I3"],
    ),
    on_writes(
        "a second life of one cell at the upper distance below zero",
        |run| {
            let number = second_life(run, F::ZERO);
            run.edit("BOUNDARY", number, |row: &mut boundary::Row<F>| {
                row.gap_high = -element(1 << 14).inverse();
            });
        },
        &["BOUNDARY.I1"],
    ),
    on_writes(
        "a second life of one cell that nothing follows",
        |run| {
            let number = second_life(run, F::ZERO);
            run.edit("BOUNDARY", number, |row: &mut boundary::Row<F>| row.more = F::ZERO);
        },
        &["BOUNDARY.8"],
    ),
    on_writes("a second life of one cell behind a row not in use", behind_a_gap, &["BOUNDARY.10"]),
    on_writes(
        "a second life of one cell around the field, by upper halves",
        |run| around(run, |addr| element(addr & 0x3fff)),
        &["BOUNDARY.I3"],
    ),
    on_writes(
        "a second life of one cell around the field, by lower halves",
        |run| around(run, element),
        &["BOUNDARY.I2"],
    ),
];

/// Nothing is executed, and the fuel is any number.
fn absent(run: &mut Run) {
    let executing = run.tables.iter_mut();
    for (_, trace) in executing.filter(|(table, _)| matches!(table.kind(), Kind::Execution { .. }))
    {
        trace.values.fill(F::ZERO);
    }
    let mut rows: Vec<boundary::Row<F>> = run.rows("BOUNDARY");
    rows.retain(|row| row.image == F::ONE);
    for row in &mut rows {
        (row.last, row.ts) = (row.initial, F::ZERO);
    }
    run.set_boundary(rows);
    run.edit("CONNECTOR", 0, |row: &mut connector::Row<F>| {
        (row.live, row.tx_none) = (F::ZERO, F::ZERO);
    });
    run.state(|public| public.fuel_dyn = limbs(77));
}

fn other_digest<const LIMB: usize>(run: &mut Run) {
    run.state(|public| public.tx_out[LIMB] += F::ONE);
}

/// Changes what stands behind the last word.
fn padded(run: &mut Run, change: fn(&mut absorb::Event<F>)) {
    let rows: Vec<absorb::Row<F>> = run.rows("ABSORB");
    let last = rows.iter().position(|row| row.pad == F::ONE).expect("an odd number of words");
    run.edit("ABSORB", last, |row: &mut absorb::Row<F>| change(&mut row.two));
    run.rehash();
}

/// The second block has one word, and the last one has two.
fn half_a_block(run: &mut Run) {
    let mut rows: Vec<absorb::Row<F>> = run.rows("ABSORB");
    let [first, moved, last] = [rows[0].two, rows[1].two, rows[2].one];
    let none = rows[2].two;
    (rows[1].two, rows[1].pad) = (absorb::Event { ts: rows[1].one.ts, ..none }, F::ONE);
    (rows[2].one, rows[2].two, rows[2].pad) = (moved, last, F::ZERO);
    rows[0].outer = distance(rows[1].one.ts - first.ts);
    rows[1].outer = distance(rows[2].one.ts - rows[1].two.ts);
    rows[2].inner = distance(last.ts - moved.ts);
    run.set_rows("ABSORB", &rows);
    run.rehash();
}

/// Returns the halves of a distance, less one.
fn distance(times: F) -> [F; 2] {
    let gap = (times - F::ONE).as_canonical_u32();
    [element(gap & 0x3fff), element(gap >> 14)]
}

/// The second block goes on from another digest, one limb of which differs.
fn broken_digest<const LIMB: usize>(run: &mut Run) {
    let mut rows: Vec<absorb::Row<F>> = run.rows("ABSORB");
    rows[1].before[LIMB] += F::ONE;
    let mut state = rows[1].before;
    for row in rows.iter_mut().skip(1).filter(|row| row.valid == F::ONE) {
        row.before = state;
        row.after = Compression::new().absorb(state, half(&row.one), half(&row.two));
        state = row.after;
    }
    run.set_rows("ABSORB", &rows);
    run.state(|public| public.tx_out = state);
}

/// The words of the first block change places, at a distance that is said in this way.
fn inner(run: &mut Run, said: fn(F) -> [F; 2]) {
    run.edit("ABSORB", 0, |row: &mut absorb::Row<F>| {
        let next = row.outer[0] + row.outer[1] * element(1 << 14) + row.two.ts + F::ONE;
        (row.one, row.two) = (row.two, row.one);
        row.inner = said(row.two.ts - row.one.ts - F::ONE);
        row.outer = distance(next - row.two.ts);
    });
    run.rehash();
}

/// The second word of the first block changes places with the first of the next.
fn outer(run: &mut Run, said: fn(F) -> [F; 2]) {
    let mut rows: Vec<absorb::Row<F>> = run.rows("ABSORB");
    (rows[0].two, rows[1].one) = (rows[1].one, rows[0].two);
    rows[0].inner = distance(rows[0].two.ts - rows[0].one.ts);
    rows[0].outer = said(rows[1].one.ts - rows[0].two.ts - F::ONE);
    rows[1].inner = distance(rows[1].two.ts - rows[1].one.ts);
    run.set_rows("ABSORB", &rows);
    run.rehash();
}

/// The second life of a cell comes last, behind a row that is not in use.
fn behind_a_gap(run: &mut Run) {
    let number = second_life(run, F::ZERO);
    let mut rows: Vec<boundary::Row<F>> = run.rows("BOUNDARY");
    rows.retain(|row| row.valid == F::ONE);
    let second = rows.remove(number + 1);
    run.set_boundary(rows);
    let mut rows: Vec<boundary::Row<F>> = run.rows("BOUNDARY");
    let last = rows.iter().rposition(|row| row.valid == F::ONE).expect("cells");
    rows[last + 1] = boundary::Row {
        more: F::ONE,
        addr: second.addr - F::ONE,
        gap_low: F::ZERO,
        gap_high: F::ZERO,
        ..rows[last + 1]
    };
    rows[last + 2] = boundary::Row { more: F::ZERO, ..second };
    run.set_rows("BOUNDARY", &rows);
}

/// Cells beyond all addresses lead around the field back to one that has been; their lower halves
/// are said in this way.
fn around(run: &mut Run, low: fn(u32) -> F) {
    let number = second_life(run, F::ZERO);
    let mut rows: Vec<boundary::Row<F>> = run.rows("BOUNDARY");
    rows.retain(|row| row.valid == F::ONE);
    let second = rows.remove(number + 1);
    let beyond = (1..8).map(|turn: u32| {
        let addr = turn << 28;
        boundary::Row {
            valid: F::ONE,
            image: F::ZERO,
            more: F::ONE,
            addr: element(addr),
            addr_low: low(addr),
            gap_low: F::ZERO,
            gap_high: F::ZERO,
            initial: [F::ZERO; 4],
            last: [F::ZERO; 4],
            ts: F::ZERO,
        }
    });
    rows.extend(beyond);
    // Whatever came behind the cell comes again nowhere, so the way ends with it.
    rows.push(second);
    run.set_boundary(rows);
}

/// A run that writes a cell, waits for two instructions, and reads the cell.
fn idle() -> Run {
    let nop = (Op::Nop, [0, 0], 0);
    let text = [(Op::Const, [CELL, 0], 1), nop, nop, (Op::Mov, [CELL + 1, CELL], 0)];
    let built = written("a write, a wait and a read", &text);
    Run { program: built.program, publics: built.publics, tables: built.tables }
}

/// A run whose fuel ends at an instruction.
fn starved() -> Run {
    let key = key(FIB, ParamSet::TEST);
    let witness = crate::programs::run(&key, &job("run", 200));
    Run { program: key.program.clone(), publics: witness.publics, tables: witness.tables }
}

/// The second row of `CONNECTOR` starts a run in the middle of the program, in a frame one cell
/// lower, whose move puts zero into the cell that the first run is about to read.
fn second_run(run: &mut Run) {
    let moves: Vec<movc::Row<F>> = run.rows("MOVC");
    let place = moves.iter().position(|row| row.selectors[1] == F::ONE).expect("a move");
    let (honest, cell) = (moves[place], moves[place].source);
    let jumps: Vec<jump::Row<F>> = run.rows("JUMP");
    let waits: Vec<usize> =
        (0..jumps.len()).filter(|row| jumps[*row].selectors[1] == F::ONE).collect();
    let frame = honest.state.fp - F::ONE;
    let mut state = jumps[waits[0]].state;
    (state.fp, state.ts, state.fuel) = (frame, F::ONE, F::ZERO);
    let start = [state.pc, frame, state.pages];

    let free = jumps.iter().rposition(|row| row.selectors != [F::ZERO; 3]).expect("jumps") + 1;
    for (step, wait) in waits.into_iter().enumerate() {
        let row = jump::Row { state, ..jumps[wait] };
        run.edit("JUMP", free + step, |free| *free = row);
        (state.pc, state.ts) = (state.pc + F::ONE, state.ts + F::ONE);
        state.fuel += row.cost;
    }
    let (read, write) = (state.ts, state.ts + F::ONE);
    let last = moves.iter().rposition(|row| row.selectors != [F::ZERO; 4]).expect("moves");
    let other = movc::Row {
        state,
        source: cell - F::ONE,
        target: cell,
        value: limbs(0),
        read: since(read, F::ZERO),
        old: limbs(1),
        write: since(write, moves[0].state.ts + F::ONE),
        ..honest
    };
    run.edit("MOVC", last + 1, |row| *row = other);
    run.edit("MOVC", place, |row: &mut movc::Row<F>| {
        (row.value, row.read) = (limbs(0), since(row.state.ts, write));
    });

    let mut cells: Vec<boundary::Row<F>> = run.rows("BOUNDARY");
    for row in &mut cells {
        if [cell, honest.target].contains(&row.addr) {
            row.last = limbs(0);
        }
    }
    let number = cells.iter().position(|row| row.addr == cell).expect("the cell");
    let below = boundary::Row { addr: cell - F::ONE, ts: read, ..cells[number] };
    let addr_low = below.addr.as_canonical_u32() & 0x3fff;
    cells.insert(number, boundary::Row { addr_low: element(addr_low), ..below });
    run.set_boundary(cells);

    let end = write + F::ONE;
    let rows: Vec<connector::Row<F>> = run.rows("CONNECTOR");
    let mut second = rows[0];
    second.public.start = start;
    second.public.end = [state.pc + F::ONE, frame, state.pages];
    (second.public.ts, second.public.fuel_static) = (end, state.fuel + other.operands.cost);
    second.fuel = since(end, F::ZERO);
    run.edit("CONNECTOR", 1, |row| *row = second);
    run.edit("CONNECTOR", 0, |row: &mut connector::Row<F>| {
        row.fuel = since(row.public.ts, end);
    });
}
