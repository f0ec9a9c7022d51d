//! Structured control: constructs, branches, calls and returns.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use wasmparser::{BlockType, BrTable};

use super::{Frame, FrameKind, Function, NOWHERE, Operand, local_slot, pair};
use crate::LowerError;
use crate::code::Target;
use crate::function::numeric::Condition;
use crate::isa::{Op, trap_pc};

/// Slot in which a function leaves its first result.
const RESULT_SLOT: u32 = 1;

/// Where a branch leads.
#[derive(Clone, Copy)]
enum Exit {
    /// To a label, which finds its operands from this height on.
    Label(crate::code::Label, u32),
    /// Out of the function.
    Return,
}

impl Function<'_> {
    /// Opens a construct whose parameters are the highest operands.
    pub(super) fn open(&mut self, kind: FrameKind, params: u32, results: u32) {
        let frame = Frame {
            kind,
            live: self.live,
            height: self.stack.height().saturating_sub(params),
            params,
            results,
            label: self.code.label(),
            joined: false,
            assigned: self.assigned.all(),
            before: self.assigned.clone(),
        };
        self.frames.push(frame);
    }

    /// Returns parameters and results of a construct.
    pub(super) fn arity(&self, block: BlockType) -> (u32, u32) {
        match block {
            BlockType::Empty => (0, 0),
            BlockType::Type(_) => (0, 1),
            BlockType::FuncType(index) => {
                let kind = &self.module.types[index as usize];
                (kind.params().len() as u32, kind.results().len() as u32)
            }
        }
    }

    pub(super) fn begin_loop(&mut self, (params, results): (u32, u32)) {
        self.settle_all();
        self.open(FrameKind::Loop, params, results);
        self.bind(self.frames.last().map(|frame| frame.label));
    }

    pub(super) fn begin_if(&mut self, (params, results): (u32, u32)) {
        let condition = self.condition();
        self.settle_all();
        let other = self.code.label();
        self.branch_if(condition.inverted(), Target::Label(other));
        self.open(FrameKind::If(other), params, results);
    }

    /// Opens a construct that control cannot reach; only its nesting counts.
    pub(super) fn open_dead(&mut self, kind: FrameKind) {
        self.open(kind, 0, 0);
    }

    pub(super) fn begin_else(&mut self) {
        let Some(mut frame) = self.frames.pop() else { return };
        if let FrameKind::If(other) = frame.kind {
            if self.live {
                self.settle_all();
                frame.assigned.join(&self.assigned);
                frame.joined = true;
                self.code.jump(Op::Jmp, Target::Label(frame.label), 0, 0);
            }
            self.bind(Some(other));
            self.assigned = frame.before.clone();
            self.enter(frame.height, frame.params);
        }
        self.live = frame.live;
        frame.kind = FrameKind::Else;
        self.frames.push(frame);
    }

    pub(super) fn end(&mut self) {
        let Some(mut frame) = self.frames.pop() else { return };
        if !frame.live {
            return;
        }
        if frame.kind == FrameKind::Function {
            if self.live {
                self.leave();
            }
            return;
        }
        let joins = frame.joined || matches!(frame.kind, FrameKind::If(_));
        if self.live && !joins {
            return;
        }
        if self.live {
            self.settle_all();
            frame.assigned.join(&self.assigned);
        }
        if let FrameKind::If(other) = frame.kind {
            self.code.settle();
            frame.assigned.join(&frame.before);
            self.bind(Some(other));
        }
        // Without a way here, nothing that follows runs, and what is assumed of it is harmless.
        let reached = self.live || joins;
        self.assigned = if reached { frame.assigned } else { frame.before };
        self.bind(frame.joined.then_some(frame.label));
        self.enter(frame.height, frame.results);
        self.live = true;
    }

    /// Continues with this many operands in their own slots above `height`.
    fn enter(&mut self, height: u32, count: u32) {
        self.stack.truncate(height);
        for _ in 0..count {
            self.stack.push(Operand::Own(NOWHERE));
        }
    }

    /// Places a label here, so that earlier instructions are no longer changed.
    fn bind(&mut self, label: Option<crate::code::Label>) {
        if let Some(label) = label {
            self.code.bind(label);
            self.barrier = self.code.here();
        }
    }

    /// Returns where a branch to the construct `depth` levels out leads, and how many operands it
    /// takes along.
    fn exit(&mut self, depth: u32) -> (Exit, u32) {
        let index = self.frames.len() - 1 - depth as usize;
        let frame = &mut self.frames[index];
        match frame.kind {
            FrameKind::Function => (Exit::Return, frame.results),
            FrameKind::Loop => (Exit::Label(frame.label, frame.height), frame.params),
            FrameKind::Block | FrameKind::If(_) | FrameKind::Else => {
                frame.joined = true;
                frame.assigned.join(&self.assigned);
                (Exit::Label(frame.label, frame.height), frame.results)
            }
        }
    }

    /// Tells whether the highest `count` operands are where an exit expects them.
    fn in_place(&self, exit: Exit, count: u32) -> bool {
        let base = self.stack.height() - count;
        match exit {
            Exit::Return => false,
            Exit::Label(_, height) => (0..count).all(|index| {
                height == base && matches!(self.stack.at(base + index), Operand::Own(_))
            }),
        }
    }

    /// Takes the highest `count` operands along and goes to an exit; the stack is left as it is.
    fn go(&mut self, exit: Exit, count: u32) {
        let base = self.stack.height() - count;
        match exit {
            Exit::Label(label, height) => {
                for index in 0..count {
                    let slot = self.own(height + index);
                    self.copy(self.stack.at(base + index), base + index, slot);
                }
                self.code.jump(Op::Jmp, Target::Label(label), 0, 0);
            }
            Exit::Return if count == 1 && self.passes.retarget => {
                let operand = self.stack.at(base);
                match self.fresh(operand) {
                    Some(producer) => producer.a = RESULT_SLOT,
                    None => self.copy(operand, base, RESULT_SLOT),
                }
                self.emit(Op::Ret, 0, 0, 0);
            }
            Exit::Return => {
                let moved = self.clear_results(base, count);
                for (operand, index) in moved.into_iter().zip(0..) {
                    self.copy(operand, base + index, RESULT_SLOT + index);
                }
                self.emit(Op::Ret, 0, 0, 0);
            }
        }
    }

    /// Returns the highest operands, those that a result would overwrite moved away.
    ///
    /// Results are written in ascending order; operands in their own slots lie above all that were
    /// written before them, but a local may lie below.
    fn clear_results(&mut self, base: u32, count: u32) -> Vec<Operand> {
        let mut operands: Vec<Operand> =
            (0..count).map(|index| self.stack.at(base + index)).collect();
        for (index, operand) in (0..count).zip(&mut operands) {
            if matches!(*operand, Operand::Local(local) if local < index) {
                let own = self.own(base + index);
                self.copy(*operand, base + index, own);
                *operand = Operand::Own(NOWHERE);
            }
        }
        operands
    }

    pub(super) fn br(&mut self, depth: u32) {
        let (exit, count) = self.exit(depth);
        self.go(exit, count);
        self.live = false;
    }

    pub(super) fn br_if(&mut self, depth: u32) {
        let condition = self.condition();
        let (exit, count) = self.exit(depth);
        match exit {
            Exit::Label(label, _) if self.in_place(exit, count) => {
                self.branch_if(condition, Target::Label(label));
            }
            _ => {
                let on = self.code.label();
                self.branch_if(condition.inverted(), Target::Label(on));
                self.go(exit, count);
                self.bind(Some(on));
            }
        }
        if count > 0 {
            // Both ways read the operands from where they are.
            self.barrier = self.code.here();
        }
    }

    pub(super) fn br_table(&mut self, table: &BrTable<'_>) -> Result<(), LowerError> {
        let index = self.pop_slot();
        let rows = self.code.label();
        self.code.jump(Op::Brtab, Target::Label(rows), index, u64::from(table.len()));
        self.code.bind(rows);
        let mut far = BTreeMap::new();
        for depth in table.targets().chain(core::iter::once(Ok(table.default()))) {
            let depth = depth?;
            let (exit, count) = self.exit(depth);
            let label = match exit {
                Exit::Label(label, _) if self.in_place(exit, count) => label,
                _ => *far.entry(depth).or_insert_with(|| self.code.label()),
            };
            self.code.jump(Op::Jmp, Target::Label(label), 0, 0);
            self.check_length()?;
        }
        for (depth, label) in far {
            self.code.bind(label);
            let (exit, count) = self.exit(depth);
            self.go(exit, count);
            self.check_length()?;
        }
        self.live = false;
        Ok(())
    }

    /// Returns from the function with the highest operands.
    pub(super) fn leave(&mut self) {
        self.go(Exit::Return, self.results);
        self.live = false;
    }

    pub(super) fn unreachable(&mut self) {
        self.code.jump(Op::Jmp, Target::Pc(trap_pc(kapsule_abi::Trap::Unreachable)), 0, 0);
        self.live = false;
    }

    pub(super) fn call(&mut self, function: u32) {
        let kind = self.module.function_type(function);
        let (params, results) = (kind.params().len() as u32, kind.results().len() as u32);
        self.pass(params);
        let frame = u64::from(self.weight) << 32;
        self.code.jump(Op::Call, Target::Function(function), 0, frame);
        self.receive(results);
    }

    pub(super) fn call_indirect(&mut self, type_index: u32) {
        let module = self.module;
        let kind = &module.types[type_index as usize];
        let (params, results) = (kind.params().len() as u32, kind.results().len() as u32);
        let top = self.stack.height() - 1;
        if matches!(self.stack.at(top), Operand::Result(_)) {
            self.settle_result(top);
        }
        let index = self.pop_slot();
        self.pass(params);
        let frame = u64::from(self.weight) << 32;
        self.emit(Op::Calli, module.canonical[type_index as usize], index, frame);
        self.receive(results);
    }

    /// Emits a branch that is taken under a condition.
    fn branch_if(&mut self, condition: Condition, target: Target) {
        let Condition { relation, x, y } = condition;
        let (op, c) = relation.branch(y);
        self.code.jump(op, target, x, c);
    }

    /// Calls a routine of the runtime with the highest three operands.
    pub(super) fn call_routine(&mut self, routine: crate::code::Routine) {
        self.pass(3);
        let frame = u64::from(self.weight) << 32;
        self.code.jump(Op::Call, Target::Routine(routine), 0, frame);
        self.receive(0);
    }

    /// `memory.grow`: the dynamic charge of 8,192 fuel a page, then growth.
    pub(super) fn grow(&mut self) {
        self.settle_results(self.stack.height());
        let pages = self.pop_slot();
        let units = self.outgoing_slot(0);
        self.emit(Op::Shl32I, units, pages, 16);
        self.emit(Op::Charge, 0, units, 0);
        self.produce(Op::Mgrow, pages, u64::from(self.pages_max));
        self.outgoing = self.code.here();
    }

    /// Reads a declared local or parameter as the second operand of `select` and its like.
    pub(super) fn select(&mut self) {
        let condition = self.pop_slot();
        let y = self.pop_slot();
        let x = self.pop_slot();
        self.produce(Op::Select, x, pair(y, condition));
    }
}

const _: () = assert!(local_slot(0) == 1, "slot 0 holds the linkage");
