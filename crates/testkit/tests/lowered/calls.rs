//! Calls, branches with operands, tables and the stack's end.

use kapsule_abi::{Outcome, Trap};

use super::Both;

#[test]
fn control_with_operands_agrees_at_every_limit() {
    let fields = r#"(memory (export "memory") 1)
      (func $swap (param i32 i64) (result i64 i32) (local.get 1) (local.get 0))
      (func $three (param i32 i32 i32) (result i32 i32 i32)
        (local.get 2) (local.get 0) (local.get 1))
      (func $pick (param i32) (result i32)
        (block (result i32)
          (i32.const 10)
          (block (result i32)
            (i32.const 20)
            (block (result i32)
              (i32.const 30)
              (br_table 0 1 2 3 1 (local.get 0)))
            (i32.add))
          (i32.mul))
        (i32.const 1)
        (i32.add))
      (func $count (param i32) (result i32) (local i32)
        (local.get 0)
        (loop (param i32) (result i32)
          (local.set 1 (i32.add (local.get 1) (i32.const 3)))
          (i32.sub (i32.const 1))
          (local.tee 0)
          (local.get 0)
          (br_if 0 (i32.gt_s (local.get 0) (i32.const 0)))
          (drop))
        (i32.add (local.get 1)))
      (func $early (param i32) (result i32)
        (if (result i32) (local.get 0)
          (then (if (i32.eq (local.get 0) (i32.const 2)) (then (return (i32.const 40))))
            (i32.const 1))
          (else (br 1 (i32.const 50)))))
      (func (export "run") (result i32) (local i64 i32)
        (call $swap (i32.const 5) (i64.const 9)) (local.set 1) (local.set 0)
        (call $three (local.get 1) (i32.const 2) (i32.wrap_i64 (local.get 0)))
        (call $three) i32.sub i32.mul
        (i32.add (call $pick (i32.const 0)))
        (i32.add (i32.mul (call $pick (i32.const 1)) (call $pick (i32.const 2))))
        (i32.add (i32.xor (call $pick (i32.const 3)) (call $pick (i32.const -1))))
        (i32.add (call $count (call $count (i32.const 2))))
        (i32.add (i32.add (call $early (i32.const 0)) (call $early (i32.const 1))))
        (i32.add (call $early (i32.const 2))))"#;
    let both = Both::new(fields, 1);
    assert!(matches!(both.agree(), Outcome::Completed(_)));
    assert!(both.agree_at_every_limit() > 100);
}

#[test]
fn indirect_calls_agree_on_every_kind_of_entry() {
    let fields = |index: i64| {
        format!(
            r#"(memory (export "memory") 1)
            (type $f (func (param i32) (result i32)))
            (type $same (func (param i32) (result i32)))
            (type $other (func (result i32)))
            (table 6 funcref)
            (elem (i32.const 1) $double $zero $twin)
            (func $double (type $f) (i32.mul (local.get 0) (i32.const 2)))
            (func $zero (type $other) (i32.const 0))
            (func $twin (type $same) (i32.add (local.get 0) (i32.const 2)))
            (func (export "run") (result i32)
              (i32.add (i32.const 3)
                (call_indirect (type $f) (i32.const 21) (i32.const {index}))))"#
        )
    };
    for (index, expected) in [
        (0, Outcome::Trapped(Trap::UninitialisedElement)),
        (1, Outcome::Completed(45)),
        (2, Outcome::Trapped(Trap::IndirectCallTypeMismatch)),
        (3, Outcome::Completed(26)),
        (5, Outcome::Trapped(Trap::UninitialisedElement)),
        (6, Outcome::Trapped(Trap::UndefinedElement)),
        (-1, Outcome::Trapped(Trap::UndefinedElement)),
    ] {
        let both = Both::new(&fields(index), 1);
        assert_eq!(both.agree(), expected, "{index}");
        both.agree_at_every_limit();
    }
}

#[test]
fn recursion_ends_at_the_same_depth() {
    for (locals, operands) in
        [("", ""), ("(local i64 i64 i64)", "(i32.const 1) (i32.const 2) i32.add drop")]
    {
        let fields = format!(
            r#"(memory (export "memory") 1) (global $depth (mut i32) (i32.const 0))
            (func $down (param i32) {locals} {operands}
              (global.set $depth (i32.add (global.get $depth) (i32.const 1)))
              (call $down (local.get 0)))
            (func (export "run") (result i32) (call $down (i32.const 1)) (i32.const 0))"#
        );
        let outcome = Both::new(&fields, 1).agree();
        assert_eq!(outcome, Outcome::Trapped(Trap::StackExhausted));
    }
}

#[test]
fn a_start_function_runs_first_and_its_trap_ends_the_run() {
    let fields = |body: &str| {
        format!(
            r#"(memory (export "memory") 1) (global $g (mut i64) (i64.const 1)) (start $start)
            (func $start (global.set $g (i64.const -5)) {body})
            (func (export "run") (result i32) (i32.wrap_i64 (global.get $g)))"#
        )
    };
    let both = Both::new(&fields(""), 1);
    assert_eq!(both.agree(), Outcome::Completed(0xffff_fffb));
    both.agree_at_every_limit();
    let trapped = Both::new(&fields("unreachable"), 1).agree();
    assert_eq!(trapped, Outcome::Trapped(Trap::Unreachable));
}

#[test]
fn locals_are_zero_where_no_path_has_set_them() {
    let fields = r#"(memory (export "memory") 1)
      (func $dirty (param i32 i32 i32) (local i32 i32 i32)
        (local.set 3 (i32.const 7)) (local.set 4 (i32.const 8)) (local.set 5 (i32.const 9)))
      (func $paths (param i32) (result i32) (local i32 i32 i32 i32 i32)
        (block
          (br_if 0 (local.get 0))
          (local.set 1 (i32.const 1)))
        (if (local.get 0) (then (local.set 2 (i32.const 2))) (else (local.set 2 (i32.const 3))))
        (loop (if (local.get 0) (then
          (local.set 3 (i32.const 4)) (local.set 0 (i32.const 0)) (br 1))))
        (block (block (br_table 0 1 (local.get 2))) (local.set 4 (i32.const 5)))
        (i32.add (i32.add (local.get 1) (local.get 2))
          (i32.add (i32.add (local.get 3) (local.get 4)) (local.get 5))))
      (func (export "run") (result i32)
        (call $dirty (i32.const 1) (i32.const 2) (i32.const 3))
        (i32.mul (call $paths (i32.const 0)) (call $paths (i32.const 1))))"#;
    let both = Both::new(fields, 1);
    assert!(matches!(both.agree(), Outcome::Completed(_)));
    both.agree_at_every_limit();
}
