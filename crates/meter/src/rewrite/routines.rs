//! Functions that metering appends: hostcall stubs, and memory operators with a dynamic charge.

use alloc::vec::Vec;
use kapsule_abi::{Length, ValueType};
use wasm_encoder::{BlockType, CodeSection, InstructionSink};
use wasmparser::ValType;

use super::code::{Globals, Scratch, Writer};
use super::types::Types;
use crate::plan::StubPlan;
use crate::scan::{EditKind, Scan};

/// Which routines a module needs, with their function and type indices.
#[derive(Debug, Default)]
pub(super) struct Routines {
    grow: Option<(u32, u32)>,
    fill: Option<(u32, u32)>,
    copy: Option<(u32, u32)>,
}

impl Routines {
    /// Lays out the routines that the module's edits name, from function index `first` on.
    pub(super) fn after(first: u32, scan: &Scan, types: &mut Types) -> Self {
        let uses = |kind| scan.bodies.iter().flat_map(|body| &body.edits).any(|e| e.kind == kind);
        let mut next = first;
        let mut place = |used: bool, params: &[ValType], results: &[ValType]| {
            used.then(|| {
                let index = next;
                next += 1;
                (index, types.intern(params, results))
            })
        };
        let i32 = ValType::I32;
        Self {
            grow: place(uses(EditKind::Grow), &[i32], &[i32]),
            fill: place(uses(EditKind::Fill), &[i32, i32, i32], &[]),
            copy: place(uses(EditKind::Copy), &[i32, i32, i32], &[]),
        }
    }

    pub(super) fn grow(&self) -> u32 {
        self.grow.expect("laid out, since an edit names it").0
    }

    pub(super) fn fill(&self) -> u32 {
        self.fill.expect("laid out, since an edit names it").0
    }

    pub(super) fn copy(&self) -> u32 {
        self.copy.expect("laid out, since an edit names it").0
    }

    pub(super) fn type_indices(&self) -> impl Iterator<Item = u32> {
        [self.grow, self.fill, self.copy].into_iter().flatten().map(|(_, type_index)| type_index)
    }

    /// Appends the routines to the code section in layout order.
    pub(super) fn emit(&self, section: &mut CodeSection, globals: &Globals) {
        if self.grow.is_some() {
            section.raw(&grow(globals));
        }
        if self.fill.is_some() {
            section.raw(&bulk(globals, |sink| {
                sink.memory_fill(0);
            }));
        }
        if self.copy.is_some() {
            section.raw(&bulk(globals, |sink| {
                sink.memory_copy(0, 0);
            }));
        }
    }
}

/// `memory.grow`: charges 8,192 fuel a page, then grows by rule alone.
fn grow(globals: &Globals) -> Vec<u8> {
    let (pages, mut bytes) = (0, Scratch::declare(0, &[]));
    let mut writer = Writer::new(&mut bytes, globals, Scratch::after(1));
    writer.open_stop();
    // Pages times 65,536, modulo 2^32.
    writer.sink.local_get(pages).i32_const(16).i32_shl().i64_extend_i32_u();
    writer.charge_units(0);
    let sink = &mut writer.sink;
    sink.local_get(pages).global_get(globals.pages_max).memory_size(0).i32_sub().i32_gt_u();
    sink.if_(BlockType::Empty).i32_const(-1).return_().end();
    sink.local_get(pages).memory_grow(0).local_tee(pages);
    sink.i32_const(-1).i32_eq();
    sink.if_(BlockType::Empty).i32_const(1).global_set(globals.host_short).br(1).end();
    sink.local_get(pages);
    writer.close_stop();
    bytes
}

/// `memory.fill` or `memory.copy`: charges the byte count, then acts.
fn bulk(globals: &Globals, act: impl FnOnce(&mut InstructionSink<'_>)) -> Vec<u8> {
    let (count, mut bytes) = (2, Scratch::declare(0, &[]));
    let mut writer = Writer::new(&mut bytes, globals, Scratch::after(3));
    writer.open_stop();
    writer.sink.local_get(count).i64_extend_i32_u();
    writer.charge_units(0);
    writer.sink.local_get(0).local_get(1).local_get(count);
    act(&mut writer.sink);
    writer.close_stop();
    bytes
}

/// The stub of import `index`: base price, stack check, dynamic charges, then the import.
pub(super) fn stub(index: u32, plan: &StubPlan, globals: &Globals) -> Vec<u8> {
    let params = u32::try_from(plan.hostcall.params.len()).expect("a hostcall has few parameters");
    let mut bytes = Scratch::declare(0, &[]);
    let mut writer = Writer::new(&mut bytes, globals, Scratch::after(params));
    writer.open_stop();
    if plan.block_cost > 0 {
        writer.charge(plan.block_cost, 0);
    }
    writer.enter_leaf(plan.weight);
    if plan.fixed_units > 0 {
        writer.sink.i64_const(i64::from(plan.fixed_units));
        writer.charge_units(0);
    }
    if push_units(&mut writer.sink, plan) {
        writer.sink.i64_extend_i32_u();
        writer.charge_units(0);
    }
    for param in 0..params {
        writer.sink.local_get(param);
    }
    writer.sink.call(index);
    writer.close_stop();
    bytes
}

/// Pushes the i32 sum of all buffer lengths times the factor; returns whether there is any.
fn push_units(sink: &mut InstructionSink<'_>, plan: &StubPlan) -> bool {
    let lengths = plan.hostcall.buffers().filter_map(|(_, _, length)| match length {
        Length::Param(param) => Some(u32::from(param)),
        Length::Fixed(_) => None,
    });
    let mut terms = 0_u32;
    for param in lengths {
        debug_assert_eq!(
            plan.hostcall.params[param as usize].value_type(),
            ValueType::I32,
            "buffer lengths are i32"
        );
        sink.local_get(param);
        if terms > 0 {
            sink.i32_add();
        }
        terms += 1;
    }
    if terms > 0 && plan.factor != 1 {
        sink.i32_const(plan.factor.cast_signed()).i32_mul();
    }
    terms > 0
}
