//! Where the command keeps its files.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::error::Failure;

/// The three directories of a home.
///
/// # Spec
/// `spec/keys.md`, section "Key files".
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Home {
    data: PathBuf,
    config: PathBuf,
    state: PathBuf,
}

impl Home {
    /// Finds the home in the environment: `KAPSULE_HOME`, else the XDG directories, else `HOME`.
    pub(crate) fn from_env() -> Result<Self, Failure> {
        Self::find(|name| std::env::var_os(name).filter(|value| !value.is_empty()))
    }

    /// Returns the home below one directory, as `KAPSULE_HOME` names it.
    pub(crate) fn at(root: &Path) -> Self {
        Self { data: root.join("data"), config: root.join("config"), state: root.join("state") }
    }

    fn find(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, Failure> {
        if let Some(root) = variable("KAPSULE_HOME") {
            return Ok(Self::at(Path::new(&root)));
        }
        let root = |xdg: &str, below_home: &str| {
            // The XDG rules ignore a relative path.
            let named = variable(xdg).map(PathBuf::from).filter(|path| path.is_absolute());
            let default = || variable("HOME").map(|home| PathBuf::from(home).join(below_home));
            named.or_else(default).map(|path| path.join("kapsule")).ok_or_else(|| {
                Failure::usage(
                    format!("no home directory: neither KAPSULE_HOME, {xdg} nor HOME is set"),
                    "set KAPSULE_HOME to a directory of your own",
                )
            })
        };
        Ok(Self {
            data: root("XDG_DATA_HOME", ".local/share")?,
            config: root("XDG_CONFIG_HOME", ".config")?,
            state: root("XDG_STATE_HOME", ".local/state")?,
        })
    }

    /// Returns the data directory, which holds the store.
    pub(crate) fn data(&self) -> PathBuf {
        self.data.clone()
    }

    /// Returns the place of the file that says which package processes which kind of capsule.
    pub(crate) fn dispatch_file(&self) -> PathBuf {
        self.config.join("dispatch.json")
    }

    /// Returns the directory of the key files.
    pub(crate) fn keys(&self) -> PathBuf {
        self.data.join("keys")
    }

    /// Returns the directory of compiled code, which can be made again at any time.
    pub(crate) fn code(&self) -> PathBuf {
        self.state.join("code")
    }

    /// Returns the place of the configuration file.
    pub(crate) fn config_file(&self) -> PathBuf {
        self.config.join("config.toml")
    }

    /// Returns the directory of the packages that other packages need.
    pub(crate) fn packages(&self) -> PathBuf {
        self.data.join("packages")
    }

    /// Returns the directory of the channels.
    pub(crate) fn channels(&self) -> PathBuf {
        self.data.join("channels")
    }

    /// Returns the place of the record of what is known.
    pub(crate) fn known_file(&self) -> PathBuf {
        self.state.join("known.json")
    }

    /// Returns the place of a file of the configuration directory.
    pub(crate) fn config_of(&self, name: &str) -> PathBuf {
        self.config.join(name)
    }

    /// Returns the place of the acceptance file.
    pub(crate) fn accept_file(&self) -> PathBuf {
        self.config.join("accept.json")
    }

    /// Returns the place of the trust file.
    pub(crate) fn trust_file(&self) -> PathBuf {
        self.config.join("trust.json")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(variables: &[(&str, &str)]) -> Option<(String, String)> {
        let variable = |name: &str| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into())
        };
        let home = Home::find(variable).ok()?;
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        Some((text(home.keys()), text(home.trust_file())))
    }

    #[test]
    fn one_variable_moves_everything() {
        let found = find(&[("KAPSULE_HOME", "/k"), ("XDG_DATA_HOME", "/x"), ("HOME", "/h")]);
        assert_eq!(found, Some(("/k/data/keys".into(), "/k/config/trust.json".into())));
    }

    #[test]
    fn the_xdg_directories_come_before_home() {
        let found = find(&[("XDG_DATA_HOME", "/x"), ("HOME", "/h")]);
        let expect = ("/x/kapsule/keys".into(), "/h/.config/kapsule/trust.json".into());
        assert_eq!(found, Some(expect));
        let relative = find(&[("XDG_DATA_HOME", "x"), ("HOME", "/h")]).unwrap();
        assert_eq!(relative.0, "/h/.local/share/kapsule/keys");
    }

    #[test]
    fn without_any_variable_there_is_no_home() {
        assert_eq!(find(&[]), None);
    }
}
