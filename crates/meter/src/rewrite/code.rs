//! The instruction sequences that metering is made of.

use alloc::vec::Vec;
use wasm_encoder::{
    BlockType, ConstExpr, GlobalSection, GlobalType, InstructionSink, ValType as Wasm,
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

/// Charges a block: subtracts `cost`, and stops where the counter goes below zero.
pub(super) fn charge(sink: &mut InstructionSink<'_>, globals: &Globals, scratch: u32, cost: u8) {
    sink.global_get(globals.fuel).i64_const(i64::from(cost)).i64_sub();
    settle(sink, globals, scratch);
}

/// Charges `ceil(units / 8)`, with the i64 units on the operand stack.
///
/// The units are below 2^32, so no step can overflow.
pub(super) fn charge_units(sink: &mut InstructionSink<'_>, globals: &Globals, scratch: u32) {
    let per_fuel = i64::from(DYNAMIC_UNITS_PER_FUEL);
    sink.i64_const(per_fuel - 1).i64_add();
    sink.i64_const(i64::from(per_fuel.trailing_zeros())).i64_shr_u();
    sink.local_set(scratch);
    sink.global_get(globals.fuel).local_get(scratch).i64_sub();
    settle(sink, globals, scratch);
}

/// Stores the new counter from the operand stack and stops where it is negative.
fn settle(sink: &mut InstructionSink<'_>, globals: &Globals, scratch: u32) {
    sink.local_tee(scratch).global_set(globals.fuel);
    sink.local_get(scratch).i64_const(0).i64_lt_s();
    stop_if(sink);
}

/// Ends the run where the i32 on the operand stack is not zero.
///
/// The engine tells the reasons apart by the added globals.
fn stop_if(sink: &mut InstructionSink<'_>) {
    sink.if_(BlockType::Empty).unreachable().end();
}

/// Enters a function that calls others: raises the height and checks it.
pub(super) fn enter(sink: &mut InstructionSink<'_>, globals: &Globals, weight: u32) {
    sink.global_get(globals.stack).i32_const(weight.cast_signed()).i32_add();
    sink.global_set(globals.stack);
    sink.global_get(globals.stack).i32_const(HEIGHT_MAX.cast_signed()).i32_gt_u();
    stop_if(sink);
}

/// Leaves a function that calls others.
pub(super) fn leave(sink: &mut InstructionSink<'_>, globals: &Globals, weight: u32) {
    sink.global_get(globals.stack).i32_const(weight.cast_signed()).i32_sub();
    sink.global_set(globals.stack);
}

/// Enters a function that calls nothing: the height is checked, and raised only to mark failure.
pub(super) fn enter_leaf(sink: &mut InstructionSink<'_>, globals: &Globals, weight: u32) {
    let highest = HEIGHT_MAX.saturating_sub(weight);
    sink.global_get(globals.stack).i32_const(highest.cast_signed()).i32_gt_u();
    sink.if_(BlockType::Empty);
    sink.i32_const((HEIGHT_MAX + 1).cast_signed()).global_set(globals.stack);
    sink.unreachable().end();
}

/// Adds one declared i64 local to an encoded list of local groups.
pub(super) fn locals_with_scratch(group_count: u32, groups: &[u8]) -> Vec<u8> {
    use wasm_encoder::Encode;
    let mut bytes = Vec::new();
    (group_count + 1).encode(&mut bytes);
    bytes.extend_from_slice(groups);
    1_u32.encode(&mut bytes);
    Wasm::I64.encode(&mut bytes);
    bytes
}
