;; Product of two n by n matrices of i64, n at most 128; returns a fold of the result.
(module
  (memory (export "memory") 8)
  (func $cell (param $base i32) (param $n i32) (param $row i32) (param $column i32) (result i32)
    local.get $row local.get $n i32.mul local.get $column i32.add
    i32.const 3 i32.shl local.get $base i32.add)
  (func (export "bench") (param $n i32) (result i32)
    (local $i i32) (local $j i32) (local $k i32) (local $sum i64) (local $fold i64)
    loop $fill
      local.get $i i32.const 3 i32.shl
      local.get $i i64.extend_i32_u i64.const 0x9e3779b97f4a7c15 i64.mul
      i64.store
      local.get $i i32.const 3 i32.shl
      local.get $i i64.extend_i32_u i64.const 0xbf58476d1ce4e5b9 i64.mul
      i64.store offset=131072
      local.get $i i32.const 1 i32.add local.tee $i
      local.get $n local.get $n i32.mul i32.lt_u br_if $fill
    end
    i32.const 0 local.set $i
    loop $rows
      i32.const 0 local.set $j
      loop $columns
        i32.const 0 local.set $k
        i64.const 0 local.set $sum
        loop $inner
          i32.const 0 local.get $n local.get $i local.get $k call $cell i64.load
          i32.const 131072 local.get $n local.get $k local.get $j call $cell i64.load
          i64.mul local.get $sum i64.add local.set $sum
          local.get $k i32.const 1 i32.add local.tee $k local.get $n i32.lt_u br_if $inner
        end
        local.get $fold i64.const 5 i64.rotl local.get $sum i64.xor local.set $fold
        local.get $j i32.const 1 i32.add local.tee $j local.get $n i32.lt_u br_if $columns
      end
      local.get $i i32.const 1 i32.add local.tee $i local.get $n i32.lt_u br_if $rows
    end
    local.get $fold i32.wrap_i64))
