//! Builds modules and jobs, and runs each on every backend.

use kapsule_abi::hostcall::HOSTCALLS;
use kapsule_abi::{Hostcall, Outcome, ValueType};
use kapsule_engine::{
    Backend, CapsuleMetadata, Compiled, Job, JobOptions, MemoryCapsule, MemoryHost, Replay,
    ReplayOptions, Run, RunError, TrustEdge, compile, disagreement, replay, run,
};
use kapsule_format::Digest;
use kapsule_format::key::IdentityId;
use kapsule_format::package::{CoreHash, PackageId};
use kapsule_format::policy::{Filesystem, Limits, Network, Policy};
use kapsule_format::transcript::{End, Entry, Header, Transcript};
use kapsule_meter::{MeteredModule, Options, Profile, meter};

pub(crate) const INPUT: &[u8] = b"0123456789";
pub(crate) const NOW_MS: u64 = 1_700_000_000_123;
pub(crate) const PAGE: u64 = 65_536;

/// A module, and what it is run with.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) wat: String,
    pub(crate) profile: Profile,
    pub(crate) policy: Policy,
    pub(crate) fuel: u64,
    pub(crate) memory_bytes: u64,
    pub(crate) options: JobOptions,
    pub(crate) entry: &'static str,
}

impl Case {
    /// Takes the fields of a module that exports memory and ABI version of its own accord.
    pub(crate) fn fields(fields: &str) -> Self {
        let policy = Policy {
            hostcalls: granted_names(),
            limits: Limits { memory_bytes: 4 * PAGE, storage_bytes: 1_000, ..Limits::default() },
            filesystem: Filesystem {
                read_only: vec!["/read/".into()],
                write_allowed: vec!["/write/".into()],
            },
            network: Network { allow_clearnet: true, allow_mesh: false },
            ..Policy::default()
        };
        Self {
            wat: module(fields),
            profile: Profile::Integer1,
            fuel: 10_000_000,
            memory_bytes: policy.limits.memory_bytes,
            policy,
            options: JobOptions::default(),
            entry: "run",
        }
    }

    /// Takes the body of the entry `run`, and the imports that it uses.
    pub(crate) fn body(imports: &[&str], body: &str) -> Self {
        Self::with_data(imports, &[], body)
    }

