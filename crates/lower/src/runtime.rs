//! Code that does not come from the module: routines, hostcall stubs and entry stubs.

use kapsule_abi::hostcall::HASH_BYTES;
use kapsule_abi::{Access, BUFFER_BYTES_MAX, Length, Trap, ValueType};
use kapsule_meter::StubPlan;

use crate::code::{Code, Label, Routine, Target};
use crate::isa::{Op, PC_COMPLETED, PC_DENIED, trap_pc};
use crate::words::{STATUS_COUNT, STATUS_ENDED};

const _: () = assert!(HASH_BYTES > 0, "a fixed buffer is never empty");

/// Words of salt that a salted entry reads first.
pub(crate) const SALT_WORDS: u32 = 4;

/// Number of the hostcall whose answer says how much fuel it used.
const CALL: u16 = 23;

/// Writes instructions with their fields in order.
struct Asm(Code);

impl Asm {
    fn new() -> Self {
        Self(Code::default())
    }

    fn op(&mut self, op: Op, a: u32, b: u32, c: u64) {
        self.0.emit(op, a, b, c);
    }

    /// Branches to a label if x is in the relation of `op` to `c`, a slot or a constant.
    fn branch(&mut self, op: Op, x: u32, c: u64, to: Label) {
        self.0.jump(op, Target::Label(to), x, c);
    }

    /// Branches to a trap.
    fn trap(&mut self, op: Op, x: u32, c: u64, trap: Trap) {
        self.0.jump(op, Target::Pc(trap_pc(trap)), x, c);
    }

    fn jump(&mut self, to: Label) {
        self.0.jump(Op::Jmp, Target::Label(to), 0, 0);
    }

    /// Binds a label that only earlier jumps go to, or a new one for later jumps.
    fn here(&mut self) -> Label {
        let label = self.0.label();
        self.0.bind(label);
        label
    }

    /// Traps unless the `length` bytes at `pointer` lie inside memory; uses two slots.
    fn inside(&mut self, pointer: u32, length: Length, [end, size]: [u32; 2], trap: Trap) {
        match length {
            Length::Param(slot) => self.op(Op::Add64, end, pointer, u64::from(slot)),
            Length::Fixed(bytes) => self.op(Op::Add64I, end, pointer, u64::from(bytes)),
        }
        self.op(Op::Msize, size, 0, 0);
        self.op(Op::Shl64I, size, size, 16);
        self.trap(Op::BltU, size, u64::from(end), trap);
    }

    /// Adds a signed number to a slot that holds an i32.
    fn step(&mut self, slot: u32, by: i32) {
        self.op(Op::Add32I, slot, slot, u64::from(by.cast_unsigned()));
    }
}

/// Emits a routine; its parameters are in slots 1 to 3, and it uses a few behind them.
pub(crate) fn routine(routine: Routine) -> Code {
    let mut asm = Asm::new();
    match routine {
        Routine::Fill => fill(&mut asm),
        Routine::Copy => copy(&mut asm),
        Routine::Out => out(&mut asm),
        Routine::In => input(&mut asm),
    }
    asm.op(Op::Ret, 0, 0, 0);
    asm.0
}

/// `memory.fill`: slot 1 address, 2 value, 3 count.
fn fill(asm: &mut Asm) {
    let (to, value, count, t, u) = (1, 2, 3, 4, 5);
    let done = asm.0.label();
    asm.op(Op::Charge, 0, count, 0);
    asm.inside(to, Length::Param(3), [t, u], Trap::MemoryOutOfBounds);
    asm.op(Op::AndI, value, value, 0xff);
    asm.op(Op::Mul64I, value, value, 0x0101_0101_0101_0101);
    sweep(asm, done, |asm, unit| {
        asm.op(unit.store, value, to, 0);
        asm.step(to, unit.size);
        asm.step(count, -unit.size);
    });
    asm.0.bind(done);
}

