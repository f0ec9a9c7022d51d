//! A package that was verified and loaded, with everything that one run of it is given.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kapsule_engine::MemoryHost;
use kapsule_format::hash;
use kapsule_format::package::PackageId;
use kapsule_host::DirectoryHost;

use crate::cli::Context;
use crate::closure::{self, Found, Library, PackageArgs};
use crate::codecache::CodeCache;
use crate::convert::rows::Trust;
use crate::error::Failure;
use crate::execute::{self, Engine, Loaded, Prepared, Ran, Request};
use crate::files::{self, INPUT_BYTES_MAX};
use crate::grants::{Effective, GrantArgs};
use crate::interrupt;
use crate::opening::{self, Asked, Files, Opened, TrustArgs};
use crate::surroundings::SurroundingArgs;
use crate::ui::Ui;

/// What a run is given; shared by every command that runs a package.
#[derive(Debug, clap::Args)]
pub(crate) struct SessionArgs {
    /// Package to run, `-` for stdin
    pub(crate) package: PathBuf,
    /// Entry to call; by default the one of the manifest
    #[arg(long, value_name = "NAME")]
    entry: Option<String>,
    /// Input file, `-` for stdin; without it the input is empty
    #[arg(long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,
    #[command(flatten)]
    grants: GrantArgs,
    /// Fuel to grant; by default all that the policy allows
    #[arg(long, value_name = "N")]
    fuel: Option<u64>,
    /// Seed of the hostcall `random`, 64 hex digits; zeros by default
    #[arg(long, value_name = "HEX", value_parser = decode_seed)]
    pub(crate) seed: Option<Seed>,
    /// Time that the hostcall `now` gives, in ms since 1970; by default that of the start
    #[arg(long, value_name = "MS")]
    now: Option<u64>,
    /// Output of the trust package, from which `get_trust_score` is answered for people who are
    /// named by their identity id
    #[arg(long, value_name = "FILE")]
    trust_scores: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    #[command(flatten)]
    packages: PackageArgs,
    #[command(flatten)]
    surroundings: SurroundingArgs,
}

/// Seed of the hostcall `random`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seed(pub(crate) [u8; 32]);

fn decode_seed(text: &str) -> Result<Seed, String> {
    hash::decode_hex(text).map(Seed).map_err(|error| error.to_string())
}

/// A package ready to run.
pub(crate) struct Session<'a> {
    /// Name for messages.
    pub(crate) name: &'a str,
    /// The package and its report.
    pub(crate) opened: &'a Opened,
    /// What it may do.
    pub(crate) effective: &'a Effective,
    /// What it may call.
    pub(crate) library: &'a Library<'a>,
    /// Its module.
    pub(crate) loaded: &'a Loaded<'a>,
    /// What to run.
    pub(crate) request: Request<'a>,
    /// What the host holds in memory.
    pub(crate) memory: MemoryHost,
    surroundings: &'a SurroundingArgs,
}

impl SessionArgs {
    /// Takes a package whose inputs come from elsewhere, with everything else as it is by default.
    pub(crate) fn of_module(
        package: &Path,
        grants: &GrantArgs,
        trust: &TrustArgs,
        packages: &PackageArgs,
    ) -> Self {
        Self {
            package: package.to_owned(),
            entry: None,
            input: None,
            grants: grants.clone(),
            fuel: None,
            seed: None,
            now: None,
            trust_scores: None,
            trust: trust.clone(),
            packages: packages.clone(),
            surroundings: SurroundingArgs::default(),
        }
    }

