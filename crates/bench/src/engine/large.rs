//! A module of about 100 KB.

use std::fmt::Write as _;

/// Functions of the module; with these its code is about 100 KB.
const FUNCTIONS: u32 = 900;

/// Returns a module of many middle-sized functions, a loop and a branch in each, of which the
/// entry calls every tenth.
pub(crate) fn module_text() -> String {
    let mut text = String::from(
        "(module (memory (export \"memory\") 1)\n\
         (func (export \"kapsule_abi_version\") (result i32) i32.const 1)\n",
    );
    for index in 0..FUNCTIONS {
        let (a, b) = (index.wrapping_mul(2_654_435_761) | 1, index % 29 + 1);
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "(func $f{index} (param $x i32) (result i32) (local $i i32) (local $y i64)
               loop $l
                 local.get $x i32.const {a} i32.mul i32.const {b} i32.rotl local.set $x
                 local.get $y local.get $x i64.extend_i32_u i64.add i64.const {a} i64.xor
                 local.set $y
                 local.get $x i32.const 7 i32.and
                 if
                   local.get $x i32.const 0xfffc i32.and
                   local.get $x i32.const 0xfffc i32.and i32.load local.get $x i32.add i32.store
                 else
                   local.get $y i64.const {b} i64.shr_u local.get $y i64.or local.set $y
                 end
                 local.get $i i32.const 1 i32.add local.tee $i i32.const 10 i32.lt_u br_if $l
               end
               local.get $x local.get $y i32.wrap_i64 i32.xor)"
        );
    }
    text.push_str("(func (export \"run\") (result i32) (local $x i32)\n");
    for index in (0..FUNCTIONS).step_by(10) {
        let _ = writeln!(text, "local.get $x call $f{index} local.set $x");
    }
    // The entry's result is the guest's error code, so success is zero.
    text.push_str("i32.const 0))");
    text
}
