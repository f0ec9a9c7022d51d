//! Every integer operator on every pair of values at which something changes.

use kapsule_abi::{Outcome, Trap};

use super::{Both, agree};

const UNARY: [(&str, &str, &str); 15] = [
    ("i32", "i32", "clz"),
    ("i32", "i32", "ctz"),
    ("i32", "i32", "popcnt"),
    ("i32", "i32", "eqz"),
    ("i32", "i32", "extend8_s"),
    ("i32", "i32", "extend16_s"),
    ("i64", "i64", "clz"),
    ("i64", "i64", "ctz"),
    ("i64", "i64", "popcnt"),
    ("i64", "i64", "extend8_s"),
    ("i64", "i64", "extend16_s"),
    ("i64", "i64", "extend32_s"),
    ("i32", "i64", "extend_i32_s"),
    ("i32", "i64", "extend_i32_u"),
    ("i64", "i32", "wrap_i64"),
];
const BINARY: [&str; 15] = [
    "add", "sub", "mul", "and", "or", "xor", "shl", "shr_s", "shr_u", "rotl", "rotr", "div_s",
    "div_u", "rem_s", "rem_u",
];
const COMPARISONS: [&str; 10] =
    ["eq", "ne", "lt_s", "lt_u", "gt_s", "gt_u", "le_s", "le_u", "ge_s", "ge_u"];

/// Values around every place where limbs, signs and widths change.
fn values(width: &str) -> Vec<i64> {
    let narrow = [0, 1, 2, 31, 32, 255, 0x7fff, 0x8000, 0xffff, 0x1_0000, 0x7fff_ffff];
    let mut values: Vec<i64> = narrow.to_vec();
    match width {
        "i32" => values.extend([-1, -2, -0x8000, i64::from(i32::MIN), i64::from(i32::MIN) + 1]),
        _ => values.extend([
            -1,
            -2,
            63,
            0x8000_0000,
            0xffff_ffff,
            0x1_0000_0000,
            0x1_0000_0001,
            0xffff_ffff_ffff,
            i64::MAX,
            i64::MIN,
            i64::MIN + 1,
        ]),
    }
    values
}

/// Tells whether a division of these values traps.
fn traps(op: &str, width: &str, x: i64, y: i64) -> bool {
    let least = if width == "i32" { i64::from(i32::MIN) } else { i64::MIN };
    let divides = op.starts_with("div") || op.starts_with("rem");
    divides && y == 0 || op == "div_s" && x == least && y == -1
}

/// Runs statements of which each stores one result, at ascending addresses.
fn agree_on(locals: &str, statements: impl Iterator<Item = String>) {
    let mut body = String::new();
    for (index, statement) in statements.enumerate() {
        body += &statement.replace("(to)", &format!("offset={}", 8 * index));
        body.push('\n');
    }
    let outcome = agree(&format!("{locals} {body} (i32.const 0)"));
    assert_eq!(outcome, Outcome::Completed(0));
}

#[test]
fn binary_operators_agree_on_boundary_values_in_slots_and_as_constants() {
    for width in ["i32", "i64"] {
        let values = values(width);
        for op in BINARY {
            let pairs = values.iter().flat_map(|x| values.iter().map(move |y| (*x, *y)));
            let pairs: Vec<_> = pairs.filter(|(x, y)| !traps(op, width, *x, *y)).collect();
            let forms = pairs.iter().flat_map(|(x, y)| {
                let set =
                    format!("(local.set 0 ({width}.const {x})) (local.set 1 ({width}.const {y}))");
                let (x, y) = (format!("({width}.const {x})"), format!("({width}.const {y})"));
                [
                    format!(
                        "{set} ({width}.store (to) (i32.const 0) \
                         ({width}.{op} (local.get 0) (local.get 1)))"
                    ),
                    format!("({width}.store (to) (i32.const 0) ({width}.{op} (local.get 0) {y}))"),
                    format!("({width}.store (to) (i32.const 0) ({width}.{op} {x} (local.get 1)))"),
                    format!("({width}.store (to) (i32.const 0) ({width}.{op} {x} {y}))"),
                ]
            });
            agree_on(&format!("(local {width} {width})"), forms);
        }
    }
}

