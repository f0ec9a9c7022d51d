//! Generated modules with the job that runs them.

use arbitrary::Unstructured;
use kapsule_abi::PAGE_BYTES;
use kapsule_abi::hostcall::HOSTCALLS;
use kapsule_format::policy::{Filesystem, Limits, Network, Policy};
use kapsule_meter::Profile;
use wasm_smith::{Config, MemoryOffsetChoices, Module};

use crate::Random;
use crate::wrap::{self, Family, Kit};

/// Fuel that a sample is granted.
///
/// Chosen: endless loops, which are common in generated code, end within a few milliseconds on
/// the interpreter, and most modules that end by themselves need far less.
pub const FUEL_GRANTED: u64 = 50_000;

/// Greatest memory of a sample in pages; hashing the state of a run stays cheap.
const PAGES_MAX: u32 = 4;

/// Random bytes that one module is made of; most modules come to one or two kilobytes.
const ENTROPY_BYTES: usize = 2_048;

/// One generated module and what to run it with.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The seed that everything follows from.
    pub seed: u64,
    /// The module: `kapsule_v1` imports only, and an entry named `run`.
    pub wasm: Vec<u8>,
    /// Profile to meter it under.
    pub profile: Profile,
    /// Effective policy: every grant, and limits low enough that some samples reach them.
    pub policy: Policy,
    /// Input of the run.
    pub input: Vec<u8>,
}

impl Sample {
    /// Generates the sample of a seed, or nothing where the seed's bytes make no module.
    ///
    /// Even seeds are of profile `integer-1`, odd ones of `float-1`; a quarter imports nothing.
    #[must_use]
    pub fn generate(seed: u64) -> Option<Self> {
        let mut random = Random::new(seed);
        let profile = if seed.is_multiple_of(2) { Profile::Integer1 } else { Profile::Float1 };
        let family = if random.one_in(2) { Family::Inner } else { Family::Outer };
        let kit = match random.below(8) {
            0 | 1 => Kit::none(),
            2 => Kit::unguarded(family),
            _ => Kit::guarded(family),
        };
        let config = config(&mut random, profile, &kit);
        let entropy = random.bytes(ENTROPY_BYTES);
        let module = Module::new(config, &mut Unstructured::new(&entropy)).ok()?;
        let wasm = wrap::wrap(&module.to_bytes(), &kit, &mut random);
        let length = random.index(400);
        Some(Self { seed, wasm, profile, policy: policy(), input: random.bytes(length) })
    }

    /// Returns the memory that the job is granted, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.policy.limits.memory_bytes
    }
}

/// Grants everything, within limits that a generated module can reach.
fn policy() -> Policy {
    let granted = HOSTCALLS.iter().filter(|hostcall| !hostcall.is_always_granted());
    let mut hostcalls: Vec<String> = granted.map(|hostcall| hostcall.name.into()).collect();
    hostcalls.sort();
    let limits = Limits {
        calls: 100,
        fuel: FUEL_GRANTED,
        log_bytes: 400,
        memory_bytes: u64::from(PAGES_MAX * PAGE_BYTES),
        output_bytes: 600,
        storage_bytes: 300,
    };
    let filesystem =
        Filesystem { read_only: vec!["/r/".into()], write_allowed: vec!["/w/".into()] };
    let network = Network { allow_clearnet: true, allow_mesh: false };
    Policy { hostcalls, limits, filesystem, network, ..Policy::default() }
}

/// Configures the generator so that nearly everything lies within the profile.
fn config(random: &mut Random, profile: Profile, kit: &Kit) -> Config {
    let floats = profile == Profile::Float1;
    Config {
        available_imports: Some(kit.imports()),
        // Half of the modules avoid traps, so that long paths are run as well.
        disallow_traps: random.one_in(2),
        allow_floats: floats,
        saturating_float_to_int_enabled: floats,
        multi_value_enabled: true,
        sign_extension_ops_enabled: true,
        min_types: 3,
        // The counts of functions and types include the kit.
        min_funcs: 4,
        max_funcs: 24,
        max_instructions: 80,
        max_types: 60,
        max_globals: 8,
        max_exports: 4,
        max_imports: 40,
        min_memories: 1,
        max_memories: 1,
        max_memory32_bytes: u64::from((PAGES_MAX + 1) * PAGE_BYTES),
        memory_max_size_required: random.one_in(2),
        memory_offset_choices: MemoryOffsetChoices(95, 4, 1),
        max_tables: 1,
        max_table_elements: 32,
        table_max_size_required: true,
        max_element_segments: 3,
        max_elements: 12,
        max_data_segments: 3,
        // What no profile has.
        bulk_memory_enabled: false,
        reference_types_enabled: false,
        simd_enabled: false,
        relaxed_simd_enabled: false,
        exceptions_enabled: false,
        gc_enabled: false,
        compact_imports_enabled: false,
        memory64_enabled: false,
        tail_call_enabled: false,
        threads_enabled: false,
        wide_arithmetic_enabled: false,
        extended_const_enabled: false,
        ..Config::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_module() {
        let (left, right) = (Sample::generate(11).unwrap(), Sample::generate(11).unwrap());
        assert_eq!((left.wasm, left.input), (right.wasm, right.input));
        assert_ne!(Sample::generate(13).unwrap().wasm, Sample::generate(11).unwrap().wasm);
    }
}
