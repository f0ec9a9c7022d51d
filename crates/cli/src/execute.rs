//! Running and replaying a verified package on an engine.

use std::borrow::Cow;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use kapsule_abi::{ErrorCode, Hostcall, Limit, Outcome, Rule, guard};
use kapsule_engine::{
    Ahead, Backend, CodeOrigin, Compiled, Compose, Host, HostError, Job, JobOptions, Pool, Replay,
    ReplayOptions, Run, RunError,
};
use kapsule_format::manifest::Abi;
use kapsule_format::package::Package;
use kapsule_format::policy::Policy;
use kapsule_format::transcript::Transcript;
use kapsule_meter::{MeteredModule, Options, Profile};

use crate::closure::Library;
use crate::codecache::CodeCache;
use crate::error::Failure;
use crate::{grants, interrupt};

/// Which engine runs; the result never depends on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    /// The interpreter for short runs, the JIT for long ones.
    #[default]
    Auto,
    /// The interpreter.
    Wasmi,
    /// The compiler.
    Jit,
}

impl Engine {
    /// Returns the backend for a run of this much fuel.
    pub(crate) fn backend(self, fuel: u64) -> Backend {
        match self {
            Self::Auto => Backend::choose(fuel),
            Self::Wasmi => Backend::Wasmi,
            Self::Jit => Backend::Jit,
        }
    }
}

/// A module ready to run, with the package it came from.
pub(crate) struct Loaded<'a> {
    /// Name for messages.
    pub(crate) name: &'a str,
    /// The package.
    pub(crate) package: &'a Package,
    /// The hostcalls that its module imports, each once, in order of their numbers.
    pub(crate) imports: Vec<&'static Hostcall>,
    wasm: Cow<'a, [u8]>,
    profile: Profile,
    /// Metered when it is first needed, which is at once without code from the cache.
    metered: OnceLock<MeteredModule>,
    /// Code from the cache.
    hot: Option<Compiled>,
    cache: Option<CodeCache>,
    callees: Option<&'a Library<'a>>,
}

/// Validates and meters the module of a package, which the caller has opened.
pub(crate) fn load<'a>(
    name: &'a str,
    package: &'a Package,
    module: impl Into<Cow<'a, [u8]>>,
) -> Result<Loaded<'a>, Failure> {
    load_with(name, package, module.into(), Prepared::default())
}

/// What may spare work that is the same for every run of a module.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    /// Code that was kept, where it may be used.
    pub(crate) cache: Option<CodeCache>,
    /// Metering that has begun.
    pub(crate) ahead: Option<Ahead>,
}

impl Prepared {
    /// Begins to meter the module of a file of which nothing is known yet, unless a cache may have
    /// its code.
    pub(crate) fn begin(file: &[u8], cache: Option<CodeCache>) -> Self {
        let ahead = Ahead::begin(file, |module, profile| {
            cache.as_ref().is_none_or(|cache| !cache.has(&CodeOrigin { module, profile }))
        });
        Self { cache, ahead }
    }
}

/// Finds the code of a module in a cache, or does what [`load`] does and lets runs keep the code.
///
/// An entry of the cache was made of a module that had been validated and metered, and names the
/// rules for both, so neither is done again.
pub(crate) fn load_with<'a>(
    name: &'a str,
    package: &'a Package,
    wasm: Cow<'a, [u8]>,
    prepared: Prepared,
) -> Result<Loaded<'a>, Failure> {
    let Prepared { cache, ahead } = prepared;
    let exec = &package.manifest().exec;
    if exec.abi != Abi::KapsuleV1 {
        return Err(Failure::new(
            ErrorCode::VersionUnsupported,
            format!("{name} cannot be run by this command"),
            "modules of the capability kernel have no command yet",
        )
        .cause(format!("exec.abi is {}, allowed is {}", exec.abi, Abi::KapsuleV1)));
    }
    let profile: Profile =
        exec.profile.name().parse().map_err(|error| module_refused(name, &error))?;
    let origin = CodeOrigin { module: exec.hash, profile };
    let hot = cache.as_ref().and_then(|cache| cache.load(&origin, &wasm));
    let imports = hot.as_ref().map(|hot| hot.imports().to_vec());
    let (metered, callees) = (OnceLock::new(), None);
    let mut loaded = Loaded {
        name,
        package,
        imports: imports.unwrap_or_default(),
        wasm,
        profile,
        metered,
        hot,
        cache,
        callees,
    };
    if loaded.hot.is_none() {
        if let Some(ahead) = ahead {
            let module = ahead.meter(&loaded.wasm, profile);
            loaded.metered = module.map_err(|error| module_refused(name, &error))?.into();
        }
        loaded.imports = grants::distinct(loaded.module()?);
    }
    Ok(loaded)
}

