//! Host and toolchain manifests: on what a run was made, and with which tools.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

use super::claim::Claim;
use crate::DecodeError;
use crate::envelope::{Statement, Subject};
use crate::hash::encode_hex;
use crate::json::{self, Fields, Value};
use crate::manifest::Extensions;
use crate::receipt_policy::decode_image;
use crate::text::{is_ascending, is_hex, is_ident, is_plain};

/// Bound entry with the host manifest.
pub const HOST: &str = "host.json";
/// Bound entry with the toolchain manifest.
pub const TOOLCHAIN: &str = "toolchain.json";
/// Type of the predicate that the signer of manifests signs.
pub const MANIFESTS_PREDICATE: &str = "urn:kapsule:manifests:v1";

/// What the manifest calls its own word, in contrast to `attested:<ident>`.
pub const SELF_REPORTED: &str = "self-reported";

/// The machine of a run, as its owner describes it.
///
/// The claim binds it by its digest; who signs it stands below `msig/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostManifest {
    /// The processor.
    pub cpu: Cpu,
    /// Graphics processors, in the order of the host.
    pub gpus: Vec<Gpu>,
    /// Name and version of the kernel.
    pub kernel: String,
    /// Landlock ABI in force; 0 is none.
    pub landlock_abi: u64,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Name and version of the system.
    pub os: String,
    /// `self-reported` or `attested:<ident>`.
    pub source: String,
    /// Whether the machine is a virtual one.
    pub virtual_machine: bool,
    /// Members that start with `x_`.
    pub extensions: Extensions,
}

/// A processor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cpu {
    /// Number of cores.
    pub cores: u64,
    /// Names of features: idents, ascending.
    pub features: Vec<String>,
    /// Model, for people.
    pub model: String,
    /// Number of hardware threads.
    pub threads: u64,
    /// Members that start with `x_`.
    pub extensions: Extensions,
}

/// A graphics processor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpu {
    /// Its driver.
    pub driver: String,
    /// Its memory in bytes.
    pub memory_bytes: u64,
    /// Its name.
    pub name: String,
    /// Members that start with `x_`.
    pub extensions: Extensions,
}

/// The tools of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolchainManifest {
    /// SHA-256 of the container image, if there was one.
    pub container_image: Option<crate::Digest>,
    /// Whether the tools come from a deterministic build.
    pub deterministic_build: bool,
    /// Lock files, ascending by name.
    pub lockfiles: Vec<Lockfile>,
    /// Revision of the sources, 7 to 64 hex digits.
    pub revision: Option<String>,
    /// Tools, ascending by name.
    pub tools: Vec<UsedTool>,
    /// Members that start with `x_`.
    pub extensions: Extensions,
}

/// A file that pins what was built from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lockfile {
    /// Name.
    pub name: String,
    /// SHA-256.
    pub sha256: crate::Digest,
    /// Members that start with `x_`.
    pub extensions: Extensions,
}

/// A tool that was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedTool {
    /// Name.
    pub name: String,
    /// SHA-256 of its file.
    pub sha256: crate::Digest,
    /// Version.
    pub version: String,
    /// Members that start with `x_`.
    pub extensions: Extensions,
}

impl HostManifest {
    /// Decodes the canonical form.
    ///
    /// # Errors
    /// E001, E004, E005, E007, E008 or E009.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = Fields::of_file(bytes, "host")?;
        fields.schema("kapsule/host/1")?;
        let gpus = fields.objects("gpus")?.into_iter().map(Gpu::decode);
        let gpus = gpus.collect::<Result<_, _>>()?;
        let attested = |text: &str| text.strip_prefix("attested:").is_some_and(is_ident);
        let form = "self-reported or attested:<ident>";
        Ok(Self {
            cpu: Cpu::decode(fields.object("cpu")?)?,
            gpus,
            kernel: plain(&mut fields, "kernel")?,
            landlock_abi: fields.required("landlock_abi")?,
            memory_bytes: fields.required("memory_bytes")?,
            os: plain(&mut fields, "os")?,
            source: fields.text("source", form, |text| text == SELF_REPORTED || attested(text))?,
            virtual_machine: fields.required("virtual")?,
            extensions: fields.finish_ext()?,
        })
    }

    /// Encodes the canonical form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        json::encode(&object(
            &self.extensions,
            [
                ("cpu", self.cpu.to_value()),
                ("gpus", Value::array(self.gpus.iter().map(Gpu::to_value))),
                ("kernel", self.kernel.as_str().into()),
                ("landlock_abi", self.landlock_abi.into()),
                ("memory_bytes", self.memory_bytes.into()),
                ("os", self.os.as_str().into()),
                ("schema", "kapsule/host/1".into()),
                ("source", self.source.as_str().into()),
                ("virtual", self.virtual_machine.into()),
            ],
        ))
    }
}

impl Cpu {
    fn decode(mut fields: Fields) -> Result<Self, DecodeError> {
        let cpu = Self {
            cores: fields.required("cores")?,
            features: fields.required("features")?,
            model: plain(&mut fields, "model")?,
            threads: fields.required("threads")?,
            extensions: fields.finish_ext()?,
        };
        let idents = cpu.features.iter().all(|name| is_ident(name));
        if guard!("format.manifests.features", !idents || !is_ascending(&cpu.features)) {
            let detail = "host.cpu.features are not idents in strictly ascending order";
            return Err(DecodeError::new(ErrorCode::SchemaViolation, detail));
        }
        Ok(cpu)
    }

    fn to_value(&self) -> Value {
        object(
            &self.extensions,
            [
                ("cores", self.cores.into()),
                ("features", Value::array(self.features.iter().map(String::as_str))),
                ("model", self.model.as_str().into()),
                ("threads", self.threads.into()),
            ],
        )
    }
}

