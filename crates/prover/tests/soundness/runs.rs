//! Whole runs of provers who cheat: every table is made to fit the lie, and what is left over is
//! what refuses it.

use std::collections::{BTreeMap, BTreeSet};

use kapsule_lower::isa::{Op, PC_CODE};
use kapsule_proof::chips::{call, div, jump, movc};
use kapsule_proof::field::{F, element, limbs};
use kapsule_proof::machine::{Access, Checked, Columns, Kind, rows_of};
use kapsule_proof::publics::TIED_FIRST;
use kapsule_proof::tables::{absorb, boundary, connector};
use kapsule_proof::{Compression, ParamSet};
use p3_field::{PrimeCharacteristicRing, PrimeField32};

use super::Run;
use super::scene::{Item, is_lookup};
use crate::chips::programs::written;
use crate::programs::{FIB, job, key, run};
use crate::provided::provided;

/// Returns the labels of everything that refuses a run: constraints, queries without an answer,
/// and names of buses that do not balance.
///
/// Counts of fixed tables are not looked at: a prover sets them to what is asked for, in sum.
pub(super) fn refusals(run: &Run) -> BTreeSet<String> {
    let mut refusals = BTreeSet::new();
    let mut buses = BTreeMap::<(String, Vec<u32>), i64>::new();
    for (table, trace) in &run.tables {
        if table.kind() == Kind::Fixed && table.name() != "IMAGE" {
            continue;
        }
        let rows = rows_of(table, trace);
        for row in 0..rows.main.len() {
            let checked = Checked::evaluate(table, &rows, &run.publics, row);
            let broken =
                checked.broken().map(|number| Item::Constraint(number).label(table.name()));
            refusals.extend(broken);
            for message in checked.messages {
                if !is_lookup(&message.bus) {
                    *buses.entry((message.bus, message.tuple)).or_default() += message.count;
                } else if table.name() != "POSEIDON2"
                    && !provided(&run.program, &message.bus, &message.tuple)
                {
                    refusals.insert(Item::Interaction(message.number).label(table.name()));
                }
            }
        }
    }
    let open = buses.into_iter().filter(|(_, surplus)| *surplus != 0);
    refusals.extend(open.map(|((bus, _), _)| bus));
    refusals
}

/// Returns the labels of constraints that alone refuse some run with another public value.
pub(super) fn other_publics(run: &Run) -> BTreeSet<String> {
    let found = run.tables.iter().find(|(table, _)| table.name() == "CONNECTOR");
    let (table, trace) = found.expect("every run has it");
    let rows = rows_of(table, trace);
    let mut labels = BTreeSet::new();
    for index in 0..run.publics.len() {
        let mut publics = run.publics.clone();
        publics[index] += F::ONE;
        let broken: Vec<usize> = Checked::evaluate(table, &rows, &publics, 0).broken().collect();
        if let [only] = broken[..] {
            labels.insert(Item::Constraint(only).label(table.name()));
        }
    }
    labels
}

/// Returns the half of a block that an event is.
pub(super) fn half(event: &absorb::Event<F>) -> [F; 4] {
    let [u0, u1, u2, u3] = event.word;
    [u0, u1, u2, u3 + event.tag * element(1 << 16)]
}

impl Run {
    /// Changes one row of a table.
    pub(super) fn edit<R: Columns<F>>(
        &mut self,
        table: &str,
        row: usize,
        change: impl FnOnce(&mut R),
    ) {
        let found = self.tables.iter_mut().find(|(found, _)| found.name() == table);
        let (_, trace) = found.expect("the run has the table");
        let cells = &mut trace.values[row * R::WIDTH..][..R::WIDTH];
        let mut columns = R::read(&mut cells.iter());
        change(&mut columns);
        let mut changed = Vec::new();
        columns.write(&mut changed);
        cells.copy_from_slice(&changed);
    }

    pub(super) fn rows<R: Columns<F>>(&self, table: &str) -> Vec<R> {
        let (_, trace) =
            self.tables.iter().find(|(found, _)| found.name() == table).expect("the table");
        trace.values.chunks(R::WIDTH).map(|cells| R::read(&mut cells.iter())).collect()
    }

    pub(super) fn set_rows<R: Columns<F>>(&mut self, table: &str, rows: &[R]) {
        let found = self.tables.iter_mut().find(|(found, _)| found.name() == table);
        let (_, trace) = found.expect("the run has the table");
        let mut cells = Vec::with_capacity(trace.values.len());
        rows.iter().for_each(|row| row.write(&mut cells));
        cells.resize(trace.values.len(), F::ZERO);
        trace.values = cells;
    }

    /// Returns the number of the boundary row of a cell.
    fn boundary(&self, addr: F) -> usize {
        let rows: Vec<boundary::Row<F>> = self.rows("BOUNDARY");
        rows.iter().position(|row| row.addr == addr && row.valid == F::ONE).expect("a cell")
    }

