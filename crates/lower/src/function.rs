//! Lowers one function in one pass over its operators.
//!
//! Operands stay where they are as long as possible (`stack`), and only what computes, branches or
//! accesses memory emits code.
//! A control join finds every live operand in its own slot.

mod assigned;
mod control;
mod numeric;
mod operators;
mod stack;

use alloc::vec::Vec;

use kapsule_meter::{Charge, FunctionPlan};
use wasmparser::{FunctionBody, ValType};

use crate::code::{Code, Label};
use crate::isa::{A, CODE_MAX, Op};
use crate::module::Module;
use crate::{Instr, LowerError, Passes, Reason};

use assigned::Assigned;
use stack::{NOWHERE, Operand, Stack};

/// A function that is being lowered.
struct Function<'a> {
    module: &'a Module<'a>,
    passes: Passes,
    /// Memory maximum in force.
    pages_max: u32,
    params: u32,
    locals: u32,
    results: u32,
    weight: u32,
    code: Code,
    stack: Stack,
    frames: Vec<Frame>,
    /// Whether control can reach the next operator, by structure alone; the plan has the same rule.
    live: bool,
    charges: core::iter::Peekable<core::slice::Iter<'a, Charge>>,
    /// Index of the next operator.
    operator: u32,
    /// First instruction that may still be changed: nothing jumps behind an earlier one.
    barrier: u32,
    /// First instruction of the current metering block.
    block: u32,
    /// First instruction that may write an argument early: no later one enters a function or reads
    /// the slots behind the frame.
    outgoing: u32,
    assigned: Assigned,
    needs_zero: Assigned,
}

/// An open construct.
struct Frame {
    kind: FrameKind,
    /// Whether control can reach its start.
    live: bool,
    /// Operands below it.
    height: u32,
    params: u32,
    results: u32,
    /// Where branches to it go.
    label: Label,
    /// Whether a branch goes to the label at its end.
    joined: bool,
    /// What was set wherever a branch to its end started.
    assigned: Assigned,
    /// What was set at its start.
    before: Assigned,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FrameKind {
    Function,
    Block,
    Loop,
    /// The arm that the condition leads to; the label is where the other one starts.
    If(Label),
    Else,
}

/// Lowers the defined function number `index`, counted from the first that is not imported.
pub(crate) fn lower(
    module: &Module<'_>,
    index: usize,
    plan: &FunctionPlan,
    pages_max: u32,
    passes: Passes,
) -> Result<Code, LowerError> {
    let body = &module.bodies[index];
    let function = module.imports as usize + index;
    let kind = &module.types[module.functions[function] as usize];
    let params = kind.params().len() as u32;
    let locals = params + declared(body)?;
    let mut lowering = Function {
        module,
        passes,
        pages_max,
        params,
        locals,
        results: kind.results().len() as u32,
        weight: plan.weight,
        code: Code::default(),
        stack: Stack::new(locals),
        frames: Vec::new(),
        live: true,
        charges: plan.charges.iter().peekable(),
        operator: 0,
        barrier: 0,
        block: 0,
        outgoing: 0,
        assigned: Assigned::none(locals),
        needs_zero: Assigned::none(locals),
    };
    let first = lowering.charges.next_if(|charge| charge.operator == 0);
    lowering.open(FrameKind::Function, 0, lowering.results);
    for operator in body.get_operators_reader()? {
        lowering.step(&operator?)?;
    }
    let prologue = lowering.prologue(first.map_or(0, |charge| charge.cost));
    let mut code = lowering.code;
    code.prepend(&prologue);
    Ok(code)
}

fn declared(body: &FunctionBody<'_>) -> Result<u32, LowerError> {
    let mut total = 0;
    for group in body.get_locals_reader()? {
        let (count, _): (u32, ValType) = group?;
        total += count;
    }
    Ok(total)
}

impl Function<'_> {
    /// Returns what stands in front of the body: the stack check, and zeros.
    fn prologue(&self, cost: u8) -> Vec<Instr> {
        let enter = Instr { op: Op::Enter, a: self.weight, b: 0, c: [0; 4], cost };
        let zeroed = (self.params..self.locals)
            .filter(|local| !self.passes.zero_init || self.needs_zero.contains(*local));
        let zeros = zeroed.map(|local| {
            let a = local_slot(local);
            Instr { op: Op::Const, a, b: 0, c: [0; 4], cost: 0 }
        });
        core::iter::once(enter).chain(zeros).collect()
    }