    /// Verifies and loads the package with all that it needs, and gives it to `then`.
    pub(crate) fn open<T>(
        &self,
        context: &Context,
        engine: Engine,
        then: impl FnOnce(Session<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.open_files(context, &Files::read(&self.package)?, None, engine, then)
    }

    /// Does so with a package that was found by its hash.
    pub(crate) fn open_files<T>(
        &self,
        context: &Context,
        files: &Files,
        hash: Option<PackageId>,
        engine: Engine,
        then: impl FnOnce(Session<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let ui = &context.ui;
        let name = files.name();
        let verifier = self.trust.verifier()?;
        let sources = self.packages.sources(context)?;
        let cache = context.home().ok().filter(|_| engine != Engine::Wasmi);
        let cache = cache.and_then(|home| CodeCache::open(&home));
        let mut prepared = Prepared::begin(files.bytes(), cache);
        // A file that is no package is refused with everything that verification says of it.
        let package = opening::decode(files)
            .or_else(|failure| verifier.open(files, Asked::default()).and(Err(failure)))?;
        let closure = sources.closure(&package, &verifier);
        let asked = Asked { closure: Some(closure::finding(&closure)), hash };
        let opened = verifier.open(files, asked)?;
        verifier.remember(ui);
        let closure = closure.map_err(|error| closure::failure(&name, &package, *error))?;
        let effective = self.grants.effective(opened.package.policy())?;
        let library = Library::new(&closure)?;
        // Code of an encrypted module is not left on the disk in the clear.
        if opened.package.manifest().exec.encrypted.is_some() {
            prepared.cache = None;
        }
        let module = opened.module.as_slice().into();
        let loaded =
            execute::load_with(&name, &opened.package, module, prepared)?.with_callees(&library);
        let input = match &self.input {
            Some(path) => files::read(path, "input", INPUT_BYTES_MAX)?,
            None => Vec::new(),
        };
        if let Some(caution) = opened.caution(&name) {
            ui.warn(&caution);
        }
        closure.members.values().filter_map(Found::caution).for_each(|caution| ui.warn(&caution));
        let scores = match &self.trust_scores {
            Some(path) => {
                Trust::decode(&files::read(path, "trust output", INPUT_BYTES_MAX)?)?.scores()
            }
            None => BTreeMap::new(),
        };
        let now_ms = self.now(ui, &loaded);
        let memory = MemoryHost { now_ms, scores, ..MemoryHost::default() };
        let request = Request {
            entry: self.entry.as_deref(),
            input: &input,
            policy: &effective.policy,
            fuel: self.fuel,
            seed: self.seed.map_or([0; 32], |seed| seed.0),
            engine,
            states: false,
        };
        then(Session {
            name: &name,
            opened: &opened,
            effective: &effective,
            library: &library,
            loaded: &loaded,
            request,
            memory,
            surroundings: &self.surroundings,
        })
    }

    /// Returns the time that the guest is told, and says so where the caller left it open.
    fn now(&self, ui: &Ui, loaded: &Loaded<'_>) -> u64 {
        self.now.unwrap_or_else(|| {
            let now = opening::now_ms();
            if loaded.imports.iter().any(|call| call.name == "now") {
                ui.say(&format!("the run is told the time {now} ms; repeat it with --now {now}"));
            }
            now
        })
    }
}

impl Session<'_> {
    /// Sets the surroundings up.
    pub(crate) fn host(&self) -> Result<DirectoryHost, Failure> {
        self.surroundings.host(self.memory.clone(), self.loaded, &self.effective.policy)
    }

    /// Runs once, and says so; from here on Ctrl-C is a request.
    pub(crate) fn run(
        &self,
        ui: &Ui,
        host: &mut DirectoryHost,
        summary: fn(&Ran) -> String,
    ) -> Result<Ran, Failure> {
        interrupt::watch()?;
        let progress = ui.begin(&match self.request.engine {
            // Which engine it will be is known when the run ends.
            Engine::Auto => format!("running {}", self.name),
            engine => format!("running {} on {}", self.name, engine.backend(0)),
        });
        let ran = interrupt::during(ui, || self.loaded.run(&self.request, host))?;
        interrupt::check()?;
        progress.end(&summary(&ran));
        Ok(ran)
    }
}
