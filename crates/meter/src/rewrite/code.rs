//! The instruction sequences that metering is made of.
//!
//! Within a function, fuel and height are in locals.
//! A function stands in two blocks, so that a failed check is one branch out of line and the good
//! path has none taken:
//! ```text
//! block out_of_fuel
//!   block too_high
//!     <entry charge> <height check>
//!     <the author's operators, with charges>
//!     <fuel> return
//!   end
//!   <fuel to its global> <a height above the limit to its global> unreachable
//! end
//! <negative fuel to its global> unreachable
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

/// Encodes local declarations: `groups` encoded ones, then one for each of `added`.
pub(super) fn declare(group_count: u32, groups: &[u8], added: &[Wasm]) -> Vec<u8> {
    let mut bytes = Vec::new();
    declare_in(&mut bytes, group_count, groups, added);
    bytes
}

/// Does what [`declare`] does in a buffer that was there.
pub(super) fn declare_in(bytes: &mut Vec<u8>, group_count: u32, groups: &[u8], added: &[Wasm]) {
    let added_count = u32::try_from(added.len()).expect("a few are added");
    (group_count + added_count).encode(bytes);
    bytes.extend_from_slice(groups);
    for local in added {
        1_u32.encode(bytes);
        local.encode(bytes);
    }
}

/// Returns what [`Writer::charge`] writes, if each number takes one byte, as almost always.
pub(super) fn short_charge(counters: Counters, cost: u32, out_of_fuel: u32) -> Option<[u8; 12]> {
    let byte = |number: u32, below: u8| u8::try_from(number).ok().filter(|byte| *byte < below);
    // A constant has a sign, which takes one bit.
    let (fuel, cost, depth) =
        (byte(counters.fuel, 0x80)?, byte(cost, 0x40)?, byte(out_of_fuel, 0x80)?);
    let (get, tee, constant, sub, less, br_if) = (0x20, 0x22, 0x42, 0x7d, 0x53, 0x0d);
    Some([get, fuel, constant, cost, sub, tee, fuel, constant, 0, less, br_if, depth])
}

/// Locals that metering adds to a function.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counters {
    /// i64: fuel that is left.
    pub(super) fuel: u32,
    /// i32: height of the stack.
    pub(super) height: u32,
}

impl Counters {
    /// Stand behind `first` parameters or locals.
    pub(super) const fn after(first: u32) -> Self {
        Self { fuel: first, height: first + 1 }
    }
}

/// Writes the sequences of one function.
pub(super) struct Writer<'a> {
    pub(super) sink: InstructionSink<'a>,
    globals: &'a Globals,
    counters: Counters,
}

impl<'a> Writer<'a> {
    pub(super) fn new(bytes: &'a mut Vec<u8>, globals: &'a Globals, counters: Counters) -> Self {
        Self { sink: InstructionSink::new(bytes), globals, counters }
    }

    /// Opens the two blocks around everything.
    pub(super) fn open_stops(&mut self) {
        self.sink.block(BlockType::Empty).block(BlockType::Empty);
    }

    /// Ends the two blocks and the function.
    ///
    /// `owed` is what was not charged yet where the height is checked.
    pub(super) fn close_stops(&mut self, owed: u32) {
        self.sink.end().local_get(self.counters.fuel);
        if owed > 0 {
            self.sink.i64_const(i64::from(owed)).i64_sub();
        }
        self.sink.global_set(self.globals.fuel);
        self.sink.i32_const((HEIGHT_MAX + 1).cast_signed()).global_set(self.globals.stack);
        self.sink.unreachable().end();
        self.close_fuel_stop();
    }

    /// Ends a function behind its block `out_of_fuel`: how far the counter is below zero does not
    /// matter.
    pub(super) fn close_fuel_stop(&mut self) {
        self.sink.i64_const(-1).global_set(self.globals.fuel).unreachable().end();
    }

