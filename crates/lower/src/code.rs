//! A piece of code under construction, with jumps that are not placed yet.

use alloc::vec::Vec;

use crate::isa::{A, Op};
use crate::{Instr, limbs};

/// Where a jump goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A place in the same piece.
    Label(Label),
    /// A function of the function index space, or the stub in its place.
    Function(u32),
    /// A routine of the runtime.
    Routine(Routine),
    /// A fixed program counter.
    Pc(u32),
}

/// A place in a piece of code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Label(u32);

/// Lowered code that every program carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Routine {
    /// `memory.fill`.
    Fill,
    /// `memory.copy`.
    Copy,
    /// Writes bytes of memory as transcript words.
    Out,
    /// Reads transcript words into memory.
    In,
}

impl Routine {
    pub(crate) const ALL: [Self; 4] = [Self::Fill, Self::Copy, Self::Out, Self::In];
}

/// A piece of code.
#[derive(Debug, Default)]
pub(crate) struct Code {
    instrs: Vec<Instr>,
    /// Position of each label, once bound.
    labels: Vec<u32>,
    /// Instructions whose field `a` is a target.
    jumps: Vec<(u32, Target)>,
    /// Static cost that the next instruction takes.
    pending: u8,
}

const UNBOUND: u32 = u32::MAX;

impl Code {
    /// Returns the position of the next instruction.
    pub(crate) fn here(&self) -> u32 {
        // Bounded by `CODE_MAX` before it gets near the end of the type.
        u32::try_from(self.instrs.len()).unwrap_or(u32::MAX)
    }

    /// Lets the next instruction carry this cost.
    pub(crate) const fn charge(&mut self, cost: u8) {
        self.pending = cost;
    }

    /// Emits a `NOP` if a cost is waiting for an instruction.
    pub(crate) fn settle(&mut self) {
        if self.pending > 0 {
            self.emit(Op::Nop, 0, 0, 0);
        }
    }

    /// Appends an instruction; `c` holds all four limbs.
    pub(crate) fn emit(&mut self, op: Op, a: u32, b: u32, c: u64) {
        let cost = core::mem::take(&mut self.pending);
        self.instrs.push(Instr { op, a, b, c: limbs(c), cost });
    }

    /// Appends an instruction whose field `a` is a target.
    pub(crate) fn jump(&mut self, op: Op, target: Target, b: u32, c: u64) {
        debug_assert_eq!(op.form().0, A::Target);
        self.jumps.push((self.here(), target));
        self.emit(op, 0, b, c);
    }

    pub(crate) fn label(&mut self) -> Label {
        self.labels.push(UNBOUND);
        Label(u32::try_from(self.labels.len() - 1).unwrap_or(u32::MAX))
    }

    /// Places a label here; a waiting cost belongs to what runs into it.
    pub(crate) fn bind(&mut self, label: Label) {
        self.settle();
        self.labels[label.0 as usize] = self.here();
    }

    /// Returns the instruction at a position.
    pub(crate) fn at(&mut self, position: u32) -> &mut Instr {
        &mut self.instrs[position as usize]
    }

    /// Takes the last instruction back; its cost waits again.
    pub(crate) fn unemit(&mut self) -> Option<Instr> {
        let last = self.instrs.pop()?;
        self.pending += last.cost;
        Some(last)
    }

    /// Puts these instructions in front.
    pub(crate) fn prepend(&mut self, front: &[Instr]) {
        let by = u32::try_from(front.len()).unwrap_or(u32::MAX);
        self.instrs.splice(0..0, front.iter().copied());
        self.labels.iter_mut().filter(|label| **label != UNBOUND).for_each(|label| *label += by);
        self.jumps.iter_mut().for_each(|(position, _)| *position += by);
    }

    /// Returns the instructions as they stand at program counter `base`, with label jumps and
    /// return addresses placed, and the jumps that leave the piece.
    pub(crate) fn place(mut self, base: u32) -> (Vec<Instr>, Vec<(u32, Target)>) {
        let mut open = Vec::new();
        for (position, target) in self.jumps {
            match target {
                Target::Label(label) => {
                    self.instrs[position as usize].a = base + self.labels[label.0 as usize];
                }
                Target::Pc(pc) => self.instrs[position as usize].a = pc,
                Target::Function(_) | Target::Routine(_) => open.push((base + position, target)),
            }
        }
        for (pc, instr) in (base..).zip(&mut self.instrs) {
            if matches!(instr.op, Op::Call | Op::Calli) {
                let frame = u64::from(instr.high());
                instr.c = limbs(frame << 32 | u64::from(pc + 1));
            }
        }
        (self.instrs, open)
    }
}
