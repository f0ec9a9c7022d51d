;; Sieve of Eratosthenes below n: byte stores in short loops; returns the number of primes.
(module
  (memory (export "memory") 32)
  (func (export "bench") (param $n i32) (result i32)
    (local $i i32) (local $j i32) (local $count i32)
    i32.const 0 i32.const 0 local.get $n memory.fill
    i32.const 2 local.set $i
    block $done
      loop $outer
        local.get $i local.get $n i32.ge_u br_if $done
        local.get $i i32.load8_u i32.eqz
        if
          local.get $count i32.const 1 i32.add local.set $count
          local.get $i local.get $i i32.add local.set $j
          block $marked
            loop $mark
              local.get $j local.get $n i32.ge_u br_if $marked
              local.get $j i32.const 1 i32.store8
              local.get $j local.get $i i32.add local.set $j
              br $mark
            end
          end
        end
        local.get $i i32.const 1 i32.add local.set $i
        br $outer
      end
    end
    local.get $count))
