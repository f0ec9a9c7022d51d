//! Functions that metering appends: hostcall stubs, memory operators with a dynamic charge, and
//! what leads from tables and exports to the module's functions.

use alloc::vec::Vec;
use kapsule_abi::{Length, ValueType};
use wasm_encoder::{BlockType, Encode, InstructionSink};
use wasmparser::ValType;

use super::code::{Counters, Globals, Writer, declare};
use super::layout::{Bare, Passing};
use super::types::Types;
use crate::plan::StubPlan;
use crate::scan::{EventKind, Scan};

/// Which routines a module needs, with their function and type indices.
#[derive(Debug, Default)]
pub(super) struct Routines {
    grow: Option<(u32, u32)>,
    fill: Option<(u32, u32)>,
    copy: Option<(u32, u32)>,
    end: u32,
}

impl Routines {
    /// Lays out the routines that the module uses, from function index `first` on.
    pub(super) fn after(first: u32, scan: &Scan, types: &mut Types) -> Self {
        let bodies = || scan.bodies.iter().filter(|body| body.calls_routines);
        let uses = |kind| bodies().flat_map(|body| scan.events(body)).any(|e| e.kind == kind);
        let mut next = first;
        let mut place = |used: bool, params: &[ValType], results: &[ValType]| {
            used.then(|| {
                let index = next;
                next += 1;
                (index, types.add(params, results))
            })
        };
        let (i32, i64) = (ValType::I32, ValType::I64);
        let grow = place(uses(EventKind::Grow), &[i32, i64], &[i32, i64]);
        let fill = place(uses(EventKind::Fill), &[i32, i32, i32, i64], &[i64]);
        let copy = place(uses(EventKind::Copy), &[i32, i32, i32, i64], &[i64]);
        Self { grow, fill, copy, end: next }
    }

    pub(super) fn grow(&self) -> u32 {
        self.grow.expect("laid out, since an event names it").0
    }

    pub(super) fn fill(&self) -> u32 {
        self.fill.expect("laid out, since an event names it").0
    }

    pub(super) fn copy(&self) -> u32 {
        self.copy.expect("laid out, since an event names it").0
    }

    /// Returns the function index behind the routines.
    pub(super) const fn end(&self) -> u32 {
        self.end
    }

    pub(super) fn type_indices(&self) -> impl Iterator<Item = u32> {
        [self.grow, self.fill, self.copy].into_iter().flatten().map(|(_, type_index)| type_index)
    }

    /// Appends the routines to the code section in layout order.
    pub(super) fn emit(&self, section: &mut Vec<u8>, globals: &Globals) {
        if self.grow.is_some() {
            grow(globals).encode(section);
        }
        if self.fill.is_some() {
            let fill = bulk(globals, |sink| {
                sink.memory_fill(0);
            });
            fill.encode(section);
        }
        if self.copy.is_some() {
            let copy = bulk(globals, |sink| {
                sink.memory_copy(0, 0);
            });
            copy.encode(section);
        }
    }
}

/// `memory.grow`: charges 8,192 fuel a page, then grows by rule alone.
fn grow(globals: &Globals) -> Vec<u8> {
    let (pages, mut bytes) = (0, declare(0, &[], &[]));
    let mut writer = Writer::new(&mut bytes, globals, Counters::after(1));
    // Around `out_of_fuel` stands the block that the host's failure leads out of.
    writer.sink.block(BlockType::Empty).block(BlockType::Empty);
    // Pages times 65,536, modulo 2^32.
    writer.charge_units(0, |sink| {
        sink.local_get(pages).i32_const(16).i32_shl();
    });
    let sink = &mut writer.sink;
    sink.local_get(pages).global_get(globals.pages_max).memory_size(0).i32_sub().i32_gt_u();
    sink.if_(BlockType::Empty).i32_const(-1);
    writer.push_fuel();
    let sink = &mut writer.sink;
    sink.return_().end();
    sink.local_get(pages).memory_grow(0).local_tee(pages).i32_const(-1).i32_eq().br_if(1);
    sink.local_get(pages);
    writer.push_fuel();
    writer.sink.return_().end();
    writer.close_fuel_stop();
    writer.sink.i32_const(1).global_set(globals.host_short).unreachable().end();
    bytes
}

