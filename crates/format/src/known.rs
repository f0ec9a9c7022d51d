//! What a verifier remembers, so that nothing that it accepted once goes back.
//!
//! Trust files whose serial was seen, identities of several keys that signed, and the versions of
//! packages whose author was trusted.
//!
//! # Spec
//! `spec/trust.md`, section "Record of what is known"; vectors in `spec/vectors/trust/`.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cmp::Ordering;

use kapsule_abi::{ErrorCode, guard};

use crate::json::{self, Fields, UINT_MAX, Value};
use crate::key::{Identity, IdentityId};
use crate::limits::KNOWN_ITEMS_MAX;
use crate::manifest::Version;
use crate::package::PackageId;
use crate::text::{is_ascending, is_ident};
use crate::trust::Chain;
use crate::{DecodeError, Digest};

/// Value of `schema` in the record.
pub const SCHEMA: &str = "kapsule/known/1";

/// The record: local to one verifier, never exchanged, and signed by nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Identities of several keys, each of which signed something, ascending by id.
    identities: Vec<Identity>,
    /// Newest version of each package by name and author, ascending by both.
    packages: Vec<KnownPackage>,
    /// Chains of trust files, ascending by the first digest.
    chains: Vec<KnownChain>,
}

/// The newest version of a package that was trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownPackage {
    /// Name of the package.
    pub name: String,
    /// Identity of its author.
    pub author: IdentityId,
    /// Greatest version by precedence.
    pub version: Version,
    /// `capsule_hash` of the first package of that version.
    pub capsule_hash: PackageId,
}

/// A chain of trust files.
#[derive(Clone, Debug, PartialEq, Eq)]
struct KnownChain {
    /// Serial of the last file.
    serial: u64,
    /// SHA-256 of the files, ascending by serial.
    sha256: Vec<Digest>,
}

impl KnownChain {
    fn first_serial(&self) -> u64 {
        self.serial.saturating_sub(self.sha256.len() as u64).saturating_add(1)
    }

    fn shares(&self, digests: &[Digest]) -> bool {
        digests.iter().any(|digest| self.sha256.contains(digest))
    }

    /// Returns the digest of the file of a serial.
    fn at(&self, serial: u64) -> Option<&Digest> {
        let index = serial.checked_sub(self.first_serial())?;
        self.sha256.get(usize::try_from(index).ok()?)
    }
}

