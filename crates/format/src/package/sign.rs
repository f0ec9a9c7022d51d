//! Derived statements and the signatures over them.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

use super::{CoreHash, Layout, Package, PackageId, Raw, Scope, Signature};
use crate::envelope::{Statement, Subject, sign_statement};
use crate::hash::sha256;
use crate::key::{SecretKey, is_published_test_key};
use crate::limits::TRAILER_ENTRIES_MAX;
use crate::manifest::Manifest;
use crate::{DecodeError, Digest};

/// What the statements of a package are derived from.
struct Source<'a> {
    body: &'a [u8],
    layout: &'a Layout,
    capsule_hash: PackageId,
    core_hash: CoreHash,
    manifest: &'a Manifest,
    /// SHA-256 of the payload for the author, of the body for the publisher.
    subject: Digest,
}

impl Source<'_> {
    fn statement(&self, scope: Scope) -> Vec<u8> {
        let section = |range| sha256(&self.body[range]);
        let mut predicate: Vec<(&str, Digest)> = [("core_hash", *self.core_hash.digest())].into();
        let subject = match scope {
            Scope::Author => {
                predicate.push(("depmap_sha256", section(self.layout.depmap())));
                predicate.push(("manifest_sha256", section(self.layout.manifest())));
                predicate.push(("policy_sha256", section(self.layout.policy())));
                "payload"
            }
            Scope::Publisher => {
                predicate.push(("capsule_hash", *self.capsule_hash.digest()));
                "body"
            }
        };
        let mut predicate: BTreeMap<_, _> =
            predicate.into_iter().map(|(name, digest)| (name.to_string(), digest.into())).collect();
        predicate.insert("name".to_string(), self.manifest.name.as_str().into());
        predicate.insert("version".to_string(), self.manifest.version.as_str().into());
        let statement = Statement {
            subjects: [Subject { name: subject.to_string(), sha256: self.subject }].into(),
            predicate_type: format!("urn:kapsule:package-{scope}:v1"),
            predicate,
        };
        statement.encode()
    }
}

impl Raw<'_> {
    /// Derives the statement of a scope from the body and its decoded manifest.
    pub(crate) fn statement(&self, scope: Scope, manifest: &Manifest) -> Vec<u8> {
        let source = Source {
            body: self.body(),
            layout: self.layout(),
            capsule_hash: self.capsule_hash(),
            core_hash: self.core_hash(),
            manifest,
            subject: match scope {
                Scope::Author => self.payload_sha256(),
                Scope::Publisher => self.body_sha256(),
            },
        };
        source.statement(scope)
    }
}

impl Package {
    /// Returns the statement that a signature of this scope is over; it is derived, not carried.
    #[must_use]
    pub fn statement(&self, scope: Scope) -> Vec<u8> {
        let source = Source {
            body: &self.body,
            layout: &self.layout,
            capsule_hash: self.capsule_hash,
            core_hash: self.core_hash,
            manifest: &self.manifest,
            subject: match scope {
                Scope::Author => sha256(self.payload()),
                Scope::Publisher => self.body_sha256(),
            },
        };
        source.statement(scope)
    }

    /// Signs the package and puts the signature into the trailer.
    ///
    /// A signature by the same key over the same scope is replaced.
    ///
    /// # Errors
    /// E129 for a published test key without `insecure_dev`; E038 for an author key that the
    /// manifest does not list, since no verifier would look at it; E004 for a 17th entry.
    pub fn sign(
        &mut self,
        scope: Scope,
        key: &SecretKey,
        insecure_dev: bool,
    ) -> Result<(), DecodeError> {
        let public = key.public();
        let test_key = !insecure_dev && is_published_test_key(public);
        if guard!("format.sign.test_key", test_key) {
            return Err(DecodeError::new(
                ErrorCode::TestKeyRefused,
                format!("{} is a published test key, which anyone can sign with", public.brief()),
            ));
        }
        let foreign = scope == Scope::Author && !self.manifest.author_keys.contains(public);
        if guard!("format.sign.foreign_author", foreign) {
            return Err(DecodeError::new(
                ErrorCode::KeyidMismatch,
                format!("{} is not one of the author_keys of the manifest", public.brief()),
            ));
        }
        let signature = sign_statement(&self.statement(scope), key);
        self.insert(Signature { scope, suite: public.suite(), keyid: public.id(), signature })
    }

    /// Puts a signature at its place in the trailer.
    pub(super) fn insert(&mut self, signature: Signature) -> Result<(), DecodeError> {
        let key = |entry: &Signature| (entry.scope, entry.suite, entry.keyid);
        match self.signatures.binary_search_by_key(&key(&signature), key) {
            Ok(index) => self.signatures[index] = signature,
            Err(index) => {
                if guard!("format.sign.entries", self.signatures.len() >= TRAILER_ENTRIES_MAX) {
                    return Err(DecodeError::new(
                        ErrorCode::LimitExceeded,
                        format!("the trailer holds {TRAILER_ENTRIES_MAX} signatures already"),
                    ));
                }
                self.signatures.insert(index, signature);
            }
        }
        Ok(())
    }
}
