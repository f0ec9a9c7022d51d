//! One function body: the author's bytes with charges, stack checks and edits in between.

use alloc::vec::Vec;
use wasm_encoder::{BlockType, Encode, InstructionSink};

use super::{Layout, code};
use crate::plan::{Charge, FunctionPlan};
use crate::scan::{Body, Edit, EditKind};

/// Returns the encoded body without its size.
pub(super) fn emit(
    wasm: &[u8],
    body: &Body,
    plan: &FunctionPlan,
    layout: &Layout,
    wrapper: BlockType,
) -> Vec<u8> {
    let mut bytes = locals(wasm, body, plan);
    let scratch = body.locals;
    let (entry, rest) = match plan.charges.split_first() {
        Some((first, rest)) if first.operator == 0 => (Some(first), rest),
        _ => (None, plan.charges.as_slice()),
    };
    let mut sink = InstructionSink::new(&mut bytes);
    if let Some(entry) = entry {
        code::charge(&mut sink, &layout.globals, scratch, entry.cost);
    }
    if plan.calls {
        code::enter(&mut sink, &layout.globals, plan.weight);
        sink.block(wrapper);
    } else {
        code::enter_leaf(&mut sink, &layout.globals, plan.weight);
    }
    splice(wasm, body, rest, plan.calls, layout, &mut bytes);
    if plan.calls {
        // The author's last `end` closed the wrapping block.
        let mut sink = InstructionSink::new(&mut bytes);
        code::leave(&mut sink, &layout.globals, plan.weight);
        sink.end();
    }
    bytes
}

fn locals(wasm: &[u8], body: &Body, plan: &FunctionPlan) -> Vec<u8> {
    let groups = &wasm[body.local_groups.clone()];
    if !plan.charges.is_empty() {
        return code::locals_with_scratch(body.local_group_count, groups);
    }
    let mut bytes = Vec::new();
    body.local_group_count.encode(&mut bytes);
    bytes.extend_from_slice(groups);
    bytes
}

/// Copies the operators with the charges placed and the listed operators replaced.
fn splice(
    wasm: &[u8],
    body: &Body,
    charges: &[Charge],
    wrapped: bool,
    layout: &Layout,
    bytes: &mut Vec<u8>,
) {
    let mut charges = charges.iter().peekable();
    let mut edits = body.edits.iter().peekable();
    let mut copied = body.operators.start;
    loop {
        let charge_at = charges.peek().map(|charge| charge.offset as usize);
        let edit_at = edits.peek().map(|edit| edit.operator.start);
        match (charge_at, edit_at) {
            (Some(at), edit) if edit.is_none_or(|edit| at <= edit) => {
                bytes.extend_from_slice(&wasm[copied..at]);
                copied = at;
                let cost = charges.next().map_or(0, |charge| charge.cost);
                let mut sink = InstructionSink::new(bytes);
                code::charge(&mut sink, &layout.globals, body.locals, cost);
            }
            (_, Some(at)) => {
                bytes.extend_from_slice(&wasm[copied..at]);
                copied = at;
                if let Some(edit) = edits.next() {
                    copied = replace(wasm, edit, wrapped, layout, bytes);
                }
            }
            _ => break,
        }
    }
    bytes.extend_from_slice(&wasm[copied..body.operators.end]);
}

/// Writes what stands for an edited operator and returns where the author's bytes go on.
fn replace(wasm: &[u8], edit: &Edit, wrapped: bool, layout: &Layout, bytes: &mut Vec<u8>) -> usize {
    let mut sink = InstructionSink::new(bytes);
    match edit.kind {
        EditKind::Return(depth) if wrapped => {
            sink.br(depth);
        }
        EditKind::Return(_) => bytes.extend_from_slice(&wasm[edit.operator.clone()]),
        EditKind::CallImport(import) => {
            sink.call(layout.function(import));
        }
        EditKind::Grow => {
            sink.call(layout.routines.grow());
        }
        EditKind::Fill => {
            sink.call(layout.routines.fill());
        }
        EditKind::Copy => {
            sink.call(layout.routines.copy());
        }
    }
    edit.operator.end
}
