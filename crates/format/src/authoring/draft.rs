//! From authoring files to a manifest and a policy.

use alloc::format;
use alloc::string::{String, ToString};

use kapsule_abi::{ErrorCode, guard};

use super::syntax::{self, Syntax, Text};
use super::table::Facts;
use super::{AuthoringError, Place, Source, entry, fees};
use crate::DecodeError;
use crate::hash::sha256;
use crate::key::PublicKey;
use crate::manifest::{
    Abi, Exec, Extensions, Kind, Manifest, Net, Profile, ProofSchema, ProofType, Resources,
};
use crate::package::PackageId;
use crate::policy::{Filesystem, Limits, Network, Policy};
use crate::tree::chunk_root;

/// Authoring files that were read, before the files they name are at hand.
#[derive(Debug)]
pub struct Draft {
    facts: Facts,
}

/// What a manifest needs beside the authoring files.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inputs<'a> {
    /// Bytes of the file that [`Draft::binary`] names.
    pub payload: &'a [u8],
    /// Bytes of the file that [`Draft::proof_schema`] names, if it names one.
    pub proof_schema: Option<&'a [u8]>,
    /// Keys of the author's identity, in order of their suite; empty for an unsigned package.
    pub author_keys: &'a [PublicKey],
    /// Package that this one replaces.
    pub previous: Option<PackageId>,
}

impl Draft {
    /// Reads a manifest file and, if there is one, a policy file, each in a syntax of its own.
    ///
    /// # Errors
    /// E004, E008, E009, E042 or E043 with key and line.
    ///
    /// # Examples
    /// ```
    /// use kapsule_format::authoring::{Draft, Inputs, Syntax, Text};
    ///
    /// let manifest = r#"
    /// name: hello
    /// version: "0.1.0"
    /// author: Ada
    /// entry: hello.wasm
    /// policy:
    ///   limits: { cpu: 500ms }
    /// "#;
    /// let draft = Draft::read(Text { syntax: Syntax::Yaml, text: manifest }, None)?;
    /// assert_eq!(draft.binary(), "hello.wasm");
    /// let payload = b"\0asm\x01\0\0\0";
    /// let (manifest, policy) = draft.finish(&Inputs { payload, ..Inputs::default() })?;
    /// assert_eq!((manifest.exec.entry.as_str(), policy.limits.fuel), ("run", 500_000_000));
    /// # Ok::<(), kapsule_format::authoring::AuthoringError>(())
    /// ```
    pub fn read(manifest: Text<'_>, policy: Option<Text<'_>>) -> Result<Self, AuthoringError> {
        let mut facts = Facts::default();
        facts.collect(syntax::read(manifest, Source::Manifest)?)?;
        if let Some(policy) = policy {
            facts.collect(syntax::read(policy, Source::Policy)?)?;
        }
        entry::split(&mut facts)?;
        for name in ["name", "version", "author", "exec.entry", "exec.binary"] {
            if facts.text(name).is_none() {
                return Err(missing(name));
            }
        }
        Ok(Self { facts })
    }

    /// Reads files that are both in TOML.
    ///
    /// # Errors
    /// As [`Draft::read`].
    pub fn from_toml(manifest: &str, policy: Option<&str>) -> Result<Self, AuthoringError> {
        let toml = |text| Text { syntax: Syntax::Toml, text };
        Self::read(toml(manifest), policy.map(toml))
    }

    /// Returns the path of the payload file, as the author wrote it.
    #[must_use]
    pub fn binary(&self) -> &str {
        self.facts.text("exec.binary").unwrap_or_default()
    }

    /// Returns the path of the proof schema file, if the author names one.
    #[must_use]
    pub fn proof_schema(&self) -> Option<&str> {
        self.facts.text("exec.proof_schema")
    }

    /// Returns the policy alone.
    ///
    /// # Errors
    /// E004 or E008 for a rule of the canonical form.
    pub fn policy(&self) -> Result<Policy, AuthoringError> {
        let defaults = Limits::default().fields();
        let limit = |(name, default): (&str, u64)| {
            self.facts.uint(&format!("limits.{name}")).unwrap_or(default)
        };
        let texts = |name| self.facts.texts(name).unwrap_or_default();
        let mut hostcalls = [texts("hostcalls"), texts("grants")].concat();
        hostcalls.sort_unstable();
        hostcalls.dedup();
        let policy = Policy {
            filesystem: Filesystem {
                read_only: texts("filesystem.read_only"),
                write_allowed: texts("filesystem.write_allowed"),
            },
            hostcalls,
            kinds: texts("kinds"),
            limits: Limits::from_values(defaults.map(limit)),
            network: Network {
                allow_clearnet: self.facts.bool("network.allow_clearnet"),
                allow_mesh: self.facts.bool("network.allow_mesh"),
            },
        };
        policy.validate().map_err(|error| self.located(&error))?;
        Ok(policy)
    }

