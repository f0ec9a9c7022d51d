//! An X25519 identity that knows its public key.
//!
//! The library derives that key again for each file that it opens, which is a fourth of the time
//! that a stanza takes; everything else is done as it does it, with the same crates.

use age::DecryptError;
use age_core::format::{FILE_KEY_BYTES, FileKey, Stanza};
use age_core::primitives::{aead_decrypt, hkdf};
use alloc::vec::Vec;
use bech32::{FromBase32 as _, Variant};
use data_encoding::BASE64_NOPAD;
use kapsule_abi::guard;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::{Zeroize as _, Zeroizing};

use super::Recipient;

/// Type of the stanzas, and the start of what the key that wraps is derived for.
const STANZA: &str = "X25519";
const LABEL: &[u8] = b"age-encryption.org/v1/X25519";

/// What the text of a secret begins with, in lower case.
const PREFIX: &str = "age-secret-key-";

#[derive(Clone)]
pub(super) struct Identity {
    secret: StaticSecret,
    public: PublicKey,
    recipient: Recipient,
}

impl Identity {
    /// Reads `AGE-SECRET-KEY-1...`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let parsed: age::x25519::Identity = text.parse().ok()?;
        let secret = StaticSecret::from(*secret(text)?);
        let public = PublicKey::from(&secret);
        Some(Self { secret, public, recipient: Recipient(parsed.to_public()) })
    }

    pub(super) const fn recipient(&self) -> &Recipient {
        &self.recipient
    }
}

fn secret(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let (prefix, data, variant) = bech32::decode(text).ok()?;
    let bytes = Zeroizing::new(Vec::from_base32(&data).ok()?);
    let form = prefix == PREFIX && variant == Variant::Bech32;
    form.then(|| bytes.as_slice().try_into().map(Zeroizing::new).ok()).flatten()
}

impl age::Identity for Identity {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        if stanza.tag != STANZA {
            return None;
        }
        let Some((share, wrapped)) = parts(stanza) else {
            return Some(Err(DecryptError::InvalidHeader));
        };
        let shared = self.secret.diffie_hellman(&PublicKey::from(share));
        // A share of small order gives everybody the same secret.
        if guard!("format.encrypt.share", !shared.was_contributory()) {
            return Some(Err(DecryptError::InvalidHeader));
        }
        let salt = [share, self.public.to_bytes()].concat();
        let key = Zeroizing::new(hkdf(&salt, LABEL, shared.as_bytes()));
        // Another stanza may be the one for this key.
        let mut plain = aead_decrypt(&key, FILE_KEY_BYTES, wrapped).ok()?;
        Some(Ok(FileKey::init_with_mut(|file_key| {
            file_key.copy_from_slice(&plain);
            plain.zeroize();
        })))
    }
}

/// Returns the share of the sender and the wrapped file key of a stanza in its one form.
fn parts(stanza: &Stanza) -> Option<([u8; 32], &[u8])> {
    let [argument] = stanza.args.as_slice() else { return None };
    let share = BASE64_NOPAD.decode(argument.as_bytes()).ok()?.try_into().ok()?;
    (stanza.body.len() == FILE_KEY_BYTES + 16).then_some((share, &stanza.body))
}

#[cfg(test)]
mod tests {
    use age::secrecy::ExposeSecret as _;
    use age::{Identity as _, Recipient as _};
    use age_core::primitives::aead_encrypt;
    use alloc::string::{String, ToString as _};
    use alloc::vec;

    use super::*;

    const FILE_KEY: [u8; FILE_KEY_BYTES] = [0x59; FILE_KEY_BYTES];

    /// What came of a stanza, in a form that can be compared.
    fn said(found: Option<Result<FileKey, DecryptError>>) -> Option<Result<Vec<u8>, String>> {
        let file_key = |key: FileKey| key.expose_secret().to_vec();
        Some(found?.map(file_key).map_err(|error| error.to_string()))
    }

    /// Both identities of one secret.
    fn both() -> (age::x25519::Identity, Identity) {
        let library = age::x25519::Identity::generate();
        let text = library.to_string();
        let own = Identity::parse(text.expose_secret()).unwrap();
        (library, own)
    }

