//! Runtime policy: what a module may do, as a package asks for it or a host grants it.
//!
//! # Spec
//! `spec/policy.md`; vectors in `spec/vectors/policy/`.

mod effective;
mod path;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, Grant, Hostcall, guard};

pub use effective::{Narrowing, Side, effective};

use crate::DecodeError;
use crate::hash::{digest_id, sha256};
use crate::json::{self, Fields, Value};
use crate::limits::{self, HOSTCALL_NAMES_MAX, POLICY_BYTES_MAX};
use crate::text::{self, is_ascending};

/// Value of `schema` in a runtime policy.
pub const SCHEMA: &str = "kapsule/policy/1";

/// Hard values of the limits, in the order of [`Limits::fields`].
const HARD: [u64; 6] = [
    limits::CALLS_MAX,
    limits::FUEL_MAX,
    limits::LOG_BYTES_MAX,
    limits::MEMORY_BYTES_MAX,
    limits::OUTPUT_BYTES_MAX,
    limits::STORAGE_BYTES_MAX,
];

digest_id!(
    /// SHA-256 of a runtime policy in its canonical form.
    PolicyHash
);

/// What a module may do; signed as a section of its package.
///
/// A value built by hand may break the rules; [`Policy::validate`] checks them, and
/// [`Policy::decode`] never returns a value that breaks one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Guest paths that the module may open.
    pub filesystem: Filesystem,
    /// Names of the imports that need a grant, ascending.
    pub hostcalls: Vec<String>,
    /// Capsule kinds that the package processes, ascending; empty means any.
    pub kinds: Vec<String>,
    /// Deterministic limits.
    pub limits: Limits,
    /// Networks that the module may ask for.
    pub network: Network,
}

/// Guest paths, each list ascending and without one path inside another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filesystem {
    /// Paths that may be read.
    pub read_only: Vec<String>,
    /// Paths that may be written.
    pub write_allowed: Vec<String>,
}

/// Deterministic limits of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Number of hostcalls, granted or always granted.
    pub calls: u64,
    /// Metered work.
    pub fuel: u64,
    /// Bytes of all log lines together.
    pub log_bytes: u64,
    /// Bytes of linear memory, rounded down to whole 64 KiB pages by the engine.
    pub memory_bytes: u64,
    /// Bytes of output.
    pub output_bytes: u64,
    /// Bytes of storage.
    pub storage_bytes: u64,
}

/// Networks that a policy opens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// Requests to the ordinary internet.
    pub allow_clearnet: bool,
    /// Requests to the mesh.
    pub allow_mesh: bool,
}

impl Default for Limits {
    /// Returns the limits that an author gets without naming any.
    fn default() -> Self {
        Self {
            calls: 100_000,
            fuel: 1_000_000_000,
            log_bytes: 65_536,
            memory_bytes: 1 << 26,
            output_bytes: 1 << 20,
            storage_bytes: 0,
        }
    }
}

