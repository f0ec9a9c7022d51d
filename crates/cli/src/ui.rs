//! The only place that prints: data to stdout, words to stderr.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use serde_json::Value;

use crate::error::Failure;

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How a word is coloured; the word itself carries the meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Something failed.
    Bad,
    /// Something passed.
    Good,
    /// Something was not done or deserves attention.
    Careful,
    /// A title.
    Strong,
}

impl Tone {
    const fn escape(self) -> &'static str {
        match self {
            Self::Bad => "\u{1b}[1;31m",
            Self::Good => "\u{1b}[32m",
            Self::Careful => "\u{1b}[33m",
            Self::Strong => "\u{1b}[1m",
        }
    }
}

/// Where and how to print.
#[derive(Clone, Debug)]
pub(crate) struct Ui {
    json: bool,
    quiet: bool,
    color_out: bool,
    color_err: bool,
    draws: bool,
}

impl Ui {
    /// Looks at the terminal once.
    pub(crate) fn new(json: bool, quiet: bool, color: Color) -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colors = |terminal: bool| match color {
            Color::Auto => terminal && !no_color,
            Color::Always => true,
            Color::Never => false,
        };
        let terminal_err = io::stderr().is_terminal();
        Self {
            json,
            quiet,
            color_out: colors(io::stdout().is_terminal()),
            color_err: colors(terminal_err),
            draws: terminal_err && !json && !quiet,
        }
    }

    /// Tells whether data are printed as JSON.
    pub(crate) const fn json(&self) -> bool {
        self.json
    }

    /// Tells whether stdout is a terminal, where raw bytes do harm.
    pub(crate) fn stdout_is_terminal(&self) -> bool {
        io::stdout().is_terminal()
    }

    /// Writes data to stdout; a reader that went away is not an error.
    pub(crate) fn data(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Failure::internal("cannot write to stdout", "check where stdout leads to")
                    .cause(error))
            }
            _ => Ok(()),
        }
    }

    /// Writes text to stdout.
    pub(crate) fn text(&self, text: &str) -> Result<(), Failure> {
        self.data(text.as_bytes())
    }

    /// Writes one JSON object to stdout as one line.
    pub(crate) fn object(&self, object: &Value) -> Result<(), Failure> {
        self.data(format!("{object}\n").as_bytes())
    }

    /// Says something to people on stderr.
    pub(crate) fn say(&self, words: &str) {
        if !self.quiet && !self.json {
            self.err_line(words);
        }
    }

    /// Warns on stderr, also when quiet.
    pub(crate) fn warn(&self, words: &str) {
        if !self.json {
            let word = self.paint_err(Tone::Careful, "warning");
            self.err_line(&format!("{word}: {words}"));
        }
    }

    /// Prints how a command failed: the last object of `--json`, else words on stderr.
    pub(crate) fn failure(&self, failure: &Failure) {
        if self.json {
            // Whoever reads stdout is gone if this fails; the exit code still tells.
            drop(self.object(&failure.to_json()));
            return;
        }
        let word = match failure.kind {
            crate::error::Kind::Code(code) => format!("error[{code}]"),
            _ => "error".to_owned(),
        };
        self.err_line(&format!("{}: {}", self.paint_err(Tone::Bad, &word), failure.message));
        for cause in &failure.causes {
            self.err_line(&format!("  caused by: {cause}"));
        }
        self.err_line(&format!("  {}: {}", self.paint_err(Tone::Strong, "hint"), failure.hint));
    }

    /// Prints what the argument parser answers: help on stdout, complaints on stderr.
    pub(crate) fn parser(&self, answer: &clap::Error) {
        if answer.use_stderr() {
            if self.json {
                drop(self.object(&usage(answer).to_json()));
            } else if self.color_err {
                self.err_text(&answer.render().ansi().to_string());
            } else {
                self.err_text(&answer.render().to_string());
            }
        } else {
            drop(self.text(&answer.render().to_string()));
        }
    }

    /// Colours a word for stdout.
    pub(crate) fn paint(&self, tone: Tone, word: &str) -> String {
        paint(self.color_out, tone, word)
    }

    fn paint_err(&self, tone: Tone, word: &str) -> String {
        paint(self.color_err, tone, word)
    }

    /// Begins something that may take longer than 300 ms.
    ///
    /// On a terminal a spinner turns until the end; elsewhere there is one line at the start and
    /// one at the end.
    pub(crate) fn begin(&self, what: &str) -> Progress<'_> {
        let bar = self.draws.then(|| {
            let bar = ProgressBar::new_spinner();
            let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}");
            bar.set_style(style.expect("the template is valid"));
            bar.set_message(what.to_owned());
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        if bar.is_none() {
            self.say(what);
        }
        Progress { ui: self, bar }
    }

    /// Begins something that has a number of like parts.
    ///
    /// On a terminal a bar shows how many are done, how fast, and how long the rest will take.
    pub(crate) fn begin_counted(&self, what: &str, parts: u64) -> Progress<'_> {
        let bar = self.draws.then(|| {
            let template = "{msg} {wide_bar} {pos}/{len} {per_sec} {eta} left";
            let style = ProgressStyle::with_template(template);
            let bar = ProgressBar::new(parts);
            bar.set_style(style.expect("the template is valid"));
            bar.set_message(what.to_owned());
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        if bar.is_none() {
            self.say(what);
        }
        Progress { ui: self, bar }
    }

    /// Begins something that is known to take about this long.
    ///
    /// On a terminal a clock runs down; elsewhere the first line says how long.
    pub(crate) fn begin_timed(&self, what: &str, estimate: Duration) -> Progress<'_> {
        let seconds = estimate.as_secs() + 1;
        let bar = self.draws.then(|| {
            let left = move |state: &ProgressState, out: &mut dyn std::fmt::Write| {
                let left = seconds.saturating_sub(state.elapsed().as_secs());
                // A bar that cannot be drawn is no reason to stop.
                out.write_fmt(format_args!("about {left} s left")).unwrap_or_default();
            };
            let bar = ProgressBar::new_spinner();
            let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}, {left}");
            bar.set_style(style.expect("the template is valid").with_key("left", left));
            bar.set_message(what.to_owned());
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        if bar.is_none() {
            self.say(&format!("{what}, about {seconds} s"));
        }
        Progress { ui: self, bar }
    }

    fn err_line(&self, line: &str) {
        self.err_text(&format!("{line}\n"));
    }

    fn err_text(&self, text: &str) {
        // Nothing is left to tell it to if stderr is gone.
        drop(io::stderr().lock().write_all(text.as_bytes()));
    }
}

fn paint(color: bool, tone: Tone, word: &str) -> String {
    if color { format!("{}{word}\u{1b}[0m", tone.escape()) } else { word.to_owned() }
}

/// Turns a complaint of the argument parser into a failure.
fn usage(complaint: &clap::Error) -> Failure {
    let text = complaint.render().to_string();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    let message = first.strip_prefix("error: ").unwrap_or(first).to_owned();
    let hint = "see the options and examples with --help";
    let causes = lines.take_while(|line| !line.starts_with("Usage:")).map(str::to_owned);
    Failure { causes: causes.collect(), ..Failure::usage(message, hint) }
}

/// Something under way; ends with a line of words.
#[must_use]
pub(crate) struct Progress<'a> {
    ui: &'a Ui,
    bar: Option<ProgressBar>,
}

impl Progress<'_> {
    /// Counts one more part as done.
    pub(crate) fn advance(&self) {
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
    }

    /// Ends it with what came out.
    pub(crate) fn end(mut self, words: &str) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        self.ui.say(words);
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
