//! Package manifest: who made the package, what runs, what it asks for and what it costs.
//!
//! # Spec
//! `spec/package.md`, section "Manifest"; vectors in `spec/vectors/mod/`.

mod decode;
mod encode;
mod fees;
mod version;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

#[cfg(feature = "authoring")]
pub(crate) use fees::is_asset;
pub use fees::{Amount, Fees, Money, PPM_WHOLE, Role, Royalty, Split};
pub use version::Version;

use crate::json::Value;
use crate::key::{Identity, PublicKey};
use crate::package::PackageId;
use crate::policy::PolicyHash;
use crate::{DecodeError, Digest};

/// Value of `schema` in a manifest.
pub const SCHEMA: &str = "kapsule/manifest/1";

/// Value of `exec.encrypted.format`.
const ENCRYPTED_FORMAT: &str = "age/1";

/// Members whose name starts with `x_`: preserved and shown, never given meaning.
pub type Extensions = BTreeMap<String, Value>;

/// What a package says of itself.
///
/// Every field is authenticated by the author's signature, which binds the manifest bytes.
/// A value built by hand may break the rules; [`Manifest::decode`] of its encoding tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Free text that names the author; it proves nothing.
    pub author: String,
    /// Keys of the author's identity; empty for an unsigned package.
    pub author_keys: Vec<PublicKey>,
    /// Commit that the module was built from, 7 to 64 hex digits.
    pub build_commit: Option<String>,
    /// Free text of at most 1,024 bytes.
    pub description: Option<String>,
    /// What is run and how.
    pub exec: Exec,
    /// What a run costs.
    pub fees: Option<Fees>,
    /// SPDX licence expression.
    pub license: Option<String>,
    /// Name of the package, an `ident`.
    pub name: String,
    /// SHA-256 of the policy section.
    pub policy_hash: PolicyHash,
    /// Package that this one replaces.
    pub previous: Option<PackageId>,
    /// Proof system whose proofs this package promises.
    pub proof_type: ProofType,
    /// Resources that the package asks for.
    pub resources: Option<Resources>,
    /// Version of the package.
    pub version: Version,
    /// Members that start with `x_`.
    pub extensions: Extensions,
}

/// What is run and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exec {
    /// Contract with the host.
    pub abi: Abi,
    /// Label of the payload file; never opened as a path.
    pub binary: String,
    /// Chunk root of the payload section.
    pub chunk_root: Digest,
    /// Further entries, ascending, without `entry`.
    pub entries: Option<Vec<String>>,
    /// Present if the payload is encrypted.
    pub encrypted: Option<Encrypted>,
    /// Function that is called by default.
    pub entry: String,
    /// SHA-256 of the payload section as carried.
    pub hash: Digest,
    /// Form of the payload.
    pub kind: Kind,
    /// Wasm profile of the module.
    pub profile: Profile,
    /// Schema that proofs of this package follow.
    pub proof_schema: Option<ProofSchema>,
    /// Bytes of the payload section.
    pub size: u64,
    /// Members that start with `x_`.
    pub extensions: Extensions,
}

impl Exec {
    /// Tells whether `entry` may be called: the default entry or one of the further ones.
    #[must_use]
    pub fn has_entry(&self, entry: &str) -> bool {
        self.entry == entry || self.entries.iter().flatten().any(|name| name == entry)
    }
}

/// What everyone may know of an encrypted payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encrypted {
    /// Commitment to the module.
    pub commitment: Digest,
    /// Bytes of the module.
    pub plain_size: u64,
    /// Types of the recipient stanzas in file order, grease left out.
    pub stanzas: Vec<String>,
    /// Members that start with `x_`.
    pub extensions: Extensions,
}

/// Digest, label and size of a proof schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofSchema {
    /// SHA-256 of the schema bytes.
    pub hash: Digest,
    /// Label of the schema file; never opened as a path.
    pub path: String,
    /// Bytes of the schema.
    pub size: u64,
    /// Members that start with `x_`.
    pub extensions: Extensions,
}

/// Resources that a package asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Thousandths of one processor.
    pub cpu_milli: Option<u64>,
    /// Bytes of memory.
    pub memory_bytes: Option<u64>,
    /// Network.
    pub net: Option<Net>,
    /// Members that start with `x_`.
    pub extensions: Extensions,
}

/// Form of the payload (`exec.kind`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A WebAssembly core binary, version 1.
    WasmCore1,
    /// Native code for this target triple; reserved and never run.
    Native(String),
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WasmCore1 => f.write_str("wasm-core/1"),
            Self::Native(triple) => write!(f, "native/{triple}"),
        }
    }
}

/// Declares an enum whose values have one fixed text form each.
macro_rules! names {
    ($(#[$doc:meta])* $type:ident { $($(#[$value_doc:meta])* $value:ident = $name:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $type {
            $($(#[$value_doc])* $value,)*
        }

        impl $type {
            /// Every value in declaration order.
            pub const ALL: &'static [Self] = &[$(Self::$value,)*];

            /// Returns the text form.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$value => $name,)* }
            }

            /// Returns the value with this text form.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.name() == name)
            }
        }

        impl core::fmt::Display for $type {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}
pub(crate) use names;

names! {
    /// Contract between module and host (`exec.abi`).
    Abi {
        /// A module that answers one input with one output.
        KapsuleV1 = "kapsule_v1",
        /// A module of the capability kernel.
        KapsuleProcessV1 = "kapsule_process_v1",
    }
}

names! {
    /// Wasm profile (`exec.profile`).
    Profile {
        /// Integers only.
        Integer1 = "integer-1",
        /// Integers and floats with canonical NaNs.
        Float1 = "float-1",
    }
}

names! {
    /// Network that a package asks for (`resources.net`).
    Net {
        /// No network.
        None = "none",
        /// The mesh.
        MeshOnly = "mesh-only",
        /// The ordinary internet.
        Clearnet = "clearnet",
        /// Mesh and internet.
        Any = "any",
    }
}

names! {
    /// Proof system that a package names (`proof_type`).
    ProofType {
        /// No proof is promised.
        None = "none",
        /// System id 1.
        Stark = "stark",
        /// System id 2.
        Groth16 = "groth16",
        /// System id 3.
        Plonk = "plonk",
        /// System id 4.
        Risc0 = "risc0",
        /// System id 5.
        Sp1 = "sp1",
        /// System id 6.
        Openvm = "openvm",
        /// System id 65535: a development proof, which proves nothing.
        Dev = "dev",
    }
}

impl Manifest {
    /// Returns the identity that `author_keys` form, or `None` for an unsigned package.
    ///
    /// # Errors
    /// E008 or E034 if the keys form no identity.
    pub fn identity(&self) -> Result<Option<Identity>, DecodeError> {
        if self.author_keys.is_empty() {
            return Ok(None);
        }
        Identity::new(self.author_keys.clone()).map(Some)
    }
}
