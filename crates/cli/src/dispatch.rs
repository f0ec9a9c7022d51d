//! Which package processes which kind of capsule: the dispatch file.
//!
//! # Spec
//! `spec/store.md`, section "Dispatch".

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kapsule_abi::{ErrorCode, Grant, guard};
use kapsule_format::DecodeError;
use kapsule_format::capsule::Meta;
use kapsule_format::json::{self, Fields, Value};
use kapsule_format::limits::JSON_FILE_BYTES_MAX;
use kapsule_format::package::PackageId;

use crate::error::Failure;
use crate::files;
use crate::grants::GrantArgs;
use crate::paths::Home;
use crate::ui::Ui;

/// Value of `schema` in the dispatch file.
const SCHEMA: &str = "kapsule/dispatch/1";

/// A package and the entry to call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Target {
    /// Package.
    pub(crate) package: PackageId,
    /// Entry.
    pub(crate) entry: String,
}

/// When the package of a rule runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Scope {
    /// For each capsule of the kind, when it is taken in.
    Capsule,
    /// For all capsules together, when somebody looks: `feed`, `trust`, `ledger`, `agent`.
    All,
}

impl Scope {
    /// Returns the word of the dispatch file.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Capsule => "capsule",
            Self::All => "all",
        }
    }
}

/// What processes one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    /// Package and entry.
    pub(crate) target: Target,
    /// When it runs.
    pub(crate) scope: Scope,
    /// What it is granted beside the grants of the call.
    pub(crate) grants: Vec<Grant>,
    /// What its proposals may cost together while they wait.
    pub(crate) budget: u64,
    /// Acts of its proposals that need nobody's approval.
    pub(crate) allow: Vec<String>,
}

impl Rule {
    fn read(fields: &mut Fields) -> Result<Self, DecodeError> {
        let refuse = |detail: String| DecodeError::new(ErrorCode::SchemaViolation, detail);
        let package = PackageId::new(fields.required("package")?);
        let target = Target { package, entry: fields.required("entry")? };
        let scope = match fields.optional::<String>("scope")?.as_deref() {
            None | Some("capsule") => Scope::Capsule,
            Some("all") => Scope::All,
            Some(other) => {
                return Err(refuse(format!("found the scope {other:?}, allowed capsule and all")));
            }
        };
        let names: Vec<String> = fields.optional("grants")?.unwrap_or_default();
        let grant = |name: &String| {
            Grant::from_name(name).ok_or_else(|| refuse(format!("there is no grant {name:?}")))
        };
        let grants = names.iter().map(grant).collect::<Result<_, _>>()?;
        let budget = fields.optional("budget")?.unwrap_or(0);
        let allow: Vec<String> = fields.optional("allow")?.unwrap_or_default();
        let other = allow.iter().find(|act| !ALLOWED.contains(&act.as_str()));
        if let Some(other) = other
            && guard!("cli.dispatch.allow", true)
        {
            let allowed = ALLOWED.join(", ");
            return Err(refuse(format!("found the act {other:?}, allowed are {allowed}")));
        }
        Ok(Self { target, scope, grants, budget, allow })
    }

    fn to_value(&self, kind: &str) -> Value {
        let mut members = vec![
            ("entry", Value::Text(self.target.entry.clone())),
            ("kind", kind.into()),
            ("package", Value::Text(self.target.package.to_string())),
            ("scope", self.scope.name().into()),
        ];
        if !self.grants.is_empty() {
            members.push(("grants", Value::array(self.grants.iter().map(|grant| grant.name()))));
        }
        if self.budget > 0 {
            members.push(("budget", self.budget.into()));
        }
        if !self.allow.is_empty() {
            members.push(("allow", Value::array(self.allow.iter().map(String::as_str))));
        }
        Value::object(members)
    }

    /// Returns the grants of a call with those of this rule.
    pub(crate) fn granted(&self, call: &GrantArgs) -> GrantArgs {
        let mut all = call.clone();
        all.grants.extend(self.grants.iter().copied());
        all
    }
}

/// Acts that a rule may allow without approval.
///
/// Publishing is none of them: it signs with a key of the user.
pub(crate) const ALLOWED: [&str; 2] = ["notify", "run"];

/// The rules, by kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dispatch(BTreeMap<String, Rule>);

impl Dispatch {
    /// Reads the file of a home, if it is there.
    pub(crate) fn of(home: &Home) -> Result<Self, Failure> {
        let path = home.dispatch_file();
        if !path.exists() {
            return Ok(Self::default());
        }
        let bytes = files::read(&path, "dispatch file", JSON_FILE_BYTES_MAX as u64)?;
        Self::decode(&bytes).map_err(|error| {
            let hint = "write it with `kapsule dispatch set KIND PACKAGE`";
            Failure::decode(format!("{} is not a dispatch file", path.display()), &error, hint)
        })
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = Fields::of_file(bytes, "dispatch")?;
        fields.schema(SCHEMA)?;
        let mut rules = BTreeMap::new();
        for mut rule in fields.objects("rules")? {
            let kind: String = rule.required("kind")?;
            let read = Rule::read(&mut rule)?;
            rule.finish()?;
            let twice = rules.insert(kind, read).is_some();
            if guard!("cli.dispatch.twice", twice) {
                let detail = "two rules for one kind";
                return Err(DecodeError::new(ErrorCode::SchemaViolation, detail));
            }
        }
        fields.finish()?;
        Ok(Self(rules))
    }

