//! `kapsule policy receipt`

use std::path::PathBuf;

use kapsule_format::json;
use kapsule_format::limits::AUTHORING_BYTES_MAX;
use kapsule_format::receipt_policy::{ReceiptPolicy, SCHEMA};
use serde_json::{Value, json};

use crate::cli::Context;
use crate::error::{Done, Failure};
use crate::files;

const EXAMPLES: &str = "\
Examples:
  kapsule policy receipt nightly.toml
  kapsule policy receipt nightly.toml -o nightly.json --json

nightly.toml, for example:
  id = \"nightly\"
  version = \"1\"
  [rules]
  allow_network = false
  max_age_ms = 86400000
  outcomes = [\"completed\"]
  [[tracks]]
  id = \"proved\"
  rules = { proof_systems = [\"stark\"] }";

/// Writes a receipt policy: what a receipt has to be like to pass
///
/// The rules are read as TOML or JSON and written in their one byte form, whose SHA-256 is printed;
/// `run --receipt-policy` submits to it and `verify --receipt-policy` enforces it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Rules in TOML, or in JSON if the name ends in `.json`
    rules: PathBuf,
    /// File to write, `-` for stdout
    #[arg(long, short, value_name = "FILE", default_value = "receipt-policy.json")]
    output: PathBuf,
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    files::check_result(&context.ui, &args.output)?;
    let name = files::name(&args.rules);
    let bytes = files::read(&args.rules, "receipt policy", AUTHORING_BYTES_MAX as u64)?;
    let text = String::from_utf8_lossy(&bytes);
    let is_json = args.rules.extension().is_some_and(|extension| extension == "json");
    let draft: Result<Value, String> = match is_json {
        true => serde_json::from_str(&text).map_err(|error| error.to_string()),
        false => toml::from_str(&text).map_err(|error| error.to_string()),
    };
    let hint = "see `kapsule policy receipt --help` for an example, and spec/receipt-policy.md \
                for every rule";
    let draft = draft.map_err(|cause| {
        Failure::usage(format!("{name} cannot be read"), hint).cause(cause.trim())
    })?;
    let refused = |error: &_| Failure::decode(format!("{name} is no receipt policy"), error, hint);
    let value = canonical(draft, 0).map_err(|cause| {
        Failure::usage(format!("{name} is no receipt policy"), hint).cause(cause)
    })?;
    let policy = ReceiptPolicy::decode(&json::encode(&value)).map_err(|error| refused(&error))?;
    files::write(&context.ui, &args.output, &policy.encode())?;
    let file = args.output.display().to_string();
    let sha256 = policy.sha256().to_string();
    if context.ui.json() {
        context.ui.object(&json!({
            "schema": "kapsule/cli-receipt-policy/1",
            "file": file,
            "id": policy.id,
            "version": policy.version,
            "sha256": sha256,
        }))?;
    } else {
        let (id, version) = (&policy.id, &policy.version);
        context.ui.say(&format!("wrote {file}: {id} {version}, SHA-256 {sha256}"));
    }
    Ok(0)
}

/// Brings a draft into the form of a receipt policy: names and numbers in lists ascend, and what
/// is fixed is filled in at the top.
fn canonical(draft: Value, depth: u32) -> Result<json::Value, String> {
    Ok(match draft {
        Value::String(text) => json::Value::Text(text),
        Value::Bool(flag) => json::Value::Bool(flag),
        Value::Number(number) => match number.as_u64().filter(|found| *found <= json::UINT_MAX) {
            Some(number) => json::Value::Uint(number),
            None => return Err(format!("found {number}, allowed are integers from 0 to 2^53-1")),
        },
        Value::Null => return Err("found null, which means nothing here".into()),
        Value::Array(mut list) => {
            if list.iter().all(Value::is_string) {
                list.sort_by(|left, right| left.as_str().cmp(&right.as_str()));
            } else if list.iter().all(Value::is_u64) {
                list.sort_by_key(Value::as_u64);
            }
            let list: Result<Vec<_>, String> =
                list.into_iter().map(|value| canonical(value, depth + 1)).collect();
            json::Value::Array(list?)
        }
        Value::Object(members) => {
            let mut object = std::collections::BTreeMap::new();
            if depth == 0 {
                object.insert("schema".to_owned(), SCHEMA.into());
                object.insert("tracks".to_owned(), json::Value::Array(Vec::new()));
            }
            for (name, value) in members {
                object.insert(name, canonical(value, depth + 1)?);
            }
            json::Value::Object(object)
        }
    })
}
