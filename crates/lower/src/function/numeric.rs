//! Relations, conditions and arithmetic with one constant operand.

use super::{Function, Operand};
use crate::isa::Op;

/// The second operand of an instruction that has a register and an immediate form.
#[derive(Clone, Copy, Debug)]
pub(super) enum Second {
    Slot(u32),
    Imm(u64),
}

/// A relation of two operands, in order of the opcode numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    Eq,
    Ne,
    LtU,
    GeU,
    LtS32,
    GeS32,
    LtS64,
    GeS64,
}

/// Opcodes of a relation: set, set with immediate, branch, branch with immediate.
const RELATIONS: [(Relation, [Op; 4]); 8] = [
    (Relation::Eq, [Op::Seq, Op::SeqI, Op::Beq, Op::BeqI]),
    (Relation::Ne, [Op::Sne, Op::SneI, Op::Bne, Op::BneI]),
    (Relation::LtU, [Op::SltU, Op::SltUI, Op::BltU, Op::BltUI]),
    (Relation::GeU, [Op::SgeU, Op::SgeUI, Op::BgeU, Op::BgeUI]),
    (Relation::LtS32, [Op::SltS32, Op::SltS32I, Op::BltS32, Op::BltS32I]),
    (Relation::GeS32, [Op::SgeS32, Op::SgeS32I, Op::BgeS32, Op::BgeS32I]),
    (Relation::LtS64, [Op::SltS64, Op::SltS64I, Op::BltS64, Op::BltS64I]),
    (Relation::GeS64, [Op::SgeS64, Op::SgeS64I, Op::BgeS64, Op::BgeS64I]),
];

impl Relation {
    /// Returns the relation that holds exactly where this one does not.
    pub(super) const fn inverted(self) -> Self {
        match self {
            Self::Eq => Self::Ne,
            Self::Ne => Self::Eq,
            Self::LtU => Self::GeU,
            Self::GeU => Self::LtU,
            Self::LtS32 => Self::GeS32,
            Self::GeS32 => Self::LtS32,
            Self::LtS64 => Self::GeS64,
            Self::GeS64 => Self::LtS64,
        }
    }

    const fn opcodes(self) -> [Op; 4] {
        RELATIONS[self as usize].1
    }

    fn set(self, y: Second) -> (Op, u64) {
        let [register, immediate, ..] = self.opcodes();
        choose(register, immediate, y)
    }

    pub(super) fn branch(self, y: Second) -> (Op, u64) {
        let [.., register, immediate] = self.opcodes();
        choose(register, immediate, y)
    }

    /// Returns the relation that an instruction sets an operand to, and whether with an immediate.
    fn of(op: Op) -> Option<(Self, bool)> {
        RELATIONS.into_iter().find_map(|(relation, [register, immediate, ..])| match op {
            _ if op == register => Some((relation, false)),
            _ if op == immediate => Some((relation, true)),
            _ => None,
        })
    }

    /// Returns the greatest constant `c` for which `c + 1` is not `c + 1` in this order, as a
    /// zero-extended operand, and a mask of the operand's width.
    const fn greatest(self, wide: bool) -> (u64, u64) {
        let mask = if wide { u64::MAX } else { u32::MAX as u64 };
        match self {
            Self::LtS32 | Self::GeS32 | Self::LtS64 | Self::GeS64 => (mask >> 1, mask),
            _ => (mask, mask),
        }
    }
}

const fn choose(register: Op, immediate: Op, y: Second) -> (Op, u64) {
    match y {
        Second::Slot(slot) => (register, slot as u64),
        Second::Imm(value) => (immediate, value),
    }
}

/// What a branch depends on: a relation between a slot and a second operand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Condition {
    pub(super) relation: Relation,
    pub(super) x: u32,
    pub(super) y: Second,
}

impl Condition {
    pub(super) const fn inverted(self) -> Self {
        Self { relation: self.relation.inverted(), ..self }
    }
}

/// How a comparison of the source is written with the relations that exist.
#[derive(Clone, Copy, Debug)]
pub(super) enum Compare {
    /// x R y.
    As(Relation),
    /// y R x: `gt` is `lt` and `le` is `ge` with the operands exchanged.
    Swapped(Relation),
}

