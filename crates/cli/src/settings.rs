//! Settings: options whose value may also come from a variable or from the configuration file.
//!
//! A setting is a row of [`TABLE`] and nothing else.
//! Before the arguments are read, every option of every command that carries the name of a row is
//! given the row's variable, and the value of the configuration file as its default; so flag,
//! variable, file and built-in default rank the same everywhere, and each value is checked by the
//! option that takes it.

use clap::parser::ValueSource;
use clap::{ArgMatches, Command};
use toml::de::{DeTable, DeValue};

use crate::error::Failure;
use crate::files;
use crate::paths::Home;

/// Greatest configuration file in bytes.
///
/// Chosen: a file that sets everything has a few hundred bytes.
const FILE_BYTES_MAX: u64 = 65_536;

/// One setting.
#[derive(Debug)]
pub(crate) struct Setting {
    /// Name in the file, and of the option, there with `-` for `_`.
    pub(crate) name: &'static str,
    /// Environment variable.
    pub(crate) variable: &'static str,
    /// Value when nothing sets it, for people.
    pub(crate) default: &'static str,
}

/// Every setting, in order of its name.
pub(crate) const TABLE: &[Setting] = &[
    Setting { name: "accept", variable: "KAPSULE_ACCEPT", default: "accept.json beside this file" },
    Setting { name: "color", variable: "KAPSULE_COLOR", default: "auto" },
    Setting { name: "engine", variable: "KAPSULE_ENGINE", default: "auto" },
    Setting { name: "jobs", variable: "KAPSULE_JOBS", default: "one for each core" },
    Setting {
        name: "passphrase_file",
        variable: "KAPSULE_PASSPHRASE_FILE",
        default: "ask on a terminal",
    },
    Setting { name: "require", variable: "KAPSULE_REQUIRE", default: "as the trust file says" },
    Setting { name: "trust", variable: "KAPSULE_TRUST", default: "trust.json beside this file" },
];

/// The configuration file, as far as it is there.
#[derive(Debug, Default)]
pub(crate) struct File {
    values: Vec<(&'static str, String)>,
}

impl File {
    /// Reads the file of the home, if there is one.
    pub(crate) fn load() -> Result<Self, Failure> {
        let Ok(home) = Home::from_env() else { return Ok(Self::default()) };
        let path = home.config_file();
        if !path.exists() {
            return Ok(Self::default());
        }
        let bytes = files::read(&path, "configuration file", FILE_BYTES_MAX)?;
        let values = decode(&bytes).and_then(check).map_err(|cause| {
            let names: Vec<&str> = TABLE.iter().map(|setting| setting.name).collect();
            let names = names.join(", ");
            let hint = format!("write lines like engine = \"jit\"; settings are {names}");
            Failure::usage(format!("{} is not a configuration file", path.display()), hint)
                .cause(cause)
        })?;
        Ok(Self { values })
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.values.iter().find(|(own, _)| *own == name).map(|(_, value)| value.as_str())
    }

    /// Gives the options of `command` and of all below it their variables and defaults.
    pub(crate) fn apply(&self, command: Command) -> Command {
        let mut command = command.mut_subcommands(|command| self.apply(command));
        for setting in TABLE {
            if !command.get_arguments().any(|arg| arg.get_id() == setting.name) {
                continue;
            }
            command = command.mut_arg(setting.name, |arg| {
                // An empty variable counts as none.
                let unset = std::env::var_os(setting.variable).is_some_and(|v| v.is_empty());
                let arg = if unset { arg } else { arg.env(setting.variable).hide_env_values(true) };
                match self.value(setting.name) {
                    Some(value) => arg.default_value(value.to_owned()).hide_default_value(true),
                    None => arg,
                }
            });
        }
        command
    }

    /// Says what each setting is and where that came from.
    pub(crate) fn explain(&self, matches: &ArgMatches) -> Vec<Explained> {
        TABLE.iter().map(|setting| self.explain_one(setting, matches)).collect()
    }