    fn copy(stanza: &Stanza) -> Stanza {
        let Stanza { tag, args, body } = stanza;
        Stanza { tag: tag.clone(), args: args.clone(), body: body.clone() }
    }

    fn stanza_to(recipient: &age::x25519::Recipient) -> Stanza {
        let file_key = FileKey::init_with_mut(|key| key.copy_from_slice(&FILE_KEY));
        let (mut stanzas, _) = recipient.wrap_file_key(&file_key).unwrap();
        stanzas.pop().unwrap()
    }

    #[test]
    fn unwraps_what_the_library_unwraps_and_refuses_what_it_refuses() {
        let ((library, own), (stranger, _)) = (both(), both());
        let good = stanza_to(&library.to_public());
        let with = |change: &dyn Fn(&mut Stanza)| {
            let mut stanza = copy(&good);
            change(&mut stanza);
            stanza
        };
        let cases = [
            copy(&good),
            stanza_to(&stranger.to_public()),
            with(&|stanza| stanza.tag = "x25519".into()),
            with(&|stanza| stanza.tag = "scrypt".into()),
            with(&|stanza| stanza.args.clear()),
            with(&|stanza| stanza.args.push("x".into())),
            with(&|stanza| stanza.args[0].push('=')),
            with(&|stanza| stanza.args[0].truncate(42)),
            with(&|stanza| stanza.args[0].push_str("AAAA")),
            // The last character carries four bits, the others have to be 0.
            with(&|stanza| stanza.args[0].replace_range(42.., "B")),
            with(&|stanza| stanza.args[0].replace_range(..1, "_")),
            with(&|stanza| stanza.args[0] = BASE64_NOPAD.encode(&[0xff; 32])),
            with(&|stanza| stanza.body.truncate(31)),
            with(&|stanza| stanza.body.push(0)),
            with(&|stanza| stanza.body.clear()),
            with(&|stanza| stanza.body[0] ^= 1),
            with(&|stanza| stanza.body[31] ^= 0x80),
        ];
        for (number, stanza) in cases.iter().enumerate() {
            let wanted = said(library.unwrap_stanza(stanza));
            assert_eq!(said(own.unwrap_stanza(stanza)), wanted, "case {number}: {stanza:?}");
        }
        assert_eq!(said(own.unwrap_stanza(&good)), Some(Ok(FILE_KEY.to_vec())));
        assert_eq!(said(own.unwrap_stanza(&cases[1])), None);
    }

    /// Points of small order (RFC 7748 section 6.1), with which a sender who knows the recipient
    /// alone makes a stanza that the secret 0 opens.
    #[test]
    fn a_share_of_small_order_opens_nothing() {
        let (library, own) = both();
        let mut one = [0; 32];
        one[0] = 1;
        for share in [[0; 32], one] {
            let salt = [share, own.public.to_bytes()].concat();
            let body = aead_encrypt(&hkdf(&salt, LABEL, &[0; 32]), &FILE_KEY);
            let args = vec![BASE64_NOPAD.encode(&share)];
            let stanza = Stanza { tag: STANZA.into(), args, body };
            let refused = Some(Err(DecryptError::InvalidHeader.to_string()));
            assert_eq!(said(library.unwrap_stanza(&stanza)), refused);
            assert_eq!(said(own.unwrap_stanza(&stanza)), refused);
        }
    }

    #[test]
    fn reads_what_the_library_reads() {
        let (library, own) = both();
        assert_eq!(own.recipient().to_string(), library.to_public().to_string());
        let upper = library.to_string();
        let lower = upper.expose_secret().to_lowercase();
        assert!(Identity::parse(&lower).is_some(), "age reads either case");
        let mixed = lower.replacen('a', "A", 1);
        let public = library.to_public().to_string();
        for text in [mixed.as_str(), &public, "", &lower[..lower.len() - 1]] {
            assert!(text.parse::<age::x25519::Identity>().is_err(), "{text}");
            assert!(Identity::parse(text).is_none(), "{text}");
        }
    }
}
