//! `kapsule run --batch`

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use kapsule_engine::MemoryHost;
use serde_json::{Value, json};

use super::run::run_json;
use crate::batch::{self, Input};
use crate::cli::Context;
use crate::error::{Done, Failure};
use crate::execute::{self, Ran, Ready, Request};
use crate::files::{self, INPUT_BYTES_MAX};
use crate::session::Session;
use crate::text::{Align, grouped, plain, table};
use crate::{interrupt, ui::Ui};

/// Failed inputs that are named in words; `--json` names all.
const NAMED_FAILURES: u64 = 10;

/// Many inputs instead of one.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Batch")]
pub(crate) struct BatchArgs {
    /// Run once for each file of this directory
    #[arg(
        id = "batch",
        long,
        value_name = "DIR",
        conflicts_with_all = [
            "input", "output", "transcript", "storage", "dag", "fs", "net", "budget",
        ]
    )]
    pub(crate) directory: Option<PathBuf>,
    /// Directory for the outputs, each under the name of its input
    #[arg(long, value_name = "DIR", requires = "batch")]
    output_dir: Option<PathBuf>,
    /// Directory for the transcripts, each under the name of its input and `.transcript`
    #[arg(long, value_name = "DIR", requires = "batch")]
    transcript_dir: Option<PathBuf>,
    /// Inputs that run at the same time; by default one for each core
    #[arg(long, value_name = "N")]
    jobs: Option<Jobs>,
}

/// Number of threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Jobs(NonZeroUsize);

impl FromStr for Jobs {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number: usize = text.parse().map_err(|error| format!("{error}"))?;
        let number = NonZeroUsize::new(number).filter(|number| number.get() <= 1_024);
        number.map(Self).ok_or_else(|| "1 to 1024 are allowed".to_owned())
    }
}

impl Jobs {
    /// Returns how many threads were asked for, or one for each core.
    pub(super) fn number(asked: Option<Self>) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        asked.map_or_else(cores, |jobs| jobs.0.get())
    }
}

impl BatchArgs {
    /// Refuses directories that cannot be meant.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if self.output_dir.is_some() && self.output_dir == self.transcript_dir {
            let hint = "name two directories";
            return Err(Failure::usage("outputs and transcripts would share a directory", hint));
        }
        Ok(())
    }

    fn jobs(&self) -> usize {
        Jobs::number(self.jobs)
    }
}

/// Runs the package over every file of `directory`.
pub(super) fn run(
    context: &Context,
    args: &BatchArgs,
    directory: &Path,
    session: &Session<'_>,
) -> Done {
    let Session { loaded, request, memory, .. } = session;
    let ui = &context.ui;
    interrupt::watch()?;
    let inputs = batch::inputs(directory)?;
    [&args.output_dir, &args.transcript_dir]
        .into_iter()
        .flatten()
        .try_for_each(|d| batch::prepare(d))?;
    let fuel = request.fuel.unwrap_or(request.policy.limits.fuel);
    let ready = loaded.compile(request.engine, fuel.saturating_mul(inputs.len() as u64))?;
    let jobs = args.jobs();
    let start = Instant::now();
    let what = format!("running {} over {} inputs", loaded.name, inputs.len());
    let progress = ui.begin_counted(&what, inputs.len() as u64);
    let work = |index: usize| {
        let input = &inputs[index];
        Told::new(ui, input, one(args, &ready, request, memory, input))
    };
    let mut summary = Summary::default();
    let ended = AtomicU64::new(0);
    let stopped = || {
        let ended = ended.load(Ordering::Relaxed);
        interrupt::failure().cause(format!("{ended} of {} inputs are done", inputs.len()))
    };
    let done = |index: usize, told: Told| {
        progress.advance();
        if let Some(failure) = told.failure.as_ref().filter(|f| **f == interrupt::failure()) {
            return Err(failure.clone());
        }
        if let Some(object) = &told.object {
            ui.object(object)?;
        }
        summary.add(&inputs[index].name, told);
        ended.fetch_add(1, Ordering::Relaxed);
        Ok(())
    };
    let all = || batch::in_order(inputs.len(), jobs, work, done);
    let told = interrupt::during_parts(ui, stopped, all);
    let elapsed = start.elapsed();
    if interrupt::requested() {
        return Err(stopped());
    }
    told?;
    let ms = elapsed.as_millis();
    let words =
        format!("ran {} inputs on {} in {ms} ms, {jobs} at a time", inputs.len(), ready.backend());
    progress.end(&words);
    if ui.json() {
        let mut object = summary.to_json();
        object["capsule_hash"] = loaded.package.capsule_hash().to_string().into();
        object["backend"] = ready.backend().name().into();
        object["jobs"] = jobs.into();
        object["elapsed_ms"] = ms.to_string().into();
        ui.object(&object)?;
    } else {
        summary.print(ui)?;
    }
    summary.failure().map_or(Ok(0), Err)
}