    fn explain_one(&self, setting: &'static Setting, matches: &ArgMatches) -> Explained {
        let raw = matches.try_get_raw(setting.name).ok().flatten().and_then(|mut raw| raw.next());
        let source = matches.try_contains_id(setting.name).ok();
        let source = source.and_then(|_| matches.value_source(setting.name));
        let origin = match source {
            Some(ValueSource::CommandLine) => Origin::Flag,
            Some(ValueSource::EnvVariable) => Origin::Variable,
            _ if self.value(setting.name).is_some() => Origin::File,
            _ => Origin::Default,
        };
        let value = match origin {
            Origin::Default => None,
            _ => raw.map(|raw| raw.to_string_lossy().into_owned()),
        };
        Explained { setting, value, origin }
    }
}

/// Where a value came from, from the strongest to the weakest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The command line.
    Flag,
    /// The environment.
    Variable,
    /// The configuration file.
    File,
    /// Nobody set it.
    Default,
}

impl Origin {
    /// Returns the word for it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Flag => "flag",
            Self::Variable => "variable",
            Self::File => "file",
            Self::Default => "default",
        }
    }
}

/// A setting with its value.
#[derive(Debug)]
pub(crate) struct Explained {
    /// The setting.
    pub(crate) setting: &'static Setting,
    /// Its value, unless nobody set it.
    pub(crate) value: Option<String>,
    /// Where that came from.
    pub(crate) origin: Origin,
}

/// Decodes the file: one TOML table of known names with texts or numbers.
fn decode(bytes: &[u8]) -> Result<Vec<(&'static str, String)>, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let line = |at: usize| text.get(..at).map_or(0, |before| before.matches('\n').count()) + 1;
    let document = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        format!("line {}: {}", line(at), error.message().replace('\n', ", "))
    })?;
    let mut values = Vec::new();
    for (key, value) in document.get_ref() {
        let name: &str = key.get_ref();
        let at = line(key.span().start);
        let setting = TABLE.iter().find(|setting| setting.name == name);
        let setting = setting.ok_or_else(|| format!("line {at}: no setting {name:?}"))?;
        let value = match value.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(number) => number.to_string(),
            _ => return Err(format!("line {at}: {name} is neither a text nor a number")),
        };
        values.push((setting.name, value));
    }
    Ok(values)
}

/// Refuses a value that its option does not take.
fn check(values: Vec<(&'static str, String)>) -> Result<Vec<(&'static str, String)>, String> {
    for (name, value) in &values {
        let option = name.replace('_', "-");
        let arguments = ["kapsule", "config", &format!("--{option}={value}")];
        if let Err(error) = crate::cli::definition().try_get_matches_from(arguments) {
            let text = error.render().to_string();
            let first = text.lines().next().unwrap_or_default();
            return Err(first.strip_prefix("error: ").unwrap_or(first).to_owned());
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_one_table_of_known_names() {
        let values = decode(b"# mine\nengine = \"jit\"\njobs = 3\n").unwrap();
        assert_eq!(values, [("engine", "jit".to_owned()), ("jobs", "3".to_owned())]);
        for (text, expect) in [
            ("speed = 1\n", "line 1: no setting \"speed\""),
            ("jobs = 1\njobs = 2\n", "line 2: "),
            ("\nengine = true\n", "line 2: engine is neither a text nor a number"),
            ("engine = \"jit\n", "line 1: "),
        ] {
            let error = decode(text.as_bytes()).unwrap_err();
            assert!(error.starts_with(expect), "{text:?}: {error}");
        }
    }

    #[test]
    fn names_ascend_and_variables_follow_them() {
        assert!(TABLE.is_sorted_by_key(|setting| setting.name));
        for setting in TABLE {
            assert_eq!(setting.variable, format!("KAPSULE_{}", setting.name.to_uppercase()));
        }
    }
}
