//! One function body: the author's bytes with charges, stack checks and edits in between.

use alloc::vec::Vec;
use wasm_encoder::{BlockType, InstructionSink};

use super::Layout;
use super::code::{Scratch, Writer};
use crate::plan::FunctionPlan;
use crate::scan::{Body, Edit, EditKind};

/// Returns the encoded body without its size.
pub(super) fn emit(
    wasm: &[u8],
    body: &Body,
    plan: &FunctionPlan,
    layout: &Layout,
    wrapper: BlockType,
) -> Vec<u8> {
    let groups = &wasm[body.local_groups.clone()];
    let mut bytes = Scratch::declare(body.local_group_count, groups);
    let scratch = Scratch::after(body.locals);
    let mut writer = Writer::new(&mut bytes, &layout.globals, scratch);
    writer.open_stop();
    let entry = plan.charges.first().filter(|charge| charge.operator == 0);
    if let Some(entry) = entry {
        writer.charge(entry.cost, 0);
    }
    if plan.calls {
        writer.enter(plan.weight);
    } else {
        writer.enter_leaf(plan.weight);
    }
    writer.sink.block(wrapper);
    let placed = usize::from(entry.is_some());
    splice(wasm, body, placed, layout, &mut bytes);
    // The author's last `end` closed the block `body`.
    let mut writer = Writer::new(&mut bytes, &layout.globals, scratch);
    if plan.calls {
        writer.leave(plan.weight);
    }
    writer.close_stop();
    bytes
}

/// Copies the operators with the charges from `placed` on and the listed operators replaced.
fn splice(wasm: &[u8], body: &Body, placed: usize, layout: &Layout, bytes: &mut Vec<u8>) {
    let charges = body.plan.charges.iter().zip(&body.charge_depths);
    let mut charges = charges.skip(placed).peekable();
    let mut edits = body.edits.iter().peekable();
    let mut copied = body.operators.start;
    loop {
        let charge_at = charges.peek().map(|(charge, _)| charge.offset as usize);
        let edit_at = edits.peek().map(|edit| edit.operator.start);
        let Some(at) = charge_at.into_iter().chain(edit_at).min() else { break };
        bytes.extend_from_slice(&wasm[copied..at]);
        copied = at;
        // A charge stands before the operator, so it goes first where both are at one place.
        if let Some((charge, depth)) = charges.next_if(|_| charge_at == Some(at)) {
            let mut writer = Writer::new(bytes, &layout.globals, Scratch::after(body.locals));
            // The block `body` lies between the author's blocks and `stop`.
            writer.charge(charge.cost, depth + 1);
        } else if let Some(edit) = edits.next() {
            replace(wasm, edit, layout, bytes);
            copied = edit.operator.end;
        }
    }
    bytes.extend_from_slice(&wasm[copied..body.operators.end]);
}

/// Writes what stands for an edited operator.
fn replace(wasm: &[u8], edit: &Edit, layout: &Layout, bytes: &mut Vec<u8>) {
    let mut sink = InstructionSink::new(bytes);
    match edit.kind {
        // The label of the function is that of the block `body`, which ends in `leave`.
        EditKind::Return(depth) => sink.br(depth),
        EditKind::CallImport(import) => sink.call(layout.function(import)),
        EditKind::Grow => sink.call(layout.routines.grow()),
        EditKind::Fill => sink.call(layout.routines.fill()),
        EditKind::Copy => sink.call(layout.routines.copy()),
        // The interpreter (wasmi 2.0.0) merges `i32.eqz`, `i32.eq` or `i32.ne` with a `select`
        // that follows and then reads the condition from where it was never put; a `drop` between
        // them ends the merging, and costs nothing on any backend.
        EditKind::Select => sink.i32_const(0).drop().select(),
        // The interpreter moves its operands out of registers and locals where a block without
        // parameters opens. It forgets to where one with parameters does, and its compiler panics
        // at a store whose address and value share a register and whose offset is long; an empty
        // block in front makes it do so.
        EditKind::Separate => sink.block(BlockType::Empty).end(),
    };
    if edit.kind == EditKind::Separate {
        bytes.extend_from_slice(&wasm[edit.operator.clone()]);
    }
}
