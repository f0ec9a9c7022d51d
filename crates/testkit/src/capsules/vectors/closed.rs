//! A channel in which only those may write who are listed.

use kapsule_format::capsule::Draft;
use kapsule_format::key::{SecretKey, Suite};

use super::super::{Channel, EPOCH_RECIPIENT, identity, key, recipient, sign};

/// Number of the key of the one writer.
pub(super) const WRITER: u8 = 4;

/// What a reader holds of it.
pub(super) const HELD: &str = "keyring = \"genesis-closed\"\nparents = [\"genesis-closed\"]\n";

/// Number of the key of a writer who is revoked.
pub(super) const REVOKED: u8 = 5;

/// Starts it.
pub(super) fn channel() -> Channel {
    let id = |number| identity(&[key(Suite::Ed25519, number)]).id();
    Channel::new(|keyring| {
        keyring.writers = vec![id(WRITER), id(REVOKED)];
        keyring.writers.sort();
        keyring.revoked = vec![id(REVOKED)];
    })
}

/// Returns the first post of an author there.
pub(super) fn post(channel: &Channel, author: &[SecretKey]) -> Vec<u8> {
    let draft = Draft { author: identity(author), seq: 0, back: None, ..channel.post() };
    let draft = Draft { prev: vec![channel.id], ..draft };
    sign(&draft, &recipient(EPOCH_RECIPIENT), author)
}