    /// Writes the file of a home.
    pub(crate) fn keep(&self, ui: &Ui, home: &Home) -> Result<(), Failure> {
        let rules = Value::array(self.0.iter().map(|(kind, rule)| rule.to_value(kind)));
        let file = Value::object([("rules", rules), ("schema", SCHEMA.into())]);
        write_config(ui, &home.dispatch_file(), &json::encode(&file))
    }

    /// Returns every rule with its kind.
    pub(crate) fn rules(&self) -> impl Iterator<Item = (&str, &Rule)> {
        self.0.iter().map(|(kind, rule)| (kind.as_str(), rule))
    }

    /// Sets the rule of a kind.
    pub(crate) fn set(&mut self, kind: &str, rule: Rule) {
        self.0.insert(kind.to_owned(), rule);
    }

    /// Removes the rule of a kind; tells whether there was one.
    pub(crate) fn remove(&mut self, kind: &str) -> bool {
        self.0.remove(kind).is_some()
    }

    /// Returns the rule that runs a package over all capsules of a kind together.
    pub(crate) fn of_all(&self, kind: &str) -> Option<&Rule> {
        self.0.get(kind).filter(|rule| rule.scope == Scope::All)
    }

    /// Returns what processes one capsule: what this file says of its kind, else what it names.
    pub(crate) fn target(&self, meta: &Meta) -> Option<Target> {
        let own = || {
            let logic = meta.logic.as_ref()?;
            Some(Target { package: logic.package, entry: logic.entry.clone() })
        };
        let rule = self.0.get(&meta.kind).filter(|rule| rule.scope == Scope::Capsule);
        rule.map(|rule| rule.target.clone()).or_else(own)
    }

    /// Returns the grants of a call with those of every rule that names a package for each
    /// capsule.
    pub(crate) fn granted(&self, package: &PackageId, call: &GrantArgs) -> GrantArgs {
        let own = |rule: &&Rule| rule.scope == Scope::Capsule && rule.target.package == *package;
        self.0.values().filter(own).fold(call.clone(), |all, rule| rule.granted(&all))
    }
}

/// Returns the place of the settings that a package is given for a kind.
pub(crate) fn settings_file(home: &Home, kind: &str) -> PathBuf {
    home.config_of(&format!("dispatch-{kind}.{}", if kind == "ledger" { "csv" } else { "toml" }))
}

/// Reads those settings, if there are any.
pub(crate) fn settings(home: &Home, kind: &str) -> Result<Option<Vec<u8>>, Failure> {
    let path = settings_file(home, kind);
    let read = || files::read(&path, "settings", crate::convert::TABLE_BYTES_MAX);
    path.exists().then(read).transpose()
}

/// Writes a file of the configuration directory, which need not exist.
pub(crate) fn write_config(ui: &Ui, path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(|error| {
            let message = format!("cannot make {}", directory.display());
            Failure::usage(message, "check the permissions, or set KAPSULE_HOME").cause(error)
        })?;
    }
    files::write(ui, path, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_rules_is_read_as_it_was_written() {
        let rule = Rule {
            target: Target { package: PackageId::new([7; 32].into()), entry: "run".into() },
            scope: Scope::All,
            grants: vec![Grant::TrustGraph],
            budget: 9,
            allow: vec!["notify".into()],
        };
        let value = Value::object([
            ("rules", Value::array([rule.to_value("trust")])),
            ("schema", SCHEMA.into()),
        ]);
        let read = Dispatch::decode(&json::encode(&value)).unwrap();
        assert_eq!(read.of_all("trust"), Some(&rule));
        assert_eq!(read.of_all("post"), None);
    }

    #[test]
    fn other_rules_are_refused() {
        let file = |rule: &str| {
            let package = "07".repeat(32);
            format!(
                "{{\"rules\":[{{{rule}\"entry\":\"run\",\"kind\":\"agent\",\"package\":\
                 \"{package}\"}}],\"schema\":\"{SCHEMA}\"}}"
            )
        };
        assert!(Dispatch::decode(file("").as_bytes()).is_ok());
        for (rule, expect) in [
            ("\"allow\":[\"publish\"],", "allowed are notify, run"),
            ("\"colour\":1,", "is not allowed there"),
        ] {
            let error = Dispatch::decode(file(rule).as_bytes()).unwrap_err();
            assert!(error.to_string().contains(expect), "{error}");
        }
    }
}
