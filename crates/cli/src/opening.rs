//! Opening a package: reading the file, verifying it against the verifier's own trust roots.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use kapsule_abi::ErrorCode;
use kapsule_format::limits::{
    ENVELOPE_BYTES_MAX, ENVELOPES_MAX, JSON_FILE_BYTES_MAX, PACKAGE_BYTES_MAX,
};
use kapsule_format::package::{EnvelopeName, Package};
use kapsule_format::trust::Trust;
use kapsule_format::verify::{
    self, Check, CheckName, CheckResult, ClosureFinding, Level, Options, Report, Verified,
};

use crate::error::Failure;
use crate::files;
use crate::identities::IdentityArgs;
use crate::paths::Home;

/// Whom to trust; shared by every command that looks at signatures.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct TrustArgs {
    /// Trust file; without it `trust.json` of the configuration directory is used if it exists
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: Option<PathBuf>,
    /// Level that the verdict must reach
    #[arg(long, value_name = "LEVEL", value_parser = decode_level)]
    pub(crate) require: Option<Level>,
    #[command(flatten)]
    pub(crate) identities: IdentityArgs,
    /// Accept published test keys, whose signatures prove nothing; caps the verdict at proof-only
    #[arg(long)]
    pub(crate) insecure_dev: bool,
}

fn decode_level(name: &str) -> Result<Level, String> {
    let levels = [Level::ProofOnly, Level::PolicyEnforced, Level::AuditReady];
    levels.into_iter().find(|level| level.name() == name).ok_or_else(|| {
        let names = levels.map(Level::name).join(", ");
        format!("levels are {names}")
    })
}

/// Returns the time of the machine in milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A package file with its detached envelopes, as read.
#[derive(Clone)]
pub(crate) struct Files {
    path: PathBuf,
    bytes: Vec<u8>,
    envelopes: Vec<(String, Vec<u8>)>,
}

impl Files {
    /// Reads a package and the envelopes beside it.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let bytes = files::read(path, "package", PACKAGE_BYTES_MAX)?;
        Ok(Self { path: path.to_owned(), bytes, envelopes: read_envelopes(path)? })
    }

    /// Returns the bytes of the package file.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the detached envelopes as (file name, bytes).
    pub(crate) fn envelopes(&self) -> &[(String, Vec<u8>)] {
        &self.envelopes
    }

    /// Returns the path for messages.
    pub(crate) fn name(&self) -> String {
        files::name(&self.path)
    }
}

/// Reads the files `<package>.<scope>-<suite>-<keyid>.dsse.json`, in order of their names.
fn read_envelopes(path: &Path) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let Some(file_name) = path.file_name().filter(|_| !files::is_dash(path)) else {
        return Ok(Vec::new());
    };
    let mut start = OsString::from(file_name);
    start.push(".");
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let Ok(entries) = std::fs::read_dir(directory.unwrap_or(Path::new("."))) else {
        return Ok(Vec::new());
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let start = start.to_string_lossy().into_owned();
    let own = |name: &String| name.starts_with(&start) && EnvelopeName::parse(name).is_ok();
    let mut names: Vec<String> = names.filter(own).collect();
    names.sort();
    names.truncate(ENVELOPES_MAX);
    let read = |name: String| {
        let bytes = files::read(&path.with_file_name(&name), "envelope", ENVELOPE_BYTES_MAX as u64);
        bytes.map(|bytes| (name, bytes))
    };
    names.into_iter().map(read).collect()
}

/// Trust roots and where they came from.
pub(crate) struct Roots {
    /// The file.
    pub(crate) path: PathBuf,
    /// Its content.
    pub(crate) trust: Trust,
}

impl TrustArgs {
    /// Reads the trust file: the one named, else the one of the home, else none.
    pub(crate) fn roots(&self) -> Result<Option<Roots>, Failure> {
        let configured = || Home::from_env().ok().map(|home| home.trust_file());
        let existing = || configured().filter(|path| path.exists());
        let Some(path) = self.trust.clone().or_else(existing) else {
            return Ok(None);
        };
        let bytes = files::read(&path, "trust file", JSON_FILE_BYTES_MAX as u64)?;
        let trust = Trust::decode(&bytes).map_err(|error| {
            let hint = "write one with `kapsule key trust NAME -o trust.json`";
            Failure::decode(format!("{} is not a trust file", path.display()), &error, hint)
        })?;
        Ok(Some(Roots { path, trust }))
    }

