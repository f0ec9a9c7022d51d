//! Loads, stores, growth and bulk operations at the ends of memory and across cells.

use kapsule_abi::{Outcome, Trap};

use super::{Both, agree};

const LOADS: [(&str, u32); 10] = [
    ("i32.load", 4),
    ("i32.load8_s", 1),
    ("i32.load8_u", 1),
    ("i32.load16_s", 2),
    ("i32.load16_u", 2),
    ("i64.load", 8),
    ("i64.load8_s", 1),
    ("i64.load16_s", 2),
    ("i64.load32_s", 4),
    ("i64.load32_u", 4),
];
const STORES: [(&str, u32); 7] = [
    ("i32.store", 4),
    ("i32.store8", 1),
    ("i32.store16", 2),
    ("i64.store", 8),
    ("i64.store8", 1),
    ("i64.store16", 2),
    ("i64.store32", 4),
];
const PAGE: u32 = 65_536;

fn width(op: &str) -> &str {
    &op[..3]
}

/// A body that fills the first and the last bytes of the page with numbers of both signs.
const FILL: &str = "(local $i i32)
  (loop $fill
    (i32.store8 (local.get $i) (i32.mul (i32.add (local.get $i) (i32.const 1)) (i32.const 77)))
    (i32.store8 offset=65504 (local.get $i) (i32.mul (local.get $i) (i32.const 153)))
    (br_if $fill
      (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 32))))";

#[test]
fn loads_agree_at_every_offset_within_a_cell() {
    for (op, size) in LOADS {
        let places = (0..16).chain(PAGE - size - 9..=PAGE - size);
        let loads: String = places
            .enumerate()
            .map(|(index, place)| {
                let (base, offset) = (place / 2, place - place / 2);
                let to = 1024 + 8 * index;
                format!(
                    "({}.store offset={to} (i32.const 0) \
                     ({op} offset={offset} (i32.const {base})))\n",
                    width(op)
                )
            })
            .collect();
        assert_eq!(agree(&format!("{FILL} {loads} (i32.const 0)")), Outcome::Completed(0));
    }
}

#[test]
fn stores_agree_at_every_offset_within_a_cell_and_leave_the_rest() {
    for (op, size) in STORES {
        for place in (0..9).chain(PAGE - size - 3..=PAGE - size) {
            let (kind, value) = (width(op), -0x0102_0304);
            let outcome = agree(&format!(
                "{FILL} ({op} (i32.const {place}) ({kind}.const {value})) (i32.const 0)"
            ));
            assert_eq!(outcome, Outcome::Completed(0));
        }
    }
}

#[test]
fn accesses_outside_memory_trap_and_do_nothing() {
    let outside = |size: u32| {
        [
            (PAGE - size + 1, 0),
            (0, PAGE - size + 1),
            (PAGE - 1, 2),
            (PAGE, 0),
            (u32::MAX, 0),
            (u32::MAX, u32::MAX),
            (1, u32::MAX),
            (u32::MAX - size + 1, 0),
        ]
    };
    let trapped = Outcome::Trapped(Trap::MemoryOutOfBounds);
    for (op, size) in LOADS {
        for (base, offset) in outside(size) {
            let body = format!("(drop ({op} offset={offset} (i32.const {base}))) (i32.const 0)");
            assert_eq!(agree(&body), trapped, "{op} {base} {offset}");
        }
    }
    for (op, size) in STORES {
        for (base, offset) in outside(size) {
            let kind = width(op);
            let body = format!(
                "({op} offset={offset} (i32.const {base}) ({kind}.const -1)) (i32.const 0)"
            );
            assert_eq!(agree(&body), trapped, "{op} {base} {offset}");
        }
    }
}

#[test]
fn memory_grows_to_the_maximum_in_force_and_no_further() {
    let fields = |maximum: &str| {
        format!(
            r#"(memory (export "memory") 1 {maximum})
            (func (export "run") (result i32) (local i32)
              (local.set 0 (memory.grow (i32.const 0)))
              (local.set 0 (i32.add (i32.mul (local.get 0) (i32.const 10))
                (memory.grow (i32.const 2))))
              (local.set 0 (i32.add (i32.mul (local.get 0) (i32.const 10))
                (memory.grow (i32.const 3))))
              (local.set 0 (i32.add (i32.mul (local.get 0) (i32.const 10))
                (memory.grow (i32.const 65536))))
              (local.set 0 (i32.add (i32.mul (local.get 0) (i32.const 10))
                (memory.grow (i32.const -1))))
              (i32.store (i32.const 131072) (i32.const 7))
              (i32.add (i32.mul (local.get 0) (i32.const 10)) (memory.size)))"#
        )
    };
    for (maximum, pages) in [("", 3), ("", 4), ("", 6), ("3", 9), ("5", 9)] {
        let outcome = Both::new(&fields(maximum), pages).agree();
        assert!(matches!(outcome, Outcome::Completed(_) | Outcome::LimitReached(_)), "{outcome}");
    }
}

#[test]
fn bulk_operations_agree_on_every_alignment_and_overlap() {
    for to in 0..9 {
        let mut body = String::from(FILL);
        for (from, count) in (0..9).flat_map(|from| (0..20).step_by(3).map(move |n| (from, n))) {
            body += &format!(
                "(memory.copy (i32.const {to}) (i32.const {from}) (i32.const {count}))
                (memory.fill (i32.const {}) (i32.const {from}) (i32.const {count}))\n",
                40 + to
            );
        }
        assert_eq!(agree(&format!("{body} (i32.const 0)")), Outcome::Completed(0));
    }
}

#[test]
fn bulk_operations_trap_before_a_byte_moves() {
    let trapped = Outcome::Trapped(Trap::MemoryOutOfBounds);
    let ends =
        [(0, 0), (PAGE, 0), (PAGE + 1, 0), (PAGE - 1, 1), (PAGE - 1, 2), (1, PAGE), (5, u32::MAX)];
    for (start, count) in ends {
        let inside = u64::from(start) + u64::from(count) <= u64::from(PAGE);
        for body in [
            format!("(memory.fill (i32.const {start}) (i32.const 9) (i32.const {count}))"),
            format!("(memory.copy (i32.const {start}) (i32.const 0) (i32.const {count}))"),
            format!("(memory.copy (i32.const 0) (i32.const {start}) (i32.const {count}))"),
        ] {
            let outcome = agree(&format!("{FILL} {body} (i32.const 0)"));
            let fits = inside && (count <= PAGE || outcome == Outcome::Completed(0));
            match outcome {
                Outcome::Completed(0) => assert!(fits, "{body}"),
                // A count near 2^32 costs more than is granted.
                Outcome::LimitReached(_) => assert!(count == u32::MAX, "{body}"),
                other => assert_eq!((other, inside), (trapped, false), "{body}"),
            }
        }
    }
}

#[test]
fn growth_and_bulk_operations_agree_at_every_limit() {
    let fields = r#"(memory (export "memory") 1)
      (func (export "run") (result i32)
        (memory.fill (i32.const 3) (i32.const 1) (i32.const 100))
        (memory.copy (i32.const 7) (i32.const 1) (i32.const 90))
        (drop (memory.grow (i32.const 0)))
        (i32.load (i32.const 5)))"#;
    let total = Both::new(fields, 2).agree_at_every_limit();
    assert!(total > 24, "the dynamic charges are part of the fuel");
}
