//! Digests, and the tagged hash that separates every use of them.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use data_encoding::HEXLOWER;
use kapsule_abi::ErrorCode;
use sha2::{Digest as _, Sha256};
use sha3::Sha3_256;

use crate::DecodeError;

/// Output of SHA-256 or SHA3-256; the place where it stands fixes which.
///
/// Prints and parses as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; Self::BYTES]);

impl Digest {
    /// Length in bytes.
    pub const BYTES: usize = 32;

    /// Wraps raw digest bytes.
    #[must_use]
    pub const fn new(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// Returns the raw bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}

impl From<[u8; Digest::BYTES]> for Digest {
    fn from(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }
}

impl AsRef<[u8]> for Digest {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = DecodeError;

    /// # Errors
    /// E008 for anything but 64 lower-case hex digits.
    fn from_str(text: &str) -> Result<Self, DecodeError> {
        decode_hex(text).map(Self)
    }
}

/// Decodes exactly `N` bytes of lower-case hex.
///
/// # Errors
/// E008 for another length or another character.
pub fn decode_hex<const N: usize>(text: &str) -> Result<[u8; N], DecodeError> {
    let refused = || {
        let found = text.len();
        let detail = alloc::format!("found {found} characters, allowed {} lower-case hex", 2 * N);
        DecodeError::new(ErrorCode::SchemaViolation, detail)
    };
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return Err(refused());
    }
    HEXLOWER.decode_mut(text.as_bytes(), &mut bytes).map_err(|_| refused())?;
    Ok(bytes)
}

/// Encodes bytes as lower-case hex.
#[must_use]
pub fn encode_hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

/// Declares a newtype around [`Digest`], so that ids of different things cannot be mixed up.
macro_rules! digest_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($crate::hash::Digest);

        impl $name {
            /// Wraps a digest that is known to be this id.
            #[must_use]
            pub const fn new(digest: $crate::hash::Digest) -> Self {
                Self(digest)
            }

            /// Returns the digest.
            #[must_use]
            pub const fn digest(&self) -> &$crate::hash::Digest {
                &self.0
            }

            /// Returns the raw bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $crate::hash::Digest::BYTES] {
                self.0.as_bytes()
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                self.0.as_ref()
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                core::fmt::Display::fmt(&self.0, f)
            }
        }

        impl core::str::FromStr for $name {
            type Err = $crate::DecodeError;

            fn from_str(text: &str) -> Result<Self, $crate::DecodeError> {
                text.parse().map(Self)
            }
        }
    };
}
pub(crate) use digest_id;

