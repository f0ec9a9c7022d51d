//! From canonical bytes to a [`Manifest`].

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::str::FromStr;

use kapsule_abi::{ErrorCode, guard};

use super::fees::{check_payee, is_asset};
use super::{
    Abi, Amount, ENCRYPTED_FORMAT, Encrypted, Exec, Fees, Kind, Manifest, Money, Net, Profile,
    ProofSchema, ProofType, Resources, Role, Royalty, SCHEMA, Split,
};
use crate::json::{self, Fields, UINT_MAX};
use crate::key::{Identity, PublicKey};
use crate::limits::{MANIFEST_BYTES_MAX, MODULE_BYTES_MAX, ROYALTIES_MAX, STANZAS_MAX};
use crate::package::PackageId;
use crate::policy::PolicyHash;
use crate::text::{self, is_ascending};
use crate::{DecodeError, Digest};

/// Greatest length of the free text `author` in bytes.
const AUTHOR_BYTES_MAX: usize = 254;
/// Greatest length of the free text `description` in bytes.
const DESCRIPTION_BYTES_MAX: usize = 1024;
/// Greatest length of a licence expression in bytes.
const LICENSE_BYTES_MAX: usize = 128;

const IDENT: &str = "[a-z][a-z0-9._-]{0,63}";
const LABEL: &str = "[A-Za-z0-9._/-]{1,128}";
const ENTRY: &str = "[A-Za-z_][A-Za-z0-9_]{0,63}";

impl Manifest {
    /// Decodes the canonical form.
    ///
    /// Rules that compare the manifest with other sections are checked by the package.
    ///
    /// # Errors
    /// E004, E005, E007, E008, E009, E034 or E035 of `spec/package.md`.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if guard!("format.manifest.size", bytes.len() > MANIFEST_BYTES_MAX) {
            let found = bytes.len();
            return Err(DecodeError::new(
                ErrorCode::LimitExceeded,
                format!(
                    "manifest of {found} bytes exceeds the limit of {MANIFEST_BYTES_MAX} bytes"
                ),
            ));
        }
        let mut fields = Fields::new(json::decode(bytes)?, "manifest")?;
        fields.schema(SCHEMA)?;
        let plain = |text: &str| text::is_plain(text, AUTHOR_BYTES_MAX);
        let short = |text: &str| text.len() <= DESCRIPTION_BYTES_MAX;
        let commit = |text: &str| text::is_hex(text, 7, 64);
        Ok(Self {
            author: fields.text("author", "1 to 254 bytes without control characters", plain)?,
            author_keys: author_keys(&mut fields)?,
            build_commit: fields.optional_text("build_commit", "7 to 64 hex digits", commit)?,
            description: fields.optional_text("description", "up to 1024 bytes", short)?,
            exec: Exec::from_fields(fields.object("exec")?)?,
            fees: fields.optional_object("fees")?.map(Fees::from_fields).transpose()?,
            license: fields.optional_text("license", "[A-Za-z0-9.+() -]{1,128}", is_license)?,
            name: fields.text("name", IDENT, text::is_ident)?,
            policy_hash: PolicyHash::new(fields.required("policy_hash")?),
            previous: fields.optional("previous")?.map(PackageId::new),
            proof_type: named(&mut fields, "proof_type", ProofType::from_name)?,
            resources: fields.optional_object("resources")?.map(resources).transpose()?,
            version: fields.required::<String>("version")?.parse()?,
            extensions: fields.finish_ext()?,
        })
    }
}

fn author_keys(fields: &mut Fields) -> Result<Vec<PublicKey>, DecodeError> {
    let texts: Vec<String> = fields.required("author_keys")?;
    if texts.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Result<Vec<PublicKey>, DecodeError> =
        texts.iter().map(|text| PublicKey::from_str(text)).collect();
    let keys = keys.map_err(|error| error.within("manifest.author_keys"))?;
    // The identity checks order, repetition and suites.
    Identity::new(keys.clone()).map_err(|error| error.within("manifest.author_keys"))?;
    Ok(keys)
}

fn is_license(text: &str) -> bool {
    text::is_made_of(text, LICENSE_BYTES_MAX, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'(' | b')' | b' ' | b'-')
    })
}

