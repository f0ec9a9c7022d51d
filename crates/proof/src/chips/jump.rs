//! `JUMP`: `JMP`, `NOP`, `ENTER`.
//!
//! # Argument
//! `ENTER` goes on exactly if fp + a <= `STACK_END`: `slack` is the distance from the limit, on the
//! side that `fits` claims, and has 22 bits, which a negative distance has not, as fp and a are
//! below 2^22.

use kapsule_abi::Trap;
use kapsule_lower::isa::{Chip, Op, STACK_END, trap_pc};
use p3_field::PrimeCharacteristicRing;

use super::opcode;
use crate::field::F;
use crate::machine::{Builder, Instr, Next, State, columns};

/// Steps of time.
pub const DELTA: u32 = Chip::Jump.delta();

/// Opcodes, in order of the selectors.
pub const OPS: [Op; 3] = [Op::Jmp, Op::Nop, Op::Enter];

columns! {
    /// Columns.
    pub struct Row {
        /// State before.
        state: State<T>,
        /// Target of a jump or slots of a frame.
        a: T,
        /// Static fuel.
        cost: T,
        /// One for each opcode.
        selectors: [T; 3],
        /// 1 if the frame fits.
        fits: T,
        /// Low 14 and high 8 bits of the distance from the limit.
        slack: [T; 2],
        /// Next program counter.
        next: T,
    }
}

/// Constraints.
pub fn eval<B: Builder>(builder: &mut B, row: &Row<B::Var>) {
    let [jump, nop, enter] = row.selectors;
    let valid = B::sum(row.selectors);
    builder.booleans(row.selectors);
    builder.assert_bool(valid.clone());
    builder.assert_bool(row.fits);
    let other = B::Expr::ONE - enter.into();
    builder.assert_zero(other.clone() * row.fits);

    let [low, high] = row.slack;
    let limit = B::constant(STACK_END);
    let room = limit - row.state.fp - row.a;
    let over = -room.clone() - B::Expr::ONE;
    let fits: B::Expr = row.fits.into();
    let exceeds = B::Expr::ONE - fits.clone();
    let slack = fits.clone() * room + exceeds.clone() * over;
    builder.assert_zero((slack - low - high * F::from_u32(1 << 14)) * enter);
    builder.assert_zero(other.clone() * low);
    builder.assert_zero(other * high);
    builder.range(low.into(), 14, enter.into());
    builder.range(high.into(), 8, enter.into());

    let following = row.state.pc + B::Expr::ONE;
    let trap = B::constant(trap_pc(Trap::StackExhausted));
    let entered = fits * following.clone() + exceeds * trap;
    builder.assert_eq(row.next, jump * row.a + following * nop + entered * enter);

    let op = opcode::<B, 3>(row.selectors, OPS);
    let instr = Instr::new(op, row.a, B::Expr::ZERO, row.cost);
    let state = &row.state;
    let next = Next { pc: row.next.into(), fp: state.fp.into(), pages: state.pages.into() };
    builder.step(state, next, DELTA, instr, valid);
}
