//! The instruction sequences that metering is made of.
//!
//! Every body stands in two blocks, `stop` around `body`, so that a failed check is one branch
//! out of line and the good path has none taken:
//! ```text
//! block stop
//!   <entry charge> <stack check>
//!   block body (results)
//!     <the author's operators, with charges>
//!   end
//!   <leave> return
//! end
//! unreachable
//! ```

use alloc::vec::Vec;
use wasm_encoder::{
    BlockType, ConstExpr, Encode, GlobalSection, GlobalType, InstructionSink, ValType as Wasm,
};

use super::types::without_count;
use crate::tables::DYNAMIC_UNITS_PER_FUEL;
use crate::tables::stack_1::HEIGHT_MAX;

/// Number of globals that metering adds.
pub(super) const GLOBAL_COUNT: u32 = 4;

/// Indices of the globals that metering adds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Globals {
    pub(super) fuel: u32,
    pub(super) stack: u32,
    pub(super) pages_max: u32,
    pub(super) host_short: u32,
}

impl Globals {
    pub(super) fn after(own: u32) -> Self {
        Self { fuel: own, stack: own + 1, pages_max: own + 2, host_short: own + 3 }
    }
}

/// Encodes the added globals, without a count.
pub(super) fn encode_globals(pages_max: u32) -> Vec<u8> {
    let mut section = GlobalSection::new();
    let global = |val_type| GlobalType { val_type, mutable: true, shared: false };
    section.global(global(Wasm::I64), &ConstExpr::i64_const(0));
    section.global(global(Wasm::I32), &ConstExpr::i32_const(0));
    section.global(global(Wasm::I32), &ConstExpr::i32_const(pages_max.cast_signed()));
    section.global(global(Wasm::I32), &ConstExpr::i32_const(0));
    without_count(&section, GLOBAL_COUNT)
}

/// Locals that metering adds behind a function's own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scratch {
    /// i64: the new fuel counter.
    fuel: u32,
    /// i32: the height within this function.
    height: u32,
}

impl Scratch {
    /// Number of locals that metering adds.
    pub(super) const COUNT: u32 = 2;

    /// Stands behind `own` parameters and locals.
    pub(super) const fn after(own: u32) -> Self {
        Self { fuel: own, height: own + 1 }
    }

    /// Appends the declarations to `groups` encoded ones.
    pub(super) fn declare(group_count: u32, groups: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        (group_count + Self::COUNT).encode(&mut bytes);
        bytes.extend_from_slice(groups);
        for local in [Wasm::I64, Wasm::I32] {
            1_u32.encode(&mut bytes);
            local.encode(&mut bytes);
        }
        bytes
    }
}

/// Writes the sequences of one function.
pub(super) struct Writer<'a> {
    pub(super) sink: InstructionSink<'a>,
    globals: &'a Globals,
    scratch: Scratch,
}

impl<'a> Writer<'a> {
    pub(super) fn new(bytes: &'a mut Vec<u8>, globals: &'a Globals, scratch: Scratch) -> Self {
        Self { sink: InstructionSink::new(bytes), globals, scratch }
    }

    /// Opens `stop`, around everything.
    pub(super) fn open_stop(&mut self) {
        self.sink.block(BlockType::Empty);
    }

    /// Ends `stop` and the function: whoever branches to `stop` gets here.
    pub(super) fn close_stop(&mut self) {
        self.sink.return_().end().unreachable().end();
    }

    /// Charges a block: subtracts `cost` and stops where the counter goes below zero.
    ///
    /// `stop` is the relative depth of the block `stop`.
    pub(super) fn charge(&mut self, cost: u8, stop: u32) {
        self.sink.global_get(self.globals.fuel).i64_const(i64::from(cost)).i64_sub();
        self.settle(stop);
    }

    /// Charges `ceil(units / 8)`, with the i64 units on the operand stack.
    ///
    /// The units are below 2^32, so no step can overflow.
    pub(super) fn charge_units(&mut self, stop: u32) {
        let per_fuel = i64::from(DYNAMIC_UNITS_PER_FUEL);
        let Self { sink, globals, scratch } = self;
        sink.i64_const(per_fuel - 1).i64_add();
        sink.i64_const(i64::from(per_fuel.trailing_zeros())).i64_shr_u();
        sink.local_set(scratch.fuel);
        sink.global_get(globals.fuel).local_get(scratch.fuel).i64_sub();
        self.settle(stop);
    }

    /// Stores the new counter from the operand stack and stops where it is negative.
    fn settle(&mut self, stop: u32) {
        let Self { sink, globals, scratch } = self;
        sink.local_tee(scratch.fuel).global_set(globals.fuel);
        sink.local_get(scratch.fuel).i64_const(0).i64_lt_s().br_if(stop);
    }

    /// Enters a function that calls others: raises the height and checks it.
    pub(super) fn enter(&mut self, weight: u32) {
        let Self { sink, globals, scratch } = self;
        sink.global_get(globals.stack).i32_const(weight.cast_signed()).i32_add();
        sink.local_tee(scratch.height).global_set(globals.stack);
        sink.local_get(scratch.height).i32_const(HEIGHT_MAX.cast_signed()).i32_gt_u().br_if(0);
    }

    /// Leaves a function that calls others.
    pub(super) fn leave(&mut self, weight: u32) {
        let Self { sink, globals, scratch } = self;
        sink.local_get(scratch.height).i32_const(weight.cast_signed()).i32_sub();
        sink.global_set(globals.stack);
    }

    /// Enters a function that calls nothing: the height is checked, and raised only to mark
    /// failure.
    pub(super) fn enter_leaf(&mut self, weight: u32) {
        let highest = HEIGHT_MAX.saturating_sub(weight);
        let Self { sink, globals, .. } = self;
        sink.global_get(globals.stack).i32_const(highest.cast_signed()).i32_gt_u();
        sink.if_(BlockType::Empty);
        sink.i32_const((HEIGHT_MAX + 1).cast_signed()).global_set(globals.stack).br(1);
        sink.end();
    }
}
