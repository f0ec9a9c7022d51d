//! Keys whose secrets are published, so that a signature by them proves nothing.

use super::{PublicKey, SecretKey, Suite};
use crate::hash::encode_hex;

/// Public keys of RFC 8032 sections 7.1 to 7.3; the first one is also that of `spec/keys.md`.
const RFC_8032: [&str; 7] = [
    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
    "278117fc144c72340f67d0f2316e8386ceffbf2b2428c9c51fef7c597f1d426e",
    "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
    "dfc9425e4f968f7f0c29f0259cf5f9aed6851c2bb4ad8bfb860cfee0ab248292",
    "0f1d1274943b91415889152e893d80e93275a1fc0b65fd71b4b0dda10ad7d772",
];

/// First 16 hex digits of each key whose secret is one of [`secret`], a line for each.
///
/// A table, because deriving them all takes a tenth of a second; a line that fits is confirmed by
/// deriving its key.
const fn starts(suite: Suite) -> &'static str {
    match suite {
        Suite::Ed25519 => include_str!("test_keys/ed25519.txt"),
        Suite::P256 => include_str!("test_keys/p256.txt"),
        Suite::MlDsa44 => include_str!("test_keys/mldsa44.txt"),
        Suite::Secp256k1 => include_str!("test_keys/secp256k1.txt"),
    }
}

/// Returns the secret of line `line` of the table of a suite.
///
/// A seed is one repeated byte, 00 to ff; a scalar is one repeated byte, 01 to fe, since the
/// others are no scalars, or one of the numbers from 1 on.
fn secret(suite: Suite, line: usize) -> [u8; SecretKey::BYTES] {
    let first = match suite {
        Suite::Ed25519 | Suite::MlDsa44 => 0,
        Suite::P256 | Suite::Secp256k1 => 1,
    };
    if let Some(byte) = u8::try_from(line + first).ok().filter(|byte| *byte != 0xff || first == 0) {
        return [byte; SecretKey::BYTES];
    }
    let mut scalar = [0; SecretKey::BYTES];
    // 254 scalars of one repeated byte stand before the number 1.
    scalar[SecretKey::BYTES - 8..].copy_from_slice(&(line as u64 - 253).to_be_bytes());
    scalar
}

/// Tells whether the secret of this key is published in RFC 8032 or trivial to guess.
///
/// Import, signing and trust refuse such a key with E129 unless the caller asked for insecure
/// development keys.
///
/// # Spec
/// `spec/keys.md`, section "Published test keys".
#[must_use]
pub fn is_published_test_key(key: &PublicKey) -> bool {
    let (suite, hex) = (key.suite(), encode_hex(key.as_bytes()));
    let derives = |line| SecretKey::from_seed(suite, &secret(suite, line));
    let is_line = |(line, start): (usize, &str)| {
        hex.starts_with(start) && derives(line).is_ok_and(|secret| secret.public() == key)
    };
    (suite == Suite::Ed25519 && RFC_8032.contains(&hex.as_str()))
        || starts(suite).lines().enumerate().any(is_line)
}

#[cfg(test)]
mod tests {
    use alloc::borrow::ToOwned;
    use alloc::string::String;

    use super::*;
    use crate::hash::decode_hex;

    /// Seeds of RFC 8032 sections 7.1 to 7.3, in the order of the table above.
    const RFC_8032_SEEDS: [&str; 7] = [
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "f5e5767cf153319517630f226876b86c8160cc583bc013744c6bf255f5cc0ee5",
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "0305334e381af78f141cb666f6199f57bc3495335a256a95bd2a55bf546663f6",
        "ab9c2853ce297ddab85c993b3ae14bcad39b2c682beabc27d6d4eb20711d6560",
    ];

    fn public(suite: Suite, secret: &[u8; 32]) -> PublicKey {
        SecretKey::from_seed(suite, secret).unwrap().public().clone()
    }

    fn line(key: &PublicKey) -> String {
        encode_hex(key.as_bytes())[..16].to_owned() + "\n"
    }

    fn scalar(number: u16) -> [u8; 32] {
        let mut scalar = [0; 32];
        scalar[30..].copy_from_slice(&number.to_be_bytes());
        scalar
    }

    #[test]
    fn the_keys_of_rfc_8032_are_what_its_seeds_give() {
        for (seed, expect) in RFC_8032_SEEDS.iter().zip(RFC_8032) {
            let key = public(Suite::Ed25519, &decode_hex(seed).unwrap());
            assert_eq!(encode_hex(key.as_bytes()), expect);
            assert!(is_published_test_key(&key));
        }
    }

    #[test]
    fn the_tables_are_what_the_published_secrets_give() {
        for suite in [Suite::Ed25519, Suite::MlDsa44] {
            let lines = (0..=255).map(|byte| line(&public(suite, &[byte; 32])));
            assert_eq!(lines.collect::<String>(), starts(suite), "{suite}");
        }
        for suite in [Suite::P256, Suite::Secp256k1] {
            let repeated = (1..=254).map(|byte| [byte; 32]);
            let lines = repeated.chain((1..=999).map(scalar)).map(|scalar| {
                let key = public(suite, &scalar);
                line(&key)
            });
            assert_eq!(lines.collect::<String>(), starts(suite), "{suite}");
        }
    }

    #[test]
    fn the_ends_of_every_list_are_refused_and_what_lies_beyond_is_not() {
        for suite in [Suite::Ed25519, Suite::MlDsa44] {
            for byte in [0, 1, 254, 255] {
                assert!(is_published_test_key(&public(suite, &[byte; 32])), "{suite} {byte}");
            }
        }
        for suite in [Suite::P256, Suite::Secp256k1] {
            for secret in [[1; 32], [254; 32], scalar(1), scalar(2), scalar(999)] {
                assert!(is_published_test_key(&public(suite, &secret)), "{suite} {secret:?}");
            }
            assert!(!is_published_test_key(&public(suite, &scalar(1_000))));
            for no_scalar in [0, 255] {
                assert!(SecretKey::from_seed(suite, &[no_scalar; 32]).is_err());
            }
        }
    }

    #[test]
    fn another_key_is_not_a_test_key() {
        let mut seed = [7; 32];
        seed[31] = 8;
        for suite in Suite::ALL {
            let key = public(suite, &seed);
            assert!(!is_published_test_key(&key), "{}", key.brief());
        }
    }

    #[test]
    fn a_key_that_shares_the_start_of_a_test_key_is_another_key() {
        // Every 1,312 bytes are a key of suite 3, so one with a chosen start can be written down.
        let mut bytes = public(Suite::MlDsa44, &[9; 32]).as_bytes().to_vec();
        bytes[1_311] ^= 1;
        let key = PublicKey::new(Suite::MlDsa44, &bytes).unwrap();
        assert!(!is_published_test_key(&key));
    }
}
