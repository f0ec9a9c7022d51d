//! Instructions as the interpreter reads them: 16 bytes each, every field at a fixed place.

use kapsule_lower::isa::{Op, PC_CODE};
use kapsule_lower::{Instr, LProgram};

/// One decoded instruction.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(16))]
pub(super) struct Decoded {
    pub(super) op: Op,
    pub(super) cost: u8,
    a_low: u16,
    /// Field `b` in the low 24 bits, the rest of `a` in the high 8.
    b_and_a_high: u32,
    pub(super) imm: u64,
}

const _: () = assert!(size_of::<Decoded>() == 16);

/// Bits of the fields `a` and `b`.
const FIELD_MASK: u32 = (1 << 24) - 1;

impl Decoded {
    fn new(instr: &Instr) -> Self {
        let [low0, low1, high, _] = instr.a.to_le_bytes();
        Self {
            op: instr.op,
            cost: instr.cost,
            a_low: u16::from_le_bytes([low0, low1]),
            b_and_a_high: instr.b & FIELD_MASK | u32::from(high) << 24,
            imm: instr.imm(),
        }
    }

    #[inline(always)]
    pub(super) const fn a(&self) -> u32 {
        self.a_low as u32 | self.b_and_a_high >> 24 << 16
    }

    #[inline(always)]
    pub(super) const fn b(&self) -> u32 {
        self.b_and_a_high & FIELD_MASK
    }

    /// Returns `c0` as a slot.
    #[inline(always)]
    pub(super) const fn c0(&self) -> u32 {
        self.imm as u32 & 0xffff
    }

    /// Returns `c1` as a slot.
    #[inline(always)]
    pub(super) const fn c1(&self) -> u32 {
        self.imm as u32 >> 16
    }

    /// Returns `c0` and `c1` as one number.
    #[inline(always)]
    pub(super) const fn low(&self) -> u32 {
        self.imm as u32
    }

    /// Returns `c2` and `c3` as one number.
    #[inline(always)]
    pub(super) const fn high(&self) -> u32 {
        (self.imm >> 32) as u32
    }

    pub(super) fn instr(&self) -> Instr {
        Instr {
            op: self.op,
            a: self.a(),
            b: self.b(),
            c: kapsule_lower::limbs(self.imm),
            cost: self.cost,
        }
    }
}

/// Decodes a program, with a place for each program counter from 0.
///
/// The places below the first code are never read: the interpreter stops there.
pub(super) fn decode(program: &LProgram) -> Vec<Decoded> {
    let stop = Instr { op: Op::Nop, a: 0, b: 0, c: [0; 4], cost: 0 };
    let stops = core::iter::repeat_n(&stop, PC_CODE as usize);
    stops.chain(&program.code).map(Decoded::new).collect()
}
