//! One operator at a time.

use alloc::format;

use wasmparser::{MemArg, Operator};

use super::numeric::{Compare, Relation};
use super::{FrameKind, Function, Operand};
use crate::code::Routine;
use crate::isa::{GLOBALS, Op};
use crate::{LowerError, Reason};

impl Function<'_> {
    /// Takes the next operator.
    pub(super) fn step(&mut self, operator: &Operator<'_>) -> Result<(), LowerError> {
        if self.live {
            self.enter_block();
            self.live_operator(operator)?;
            self.check_length()?;
        } else {
            self.dead_operator(operator);
        }
        self.operator += 1;
        Ok(())
    }

    /// Follows the structure of operators that control cannot reach.
    fn dead_operator(&mut self, operator: &Operator<'_>) {
        match operator {
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => {
                self.open_dead(FrameKind::Block);
            }
            Operator::Else => self.begin_else(),
            Operator::End => self.end(),
            _ => {}
        }
    }

    fn live_operator(&mut self, operator: &Operator<'_>) -> Result<(), LowerError> {
        use Operator as O;
        match operator {
            O::Nop => {}
            O::Unreachable => self.unreachable(),
            O::Block { blockty } => {
                self.settle_all();
                let (params, results) = self.arity(*blockty);
                self.open(FrameKind::Block, params, results);
            }
            O::Loop { blockty } => self.begin_loop(self.arity(*blockty)),
            O::If { blockty } => self.begin_if(self.arity(*blockty)),
            O::Else => self.begin_else(),
            O::End => self.end(),
            O::Br { relative_depth } => self.br(*relative_depth),
            O::BrIf { relative_depth } => self.br_if(*relative_depth),
            O::BrTable { targets } => self.br_table(targets)?,
            O::Return => self.leave(),
            O::Call { function_index } => self.call(*function_index),
            O::CallIndirect { type_index, .. } => self.call_indirect(*type_index),
            O::Drop => {
                self.stack.pop();
            }
            O::Select => self.select(),
            O::LocalGet { local_index } => self.local_get(*local_index),
            O::LocalSet { local_index } => {
                self.local_set(*local_index);
            }
            O::LocalTee { local_index } => self.local_tee(*local_index),
            O::GlobalGet { global_index } => self.produce(Op::Gget, GLOBALS + global_index, 0),
            O::GlobalSet { global_index } => {
                let value = self.pop_slot();
                self.emit(Op::Gset, GLOBALS + global_index, value, 0);
            }
            O::MemorySize { .. } => self.produce(Op::Msize, 0, 0),
            O::MemoryGrow { .. } => self.grow(),
            O::MemoryFill { .. } => self.call_routine(Routine::Fill),
            O::MemoryCopy { .. } => self.call_routine(Routine::Copy),
            O::I32Const { value } => {
                self.push_folded(Operand::Const(u64::from(value.cast_unsigned())));
            }
            O::I64Const { value } => self.push_folded(Operand::Const(value.cast_unsigned())),
            _ => return self.value_operator(operator),
        }
        Ok(())
    }

    /// Operators that access memory or compute.
    fn value_operator(&mut self, operator: &Operator<'_>) -> Result<(), LowerError> {
        if let Some((op, memarg)) = load(operator) {
            let base = self.pop_slot();
            self.produce(op, base, memarg.offset);
        } else if let Some((op, memarg)) = store(operator) {
            let value = self.pop_slot();
            let base = self.pop_slot();
            self.emit(op, value, base, memarg.offset);
        } else if let Some(op) = unary(operator) {
            self.unary(op);
        } else if let Some(op) = division(operator) {
            self.binary(op);
        } else if let Some((compare, wide)) = comparison(operator) {
            self.compare(compare, wide);
        } else if let Some((register, immediate)) = commutative(operator) {
            self.commutative(register, immediate);
        } else if let Some((register, immediate, adjust)) = shift(operator) {
            self.binary_imm(register, immediate, adjust);
        } else {
            return self.other_operator(operator);
        }
        Ok(())
    }

    fn other_operator(&mut self, operator: &Operator<'_>) -> Result<(), LowerError> {
        use Operator as O;
        match operator {
            O::I32Sub => {
                let ops = [Op::Sub32, Op::Add32I, Op::Rsub32I];
                self.subtract(ops, |value| value.wrapping_neg() & u64::from(u32::MAX));
            }
            O::I64Sub => {
                self.subtract([Op::Sub64, Op::Add64I, Op::Rsub64I], u64::wrapping_neg);
            }
            O::I32Eqz | O::I64Eqz => self.eqz(),
            // An i32 is zero-extended already.
            O::I64ExtendI32U => {}
            _ => {
                let name = format!("{operator:?}");
                let name = name.split([' ', '{']).next().unwrap_or_default();
                let detail = format!("operator {name} has no lowering");
                return Err(LowerError::unprovable(Reason::Feature("unknown"), detail));
            }
        }
        Ok(())
    }
}

fn load<'o>(operator: &'o Operator<'_>) -> Option<(Op, &'o MemArg)> {
    use Operator as O;
    Some(match operator {
        O::I32Load8U { memarg } | O::I64Load8U { memarg } => (Op::Ld8U, memarg),
        O::I32Load8S { memarg } => (Op::Ld8S32, memarg),
        O::I64Load8S { memarg } => (Op::Ld8S64, memarg),
        O::I32Load16U { memarg } | O::I64Load16U { memarg } => (Op::Ld16U, memarg),
        O::I32Load16S { memarg } => (Op::Ld16S32, memarg),
        O::I64Load16S { memarg } => (Op::Ld16S64, memarg),
        O::I32Load { memarg } | O::I64Load32U { memarg } => (Op::Ld32U, memarg),
        O::I64Load32S { memarg } => (Op::Ld32S64, memarg),
        O::I64Load { memarg } => (Op::Ld64, memarg),
        _ => return None,
    })
}