/// `memory.copy`: slot 1 destination, 2 source, 3 count.
fn copy(asm: &mut Asm) {
    let (to, from, count, t, u) = (1, 2, 3, 4, 5);
    asm.op(Op::Charge, 0, count, 0);
    asm.inside(to, Length::Param(3), [t, u], Trap::MemoryOutOfBounds);
    asm.inside(from, Length::Param(3), [t, u], Trap::MemoryOutOfBounds);
    let (done, backward) = (asm.0.label(), asm.0.label());
    asm.branch(Op::Beq, to, u64::from(from), done);
    asm.branch(Op::BltU, from, u64::from(to), backward);
    let moved = |asm: &mut Asm, unit: &Unit| {
        asm.op(unit.load, t, from, 0);
        asm.op(unit.store, t, to, 0);
    };
    let step = |asm: &mut Asm, by: i32| {
        asm.step(to, by);
        asm.step(from, by);
    };
    sweep(asm, done, |asm, unit| {
        moved(asm, unit);
        step(asm, unit.size);
        asm.step(count, -unit.size);
    });
    asm.jump(done);
    // Downwards from the ends, since the destination overlaps what is still to be read.
    asm.0.bind(backward);
    asm.op(Op::Add32, to, to, u64::from(count));
    asm.op(Op::Add32, from, from, u64::from(count));
    sweep(asm, done, |asm, unit| {
        step(asm, -unit.size);
        asm.step(count, -unit.size);
        moved(asm, unit);
    });
    asm.0.bind(done);
}

/// What is moved at once.
struct Unit {
    load: Op,
    store: Op,
    size: i32,
}

const BYTE: Unit = Unit { load: Op::Ld8U, store: Op::St8, size: 1 };
const WORD: Unit = Unit { load: Op::Ld64, store: Op::St64, size: 8 };

/// Goes through the bytes at slot 1, as many as slot 3 says: bytes until the address is aligned,
/// words, bytes; `unit` moves one and counts it.
fn sweep(asm: &mut Asm, done: Label, unit: impl Fn(&mut Asm, &Unit)) {
    let (to, count, t) = (1, 3, 4);
    let (words, word, tail, byte, _) = labels(asm);
    let head = asm.here();
    asm.branch(Op::BeqI, count, 0, done);
    asm.op(Op::AndI, t, to, 7);
    asm.branch(Op::BeqI, t, 0, words);
    unit(asm, &BYTE);
    asm.jump(head);
    asm.0.bind(words);
    asm.branch(Op::BltUI, count, 8, tail);
    asm.0.bind(word);
    unit(asm, &WORD);
    asm.branch(Op::BgeUI, count, 8, word);
    asm.0.bind(tail);
    asm.branch(Op::BeqI, count, 0, done);
    asm.0.bind(byte);
    unit(asm, &BYTE);
    asm.branch(Op::BneI, count, 0, byte);
}

fn labels(asm: &mut Asm) -> (Label, Label, Label, Label, Label) {
    let mut label = || asm.0.label();
    (label(), label(), label(), label(), label())
}

/// Writes the bytes at slot 1, as many as slot 2 says, as words; the last one is padded with zeros.
fn out(asm: &mut Asm) {
    let (from, count, word, shift, byte) = (1, 2, 3, 4, 5);
    let (full, tail, next, done, _) = labels(asm);
    asm.branch(Op::BltUI, count, 8, tail);
    asm.0.bind(full);
    asm.op(Op::Ld64, word, from, 0);
    asm.op(Op::Out, 0, word, 0);
    asm.step(from, 8);
    asm.step(count, -8);
    asm.branch(Op::BgeUI, count, 8, full);
    asm.0.bind(tail);
    asm.branch(Op::BeqI, count, 0, done);
    asm.op(Op::Const, word, 0, 0);
    asm.op(Op::Const, shift, 0, 0);
    asm.0.bind(next);
    asm.op(Op::Ld8U, byte, from, 0);
    asm.op(Op::Shl64, byte, byte, u64::from(shift));
    asm.op(Op::Or, word, word, u64::from(byte));
    asm.step(shift, 8);
    asm.step(from, 1);
    asm.step(count, -1);
    asm.branch(Op::BneI, count, 0, next);
    asm.op(Op::Out, 0, word, 0);
    asm.0.bind(done);
}

/// Reads words and stores them at slot 1, as many bytes as slot 2 says; bytes of the last word
/// beyond them must be zero.
fn input(asm: &mut Asm) {
    let (to, count, word, t, u) = (1, 2, 3, 4, 5);
    let (full, tail, next, done, _) = labels(asm);
    asm.branch(Op::BltUI, count, 8, tail);
    asm.0.bind(full);
    asm.op(Op::In, word, 0, 0);
    asm.op(Op::St64, word, to, 0);
    asm.step(to, 8);
    asm.step(count, -8);
    asm.branch(Op::BgeUI, count, 8, full);
    asm.0.bind(tail);
    asm.branch(Op::BeqI, count, 0, done);
    asm.op(Op::In, word, 0, 0);
    asm.op(Op::Shl32I, t, count, 3);
    asm.op(Op::ShrU64, u, word, u64::from(t));
    asm.trap(Op::BneI, u, 0, Trap::HostContractViolated);
    asm.0.bind(next);
    asm.op(Op::St8, word, to, 0);
    asm.op(Op::ShrU64I, word, word, 8);
    asm.step(to, 1);
    asm.step(count, -1);
    asm.branch(Op::BneI, count, 0, next);
    asm.0.bind(done);
}

