//! Keys whose secrets are published, so that a signature by them proves nothing.

use super::{PublicKey, Suite};

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

/// Public keys of the 256 seeds of one repeated byte, one per line.
///
/// A table, because deriving them takes milliseconds.
const REPEATED_BYTE: &str = include_str!("repeated_byte_keys.txt");

/// Tells whether the secret of this key is published in RFC 8032 or trivial to guess.
///
/// Import, signing and trust refuse such a key with E129 unless the caller asked for insecure
/// development keys.
///
/// # Spec
/// `spec/keys.md`, section "Published test keys".
#[must_use]
pub fn is_published_test_key(key: &PublicKey) -> bool {
    let hex = crate::hash::encode_hex(key.as_bytes());
    match key.suite() {
        Suite::Ed25519 => {
            RFC_8032.contains(&hex.as_str()) || REPEATED_BYTE.lines().any(|line| line == hex)
        }
        // Keys of these suites cannot be imported by this build.
        Suite::P256 | Suite::MlDsa44 | Suite::Secp256k1 => false,
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::{String, ToString};

    use super::*;
    use crate::hash::{decode_hex, encode_hex};
    use crate::key::SecretKey;

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

    fn public(seed: &[u8; 32]) -> PublicKey {
        SecretKey::from_seed(Suite::Ed25519, seed).unwrap().public().clone()
    }

    #[test]
    fn the_tables_are_what_the_published_seeds_give() {
        for (seed, expect) in RFC_8032_SEEDS.iter().zip(RFC_8032) {
            let key = public(&decode_hex(seed).unwrap());
            assert_eq!(encode_hex(key.as_bytes()), expect);
            assert!(is_published_test_key(&key));
        }
        let lines = (0..=255).map(|byte| encode_hex(public(&[byte; 32]).as_bytes()) + "\n");
        assert_eq!(lines.collect::<String>(), REPEATED_BYTE);
        assert!(
            is_published_test_key(&public(&[0; 32])) && is_published_test_key(&public(&[255; 32]))
        );
    }

    #[test]
    fn another_key_is_not_a_test_key() {
        let mut seed = [7; 32];
        seed[31] = 8;
        let key = public(&seed);
        assert!(!is_published_test_key(&key), "{}", key.to_string());
    }
}