    /// Returns the slot that belongs to the operand at `height`.
    const fn own(&self, height: u32) -> u32 {
        1 + self.locals + height
    }

    /// Returns the slot of argument or result `index` of a function that this one calls.
    const fn outgoing_slot(&self, index: u32) -> u32 {
        self.weight + 1 + index
    }

    fn emit(&mut self, op: Op, a: u32, b: u32, c: u64) {
        self.code.emit(op, a, b, c);
    }

    /// Emits an instruction that computes the operand at the next height, and pushes it.
    fn produce(&mut self, op: Op, b: u32, c: u64) {
        let position = self.code.here();
        self.emit(op, self.own(self.stack.height()), b, c);
        self.stack.push(Operand::Own(position));
    }

    /// Copies an operand of `height` to a slot, unless it is there.
    fn copy(&mut self, operand: Operand, height: u32, slot: u32) {
        self.note_read(operand);
        match operand {
            Operand::Const(value) => self.emit(Op::Const, slot, 0, value),
            _ => {
                let from = self.place(operand, height);
                if from != slot {
                    self.emit(Op::Mov, slot, from, 0);
                }
            }
        }
    }

    /// Returns the slot where an operand is; a constant is put into its own.
    fn place(&mut self, operand: Operand, height: u32) -> u32 {
        match operand {
            Operand::Const(value) => {
                let own = self.own(height);
                self.emit(Op::Const, own, 0, value);
                own
            }
            Operand::Local(local) => local_slot(local),
            Operand::Result(slot) => slot,
            Operand::Own(_) => self.own(height),
        }
    }

    /// Keeps arguments from being written early into a slot that is read here or later.
    fn note_read(&mut self, operand: Operand) {
        if matches!(operand, Operand::Result(_)) {
            self.outgoing = self.code.here();
        }
    }

    /// Pops the highest operand and returns the slot where it is.
    fn pop_slot(&mut self) -> u32 {
        let operand = self.stack.pop();
        let slot = self.place(operand, self.stack.height());
        self.note_read(operand);
        slot
    }

    /// Brings every operand into its own slot.
    fn settle_all(&mut self) {
        for (height, operand) in self.stack.settle_all() {
            let own = self.own(height);
            self.copy(operand, height, own);
        }
    }

    /// Brings the results below `height` into their own slots.
    fn settle_results(&mut self, height: u32) {
        for result in self.stack.results_below(height) {
            self.settle_result(result);
        }
    }

    fn settle_result(&mut self, height: u32) {
        let (operand, own, position) = (self.stack.at(height), self.own(height), self.code.here());
        self.copy(operand, height, own);
        self.stack.settle_result(height, position);
    }

    /// Pushes something that is in no slot of its own yet, or puts it there if folding is off.
    fn push_folded(&mut self, operand: Operand) {
        if self.passes.fold {
            self.stack.push(operand);
            return;
        }
        let (height, position) = (self.stack.height(), self.code.here());
        let own = self.own(height);
        self.copy(operand, height, own);
        self.stack.push(Operand::Own(position));
    }

    /// Returns the last instruction if it computed an operand and may still be changed.
    fn fresh(&mut self, operand: Operand) -> Option<&mut Instr> {
        let Operand::Own(position) = operand else { return None };
        let last = position != NOWHERE && position + 1 == self.code.here();
        let open = position >= self.barrier.max(self.block);
        (last && open).then(|| self.code.at(position))
    }

    fn local_get(&mut self, local: u32) {
        if local >= self.params && !self.assigned.contains(local) {
            self.needs_zero.insert(local);
        }
        self.push_folded(Operand::Local(local));
    }