/// Emits the stub of an entry; a salted run begins [`SALT_WORDS`] instructions earlier.
///
/// Its frame has no slots of its own, so the entry's frame starts at the stack's base.
pub(crate) fn entry(start: Option<u32>, entry: u32) -> Code {
    let mut asm = Asm::new();
    for _ in 0..SALT_WORDS {
        asm.op(Op::In, 1, 0, 0);
    }
    for function in start.into_iter().chain([entry]) {
        asm.0.jump(Op::Call, Target::Function(function), 0, 0);
    }
    asm.op(Op::Out, 0, 1, 0);
    asm.0.jump(Op::Jmp, Target::Pc(PC_COMPLETED), 0, 0);
    asm.0
}

/// Emits the stub of an imported hostcall, from its plan and its row of the ABI table.
pub(crate) fn stub(plan: &StubPlan) -> Code {
    let mut stub = Stub::new(plan);
    stub.pay();
    stub.check_buffers();
    stub.request();
    stub.status();
    stub.response();
    stub.asm.0
}

/// A hostcall stub under construction.
struct Stub<'p> {
    asm: Asm,
    plan: &'p StubPlan,
    /// First scratch slot.
    scratch: u32,
}

/// Scratch slots of a stub, counted from the first.
const RESULT: u32 = 0;
const WRITTEN: u32 = 1;
const TEMP: u32 = 2;
const OTHER: u32 = 3;

impl<'p> Stub<'p> {
    fn new(plan: &'p StubPlan) -> Self {
        let params = plan.hostcall.params.len() as u32;
        Self { asm: Asm::new(), plan, scratch: 1 + params }
    }

    const fn slot(&self, scratch: u32) -> u32 {
        self.scratch + scratch
    }

    /// Returns the length of a buffer with slots for parameters.
    fn length(length: Length) -> Length {
        match length {
            Length::Param(index) => Length::Param(index + 1),
            fixed @ Length::Fixed(_) => fixed,
        }
    }

    /// Stack check and fuel, in the order of `spec/fuel.md` section 4.
    fn pay(&mut self) {
        let temp = self.slot(TEMP);
        self.asm.0.charge(self.plan.block_cost);
        self.asm.op(Op::Enter, self.plan.weight, 0, 0);
        if self.plan.fixed_units > 0 {
            self.asm.op(Op::Const, temp, 0, u64::from(self.plan.fixed_units));
            self.asm.op(Op::Charge, 0, temp, 0);
        }
        let mut lengths = self.plan.hostcall.buffers().filter_map(|(_, _, length)| match length {
            Length::Param(index) => Some(1 + u32::from(index)),
            Length::Fixed(_) => None,
        });
        let Some(first) = lengths.next() else { return };
        self.asm.op(Op::Mov, temp, first, 0);
        for slot in lengths {
            self.asm.op(Op::Add32, temp, temp, u64::from(slot));
        }
        if self.plan.factor != 1 {
            self.asm.op(Op::Mul32I, temp, temp, u64::from(self.plan.factor));
        }
        self.asm.op(Op::Charge, 0, temp, 0);
    }

    /// Traps if a buffer that is not empty lies outside memory.
    fn check_buffers(&mut self) {
        let scratch = [self.slot(TEMP), self.slot(OTHER)];
        for (pointer, _, length) in self.plan.hostcall.buffers() {
            let length = Self::length(length);
            let empty = self.asm.0.label();
            if let Length::Param(slot) = length {
                self.asm.branch(Op::BeqI, u32::from(slot), 0, empty);
            }
            let pointer = 1 + pointer as u32;
            self.asm.inside(pointer, length, scratch, Trap::HostContractViolated);
            self.asm.0.bind(empty);
        }
    }