impl Known {
    /// Decodes the canonical form.
    ///
    /// # Errors
    /// E001, E004, E005, E007, E008, E009, E034 or E035.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = Fields::of_file(bytes, "known")?;
        fields.schema(SCHEMA)?;
        let identities: Vec<Vec<String>> = fields.required("identities")?;
        let known = Self {
            identities: identities
                .iter()
                .map(|texts| Identity::from_texts(texts))
                .collect::<Result<_, _>>()?,
            packages: fields
                .objects("packages")?
                .into_iter()
                .map(package)
                .collect::<Result<_, _>>()?,
            chains: fields.objects("trust")?.into_iter().map(chain).collect::<Result<_, _>>()?,
        };
        fields.finish()?;
        known.check_order()?;
        known.check_counts()?;
        Ok(known)
    }

    fn check_order(&self) -> Result<(), DecodeError> {
        let packages = self.packages.iter().map(|package| (&package.name, package.author));
        for (name, ascending) in [
            ("identities", is_ascending(self.identities.iter().map(Identity::id))),
            ("packages", is_ascending(packages)),
            ("trust", is_ascending(self.chains.iter().map(|chain| chain.sha256.first()))),
        ] {
            if guard!("format.known.order", !ascending) {
                let detail = format!("known.{name} are not in strictly ascending order");
                return Err(DecodeError::new(ErrorCode::SchemaViolation, detail));
            }
        }
        Ok(())
    }

    fn check_counts(&self) -> Result<(), DecodeError> {
        let digests = self.chains.iter().map(|chain| chain.sha256.len()).sum();
        for (name, found) in [
            ("identities", self.identities.len()),
            ("packages", self.packages.len()),
            ("trust", digests),
        ] {
            if guard!("format.known.count", found > KNOWN_ITEMS_MAX) {
                let detail = format!("known.{name} has {found} items, allowed {KNOWN_ITEMS_MAX}");
                return Err(DecodeError::new(ErrorCode::LimitExceeded, detail));
            }
        }
        Ok(())
    }

    /// Encodes the canonical form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let identity =
            |identity: &Identity| Value::array(identity.keys().iter().map(ToString::to_string));
        let chain = |chain: &KnownChain| {
            Value::object([
                ("serial", chain.serial.into()),
                ("sha256", Value::array(chain.sha256.iter().copied())),
            ])
        };
        json::encode(&Value::object([
            ("identities", Value::array(self.identities.iter().map(identity))),
            ("packages", Value::array(self.packages.iter().map(KnownPackage::to_value))),
            ("schema", SCHEMA.into()),
            ("trust", Value::array(self.chains.iter().map(chain))),
        ]))
    }

    /// Checks where a chain of trust files begins and that it goes on from what is known of it.
    ///
    /// # Errors
    /// E117 if the chain does not begin with the pin, or without one with serial 1 or a file that
    /// is known, and if it has another file of a serial that is known; E118 if a later file of it
    /// is known.
    pub fn check_chain(&self, chain: &Chain, pin: Option<&Digest>) -> Result<(), DecodeError> {
        let first = chain.digests().first();
        let anchored = first.is_some_and(|first| self.is_anchor(first, pin))
            || (pin.is_none() && chain.first_serial() == 1);
        if guard!("format.known.anchor", !anchored) {
            let detail = match pin {
                Some(pin) => format!("the chain of the trust file does not begin with {pin}"),
                None => format!(
                    "serial {} is not known, and no earlier file is here",
                    chain.first_serial()
                ),
            };
            return Err(DecodeError::new(ErrorCode::TrustPinMismatch, detail));
        }
        self.chains
            .iter()
            .filter(|known| known.shares(chain.digests()))
            .try_for_each(|known| check_continues(known, chain))
    }

    /// Tells whether a chain may begin with this file: it is the pin, or known to follow it, or
    /// where there is no pin, known.
    #[must_use]
    pub fn is_anchor(&self, digest: &Digest, pin: Option<&Digest>) -> bool {
        pin == Some(digest)
            || self.chains.iter().any(|known| {
                let place = |wanted| known.sha256.iter().position(|one| one == wanted);
                match (pin.map(place), place(digest)) {
                    (_, None) => false,
                    (None, Some(_)) => true,
                    (Some(pin), own) => pin.is_some() && pin <= own,
                }
            })
    }

    /// Returns a version of greater precedence that is known of this package.
    #[must_use]
    pub fn newer(
        &self,
        name: &str,
        author: &IdentityId,
        version: &Version,
    ) -> Option<&KnownPackage> {
        let known = self.packages.iter().find(|known| known.is(name, author))?;
        (version.precedence(&known.version) == Ordering::Less).then_some(known)
    }

    /// Returns a known identity that has a key in common with this one and a key that it lacks.
    #[must_use]
    pub fn greater(&self, identity: &Identity) -> Option<&Identity> {
        self.identities.iter().find(|known| known.is_shrunk_to(identity))
    }

    /// Remembers a chain; tells whether that was news.
    ///
    /// # Errors
    /// E506 if the record is full.
    pub fn learn_chain(&mut self, chain: &Chain) -> Result<bool, DecodeError> {
        let place = self.chains.iter().position(|known| known.shares(chain.digests()));
        let Some(place) = place else {
            let known = KnownChain { serial: chain.serial(), sha256: chain.digests().to_vec() };
            return self.change(|record| {
                let first = known.sha256.first().copied();
                let at = record.chains.partition_point(|one| one.sha256.first().copied() < first);
                record.chains.insert(at, known);
            });
        };
        let known = &self.chains[place];
        let from = known.serial.saturating_add(1).saturating_sub(chain.first_serial());
        let new = usize::try_from(from).ok().and_then(|from| chain.digests().get(from..));
        let new: Vec<Digest> = new.unwrap_or_default().to_vec();
        if new.is_empty() {
            return Ok(false);
        }
        self.change(|record| {
            record.chains[place].sha256.extend(new);
            record.chains[place].serial = chain.serial();
        })
    }

    /// Remembers an identity that signed with every key; one key alone cannot lose another.
    ///
    /// # Errors
    /// E506 if the record is full.
    pub fn learn_identity(&mut self, identity: &Identity) -> Result<bool, DecodeError> {
        let place = self.identities.binary_search_by_key(&identity.id(), Identity::id);
        match (identity.keys(), place) {
            ([_], _) | (_, Ok(_)) => Ok(false),
            (_, Err(at)) => self.change(|record| record.identities.insert(at, identity.clone())),
        }
    }

    /// Remembers a package whose author is trusted, unless a greater version is known.
    ///
    /// # Errors
    /// E506 if the record is full.
    pub fn learn_package(&mut self, package: KnownPackage) -> Result<bool, DecodeError> {
        let key = |known: &KnownPackage| (known.name.clone(), known.author);
        match self.packages.binary_search_by_key(&key(&package), key) {
            Err(at) => self.change(|record| record.packages.insert(at, package)),
            Ok(at) if package.version.precedence(&self.packages[at].version).is_gt() => {
                self.change(|record| record.packages[at] = package)
            }
            Ok(_) => Ok(false),
        }
    }

    /// Makes a change unless it would break a limit.
    fn change(&mut self, change: impl FnOnce(&mut Self)) -> Result<bool, DecodeError> {
        let mut changed = self.clone();
        change(&mut changed);
        changed.check_counts().map_err(|error| DecodeError::new(ErrorCode::Quota, error.detail))?;
        *self = changed;
        Ok(true)
    }
}

