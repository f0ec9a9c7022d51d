//! `kapsule relay-filter`

use std::path::{Path, PathBuf};

use kapsule_abi::ErrorCode;
use kapsule_format::DecodeError;
use kapsule_format::capsule::relay::{Action, Rule, Rules};
use kapsule_format::capsule::{Capsule, ChannelId};
use kapsule_format::key::IdentityId;
use kapsule_format::limits::CAPSULE_BYTES_MAX;
use serde::Deserialize;
use serde_json::json;

use crate::capsules::claimed;
use crate::cli::Context;
use crate::error::{Done, Failure};
use crate::files;
use crate::text::{Align, plain, table};

const EXAMPLES: &str = "\
Examples:
  kapsule relay-filter *.kapsule
  kapsule relay-filter hello.kapsule --rules relay.toml --json

Form of a rule file; the first rule whose conditions all hold decides:
  default = \"forward\"
  [[rule]]
  action = \"drop\"           # forward, hold or drop
  kinds = [\"agent\"]         # one of these kinds
  flags = [\"no-relay\"]      # one of these flags
  channels = [\"ID\"]         # one of these channels
  authors = [\"ID\"]          # one of these authors
  above_bytes = 65536       # a larger file
  older_ms = 86400000       # claimed time so far in the past, at least
  ahead_ms = 60000          # claimed time so far in the future, at least
  expired = true            # whether the expiry has passed
Without a file, what has expired or has the flag no-relay is dropped.";

/// Decides what a relay does with capsules, by what is public of them
///
/// No key is read or needed: form, digests and signatures are checked, and rules look at kind,
/// flags, channel, author, size and times.
/// What is malformed, or not signed by its author, is dropped with the code.
/// Exits with 0 whatever the decisions are; with `--json` there is an object for each file.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Capsules, `-` for stdin
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Rule file
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// Time in ms since 1970, by default now
    #[arg(long, value_name = "MS")]
    time: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFile {
    default: String,
    #[serde(default)]
    rule: Vec<RuleRow>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleRow {
    action: String,
    #[serde(default)]
    kinds: Vec<String>,
    #[serde(default)]
    flags: Vec<String>,
    #[serde(default)]
    channels: Vec<String>,
    #[serde(default)]
    authors: Vec<String>,
    above_bytes: Option<u64>,
    older_ms: Option<u64>,
    ahead_ms: Option<u64>,
    expired: Option<bool>,
}

fn action(name: &str) -> Result<Action, String> {
    Action::from_name(name).ok_or_else(|| format!("action {name:?}, allowed forward, hold, drop"))
}

impl RuleRow {
    fn rule(self) -> Result<Rule, String> {
        let wrong = |error: DecodeError| error.to_string();
        let channel = |id: &String| id.parse::<ChannelId>().map_err(wrong);
        let author = |id: &String| id.parse::<IdentityId>().map_err(wrong);
        Ok(Rule {
            action: action(&self.action)?,
            channels: self.channels.iter().map(channel).collect::<Result<_, _>>()?,
            authors: self.authors.iter().map(author).collect::<Result<_, _>>()?,
            kinds: self.kinds,
            flags: self.flags,
            above_bytes: self.above_bytes,
            older_ms: self.older_ms,
            ahead_ms: self.ahead_ms,
            expired: self.expired,
        })
    }
}

fn read_rules(path: &Path) -> Result<Rules, Failure> {
    let bytes = files::read(path, "rule file", 1 << 20)?;
    let rules = || -> Result<Rules, String> {
        let text = std::str::from_utf8(&bytes).map_err(|error| error.to_string())?;
        let file: RuleFile = toml::from_str(text).map_err(|error| error.to_string())?;
        let rules = file.rule.into_iter().map(RuleRow::rule).collect::<Result<_, _>>()?;
        Ok(Rules { rules, default: action(&file.default)? })
    };
    rules().map_err(|cause| {
        let hint = "see the form with `kapsule relay-filter --help`";
        let message = format!("{} is no rule file", path.display());
        Failure::new(ErrorCode::SchemaViolation, message, hint).cause(cause)
    })
}

/// What is decided about one file, and why.
struct Decision {
    action: Action,
    why: String,
    id: Option<String>,
}

/// Checks what everybody can check, and asks the rules.
fn decide(bytes: &[u8], rules: &Rules, now_ms: u64) -> Decision {
    let checked = || -> Result<(Action, String, String), DecodeError> {
        let capsule = Capsule::decode(bytes)?;
        capsule.check_bound()?;
        capsule.meta().check_facts()?;
        let found = capsule.signatures([]);
        found.statement.clone().or(found.signature.clone()).map_or(Ok(()), Err)?;
        found.check_own(&capsule.meta().author)?;
        capsule.check_links()?;
        let (action, rule) = rules.decide(capsule.meta(), bytes.len() as u64, now_ms);
        let why = rule.map_or_else(|| "default".to_owned(), |index| format!("rule {}", index + 1));
        Ok((action, why, capsule.id().to_string()))
    };
    match checked() {
        Ok((action, why, id)) => Decision { action, why, id: Some(id) },
        Err(error) => Decision { action: Action::Drop, why: error.code.to_string(), id: None },
    }
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    let rules = args.rules.as_deref().map(read_rules).transpose()?.unwrap_or_default();
    let named: Vec<Option<&Path>> = args.files.iter().map(|path| Some(path.as_path())).collect();
    files::check_one_stdin(&named)?;
    let now_ms = claimed(args.time);
    let mut rows = Vec::new();
    for path in &args.files {
        let bytes = files::read(path, "capsule", CAPSULE_BYTES_MAX)?;
        let decision = decide(&bytes, &rules, now_ms);
        let name = files::name(path);
        if context.ui.json() {
            context.ui.object(&json!({
                "schema": "kapsule/cli-relay-filter/1",
                "file": name,
                "capsule_id": decision.id,
                "action": decision.action.name(),
                "why": decision.why,
            }))?;
        } else {
            rows.push(vec![decision.action.name().to_owned(), decision.why, plain(&name)]);
        }
    }
    context.ui.text(&table(&[Align::Left, Align::Left, Align::Left], &rows))?;
    Ok(0)
}
