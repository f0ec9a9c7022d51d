//! From the bytes of `trust.json` to [`Trust`].

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

use super::{Log, Registry, Revoked, Role, SCHEMA, Trust, TrustedKey, VerifyingKey};
use crate::DecodeError;
use crate::json::{Fields, UINT_MAX};
use crate::key::{Identity, IdentityId};
use crate::limits::TRUST_KEYS_MAX;
use crate::text::{is_ascending, is_plain};

/// Longest text of a trust file in bytes.
const TEXT_BYTES_MAX: usize = 256;

impl Trust {
    /// Decodes the canonical form.
    ///
    /// # Errors
    /// E001, E004, E005, E007, E008, E009, E034 or E035.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = Fields::of_file(bytes, "trust")?;
        fields.schema(SCHEMA)?;
        let root_keys: Vec<Vec<String>> = fields.required("root_keys")?;
        let root_keys: Vec<Identity> =
            root_keys.iter().map(|texts| Identity::from_texts(texts)).collect::<Result<_, _>>()?;
        let trust = Self {
            serial: fields.uint("serial", 1..=UINT_MAX)?,
            previous: fields.optional("previous")?,
            threshold: fields.uint("threshold", 1..=root_keys.len() as u64)?,
            valid_from: fields.required("valid_from")?,
            valid_until: fields.required("valid_until")?,
            root_keys,
            keys: objects(&mut fields, "keys", trusted_key)?,
            revoked: objects(&mut fields, "revoked", revoked)?,
            registries: objects(&mut fields, "registries", registry)?,
            logs: objects(&mut fields, "logs", log)?,
            cosigners: fields.required("cosigners")?,
            quorum: fields.required("quorum")?,
            verifying_keys: objects(&mut fields, "verifying_keys", verifying_key)?,
            extensions: fields.finish_ext()?,
        };
        trust.check_order()?;
        trust.check_previous()?;
        Ok(trust)
    }

    /// A first file names nothing before it, and every other one does.
    fn check_previous(&self) -> Result<(), DecodeError> {
        let fits = (self.serial == 1) == self.previous.is_none();
        if guard!("format.trust.previous", !fits) {
            let word = if self.serial == 1 { "present" } else { "absent" };
            let detail = format!("trust.previous is {word} in serial {}", self.serial);
            return Err(DecodeError::new(ErrorCode::SchemaViolation, detail));
        }
        Ok(())
    }

    fn check_order(&self) -> Result<(), DecodeError> {
        let keys = self.verifying_keys.iter().map(|key| (key.system, key.vk_id));
        for (name, ascending) in [
            ("root_keys", is_ascending(self.root_keys.iter().map(Identity::id))),
            ("keys", is_ascending(self.keys.iter().map(|key| key.identity.id()))),
            ("revoked", is_ascending(self.revoked.iter().map(|entry| entry.identity))),
            ("registries", is_ascending(self.registries.iter().map(|entry| &entry.id))),
            ("logs", is_ascending(self.logs.iter().map(|log| &log.origin))),
            ("cosigners", is_ascending(&self.cosigners)),
            ("verifying_keys", is_ascending(keys)),
        ] {
            if guard!("format.trust.order", !ascending) {
                let detail = format!("trust.{name} are not in strictly ascending order");
                return Err(DecodeError::new(ErrorCode::SchemaViolation, detail));
            }
        }
        Ok(())
    }
}

/// Reads an array of objects, which limit bounds.
fn objects<T>(
    fields: &mut Fields,
    name: &str,
    read: impl Fn(Fields) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let items = fields.objects(name)?;
    if guard!("format.trust.count", items.len() > TRUST_KEYS_MAX) {
        let found = items.len();
        let detail = format!("trust.{name} has {found} items, allowed are {TRUST_KEYS_MAX}");
        return Err(DecodeError::new(ErrorCode::LimitExceeded, detail));
    }
    items.into_iter().map(read).collect()
}

fn plain(fields: &mut Fields, name: &str) -> Result<String, DecodeError> {
    let form = "1 to 256 bytes without control characters";
    fields.text(name, form, |text| is_plain(text, TEXT_BYTES_MAX))
}

fn trusted_key(mut fields: Fields) -> Result<TrustedKey, DecodeError> {
    let names: Vec<String> = fields.required("roles")?;
    let roles: Option<Vec<Role>> = names.iter().map(|name| Role::from_name(name)).collect();
    let roles = roles.ok_or_else(|| {
        let detail = format!("{}.roles: found one that is not in the list", fields.path());
        DecodeError::new(ErrorCode::SchemaViolation, detail)
    })?;
    let key = TrustedKey {
        identity: Identity::from_texts(&fields.required::<Vec<String>>("keys")?)?,
        name: plain(&mut fields, "name")?,
        not_after: fields.required("not_after")?,
        not_before: fields.required("not_before")?,
        packages: fields.required("packages")?,
        roles,
        extensions: fields.finish_ext()?,
    };
    let sorted = is_ascending(&key.roles) && is_ascending(&key.packages);
    if guard!("format.trust.key_order", !sorted) {
        let detail = "trust.keys: packages or roles are not in strictly ascending order";
        return Err(DecodeError::new(ErrorCode::SchemaViolation, detail));
    }
    // A star elsewhere would look like a wider match than it is.
    let inner_star = |glob: &String| glob.strip_suffix('*').unwrap_or(glob).contains('*');
    if guard!("format.trust.glob", key.packages.iter().any(inner_star)) {
        let detail = "trust.keys.packages: a `*` stands at the end only";
        return Err(DecodeError::new(ErrorCode::SchemaViolation, detail));
    }
    Ok(key)
}

fn revoked(mut fields: Fields) -> Result<Revoked, DecodeError> {
    Ok(Revoked {
        identity: IdentityId::new(fields.required("identity")?),
        reason: plain(&mut fields, "reason")?,
        since: fields.required("since")?,
        extensions: fields.finish_ext()?,
    })
}

fn registry(mut fields: Fields) -> Result<Registry, DecodeError> {
    Ok(Registry {
        id: plain(&mut fields, "id")?,
        root: fields.required("root")?,
        size: fields.required("size")?,
        extensions: fields.finish_ext()?,
    })
}

fn log(mut fields: Fields) -> Result<Log, DecodeError> {
    let log = Log {
        origin: plain(&mut fields, "origin")?,
        vkeys: fields.required("vkeys")?,
        extensions: fields.finish_ext()?,
    };
    if guard!("format.trust.vkeys_order", !is_ascending(&log.vkeys)) {
        let detail = "trust.logs.vkeys are not in strictly ascending order";
        return Err(DecodeError::new(ErrorCode::SchemaViolation, detail));
    }
    Ok(log)
}

fn verifying_key(mut fields: Fields) -> Result<VerifyingKey, DecodeError> {
    Ok(VerifyingKey {
        system: fields.uint("system", 1..=65_535)?,
        vk_id: fields.required("vk_id")?,
        extensions: fields.finish_ext()?,
    })
}
