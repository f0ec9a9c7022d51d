//! What a run may reach outside of itself: directories, files, machines, a budget.

use std::path::PathBuf;
use std::str::FromStr;

use kapsule_abi::hostcall::{CALL, HOSTCALLS};
use kapsule_abi::{ErrorCode, Hostcall, guard};
use kapsule_engine::{Effects, Host, MemoryHost};
use kapsule_format::policy::Policy;
use kapsule_host::{DirectoryHost, SetupError};
use serde_json::{Value, json};

use crate::error::Failure;
use crate::execute::Loaded;
use crate::text::plain;

/// Numbers of the hostcalls that need storage.
const STORAGE: std::ops::RangeInclusive<u16> = 15..=18;
/// Number of the hostcall `get_trust_score`.
const SCORES: std::ops::RangeInclusive<u16> = 9..=9;
/// Numbers of the hostcalls about trust.
const TRUST: std::ops::RangeInclusive<u16> = 9..=10;
/// Number of the hostcall `trust_edges`.
const STATEMENTS: std::ops::RangeInclusive<u16> = 10..=10;
/// Numbers of the hostcalls that need storage or the graph.
const KEPT: std::ops::RangeInclusive<u16> = 15..=21;
/// Numbers of the hostcalls that reach files and machines.
const REACHED: std::ops::RangeInclusive<u16> = 24..=26;
/// Numbers of the hostcalls that reach beyond one run.
const OUTSIDE: std::ops::RangeInclusive<u16> = 15..=26;

/// What a run may reach outside of itself, within the policy.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct SurroundingArgs {
    /// Directory for the storage of packages; what a run changes is kept if it completes with 0
    #[arg(long, value_name = "DIR")]
    storage: Option<PathBuf>,
    /// Directory of capsules for `dag_get`, `dag_children` and `dag_query`: files `<id>.cbor` with
    /// the metadata
    #[arg(long, value_name = "DIR")]
    dag: Option<PathBuf>,
    /// File or, with a final `/`, directory that stands under a guest path; may be repeated
    #[arg(long, value_name = "GUEST=HOST")]
    fs: Vec<Place>,
    /// Machine that `net_request` may talk to; may be repeated
    #[arg(long, value_name = "HOST:PORT")]
    net: Vec<Peer>,
    /// What the proposals of the run may cost together
    #[arg(long, value_name = "N", default_value = "0")]
    budget: u64,
}

/// A guest path and the place of the caller that it stands for.
#[derive(Clone, Debug)]
struct Place {
    guest: String,
    host: PathBuf,
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((guest, host)) if !guest.is_empty() && !host.is_empty() => {
                Ok(Self { guest: guest.to_owned(), host: PathBuf::from(host) })
            }
            _ => Err("expected GUEST=HOST, such as /data/=words".to_owned()),
        }
    }
}

/// A machine that may be talked to.
#[derive(Clone, Debug)]
struct Peer {
    host: String,
    port: u16,
}

impl FromStr for Peer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.rsplit_once(':').and_then(|(host, port)| {
            let port: u16 = port.parse().ok().filter(|port| *port > 0)?;
            // An IPv6 address stands in brackets here and without them in a request.
            let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
            (!host.is_empty()).then(|| Self { host: host.to_owned(), port })
        });
        parts.ok_or_else(|| "expected HOST:PORT, such as localhost:8080".to_owned())
    }
}

impl SurroundingArgs {
    /// Sets the surroundings of one run up.
    pub(crate) fn host(
        &self,
        memory: MemoryHost,
        loaded: &Loaded<'_>,
        policy: &Policy,
    ) -> Result<DirectoryHost, Failure> {
        let mut host = DirectoryHost::new(MemoryHost { budget: self.budget, ..memory });
        if let Some(path) = &self.storage {
            host.storage(path).map_err(|error| refused(&error))?;
            if imports(loaded, policy, STORAGE).is_some() {
                host.open_storage(&loaded.package.capsule_hash()).map_err(|e| refused(&e))?;
            }
        } else if let Some(call) = imports(loaded, policy, STORAGE) {
            let message = format!("{} keeps data with {}", loaded.name, call.name);
            return Err(Failure::usage(message, "name a directory for it with --storage DIR"));
        }
        if let Some(path) = &self.dag {
            host.dag(path).map_err(|error| refused(&error))?;
        }
        for Place { guest, host: place } in &self.fs {
            host.mount(guest, place).map_err(|error| refused(&error))?;
        }
        for Peer { host: name, port } in &self.net {
            host.allow(name, *port);
        }
        Ok(host)
    }
}

/// Refuses a batch of runs that would reach outside of themselves.
pub(crate) fn check_batch(loaded: &Loaded<'_>, policy: &Policy) -> Result<(), Failure> {
    match imports(loaded, policy, OUTSIDE) {
        None => Ok(()),
        Some(call) => {
            let message = format!("{} reaches outside of a run with {}", loaded.name, call.name);
            Err(Failure::usage(message, "run it once for each input, without --batch"))
        }
    }
}

