//! The log of a run, and what a row generator sees of it.

use kapsule_lower::Instr;
use kapsule_proof::field::{F, element, limbs};
use kapsule_proof::machine;
use p3_field::PrimeCharacteristicRing;

use crate::exec::{Access, Step, Tracer};

/// Every step and access of a run.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// Steps with the position of their first access.
    steps: Vec<(Step, usize)>,
    accesses: Vec<Access>,
}

impl Tracer for Log {
    fn step(&mut self, step: &Step) {
        self.steps.push((*step, self.accesses.len()));
    }

    fn access(&mut self, access: &Access) {
        self.accesses.push(*access);
    }
}

impl Log {
    /// Returns the number of steps.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.steps.len()
    }

    /// Returns every access with its time, in order.
    pub(super) fn accesses(&self) -> impl Iterator<Item = (u32, &Access)> {
        self.records().flat_map(|record| {
            let ts = record.step.ts;
            record.accesses.iter().map(move |access| (ts + u32::from(access.slot), access))
        })
    }

    /// Returns every step with its accesses.
    pub(super) fn records(&self) -> impl Iterator<Item = Record<'_>> {
        (0..self.steps.len()).filter_map(|place| self.record(place))
    }

    /// Returns the step at a place, from 0, with its accesses.
    pub(super) fn record(&self, place: usize) -> Option<Record<'_>> {
        let (step, first) = self.steps.get(place)?;
        let end = self.steps.get(place + 1).map_or(self.accesses.len(), |(_, first)| *first);
        Some(Record { step, accesses: &self.accesses[*first..end] })
    }
}

/// One step and its accesses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a> {
    /// The step.
    pub(super) step: &'a Step,
    accesses: &'a [Access],
}

/// One access as columns; all zero if it did not happen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    /// The access before.
    pub(super) access: machine::Access<F>,
    /// Address.
    pub(super) addr: F,
    /// Limbs before.
    pub(super) old: [F; 4],
    /// Limbs after.
    pub(super) new: [F; 4],
    /// Value before.
    pub(super) value: u64,
    /// Value after.
    pub(super) written: u64,
}

impl Record<'_> {
    /// Returns the instruction.
    pub(super) fn instr(&self) -> &Instr {
        &self.step.instr
    }

    /// Returns the state columns.
    pub(super) fn state(&self) -> machine::State<F> {
        let step = self.step;
        machine::State {
            pc: element(step.pc),
            fp: element(step.fp),
            ts: element(step.ts),
            fuel: F::from_u64(step.fuel_static),
            pages: element(step.pages),
        }
    }

    /// Returns the operand columns.
    pub(super) fn operands(&self) -> machine::Operands<F> {
        let instr = self.instr();
        machine::Operands {
            a: element(instr.a),
            b: element(instr.b),
            c: instr.c.map(F::from_u16),
            cost: F::from_u8(instr.cost),
        }
    }

    /// Returns selectors of which the one of the step's opcode is 1.
    pub(super) fn selectors<const N: usize>(&self, ops: [kapsule_lower::isa::Op; N]) -> [F; N] {
        ops.map(|op| F::from_bool(op == self.instr().op))
    }

    /// Returns whether the access with this number happened.
    pub(super) fn has(&self, slot: u8) -> bool {
        self.accesses.iter().any(|access| access.slot == slot)
    }

    /// Returns the access with this number, or zeros.
    pub(super) fn cell(&self, slot: u8) -> Cell {
        let found = self.accesses.iter().find(|access| access.slot == slot);
        found.map_or(
            Cell {
                access: machine::Access { previous: F::ZERO, gap: F::ZERO },
                addr: F::ZERO,
                old: [F::ZERO; 4],
                new: [F::ZERO; 4],
                value: 0,
                written: 0,
            },
            |access| Cell {
                access: since(self.step.ts + u32::from(slot), access.previous),
                addr: element(access.addr),
                old: limbs(access.old),
                new: limbs(access.new),
                value: access.old,
                written: access.new,
            },
        )
    }
}

/// Returns the columns of an access at `time` to a cell that was last accessed at `previous`.
pub(super) fn since(time: u32, previous: u32) -> machine::Access<F> {
    let gap = (time - 1 - previous) & 0x3fff;
    machine::Access { previous: element(previous), gap: element(gap) }
}