/// Runs one input and writes what came out.
fn one(
    args: &BatchArgs,
    ready: &Ready<'_>,
    request: &Request<'_>,
    host: &MemoryHost,
    input: &Input,
) -> Result<(Ran, Option<Failure>), Failure> {
    let bytes = files::read(&input.path, "input", INPUT_BYTES_MAX)?;
    let ran = ready.run(&Request { input: &bytes, ..*request }, || host.clone())?;
    let failure = execute::outcome_failure(&input.name, &ran);
    if let Some(directory) = &args.transcript_dir {
        for (end, bytes) in execute::transcript_files(&ran.run)? {
            let path = directory.join(format!("{}.transcript{end}", input.name));
            files::write_new(&path, &bytes)?;
        }
    }
    if let (Some(directory), None) = (&args.output_dir, &failure) {
        files::write_new(&directory.join(&input.name), &ran.run.output)?;
    }
    Ok((ran, failure))
}

/// What is told of one input; small, since it may have to wait for its turn.
struct Told {
    /// Outcome, or the error code if there is none.
    label: String,
    failure: Option<Failure>,
    fuel: u64,
    output_bytes: u64,
    /// The line of `--json`.
    object: Option<Value>,
}

impl Told {
    fn new(ui: &Ui, input: &Input, done: Result<(Ran, Option<Failure>), Failure>) -> Self {
        let (ran, failure) = match done {
            Ok((ran, failure)) => (Some(ran), failure),
            Err(failure) => (None, Some(failure)),
        };
        let code = || failure.as_ref().map(|failure| failure.kind.to_string());
        let outcome = ran.as_ref().map(|ran| ran.run.outcome.to_string());
        let object = ui.json().then(|| {
            let mut object = ran.as_ref().map_or_else(|| json!({}), run_json);
            object["schema"] = "kapsule/cli-batch-input/1".into();
            object["input"] = input.name.as_str().into();
            object["error"] = code().into();
            let causes = failure.as_ref().map(|failure| failure.causes.clone());
            object["causes"] = causes.unwrap_or_default().into();
            object
        });
        Self {
            label: outcome.or_else(code).unwrap_or_default(),
            fuel: ran.as_ref().map_or(0, |ran| ran.run.usage.fuel),
            output_bytes: ran.as_ref().map_or(0, |ran| ran.run.output.len() as u64),
            failure,
            object,
        }
    }
}

/// Inputs that ended in the same way.
#[derive(Debug, Default)]
struct Group {
    inputs: u64,
    fuel: u64,
    output_bytes: u64,
    first: String,
}

/// What came of a batch.
#[derive(Debug, Default)]
struct Summary {
    inputs: u64,
    /// By success first, then by outcome or error code.
    groups: BTreeMap<(bool, String), Group>,
    /// The first inputs that failed, in order of their names.
    failed: Vec<(String, Failure)>,
    failures: u64,
}

impl Summary {
    fn add(&mut self, name: &str, told: Told) {
        let group = self.groups.entry((told.failure.is_some(), told.label)).or_default();
        if group.inputs == 0 {
            name.clone_into(&mut group.first);
        }
        group.inputs += 1;
        group.fuel = group.fuel.saturating_add(told.fuel);
        group.output_bytes = group.output_bytes.saturating_add(told.output_bytes);
        self.inputs += 1;
        if let Some(failure) = told.failure {
            self.failures += 1;
            if self.failures <= NAMED_FAILURES {
                self.failed.push((name.to_owned(), failure));
            }
        }
    }

    fn print(&self, ui: &Ui) -> Result<(), Failure> {
        let head = ["outcome", "inputs", "fuel", "output bytes", "first input"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        for ((_, label), group) in &self.groups {
            rows.push(vec![
                label.clone(),
                grouped(group.inputs),
                grouped(group.fuel),
                grouped(group.output_bytes),
                plain(&group.first),
            ]);
        }
        let columns = [Align::Left, Align::Right, Align::Right, Align::Right, Align::Left];
        ui.text(&table(&columns, &rows))?;
        for (name, failure) in &self.failed {
            let cause = failure.causes.first().map(|cause| format!(": {cause}"));
            let cause = cause.unwrap_or_default();
            ui.warn(&format!("{}: {}{cause}", plain(name), plain(&failure.message)));
        }
        let unnamed = self.failures.saturating_sub(NAMED_FAILURES);
        if unnamed > 0 {
            ui.warn(&format!("{unnamed} more inputs failed; --json names each"));
        }
        Ok(())
    }

    fn to_json(&self) -> Value {
        let groups = self.groups.iter().map(|((failed, label), group)| {
            json!({
                "outcome": label,
                "failed": failed,
                "inputs": group.inputs.to_string(),
                "fuel_used": group.fuel.to_string(),
                "output_bytes": group.output_bytes.to_string(),
                "first_input": group.first,
            })
        });
        json!({
            "schema": "kapsule/cli-batch/1",
            "inputs": self.inputs.to_string(),
            "failures": self.failures.to_string(),
            "outcomes": groups.collect::<Vec<_>>(),
        })
    }

    /// Returns the failure of the batch: that of its first failed input.
    fn failure(&self) -> Option<Failure> {
        let (name, first) = self.failed.first()?;
        let message = format!("{} of {} inputs failed", self.failures, self.inputs);
        let cause = format!("{}: {}", plain(name), first.message);
        let mut failure = Failure { message, causes: vec![cause], ..first.clone() };
        failure.causes.extend(first.causes.iter().cloned());
        Some(failure)
    }
}
