//! Programs that execute every opcode with the operands at which things change.

use std::collections::BTreeMap;

use kapsule_lower::isa::{A, B, C, Chip, ISA, Op, PC_CODE};
use kapsule_lower::{Instr, LProgram, MemoryLayout, TableEntry, limbs};
use kapsule_proof::SegmentPublic;
use kapsule_proof::field::F;
use kapsule_proof::machine::{Table, Trace};
use kapsule_proof::publics::{self, Start};
use kapsule_prover::exec::{Access, Bounds, End, Machine, Recorded, Step, Tracer};
use kapsule_prover::trace::{Log, assemble};

/// A run in tables.
pub(crate) struct Built {
    pub(crate) name: &'static str,
    pub(crate) program: LProgram,
    pub(crate) tables: Vec<(Table, Trace)>,
    pub(crate) publics: Vec<F>,
}

const WIDE: [u64; 14] = [
    0,
    1,
    2,
    u64::MAX,
    1 << 63,
    (1 << 63) - 1,
    1 << 15,
    1 << 16,
    1 << 31,
    1 << 32,
    (1 << 32) - 1,
    (1 << 32) + 1,
    0x0123_4567_89ab_cdef,
    0xff00_ff80_807f_8001,
];
const NARROW: [u32; 14] = [
    0,
    1,
    7,
    31,
    33,
    u32::MAX,
    1 << 31,
    (1 << 31) - 1,
    1 << 15,
    0xffff,
    1 << 16,
    0x0080_0000,
    0x89ab_cdef,
    0x8001_7f80,
];

const WIDE_FIRST: u32 = 1;
const NARROW_FIRST: u32 = 20;
const SCRATCH: u32 = 40;
const DEST: u32 = 41;
const FRAME: u32 = 50;

/// Writes a program whose frame holds all the values.
struct Author(Vec<Instr>);

impl Author {
    fn new() -> Self {
        let mut author = Self(Vec::new());
        author.push(Op::Enter, [FRAME, 0], 0);
        for (slot, value) in (WIDE_FIRST..).zip(WIDE) {
            author.push(Op::Const, [slot, 0], value);
        }
        for (slot, value) in (NARROW_FIRST..).zip(NARROW) {
            author.push(Op::Const, [slot, 0], u64::from(value));
        }
        author
    }

    fn push(&mut self, op: Op, [a, b]: [u32; 2], c: u64) {
        let cost = (self.0.len() % 3) as u8;
        self.0.push(Instr { op, a, b, c: limbs(c), cost });
    }

    /// Returns the program counter of the next instruction.
    fn here(&self) -> u32 {
        PC_CODE + self.0.len() as u32
    }

    fn constant(&mut self, value: u64) {
        self.push(Op::Const, [SCRATCH, 0], value);
    }