    /// Charges a block: subtracts `cost` and stops where the counter goes below zero.
    ///
    /// `out_of_fuel` is the relative depth of that block.
    pub(super) fn charge(&mut self, cost: u32, out_of_fuel: u32) {
        self.sink.local_get(self.counters.fuel).i64_const(i64::from(cost)).i64_sub();
        self.settle(out_of_fuel);
    }

    /// Charges `ceil(units / 8)`, where `units` pushes an i32 that counts as unsigned.
    ///
    /// The units are below 2^32, so no step can overflow.
    pub(super) fn charge_units(
        &mut self,
        out_of_fuel: u32,
        units: impl FnOnce(&mut InstructionSink<'_>),
    ) {
        let per_fuel = i64::from(DYNAMIC_UNITS_PER_FUEL);
        let sink = &mut self.sink;
        sink.local_get(self.counters.fuel);
        units(sink);
        sink.i64_extend_i32_u().i64_const(per_fuel - 1).i64_add();
        sink.i64_const(i64::from(per_fuel.trailing_zeros())).i64_shr_u().i64_sub();
        self.settle(out_of_fuel);
    }

    /// Keeps the new counter from the operand stack and stops where it is negative.
    fn settle(&mut self, out_of_fuel: u32) {
        self.sink.local_tee(self.counters.fuel).i64_const(0).i64_lt_s().br_if(out_of_fuel);
    }

    /// Raises the height by the weight of the function and checks it.
    pub(super) fn enter(&mut self, weight: u32, too_high: u32) {
        let Self { sink, counters, .. } = self;
        sink.local_get(counters.height).i32_const(weight.cast_signed()).i32_add();
        sink.local_tee(counters.height).i32_const(HEIGHT_MAX.cast_signed()).i32_gt_u();
        sink.br_if(too_high);
    }

    /// Checks that there is room for `weight` above the height.
    pub(super) fn check(&mut self, weight: u32, too_high: u32) {
        let highest = HEIGHT_MAX.saturating_sub(weight);
        self.sink.local_get(self.counters.height).i32_const(highest.cast_signed()).i32_gt_u();
        self.sink.br_if(too_high);
    }

    /// Writes the counter to its global, where it is seen from outside.
    pub(super) fn store_fuel(&mut self) {
        self.sink.local_get(self.counters.fuel).global_set(self.globals.fuel);
    }

    /// Reads the counter from its global.
    pub(super) fn load_fuel(&mut self) {
        self.sink.global_get(self.globals.fuel).local_set(self.counters.fuel);
    }

    /// Writes the height to its global, for a function that finds it there.
    pub(super) fn store_height(&mut self) {
        self.sink.local_get(self.counters.height).global_set(self.globals.stack);
    }

    /// Reads the height from its global.
    pub(super) fn load_height(&mut self) {
        self.sink.global_get(self.globals.stack).local_set(self.counters.height);
    }

    /// Pushes both counters.
    pub(super) fn push_counters(&mut self) {
        self.sink.local_get(self.counters.fuel).local_get(self.counters.height);
    }

    /// Takes the counter that a function gave back.
    pub(super) fn take_fuel(&mut self) {
        self.sink.local_set(self.counters.fuel);
    }

    /// Pushes the counter, to be given back.
    pub(super) fn push_fuel(&mut self) {
        self.sink.local_get(self.counters.fuel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_charge_is_what_the_encoder_writes() {
        let globals = Globals::after(0);
        let edges = [0, 1, 0x3f, 0x40, 0x7f, 0x80, 0xff, 0x100];
        let mut short = 0;
        for fuel in edges {
            for cost in edges {
                for depth in edges {
                    let counters = Counters::after(fuel);
                    let mut bytes = Vec::new();
                    Writer::new(&mut bytes, &globals, counters).charge(cost, depth);
                    let found = short_charge(counters, cost, depth);
                    assert_eq!(found.is_some(), bytes.len() == 12, "{fuel} {cost} {depth}");
                    if let Some(found) = found {
                        assert_eq!(found[..], bytes, "{fuel} {cost} {depth}");
                        short += 1;
                    }
                }
            }
        }
        assert_eq!(short, 5 * 3 * 5);
    }
}
