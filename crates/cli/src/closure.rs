//! What a package needs: where it is looked for, how it is verified, and how it is called.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use kapsule_abi::ErrorCode;
use kapsule_engine::{Backend, Callee, Callees, HostError};
use kapsule_format::closure::{self, Absent, ClosureError, ClosureLimits, Member};
use kapsule_format::package::{Package, PackageId};
use kapsule_format::verify::{CheckResult, ClosureFinding};

use crate::cli::Context;
use crate::error::{Failure, Kind};
use crate::execute::{self, Loaded};
use crate::opening::{self, Asked, Files, Opened, Verifier};
use crate::shelf::Shelf;

/// Where needed packages are looked for.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct PackageArgs {
    /// Package file to take if it is needed, before the package directory; may be repeated
    #[arg(long = "dep", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Package directory; by default the one that `kapsule package` fills
    #[arg(long, value_name = "DIR")]
    packages: Option<PathBuf>,
}

impl PackageArgs {
    /// Reads the files that were named, and finds the directory.
    pub(crate) fn sources(&self, context: &Context) -> Result<Sources, Failure> {
        let mut named = BTreeMap::new();
        for path in &self.files {
            let files = Files::read(path)?;
            named.insert(opening::decode(&files)?.capsule_hash(), files);
        }
        let shelf = match &self.packages {
            Some(directory) => Some(Shelf::new(directory.clone())),
            // Without a home there is no directory, and without needs nobody misses it.
            None => context.home().ok().map(|home| Shelf::new(home.packages())),
        };
        Ok(Sources { named, shelf })
    }
}

/// Where needed packages come from; by default from nowhere.
#[derive(Clone, Default)]
pub(crate) struct Sources {
    named: BTreeMap<PackageId, Files>,
    shelf: Option<Shelf>,
}

/// A needed package that was verified.
pub(crate) struct Found {
    /// Name for messages.
    pub(crate) name: String,
    /// The package and its report.
    pub(crate) opened: Opened,
}

impl Found {
    /// Returns what a user should know before this package is called.
    pub(crate) fn caution(&self) -> Option<String> {
        self.opened.caution(&self.name)
    }
}

impl Member for Found {
    fn dependencies(&self) -> &[PackageId] {
        self.opened.package.dependencies()
    }

    fn body_bytes(&self) -> u64 {
        self.opened.package.body().len() as u64
    }
}

/// A needed package that was decoded only.
pub(crate) struct Seen(pub(crate) Package);

impl Member for Seen {
    fn dependencies(&self) -> &[PackageId] {
        self.0.dependencies()
    }

    fn body_bytes(&self) -> u64 {
        self.0.body().len() as u64
    }
}

/// Everything that a package needs, or why that cannot be had.
pub(crate) type Closure<T> = Result<closure::Closure<T>, Box<ClosureError<Failure>>>;

impl Sources {
    /// Returns these sources and packages that are at hand.
    pub(crate) fn with(&self, packages: impl IntoIterator<Item = (PackageId, Files)>) -> Self {
        let mut sources = self.clone();
        for (id, files) in packages {
            sources.named.entry(id).or_insert(files);
        }
        sources
    }

    /// Finds a package by its hash.
    pub(crate) fn get(&self, id: &PackageId) -> Result<Option<Files>, Failure> {
        match (self.named.get(id), &self.shelf) {
            (Some(files), _) => Ok(Some(files.clone())),
            (None, Some(shelf)) => shelf.get(id),
            (None, None) => Ok(None),
        }
    }

    /// Finds and verifies all that `root` needs, by the rules that hold for `root`.
    pub(crate) fn closure(&self, root: &Package, verifier: &Verifier<'_>) -> Closure<Found> {
        self.resolve(root, |id, files| {
            let name = files.name();
            // What it needs is looked for with everything else that `root` needs.
            let detail = "looked for with the package that needs this one".to_owned();
            let closure = Some(ClosureFinding { result: CheckResult::Pass, detail });
            let asked = Asked { closure, hash: Some(*id) };
            let opened = verifier.open(&files, asked).map_err(untrusted)?;
            Ok(Found { name, opened })
        })
    }

    /// Finds all that `root` needs without looking at signatures.
    pub(crate) fn look(&self, root: &Package) -> Closure<Seen> {
        self.resolve(root, |_, files| opening::decode(&files).map(Seen))
    }

    fn resolve<T: Member>(
        &self,
        root: &Package,
        open: impl Fn(&PackageId, Files) -> Result<T, Failure>,
    ) -> Closure<T> {
        let (id, needs) = (root.capsule_hash(), root.dependencies());
        let fetch = |id: &PackageId, needed_by: &PackageId| {
            let opened =
                self.get(id).and_then(|files| files.map(|files| open(id, files)).transpose());
            opened.map_err(|failure| {
                failure.cause(format!("package {id}, needed by {needed_by}, cannot be used"))
            })
        };
        closure::resolve(id, needs, ClosureLimits::default(), fetch).map_err(Box::new)
    }
}