fn check_continues(known: &KnownChain, chain: &Chain) -> Result<(), DecodeError> {
    if guard!("format.known.serial", chain.serial() < known.serial) {
        let (found, seen) = (chain.serial(), known.serial);
        let detail =
            format!("the trust file has serial {found}, and serial {seen} was used before");
        return Err(DecodeError::new(ErrorCode::TrustFileStale, detail));
    }
    for (serial, digest) in (chain.first_serial()..).zip(chain.digests()) {
        let other = known.at(serial).is_some_and(|known| known != digest);
        if guard!("format.known.fork", other) {
            let detail = format!("another trust file of serial {serial} was used before");
            return Err(DecodeError::new(ErrorCode::TrustPinMismatch, detail));
        }
    }
    Ok(())
}

impl KnownPackage {
    fn is(&self, name: &str, author: &IdentityId) -> bool {
        self.name == name && self.author == *author
    }

    fn to_value(&self) -> Value {
        Value::object([
            ("author", (*self.author.digest()).into()),
            ("capsule_hash", (*self.capsule_hash.digest()).into()),
            ("name", self.name.as_str().into()),
            ("version", self.version.as_str().into()),
        ])
    }
}

fn package(mut fields: Fields) -> Result<KnownPackage, DecodeError> {
    let version: String = fields.required("version")?;
    let package = KnownPackage {
        name: fields.text("name", "an ident", is_ident)?,
        author: IdentityId::new(fields.required("author")?),
        version: version.parse()?,
        capsule_hash: PackageId::new(fields.required("capsule_hash")?),
    };
    fields.finish()?;
    Ok(package)
}

fn chain(mut fields: Fields) -> Result<KnownChain, DecodeError> {
    let chain = KnownChain {
        serial: fields.uint("serial", 1..=UINT_MAX)?,
        sha256: fields.required("sha256")?,
    };
    fields.finish()?;
    let length = chain.sha256.len() as u64;
    if guard!("format.known.chain_length", length == 0 || length > chain.serial) {
        let detail = format!("known.trust: {length} files up to serial {}", chain.serial);
        return Err(DecodeError::new(ErrorCode::SchemaViolation, detail));
    }
    Ok(chain)
}
