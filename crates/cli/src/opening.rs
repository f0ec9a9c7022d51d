//! Opening a package: reading the file, verifying it against the verifier's own trust roots.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use kapsule_abi::ErrorCode;
use kapsule_format::DecodeError;
use kapsule_format::acceptance::Acceptance;
use kapsule_format::capsule::Surroundings;
use kapsule_format::encrypt::Identities;
use kapsule_format::known::KnownPackage;
use kapsule_format::limits::{
    ENVELOPE_BYTES_MAX, ENVELOPES_MAX, JSON_FILE_BYTES_MAX, PACKAGE_BYTES_MAX,
};
use kapsule_format::package::{Decrypt, EnvelopeName, Package, PackageId};
use kapsule_format::receipt::Receipt;
use kapsule_format::trust::Trust;
use kapsule_format::verify::{
    self, Check, CheckName, CheckResult, ClosureFinding, Level, Options, ReceiptOptions, Report,
    Verified,
};

use crate::error::Failure;
use crate::files;
use crate::identities::IdentityArgs;
use crate::memory::Memory;
use crate::paths::Home;
use crate::roots::Roots;
use crate::ui::Ui;

/// Whom to trust; shared by every command that looks at signatures.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct TrustArgs {
    /// Trust file; without it `trust.json` of the configuration directory is used if it exists
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: Option<PathBuf>,
    /// Acceptance file; without it `accept.json` of the configuration directory is used if it
    /// exists
    #[arg(long, value_name = "FILE")]
    pub(crate) accept: Option<PathBuf>,
    /// Level that the verdict must reach; beats the acceptance file
    #[arg(long, value_name = "LEVEL", value_parser = decode_level)]
    pub(crate) require: Option<Level>,
    /// `capsule_hash` that the package must have; also lets a version be used that is older than
    /// one that was trusted before
    #[arg(long, value_name = "HASH", value_parser = decode_id)]
    pub(crate) hash: Option<PackageId>,
    #[command(flatten)]
    pub(crate) identities: IdentityArgs,
    /// Accept published test keys, whose signatures prove nothing; caps the verdict at proof-only
    #[arg(long)]
    pub(crate) insecure_dev: bool,
    /// Whether nothing of the home is used, for a story of its own.
    #[arg(skip)]
    pub(crate) apart: bool,
}

/// Reads a package id of the command line.
pub(crate) fn decode_id(text: &str) -> Result<PackageId, String> {
    text.parse().map_err(|error: DecodeError| error.to_string())
}

/// Reads a level of the command line.
pub(crate) fn decode_level(name: &str) -> Result<Level, String> {
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
        Self::read_as(path, "package")
    }

    /// As [`Files::read`], for a file that messages call `what`.
    pub(crate) fn read_as(path: &Path, what: &str) -> Result<Self, Failure> {
        let bytes = files::read(path, what, PACKAGE_BYTES_MAX)?;
        Ok(Self { path: path.to_owned(), bytes, envelopes: read_envelopes(path)? })
    }

    /// Takes a package that stands inside another file.
    pub(crate) fn inside(outer: &str, name: &str, bytes: &[u8]) -> Self {
        let path = PathBuf::from(format!("{name} of {outer}"));
        Self { path, bytes: bytes.to_vec(), envelopes: Vec::new() }
    }

    /// Returns the bytes of the package file.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the detached envelopes as (file name, bytes).
    pub(crate) fn envelopes(&self) -> &[(String, Vec<u8>)] {
        &self.envelopes
    }

    /// Returns the file with other bytes, made of its own.
    pub(crate) fn with_bytes(&self, bytes: Vec<u8>) -> Self {
        Self { bytes, ..self.clone() }
    }

    /// Returns the path for messages.
    pub(crate) fn name(&self) -> String {
        files::name(&self.path)
    }
}