/// Gives the refusal of a dependency by the trust roots its own code; other codes stay.
fn untrusted(failure: Failure) -> Failure {
    match failure.kind {
        Kind::Code(code) if code.exit_code() == ErrorCode::DependencyUntrusted.exit_code() => {
            let kind = Kind::Code(ErrorCode::DependencyUntrusted);
            Failure { kind, ..failure }.cause(code)
        }
        _ => failure,
    }
}

/// Returns the failure of a command that needs the whole closure.
pub(crate) fn failure(name: &str, root: &Package, error: ClosureError<Failure>) -> Failure {
    let code = error.code();
    match error {
        ClosureError::Fetch(failure) => failure,
        ClosureError::Absent(absent) => {
            let message = format!("{name} needs packages that are not here");
            let hint = "name each with `--dep FILE`, or keep it with `kapsule package add FILE`";
            let failure = Failure::new(ErrorCode::DependencyAbsent, message, hint);
            absent.iter().fold(failure, |failure, Absent { package, needed_by }| {
                let who = if *needed_by == root.capsule_hash() {
                    name.to_owned()
                } else {
                    format!("the package {needed_by}")
                };
                failure.cause(format!("the package {package}, needed by {who}, is absent"))
            })
        }
        error @ (ClosureError::Limit { .. } | ClosureError::Cycle(_)) => Failure::new(
            code.unwrap_or(ErrorCode::LimitExceeded),
            format!("what {name} needs is refused"),
            "see the limits with `kapsule limits`, and the packages with `kapsule inspect`",
        )
        .cause(error),
    }
}

/// Returns what a verification report says of a closure.
pub(crate) fn finding<T>(closure: &Closure<T>) -> ClosureFinding {
    let error = match closure {
        Ok(closure) => {
            let count = closure.members.len();
            let detail = match count {
                0 => "none needed".to_owned(),
                1 => "1 package, present and accepted".to_owned(),
                _ => format!("{count} packages, present and accepted"),
            };
            return ClosureFinding { result: CheckResult::Pass, detail };
        }
        Err(error) => error,
    };
    let code = match (&**error, error.code()) {
        (_, Some(code)) => code,
        (ClosureError::Fetch(Failure { kind: Kind::Code(code), .. }), None) => *code,
        _ => ErrorCode::NotLookedAt,
    };
    let detail = error.to_string();
    // What is not here says nothing against the package.
    let result = match code.exit_code() {
        13 => CheckResult::NotDone(code),
        _ => CheckResult::Fail(code),
    };
    ClosureFinding { result, detail }
}

/// The packages of a closure, metered, and compiled when they are first called.
pub(crate) struct Library<'a> {
    loaded: BTreeMap<PackageId, (&'a Found, Loaded<'a>)>,
    compiled: Mutex<BTreeMap<(PackageId, Backend), Arc<Callee>>>,
}

impl<'a> Library<'a> {
    /// Validates and meters every module of a closure whose packages were all verified.
    pub(crate) fn new(closure: &'a closure::Closure<Found>) -> Result<Self, Failure> {
        let load = |(id, found): (&PackageId, &'a Found)| {
            let loaded = execute::load(&found.name, &found.opened.package, &found.opened.module)?;
            Ok((*id, (found, loaded)))
        };
        Ok(Self {
            loaded: closure.members.iter().map(load).collect::<Result<_, Failure>>()?,
            compiled: Mutex::default(),
        })
    }

    /// Returns the packages, in order of their hashes.
    pub(crate) fn packages(&self) -> Vec<&'a Package> {
        self.loaded.values().map(|(found, _)| &*found.opened.package).collect()
    }

    /// Returns a package by its hash.
    pub(crate) fn package(&self, id: &PackageId) -> Option<&'a Package> {
        self.loaded.get(id).map(|(found, _)| &*found.opened.package)
    }

    /// Returns the name and version of a package for messages.
    pub(crate) fn title(&self, id: &PackageId) -> String {
        self.loaded.get(id).map_or_else(String::new, |(found, _)| {
            let manifest = found.opened.package.manifest();
            format!("{} {}", manifest.name, manifest.version)
        })
    }
}

impl Callees for Library<'_> {
    fn callee(&self, id: &PackageId, backend: Backend) -> Result<Option<Arc<Callee>>, HostError> {
        let Some((found, loaded)) = self.loaded.get(id) else { return Ok(None) };
        // A callee is put in whole, so a thread that panicked left nothing half done.
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(callee) = compiled.get(&(*id, backend)) {
            return Ok(Some(Arc::clone(callee)));
        }
        let code = kapsule_engine::compile(loaded.metered()?, backend)?;
        let callee = Callee::new(&found.opened.package, code)
            .map_err(|refusal| HostError::Hostcall { hostcall: "call", detail: refusal.detail })?;
        let callee = Arc::new(callee);
        compiled.insert((*id, backend), Arc::clone(&callee));
        Ok(Some(callee))
    }
}