#[test]
fn comparisons_agree_as_values_conditions_and_inverted() {
    for width in ["i32", "i64"] {
        let values = values(width);
        for op in COMPARISONS {
            let pairs = values.iter().flat_map(|x| values.iter().map(move |y| (*x, *y)));
            let forms = pairs.map(|(x, y)| {
                let (x, y) = (format!("({width}.const {x})"), format!("({width}.const {y})"));
                format!(
                    "(local.set 0 {x}) (local.set 1 {y})
                    (i32.store8 (to) (i32.const 0) ({width}.{op} (local.get 0) (local.get 1)))
                    (i32.store8 (to) (i32.const 1) (i32.eqz ({width}.{op} (local.get 0) {y})))
                    (i32.store8 (to) (i32.const 2) ({width}.{op} {x} (local.get 1)))
                    (if ({width}.{op} (local.get 0) {y})
                      (then (i32.store8 (to) (i32.const 3) (i32.const 1))))
                    (if (i32.eqz ({width}.{op} {x} (local.get 1)))
                      (then (i32.store8 (to) (i32.const 4) (i32.const 1))))
                    (i32.store8 (to) (i32.const 5)
                      (select (i32.const 9) (i32.const 7) ({width}.{op} {x} {y})))"
                )
            });
            agree_on(&format!("(local {width} {width})"), forms);
        }
    }
}

#[test]
fn unary_operators_agree_on_boundary_values() {
    for (from, to, op) in UNARY {
        let forms = values(from).into_iter().map(|x| {
            format!(
                "(local.set 0 ({from}.const {x}))
                ({to}.store (to) (i32.const 0) ({to}.{op} (local.get 0)))
                ({to}.store (to) (i32.const 2048) ({to}.{op} ({from}.const {x})))"
            )
        });
        // `wrap_i64` and the extensions from i32 name both types.
        agree_on(&format!("(local {from})"), forms);
    }
}

#[test]
fn divisions_trap_where_the_engines_trap_and_write_nothing() {
    for (width, least) in [("i32", i64::from(i32::MIN)), ("i64", i64::MIN)] {
        for op in ["div_s", "div_u", "rem_s", "rem_u"] {
            for (x, y) in [(0, 0), (1, 0), (least, 0), (least, -1), (-1, least)] {
                let outcome = agree(&format!(
                    "(local {width} {width})
                    (local.set 0 ({width}.const {x})) (local.set 1 ({width}.const {y}))
                    ({width}.store (i32.const 0) ({width}.const 5))
                    ({width}.store (i32.const 0) ({width}.{op} (local.get 0) (local.get 1)))
                    (i32.const 0)"
                ));
                let expected = match y {
                    0 => Outcome::Trapped(Trap::DivisionByZero),
                    -1 if op == "div_s" => Outcome::Trapped(Trap::IntegerOverflow),
                    _ => Outcome::Completed(0),
                };
                assert_eq!(outcome, expected, "{width}.{op} {x} {y}");
            }
        }
    }
}

#[test]
fn operands_keep_their_values_while_locals_change() {
    let fields = r#"(memory (export "memory") 1)
      (func (export "run") (result i32) (local i32 i32 i64)
        (local.set 0 (i32.const 3))
        (i32.store (i32.const 0)
          (i32.add (local.get 0) (i32.mul (local.tee 0 (i32.const 5)) (local.get 0))))
        (i32.store (i32.const 4)
          (i32.sub (local.tee 1 (local.get 0)) (local.tee 0 (i32.const 8))))
        (local.get 0) (local.get 0) (local.get 1)
        (local.set 0 (i32.add (local.get 0) (i32.const 1)))
        (local.set 1 (local.get 0))
        i32.add i32.mul
        (local.set 2 (i64.extend_i32_u (i32.const -1)))
        (i64.store (i32.const 8) (i64.add (local.get 2) (i64.const 1)))
        (block (result i32)
          (local.tee 1 (i32.const 4))
          (br_if 0 (local.get 1) (local.get 0))
          i32.add)
        i32.add)"#;
    let both = Both::new(fields, 1);
    assert!(matches!(both.agree(), Outcome::Completed(_)));
    both.agree_at_every_limit();
}
