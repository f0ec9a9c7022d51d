//! Which writes of the counter are left out, and where one is put in instead.

use core::ops::Range;

use wasmparser::Operator;

use super::{Edit, Put};

/// How an operator can end a run, or show the counter in another way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It cannot.
    Computes,
    /// By an access outside of the memory, and in no other way.
    Accesses,
    /// By a call of this function.
    Calls(u32),
    /// By another trap.
    Traps,
}

impl Kind {
    pub(super) fn of(operator: &Operator<'_>) -> Self {
        use Operator as Op;
        match operator {
            Op::Call { function_index } => Self::Calls(*function_index),
            Op::Unreachable | Op::CallIndirect { .. } => Self::Traps,
            Op::MemoryFill { .. } | Op::MemoryCopy { .. } => Self::Traps,
            Op::I32DivS | Op::I32DivU | Op::I32RemS | Op::I32RemU => Self::Traps,
            Op::I64DivS | Op::I64DivU | Op::I64RemS | Op::I64RemU => Self::Traps,
            Op::I32TruncF32S | Op::I32TruncF32U | Op::I32TruncF64S | Op::I32TruncF64U => {
                Self::Traps
            }
            Op::I64TruncF32S | Op::I64TruncF32U | Op::I64TruncF64S | Op::I64TruncF64U => {
                Self::Traps
            }
            Op::I32Load { .. } | Op::I64Load { .. } | Op::F32Load { .. } | Op::F64Load { .. } => {
                Self::Accesses
            }
            Op::I32Load8S { .. } | Op::I32Load8U { .. } => Self::Accesses,
            Op::I32Load16S { .. } | Op::I32Load16U { .. } => Self::Accesses,
            Op::I64Load8S { .. } | Op::I64Load8U { .. } => Self::Accesses,
            Op::I64Load16S { .. } | Op::I64Load16U { .. } => Self::Accesses,
            Op::I64Load32S { .. } | Op::I64Load32U { .. } => Self::Accesses,
            Op::I32Store { .. } | Op::I64Store { .. } => Self::Accesses,
            Op::F32Store { .. } | Op::F64Store { .. } => Self::Accesses,
            Op::I32Store8 { .. } | Op::I32Store16 { .. } => Self::Accesses,
            Op::I64Store8 { .. } | Op::I64Store16 { .. } | Op::I64Store32 { .. } => Self::Accesses,
            _ => Self::Computes,
        }
    }
}

/// Follows one body.
///
/// A write that is left out is owed: it is made up for before the next operator that could show
/// the counter.
/// Metering writes the counter anew wherever control can come from elsewhere, so what is owed is
/// known from the order of the operators alone; a write too many changes nothing.
pub(super) struct Writing {
    /// Global of the counter.
    fuel: u32,
    /// Local of the counter.
    counter: u32,
    /// The locals that the last two operators pushed, the later one first, and where.
    pushed: [Option<(u32, usize)>; 2],
    /// Where the last two operators wrote the counter to its global.
    write: Option<Range<usize>>,
    owed: bool,
}

impl Writing {
    pub(super) fn new(fuel: u32, counter: u32) -> Self {
        Self { fuel, counter, pushed: [None; 2], write: None, owed: false }
    }

    /// Takes the next operator; `hides` tells that it can show the counter only by an access
    /// outside of the memory.
    pub(super) fn step(
        &mut self,
        operator: &Operator<'_>,
        range: Range<usize>,
        hides: bool,
    ) -> Option<Edit> {
        let start = range.start;
        let edit = match self.write.take() {
            Some(range) if hides => {
                self.owed = true;
                Some(Edit { range, put: Put::Nothing })
            }
            Some(_) => {
                self.owed = false;
                None
            }
            None if self.owed && !hides && self.shows(operator) => {
                self.owed = false;
                Some(Edit { range: start..start, put: Put::Write })
            }
            None => None,
        };
        self.push(operator, range);
        edit
    }

    fn push(&mut self, operator: &Operator<'_>, range: Range<usize>) {
        if let (Operator::GlobalSet { global_index }, Some((_, start))) = (operator, self.pushed[0])
        {
            self.write = (*global_index == self.fuel).then_some(start..range.end);
        }
        let pushed = match operator {
            Operator::LocalGet { local_index } => Some((*local_index, range.start)),
            _ => None,
        };
        self.pushed = [pushed, self.pushed[0]];
    }

    /// Tells whether an operator shows the counter in its global.
    ///
    /// A call that passes fuel and height on does not: the function called keeps its own counter.
    fn shows(&self, operator: &Operator<'_>) -> bool {
        let [height, fuel] = self.pushed.map(|pushed| pushed.map(|(local, _)| local));
        match Kind::of(operator) {
            Kind::Calls(_) => fuel != Some(self.counter) || height != Some(self.counter + 1),
            Kind::Traps => true,
            Kind::Accesses | Kind::Computes => false,
        }
    }
}
