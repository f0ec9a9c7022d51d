//! What the opcodes do to slots, cells, time and fuel.

use kapsule_abi::{PAGE_BYTES, Trap};
use kapsule_lower::isa::{
    self, Chip, DENIED_COUNT, FUEL_DYN, MEMORY, Op, PC_COMPLETED, PC_DENIED, PC_OUT_OF_FUEL,
    PC_TRAP, STACK_BASE, TABLE, TABLE_SIZE,
};

use super::alu;
use super::decode::Decoded;
use super::machine::{End, ExecError, Execution};
use super::run::{Flow, Run};
use super::trace::{Access, Step, Tracer};
use super::words::Words;

/// Where a memory access lies: cell within memory and first byte of it.
#[derive(Clone, Copy)]
struct Place {
    cell: usize,
    byte: u32,
}

/// Accesses, each with its number within the step.
impl<T: Tracer, W: Words> Run<'_, T, W> {
    #[inline(always)]
    pub(super) fn rd(&mut self, k: u8, slot: u32) -> u64 {
        let value = self.cells.slot(self.fp, slot);
        self.note(k, STACK_BASE + self.fp + slot, value, value);
        value
    }

    #[inline(always)]
    pub(super) fn wr(&mut self, k: u8, slot: u32, value: u64) {
        if T::ACTIVE {
            let old = self.cells.slot(self.fp, slot);
            self.note(k, STACK_BASE + self.fp + slot, old, value);
        }
        self.cells.set_slot(self.fp, slot, value);
    }

    #[inline(always)]
    pub(super) fn read_at(&mut self, k: u8, addr: u32) -> Result<u64, ExecError> {
        let pc = self.pc;
        let value = *self.cells.at(addr).ok_or(ExecError::Program { pc })?;
        self.note(k, addr, value, value);
        Ok(value)
    }

    #[inline(always)]
    pub(super) fn write_at(&mut self, k: u8, addr: u32, value: u64) -> Flow {
        let pc = self.pc;
        let cell = self.cells.at(addr).ok_or(ExecError::Program { pc })?;
        let old = core::mem::replace(cell, value);
        self.note(k, addr, old, value);
        Ok(())
    }

    /// Shows one access, where somebody looks.
    #[inline(always)]
    fn note(&mut self, k: u8, addr: u32, old: u64, new: u64) {
        if !T::ACTIVE {
            return;
        }
        let now = self.ts + u32::from(k);
        let time = self.times.as_mut().and_then(|times| times.at(addr));
        let previous = time.map_or(0, |time| core::mem::replace(time, now));
        self.tracer.access(&Access { slot: k, addr, old, new, previous });
    }

    /// Shows the step that is about to happen.
    pub(super) fn note_step(&mut self, instr: &Decoded) {
        let chip = self.chip(instr);
        self.delta = chip.delta();
        self.tracer.step(&Step {
            pc: self.pc,
            fp: STACK_BASE + self.fp,
            ts: self.ts,
            fuel_static: self.limit - self.left - self.dynamic,
            pages: *self.pages,
            instr: instr.instr(),
            chip,
        });
    }

    /// Returns the narrow chip for an aligned access inside memory, else the opcode's own.
    fn chip(&self, instr: &Decoded) -> Chip {
        let Some(narrow) = instr.op.aligned_chip() else { return instr.op.chip() };
        let size = match instr.op {
            Op::Ld64 | Op::St64 => 8,
            _ => 4,
        };
        let base = self.cells.slot(self.fp, instr.b());
        match self.place(base, instr.low(), size) {
            Some(place) if u64::from(place.byte).is_multiple_of(size) => narrow,
            _ => instr.op.chip(),
        }
    }
}

