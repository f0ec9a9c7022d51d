//! What the plan has to know of an operator.

use wasmparser::{BlockType, BrTable, Operator};

use crate::tables::operator_cost;

/// One operator as the plan sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// Static cost.
    pub(super) cost: u8,
    pub(super) effect: Effect,
    pub(super) act: Act,
}

/// What an operator is, of those that the plan or the rewriting pass tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// None of the others.
    Plain,
    /// `i32.const`.
    Constant(i32),
    LocalGet(u32),
    LocalSet(u32),
    LocalTee(u32),
    Block(BlockType),
    Loop(BlockType),
    If(BlockType),
    Else,
    End,
    /// `br` to this depth.
    Branch(u32),
    /// `br_if` to this depth.
    BranchIf(u32),
    /// `br_table` with so many targets, of which the outermost has this depth.
    BranchTable {
        targets: u32,
        outermost: u32,
    },
    Return,
    Unreachable,
    Call(u32),
    CallIndirect(u32),
    Grow,
    Fill,
    Copy,
    Select,
    /// An integer store at an offset that 16 bits do not hold.
    FarStore,
}

impl Step {
    /// Returns what there is to know of an operator.
    ///
    /// The reader calls it with one kind of operator at a time, for which the compiler leaves
    /// little of it.
    #[inline(always)]
    pub(super) fn of(operator: &Operator<'_>) -> Result<Self, wasmparser::Error> {
        let (cost, effect) = (operator_cost(operator), Effect::of(operator));
        Ok(Self { cost, effect, act: Act::of(operator)? })
    }
}

impl Act {
    #[inline(always)]
    fn of(operator: &Operator<'_>) -> Result<Self, wasmparser::Error> {
        use Operator as O;
        Ok(match operator {
            O::I32Const { value } => Self::Constant(*value),
            O::LocalGet { local_index } => Self::LocalGet(*local_index),
            O::LocalSet { local_index } => Self::LocalSet(*local_index),
            O::LocalTee { local_index } => Self::LocalTee(*local_index),
            O::Block { blockty } => Self::Block(*blockty),
            O::Loop { blockty } => Self::Loop(*blockty),
            O::If { blockty } => Self::If(*blockty),
            O::Else => Self::Else,
            O::End => Self::End,
            O::Br { relative_depth } => Self::Branch(*relative_depth),
            O::BrIf { relative_depth } => Self::BranchIf(*relative_depth),
            O::BrTable { targets } => Self::branch_table(targets)?,
            O::Return => Self::Return,
            O::Unreachable => Self::Unreachable,
            O::Call { function_index } => Self::Call(*function_index),
            O::CallIndirect { type_index, .. } => Self::CallIndirect(*type_index),
            O::MemoryGrow { .. } => Self::Grow,
            O::MemoryFill { .. } => Self::Fill,
            O::MemoryCopy { .. } => Self::Copy,
            O::Select => Self::Select,
            O::I32Store { memarg }
            | O::I32Store8 { memarg }
            | O::I32Store16 { memarg }
            | O::I64Store { memarg }
            | O::I64Store8 { memarg }
            | O::I64Store16 { memarg }
            | O::I64Store32 { memarg }
                if memarg.offset > u64::from(u16::MAX) =>
            {
                Self::FarStore
            }
            _ => Self::Plain,
        })
    }

    fn branch_table(targets: &BrTable<'_>) -> Result<Self, wasmparser::Error> {
        let mut outermost = targets.default();
        for target in targets.targets() {
            outermost = outermost.max(target?);
        }
        Ok(Self::BranchTable { targets: targets.len(), outermost })
    }
}

/// What an operator may do besides computing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing.
    None,
    /// It may trap, and may write memory.
    Trap,
    /// It changes a global.
    Global,
    /// It enters a function, which may change the counter.
    Call,
    /// It enters a function after it may have trapped.
    TrapOrCall,
    /// It may leave the block.
    Branch,
}

impl Effect {
    /// Returns what an operator of a profile may do.
    #[inline]
    const fn of(operator: &Operator<'_>) -> Self {
        use Operator as O;
        match operator {
            O::Call { .. } | O::MemoryGrow { .. } | O::MemoryFill { .. } | O::MemoryCopy { .. } => {
                Self::Call
            }
            O::CallIndirect { .. } => Self::TrapOrCall,
            O::GlobalSet { .. } => Self::Global,
            O::Br { .. } | O::BrIf { .. } | O::BrTable { .. } | O::Return => Self::Branch,
            _ if traps(operator) => Self::Trap,
            _ => Self::None,
        }
    }
}

/// Tells the operators that may trap by themselves.
#[inline]
const fn traps(operator: &Operator<'_>) -> bool {
    use Operator as O;
    matches!(
        operator,
        O::Unreachable
            | O::I32DivS
            | O::I32DivU
            | O::I32RemS
            | O::I32RemU
            | O::I64DivS
            | O::I64DivU
            | O::I64RemS
            | O::I64RemU
            | O::I32TruncF32S
            | O::I32TruncF32U
            | O::I32TruncF64S
            | O::I32TruncF64U
            | O::I64TruncF32S
            | O::I64TruncF32U
            | O::I64TruncF64S
            | O::I64TruncF64U
            | O::I32Load { .. }
            | O::I64Load { .. }
            | O::F32Load { .. }
            | O::F64Load { .. }
            | O::I32Load8S { .. }
            | O::I32Load8U { .. }
            | O::I32Load16S { .. }
            | O::I32Load16U { .. }
            | O::I64Load8S { .. }
            | O::I64Load8U { .. }
            | O::I64Load16S { .. }
            | O::I64Load16U { .. }
            | O::I64Load32S { .. }
            | O::I64Load32U { .. }
            | O::I32Store { .. }
            | O::I64Store { .. }
            | O::F32Store { .. }
            | O::F64Store { .. }
            | O::I32Store8 { .. }
            | O::I32Store16 { .. }
            | O::I64Store8 { .. }
            | O::I64Store16 { .. }
            | O::I64Store32 { .. }
    )
}
