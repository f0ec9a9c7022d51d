//! `acl.json`: who may act under which receipt policies.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

use super::registry::status;
use super::{Status, ascending, is_policy_id};
use crate::DecodeError;
use crate::json::{self, Fields, UINT_MAX, Value};
use crate::key::IdentityId;
use crate::limits::ACL_ENTRIES_MAX;
use crate::manifest::Extensions;
use crate::trust::Role;

/// Value of `schema` in an access list.
const SCHEMA: &str = "kapsule/acl/1";

/// Stands for every policy.
const ANY: &str = "*";

/// Who may act under which receipt policies.
///
/// The file is the verifier's own; an acceptance file may pin it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acl {
    /// Serial number, from 1.
    pub serial: u64,
    /// Entries, ascending by identity.
    pub entries: Vec<AclEntry>,
    /// Members that start with `x_`.
    pub extensions: Extensions,
}

/// The rights of one identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AclEntry {
    /// Whose rights.
    pub identity: IdentityId,
    /// Ids of policies, ascending, or `*` alone for all.
    pub policies: Vec<String>,
    /// What the identity may do under them, ascending.
    pub roles: Vec<Role>,
    /// Whether the rights are in force.
    pub status: Status,
    /// Members that start with `x_`.
    pub extensions: Extensions,
}

impl Acl {
    /// Decodes the canonical form.
    ///
    /// # Errors
    /// E001, E004, E005, E007, E008 or E009.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = Fields::of_file(bytes, "acl")?;
        fields.schema(SCHEMA)?;
        let serial = fields.uint("serial", 1..=UINT_MAX)?;
        let listed = fields.objects("entries")?;
        if guard!("format.acl.size", listed.len() > ACL_ENTRIES_MAX) {
            let found = listed.len();
            let detail = format!("found {found} entries, allowed are {ACL_ENTRIES_MAX}");
            return Err(DecodeError::new(ErrorCode::LimitExceeded, detail));
        }
        let entries: Vec<AclEntry> =
            listed.into_iter().map(AclEntry::decode).collect::<Result<_, _>>()?;
        let extensions = fields.finish_ext()?;
        ascending("acl.entries", entries.iter().map(|entry| entry.identity))?;
        Ok(Self { serial, entries, extensions })
    }

    /// Encodes the canonical form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let extensions = self.extensions.iter().map(|(name, value)| (name.as_str(), value.clone()));
        json::encode(&Value::object(extensions.chain([
            ("entries", Value::array(self.entries.iter().map(AclEntry::to_value))),
            ("schema", SCHEMA.into()),
            ("serial", self.serial.into()),
        ])))
    }

    /// Tells whether an identity may act in a role under a policy.
    #[must_use]
    pub fn allows(&self, identity: &IdentityId, role: Role, policy: &str) -> bool {
        let entry = self.entries.iter().find(|entry| entry.identity == *identity);
        entry.is_some_and(|entry| {
            let named = |id: &String| id == ANY || id == policy;
            !guard!("format.acl.withdrawn", entry.status != Status::Active)
                && !guard!("format.acl.role", !entry.roles.contains(&role))
                && !guard!("format.acl.policy", !entry.policies.iter().any(named))
        })
    }
}

impl AclEntry {
    fn decode(mut fields: Fields) -> Result<Self, DecodeError> {
        let path = String::from(fields.path());
        let refuse =
            |what: &str| DecodeError::new(ErrorCode::SchemaViolation, format!("{path}.{what}"));
        let names: Vec<String> = fields.required("roles")?;
        let roles: Option<Vec<Role>> = names.iter().map(|name| Role::from_name(name)).collect();
        let roles = roles.ok_or_else(|| refuse("roles: found one that is not in the list"))?;
        let entry = Self {
            identity: IdentityId::new(fields.required("identity")?),
            policies: fields.required("policies")?,
            roles,
            status: status(&mut fields)?,
            extensions: fields.finish_ext()?,
        };
        ascending(&format!("{path}.policies"), &entry.policies)?;
        ascending(&format!("{path}.roles"), &entry.roles)?;
        let any = entry.policies == [ANY];
        let named = entry.policies.iter().all(|id| is_policy_id(id));
        if guard!("format.acl.policies", !any && !named) {
            return Err(refuse("policies: allowed are ids of policies, or \"*\" alone"));
        }
        Ok(entry)
    }

    fn to_value(&self) -> Value {
        let extensions = self.extensions.iter().map(|(name, value)| (name.as_str(), value.clone()));
        Value::object(extensions.chain([
            ("identity", (*self.identity.digest()).into()),
            ("policies", Value::array(self.policies.iter().map(String::as_str))),
            ("roles", Value::array(self.roles.iter().map(|role| role.name()))),
            ("status", self.status.name().into()),
        ]))
    }
}