/// Declares the registry once, so that variants and names cannot drift apart.
macro_rules! tags {
    ($($variant:ident = $name:literal,)*) => {
        /// Domain separation tag; the registry is complete.
        ///
        /// # Spec
        /// `spec/encoding.md`, section "Tagged hash".
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Tag {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl Tag {
            /// Every tag, in the order of the registry.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Returns the tag text.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

tags! {
    ModCore = "kapsule/mod/core/v1",
    ModProofInputs = "kapsule/mod/proof-inputs/v1",
    ModBinding = "kapsule/mod/binding/v1",
    ModModule = "kapsule/mod/module/v1",
    VerifyingKey = "kapsule/vk/v1",
    CapsuleBinding = "kapsule/capsule/binding/v1",
    CapsulePlain = "kapsule/capsule/plain/v1",
    Salt = "kapsule/salt/v1",
    SaltSeed = "kapsule/salt-seed/v1",
    Exec = "kapsule/exec/v1",
    ExecInput = "kapsule/exec/input/v1",
    ExecOutput = "kapsule/exec/output/v1",
    ExecRequest = "kapsule/exec/req/v1",
    ExecResponse = "kapsule/exec/resp/v1",
    ExecTranscript = "kapsule/exec/transcript/v1",
    State = "kapsule/state/v1",
    Globals = "kapsule/globals/v1",
    Run = "kapsule/run/v1",
    RunValue = "kapsule/run/value/v1",
    TraceSpec = "kapsule/trace-spec/v1",
    Statement = "kapsule/statement/v1",
    Event = "kapsule/event/v1",
    EventGenesis = "kapsule/event-genesis/v1",
    LogEntry = "kapsule/log/entry/v1",
    LogGenesis = "kapsule/log/genesis/v1",
    LogBlind = "kapsule/log/blind/v1",
    LogEpochSeed = "kapsule/log/epoch-seed/v1",
    DaIndex = "kapsule/da/index/v1",
    Random = "kapsule/random/v1",
    Test = "kapsule/test/v1",
    Identity = "kapsule/identity/v1",
    Schema = "kapsule/schema/v1",
}

// A tag has 2 to 63 bytes, so that no preimage starts with a Merkle or a package byte.
const _: () = {
    let mut index = 0;
    while index < Tag::ALL.len() {
        let length = Tag::ALL[index].name().len();
        assert!(length >= 2 && length <= 63, "a tag has 2 to 63 bytes");
        index += 1;
    }
};

/// Returns the SHA-256 of `bytes`.
#[must_use]
pub fn sha256(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

/// Returns the SHA3-256 of `bytes`.
#[must_use]
pub fn sha3_256(bytes: &[u8]) -> Digest {
    Digest(Sha3_256::digest(bytes).into())
}

/// Returns `H(tag; parts)`, the tagged hash over SHA-256.
///
/// Each part is preceded by its length, so moving a byte between parts changes the digest.
///
/// # Spec
/// `spec/encoding.md`, section "Tagged hash"; vectors in `spec/vectors/hash/`.
#[must_use]
pub fn tagged(tag: Tag, parts: &[&[u8]]) -> Digest {
    Digest(tagged_over(Sha256::new(), tag, parts).into())
}

/// Returns `H3(tag; parts)`, the same construction over SHA3-256.
#[must_use]
pub fn tagged3(tag: Tag, parts: &[&[u8]]) -> Digest {
    Digest(tagged_over(Sha3_256::new(), tag, parts).into())
}

/// Returns the salt of one hidden value: element `index` of the list named `list`.
///
/// # Spec
/// `spec/encoding.md`, section "Commitments and salts".
#[must_use]
pub fn salt(seed: &[u8; 32], list: &str, index: u64) -> [u8; 32] {
    *tagged(Tag::Salt, &[seed, list.as_bytes(), &index.to_be_bytes()]).as_bytes()
}

/// Returns the commitment to a salt seed that an artefact publishes.
#[must_use]
pub fn salt_commitment(seed: &[u8; 32]) -> Digest {
    tagged(Tag::SaltSeed, &[seed])
}

/// Returns the commitment to `value`; an empty `salt` means that the value is public.
#[must_use]
pub fn commitment(tag: Tag, salt: &[u8], value: &[u8]) -> Digest {
    tagged(tag, &[salt, value])
}

fn tagged_over<D: sha2::Digest>(
    mut hasher: D,
    tag: Tag,
    parts: &[&[u8]],
) -> sha2::digest::Output<D> {
    let name = tag.name().as_bytes();
    hasher.update([name.len() as u8]);
    hasher.update(name);
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;
    use alloc::string::ToString;

    use super::*;

    fn check(found: Digest, expect: &str) {
        assert_eq!(found.to_string(), expect);
    }

    #[test]
    fn the_tag_registry_has_no_duplicates() {
        let names: BTreeSet<&str> = Tag::ALL.iter().map(|tag| tag.name()).collect();
        assert_eq!(names.len(), Tag::ALL.len());
        assert_eq!(Tag::ALL.len(), 32);
        assert!(names.iter().all(|name| name.is_ascii()));
    }

    #[test]
    fn fixed_values_of_the_specification() {
        let (h, h3) = (
            "dd4228c8128b76635ddd3ae5e732bab81d671ebadaf3451183288bb26713d74f",
            "1fe622827f1c2d09ab3d837d5216ee07cb3b5d9572933515eded932073c6ed28",
        );
        check(tagged(Tag::Test, &[b"", b"abc"]), h);
        check(tagged3(Tag::Test, &[b"", b"abc"]), h3);
        let env_3 = "71ffdbd6f6041d4a67e788a97d83797a964473a18cf3ed501e2a090b26f6c62a";
        check(Digest::new(salt(&[7; 32], "env", 3)), env_3);
        let first_prev = "2c01809b35bfb9e2cee7979576a035b22ca31c2fc9b9097cce47cd74c849f53a";
        check(tagged(Tag::EventGenesis, &[&[0; 16]]), first_prev);
    }

    #[test]
    fn part_boundaries_are_hashed() {
        assert_ne!(tagged(Tag::Test, &[b"a", b"bc"]), tagged(Tag::Test, &[b"ab", b"c"]));
        assert_ne!(tagged(Tag::Test, &[]), tagged(Tag::Test, &[b""]));
        assert_eq!(commitment(Tag::Test, b"", b"abc"), tagged(Tag::Test, &[b"", b"abc"]));
        assert_eq!(salt_commitment(&[7; 32]), tagged(Tag::SaltSeed, &[&[7; 32]]));
    }

    #[test]
    fn digest_text_is_lower_case_hex_of_fixed_length() {
        let text = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
        assert_eq!(text.parse::<Digest>().unwrap().to_string(), text);
        for refused in [&text[1..], &text.to_uppercase(), &text.replace('f', "g"), ""] {
            let error = refused.parse::<Digest>().unwrap_err();
            assert_eq!(error.code, ErrorCode::SchemaViolation, "{refused}");
        }
    }
}
