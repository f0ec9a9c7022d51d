//! The second half of the demo: capsules, the store and a feed, by the commands that a user types.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::{Stage, broken, bundle, viewer};
use crate::convert::capsules::identity;
use crate::error::Failure;
use crate::{dispatch, files, interrupt};

/// What somebody says in the channel of the demo.
const HELLO: &str = "Hello from a capsule of the demo";

/// How it is said: an hour after the last post of the sample data, so that it is news there.
const SAY: &str = "post post --channel square --key author --file hello.txt --time 1751408400000 \
                   -o hello.kapsule";

/// How its author says whom to trust.
const TRUST: &str = "post trust --channel square --key author --file ada.toml -o ada.kapsule";

/// A command of the story with what it printed.
pub(crate) struct Typed {
    /// Its words, as they are typed.
    pub(crate) words: String,
    /// What it printed as text, or the objects of `--json`.
    pub(crate) text: String,
    /// The last line that it said beside.
    pub(crate) said: String,
}

impl Typed {
    /// Returns the objects that it printed.
    pub(crate) fn objects(&self) -> Vec<Value> {
        self.text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

impl Stage<'_> {
    /// Turns the sample data into capsules, takes them in with a post of the demo's own, and ranks
    /// them twice.
    pub(super) fn capsules(&self) -> Result<Vec<Typed>, Failure> {
        let progress = self.ui.begin("taking capsules through the store");
        let write = |name: &str, bytes: &[u8]| files::write(self.ui, &self.path(name), bytes);
        write("feed.csv", bundle::FEED.as_bytes())?;
        write("trust.csv", bundle::STATEMENTS.as_bytes())?;
        write("hello.txt", HELLO.as_bytes())?;
        // What the home trusts decides what may run in it.
        let trusted = files::read(&self.path("trust.json"), "trust file", 1 << 20)?;
        dispatch::write_config(self.ui, &self.path("config/trust.json"), &trusted)?;
        let ada = identity(&viewer()?).map_err(|error| broken("nobody looks").cause(error))?.id();
        let edge = format!("[[edge]]\nabout = \"{ada}\"\nweight_ppm = 500000\n");
        write("ada.toml", edge.as_bytes())?;
        let mut typed = Vec::new();
        for words in [
            "convert capsules hn feed.csv -o posts",
            "convert capsules otc trust.csv -o statements",
            "channel new square --public --key author",
            SAY,
            TRUST,
            "channel share square -o keyrings",
            "ingest posts --origin demo/log",
            "ingest statements",
            "ingest keyrings",
            "ingest hello.kapsule",
            "ingest ada.kapsule",
            "dispatch set trust trust.mod --grant trust.graph",
            "dispatch set post rank.mod",
            "feed --as author --limit 6",
            "feed --as author --limit 2",
            "log verify",
            "doctor",
        ] {
            interrupt::check()?;
            typed.push(self.type_in(words)?);
        }
        progress
            .end("25 posts and 1 of the demo's own went through the store, and nothing is damaged");
        Ok(typed)
    }

    /// Runs this program in the home of the demo.
    fn type_in(&self, words: &str) -> Result<Typed, Failure> {
        let program = std::env::current_exe().map_err(|error| {
            let hint = "run the demo from where the command is installed";
            Failure::internal("the command cannot be found again", hint).cause(error)
        })?;
        // The command starts there, where a relative path means something else.
        let home = std::path::absolute(self.home.path())
            .map_err(|error| broken("the home has no path").cause(error))?;
        let ended = command(&program, &home)
            .args(words.split_whitespace())
            .args(self.ui.json().then_some("--json"))
            .output()
            .map_err(|error| broken("a command did not start").cause(error))?;
        interrupt::check()?;
        let text = String::from_utf8_lossy(&ended.stdout).into_owned();
        if !ended.status.success() {
            let said = if self.ui.json() { &ended.stdout } else { &ended.stderr };
            return Err(broken(&format!("`kapsule {words}` failed in the demo"))
                .cause(String::from_utf8_lossy(said).trim()));
        }
        let said = String::from_utf8_lossy(&ended.stderr);
        let said = said.lines().last().unwrap_or_default().to_owned();
        Ok(Typed { words: format!("kapsule {words}"), text, said })
    }
}

/// Prepares a call that sees the home of the demo and no setting of the caller's.
fn command(program: &Path, home: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        // A test that switches a guard off means the whole story.
        if text.starts_with("KAPSULE_") && !text.starts_with("KAPSULE_GUARD_") {
            command.env_remove(name);
        }
    }
    command.current_dir(home).env("KAPSULE_HOME", home).env("COLUMNS", "100");
    command.stdin(std::process::Stdio::null());
    command
}
