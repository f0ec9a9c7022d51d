//! Programs that the independent check must refuse, each by the rule that it breaks.

use kapsule_lower::isa::{self, Op};
use kapsule_lower::{
    Instr, LowerError, Lowered, Options, Origin, TableEntry, lower, lprogram_check,
};

/// A module with something of everything that the rules are about.
pub(crate) const MODULE: &str = r#"(module
  (import "kapsule_v1" "input_read" (func $read (param i64 i32 i32) (result i32)))
  (type $pair (func (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 7) "ab")
  (global $g (mut i32) (i32.const 7))
  (table 3 funcref)
  (elem (i32.const 1) $sum)
  (func $sum (type $pair) (i32.add (local.get 0) (local.get 1)))
  (func (export "kapsule_abi_version") (result i32) i32.const 1)
  (func (export "run") (result i32) (local $n i32) (local $t i32)
    (local.set $n (call $read (i64.const 0) (i32.const 16) (i32.const 8)))
    (if (i32.lt_u (local.get $n) (i32.const 1)) (then unreachable))
    (drop (memory.grow (i32.const 1)))
    (memory.fill (i32.const 0) (i32.const 1) (i32.const 3))
    (local.set $t (i32.load offset=16 (i32.const 0)))
    (global.set $g (local.get $t))
    (block (block (block (br_table 0 1 2 (local.get $n)))
      (local.set $n (i32.mul (local.get $n) (local.get $t)))))
    (select (local.get $n)
      (call_indirect (type $pair) (local.get $n) (i32.const 2) (i32.const 1))
      (call $sum (local.get $n) (i32.sub (local.get $t) (local.get $n))))))"#;

pub(crate) fn lowered() -> Lowered {
    lower(&wat::parse_str(MODULE).unwrap(), &Options::new(2)).unwrap()
}

/// Returns the first instruction with an opcode in pieces of some origin.
fn find(lowered: &Lowered, op: Op, wanted: fn(Origin) -> bool) -> usize {
    let pieces = lowered.pieces.iter().filter(|piece| wanted(piece.origin));
    let mut pcs = pieces.flat_map(|piece| piece.start..piece.end);
    let pc = pcs.find(|pc| lowered.program.at(*pc).unwrap().op == op).unwrap();
    (pc - isa::PC_CODE) as usize
}

fn function(origin: Origin) -> bool {
    matches!(origin, Origin::Function(_))
}

fn stub(origin: Origin) -> bool {
    matches!(origin, Origin::Stub(_))
}

fn entry(origin: Origin) -> bool {
    origin == Origin::Entry
}

fn edit(op: Op, origin: fn(Origin) -> bool, change: fn(&mut Instr)) -> impl Fn(&mut Lowered) {
    move |lowered| {
        let at = find(lowered, op, origin);
        change(&mut lowered.program.code[at]);
    }
}

type Change = Box<dyn Fn(&mut Lowered)>;