    /// Builds manifest and policy in their canonical forms.
    ///
    /// # Errors
    /// E011 for another payload than `exec.hash` names, E130 for fees that do not add up, and
    /// every code of [`Manifest::decode`] and [`Policy::validate`].
    pub fn finish(&self, inputs: &Inputs<'_>) -> Result<(Manifest, Policy), AuthoringError> {
        let policy = self.policy()?;
        let manifest = Manifest {
            author: self.text("author"),
            author_keys: inputs.author_keys.to_vec(),
            build_commit: self.optional("build_commit"),
            description: self.optional("description"),
            exec: self.exec(inputs)?,
            fees: fees::build(&self.facts)?,
            license: self.optional("license"),
            name: self.text("name"),
            policy_hash: policy.hash(),
            previous: inputs.previous,
            proof_type: self.named("proof_type", ProofType::from_name)?.unwrap_or(ProofType::None),
            resources: self.resources()?,
            version: self.text("version").parse().map_err(|e| self.at("version", &e))?,
            extensions: Extensions::new(),
        };
        Manifest::decode(&manifest.encode()).map_err(|error| self.located(&error))?;
        Ok((manifest, policy))
    }

    fn exec(&self, inputs: &Inputs<'_>) -> Result<Exec, AuthoringError> {
        let hash = sha256(inputs.payload);
        // Three dots stand for a digest that packing computes.
        let stated = self.facts.text("exec.hash").filter(|text| *text != "sha256:...");
        let differs = stated.is_some_and(|text| text != format!("sha256:{hash}"));
        if guard!("format.authoring.payload_hash", differs) {
            let detail = format!("the payload has sha256:{hash}");
            let error = DecodeError::new(ErrorCode::SectionHashMismatch, detail);
            return Err(self.at("exec.hash", &error));
        }
        let profile = self.named("exec.profile", Profile::from_name).map_err(|mut error| {
            error.code = ErrorCode::VersionUnsupported;
            error
        })?;
        Ok(Exec {
            abi: Abi::KapsuleV1,
            binary: self.text("exec.binary"),
            chunk_root: chunk_root(inputs.payload),
            encrypted: None,
            entries: self.facts.texts("exec.entries").filter(|entries| !entries.is_empty()),
            entry: self.text("exec.entry"),
            hash,
            kind: Kind::WasmCore1,
            profile: profile.unwrap_or(Profile::Integer1),
            proof_schema: self.schema(inputs)?,
            size: inputs.payload.len() as u64,
            extensions: Extensions::new(),
        })
    }

    fn schema(&self, inputs: &Inputs<'_>) -> Result<Option<ProofSchema>, AuthoringError> {
        let Some(path) = self.proof_schema() else {
            return Ok(None);
        };
        let bytes = inputs.proof_schema.ok_or_else(|| missing("bytes of exec.proof_schema"))?;
        Ok(Some(ProofSchema {
            hash: sha256(bytes),
            path: path.to_string(),
            size: bytes.len() as u64,
            extensions: Extensions::new(),
        }))
    }

    fn resources(&self) -> Result<Option<Resources>, AuthoringError> {
        if !self.facts.has_any("resources.") {
            return Ok(None);
        }
        Ok(Some(Resources {
            cpu_milli: self.facts.uint("resources.cpu_milli"),
            memory_bytes: self.facts.uint("resources.memory_bytes"),
            net: self.named("resources.net", Net::from_name)?,
            extensions: Extensions::new(),
        }))
    }

    fn text(&self, name: &str) -> String {
        self.facts.text(name).unwrap_or_default().to_string()
    }

    fn optional(&self, name: &str) -> Option<String> {
        self.facts.text(name).map(ToString::to_string)
    }

    /// Reads one of a closed list of names.
    fn named<T>(
        &self,
        name: &str,
        from_name: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, AuthoringError> {
        let Some(text) = self.facts.text(name) else {
            return Ok(None);
        };
        let value = from_name(text).ok_or_else(|| {
            let detail = format!("found {text:?}, which is none of the listed names");
            self.at(name, &DecodeError::new(ErrorCode::SchemaViolation, detail))
        })?;
        Ok(Some(value))
    }

    /// Blames the place where a canonical member was written.
    fn at(&self, name: &str, error: &DecodeError) -> AuthoringError {
        self.facts.place(name).map_or_else(|| unplaced(error), |place| place.canonical(error))
    }

    /// Blames the place that the text of a canonical rule names.
    fn located(&self, error: &DecodeError) -> AuthoringError {
        let place = self.facts.place_named_in(&error.detail);
        place.map_or_else(|| unplaced(error), |place| place.canonical(error))
    }
}

fn unplaced(error: &DecodeError) -> AuthoringError {
    let place = Place { source: Source::Manifest, key: String::new(), line: None };
    place.canonical(error)
}

/// Refuses files that lack a required key.
pub(super) fn missing(name: &str) -> AuthoringError {
    let place = Place { source: Source::Manifest, key: name.to_string(), line: None };
    place.refuse(ErrorCode::SchemaViolation, "is missing")
}