/// Looks at the module of a package that nobody verified, and so never at an encrypted one.
pub(crate) fn peek<'a>(name: &'a str, package: &'a Package) -> Result<Loaded<'a>, Failure> {
    let module = package.module(None).map_err(|error| {
        let hint = "run it where a key of a recipient is held; this command decrypts nothing";
        Failure::decode(format!("the module of {name} is encrypted"), &error, hint)
    })?;
    load(name, package, module)
}

/// Returns the failure of a module that metering refuses.
pub(crate) fn module_refused(name: &str, error: &kapsule_meter::MeterError) -> Failure {
    let hint = match error.code {
        ErrorCode::ImportRefused => "import only the hostcalls that `kapsule limits` lists",
        ErrorCode::LimitExceeded => "print the limits of a module with `kapsule limits`",
        ErrorCode::ModuleFeatureRefused => {
            "build for wasm32v1-none; floats need `exec.profile = \"float-1\"` in the manifest"
        }
        ErrorCode::EntryNotFound => "build the module with the SDK, which exports what is needed",
        _ => "build the module again for wasm32v1-none",
    };
    Failure::new(error.code, format!("{name} has a module that cannot run"), hint).cause(error)
}

/// What to run, and with what.
pub(crate) struct Request<'a> {
    /// Entry, or the one of the manifest.
    pub(crate) entry: Option<&'a str>,
    /// Input bytes.
    pub(crate) input: &'a [u8],
    /// Effective policy.
    pub(crate) policy: &'a Policy,
    /// Granted fuel, or all that the policy gives.
    pub(crate) fuel: Option<u64>,
    /// Seed of `random`.
    pub(crate) seed: [u8; 32],
    /// Engine.
    pub(crate) engine: Engine,
    /// Whether the states of start and end are kept, for a receipt.
    pub(crate) states: bool,
}

/// A run that ended, by itself or by a rule.
pub(crate) struct Ran {
    /// Engine that ran.
    pub(crate) backend: Backend,
    /// Entry that was called.
    pub(crate) entry: String,
    /// Granted fuel.
    pub(crate) fuel_granted: u64,
    /// What the engine reports.
    pub(crate) run: Run,
    /// Time that compiling and running took; part of nothing else.
    pub(crate) elapsed: Duration,
}

impl<'a> Loaded<'a> {
    /// Lets runs call the packages of a closure.
    pub(crate) fn with_callees(self, callees: &'a Library<'a>) -> Self {
        Self { callees: Some(callees), ..self }
    }

    /// Returns the metered module.
    pub(crate) fn module(&self) -> Result<&MeteredModule, Failure> {
        if let Some(module) = self.metered.get() {
            return Ok(module);
        }
        let module = kapsule_meter::meter(&self.wasm, &Options::new(self.profile))
            .map_err(|error| module_refused(self.name, &error))?;
        Ok(self.metered.get_or_init(|| module))
    }

    /// Returns the metered module where a run asks for it.
    pub(crate) fn metered(&self) -> Result<&MeteredModule, HostError> {
        self.module().map_err(|failure| HostError::Compile {
            backend: Backend::Wasmi,
            detail: failure.message,
        })
    }

    /// Runs one entry against a host.
    pub(crate) fn run(&self, request: &Request<'_>, host: &mut dyn Host) -> Result<Ran, Failure> {
        let job = self.job(request)?;
        let start = Instant::now();
        let ran = match request.engine {
            Engine::Auto => match &self.hot {
                Some(hot) => kapsule_engine::run_hot(hot, &job, host, || self.metered()),
                None => {
                    let compile = &mut |module: &_, backend| self.compile_and_keep(module, backend);
                    kapsule_engine::run_auto_with(self.module()?, &job, host, compile)
                }
            },
            _ => self.run_on(request.engine.backend(job.fuel), &job, host),
        };
        self.ran(&job, ran, start)
    }