/// Arithmetic and control.
impl<T: Tracer, W: Words> Run<'_, T, W> {
    #[inline(always)]
    pub(super) fn reg(&mut self, i: &Decoded, f: impl FnOnce(u64, u64) -> u64) {
        let x = self.rd(0, i.b());
        let y = self.rd(1, i.c0());
        self.wr(2, i.a(), f(x, y));
    }

    #[inline(always)]
    pub(super) fn imm(&mut self, i: &Decoded, f: impl FnOnce(u64, u64) -> u64) {
        let x = self.rd(0, i.b());
        self.wr(2, i.a(), f(x, i.imm));
    }

    #[inline(always)]
    pub(super) fn unary(&mut self, i: &Decoded, f: impl FnOnce(u64) -> u64) {
        let x = self.rd(0, i.b());
        self.wr(1, i.a(), f(x));
    }

    #[inline(always)]
    pub(super) fn div(&mut self, i: &Decoded, f: impl FnOnce(u64, u64) -> Result<u64, Trap>) {
        let x = self.rd(0, i.b());
        let y = self.rd(1, i.c0());
        match f(x, y) {
            Ok(value) => self.wr(2, i.a(), value),
            Err(trap) => self.trap(trap),
        }
    }

    #[inline(always)]
    pub(super) fn branch(&mut self, i: &Decoded, f: impl FnOnce(u64, u64) -> bool) {
        let x = self.rd(0, i.b());
        let y = self.rd(1, i.c0());
        if f(x, y) {
            self.pc = i.a();
        }
    }

    #[inline(always)]
    pub(super) fn branch_imm(&mut self, i: &Decoded, f: impl FnOnce(u64, u64) -> bool) {
        if f(self.rd(0, i.b()), i.imm) {
            self.pc = i.a();
        }
    }

    #[cold]
    pub(super) fn trap(&mut self, trap: Trap) {
        self.pc = isa::trap_pc(trap);
    }

    pub(super) fn call_indirect(&mut self, i: &Decoded) -> Flow {
        let index = alu::low(self.rd(0, i.b()));
        let size = alu::low(self.read_at(1, TABLE_SIZE)?);
        if index >= size {
            self.trap(Trap::UndefinedElement);
            return Ok(());
        }
        let entry = self.read_at(2, TABLE + index)?;
        let type_index = (entry >> 32) & 0xffff;
        if entry >> 48 == 0 {
            self.trap(Trap::UninitialisedElement);
        } else if type_index != u64::from(i.a()) + 1 {
            self.trap(Trap::IndirectCallTypeMismatch);
        } else {
            self.enter(3, alu::low(entry), i);
        }
        Ok(())
    }

    /// Enters the function at `pc` in the frame behind the caller's.
    #[inline(always)]
    pub(super) fn enter(&mut self, k: u8, pc: u32, i: &Decoded) {
        self.fp = self.fp.wrapping_add(i.high());
        self.wr(k, 0, i.imm);
        self.pc = pc;
    }

    pub(super) fn charge_units(&mut self, i: &Decoded) -> Flow {
        let units = alu::low(self.rd(0, i.b()));
        let fuel = u64::from(units.div_ceil(8));
        match self.left.checked_sub(fuel) {
            Some(left) => {
                self.left = left;
                self.dynamic += fuel;
                self.write_at(1, FUEL_DYN, self.dynamic)
            }
            None => {
                self.charge = units;
                self.pc = PC_OUT_OF_FUEL;
                Ok(())
            }
        }
    }
}