    /// Puts boundary rows in place and sets what relates neighbours.
    pub(super) fn set_boundary(&mut self, mut rows: Vec<boundary::Row<F>>) {
        rows.retain(|row| row.valid == F::ONE);
        for index in 0..rows.len() {
            let next = rows.get(index + 1).map(|row| row.addr);
            let row = &mut rows[index];
            let gap = next.map_or(0, |next| (next - row.addr - F::ONE).as_canonical_u32());
            row.more = F::from_bool(next.is_some());
            (row.gap_low, row.gap_high) = (element(gap & 0x3fff), element(gap >> 14));
        }
        self.set_rows("BOUNDARY", &rows);
    }

    /// Recomputes the digests of the transcript from its events and states them.
    pub(super) fn rehash(&mut self) {
        let mut rows: Vec<absorb::Row<F>> = self.rows("ABSORB");
        let hash = Compression::new();
        let mut state = rows[0].before;
        let mut events = F::ZERO;
        for row in rows.iter_mut().filter(|row| row.valid == F::ONE) {
            row.before = state;
            row.after = hash.absorb(state, half(&row.one), half(&row.two));
            events += F::TWO - row.pad;
            (row.events, state) = (events, row.after);
        }
        let pad = rows.iter().rfind(|row| row.valid == F::ONE).map_or(F::ZERO, |row| row.pad);
        self.set_rows("ABSORB", &rows);
        self.state(|public| {
            (public.tx_out, public.tx_events, public.tx_pad) = (state, events, pad);
        });
    }

    /// Changes public values and the columns that are equal to them.
    pub(super) fn state(&mut self, change: impl FnOnce(&mut connector::Public<F>)) {
        let mut tied = Vec::new();
        self.edit("CONNECTOR", 0, |row: &mut connector::Row<F>| {
            change(&mut row.public);
            row.public.write(&mut tied);
        });
        self.publics[TIED_FIRST..][..tied.len()].copy_from_slice(&tied);
    }
}

/// Returns the columns of an access at `time` to a cell that was accessed at `previous`.
pub(super) fn since(time: F, previous: F) -> Access<F> {
    let gap = (time - F::ONE - previous).as_canonical_u32();
    Access { previous, gap: element(gap & 0x3fff) }
}

pub(super) const CELL: u32 = 7;

/// A run that writes 1 and then 2 to one cell and then reads it.
pub(super) fn writes() -> Run {
    let built = written(
        "two writes and a read",
        &[
            (Op::Const, [CELL, 0], 1),
            (Op::Const, [CELL, 0], 2),
            (Op::Mov, [CELL + 1, CELL], 0),
            (Op::Jmp, [PC_CODE + 5, 0], 0),
            (Op::Nop, [0, 0], 0),
        ],
    );
    Run { program: built.program, publics: built.publics, tables: built.tables }
}

/// A run with four words that enter and one that leaves.
pub(super) fn words() -> Run {
    let key = key(FIB, ParamSet::TEST);
    let words = [1, u64::MAX, 3, 4];
    let job =
        kapsule_prover::prove::Job { words: &words, salt_present: true, ..job("run", 10_000) };
    let witness = run(&key, &job);
    Run { program: key.program.clone(), publics: witness.publics, tables: witness.tables }
}

/// One cheat: what it is, the honest run, the change, and everything that refuses it.
pub(super) struct Cheat {
    pub(super) name: &'static str,
    pub(super) run: fn() -> Run,
    pub(super) change: fn(&mut Run),
    pub(super) refused_by: &'static [&'static str],
}

impl Cheat {
    pub(super) fn refusals(&self) -> BTreeSet<String> {
        let mut run = (self.run)();
        assert_eq!(refusals(&run), BTreeSet::new(), "{}: before", self.name);
        (self.change)(&mut run);
        refusals(&run)
    }
}