fn store<'o>(operator: &'o Operator<'_>) -> Option<(Op, &'o MemArg)> {
    use Operator as O;
    Some(match operator {
        O::I32Store8 { memarg } | O::I64Store8 { memarg } => (Op::St8, memarg),
        O::I32Store16 { memarg } | O::I64Store16 { memarg } => (Op::St16, memarg),
        O::I32Store { memarg } | O::I64Store32 { memarg } => (Op::St32, memarg),
        O::I64Store { memarg } => (Op::St64, memarg),
        _ => return None,
    })
}

const fn unary(operator: &Operator<'_>) -> Option<Op> {
    use Operator as O;
    Some(match operator {
        O::I32Clz => Op::Clz32,
        O::I32Ctz => Op::Ctz32,
        O::I32Popcnt => Op::Pop32,
        O::I64Clz => Op::Clz64,
        O::I64Ctz => Op::Ctz64,
        O::I64Popcnt => Op::Pop64,
        O::I32Extend8S => Op::Ext8S32,
        O::I32Extend16S => Op::Ext16S32,
        O::I64Extend8S => Op::Ext8S64,
        O::I64Extend16S => Op::Ext16S64,
        O::I64Extend32S | O::I64ExtendI32S => Op::Ext32S64,
        O::I32WrapI64 => Op::Wrap,
        _ => return None,
    })
}

const fn division(operator: &Operator<'_>) -> Option<Op> {
    use Operator as O;
    Some(match operator {
        O::I32DivS => Op::DivS32,
        O::I32DivU => Op::DivU32,
        O::I32RemS => Op::RemS32,
        O::I32RemU => Op::RemU32,
        O::I64DivS => Op::DivS64,
        O::I64DivU => Op::DivU64,
        O::I64RemS => Op::RemS64,
        O::I64RemU => Op::RemU64,
        _ => return None,
    })
}

const fn commutative(operator: &Operator<'_>) -> Option<(Op, Op)> {
    use Operator as O;
    Some(match operator {
        O::I32Add => (Op::Add32, Op::Add32I),
        O::I64Add => (Op::Add64, Op::Add64I),
        O::I32Mul => (Op::Mul32, Op::Mul32I),
        O::I64Mul => (Op::Mul64, Op::Mul64I),
        O::I32And | O::I64And => (Op::And, Op::AndI),
        O::I32Or | O::I64Or => (Op::Or, Op::OrI),
        O::I32Xor | O::I64Xor => (Op::Xor, Op::XorI),
        _ => return None,
    })
}

type Shift = (Op, Op, fn(u64) -> u64);

/// A right rotation by a constant is a left one by the rest of the width.
fn shift(operator: &Operator<'_>) -> Option<Shift> {
    use Operator as O;
    let narrow = |amount: u64| amount % 32;
    let wide = |amount: u64| amount % 64;
    Some(match operator {
        O::I32Shl => (Op::Shl32, Op::Shl32I, narrow),
        O::I64Shl => (Op::Shl64, Op::Shl64I, wide),
        O::I32ShrU => (Op::ShrU32, Op::ShrU32I, narrow),
        O::I64ShrU => (Op::ShrU64, Op::ShrU64I, wide),
        O::I32ShrS => (Op::ShrS32, Op::ShrS32I, narrow),
        O::I64ShrS => (Op::ShrS64, Op::ShrS64I, wide),
        O::I32Rotl => (Op::Rotl32, Op::Rotl32I, narrow),
        O::I64Rotl => (Op::Rotl64, Op::Rotl64I, wide),
        O::I32Rotr => (Op::Rotr32, Op::Rotl32I, |amount| (32 - amount % 32) % 32),
        O::I64Rotr => (Op::Rotr64, Op::Rotl64I, |amount| (64 - amount % 64) % 64),
        _ => return None,
    })
}

const fn comparison(operator: &Operator<'_>) -> Option<(Compare, bool)> {
    use Compare::{As, Swapped};
    use Operator as O;
    use Relation as R;
    Some(match operator {
        O::I32Eq => (As(R::Eq), false),
        O::I32Ne => (As(R::Ne), false),
        O::I32LtU => (As(R::LtU), false),
        O::I32GeU => (As(R::GeU), false),
        O::I32GtU => (Swapped(R::LtU), false),
        O::I32LeU => (Swapped(R::GeU), false),
        O::I32LtS => (As(R::LtS32), false),
        O::I32GeS => (As(R::GeS32), false),
        O::I32GtS => (Swapped(R::LtS32), false),
        O::I32LeS => (Swapped(R::GeS32), false),
        O::I64Eq => (As(R::Eq), true),
        O::I64Ne => (As(R::Ne), true),
        O::I64LtU => (As(R::LtU), true),
        O::I64GeU => (As(R::GeU), true),
        O::I64GtU => (Swapped(R::LtU), true),
        O::I64LeU => (Swapped(R::GeU), true),
        O::I64LtS => (As(R::LtS64), true),
        O::I64GeS => (As(R::GeS64), true),
        O::I64GtS => (Swapped(R::LtS64), true),
        O::I64LeS => (Swapped(R::GeS64), true),
        _ => return None,
    })
}
