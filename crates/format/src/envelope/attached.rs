//! Envelopes inside a container: their names, and what all of them together show.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

use super::{Envelope, Expected, verify_statement};
use crate::DecodeError;
use crate::container::{Container, SIGNATURES};
use crate::key::{Identity, KeyId, PublicKey, Suite};
use crate::limits::ENVELOPES_MAX;
use crate::trust::CompanionName;

/// End of the name of every envelope.
const SUFFIX: &str = ".dsse.json";

/// What the name of an envelope in a container states: `sig/<suite>-<keyid>.dsse.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SignatureName {
    /// Suite of the key.
    pub suite: Suite,
    /// Key id.
    pub keyid: KeyId,
}

impl SignatureName {
    /// Names the envelope of a key.
    #[must_use]
    pub fn of(key: &PublicKey) -> Self {
        Self { suite: key.suite(), keyid: key.id() }
    }

    /// Reads the name of an entry below `folder`, which ends in `/` or is empty.
    pub(crate) fn parse(name: &str, folder: &str) -> Option<Self> {
        let CompanionName { suite, keyid } =
            CompanionName::parse(name.strip_prefix(folder)?).ok()?;
        let found = Self { suite, keyid };
        (found.below(folder) == name).then_some(found)
    }

    pub(crate) fn below(&self, folder: &str) -> String {
        format!("{folder}{}-{}{SUFFIX}", self.suite.name(), self.keyid)
    }

    /// Returns the name of the entry.
    #[must_use]
    pub fn entry_name(&self) -> String {
        self.below(SIGNATURES)
    }
}

/// Checks that every key of an identity signed a statement that envelopes carry.
///
/// # Errors
/// E033 where a key has no envelope; as [`Envelope::verify`].
pub(crate) fn check_carried<'e>(
    statement: &[u8],
    signer: &Identity,
    find: impl Fn(&SignatureName) -> Option<&'e Envelope>,
) -> Result<(), DecodeError> {
    signer.keys().iter().try_for_each(|key| {
        let name = SignatureName::of(key);
        let envelope = find(&name).ok_or_else(|| {
            let detail = format!("the key {} of {} did not sign", name.keyid, signer.id());
            DecodeError::new(ErrorCode::SignatureMissing, detail)
        })?;
        envelope.verify(&Expected { statement, suite: name.suite, key_id: name.keyid }, key)
    })
}

/// What the envelopes of one artefact show, to somebody who knows some keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signatures {
    /// First envelope that is malformed or holds another statement.
    pub statement: Option<DecodeError>,
    /// First signature by a known key that does not verify.
    pub signature: Option<DecodeError>,
    /// Known keys whose signatures verify.
    pub signed: BTreeSet<PublicKey>,
    /// Key ids of signatures by keys that nobody named; they count nothing.
    pub unknown: BTreeSet<KeyId>,
    /// Names of envelopes beyond those that are read.
    pub surplus: Vec<String>,
}

impl Signatures {
    /// Reads envelopes over `statement`: first those of `own` keys, then those of `others`, then
    /// the rest, and of all at most 16.
    ///
    /// Takes tens to hundreds of microseconds for each signature by a known key.
    pub fn read<'k>(
        envelopes: impl IntoIterator<Item = (SignatureName, &'k [u8])>,
        statement: &[u8],
        own: &[PublicKey],
        others: impl IntoIterator<Item = &'k PublicKey>,
    ) -> Self {
        // A key id is a hash; made once for each key, and the own keys win.
        let mut keys: BTreeMap<KeyId, (u8, &PublicKey)> = BTreeMap::new();
        keys.extend(others.into_iter().map(|key| (key.id(), (1, key))));
        keys.extend(own.iter().map(|key| (key.id(), (0, key))));
        let class = |name: &SignatureName| keys.get(&name.keyid).map_or(2, |(class, _)| *class);
        let mut envelopes: Vec<_> = envelopes.into_iter().collect();
        envelopes.sort_by_key(|(name, _)| class(name));
        let mut found = Self::default();
        if guard!("format.envelope.surplus", envelopes.len() > ENVELOPES_MAX) {
            let surplus = envelopes.split_off(ENVELOPES_MAX);
            found.surplus = surplus.iter().map(|(name, _)| name.entry_name()).collect();
        }
        for (name, bytes) in envelopes {
            let envelope = match open(name, bytes, statement) {
                Ok(envelope) => envelope,
                Err(error) => {
                    found.statement.get_or_insert(error);
                    continue;
                }
            };
            let Some((_, key)) = keys.get(&name.keyid) else {
                found.unknown.insert(name.keyid);
                continue;
            };
            match verify(name, key, statement, &envelope) {
                Ok(()) => drop(found.signed.insert((*key).clone())),
                Err(error) => drop(found.signature.get_or_insert(error)),
            }
        }
        found
    }

    /// Tells whether every key of an identity signed.
    #[must_use]
    pub fn is_by(&self, identity: &Identity) -> bool {
        identity.keys().iter().all(|key| self.signed.contains(key))
    }

    /// Returns those of an identity's keys that did not sign.
    pub fn missing<'i>(&'i self, identity: &'i Identity) -> impl Iterator<Item = &'i PublicKey> {
        identity.keys().iter().filter(|key| !self.signed.contains(key))
    }

    /// Checks that every key of the artefact's own identity signed.
    ///
    /// # Errors
    /// E033 with the keys that did not.
    pub fn check_own(&self, own: &Identity) -> Result<(), DecodeError> {
        let missing: Vec<String> = self.missing(own).map(PublicKey::brief).collect();
        if guard!("format.envelope.own_keys", !missing.is_empty()) {
            let detail = format!("no signature by {} of the signer", missing.join(", "));
            return Err(DecodeError::new(ErrorCode::SignatureMissing, detail));
        }
        Ok(())
    }
}

impl<'a> Container<'a> {
    /// Returns the envelopes with what their names state, in order of the names.
    pub fn envelopes(&self) -> impl Iterator<Item = (SignatureName, &'a [u8])> + '_ {
        self.below(SIGNATURES).filter_map(|entry| {
            SignatureName::parse(entry.name, SIGNATURES).map(|name| (name, entry.bytes))
        })
    }
}

/// Opens an envelope and checks what can be checked without its key.
fn open(name: SignatureName, bytes: &[u8], statement: &[u8]) -> Result<Envelope, DecodeError> {
    let envelope = Envelope::decode(bytes)?;
    envelope.check(&Expected { statement, suite: name.suite, key_id: name.keyid })?;
    Ok(envelope)
}

fn verify(
    name: SignatureName,
    key: &PublicKey,
    statement: &[u8],
    envelope: &Envelope,
) -> Result<(), DecodeError> {
    if guard!("format.envelope.name_suite", key.suite() != name.suite) {
        let (key, stated) = (key.brief(), name.suite);
        let detail = format!("{key} has an envelope whose name states the suite {stated}");
        return Err(DecodeError::new(ErrorCode::KeyidMismatch, detail));
    }
    verify_statement(statement, key, envelope.signature())
}
