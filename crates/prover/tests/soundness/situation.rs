//! One instruction in a run of its own: the state that it finds, what cells hold, what it does, and
//! what a row of any chip claims instead.

use std::collections::{BTreeMap, BTreeSet};

use kapsule_lower::isa::{A, B, C, Chip, GLOBALS, ISA, Op, PC_CODE, PC_OUT_OF_FUEL};
use kapsule_lower::{Instr, LProgram, MemoryLayout, TableEntry, limbs};
use kapsule_proof::field::F;
use kapsule_proof::machine::{Checked, Message, Rows, Table};
use kapsule_prover::exec::{Access, Bounds, Machine, Recorded, Step, Tracer};
use p3_field::PrimeField32;

use super::random::Random;
use super::scene::{Item, is_lookup};
use crate::provided::provided;

/// An instruction as it is written here: opcode, fields, constant.
pub(crate) type Written = (Op, [u32; 2], u64);

/// Instructions behind the one in question, to which it may jump.
const LANDING: u32 = 16;
/// Slots of the operands, of the condition of a selection, and of the result.
const X: u32 = 1;
const Y: u32 = 2;
const CONDITION: u32 = 3;
const DEST: u32 = 4;
/// Pages of memory, unless a situation says more.
pub(crate) const PAGES: u32 = 2;
/// Pages that memory can grow to.
const PAGES_MAX: u32 = 4;
/// Words that enter, if any do.
const WORDS: [u64; 2] = [0x0004_0003_0002_0001, 7];

/// Machine states and times, limbs of cells.
type Numbers = Vec<u32>;

/// What a step does: the next state without its time, the cells that it changes, what it says to
/// the outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effect {
    next: Numbers,
    writes: BTreeMap<u32, [u32; 4]>,
    says: BTreeSet<(String, Numbers)>,
}

/// A situation.
pub(crate) struct Situation {
    /// What is executed before it, and itself at the end.
    pub(crate) text: Vec<Written>,
    pub(crate) program: LProgram,
    pub(crate) instr: Instr,
    /// Program counter, frame, time, static fuel, pages.
    pub(crate) state: Numbers,
    /// What cells hold, and since when; cells that are missing hold zero since the start.
    cells: BTreeMap<u32, ([u32; 4], u32)>,
    effect: Effect,
    /// Chip of the honest row.
    pub(crate) chip: Chip,
}

/// Keeps what cells hold before the last step of interest.
#[derive(Default)]
struct Watch {
    /// The step of interest, counted from 0.
    at: usize,
    steps: Vec<Step>,
    cells: BTreeMap<u32, ([u32; 4], u32)>,
    accesses: Vec<Access>,
}

impl Tracer for Watch {
    fn step(&mut self, step: &Step) {
        self.steps.push(*step);
    }

    fn access(&mut self, access: &Access) {
        let step = self.steps.last().expect("an access has a step");
        match self.steps.len() - 1 {
            number if number < self.at => {
                let held = (halves(access.new), step.ts + u32::from(access.slot));
                self.cells.insert(access.addr, held);
            }
            number if number == self.at => self.accesses.push(*access),
            _ => {}
        }
    }
}

fn halves(value: u64) -> [u32; 4] {
    limbs(value).map(u32::from)
}

/// Returns a program that executes these instructions and then ends wherever the last one leads.
fn program(text: &[Written], pages: u32) -> LProgram {
    let code = text.iter().copied().chain((0..LANDING).map(|_| (Op::Jmp, [0, 0], 0)));
    let code = code.enumerate().map(|(place, (op, [a, b], c))| {
        let cost = (place % 3) as u8;
        Instr { op, a, b, c: limbs(c), cost }
    });
    let entry = |type_index| Some(TableEntry { pc: PC_CODE + text.len() as u32, type_index });
    let filled = (0..40).chain(8180..8200).chain(16_370..16_384);
    LProgram {
        isa: ISA,
        code: code.collect(),
        entries: BTreeMap::new(),
        globals: vec![0x0005_0006_0007_0008],
        table: vec![entry(3), None, entry(3), entry(4)],
        data: filled.map(|cell| (cell, 0x8070_6050_f0e0_d0c0 ^ u64::from(cell))).collect(),
        memory: MemoryLayout { pages_initial: pages, pages_max: pages.max(PAGES_MAX) },
        plan: Default::default(),
    }
}