    /// Writes every opcode that takes one or two values and yields one, or branches on them.
    fn operators(&mut self) {
        for op in Op::ALL.iter().copied() {
            let narrow = op.name().contains("32") && op != Op::Ext32S64;
            let first = if narrow { NARROW_FIRST } else { WIDE_FIRST };
            let values = if narrow { NARROW.map(u64::from) } else { WIDE };
            for x in first..first + 14 {
                match op.form() {
                    (A::Dest, B::Slot, C::Slot) => {
                        for (y, value) in (first..).zip(values) {
                            let dividend = values[(x - first) as usize];
                            if !ends(op, dividend, value) {
                                self.push(op, [DEST, x], y.into());
                            }
                        }
                    }
                    (A::Dest, B::Slot, C::Imm32 | C::Imm64) => {
                        values.iter().for_each(|y| self.push(op, [DEST, x], *y));
                    }
                    (A::Dest, B::Slot, C::None) => self.push(op, [DEST, x], 0),
                    (A::Target, B::Slot, C::Slot) => {
                        for y in first..first + 14 {
                            self.push(op, [self.here() + 1, x], y.into());
                        }
                    }
                    (A::Target, B::Slot, C::Imm32 | C::Imm64) => {
                        values.iter().for_each(|y| self.push(op, [self.here() + 1, x], *y));
                    }
                    (A::Dest, B::Slot, C::Slots) => {
                        for condition in NARROW_FIRST..NARROW_FIRST + 14 {
                            let slots = u64::from(x + 1) | u64::from(condition) << 16;
                            self.push(op, [DEST, x], slots);
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    /// Writes loads and stores at the ends of cells, pages and memory.
    fn memory(&mut self) {
        let sized = Op::ALL.iter().copied().filter(|op| op.form().2 == C::Offset);
        for op in sized {
            let places = (0..9).chain(0xfff8..0x1_0008).chain(0x1_fff8..0x2_0000);
            let size = size(op);
            for place in places.filter(|place| place + size <= 0x2_0000) {
                let base = [place, place / 2, place.saturating_sub(0xffff)][place as usize % 3];
                self.constant(base.into());
                let slot =
                    if op as u8 >= Op::St8 as u8 { WIDE_FIRST + 12 + place % 2 } else { DEST };
                self.push(op, [slot, SCRATCH], (place - base).into());
            }
        }
    }

    /// Writes jump tables, calls, growth, charges and what else there is.
    fn control(&mut self) {
        for greatest in [0, 1, 3, 0x2_0000, 0x3f_ffff] {
            for slot in NARROW_FIRST..NARROW_FIRST + 14 {
                let index = NARROW[(slot - NARROW_FIRST) as usize];
                let taken = index.min(greatest);
                // The landing row is the next one, whatever the index.
                if let Some(base) = (self.here() + 1).checked_sub(taken) {
                    self.push(Op::Brtab, [base, slot], greatest.into());
                }
            }
        }
        for index in [0, 2] {
            self.constant(index);
            let linkage = u64::from(self.here() + 1) | u64::from(FRAME) << 32;
            self.push(Op::Calli, [3, SCRATCH], linkage);
        }
        let linkage = u64::from(self.here() + 1) | u64::from(FRAME) << 32;
        self.push(Op::Call, [0, 0], linkage);
        self.push(Op::Gset, [kapsule_lower::isa::GLOBALS, WIDE_FIRST + 12], 0);
        self.push(Op::Gget, [DEST, kapsule_lower::isa::GLOBALS], 0);
        self.push(Op::Mov, [DEST, WIDE_FIRST], 0);
        self.push(Op::Nop, [0, 0], 0);
        for slot in NARROW_FIRST..NARROW_FIRST + 14 {
            self.push(Op::Msize, [DEST, 0], 0);
            self.push(Op::Mgrow, [DEST, slot], 4);
        }
        for _ in 0..2 {
            (NARROW_FIRST..NARROW_FIRST + 14).for_each(|slot| self.push(Op::Charge, [0, slot], 0));
        }
    }

    /// Ends the program and runs it.
    fn build(mut self, name: &'static str, fuel: u64) -> Built {
        self.push(Op::Jmp, [0, 0], 0);
        let callee = self.here();
        for instr in self.0.iter_mut().filter(|instr| instr.op == Op::Call) {
            instr.a = callee;
        }
        self.push(Op::Enter, [FRAME, 0], 0);
        self.push(Op::Ret, [0, 0], 0);
        let entry = |type_index| Some(TableEntry { pc: callee, type_index });
        let program = LProgram {
            isa: ISA,
            code: self.0,
            entries: BTreeMap::new(),
            globals: vec![0],
            table: vec![entry(3), None, entry(3), entry(4)],
            data: (0..4).map(|cell| (cell, 0x8070_6050_f0e0_d0c0 ^ u64::from(cell))).collect(),
            memory: MemoryLayout { pages_initial: 2, pages_max: 4 },
            plan: Default::default(),
        };
        run(name, program, fuel, Log::default())
    }
}

/// Returns whether a division traps.
fn ends(op: Op, x: u64, y: u64) -> bool {
    match op {
        Op::DivS32 if (x, y) == (1 << 31, 0xffff_ffff) => true,
        Op::DivS64 if (x, y) == (1 << 63, u64::MAX) => true,
        _ => !op.traps().is_empty() && y == 0,
    }
}

const fn size(op: Op) -> u32 {
    match op {
        Op::Ld8U | Op::Ld8S32 | Op::Ld8S64 | Op::St8 => 1,
        Op::Ld16U | Op::Ld16S32 | Op::Ld16S64 | Op::St16 => 2,
        Op::Ld32U | Op::Ld32S64 | Op::St32 => 4,
        _ => 8,
    }
}

/// Keeps a log of a run.
trait Keeper: Tracer {
    /// Returns the log and when the run ends, which without changes is at this time.
    fn finish(self, end: u32) -> (Log, u32);
}

impl Keeper for Log {
    fn finish(self, end: u32) -> (Log, u32) {
        (self, end)
    }
}

/// Keeps a log in which the tables of all addresses take what those of aligned ones could.
///
/// A load takes one unit of time more there, so everything after it is later.
#[derive(Default)]
struct General {
    log: Log,
    /// Time of the next step, less one.
    elapsed: u32,
    /// The step under way: what took it, and its time before and after.
    step: Option<(Chip, [u32; 2])>,
    /// Times of accesses, before and after.
    times: BTreeMap<u32, u32>,
}

impl Tracer for General {
    fn step(&mut self, step: &Step) {
        let chip = match step.chip {
            Chip::Ldw => Chip::Ldx,
            Chip::Stw => Chip::Stx,
            other => other,
        };
        let ts = self.elapsed + 1;
        self.step = Some((step.chip, [step.ts, ts]));
        self.log.step(&Step { chip, ts, ..*step });
        self.elapsed += chip.delta();
    }

    fn access(&mut self, access: &Access) {
        let (chip, [before, after]) = self.step.expect("an access has a step");
        let slot = if chip == Chip::Ldw && access.slot == 2 { 3 } else { access.slot };
        self.times.insert(before + u32::from(access.slot), after + u32::from(slot));
        let previous = self.times.get(&access.previous).copied().unwrap_or_default();
        self.log.access(&Access { slot, previous, ..*access });
    }
}

impl Keeper for General {
    fn finish(self, _: u32) -> (Log, u32) {
        (self.log, self.elapsed + 1)
    }
}

/// Returns a run of the same program in which no table of aligned addresses takes part.
pub(crate) fn in_general_tables(built: &Built) -> Built {
    run(built.name, built.program.clone(), u64::MAX, General::default())
}

fn run<K: Keeper>(name: &'static str, program: LProgram, fuel: u64, mut keeper: K) -> Built {
    let mut machine = Machine::new(&program).expect("a program within its layout");
    let bounds = Bounds { fuel, steps: 1 << 20 };
    let mut words = Recorded::default();
    let end = machine.run(PC_CODE, bounds, &mut words, &mut keeper).expect("a run that ends");
    let (log, ts_out) = keeper.finish(end.ts);
    let dyn_n = match end.end {
        End::OutOfFuelCharge(units) => Some(units),
        _ => None,
    };
    let start = Start::new(&program, PC_CODE, [0; 8]);
    let end = SegmentPublic {
        pc_out: end.pc,
        fp_out: end.fp,
        pages_out: end.pages,
        ts_out,
        fuel_static: end.fuel_static.try_into().expect("little fuel"),
        fuel_dyn: end.fuel_dyn,
        oof_cost: None,
        dyn_n,
        tx_pad: false,
        tx_events: 0,
        tx_out: [0; 8],
    };
    let publics = publics::values(&start, &end, &[0; 32]);
    let all = Table::all(&program);
    let tables = assemble(&program, &all, &log, (&start, &end, &publics));
    Built { name, program, tables, publics }
}

/// Returns the tables of a run of a program without words, from its first instruction.
pub(crate) fn tables(program: &LProgram) -> Vec<(Table, Trace)> {
    run("a program", program.clone(), u64::MAX, Log::default()).tables
}

/// Returns one run of everything that does not end a run.
pub(crate) fn values() -> Built {
    let mut author = Author::new();
    author.operators();
    author.memory();
    author.control();
    author.build("values", u64::MAX)
}

/// Returns a run of each instruction that ends one: `name`, what precedes it, and the instruction.
pub(crate) fn traps() -> Vec<Built> {
    let one = |name, value: u64, op, [a, c]: [u64; 2], fuel| {
        let mut author = Author::new();
        author.constant(value);
        author.push(op, [a as u32, SCRATCH], c);
        author.build(name, fuel)
    };
    let divided =
        |name, x: u64, op, slot: u32| one(name, x, op, [DEST.into(), slot.into()], u64::MAX);
    let dest = u64::from(DEST);
    let all = u64::MAX;
    vec![
        one("a load one byte beyond", 0x1_fffd, Op::Ld32U, [dest, 0], all),
        one("a signed load beyond", 0x1_ffff, Op::Ld16S64, [dest, 0], all),
        one("a load at the greatest address", 0xffff_ffff, Op::Ld64, [dest, 0xffff_ffff], all),
        one("a store one byte beyond", 0x1_fffa, Op::St64, [dest, 0], all),
        one("a store far beyond", 0xffff, Op::St8, [dest, 0x8000_0001], all),
        one("an index outside the table", 4, Op::Calli, [3, 0], all),
        one("a great index", 0xffff_ffff, Op::Calli, [3, 0], all),
        one("a null entry", 1, Op::Calli, [3, 0], all),
        one("another type", 3, Op::Calli, [3, 0], all),
        divided("a division by zero", 7, Op::DivU64, WIDE_FIRST),
        divided("a signed division by zero", 1 << 31, Op::DivS32, NARROW_FIRST),
        divided("a remainder by zero", 1 << 63, Op::RemS64, WIDE_FIRST),
        divided("a quotient of 2^31", 1 << 31, Op::DivS32, NARROW_FIRST + 5),
        divided("a quotient of 2^63", 1 << 63, Op::DivS64, WIDE_FIRST + 3),
        one("a charge without fuel", 0x1_0009, Op::Charge, [0, 0], 100),
        deep(),
    ]
}

/// Returns a run of these instructions in a frame of their own: opcode, a and b, constant.
pub(crate) fn written(name: &'static str, instrs: &[(Op, [u32; 2], u64)]) -> Built {
    let mut author = Author(Vec::new());
    author.push(Op::Enter, [FRAME, 0], 0);
    instrs.iter().for_each(|(op, fields, constant)| author.push(*op, *fields, *constant));
    author.build(name, u64::MAX)
}

/// Returns a run that enters a frame for which there is no room.
fn deep() -> Built {
    let mut author = Author::new();
    author.push(Op::Enter, [0x2_0001, 0], 0);
    author.build("a frame beyond the stack", u64::MAX)
}