/// Reads the files `<package>.<scope>-<suite>-<keyid>.dsse.json`, in order of their names.
///
/// A trust file's companion has no scope, and a trust file is no package.
fn read_envelopes(path: &Path) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let is_envelope = |name: &str| EnvelopeName::parse(name).is_ok();
    let names = files::companions(path, is_envelope, ENVELOPES_MAX);
    let read = |name: String| {
        let bytes = files::read(&path.with_file_name(&name), "envelope", ENVELOPE_BYTES_MAX as u64);
        bytes.map(|bytes| (name, bytes))
    };
    names.into_iter().map(read).collect()
}

/// An acceptance file and where it came from.
struct Accepting {
    path: PathBuf,
    acceptance: Acceptance,
}

/// Everything by which this call verifies: what the caller asks for, and what the home holds.
pub(crate) struct Verifier<'a> {
    args: &'a TrustArgs,
    accepting: Option<Accepting>,
    memory: Memory,
    roots: Option<Roots>,
}

impl TrustArgs {
    /// Reads the trust file, the acceptance file and the record of what is known, each if it is
    /// there.
    pub(crate) fn verifier(&self) -> Result<Verifier<'_>, Failure> {
        let home = Home::from_env().ok().filter(|_| !self.apart);
        let memory = home.as_ref().map_or_else(|| Ok(Memory::default()), Memory::of)?;
        let existing = |path: Option<PathBuf>| path.filter(|path| path.exists());
        let path = self.accept.clone();
        let path = path.or_else(|| existing(home.as_ref().map(Home::accept_file)));
        let accepting = path.map(Accepting::read).transpose()?;
        let path = self.trust.clone();
        let path = path.or_else(|| existing(home.as_ref().map(Home::trust_file)));
        let pin = accepting.as_ref().and_then(|accepting| accepting.acceptance.trust);
        let read =
            |path: PathBuf| Roots::read(&path, pin.as_ref(), memory.known(), self.insecure_dev);
        let roots = path.map(read).transpose()?;
        Ok(Verifier { args: self, accepting, memory, roots })
    }
}

impl Accepting {
    fn read(path: PathBuf) -> Result<Self, Failure> {
        let bytes = files::read(&path, "acceptance file", JSON_FILE_BYTES_MAX as u64)?;
        let acceptance = Acceptance::decode(&bytes).map_err(|error| {
            let message = format!("{} is not an acceptance file", path.display());
            Failure::decode(message, &error, "write one with `kapsule accept -o accept.json`")
        })?;
        Ok(Self { path, acceptance })
    }
}

/// A package as it was asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    /// What is known of its closure.
    pub(crate) closure: Option<ClosureFinding>,
    /// Its hash, where something else than the caller names that: a dependency list, a transcript.
    pub(crate) hash: Option<PackageId>,
}

