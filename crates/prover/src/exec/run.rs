//! One run under way: the dispatch over opcodes.

use kapsule_abi::Trap;
use kapsule_lower::isa::{Op, PC_CODE, STACK_BASE, STACK_END};

use super::alu;
use super::decode::Decoded;
use super::machine::{ExecError, Execution};
use super::memory::Cells;
use super::trace::Tracer;
use super::words::Words;

/// First time that a trace has no room for.
const TS_END: u32 = (1 << 28) - 4;

/// One run under way.
pub(super) struct Run<'m, T, W> {
    pub(super) code: &'m [Decoded],
    pub(super) cells: &'m mut Cells<u64>,
    pub(super) times: Option<&'m mut Cells<u32>>,
    pub(super) pages: &'m mut u32,
    pub(super) words: &'m mut W,
    pub(super) tracer: &'m mut T,
    pub(super) pc: u32,
    /// Counted from `STACK_BASE`.
    pub(super) fp: u32,
    /// Time of the current step.
    pub(super) ts: u32,
    /// Time that the current step takes; 0 without a tracer.
    pub(super) delta: u32,
    pub(super) limit: u64,
    pub(super) left: u64,
    pub(super) dynamic: u64,
    /// Units of the charge that was not covered.
    pub(super) charge: u32,
}

/// What an instruction does to the run besides its effects: nothing, or an end without outcome.
pub(super) type Flow = Result<(), ExecError>;

