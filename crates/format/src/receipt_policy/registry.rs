//! The registry of policies in force, and proofs that it includes one.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

use super::{ReceiptPolicy, ascending, id, version};
use crate::cbor::{self, Fields as Keys, Value as Cbor};
use crate::json::{self, Fields, UINT_MAX, Value};
use crate::limits::REGISTRY_POLICIES_MAX;
use crate::manifest::names;
use crate::receipt::PolicyRef;
use crate::{DecodeError, Digest, tree};

/// Value of `schema` in a registry.
const SCHEMA: &str = "kapsule/registry/1";

names! {
    /// Whether a policy or a right is in force.
    Status {
        /// It is.
        Active = "active",
        /// It was taken back.
        Withdrawn = "withdrawn",
    }
}

/// The policies that a keeper of trust roots knows.
///
/// A trust file authenticates it by its root and size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registry {
    /// Names the registry, as trust files do.
    pub id: String,
    /// Serial number, which never goes back.
    pub serial: u64,
    /// Its policies, ascending by id and version.
    pub policies: Vec<Registered>,
}

/// One policy of a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// Id of the policy.
    pub id: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its file.
    pub sha256: Digest,
    /// Whether it is in force.
    pub status: Status,
}

/// A proof that a registry includes a policy that is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyProof {
    /// Position of the policy.
    pub index: u64,
    /// Number of policies.
    pub size: u64,
    /// Sibling hashes from the leaf upward.
    pub path: Vec<Digest>,
}

impl Registry {
    /// Decodes the canonical form.
    ///
    /// # Errors
    /// E001, E004, E005, E007, E008 or E009.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = Fields::of_file(bytes, "registry")?;
        fields.schema(SCHEMA)?;
        let id = id(&mut fields)?;
        let serial = fields.uint("serial", 1..=UINT_MAX)?;
        let listed = fields.objects("policies")?;
        if guard!("format.rules.registry_size", listed.len() > REGISTRY_POLICIES_MAX) {
            let found = listed.len();
            let detail = format!("found {found} policies, allowed are {REGISTRY_POLICIES_MAX}");
            return Err(DecodeError::new(ErrorCode::LimitExceeded, detail));
        }
        let policies: Vec<Registered> =
            listed.into_iter().map(Registered::decode).collect::<Result<_, _>>()?;
        fields.finish()?;
        ascending("registry.policies", policies.iter().map(|one| (&one.id, &one.version)))?;
        Ok(Self { id, serial, policies })
    }

    /// Encodes the canonical form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        json::encode(&Value::object([
            ("id", self.id.as_str().into()),
            ("policies", Value::array(self.policies.iter().map(Registered::to_value))),
            ("schema", SCHEMA.into()),
            ("serial", self.serial.into()),
        ]))
    }

    /// Returns the Merkle root, which a trust file pins together with the number of policies.
    #[must_use]
    pub fn root(&self) -> Digest {
        tree::root(self.policies.iter().map(Registered::leaf))
    }

    /// Returns the entry of a policy.
    #[must_use]
    pub fn find(&self, sha256: &Digest) -> Option<&Registered> {
        self.policies.iter().find(|one| one.sha256 == *sha256)
    }

    /// Proves that the registry includes a policy that is in force.
    #[must_use]
    pub fn prove(&self, sha256: &Digest) -> Option<PolicyProof> {
        let held = |one: &Registered| one.sha256 == *sha256 && one.status == Status::Active;
        let index = self.policies.iter().position(held)?;
        let leaves: Vec<Digest> =
            self.policies.iter().map(|one| tree::leaf_hash(&one.leaf())).collect();
        let path = tree::inclusion_proof(&leaves, index)?;
        Some(PolicyProof { index: index as u64, size: leaves.len() as u64, path })
    }
}

impl Registered {
    /// Returns the entry of a policy that is in force.
    #[must_use]
    pub fn active(policy: &ReceiptPolicy) -> Self {
        Self {
            id: policy.id.clone(),
            version: policy.version.clone(),
            sha256: policy.sha256(),
            status: Status::Active,
        }
    }

    fn decode(mut fields: Fields) -> Result<Self, DecodeError> {
        let (id, version) = (id(&mut fields)?, version(&mut fields)?);
        let (sha256, status) = (fields.required("sha256")?, status(&mut fields)?);
        fields.finish()?;
        Ok(Self { id, version, sha256, status })
    }

    fn to_value(&self) -> Value {
        Value::object([
            ("id", self.id.as_str().into()),
            ("sha256", self.sha256.into()),
            ("status", self.status.name().into()),
            ("version", self.version.as_str().into()),
        ])
    }

    /// Returns the leaf: KCBOR of id, version, digest and status.
    fn leaf(&self) -> Vec<u8> {
        cbor::encode(&Cbor::Array(vec![
            self.id.as_str().into(),
            self.version.as_str().into(),
            self.sha256.into(),
            self.status.name().into(),
        ]))
    }
}

/// Takes the status of an entry.
pub(super) fn status(fields: &mut Fields) -> Result<Status, DecodeError> {
    let name: String = fields.required("status")?;
    Status::from_name(&name).ok_or_else(|| {
        let detail = format!("{}.status: allowed are active and withdrawn", fields.path());
        DecodeError::new(ErrorCode::SchemaViolation, detail)
    })
}

impl PolicyProof {
    /// Decodes the KCBOR form.
    ///
    /// # Errors
    /// E002, E003, E005, E006, E008 or E009.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = Keys::new(cbor::decode(bytes)?, "policy-proof")?;
        fields.version(1)?;
        let (index, size) = (fields.required(1)?, fields.required(2)?);
        let path: Vec<Digest> = fields.required(3)?;
        fields.finish()?;
        Ok(Self { index, size, path })
    }

    /// Encodes the KCBOR form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(&Cbor::Map(vec![
            (0, 1.into()),
            (1, self.index.into()),
            (2, self.size.into()),
            (3, Cbor::array(self.path.iter().copied())),
        ]))
    }

    /// Tells whether the proof leads from a policy that is in force to this root.
    #[must_use]
    pub fn leads_to(&self, root: &Digest, size: u64, policy: &PolicyRef) -> bool {
        let entry = Registered {
            id: policy.id.to_string(),
            version: policy.version.to_string(),
            sha256: policy.sha256,
            status: Status::Active,
        };
        let leaf = tree::leaf_hash(&entry.leaf());
        self.size == size && tree::verify_inclusion(root, size, self.index, &leaf, &self.path)
    }
}