    fn run_on(
        &self,
        backend: Backend,
        job: &Job<'_>,
        host: &mut dyn Host,
    ) -> Result<(Backend, Run), RunError> {
        let run = match backend {
            Backend::Wasmi => kapsule_engine::run_once(self.metered()?, backend, job, host),
            Backend::Jit => kapsule_engine::run(&self.ready(backend)?, job, host),
        };
        Ok((backend, run?))
    }

    fn origin(&self) -> CodeOrigin {
        CodeOrigin { module: self.package.manifest().exec.hash, profile: self.profile }
    }

    fn compile_and_keep(
        &self,
        module: &MeteredModule,
        backend: Backend,
    ) -> Result<Compiled, HostError> {
        let compiled = kapsule_engine::compile(module, backend)?;
        if let Some(cache) = &self.cache {
            cache.keep(&compiled, &self.origin());
        }
        Ok(compiled)
    }

    /// Returns the compiled module, for the JIT from the cache if it is there.
    fn ready(&self, backend: Backend) -> Result<Compiled, HostError> {
        match &self.hot {
            Some(hot) if backend == hot.backend() => Ok(hot.clone()),
            _ => self.compile_and_keep(self.metered()?, backend),
        }
    }

    /// Compiles the module for runs of this much fuel in all.
    pub(crate) fn compile(&self, engine: Engine, fuel: u64) -> Result<Ready<'_>, Failure> {
        let compiled = self
            .ready(engine.backend(fuel))
            .map_err(|error| self.refused(self.package.policy(), &RunError::from(error)))?;
        let (pools, interpreter) = (Mutex::default(), OnceLock::new());
        Ok(Ready { loaded: self, engine, compiled, pools, interpreter })
    }

    fn job<'j>(&'j self, request: &Request<'j>) -> Result<Job<'j>, Failure> {
        let exec = &self.package.manifest().exec;
        let entry = request.entry.unwrap_or(&exec.entry);
        if !exec.has_entry(entry) {
            let mut names = vec![exec.entry.as_str()];
            names.extend(exec.entries.iter().flatten().map(String::as_str));
            return Err(Failure::new(
                ErrorCode::EntryNotFound,
                format!("{} has no entry {entry:?}", self.name),
                format!("choose one of its entries: {}", names.join(", ")),
            )
            .cause("the manifest does not list it"));
        }
        Ok(Job {
            capsule_hash: self.package.capsule_hash(),
            core_hash: self.package.core_hash(),
            profile: self.profile,
            entry,
            input: request.input,
            policy: request.policy,
            fuel: request.fuel.unwrap_or(request.policy.limits.fuel),
            memory_bytes: request.policy.limits.memory_bytes,
            seed: request.seed,
            deadline: Some(&interrupt::requested),
            compose: self.compose(),
            options: JobOptions { states: request.states, ..JobOptions::default() },
        })
    }

    /// Returns what runs may call.
    fn compose(&self) -> Option<Compose<'_>> {
        let dependencies = self.package.dependencies();
        self.callees.map(|callees| Compose { dependencies, callees })
    }

    fn ran(
        &self,
        job: &Job<'_>,
        ran: Result<(Backend, Run), RunError>,
        start: Instant,
    ) -> Result<Ran, Failure> {
        let elapsed = start.elapsed();
        let (backend, run) = ran.map_err(|error| self.refused(job.policy, &error))?;
        Ok(Ran { backend, entry: job.entry.to_owned(), fuel_granted: job.fuel, run, elapsed })
    }

    /// Replays a transcript of this package, with what else is known of the run; a difference is in
    /// the result, not a failure.
    pub(crate) fn replay(
        &self,
        transcript: &Transcript,
        engine: Engine,
        known: ReplayOptions<'_>,
    ) -> Result<Replayed, Failure> {
        self.check_transcript(transcript)?;
        let start = Instant::now();
        let backend = engine.backend(transcript.end.fuel_used);
        let deadline = Some(&interrupt::requested as &dyn Fn() -> bool);
        let options = ReplayOptions { deadline, compose: self.compose(), ..known };
        let replayed = kapsule_engine::compile(self.module()?, backend)
            .map_err(RunError::from)
            .and_then(|compiled| kapsule_engine::replay(&compiled, transcript, options));
        let replay = replayed.map_err(|error| self.refused(&transcript.header.policy, &error))?;
        Ok(Replayed { backend, replay, elapsed: start.elapsed() })
    }

    /// Refuses a transcript of another package, policy or entry.
    fn check_transcript(&self, transcript: &Transcript) -> Result<(), Failure> {
        let header = &transcript.header;
        let refuse = |code, cause: String| {
            let message = format!("the transcript is not one of {}", self.name);
            let hint = "name the package that was run; `kapsule inspect` prints its hashes";
            Err(Failure::new(code, message, hint).cause(cause))
        };
        let (own, named) = (self.package.capsule_hash(), header.capsule_hash);
        if guard!("cli.replay.capsule_hash", own != named) {
            let cause = format!("the transcript names capsule_hash {named}, the package is {own}");
            return refuse(ErrorCode::FactsConflict, cause);
        }
        let (own, named) = (self.package.core_hash(), header.core_hash);
        if guard!("cli.replay.core_hash", own != named) {
            let cause = format!("the transcript names core_hash {named}, the package has {own}");
            return refuse(ErrorCode::FactsConflict, cause);
        }
        let profile = self.package.manifest().exec.profile.name();
        if guard!("cli.replay.profile", header.profile != profile) {
            let named = &header.profile;
            let cause = format!("the transcript names profile {named:?}, the package {profile:?}");
            return refuse(ErrorCode::FactsConflict, cause);
        }
        let listed = self.package.manifest().exec.has_entry(&header.entry);
        if guard!("cli.replay.entry", !listed) {
            let cause = format!("the manifest does not list the entry {:?}", header.entry);
            return refuse(ErrorCode::EntryNotFound, cause);
        }
        let widened = is_wider(&header.policy, self.package.policy());
        if guard!("cli.replay.policy", widened) {
            let cause = "its policy allows more than that of the package".to_owned();
            return refuse(ErrorCode::FactsConflict, cause);
        }
        Ok(())
    }

    fn refused(&self, policy: &Policy, error: &RunError) -> Failure {
        // The only deadline that this command gives a run is Ctrl-C.
        if *error == RunError::Host(HostError::Deadline) {
            return interrupt::failure();
        }
        let code = error.code();
        if code == ErrorCode::ImportRefused {
            let missing = grants::missing(&self.imports, policy);
            return grants::refused(self.name, self.package.policy(), &missing, error);
        }
        let limits = &policy.limits;
        let hint = match error {
            RunError::Refused(_) if code == ErrorCode::ResourcesExceedPolicy => format!(
                "at most {} fuel and {} bytes of memory are allowed here; see `kapsule policy \
                 explain {}`",
                limits.fuel, limits.memory_bytes, self.name
            ),
            RunError::Refused(_) if code == ErrorCode::EntryNotFound => {
                format!("list the exports of the module with `kapsule inspect {}`", self.name)
            }
            RunError::Refused(_) => "make the transcript with this version of the tool".to_owned(),
            RunError::Host(HostError::NativeStack(_)) => "run it with --engine wasmi".to_owned(),
            RunError::Host(_) => "try the other engine with --engine".to_owned(),
        };
        Failure::new(code, format!("{} did not run", self.name), hint).cause(error)
    }
}

