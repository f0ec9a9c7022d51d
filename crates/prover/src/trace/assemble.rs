//! Puts the tables of a segment together.

use core::fmt;

use kapsule_lower::LProgram;
use kapsule_lower::isa::{Chip, Op};
use kapsule_proof::SegmentPublic;
use kapsule_proof::field::F;
use kapsule_proof::machine::{Columns, Kind, Table, Trace};
use kapsule_proof::publics::Start;
use kapsule_proof::tables::pad;
use p3_air::BaseAir;
use p3_field::PrimeCharacteristicRing;

use super::count::Counts;
use super::record::{Log, Record};
use super::{alu, brc, call, frame, io, jump, movc, transcript};

/// An opcode that no table proves yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unproven {
    /// The opcode.
    pub op: Op,
    /// The chip that would take it.
    pub chip: Chip,
}

impl fmt::Display for Unproven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the run executes {}, which no table proves yet", self.op.name())
    }
}

impl std::error::Error for Unproven {}

/// Appends the row of a step.
type Generator = fn(&Record<'_>, &mut Vec<F>);

/// Returns the number of the table of a chip, or `None` if it does not exist yet.
#[must_use]
pub fn chip_table(chip: Chip) -> Option<usize> {
    generator(chip).map(|(number, _)| number)
}

/// Returns the number of a chip's table and how its rows are made: one line for each that exists.
fn generator(chip: Chip) -> Option<(usize, Generator)> {
    let made: (usize, Generator) = match chip {
        Chip::Movc => (9, |record, out| movc::row(record).write(out)),
        Chip::Alu => (10, |record, out| alu::row(record).write(out)),
        Chip::Brc => (11, |record, out| brc::row(record).write(out)),
        Chip::Jump => (12, |record, out| jump::row(record).write(out)),
        Chip::Call => (13, |record, out| call::row(record).write(out)),
        Chip::Io => (14, |record, out| io::row(record).write(out)),
        _ => return None,
    };
    Some(made)
}

/// Returns the tables of a run that is proven in one segment, without those that have no rows.
///
/// # Errors
/// [`Unproven`] for the first step that no table takes.
pub fn assemble(
    program: &LProgram,
    tables: &[Table; Table::COUNT],
    log: &Log,
    (start, end, publics): (&Start, &SegmentPublic, &[F]),
) -> Result<Vec<(Table, Trace)>, Unproven> {
    let mut cells: Vec<Vec<F>> = vec![Vec::new(); Table::COUNT];
    for record in log.records() {
        let chip = record.step.chip;
        let (number, row) = generator(chip).ok_or(Unproven { op: record.instr().op, chip })?;
        row(&record, &mut cells[number]);
    }
    [cells[5], cells[6]] = frame::cells(program, log, end, publics);
    [cells[7], cells[8]] = transcript::cells(log, start.transcript);

    let mut traces: Vec<(Table, Trace)> = Vec::new();
    let mut counts = Counts::new(program.code.len());
    for (table, cells) in tables.iter().zip(cells).skip(Table::FIXED) {
        if table.kind() != Kind::Frame && cells.is_empty() {
            continue;
        }
        let trace = pad(cells, table.width());
        counts.add(table, &trace, publics);
        traces.push((table.clone(), trace));
    }
    let fixed =
        tables.iter().take(Table::FIXED).map(|table| (table.clone(), counted(table, &counts)));
    Ok(fixed.chain(traces).collect())
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
        trace = pad(vec![F::ZERO; p3_matrix::Matrix::height(fixed.as_ref())], 1);
    }
    trace
}