/// Tells whether a run over a capsule can ask a store something, so that runs have an order.
pub(crate) fn asks_store(loaded: &Loaded<'_>, policy: &Policy) -> bool {
    imports(loaded, policy, TRUST).is_some() || imports(loaded, policy, OUTSIDE).is_some()
}

/// Tells whether a run can ask for scores of trust.
pub(crate) fn asks_scores(loaded: &Loaded<'_>, policy: &Policy) -> bool {
    imports(loaded, policy, SCORES).is_some()
}

/// Tells whether a run can ask for trust statements.
pub(crate) fn asks_statements(loaded: &Loaded<'_>, policy: &Policy) -> bool {
    imports(loaded, policy, STATEMENTS).is_some()
}

/// Refuses a package that would keep something beside its output, or look elsewhere than in its
/// input, where many capsules are processed together.
pub(crate) fn check_view(loaded: &Loaded<'_>, policy: &Policy) -> Result<(), Failure> {
    let found = imports(loaded, policy, KEPT).or_else(|| imports(loaded, policy, REACHED));
    match found {
        Some(call) if guard!("cli.views.outside", true) => {
            let message = format!("{} asks for {} in a view", loaded.name, call.name);
            let hint = "a view has its input alone; process each capsule by itself with \
                        `kapsule dispatch set KIND PACKAGE --scope capsule`";
            Err(Failure::new(ErrorCode::HostcallDenied, message, hint))
        }
        _ => Ok(()),
    }
}

/// Returns a hostcall of these numbers that the module, or a package that it calls, can make.
fn imports(
    loaded: &Loaded<'_>,
    policy: &Policy,
    numbers: std::ops::RangeInclusive<u16>,
) -> Option<&'static Hostcall> {
    let own = &loaded.imports;
    let linked = |call: &&Hostcall| numbers.contains(&call.number) && policy.links(call);
    // A callee has at most what its caller was granted.
    let calls = own.iter().any(|call| call.number == CALL && policy.links(call));
    let candidates: Vec<&'static Hostcall> =
        if calls { HOSTCALLS.iter().collect() } else { own.clone() };
    candidates.into_iter().filter(|call| call.number != CALL).find(linked)
}

fn refused(error: &SetupError) -> Failure {
    let hint = match error.code {
        ErrorCode::WriteConflict => "wait until the other run has ended",
        ErrorCode::StoreCorrupt => "restore the file from a copy, or move it away to start anew",
        ErrorCode::StoreOpen => "name a directory that exists and that you may use",
        _ => "see `kapsule run --help`",
    };
    Failure::new(error.code, "the surroundings of the run cannot be set up", hint).cause(error)
}

/// Carries out what a run changed that completed with 0.
pub(crate) fn apply(host: &mut dyn Host, name: &str, effects: &Effects) -> Result<(), Failure> {
    host.apply(effects).map_err(|error| {
        let hint = "make room or give access where the storage and the files are, and run again";
        let message = format!("what {name} changed could not be kept");
        Failure::new(ErrorCode::StoreOpen, message, hint).cause(error)
    })
}

/// Returns one line for each effect.
pub(crate) fn lines(effects: &Effects) -> Vec<String> {
    let mut lines = Vec::new();
    for (proposal, index) in effects.proposals.iter().zip(0..) {
        let what = describe(&proposal.act);
        lines.push(format!("proposal {index}, cost {}: {}", proposal.cost, plain(&what)));
    }
    for (path, bytes) in &effects.files {
        lines.push(format!("wrote {path}, {} bytes", bytes.len()));
    }
    let keys: usize = effects.storage.values().map(std::collections::BTreeMap::len).sum();
    if keys > 0 {
        lines.push(format!("changed {keys} storage keys"));
    }
    lines
}

fn describe(act: &kapsule_engine::Act) -> String {
    use kapsule_engine::Act;
    match act {
        Act::Publish { kind, body, .. } => format!("publish a {kind} of {} bytes", body.len()),
        Act::Run { package, entry, .. } => format!("run {entry} of {package}"),
        Act::Notify { text } => format!("notify: {text}"),
    }
}

/// Returns the effects as data.
pub(crate) fn to_json(effects: &Effects) -> Value {
    let proposals = effects.proposals.iter().map(|proposal| {
        json!({
            "act": proposal.act.name(),
            "cost": proposal.cost.to_string(),
            "text": describe(&proposal.act),
        })
    });
    let files = effects
        .files
        .iter()
        .map(|(path, bytes)| json!({ "path": path, "bytes": bytes.len().to_string() }));
    let keys: usize = effects.storage.values().map(std::collections::BTreeMap::len).sum();
    json!({
        "proposals": proposals.collect::<Vec<_>>(),
        "files": files.collect::<Vec<_>>(),
        "storage_keys_changed": keys.to_string(),
    })
}