impl Verifier<'_> {
    /// Returns the trust roots in use.
    pub(crate) const fn roots(&self) -> Option<&Roots> {
        self.roots.as_ref()
    }

    /// Returns the acceptance file in use.
    pub(crate) fn acceptance(&self) -> Option<&Acceptance> {
        self.accepting.as_ref().map(|accepting| &accepting.acceptance)
    }

    /// Says where the level of `verify` comes from, unless the caller chose it.
    pub(crate) fn level_origin(&self) -> String {
        match (&self.args.require, &self.accepting) {
            (Some(_), _) => String::new(),
            (None, Some(accepting)) => format!(", as {} demands", accepting.path.display()),
            (None, None) => ", the default; ask for more with --require".to_owned(),
        }
    }

    fn level(&self, default: Level) -> Level {
        let demanded = self.accepting.as_ref().map(|accepting| accepting.acceptance.level);
        self.args.require.or(demanded).unwrap_or(default)
    }

    fn options<'a>(&'a self, files: &'a Files, required: Level, asked: Asked) -> Options<'a> {
        // Here nothing is decrypted: `verify` and `open` do so where it is asked for.
        let envelopes = files.envelopes.iter();
        let envelopes = envelopes.map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
        Options { envelopes, ..self.base_options(required, asked) }
    }

    fn base_options(&self, required: Level, asked: Asked) -> Options<'_> {
        let refused = self.roots.as_ref().and_then(|roots| roots.chain.as_ref().err());
        let mut options = Options {
            required,
            insecure_dev: self.args.insecure_dev,
            closure: asked.closure,
            trust_refused: refused.cloned(),
            known: Some(self.memory.known()),
            expected: asked.hash.or(self.args.hash),
            ..Options::default()
        };
        if let Some(accepting) = &self.accepting {
            accepting.acceptance.apply(&mut options);
        }
        options
    }

    fn trust(&self) -> Option<&Trust> {
        self.roots.as_ref().map(|roots| &roots.trust)
    }

    /// Returns the trust file, if there is one and it may be used now.
    ///
    /// # Errors
    /// Why its chain does not lead here; E118 outside its validity window.
    pub(crate) fn trust_in_force(&self) -> Result<Option<&Trust>, DecodeError> {
        let Some(roots) = &self.roots else { return Ok(None) };
        roots.chain.as_ref().map_err(Clone::clone)?;
        let skew_ms = self.base_options(Level::ProofOnly, Asked::default()).max_skew_ms;
        roots.trust.in_force(now_ms(), skew_ms).map(Some)
    }

    /// Verifies and reports; requires proof-only unless asked for more.
    pub(crate) fn verify(
        &self,
        files: &Files,
        package: Option<&Package>,
        asked: Asked,
    ) -> Result<Report, Failure> {
        let report = self.report(files, asked)?;
        if let (true, Some(package)) = (report.is_accepted(), package) {
            self.note(package, &report);
        }
        Ok(report)
    }

    /// Verifies a receipt and reports; requires proof-only unless asked for more, and with `reexec`
    /// that its run was repeated.
    pub(crate) fn receipt(
        &self,
        bytes: &[u8],
        asked: &ReceiptOptions,
        reexec: bool,
    ) -> Result<Report, Failure> {
        let mut options = self.base_options(self.level(Level::ProofOnly), Asked::default());
        options.require.extend(reexec.then_some(CheckName::Reexec));
        self.judged(bytes, options, asked)
    }

    fn judged(
        &self,
        bytes: &[u8],
        options: Options<'_>,
        asked: &ReceiptOptions,
    ) -> Result<Report, Failure> {
        let keys = match Receipt::decode(bytes) {
            Ok(receipt) => self.bundle_keys(&receipt)?,
            Err(_) => None,
        };
        let decrypt = keys.as_ref().map(|keys| keys as &dyn Decrypt);
        let options = Options { decrypt, ..options };
        Ok(verify::receipt(bytes, self.trust(), Some(now_ms()), &options, asked))
    }

    /// Returns the keys that may open the audit bundle of a receipt; `None` if it is not encrypted
    /// or not here.
    ///
    /// Only for an encrypted one are secrets looked for, and only for one that no other key opens
    /// is a passphrase.
    pub(crate) fn bundle_keys(&self, receipt: &Receipt<'_>) -> Result<Option<Identities>, Failure> {
        let named = receipt.claim().bundle.filter(|named| named.encrypted);
        let (Some(named), Some(bytes)) = (named, receipt.bundle()) else { return Ok(None) };
        let identities = &self.args.identities;
        let held = identities.read()?;
        let locked = named.open(bytes, Some(&held.open)).is_err();
        if locked
            && identities.passphrase.is_available()
            && let Some(unlocked) = identities.unlock(&held)?
        {
            return Ok(Some(unlocked.clone()));
        }
        Ok(Some(held.open))
    }

    /// Verifies a receipt before its run is repeated: nothing may speak against it, and these
    /// checks have to pass, whatever level is asked of its report.
    pub(crate) fn receipt_to_repeat(
        &self,
        bytes: &[u8],
        asked: &ReceiptOptions,
        demanded: &[CheckName],
    ) -> Result<Report, Failure> {
        let mut options = self.base_options(Level::ProofOnly, Asked::default());
        options.require = demanded.to_vec();
        self.judged(bytes, options, asked)
    }

    /// Verifies a capsule and reports, with what the caller's channels say around it and with the
    /// identities that it holds; requires proof-only unless asked for more.
    pub(crate) fn capsule(
        &self,
        bytes: &[u8],
        around: Option<&Surroundings<'_>>,
        identities: &dyn Decrypt,
    ) -> Report {
        let mut options = self.base_options(self.level(Level::ProofOnly), Asked::default());
        options.decrypt = Some(identities);
        verify::capsule(bytes, self.trust(), Some(now_ms()), &options, around)
    }

    fn report(&self, files: &Files, asked: Asked) -> Result<Report, Failure> {
        let report = |options: &Options<'_>| {
            verify::package(&files.bytes, self.trust(), Some(now_ms()), options)
        };
        let mut options = self.options(files, self.level(Level::ProofOnly), asked);
        let first = report(&options);
        if first.result(CheckName::Opened).is_none() {
            return Ok(first);
        }
        // Only for an encrypted payload are secrets looked for.
        let identities = &self.args.identities;
        let held = identities.read()?;
        options.decrypt = (!held.open.is_empty()).then_some(&held.open as _);
        let second = report(&options);
        let locked = CheckResult::NotDone(ErrorCode::KeyNotHeld);
        if second.result(CheckName::Opened) != Some(locked) || !identities.passphrase.is_available()
        {
            return Ok(second);
        }
        match identities.unlock(&held)? {
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
    /// `--require` or the acceptance file says otherwise.
    pub(crate) fn open(&self, files: &Files, asked: Asked) -> Result<Opened, Failure> {
        let roots = self.roots.is_some();
        let required = self.level(if roots { Level::PolicyEnforced } else { Level::ProofOnly });
        let options = self.options(files, required, asked);
        match verify::load(&files.bytes, self.trust(), Some(now_ms()), &options) {
            Ok((package, report)) => {
                let module = self.args.identities.module(&files.name(), &package)?;
                self.note(&package, &report);
                Ok(Opened { package, report, module })
            }
            Err(report) => Err(rejected(&files.name(), &report)),
        }
    }

    /// Notes what an accepted package has shown; a signature by a test key shows nothing.
    fn note(&self, package: &Package, report: &Report) {
        let passed = |name| report.result(name) == Some(CheckResult::Pass);
        let author = package.manifest().identity().ok().flatten();
        let Some(author) = author.filter(|_| !self.args.insecure_dev) else { return };
        if passed(CheckName::SignerTrusted) && passed(CheckName::Signature) {
            self.memory.note_package(KnownPackage {
                name: package.manifest().name.clone(),
                author: author.id(),
                version: package.manifest().version.clone(),
                capsule_hash: package.capsule_hash(),
            });
        }
        if passed(CheckName::Signature) {
            self.memory.note_identity(author);
        }
    }

    /// Remembers what this call has shown.
    pub(crate) fn remember(&self, ui: &Ui) {
        if let Some(Roots { chain: Ok(chain), .. }) = &self.roots {
            self.memory.note_chain(chain);
        }
        self.memory.keep(ui);
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
        CheckResult::NotDone(_) => report.needs(check.name),
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
        ErrorCode::SignerUntrusted => {
            "if you trust the author, list the key with `kapsule key trust FILE.pub`, and an \
             issuer of receipts with `--role issuer` too"
                .to_owned()
        }
        ErrorCode::SignerQuorum => format!(
            "let others whom you trust sign, `kapsule sign {name} --key NAME --scope publisher`; a \
             trust file is signed by root identities, `kapsule sign trust.json --key NAME`"
        ),
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
        ErrorCode::TrustPinMismatch => {
            "get the trust file of the pin with its earlier files (trust.json.1 and so on) and \
             companions, or pin another one with `kapsule accept --pin FILE`"
                .to_owned()
        }
        ErrorCode::DowngradeRefused => {
            "use the newer version, or name this one by --hash if you mean it".to_owned()
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
