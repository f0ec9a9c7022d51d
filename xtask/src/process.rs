//! Starting other programs, never with a standard input.

use crate::failure::Failure;
use crate::tree::Tree;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often a program under a time limit is looked at.
const POLL: Duration = Duration::from_millis(10);

/// Variables that `cargo run` sets about this program and that would confuse the next Cargo.
const OWN_VARIABLES: &[&str] = &["CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "CARGO_PKG_NAME"];

/// Returns a command that runs `program` at the top of the repository.
pub(crate) fn command(tree: &Tree, program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(tree.root()).stdin(Stdio::null());
    for name in OWN_VARIABLES {
        command.env_remove(name);
    }
    command
}

/// Returns a command that runs Cargo with `args` at the top of the repository.
pub(crate) fn cargo(tree: &Tree, args: &[&str]) -> Command {
    let mut command = command(tree, "cargo");
    command.args(args);
    command
}

/// Builds the program `name` of our workspace in the release profile and returns where it is.
///
/// The whole workspace is selected so that features, and with them the builds of all dependencies,
/// are those of the tests.
pub(crate) fn built(tree: &Tree, name: &str) -> Result<PathBuf, Failure> {
    let mut command = cargo(tree, &["build", "--release", "--locked", "--workspace"]);
    command.args(["--bin", name, "--message-format", "json-render-diagnostics"]);
    let messages = capture(&mut command)?;
    let executable = |line: &str| {
        let message: Value = serde_json::from_str(line).ok()?;
        (message["target"]["name"] == name).then_some(())?;
        message["executable"].as_str().map(PathBuf::from)
    };
    let found = messages.lines().find_map(executable);
    found.ok_or_else(|| Failure::shape(name, "the build names no such executable"))
}

/// Returns the commit of the work tree, in hex.
pub(crate) fn commit(tree: &Tree) -> Result<String, Failure> {
    let line = capture(command(tree, "git").args(["rev-parse", "HEAD"]))?;
    Ok(line.trim().to_owned())
}

/// Runs the program with our output and fails if it fails.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    let line = line_of(command);
    let status = command.status().map_err(|error| not_started(&line, &error))?;
    checked(&line, status)
}

/// Runs the program and returns its standard output.
pub(crate) fn capture(command: &mut Command) -> Result<String, Failure> {
    let line = line_of(command);
    let output = command
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| not_started(&line, &error))?;
    checked(&line, output.status)?;
    String::from_utf8(output.stdout).map_err(|_| Failure::shape(line, "the output is not UTF-8"))
}

/// Runs the program, passes its standard output on line by line, and returns those lines.
pub(crate) fn tee(
    command: &mut Command,
    mut pass_on: impl FnMut(&str),
) -> Result<Vec<String>, Failure> {
    let line = line_of(command);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(|error| not_started(&line, &error))?;
    let mut lines = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        for text in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
            let text = String::from_utf8_lossy(&text).into_owned();
            pass_on(&text);
            lines.push(text);
        }
    }
    let status = child.wait().map_err(|error| not_started(&line, &error))?;
    checked(&line, status).map(|()| lines)
}

/// What is known about a program that ran under a time limit.
pub(crate) struct Finished {
    /// How it ended; `None` if it was stopped.
    pub(crate) status: Option<ExitStatus>,
    /// What it wrote to standard output.
    pub(crate) stdout: String,
    /// How long it took.
    pub(crate) elapsed: Duration,
}

impl Finished {
    /// Tells whether the program ended by itself and successfully.
    pub(crate) fn succeeded(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }
}

/// Runs the program for at most `limit`, without showing its output, and stops it as soon as it
/// writes a line to standard output that is `enough`.
pub(crate) fn limited(
    command: &mut Command,
    limit: Duration,
    enough: fn(&str) -> bool,
) -> Result<Finished, Failure> {
    let line = line_of(command);
    let started = Instant::now();
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| not_started(&line, &error))?;
    let told = Arc::new(AtomicBool::new(false));
    let reader = child.stdout.take().map(|stdout| {
        let told = Arc::clone(&told);
        std::thread::spawn(move || {
            let mut text = String::new();
            // A pipe that breaks leaves us with what came before.
            for bytes in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&bytes);
                told.fetch_or(enough(&line), Ordering::Relaxed);
                text.push_str(&line);
                text.push('\n');
            }
            text
        })
    });
    let stop = || told.load(Ordering::Relaxed) || started.elapsed() > limit;
    let status = wait(&mut child, stop).map_err(|error| not_started(&line, &error))?;
    let stdout = reader.and_then(|reader| reader.join().ok()).unwrap_or_default();
    Ok(Finished { status, stdout, elapsed: started.elapsed() })
}

/// Waits until the program ends, or stops it when that is asked for and returns `None`.
fn wait(child: &mut Child, stop: impl Fn() -> bool) -> std::io::Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if stop() {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(POLL);
    }
}

/// Tells whether `program --version` can be run.
pub(crate) fn is_present(tree: &Tree, program: &str, args: &[&str]) -> bool {
    let mut command = command(tree, program);
    command.args(args).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Returns the program and its arguments as one line.
fn line_of(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Makes the failure of a program that could not be started or watched.
fn not_started(line: &str, error: &std::io::Error) -> Failure {
    Failure::Program { line: line.to_owned(), status: format!("could not be run: {error}") }
}

/// Fails unless `status` is a success.
fn checked(line: &str, status: ExitStatus) -> Result<(), Failure> {
    match status.success() {
        true => Ok(()),
        false => {
            Err(Failure::Program { line: line.to_owned(), status: format!("failed ({status})") })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::null());
        command
    }

    #[test]
    fn output_and_status_come_back() {
        assert_eq!(capture(&mut shell("echo a; echo b")).unwrap(), "a\nb\n");
        let failure = run(&mut shell("exit 3")).unwrap_err();
        assert_eq!(failure.to_string(), "`sh -c exit 3` failed (exit status: 3)");
        let mut seen = Vec::new();
        let lines = tee(&mut shell("echo a; echo b"), |line| seen.push(line.to_owned())).unwrap();
        assert_eq!((lines, seen.len()), (vec!["a".to_owned(), "b".to_owned()], 2));
    }

    #[test]
    fn a_program_is_stopped_at_its_limit_or_when_it_said_enough() {
        let limit = Duration::from_millis(50);
        let never = |_: &str| false;
        let finished = limited(&mut shell("echo early; exec sleep 60"), limit, never).unwrap();
        assert!(finished.status.is_none() && !finished.succeeded());
        assert_eq!(finished.stdout, "early\n");
        assert!(finished.elapsed >= limit);
        let long = Duration::from_secs(60);
        assert!(limited(&mut shell("true"), long, never).unwrap().succeeded());
        let script = "echo first; echo enough; exec sleep 60";
        let finished = limited(&mut shell(script), long, |line| line == "enough").unwrap();
        assert!(finished.status.is_none() && finished.elapsed < long);
        assert_eq!(finished.stdout, "first\nenough\n");
    }
}
