//! A lowered program and its canonical encoding.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use kapsule_meter::Plan;

use crate::isa::{self, A, B, C, Op};

/// One instruction; its program counter is its position plus [`isa::PC_CODE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instr {
    /// Opcode.
    pub op: Op,
    /// First field, below 2^22; [`Op::form`] says what it means.
    pub a: u32,
    /// Second field, below 2^22.
    pub b: u32,
    /// Limbs of a constant, slots, an offset or linkage.
    pub c: [u16; 4],
    /// Static fuel that is charged before the instruction acts.
    pub cost: u8,
}

impl Instr {
    /// Returns `c0` to `c3` as one 64-bit number, `c0` lowest.
    #[must_use]
    pub const fn imm(&self) -> u64 {
        let [c0, c1, c2, c3] = self.c;
        c0 as u64 | (c1 as u64) << 16 | (c2 as u64) << 32 | (c3 as u64) << 48
    }

    /// Returns `c0` and `c1` as one 32-bit number.
    #[must_use]
    pub const fn low(&self) -> u32 {
        self.c[0] as u32 | (self.c[1] as u32) << 16
    }

    /// Returns `c2` and `c3` as one 32-bit number.
    #[must_use]
    pub const fn high(&self) -> u32 {
        self.c[2] as u32 | (self.c[3] as u32) << 16
    }
}

/// Returns the four 16-bit limbs of a cell, low first.
#[must_use]
pub const fn limbs(value: u64) -> [u16; 4] {
    let bytes = value.to_le_bytes();
    [
        u16::from_le_bytes([bytes[0], bytes[1]]),
        u16::from_le_bytes([bytes[2], bytes[3]]),
        u16::from_le_bytes([bytes[4], bytes[5]]),
        u16::from_le_bytes([bytes[6], bytes[7]]),
    ]
}

/// Where a run of one entry begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryStub {
    /// Position of the entry among all entries in order of their names.
    pub index: u32,
    /// First instruction of a run without salt.
    pub pc: u32,
    /// First instruction of a run whose first four `IN` words are salt.
    pub salted_pc: u32,
}

/// One entry of the function table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableEntry {
    /// First instruction of the function or of its stub.
    pub pc: u32,
    /// Canonical type index: equal function types have equal numbers.
    pub type_index: u32,
}

impl TableEntry {
    /// Returns the cell: program counter in limbs 0 and 1, type index plus 1 in limb 2, 1 in limb
    /// 3.
    #[must_use]
    pub const fn cell(self) -> u64 {
        self.pc as u64 | (self.type_index as u64 + 1) << 32 | 1 << 48
    }
}

/// Sizes of linear memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryLayout {
    /// Pages at the start.
    pub pages_initial: u32,
    /// Memory maximum in force, in pages.
    pub pages_max: u32,
}

/// A lowered program.
///
/// # Determinism
/// Depends on the module bytes and the memory maximum in force alone.
///
/// # Spec
/// `spec/lowering.md` section 9.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LProgram {
    /// Version of the opcode semantics, [`isa::ISA`].
    pub isa: u32,
    /// Instructions; the first one is at [`isa::PC_CODE`].
    pub code: Vec<Instr>,
    /// Entries by exported name.
    pub entries: BTreeMap<String, EntryStub>,
    /// Initial values of the globals, in index order; an i32 is zero-extended.
    pub globals: Vec<u64>,
    /// Function table; a null entry is `None`.
    pub table: Vec<Option<TableEntry>>,
    /// Non-zero cells of linear memory at the start, as (cell within memory, value), ascending.
    pub data: Vec<(u32, u64)>,
    /// Sizes of linear memory.
    pub memory: MemoryLayout,
    /// Metering plan that the costs were taken from.
    pub plan: Plan,
}

impl LProgram {
    /// Returns the instruction at a program counter.
    #[must_use]
    pub fn at(&self, pc: u32) -> Option<&Instr> {
        self.code.get(pc.checked_sub(isa::PC_CODE)? as usize)
    }

