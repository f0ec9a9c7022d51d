//! Writing a first trust file.

use std::collections::BTreeSet;

use kapsule_format::json::{self, Value};
use kapsule_format::key::Identity;
use kapsule_format::trust::{Role, SCHEMA, Trust};

use crate::error::Failure;

/// Roles that a new trust file gives unless the caller says otherwise.
pub(crate) const DEFAULT_ROLES: [Role; 2] = [Role::Author, Role::Publisher];

/// Builds the canonical bytes of a trust file of serial 1.
pub(crate) fn encode(
    identities: &[(String, Identity)],
    packages: &[String],
    roles: &[Role],
) -> Result<Vec<u8>, Failure> {
    let packages: BTreeSet<&str> = packages.iter().map(String::as_str).collect();
    let roles: BTreeSet<&str> = roles.iter().map(|role| role.name()).collect();
    let mut entries: Vec<_> = identities
        .iter()
        .map(|(name, identity)| {
            let texts = Value::array(identity.keys().iter().map(|key| key.to_string()));
            let entry = Value::object([
                ("keys", texts.clone()),
                ("name", name.as_str().into()),
                ("not_after", Value::Uint(0)),
                ("not_before", Value::Uint(0)),
                ("packages", Value::array(packages.iter().copied())),
                ("roles", Value::array(roles.iter().copied())),
            ]);
            (identity.id(), entry, texts)
        })
        .collect();
    entries.sort_by_key(|(id, ..)| *id);
    entries.dedup_by_key(|(id, ..)| *id);
    let empty = || Value::Array(Vec::new());
    let roots = entries.iter().map(|(.., texts)| texts.clone()).collect();
    let bytes = json::encode(&Value::object([
        ("cosigners", empty()),
        ("keys", Value::Array(entries.into_iter().map(|(_, entry, _)| entry).collect())),
        ("logs", empty()),
        ("quorum", Value::Uint(0)),
        ("registries", empty()),
        ("revoked", empty()),
        ("root_keys", Value::Array(roots)),
        ("schema", SCHEMA.into()),
        ("serial", Value::Uint(1)),
        ("threshold", Value::Uint(1)),
        ("valid_from", Value::Uint(0)),
        ("valid_until", Value::Uint(0)),
        ("verifying_keys", empty()),
    ]));
    // The reader has the rules for names and globs.
    Trust::decode(&bytes).map_err(|error| {
        let hint = "write a package as its name, with a final `*` for any rest";
        Failure::decode("no trust file can say this", &error, hint)
    })?;
    Ok(bytes)
}
