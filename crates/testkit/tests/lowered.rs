//! Lowered programs against an engine on modules that look for their edges.

mod arithmetic;
mod calls;
mod hostcalls;
mod memory;
mod modules;

use kapsule_abi::hostcall::HOSTCALLS;
use kapsule_abi::{Outcome, PAGE_BYTES};
use kapsule_engine::{Backend, Compiled, Job, JobOptions, Run, compile, run};
use kapsule_format::hash::{sha3_256, sha256};
use kapsule_format::package::{CoreHash, PackageId};
use kapsule_format::policy::{Limits, Policy};
use kapsule_meter::{MeteredModule, Options, Profile, meter};
use kapsule_testkit::full_host;
use kapsule_testkit::lowered::{LoweredModule, PASSES, Ran};

/// Fuel of a run that is not to run out of it.
const FUEL: u64 = 100_000_000;

/// A module on the interpreter and as a lowered program for every choice of passes.
struct Both {
    wasm: Vec<u8>,
    policy: Policy,
    input: Vec<u8>,
    compiled: Compiled,
    programs: Vec<LoweredModule>,
}

impl Both {
    /// Sets up a module with the ABI's exports, whose other parts are `fields`.
    fn new(fields: &str, pages: u32) -> Self {
        let text = format!(
            r#"(module {fields} (func (export "kapsule_abi_version") (result i32) i32.const 1))"#
        );
        let wasm = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let metered = meter(&wasm, &Options::new(Profile::Integer1)).unwrap();
        Self::of(wasm, &metered, pages)
    }

    fn of(wasm: Vec<u8>, metered: &MeteredModule, pages: u32) -> Self {
        let lower = |passes| LoweredModule::new(&wasm, metered, pages, passes).unwrap();
        let programs = PASSES.map(lower).into();
        let granted = HOSTCALLS.iter().filter(|hostcall| !hostcall.is_always_granted());
        let mut hostcalls: Vec<String> = granted.map(|hostcall| hostcall.name.into()).collect();
        hostcalls.sort();
        let memory_bytes = u64::from(pages) * u64::from(PAGE_BYTES);
        let limits = Limits { fuel: 4_000_000_000, memory_bytes, ..Limits::default() };
        let mut policy = Policy { hostcalls, limits, ..Policy::default() };
        policy.network.allow_mesh = true;
        let compiled = compile(metered, Backend::Wasmi).unwrap();
        Self { wasm, policy, input: b"the input of a run".to_vec(), compiled, programs }
    }

    fn engine(&self, fuel: u64) -> Run {
        let job = Job {
            capsule_hash: PackageId::new(sha3_256(&self.wasm)),
            core_hash: CoreHash::new(sha256(&self.wasm)),
            profile: Profile::Integer1,
            entry: "run",
            input: &self.input,
            policy: &self.policy,
            fuel,
            memory_bytes: self.policy.limits.memory_bytes,
            seed: [3; 32],
            deadline: None,
            compose: None,
            options: JobOptions::default(),
        };
        run(&self.compiled, &job, &mut full_host()).unwrap()
    }

    /// Runs with this fuel everywhere and returns what all agree on.
    fn agree_with(&self, fuel: u64) -> (Run, Ran) {
        let run = self.engine(fuel);
        let mut ran = Vec::new();
        for (program, passes) in self.programs.iter().zip(PASSES) {
            let compared = program.compare(&run);
            ran.push(compared.unwrap_or_else(|what| panic!("{fuel} fuel, {passes:?}: {what}")));
        }
        (run, ran[0])
    }

    fn agree(&self) -> Outcome {
        self.agree_with(FUEL).0.outcome
    }

    /// Runs at every limit from 0 to what the whole run takes, and returns that.
    fn agree_at_every_limit(&self) -> u64 {
        let total = self.engine(FUEL).usage.fuel;
        assert!(total < 3_000, "{total} limits are too many for a test");
        for fuel in 0..=total {
            self.agree_with(fuel);
        }
        total
    }
}

/// Runs an entry whose body is `body`, with two pages of which one is there at first.
fn agree(body: &str) -> Outcome {
    let fields =
        format!(r#"(memory (export "memory") 1) (func (export "run") (result i32) {body})"#);
    Both::new(&fields, 2).agree()
}