    /// Sets a local to the highest operand, which is popped, and returns where its value is now.
    fn local_set(&mut self, local: u32) -> Operand {
        let operand = self.stack.pop();
        let height = self.stack.height();
        self.assigned.insert(local);
        if operand == Operand::Local(local) {
            return operand;
        }
        let aliases = self.stack.take_aliases(local);
        for alias in &aliases {
            let own = self.own(*alias);
            self.emit(Op::Mov, own, local_slot(local), 0);
        }
        let retarget = self.passes.retarget && aliases.is_empty();
        match self.fresh(operand).filter(|_| retarget) {
            Some(producer) => producer.a = local_slot(local),
            None => self.copy(operand, height, local_slot(local)),
        }
        match operand {
            Operand::Const(_) | Operand::Local(_) => operand,
            Operand::Result(_) | Operand::Own(_) => Operand::Local(local),
        }
    }

    fn local_tee(&mut self, local: u32) {
        let operand = self.local_set(local);
        self.push_folded(operand);
    }

    /// Brings the highest operands into the slots behind the frame, as arguments of a call, and
    /// pops them.
    ///
    /// An instruction that computed an argument writes it there at once, if nothing was called and
    /// nothing was read from there since.
    fn pass(&mut self, count: u32) {
        let base = self.stack.height() - count;
        self.settle_results(base);
        for index in 0..count {
            let in_place = Operand::Result(self.outgoing_slot(index));
            let operand = self.stack.at(base + index);
            if matches!(operand, Operand::Result(_)) && operand != in_place {
                self.settle_result(base + index);
            }
        }
        for index in 0..count {
            let (height, slot) = (base + index, self.outgoing_slot(index));
            let operand = self.stack.at(height);
            if !self.write_early(operand, height, slot) && operand != Operand::Result(slot) {
                self.copy(operand, height, slot);
            }
        }
        self.stack.truncate(base);
    }

    fn write_early(&mut self, operand: Operand, height: u32, slot: u32) -> bool {
        let Operand::Own(position) = operand else { return false };
        let open = position != NOWHERE && position >= self.barrier.max(self.outgoing);
        let own = self.own(height);
        if !self.passes.retarget || !open {
            return false;
        }
        let producer = self.code.at(position);
        let writes = producer.op.form().0 == A::Dest && producer.a == own;
        if writes {
            producer.a = slot;
        }
        writes
    }

    /// Pushes the results that a function left behind the frame.
    fn receive(&mut self, count: u32) {
        self.outgoing = self.code.here();
        for index in 0..count {
            let slot = self.outgoing_slot(index);
            // A slot of the second operand has 16 bits.
            if self.passes.fold && slot <= u32::from(u16::MAX) {
                self.stack.push(Operand::Result(slot));
            } else {
                let own = self.own(self.stack.height());
                self.emit(Op::Mov, own, slot, 0);
                self.outgoing = self.code.here();
                self.stack.push(Operand::Own(self.code.here() - 1));
            }
        }
    }

    /// Starts the metering block that begins with the operator at hand, if one does.
    fn enter_block(&mut self) {
        let operator = self.operator;
        if let Some(charge) = self.charges.next_if(|charge| charge.operator == operator) {
            self.code.settle();
            self.code.charge(charge.cost);
            self.block = self.code.here();
        }
    }

    fn check_length(&self) -> Result<(), LowerError> {
        if self.code.here() > CODE_MAX {
            let detail = alloc::format!("a function takes more than {CODE_MAX} instructions");
            return Err(LowerError::unprovable(Reason::TooLarge, detail));
        }
        Ok(())
    }
}

/// Returns the slot of a parameter or declared local.
const fn local_slot(local: u32) -> u32 {
    1 + local
}

/// Returns `c0` and `c1` as the field `c` holds them.
const fn pair(c0: u32, c1: u32) -> u64 {
    c0 as u64 | (c1 as u64) << 16
}
