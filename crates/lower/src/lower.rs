//! From a module to a program: all pieces of code, placed and linked.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use kapsule_abi::guard;
use kapsule_meter::{Imports, Limits, MeteredModule, Profile, meter};

use crate::check::lprogram_check;
use crate::code::{Code, Routine, Target};
use crate::isa::{CODE_MAX, ISA, PAGES_MAX, PC_CODE};
use crate::module::Module;
use crate::program::{EntryStub, LProgram, MemoryLayout, TableEntry};
use crate::{Instr, LowerError, Reason, function, runtime};

/// Which of the steps that make code shorter are taken; all of them, but in tests.
///
/// Outcome, fuel and transcript of every run are the same with and without each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passes {
    /// Constants, locals and results stay where they are until something needs them elsewhere.
    pub fold: bool,
    /// A comparison and the branch on it become one instruction.
    pub fuse: bool,
    /// An instruction writes a local or an argument at once.
    pub retarget: bool,
    /// A local that is set on every path before it is read is not zeroed.
    pub zero_init: bool,
}

impl Passes {
    /// Every pass; what a verifier recomputes.
    pub const ALL: Self = Self { fold: true, fuse: true, retarget: true, zero_init: true };
    /// No pass.
    pub const NONE: Self = Self { fold: false, fuse: false, retarget: false, zero_init: false };
}

/// What a module is lowered for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Sizes that a module may have.
    pub limits: Limits,
    /// Import rule; [`Imports::Any`] is for conformance suites, and no import can be called.
    pub imports: Imports,
    /// Granted pages; the memory maximum in force is this or what the module declares.
    pub pages_granted: u32,
    /// Passes to take.
    pub passes: Passes,
}

impl Options {
    /// Returns the options of a package that runs with this much memory.
    #[must_use]
    pub fn new(pages_granted: u32) -> Self {
        Self {
            limits: Limits::default(),
            imports: Imports::Kapsule,
            pages_granted,
            passes: Passes::ALL,
        }
    }
}

/// What a range of code was lowered from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The defined function with this index of the function index space.
    Function(u32),
    /// The stub of the import with this index.
    Stub(u32),
    /// A routine that every program carries.
    Routine,
    /// The stub of an entry.
    Entry,
}

/// One range of code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// What it was lowered from.
    pub origin: Origin,
    /// First program counter.
    pub start: u32,
    /// Program counter behind it.
    pub end: u32,
}

/// A lowered program, with where its code comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lowered {
    /// The program.
    pub program: LProgram,
    /// Ranges of code, ascending and without gaps; no part of the program.
    pub pieces: Vec<Piece>,
    /// First instruction of each exported function; no part of the program.
    pub exports: BTreeMap<String, u32>,
}

impl Lowered {
    /// Returns the first instruction of a function of the function index space.
    #[must_use]
    pub fn function_pc(&self, function: u32) -> Option<u32> {
        let is_it = |piece: &&Piece| match piece.origin {
            Origin::Function(index) | Origin::Stub(index) => index == function,
            Origin::Routine | Origin::Entry => false,
        };
        self.pieces.iter().find(is_it).map(|piece| piece.start)
    }
}

