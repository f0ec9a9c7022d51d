//! The fib task of `kapsule-bench prove` as a direct RV32 program on OpenVM's CPU prover.
//!
//! `cargo run --release -- [ROUNDS] [LOG_STACKED_HEIGHT]`, by default 200 000 rounds with the
//! parameters that its authors give for application proofs at 100 proven bits.
//! Prints seconds of execution and proof, to be set against those of the same task; instructions of
//! two instruction sets are not compared.

use std::time::Instant;

use eyre::{Result, eyre};
use openvm_circuit::arch::execution_mode::Segment;
use openvm_circuit::arch::{PreflightExecutionOutput, Streams, VirtualMachine, verify_segments};
use openvm_instructions::exe::VmExe;
use openvm_instructions::program::Program;
use openvm_rv32im_circuit::{Rv32ImConfig, Rv32ImCpuBuilder};
use openvm_rv32im_transpiler::{Rv32ITranspilerExtension, Rv32MTranspilerExtension};
use openvm_stark_backend::StarkEngine;
use openvm_stark_sdk::config::app_params_with_100_bits_security;
use openvm_stark_sdk::config::baby_bear_poseidon2::BabyBearPoseidon2CpuEngine;
use openvm_stark_sdk::p3_baby_bear::BabyBear;
use openvm_transpiler::transpiler::Transpiler;

type Engine = BabyBearPoseidon2CpuEngine;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: usize| -> Result<usize> {
        arguments.get(at).map_or(Ok(default), |text| Ok(text.parse()?))
    };
    let rounds = u32::try_from(number(0, 200_000)?)?;
    let log_stacked_height = number(1, 24)?;
    let start = Instant::now();
    let engine = Engine::new(app_params_with_100_bits_security(log_stacked_height));
    let (mut vm, pk) =
        VirtualMachine::<Engine, Rv32ImCpuBuilder>::new_with_keygen(
            engine,
            Rv32ImCpuBuilder,
            Rv32ImConfig::default(),
        )?;
    let vk = pk.get_vk();
    let exe = fib(rounds)?;
    let cached = vm.commit_program_on_device(&exe.program);
    vm.load_program(cached);
    println!("keys and program: {:.2} s", start.elapsed().as_secs_f64());

    let start = Instant::now();
    let context = vm.build_metered_ctx(&exe);
    let (segments, _) =
        vm.metered_interpreter(&exe)?.execute_metered(Streams::default(), context)?;
    let executed = start.elapsed().as_secs_f64();
    let mut interpreter = vm.preflight_interpreter(&exe)?;
    let mut state = vm.create_initial_state(&exe, Streams::default());
    let (mut proofs, mut instructions) = (Vec::new(), 0);
    for Segment { num_insns, trace_heights, .. } in &segments {
        vm.transport_init_memory_to_device(&state.memory);
        let PreflightExecutionOutput { system_records, record_arenas, to_state } =
            vm.execute_preflight(&mut interpreter, state, Some(*num_insns), trace_heights)?;
        state = to_state;
        let context = vm.generate_proving_ctx(system_records, record_arenas)?;
        let proof = vm.engine.prove(vm.pk(), context).map_err(|error| eyre!("{error:?}"))?;
        proofs.push(proof);
        instructions += num_insns;
    }
    let task = start.elapsed().as_secs_f64();
    let start = Instant::now();
    verify_segments(&vm.engine, &vk, &proofs).map_err(|error| eyre!("{error}"))?;
    println!(
        "fib, {rounds} rounds, log stacked height {log_stacked_height}: {instructions} RV32 \
         instructions in {} segments; execute {executed:.3} s, task {task:.2} s, verify {:.3} s",
        segments.len(),
        start.elapsed().as_secs_f64(),
    );
    Ok(())
}

/// The loop of `programs/fib_loop.wat`, with each 64-bit number in two registers.
fn fib(rounds: u32) -> Result<VmExe<BabyBear>> {
    // a in x5 and x6, b in x7 and x28, the sum in x11 and x13, rounds in x10.
    let words = [
        lui(10, (rounds + 0x800) >> 12),
        addi(10, 10, rounds & 0xfff),
        addi(5, 0, 0),
        addi(6, 0, 0),
        addi(7, 0, 1),
        addi(28, 0, 0),
        register(0, 11, 5, 7),
        // The carry: is the sum below what was added?
        register(3, 12, 11, 5),
        register(0, 13, 6, 28),
        register(0, 13, 13, 12),
        addi(5, 7, 0),
        addi(6, 28, 0),
        addi(7, 11, 0),
        addi(28, 13, 0),
        addi(10, 10, 0xfff),
        branch_not_zero(10, -9 * 4),
        // The custom instruction that ends a program with code 0.
        0x0b,
    ];
    let transpiler = Transpiler::<BabyBear>::default()
        .with_extension(Rv32ITranspilerExtension)
        .with_extension(Rv32MTranspilerExtension);
    let instructions = transpiler.transpile(&words).map_err(|error| eyre!("{error:?}"))?;
    Ok(VmExe::new(Program::new_without_debug_infos_with_option(&instructions, 0)))
}

fn lui(to: u32, high: u32) -> u32 {
    high << 12 | to << 7 | 0x37
}

fn addi(to: u32, from: u32, low: u32) -> u32 {
    low << 20 | from << 15 | to << 7 | 0x13
}

fn register(function: u32, to: u32, first: u32, second: u32) -> u32 {
    second << 20 | first << 15 | function << 12 | to << 7 | 0x33
}

fn branch_not_zero(register: u32, offset: i32) -> u32 {
    let offset = offset.cast_unsigned();
    let bits = |from: u32, count: u32| offset >> from & ((1 << count) - 1);
    bits(12, 1) << 31
        | bits(5, 6) << 25
        | register << 15
        | 1 << 12
        | bits(1, 4) << 8
        | bits(11, 1) << 7
        | 0x63
}