impl Situation {
    /// Executes instructions and stops before the last of them; `None` if that is not reached.
    pub(crate) fn new(text: Vec<Written>, pages: u32) -> Option<Self> {
        let program = program(&text, pages);
        let instr = *program.code.get(text.len() - 1)?;
        let mut watch = Watch { at: text.len() - 1, ..Watch::default() };
        let mut machine = Machine::new(&program).ok()?;
        let bounds = Bounds { fuel: u64::MAX, steps: 1 << 10 };
        let mut words = Recorded::new(WORDS);
        let end = machine.run(PC_CODE, bounds, &mut words, &mut watch).ok()?;
        let step = *watch.steps.get(watch.at)?;
        let state =
            |step: &Step| vec![step.pc, step.fp, step.ts, step.fuel_static as u32, step.pages];
        let now = state(&step);
        let next = match watch.steps.get(watch.at + 1) {
            Some(next) => state(next),
            None => vec![end.pc, end.fp, 0, end.fuel_static as u32, end.pages],
        };
        let mut cells: BTreeMap<u32, ([u32; 4], u32)> =
            program.image().map(|(addr, value)| (addr, (halves(value), 0))).collect();
        cells.extend(watch.cells);
        let changed = watch.accesses.iter().filter(|access| access.old != access.new);
        let mut effect = Effect {
            next: without_time(&next),
            writes: changed.map(|access| (access.addr, halves(access.new))).collect(),
            says: BTreeSet::new(),
        };
        if let (Op::In | Op::Out, [access]) = (instr.op, &watch.accesses[..]) {
            let tag = if instr.op == Op::Out { 1 } else { 2 };
            effect.says.insert(("TX".into(), [&[tag], &halves(access.new)[..]].concat()));
            effect.hide_word();
        }
        let chip = step.chip;
        Some(Self { text, program, instr, state: now, cells, effect, chip })
    }

    /// Returns what a cell holds and since when.
    pub(crate) fn held(&self, addr: u32) -> ([u32; 4], u32) {
        self.cells.get(&addr).copied().unwrap_or_default()
    }

    /// Returns cells that hold something.
    pub(crate) fn known(&self) -> impl Iterator<Item = u32> + '_ {
        self.cells.keys().copied()
    }

    /// Returns what refuses a row of this table in place of the honest one, and whether it does
    /// something else than the instruction.
    pub(crate) fn judge(&self, table: &Table, row: &[F]) -> (BTreeSet<Item>, bool) {
        let rows = Rows { main: vec![row.to_vec()], fixed: vec![] };
        let checked = Checked::evaluate(table, &rows, &[], 0);
        let mut refused: BTreeSet<Item> = checked.broken().map(Item::Constraint).collect();
        let mut refuse = |message: &Message| {
            refused.insert(Item::Interaction(message.number));
        };
        let mut effect = Effect::default();
        let mut cells = BTreeMap::new();
        let (mut taken, mut given) = (0, 0);
        for message in &checked.messages {
            let tuple = &message.tuple;
            match (&message.bus[..], message.count) {
                (bus, 1) if is_lookup(bus) => {
                    if !provided(&self.program, bus, tuple) {
                        refuse(message);
                    }
                }
                ("EXEC", -1) if *tuple == self.state => taken += 1,
                ("EXEC", 1) => {
                    given += 1;
                    effect.next = without_time(tuple);
                    // Somewhere where a run goes on or ends.
                    let end = PC_CODE + self.program.code.len() as u32;
                    if tuple[0] >= end || tuple[1] >= 1 << 28 {
                        refuse(message);
                    }
                }
                ("MEM", -1) => {
                    let found = cells.get(&tuple[0]).copied();
                    let (value, since) = found.unwrap_or_else(|| self.held(tuple[0]));
                    if tuple[1..5] != value || tuple[5] != since || tuple[0] >= 1 << 28 {
                        refuse(message);
                    }
                }
                ("MEM", 1) => {
                    let value = [tuple[1], tuple[2], tuple[3], tuple[4]];
                    cells.insert(tuple[0], (value, tuple[5]));
                }
                ("TX", 1) => drop(effect.says.insert(("TX".into(), tuple[1..].to_vec()))),
                ("DYN", 1) => drop(effect.says.insert(("DYN".into(), tuple.clone()))),
                _ => refuse(message),
            }
        }
        if (taken, given) != (1, 1) {
            refused.insert(Item::Constraint(usize::MAX));
        }
        let changed = cells.into_iter().map(|(addr, (value, _))| (addr, value));
        effect.writes = changed.filter(|(addr, value)| self.held(*addr).0 != *value).collect();
        effect.hide_word();
        (refused, effect != self.effect && effect != self.stopped())
    }

    /// Returns what a charge does that is not covered, which the verifier judges.
    fn stopped(&self) -> Effect {
        if self.instr.op != Op::Charge {
            return self.effect.clone();
        }
        let [_, fp, fuel, pages] = self.effect.next[..] else { return self.effect.clone() };
        let (units, _) = self.held(self.state[1] + self.instr.b);
        Effect {
            next: vec![PC_OUT_OF_FUEL, fp, fuel, pages],
            writes: BTreeMap::new(),
            says: [("DYN".into(), units[..2].to_vec())].into(),
        }
    }
}