    /// Number, arguments and readable bytes; the bytes only if they are few enough.
    fn request(&mut self) {
        let (temp, hostcall) = (self.slot(TEMP), self.plan.hostcall);
        for word in [u64::from(hostcall.number), hostcall.params.len() as u64] {
            self.asm.op(Op::Const, temp, 0, word);
            self.asm.op(Op::Out, 0, temp, 0);
        }
        for param in 0..hostcall.params.len() as u32 {
            self.asm.op(Op::Out, 0, 1 + param, 0);
        }
        let readable = || hostcall.buffers().filter(|(_, access, _)| *access == Access::Read);
        if readable().next().is_none() {
            return;
        }
        self.asm.op(Op::Const, temp, 0, 0);
        for (_, _, length) in readable() {
            match Self::length(length) {
                Length::Param(slot) => self.asm.op(Op::Add64, temp, temp, u64::from(slot)),
                Length::Fixed(bytes) => self.asm.op(Op::Add64I, temp, temp, u64::from(bytes)),
            }
        }
        let skip = self.asm.0.label();
        self.asm.branch(Op::BgeUI, temp, u64::from(BUFFER_BYTES_MAX) + 1, skip);
        for (pointer, _, length) in readable() {
            let count = self.plan.weight + 2;
            match Self::length(length) {
                Length::Param(slot) => self.asm.op(Op::Mov, count, u32::from(slot), 0),
                Length::Fixed(bytes) => self.asm.op(Op::Const, count, 0, u64::from(bytes)),
            }
            self.call(Routine::Out, 1 + pointer as u32);
        }
        self.asm.0.bind(skip);
    }

    /// Calls a routine for the buffer at `pointer`, whose length was passed.
    fn call(&mut self, routine: Routine, pointer: u32) {
        self.asm.op(Op::Mov, self.plan.weight + 1, pointer, 0);
        let frame = u64::from(self.plan.weight) << 32;
        self.asm.0.jump(Op::Call, Target::Routine(routine), 0, frame);
    }

    /// Goes on with an answer, and ends the run with the other status words.
    fn status(&mut self) {
        let (temp, answered) = (self.slot(TEMP), self.asm.0.label());
        self.asm.op(Op::In, temp, 0, 0);
        self.asm.branch(Op::BltUI, temp, STATUS_ENDED, answered);
        self.asm.trap(Op::BgeUI, temp, STATUS_COUNT, Trap::HostContractViolated);
        self.asm.step(temp, -(STATUS_ENDED as i32));
        let last = STATUS_COUNT - STATUS_ENDED - 1;
        self.asm.0.jump(Op::Brtab, Target::Pc(PC_DENIED), temp, last);
        self.asm.0.bind(answered);
    }

    /// Result, written bytes, and what the answer says was used.
    fn response(&mut self) {
        let (result, written) = (self.slot(RESULT), self.slot(WRITTEN));
        let hostcall = self.plan.hostcall;
        let violated = Trap::HostContractViolated;
        if let Some(value_type) = hostcall.result {
            self.asm.op(Op::In, result, 0, 0);
            if value_type == ValueType::I32 {
                self.asm.trap(Op::BgeUI, result, 1 << 32, violated);
            }
        }
        for (pointer, _, length) in
            hostcall.buffers().filter(|(_, access, _)| *access == Access::Write)
        {
            self.asm.op(Op::In, written, 0, 0);
            match Self::length(length) {
                Length::Param(slot) => {
                    self.asm.trap(Op::BltU, u32::from(slot), u64::from(written), violated);
                }
                Length::Fixed(bytes) => {
                    self.asm.trap(Op::BgeUI, written, u64::from(bytes) + 1, violated);
                }
            }
            let pointer = 1 + pointer as u32;
            self.asm.op(Op::Mov, self.plan.weight + 2, written, 0);
            self.call(Routine::In, pointer);
            if hostcall.number == CALL {
                self.pay_nested(pointer);
            }
        }
        if hostcall.result.is_some() {
            self.asm.op(Op::Mov, 1, result, 0);
        }
        self.asm.op(Op::Ret, 0, 0, 0);
    }

    /// Charges the fuel of a nested run, the first 8 bytes of its answer, in steps that one charge
    /// can make.
    fn pay_nested(&mut self, pointer: u32) {
        const STEP: u64 = 1 << 28;
        let (fuel, units) = (self.slot(TEMP), self.slot(OTHER));
        let (rest, done) = (self.asm.0.label(), self.asm.0.label());
        self.asm.branch(Op::BltUI, self.slot(WRITTEN), 8, done);
        self.asm.op(Op::Ld64, fuel, pointer, 0);
        let next = self.asm.here();
        self.asm.branch(Op::BltUI, fuel, STEP, rest);
        self.asm.op(Op::Const, units, 0, STEP * 8);
        self.asm.op(Op::Charge, 0, units, 0);
        self.asm.op(Op::Add64I, fuel, fuel, STEP.wrapping_neg());
        self.asm.jump(next);
        self.asm.0.bind(rest);
        self.asm.op(Op::Shl32I, units, fuel, 3);
        self.asm.op(Op::Charge, 0, units, 0);
        self.asm.0.bind(done);
    }
}
