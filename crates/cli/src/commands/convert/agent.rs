//! `kapsule convert agent` and `kapsule convert plan`

use std::path::PathBuf;

use super::Table;
use crate::cli::Context;
use crate::convert::TABLE_BYTES_MAX;
use crate::convert::agent::{self, File, Plan};
use crate::error::Failure;
use crate::files::{self, INPUT_BYTES_MAX};
use crate::text::grouped;

const AGENT_EXAMPLES: &str = "\
Examples:
  kapsule convert agent agent.toml --events monday.toml -o agent.input
  kapsule convert agent agent.toml --events monday.toml --state agent.output -o agent.input";
const PLAN_EXAMPLES: &str = "\
Examples:
  kapsule convert plan agent.output
  kapsule convert plan agent.output --expect monday.toml -o plan.csv";

/// Converts an agent and the events of one run to the input of the agent_logic package
///
/// The agent file has its rules, goals, actions and budget and the facts of its first run, the
/// event file the time of the run and what happened; one file may hold both.
/// `examples/06-agent` has one of each.
#[derive(Debug, clap::Args)]
#[command(after_help = AGENT_EXAMPLES)]
pub(crate) struct AgentArgs {
    /// Agent file in TOML, `-` for stdin
    agent: PathBuf,
    /// Event file in TOML; without it the agent file has the events
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Output of the run before, whose state goes on; without it this is the agent's first run
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// File to write, `-` for stdout
    #[arg(long, short, value_name = "FILE", default_value = "-")]
    pub(super) output: PathBuf,
}

/// Converts the output of the agent_logic package to a table, and says how the goals stand
///
/// Columns: place, action, goal, cost, verdict (proposed, beyond the budget, refused).
#[derive(Debug, clap::Args)]
#[command(after_help = PLAN_EXAMPLES)]
pub(crate) struct PlanArgs {
    /// Output of the agent_logic package, `-` for stdin
    file: PathBuf,
    /// Fail unless what was chosen is what this file expects
    #[arg(long, value_name = "FILE")]
    expect: Option<PathBuf>,
    /// File to write, `-` for stdout
    #[arg(long, short, value_name = "FILE", default_value = "-")]
    pub(super) output: PathBuf,
}

pub(super) fn convert(context: &Context, args: &AgentArgs) -> Result<(Vec<u8>, u64), Failure> {
    let read = |path: &PathBuf| File::read(&files::read(path, "agent file", TABLE_BYTES_MAX)?);
    let agent = read(&args.agent)?;
    let events = args.events.as_ref().map(read).transpose()?;
    let state = args.state.as_ref();
    let state = state.map(|path| files::read(path, "agent output", INPUT_BYTES_MAX)).transpose()?;
    let progress = context.ui.begin(&format!("converting {}", files::name(&args.agent)));
    let converted = agent::convert(&agent, events.as_ref(), state.as_deref())?;
    progress.end(&format!("converted {} events", grouped(converted.records)));
    Ok((converted.bytes, converted.records))
}

pub(super) fn plan(context: &Context, args: &PlanArgs) -> Result<(Vec<u8>, u64), Failure> {
    let plan = Plan::decode(&files::read(&args.file, "agent output", INPUT_BYTES_MAX)?)?;
    if let Some(path) = &args.expect {
        let file = File::read(&files::read(path, "agent file", TABLE_BYTES_MAX)?)?;
        plan.compare(&file.expected()?)?;
    }
    let progress = context.ui.begin(&format!("reading {}", files::name(&args.file)));
    let goals: Vec<String> = plan.goals.iter().map(ToString::to_string).collect();
    progress.end(&goals.join("; "));
    let mut table = Table::new(&["place", "action", "goal", "cost", "verdict"])?;
    for row in plan.rows {
        table.row(&[row.action, row.goal, row.cost.to_string(), row.verdict.to_owned()])?;
    }
    table.finish()
}
