//! What tables say besides plain constraints.

use p3_air::AirBuilder;
use p3_field::{Field, PrimeCharacteristicRing};
use p3_lookup::InteractionBuilder;

use super::bus::{BYTE2, EXEC, MEM, PROG, RNG};
use super::columns::{Access, Operands, State};
use crate::field::F;

/// The state after an instruction, as far as it is not fixed by all of them.
#[derive(Clone, Debug)]
pub struct Next<E> {
    /// Program counter.
    pub pc: E,
    /// Address of slot 0.
    pub fp: E,
    /// Pages of linear memory.
    pub pages: E,
}

/// An instruction as it stands in the program.
#[derive(Clone, Debug)]
pub struct Instr<E> {
    /// Opcode.
    pub op: E,
    /// First field.
    pub a: E,
    /// Second field.
    pub b: E,
    /// Limbs of the constant.
    pub c: [E; 4],
    /// Static fuel that it charges.
    pub cost: E,
}

impl<E: PrimeCharacteristicRing> Instr<E> {
    /// Returns an instruction without a constant.
    #[must_use]
    pub fn new(op: E, a: impl Into<E>, b: impl Into<E>, cost: impl Into<E>) -> Self {
        let c = core::array::from_fn(|_| E::ZERO);
        Self { op, a: a.into(), b: b.into(), c, cost: cost.into() }
    }

    /// Sets the low limbs of the constant; those above them stay 0.
    #[must_use]
    pub fn constant<const N: usize>(mut self, limbs: [impl Into<E>; N]) -> Self {
        for (place, limb) in self.c.iter_mut().zip(limbs) {
            *place = limb.into();
        }
        self
    }
}

/// A builder of constraints over the base field with buses.
pub trait Builder: AirBuilder<F = F> + InteractionBuilder {
    /// Returns a constant.
    #[must_use]
    fn constant(value: u32) -> Self::Expr {
        Self::Expr::from_u32(value)
    }

    /// Returns the sum of columns.
    #[must_use]
    fn sum<const N: usize>(columns: [Self::Var; N]) -> Self::Expr {
        columns.into_iter().map(Into::into).sum()
    }

    /// Returns the operands of a row as an instruction.
    #[must_use]
    fn instr(op: Self::Expr, operands: &Operands<Self::Var>) -> Instr<Self::Expr> {
        let Operands { a, b, c, cost } = *operands;
        Instr::new(op, a, b, cost).constant(c)
    }

    /// Returns the state after an instruction that goes on at the next one.
    #[must_use]
    fn following(state: &State<Self::Var>) -> Next<Self::Expr> {
        Next {
            pc: state.pc.into() + Self::Expr::ONE,
            fp: state.fp.into(),
            pages: state.pages.into(),
        }
    }

    /// Takes the state, gives the next one `delta` later, and finds the instruction in the program.
    fn step(
        &mut self,
        state: &State<Self::Var>,
        next: Next<Self::Expr>,
        delta: u32,
        instr: Instr<Self::Expr>,
        valid: Self::Expr,
    ) {
        let State { pc, fp, ts, fuel, pages } = *state;
        let now = [pc.into(), fp.into(), ts.into(), fuel.into(), pages.into()];
        EXEC.receive(self, now, valid.clone());
        let later = ts.into() + Self::constant(delta);
        let charged = fuel.into() + instr.cost.clone();
        EXEC.send(self, [next.pc, next.fp, later, charged, next.pages], valid.clone());
        let [c0, c1, c2, c3] = instr.c;
        let tuple = [pc.into(), instr.op, instr.a, instr.b, c0, c1, c2, c3, instr.cost];
        PROG.query(self, tuple, valid);
    }

    /// Requires `value < 2^bits` where `count` is 1.
    fn range(&mut self, value: Self::Expr, bits: u32, count: Self::Expr) {
        RNG.query(self, [value, Self::constant(bits)], count);
    }

    /// Requires two bytes where `count` is 1.
    fn bytes(&mut self, x: Self::Expr, y: Self::Expr, count: Self::Expr) {
        BYTE2.query(self, [x, y], count);
    }

    /// Replaces the contents of a cell at `time` where `count` is 1.
    ///
    /// `old` is what the access before left, at a time that is earlier by 1 to 2^28.
    fn access(
        &mut self,
        access: &Access<Self::Var>,
        time: Self::Expr,
        addr: Self::Expr,
        [old, new]: [[Self::Expr; 4]; 2],
        count: Self::Expr,
    ) {
        let previous: Self::Expr = access.previous.into();
        let gap: Self::Expr = access.gap.into();
        let [o0, o1, o2, o3] = old;
        MEM.receive(self, [addr.clone(), o0, o1, o2, o3, previous.clone()], count.clone());
        let [n0, n1, n2, n3] = new;
        MEM.send(self, [addr, n0, n1, n2, n3, time.clone()], count.clone());
        let high =
            (time - Self::Expr::ONE - previous - gap.clone()) * F::from_u32(1 << 14).inverse();
        self.range(gap, 14, count.clone());
        self.range(high, 14, count);
    }

    /// Reads a cell at `time` where `count` is 1.
    fn read(
        &mut self,
        access: &Access<Self::Var>,
        time: Self::Expr,
        addr: Self::Expr,
        value: [Self::Expr; 4],
        count: Self::Expr,
    ) {
        self.access(access, time, addr, [value.clone(), value], count);
    }

    /// Requires every column to be 0 or 1.
    fn booleans(&mut self, columns: impl IntoIterator<Item = Self::Var>) {
        for column in columns {
            self.assert_bool(column);
        }
    }
}

impl<B: AirBuilder<F = F> + InteractionBuilder> Builder for B {}