pub(super) const CHEATS: &[Cheat] = &[
    Cheat { name: "a read of a stale value", run: writes, change: stale, refused_by: &["MEM"] },
    Cheat {
        name: "two writes in the other order",
        run: writes,
        change: reversed,
        refused_by: &["MOVC.I7"],
    },
    Cheat {
        name: "a second life of one cell",
        run: writes,
        change: |run| {
            second_life(run, F::ZERO);
        },
        refused_by: &["BOUNDARY.11"],
    },
    Cheat {
        name: "a second life of one cell at the distance -1",
        run: writes,
        change: |run| {
            second_life(run, -F::ONE);
        },
        refused_by: &["BOUNDARY.I0"],
    },
    Cheat {
        name: "a cell that is never initialised",
        run: writes,
        change: |run| {
            let mut rows: Vec<boundary::Row<F>> = run.rows("BOUNDARY");
            let written = |row: &boundary::Row<F>| row.image == F::ZERO && row.ts != F::ZERO;
            rows.remove(rows.iter().position(written).expect("a cell of the frame"));
            run.set_boundary(rows);
        },
        refused_by: &["MEM"],
    },
    Cheat {
        name: "a cell of the image that starts as zero",
        run: words,
        change: |run| {
            let rows: Vec<boundary::Row<F>> = run.rows("BOUNDARY");
            let row = rows.iter().position(|row| row.image == F::ONE).expect("an image");
            run.edit("BOUNDARY", row, |row: &mut boundary::Row<F>| {
                (row.image, row.initial) = (F::ZERO, [F::ZERO; 4]);
            });
        },
        refused_by: &["IMG", "MEM"],
    },
    Cheat {
        name: "a word that leaves and is not absorbed",
        run: words,
        change: |run| {
            let mut rows: Vec<absorb::Row<F>> = run.rows("ABSORB");
            let last = rows.iter().rposition(|row| row.valid == F::ONE).expect("events");
            rows.remove(last);
            rows[last - 1].last = F::ONE;
            rows[last - 1].outer = [F::ZERO; 2];
            run.set_rows("ABSORB", &rows);
            run.rehash();
        },
        refused_by: &["TX"],
    },
    Cheat {
        name: "words that enter in another order",
        run: words,
        change: |run| {
            run.edit("ABSORB", 0, |row: &mut absorb::Row<F>| {
                (row.one.word, row.two.word) = (row.two.word, row.one.word);
            });
            run.rehash();
        },
        refused_by: &["TX"],
    },
    Cheat {
        name: "words that are absorbed before their time",
        run: words,
        change: |run| {
            run.edit("ABSORB", 0, |row: &mut absorb::Row<F>| {
                (row.one, row.two) = (row.two, row.one);
                let inner = (row.two.ts - row.one.ts - F::ONE).as_canonical_u32();
                row.inner = [element(inner & 0x3fff), element(inner >> 14)];
                let outer = row.outer[0] + row.one.ts - row.two.ts;
                row.outer = [outer, F::ZERO];
            });
            run.rehash();
        },
        refused_by: &["ABSORB.I1"],
    },
    Cheat {
        name: "a loop that nothing enters",
        run: writes,
        change: |run| {
            let mut rows: Vec<jump::Row<F>> = run.rows("JUMP");
            let jumps = rows.iter().position(|row| row.selectors[0] == F::ONE);
            let mut copy = rows[jumps.expect("a jump")];
            copy.state.ts += element(100);
            let place = rows.iter().position(|row| row.selectors == [F::ZERO; 3]);
            rows[place.expect("room")] = copy;
            run.set_rows("JUMP", &rows);
        },
        refused_by: &["EXEC"],
    },
    Cheat {
        name: "an end before the end",
        run: writes,
        change: |run| {
            let mut rows: Vec<jump::Row<F>> = run.rows("JUMP");
            let last = rows.iter().rposition(|row| row.selectors != [F::ZERO; 3]);
            let row = rows[last.expect("jumps")];
            rows[last.expect("jumps")] = jump::Row::read(&mut [F::ZERO; 64].iter());
            run.set_rows("JUMP", &rows);
            run.state(|public| {
                public.ts = row.state.ts;
                public.fuel_static = row.state.fuel;
            });
            run.edit("CONNECTOR", 0, |connector: &mut connector::Row<F>| {
                connector.fuel = since(row.state.ts, connector.fuel.previous);
            });
            let fuel = element(kapsule_lower::isa::FUEL_DYN);
            let number = run.boundary(fuel);
            run.edit("BOUNDARY", number, |cell: &mut boundary::Row<F>| cell.ts = row.state.ts);
        },
        refused_by: &["EXEC"],
    },
    Cheat {
        name: "more dynamic fuel than was charged",
        run: writes,
        change: |run| {
            run.state(|public| public.fuel_dyn = limbs(5));
            let number = run.boundary(element(kapsule_lower::isa::FUEL_DYN));
            run.edit("BOUNDARY", number, |cell: &mut boundary::Row<F>| cell.last = limbs(5));
        },
        refused_by: &["MEM"],
    },
    Cheat {
        name: "a trap of no instruction, which undoes a write",
        run: divides,
        change: undone,
        refused_by: &["DIV.41"],
    },
    Cheat {
        name: "a return to another frame",
        run: words,
        change: |run| {
            let rows: Vec<call::Row<F>> = run.rows("CALL");
            let ret = rows.iter().position(|row| row.selectors[1] == F::ONE).expect("a return");
            run.edit("CALL", ret, |row: &mut call::Row<F>| row.frame += F::ONE);
        },
        refused_by: &["CALL.4", "EXEC"],
    },
];