/// Reads a text that must be one of a closed list.
fn named<T>(
    fields: &mut Fields,
    name: &str,
    from_name: impl Fn(&str) -> Option<T>,
) -> Result<T, DecodeError> {
    let found: String = fields.required(name)?;
    from_name(&found).ok_or_else(|| {
        let (path, found) = (fields.path(), text::shown(&found));
        form(format!("{path}.{name}: found {found:?}, which is none of the listed names"))
    })
}

/// Reads the name of an ABI or profile, where another one is E005.
fn versioned<T>(
    fields: &mut Fields,
    name: &str,
    from_name: impl Fn(&str) -> Option<T>,
) -> Result<T, DecodeError> {
    let found: String = fields.required(name)?;
    from_name(&found).ok_or_else(|| {
        let (path, found) = (fields.path(), text::shown(&found));
        let detail = format!("{path}.{name}: found {found:?}, which is not supported");
        DecodeError::new(ErrorCode::VersionUnsupported, detail)
    })
}

impl Exec {
    fn from_fields(mut fields: Fields) -> Result<Self, DecodeError> {
        let entry = fields.text("entry", ENTRY, text::is_entry_name)?;
        Ok(Self {
            abi: versioned(&mut fields, "abi", Abi::from_name)?,
            binary: fields.text("binary", LABEL, text::is_label)?,
            chunk_root: fields.required("chunk_root")?,
            encrypted: fields.optional_object("encrypted")?.map(encrypted).transpose()?,
            entries: entries(&mut fields, &entry)?,
            entry,
            hash: prefixed_sha256(&mut fields, "hash")?,
            kind: named(&mut fields, "kind", kind_from_text)?,
            profile: versioned(&mut fields, "profile", Profile::from_name)?,
            proof_schema: fields.optional_object("proof_schema")?.map(proof_schema).transpose()?,
            size: fields.required("size")?,
            extensions: fields.finish_ext()?,
        })
    }
}

fn entries(fields: &mut Fields, entry: &str) -> Result<Option<Vec<String>>, DecodeError> {
    let Some(entries) = fields.optional::<Vec<String>>("entries")? else {
        return Ok(None);
    };
    let wrong = entries.iter().find(|name| !text::is_entry_name(name));
    if guard!("format.manifest.entries_form", wrong.is_some()) {
        let wrong = text::shown(wrong.map_or("", String::as_str));
        return Err(form(format!("manifest.exec.entries: found {wrong:?}, allowed {ENTRY}")));
    }
    if guard!("format.manifest.entries_order", !is_ascending(&entries)) {
        return Err(form("manifest.exec.entries are not in strictly ascending order"));
    }
    if guard!("format.manifest.entries_default", entries.iter().any(|name| name == entry)) {
        return Err(form("manifest.exec.entries repeat the default entry"));
    }
    Ok(Some(entries))
}

fn encrypted(mut fields: Fields) -> Result<Encrypted, DecodeError> {
    versioned(&mut fields, "format", |found| (found == ENCRYPTED_FORMAT).then_some(()))?;
    let stanzas: Vec<String> = fields.required("stanzas")?;
    let count = stanzas.len();
    if guard!("format.manifest.stanzas", !(1..=STANZAS_MAX).contains(&count)) {
        let path = fields.path();
        let detail = format!("{path}.stanzas: {count} types, allowed 1 to {STANZAS_MAX}");
        return Err(form(detail));
    }
    Ok(Encrypted {
        commitment: fields.required("commitment")?,
        plain_size: fields.uint("plain_size", 1..=MODULE_BYTES_MAX)?,
        stanzas,
        extensions: fields.finish_ext()?,
    })
}

fn prefixed_sha256(fields: &mut Fields, name: &str) -> Result<Digest, DecodeError> {
    let text: String = fields.required(name)?;
    let digest = text.strip_prefix("sha256:").and_then(|hex| hex.parse().ok());
    digest.ok_or_else(|| {
        let (path, text) = (fields.path(), text::shown(&text));
        form(format!("{path}.{name}: found {text:?}, allowed sha256: and 64 hex digits"))
    })
}

