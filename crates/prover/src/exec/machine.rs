//! The interpreter.

use core::fmt;

use kapsule_abi::Trap;
use kapsule_lower::LProgram;
use kapsule_lower::isa::FUEL_DYN;

use super::decode::{Decoded, decode};
use super::memory::Cells;
use super::run::Run;
use super::trace::Tracer;
use super::words::Words;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The entry returned.
    Completed,
    /// The program trapped.
    Trap(Trap),
    /// The host ended the run: status word 2 plus this number.
    Denied(u8),
    /// The fuel did not cover the block cost of the instruction at the final program counter.
    OutOfFuel,
    /// The fuel did not cover a `CHARGE` of this many units.
    OutOfFuelCharge(u32),
}

/// Why a run has no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecError {
    /// `IN` found no word.
    NoWord,
    /// The caller's bound on steps was reached, or, with a tracer, time 2^28.
    Steps,
    /// The program left its code or its cells, which no checked program does.
    Program {
        /// Program counter.
        pc: u32,
    },
}

impl fmt::Display for ExecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoWord => f.write_str("the program asks for more words than were recorded"),
            Self::Steps => f.write_str("the run takes more steps than allowed"),
            Self::Program { pc } => write!(f, "the program leaves its code or cells at {pc}"),
        }
    }
}

impl std::error::Error for ExecError {}

/// The machine state at the end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Execution {
    /// How it ended.
    pub end: End,
    /// Executed instructions.
    pub steps: u64,
    /// Final program counter.
    pub pc: u32,
    /// Final address of slot 0.
    pub fp: u32,
    /// Final pages of linear memory.
    pub pages: u32,
    /// Time after the last step; 1 if there was none, 0 without a tracer.
    pub ts: u32,
    /// Sum of the static costs.
    pub fuel_static: u64,
    /// Dynamic fuel, the final value of `FUEL_DYN`.
    pub fuel_dyn: u64,
    /// Fuel used: the limit if the run was out of fuel, else the sum of both.
    pub fuel_used: u64,
}

/// What bounds a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Granted fuel.
    pub fuel: u64,
    /// Greatest number of steps; reaching it is no outcome but [`ExecError::Steps`].
    pub steps: u64,
}

/// A program with its cells.
#[derive(Clone, Debug)]
pub struct Machine {
    code: Vec<Decoded>,
    cells: Cells<u64>,
    times: Option<Cells<u32>>,
    pages: u32,
}

impl Machine {
    /// Returns a machine in the initial state of a program.
    ///
    /// # Errors
    /// [`ExecError::Program`] if the program names cells outside its layout.
    pub fn new(program: &LProgram) -> Result<Self, ExecError> {
        let mut cells = Cells::new(program);
        for (addr, value) in program.image() {
            *cells.at(addr).ok_or(ExecError::Program { pc: 0 })? = value;
        }
        let code = decode(program);
        Ok(Self { code, cells, times: None, pages: program.memory.pages_initial })
    }

    /// Returns the pages of linear memory.
    #[must_use]
    pub const fn pages(&self) -> u32 {
        self.pages
    }

    /// Returns the cells of linear memory, 8 bytes each, little-endian.
    #[must_use]
    pub fn memory(&self) -> &[u64] {
        &self.cells.memory
    }

    /// Returns the bytes of linear memory.
    #[must_use]
    pub fn memory_bytes(&self) -> Vec<u8> {
        self.cells.memory.iter().flat_map(|cell| cell.to_le_bytes()).collect()
    }

    /// Returns the globals.
    #[must_use]
    pub fn globals(&self) -> &[u64] {
        &self.cells.globals
    }

    /// Returns slot `slot` of the outermost frame: after an entry or [`Machine::call`] returned,
    /// slots 1, 2 and so on are its results.
    #[must_use]
    pub fn slot(&self, slot: u32) -> u64 {
        self.cells.slot(0, slot)
    }

    /// Runs from `pc`, an entry stub, on an empty stack until the program ends.
    ///
    /// # Errors
    /// Any [`ExecError`].
    ///
    /// # Determinism
    /// Depends on the machine, `bounds` and the words.
    pub fn run<T: Tracer, W: Words>(
        &mut self,
        pc: u32,
        bounds: Bounds,
        words: &mut W,
        tracer: &mut T,
    ) -> Result<Execution, ExecError> {
        if T::ACTIVE && self.times.is_none() {
            self.times = Some(self.cells.times());
        }
        let mut run = Run {
            code: &self.code,
            cells: &mut self.cells,
            times: self.times.as_mut(),
            pages: &mut self.pages,
            words,
            tracer,
            pc,
            fp: 0,
            ts: u32::from(T::ACTIVE),
            delta: 0,
            limit: bounds.fuel,
            left: bounds.fuel,
            dynamic: 0,
            charge: 0,
        };
        run.go(bounds.steps)
    }

    /// Calls a function directly, without an entry stub, with these arguments.
    ///
    /// Functions with parameters are no entries of a package; conformance suites call them.
    ///
    /// # Errors
    /// As [`Machine::run`].
    pub fn call<T: Tracer, W: Words>(
        &mut self,
        pc: u32,
        args: &[u64],
        bounds: Bounds,
        (words, tracer): (&mut W, &mut T),
    ) -> Result<Execution, ExecError> {
        // Linkage 0 returns to program counter 0 with the same frame.
        self.cells.set_slot(0, 0, 0);
        for (slot, arg) in (1..).zip(args) {
            self.cells.set_slot(0, slot, *arg);
        }
        self.cells.low[FUEL_DYN as usize] = 0;
        self.run(pc, bounds, words, tracer)
    }
}