/// The move reads what the first write left.
fn stale(run: &mut Run) {
    let rows: Vec<movc::Row<F>> = run.rows("MOVC");
    let first = rows[0].state.ts + F::ONE;
    run.edit("MOVC", 2, |row: &mut movc::Row<F>| {
        row.value = limbs(1);
        row.read = since(row.state.ts, first);
    });
    // What the move leaves is what is there at the end.
    let target = rows[2].target;
    let number = run.boundary(target);
    run.edit("BOUNDARY", number, |row: &mut boundary::Row<F>| row.last = limbs(1));
}

/// A run that divides, writes 0 to a cell and then reads it.
fn divides() -> Run {
    let built = written(
        "a division, a write and a read",
        &[
            (Op::Const, [CELL + 2, 0], 7),
            (Op::Const, [CELL + 3, 0], 3),
            (Op::DivU32, [CELL + 4, CELL + 2], u64::from(CELL + 3)),
            (Op::Const, [CELL, 0], 0),
            (Op::Mov, [CELL + 1, CELL], 0),
        ],
    );
    Run { program: built.program, publics: built.publics, tables: built.tables }
}

/// A division by zero that is no step writes -1 times, which is to give what was there before and
/// take what is there now: the move reads 5 where 0 was written.
fn undone(run: &mut Run) {
    let rows: Vec<movc::Row<F>> = run.rows("MOVC");
    let (cell, time) = (rows[2].target, rows[2].state.ts + F::ONE);
    let before = time - F::ONE;
    run.edit("DIV", 1, |row: &mut div::Row<F>| {
        row.binary.state.ts = time - F::TWO;
        row.binary.operands.a = cell;
        row.binary.old = limbs(5);
        row.binary.write = since(time, before);
        (row.zero, row.next) = (F::ONE, F::ONE);
        // -1, so that a divisor of 0 is greater than the remainder.
        row.borrow = [F::ONE; 3];
        for number in [&mut row.x, &mut row.dividend, &mut row.remainder] {
            number[3] = -F::ONE;
        }
    });
    run.edit("MOVC", 3, |row: &mut movc::Row<F>| {
        row.value = limbs(5);
        row.read = since(row.state.ts, before);
    });
    for addr in [cell, rows[3].target] {
        let number = run.boundary(addr);
        run.edit("BOUNDARY", number, |row: &mut boundary::Row<F>| row.last = limbs(5));
    }
}

/// The second write comes first, and the move reads what the first one wrote.
fn reversed(run: &mut Run) {
    let rows: Vec<movc::Row<F>> = run.rows("MOVC");
    let [first, second] = [0, 1].map(|row| rows[row].state.ts + F::ONE);
    run.edit("MOVC", 1, |row: &mut movc::Row<F>| {
        (row.old, row.write) = (limbs(0), since(second, F::ZERO));
    });
    run.edit("MOVC", 0, |row: &mut movc::Row<F>| {
        (row.old, row.write) = (limbs(2), since(first, second));
    });
    run.edit("MOVC", 2, |row: &mut movc::Row<F>| {
        (row.value, row.read) = (limbs(1), since(row.state.ts, first));
    });
    let read = rows[2].state.ts;
    let number = run.boundary(rows[2].source);
    run.edit("BOUNDARY", number, |row: &mut boundary::Row<F>| {
        (row.last, row.ts) = (limbs(1), read)
    });
    let number = run.boundary(rows[2].target);
    run.edit("BOUNDARY", number, |row: &mut boundary::Row<F>| row.last = limbs(1));
}

/// The move reads a cell of the same address that nobody wrote; `gap` is the distance between the
/// two. Returns the number of the first row of the cell.
pub(super) fn second_life(run: &mut Run, gap: F) -> usize {
    let rows: Vec<movc::Row<F>> = run.rows("MOVC");
    let (read, source, target) = (rows[2].state.ts, rows[2].source, rows[2].target);
    run.edit("MOVC", 2, |row: &mut movc::Row<F>| {
        (row.value, row.read) = (limbs(0), since(read, F::ZERO));
    });
    let number = run.boundary(target);
    run.edit("BOUNDARY", number, |row: &mut boundary::Row<F>| row.last = limbs(0));
    let number = run.boundary(source);
    let mut cells: Vec<boundary::Row<F>> = run.rows("BOUNDARY");
    cells[number].ts = rows[1].state.ts + F::ONE;
    let second = boundary::Row { last: limbs(0), ts: read, ..cells[number] };
    cells.insert(number + 1, second);
    run.set_boundary(cells);
    run.edit("BOUNDARY", number, |row: &mut boundary::Row<F>| {
        (row.gap_low, row.gap_high) = (gap, F::ZERO);
    });
    number
}