/// Reads `wasm-core/1` or `native/<triple>`, the triple being 2 to 5 parts of `[a-z0-9_]+`.
fn kind_from_text(text: &str) -> Option<Kind> {
    if text == "wasm-core/1" {
        return Some(Kind::WasmCore1);
    }
    let triple = text.strip_prefix("native/")?;
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
    let parts = triple.split('-').count();
    let form = (2..=5).contains(&parts)
        && triple.split('-').all(|part| text::is_made_of(part, usize::MAX, allowed));
    form.then(|| Kind::Native(triple.to_string()))
}

fn proof_schema(mut fields: Fields) -> Result<ProofSchema, DecodeError> {
    Ok(ProofSchema {
        hash: prefixed_sha256(&mut fields, "hash")?,
        path: fields.text("path", LABEL, text::is_label)?,
        size: fields.required("size")?,
        extensions: fields.finish_ext()?,
    })
}

fn resources(mut fields: Fields) -> Result<Resources, DecodeError> {
    let allowed = "none, mesh-only, clearnet or any";
    let net = fields.optional_text("net", allowed, |text| Net::from_name(text).is_some())?;
    Ok(Resources {
        cpu_milli: fields.optional_uint("cpu_milli", 0..=UINT_MAX)?,
        memory_bytes: fields.optional_uint("memory_bytes", 0..=UINT_MAX)?,
        net: net.and_then(|text| Net::from_name(&text)),
        extensions: fields.finish_ext()?,
    })
}

impl Fees {
    fn from_fields(mut fields: Fields) -> Result<Self, DecodeError> {
        let royalties = fields.objects("royalties")?;
        if guard!("format.manifest.royalties_count", royalties.len() > ROYALTIES_MAX) {
            let found = royalties.len();
            return Err(DecodeError::new(
                ErrorCode::LimitExceeded,
                format!("manifest.fees.royalties has {found} items, allowed {ROYALTIES_MAX}"),
            ));
        }
        let splits = fields.objects("splits")?;
        let fees = Self {
            base: money(fields.object("base")?)?,
            bounty: fields.optional_object("bounty")?.map(money).transpose()?,
            execution: fields.optional_object("execution")?.map(money).transpose()?,
            royalties: royalties.into_iter().map(royalty).collect::<Result<_, _>>()?,
            share_seeders: fields.required("share_seeders")?,
            share_verifiers: fields.required("share_verifiers")?,
            splits: splits.into_iter().map(split).collect::<Result<_, _>>()?,
            extensions: fields.finish_ext()?,
        };
        let payees = fees.royalties.iter().map(|royalty| &royalty.payee);
        if guard!("format.manifest.royalties_order", !is_ascending(payees)) {
            return Err(form("manifest.fees.royalties are not in ascending order of the payee"));
        }
        let roles = fees.splits.iter().map(|split| split.role);
        if guard!("format.manifest.splits_order", !is_ascending(roles)) {
            return Err(form("manifest.fees.splits are not in ascending order of the role"));
        }
        Ok(fees)
    }
}

fn money(mut fields: Fields) -> Result<Money, DecodeError> {
    Ok(Money {
        amount: Amount::from_str(&fields.required::<String>("amount")?)?,
        asset: fields.text("asset", "[A-Z][A-Z0-9]{1,15}", is_asset)?,
        extensions: fields.finish_ext()?,
    })
}

fn royalty(mut fields: Fields) -> Result<Royalty, DecodeError> {
    let payee: String = fields.required("payee")?;
    check_payee(&payee).map_err(|error| error.within("manifest.fees.royalties"))?;
    Ok(Royalty { payee, ppm: fields.required("ppm")?, extensions: fields.finish_ext()? })
}

fn split(mut fields: Fields) -> Result<Split, DecodeError> {
    Ok(Split {
        ppm: fields.required("ppm")?,
        role: named(&mut fields, "role", Role::from_name)?,
        extensions: fields.finish_ext()?,
    })
}

fn form(detail: impl Into<String>) -> DecodeError {
    DecodeError::new(ErrorCode::SchemaViolation, detail)
}