    /// As [`Case::body`], with `data` placed at address 1024.
    pub(crate) fn with_data(imports: &[&str], data: &[u8], body: &str) -> Self {
        let imports: String = imports.iter().map(|name| import(name)).collect();
        let data: String = data.iter().map(|byte| format!("\\{byte:02x}")).collect();
        Self::fields(&format!(
            "{imports} (memory (export \"memory\") 1)
             (data (i32.const 1024) \"{data}\")
             (func (export \"run\") (result i32) {body})"
        ))
    }

    pub(crate) fn wasm(&self) -> Vec<u8> {
        wat::parse_str(&self.wat).unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) fn metered(&self) -> MeteredModule {
        meter(&self.wasm(), &Options::new(self.profile)).unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) fn compiled(&self, backend: Backend) -> Compiled {
        compile(&self.metered(), backend).unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) fn job(&self) -> Job<'_> {
        Job {
            capsule_hash: PackageId::new(Digest::new([1; 32])),
            core_hash: CoreHash::new(Digest::new([2; 32])),
            profile: self.profile,
            entry: self.entry,
            input: INPUT,
            policy: &self.policy,
            fuel: self.fuel,
            memory_bytes: self.memory_bytes,
            seed: [9; 32],
            deadline: None,
            compose: None,
            options: self.options,
        }
    }

    /// Runs the case on one backend.
    pub(crate) fn run_on(&self, backend: Backend, host: &mut MemoryHost) -> Result<Run, RunError> {
        run(&self.compiled(backend), &self.job(), host)
    }

    /// Runs the case on every backend, compares the runs, replays each on every backend, and
    /// returns one of them.
    pub(crate) fn run(&self) -> Run {
        self.run_with(&host()).0
    }

    /// As [`Case::run`] with another host, which is returned as the run left it.
    pub(crate) fn run_with(&self, before: &MemoryHost) -> (Run, MemoryHost) {
        let mut runs = Vec::new();
        for backend in Backend::ALL {
            let mut host = before.clone();
            let run = self.run_on(*backend, &mut host);
            runs.push((run.unwrap_or_else(|error| panic!("{backend}: {error}")), host));
        }
        let (first, first_host) = runs[0].clone();
        for (run, host) in &runs {
            assert_eq!(disagreement(&first, run), None);
            let run = Run { trap_site: None, ..run.clone() };
            assert_eq!(run, Run { trap_site: None, ..first.clone() });
            assert_eq!(*host, first_host);
        }
        let transcript = first.transcript.as_ref().expect("evidence was asked for");
        let bytes = transcript.encode().expect("a transcript of a run");
        assert_eq!(Transcript::decode(&bytes).as_ref(), Ok(transcript));
        for backend in Backend::ALL {
            for input in [None, Some(INPUT)] {
                let replay = self.replay(*backend, transcript, input);
                assert_eq!(replay.difference, None, "{backend}");
                assert_eq!(replay.run.map(|run| run.output), Some(first.output.clone()));
            }
        }
        (first, first_host)
    }

    pub(crate) fn replay(
        &self,
        backend: Backend,
        transcript: &Transcript,
        input: Option<&[u8]>,
    ) -> Replay {
        let options = ReplayOptions { input, ..ReplayOptions::default() };
        replay(&self.compiled(backend), transcript, options)
            .unwrap_or_else(|error| panic!("{backend}: {error}"))
    }

    /// Returns how every backend refuses the case.
    pub(crate) fn refusal(&self) -> RunError {
        let errors = Backend::ALL.iter().map(|backend| {
            let made = self.run_on(*backend, &mut host());
            made.map(|run| run.outcome).expect_err("the job is refused")
        });
        let errors: Vec<RunError> = errors.collect();
        assert!(errors.iter().all(|error| *error == errors[0]), "{errors:?}");
        errors[0].clone()
    }
}

/// Runs the body of an entry and checks how it ends and what it writes.
pub(crate) fn check(imports: &[&str], body: &str, outcome: Outcome, output: &[u8]) -> Run {
    check_data(imports, &[], body, outcome, output)
}

/// As [`check`], with `data` placed at address 1024.
pub(crate) fn check_data(
    imports: &[&str],
    data: &[u8],
    body: &str,
    outcome: Outcome,
    output: &[u8],
) -> Run {
    let run = Case::with_data(imports, data, body).run();
    assert_eq!(run.outcome, outcome, "{body}");
    assert_eq!(run.output, output, "{body}");
    run
}

/// Returns the entries of a run.
pub(crate) fn entries(run: &Run) -> Vec<Entry<'_>> {
    run.transcript.as_ref().expect("evidence was asked for").entries.iter().collect()
}

/// A transcript to be changed.
pub(crate) struct Lie {
    pub(crate) header: Header,
    pub(crate) entries: Vec<LieEntry>,
    pub(crate) end: End,
}

/// An entry with bytes of its own.
#[derive(Clone)]
pub(crate) struct LieEntry {
    pub(crate) hostcall: u64,
    pub(crate) fuel: u64,
    pub(crate) status: u64,
    pub(crate) request: Vec<u8>,
    pub(crate) response: Vec<u8>,
}

/// Returns a changed copy of a transcript.
pub(crate) fn changed(transcript: &Transcript, change: impl FnOnce(&mut Lie)) -> Transcript {
    let Transcript { header, entries, end } = transcript.clone();
    let entries = entries.iter().map(|entry| LieEntry {
        hostcall: entry.hostcall,
        fuel: entry.fuel,
        status: entry.status,
        request: entry.request.to_vec(),
        response: entry.response.to_vec(),
    });
    let mut lie = Lie { header, entries: entries.collect(), end };
    change(&mut lie);
    let entries = lie.entries.iter().map(|entry| Entry {
        hostcall: entry.hostcall,
        fuel: entry.fuel,
        status: entry.status,
        request: &entry.request,
        response: &entry.response,
    });
    Transcript { entries: entries.collect(), header: lie.header, end: lie.end }
}

/// Returns the status words of a run.
pub(crate) fn statuses(run: &Run) -> Vec<u64> {
    entries(run).iter().map(|entry| entry.status).collect()
}

pub(crate) fn identity(byte: u8) -> IdentityId {
    IdentityId::new(Digest::new([byte; 32]))
}

pub(crate) fn metadata() -> CapsuleMetadata {
    CapsuleMetadata {
        kind: "post".into(),
        channel: Some(Digest::new([3; 32])),
        author: identity(4),
        seq: 77,
        parents: vec![Digest::new([5; 32])],
        flags: vec!["nsfw".into(), "promoted".into()],
        claimed_ms: 1_600_000_000_000,
        logic: Some(Digest::new([6; 32])),
    }
}

pub(crate) fn edge(byte: u8) -> TrustEdge {
    TrustEdge {
        from: identity(byte),
        to: identity(byte + 1),
        weight_ppm: 500_000,
        blocked: byte % 2 == 1,
        time_ms: 1_650_000_000_000,
    }
}

/// Returns a host with two capsules, one of them encrypted, a score and three edges.
pub(crate) fn host() -> MemoryHost {
    let genesis = CapsuleMetadata { channel: None, logic: None, ..metadata() };
    MemoryHost {
        capsules: vec![
            MemoryCapsule { metadata: metadata(), payload: Some(b"payload of zero".to_vec()) },
            MemoryCapsule { metadata: genesis, payload: None },
        ],
        scores: [(identity(4), 123_456)].into(),
        edges: vec![edge(10), edge(11), edge(12)],
        now_ms: NOW_MS,
        ..MemoryHost::default()
    }
}

/// Returns the names of all hostcalls that need a grant, ascending.
pub(crate) fn granted_names() -> Vec<String> {
    let names =
        HOSTCALLS.iter().filter(|call| !call.is_always_granted()).map(|call| call.name.into());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

pub(crate) fn import(name: &str) -> String {
    let call = Hostcall::from_name(name).expect("a hostcall");
    let text = |value: ValueType| match value {
        ValueType::I32 => "i32",
        ValueType::I64 => "i64",
    };
    let params: Vec<&str> = call.params.iter().map(|param| text(param.value_type())).collect();
    let result = call.result.map_or(String::new(), |result| format!("(result {})", text(result)));
    let params = params.join(" ");
    format!("(import \"kapsule_v1\" \"{name}\" (func ${name} (param {params}) {result}))")
}

fn module(fields: &str) -> String {
    format!("(module {fields} (func (export \"kapsule_abi_version\") (result i32) i32.const 1))")
}