/// `memory.fill` or `memory.copy`: charges the byte count, then acts.
fn bulk(globals: &Globals, act: impl FnOnce(&mut InstructionSink<'_>)) -> Vec<u8> {
    let (count, mut bytes) = (2, declare(0, &[], &[]));
    let mut writer = Writer::new(&mut bytes, globals, Counters::after(3));
    writer.sink.block(BlockType::Empty);
    writer.charge_units(0, |sink| {
        sink.local_get(count);
    });
    writer.store_fuel();
    writer.sink.local_get(0).local_get(1).local_get(count);
    act(&mut writer.sink);
    writer.push_fuel();
    writer.sink.return_().end();
    writer.close_fuel_stop();
    bytes
}

/// The stub of import `index`: base price, height check, dynamic charges, then the import.
pub(super) fn stub(index: u32, plan: &StubPlan, globals: &Globals) -> Vec<u8> {
    let params = u32::try_from(plan.hostcall.params.len()).expect("a hostcall has few parameters");
    let mut bytes = declare(0, &[], &[]);
    let mut writer = Writer::new(&mut bytes, globals, Counters::after(params));
    writer.open_stops();
    if plan.block_cost > 0 {
        writer.charge(u32::from(plan.block_cost), 1);
    }
    writer.check(plan.weight, 0);
    if plan.fixed_units > 0 {
        writer.charge_units(1, |sink| {
            sink.i32_const(plan.fixed_units.cast_signed());
        });
    }
    if lengths(plan).next().is_some() {
        writer.charge_units(1, |sink| push_units(sink, plan));
    }
    call_import(&mut writer, index, params, globals);
    writer.sink.return_();
    writer.close_stops(0);
    bytes
}

/// Enters the host, which sees the counter and may lower it.
fn call_import(writer: &mut Writer<'_>, index: u32, params: u32, globals: &Globals) {
    writer.store_fuel();
    for param in 0..params {
        writer.sink.local_get(param);
    }
    writer.sink.call(index).global_get(globals.fuel);
}

/// The stub of an import that costs nothing.
pub(super) fn free_stub(index: u32, params: u32, passing: Passing, globals: &Globals) -> Vec<u8> {
    let mut bytes = declare(0, &[], &[]);
    let mut writer = Writer::new(&mut bytes, globals, Counters::after(params));
    match passing {
        Passing::Carried(_) => call_import(&mut writer, index, params, globals),
        Passing::Global => {
            for param in 0..params {
                writer.sink.local_get(param);
            }
            writer.sink.call(index);
        }
    }
    writer.sink.end();
    bytes
}

fn lengths(plan: &StubPlan) -> impl Iterator<Item = u32> {
    plan.hostcall.buffers().filter_map(|(_, _, length)| match length {
        Length::Param(param) => Some(u32::from(param)),
        Length::Fixed(_) => None,
    })
}

/// Pushes the i32 sum of all buffer lengths times the factor.
fn push_units(sink: &mut InstructionSink<'_>, plan: &StubPlan) {
    for (number, param) in lengths(plan).enumerate() {
        debug_assert_eq!(
            plan.hostcall.params[param as usize].value_type(),
            ValueType::I32,
            "buffer lengths are i32"
        );
        sink.local_get(param);
        if number > 0 {
            sink.i32_add();
        }
    }
    if plan.factor != 1 {
        sink.i32_const(plan.factor.cast_signed()).i32_mul();
    }
}

/// The door of a bare function: what else its callers do.
pub(super) fn door(function: u32, bare: Bare, params: u32, globals: &Globals) -> Vec<u8> {
    let mut bytes = declare(0, &[], &[]);
    let mut writer = Writer::new(&mut bytes, globals, Counters::after(params));
    writer.open_stops();
    if bare.cost > 0 {
        writer.charge(bare.cost, 1);
    }
    writer.check(bare.weight, 0);
    if bare.traps {
        writer.store_fuel();
    }
    for param in 0..params {
        writer.sink.local_get(param);
    }
    writer.sink.call(function);
    writer.push_fuel();
    writer.sink.return_();
    writer.close_stops(0);
    bytes
}

/// The gate of an exported function: carries the counters from their globals and back.
pub(super) fn gate(function: u32, params: u32, globals: &Globals) -> Vec<u8> {
    let mut bytes = declare(0, &[], &[]);
    let mut sink = InstructionSink::new(&mut bytes);
    for param in 0..params {
        sink.local_get(param);
    }
    sink.global_get(globals.fuel).global_get(globals.stack).call(function);
    sink.global_set(globals.fuel).end();
    bytes
}
