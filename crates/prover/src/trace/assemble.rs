//! Puts the tables of a segment together.

use kapsule_lower::LProgram;
use kapsule_lower::isa::Chip;
use kapsule_proof::SegmentPublic;
use kapsule_proof::chips::{shl32, shl64, shr32, shr64};
use kapsule_proof::field::F;
use kapsule_proof::machine::{Columns, Kind, Table, Trace};
use kapsule_proof::publics::Start;
use kapsule_proof::tables::pad;
use p3_air::BaseAir;
use p3_field::PrimeCharacteristicRing;
use p3_matrix::Matrix;
use p3_maybe_rayon::prelude::*;

use super::count::Counts;
use super::record::{Log, Record};
use super::{
    aligned, alu, bit, brc, brtab, call, calli, chg, cnt, div, ext, frame, io, jump, memg, movc,
    mul, select, setc, shift, span, transcript,
};

/// Rows whose queries one thread counts at a time.
const ROWS: usize = 1 << 14;

/// Appends the row of a step.
type Generator = fn(&Record<'_>, &mut Vec<F>);

/// Returns the number of a chip's table and how its rows are made.
fn generator(chip: Chip) -> (usize, Generator) {
    match chip {
        Chip::Movc => (9, |record, out| movc::row(record).write(out)),
        Chip::Alu => (10, |record, out| alu::row(record).write(out)),
        Chip::Brc => (11, |record, out| brc::row(record).write(out)),
        Chip::Jump => (12, |record, out| jump::row(record).write(out)),
        Chip::Call => (13, |record, out| call::row(record).write(out)),
        Chip::Io => (14, |record, out| io::row(record).write(out)),
        Chip::Ldw => (15, |record, out| aligned::load(record).write(out)),
        Chip::Stw => (16, |record, out| aligned::store(record).write(out)),
        Chip::Bit => (17, |record, out| bit::row(record).write(out)),
        Chip::Setc => (18, |record, out| setc::row(record).write(out)),
        Chip::Select => (19, |record, out| select::row(record).write(out)),
        Chip::Ext => (20, |record, out| ext::row(record).write(out)),
        Chip::Shl32 => (21, |record, out| shift::left::<4, 2, 5>(record, shl32::OPS).write(out)),
        Chip::Shl64 => (22, |record, out| shift::left::<8, 4, 6>(record, shl64::OPS).write(out)),
        Chip::Shr32 => (23, |record, out| shift::right::<4, 2, 5>(record, shr32::OPS).write(out)),
        Chip::Shr64 => (24, |record, out| shift::right::<8, 4, 6>(record, shr64::OPS).write(out)),
        Chip::Mul => (25, |record, out| mul::row(record).write(out)),
        Chip::Ldx => (26, |record, out| span::load(record).write(out)),
        Chip::Stx => (27, |record, out| span::store(record).write(out)),
        Chip::Brtab => (28, |record, out| brtab::row(record).write(out)),
        Chip::Calli => (29, |record, out| calli::row(record).write(out)),
        Chip::Memg => (30, |record, out| memg::row(record).write(out)),
        Chip::Chg => (31, |record, out| chg::row(record).write(out)),
        Chip::Cnt => (32, |record, out| cnt::row(record).write(out)),
        Chip::Div => (33, |record, out| div::row(record).write(out)),
    }
}

/// Returns the tables of a run that is proven in one segment, without those that have no rows.
#[must_use]
pub fn assemble(
    program: &LProgram,
    tables: &[Table; Table::COUNT],
    log: &Log,
    (start, end, publics): (&Start, &SegmentPublic, &[F]),
) -> Vec<(Table, Trace)> {
    let (mut cells, [boundary, connector, absorb, poseidon2]) = join(
        || executed(log),
        || {
            let [boundary, connector] = frame::cells(program, log, end, publics);
            let [absorb, poseidon2] = transcript::cells(log, start.transcript);
            [boundary, connector, absorb, poseidon2]
        },
    );
    [cells[5], cells[6], cells[7], cells[8]] = [boundary, connector, absorb, poseidon2];

    let traces: Vec<(Table, Trace)> = tables
        .par_iter()
        .zip(cells)
        .skip(Table::FIXED)
        .filter(|(table, cells)| table.kind() == Kind::Frame || !cells.is_empty())
        .map(|(table, cells)| (table.clone(), pad(cells, table.width())))
        .collect();
    let parts: Vec<(&Table, &Trace, usize)> = traces
        .iter()
        .flat_map(|(table, trace)| {
            (0..trace.height()).step_by(ROWS).map(move |first| (table, trace, first))
        })
        .collect();
    let counts = parts.into_par_iter().par_fold_reduce(
        || Counts::new(program.code.len()),
        |mut counts, (table, trace, first)| {
            counts.add(table, trace, first..trace.height().min(first + ROWS), publics);
            counts
        },
        Counts::plus,
    );
    let fixed =
        tables.iter().take(Table::FIXED).map(|table| (table.clone(), counted(table, &counts)));
    fixed.chain(traces).collect()
}

/// Returns the cells of the chips' tables, and none for the others.
fn executed(log: &Log) -> Vec<Vec<F>> {
    let mut places = vec![Vec::new(); Table::COUNT];
    for (place, record) in log.records().enumerate() {
        places[generator(record.step.chip).0].push(place);
    }
    let table = |places: Vec<usize>| {
        let mut cells = Vec::new();
        for record in places.into_iter().filter_map(|place| log.record(place)) {
            generator(record.step.chip).1(&record, &mut cells);
        }
        cells
    };
    places.into_par_iter().map(table).collect()
}

/// Returns the main cells of a fixed table.
fn counted(table: &Table, counts: &Counts) -> Trace {
    let column = |counts: &[u32]| counts.iter().copied().map(F::from_u32).collect::<Vec<F>>();
    let cells = match table {
        Table::Program(_) => column(&counts.program),
        Table::Range => column(&counts.range),
        Table::Bytes => {
            let both = counts.pair.iter().zip(&counts.and);
            both.flat_map(|(pair, and)| [*pair, *and]).map(F::from_u32).collect()
        }
        Table::Cnt8 => column(&counts.cnt),
        _ => Vec::new(),
    };
    let mut trace = pad(cells, table.width());
    // `IMAGE` has one empty column, as high as its fixed columns are.
    if let Table::Image(fixed) = table {
        trace = pad(vec![F::ZERO; fixed.height()], 1);
    }
    trace
}