impl Gpu {
    fn decode(mut fields: Fields) -> Result<Self, DecodeError> {
        Ok(Self {
            driver: plain(&mut fields, "driver")?,
            memory_bytes: fields.required("memory_bytes")?,
            name: plain(&mut fields, "name")?,
            extensions: fields.finish_ext()?,
        })
    }

    fn to_value(&self) -> Value {
        object(
            &self.extensions,
            [
                ("driver", self.driver.as_str().into()),
                ("memory_bytes", self.memory_bytes.into()),
                ("name", self.name.as_str().into()),
            ],
        )
    }
}

impl ToolchainManifest {
    /// Decodes the canonical form.
    ///
    /// # Errors
    /// E001, E004, E005, E007, E008 or E009.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = Fields::of_file(bytes, "toolchain")?;
        fields.schema("kapsule/toolchain/1")?;
        let image: Option<String> =
            fields.optional_text("container_image", "sha256:<hex>", |text| {
                decode_image(text).is_some()
            })?;
        let lockfiles = fields.objects("lockfiles")?.into_iter().map(Lockfile::decode);
        let lockfiles = lockfiles.collect::<Result<Vec<Lockfile>, _>>()?;
        let tools = fields.objects("tools")?.into_iter().map(UsedTool::decode);
        let tools = tools.collect::<Result<Vec<UsedTool>, _>>()?;
        let revision = "7 to 64 hex digits";
        let manifest = Self {
            container_image: image.as_deref().and_then(decode_image),
            deterministic_build: fields.required("deterministic_build")?,
            lockfiles,
            revision: fields.optional_text("revision", revision, |text| is_hex(text, 7, 64))?,
            tools,
            extensions: fields.finish_ext()?,
        };
        for (what, ascending) in [
            ("lockfiles", is_ascending(manifest.lockfiles.iter().map(|one| &one.name))),
            ("tools", is_ascending(manifest.tools.iter().map(|one| &one.name))),
        ] {
            if guard!("format.manifests.order", !ascending) {
                let detail = format!("toolchain.{what} are not in strictly ascending order");
                return Err(DecodeError::new(ErrorCode::SchemaViolation, detail));
            }
        }
        Ok(manifest)
    }

    /// Encodes the canonical form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let image = self.container_image.map(|digest| format!("sha256:{digest}"));
        let mut members = Vec::from([
            ("deterministic_build", self.deterministic_build.into()),
            ("lockfiles", Value::array(self.lockfiles.iter().map(Lockfile::to_value))),
            ("schema", "kapsule/toolchain/1".into()),
            ("tools", Value::array(self.tools.iter().map(UsedTool::to_value))),
        ]);
        members.extend(image.map(|text| ("container_image", Value::Text(text))));
        members.extend(self.revision.clone().map(|text| ("revision", Value::Text(text))));
        json::encode(&object(&self.extensions, members))
    }
}

impl Lockfile {
    fn decode(mut fields: Fields) -> Result<Self, DecodeError> {
        Ok(Self {
            name: plain(&mut fields, "name")?,
            sha256: fields.required("sha256")?,
            extensions: fields.finish_ext()?,
        })
    }

    fn to_value(&self) -> Value {
        let members = [("name", self.name.as_str().into()), ("sha256", self.sha256.into())];
        object(&self.extensions, members)
    }
}

impl UsedTool {
    fn decode(mut fields: Fields) -> Result<Self, DecodeError> {
        Ok(Self {
            name: plain(&mut fields, "name")?,
            sha256: fields.required("sha256")?,
            version: plain(&mut fields, "version")?,
            extensions: fields.finish_ext()?,
        })
    }

    fn to_value(&self) -> Value {
        object(
            &self.extensions,
            [
                ("name", self.name.as_str().into()),
                ("sha256", self.sha256.into()),
                ("version", self.version.as_str().into()),
            ],
        )
    }
}

impl Claim {
    /// Tells whether the claim binds a host or a toolchain manifest.
    #[must_use]
    pub fn has_manifests(&self) -> bool {
        self.entries.iter().any(|entry| entry.name == HOST || entry.name == TOOLCHAIN)
    }

    /// Returns the bytes that whoever vouches for the manifests signs: an in-toto statement about
    /// those that the claim binds, present or not, for this run alone.
    #[must_use]
    pub fn manifests_statement(&self) -> Vec<u8> {
        let text = |value: String| Value::Text(value);
        let bound = self.entries.iter().filter(|one| one.name == HOST || one.name == TOOLCHAIN);
        let subject = |one: &crate::container::EntryRef| Subject {
            name: one.name.clone(),
            sha256: one.sha256,
        };
        Statement {
            subjects: bound.map(subject).collect(),
            predicate_type: MANIFESTS_PREDICATE.to_string(),
            predicate: BTreeMap::from([
                ("issuer".to_string(), text(self.issuer.id().to_string())),
                ("nonce".to_string(), text(encode_hex(&self.job.nonce))),
                ("run_id".to_string(), text(encode_hex(&self.job.run_id))),
            ]),
        }
        .encode()
    }
}

fn plain(fields: &mut Fields, name: &str) -> Result<String, DecodeError> {
    let form = "1 to 256 bytes without control characters";
    fields.text(name, form, |text| is_plain(text, 256))
}

fn object<'v>(
    extensions: &Extensions,
    members: impl IntoIterator<Item = (&'v str, Value)>,
) -> Value {
    let extensions = extensions.iter().map(|(name, value)| (name.clone(), value.clone()));
    let members = members.into_iter().map(|(name, value)| (name.to_string(), value));
    Value::object(extensions.chain(members))
}
