//! What the machine shows of each step.

use kapsule_lower::Instr;
use kapsule_lower::isa::Chip;

/// The machine state at the start of one executed instruction, and the instruction.
///
/// The instruction advances the state to (pc', fp', `ts` + `chip.delta()`, `fuel_static` + `cost`,
/// pages'), which is the state of the next step, or of [`Execution`](super::Execution) if it is the
/// last one.
/// An instruction that traps is a step, with pc' = the program counter of its trap and with the
/// reads that its chip makes before the trap is found.
/// An instruction whose cost is not covered is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Program counter, at least 32.
    pub pc: u32,
    /// Address of the cell of slot 0.
    pub fp: u32,
    /// Time: 1 for the first step; access `slot` of this step happens at `ts + slot`.
    pub ts: u32,
    /// Static fuel before this instruction's cost.
    pub fuel_static: u64,
    /// Pages of linear memory before the instruction.
    pub pages: u32,
    /// The instruction.
    pub instr: Instr,
    /// The chip that takes it: [`Op::aligned_chip`](kapsule_lower::isa::Op::aligned_chip) for a
    /// load or store of 4 or 8 bytes that is aligned and inside memory, else the opcode's own.
    pub chip: Chip,
}

/// One access of a step to one cell.
///
/// Accesses come after their step, in ascending order of `slot`, which is the number `k` in the
/// table below; a number that does not occur in a step has no access.
///
/// | chip | 0 | 1 | 2 | 3 |
/// |---|---|---|---|---|
/// | `Movc` | read, unless `CONST` | write | | |
/// | `Select` | condition, fp + c1 | fp + b | fp + c0 | write fp + a |
/// | arithmetic, shifts, `Setc` | fp + b | fp + c0, unless imm. | write fp + a, unless trap | |
/// | `Cnt Ext` | fp + b | write fp + a | | |
/// | `Brc` | fp + b | fp + c0, unless an immediate form | | |
/// | `Jump` | | | | |
/// | `Brtab` | fp + b | | | |
/// | `Call` | `CALL`: write fp + W; `RET`: read fp | | | |
/// | `Calli` | fp + b | `TABLE_SIZE` | entry, unless trap 4 | write fp + W, unless trap |
/// | `Ldw` | base, fp + b | memory cell | write fp + a | |
/// | `Ldx` | base, fp + b | first cell | second cell, if two | write fp + a |
/// | `Stw` | base, fp + b | value, fp + a | memory cell, old and new | |
/// | `Stx` | base, fp + b | value, fp + a | first cell | second cell, if two |
/// | `Memg` | `MGROW`: fp + b | write fp + a | | |
/// | `Io` | `IN`: write fp + a; `OUT`: read fp + b | | | |
/// | `Chg` | fp + b | `FUEL_DYN`, unless out of fuel | | |
///
/// Arithmetic is `Alu Bit Mul Div`; a load or store that traps has no access to memory, and a load
/// that traps writes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Number of the access within its step; it happens at `ts + slot` of the step.
    pub slot: u8,
    /// Cell.
    pub addr: u32,
    /// Value before.
    pub old: u64,
    /// Value after; equal to `old` for a read.
    pub new: u64,
    /// Time of the previous access to the cell, 0 if there was none.
    pub previous: u32,
}

/// Sees every step and access of a run.
pub trait Tracer {
    /// Whether anything is seen; where it is `false`, the machine keeps no times.
    const ACTIVE: bool = true;

    /// Takes one step; its accesses follow.
    fn step(&mut self, step: &Step);

    /// Takes one access of the step that was taken last.
    fn access(&mut self, access: &Access);
}

/// Sees nothing, at no cost.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTrace;

impl Tracer for NoTrace {
    const ACTIVE: bool = false;

    #[inline(always)]
    fn step(&mut self, _: &Step) {}

    #[inline(always)]
    fn access(&mut self, _: &Access) {}
}