/// Linear memory.
impl<T: Tracer, W: Words> Run<'_, T, W> {
    /// Returns where `size` bytes lie at a base and an offset, or `None` if outside memory.
    #[inline(always)]
    fn place(&self, base: u64, offset: u32, size: u64) -> Option<Place> {
        let address = u64::from(alu::low(base)) + u64::from(offset);
        let inside = address + size <= self.cells.memory.len() as u64 * 8;
        // In range of `usize`, since it is inside a slice.
        inside.then_some(Place { cell: (address >> 3) as usize, byte: address as u32 & 7 })
    }

    #[inline(always)]
    pub(super) fn load<const SIZE: u32>(
        &mut self,
        i: &Decoded,
        extend: impl FnOnce(u64) -> u64,
    ) -> Flow {
        let base = self.rd(0, i.b());
        let Some(Place { cell, byte }) = self.place(base, i.low(), u64::from(SIZE)) else {
            self.trap(Trap::MemoryOutOfBounds);
            return Ok(());
        };
        let mut window = u128::from(self.cell(1, cell)?);
        if byte + SIZE > 8 {
            window |= u128::from(self.cell(2, cell + 1)?) << 64;
        }
        let value = (window >> (8 * byte)) as u64 & (u64::MAX >> (64 - 8 * SIZE));
        let last = if T::ACTIVE { self.last_access() } else { 0 };
        self.wr(last, i.a(), extend(value));
        Ok(())
    }

    #[inline(always)]
    pub(super) fn store<const SIZE: u32>(&mut self, i: &Decoded) -> Flow {
        let base = self.rd(0, i.b());
        let value = self.rd(1, i.a());
        let Some(Place { cell, byte }) = self.place(base, i.low(), u64::from(SIZE)) else {
            self.trap(Trap::MemoryOutOfBounds);
            return Ok(());
        };
        let mask = u128::from(u64::MAX >> (64 - 8 * SIZE)) << (8 * byte);
        let bits = u128::from(value) << (8 * byte) & mask;
        self.merge(2, cell, bits as u64, mask as u64)?;
        if byte + SIZE > 8 {
            self.merge(3, cell + 1, (bits >> 64) as u64, (mask >> 64) as u64)?;
        }
        Ok(())
    }

    /// Returns the number of the last access of the chip of the current step.
    fn last_access(&self) -> u8 {
        if self.delta == Chip::Ldx.delta() { 3 } else { 2 }
    }

    #[inline(always)]
    fn cell(&mut self, k: u8, cell: usize) -> Result<u64, ExecError> {
        let found = self.cells.memory.get(cell).copied();
        let value = found.ok_or(ExecError::Program { pc: self.pc })?;
        self.note(k, MEMORY + cell as u32, value, value);
        Ok(value)
    }

    #[inline(always)]
    fn merge(&mut self, k: u8, cell: usize, bits: u64, mask: u64) -> Flow {
        let pc = self.pc;
        let place = self.cells.memory.get_mut(cell).ok_or(ExecError::Program { pc })?;
        let old = *place;
        let new = old & !mask | bits;
        *place = new;
        self.note(k, MEMORY + cell as u32, old, new);
        Ok(())
    }

    pub(super) fn grow(&mut self, i: &Decoded) {
        let more = u64::from(alu::low(self.rd(0, i.b())));
        let pages = *self.pages;
        let fits = more <= u64::from(i.c0().saturating_sub(pages));
        if fits {
            // At most the maximum, which has 16 bits.
            *self.pages = pages + more as u32;
            self.cells.grow(*self.pages);
            self.times.iter_mut().for_each(|times| times.grow(*self.pages));
        }
        self.wr(1, i.a(), if fits { u64::from(pages) } else { u64::from(u32::MAX) });
    }
}

/// The end.
impl<T: Tracer, W: Words> Run<'_, T, W> {
    #[cold]
    pub(super) const fn lost<R>(&self) -> Result<R, ExecError> {
        Err(ExecError::Program { pc: self.pc })
    }

    /// Reports a run that stands at a reserved program counter, or before an instruction that the
    /// fuel did not cover.
    pub(super) fn end(&self, steps: u64, short: bool) -> Result<Execution, ExecError> {
        let trap = |pc: u32| Trap::ALL.into_iter().find(|trap| isa::trap_pc(*trap) == pc);
        let end = match self.pc {
            _ if short => End::OutOfFuel,
            PC_COMPLETED => End::Completed,
            PC_OUT_OF_FUEL => End::OutOfFuelCharge(self.charge),
            pc if (PC_DENIED..PC_DENIED + DENIED_COUNT).contains(&pc) => {
                End::Denied((pc - PC_DENIED) as u8)
            }
            pc if pc >= PC_TRAP => match trap(pc) {
                Some(trap) => End::Trap(trap),
                None => return self.lost(),
            },
            _ => return self.lost(),
        };
        let spent = self.limit - self.left;
        Ok(Execution {
            end,
            steps,
            pc: self.pc,
            fp: STACK_BASE + self.fp,
            pages: *self.pages,
            ts: self.ts,
            fuel_static: spent - self.dynamic,
            fuel_dyn: self.dynamic,
            fuel_used: match end {
                End::OutOfFuel | End::OutOfFuelCharge(_) => self.limit,
                _ => spent,
            },
        })
    }
}

const _: () = assert!(PAGE_BYTES == isa::PAGE_CELLS * 8);