impl Effect {
    /// Which word enters is the host's choice, if the cell gets it.
    fn hide_word(&mut self) {
        let entered = self.says.iter().find(|(bus, tuple)| bus == "TX" && tuple[0] == 2).cloned();
        let Some((bus, tuple)) = entered else { return };
        let canonical = tuple[1..].iter().all(|limb| *limb < 1 << 16);
        if canonical && self.writes.values().all(|value| value[..] == tuple[1..]) {
            self.says = [(bus, vec![2])].into();
            self.writes.values_mut().for_each(|value| *value = [0; 4]);
        }
    }
}

fn without_time(state: &[u32]) -> Numbers {
    [&state[..2], &state[3..]].concat()
}

/// Limbs at which something changes: in the integers, and modulo p, where 2^16 times 0x7f00 is -1.
const LIMBS: [u64; 20] = [
    0, 0, 0, 1, 1, 2, 3, 4, 7, 8, 0xff, 0x100, 0x101, 0x7f00, 0x7f01, 0x7fff, 0x8000, 0xfe00,
    0xfffe, 0xffff,
];

fn limb(random: &mut Random) -> u64 {
    match random.index(6) {
        0 => random.below(1 << 16),
        1 => random.below(1 << 8),
        2 => random.below(1 << 8) << 8,
        3 => LIMBS[random.index(LIMBS.len())] ^ random.below(8),
        _ => LIMBS[random.index(LIMBS.len())],
    }
}

fn word(random: &mut Random, limbs: u32) -> u64 {
    (0..limbs).map(|place| limb(random) << (16 * place)).sum()
}

/// Returns a word that shares some limbs with another one.
fn like(other: u64, random: &mut Random, limbs: u32) -> u64 {
    let place = |place: u32, random: &mut Random| match random.one_in(2) {
        true => other & (0xffff << (16 * place)),
        false => limb(random) << (16 * place),
    };
    (0..limbs).map(|number| place(number, random)).sum()
}