/// A module that was compiled once to run many times, from any thread.
pub(crate) struct Ready<'a> {
    loaded: &'a Loaded<'a>,
    engine: Engine,
    compiled: Compiled,
    /// Instances that no run uses now, as many as ran at the same time.
    pools: Mutex<Vec<Pool>>,
    /// Compiled when a run first needs it.
    interpreter: OnceLock<Result<Compiled, HostError>>,
}

impl Ready<'_> {
    /// Returns the backend that runs start on.
    pub(crate) fn backend(&self) -> Backend {
        self.compiled.backend()
    }

    /// Runs one entry against a host that `host` makes; the engine of the request is not looked at.
    ///
    /// With `auto` a run for which the JIT lacks native stack is repeated on the interpreter.
    pub(crate) fn run<H: Host>(
        &self,
        request: &Request<'_>,
        host: impl Fn() -> H,
    ) -> Result<Ran, Failure> {
        self.run_with(request, host).map(|(ran, _)| ran)
    }

    /// Runs as [`Ready::run`], and returns the host as the run left it.
    pub(crate) fn run_with<H: Host>(
        &self,
        request: &Request<'_>,
        host: impl Fn() -> H,
    ) -> Result<(Ran, H), Failure> {
        let job = self.loaded.job(request)?;
        let (start, mut around) = (Instant::now(), host());
        let mut ran = self.run_pooled(&job, &mut around).map(|run| (self.backend(), run));
        if self.engine == Engine::Auto
            && matches!(ran, Err(RunError::Host(HostError::NativeStack(Backend::Jit))))
        {
            let compile = || kapsule_engine::compile(self.loaded.metered()?, Backend::Wasmi);
            around = host();
            ran = match self.interpreter.get_or_init(compile) {
                Ok(compiled) => kapsule_engine::run(compiled, &job, &mut around)
                    .map(|run| (Backend::Wasmi, run)),
                Err(error) => Err(error.clone().into()),
            };
        }
        Ok((self.loaded.ran(&job, ran, start)?, around))
    }

    /// Runs a job on an instance that an earlier run left, if there is one.
    fn run_pooled(&self, job: &Job<'_>, host: &mut dyn Host) -> Result<Run, RunError> {
        // A pool is put in whole, so a thread that panicked left nothing half done.
        let pools = || self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = pools().pop();
        let mut pool = idle.unwrap_or_else(|| Pool::new(self.compiled.clone(), 1));
        let run = pool.run(job, host);
        pools().push(pool);
        run
    }
}