    fn options<'a>(
        &self,
        files: &'a Files,
        required: Level,
        closure: Option<ClosureFinding>,
    ) -> Options<'a> {
        // Here nothing is decrypted: `verify` and `open` do so where it is asked for.
        let envelopes = files.envelopes.iter();
        Options {
            required,
            insecure_dev: self.insecure_dev,
            closure,
            envelopes: envelopes.map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect(),
            ..Options::default()
        }
    }

    /// Verifies and reports; requires proof-only unless asked for more.
    pub(crate) fn verify(
        &self,
        files: &Files,
        roots: Option<&Roots>,
        closure: Option<ClosureFinding>,
    ) -> Result<Report, Failure> {
        let required = self.require.unwrap_or(Level::ProofOnly);
        let trust = roots.map(|roots| &roots.trust);
        let report =
            |options: &Options<'_>| verify::package(&files.bytes, trust, Some(now_ms()), options);
        let mut options = self.options(files, required, closure);
        let first = report(&options);
        if first.result(CheckName::Opened).is_none() {
            return Ok(first);
        }
        // Only for an encrypted payload are secrets looked for.
        let held = self.identities.read()?;
        options.decrypt = (!held.open.is_empty()).then_some(&held.open as _);
        let second = report(&options);
        let locked =
            second.result(CheckName::Opened) == Some(CheckResult::NotDone(ErrorCode::KeyNotHeld));
        if !locked || !self.identities.passphrase.is_available() {
            return Ok(second);
        }
        match self.identities.unlock(&held)? {
            Some(unlocked) => {
                options.decrypt = Some(unlocked as _);
                Ok(report(&options))
            }
            None => Ok(second),
        }
    }

    /// Verifies a package that is to be run, and opens it.
    ///
    /// Trust roots that exist are enforced: with them the level is policy-enforced unless
    /// `--require` says otherwise.
    pub(crate) fn open(&self, files: &Files) -> Result<Opened, Failure> {
        self.open_by(files, self.roots()?.as_ref(), None)
    }

    /// As [`TrustArgs::open`], with the roots at hand and what is known of the closure.
    pub(crate) fn open_by(
        &self,
        files: &Files,
        roots: Option<&Roots>,
        closure: Option<ClosureFinding>,
    ) -> Result<Opened, Failure> {
        let default = if roots.is_some() { Level::PolicyEnforced } else { Level::ProofOnly };
        let required = self.require.unwrap_or(default);
        let trust = roots.map(|roots| &roots.trust);
        let options = self.options(files, required, closure);
        match verify::load(&files.bytes, trust, Some(now_ms()), &options) {
            Ok((package, report)) => {
                let module = self.identities.module(&files.name(), &package)?;
                Ok(Opened { package, report, module })
            }
            Err(report) => Err(rejected(&files.name(), &report)),
        }
    }
}

/// A package that was verified, and how far.
pub(crate) struct Opened {
    /// The package.
    pub(crate) package: Verified<Package>,
    /// Its report.
    pub(crate) report: Report,
    /// Its module: the payload, or what is encrypted in it.
    pub(crate) module: Vec<u8>,
}

impl Opened {
    /// Returns what a user should know before running, unless trust was established.
    pub(crate) fn caution(&self, name: &str) -> Option<String> {
        if self.report.level >= Level::PolicyEnforced {
            return None;
        }
        Some(match &self.report.facts.author {
            None => format!("{name} is not signed, so nobody vouches for it"),
            Some(_) if self.report.facts.insecure_dev => {
                format!("{name} was verified with --insecure-dev, so a signature proves nothing")
            }
            Some(author) => {
                format!("{name} is signed by {author}, who is in no trust file that was given")
            }
        })
    }
}

/// Turns a report that does not accept into a failure.
pub(crate) fn rejected(name: &str, report: &Report) -> Failure {
    let code = report.error_code.unwrap_or(ErrorCode::SchemaViolation);
    let message = format!("{name} is rejected: level {}", report.level);
    let mut failure = Failure::new(code, message, hint(code, name));
    let stops = |check: &&Check| match check.result {
        CheckResult::Pass => false,
        CheckResult::Fail(_) => true,
        CheckResult::NotDone(_) => check.name.level() <= report.required,
    };
    for check in report.checks.iter().filter(stops) {
        let code = check.result.code().map(|code| code.to_string()).unwrap_or_default();
        let (name, result) = (check.name, check.result.name());
        failure = failure.cause(format!("{name}: {result} {code}: {}", check.detail));
    }
    failure
}

/// Returns what to do about a code that verification gives.
pub(crate) fn hint(code: ErrorCode, name: &str) -> String {
    match code {
        ErrorCode::UnknownFormat => "name a `.mod` file; make one with `kapsule pack`".to_owned(),
        ErrorCode::SignatureMissing => {
            format!("sign it with `kapsule sign {name} --key NAME`")
        }
        ErrorCode::SignerUntrusted | ErrorCode::SignerQuorum => {
            "if you trust the author, list the key with `kapsule key trust FILE.pub`".to_owned()
        }
        ErrorCode::NotLookedAt => "name a trust file with --trust, or require less".to_owned(),
        ErrorCode::DependencyAbsent => {
            "name what is absent with `--dep FILE`, or keep it with `kapsule package add FILE`"
                .to_owned()
        }
        ErrorCode::DependencyUntrusted => {
            "if you trust the author of the package that the cause names, list the key with \
             `kapsule key trust FILE.pub`"
                .to_owned()
        }
        ErrorCode::SignerRevoked | ErrorCode::TrustFileStale => {
            "get a newer trust file, or a package by another signer".to_owned()
        }
        ErrorCode::TestKeyRefused => {
            "sign with a key of your own; --insecure-dev accepts test keys".to_owned()
        }
        _ if code.exit_code() == 20 || code.exit_code() == 12 => {
            format!("the file is damaged or was changed; get it again, `kapsule verify {name}`")
        }
        _ => format!("see every check with `kapsule verify {name}`"),
    }
}

/// Decodes a package that is not to be run, and says what is wrong with it otherwise.
pub(crate) fn decode(files: &Files) -> Result<Package, Failure> {
    let package = Package::decode(files.bytes()).map_err(|error| {
        let message = format!("{} is not a valid package", files.name());
        Failure::decode(message, &error, hint(error.code, &files.name()))
    })?;
    Ok(package.into_inner())
}
