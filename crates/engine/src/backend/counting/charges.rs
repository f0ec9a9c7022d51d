//! Charges in another form.
//!
//! Metering subtracts, keeps the difference and branches where that is negative, which is the
//! shortest form for an interpreter.
//! As machine code, comparing first is shorter by a test of the difference, and the branch does not
//! wait for the subtraction.
//! The counter is never negative before a charge, so both stop at the same one; how far below zero
//! it got is of no matter there.

use core::ops::Range;

use wasm_encoder::InstructionSink;
use wasmparser::Operator;

use super::{Edit, Put};

/// A charge of a constant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Charge {
    cost: i64,
    /// Relative depth of the block that is left where the fuel does not suffice.
    depth: u32,
}

impl Charge {
    /// Writes it in the form for the compiler.
    pub(super) fn write(self, sink: &mut InstructionSink<'_>, counter: u32) {
        sink.local_get(counter).i64_const(self.cost).i64_lt_u().br_if(self.depth);
        sink.local_get(counter).i64_const(self.cost).i64_sub().local_set(counter);
    }
}

/// Follows one body and finds the charges.
pub(super) struct Charging {
    /// Local of the counter.
    counter: u32,
    /// How many operators of a charge were read.
    read: u32,
    start: usize,
    cost: i64,
}

impl Charging {
    pub(super) const fn new(counter: u32) -> Self {
        Self { counter, read: 0, start: 0, cost: 0 }
    }

    /// Takes the next operator, and returns the change of the charge that it ends.
    pub(super) fn step(&mut self, operator: &Operator<'_>, range: Range<usize>) -> Option<Edit> {
        let counter = self.counter;
        self.read = match (self.read, operator) {
            (_, Operator::LocalGet { local_index }) if *local_index == counter => {
                self.start = range.start;
                1
            }
            (1, Operator::I64Const { value: cost @ 1.. }) => {
                self.cost = *cost;
                2
            }
            (2, Operator::I64Sub) => 3,
            (3, Operator::LocalTee { local_index }) if *local_index == counter => 4,
            (4, Operator::I64Const { value: 0 }) => 5,
            (5, Operator::I64LtS) => 6,
            (6, Operator::BrIf { relative_depth }) => {
                self.read = 0;
                let charge = Charge { cost: self.cost, depth: *relative_depth };
                return Some(Edit { range: self.start..range.end, put: Put::Charge(charge) });
            }
            _ => 0,
        };
        None
    }
}