impl<T: Tracer, W: Words> Run<'_, T, W> {
    pub(super) fn go(&mut self, steps_max: u64) -> Result<Execution, ExecError> {
        let mut steps = 0_u64;
        let mut short = false;
        while self.pc >= PC_CODE {
            let Some(instr) = self.code.get(self.pc as usize) else { return self.lost() };
            let instr = *instr;
            let Some(left) = self.left.checked_sub(u64::from(instr.cost)) else {
                short = true;
                break;
            };
            if steps == steps_max || self.ts >= TS_END {
                return Err(ExecError::Steps);
            }
            if T::ACTIVE {
                self.note_step(&instr);
            }
            self.left = left;
            steps += 1;
            self.step(&instr)?;
        }
        self.end(steps, short)
    }

    /// Executes one instruction, whose cost was charged.
    #[inline(always)]
    #[expect(clippy::too_many_lines, reason = "one arm for each opcode, and one dispatch for all")]
    fn step(&mut self, i: &Decoded) -> Flow {
        use Op as O;
        self.pc = self.pc.wrapping_add(1);
        match i.op {
            O::Const => self.wr(1, i.a(), i.imm),
            O::Mov => {
                let x = self.rd(0, i.b());
                self.wr(1, i.a(), x);
            }
            O::Gget => {
                let x = self.read_at(0, i.b())?;
                self.wr(1, i.a(), x);
            }
            O::Gset => {
                let x = self.rd(0, i.b());
                self.write_at(1, i.a(), x)?;
            }
            O::Select => {
                let condition = self.rd(0, i.c1());
                let (x, y) = (self.rd(1, i.b()), self.rd(2, i.c0()));
                self.wr(3, i.a(), if alu::low(condition) != 0 { x } else { y });
            }
            O::Add32 => self.reg(i, alu::add32),
            O::Add32I => self.imm(i, alu::add32),
            O::Add64 => self.reg(i, u64::wrapping_add),
            O::Add64I => self.imm(i, u64::wrapping_add),
            O::Sub32 => self.reg(i, alu::sub32),
            O::Sub64 => self.reg(i, u64::wrapping_sub),
            O::Rsub32I => self.imm(i, |x, y| alu::sub32(y, x)),
            O::Rsub64I => self.imm(i, |x, y| y.wrapping_sub(x)),
            O::And => self.reg(i, |x, y| x & y),
            O::AndI => self.imm(i, |x, y| x & y),
            O::Or => self.reg(i, |x, y| x | y),
            O::OrI => self.imm(i, |x, y| x | y),
            O::Xor => self.reg(i, |x, y| x ^ y),
            O::XorI => self.imm(i, |x, y| x ^ y),
            O::Mul32 => self.reg(i, alu::mul32),
            O::Mul32I => self.imm(i, alu::mul32),
            O::Mul64 => self.reg(i, u64::wrapping_mul),
            O::Mul64I => self.imm(i, u64::wrapping_mul),
            O::DivS32 => self.div(i, alu::divs32),
            O::DivU32 => self.div(i, alu::divu32),
            O::RemS32 => self.div(i, alu::rems32),
            O::RemU32 => self.div(i, alu::remu32),
            O::DivS64 => self.div(i, alu::divs64),
            O::DivU64 => self.div(i, alu::divu64),
            O::RemS64 => self.div(i, alu::rems64),
            O::RemU64 => self.div(i, alu::remu64),
            O::Shl32 => self.reg(i, alu::shl32),
            O::Shl32I => self.imm(i, alu::shl32),
            O::Shl64 => self.reg(i, alu::shl64),
            O::Shl64I => self.imm(i, alu::shl64),
            O::Rotl32 => self.reg(i, alu::rotl32),
            O::Rotl32I => self.imm(i, alu::rotl32),
            O::Rotl64 => self.reg(i, alu::rotl64),
            O::Rotl64I => self.imm(i, alu::rotl64),
            O::Rotr32 => self.reg(i, alu::rotr32),
            O::Rotr64 => self.reg(i, alu::rotr64),
            O::ShrU32 => self.reg(i, alu::shru32),
            O::ShrU32I => self.imm(i, alu::shru32),
            O::ShrU64 => self.reg(i, alu::shru64),
            O::ShrU64I => self.imm(i, alu::shru64),
            O::ShrS32 => self.reg(i, alu::shrs32),
            O::ShrS32I => self.imm(i, alu::shrs32),
            O::ShrS64 => self.reg(i, alu::shrs64),
            O::ShrS64I => self.imm(i, alu::shrs64),
            O::Clz32 => self.unary(i, |x| u64::from(alu::low(x).leading_zeros())),
            O::Ctz32 => self.unary(i, |x| u64::from(alu::low(x).trailing_zeros())),
            O::Pop32 => self.unary(i, |x| u64::from(alu::low(x).count_ones())),
            O::Clz64 => self.unary(i, |x| u64::from(x.leading_zeros())),
            O::Ctz64 => self.unary(i, |x| u64::from(x.trailing_zeros())),
            O::Pop64 => self.unary(i, |x| u64::from(x.count_ones())),
            O::Ext8S32 => self.unary(i, |x| alu::to32(alu::ext8(x))),
            O::Ext16S32 => self.unary(i, |x| alu::to32(alu::ext16(x))),
            O::Ext8S64 => self.unary(i, |x| alu::ext8(x).cast_unsigned()),
            O::Ext16S64 => self.unary(i, |x| alu::ext16(x).cast_unsigned()),
            O::Ext32S64 => self.unary(i, |x| alu::ext32(x).cast_unsigned()),
            O::Wrap => self.unary(i, |x| u64::from(alu::low(x))),
            O::Seq => self.reg(i, |x, y| u64::from(x == y)),
            O::Sne => self.reg(i, |x, y| u64::from(x != y)),
            O::SltU => self.reg(i, |x, y| u64::from(x < y)),
            O::SgeU => self.reg(i, |x, y| u64::from(x >= y)),
            O::SltS32 => self.reg(i, |x, y| u64::from(alu::slts32(x, y))),
            O::SgeS32 => self.reg(i, |x, y| u64::from(!alu::slts32(x, y))),
            O::SltS64 => self.reg(i, |x, y| u64::from(alu::slts64(x, y))),
            O::SgeS64 => self.reg(i, |x, y| u64::from(!alu::slts64(x, y))),
            O::SeqI => self.imm(i, |x, y| u64::from(x == y)),
            O::SneI => self.imm(i, |x, y| u64::from(x != y)),
            O::SltUI => self.imm(i, |x, y| u64::from(x < y)),
            O::SgeUI => self.imm(i, |x, y| u64::from(x >= y)),
            O::SltS32I => self.imm(i, |x, y| u64::from(alu::slts32(x, y))),
            O::SgeS32I => self.imm(i, |x, y| u64::from(!alu::slts32(x, y))),
            O::SltS64I => self.imm(i, |x, y| u64::from(alu::slts64(x, y))),
            O::SgeS64I => self.imm(i, |x, y| u64::from(!alu::slts64(x, y))),
            O::Beq => self.branch(i, |x, y| x == y),
            O::Bne => self.branch(i, |x, y| x != y),
            O::BltU => self.branch(i, |x, y| x < y),
            O::BgeU => self.branch(i, |x, y| x >= y),
            O::BltS32 => self.branch(i, alu::slts32),
            O::BgeS32 => self.branch(i, |x, y| !alu::slts32(x, y)),
            O::BltS64 => self.branch(i, alu::slts64),
            O::BgeS64 => self.branch(i, |x, y| !alu::slts64(x, y)),
            O::BeqI => self.branch_imm(i, |x, y| x == y),
            O::BneI => self.branch_imm(i, |x, y| x != y),
            O::BltUI => self.branch_imm(i, |x, y| x < y),
            O::BgeUI => self.branch_imm(i, |x, y| x >= y),
            O::BltS32I => self.branch_imm(i, alu::slts32),
            O::BgeS32I => self.branch_imm(i, |x, y| !alu::slts32(x, y)),
            O::BltS64I => self.branch_imm(i, alu::slts64),
            O::BgeS64I => self.branch_imm(i, |x, y| !alu::slts64(x, y)),
            O::Jmp => self.pc = i.a(),
            O::Brtab => self.pc = i.a() + alu::low(self.rd(0, i.b())).min(i.low()),
            O::Call => self.enter(0, i.a(), i),
            O::Calli => self.call_indirect(i)?,
            O::Ret => {
                let linkage = self.rd(0, 0);
                self.pc = alu::low(linkage);
                self.fp = self.fp.wrapping_sub((linkage >> 32) as u32);
            }
            O::Enter => {
                if self.fp + i.a() > STACK_END - STACK_BASE {
                    self.trap(Trap::StackExhausted);
                }
            }
            O::Nop => {}
            O::Ld8U => self.load::<1>(i, |x| x)?,
            O::Ld8S32 => self.load::<1>(i, |x| alu::to32(alu::ext8(x)))?,
            O::Ld8S64 => self.load::<1>(i, |x| alu::ext8(x).cast_unsigned())?,
            O::Ld16U => self.load::<2>(i, |x| x)?,
            O::Ld16S32 => self.load::<2>(i, |x| alu::to32(alu::ext16(x)))?,
            O::Ld16S64 => self.load::<2>(i, |x| alu::ext16(x).cast_unsigned())?,
            O::Ld32U => self.load::<4>(i, |x| x)?,
            O::Ld32S64 => self.load::<4>(i, |x| alu::ext32(x).cast_unsigned())?,
            O::Ld64 => self.load::<8>(i, |x| x)?,
            O::St8 => self.store::<1>(i)?,
            O::St16 => self.store::<2>(i)?,
            O::St32 => self.store::<4>(i)?,
            O::St64 => self.store::<8>(i)?,
            O::Msize => self.wr(1, i.a(), u64::from(*self.pages)),
            O::Mgrow => self.grow(i),
            O::In => {
                let word = self.words.next().ok_or(ExecError::NoWord)?;
                self.wr(0, i.a(), word);
            }
            O::Out => {
                let word = self.rd(0, i.b());
                self.words.take(word);
            }
            O::Charge => self.charge_units(i)?,
        }
        self.ts = self.ts.wrapping_add(self.delta);
        Ok(())
    }
}
