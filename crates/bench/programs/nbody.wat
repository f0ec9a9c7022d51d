;; Five planets that attract each other, n steps of 0.01 years: 64-bit floats in memory.
;; The state is that of the n-body problem of the Computer Language Benchmarks Game, written anew.
;; Memory: a body has position, velocity and mass, 56 bytes.
;; Returns the upper half of the first planet's place on the x axis.
(module
  (memory (export "memory") 1)
  (func $place
    i32.const 24 f64.const -0x1.967e9a7e0f8dap-12 f64.store
    i32.const 32 f64.const -0x1.ad4ecfe5089fbp-9 f64.store
    i32.const 40 f64.const 0x1.919331f0b8a71p-16 f64.store
    i32.const 48 f64.const 0x1.3bd3cc9be45dep+5 f64.store
    i32.const 56 f64.const 0x1.35da0343cd92cp+2 f64.store
    i32.const 64 f64.const -0x1.290abc01fdb7cp+0 f64.store
    i32.const 72 f64.const -0x1.a86f96c25ebf0p-4 f64.store
    i32.const 80 f64.const 0x1.367069b93ccbcp-1 f64.store
    i32.const 88 f64.const 0x1.67ef2f57d949bp+1 f64.store
    i32.const 96 f64.const -0x1.9d2d79a5a0715p-6 f64.store
    i32.const 104 f64.const 0x1.34c95d9ab33d8p-5 f64.store
    i32.const 112 f64.const 0x1.0afcdc332ca67p+3 f64.store
    i32.const 120 f64.const 0x1.07fcb31de01b0p+2 f64.store
    i32.const 128 f64.const -0x1.9d353e1eb467cp-2 f64.store
    i32.const 136 f64.const -0x1.02c21b887774fp+0 f64.store
    i32.const 144 f64.const 0x1.d35e9bf1f8f13p+0 f64.store
    i32.const 152 f64.const 0x1.13c485f1123b4p-7 f64.store
    i32.const 160 f64.const 0x1.71d490d07c637p-7 f64.store
    i32.const 168 f64.const 0x1.9c9eacea7d9cfp+3 f64.store
    i32.const 176 f64.const -0x1.e38e8d626667ep+3 f64.store
    i32.const 184 f64.const -0x1.c9557be257da0p-3 f64.store
    i32.const 192 f64.const 0x1.1531ca9911befp+0 f64.store
    i32.const 200 f64.const 0x1.bcc7f3e54bbc5p-1 f64.store
    i32.const 208 f64.const -0x1.62f6bfaf23e7cp-7 f64.store
    i32.const 216 f64.const 0x1.c3dd29cf41eb3p-10 f64.store
    i32.const 224 f64.const 0x1.ec267a905572ap+3 f64.store
    i32.const 232 f64.const -0x1.9eb5833c8a220p+4 f64.store
    i32.const 240 f64.const 0x1.6f1f393abe540p-3 f64.store
    i32.const 248 f64.const 0x1.f54b61659bc4ap-1 f64.store
    i32.const 256 f64.const 0x1.307c631c4fba3p-1 f64.store
    i32.const 264 f64.const -0x1.1cb88587665f6p-5 f64.store
    i32.const 272 f64.const 0x1.0a8f3531799acp-9 f64.store)
  (func $step
    (local $a i32) (local $b i32) (local $ma f64) (local $mb f64)
    (local $dx f64) (local $dy f64) (local $dz f64) (local $square f64)
    loop $first
      local.get $a i32.const 56 i32.add local.set $b
      loop $second
        local.get $b i32.const 280 i32.lt_u
        if
          local.get $a f64.load local.get $b f64.load f64.sub local.set $dx
          local.get $a f64.load offset=8 local.get $b f64.load offset=8 f64.sub local.set $dy
          local.get $a f64.load offset=16 local.get $b f64.load offset=16 f64.sub local.set $dz
          local.get $dx local.get $dx f64.mul local.get $dy local.get $dy f64.mul f64.add
          local.get $dz local.get $dz f64.mul f64.add local.set $square
          f64.const 0.01 local.get $square local.get $square f64.sqrt f64.mul f64.div
          local.tee $square local.get $a f64.load offset=48 f64.mul local.set $ma
          local.get $square local.get $b f64.load offset=48 f64.mul local.set $mb
          local.get $a
          local.get $a f64.load offset=24 local.get $dx local.get $mb f64.mul f64.sub
          f64.store offset=24
          local.get $a
          local.get $a f64.load offset=32 local.get $dy local.get $mb f64.mul f64.sub
          f64.store offset=32
          local.get $a
          local.get $a f64.load offset=40 local.get $dz local.get $mb f64.mul f64.sub
          f64.store offset=40
          local.get $b
          local.get $b f64.load offset=24 local.get $dx local.get $ma f64.mul f64.add
          f64.store offset=24
          local.get $b
          local.get $b f64.load offset=32 local.get $dy local.get $ma f64.mul f64.add
          f64.store offset=32
          local.get $b
          local.get $b f64.load offset=40 local.get $dz local.get $ma f64.mul f64.add
          f64.store offset=40
          local.get $b i32.const 56 i32.add local.set $b
          br $second
        end
      end
      local.get $a i32.const 56 i32.add local.tee $a i32.const 280 i32.lt_u br_if $first
    end
    i32.const 0 local.set $a
    loop $move
      local.get $a
      local.get $a f64.load local.get $a f64.load offset=24 f64.const 0.01 f64.mul f64.add
      f64.store
      local.get $a
      local.get $a f64.load offset=8 local.get $a f64.load offset=32 f64.const 0.01 f64.mul f64.add
      f64.store offset=8
      local.get $a
      local.get $a f64.load offset=16 local.get $a f64.load offset=40 f64.const 0.01 f64.mul f64.add
      f64.store offset=16
      local.get $a i32.const 56 i32.add local.tee $a i32.const 280 i32.lt_u br_if $move
    end)
  (func (export "bench") (param $n i32) (result i32)
    call $place
    loop $steps
      call $step
      local.get $n i32.const 1 i32.sub local.tee $n br_if $steps
    end
    i32.const 60 i32.load))