/// Tells whether `policy` allows anything that `package` does not.
pub(crate) fn is_wider(policy: &Policy, package: &Policy) -> bool {
    match kapsule_format::policy::effective(package, policy) {
        Ok((common, _)) => common != *policy,
        Err(_) => true,
    }
}

/// Encodes a transcript.
pub(crate) fn encode(transcript: &Transcript) -> Result<Vec<u8>, Failure> {
    transcript.encode().map_err(|error| {
        let hint = "run without --transcript";
        Failure::decode("the transcript does not fit its file form", &error, hint)
    })
}

/// Returns the transcript files of a run as (end of the name, bytes): its own and, with `.0`, `.1`
/// and so on, those of the runs inside it.
///
/// # Spec
/// `spec/compose.md`, section "Files".
pub(crate) fn transcript_files(run: &Run) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let mut files = Vec::new();
    collect_transcripts(run, "", &mut files)?;
    Ok(files)
}

fn collect_transcripts(
    run: &Run,
    name: &str,
    files: &mut Vec<(String, Vec<u8>)>,
) -> Result<(), Failure> {
    if let Some(transcript) = &run.transcript {
        files.push((name.to_owned(), encode(transcript)?));
    }
    for (index, nested) in run.nested.iter().enumerate() {
        collect_transcripts(&nested.run, &format!("{name}.{index}"), files)?;
    }
    Ok(())
}

/// A replay that was carried out.
pub(crate) struct Replayed {
    /// Engine that replayed.
    pub(crate) backend: Backend,
    /// What it found.
    pub(crate) replay: Replay,
    /// Time that it took.
    pub(crate) elapsed: Duration,
}

/// Returns the failure that an outcome is, or `None` for success.
pub(crate) fn outcome_failure(name: &str, ran: &Ran) -> Option<Failure> {
    let outcome = ran.run.outcome;
    let code = outcome.error_code()?;
    let hint = match outcome {
        Outcome::Completed(_) => "the code is the module's own; its log lines may say more",
        Outcome::Trapped(_) => {
            "look at the calls before it with --transcript and `kapsule inspect`"
        }
        Outcome::LimitReached(Limit::Fuel) => {
            "grant more with --fuel, up to the limit that `kapsule policy explain` prints"
        }
        Outcome::LimitReached(_) => {
            "see the limits in force with `kapsule policy explain`; only its author can raise them"
        }
        Outcome::Denied(Rule::Policy) => {
            "see the paths and networks in force with `kapsule policy explain`"
        }
        Outcome::Denied(Rule::Argument) => {
            "the module passed an argument that no host accepts; tell its author"
        }
    };
    let mut failure = Failure::new(code, format!("the run of {name} ended: {outcome}"), hint);
    if let Some(site) = &ran.run.trap_site {
        failure = failure.cause(match site.offset {
            Some(offset) => format!("in function {} at byte {offset}", site.function),
            None => format!("in function {}", site.function),
        });
    }
    Some(failure)
}