    /// Returns every cell that is not zero at the start, as (address, value), ascending.
    pub fn image(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        let size = core::iter::once((isa::TABLE_SIZE, self.table.len() as u64));
        let globals = (isa::GLOBALS..).zip(self.globals.iter().copied());
        let entries = self.table.iter().map(|entry| entry.map_or(0, TableEntry::cell));
        let table = (isa::TABLE..).zip(entries);
        let data = self.data.iter().map(|(cell, value)| (isa::MEMORY + cell, *value));
        size.chain(globals).chain(table).chain(data).filter(|(_, value)| *value != 0)
    }

    /// Returns the canonical encoding, the preimage of `program_digest`.
    ///
    /// Integers have fixed width and are little-endian, and every list and string has its length in
    /// front, so two programs never share an encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out =
            Encoder(Vec::with_capacity(24 * self.code.len() + 12 * self.data.len() + 1024));
        out.word(self.isa);
        out.length(self.code.len());
        for instr in &self.code {
            out.instr(instr);
        }
        out.length(self.entries.len());
        for (name, stub) in &self.entries {
            out.bytes(name.as_bytes());
            out.words([stub.index, stub.pc, stub.salted_pc]);
        }
        out.length(self.globals.len());
        for value in &self.globals {
            out.long(*value);
        }
        out.length(self.table.len());
        for entry in &self.table {
            out.long(entry.map_or(0, TableEntry::cell));
        }
        out.length(self.data.len());
        for (cell, value) in &self.data {
            out.word(*cell);
            out.long(*value);
        }
        out.words([self.memory.pages_initial, self.memory.pages_max]);
        out.words([isa::GLOBALS, isa::TABLE, isa::STACK_BASE, isa::STACK_END, isa::MEMORY]);
        out.plan(&self.plan);
        out.0
    }
}

/// Writes fixed-width little-endian integers and length-prefixed lists.
struct Encoder(Vec<u8>);

impl Encoder {
    fn word(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn words<const N: usize>(&mut self, values: [u32; N]) {
        values.into_iter().for_each(|value| self.word(value));
    }

    fn long(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// Lists are bounded by the size of a module, far below 2^32.
    fn length(&mut self, length: usize) {
        self.word(u32::try_from(length).unwrap_or(u32::MAX));
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    fn instr(&mut self, instr: &Instr) {
        self.0.push(instr.op as u8);
        self.0.push(instr.cost);
        self.words([instr.a, instr.b]);
        instr.c.iter().for_each(|limb| self.0.extend_from_slice(&limb.to_le_bytes()));
    }

    fn plan(&mut self, plan: &Plan) {
        self.length(plan.functions.len());
        for function in &plan.functions {
            self.word(function.weight);
            self.length(function.charges.len());
            for charge in &function.charges {
                self.word(charge.operator);
                self.0.push(charge.cost);
            }
        }
        self.length(plan.stubs.len());
        for stub in &plan.stubs {
            let number = u32::from(stub.hostcall.number);
            self.words([number, stub.weight, stub.fixed_units, stub.factor]);
            self.0.push(stub.block_cost);
        }
    }
}

/// Writes the name and the fields that mean something: `s3` is a slot, `g1` a global, `@40` a
/// program counter, `#5` a number, and `!2` the cost where there is one.
impl fmt::Display for Instr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.op.name())?;
        let (a, b, c) = self.op.form();
        match a {
            A::None => {}
            A::Dest | A::Source => write!(f, " s{}", self.a)?,
            A::Global => write!(f, " g{}", self.a.wrapping_sub(isa::GLOBALS))?,
            A::Target => write!(f, " @{}", self.a)?,
            A::Frame | A::Type => write!(f, " #{}", self.a)?,
        }
        match b {
            B::None => {}
            B::Slot => write!(f, " s{}", self.b)?,
            B::Global => write!(f, " g{}", self.b.wrapping_sub(isa::GLOBALS))?,
        }
        match c {
            C::None => {}
            C::Imm64 => write!(f, " #{}", self.imm())?,
            C::Imm32 | C::Offset | C::Count | C::Pages => write!(f, " #{}", self.low())?,
            C::Slot => write!(f, " s{}", self.c[0])?,
            C::Slots => write!(f, " s{} s{}", self.c[0], self.c[1])?,
            C::Linkage => write!(f, " @{} #{}", self.low(), self.high())?,
        }
        if self.cost > 0 {
            write!(f, " !{}", self.cost)?;
        }
        Ok(())
    }
}
