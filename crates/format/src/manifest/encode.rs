//! From a [`Manifest`] to canonical bytes.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{
    ENCRYPTED_FORMAT, Encrypted, Exec, Extensions, Fees, Manifest, Money, ProofSchema, Resources,
    SCHEMA,
};
use crate::json::{self, Value};

impl Manifest {
    /// Encodes the canonical form, of which each manifest has exactly one.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let keys = self.author_keys.iter().map(|key| key.to_string());
        let mut members = Members::new(&self.extensions);
        members.text("author", &self.author);
        members.put("author_keys", Value::array(keys));
        members.optional_text("build_commit", self.build_commit.as_deref());
        members.optional_text("description", self.description.as_deref());
        members.put("exec", self.exec.to_value());
        members.optional("fees", self.fees.as_ref().map(Fees::to_value));
        members.optional_text("license", self.license.as_deref());
        members.text("name", &self.name);
        members.text("policy_hash", &self.policy_hash.to_string());
        members.optional_text("previous", self.previous.map(|id| id.to_string()).as_deref());
        members.text("proof_type", self.proof_type.name());
        members.optional("resources", self.resources.as_ref().map(Resources::to_value));
        members.text("schema", SCHEMA);
        members.text("version", self.version.as_str());
        json::encode(&members.finish())
    }
}

impl Exec {
    fn to_value(&self) -> Value {
        let mut members = Members::new(&self.extensions);
        members.text("abi", self.abi.name());
        members.text("binary", &self.binary);
        members.text("chunk_root", &self.chunk_root.to_string());
        members.optional(
            "entries",
            self.entries.as_ref().map(|entries| {
                Value::Array(entries.iter().map(|entry| Value::Text(entry.clone())).collect())
            }),
        );
        members.optional("encrypted", self.encrypted.as_ref().map(Encrypted::to_value));
        members.text("entry", &self.entry);
        members.text("hash", &format!("sha256:{}", self.hash));
        members.text("kind", &self.kind.to_string());
        members.text("profile", self.profile.name());
        members.optional("proof_schema", self.proof_schema.as_ref().map(ProofSchema::to_value));
        members.put("size", Value::Uint(self.size));
        members.finish()
    }
}

impl Encrypted {
    fn to_value(&self) -> Value {
        let mut members = Members::new(&self.extensions);
        members.text("commitment", &self.commitment.to_string());
        members.text("format", ENCRYPTED_FORMAT);
        members.put("plain_size", Value::Uint(self.plain_size));
        members.put("stanzas", Value::array(self.stanzas.iter().map(String::as_str)));
        members.finish()
    }
}

impl ProofSchema {
    fn to_value(&self) -> Value {
        let mut members = Members::new(&self.extensions);
        members.text("hash", &format!("sha256:{}", self.hash));
        members.text("path", &self.path);
        members.put("size", Value::Uint(self.size));
        members.finish()
    }
}

impl Resources {
    fn to_value(&self) -> Value {
        let mut members = Members::new(&self.extensions);
        members.optional("cpu_milli", self.cpu_milli.map(Value::Uint));
        members.optional("memory_bytes", self.memory_bytes.map(Value::Uint));
        members.optional_text("net", self.net.map(super::Net::name));
        members.finish()
    }
}

impl Fees {
    fn to_value(&self) -> Value {
        let royalties = self.royalties.iter().map(|royalty| {
            let mut members = Members::new(&royalty.extensions);
            members.text("payee", &royalty.payee);
            members.put("ppm", Value::Uint(royalty.ppm));
            members.finish()
        });
        let splits = self.splits.iter().map(|split| {
            let mut members = Members::new(&split.extensions);
            members.put("ppm", Value::Uint(split.ppm));
            members.text("role", split.role.name());
            members.finish()
        });
        let mut members = Members::new(&self.extensions);
        members.put("base", self.base.to_value());
        members.optional("bounty", self.bounty.as_ref().map(Money::to_value));
        members.optional("execution", self.execution.as_ref().map(Money::to_value));
        members.put("royalties", Value::Array(royalties.collect()));
        members.put("share_seeders", Value::Bool(self.share_seeders));
        members.put("share_verifiers", Value::Bool(self.share_verifiers));
        members.put("splits", Value::Array(splits.collect()));
        members.finish()
    }
}

impl Money {
    fn to_value(&self) -> Value {
        let mut members = Members::new(&self.extensions);
        members.text("amount", &self.amount.to_string());
        members.text("asset", &self.asset);
        members.finish()
    }
}

/// Members of an object under construction; a named member wins over an extension.
struct Members(BTreeMap<String, Value>);

impl Members {
    fn new(extensions: &Extensions) -> Self {
        Self(extensions.clone())
    }

    fn put(&mut self, name: &str, value: Value) {
        self.0.insert(name.to_string(), value);
    }

    fn optional(&mut self, name: &str, value: Option<Value>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }

    fn text(&mut self, name: &str, text: &str) {
        self.put(name, Value::Text(text.to_string()));
    }

    fn optional_text(&mut self, name: &str, text: Option<&str>) {
        self.optional(name, text.map(|text| Value::Text(text.to_string())));
    }

    fn finish(self) -> Value {
        Value::Object(self.0)
    }
}