/// Lowers a module.
///
/// Takes about as long as metering it, which it does first.
///
/// # Errors
/// [`LowerError::Module`] for a module that does not run, [`LowerError::Unprovable`] for one that
/// runs and cannot be proven, [`LowerError::Fault`] for a mistake of this crate.
///
/// # Determinism
/// Depends on the module bytes and the options alone.
///
/// # Spec
/// `spec/lowering.md`.
pub fn lower(wasm: &[u8], options: &Options) -> Result<Lowered, LowerError> {
    let metering = kapsule_meter::Options {
        profile: Profile::Integer1,
        limits: options.limits,
        imports: options.imports,
    };
    let metered = meter(wasm, &metering)?;
    let module = Module::read(wasm)?;
    if guard!("lower.import.any", options.imports == Imports::Any && module.imports > 0) {
        let detail = format!("found {} imports that are no hostcalls", module.imports);
        return Err(LowerError::unprovable(Reason::Import, detail));
    }
    let memory = memory_layout(&metered, options.pages_granted)?;
    let mut linker = Linker::default();
    for (index, plan) in metered.plan().functions.iter().enumerate() {
        let code = function::lower(&module, index, plan, memory.pages_max, options.passes)?;
        linker.add(Origin::Function(module.imports + index as u32), code)?;
    }
    for (index, plan) in (0..).zip(&metered.plan().stubs) {
        linker.add(Origin::Stub(index), runtime::stub(plan))?;
    }
    for routine in Routine::ALL {
        linker.routines.insert(routine, linker.end());
        linker.add(Origin::Routine, runtime::routine(routine))?;
    }
    let mut entries: BTreeMap<String, EntryStub> = BTreeMap::new();
    for (index, (name, function)) in (0..).zip(metered.entries()) {
        let salted_pc = linker.end();
        let pc = salted_pc + runtime::SALT_WORDS;
        entries.insert(name.clone(), EntryStub { index, pc, salted_pc });
        linker.add(Origin::Entry, runtime::entry(module.start, *function))?;
    }
    let places = linker.link();
    let table = module.table.iter().map(|entry| {
        entry.map(|function| TableEntry {
            pc: places[&function],
            type_index: module.canonical[module.functions[function as usize] as usize],
        })
    });
    let program = LProgram {
        isa: ISA,
        entries,
        globals: module.globals.clone(),
        table: table.collect(),
        data: module.data(),
        memory,
        plan: metered.plan().clone(),
        code: linker.code,
    };
    let exports = module.exports.iter().map(|(name, function)| (name.clone(), places[function]));
    let lowered = Lowered { program, exports: exports.collect(), pieces: linker.pieces };
    lprogram_check(&lowered, wasm)?;
    Ok(lowered)
}

fn memory_layout(metered: &MeteredModule, granted: u32) -> Result<MemoryLayout, LowerError> {
    let Some(shape) = metered.memory() else { return Ok(MemoryLayout::default()) };
    let pages_max = shape.pages_max.min(granted);
    // Metering admits fewer pages; the layout does not rest on that.
    if pages_max > PAGES_MAX {
        let detail = format!("memory may grow to {pages_max} pages, allowed are {PAGES_MAX}");
        return Err(LowerError::unprovable(Reason::MemoryTooLarge, detail));
    }
    if guard!("lower.memory.initial", shape.pages_min > pages_max) {
        let (found, granted) = (shape.pages_min, pages_max);
        let detail = format!("memory starts with {found} pages, and {granted} are granted");
        return Err(LowerError::unprovable(Reason::MemoryTooLarge, detail));
    }
    Ok(MemoryLayout { pages_initial: shape.pages_min, pages_max })
}

/// Puts pieces of code behind each other.
#[derive(Default)]
struct Linker {
    code: Vec<Instr>,
    pieces: Vec<Piece>,
    routines: BTreeMap<Routine, u32>,
    open: Vec<(u32, Target)>,
}

impl Linker {
    fn end(&self) -> u32 {
        PC_CODE + self.code.len() as u32
    }

    fn add(&mut self, origin: Origin, code: Code) -> Result<(), LowerError> {
        let start = self.end();
        let (instrs, open) = code.place(start);
        let length = self.code.len() + instrs.len();
        if length > CODE_MAX as usize {
            let detail = format!("found more than {CODE_MAX} instructions");
            return Err(LowerError::unprovable(Reason::TooLarge, detail));
        }
        self.code.extend(instrs);
        self.open.extend(open);
        self.pieces.push(Piece { origin, start, end: self.end() });
        Ok(())
    }

    /// Places the jumps between pieces and returns where each function is.
    fn link(&mut self) -> BTreeMap<u32, u32> {
        let places: BTreeMap<u32, u32> = self
            .pieces
            .iter()
            .filter_map(|piece| match piece.origin {
                Origin::Function(index) | Origin::Stub(index) => Some((index, piece.start)),
                Origin::Routine | Origin::Entry => None,
            })
            .collect();
        for (pc, target) in self.open.drain(..) {
            let place = match target {
                Target::Function(function) => places[&function],
                Target::Routine(routine) => self.routines[&routine],
                Target::Label(_) | Target::Pc(_) => continue,
            };
            self.code[(pc - PC_CODE) as usize].a = place;
        }
        places
    }
}
