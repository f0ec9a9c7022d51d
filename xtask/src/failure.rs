//! How a repository command fails.

use std::fmt;
use std::path::{Path, PathBuf};

/// One broken rule, with the place to look at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// File relative to the repository, or the name of a package.
    pub(crate) place: String,
    /// Line, counted from 1; 0 when the whole file is meant.
    pub(crate) line: usize,
    /// What was found and what is allowed.
    pub(crate) text: String,
}

impl Finding {
    /// Makes a finding about line `line` of `place`.
    pub(crate) fn new(place: &str, line: usize, text: impl Into<String>) -> Self {
        Self { place: place.to_owned(), line, text: text.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.place, self.text),
            line => write!(f, "{}:{line}: {}", self.place, self.text),
        }
    }
}

/// Why a repository command did not succeed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line was not understood.
    Usage(String),
    /// Rules are broken.
    Findings(Vec<Finding>),
    /// A program that we started failed.
    Program {
        /// Program and arguments.
        line: String,
        /// How it ended, in words.
        status: String,
    },
    /// A file could not be read or written.
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file has another shape than the command expects.
    Shape {
        /// The file, or where the text came from.
        place: String,
        /// What was found and what is allowed.
        detail: String,
    },
}

impl Failure {
    /// Returns a closure that wraps an input or output error of `path`.
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    /// Makes a failure about the shape of `place`.
    pub(crate) fn shape(place: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Shape { place: place.into(), detail: detail.into() }
    }

    /// Succeeds if there are no findings, and otherwise reports them in order of their place.
    pub(crate) fn from_findings(mut findings: Vec<Finding>) -> Result<(), Self> {
        if findings.is_empty() {
            return Ok(());
        }
        findings.sort();
        Err(Self::Findings(findings))
    }

    /// Returns the exit code: 2 for usage, 1 for everything else.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            _ => 1,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) => f.write_str(text),
            Self::Findings(findings) => {
                for finding in findings {
                    writeln!(f, "{finding}")?;
                }
                write!(f, "{} broken rules", findings.len())
            }
            Self::Program { line, status } => write!(f, "`{line}` {status}"),
            Self::Io { path, source } => write!(f, "{}: {source}", path.display()),
            Self::Shape { place, detail } => write!(f, "{place}: {detail}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_reported_in_order_of_place_and_line() {
        let findings = vec![Finding::new("b", 1, "y"), Finding::new("a", 10, "x")];
        let failure = Failure::from_findings(findings).unwrap_err();
        assert_eq!(failure.to_string(), "a:10: x\nb:1: y\n2 broken rules");
        assert_eq!(failure.exit_code(), 1);
        assert!(Failure::from_findings(Vec::new()).is_ok());
    }
}
