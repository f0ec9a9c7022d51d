//! What the rewriting pass has to know of a body, in the order of its operators.

use core::ops::Range;
use wasmparser::Operator;

/// One place of a body at which something is added, replaced or left out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    /// Byte offset in the module.
    pub(crate) at: u32,
    /// Length of the operator there in bytes, or of what is left out.
    pub(crate) length: u32,
    pub(crate) kind: EventKind,
}

impl Event {
    pub(crate) fn new(bytes: Range<usize>, kind: EventKind) -> Self {
        // Bounded by the module limit, far below 2^32.
        let narrow = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        Self { at: narrow(bytes.start), length: narrow(bytes.len()), kind }
    }
}

/// What is at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventKind {
    /// The metering block with this index starts here.
    Block(u32),
    /// The operator here may trap, the first one since the counter last changed.
    MayTrap,
    /// `local.get` of a declared local.
    LocalGet(u32),
    /// `local.set` of a declared local.
    LocalSet(u32),
    /// `local.tee` of a declared local.
    LocalTee(u32),
    /// `call` of the function with the first number as index, inside as many open blocks as the
    /// second says.
    Call(u32, u32),
    /// `call_indirect` with this type.
    CallIndirect(u32),
    /// `return`.
    Return,
    /// `memory.grow`.
    Grow,
    /// `memory.fill`.
    Fill,
    /// `memory.copy`.
    Copy,
    /// `select`, kept apart from what computes its condition.
    Select,
    /// An operator that gets an empty block in front.
    ///
    /// `block`, `loop` or `if` with parameters, or an integer store at an offset of more than 16
    /// bits.
    Separate,
    /// Operators that control cannot reach.
    Dead,
}

/// What an operator may do besides computing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
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
    pub(crate) const fn of(operator: &Operator<'_>) -> Self {
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