/// Returns an instruction of this opcode after others that prepare its operands.
pub(crate) fn random(op: Op, random: &mut Random) -> Vec<Written> {
    let narrow = op.name().contains("32") && op != Op::Ext32S64;
    // An upper half that is not zero, which no program of a module has and `CNT` refuses.
    let dirty = narrow && op.chip() == Chip::Cnt && random.one_in(8);
    let limbs = if narrow && !dirty { 2 } else { 4 };
    let (a, b, c) = op.form();
    let x_limbs = match c {
        C::Offset | C::Count | C::Pages => 2,
        _ if a == A::Type || op == Op::Charge => 2,
        _ => limbs,
    };
    let x = word(random, x_limbs);
    let near = matches!(c, C::Offset) && !random.one_in(8);
    let offset = match random.index(4) {
        0 => limb(random),
        1 => place(random),
        _ => random.below(9),
    };
    // The address is near an end, whatever the offset.
    let x = if near { place(random).wrapping_sub(offset) & 0xffff_ffff } else { x };
    let x = if a == A::Type && !random.one_in(4) { random.below(5) } else { x };
    let y = like(x, random, limbs);
    let y = if op.chip() == Chip::Div && random.one_in(2) { 1 + random.below(8) } else { y };
    let old = word(random, 4);
    let condition = word(random, 2) * random.below(2);
    let mut text = vec![
        (Op::Const, [X, 0], x),
        (Op::Const, [Y, 0], y),
        (Op::Const, [CONDITION, 0], condition),
        (Op::Const, [DEST, 0], old),
    ];
    if op == Op::Charge {
        text.extend((0..random.below(3)).map(|_| (Op::Charge, [0, X], 0)));
    }
    let here = PC_CODE + text.len() as u32 + u32::from(op == Op::Ret);
    let target = here + 1 + random.index(LANDING as usize) as u32;
    let linkage = u64::from(target) | limb(random) << 32;
    let first = match a {
        A::None => 0,
        A::Dest => DEST,
        A::Source => Y,
        A::Global => GLOBALS,
        A::Target => target,
        A::Frame => [1, 50, 0x1_ffff, 0x2_0000, 0x2_0001][random.index(5)],
        A::Type => 3,
    };
    let second = match b {
        B::None => 0,
        B::Slot => X,
        B::Global => GLOBALS,
    };
    let constant = match c {
        C::None => 0,
        C::Imm64 => like(x, random, 4),
        C::Imm32 => like(x, random, 2),
        C::Slot => u64::from(Y),
        C::Slots => u64::from(Y) | u64::from(CONDITION) << 16,
        C::Offset => offset,
        C::Count => [0, 1, 3, 0x2_0000, 0x3f_ffff][random.index(5)],
        C::Linkage => linkage,
        C::Pages => u64::from(PAGES_MAX),
    };
    let landing = |taken: u64| u32::try_from(u64::from(here + 1).checked_sub(taken)?).ok();
    let first = match op {
        // It lands behind itself whatever the index is, if it can.
        Op::Brtab => landing((x & 0xffff_ffff).min(constant)).unwrap_or(target),
        _ => first,
    };
    if op == Op::Ret {
        text.push((Op::Const, [0, 0], u64::from(target)));
    }
    text.push((op, [first, second], constant));
    text
}

/// Returns whether an instruction finds operands that it can have in a program of a module.
pub(crate) fn is_usual(text: &[Written]) -> bool {
    let narrow = text.last().is_some_and(|(op, ..)| op.name().contains("32"));
    let operand = |slot: u32| [X, Y].contains(&slot);
    let upper = |(op, [slot, _], c): &Written| *op == Op::Const && operand(*slot) && c >> 32 != 0;
    !narrow || !text[..text.len() - 1].iter().any(upper)
}

/// Returns an address near an end of cells, pages or memory.
fn place(random: &mut Random) -> u64 {
    let ends = [0, 0, 8, 64, 0xfff8, 0x1_0000, 0x1_fff0, 0x1_fff8, 0x2_0000, 0x7f00_0000];
    ends[random.index(ends.len())] + random.below(9)
}

/// Writes instructions as words.
pub(crate) fn text(instrs: &[Written]) -> String {
    let one = |(op, [a, b], c): &Written| format!("{} {a} {b} {c:x}", op.name());
    instrs.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Reads instructions.
pub(crate) fn parse(text: &str) -> Vec<Written> {
    let one = |text: &str| {
        let words: Vec<&str> = text.split(' ').collect();
        let op = Op::ALL.iter().copied().find(|op| op.name() == words[0]).expect("an opcode");
        let number = |word: &str| word.parse().expect("a number");
        let constant = u64::from_str_radix(words[3], 16).expect("a constant");
        (op, [number(words[1]), number(words[2])], constant)
    };
    text.split(", ").map(one).collect()
}

/// Returns what an element is as a number.
pub(crate) fn number(value: F) -> u32 {
    value.as_canonical_u32()
}
