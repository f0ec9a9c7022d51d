;; Iterative 64-bit Fibonacci: n rounds of an addition, two moves and a loop.
(module
  (memory (export "memory") 1)
  (func (export "bench") (param $n i32) (result i32)
    (local $a i64) (local $b i64) (local $t i64)
    i64.const 1 local.set $b
    loop $round
      local.get $a local.get $b i64.add local.set $t
      local.get $b local.set $a
      local.get $t local.set $b
      local.get $n i32.const 1 i32.sub local.tee $n br_if $round
    end
    local.get $a i32.wrap_i64))
