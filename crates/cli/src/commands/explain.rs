//! `kapsule explain`

use std::path::PathBuf;

use kapsule_format::DecodeError;
use kapsule_format::json::{self, Fields};
use kapsule_format::limits::JSON_FILE_BYTES_MAX;
use serde_json::{Value, json};

use crate::cli::Context;
use crate::error::{Done, Failure};
use crate::files;
use crate::text::plain;
use crate::words::{self, Kind};

const EXAMPLES: &str = "\
Examples:
  kapsule explain report.json
  kapsule verify hello.mod --json | kapsule explain -
  kapsule explain report.json --json";

/// Says in plain words what a report shows and what it does not
///
/// A report is what `kapsule verify --json` prints.
/// It is anybody's word: who wants to know verifies the file again.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Report to explain, `-` for stdin
    report: PathBuf,
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    let ui = &context.ui;
    let bytes = files::read(&args.report, "report", JSON_FILE_BYTES_MAX as u64)?;
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let report = Report::decode(bytes).map_err(|error| {
        let message = format!("{} is not a report", files::name(&args.report));
        Failure::decode(message, &error, "make one with `kapsule verify FILE --json > report.json`")
    })?;
    if ui.json() {
        ui.object(&report.to_json())?;
    } else {
        ui.text(&report.to_text())?;
    }
    Ok(0)
}

/// What a report says, as far as words need it.
struct Report {
    kind: Kind,
    id: String,
    status: String,
    level: String,
    required: String,
    error_code: Option<String>,
    checks: Vec<Check>,
}

struct Check {
    name: String,
    result: String,
    code: Option<String>,
}

impl Report {
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = Fields::new(json::decode(bytes)?, "report")?;
        fields.schema("kapsule/report/1")?;
        let mut artefact = fields.object("artefact")?;
        let kind: String = artefact.required("kind")?;
        let id = artefact.required("id")?;
        artefact.finish()?;
        let checks = fields.objects("checks")?.into_iter().map(Check::decode);
        let report = Self {
            kind: match kind.as_str() {
                "receipt" => Kind::Receipt,
                "capsule" => Kind::Capsule,
                _ => Kind::Package,
            },
            id,
            checks: checks.collect::<Result<_, _>>()?,
            error_code: fields.optional("error_code")?,
            level: fields.required("level")?,
            required: fields.required("required")?,
            status: fields.required("status")?,
        };
        let _: json::Value = fields.required("facts")?;
        fields.finish()?;
        Ok(report)
    }

    /// Returns what the checks with this result are about.
    fn about(&self, result: &str) -> Vec<(&Check, &'static str)> {
        let passed =
            |name: &str| self.checks.iter().any(|one| one.name == name && one.result == "pass");
        let checks = self.checks.iter().filter(|check| {
            let shown = result == "not-done" && words::is_shown_by_others(&check.name, passed);
            check.result == result && !shown
        });
        checks.map(|check| (check, words::of(self.kind, &check.name))).collect()
    }

    const fn never(&self) -> &'static [&'static str] {
        match self.kind {
            Kind::Package => words::NEVER_OF_PACKAGES,
            Kind::Receipt => words::NEVER_OF_RECEIPTS,
            Kind::Capsule => words::NEVER_OF_CAPSULES,
        }
    }

    fn to_text(&self) -> String {
        let what = match self.kind {
            Kind::Package => "package",
            Kind::Receipt => "receipt",
            Kind::Capsule => "capsule",
        };
        let code = self.error_code.as_ref().map(|code| format!(" with {code}"));
        let mut text = format!(
            "{what} {}\n{}{}: level {}, required {}\n",
            plain(&self.id),
            plain(&self.status),
            plain(&code.unwrap_or_default()),
            plain(&self.level),
            plain(&self.required)
        );
        for (title, result) in [
            ("shown", "pass"),
            ("contradicted", "fail"),
            ("not shown, since it was not looked at or something is absent", "not-done"),
        ] {
            let lines = self.about(result);
            if lines.is_empty() {
                continue;
            }
            text.push_str(&format!("\n{title}:\n"));
            for (check, words) in lines {
                let code = check.code.as_ref().map(|code| format!(" ({})", plain(code)));
                text.push_str(&format!("  {words}{}\n", code.unwrap_or_default()));
            }
        }
        text.push_str("\nnever shown by such a report:\n");
        self.never().iter().for_each(|line| text.push_str(&format!("  {line}\n")));
        text
    }

    fn to_json(&self) -> Value {
        let list = |result| {
            let about = self.about(result).into_iter();
            let one = |(check, words): (&Check, &str)| {
                let (name, code) = (&check.name, &check.code);
                json!({ "check": name, "code": code, "text": words })
            };
            about.map(one).collect::<Vec<_>>()
        };
        json!({
            "schema": "kapsule/cli-explain/1",
            "id": self.id,
            "status": self.status,
            "level": self.level,
            "required": self.required,
            "error_code": self.error_code,
            "shown": list("pass"),
            "contradicted": list("fail"),
            "not_shown": list("not-done"),
            "never_shown": self.never(),
        })
    }
}

impl Check {
    fn decode(mut fields: Fields) -> Result<Self, DecodeError> {
        let check = Self {
            name: fields.required("name")?,
            result: fields.required("result")?,
            code: fields.optional("code")?,
        };
        let _: String = fields.required("detail")?;
        fields.finish()?;
        Ok(check)
    }
}