impl Limits {
    /// Returns every limit as (name, value), in the order of the canonical form.
    #[must_use]
    pub const fn fields(&self) -> [(&'static str, u64); 6] {
        [
            ("calls", self.calls),
            ("fuel", self.fuel),
            ("log_bytes", self.log_bytes),
            ("memory_bytes", self.memory_bytes),
            ("output_bytes", self.output_bytes),
            ("storage_bytes", self.storage_bytes),
        ]
    }

    /// Builds limits from values in the order of [`Limits::fields`].
    #[must_use]
    pub const fn from_values(values: [u64; 6]) -> Self {
        let [calls, fuel, log_bytes, memory_bytes, output_bytes, storage_bytes] = values;
        Self { calls, fuel, log_bytes, memory_bytes, output_bytes, storage_bytes }
    }
}

impl Policy {
    /// Decodes the canonical form.
    ///
    /// # Errors
    /// E004, E005, E007, E008 or E009 of `spec/policy.md`.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if guard!("format.policy.size", bytes.len() > POLICY_BYTES_MAX) {
            let found = bytes.len();
            return Err(DecodeError::new(
                ErrorCode::LimitExceeded,
                format!("policy of {found} bytes exceeds the limit of {POLICY_BYTES_MAX} bytes"),
            ));
        }
        let mut fields = Fields::new(json::decode(bytes)?, "policy")?;
        fields.schema(SCHEMA)?;
        let policy = Self {
            filesystem: Filesystem::from_value(fields.object("filesystem")?)?,
            hostcalls: fields.required("hostcalls")?,
            kinds: fields.required("kinds")?,
            limits: Limits::from_value(fields.object("limits")?)?,
            network: Network::from_value(fields.object("network")?)?,
        };
        fields.finish()?;
        policy.validate()?;
        Ok(policy)
    }

    /// Encodes the canonical form, of which each policy has exactly one.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        json::encode(&self.to_value())
    }

    /// Returns the SHA-256 of the canonical form.
    #[must_use]
    pub fn hash(&self) -> PolicyHash {
        PolicyHash::new(sha256(&self.encode()))
    }

    /// Tells whether a module under this policy may import a hostcall.
    ///
    /// A hostcall that a network grant links also needs that network to be open.
    #[must_use]
    pub fn links(&self, call: &Hostcall) -> bool {
        let open = |grant: &Grant| match grant {
            Grant::NetClearnet => self.network.allow_clearnet,
            Grant::NetMesh => self.network.allow_mesh,
            _ => true,
        };
        call.is_always_granted()
            || (self.hostcalls.iter().any(|name| name == call.name) && call.grants.iter().any(open))
    }

    /// Checks every rule that the types do not express.
    ///
    /// # Errors
    /// E004 for a number or count above its hard limit, E008 for a form or an order.
    pub fn validate(&self) -> Result<(), DecodeError> {
        self.limits.validate()?;
        if guard!("format.policy.hostcall_count", self.hostcalls.len() > HOSTCALL_NAMES_MAX) {
            let found = self.hostcalls.len();
            return Err(DecodeError::new(
                ErrorCode::LimitExceeded,
                format!("hostcalls has {found} names, allowed are {HOSTCALL_NAMES_MAX}"),
            ));
        }
        for name in &self.hostcalls {
            if guard!("format.policy.hostcall_name", !text::is_hostcall_name(name)) {
                return Err(form(format!(
                    "hostcall name {:?} does not match [a-z][a-z0-9_]{{0,47}}",
                    text::shown(name)
                )));
            }
        }
        if guard!("format.policy.hostcall_order", !is_ascending(&self.hostcalls)) {
            return Err(form("hostcalls are not in strictly ascending order".to_string()));
        }
        for kind in &self.kinds {
            if guard!("format.policy.kind_name", !text::is_ident(kind)) {
                return Err(form(format!(
                    "kind {:?} does not match [a-z][a-z0-9._-]{{0,63}}",
                    text::shown(kind)
                )));
            }
        }
        if guard!("format.policy.kind_order", !is_ascending(&self.kinds)) {
            return Err(form("kinds are not in strictly ascending order".to_string()));
        }
        path::check_list("filesystem.read_only", &self.filesystem.read_only)?;
        path::check_list("filesystem.write_allowed", &self.filesystem.write_allowed)
    }

    fn to_value(&self) -> Value {
        let texts = |list: &[String]| Value::array(list.iter().map(String::as_str));
        let limits = self.limits.fields();
        Value::object([
            (
                "filesystem",
                Value::object([
                    ("read_only", texts(&self.filesystem.read_only)),
                    ("write_allowed", texts(&self.filesystem.write_allowed)),
                ]),
            ),
            ("hostcalls", texts(&self.hostcalls)),
            ("kinds", texts(&self.kinds)),
            ("limits", Value::object(limits.map(|(name, value)| (name, value.into())))),
            (
                "network",
                Value::object([
                    ("allow_clearnet", self.network.allow_clearnet.into()),
                    ("allow_mesh", self.network.allow_mesh.into()),
                ]),
            ),
            ("schema", SCHEMA.into()),
        ])
    }
}

impl Filesystem {
    /// Tells whether `path` is one that a module may name in a file hostcall.
    ///
    /// # Spec
    /// `spec/policy.md`, section "Paths".
    #[must_use]
    pub fn is_path(path: &str) -> bool {
        path::is_file_path(path)
    }

    /// Tells whether the file at `path` may be read: what may be written may be read too.
    #[must_use]
    pub fn reads(&self, path: &str) -> bool {
        self.read_only.iter().any(|outer| path::covers(outer, path)) || self.writes(path)
    }

    /// Tells whether the file at `path` may be written.
    #[must_use]
    pub fn writes(&self, path: &str) -> bool {
        self.write_allowed.iter().any(|outer| path::covers(outer, path))
    }

    fn from_value(mut fields: Fields) -> Result<Self, DecodeError> {
        let filesystem = Self {
            read_only: fields.required("read_only")?,
            write_allowed: fields.required("write_allowed")?,
        };
        fields.finish()?;
        Ok(filesystem)
    }
}

impl Limits {
    fn from_value(mut fields: Fields) -> Result<Self, DecodeError> {
        let mut values = [0; 6];
        for (slot, (name, _)) in values.iter_mut().zip(Self::default().fields()) {
            *slot = fields.required(name)?;
        }
        fields.finish()?;
        Ok(Self::from_values(values))
    }

    fn validate(&self) -> Result<(), DecodeError> {
        for ((name, value), hard) in self.fields().into_iter().zip(HARD) {
            if guard!("format.policy.limit_value", value > hard) {
                return Err(DecodeError::new(
                    ErrorCode::LimitExceeded,
                    format!("limits.{name} is {value}, allowed are at most {hard}"),
                ));
            }
        }
        Ok(())
    }
}

impl Network {
    fn from_value(mut fields: Fields) -> Result<Self, DecodeError> {
        let network = Self {
            allow_clearnet: fields.required("allow_clearnet")?,
            allow_mesh: fields.required("allow_mesh")?,
        };
        fields.finish()?;
        Ok(network)
    }
}

fn form(detail: String) -> DecodeError {
    DecodeError::new(ErrorCode::SchemaViolation, detail)
}