/// One change of the program for each rule, or more.
fn changes() -> Vec<(&'static str, Change)> {
    let mut changes: Vec<(&'static str, Change)> = Vec::new();
    let mut add = |rule: &'static str, change: Change| changes.push((rule, change));
    add("lower.check.pieces", Box::new(|l| l.pieces[1].start += 1));
    add("lower.check.fall", Box::new(edit(Op::Ret, function, |i| i.op = Op::Nop)));
    add("lower.check.memory", Box::new(|l| l.program.memory.pages_max = 0));
    add("lower.check.data", Box::new(|l| l.program.data.reverse()));
    add("lower.check.data", Box::new(|l| l.program.data[1].0 = 1 << 13));
    add("lower.check.globals", Box::new(|l| l.program.globals[0] = 8));
    add("lower.check.table", Box::new(|l| l.program.table[0] = l.program.table[1]));
    add("lower.check.table", Box::new(|l| l.program.table.truncate(2)));
    add(
        "lower.check.table",
        Box::new(|l| {
            l.program.table[1] = l.program.table[1].map(|e| TableEntry { pc: e.pc + 1, ..e });
        }),
    );
    add("lower.check.entry", Box::new(|l| l.program.entries.get_mut("run").unwrap().pc -= 1));
    add("lower.check.enter", Box::new(edit(Op::Enter, function, |i| i.op = Op::Nop)));
    add("lower.check.weight", Box::new(edit(Op::Enter, function, |i| i.a += 1)));
    add(
        "lower.check.unreachable",
        Box::new(|l| {
            let (at, other) = (find(l, Op::Jmp, function), find(l, Op::Brtab, function));
            assert_eq!(l.program.code[at].a, isa::PC_TRAP);
            l.program.code[other + 1].op = Op::Jmp;
            l.program.code[other + 1].a = isa::PC_TRAP;
        }),
    );
    add("lower.check.cost", Box::new(edit(Op::Enter, function, |i| i.cost -= 1)));
    add("lower.check.cost", Box::new(edit(Op::Enter, stub, |i| i.cost = 0)));
    add("lower.check.cost", Box::new(edit(Op::Out, entry, |i| i.cost = 1)));
    add("lower.check.form", Box::new(edit(Op::Enter, function, |i| i.b = 1)));
    add("lower.check.form", Box::new(edit(Op::Mul32, function, |i| i.c[1] = 1)));
    add("lower.check.form", Box::new(edit(Op::Mul32, function, |i| i.a = 1 << 22)));
    add("lower.check.slot", Box::new(edit(Op::Mul32, function, |i| i.a = 0)));
    add("lower.check.slot", Box::new(edit(Op::Mul32, function, |i| i.b = 99)));
    add("lower.check.slot", Box::new(edit(Op::Mul32, function, |i| i.c[0] = 0)));
    add("lower.check.slot", Box::new(edit(Op::Select, function, |i| i.c[1] = 0)));
    add("lower.check.global", Box::new(edit(Op::Gset, function, |i| i.a += 1)));
    add("lower.check.type", Box::new(edit(Op::Calli, function, |i| i.a = 77)));
    add("lower.check.pages", Box::new(edit(Op::Mgrow, function, |i| i.c[0] += 1)));
    add(
        "lower.check.words",
        Box::new(edit(Op::Gset, function, |i| {
            *i = Instr { op: Op::Out, a: 0, ..*i };
        })),
    );
    add(
        "lower.check.charge",
        Box::new(edit(Op::Charge, function, |i| {
            *i = Instr { op: Op::Nop, b: 0, ..*i };
        })),
    );
    add(
        "lower.check.charge",
        Box::new(edit(Op::Mgrow, function, |i| {
            *i = Instr { op: Op::Wrap, c: [0; 4], ..*i };
        })),
    );
    add("lower.check.jump", Box::new(edit(Op::Call, function, |i| i.a += 1)));
    add("lower.check.jump", Box::new(edit(Op::Brtab, function, |i| i.c[0] += 1)));
    add("lower.check.jump", Box::new(edit(Op::BgeUI, function, |i| i.a = isa::PC_COMPLETED)));
    add("lower.check.jump", Box::new(edit(Op::BgeUI, function, |i| i.a += 500)));
    add("lower.check.jump", Box::new(edit(Op::Brtab, stub, |i| i.c[0] += 1)));
    add("lower.check.jump", Box::new(edit(Op::Jmp, entry, |i| i.a = isa::PC_TRAP)));
    add("lower.check.linkage", Box::new(edit(Op::Call, function, |i| i.c[0] += 1)));
    add("lower.check.linkage", Box::new(edit(Op::Calli, function, |i| i.c[2] += 1)));
    changes
}

#[test]
fn each_rule_refuses_a_program_that_breaks_it_alone() {
    let wasm = wat::parse_str(MODULE).unwrap();
    lprogram_check(&lowered(), &wasm).unwrap();
    for (number, (rule, change)) in changes().into_iter().enumerate() {
        let mut lowered = lowered();
        change(&mut lowered);
        match lprogram_check(&lowered, &wasm) {
            Err(LowerError::Fault(fault)) => assert_eq!(fault.rule, rule, "change {number}"),
            other => panic!("change {number} for {rule}: {other:?}"),
        }
    }
}

#[test]
fn a_fault_names_its_rule_and_place() {
    let mut lowered = lowered();
    let at = find(&lowered, Op::Enter, function);
    lowered.program.code[at].a += 1;
    let error = lprogram_check(&lowered, &wat::parse_str(MODULE).unwrap()).unwrap_err();
    let text = "the lowered program breaks rule lower.check.weight at 32";
    assert_eq!(error.to_string(), text);
}
