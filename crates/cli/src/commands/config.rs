//! `kapsule config`

use serde_json::{Value, json};

use super::batch::Jobs;
use crate::cli::Context;
use crate::error::Done;
use crate::execute::Engine;
use crate::opening::TrustArgs;
use crate::settings::Explained;
use crate::text::{Align, facts, plain, table};

const EXAMPLES: &str = "\
Examples:
  kapsule config
  kapsule config --json
  KAPSULE_ENGINE=wasmi kapsule config --trust trust.json

A configuration file, `config.toml` in the configuration directory, has one line for each setting:
  engine = \"jit\"
  jobs = 4
  trust = \"/home/alice/trust.json\"";

/// Shows every setting, its value, and where the value came from
///
/// A flag beats a variable `KAPSULE_*`, that beats the configuration file, and that beats the
/// default.
/// With flags it shows what a command with the same flags would use.
/// The directories follow from `KAPSULE_HOME`, else from `XDG_DATA_HOME` and `XDG_CONFIG_HOME`,
/// else from `HOME`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Engine of a run or a replay
    #[arg(long, value_name = "ENGINE", default_value = "auto")]
    engine: Engine,
    /// Inputs of a batch that run at the same time
    #[arg(long, value_name = "N")]
    jobs: Option<Jobs>,
    #[command(flatten)]
    trust: TrustArgs,
}

pub(super) fn run(context: &Context, _: &Args) -> Done {
    let home = context.home().ok();
    let path = |path: Option<std::path::PathBuf>| {
        path.map_or_else(|| "none".to_owned(), |path| plain(&path.display().to_string()))
    };
    let file = home.as_ref().map(|home| home.config_file());
    let present = file.as_ref().is_some_and(|file| file.exists());
    let keys = home.as_ref().map(|home| home.keys());
    if context.ui.json() {
        context.ui.object(&json!({
            "schema": "kapsule/cli-config/1",
            "file": file.map(|file| file.display().to_string()),
            "file_present": present,
            "keys": keys.map(|keys| keys.display().to_string()),
            "settings": context.settings.iter().map(to_json).collect::<Vec<_>>(),
        }))?;
        return Ok(0);
    }
    let state = if present { "" } else { " (absent)" };
    let places = facts(&[("file", format!("{}{state}", path(file))), ("keys", path(keys))]);
    let head = ["setting", "value", "from", "variable"].map(str::to_owned).to_vec();
    let rows = context.settings.iter().map(|explained| {
        let setting = explained.setting;
        let default = || format!("({})", setting.default);
        let value = explained.value.as_deref().map_or_else(default, plain);
        vec![
            setting.name.to_owned(),
            value,
            explained.origin.name().to_owned(),
            setting.variable.to_owned(),
        ]
    });
    let rows: Vec<Vec<String>> = [head].into_iter().chain(rows).collect();
    context.ui.text(&format!("{places}\n{}", table(&[Align::Left; 4], &rows)))?;
    Ok(0)
}

fn to_json(explained: &Explained) -> Value {
    json!({
        "name": explained.setting.name,
        "value": explained.value,
        "from": explained.origin.name(),
        "variable": explained.setting.variable,
        "default": explained.setting.default,
    })
}
