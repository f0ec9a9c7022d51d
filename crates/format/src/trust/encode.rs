//! From [`Trust`] to the bytes of `trust.json`.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{Log, Registry, Revoked, SCHEMA, Trust, TrustedKey, VerifyingKey};
use crate::json::{self, Value};
use crate::key::Identity;
use crate::manifest::Extensions;

impl Trust {
    /// Encodes the canonical form.
    ///
    /// A value built by hand may break the rules; [`Trust::decode`] of its encoding tells.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let roots = self.root_keys.iter().map(key_texts);
        let previous = self.previous.map(|digest| ("previous".to_string(), Value::from(digest)));
        let extensions = self.extensions.clone().into_iter().chain(previous).collect();
        json::encode(&object(
            &extensions,
            [
                ("cosigners", texts(&self.cosigners)),
                ("keys", Value::array(self.keys.iter().map(TrustedKey::to_value))),
                ("logs", Value::array(self.logs.iter().map(Log::to_value))),
                ("quorum", self.quorum.into()),
                ("registries", Value::array(self.registries.iter().map(Registry::to_value))),
                ("revoked", Value::array(self.revoked.iter().map(Revoked::to_value))),
                ("root_keys", Value::array(roots)),
                ("schema", SCHEMA.into()),
                ("serial", self.serial.into()),
                ("threshold", self.threshold.into()),
                ("valid_from", self.valid_from.into()),
                ("valid_until", self.valid_until.into()),
                (
                    "verifying_keys",
                    Value::array(self.verifying_keys.iter().map(VerifyingKey::to_value)),
                ),
            ],
        ))
    }
}

impl TrustedKey {
    fn to_value(&self) -> Value {
        object(
            &self.extensions,
            [
                ("keys", key_texts(&self.identity)),
                ("name", self.name.as_str().into()),
                ("not_after", self.not_after.into()),
                ("not_before", self.not_before.into()),
                ("packages", texts(&self.packages)),
                ("roles", Value::array(self.roles.iter().map(|role| role.name()))),
            ],
        )
    }
}

impl Revoked {
    fn to_value(&self) -> Value {
        object(
            &self.extensions,
            [
                ("identity", (*self.identity.digest()).into()),
                ("reason", self.reason.as_str().into()),
                ("since", self.since.into()),
            ],
        )
    }
}

impl Registry {
    fn to_value(&self) -> Value {
        object(
            &self.extensions,
            [
                ("id", self.id.as_str().into()),
                ("root", self.root.into()),
                ("size", self.size.into()),
            ],
        )
    }
}

impl Log {
    fn to_value(&self) -> Value {
        object(
            &self.extensions,
            [("origin", self.origin.as_str().into()), ("vkeys", texts(&self.vkeys))],
        )
    }
}

impl VerifyingKey {
    fn to_value(&self) -> Value {
        object(&self.extensions, [("system", self.system.into()), ("vk_id", self.vk_id.into())])
    }
}

fn object<const N: usize>(extensions: &Extensions, members: [(&str, Value); N]) -> Value {
    let extensions = extensions.iter().map(|(name, value)| (name.as_str(), value.clone()));
    Value::object(extensions.chain(members))
}

fn texts(list: &[String]) -> Value {
    Value::array(list.iter().map(String::as_str))
}

fn key_texts(identity: &Identity) -> Value {
    Value::array(identity.keys().iter().map(ToString::to_string))
}