impl Function<'_> {
    /// Pops two operands for an instruction that takes a slot and a slot.
    fn pop_slots(&mut self) -> (u32, u32) {
        let y = self.pop_slot();
        let x = self.pop_slot();
        (x, y)
    }

    /// Pops the highest operand if it is a constant.
    fn pop_const(&mut self) -> Option<u64> {
        let Operand::Const(value) = self.stack.at(self.stack.height() - 1) else { return None };
        self.stack.pop();
        Some(value)
    }

    /// An instruction without immediate form.
    pub(super) fn binary(&mut self, op: Op) {
        let (x, y) = self.pop_slots();
        self.produce(op, x, u64::from(y));
    }

    /// An instruction whose second operand may be a constant, adjusted by `adjust`.
    pub(super) fn binary_imm(&mut self, register: Op, immediate: Op, adjust: fn(u64) -> u64) {
        match self.pop_const() {
            Some(value) => {
                let x = self.pop_slot();
                self.produce(immediate, x, adjust(value));
            }
            None => self.binary(register),
        }
    }

    /// An instruction either of whose operands may be a constant.
    pub(super) fn commutative(&mut self, register: Op, immediate: Op) {
        let height = self.stack.height();
        let (x, y) = (self.stack.at(height - 2), self.stack.at(height - 1));
        match (x, y) {
            (Operand::Const(value), Operand::Own(_) | Operand::Local(_) | Operand::Result(_)) => {
                let y = self.pop_slot();
                self.stack.pop();
                self.produce(immediate, y, value);
            }
            _ => self.binary_imm(register, immediate, |value| value),
        }
    }

    /// A subtraction: of a constant as an addition, from a constant as a reverse subtraction.
    pub(super) fn subtract(&mut self, ops: [Op; 3], negate: fn(u64) -> u64) {
        let [register, add_immediate, reverse_immediate] = ops;
        let height = self.stack.height();
        match (self.stack.at(height - 2), self.stack.at(height - 1)) {
            (_, Operand::Const(_)) => self.binary_imm(register, add_immediate, negate),
            (Operand::Const(value), _) => {
                let y = self.pop_slot();
                self.stack.pop();
                self.produce(reverse_immediate, y, value);
            }
            _ => self.binary(register),
        }
    }

    pub(super) fn unary(&mut self, op: Op) {
        let x = self.pop_slot();
        self.produce(op, x, 0);
    }

    /// A comparison; `wide` says that its operands are i64.
    pub(super) fn compare(&mut self, compare: Compare, wide: bool) {
        let height = self.stack.height();
        let (x, y) = (self.stack.at(height - 2), self.stack.at(height - 1));
        let (relation, swapped) = match compare {
            Compare::As(relation) => (relation, false),
            Compare::Swapped(relation) => (relation, true),
        };
        // In the order of the relation, `left R right`.
        let (left, right) = if swapped { (y, x) } else { (x, y) };
        let symmetric = matches!(relation, Relation::Eq | Relation::Ne);
        let plan = match (left, right) {
            (_, Operand::Const(value)) => Some((relation, value, !swapped)),
            (Operand::Const(value), _) if symmetric => Some((relation, value, swapped)),
            // c < y is y >= c + 1, and c >= y is y < c + 1.
            (Operand::Const(value), _) => {
                let (greatest, mask) = relation.greatest(wide);
                (value != greatest)
                    .then(|| (relation.inverted(), value.wrapping_add(1) & mask, swapped))
            }
            _ => None,
        };
        match plan {
            Some((relation, value, constant_on_top)) => {
                let slot = self.pop_beside(constant_on_top);
                let (op, c) = relation.set(Second::Imm(value));
                self.produce(op, slot, c);
            }
            None => {
                let (x, y) = self.pop_slots();
                let (left, right) = if swapped { (y, x) } else { (x, y) };
                let (op, c) = relation.set(Second::Slot(right));
                self.produce(op, left, c);
            }
        }
    }

    /// Pops a constant and what stands beside it, and returns the slot of the latter.
    fn pop_beside(&mut self, constant_on_top: bool) -> u32 {
        if constant_on_top {
            self.stack.pop();
            return self.pop_slot();
        }
        let slot = self.pop_slot();
        self.stack.pop();
        slot
    }

    /// Compares the highest operand with zero; of a fresh comparison this is the inverse.
    pub(super) fn eqz(&mut self) {
        let operand = self.stack.at(self.stack.height() - 1);
        let fuse = self.passes.fuse;
        if let Some(instr) = self.fresh(operand).filter(|_| fuse)
            && let Some((relation, immediate)) = Relation::of(instr.op)
        {
            let [register, with_immediate, ..] = relation.inverted().opcodes();
            instr.op = if immediate { with_immediate } else { register };
            return;
        }
        let x = self.pop_slot();
        self.produce(Op::SeqI, x, 0);
    }

    /// Pops an i32 as the condition of a branch; a fresh comparison becomes the branch itself.
    pub(super) fn condition(&mut self) -> Condition {
        let operand = self.stack.at(self.stack.height() - 1);
        let fuse = self.passes.fuse;
        let fused = self.fresh(operand).filter(|_| fuse).and_then(|instr| {
            let (relation, immediate) = Relation::of(instr.op)?;
            let y = match immediate {
                true => Second::Imm(instr.imm()),
                false => Second::Slot(instr.low()),
            };
            Some(Condition { relation, x: instr.b, y })
        });
        if let Some(condition) = fused {
            self.code.unemit();
            self.stack.pop();
            return condition;
        }
        let x = self.pop_slot();
        Condition { relation: Relation::Ne, x, y: Second::Imm(0) }
    }
}
